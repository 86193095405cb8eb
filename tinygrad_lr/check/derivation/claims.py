"""Which variables of a backward pass claim to be the gradient of which of a forward pass."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.watch import Change, Run, parts
from tinygrad_lr.tensor import Tensor

Pair = tuple[Change, Tensor]  # a claimed value and what it claims to be the gradient of

PREFIXES = (
    "d", "d_", "grad_", "grad", "gradient_", "g_", "g", "nabla_", "delta_", "delta",
    "dL_d", "dL_", "dLd", "dJ_d", "dJd", "dC_d", "dE_d", "dloss_d", "dLoss_d", "d_loss_d_",
)  # fmt: skip
SUFFIXES = ("_grad", "_gradient", "_delta", "_bar")
PREACTIVATIONS = ("z", "logits", "scores")  # what a bare `delta` belongs to


class Claim(NamedTuple):
    """A name in backward, all that it was, and the ways to pair that with forward's tensors."""

    name: str
    changes: list[Change]
    readings: list[list[Pair]]
    finished: bool = True  # whether no statement was left that would have changed it


def named_tensors(run: Run) -> dict[str, list[Tensor]]:
    """The tensors that a forward pass gave each name to, in order.

    A list `hs` is also the name of its elements, `h` too if nothing else is; `Z` stands for
    Z1, Z2, ... in the order in which they were computed.
    """
    found: dict[str, list[Tensor]] = {}
    elements: dict[str, dict[Any, Tensor]] = {}
    for change in sorted(run.changes, key=lambda change: len(change.path) > 1):
        x = change.value
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        versions = found.setdefault(change.name, [])
        if x not in set(versions) and (len(change.path) == 1 or not versions):
            versions.append(x)
        if isinstance(change.path[-1], int):
            elements.setdefault(change.name[: change.name.rindex("[")], {})[change.path[-1]] = x
    for name, by_index in elements.items():
        row = [by_index[i] for i in sorted(by_index)]
        found.setdefault(name, row)
        found.setdefault(re.sub(r"(s|_list|_all)$", "", name), row)
    for name in sorted(found, key=lambda name: found[name][0].serial):
        family = re.sub(r"_?\d+$", "", name)
        if family != name and family not in found:
            found[family + "#"] = found.get(family + "#", []) + found[name]
    found = {name.removesuffix("#"): versions for name, versions in found.items()}
    for name, versions in list(found.items()):
        if len(versions) > 1:
            for i, x in enumerate(versions):
                found.setdefault(f"{name}[{i}]", [x])
    return found


def find_target(name: str, targets: Mapping[str, Any]) -> str | None:
    """The name in forward whose gradient a name in backward claims to be, if any.

    >>> [find_target(n, {"W1": 0, "z2": 0}) for n in ("dW1", "W1_grad", "dZ2", "delta2", "m")]
    ['W1', 'W1', 'z2', 'z2', None]
    """
    base, bracket, index = name.partition("[")
    stems = [base.removeprefix(p) for p in PREFIXES if base.startswith(p) and base != p]
    stems += [base.removesuffix(s) for s in SUFFIXES if base.endswith(s)]
    if base.startswith("delta"):
        stems += [z + base.removeprefix("delta") for z in PREACTIVATIONS]
    stems += [z for stem in stems if stem.lower() in PREACTIVATIONS for z in PREACTIVATIONS]
    for stem in stems:
        if stem + bracket + index in targets:
            return stem + bracket + index
    for stem in stems:
        alike = [t for t in targets if _plain(t) == _plain(stem + bracket + index)]
        if len(alike) == 1:
            return alike[0]
    return None


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def find_claims(
    run: Run,
    arguments: Mapping[str, Any],
    targets: dict[str, list[Tensor]],
    names: Mapping[str, str],
) -> list[Claim]:
    """The claims of a backward pass, in the order in which they were completed."""
    series: dict[str, list[Change]] = {}
    bare = set()
    for change in [*run.changes, *returned(run)]:
        root, changes = change.path[0], series.setdefault(change.name, [])
        if root in arguments or isinstance(change.value, Tensor):
            continue
        copied = len(change.path) > 1 or change.statement is run.end
        if copied and changes and np.array_equal(changes[-1].value, change.value, equal_nan=True):
            continue
        changes.append(change)
        if len(change.path) > 1 and (root.startswith("grad") or change.statement is run.end):
            bare.add(change.name)
    claims = []
    for name, changes in series.items():
        target = names.get(name) or find_target(name, targets)
        if target is None and name in bare and name in targets:
            target, changes = name, [c for c in changes if len(c.path) > 1]
        loop = target is not None and len(targets[target]) == 1
        unfinished = run.unfinished_loop if loop else run.unfinished
        if target is not None and changes:
            ways = {
                tuple((id(c), id(x)) for c, x in way): way
                for way in pairings(changes, targets[target])
            }
            finished = changes[-1].path[0] not in unfinished
            claims.append(Claim(name, changes, list(ways.values()), finished))
    order = {id(change): i for i, change in enumerate(run.changes)}
    return sorted(claims, key=lambda claim: order.get(id(claim.changes[-1]), len(order)))


def returned(run: Run) -> Iterator[Change]:
    """The values that were returned, under the names that the return statement has for them."""
    node = getattr(run.end.node, "value", None)
    if isinstance(node, ast.Tuple) and isinstance(run.result, tuple):
        pieces = list(zip(map(ast.unparse, node.elts), run.result, strict=False))
    else:
        pieces = [(ast.unparse(node) if node else "result", run.result)]
    for text, value in pieces:
        if text.isidentifier() or isinstance(value, Mapping):
            for path, x in parts(value, (text,)):
                yield Change(path, np.array(x), run.end)


def pairings(changes: list[Change], tensors: list[Tensor]) -> Iterator[list[Pair]]:
    """The ways to pair the values of a variable with the versions of its counterpart.

    Backward goes through time the other way. A sum over time is its last value; what is claimed
    once a step is what one statement, or all of them, gave once a step.
    """
    if len(tensors) == 1:
        x = tensors[0]
        yield from ([(change, x)] for change in (reversed(changes) if x.op else changes[-1:]))
        return
    filled = [change for change in changes if np.any(change.value)]
    lines = dict.fromkeys(change.statement.line for change in reversed(changes))
    groups = [filled, changes]
    groups += [[c for c in changes if c.statement.line == line] for line in lines]
    computed = [x for x in tensors if x.op]
    ways = []
    for group in groups:
        for versions in (tensors[::-1], computed[::-1]):
            spare = len(versions) - len(group)
            for skip in range(min(abs(spare), 3) + 1):
                pairs = zip(
                    group[skip * (spare < 0) :], versions[skip * (spare > 0) :], strict=False
                )
                ways.append((abs(spare), list(pairs)))
    yield from (pairs for _, pairs in sorted(ways, key=lambda way: way[0]) if pairs)
