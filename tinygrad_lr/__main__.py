"""Versions and extras, a demo, a page that explores it, and the marks of a homework."""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import platform
import re
import runpy
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tinygrad_lr
from tinygrad_lr.check import __main__ as check
from tinygrad_lr.drawing.render import RendererNotFound

DEMO = '''\
"""Logistic regression on four samples: trained, drawn, and written as NumPy."""

import sys

import numpy as np

import tinygrad_lr as tg

X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
y = np.array([1.0, 0.0, 0.0, 1.0])
w = tg.Tensor(np.zeros(2), requires_grad=True)
b = tg.Tensor(0.0, requires_grad=True)


def cost(X, y):
    z = X @ w + b
    return tg.binary_cross_entropy_with_logits(z, y)


sgd, film = tg.optim.SGD([w, b], lr=0.5), tg.Film()
for step in range(100):
    loss = cost(X, y)
    film(loss)
    sgd.zero_grad()
    loss.backward()
    sgd.step()
loss = cost(X, y)
if len(sys.argv) > 1:
    tg.explore(loss, sys.argv[1], history=film)
else:
    print(f"after {step + 1} steps the loss is {loss:.4f}\\n")
    print(tg.draw(loss).text, tg.to_numpy(cost, X, y), sep="\\n\\n")
'''


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m tinygrad_lr", description=__doc__)
    parser.add_argument("--version", action="version", version=tinygrad_lr.__version__)
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("info", help="versions and extras (the default)")
    demo = commands.add_parser("demo", help="train a small model, draw it, write it as NumPy")
    demo.add_argument("--source", action="store_true", help="print the demo instead of running it")
    page = commands.add_parser("explore", help="write a page that plays the demo's backpropagation")
    page.add_argument("path", nargs="?", default="explorer.html", help="default explorer.html")
    commands.add_parser("check", help="mark the backward passes in files", add_help=False)
    chosen, others = parser.parse_known_args(arguments)
    if chosen.command == "check":
        return check.main(others)
    if others:
        parser.error(f"unknown: {' '.join(others)}")
    if chosen.command == "explore":
        try:
            run_demo(chosen.path)
        except RendererNotFound as error:
            parser.exit(1, f"{error}\n")
        print(f"{chosen.path}: open it in a browser")
    elif chosen.command == "demo" and chosen.source:
        print(DEMO, end="")
    elif chosen.command == "demo":
        run_demo()
    else:
        print(info())
    return 0


def run_demo(*arguments: str) -> None:
    """Run the demo as a file of its own, since names are looked up outside of this package."""
    before = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "demo.py")
        path.write_text(DEMO, encoding="utf-8")
        sys.argv = [str(path), *arguments]
        try:
            runpy.run_path(str(path), run_name="__main__")
        finally:
            sys.argv = before


def info() -> str:
    """The versions of what is installed, and of each extra what is missing."""
    lines = [
        f"tinygrad_lr {tinygrad_lr.__version__}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, {platform.system()} {platform.machine()}",
        f"Graphviz's dot: {shutil.which('dot') or 'not found'}",
    ]
    for extra, packages in extras().items():
        texts = [f"{name} {version(name) or 'missing'}" for name in packages]
        lines.append(f"  [{extra}]".ljust(14) + ", ".join(texts))
    return "\n".join(lines)


def extras() -> dict[str, list[str]]:
    """The packages of each extra; empty if the package was not installed by pip."""
    try:
        requirements = metadata.requires("tinygrad_lr") or []
    except metadata.PackageNotFoundError:
        requirements = []
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        if extra := re.search(r"extra == ['\"]([\w-]+)['\"]", requirement):
            name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
            packages.setdefault(extra[1], []).append(name)
    return packages


def version(package: str) -> str:
    """The version of an installed package; "" if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
