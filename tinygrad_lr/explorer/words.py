"""What a step does, in words, as far as its numbers show it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.drawing.cards import Card
from tinygrad_lr.drawing.figures import number
from tinygrad_lr.explorer.rules import Product


def told(p: Product, g: Any, card: Card, to: Card) -> list[str]:
    """What the rule of `card` makes of the gradient g for the input `to`."""
    said = [_multiplied(p) if p.local is not None else _moved(p, g, card, to)]
    if np.shape(p.raw) != np.shape(p.sent):
        said.append(
            f"{to.title} {to.shape} was repeated to {np.shape(p.raw)}, so what arrives for each "
            f"copy is added up."
        )
    return said


def _multiplied(p: Product) -> str:
    local = np.asarray(p.local.array)  # type: ignore[union-attr]
    least, most = (float(f(local)) for f in (np.min, np.max))
    if not np.isfinite(local).all():
        return "The local derivative is not finite here."
    if least == most == 1:
        return "The local derivative is 1: what arrives is passed on as it is."
    if least == most == -1:
        return "The local derivative is −1: what arrives is passed on with the other sign."
    if not local.any():
        return "The local derivative is 0: nothing passes."
    if set(np.unique(local)) <= {0.0, 1.0}:
        zeros = int((local == 0).sum())
        return f"A gate: where it is 1 all passes, where it is 0 nothing ({zeros} of {local.size})."
    if local.size == 1 or least == most:
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
    values = np.unique(raw[raw != 0])
    if np.isin(values, g).all():
        if (raw == 0).any():
            return f"What arrives goes to the elements that {card.title} took; the others get 0."
        return f"Each number that arrives goes to every element that {card.title} combined."
    return f"Each element of {to.title} went into several of {card.title}, and collects from all."
