"""Whether the array of a leaf was changed by somebody who holds it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

WHOLE, SAMPLE = 2**14, 2**12  # up to WHOLE elements all are hashed, of more about SAMPLE


class Guard:
    """Detects changes of an array that was handed out.

    A change between an operation and its backward pass would make the gradients wrong. The Tensor
    counts those by `t.data = ...`, `t.data -= ...` and optimizers. While somebody holds the array,
    a hash of its content is compared in every use and backward pass, in 1 µs for a hundred numbers,
    at most 40 µs: large arrays are sampled, and a change of a few elements may be missed.
    """

    __slots__ = ("digest",)

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.digest: int | None = content_hash(array)

    def expect_change(self) -> None:
        """Accept whatever content comes next: the Tensor has counted a change."""
        self.digest = None

    def update(self, array: npt.NDArray[Any], held: bool) -> bool:
        """Hash the content again; return whether it changed. Unless held, later calls do not."""
        before, self.digest = self.digest, None
        if held or before is not None:
            self.digest = content_hash(array)
        return before is not None and before != self.digest


def content_hash(array: npt.NDArray[Any]) -> int:
    """A number that changes with the elements, or with a sample of them if they are many."""
    flat = array.ravel(order="K")
    return hash((flat if flat.size <= WHOLE else flat[:: flat.size // SAMPLE]).tobytes())


def is_held(owner: Any) -> bool:
    """Whether anything but its owner refers to `owner._array`; a view does."""
    return sys.getrefcount(owner._array) > _ALONE


_probe = SimpleNamespace(_array=np.zeros(1))
_ALONE = sys.getrefcount(_probe._array)  # with the owner as only holder; Pythons differ
