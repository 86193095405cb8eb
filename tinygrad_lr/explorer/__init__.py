"""One page, offline, that plays the forward and the backward pass of a computation."""

from __future__ import annotations

import html
import os
import sys
from pathlib import Path
from typing import Any

from tinygrad_lr.drawing import MAX_OPEN_CARDS
from tinygrad_lr.drawing.cards import Graph, LayerCard
from tinygrad_lr.drawing.dot import picture
from tinygrad_lr.drawing.layers import collapse
from tinygrad_lr.drawing.render import Picture
from tinygrad_lr.drawing.trace import graph
from tinygrad_lr.explorer import page, predict, words
from tinygrad_lr.explorer.film import Film
from tinygrad_lr.explorer.replay import finite_differences
from tinygrad_lr.explorer.view import View
from tinygrad_lr.explorer.vjps import vjp_calls
from tinygrad_lr.messages import GradientError
from tinygrad_lr.nn import Module
from tinygrad_lr.tensor import Tensor

FRAME_HEIGHT = 820  # pixels, in a notebook
MAX_OPENED = 12  # layers of a large graph that can be opened


class Page:
    """A page; Jupyter shows it.

    Attributes:
        html: all of it.
        picture: the graph at its start.
    """

    def __init__(self, html: str, picture: Picture) -> None:
        self.html, self.picture = html, picture

    def __repr__(self) -> str:
        return repr(self.picture)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The page in a sandboxed frame; else the picture; else the text."""
        frame = (
            f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(self.html)}" '
            f'style="width:100%;height:{FRAME_HEIGHT}px;border:0"></iframe>'
        )
        svg = self.picture.pipe("svg", encoding="utf-8")
        return {"text/html": frame, "image/svg+xml": svg, "text/plain": self.picture.text}


def explore(
    output: Tensor | Module,
    *arguments: Any,
    path: str | os.PathLike[str] | None = None,
    history: Film | None = None,
    title: str | None = None,
) -> Any:
    """One self-contained HTML file that plays backpropagation on the computation of a loss.

    It steps through the forward and the backward pass on the picture that `draw` makes: each
    chain rule in numbers and as a line of NumPy, to be predicted, revealed and checked with
    finite differences. It needs no network and no server. In a notebook it shows itself.

    Args:
        output: the loss, a tensor with one element that requires a gradient; or a Module.
        arguments: the path of the file; or for a Module the data, the target, and
            loss(prediction, target), as in explore(model, X, y, tg.mse_loss), and then the path.
        path: the same by name; default "explorer.html", and no file in a notebook.
        history: the training of this computation up to here.
        title: of the page.

    Returns:
        The path of the file; or in a notebook, without a path, the page.

    Raises:
        GradientError: if there is no backward pass to play.
        ValueError: for a graph of more than 300 cards, or a film of another model.

    >>> import tempfile
    >>> w = Tensor([1.0, -2.0], requires_grad=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     explore((w ** 2).sum(), Path(folder, "page.html")).name
    'page.html'
    """
    model = None
    if isinstance(output, Module):
        if len(arguments) < 3 or not callable(arguments[2]):
            raise TypeError(
                "explore of a Module needs data, target and loss, as in "
                "explore(model, X, y, tg.binary_cross_entropy_with_logits)"
            )
        (X, y, loss), arguments = arguments[:3], arguments[3:]
        model, output = output, loss(output(X), y)
        if isinstance(output, Tensor):
            output.name = output.name or "loss"  # not what the result of explore is assigned to
    paths = [x for x in (*arguments, path) if x is not None]
    if len(paths) > 1 or not all(isinstance(x, (str, os.PathLike)) for x in paths):
        raise TypeError(f"explore(loss, path) takes one path, not {paths!r}")
    result = _page(output, model, history, title)
    if not paths and _in_a_notebook():
        return result
    file = Path(paths[0] if paths else "explorer.html")
    file.write_text(result.html, encoding="utf-8")
    return file


def _page(output: Any, model: Module | None, history: Film | None, title: str | None) -> Page:
    if not isinstance(output, Tensor) or output.op is None or not output.requires_grad:
        raise GradientError(
            f"explore plays the backward pass of a loss, and {output!r} has none: it is what a "
            f"loss function gives of parameters with requires_grad=True"
        )
    if output.size != 1:
        raise GradientError(
            f"explore plays the backward pass of a scalar, and this has the shape "
            f"{output.shape}: take its .sum() or .mean()"
        )
    full = graph(output, model=model)
    full.check_size("explore", "Explore fewer steps of it, or a smaller batch or model")
    if len(full.cards) > MAX_OPEN_CARDS:  # with derivatives on the wires a picture takes minutes
        for wire in full.wires:
            wire.local = None
    arrays, calls, differences = page.Arrays(), vjp_calls(full), finite_differences(full)
    views, pictures = {}, []
    for name, cards in _graphs(full).items():
        view, drawing = View(cards, calls, arrays), picture(cards, legend=False)
        views[name] = {
            "svg": page.strip(drawing.pipe("svg", encoding="utf-8")),
            "steps": view.steps(),
            "nodes": [view.node(card, differences.get(id(card.node))) for card in cards.cards],
        }
        pictures.append(drawing)
    data = {"views": views, "words": words.PAGE | predict.verdicts(full)}
    if history is not None and history.frames:
        history.check(full)
        data["film"] = history.to_json(arrays)
    title = title or f"{full.output.title}, forward and backward"
    return Page(page.render(title, data | {"arrays": arrays.entries}), pictures[0])


def _graphs(full: Graph) -> dict[str, Graph]:
    """The graph; a large one with its layers as cards, and once more for each layer opened."""
    if len(full.cards) <= MAX_OPEN_CARDS or not full.modules:
        return {"": full}
    closed = collapse(full, 1)
    paths = [path for c in closed.cards if isinstance(c, LayerCard) for path in c.paths]
    return {"": closed} | {path: collapse(full, 1, opened=[path]) for path in paths[:MAX_OPENED]}


def _in_a_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
