# Made by `python -m docs.make` from the names and signatures of the package.

from collections.abc import Iterable
from typing import Any, overload

from numpy.typing import ArrayLike

from tinygrad_lr import losses as losses
from tinygrad_lr import nn as nn
from tinygrad_lr import ops as ops
from tinygrad_lr import optim as optim
from tinygrad_lr import tensor as tensor
from tinygrad_lr.check.anomaly import AnomalyError as AnomalyError
from tinygrad_lr.check.anomaly import detect_anomaly as detect_anomaly
from tinygrad_lr.check.derivation import check_backward as check_backward
from tinygrad_lr.check.derivation import grade as grade
from tinygrad_lr.check.gradcheck import GradcheckError as GradcheckError
from tinygrad_lr.check.gradcheck import gradcheck as gradcheck
from tinygrad_lr.compiled.step import compile as compile
from tinygrad_lr.drawing import draw as draw
from tinygrad_lr.explorer import explore as explore
from tinygrad_lr.explorer.film import Film as Film
from tinygrad_lr.functional import grad as grad
from tinygrad_lr.messages import GradientError as GradientError
from tinygrad_lr.messages import ShapeError as ShapeError
from tinygrad_lr.messages import TensorWarning as TensorWarning
from tinygrad_lr.program.recorder import RecordingError as RecordingError
from tinygrad_lr.program.to_numpy import to_numpy as to_numpy
from tinygrad_lr.recording import no_grad as no_grad
from tinygrad_lr.tensor import Tensor as Tensor
from tinygrad_lr.training import EarlyStopping as EarlyStopping
from tinygrad_lr.training import fit as fit
from tinygrad_lr.training import load as load
from tinygrad_lr.training import save as save
from tinygrad_lr.losses import Reduction
from tinygrad_lr.ops import Axis

__all__ = [
    "AnomalyError",
    "EarlyStopping",
    "Film",
    "GradcheckError",
    "GradientError",
    "RecordingError",
    "ShapeError",
    "Tensor",
    "TensorWarning",
    "abs",
    "add",
    "add_at",
    "astype",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "ceil",
    "check_backward",
    "clip",
    "compile",
    "concatenate",
    "copy",
    "cos",
    "cross_entropy",
    "cumsum",
    "detect_anomaly",
    "diagonal",
    "divide",
    "dot",
    "draw",
    "einsum",
    "exp",
    "expand_dims",
    "explore",
    "expm1",
    "fit",
    "flip",
    "floor",
    "gelu",
    "getitem",
    "grad",
    "gradcheck",
    "grade",
    "hstack",
    "huber_loss",
    "leaky_relu",
    "load",
    "log",
    "log1p",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "mse_loss",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "optim",
    "outer",
    "pad",
    "power",
    "prod",
    "ravel",
    "relu",
    "reshape",
    "round",
    "save",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "tensordot",
    "to_numpy",
    "trace",
    "transpose",
    "var",
    "vstack",
    "where",
]
__version__: str

@overload
def binary_cross_entropy(pred: ArrayLike, target: ArrayLike, reduction: Reduction = "mean", weight: ArrayLike | None = None) -> Any:
    """-(target * log(pred) + (1 - target) * log(1 - pred)) for probabilities."""
@overload
def binary_cross_entropy(pred: Tensor | ArrayLike, target: Tensor | ArrayLike, reduction: Reduction = "mean", weight: Tensor | ArrayLike | None = None) -> Tensor: ...

@overload
def binary_cross_entropy_with_logits(logits: ArrayLike, target: ArrayLike, reduction: Reduction = "mean", weight: Any | None = None, pos_weight: Any | None = None) -> Any:
    """`binary_cross_entropy(sigmoid(logits), target)`, exact where the sigmoid rounds to 0 or 1."""
@overload
def binary_cross_entropy_with_logits(logits: Tensor | ArrayLike, target: Tensor | ArrayLike, reduction: Reduction = "mean", weight: Any | None = None, pos_weight: Any | None = None) -> Tensor: ...

@overload
def cross_entropy(logits: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, reduction: Reduction = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0) -> Any:
    """-log(softmax(logits)) of the target class."""
@overload
def cross_entropy(logits: Tensor | ArrayLike, target: Tensor | ArrayLike, weight: Tensor | ArrayLike | None = None, reduction: Reduction = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0) -> Tensor: ...

@overload
def huber_loss(pred: ArrayLike, target: ArrayLike, reduction: Reduction = "mean", delta: float = 1.0) -> Any:
    """Half the squared difference up to delta, beyond it a line (Huber 1964)."""
