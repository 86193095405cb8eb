"""Where a backward pass keeps its gradients, and what names say of them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape
from tinygrad_lr.check.derivation.watch import Change, Path, Run, Statement, leaves, name_of

RETURNED, KEPT, CHANGED, UPDATE, REBOUND, NEW, LOCAL, STEP = (
    "returned", "kept", "changed", "update", "rebound", "new", "local", "step"
)  # fmt: skip
UPDATES = (UPDATE, REBOUND, NEW)
PREFIXES = (
    "d", "d_", "grad_", "grad", "gradient_", "g_", "g", "nabla_", "delta_", "delta", "der_",
    "dL_d", "dL_", "dLd", "dJ_d", "dJd", "dC_d", "dE_d", "dloss_d", "dLoss_d", "d_loss_d_",
)  # fmt: skip
SUFFIXES = (
    "_grad", "_gradient", "_delta", "_bar", "_error", "_err", "grad", "Grad", "delta", "Delta"
)  # fmt: skip
PREACTIVATIONS = ("z", "logits", "scores")  # what a bare `delta` belongs to
SYNONYMS = {"weights": "w", "weight": "w", "biases": "b", "bias": "b"}


class Place(NamedTuple):
    """Where a value is after a backward pass."""

    kind: str
    path: Path

    @property
    def name(self) -> str:
        """What the learner calls it."""
        return name_of(self.path)


class Claim(NamedTuple):
    """A value that claims to be the gradient of an input.

    Attributes:
        input: the input's name.
        place: where it is.
        value: the gradient; of an update what was added to the input.
        text: the learner's expression for it.
        statement, n: what computed it, the how many-th time.
        change: what that did; None if it was only returned.
    """

    input: str
    place: Place
    value: Any
    text: str
    statement: Statement
    n: int
    change: Change | None = None


def places(
    run: Run,
    before: Mapping[Path, Any],
    same: Mapping[Path, Path],
    roots: Mapping[str, Any],
    skip: int = 0,
    only: Collection[Path] | None = None,
) -> dict[Place, Any]:
    """The arrays of floats that a backward pass left behind, by where they are.

    Args:
        before: copies of what its arguments, its object and global variables held before.
        same: for each of those the place of forward's input that is the same array.
        roots: its arguments, its object and global variables, as they are now.
        skip: how many values are returned before the gradients, as a loss.
        only: where to look, beside at what is returned; default everywhere.
    """
    # an input that is returned is updated, which is found below
    found = {Place(RETURNED, p): x for p, x in _returned(run, skip, roots) if p not in before}
    found |= _new_values(found, before, same)
    for path, x in _values(roots, only):
        if path not in before:
            found[Place(KEPT, path)] = np.array(x)
        elif (change := _difference(x, before[path])) is not None:
            found.setdefault(Place(UPDATE, same[path]), change)
            found[Place(CHANGED, path)] = np.array(x)
    for path, x in _values(run.locals, only):
        if path[0] not in roots:
            found[Place(LOCAL, path)] = np.array(x)
        elif path not in before or Place(UPDATE, same[path]) in found:
            continue
        elif (change := _difference(x, before[path])) is not None:
            found[Place(REBOUND, same[path])] = change
    return {place: x for place, x in found.items() if np.asarray(x).dtype.kind == "f"}


def _new_values(
    found: Mapping[Place, Any], before: Mapping[Path, Any], same: Mapping[Path, Path]
) -> dict[Place, Any]:
    """What unnamed results would change inputs by, if they were their new values."""
    changes: dict[Place, Any] = {}
    unnamed = [x for p, x in found.items() if str(p.path[0]).startswith("returned value")]
    for path, old in before.items():
        fitting = [x - old for x in unnamed if np.shape(x) == np.shape(old)]
        if fitting and old.dtype.kind == "f":
            changes[Place(NEW, same[path])] = min(fitting, key=np.linalg.norm)
    return changes


def _values(roots: Mapping[str, Any], only: Collection[Path] | None) -> Iterator[tuple[Path, Any]]:
    """The arrays and numbers that variables hold, or only those at some paths."""
    if only is None:
        for name, root in roots.items():
            yield from ((path, x) for path, _, x in leaves(root, (name,), None))
    for path in only or ():
        try:
            x = roots[path[0]]
            for key in path[1:]:
                x = getattr(x, key[1:]) if str(key).startswith(".") else x[key]
        except (KeyError, AttributeError, IndexError, TypeError):
            continue
        yield path, x


def _difference(x: Any, before: Any) -> Any:
    """How much a value has changed; None if not at all. Of another shape it is all new."""
    if np.shape(x) != np.shape(before):
        return np.array(x)
    if np.array_equal(x, before, equal_nan=np.asarray(x).dtype.kind == "f"):
        return None
    return np.asarray(x, dtype=float) - before


def _returned(run: Run, skip: int, roots: Collection[str]) -> Iterator[tuple[Path, Any]]:
    """What was returned, under the names that the return statement has for it, or by position."""
    node = getattr(run.end.node, "value", None) if isinstance(run.end.node, ast.Return) else None
    result, elements = run.result, getattr(node, "elts", [])
    base = _scaled_name(node, roots) if node is not None and not elements else ""
    if skip and isinstance(result, (tuple, list)):
        result, elements = result[skip:], elements[skip:]
        if len(result) == 1 and isinstance(result[0], (tuple, list)):
            base = ast.unparse(elements[0]) if elements else f"{base}[{skip}]"
            result, elements = result[0], getattr(elements[0], "elts", []) if elements else []
    if isinstance(result, (tuple, list)) and not hasattr(result, "_fields"):
        if len(elements) == len(result):
            names = _names_of(elements, roots)
        else:
            numbered = [f"{base}[{i}]" * base.isidentifier() for i in range(len(result))]
            pairs = zip(result, numbered, strict=True)
            names = [_variable(x, run.locals) or name for x, name in pairs]
        for i, (x, name) in enumerate(zip(result, names, strict=True)):
            yield from _inside(x, name, i)
    elif result is not None and not skip:
        yield from _inside(result, base, 0)


def _names_of(elements: list[ast.expr], roots: Collection[str]) -> list[str]:
    """The names of returned expressions; their texts, where two would have one name."""
    names = [_scaled_name(element, roots) for element in elements]
    pairs = zip(names, map(ast.unparse, elements), strict=True)
    return [name if names.count(name) == 1 else text for name, text in pairs]


def _scaled_name(node: ast.expr, roots: Collection[str]) -> str:
    """An expression as text; of dW / n, -dW, 2 * dW and dW + penalty the name alone.

    The name is that of a local variable: dout * slope is no dout, and delta_W + W no delta_W.
    """
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id=name)) if name not in roots:
            return name
        case ast.BinOp(left=a, op=ast.Mult() | ast.Div() | ast.Add() | ast.Sub() as op, right=b):
            both = [n.id for n in (a, b) if isinstance(n, ast.Name)]
            names = [name for name in both if stems(name) and name not in roots]
            changed = isinstance(op, ast.Add | ast.Sub) and any(name in roots for name in both)
            first = names[:1] == [getattr(a, "id", "")]
            if len(names) == 1 and not changed and (first or isinstance(op, ast.Mult | ast.Add)):
                return names[0]
    return ast.unparse(node)


def _variable(x: Any, names: Mapping[str, Any]) -> str:
    """The variable named as a gradient that holds an array; "" if there is none."""
    return next((name for name, y in names.items() if y is x and stems(name)), "")


def _inside(x: Any, name: str, i: int) -> Iterator[tuple[Path, Any]]:
    """The values in the i-th returned value, under a name of the learner's, if it has one."""
    base, bracket, index = name.partition("[")
    root: Path = (base, int(index[:-1])) if bracket and index[:-1].isdigit() else (name,)
    if not root[0].isidentifier():
        root = (f"returned value {i + 1}",)
    for path, _, value in leaves(x, root, None):
        yield path, np.array(value)


