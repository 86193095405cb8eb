"""The page: data, picture and template in one file that asks for nothing from anywhere."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from tinygrad_lr.drawing.formatting import LEVELS
from tinygrad_lr.drawing.theme import DARK, FONTS, LIGHT, SHADES, dark_rules

HERE = Path(__file__).parent


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
        "data": embedded_json(data | colour_roles()),
    }
    template = (HERE / "template.html").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda field: fields[field[1]], template)


def embedded_json(data: Any) -> str:
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
    """A picture without what the page says itself: fonts, titles, comments, empty texts.

    >>> strip('<?xml?><!-- a --><svg><text xml:space="preserve" font-family="A"> </text></svg>')
    '<svg></svg>'
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(?s)<!--.*?-->|<title>.*?</title>| (xml:space|font-family)="[^"]*"', "", svg)
    svg = re.sub(r"<text[^>]*>(\s|&#160;|\u00a0)*</text>", "", svg)
    return re.sub(r"\n\s*", "", svg)
