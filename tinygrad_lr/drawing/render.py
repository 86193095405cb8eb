"""Pictures on every machine: by the `dot` program if there is one, else by pygraphviz."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import graphviz

from tinygrad_lr.drawing.theme import FONTS, dark_rules

HELP = """nothing here can draw a picture. One of these can:
  pip install 'tinygrad_lr[draw]'      pygraphviz with all that it needs (Linux, macOS, Windows)
  pip install graphviz-pure            a small one, without PDF
  apt-get install graphviz             the dot program; on macOS: brew install graphviz
Without any: print(picture.source) is the DOT text, print(picture.text) the same in words"""
PYGRAPHVIZ = """
import sys, pygraphviz
source = sys.stdin.buffer.read().decode()
drawn = pygraphviz.AGraph(string=source).draw(format=sys.argv[1], prog=sys.argv[2])
sys.stdout.buffer.write(drawn)
"""


class RendererNotFound(graphviz.ExecutableNotFound):  # type: ignore[misc]
    """No way to make a picture; the message names the ways to install one."""

    def __init__(self, why: str = "") -> None:
        super().__init__(["dot"])
        self.args = (HELP + why,)

    def __str__(self) -> str:
        return str(self.args[0])


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A graphviz.Digraph that is drawn without the `dot` program, too.

    Attributes:
        text: the computation as plain text, one line a card.
        theme: "light", "dark", or "auto", which follows the reader's settings.
    """

    text = ""
    theme = "light"

    def __repr__(self) -> str:
        return self.text

    def pipe(self, format: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """As graphviz.Digraph.pipe: the picture as bytes, or as str with an encoding.

        Raises:
            RendererNotFound: if there is nothing to draw with.
        """
        format = format or self.format
        encoding = kwargs.pop("encoding", None)
        try:
            data = super().pipe(format, *args, **kwargs)
        except graphviz.ExecutableNotFound:
            data = draw_without_dot(self.source, format, kwargs.get("engine") or self.engine)
        if format == "svg":
            data = self._themed(data.decode()).encode()
        return data.decode(encoding) if encoding else data

    def _themed(self, svg: str) -> str:
        """An SVG with fonts that every machine has, and with the reader's colours."""
        svg = svg.replace('font-family="Helvetica,sans-Serif"', f'font-family="{FONTS}"')
        if self.theme != "auto":
            return svg
        style = f"<style>@media(prefers-color-scheme:dark){{{dark_rules()}}}</style>"
        return re.sub(r"(<svg[^>]*>)", lambda m: m[1] + style, svg, count=1)

    def render(
        self,
        filename: Any = None,
        directory: Any = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *,
        outfile: Any = None,
        **how: Any,
    ) -> str:
        """As graphviz.Digraph.render: write the DOT text and the picture; returns its path.

        Raises:
            RendererNotFound: if there is nothing to draw with.
        """
        if outfile is not None:
            target = Path(outfile)
            format, source = format or target.suffix[1:], filename or target.with_suffix(".gv")
        else:
            format, source = format or self.format, filename
        saved = self.save(source, directory)
        target = Path(f"{saved}.{format}") if outfile is None else Path(directory or "", outfile)
        target.write_bytes(self.pipe(format, **how))
        if cleanup:
            Path(saved).unlink()
        if view:
            graphviz.view(str(target))
        return str(target)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        """What Jupyter shows: the picture, and where nothing can draw it the text and advice."""
        wanted = set(include or ("image/svg+xml",)) - set(exclude or ())
        try:
            bundle = super()._repr_mimebundle_(wanted)
        except (graphviz.ExecutableNotFound, graphviz.CalledProcessError, ValueError) as error:
            return {"text/plain": f"{error}\n\n{self.text}"}
        return {**bundle, "text/plain": self.text}


def draw_without_dot(source: str, format: str, engine: str) -> bytes:
    """A picture by pygraphviz, in a process of its own, or else by graphviz-pure.

    A process: it takes what the C library prints and may do, crashes included.
    """
    command = [sys.executable, "-I", "-c", PYGRAPHVIZ, format, engine]
    result = subprocess.run(command, input=source.encode(), capture_output=True)
    complaint = result.stderr.decode(errors="replace")
    if result.returncode == 0 and "Error:" not in complaint:
        return result.stdout
    if "No module named 'pygraphviz'" not in complaint:
        raise ValueError(f"pygraphviz could not draw this:\n{complaint.strip()}")
    raise RendererNotFound