@overload
def huber_loss(pred: Tensor | ArrayLike, target: Tensor | ArrayLike, reduction: Reduction = "mean", delta: float = 1.0) -> Tensor: ...

@overload
def mse_loss(pred: ArrayLike, target: ArrayLike, reduction: Reduction = "mean") -> Any:
    """Squared difference."""
@overload
def mse_loss(pred: Tensor | ArrayLike, target: Tensor | ArrayLike, reduction: Reduction = "mean") -> Tensor: ...

@overload
def add(a: ArrayLike, b: ArrayLike) -> Any:
    """a + b. As in NumPy."""
@overload
def add(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def subtract(a: ArrayLike, b: ArrayLike) -> Any:
    """a - b. As in NumPy."""
@overload
def subtract(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def multiply(a: ArrayLike, b: ArrayLike) -> Any:
    """a * b. As in NumPy."""
@overload
def multiply(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def divide(a: ArrayLike, b: ArrayLike) -> Any:
    """a / b. As in NumPy."""
@overload
def divide(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def power(a: ArrayLike, b: ArrayLike) -> Any:
    """a ** b. 0 ** 0 is 1, with derivative 0 in a and in b."""
@overload
def power(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def negative(x: ArrayLike) -> Any:
    """-x. As in NumPy."""
@overload
def negative(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def square(x: ArrayLike) -> Any:
    """square(x). As in NumPy."""
@overload
def square(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def sqrt(x: ArrayLike) -> Any:
    """sqrt(x). At 0 the derivative is inf."""
@overload
def sqrt(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def exp(x: ArrayLike) -> Any:
    """exp(x). As in NumPy."""
@overload
def exp(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def expm1(x: ArrayLike) -> Any:
    """expm1(x). As in NumPy."""
@overload
def expm1(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def log(x: ArrayLike) -> Any:
    """log(x). At 0 the value is -inf and the derivative inf."""
@overload
def log(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def log1p(x: ArrayLike) -> Any:
    """log1p(x). As in NumPy."""
@overload
def log1p(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def sin(x: ArrayLike) -> Any:
    """sin(x). As in NumPy."""
@overload
def sin(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def cos(x: ArrayLike) -> Any:
    """cos(x). As in NumPy."""
@overload
def cos(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def tanh(x: ArrayLike) -> Any:
    """tanh(x). As in NumPy."""
@overload
def tanh(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def sign(x: ArrayLike) -> Any:
    """sign(x). As in NumPy."""
@overload
def sign(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def floor(x: ArrayLike) -> Any:
    """floor(x). As in NumPy."""
@overload
def floor(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def ceil(x: ArrayLike) -> Any:
    """ceil(x). As in NumPy."""
@overload
def ceil(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def maximum(a: ArrayLike, b: ArrayLike) -> Any:
    """maximum(a, b). Where a and b tie, each gets half of the gradient."""
@overload
def maximum(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def minimum(a: ArrayLike, b: ArrayLike) -> Any:
    """minimum(a, b). Where a and b tie, each gets half of the gradient."""
@overload
def minimum(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def abs(x: ArrayLike) -> Any:
    """abs(x). Absolute value. At 0 the derivative is 0."""
@overload
def abs(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def where(condition: ArrayLike, a: ArrayLike, b: ArrayLike) -> Any:
    """where(condition, a, b). a where the condition holds, b elsewhere."""
@overload
def where(condition: Tensor | ArrayLike, a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def sum(x: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """sum(x, axis). As in NumPy."""
@overload
def sum(x: Tensor | ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...

@overload
def mean(x: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """mean(x, axis). As in NumPy."""
@overload
def mean(x: Tensor | ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...

@overload
def max(x: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """max(x, axis). The largest element. Elements that tie share the gradient equally."""
@overload
def max(x: Tensor | ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...

@overload
def min(x: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """min(x, axis). The smallest element. Elements that tie share the gradient equally."""
@overload
def min(x: Tensor | ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...

@overload
def matmul(a: ArrayLike, b: ArrayLike) -> Any:
    """a @ b. The matrix product of vectors, matrices or stacks of matrices, as `numpy.matmul`."""
@overload
def matmul(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def astype(x: ArrayLike, dtype: Any) -> Any:
    """astype(x, dtype). As in NumPy."""
@overload
def astype(x: Tensor | ArrayLike, dtype: Any) -> Tensor: ...

@overload
def copy(x: ArrayLike) -> Any:
    """copy(x). As in NumPy."""
@overload
def copy(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def reshape(x: ArrayLike, shape: int | tuple[int, ...]) -> Any:
    """reshape(x, shape). As in NumPy."""
@overload
def reshape(x: Tensor | ArrayLike, shape: int | tuple[int, ...]) -> Tensor: ...

@overload
def transpose(x: ArrayLike, axes: tuple[int, ...] | None = None) -> Any:
    """transpose(x, axes). As in NumPy."""
@overload
def transpose(x: Tensor | ArrayLike, axes: tuple[int, ...] | None = None) -> Tensor: ...

@overload
def broadcast_to(x: ArrayLike, shape: int | tuple[int, ...]) -> Any:
    """broadcast_to(x, shape). As in NumPy."""
@overload
def broadcast_to(x: Tensor | ArrayLike, shape: int | tuple[int, ...]) -> Tensor: ...

@overload
def expand_dims(x: ArrayLike, axis: int | tuple[int, ...]) -> Any:
    """The same elements with axes of length 1 put in at the places `axis` of the result."""
@overload
def expand_dims(x: Tensor | ArrayLike, axis: int | tuple[int, ...]) -> Tensor: ...

@overload
def getitem(x: ArrayLike, index: Any) -> Any:
    """x[index]. The elements that a NumPy index of any kind chooses; repeated ones add their gradients."""
@overload
def getitem(x: Tensor | ArrayLike, index: Any) -> Tensor: ...

@overload
def add_at(x: ArrayLike, index: Any, shape: tuple[int, ...]) -> Any:
    """add_at(x, index, shape). Zeros of a shape with x added at an index, as often as the index selects an element."""
@overload
def add_at(x: Tensor | ArrayLike, index: Any, shape: tuple[int, ...]) -> Tensor: ...

@overload
def sigmoid(x: ArrayLike) -> Any:
    """σ(x). The logistic function 1 / (1 + exp(-x)), in [0, 1], without overflow."""
@overload
def sigmoid(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def relu(x: ArrayLike) -> Any:
    """relu(x). max(0, x). At 0 the derivative is 0."""
@overload
def relu(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Any:
    """leaky_relu(x, negative_slope). x where it is positive, negative_slope * x elsewhere, with that derivative at 0 as well."""
@overload
def leaky_relu(x: Tensor | ArrayLike, negative_slope: float = 0.01) -> Tensor: ...

@overload
def silu(x: ArrayLike) -> Any:
    """x * sigmoid(x), also called swish (arXiv:1606.08415)."""
@overload
def silu(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def gelu(x: ArrayLike, approximate: str = "none") -> Any:
    """x times the share of a normal distribution below x, by a formula if approximate is "tanh"."""
@overload
def gelu(x: Tensor | ArrayLike, approximate: str = "none") -> Tensor: ...

@overload
def softplus(x: ArrayLike) -> Any:
    """softplus(x). log(1 + exp(x)), without overflow."""
@overload
def softplus(x: Tensor | ArrayLike) -> Tensor: ...

@overload
def softmax(x: ArrayLike, axis: Axis = -1) -> Any:
    """softmax(x, axis). exp(x) / sum(exp(x)) along an axis, without overflow."""
@overload
def softmax(x: Tensor | ArrayLike, axis: Axis = -1) -> Tensor: ...

@overload
def log_softmax(x: ArrayLike, axis: Axis = -1) -> Any:
    """log_softmax(x, axis). log(softmax(x)), exact where softmax itself rounds to 0 or 1."""
@overload
def log_softmax(x: Tensor | ArrayLike, axis: Axis = -1) -> Tensor: ...

@overload
def logsumexp(x: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """logsumexp(x, axis). log(sum(exp(x))), without overflow."""
@overload
def logsumexp(x: Tensor | ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...

@overload
def logaddexp(a: ArrayLike, b: ArrayLike) -> Any:
    """logaddexp(a, b). As in NumPy."""
@overload
def logaddexp(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def var(x: ArrayLike, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """The mean squared distance from the mean (over n - ddof, as NumPy)."""
@overload
def var(x: Tensor | ArrayLike, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Tensor: ...

@overload
def std(x: ArrayLike, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    """The square root of `var`. Where all elements are equal the derivative is nan."""
@overload
def std(x: Tensor | ArrayLike, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Tensor: ...

@overload
def prod(x: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The product, multiplied in pairs: the derivatives are exact beside zeros, too."""
@overload
def prod(x: Tensor | ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...

@overload
def round(x: ArrayLike, decimals: int = 0) -> Any:
    """round(x, decimals). x rounded to decimals, halves to even. The derivative is 0 everywhere."""
@overload
def round(x: Tensor | ArrayLike, decimals: int = 0) -> Tensor: ...

@overload
def clip(x: ArrayLike, a_min: ArrayLike | None = None, a_max: ArrayLike | None = None) -> Any:
    """clip(x, a_min, a_max). x limited to [a_min, a_max]. At the bounds the derivative is 1, beyond them 0."""
@overload
def clip(x: Tensor | ArrayLike, a_min: Tensor | ArrayLike | None = None, a_max: Tensor | ArrayLike | None = None) -> Tensor: ...

@overload
def cumsum(x: ArrayLike, axis: int | None = None) -> Any:
    """cumsum(x, axis). As in NumPy."""
@overload
def cumsum(x: Tensor | ArrayLike, axis: int | None = None) -> Tensor: ...

@overload
def dot(a: ArrayLike, b: ArrayLike) -> Any:
    """The product of scalars, vectors and matrices, as `numpy.dot`."""
@overload
def dot(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def outer(a: ArrayLike, b: ArrayLike) -> Any:
    """The (m, n) products of the m elements of a with the n elements of b."""
@overload
def outer(a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...

@overload
def tensordot(a: ArrayLike, b: ArrayLike, axes: Any = 2) -> Any:
    """Sum of products over the last axes of a and the first of b, or over (axes_a, axes_b)."""
@overload
def tensordot(a: Tensor | ArrayLike, b: Tensor | ArrayLike, axes: Any = 2) -> Tensor: ...

@overload
def einsum(subscripts: str, *operands: ArrayLike) -> Any:
    """Sum of products in Einstein's notation, with an explicit output."""
@overload
def einsum(subscripts: str, *operands: Tensor | ArrayLike) -> Tensor: ...

@overload
def flip(x: ArrayLike, axis: Axis = None) -> Any:
    """flip(x, axis). As in NumPy."""
@overload
def flip(x: Tensor | ArrayLike, axis: Axis = None) -> Tensor: ...

@overload
def ravel(x: ArrayLike, order: str = "C") -> Any:
    """All elements in one row, the last axis fastest. Raises ValueError for another order."""
@overload
def ravel(x: Tensor | ArrayLike, order: str = "C") -> Tensor: ...

@overload
def moveaxis(x: ArrayLike, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Any:
    """The same elements with axes moved to new places; the others keep their order."""
@overload
def moveaxis(x: Tensor | ArrayLike, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor: ...

@overload
def swapaxes(x: ArrayLike, axis1: int, axis2: int) -> Any:
    """The same elements with two axes exchanged."""
@overload
def swapaxes(x: Tensor | ArrayLike, axis1: int, axis2: int) -> Tensor: ...

@overload
def squeeze(x: ArrayLike, axis: Axis = None) -> Any:
    """The same elements without the axes of length 1, all or those given."""
@overload
def squeeze(x: Tensor | ArrayLike, axis: Axis = None) -> Tensor: ...

@overload
def concatenate(arrays: Iterable[ArrayLike], axis: int | None = 0) -> Any:
    """Arrays one after the other along an axis (None: all elements in one row)."""
@overload
def concatenate(arrays: Iterable[Tensor | ArrayLike], axis: int | None = 0) -> Tensor: ...

@overload
def stack(arrays: Iterable[ArrayLike], axis: int = 0) -> Any:
    """Arrays of equal shape one after the other along a new axis."""
@overload
def stack(arrays: Iterable[Tensor | ArrayLike], axis: int = 0) -> Tensor: ...

@overload
def vstack(arrays: Iterable[ArrayLike]) -> Any:
    """Arrays below each other; a vector is one row."""
@overload
def vstack(arrays: Iterable[Tensor | ArrayLike]) -> Tensor: ...

@overload
def hstack(arrays: Iterable[ArrayLike]) -> Any:
    """Arrays beside each other: along the columns, or one vector after the other."""
@overload
def hstack(arrays: Iterable[Tensor | ArrayLike]) -> Tensor: ...

@overload
def pad(x: ArrayLike, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    """pad(x, pad_width). x with a border of constants. Raises ValueError for NumPy's other modes."""
@overload
def pad(x: Tensor | ArrayLike, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Tensor: ...

@overload
def diagonal(x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements whose indices on two axes differ by `offset`, along a new last axis."""
@overload
def diagonal(x: Tensor | ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...

@overload
def trace(x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal."""
@overload
def trace(x: Tensor | ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