def stems(name: str) -> list[str]:
    """What a name may be the gradient of, as plain text: w1 of dW1, l2 of l2_delta.

    >>> stems("dW1"), stems("l2_delta"), stems("nabla_w[0]"), stems("m")
    (['w1'], ['l2'], ['w[0]', 'w'], [])
    """
    base, bracket, index = name.partition("[")
    found = [base.removeprefix(p) for p in PREFIXES if base.startswith(p) and base != p]
    found += [base.removesuffix(s) for s in SUFFIXES if base.endswith(s) and base != s]
    if base.startswith(("delta", "error")):
        found += [z + base[5:] for z in PREACTIVATIONS]
    if any(stem.lower() in PREACTIVATIONS for stem in found):
        found += PREACTIVATIONS
    plain = list(dict.fromkeys(map(plain_name, found)))
    return [stem + bracket + index for stem in plain] + plain * bool(bracket)


def plain_name(name: str) -> str:
    """A name in small letters, without underscores, with one word for weights and for biases."""
    base, bracket, index = name.partition("[")
    base = base.lower().replace("_", "")
    stem = base.rstrip("0123456789")
    base, digits = stem, base.removeprefix(stem)
    return SYNONYMS.get(base, base) + digits + bracket + index


@functools.lru_cache(maxsize=2**14)
def evidence(name: str, other: str, bare: bool = False) -> int:
    """How much a name says that it is the gradient of another one: 2 all, 1 its family, 0 nothing.

    `bare` names, as the key W of a dict of gradients, need no d.
    """
    target = plain_name(other)
    read = stems(name) + [plain_name(name)] * bare
    if target in read:
        return 2
    return int(_family(target) in read or target in map(_family, read))


def _family(name: str) -> str:
    """A name without the number or the index at its end."""
    return re.sub(r"(\d+|\[\d+\])$", "", name)


def fits(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value can be a gradient of something of a shape, but for axes of length 1."""
    return as_shape(value, shape) is not None
