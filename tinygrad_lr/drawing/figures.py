"""Numbers as a person would print them, how strongly to colour them, and texts on one line."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt

NDArray = npt.NDArray[Any]
STRENGTHS = 8
CAP = 48  # characters of a text


def plain(text: str, cap: int = CAP) -> str:
    """A text as one line without control characters, of `cap` characters at most.

    >>> plain("two\\n lines\\x00"), plain("abcdef", 4)
    ('two lines', 'abc…')
    """
    line = " ".join(text.split())
    line = "".join(c for c in line if c == "\u200d" or unicodedata.category(c)[0] != "C")
    return line if len(line) <= cap else line[: cap - 1] + "…"


def number(x: float, digits: int = 3) -> str:
    """A number with some significant digits, whole ones whole, with a true minus sign.

    >>> [number(x) for x in (0.57444, -0.5, 1.0, 1234.56, 5e-4, 2.346e-6, -0.0)]
    ['0.574', '−0.5', '1', '1235', '0.0005', '2.35e−6', '0']
    """
    x = float(x)
    if not math.isfinite(x):
        return str(x).replace("-", "−")
    size = math.floor(math.log10(abs(x))) if x else 0
    if x == int(x) and size < 6:
        text = str(int(x))
    elif -5 < size < 6:
        text = f"{x:.{max(0, digits - 1 - size)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "−")


def table(x: NDArray) -> list[list[str]]:
    """The elements of an array of at most two axes, with the same number of decimals in all.

    >>> table(np.array([[1.5, -2.0], [0.25, 0.0]])), table(np.array([1.0, -0.0]))
    ([['1.50', '−2.00'], ['0.25', '0.00']], [['1', '0']])
    """
    x = np.atleast_2d(np.asarray(x, dtype=float))
    finite = x[np.isfinite(x)]
    largest = float(np.abs(finite).max(initial=0.0))
    size = math.floor(math.log10(largest)) if largest else 0
    if not -5 < size < 6:
        return [[number(v, 2) for v in row] for row in x]
    most = 1 - size if size < 0 else max(0, 2 - size)
    rounded = finite.round(most)
    decimals = next(d for d in range(most + 1) if (rounded.round(d) == rounded).all())
    return [[_fixed(v, decimals) for v in row] for row in x.tolist()]


def _fixed(v: float, decimals: int) -> str:
    text = f"{v:.{decimals}f}"
    return (text.lstrip("-") if v == v and float(text) == 0 else text).replace("-", "−")


def span(x: NDArray) -> str:
    """The range of an array that is too large to print.

    >>> span(np.zeros(99)), span(np.linspace(-2.56, 2, 99)), span(np.linspace(1, 1.001, 99))
    ('all 0', '−2.6 … 2', '≈ 1')
    """
    finite = np.asarray(x, dtype=float)[np.isfinite(x)]
    if not finite.size:
        return "no number" if np.size(x) else "empty"
    low, high = number(finite.min(), 2), number(finite.max(), 2)
    if low == high:
        return f"all {low}" if finite.min() == finite.max() else f"≈ {low}"
    return f"{low} … {high}"


def flaw(x: NDArray) -> str:
    """What of an array is not finite, in words; empty if all is well.

    >>> flaw(np.array([1.0, np.nan, -np.inf])), flaw(np.ones(3))
    ('1 nan, 1 inf of 3', '')
    """
    x = np.asarray(x, dtype=float)
    counts = {"nan": int(np.isnan(x).sum()), "inf": int(np.isinf(x).sum())}
    told = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    return f"{told} of {x.size}" if told and x.size > 1 else told


def strengths(x: NDArray) -> list[list[int]]:
    """How strongly to colour each element of a table: 0 to STRENGTHS - 1, by |x| / max |x|.

    >>> strengths(np.array([0.0, -0.5, 1.0, np.inf]))
    [[0, 4, 7, 0]]
    """
    size = np.abs(np.atleast_2d(np.asarray(x, dtype=float)))
    size[~np.isfinite(size)] = 0
    levels: list[list[int]] = (
        np.rint(size / (size.max(initial=0) or 1) * (STRENGTHS - 1)).astype(int).tolist()
    )
    return levels
