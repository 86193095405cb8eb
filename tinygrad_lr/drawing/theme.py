"""The colours: a closed set of tokens, so that a style rule can find every part of a picture."""

from __future__ import annotations

from tinygrad_lr.drawing.figures import STRENGTHS


def _mixed(paper: str, hue: str, share: float) -> str:
    """A colour between two, as #rrggbb."""
    pairs = zip(bytes.fromhex(paper[1:]), bytes.fromhex(hue[1:]), strict=True)
    return "#" + "".join(f"{round(p + (h - p) * share):02x}" for p, h in pairs)


def _palette(colours: dict[str, str], heat: dict[str, tuple[str, str]]) -> dict[str, str]:
    shades = {
        f"{role}{i}": _mixed(*ends, i / (STRENGTHS - 1))
        for role, ends in heat.items()
        for i in range(STRENGTHS)
    }
    return colours | shades


LIGHT = _palette(
    {
        "paper": "#ffffff",
        "ink": "#1f2937",
        "soft": "#5b6675",
        "wire": "#6b7280",
        "border": "#4b5563",
        "faint": "#9aa3b0",
        "value": "#0b5cab",
        "gradient": "#b3470a",
        "local": "#7a1f5c",
        "chip": "#fbeaf5",
        "chip border": "#dba6c9",
        "parameter": "#e3eefb",
        "data": "#f1f3f5",
        "constant": "#fefefe",
        "operation": "#fffffe",
        "loss": "#fff1e0",
        "layer": "#f9fafc",
        "layer border": "#cbd2dc",
        "flaw": "#a4161a",
    },
    {"value": ("#fdfeff", "#85aed4"), "gradient": ("#fffefd", "#dba483")},
)
DARK = _palette(
    {
        "paper": "#0d1117",
        "ink": "#e6eaf0",
        "soft": "#a3adba",
        "wire": "#8b95a3",
        "border": "#8b94a1",
        "faint": "#6e7784",
        "value": "#7cb7ff",
        "gradient": "#ffab6b",
        "local": "#f0a3d8",
        "chip": "#3a1a30",
        "chip border": "#7d3f68",
        "parameter": "#15304f",
        "data": "#242b35",
        "constant": "#161b22",
        "operation": "#1a202a",
        "loss": "#43290f",
        "layer": "#121821",
        "layer border": "#39424f",
        "flaw": "#ff8f8f",
    },
    {"value": ("#1b2430", "#2a65a7"), "gradient": ("#2a221e", "#9c5527")},
)
FONT = "Arial"  # one name, a list would break the measures; Helvetica and Liberation are as wide
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def dark_rules() -> str:
    """CSS that turns the light colours of an SVG into the dark ones."""
    return "".join(
        f'[{part}="{LIGHT[token]}"]{{{part}:{DARK[token]}}}'
        for token in LIGHT
        for part in ("fill", "stroke")
    )
