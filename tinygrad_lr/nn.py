"""Layers and models: objects that hold their parameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.functions.activations import log_softmax, relu, sigmoid, softmax, softplus
from tinygrad_lr.messages import ShapeError
from tinygrad_lr.ops import matmul, tanh
from tinygrad_lr.recording import no_grad
from tinygrad_lr.tensor import Tensor

Layer = Callable[[Any], Any]
ACTIVATIONS = {f.__name__: f for f in (sigmoid, tanh, relu, softplus, softmax, log_softmax)}
WATCHED: list[dict[int, tuple[int, ...]]] = []  # shapes of results, by the id of the Module


class Module:
    """A model or a part of one. Tensors and Modules among its attributes belong to it.

    Subclasses make their parameters in `__init__` and say in `forward` what they compute. The
    attributes may also be lists, tuples and dicts of them; names are paths, as `layers.0.W`.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(3.0), dict(Line().named_parameters())
    (Tensor(6., op=multiply), {'slope': Tensor(2., requires_grad=True)})
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.forward(*args, **kwargs)
        for shapes in WATCHED:
            shapes[id(self)] = np.shape(result)
        return result

    def __getattr__(self, name: str) -> Any:
        raise messages.missing_name(f"a {type(self).__name__}", name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model computes."""
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
        """Every leaf of the model under its path, each once, also those that are not trained.

        Raises:
            ValueError: if two of them have the same path, as with the keys 1 and "1" of a dict.
        """
        found: dict[str, Tensor] = {}
        for path, part in self._parts():
            if isinstance(part, Tensor) and part.is_leaf:
                if path in found:
                    raise ValueError(f"two tensors of {type(self).__name__} have the path {path}")
                found[path] = part
        return found

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(path, module) for this model, whose path is "", and every Module in it, each once."""
        return ((path, part) for path, part in self._parts() if isinstance(part, Module))

    def output_shapes(self, *inputs: Any) -> dict[str, tuple[int, ...]]:
        """The shape of what every Module in the model computes last, by its path, for inputs."""
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
        """Print the layers that hold parameters: path, kind, output shape, parameter count.

        Args:
            inputs: what the model would be called with; without, no shapes are printed.

        >>> Sequential(Dense(2, 3, activation="tanh"), Dense(3, 1)).summary(np.ones((4, 2)))
        layers.0  Dense 2 → 3, tanh  (4, 3)   9
        layers.1  Dense 3 → 1        (4, 1)   4
        total                                13
        """
        shapes = self.output_shapes(*inputs) if inputs else {}
        rows = [
            (path, str(module), str(shapes.get(path, "")), f"{count:,}")
            for path, module in self.named_modules()
            if (count := module.parameter_count(own=True))
        ]
        rows.append(("total", "", "", f"{self.parameter_count():,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for *texts, total in rows:
            print(*map(str.ljust, texts, widths), total.rjust(widths[-1]), sep="  ")

    def parameter_count(self, own: bool = False) -> int:
        """The number of numbers in the parameters; its `own` are those that no Module in it has."""
        inner = [m for path, m in self.named_modules() if path] if own else []
        others = {id(t) for module in inner for t in module.parameters()}
        return int(np.sum([t.size for t in self.parameters() if id(t) not in others], dtype=int))

    def __str__(self) -> str:
        return type(self).__name__

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
        """A copy of every tensor's data under its path."""
        return {name: t._array.copy() for name, t in self.named_tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Take over the values of a `state_dict`.

        Raises:
            ValueError: if a name is missing, unknown, or has another shape or no numbers; the
                model is then as it was.
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
            raise ValueError(f"no state of this {type(self).__name__}: {'; '.join(sorted(wrong))}")
        for name, tensor in own.items():
            tensor.data = new[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `state_dict` to exactly this path, in NumPy's .npz format.

        A file that is there is replaced only once the new one is complete.
        """
        import zipfile  # here: it would double the time that importing the package takes

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
        """Take over the values that `save` wrote; nothing in a file is ever executed.

        Raises:
            OSError: if the file cannot be opened.
            ValueError: if it is damaged, not written by `save`, or of another model; the model
                is then as it was.
        """
        import zipfile

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
        bias: whether there is a b.
        rng: a `numpy.random.Generator` or a seed, for the weights.
        dtype: float64 or float32.

    Attributes:
        W: (in_features, units), uniform within ±sqrt(6 / (in_features + units)) at first
            (Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
            neural networks", eq. 16).
        b: (units,), zeros at first; None without bias.

    Raises:
        ValueError: for sizes below 1 and an unknown name of an activation.

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
        for name, n in (("in_features", in_features), ("units", units)):
            if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
                raise ValueError(f"Dense: {name} is a whole number of at least 1, not {n!r}")
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                known = ", ".join(ACTIVATIONS)
                raise ValueError(f"Dense: no activation is named {activation!r}; there are {known}")
            activation = ACTIVATIONS[activation]
        elif activation is not None and not callable(activation):
            raise ValueError(f"Dense: activation is a function or a name, not {activation!r}")
        limit = np.sqrt(6 / (in_features + units))
        W = np.random.default_rng(rng).uniform(-limit, limit, (in_features, units))
        self.W = Tensor(W, requires_grad=True, dtype=dtype)
        self.b = Tensor(np.zeros(units), requires_grad=True, dtype=dtype) if bias else None
        self.activation = activation

    def forward(self, x: Any) -> Any:
        """(…, in_features) -> (…, units)."""
        try:
            z = matmul(x, self.W)
        except ValueError:
            raise ShapeError(
                f"{self!r} takes (..., {self.W.shape[0]}), one column a feature, but the input "
                f"is {np.shape(x)}"
            ) from None
        if self.b is not None:
            z = z + self.b
        return z if self.activation is None else self.activation(z)

    def __repr__(self) -> str:
        activation = getattr(self.activation, "__name__", self.activation)
        return f"Dense({self.W.shape[0]}, {self.W.shape[1]}, activation={activation})"

    def __str__(self) -> str:
        activation = getattr(self.activation, "__name__", self.activation)
        said = f", {activation}" if activation else ""
        return f"Dense {self.W.shape[0]} → {self.W.shape[1]}{said}"


class Sequential(Module):
    """Layers, each applied to the result of the one before.

    Args:
        layers: Modules and functions; or one list of them, as in Keras.

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

    def forward(self, x: Any) -> Any:
        """The result of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __repr__(self) -> str:
        names = [getattr(layer, "__name__", None) or repr(layer) for layer in self.layers]
        return f"Sequential({', '.join(names)})"


def __getattr__(name: str) -> Any:
    raise messages.missing_name("tinygrad_lr.nn", name)
