"""Models and layers: objects that hold their parameters.

Module      A model or a part of one; models are subclasses.
Dense       A fully connected layer: activation(x @ W + b).
Sequential  Layers, each applied to the result of the one before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.functions.activations import log_softmax, relu, sigmoid, softmax, softplus
from tinygrad_lr.messages import ShapeError
from tinygrad_lr.ops import matmul, tanh
from tinygrad_lr.recording import no_grad
from tinygrad_lr.tensor import Tensor

__all__ = ["Dense", "Module", "Sequential"]
Layer = Callable[[Any], Tensor]
ACTIVATIONS = {f.__name__: f for f in (sigmoid, tanh, relu, softplus, softmax, log_softmax)}
P = ParamSpec("P")
R = TypeVar("R", covariant=True)
WATCHED: list[dict[int, tuple[int, ...]]] = []  # shapes of results, by the Module's id


class _Forward(Protocol[P, R]):
    """A Module, as type checkers see it: a call takes and returns what its forward does."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class Module:
    """A model or a part of one. Tensors and Modules among its attributes belong to it.

    Subclasses create their parameters in `__init__` and compute in `forward`. Attributes may also
    be lists, tuples and dicts of Tensors and Modules. Names are paths, as `layers.0.W`.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(3.0), dict(Line().named_parameters())
    (Tensor(6., op=multiply), {'slope': Tensor(2., requires_grad=True)})
    """

    def __call__(self: _Forward[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        result = self.forward(*args, **kwargs)
        for shapes in WATCHED:
            shapes[id(self)] = np.shape(unwrap(result))
        return result

    if not TYPE_CHECKING:  # a type checker would take every name for one that is there

        def __getattr__(self, name: str) -> Any:
            raise messages.missing_name(f"a {type(self).__name__}", name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the model for some inputs; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, x)")

    def _parts(self) -> Iterator[tuple[str, Any]]:
        """(path, part) for this Module and every Module and Tensor in it, each once."""
        waiting: list[tuple[str, Any]] = [("", self)]
        visited = set()
        while waiting:
            path, value = waiting.pop()
            if not isinstance(value, (Tensor, Module, list, tuple, dict)) or id(value) in visited:
                continue
            visited.add(id(value))
            if isinstance(value, (Tensor, Module)):
                yield path, value
            if not isinstance(value, Tensor):
                children = vars(value) if isinstance(value, Module) else value
                pairs = children.items() if isinstance(children, dict) else enumerate(children)
                inner = [(f"{path}.{key}" if path else str(key), child) for key, child in pairs]
                waiting += reversed(inner)

    def named_tensors(self) -> dict[str, Tensor]:
        """Every leaf of the model by its path, each once, trained or not.

        Raises:
            ValueError: if two have the same path, as with the keys 1 and "1" of a dict.
        """
        tensors: dict[str, Tensor] = {}
        for path, part in self._parts():
            if isinstance(part, Tensor) and part.is_leaf:
                if path in tensors:
                    raise ValueError(f"two tensors of {type(self).__name__} have the path {path}")
                tensors[path] = part
        return tensors

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(path, module) for this model, with the path "", and every Module in it, each once."""
        return ((path, part) for path, part in self._parts() if isinstance(part, Module))

    def output_shapes(self, *inputs: Any) -> dict[str, tuple[int, ...]]:
        """The shape of every Module's last result, by its path, when called with inputs."""
        shapes: dict[int, tuple[int, ...]] = {}
        WATCHED.append(shapes)
        try:
            with no_grad():
                self(*inputs)
        finally:
            WATCHED[:] = [other for other in WATCHED if other is not shapes]
        modules = ((path, id(module)) for path, module in self.named_modules())
        return {path: shapes[key] for path, key in modules if key in shapes}

    def summary(self, *inputs: Any) -> None:
        """Print path, kind, output shape and parameter count of the layers with parameters.

        Args:
            inputs: arguments for the model; without any, no shapes are printed.

        >>> Sequential(Dense(2, 3, activation="tanh"), Dense(3, 1)).summary(np.ones((4, 2)))
        layers.0  Dense 2 → 3, tanh  (4, 3)   9
        layers.1  Dense 3 → 1        (4, 1)   4
        total                                13
        """
        rows = self._rows(self.output_shapes(*inputs) if inputs else {})
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for *texts, total in rows:
            print(*map(str.ljust, texts, widths), total.rjust(widths[-1]), sep="  ")

    def _rows(self, shapes: Mapping[str, tuple[int, ...]]) -> list[tuple[str, str, str, str]]:
        """Path, kind, shape and parameter count of the layers with parameters, and of all."""
        rows = [
            (path, str(module), str(shapes.get(path, "")), f"{count:,}")
            for path, module in self.named_modules()
            if (count := module.parameter_count(own=True))
        ]
        return [*rows, ("total", "", "", f"{self.parameter_count():,}")]

    def parameter_count(self, own: bool = False) -> int:
        """The number of scalar parameters; own=True leaves out those of the Modules in it."""
        inner = [module for path, module in self.named_modules() if path] if own else []
        others = {id(t) for module in inner for t in module.parameters()}
        return sum(int(t.size) for t in self.parameters() if id(t) not in others)

    def __str__(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        kinds = (Module, Tensor, list, tuple, dict)
        parts = {name: x for name, x in vars(self).items() if isinstance(x, kinds)}
        return _call(type(self).__name__, [f"{name}={_text(x)}" for name, x in parts.items()])

    def _repr_html_(self) -> str:
        from tinygrad_lr.messages.notebook import table  # here, as only notebooks need it

        rows = [(path, kind, count) for path, kind, _, count in self._rows({})]
        return table(["path", "layer", "parameters"], rows)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(path, parameter) for every Tensor that requires a gradient, each once."""
        return ((name, t) for name, t in self.named_tensors().items() if t.requires_grad)

    def parameters(self) -> list[Tensor]:
        """The Tensors that require a gradient, each once."""
        return [t for _, t in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """A copy of every tensor's data, by its path."""
        return {name: t._array.copy() for name, t in self.named_tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Set all tensors to the values of a `state_dict`.

        Raises:
            ValueError: if a name is missing or unknown, or a value has the wrong shape or dtype.
                The model is then unchanged.
        """
        own, new, wrong = self.named_tensors(), {}, []
        wrong += [f"{name} is missing" for name in own.keys() - state.keys()]
        wrong += [f"{name} is not a tensor of this model" for name in state.keys() - own.keys()]
        for name in own.keys() & state.keys():
            try:
                new[name] = np.array(state[name]).astype(own[name].dtype, casting="same_kind")
            except (TypeError, ValueError) as error:
                wrong.append(f"{name}: {error}")
            else:
                if new[name].shape != own[name].shape:
                    wrong.append(f"{name} has the shape {new[name].shape}, not {own[name].shape}")
        if wrong:
            kind = type(self).__name__
            raise ValueError(f"this state does not fit {kind}: {'; '.join(sorted(wrong))}")
        for name, tensor in own.items():
            tensor.data = new[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `state_dict` to exactly this path, in NumPy's .npz format.

        An existing file is replaced only once the new one is complete.
        """
        import zipfile  # here, as it would double the time to import the package

        temporary = f"{os.fspath(path)}.partial"
        try:
            with zipfile.ZipFile(temporary, "w") as archive:
                for name, array in self.state_dict().items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Set all tensors to the values that `save` wrote; nothing in the file is executed.

        Raises:
            OSError: if the file cannot be opened.
            ValueError: if it is damaged, was not written by `save`, or holds another model's
                state. The model is then unchanged.
        """
        import zipfile  # here, as in `save`

        with open(path, "rb") as file:
            try:
                if damaged := zipfile.ZipFile(file).testzip():
                    raise zipfile.BadZipFile(damaged)
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    state = dict(archive)
            except Exception as error:
                raise ValueError(
                    f"{os.fspath(path)} is damaged or no .npz file: {error}"
                ) from error
        self.load_state_dict(state)


class Dense(Module):
    """A fully connected layer: activation(x @ W + b).

    Args:
        in_features: the number of columns of x.
        units: the number of columns of the result.
        activation: a function, or "sigmoid", "tanh", "relu", "softplus", "softmax",
            "log_softmax"; default none.
        bias: whether to add b.
        rng: a `numpy.random.Generator` or a seed, for the weights.
        dtype: float64 or float32.

    Attributes:
        W: (in_features, units), initially uniform within ±sqrt(6 / (in_features + units))
            (Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
            neural networks", eq. 16).
        b: (units,), initially 0; None without bias.

    Raises:
        ValueError: if a size is below 1 or the activation is unknown.

    >>> Dense(3, 2, activation="tanh", rng=0)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        units: int,
        activation: Layer | str | None = None,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        messages.check_count("Dense: in_features", in_features)
        messages.check_count("Dense: units", units)
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                names = ", ".join(ACTIVATIONS)
                raise ValueError(f"Dense: no activation is named {activation!r}; there are {names}")
            activation = ACTIVATIONS[activation]
        elif activation is not None and not callable(activation):
            raise ValueError(f"Dense: activation is a function or a name, not {activation!r}")
        limit = np.sqrt(6 / (in_features + units))
        W = np.random.default_rng(rng).uniform(-limit, limit, (in_features, units))
        self.W = Tensor(W, requires_grad=True, dtype=dtype)
        self.b = Tensor(np.zeros(units), requires_grad=True, dtype=dtype) if bias else None
        self.activation = activation

    def forward(self, x: Any) -> Tensor:
        """(…, in_features) -> (…, units)."""
        try:
            z: Tensor = matmul(x, self.W)
        except ValueError:
            raise ShapeError(
                f"{self!r} takes (..., {self.W.shape[0]}), a column for each feature, but the "
                f"input is {np.shape(x)}"
            ) from None
        if self.b is not None:
            z = z + self.b
        return z if self.activation is None else self.activation(z)

    def __repr__(self) -> str:
        return f"Dense({self.W.shape[0]}, {self.W.shape[1]}, activation={_name(self.activation)})"

    def __str__(self) -> str:
        suffix = f", {_name(self.activation)}" if self.activation else ""
        return f"Dense {self.W.shape[0]} → {self.W.shape[1]}{suffix}"


class Sequential(Module):
    """Layers, each applied to the result of the one before.

    Args:
        layers: Modules and functions, or one list of them as in Keras.

    Raises:
        TypeError: if a layer is not callable.

    >>> Sequential(Dense(2, 3, activation="relu"), Dense(3, 1))(np.ones((4, 2))).shape
    (4, 1)
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], (list, tuple)):
            layers = tuple(layers[0])
        for layer in layers:
            if not callable(layer):
                raise TypeError(f"Sequential: a layer is a Module or a function, not {layer!r}")
        self.layers = list(layers)

    def __getitem__(self, i: int) -> Any:
        return self.layers[i]

    def __len__(self) -> int:
        return len(self.layers)

    def forward(self, x: Any) -> Tensor:
        """The result of the last layer."""
        for layer in self.layers:
            x = layer(x)
        output: Tensor = x
        return output

    def __repr__(self) -> str:
        return _call("Sequential", list(map(_text, self.layers)))


def _text(x: Any) -> str:
    """A part of a Module in its repr: a Tensor by its shape, a function by its name."""
    if isinstance(x, Tensor):
        return f"Tensor {x.shape}"
    if isinstance(x, (list, tuple)):
        return f"[{', '.join(map(_text, x))}]"
    if isinstance(x, dict):
        return f"{{{', '.join(f'{key!r}: {_text(part)}' for key, part in x.items())}}}"
    return _name(x)


def _call(name: str, arguments: list[str]) -> str:
    """A call on one line, or one line for each argument."""
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= 80 and "\n" not in line:
        return line
    inner = "".join(f"  {text},\n".replace("\n", "\n  ").rstrip(" ") for text in arguments)
    return f"{name}(\n{inner})"


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)


if not TYPE_CHECKING:  # as in Module

    def __getattr__(name: str) -> Any:
        raise messages.missing_name("tinygrad_lr.nn", name)


def __dir__() -> list[str]:
    return __all__
