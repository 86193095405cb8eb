"""Models and layers: objects that hold their parameters.

Module      A model or a part of one; models are subclasses.
Dense       A fully connected layer: activation(x @ W + b).
Sequential  Layers, each applied to the result of the one before.
Embedding   A row of a matrix for each integer.
LayerNorm   The last axes with mean 0 and variance 1.
BatchNorm   Each feature with mean 0 and variance 1 over the batch.
Dropout     Some elements are 0 in training.
Flatten     Each sample in one row.
Buffer      A Tensor that is saved with a Module, but not trained.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    get_args,
)

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages, ops
from tinygrad_lr.array.convert import FLOATS
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.functions import activations
from tinygrad_lr.messages import ShapeError
from tinygrad_lr.messages.arguments import Explained
from tinygrad_lr.recording import current, no_grad
from tinygrad_lr.state import fit_arrays, read, write
from tinygrad_lr.tensor import Tensor

__all__ = [
    "BatchNorm", "Buffer", "Dense", "Dropout", "Embedding", "Flatten", "LayerNorm", "Module",
    "Sequential",
]  # fmt: skip
Layer = Callable[[Any], Any]
Rng: TypeAlias = "np.random.Generator | int | None"  # not loaded before it is used
Dtype = npt.DTypeLike
P = ParamSpec("P")
R = TypeVar("R", covariant=True)
Activation = Literal[
    "tanh", "sigmoid", "relu", "softplus", "softmax", "log_softmax", "leaky_relu", "gelu", "silu"
]
Initializer = Literal["glorot_uniform", "he_normal", "zeros"]
ACTIVATIONS = {name: getattr(activations, name) for name in get_args(Activation)}
INITIALIZERS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Any]] = {
    "glorot_uniform": lambda rng, shape: rng.uniform(-(a := np.sqrt(6 / sum(shape))), a, shape),
    "he_normal": lambda rng, shape: rng.normal(0, np.sqrt(2 / shape[0]), shape),
    "zeros": lambda rng, shape: np.zeros(shape),
}
WATCHED: list[dict[int, tuple[int, ...]]] = []  # shapes of results, by the Module's id
ASKED: list[dict[Module, None]] = []  # the Modules that were asked for their mode
_mode: ContextVar[bool | None] = ContextVar("mode", default=None)  # of all Modules, if any


class Buffer(Tensor):
    """A Tensor of a Module that is saved with it but is no parameter, such as a running mean."""

    __slots__ = ()

    def __init__(self, data: Any, dtype: npt.DTypeLike | None = None) -> None:
        super().__init__(data, dtype=dtype)


class _Forward(Protocol[P, R]):
    """A Module, as type checkers see it: a call takes and returns what its forward does."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class Module(Explained):
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

    _training = True

    def __call__(self: _Forward[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        result = self.forward(*args, **kwargs)
        for shapes in WATCHED:
            shapes[id(self)] = np.shape(unwrap(result))
        return result

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

    @property
    def training(self) -> bool:
        """Whether Dropout and BatchNorm work as in training."""
        for modules in ASKED:
            modules[self] = None
        mode = _mode.get()
        return self._training if mode is None else mode

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = mode

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
            with mode(training=False), no_grad():
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

    @reprlib.recursive_repr()
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
        """A copy of every tensor's data, Buffers included, by its path."""
        return {name: t._array.copy() for name, t in self.named_tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Set all tensors to the values of a `state_dict`.

        Raises:
            ValueError: if a name is missing or unknown, or a value has the wrong shape or another
                kind of numbers; float64 becomes float32. The model is then unchanged.
        """
        own = self.named_tensors()
        new = fit_arrays(type(self).__name__, {name: t._array for name, t in own.items()}, state)
        for name, tensor in own.items():
            tensor.data = new[name]

    def train(self, mode: bool = True) -> Self:
        """Let Dropout and BatchNorm work as in training, the default."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Let Dropout and BatchNorm work as for predictions: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train its tensors of floats from now on, or no more; Buffers are never trained."""
        for tensor in self.named_tensors().values():
            if tensor.dtype in FLOATS and not isinstance(tensor, Buffer):
                tensor.requires_grad = requires_grad
        return self

    def predict(self, *inputs: Any, batch_size: int | None = None) -> Any:
        """The result as an array, or a tuple of arrays, as after `eval()`, without gradients.

        Args:
            inputs: samples in rows.
            batch_size: how many rows at a time; default all of them.
        """
        m = len(inputs[0])
        n = m or 1 if batch_size is None else batch_size
        messages.check_count("batch_size", n)
        with mode(training=False), no_grad():
            parts = [self(*(x[i : i + n] for x in inputs)) for i in range(0, m or 1, n)]
        if isinstance(parts[0], tuple):
            return tuple(np.concatenate(list(map(unwrap, x))) for x in zip(*parts, strict=True))
        return np.concatenate(list(map(unwrap, parts)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `state_dict` to exactly this path, in NumPy's .npz format."""
        write(path, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Set all tensors to the values that `save` wrote; nothing in the file is executed.

        Raises:
            OSError, ValueError: if it cannot be opened, is damaged, or holds another model's state.
        """
        self.load_state_dict(read(path))


@contextmanager
def mode(training: bool | None) -> Iterator[None]:
    """Let all Modules work as in training, or not, in this thread or task; None changes nothing."""
    token = _mode.set(training)
    try:
        yield
    finally:
        _mode.reset(token)


def _in_dtype_of(x: Any, parameter: Tensor) -> Any:
    """The input of a layer, in float32 if that is the layer's dtype, as in Keras."""
    x = x if isinstance(x, Tensor) else np.asarray(x)
    single = parameter.dtype == np.float32 != x.dtype
    return ops.astype(x, np.float32) if single else x


class Dense(Module):
    """A fully connected layer: activation(x @ W + b).

    Args:
        in_features: the number of columns of x.
        units: the number of columns of the result.
        activation: a function, or "sigmoid", "tanh", "relu", "softplus", "softmax",
            "log_softmax", "leaky_relu", "gelu", "silu"; default none.
        bias: whether to add b.
        rng: a `numpy.random.Generator` or a seed, for the weights. Layers of one shape with the
            same seed start equal: give all layers of a model one Generator.
        dtype: float64 or float32, which float64 inputs are rounded to.
        init: a function of (generator, shape) that gives W, or "glorot_uniform", "he_normal"
            (variance 2 / in_features; He et al. 2015, arXiv:1502.01852), "zeros".

    Attributes:
        W: (in_features, units), initially uniform within ±sqrt(6 / (in_features + units))
            (Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
            neural networks", eq. 16).
        b: (units,), initially 0; None without bias.

    Raises:
        ValueError: if a size is below 1, a name is unknown, or init gives another shape.

    >>> Dense(3, 2, activation="tanh", rng=0)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        units: int,
        activation: Layer | Activation | None = None,
        bias: bool = True,
        rng: Rng = None,
        dtype: npt.DTypeLike = np.float64,
        init: Initializer | Callable[..., Any] = "glorot_uniform",
    ) -> None:
        messages.check_count("Dense: in_features", in_features)
        messages.check_count("Dense: units", units)
        shape = in_features, units
        W = _choose("init", init, INITIALIZERS)(np.random.default_rng(rng), shape)
        if np.shape(W) != shape:
            raise ValueError(f"Dense: init gives the shape {np.shape(W)}, and W has {shape}")
        self.W = Tensor(W, requires_grad=True, dtype=dtype)
        self.b = Tensor(np.zeros(units), requires_grad=True, dtype=dtype) if bias else None
        self.activation: Layer | None = None
        if activation is not None:
            self.activation = _choose("activation", activation, ACTIVATIONS)

    def forward(self, x: Any) -> Tensor:
        """(…, in_features) -> (…, units)."""
        try:
            z: Tensor = ops.matmul(_in_dtype_of(x, self.W), self.W)
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
            if not callable(layer) or isinstance(layer, type):
                raise TypeError(f"Sequential: a layer is a Module or a function, not {layer!r}")
        self.layers = list(layers)

    def __getitem__(self, i: int | slice) -> Any:
        return Sequential(self.layers[i]) if isinstance(i, slice) else self.layers[i]

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


class Dropout(Module):
    """In training each element is 0 with probability p, else divided by 1 - p.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    After `eval()` nothing changes. The Buffer draws holds a seed, drawn from rng, and a count.

    >>> Dropout(0.5, rng=0)(np.ones(6)).tolist()
    [0.0, 2.0, 0.0, 2.0, 0.0, 2.0]
    """

    def __init__(self, p: float = 0.5, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is in [0, 1], not {p!r}")
        self.p, self.draws = p, Buffer([np.random.default_rng(rng).integers(2**63), 0])

    def __str__(self) -> str:
        return f"Dropout {self.p}"

    def __repr__(self) -> str:
        return f"Dropout({self.p})"

    def forward(self, x: Any) -> Tensor:
        """Any shape."""
        value: Tensor = x if isinstance(x, Tensor) else Tensor(x)
        if not self.training or self.p == 0:
            return value
        shape = current().read(value, "Dropout").shape
        kept = np.random.default_rng(self.draws._array).random(shape) >= self.p
        self.draws.data = self.draws._array + [0, 1]
        dtype = value.dtype if value.dtype in FLOATS else None
        return value * Tensor(kept / (1 - self.p or 1), dtype=dtype)


@ops.operation("W[ids]", lambda g, y, W, ids: ops.add_at(g, ids, W.shape), None)
def _lookup(W: Any, ids: Any) -> Any:
    """The rows of W with these numbers."""
    return W[ids]


class Embedding(Module):
    """A row of W, (num_embeddings, embedding_dim), initially standard normal, for each integer.

    >>> Embedding(10, 3, rng=0)(np.array([[4, 1], [4, 4]])).shape
    (2, 2, 3)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, rng: Rng = None, dtype: Dtype = np.float64
    ) -> None:
        messages.check_count("Embedding: num_embeddings", num_embeddings)
        messages.check_count("Embedding: embedding_dim", embedding_dim)
        W = np.random.default_rng(rng).normal(size=(num_embeddings, embedding_dim))
        self.W = Tensor(W, requires_grad=True, dtype=dtype)

    def __repr__(self) -> str:
        return f"Embedding({self.W.shape[0]}, {self.W.shape[1]})"

    def forward(self, x: Any) -> Tensor:
        """(...) of integers in [0, num_embeddings) -> (..., embedding_dim); else an IndexError."""
        ids, n = np.asarray(unwrap(x)), len(self.W)
        low, high = ids.min(initial=0), ids.max(initial=0)
        if ids.dtype.kind not in "iu" or low < 0 or high >= n:
            what = f"{ids.dtype} from {low} to {high}"
            raise IndexError(f"Embedding takes integers from 0 to {n - 1}, not {what}")
        rows: Tensor = _lookup(self.W, x if isinstance(x, Tensor) else ids)
        return rows


class _Norm(Module):
    def __init__(self, shape: Any, eps: float, dtype: Dtype) -> None:
        messages.check_rate(f"{type(self).__name__}: eps", eps)
        self.gamma = Tensor(np.ones(shape), requires_grad=True, dtype=dtype)
        self.beta = Tensor(np.zeros(shape), requires_grad=True, dtype=dtype)
        self.eps, self.shape = eps, self.gamma.shape

    def _check(self, x: Any, own: tuple[int, ...], expected: str) -> Any:
        if own != self.shape:
            raise ShapeError(f"{self!r} takes {expected}, but the input is {np.shape(x)}")
        return _in_dtype_of(x, self.gamma)

    def __str__(self) -> str:
        return f"{type(self).__name__} {', '.join(map(str, self.shape))}"

    def __repr__(self) -> str:
        shape = self.shape[0] if len(self.shape) == 1 else self.shape
        return f"{type(self).__name__}({shape})"


class LayerNorm(_Norm):
    """gamma * (x - mean) / sqrt(variance + eps) + beta over the last axes (arXiv:1607.06450).

    gamma, initially 1, and beta, 0, have the shape normalized_shape: PyTorch's weight and bias.

    >>> LayerNorm(3)(np.array([[1.0, 2.0, 3.0]])).data.round(3).tolist()
    [[-1.225, 0.0, 1.225]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, dtype: Dtype = np.float64
    ) -> None:
        super().__init__(normalized_shape, eps, dtype)
        if not self.shape:
            raise ValueError("LayerNorm: normalized_shape has at least one axis")

    def forward(self, x: Any) -> Tensor:
        """(..., *normalized_shape) -> the same shape."""
        axes = tuple(range(-len(self.shape), 0))
        x = self._check(x, np.shape(x)[axes[0] :], f"(..., {', '.join(map(str, self.shape))})")
        x = x - ops.mean(x, axes, keepdims=True)
        std = ops.sqrt(ops.mean(ops.square(x), axes, keepdims=True) + self.eps)
        normalized: Tensor = x / std * self.gamma + self.beta
        return normalized


class BatchNorm(_Norm):
    """gamma * (x - mean) / sqrt(variance + eps) + beta for each feature, along axis 1.

    Ioffe & Szegedy 2015, arXiv:1502.03167; PyTorch's BatchNorm1d, 2d and 3d. In training mean and
    variance are those of the batch, and momentum is their share in the Buffers running_mean and
    running_var (unbiased), which are taken after `eval()`. track_running_stats=False keeps none.
    gamma, initially 1, and beta, 0, are (num_features,): PyTorch's weight and bias.

    >>> BatchNorm(2)(np.array([[1.0, 0.0], [3.0, 8.0]])).data.round(3).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        track_running_stats: bool = True,
        dtype: Dtype = np.float64,
    ) -> None:
        messages.check_count("BatchNorm: num_features", num_features)
        messages.check_rate("BatchNorm: momentum", momentum, at_most=1)
        super().__init__(num_features, eps, dtype)
        self.momentum, track = momentum, track_running_stats
        self.running_mean: Any = Buffer(np.zeros(num_features), dtype=dtype) if track else None
        self.running_var: Any = Buffer(np.ones(num_features), dtype=dtype) if track else None

    def forward(self, x: Any) -> Tensor:
        """(m, num_features, ...) -> the same; ValueError for one number per feature in training."""
        x = self._check(x, np.shape(x)[1:2], f"(m, {self.shape[0]}, ...)")
        row, axes = (*self.shape, *[1] * (x.ndim - 2)), (0, *range(2, x.ndim))
        center, variance = self.running_mean, self.running_var
        if self.training or center is None:
            n = ops.count_reduced(unwrap(x), axes)
            if n < 2 and self.training:
                raise ValueError(f"{self!r}: training takes more than one number per feature")
            center = ops.mean(x, axes)
            variance = ops.mean(ops.square(x - center.reshape(row)), axes)
            if self.running_mean is not None:
                self._track(x, center, variance, n)
        std = ops.sqrt(variance.reshape(row) + self.eps)
        normalized: Tensor = (x - center.reshape(row)) / std * self.gamma.reshape(row)
        return normalized + self.beta.reshape(row)

    def _track(self, x: Any, center: Any, variance: Any, n: int) -> None:
        current().read(x if isinstance(x, Tensor) else Tensor(x), "BatchNorm")
        for kept, new in ((self.running_mean, center), (self.running_var, variance * n / (n - 1))):
            kept.data = (1 - self.momentum) * kept._array + self.momentum * unwrap(new)


class Flatten(Module):
    """Each sample in one row: (m, ...) -> (m, n)."""

    def forward(self, x: Any) -> Tensor:
        """(m, ...) -> (m, n)."""
        m, *rest = np.shape(x)
        rows: Tensor = ops.reshape(x, (m, math.prod(rest)))
        return rows


def _choose(what: str, choice: Any, table: Mapping[str, Any]) -> Any:
    """A function, or the one of a name in a table."""
    if not (callable(choice) or (isinstance(choice, str) and choice in table)):
        raise ValueError(
            f"Dense: {what} is a function, or the name of one ({', '.join(table)}), not {choice!r}"
        )
    return choice if callable(choice) else table[choice]


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)


if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> Any:
        raise messages.missing_name("tinygrad_lr.nn", name)


def __dir__() -> list[str]:
    return __all__
