"""Numbers in few digits, arrays in few words, texts on one line."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt

NDArray = npt.NDArray[Any]
LEVELS = 8  # of colour, from weak to strong
MAX_TEXT = 48  # characters


def one_line(text: str, limit: int = MAX_TEXT) -> str:
    """A text as one line without control characters, of at most `limit` characters.

    >>> one_line("two\\n lines\\x00"), one_line("abcdef", 4)
    ('two lines', 'abc…')
    """
    line = " ".join(text.split())
    line = "".join(c for c in line if c == "\u200d" or unicodedata.category(c)[0] != "C")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(x: float, digits: int = 3) -> str:
    """A number with some significant digits, whole ones whole, with a true minus sign.

    >>> [number(x) for x in (0.57444, -0.5, 1.0, 1234.56, 5e-4, 2.346e-6, -0.0)]
    ['0.574', '−0.5', '1', '1235', '0.0005', '2.35e−6', '0']
    """
    x = float(x)
    size = math.floor(math.log10(abs(x))) if x and math.isfinite(x) else 0
    if not math.isfinite(x):
        text = str(x)
    elif x == int(x) and size < 6:
        text = str(int(x))
    elif -5 < size < 6:
        text = f"{x:.{max(0, digits - 1 - size)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "−")


def table(x: NDArray) -> list[list[str]]:
    """The elements of an array of at most two axes, all with the same number of decimals.

    >>> table(np.array([[1.5, -2.0], [0.25, 0.0]])), table(np.array([1.0, -0.0]))
    ([['1.50', '−2.00'], ['0.25', '0.00']], [['1', '0']])
    """
    x = np.atleast_2d(np.asarray(x, dtype=float))
    finite = x[np.isfinite(x)]
    largest = float(np.abs(finite).max(initial=0.0))
    size = math.floor(math.log10(largest)) if largest else 0
    if not -5 < size < 6:
        return [[number(v, 2) for v in row] for row in x]
    limit = 1 - size if size < 0 else max(0, 2 - size)
    rounded = finite.round(limit)
    decimals = next(d for d in range(limit + 1) if (rounded.round(d) == rounded).all())
    return [[f"{v:z.{decimals}f}".replace("-", "−") for v in row] for row in x.tolist()]


def value_range(x: NDArray) -> str:
    """The range of an array that is too large to print.

    >>> [value_range(x) for x in (np.zeros(9), np.linspace(-2.56, 2, 9), np.linspace(1, 1.001, 9))]
    ['all 0', '−2.6 … 2', '≈ 1']
    """
    finite = np.asarray(x, dtype=float)[np.isfinite(x)]
    if not finite.size:
        return "no number" if np.size(x) else "empty"
    low, high = number(finite.min(), 2), number(finite.max(), 2)
    if low == high:
        return f"all {low}" if finite.min() == finite.max() else f"≈ {low}"
    return f"{low} … {high}"


def nonfinite(x: NDArray) -> str:
    """How many elements are nan or inf, in words; empty if none is.

    >>> nonfinite(np.array([1.0, np.nan, -np.inf])), nonfinite(np.ones(3))
    ('1 nan, 1 inf of 3', '')
    """
    x = np.asarray(x, dtype=float)
    counts = {"nan": int(np.isnan(x).sum()), "inf": int(np.isinf(x).sum())}
    text = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    return f"{text} of {x.size}" if text and x.size > 1 else text


def summary(x: NDArray) -> str:
    """An array in a few words."""
    if x.size == 1:
        return number(x.item())
    return value_range(x) + (f" ({text})" if (text := nonfinite(x)) else "")


def levels(x: NDArray) -> list[list[int]]:
    """How strongly to colour each element of a table: 0 to LEVELS - 1, by |x| / max |x|.

    >>> levels(np.array([0.0, -0.5, 1.0, np.inf]))
    [[0, 4, 7, 0]]
    """
    size = np.abs(np.atleast_2d(np.asarray(x, dtype=float)))
    size[~np.isfinite(size)] = 0
    shares = size / (size.max(initial=0) or 1)
    rounded: list[list[int]] = np.rint(shares * (LEVELS - 1)).astype(int).tolist()
    return rounded
