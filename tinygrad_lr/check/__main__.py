"""python -m tinygrad_lr.check homework.py: mark the backward pass in a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tinygrad_lr.check.derivation.grade import grade


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report on each file; 0 if all gradients are right, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_lr.check",
        description="Mark the backward passes in files that define `forward`, `backward` and "
        "`inputs`: a dict, or a function that returns one.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="homework.py")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds a file may take")
    parser.add_argument("--csv", type=Path, help="where to write a table of all files")
    options = parser.parse_args(arguments)
    marks = grade(None, {str(f): f for f in options.files}, timeout=options.timeout)
    for mark in marks:
        print(f"{mark.name}\n\n{mark.report or mark.diagnosis}\n")
    if options.csv:
        marks.to_csv(options.csv)
    return 0 if all(mark.ok for mark in marks) else 1


if __name__ == "__main__":
    raise SystemExit(main())
