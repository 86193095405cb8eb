"""The page: arrays, pictures and template in one self-contained file."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lr.drawing.formatting import LEVELS, levels, nonfinite, number, table, value_range
from tinygrad_lr.drawing.labels import is_table
from tinygrad_lr.drawing.theme import DARK, FONTS, LIGHT, SHADES, dark_rules

HERE = Path(__file__).parent
MAX_ELEMENTS, MAX_SIDE = 64, 8  # shown in full, and rows and columns of a larger array
Json = dict[str, Any]  # a piece of the page's data


class Arrays:
    """The arrays of a page; the rest of the data refers to one by its index in `entries`."""

    def __init__(self) -> None:
        self.entries: list[Json] = []
        self._indices: dict[Any, int] = {}

    def add(self, x: Any) -> int | None:
        """The index of an array; None for None.

        >>> arrays = Arrays()
        >>> arrays.add(np.eye(2)), arrays.add(np.eye(2)), arrays.entries
        (0, 0, [{'text': [['1', '0'], ['0', '1']], 'levels': ['70', '07'], 'shape': '(2, 2)'}])
        """
        if x is None:
            return None
        x = np.asarray(x, dtype=float)
        key = x.shape, x.tobytes()
        if key not in self._indices:
            self._indices[key] = len(self.entries)
            self.entries.append(describe(x))
        return self._indices[key]


def describe(x: Any) -> Json:
    """The `text` and colour `levels` of an array, row by row.

    Of a large array there is a part, and `excerpt` says so; `summary` is what a card of the
    picture shows, if it is not the table.
    """
    if x.size == 1:
        entry: Json = {"text": [[number(x.item())]], "levels": ["4" if x.item() else "0"]}
        return entry | ({"shape": str(x.shape)} if x.shape else {})
    part = x
    if x.size > MAX_ELEMENTS or x.ndim > 2:
        rows = x.reshape(-1, x.shape[-1])
        part = rows[:MAX_SIDE, :MAX_SIDE] if x.ndim > 1 else x[: 2 * MAX_SIDE]
    entry = {
        "text": table(part) if part.size else [],
        "levels": ["".join(map(str, row)) for row in levels(part)],
        "shape": str(x.shape),
    }
    if not is_table(x):
        entry["summary"] = value_range(x)
    if part.size < x.size:
        entry["excerpt"] = f"{part.size} of {x.size:,} numbers, which go from {value_range(x)}"
    if counts := nonfinite(x):
        entry["nonfinite"] = counts
    return entry


def render(title: str, data: dict[str, Any]) -> str:
    """The page about some data as HTML.

    >>> "</script><b>" in render("</script><b>", {"x": "</script><b>"})
    False
    """
    fields = {
        "title": html.escape(title),
        "colours": style_sheet(),
        "fonts": FONTS,
        "script": (HERE / "player.js").read_text(encoding="utf-8"),
        "data": embed_json(data | colour_roles()),
    }
    template = (HERE / "template.html").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda field: fields[field[1]], template)


def embed_json(data: Any) -> str:
    """JSON for a script element, which no text in it can close."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def style_sheet() -> str:
    """The two themes as variables, and the rules that turn the picture's colours."""
    light, dark = (
        "".join(f"--{name.replace(' ', '-')}:{colour};" for name, colour in theme.items())
        for theme in (LIGHT, DARK)
    )
    local = "".join(
        f"--local{i}:color-mix(in srgb,var(--local) {5 * i}%,var(--paper));" for i in range(LEVELS)
    )
    return (
        f":root{{{light}{local}}}\n[data-theme=dark]{{{dark}}}\n"
        f"[data-theme=dark] svg{{{dark_rules()}}}"
    )


def colour_roles() -> dict[str, Any]:
    """Which colours of the picture belong to values, and which to gradients."""
    shades = {role: [LIGHT[f"{role}{i}"] for i in range(LEVELS)] for role in SHADES}
    roles = {colour: role for role in SHADES for colour in (LIGHT[role], *shades[role])}
    return {"roles": roles, "shades": shades, "nonfinite": LIGHT["nonfinite"]}


def strip(svg: str) -> str:
    """An SVG without what the page adds itself or does not need: fonts, titles, comments, spaces.

    >>> strip('<?xml?><!-- a --><svg><text xml:space="preserve" font-family="A"> </text></svg>')
    '<svg></svg>'
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(?s)<!--.*?-->|<title>.*?</title>| (xml:space|font-family)="[^"]*"', "", svg)
    svg = re.sub(r"<text[^>]*>(\s|&#160;|\u00a0)*</text>", "", svg)
    return re.sub(r"\n\s*", "", svg)
