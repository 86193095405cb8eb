"""Where a backward pass keeps its gradients, and of which inputs they are."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.watch import Change, Path, Run, Statement, leaves, name_of

RETURNED, KEPT, CHANGED, UPDATE, REBOUND, LOCAL, STEP = (
    "returned", "kept", "changed", "update", "rebound", "local", "step"
)  # fmt: skip
PREFIXES = (
    "d", "d_", "grad_", "grad", "gradient_", "g_", "g", "nabla_", "delta_", "delta", "der_",
    "dL_d", "dL_", "dLd", "dJ_d", "dJd", "dC_d", "dE_d", "dloss_d", "dLoss_d", "d_loss_d_",
)  # fmt: skip
SUFFIXES = (
    "_grad", "_gradient", "_delta", "_bar", "_error", "_err", "grad", "Grad", "delta", "Delta"
)  # fmt: skip
PREACTIVATIONS = ("z", "logits", "scores")  # what a bare `delta` belongs to
BARE = ("grad", "gradient", "g", "delta", "derivative")  # of p.grad beside p.data
LISTS = ("grads", "gradients", "gs", "grad", "gradient", "g", "dparams", "dps", "d")  # beside params
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
    found: dict[Place, Any] = {}
    for path, value in _returned(run, skip):
        if path not in before:  # an input is returned updated, which is found below
            found[Place(RETURNED, path)] = value
    for path, x in _held(roots, only):
        if path not in before:
            found[Place(KEPT, path)] = np.array(x)
        elif (change := _difference(x, before[path])) is not None:
            found.setdefault(Place(UPDATE, same[path]), change)
            found[Place(CHANGED, path)] = np.array(x)
    for path, x in _held(run.locals, only):
        if path[0] not in roots:
            found.setdefault(Place(LOCAL, path), np.array(x))
        elif path in before and (change := _difference(x, before[path])) is not None:
            if Place(UPDATE, same[path]) not in found:
                found[Place(REBOUND, same[path])] = change
    return {place: x for place, x in found.items() if np.asarray(x).dtype.kind == "f"}


def _held(roots: Mapping[str, Any], only: Collection[Path] | None) -> Iterator[tuple[Path, Any]]:
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


def _returned(run: Run, skip: int) -> Iterator[tuple[Path, Any]]:
    """What was returned, under the names that the return statement has for it, or by position."""
    node = getattr(run.end.node, "value", None) if isinstance(run.end.node, ast.Return) else None
    result, elements = run.result, getattr(node, "elts", None) or []
    base = ast.unparse(node) if node is not None and not elements else ""
    if skip and isinstance(result, (tuple, list)):
        result, elements = result[skip:], elements[skip:]
        if len(result) == 1 and isinstance(result[0], (tuple, list)):
            base = ast.unparse(elements[0]) if elements else f"{base}[{skip}]"
            result, elements = result[0], getattr(elements[0], "elts", []) if elements else []
    if isinstance(result, (tuple, list)) and not hasattr(result, "_fields"):
        for i, x in enumerate(result):
            text = ast.unparse(elements[i]) if len(elements) == len(result) else ""
            name = text or (f"{base}[{i}]" if base.isidentifier() else "")
            yield from _inside(x, name, i)
    elif result is not None and not skip:
        yield from _inside(result, base, 0)


def _inside(x: Any, name: str, i: int) -> Iterator[tuple[Path, Any]]:
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
    found += [z for stem in found if stem.lower() in PREACTIVATIONS for z in PREACTIVATIONS]
    plain = list(dict.fromkeys(map(plain_name, found)))
    return [stem + bracket + index for stem in plain] + plain * bool(bracket)


def plain_name(name: str) -> str:
    """A name in small letters, without underscores, with one word for weights and for biases."""
    base, bracket, index = name.partition("[")
    base = base.lower().replace("_", "")
    digits = re.search(r"\d*$", base)[0]  # type: ignore[index]
    base = base.removesuffix(digits)
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
    family = re.sub(r"(\d+|\[\d+\])$", "", target)
    return int(family != target and family in read) or int(
        any(re.sub(r"(\d+|\[\d+\])$", "", stem) == target and stem != target for stem in read)
    )


def fits(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value can be a gradient of something of a shape, but for axes of length 1."""
    return as_shape(value, shape) is not None


