"""Models and layers: objects that hold their parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages, ops
from tinygrad_lr.array.convert import FLOATS
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.functions import activations
from tinygrad_lr.messages import ShapeError
from tinygrad_lr.messages.arguments import Explained
from tinygrad_lr.recording import current, no_grad
from tinygrad_lr.state import fitted, read, write
from tinygrad_lr.tensor import Tensor

Layer = Callable[[Any], Any]
Rng = np.random.Generator | int | None
Dtype = npt.DTypeLike
NAMES = "sigmoid", "relu", "softplus", "softmax", "log_softmax", "leaky_relu", "gelu", "silu"
ACTIVATIONS = {"tanh": ops.tanh} | {name: getattr(activations, name) for name in NAMES}
INITIALIZERS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Any]] = {
    "glorot_uniform": lambda rng, shape: rng.uniform(
        -np.sqrt(6 / sum(shape)), np.sqrt(6 / sum(shape)), shape
    ),
    "he_normal": lambda rng, shape: rng.normal(0, np.sqrt(2 / shape[0]), shape),
    "zeros": lambda rng, shape: np.zeros(shape),
}
WATCHED: list[dict[int, tuple[int, ...]]] = []  # shapes of results, by the Module's id


class Buffer(Tensor):
    """A Tensor of a Module that is saved with it but never trained, as a running mean."""

    __slots__ = ()


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

    training = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.forward(*args, **kwargs)
        for shapes in WATCHED:
            shapes[id(self)] = np.shape(result)
        return result

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
            with mode_of(self, False), no_grad():
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
        """The number of scalar parameters; own=True leaves out those of the Modules in it."""
        inner = [module for path, module in self.named_modules() if path] if own else []
        others = {id(t) for module in inner for t in module.parameters()}
        return sum(int(t.size) for t in self.parameters() if id(t) not in others)

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
        """A copy of every tensor's data, Buffers included, by its path."""
        return {name: t._array.copy() for name, t in self.named_tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Set all tensors to the values of a `state_dict`.

        Raises:
            ValueError: if a name is missing or unknown, or a value has the wrong shape or dtype.
                The model is then unchanged.
        """
        own = self.named_tensors()
        new = fitted(type(self).__name__, {name: t._array for name, t in own.items()}, state)
        for name, tensor in own.items():
            tensor.data = new[name]

    def train(self, mode: bool = True) -> Self:
        """Let Dropout and BatchNorm in it work as in training, which is how they start."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Let Dropout and BatchNorm in it work as for predictions: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train its tensors of floats from now on, or no more; Buffers are never trained."""
        for tensor in self.named_tensors().values():
            if tensor.dtype in FLOATS and not isinstance(tensor, Buffer):
                tensor.requires_grad = requires_grad
        return self

    def predict(self, *inputs: Any, batch_size: int | None = None) -> Any:
        """The result for samples in rows as an array, as after `eval()`, so many rows at a time."""
        n = batch_size or len(inputs[0]) or 1
        starts = range(0, max(len(inputs[0]), 1), n)
        with mode_of(self, training=False), no_grad():
            return np.concatenate([unwrap(self(*(x[i : i + n] for x in inputs))) for i in starts])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `state_dict` to exactly this path, in NumPy's .npz format.

        An existing file is replaced only once the new one is complete.
        """
        write(path, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Set all tensors to the values that `save` wrote; nothing in the file is executed.

        Raises:
            OSError: if the file cannot be opened.
            ValueError: if it is damaged, was not written by `save`, or holds another model's
                state. The model is then unchanged.
        """
        self.load_state_dict(read(path))


@contextmanager
def mode_of(model: Any, training: bool) -> Iterator[None]:
    """Let a model work as in training, or not, and every Module in it as before afterwards."""
    modules = [m for _, m in model.named_modules()] if isinstance(model, Module) else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = training
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


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
        rng: a `numpy.random.Generator` or a seed, for the weights. Layers of the same shape with
            the same seed start equal: give all layers of a model one Generator.
        dtype: float64 or float32; float64 data are rounded to float32 for a layer of that.
        init: how W starts. "glorot_uniform" within ±ops.sqrt(6 / (in_features + units)) (Glorot &
            Bengio 2010, "Understanding the difficulty of training deep feedforward neural
            networks", eq. 16); "he_normal" with the variance 2 / in_features (He et al. 2015,
            arXiv:1502.01852), for relu; "zeros"; or a function of (generator, shape).

    Attributes:
        W: (in_features, units).
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
        activation: Layer | str | None = None,
        bias: bool = True,
        rng: Rng = None,
        dtype: npt.DTypeLike = np.float64,
        init: str | Callable[[np.random.Generator, tuple[int, int]], Any] = "glorot_uniform",
    ) -> None:
        messages.check_count("Dense: in_features", in_features)
        messages.check_count("Dense: units", units)
        shape = in_features, units
        W = _chosen("init", init, INITIALIZERS)(np.random.default_rng(rng), shape)
        if np.shape(W) != shape:
            raise ValueError(f"Dense: init gives the shape {np.shape(W)}, and W has {shape}")
        self.W = Tensor(W, requires_grad=True, dtype=dtype)
        self.b = Tensor(np.zeros(units), requires_grad=True, dtype=dtype) if bias else None
        self.activation: Layer | None = None
        if activation is not None:
            self.activation = _chosen("activation", activation, ACTIVATIONS)

    def forward(self, x: Any) -> Any:
        """(…, in_features) -> (…, units)."""
        try:
            z = ops.matmul(_in_dtype_of(x, self.W), self.W)
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

    def forward(self, x: Any) -> Any:
        """The result of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(_name, self.layers))})"


class Dropout(Module):
    """In training, each element is 0 with probability p and else divided by 1 - p.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    Args:
        p: in [0, 1].
        rng: a `numpy.random.Generator` or a seed; layers with the same seed draw the same.

    Attributes:
        draws: a Buffer, the seed and the number of masks so far, from which the next one is made.

    >>> Dropout(0.5, rng=0)(np.ones(6)).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0, 0.0]
    """

    def __init__(self, p: float = 0.5, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is in [0, 1], not {p!r}")
        self.p, self.draws = p, Buffer([np.random.default_rng(rng).integers(2**63), 0])

    def forward(self, x: Any) -> Any:
        """Any shape."""
        if not self.training or self.p == 0:
            return x
        x = x if isinstance(x, Tensor) else Tensor(x)
        shape = current().read(x, "Dropout").shape
        kept = np.random.default_rng(self.draws._array).random(shape) >= self.p
        self.draws.data = self.draws._array + [0, 1]
        return x * Tensor(kept / (1 - self.p or 1), dtype=x.dtype if x.dtype in FLOATS else None)

    def __str__(self) -> str:
        return f"Dropout {self.p:g}"


class Embedding(Module):
    """A row of W for every whole number in the input.

    Args:
        num_embeddings, embedding_dim: the shape of W.
        rng: a `numpy.random.Generator` or a seed.
        dtype: float64 or float32.

    Attributes:
        W: (num_embeddings, embedding_dim), initially standard normal.

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

    def forward(self, x: Any) -> Any:
        """(...) of integers from 0 to num_embeddings - 1 -> (..., embedding_dim).

        Raises:
            TypeError: if they are not integers.
            IndexError: if one is out of range.
        """
        ids = np.asarray(unwrap(x))
        if ids.dtype.kind not in "iu":
            raise TypeError(f"Embedding takes integers, not {ids.dtype}")
        if ids.size and not 0 <= ids.min() <= ids.max() < len(self.W):
            raise IndexError(
                f"Embedding has the rows 0 to {len(self.W) - 1}; there are numbers from "
                f"{ids.min()} to {ids.max()}"
            )
        return ops.getitem(self.W, x if isinstance(x, Tensor) else ids)

    def __str__(self) -> str:
        return f"Embedding {self.W.shape[0]} → {self.W.shape[1]}"


