"""Pictures on every machine: by the `dot` program if there is one, else by pygraphviz."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import graphviz

from tinygrad_lr.drawing.theme import FONTS, dark_rules

HELP = """no renderer is installed. Any of these will do:
  pip install 'tinygrad_lr[draw]'   pygraphviz, with all of Graphviz (Linux, macOS, Windows)
  apt-get install graphviz          the dot program; on macOS brew, on Windows winget install
  pip install graphviz-pure         smaller, for SVG and PNG
Without one, picture.source is the DOT text and picture.text says the same in words."""
PYGRAPHVIZ = """
import sys, pygraphviz
source = sys.stdin.buffer.read().decode()
picture = pygraphviz.AGraph(string=source).draw(format=sys.argv[1], prog=sys.argv[2])
sys.stdout.buffer.write(picture)
"""


class RendererNotFound(graphviz.ExecutableNotFound):  # type: ignore[misc]
    """Nothing here can render a picture; the message says what to install."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(["dot"])
        self.args = (HELP + reason,)


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A graphviz.Digraph that needs no `dot` program.

    Attributes:
        text: the computation in words, one line per card.
        titles: the tooltip of each card in an SVG, by its id.
        theme: "light", "dark", or "auto", which follows the reader's settings.
    """

    text = ""
    theme = "light"
    titles: Mapping[str, str] = MappingProxyType({})

    def __repr__(self) -> str:
        return self.text

    def pipe(
        self, format: str | None = None, *args: Any, encoding: str | None = None, **options: Any
    ) -> Any:
        """As graphviz.Digraph.pipe: the picture as bytes, or as a str in an encoding.

        Raises:
            RendererNotFound: if no renderer is installed.
            graphviz.CalledProcessError: if it fails.
        """
        format = format or self.format
        try:
            data = super().pipe(format, *args, **options)
        except graphviz.ExecutableNotFound:
            data = draw_without_dot(self.source, format, options.get("engine") or self.engine)
        if format == "svg":
            data = self._styled(data.decode()).encode()
        return data.decode(encoding) if encoding else data

    def _styled(self, svg: str) -> str:
        """An SVG with fonts that every machine has, a tooltip for each card, the reader's theme."""
        svg = re.sub(' font-family="[^"]*"', "", svg)
        svg = svg.replace("<svg ", f'<svg font-family="{FONTS}" ', 1)

        def titled(group: re.Match[str]) -> str:
            text = self.titles.get(group[2])
            return group[1] + (f"<title>{html.escape(text)}</title>" if text else "")

        svg = re.sub(r'(?s)(<g id="(\w+)" class="\w+"[^>]*>\s*)<title>.*?</title>', titled, svg)
        if self.theme != "auto":
            return svg
        style = f"<style>@media(prefers-color-scheme:dark){{{dark_rules()}}}</style>"
        return re.sub(r"(<svg[^>]*>)", lambda tag: tag[1] + style, svg, count=1)

    def render(
        self,
        filename: Any = None,
        directory: Any = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *,
        outfile: Any = None,
        **options: Any,
    ) -> str:
        """As graphviz.Digraph.render: write the DOT text and the picture, and return its path.

        Raises: as `pipe`.
        """
        target = None if outfile is None else Path(directory or "", outfile)
        if target:
            format = format or target.suffix[1:]
            filename, directory = filename or target.with_suffix(".gv"), None
        format = format or self.format
        data = self.pipe(format, **options)
        source = Path(self.save(filename, directory=directory))
        target = target or Path(f"{source}.{format}")
        target.write_bytes(data)
        if cleanup:
            source.unlink()
        if view:
            graphviz.view(str(target))
        return str(target)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> Any:
        """What Jupyter shows: the picture; without a renderer, advice and the text."""
        try:
            return {**super()._repr_mimebundle_(include, exclude), "text/plain": self.text}
        except (graphviz.ExecutableNotFound, graphviz.CalledProcessError) as error:
            return {"text/plain": f"{error}\n\n{self.text}"}


def draw_without_dot(source: str, format: str, engine: str) -> bytes:
    """A picture by pygraphviz or graphviz-pure, each in a process of its own.

    It absorbs what the C library prints, and its crashes.

    Raises:
        RendererNotFound: if neither is installed.
        graphviz.CalledProcessError: if it fails.
    """
    reason = ""
    for command in renderers(format, engine):
        result = subprocess.run(command, input=source.encode(), capture_output=True)
        stderr = result.stderr.decode(errors="replace")
        if result.returncode == 0 and "Error:" not in stderr:
            return result.stdout
        if "ImportError" in stderr:
            reason = f"\npygraphviz is installed but does not load here: {stderr.splitlines()[-1]}"
        elif "No module named 'pygraphviz'" not in stderr:
            raise graphviz.CalledProcessError(result.returncode, command[:1], None, stderr)
    raise RendererNotFound(reason)


def renderers(format: str, engine: str) -> Iterator[list[str]]:
    """Commands that render DOT text from standard input, the better first."""
    yield [sys.executable, "-P", "-c", PYGRAPHVIZ, format, engine]
    beside = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))
    if program := beside or shutil.which("graphviz-pure"):
        yield [program, f"-T{format}", f"-K{engine}"]
