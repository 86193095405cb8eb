"""What notebooks show of objects: tables, programs in colour and curves, as HTML."""

from __future__ import annotations

import html
import io
import itertools
import keyword
import math
import tokenize
from collections.abc import Sequence

COLOURS = {"comment": "#8a8a8a", "keyword": "#b5508c", "number": "#2f7fd0", "string": "#3f9142"}
WIDTH, HEIGHT = 240, 48  # pixels, of a curve


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts under their headings.

    >>> table(["path", "size"], [["W", "4"]])
    '<table><tr><th>path<th>size<tr><td>W<td>4</table>'
    """
    lines = [("th", head), *(("td", row) for row in rows)]
    cells = ["".join(f"<{tag}>{html.escape(text)}" for text in row) for tag, row in lines]
    return f"<table><tr>{'<tr>'.join(cells)}</table>"


def highlight(source: str) -> str:
    """A program with its keywords, numbers, texts and comments in colour.

    >>> highlight("x = 1").removeprefix("<pre>x = ")
    '<span style="color:#2f7fd0">1</span></pre>'
    """
    lengths = map(len, source.splitlines(keepends=True))
    starts = [0, *itertools.accumulate(lengths)]
    parts, position = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type].partition("_")[0].lower().replace("fstring", "string")
        kind = "keyword" if keyword.iskeyword(token.string) else kind
        if kind in COLOURS:
            start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            text = html.escape(source[start:end])
            parts += [
                html.escape(source[position:start]),
                f'<span style="color:{COLOURS[kind]}">{text}</span>',
            ]
            position = end
    return f"<pre>{''.join(parts)}{html.escape(source[position:])}</pre>"


def curve(points: Sequence[tuple[float, float]]) -> str:
    """A line through the points that are finite, as an SVG.

    >>> curve([(0, 4.0), (1, 2.0)]).split('"')[7]
    '0.0,0.0 240.0,48.0'
    """
    points = [(x, y) for x, y in points if math.isfinite(y)]
    xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    scale_x = WIDTH / (max(xs) - min(xs) or 1)
    scale_y = HEIGHT / (max(ys) - min(ys) or 1)
    at = [f"{scale_x * (x - min(xs)):.1f},{scale_y * (max(ys) - y):.1f}" for x, y in points]
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}">'
        f'<polyline points="{" ".join(at)}" fill="none" stroke="{COLOURS["number"]}"/></svg>'
    )
