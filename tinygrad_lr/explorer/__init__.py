"""One page, offline, that plays the forward and the backward pass of a computation."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from tinygrad_lr.drawing.dot import picture
from tinygrad_lr.drawing.trace import graph
from tinygrad_lr.explorer.arrays import Arrays
from tinygrad_lr.explorer.page import lean, written
from tinygrad_lr.explorer.view import view, words
from tinygrad_lr.tensor import Tensor


def explore(output: Tensor, path: str | Path | None = None, title: str | None = None) -> Any:
    """A page that plays the passes."""
    found = graph(output)
    arrays = Arrays()
    data = {"views": {"": view(found, arrays)}, "arrays": arrays.shown, "words": words()}
    page = written(title or f"{found.cards[-1].title}, forward and backward", data)
    Path(path).write_text(page, encoding="utf-8")
    return Path(path)
