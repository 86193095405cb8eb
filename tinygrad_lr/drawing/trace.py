"""From a tensor to the cards of its computation."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.drawing.cards import Card, Graph, Wire, is_result, layer_title
from tinygrad_lr.drawing.formatting import one_line
from tinygrad_lr.drawing.formula import MAX_FORMULA, SUBSCRIPTS, expression, formula, literal
from tinygrad_lr.drawing.layers import collapsed, group_by_module, layers, modules_by_path
from tinygrad_lr.messages.frames import user_frame
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.naming import names
from tinygrad_lr.nn import Module
from tinygrad_lr.tensor import Tensor, as_arrays, gradients, unbroadcast

LETTERS = {"parameter": "θ", "data": "c", "constant": "c"}  # for arrays without a name


def graph(
    output: Tensor,
    gradient: bool = True,
    derivatives: bool | None = None,
    wrt: Sequence[Tensor] | None = None,
    depth: int | None = None,
    model: Module | None = None,
) -> Graph:
    """The cards of the computation behind a tensor; the arguments are those of `draw`.

    `model` is the Module that was called; by default those among the user's variables are found.

    >>> w = Tensor(3.0, requires_grad=True)
    >>> loss = (2 * w + 1) ** 2
    >>> print(graph(loss))
    w  [parameter]  value 3  grad 28
    2 * w  value 6  grad 14
    2 * w + 1  value 7  grad 14
    loss = (2 * w + 1) ** 2  [loss]  value 49  grad 1
    """
    frame = user_frame()
    values = names.nodes([output])
    modules = modules_by_path(names.modules(values, frame, model))
    known = names.find([output], frame, model)
    literals = set[int]()
    for x in values:
        if id(x) not in known and _is_literal(x, literals):
            literals.add(id(x))
    shown = [x for x in values if id(x) not in literals]
    if derivatives is None:
        derivatives = all(np.size(unwrap(x)) == 1 for x in shown)
    grads = {}
    if gradient and output.requires_grad and output.size == 1:
        with np.errstate(all="ignore"):  # the picture shows what is not finite
            grads = {id(x): np.asarray(g) for x, g in gradients(output).items()}
    layer = layers(values, modules)
    cards: dict[int, Card] = {}
    for x in shown:
        card = Card(len(cards), _kind(x, output), x, np.asarray(unwrap(x)))
        card.layer, card.gradient = layer.get(id(x)), grads.get(id(x))
        local = local_derivatives(x) if derivatives and is_result(x) else {}
        card.inputs = [
            Wire(cards[id(y)], card, i, local.get(i))
            for i, y in enumerate(getattr(x, "inputs", ()))
            if id(y) in cards
        ]
        cards[id(x)] = card
    full = Graph(list(cards.values()), modules)
    if wrt is not None:
        starts = [cards[id(x)] for x in wrt if id(x) in cards]
        for card in set(full.cards) - full.downstream(starts):
            card.gradient = None
    _write_titles(full, cards, known, depth)
    return full if depth is None else collapsed(full, depth)


def _write_titles(
    graph: Graph, cards: Mapping[int, Card], known: Mapping[int, str], depth: int | None
) -> None:
    """Give every card its name, title and formula; a short formula is a name for itself.

    What has no name is h₁ if it crosses layers, v₁ within one, θ₁ or c₁ if it went in.
    """
    crossing, taken = _crossing(graph, depth), dict.fromkeys(known.values(), 1)
    counts = Counter[str]()
    for key, card in cards.items():
        tree = _formula(card, cards)
        text = ast.unparse(tree) if tree else ""
        if name := one_line(known.get(key, "")):
            card.name, card.title, card.formula = name, name.removeprefix(f"{card.layer}."), text
        elif tree and len(text) <= MAX_FORMULA and card not in crossing:
            card.name, card.title, card.tree = text, text, tree
        else:
            name = crossing.get(card, "")
            if not name:
                letter = LETTERS.get(card.kind, "h" if card in crossing else "v")
                counts[letter] += 1
                name = f"{letter}{counts[letter]}".translate(SUBSCRIPTS)
            card.name = card.title = names.unique(name, taken)
            card.formula = text


def _formula(card: Card, cards: Mapping[int, Card]) -> ast.expr | None:
    """What an operation computes, in the names that its inputs have in its layer."""
    x = card.node
    if not card.is_result:
        return None
    operands = [operand(y, card.layer, cards) for y in x.inputs]
    if len(operands) == 1 and x.origin and all(p is None for p in x.params.values()):
        attribute = locate(x.origin).text.rpartition(".")[2]
        if attribute in ("T", "mT"):  # shorter than the formula of a transpose
            return ast.Attribute(operands[0], attribute)
    return formula(x.op, operands, x.params)


def operand(x: Any, layer: str | None, cards: Mapping[int, Card]) -> ast.expr:
    """What formulas in a layer call a value: as on its card, or the number that it is."""
    card = cards.get(id(x))
    return card.reference(layer) if card else expression(literal(x))


def _crossing(graph: Graph, depth: int | None) -> dict[Card, str]:
    """The results that are used outside of their layer, or of the card that hides it.

    With each goes the title of that card, or "" if there is none.
    """
    if depth is None:
        groups = {card: card.layer for card in graph.cards if card.layer is not None}
    else:
        groups = group_by_module(graph, depth)
    return {
        x: "" if depth is None else layer_title(groups[x], graph.modules[groups[x]])
        for x, y in ((wire.source, wire.target) for wire in graph.wires)
        if x.is_result and x in groups and groups[x] != groups.get(y)
    }


def _is_literal(x: Any, literals: Container[int]) -> bool:
    """Whether a value without a name is best written into a formula as the number that it is."""
    if getattr(x, "requires_grad", False):
        return False
    if is_result(x) and any(id(y) not in literals for y in x.inputs):
        return False
    array = np.asarray(unwrap(x))
    return array.size > 0 and bool((array == array.flat[0]).all())


def _kind(x: Any, output: Tensor) -> str:
    if is_result(x):
        if x is not output:
            return "operation"
        return "loss" if x.size == 1 and x.requires_grad else "output"
    if isinstance(x, Tensor) and x.requires_grad:
        return "parameter"
    return "data" if isinstance(x, Tensor) or np.ndim(x) else "constant"


@np.errstate(all="ignore")
def local_derivatives(x: Any) -> dict[int, float]:
    """The derivative of a scalar result with respect to each of its scalar inputs."""
    if x.size != 1:
        return {}
    arguments = (np.ones_like(x._array), *as_arrays(x))
    return {
        i: float(unbroadcast(np.asarray(rule(*arguments, **x.params)), y).item())
        for i, (y, rule) in enumerate(zip(x.inputs, x.op.rules, strict=False))
        if rule and isinstance(y, Tensor) and y.requires_grad and y.size == 1
    }
