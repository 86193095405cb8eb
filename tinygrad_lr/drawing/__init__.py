"""Computation graphs that belong in a book."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_lr.drawing.cards import graph
from tinygrad_lr.drawing.dot import picture
from tinygrad_lr.drawing.render import Picture, RendererNotFound
from tinygrad_lr.tensor import Tensor


def draw(
    output: Tensor,
    *,
    values: bool = True,
    gradients: bool = True,
    derivatives: bool | None = None,
    direction: str | None = None,
    theme: str = "light",
    depth: int | None = None,
    legend: bool = True,
    wrt: Sequence[Tensor] | None = None,
) -> Picture:
    """The computation of a tensor as a picture.

    >>> w = Tensor([1.0, -2.0], requires_grad=True)
    >>> loss = (w ** 2).sum()
    >>> print(draw(loss).text)
    w (2,)  [parameter]  value −2 … 1  grad −4 … 2
    w ** 2 (2,)  value 1 … 4  grad all 1
    loss = sum(w ** 2)  [loss]  value 5  grad 1
    """
    found = graph(output, gradient=gradients, derivatives=derivatives, wrt=wrt)
    return picture(
        found,
        values=values,
        gradients=gradients,
        direction=direction,
        theme=theme,
        legend=legend,
    )
