"""What a step does, in words, judged by its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.drawing.cards import Card, LayerCard
from tinygrad_lr.drawing.formatting import number
from tinygrad_lr.explorer.vjps import VJPCall

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PAGE = {
    "start": [
        "A <b>card</b> is an array. An arrow means “is used to compute”.",
        "First the <b class=v>values</b> are computed along the arrows, up to the end. Then the "
        "<b class=g>gradients</b> are computed against the arrows, by the chain rule.",
        "<b>predict</b> hides each product until you have worked it out.",
    ],
    "keys": [
        [["→", "←"], "step"], [["Space"], "play"], [["f", "b"], "start of forward, backward"],
        [["Home", "End"], "first, last"], [["Tab", "Enter"], "or a click on a card: its numbers"],
        [["Esc"], "back"],
    ],
    "check": "Check with finite differences",
}  # fmt: skip


SEED = "The backward pass starts here: when {0} changes, {0} changes just as much."
EFFECTS: dict[float, str] = {  # of a local derivative
    1: "what arrives is passed on as it is",
    -1: "what arrives is passed on with the opposite sign",
    0: "nothing passes",
}


def describe(call: VJPCall, card: Card, target: Card) -> list[str]:
    """What the rule of `card` does to the gradient on its way to the input `target`."""
    notes = [_elementwise(call.local.array) if call.local else _moved(call, card, target)]
    if np.shape(call.raw) != np.shape(call.gradient):
        shape = target.shape or "a single number"
        notes.append(
            f"{target.title}, {shape}, was repeated to {np.shape(call.raw)} by broadcasting, so "
            f"what arrives for each copy is added up."
        )
    return notes


def _elementwise(local: Any) -> str:
    local = np.asarray(local, dtype=float)
    if not local.size or not np.isfinite(local).all():
        return "The local derivative is not finite everywhere."
    low, high = float(local.min()), float(local.max())
    if low == high and low in EFFECTS:
        return f"The local derivative is {number(low)}: {EFFECTS[low]}."
    if low == high:
        return f"What arrives is multiplied by the local derivative, {number(low)}."
    if set(np.unique(local)) == {0.0, 1.0}:
        zeros = int((local == 0).sum())
        return f"A gate: where it is 1 all passes, where it is 0 nothing ({zeros} of {local.size})."
    return (
        f"Element by element, what arrives is multiplied by the local derivative, here "
        f"{number(low)} … {number(high)}."
    )


def _moved(call: VJPCall, card: Card, target: Card) -> str:
    """What a rule does that does not multiply element by element."""
    g, raw, here, there = np.asarray(call.g), np.asarray(call.raw), card.title, target.title
    if call.sign == "@":
        shapes = " @ ".join(str(np.shape(factor.array)) for factor in call.factors)
        return (
            f"A matrix product, {shapes} → {raw.shape}: each element of {there} collects what "
            f"arrives at every element of {here} that it went into, times its weight there."
        )
    if raw.size == g.size and np.array_equal(np.sort(raw, axis=None), np.sort(g, axis=None)):
        return f"The same numbers go back to where they were in {there} {target.shape}."
    if np.isin(raw[raw != 0], g).all():
        if (raw == 0).any():
            return f"What arrives goes to the elements that {here} took; the others get 0."
        return f"Each number that arrives goes to every element that {here} combined."
    if any(factor.has_gradient and np.isin(factor.array, g).all() for factor in call.factors):
        return (
            f"What arrives goes to every element that {here} combined, each time multiplied by "
            f"the local derivative of that element."
        )
    return f"Each element of {there} went into several of {here}, and collects from all."


def saved_values(names: list[str]) -> str:
    """What is saved for the backward pass."""
    if not names:
        return "Nothing needs to be saved for the backward pass."
    return f"Saved for the backward pass: {', '.join(dict.fromkeys(names))}."


def no_gradient(card: Card) -> str:
    """Why a card receives no gradient."""
    kind = {"data": "data", "constant": "a constant"}.get(card.kind)
    title = card.title
    return (
        f"{title} is {kind}: nothing is sent there." if kind else f"No gradient flows to {title}."
    )


def contribution(n: int, uses: int, target: Card) -> str:
    """Which of several contributions one is."""
    which = ORDINALS[n - 1] if n <= len(ORDINALS) else f"{n}th"
    count = COUNTS[uses - 1] if uses <= len(COUNTS) else str(uses)
    return f"The {which} of {count} contributions to {target.title}."


def layer(card: LayerCard) -> str:
    """What a layer's card stands for."""
    return (
        f"{card.formula or card.title}: {len(card.members)} arrays, {card.parameter_count:,} "
        f"parameters. Click on it to open it."
    )


def downhill(loss: str, before: float, after: float) -> str:
    """What a step of gradient descent does."""
    return (
        f"Every parameter moves a little against its gradient, and {loss} goes from "
        f"{number(before, 4)} to {number(after, 4)}."
    )


def differences(gradient: Any, numerical: Any) -> str:
    """How well finite differences agree with a gradient."""
    error = float(np.max(np.abs(np.asarray(gradient) - numerical), initial=1e-9))
    bound = 10.0 ** (np.floor(np.log10(error)) + 1) if np.isfinite(error) else error
    return (
        f"The loss was computed again with each element a little larger and a little smaller: its "
        f"slope differs from the gradient by less than {number(bound)}."
    )
