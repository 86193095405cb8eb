"""Whether the array of a leaf was changed by somebody who holds it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

WHOLE, SAMPLE = 2**14, 2**12  # elements, up to which all are compared, and of larger arrays


class Guard:
    """Notices what is written into an array that was handed out.

    The rules of a backward pass read the data of leaves, so that a change between an operation and
    its backward pass would make the gradients wrong. `t.data = ...`, `t.data -= ...` and optimizers
    go through the Tensor, which counts the change. But whoever has got the array from `t.data` may
    write into it: while somebody holds it, a hash of its content is compared whenever the Tensor
    is used, and once in a backward pass. That takes 1 µs for a hundred numbers and at most 40 µs:
    of more than 16,384 elements every n-th is looked at, some 4,096. A change of most elements is
    seen, one of a few in a large array perhaps not.
    """

    __slots__ = ("digest",)

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.digest: int | None = content_hash(array)

    def expect_change(self) -> None:
        """Take the next content for granted: the Tensor has counted a change."""
        self.digest = None

    def changed(self, array: npt.NDArray[Any], held: bool) -> bool:
        """Whether the content is another than the last time; whether it is `held` matters later."""
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
_ALONE = sys.getrefcount(_probe._array)  # Pythons differ
