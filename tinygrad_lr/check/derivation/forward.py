"""Run the forward pass on Tensors: the loss, its true gradients, and what the learner calls them."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr import ops
from tinygrad_lr.check.derivation.passes import Passes, World, names_of
from tinygrad_lr.check.derivation.watch import (
    Change,
    Path,
    Run,
    Scope,
    Statement,
    Watcher,
    name_of,
    run,
    statements,
)
from tinygrad_lr.check.derivation.writable import WritableRecorder, make_writable
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.recording import current, recording
from tinygrad_lr.tensor import Tensor, gradients

MAX_ELEMENTS = 4000  # of all inputs, up to which finite differences are taken


class _ForwardWatcher(Watcher):
    """Watches a forward pass, and lets it write into arrays."""

    def begin(self, scope: Scope) -> None:
        make_writable(scope)
        call = Statement(scope.code.co_filename, scope.code.co_firstlineno, "", scope.code.co_name)
        for name, value in scope.locals.items():
            for path, x in self._look(name, value, scope.number):
                self.changes.append(Change(path, self.kept(x), call, 0, scope.number, x))

    def finish(self, scope: Scope, statement: Statement, n: int) -> None:
        super().finish(scope, statement, n)
        for name in make_writable(scope) if statement.assigned else ():
            self._look(name, scope.locals[name], scope.number)  # the same values in other objects

    def kept(self, x: Any) -> Any:
        return getattr(x, "current", x) if isinstance(x, Tensor) else np.array(x)


@dataclass
class Forward:
    """What a forward pass computed on Tensors.

    Attributes:
        run: what it did.
        world: what it worked on.
        leaves: the arrays of floats that it works on, by where they are.
        output: what it returned, the loss or another Tensor; None if that is no Tensor.
        names: its names for values: the Tensors that each stood for, in order.
        reads: the tensors whose numbers were read, with how and where.
        warnings: what the library warned of.
    """

    run: Run
    world: World
    leaves: dict[Path, Tensor]
    output: Tensor | None
    names: dict[str, list[Tensor]]
    reads: list[Any]
    warnings: list[warnings.WarningMessage]


def run_forward(passes: Passes) -> Forward:
    """Run a forward pass on Tensors; labels that index must not be any, so a second try leaves them."""
    forward = _run_forward(passes)
    if isinstance(forward.run.error, (TypeError, IndexError)):
        second = _run_forward(passes, labels=True)
        return forward if second.run.error else second
    return forward


def _run_forward(passes: Passes, labels: bool = False) -> Forward:
    leaves: dict[Path, Tensor] = {}

    def leaf(path: Path, array: Any) -> Any:
        if labels and np.any(array) and not np.any(array % 1):
            return array.copy()
        leaves[path] = Tensor(array, requires_grad=True, dtype=np.float64, name=name_of(path))
        return leaves[path]

    world = passes.with_leaves(leaf)
    function = passes.bound(0, world)
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        with recording(WritableRecorder), passes.inside(world):
            reads = current().reads
            result = run(_ForwardWatcher(function), function, **passes.arguments(world))
    output = first_of(result.result)
    if result.error and passes.one_function:  # an error in its backward part
        output = result.locals.get(_loss_name(function))
    output = getattr(output, "current", output)
    if not isinstance(output, Tensor):
        output = _tensor_of(output, result, reads)
    return Forward(result, world, leaves, output, named_tensors(result, leaves), reads, caught)


def _loss_name(function: Any) -> str:
    """The variable that a function returns as its loss."""
    code = getattr(function, "__code__", None)
    returns = [s.node for s in statements(code).values() if isinstance(s.node, ast.Return)] if code else []
    first = getattr(returns[-1].value, "elts", [None])[0] if returns else None
    return first.id if isinstance(first, ast.Name) else ""


def first_of(result: Any) -> Any:
    """The loss among what a forward pass returned."""
    return result[0] if isinstance(result, (tuple, list)) and result else result


def _tensor_of(number: Any, result: Run, reads: list[Any]) -> Tensor | None:
    """The Tensor that a plain number was read from, as the loss of `return float(loss)`."""
    if not isinstance(number, (float, int, np.number, np.ndarray)) or np.size(number) != 1:
        return None
    tensors = [x for x, *_ in reads] + [
        c.value for c in result.changes if isinstance(c.value, Tensor)
    ]
    same = (
        x for x in reversed(tensors) if x.op and x.size == 1 and x._array.item() == float(number)
    )
    return next(same, None)


def named_tensors(result: Run, leaves: Mapping[Path, Tensor]) -> dict[str, list[Tensor]]:
    """The tensors that a forward pass gave each name to, in order.

    A list `hs` is also the name of its elements, `h` too if nothing else is; `Z` stands for
    Z1, Z2, ... in the order in which they were computed.
    """
    names: dict[str, list[Tensor]] = {}
    elements: dict[str, dict[Any, Tensor]] = {}
    changes = sorted(result.changes, key=lambda c: (c.frame > 1, len(c.path) > 1))
    for change in changes:
        x = change.value
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        versions = names.setdefault(change.name, [])
        if not any(v is x for v in versions) and (len(change.path) == 1 or not versions):
            versions.append(x)
        if isinstance(change.path[-1], int):
            elements.setdefault(change.name[: change.name.rindex("[")], {})[change.path[-1]] = x
    for name, by_index in elements.items():
        row = [by_index[i] for i in sorted(by_index)]
        names.setdefault(name, row)
        names.setdefault(re.sub(r"(s|_list|_all)$", "", name), row)
    for name in sorted(names, key=lambda name: names[name][0].serial):
        family = re.sub(r"_?\d+$", "", name)
        if family != name and family not in names:
            names[family + "#"] = names.get(family + "#", []) + names[name]
    names = {name.removesuffix("#"): versions for name, versions in names.items()}
    for path, name in names_of(leaves).items():
        if not any(x is leaves[path] for x in names.get(name, ())):
            names[name] = [leaves[path]]
    for name, versions in list(names.items()):
        if len(versions) > 1:
            for i, x in enumerate(versions):
                names.setdefault(f"{name}[{i}]", [x])
    return names


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


class Unmarkable(ValueError):
    """A forward pass without a loss that can be differentiated."""


def differentiate(passes: Passes, forward: Forward, upstream: Any = None) -> Truth:
    """The true gradients, from the graph if finite differences agree with it, else from those.

    Args:
        upstream: the gradient of an output that is no loss.
    """
    output, why, numeric = forward.output, "", Numeric(passes, forward, upstream)
    if output is not None and output.requires_grad:
        loss = output if upstream is None else ops.sum(output * upstream)
        of = gradients(loss)
        why = _first_disagreement(numeric, forward, of, float(loss._array.item()))
        if not why:
            return Truth(loss, of, {path: x for path, x in forward.leaves.items() if x in of})
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
        of = {}
        for i, (x, point) in enumerate(zip(self.forward.leaves.values(), self.point, strict=True)):
            g = np.zeros(point.shape)
            for place in np.ndindex(point.shape):
                way = [np.zeros(p.shape) for p in self.point]
                way[i][place] = 1.0
                g[place] = self.slope(way, 1e-4 * max(1.0, abs(float(point[place]))))
            of[x] = g
        leaves = self.forward.leaves.items()
        return Truth(None, of, {p: x for p, x in leaves if np.abs(of[x]).max(initial=0) > 1e-9}, why)


def _first_disagreement(
    numeric: Numeric, forward: Forward, truth: Mapping[Tensor, Any], loss: float
) -> str:
    """Why the graph's gradients are not those of the function; empty if they are."""
    try:
        value = numeric(numeric.point)
    except Exception:  # what runs on Tensors alone is compared with nothing
        return ""
    if not np.isclose(value, loss, rtol=1e-9, equal_nan=True):
        return f"forward computes {value:.6g} on arrays and {loss:.6g} on Tensors"
    random, leaves = np.random.default_rng(0), list(forward.leaves.values())
    whole = [random.normal(size=x.shape) for x in numeric.point]
    alone = [[d * (i == k) for i, d in enumerate(whole)] for k in range(len(whole))]
    if all(_agrees(numeric, leaves, truth, way) for way in (alone if len(alone) < 12 else [whole])):
        return ""
    cuts = [f"{reader} ({locate(origin)})" for _, reader, origin in forward.reads]
    through = f": none flows through {' or '.join(dict.fromkeys(cuts))}" if cuts else ""
    return f"the gradient is cut in forward{through}"


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
