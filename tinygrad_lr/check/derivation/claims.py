"""Where a backward pass keeps its gradients, and of which inputs they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.watch import Change, Path, Run, Statement, leaves, name_of

RETURNED, KEPT, UPDATE, REBOUND, LOCAL, STEP = (
    "returned", "kept", "update", "rebound", "local", "step"
)  # fmt: skip
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


def places(run: Run, before: Mapping[Path, Any], roots: Mapping[str, Any]) -> dict[Place, Any]:
    """The arrays of floats that a backward pass left behind, by where they are.

    Args:
        before: copies of what its arguments and its object held before.
        roots: its arguments and its object, as they are now.
    """
    found: dict[Place, Any] = {}
    for path, value in _returned(run):
        found[Place(RETURNED, path)] = value
    now = {path: x for name, root in roots.items() for path, _, x in leaves(root, (name,), None)}
    for path, x in now.items():
        if path not in before:
            found[Place(KEPT, path)] = np.array(x)
        elif np.shape(x) == np.shape(before[path]):
            if not np.array_equal(x, before[path], equal_nan=_is_float(x)):
                found[Place(UPDATE, path)] = np.asarray(x, dtype=float) - before[path]
        else:
            found[Place(KEPT, path)] = np.array(x)
    for name, local in run.locals.items():
        for path, _, x in leaves(local, (name,), None):
            if name not in roots:
                found.setdefault(Place(LOCAL, path), np.array(x))
            elif path in before and np.shape(x) == np.shape(before[path]):
                if not np.array_equal(x, before[path], equal_nan=_is_float(x)):
                    change = np.asarray(x, dtype=float) - before[path]
                    if Place(UPDATE, path) not in found:
                        found[Place(REBOUND, path)] = change
    return {place: x for place, x in found.items() if np.asarray(x).dtype.kind == "f"}


def _is_float(x: Any) -> bool:
    return np.asarray(x).dtype.kind == "f"


def _returned(run: Run) -> Iterator[tuple[Path, Any]]:
    """What was returned, under the names that the return statement has for it, or by position."""
    node = getattr(run.end.node, "value", None) if isinstance(run.end.node, ast.Return) else None
    result = run.result
    if isinstance(result, (tuple, list)):
        elements = getattr(node, "elts", None) or []
        texts = list(map(ast.unparse, elements)) if len(elements) == len(result) else []
        base = ast.unparse(node) if node is not None and not elements else ""
        for i, x in enumerate(result):
            name = texts[i] if texts else f"{base}[{i}]" if base.isidentifier() else ""
            yield from _inside(x, name, i)
    elif result is not None:
        yield from _inside(result, ast.unparse(node) if node is not None else "", 0)


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
    found: Mapping[Place, Any], truth: Mapping[str, Any], names: Mapping[str, str], rtol: float
) -> dict[str, Place]:
    """Which place claims the gradient of which input.

    A name is evidence: among its readings the one with a fitting shape wins, and then the one with
    right numbers. What has no name is read by its position, if its shape fits there, else by its
    numbers, else by its shape.

    Args:
        found: what the backward pass left behind.
        truth: the true gradients, by input.
        names: which name is the gradient of which input, said by the caller.
    """
    order = {RETURNED: 0, KEPT: 1, UPDATE: 2, REBOUND: 2, LOCAL: 3}
    scores: list[tuple[Any, str, Place]] = []
    returned = [p for p in found if p.kind == RETURNED]
    unnamed = [
        p for p in returned
        if p.name not in names and not any(evidence(p.name, n, len(p.path) > 1) for n in truth)
    ]  # fmt: skip
    aligned = len(returned) == len(truth)
    inputs = list(truth)
    for place, value in found.items():
        for i, (name, g) in enumerate(truth.items()):
            fitting = fits(value, np.shape(g))
            if place.kind in (UPDATE, REBOUND):
                said = 3 * (place.name == name)
                right = fitting and ratio(as_shape(value, np.shape(g)), g) is not None
            else:
                bare = place.kind in (RETURNED, KEPT) and len(place.path) > 1
                said = 3 if names.get(place.name) == name else evidence(place.name, name, bare)
                right = fitting and close(as_shape(value, np.shape(g)), g, rtol)
            if place in unnamed:
                said = int(right or (aligned and returned.index(place) == i))
            if (not said and not (right and place.kind == RETURNED)) or not (fitting or said > 1):
                continue
            contract = said > 1 and place.kind in (RETURNED, KEPT)
            score = fitting, contract, right, said, -order[place.kind]
            scores.append((score, name, place))
    claims: dict[str, Place] = {}
    taken: set[Place] = set()
    for _, name, place in sorted(scores, key=lambda s: s[0], reverse=True):
        if name not in claims and place not in taken:
            claims[name] = place
            taken.add(place)
    left = [p for p in unnamed if p not in taken]
    for name in inputs:  # what is returned without a name, by its shape alone
        fitting = [p for p in left if fits(found[p], np.shape(truth[name]))]
        if name not in claims and len(fitting) == 1:
            claims[name] = fitting[0]
            left.remove(fitting[0])
    return claims
