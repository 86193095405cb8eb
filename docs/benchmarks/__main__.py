"""Race on the workloads, print the table, and write it to docs/performance.md."""

from __future__ import annotations

import argparse
import compileall
import datetime
import importlib.metadata
import math
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

import tinygrad_lr
from docs.benchmarks.measure import (
    BASELINE,
    COMPETITORS,
    ONE_THREAD,
    Result,
    bytes_a_node,
    race,
)
from docs.benchmarks.problems import CHAIN, PROBLEMS, Unavailable

PAGE = Path(__file__).parents[1] / "performance.md"
GENERATED = re.compile(r"(?s)(?<=<!-- generated -->\n).*(?=<!-- /generated -->)")
PACKAGES = ("numpy", "torch", "jax", "autograd", "mygrad")
Race = dict[str, Result | Unavailable]


def cpu() -> str:
    """The processor's name, if the system has it."""
    try:
        info = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*: (.*)", info)[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def versions() -> str:
    """The versions of Python and of the packages."""
    texts = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            texts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            texts.append(f"{name} not installed")
    return ", ".join(texts)


def two_digits(x: float) -> str:
    """0.0123 as .012, 1.23 as 1.2, 123 as 120."""
    x = float(f"{x:.1e}")
    return f"{x:.{max(0, 1 - math.floor(math.log10(x)))}f}".removeprefix("0")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown, with numbers to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def figures(races: dict[str, Race], figure: Callable[[Result, Race], str]) -> str:
    """The table of a figure: a row a workload, a column a competitor."""
    rows = [
        [
            f"{workload} {PROBLEMS[workload].__doc__}",
            *(figure(r, results) if isinstance(r, Result) else "–" for r in results.values()),
        ]
        for workload, results in races.items()
    ]
    return table(["workload", *(competitor.name for competitor in COMPETITORS)], rows)


def ratio(result: Result, results: Race) -> str:
    """A step's time as a multiple of the baseline's, whose own is in µs."""
    baseline = results[BASELINE.name]
    if result is baseline:
        return f"{two_digits(1e6 * result.seconds())} µs"
    return two_digits(result.ratio(baseline))


def first_step(result: Result, _: Race) -> str:
    """The milliseconds of the first step."""
    return two_digits(1e3 * result.first)


def report(races: dict[str, Race]) -> str:
    """The generated part of the page."""
    skipped: dict[str, list[str]] = {}
    for workload, results in races.items():
        for name, result in results.items():
            if isinstance(result, Unavailable):
                skipped.setdefault(f"{name}: {result}", []).append(workload)
    parts = [
        f"{cpu()}, {os.cpu_count()} cores. {versions()}. {datetime.date.today()}, "
        f"`python -m docs.benchmarks`.",
        "A step's time as a multiple of that of the documents' NumPy, whose own is in µs:",
        figures(races, ratio),
        "The first step in milliseconds, with compilation:",
        figures(races, first_step),
    ]
    if "W7" in races:
        seconds = {n: r.seconds() for n, r in races["W7"].items() if isinstance(r, Result)}
        each = ", ".join(f"{n} {two_digits(1e6 * s / CHAIN)}" for n, s in seconds.items())
        parts.append(
            f"Of W7 an operation, forward and backward, takes these µs: {each}. A node of "
            f"tinygrad_lr takes {bytes_a_node():.0f} bytes beside the array of its result."
        )
    if skipped:
        lines = [f"- {reason} ({', '.join(where)})" for reason, where in skipped.items()]
        parts.append("\n".join(["Left out:", "", *lines]))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=PROBLEMS, help="these workloads; writes nothing"
    )
    parser.add_argument("--quick", action="store_true", help="a second each; writes nothing")
    options = parser.parse_args()
    compileall.compile_dir(Path(tinygrad_lr.__file__).parent, quiet=1)  # as an installer does
    os.environ.update(ONE_THREAD)  # before the processes that inherit it
    races = {}
    for workload in options.only or PROBLEMS:
        print(workload, file=sys.stderr)
        races[workload] = race(PROBLEMS[workload], seconds=1 if options.quick else 20)
    text = report(races)
    print(text)
    if not options.only and not options.quick:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(GENERATED.sub(lambda _: f"\n{text}\n\n", page), encoding="utf-8")


if __name__ == "__main__":
    main()
