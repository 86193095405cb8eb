"""Run the forward pass on Tensors: the loss, and what the learner calls the values before it."""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.conversions import conversions
from tinygrad_lr.check.derivation.passes import Passes, World, names_of
from tinygrad_lr.check.derivation.rewrite import Rewriter
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
from tinygrad_lr.recording import current, recording
from tinygrad_lr.tensor import Tensor


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
    """Run a forward pass on Tensors, but for labels if it uses them as indices."""
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
        with recording(WritableRecorder), passes.inside(world), _converting(function):
            reads = current().reads
            result = run(_ForwardWatcher(function), function, **passes.arguments(world))
    output = first_of(result.result)
    if result.error and passes.one_function:  # an error in its backward part
        output = result.locals.get(_loss_name(function))
    output = getattr(output, "current", output)
    if not isinstance(output, Tensor):
        output = _tensor_of(output, result, reads)
    return Forward(result, world, leaves, output, named_tensors(result, leaves), reads, caught)


@contextlib.contextmanager
def _converting(function: Any) -> Iterator[None]:
    """Let np.array(x) and h.dot(W) keep the graph, where the functions can be rewritten."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(SyntaxError, ValueError):
            stack.enter_context(Rewriter().rewritten(conversions(function)))
        yield


def _loss_name(function: Any) -> str:
    """The variable that a function returns as its loss."""
    code = getattr(function, "__code__", None)
    nodes = [statement.node for statement in statements(code).values()] if code else []
    returns = [node for node in nodes if isinstance(node, ast.Return)]
    first = getattr(returns[-1].value, "elts", [None])[0] if returns else None
    return first.id if isinstance(first, ast.Name) else ""


def first_of(result: Any) -> Any:
    """The loss among what a forward pass returned."""
    return result[0] if isinstance(result, (tuple, list)) and result else result


def _tensor_of(number: Any, result: Run, reads: list[Any]) -> Tensor | None:
    """The Tensor that a plain number was read from, as the loss of `return float(loss)`."""
    if not isinstance(number, (float, int, np.number, np.ndarray)) or np.size(number) != 1:
        return None
    values = [x for x, *_ in reads] + [change.value for change in result.changes]
    losses = (x for x in reversed(values) if isinstance(x, Tensor) and x.op and x.size == 1)
    return next((x for x in losses if x._array.item() == float(number)), None)


def named_tensors(result: Run, leaves: Mapping[Path, Tensor]) -> dict[str, list[Tensor]]:
    """The tensors that a forward pass gave each name to, in order.

    A list `hs` is also the name of its elements, `h` too if nothing else is; `Z` stands for
    Z1, Z2, ... in the order in which they were computed.
    """
    changes = [c for c in result.changes if isinstance(c.value, Tensor) and c.value.requires_grad]
    changes.sort(key=lambda c: (c.frame > 1, len(c.path) > 1))
    names: dict[str, list[Tensor]] = {}
    for c in changes:
        versions = names.setdefault(c.name, [])
        if not versions or (len(c.path) == 1 and not any(x is c.value for x in versions)):
            versions.append(c.value)
    for name, row in _lists(changes).items():
        names.setdefault(name, row)
        names.setdefault(re.sub(r"(s|_list|_all)$", "", name), row)
    names |= _families(names)
    for path, name in names_of(leaves).items():
        if not any(x is leaves[path] for x in names.get(name, ())):
            names[name] = [leaves[path]]
    for name, versions in list(names.items()):
        for i, x in enumerate(versions if len(versions) > 1 else ()):
            names.setdefault(f"{name}[{i}]", [x])
    return names


def _lists(changes: Iterable[Change]) -> dict[str, list[Tensor]]:
    """The elements of each list, in order."""
    lists: dict[str, dict[int, Tensor]] = {}
    for c in changes:
        if isinstance(c.path[-1], int):
            lists.setdefault(c.name[: c.name.rindex("[")], {})[c.path[-1]] = c.value
    return {name: [x for _, x in sorted(row.items())] for name, row in lists.items()}


def _families(names: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """The tensors of Z1, Z2, ... as those of Z, if nothing is called that."""
    families: dict[str, list[Tensor]] = {}
    for name in sorted(names, key=lambda name: names[name][0].serial):
        family = re.sub(r"_?\d+$", "", name)
        if family not in names:
            families[family] = families.get(family, []) + names[name]
    return families
