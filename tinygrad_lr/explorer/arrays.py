"""Arrays as the page shows them: texts and colour strengths, each array once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.drawing.figures import flaw, number, span, strengths, table
from tinygrad_lr.drawing.labels import is_table

MOST, SIDE = 64, 8  # elements that are shown in full, and rows and columns of a larger array


class Arrays:
    """The arrays of a page; what refers to one is its place in the list `shown`."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self._known: dict[Any, int] = {}

    def add(self, x: Any) -> int:
        """The place of an array.

        >>> arrays = Arrays()
        >>> arrays.add(np.eye(2)), arrays.add(np.eye(2)), arrays.shown
        (0, 0, [{'t': [['1', '0'], ['0', '1']], 's': ['70', '07'], 'of': '(2, 2)'}])
        """
        x = np.asarray(x, dtype=float)
        key = x.shape, x.tobytes()
        if key not in self._known:
            self._known[key] = len(self.shown)
            self.shown.append(shown(x))
        return self._known[key]


def shown(x: Any) -> dict[str, Any]:
    """The texts `t` and strengths `s` of an array, row by row.

    `of` is its shape; of a large array there is a part, and `more` says so; `card` is what a
    card of the picture says, if it is not the table.
    """
    if x.size == 1:
        told: dict[str, Any] = {"t": [[number(x.item())]], "s": ["4" if x.item() else "0"]}
        return told | ({"of": str(x.shape)} if x.shape else {})
    part = x
    if x.size > MOST or x.ndim > 2:
        part = x.reshape(-1, x.shape[-1])[:SIDE, :SIDE] if x.ndim > 1 else x[: SIDE * 2]
    told = {
        "t": table(part) if part.size else [],
        "s": ["".join(map(str, row)) for row in strengths(part)],
        "of": str(x.shape),
    }
    if not is_table(x):
        told["card"] = span(x)
    if part is not x and part.size < x.size:
        told["more"] = f"{part.size} of {x.size:,} numbers, which go from {span(x)}"
    if wrong := flaw(x):
        told["flaw"] = wrong
    return told
