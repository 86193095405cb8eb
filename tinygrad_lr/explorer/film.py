"""The training as a film: what every array of a computation was at some of its steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.drawing.cards import Graph
from tinygrad_lr.drawing.trace import graph
from tinygrad_lr.explorer.arrays import Arrays
from tinygrad_lr.tensor import Tensor

MOST = 24  # frames


class Frame(NamedTuple):
    """A training step: its number, the loss, and (value, gradient) by the name of each array."""

    step: int
    loss: float
    arrays: dict[str, tuple[Any, Any]]


class Film:
    """Records a training, to be played by `explore(loss, history=film)`.

    Call it with the loss of every step, before the parameters change, and explore a loss that was
    computed after the last change. Of a long training it keeps up to 24 steps at equal distances,
    and the last.

    >>> w, film = Tensor(3.0, requires_grad=True), Film()
    >>> for step in range(100):
    ...     loss = (w - 1) ** 2
    ...     film(loss)
    ...     w.grad = None
    ...     loss.backward()
    ...     w.data -= 0.1 * w.grad
    >>> len(film.frames), film.frames[0].loss, film.frames[-1].step
    (14, 4.0, 99)
    """

    def __init__(self) -> None:
        self.kept: list[Frame] = []
        self.last: Frame | None = None
        self.every, self.seen = 1, 0

    def __call__(self, loss: Tensor) -> None:
        """Record a step.

        Args:
            loss: what is minimized, one number that requires a gradient.
        """
        arrays = {
            card.name: (card.value.copy(), None if card.gradient is None else card.gradient.copy())
            for card in graph(loss).cards
        }
        self.last = Frame(self.seen, float(loss._array.item()), arrays)
        if self.seen % self.every == 0:
            self.kept.append(self.last)
        if len(self.kept) > MOST:
            self.kept, self.every = self.kept[::2], 2 * self.every
        self.seen += 1

    @property
    def frames(self) -> list[Frame]:
        """The steps that are kept, in order."""
        last = [self.last] if self.last and self.kept[-1].step != self.last.step else []
        return [*self.kept, *last]


def check(film: Film, found: Graph) -> None:
    """Raise ValueError if a film does not show the parameters of a computation."""
    shown = {name: np.shape(value) for name, (value, _) in film.frames[-1].arrays.items()}
    for card in found.cards:
        if card.kind == "parameter" and shown.get(card.name) != card.value.shape:
            has = f"has the shape {shown[card.name]}" if card.name in shown else "is not there"
            raise ValueError(
                f"history is the film of another model: {card.name}, here of shape "
                f"{card.value.shape}, {has}. Call the film with the loss of this model; the name= "
                f"of a Tensor is the same everywhere"
            )


def told(film: Film, arrays: Arrays) -> dict[str, Any]:
    """The film as data for the page: names once, and for each frame the places of its arrays."""
    names = list(dict.fromkeys(name for frame in film.frames for name in frame.arrays))
    losses = np.array([frame.loss for frame in film.frames])
    finite = losses[np.isfinite(losses)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    heights = np.where(np.isfinite(losses), (high - losses) / ((high - low) or 1), 0)
    last = max(film.frames[-1].step, 1)
    return {
        "names": names,
        "points": [[f.step / last, round(h, 4)] for f, h in zip(film.frames, heights, strict=True)],
        "frames": [
            {
                "step": frame.step,
                "loss": arrays.add(frame.loss),
                "v": [_place(frame.arrays.get(name, (None, None))[0], arrays) for name in names],
                "g": [_place(frame.arrays.get(name, (None, None))[1], arrays) for name in names],
            }
            for frame in film.frames
        ],
    }


def _place(x: Any, arrays: Arrays) -> int | None:
    return None if x is None else arrays.add(x)
