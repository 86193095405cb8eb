"""Axis lengths that remember which array and axis they came from: a program asks for them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any


def _computed(function: Callable[[int, int], int]) -> tuple[Any, Any]:
    """An operator and its reflection; the results remember how they were computed."""

    def direct(a: Any, b: Any) -> Any:
        numbers = isinstance(a, int) and isinstance(b, int)
        return Length(function(int(a), int(b)), function, a, b) if numbers else NotImplemented

    return direct, lambda b, a: direct(a, b)


class Length(int):
    """A whole number that depends on a shape.

    `terms` is (array, axis), or an operator and the numbers that it was computed from.

    >>> rows = Length(4, "X", 0)
    >>> (2 * rows).terms
    (<built-in function mul>, 2, 4)
    """

    terms: tuple[Any, ...]

    def __new__(cls, n: int, *terms: Any) -> Length:
        self = super().__new__(cls, n)
        self.terms = terms
        return self

    __add__, __radd__ = _computed(operator.add)
    __sub__, __rsub__ = _computed(operator.sub)
    __mul__, __rmul__ = _computed(operator.mul)
    __floordiv__, __rfloordiv__ = _computed(operator.floordiv)
    __mod__, __rmod__ = _computed(operator.mod)

    def __neg__(self) -> Length:
        return Length(-int(self), operator.neg, self)
