"""The training as a film: what every array of a computation was at some of its steps."""

from __future__ import annotations

import html
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.drawing.cards import Graph
from tinygrad_lr.drawing.trace import graph
from tinygrad_lr.explorer.page import Arrays, Json
from tinygrad_lr.messages.notebook import curve
from tinygrad_lr.tensor import Tensor

MAX_FRAMES = 24


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
        self.frames: list[Frame] = []  # the last step, and those at multiples of the interval
        self._interval = 1

    def __call__(self, loss: Tensor) -> None:
        """Record a step.

        Args:
            loss: what is minimized, a scalar that requires a gradient.
        """
        arrays = {
            card.name: (card.value.copy(), None if card.gradient is None else card.gradient.copy())
            for card in graph(loss).cards
        }
        step = self.frames[-1].step + 1 if self.frames else 0
        if (step - 1) % self._interval:
            self.frames.pop()
        self.frames.append(Frame(step, float(loss._array.item()), arrays))
        if len(self.frames) > MAX_FRAMES and step % self._interval == 0:
            self.frames, self._interval = self.frames[::2], 2 * self._interval

    def __repr__(self) -> str:
        if not self.frames:
            return "<film of no steps>"
        first, last = self.frames[0], self.frames[-1]
        return f"<film of {last.step + 1} steps, loss {first.loss:.3g} to {last.loss:.3g}>"

    def _repr_html_(self) -> str:
        line = curve([(frame.step, frame.loss) for frame in self.frames])
        return f"<div>{html.escape(repr(self))}</div>{line}"

    def check(self, graph: Graph) -> None:
        """Raise ValueError if the film does not show the parameters of a computation."""
        shapes = {name: np.shape(value) for name, (value, _) in self.frames[-1].arrays.items()}
        for card in graph.cards:
            if card.kind == "parameter" and shapes.get(card.name) != card.shape:
                has = (
                    f"has the shape {shapes[card.name]}" if card.name in shapes else "is not there"
                )
                raise ValueError(
                    f"history is the film of another model: {card.name}, here of shape "
                    f"{card.shape}, {has}. Call the film with the loss of this model; the name= "
                    f"of a Tensor is the same everywhere"
                )

    def to_json(self, arrays: Arrays) -> Json:
        """The film as data: names once, and for each frame the indices of its arrays."""
        names = list(dict.fromkeys(name for frame in self.frames for name in frame.arrays))
        losses = np.array([frame.loss for frame in self.frames])
        finite = losses[np.isfinite(losses)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        heights = np.where(np.isfinite(losses), (high - losses) / ((high - low) or 1), 0)
        last = max(self.frames[-1].step, 1)

        def at(frame: Frame, i: int) -> list[int | None]:
            return [arrays.add(frame.arrays.get(name, (None, None))[i]) for name in names]

        frames = [
            {"step": f.step, "loss": arrays.add(f.loss), "values": at(f, 0), "gradients": at(f, 1)}
            for f in self.frames
        ]
        points = [[f.step / last, round(h, 4)] for f, h in zip(self.frames, heights, strict=True)]
        return {"names": names, "points": points, "frames": frames}