class LayerNorm(Module):
    """Each sample shifted and scaled to mean 0 and variance 1, then gamma * x + beta.

    Ba et al. 2016, arXiv:1607.06450.

    Args:
        normalized_shape: the lengths of the last axes, over which the mean is taken.
        eps: added to the variance.
        dtype: float64 or float32.

    Attributes:
        gamma, beta: of that shape, initially 1 and 0; PyTorch's weight and bias.

    >>> LayerNorm(3)(np.array([[1.0, 2.0, 3.0]])).data.round(3).tolist()
    [[-1.225, 0.0, 1.225]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, dtype: Dtype = np.float64
    ) -> None:
        self.eps = eps
        self.gamma = Tensor(np.ones(normalized_shape), requires_grad=True, dtype=dtype)
        self.beta = Tensor(np.zeros(normalized_shape), requires_grad=True, dtype=dtype)

    def forward(self, x: Any) -> Any:
        """(..., *normalized_shape) -> the same shape."""
        shape = self.gamma._array.shape
        if np.shape(x)[-len(shape) :] != shape:
            raise ShapeError(f"{self} takes (..., {str(shape)[1:]}, but the input is {np.shape(x)}")
        axes = tuple(range(-len(shape), 0))
        x = _in_dtype_of(x, self.gamma)
        centered = x - ops.mean(x, axes, keepdims=True)
        std = ops.sqrt(ops.mean(ops.square(centered), axes, keepdims=True) + self.eps)
        return centered / std * self.gamma + self.beta

    def __str__(self) -> str:
        return f"LayerNorm {', '.join(map(str, self.gamma._array.shape))}"


class BatchNorm(Module):
    """Each feature shifted and scaled to mean 0 and variance 1, then gamma * x + beta.

    Ioffe & Szegedy 2015, arXiv:1502.03167; PyTorch's BatchNorm1d, 2d and 3d. In training, mean and
    variance are those of the batch, over all axes but the second, and running ones are kept; after
    `model.eval()` these are taken. A step that is recorded, as by `compile`, cannot change them.

    Args:
        num_features: the length of the second axis.
        eps: added to the variance.
        momentum: the share of a batch in the running mean and the (unbiased) variance.
        track_running_stats: False takes those of the batch after `model.eval()` as well.
        dtype: float64 or float32.

    Attributes:
        gamma, beta: (num_features,), initially 1 and 0; PyTorch's weight and bias.
        running_mean, running_var: Buffers, initially 0 and 1; None if they are not tracked.

    >>> BatchNorm(2)(np.array([[1.0, 0.0], [3.0, 8.0]])).data.round(3).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        track_running_stats: bool = True,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        messages.check_count("BatchNorm: num_features", num_features)
        ones, zeros = np.ones(num_features), np.zeros(num_features)
        self.eps, self.momentum = eps, momentum
        self.gamma = Tensor(ones, requires_grad=True, dtype=dtype)
        self.beta = Tensor(zeros, requires_grad=True, dtype=dtype)
        self.running_mean: Any = Buffer(zeros, dtype=dtype) if track_running_stats else None
        self.running_var: Any = Buffer(ones, dtype=dtype) if track_running_stats else None

    def forward(self, x: Any) -> Any:
        """(m, num_features, ...) -> the same shape.

        Raises:
            ValueError: for one value per feature in training, whose variance is unknown.
        """
        n = len(self.gamma)
        if np.shape(x)[1:2] != (n,):
            raise ShapeError(f"{self} takes (m, {n}, ...), but the input is {np.shape(x)}")
        x = _in_dtype_of(x, self.gamma)
        row = (n, *[1] * (x.ndim - 2))
        center, variance = self.running_mean, self.running_var
        if self.training or center is None:
            axes = (0, *range(2, x.ndim))
            center = ops.mean(x, axes)
            variance = ops.mean(ops.square(x - ops.reshape(center, row)), axes)
            if self.running_mean is not None:
                self._track(x, center, variance, ops.count_reduced(unwrap(x), axes))
        std = ops.sqrt(ops.reshape(variance, row) + self.eps)
        centered = x - ops.reshape(center, row)
        return centered / std * ops.reshape(self.gamma, row) + ops.reshape(self.beta, row)

    def _track(self, x: Any, center: Any, variance: Any, n: int) -> None:
        """Count a batch of n values per feature."""
        if isinstance(x, Tensor):
            current().read(x, "BatchNorm")
        if n < 2:
            raise ValueError(f"{self}: training takes more than one value per feature")
        for kept, new in (
            (self.running_mean, center),
            (self.running_var, variance * (n / (n - 1))),
        ):
            assert kept is not None
            kept.data = (1 - self.momentum) * kept._array + self.momentum * unwrap(new)

    def __str__(self) -> str:
        return f"BatchNorm {len(self.gamma)}"


class Flatten(Module):
    """Each sample in one row: (m, ...) -> (m, n).

    >>> Flatten()(np.ones((5, 2, 3))).shape
    (5, 6)
    """

    def forward(self, x: Any) -> Any:
        """(m, ...) -> (m, n)."""
        m, *rest = x.shape
        return ops.reshape(x, (m, math.prod(rest)))


def _chosen(what: str, choice: Any, table: Mapping[str, Any]) -> Any:
    """A function, or the one of a name in a table."""
    if callable(choice):
        return choice
    if choice in table:
        return table[choice]
    if isinstance(choice, str):
        raise ValueError(f"Dense: no {what} is named {choice!r}; there are {', '.join(table)}")
    raise ValueError(f"Dense: {what} is a function or a name, not {choice!r}")


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)


def __getattr__(name: str) -> Any:
    raise messages.missing_name("tinygrad_lr.nn", name)
