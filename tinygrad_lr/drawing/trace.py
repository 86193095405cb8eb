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
from tinygrad_lr.drawing.layers import collapse, group_by_module, layers, modules_by_path
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
    labels, paths = names.find([output], frame, model), layers(values, modules)
    cards = _cards(values, labels, output)
    full = Graph(list(cards.values()), modules)
    for key, card in cards.items():
        card.layer = paths.get(key)
    _write_titles(full, cards, labels, depth)
    with np.errstate(all="ignore"):  # the picture shows what is not finite
        if gradient and output.requires_grad and output.size == 1:
            starts = full.cards if wrt is None else [cards[id(x)] for x in wrt if id(x) in cards]
            reached = full.downstream(starts)
            for x, g in gradients(output).items():
                cards[id(x)].gradient = np.asarray(g) if cards[id(x)] in reached else None
        if derivatives or (derivatives is None and all(c.value.size == 1 for c in full.cards)):
            for card in full.cards:
                _differentiate(card)
    return full if depth is None else collapse(full, depth)


def _cards(values: Sequence[Any], labels: Container[int], output: Tensor) -> dict[int, Card]:
    """A card for every value, by id, except for numbers that formulas spell out."""
    literals = set[int]()
    cards: dict[int, Card] = {}
    for x in values:
        if id(x) not in labels and _is_literal(x, literals):
            literals.add(id(x))
        else:
            card = Card(len(cards), _kind(x, output), x, np.asarray(unwrap(x)))
            inputs = [(i, cards.get(id(y))) for i, y in enumerate(getattr(x, "inputs", ()))]
            card.inputs = [Wire(source, card, i) for i, source in inputs if source]
            cards[id(x)] = card
    return cards


def _write_titles(
    graph: Graph, cards: Mapping[int, Card], labels: Mapping[int, str], depth: int | None
) -> None:
    """Give every card its name, title and formula; a short formula is a name for itself.

    An array without one is h₁ if it leaves its layer and v₁ if not, a parameter θ₁, data c₁.
    """
    outputs, used = _layer_outputs(graph, depth), dict.fromkeys(labels.values(), 1)
    counts = Counter[str]()
    for key, card in cards.items():
        tree = _formula(card, cards)
        text = ast.unparse(tree) if tree else ""
        if name := one_line(labels.get(key, "")):
            card.name, card.title, card.formula = name, name.removeprefix(f"{card.layer}."), text
        elif tree and len(text) <= MAX_FORMULA and card not in outputs:
            card.name, card.title, card.tree = text, text, tree
        else:
            name = outputs.get(card, "")
            if not name:
                letter = LETTERS.get(card.kind, "h" if card in outputs else "v")
                counts[letter] += 1
                name = f"{letter}{counts[letter]}".translate(SUBSCRIPTS)
            card.name = card.title = names.unique(name, used)
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
    """A value in the formulas of a layer: by the name on its card, or as a number."""
    card = cards.get(id(x))
    return card.reference(layer) if card else expression(literal(x))


def _layer_outputs(graph: Graph, depth: int | None) -> dict[Card, str]:
    """The results used outside of their layer, or outside of the card that hides it.

    Each has the title of that card, or "" if there is none.
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
    """Whether formulas spell out a value without a name, as the number that it is."""
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


def _differentiate(card: Card) -> None:
    """Give the wires between a scalar and its scalar inputs their local derivative."""
    x, scalars = card.node, [w for w in card.inputs if card.value.size == w.source.value.size == 1]
    for wire in scalars:
        y, rule = [*zip(x.inputs, x.op.rules, strict=False)][wire.argument]
        if rule and getattr(y, "requires_grad", False):
            dy = rule(np.ones_like(x._array), *as_arrays(x), **x.params)
            wire.local = float(unbroadcast(np.asarray(dy), y).item())
