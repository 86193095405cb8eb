"""From a tensor to the cards of its computation."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lr.drawing.cards import Card, Graph, Wire, layer_title
from tinygrad_lr.drawing.figures import plain
from tinygrad_lr.drawing.formula import LONG, expression, formula, literal
from tinygrad_lr.drawing.layers import ancestor, collapsed, layers, modules_by_path
from tinygrad_lr.messages.frames import user_frame
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.naming import names
from tinygrad_lr.nn import Module
from tinygrad_lr.tensor import Tensor, gradients, unbroadcast

Texts = Mapping[int, str]  # by the id of a value
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def graph(
    output: Tensor,
    *,
    gradient: bool = True,
    derivatives: bool | None = None,
    wrt: Sequence[Tensor] | None = None,
    depth: int | None = None,
    frame: FrameType | None = None,
    model: Module | None = None,
) -> Graph:
    """The cards of the computation behind a tensor.

    Args:
        output: what was computed.
        gradient: whether to compute the gradient of everything, if the output is one number.
        derivatives: whether wires between scalars have their local derivative; default if all
            of a graph's values are scalars.
        wrt: tensors outside of whose way to the output no gradient is shown; default all.
        depth: of nesting at which a Module becomes one card; default none does.
        frame: where the user's variables are; default the innermost frame outside the package.
        model: the Module that was called; default those among the variables.

    >>> w = Tensor(3.0, requires_grad=True)
    >>> loss = (2 * w + 1) ** 2
    >>> print(graph(loss))
    w  [parameter]  value 3  grad 28
    2 * w  value 6  grad 14
    2 * w + 1  value 7  grad 14
    loss = (2 * w + 1) ** 2  [loss]  value 49  grad 1
    """
    frame = frame or user_frame()
    values = names.nodes([output])
    models = modules_by_path(names.modules(values, frame, model))
    layer = layers(values, models)
    known = names.find([output], frame, model)
    slopes = {}
    if gradient and output.requires_grad and output.size == 1:
        with np.errstate(all="ignore"):  # what is not finite is told in the picture
            slopes = gradients(output)
    if wrt is not None:
        slopes = {x: slopes[x] for x in _leading_from(wrt, values) if x in slopes}
    literals: set[int] = set()
    for x in values:
        if id(x) not in known and _is_literal(x, literals):
            literals.add(id(x))
    shown = [x for x in values if id(x) not in literals]
    label = Labels(known, layer, _leaving(values, layer, models, depth))
    if derivatives is None:
        derivatives = all(np.size(_array(x)) == 1 for x in shown)
    cards: dict[int, Card] = {}
    for x in shown:
        kind = _kind(x, output)
        name, title, made = label.new(x, kind)
        card = Card(len(cards), kind, name, title, made, np.asarray(_array(x)))
        card.layer, card.source = layer.get(id(x)), x
        if isinstance(x, Tensor):
            card.gradient = np.asarray(slopes[x]) if x in slopes else None
            local = _locals(x) if derivatives else {}
            card.inputs = [
                Wire(cards[id(y)].k, card.k, i, local.get(i))
                for i, y in enumerate(x.inputs)
                if id(y) in cards
            ]
        cards[id(x)] = card
    found = Graph(list(cards.values()), models)
    return found if depth is None else collapsed(found, depth)


class Labels:
    """What a value is called in its card, and in the formulas of others.

    Args:
        known: the names that values have.
        layer: the paths of the layers that they belong to.
        leaving: the results that are used outside of their layer, with a name for them, or "".
    """

    def __init__(self, known: Texts, layer: Texts, leaving: Texts):
        self.known = {key: plain(name) for key, name in known.items() if plain(name)}
        self.layer, self.leaving = layer, leaving
        self.taken = dict.fromkeys(known.values(), 1)
        self.counts: dict[str, int] = {}
        self.pieces: dict[int, ast.expr] = {}

    def of(self, x: Any, layer: str | None) -> ast.expr:
        """A value in a formula of a layer: its name, the formula that stands for it, a number."""
        if id(x) in self.known and self.layer.get(id(x)) == layer:
            return expression(self.title(x))
        return self.pieces[id(x)] if id(x) in self.pieces else expression(literal(x))

    def title(self, x: Any) -> str:
        """A known name, without the path of the layer."""
        return self.known[id(x)].removeprefix(f"{self.layer.get(id(x))}.")

    def new(self, x: Any, kind: str) -> tuple[str, str, str]:
        """(name, title, formula) of a value; if it has no name, a short formula is its name."""
        made = None
        if _made(x):
            layer = self.layer.get(id(x))
            pieces = [self.of(y, layer) for y in x.inputs]
            made = _attribute(x, pieces) or formula(x.op, pieces, x.params)
        text = ast.unparse(made) if made else ""
        if id(x) in self.known:
            self.pieces[id(x)] = expression(self.known[id(x)])
            return self.known[id(x)], self.title(x), text
        if made and len(text) <= LONG and id(x) not in self.leaving:
            self.pieces[id(x)] = made
            return text, text, ""
        name = names.unique(self.leaving.get(id(x)) or self._numbered(x, kind), self.taken)
        self.pieces[id(x)] = ast.Name(name)
        return name, name, text

    def _numbered(self, x: Any, kind: str) -> str:
        """h₁ for what a layer hands on, v₁ within one formula, θ₁ and c₁ for what went in."""
        made = "h" if id(x) in self.leaving else "v"
        letter = {"parameter": "θ", "data": "c", "constant": "c"}.get(kind, made)
        self.counts[letter] = self.counts.get(letter, 0) + 1
        return f"{letter}{self.counts[letter]}".translate(SUBSCRIPTS)


def _attribute(x: Tensor, pieces: list[ast.expr]) -> ast.expr | None:
    """The W.T of one who wrote W.T, which no formula of a transpose is as short as."""
    if len(pieces) == 1 and x.origin and all(p is None for p in x.params.values()):
        name = locate(x.origin).text.rpartition(".")[2]
        return ast.Attribute(pieces[0], name) if name in ("T", "mT") else None
    return None


def _array(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else x


def _made(x: Any) -> bool:
    return isinstance(x, Tensor) and x.op is not None


def _is_literal(x: Any, literals: set[int]) -> bool:
    """Whether a value without a name is best written into a formula as the number that it is."""
    if getattr(x, "requires_grad", False):
        return False
    if _made(x) and any(id(y) not in literals for y in x.inputs):
        return False
    array = np.asarray(_array(x))
    return array.size > 0 and bool((array == array.flat[0]).all())


def _kind(x: Any, output: Tensor) -> str:
    if x is output and _made(x):
        return "loss" if x.size == 1 and x.requires_grad else "output"
    if _made(x):
        return "operation"
    if isinstance(x, Tensor) and x.requires_grad:
        return "parameter"
    return "data" if isinstance(x, Tensor) or np.ndim(x) else "constant"


def _leaving(
    values: Sequence[Any], layer: Texts, modules: Mapping[str, Module], depth: int | None
) -> dict[int, str]:
    """The results that are used outside of their layer, or of the card that hides it.

    With each goes the title of that card, or "" if there is none.
    """
    hidden: dict[str, str | None] = {path: path for path in layer.values()}
    if depth is not None:
        hidden = {path: ancestor(path, modules, depth) for path in hidden}
    group = {key: hidden[path] for key, path in layer.items() if hidden[path] is not None}
    found = {}
    for x in values:
        for y in x.inputs if _made(x) else ():
            path = group.get(id(y))
            if _made(y) and path is not None and path != group.get(id(x)):
                found[id(y)] = "" if depth is None else layer_title(path, modules[path])
    return found


def _leading_from(wrt: Sequence[Tensor], values: Sequence[Any]) -> list[Tensor]:
    """The tensors on the way from `wrt` to the output."""
    on = {id(x) for x in wrt}
    for x in values:
        if _made(x) and any(id(y) in on for y in x.inputs):
            on.add(id(x))
    return [x for x in values if id(x) in on]


def _locals(x: Tensor) -> dict[int, float]:
    """The derivative of a scalar result with respect to each of its scalar inputs."""
    if x.op is None or x.size != 1:
        return {}
    inputs = [_array(y) for y in x.inputs]
    found = {}
    for i, (y, rule) in enumerate(zip(x.inputs, x.op.rules, strict=False)):
        if isinstance(y, Tensor) and y.requires_grad and y.size == 1 and rule is not None:
            with np.errstate(all="ignore"):
                dx = rule(np.ones_like(x._array), x._array, *inputs, **x.params)
            found[i] = float(unbroadcast(np.asarray(dx), y).item())
    return found
