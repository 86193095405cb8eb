"""The backward pass over the cards of a graph, with what each rule made of what arrived."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard
from tinygrad_lr.drawing.formula import expression, literal
from tinygrad_lr.drawing.trace import SUBSCRIPTS
from tinygrad_lr.explorer.rules import Product, product
from tinygrad_lr.tensor import Tensor, gradients


class Sending(NamedTuple):
    """A gradient on its way from a result, where g has arrived, to its input i."""

    node: Tensor
    i: int
    g: Any
    inputs: list[Any]
    product: Product


# Letters that Python takes in a name, for signs in the drawing's names that it does not take.
LETTERS = {str(i).translate(SUBSCRIPTS): f"ˍ{i}" for i in range(10)} | {"′": "ʹ"}


def called(card: Card, place: Card) -> ast.expr:
    """The name of a card, as it is called in the layer of another.

    >>> card = Card(0, "operation", "h₁ @ W", "h₁ @ W", "", np.zeros(1))
    >>> ast.unparse(ast.Attribute(called(card, card), "grad"))
    '(h₁ @ W).grad'
    """
    text = card.title if card.layer == place.layer else card.name
    for written, letter in LETTERS.items():
        text = text.replace(written, letter)
    node = expression(text)
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            for written, letter in LETTERS.items():
                part.id = part.id.replace(letter, written)
    return node


def sendings(graph: Graph) -> list[Sending]:
    """Every use of a rule in the backward pass from the last card, in its order."""
    cards = {id(card.source): card for card in graph.cards}
    found: list[Sending] = []

    def watched(
        node: Any, i: int, rule: Callable[..., Any], g: Any, y: Any, *inputs: Any, **params: Any
    ) -> Any:
        given = [
            x[()] if id(v) not in cards and isinstance(x, np.ndarray) and not x.ndim else x
            for v, x in zip(node.inputs, inputs, strict=True)
        ]
        made = product(rule, g, y, given, i, params, _names(node, cards))
        found.append(Sending(node, i, g, given, made))
        return made.raw

    def rules(node: Any) -> Iterator[Any]:
        for i, (rule, _) in enumerate(zip(node.op.rules, node.inputs, strict=False)):
            yield rule and partial(watched, node, i, rule)

    gradients(graph.cards[-1].source, rules_of=rules)
    return found


def _names(node: Tensor, cards: dict[int, Card]) -> dict[str, ast.expr]:
    """What the arguments of a node's rules are called."""
    card = cards[id(node)]
    y = called(card, card)
    known = {"y": y, "g": ast.Attribute(y, "grad", ast.Load())}
    for k, x in enumerate(node.inputs):
        if id(x) in cards:
            known[f"x{k}"] = called(cards[id(x)], card)
        elif np.ndim(x):
            known[f"x{k}"] = expression(literal(x))
    return known


def members(card: Card) -> Sequence[Card]:
    """The cards that a card stands for."""
    return card.members if isinstance(card, LayerCard) else [card]


def is_made(card: Card) -> bool:
    """Whether an operation made it."""
    return getattr(card.source, "op", None) is not None
