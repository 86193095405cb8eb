"""What every example tells: its numbers and gradients beside the document's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

DATA = Path(__file__).parent / "data"
OUTPUT = Path("output")


@dataclass
class Row:
    """One line of the table.

    `printed` is a figure that the document prints, or that is right where the document is wrong;
    `ours` is the framework's. They agree if they differ by no more than `tolerance`, relatively.
    """

    document: str
    model: str
    loss: float
    accuracy: str
    figure: str
    printed: float
    ours: float
    tolerance: float
    gradient_difference: float

    @property
    def difference(self) -> float:
        return relative_difference(self.ours, self.printed)

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance and self.gradient_difference <= 1e-12


def relative_difference(a: Any, b: Any) -> float:
    """The largest |a - b|, as a share of the largest |b|; they must have the same shape."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"comparing the shapes {a.shape} and {b.shape}")
    return float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0))


def gradient_difference(ours: Sequence[Any], by_hand: Sequence[Any]) -> float:
    """The largest relative difference over the parameters."""
    return max(relative_difference(a, b) for a, b in zip(ours, by_hand, strict=True))


def table(rows: Sequence[Row]) -> str:
    """The rows as text, one line each."""
    lines = [
        ("doc", "model", "loss", "accuracy", "figure", "document", "ours", "agree", "gradients")
    ]
    for r in rows:
        agree = f"{r.difference:.0e}" if r.agrees else f"{r.difference:.0e} NO"
        lines.append(
            (r.document, r.model, f"{r.loss:.6g}", r.accuracy, r.figure, f"{r.printed:.10g}")
            + (f"{r.ours:.10g}", agree, f"{r.gradient_difference:.0e}")
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [lines[0], rule, *lines[1:]]
    )


def save_figure(name: str) -> None:
    """Save the current matplotlib figure as output/NAME.png."""
    OUTPUT.mkdir(exist_ok=True)
    plt.tight_layout()
    plt.savefig(OUTPUT / f"{name}.png", dpi=120)
    plt.close()
    print(f"saved {OUTPUT / name}.png")
