"""Computation graphs that belong in a book: cards, then DOT, then a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tinygrad_lr.drawing.dot import picture
from tinygrad_lr.drawing.render import Picture, RendererNotFound
from tinygrad_lr.drawing.trace import graph
from tinygrad_lr.naming.names import nodes
from tinygrad_lr.nn import Module, mode
from tinygrad_lr.tensor import Tensor

MAX_OPEN_CARDS = 40  # of a graph whose layers are drawn open


def draw(
    output: Tensor | Module,
    *inputs: Any,
    values: bool = True,
    gradients: bool = True,
    derivatives: bool | None = None,
    direction: str | None = None,
    theme: str = "light",
    depth: int | None = None,
    legend: bool = True,
    wrt: Sequence[Tensor] | None = None,
) -> Picture:
    """The computation of a tensor as a picture: a `graphviz.Digraph`, shown by Jupyter itself.

    Every array is a card with its name, shape, formula, value and gradient, and nobody needs to
    have named anything or called `backward()`; no `.grad` is changed. Blue is computed forward,
    orange backward. The id of a card in the SVG is n and its place in the order of computation,
    that of a wire e, then source, target and argument, with underscores between; where a local
    derivative sits on a wire, its first half has the suffix _tail, and the derivative d for e.

    Args:
        output: a tensor; or a Module, with what it is to be called with as `inputs`.
        values: whether to show the values.
        gradients: whether to show the gradients of the output, if it is a scalar.
        derivatives: whether to show local derivatives between scalars; default if all are.
        direction: "LR" from left to right, "TB" from top to bottom; default what fits.
        theme: "light", "dark", or "auto", by which an SVG follows the reader's settings.
        depth: of nesting at which a Module becomes one card, 0 the whole model, 1 its layers;
            default none for a graph of up to 40 cards.
        legend: whether to explain the colours.
        wrt: show gradients only on paths from these tensors to the output; default all.

    Raises:
        ValueError: for a graph of more than 300 cards, or an unknown direction or theme.
        TypeError: if the output has no graph.

    >>> w = Tensor([1.0, -2.0], requires_grad=True)
    >>> loss = (w ** 2).sum()
    >>> print(draw(loss).text)
    w (2,)  [parameter]  value −2 … 1  grad −4 … 2
    w ** 2 (2,)  value 1 … 4  grad all 1
    loss = sum(w ** 2)  [loss]  value 5  grad 1
    """
    if direction not in (None, "LR", "TB"):
        raise ValueError(f"draw: direction is 'LR' or 'TB', not {direction!r}")
    if theme not in ("light", "dark", "auto"):
        raise ValueError(f"draw: theme is 'light', 'dark' or 'auto', not {theme!r}")
    if inputs and isinstance(inputs[-1], (str, os.PathLike)):
        path = os.fspath(inputs[-1])
        raise TypeError(f"draw returns a picture; draw(...).render(outfile={path!r}) writes it")
    if not isinstance(output, Module if inputs else (Module, Tensor)):
        raise TypeError(
            f"draw: a Tensor, or a Module and what it is called with, can be drawn, not "
            f"{type(output).__name__}; .data, .numpy() and .item() are cut off from the graph"
        )
    model = output if isinstance(output, Module) else None
    with mode(training=False):
        result: Any = output if model is None else model(*inputs)
    if depth is None and (model is not None or len(nodes([result])) > MAX_OPEN_CARDS):
        depth = 1
    cards = graph(result, gradients, derivatives, wrt, depth, model)
    cards.check_size(
        "draw",
        "Draw fewer steps, or a part: any tensor in it can be drawn. depth=1 makes one card of "
        "each layer, depth=0 of the whole model",
    )
    return picture(cards, values, gradients, direction, theme, legend)
