"""The true gradients: from the graph of the forward pass, or by finite differences."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr import ops
from tinygrad_lr.check.derivation.diagnosis import largest
from tinygrad_lr.check.derivation.forward import Forward, first_of
from tinygrad_lr.check.derivation.passes import Passes, names_of
from tinygrad_lr.check.derivation.watch import Path, name_of
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.tensor import Tensor, as_arrays, gradients, history, unbroadcast

MAX_NODES = 2000  # of a graph whose gradients are taken apart
MAX_ELEMENTS = 4000  # of all inputs, up to which finite differences are taken


@dataclass(frozen=True, eq=False)
class Part:
    """What one use of a value adds to its gradient, where it is used several times."""

    value: Tensor
    use: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the value."""
        return self.value.shape


class Truth:
    """The true gradients.

    Attributes:
        loss: what is differentiated; None where forward does not run on Tensors.
        of: the gradient of every value that the loss was computed from, or of the inputs alone.
        inputs: the arrays that the loss depends on, by name.
        paths: where each of them is.
        why: why nothing is known of the values between; empty where the pass runs on Tensors.
    """

    def __init__(
        self,
        loss: Tensor | None,
        of: dict[Tensor, Any],
        inputs: Mapping[Path, Tensor],
        why: str = "",
    ) -> None:
        names = names_of(inputs)
        self.loss, self.of, self.why = loss, of, why
        self.inputs = {names[path]: x for path, x in inputs.items()}
        self.paths = {name: path for path, name in names.items()}

    def parts(self) -> dict[Part, Any]:
        """What every use of the values that are used several times adds to their gradients."""
        nodes = [y for y in history(self.loss) if y in self.of] if self.loss is not None else []
        uses = Counter(x for y in nodes for x in y.inputs if isinstance(x, Tensor))
        parts = {}
        for y in nodes if len(nodes) <= MAX_NODES else ():
            for x, rule in zip(y.inputs, y.op.rules, strict=False):  # rules may be endless
                if isinstance(x, Tensor) and rule and uses[x] > 1 and x in self.of:
                    g = rule(self.of[y], *as_arrays(y), **y.params)
                    parts[Part(x, y)] = unbroadcast(g, x)
        return parts


class Unmarkable(ValueError):
    """A forward pass without a loss that can be differentiated."""


def differentiate(
    passes: Passes,
    forward: Forward,
    upstream: Any,
    is_data: Callable[[str, Any], bool],
) -> Truth:
    """The true gradients, from the graph if finite differences agree with it, else from those.

    Args:
        upstream: the gradient of an output that is no loss.
        is_data: whether an input is samples, whose gradient may be one that the graph lacks.
    """
    output, why, numeric = forward.output, "", Numeric(passes, forward, upstream)
    if output is not None and output.requires_grad:
        loss = output if upstream is None else ops.sum(output * upstream)
        of = gradients(loss)
        why, cut = _disagreement(numeric, forward, of, float(loss._array.item()))
        leaves = list(forward.leaves.items())
        samples = cut and all(is_data(name_of(leaves[i][0]), numeric.point[i]) for i in cut)
        if not why or (samples and sum(numeric.point[i].size for i in cut) <= MAX_ELEMENTS):
            of |= {leaves[i][1]: numeric.gradient(i) for i in cut}
            return Truth(loss, of, {path: x for path, x in leaves if x in of})
    return numeric.truth(why or _reason(forward))


