"""What is wrong with a backward pass as a whole, and what a check of it could not see."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator

import numpy as np

from tinygrad_lr.check.derivation.claims import CHANGED, KEPT, LOCAL, RETURNED, UPDATE, UPDATES
from tinygrad_lr.check.derivation.data import blind_spots
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.watch import written
from tinygrad_lr.messages import TensorWarning


def problem(marking: Marking) -> str:
    """What is wrong with the backward pass as a whole; empty if nothing."""
    return _raised(marking) or _unknown(marking) or _unreturned(marking) or _out_of_order(marking)


def _raised(marking: Marking) -> str:
    error, end = marking.run.error, marking.run.end
    if not error:
        return ""
    name = marking.experiment.passes.name(1)
    return f"{name} raised {type(error).__name__} in line {end.line}, `{end.text}`: {error}"


def _unknown(marking: Marking) -> str:
    """A name of the caller's that backward does not have."""
    names = {change.name for change in marking.run.changes}
    names |= {place.name for place in marking.comparison.outcome.places}
    for key in marking.comparison.names:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"; is {near[0]!r} meant?" if near else ""
            return f"names: {marking.experiment.passes.name(1)} has no variable {key!r}{hint}"
    return ""


def _unreturned(marking: Marking) -> str:
    """The gradients that are only in local variables."""
    claims, name = marking.comparison.claims.values(), marking.experiment.passes.name(1)
    kinds = {claim.place.kind for claim in claims}
    local = [c for c in claims if c.place.kind == LOCAL and c.input not in marking.left_out]
    if not local:
        return ""
    if not kinds & {RETURNED, KEPT, *UPDATES}:
        titles = ", ".join(dict.fromkeys(claim.place.name for claim in local))
        if marking.run.result is None:
            return f"{name} returns nothing: it ends with {titles}, and should return them"
        unnamed = any(place.kind == RETURNED for place in marking.comparison.outcome.places)
        return "" if unnamed else f"{name} does not return {titles}"
    if local[0].place.name in marking.comparison.names:
        return ""
    outcome, taken = marking.comparison.outcome, {claim.place for claim in claims}
    free = [x for p, x in outcome.places.items() if p.kind == RETURNED and p not in taken]
    right = marking.comparison.right(outcome)
    local = [  # of which no multiple is returned, as dW / n
        c for c in local
        if not free or (c.input in right and not any(ratio(x, c.value) for x in free))
    ]  # fmt: skip
    if not local:
        return ""
    lines = (f"{claim.place.name} (line {claim.statement.line})" for claim in local)
    return f"not returned: {', '.join(lines)}"


def _out_of_order(marking: Marking) -> str:
    """The order of what is returned, if it is not that in which forward takes its arguments."""
    claims = marking.comparison.claims
    wanted = [
        name
        for name in marking.truth.inputs
        if name in claims and claims[name].place.kind == RETURNED
        if len(claims[name].place.path) == 1
        if marking.truth.paths.get(name, ("",))[0] in marking.inputs
    ]
    position = {place: i for i, place in enumerate(marking.comparison.outcome.places)}
    order = sorted(wanted, key=lambda name: position[claims[name].place])
    if order == wanted or _is_usual(marking, order, wanted):
        return ""
    return (
        f"{marking.experiment.passes.name(1)} returns the gradients of {', '.join(order)}, in this "
        f"order, and forward takes {', '.join(wanted)}"
    )


def _is_usual(marking: Marking, order: list[str], wanted: list[str]) -> bool:
    """Whether an order is as good, as names tell what is what.

    It is if the gradients of data are apart, or all stand in the order in which they were
    computed, or kind by kind, as W1, W2, b1, b2.
    """
    claims = marking.comparison.claims
    if any(claims[name].place.name.startswith("returned value") for name in wanted):
        return False
    data = [name for name in marking.left_out if name in wanted]
    rest = [name for name in wanted if name not in data]
    if len(rest) > 1 and order in (rest + data, data + rest):
        return True
    times = {id(change): i for i, change in enumerate(marking.run.changes)}
    computed = sorted(wanted, key=lambda name: times.get(id(claims[name].change), len(times)))
    kinds = [name.rstrip("0123456789") for name in wanted]
    by_kind = sorted(wanted, key=lambda name: kinds.index(name.rstrip("0123456789")))
    return order in (computed, by_kind)


def nothing_claimed(marking: Marking) -> str:
    """What to say where no gradient of an input is found: what looks like one."""
    likely: dict[str, str] = {}
    truth, passes = marking.comparison.truth, marking.experiment.passes
    for exact, change, name in itertools.product((True, False), marking.run.changes, truth):
        g, value = truth[name], change.value
        fitting = as_shape(value, np.shape(g)) if np.ndim(value) else None
        if fitting is None or name in likely.values():
            continue
        if not exact or close(fitting, g):
            likely.setdefault(change.name, name)
    hint = f": names={dict(list(likely.items())[:3])!r} tells which is which" if likely else ""
    return (
        f"{passes.name(1)} has no variable and returns nothing that is named after an input of "
        f"{passes.name(0)}, as dW is after W{hint}"
    )


def cautions(marking: Marking) -> Iterator[str]:
    """What the check could not see, and what else is noteworthy."""
    comparison, truth = marking.comparison, marking.truth
    yield from blind_spots(marking.inputs, marking.data)
    yield from _changed_in_place(marking)
    if comparison.guard and comparison.rtol > 1e-7:
        yield (
            f"forward has log(... + {comparison.guard:g}), which backward may leave out: "
            f"relative differences up to {comparison.rtol:.1g} are counted as that"
        )
    if truth.why:
        yield (
            f"lines could not be marked: {truth.why}; the gradients were compared with finite "
            f"differences"
        )
    warnings = (w for w in marking.fore.warnings if issubclass(w.category, TensorWarning))
    texts = dict.fromkeys(str(warning.message) for warning in warnings)
    yield from (text for text in texts if not text.startswith("float()"))


def _changed_in_place(marking: Marking) -> Iterator[str]:
    """The arguments that backward changed in place, but for updates."""
    experiment, places = marking.experiment, marking.comparison.outcome.places
    claimed = {claim.place for claim in marking.comparison.claims.values()}
    updated = {place.path for place in places if place.kind == UPDATE}
    paths = marking.truth.paths.items()
    updated &= {path for name, path in paths if name not in marking.left_out}
    for place in places:
        if place.kind != CHANGED or place in claimed or experiment.same[place.path] in updated:
            continue
        if place.path[0] in experiment.arguments:
            yield (
                f"backward changes {written(place.path)} in place: its old value is lost to what "
                f"comes later"
            )