def match(
    found: Mapping[Place, Any],
    truth: Mapping[str, Any],
    paths: Mapping[str, Path],
    names: Mapping[str, str],
    left_out: Collection[str],
    rtol: float,
) -> dict[str, Place]:
    """Which place claims the gradient of which input.

    A name is evidence: among its readings the one with a fitting shape wins, and then the one with
    right numbers. What has no name is read by its position, if its shape fits there, else by its
    numbers, else by its shape.

    Args:
        found: what the backward pass left behind.
        truth: the true gradients, by input.
        paths: where the inputs are.
        names: which name is the gradient of which input, said by the caller.
        left_out: inputs whose gradient nobody asks for: a variable of another shape is none.
    """
    said = {(place, name): says(place, name, paths, names) for place in found for name in truth}
    returned = [p for p in found if p.kind == RETURNED]
    unnamed = [p for p in returned if not any(said[p, name] for name in truth)]
    aligned = len(returned) == len(truth)
    scores: list[tuple[Any, str, Place]] = []
    for place, value in found.items():
        for i, (name, g) in enumerate(truth.items()):
            evident = said[place, name]
            fitting = as_shape(value, np.shape(g))
            update, result = place.kind in (UPDATE, REBOUND), place.kind == RETURNED
            right = fitting is not None and (
                ratio(fitting, g, rtol) is not None if update else close(fitting, g, rtol)
            )
            if place in unnamed:
                evident = int(right or (aligned and returned.index(place) == i))
            if not evident and not (right and result):
                continue
            if update and name in left_out:
                continue  # samples and labels are no parameters
            may_differ = evident > 1 and (name not in left_out or place.kind != LOCAL)
            if fitting is None and not may_differ:
                continue
            contract = evident > 1 and place.kind not in (LOCAL, CHANGED)
            score = fitting is not None, contract, right, evident, not update, result
            scores.append((score, name, place))
    claims: dict[str, Place] = {}
    taken: set[Place] = set()
    for _, name, place in sorted(scores, key=lambda s: s[0], reverse=True):
        if name not in claims and place not in taken:
            claims[name] = place
            taken.add(place)
    left = [p for p in unnamed if p not in taken]
    for name in truth:  # what is returned without a name, by its shape alone
        fits_it = [p for p in left if fits(found[p], np.shape(truth[name]))]
        if name not in claims and name not in left_out and len(fits_it) == 1:
            claims[name] = fits_it[0]
            left.remove(fits_it[0])
    return claims


def says(
    place: Place, name: str, paths: Mapping[str, Path], names: Mapping[str, str]
) -> int:
    """How much a place says that it holds the gradient of an input: 3 all, 2, 1, or 0 nothing."""
    path = paths.get(name, (name,))
    if place.kind in (UPDATE, REBOUND):
        return 3 * (place.path == path)
    if names.get(place.name) == name:
        return 3
    if names.get(place.name):
        return 0
    owner, inside = path[:-1], len(place.path) > 1
    beside = len(owner) > 0 and place.path[: len(owner)] == owner
    last = name_of(path)
    alike = [other for other in paths.values() if name_of(other) == last]
    holder = plain_name(str(place.path[-2]).lstrip(".")) if inside else ""
    bare = inside and (place.kind == RETURNED or holder in LISTS or bool(stems(holder)))
    said = evidence(place.name, last, bare)
    if beside and plain_name(place.name) in BARE and not any(
        other[: len(owner)] == owner for other in paths.values() if other != path
    ):
        said = 2  # p.grad beside p.data
    if re.sub(r"\[.*", "", plain_name(place.name)) in LISTS and place.path[-1] == path[-1]:
        said = 2  # grads[1] for params[1]
    if said and len(alike) > 1 and not beside and inside:
        return 1 if place.kind == RETURNED else 0
    return said + (said > 1 and beside and len(owner) > 1)
