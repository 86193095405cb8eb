"""What a step does, in words, as far as its numbers show it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.drawing.cards import Card, LayerCard
from tinygrad_lr.drawing.figures import number
from tinygrad_lr.explorer.rules import Product

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


def told(p: Product, g: Any, card: Card, to: Card) -> list[str]:
    """What the rule of `card` makes of the gradient g for the input `to`."""
    said = [_multiplied(p) if p.local is not None else _moved(p, g, card, to)]
    if np.shape(p.raw) != np.shape(p.sent):
        shape = to.shape or "a single number"
        said.append(
            f"{to.title}, {shape}, was repeated to {np.shape(p.raw)} by broadcasting, so what "
            f"arrives for each copy is added up."
        )
    return said


def _multiplied(p: Product) -> str:
    local = np.asarray(p.local and p.local.array, dtype=float)
    if not local.size or not np.isfinite(local).all():
        return "The local derivative is not finite everywhere."
    least, most = float(local.min()), float(local.max())
    if least == most == 1:
        return "The local derivative is 1: what arrives is passed on as it is."
    if least == most == -1:
        return "The local derivative is −1: what arrives is passed on with the other sign."
    if least == most == 0:
        return "The local derivative is 0: nothing passes."
    if set(np.unique(local)) == {0.0, 1.0}:
        zeros = int((local == 0).sum())
        return f"A gate: where it is 1 all passes, where it is 0 nothing ({zeros} of {local.size})."
    if least == most:
        return f"What arrives is multiplied by the local derivative, {number(most)}."
    return (
        f"Element by element, what arrives is multiplied by the local derivative, here "
        f"{number(least)} … {number(most)}."
    )


def _moved(p: Product, g: Any, card: Card, to: Card) -> str:
    g, raw = np.asarray(g), np.asarray(p.raw)
    if p.sign == "@":
        shapes = " @ ".join(str(np.shape(part.array)) for part in p.parts)
        return (
            f"A matrix product, {shapes} → {raw.shape}: each element of {to.title} collects what "
            f"arrives at every element of {card.title} that it went into, times its weight there."
        )
    if raw.size == g.size and np.array_equal(np.sort(raw, axis=None), np.sort(g, axis=None)):
        return f"The same numbers go back to where they were in {to.title} {to.shape}."
    if np.isin(raw[raw != 0], g).all():
        if (raw == 0).any():
            return f"What arrives goes to the elements that {card.title} took; the others get 0."
        return f"Each number that arrives goes to every element that {card.title} combined."
    if any(part.arrived and np.isin(part.array, g).all() for part in p.parts):
        return (
            f"What arrives goes to every element that {card.title} combined, each time multiplied "
            f"by the local derivative of that element."
        )
    return f"Each element of {to.title} went into several of {card.title}, and collects from all."


def remembered(names: list[str]) -> str:
    """What is kept for the way back."""
    if not names:
        return "Nothing needs to be remembered for the way back."
    return f"Remembered for the way back: {', '.join(dict.fromkeys(names))}."


def seed(loss: str) -> str:
    """How the way back starts."""
    return f"The way back starts here: when {loss} changes, {loss} changes just as much."


def silent(card: Card) -> str:
    """Why nothing is sent to a card."""
    if card.kind in ("data", "constant"):
        what = {"data": "data", "constant": "a constant"}[card.kind]
        return f"{card.title} is {what}: nothing is sent there."
    return f"No gradient flows to {card.title}."


def contribution(n: int, uses: int, to: Card) -> str:
    """Which of several contributions one is."""
    which = ORDINALS[n - 1] if n <= len(ORDINALS) else f"{n}th"
    count = COUNTS[uses - 1] if uses <= len(COUNTS) else str(uses)
    return f"The {which} of {count} contributions to {to.title}."


def layer(card: LayerCard) -> str:
    """What a card stands for."""
    return (
        f"{card.formula or card.title}: {len(card.members)} arrays, {card.parameters:,} numbers "
        f"to learn. A click on it opens it."
    )


def downhill(loss: str, before: float, after: float) -> str:
    """What a step of gradient descent does."""
    told = f"{loss} goes from {number(before, 4)} to {number(after, 4)}"
    return f"Every parameter moves a little against its gradient, and {told}."


def differences(gradient: Any, numerical: Any) -> str:
    """How well finite differences agree with a gradient."""
    error = float(np.max(np.abs(np.asarray(gradient) - numerical), initial=1e-9))
    bound = 10.0 ** (np.floor(np.log10(error)) + 1) if np.isfinite(error) else error
    return (
        f"The loss was computed again with each number a little larger, and a little smaller: its "
        f"slope differs from the gradient by less than {number(bound)}."
    )
