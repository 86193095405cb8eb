"""The page: data, picture and template in one file that asks for nothing from anywhere."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from tinygrad_lr.drawing.figures import STRENGTHS
from tinygrad_lr.drawing.theme import DARK, FONTS, LIGHT, dark_rules

HERE = Path(__file__).parent
ROLES = ("value", "gradient")


def written(title: str, data: dict[str, Any]) -> str:
    """The page about some data as HTML.

    >>> "</script><b>" in written("</script><b>", {"x": "</script><b>"})
    False
    """
    fields = {
        "title": html.escape(title),
        "colours": colours(),
        "fonts": FONTS,
        "script": (HERE / "player.js").read_text(encoding="utf-8"),
        "data": embedded(data | tokens()),
    }
    template = (HERE / "template.html").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda field: fields[field[1]], template)


def embedded(data: Any) -> str:
    """Data as JSON that no text in it can leave."""
    said = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return said.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def colours() -> str:
    """The two themes as variables, and the rules that turn the picture's colours."""

    def variables(theme: dict[str, str]) -> str:
        return "".join(f"--{name.replace(' ', '-')}:{colour};" for name, colour in theme.items())

    local = "".join(
        f"--local{i}:color-mix(in srgb,var(--local) {5 * i}%,var(--paper));"
        for i in range(STRENGTHS)
    )
    return (
        f":root{{{variables(LIGHT)}{local}}}\n[data-theme=dark]{{{variables(DARK)}}}\n"
        f"[data-theme=dark] svg{{{dark_rules()}}}"
    )


def tokens() -> dict[str, Any]:
    """Which colour of the picture is a value's, and which a gradient's."""
    shades = {role: [LIGHT[f"{role}{i}"] for i in range(STRENGTHS)] for role in ROLES}
    known = {LIGHT[role]: role for role in ROLES}
    known |= {shade: role for role in ROLES for shade in shades[role]}
    return {"tokens": known, "heat": shades, "flaw": LIGHT["flaw"]}


def lean(svg: str) -> str:
    """A picture without what the page says itself: fonts, titles, comments, empty texts.

    >>> lean('<?xml?><!-- a --><svg><text xml:space="preserve" font-family="A"> </text></svg>')
    '<svg></svg>'
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(?s)<!--.*?-->|<title>.*?</title>| (xml:space|font-family)="[^"]*"', "", svg)
    svg = re.sub(r"<text[^>]*>(\s|&#160;|\u00a0)*</text>", "", svg)
    return re.sub(r"\n\s*", "", svg)
