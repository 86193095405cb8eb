"""Arrays as the page shows them: texts and colour levels, each array once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.drawing.formatting import levels, nonfinite, number, table, value_range
from tinygrad_lr.drawing.labels import is_table

MAX_ELEMENTS, MAX_SIDE = 64, 8  # shown in full, and rows and columns of a larger array

Json = dict[str, Any]  # a piece of the page's data


class Arrays:
    """The arrays of a page; the rest of the data refers to one by its index in `entries`."""

    def __init__(self) -> None:
        self.entries: list[Json] = []
        self._indices: dict[Any, int] = {}

    def add(self, x: Any) -> int | None:
        """The index of an array; None for None.

        >>> arrays = Arrays()
        >>> arrays.add(np.eye(2)), arrays.add(np.eye(2)), arrays.entries
        (0, 0, [{'text': [['1', '0'], ['0', '1']], 'levels': ['70', '07'], 'shape': '(2, 2)'}])
        """
        if x is None:
            return None
        x = np.asarray(x, dtype=float)
        key = x.shape, x.tobytes()
        if key not in self._indices:
            self._indices[key] = len(self.entries)
            self.entries.append(describe(x))
        return self._indices[key]


def describe(x: Any) -> Json:
    """The `text` and colour `levels` of an array, row by row.

    Of a large array there is a part, and `excerpt` says so; `summary` is what a card of the
    picture shows, if it is not the table.
    """
    if x.size == 1:
        entry: Json = {"text": [[number(x.item())]], "levels": ["4" if x.item() else "0"]}
        return entry | ({"shape": str(x.shape)} if x.shape else {})
    part = x
    if x.size > MAX_ELEMENTS or x.ndim > 2:
        rows = x.reshape(-1, x.shape[-1])
        part = rows[:MAX_SIDE, :MAX_SIDE] if x.ndim > 1 else x[: 2 * MAX_SIDE]
    entry = {
        "text": table(part) if part.size else [],
        "levels": ["".join(map(str, row)) for row in levels(part)],
        "shape": str(x.shape),
    }
    if not is_table(x):
        entry["summary"] = value_range(x)
    if part.size < x.size:
        entry["excerpt"] = f"{part.size} of {x.size:,} numbers, which go from {value_range(x)}"
    if counts := nonfinite(x):
        entry["nonfinite"] = counts
    return entry
