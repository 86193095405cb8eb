"""The results of an example, beside the document's: numbers, gradients, figures."""

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


@dataclass(kw_only=True)
class Row:
    """One line of the table.

    `printed` is a figure of the document, or the right one if that is wrong, or None if it prints
    none; `ours` is the framework's. They agree if their relative difference is at most `tolerance`
    and the gradients are those derived by hand.
    """

    document: str
    model: str
    loss: float
    accuracy: str = ""
    figure: str
    printed: float | None = None
    ours: float
    tolerance: float = 0.0
    gradient_difference: float

    @property
    def difference(self) -> float:
        return 0.0 if self.printed is None else relative_difference(self.ours, self.printed)

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance and self.gradient_difference <= 1e-12


def relative_difference(a: Any, b: Any) -> float:
    """max |a - b| / max |b| for equal shapes; inf for a nan."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"comparing the shapes {a.shape} and {b.shape}")
    difference = np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0)
    return float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf))


def gradient_difference(ours: Sequence[Any], by_hand: Sequence[Any]) -> float:
    """The largest relative difference over the parameters."""
    return max(relative_difference(a, b) for a, b in zip(ours, by_hand, strict=True))


def table(rows: Sequence[Row]) -> str:
    """The rows as text; "-" for a figure that the document does not print.

    Differences are relative; gradients may differ by 1e-12.
    """
    lines = [
        ("doc", "model", "loss", "accuracy", "figure", "document", "ours")
        + ("difference", "allowed", "gradients", "agree")
    ]
    for r in rows:
        unprinted = r.printed is None
        lines.append(
            (r.document, r.model, f"{r.loss:.6g}", r.accuracy, r.figure)
            + ("-" if unprinted else f"{r.printed:.10g}", f"{r.ours:.10g}")
            + (("-", "-") if unprinted else (f"{r.difference:.0e}", f"{r.tolerance:.0e}"))
            + (f"{r.gradient_difference:.0e}", "yes" if r.agrees else "NO")
        )
    return aligned(lines)


def aligned(lines: Sequence[tuple[str, ...]]) -> str:
    """A table as text, with a rule below its first line."""
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
