"""The colours: a closed set of tokens, so that a style rule can find every part of a picture."""

from __future__ import annotations

from tinygrad_lr.drawing.formatting import LEVELS

COLOURS = {  # token: (light, dark)
    "paper": ("#ffffff", "#0d1117"),
    "ink": ("#1f2937", "#e6eaf0"),
    "soft": ("#5b6675", "#a3adba"),
    "wire": ("#6b7280", "#8b95a3"),
    "border": ("#4b5563", "#8b94a1"),
    "faint": ("#9aa3b0", "#6e7784"),
    "value": ("#0b5cab", "#7cb7ff"),
    "gradient": ("#b3470a", "#ffab6b"),
    "local": ("#7a1f5c", "#f0a3d8"),
    "chip": ("#fbeaf5", "#3a1a30"),
    "chip border": ("#dba6c9", "#7d3f68"),
    "parameter": ("#e3eefb", "#15304f"),
    "data": ("#f1f3f5", "#242b35"),
    "constant": ("#fefefe", "#161b22"),
    "operation": ("#fffffe", "#1a202a"),
    "loss": ("#fff1e0", "#43290f"),
    "layer": ("#f9fafc", "#121821"),
    "layer border": ("#cbd2dc", "#39424f"),
    "nonfinite": ("#a4161a", "#ff8f8f"),
}
SHADES = {  # role: (weakest and strongest when light, the same when dark)
    "value": (("#fdfeff", "#85aed4"), ("#1b2430", "#2a65a7")),
    "gradient": (("#fffefd", "#dba483"), ("#2a221e", "#9c5527")),
}
FONT = "Arial"  # Graphviz cannot measure a list; Helvetica and Liberation are as wide
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def _mix(weak: str, strong: str, share: float) -> str:
    """A colour between two, as #rrggbb."""
    pairs = zip(bytes.fromhex(weak[1:]), bytes.fromhex(strong[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _palette(theme: int) -> dict[str, str]:
    """The colour of every token; value0, value1, ... are the shades of a role."""
    return {token: pair[theme] for token, pair in COLOURS.items()} | {
        f"{role}{level}": _mix(*ends[theme], level / (LEVELS - 1))
        for role, ends in SHADES.items()
        for level in range(LEVELS)
    }


LIGHT, DARK = _palette(0), _palette(1)


def dark_rules() -> str:
    """CSS that turns the light colours of an SVG into the dark ones."""
    return "".join(
        f'[{part}="{LIGHT[token]}"]{{{part}:{DARK[token]}}}'
        for token in LIGHT
        for part in ("fill", "stroke")
    )