class Numeric:
    """The loss as a function of the arrays that forward works on: forward as it is."""

    def __init__(self, passes: Passes, forward: Forward, upstream: Any) -> None:
        self.passes, self.forward, self.upstream = passes, forward, upstream
        self.point = [x._array for x in forward.leaves.values()]
        self.make: Callable[[Any], Any] = lambda x: x.copy() if x.ndim else float(x)
        try:
            self(self.point)
        except Exception:  # code that was written for Tensors, as W.data is
            self.make = lambda x: Tensor(x, requires_grad=True)

    def __call__(self, arrays: Iterable[Any]) -> float:
        """The loss; for an output that is none, its sum with the upstream gradient."""
        values = dict(zip(self.forward.leaves, arrays, strict=True))
        world = self.passes.with_leaves(
            lambda path, x: self.make(values[path]) if path in values else x
        )
        with warnings.catch_warnings(), np.errstate(all="ignore"), self.passes.inside(world):
            warnings.simplefilter("ignore")
            result = self.passes.bound(0, world)(**self.passes.arguments(world))
        first = first_of(result)
        value = np.asarray(first._array if isinstance(first, Tensor) else first, dtype=float)
        return float(value.item() if self.upstream is None else np.sum(value * self.upstream))

    def slope(self, way: list[Any], h: float) -> float:
        """The derivative along a direction, by central differences, extrapolated once."""

        def central(h: float) -> float:
            ahead, behind = (
                self([x + s * h * d for x, d in zip(self.point, way, strict=True)]) for s in (1, -1)
            )
            return (ahead - behind) / (2 * h)

        return (4 * central(h / 2) - central(h)) / 3

    def truth(self, why: str) -> Truth:
        """The gradients of the inputs by finite differences.

        Raises:
            Unmarkable: if there are too many elements.
        """
        if sum(x.size for x in self.point) > MAX_ELEMENTS:
            raise Unmarkable(
                f"{why}; and the inputs have more than {MAX_ELEMENTS:,} elements, too many for "
                f"finite differences: check with smaller arrays"
            )
        leaves = self.forward.leaves.items()
        of = {x: self.gradient(i) for i, (_, x) in enumerate(leaves)}
        return Truth(None, of, {path: x for path, x in leaves if largest(of[x]) > 1e-9}, why)

    def gradient(self, i: int) -> Any:
        """The gradient of the input with number i."""
        g = np.zeros(self.point[i].shape)
        for place in np.ndindex(g.shape):
            way = [np.zeros(x.shape) for x in self.point]
            way[i][place] = 1.0
            g[place] = self.slope(way, 1e-4 * max(1.0, abs(float(self.point[i][place]))))
        return g


def _disagreement(
    numeric: Numeric, forward: Forward, truth: Mapping[Tensor, Any], loss: float
) -> tuple[str, list[int]]:
    """Why the graph's gradients are not those of the function, and of which inputs they are not."""
    try:
        value = numeric(numeric.point)
    except Exception:  # what runs on Tensors alone is compared with nothing
        return "", []
    if not np.isclose(value, loss, rtol=1e-9, equal_nan=True):
        return f"forward computes {value:.6g} on arrays and {loss:.6g} on Tensors", []
    random, leaves = np.random.default_rng(0), list(forward.leaves.values())
    whole = [random.normal(size=x.shape) for x in numeric.point]
    ways = [[d * (i == k) for i, d in enumerate(whole)] for k in range(len(whole))]
    if len(ways) >= 12 and _agrees(numeric, leaves, truth, whole):
        return "", []
    cut = [i for i, way in enumerate(ways) if not _agrees(numeric, leaves, truth, way)]
    if not cut:
        return "", []
    cuts = [f"{reader} ({locate(origin)})" for _, reader, origin in forward.reads]
    through = f": none flows through {' or '.join(dict.fromkeys(cuts))}" if cuts else ""
    return f"the gradient is cut in forward{through}", cut


def _agrees(
    numeric: Numeric, leaves: list[Tensor], truth: Mapping[Tensor, Any], way: list[Any]
) -> bool:
    """Whether the slope along a direction is the graph's, or not smooth enough to tell."""
    terms = [np.sum(truth.get(x, 0) * d) for x, d in zip(leaves, way, strict=True)]
    slope = sum(terms)
    slopes = [numeric.slope(way, h) for h in (1e-4, 1e-5, 1e-6)]
    allowed = 1e-5 * max(map(abs, (*terms, *slopes))) + 1e-9
    smooth = max(slopes) - min(slopes) <= allowed
    return not smooth or min(abs(x - slope) for x in slopes) <= allowed


def _reason(forward: Forward) -> str:
    """Why a forward pass does not run on Tensors."""
    if forward.run.error:
        end = forward.run.end
        return f"line {end.line}, `{end.text}`, does not run on Tensors: {forward.run.error}"
    return "what forward returns is not computed by NumPy's functions from its inputs"
