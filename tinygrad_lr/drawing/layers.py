"""Which layer each array of a graph belongs to, and whole layers as one card."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard, Wire, is_result
from tinygrad_lr.nn import Module

MIN_RUN = 3  # equal layers in a row that become one card


def modules_by_path(models: Mapping[str, Module]) -> dict[str, Module]:
    """Every Module of some models under its path in the graph."""
    return {
        ".".join(filter(None, (prefix, path))): module
        for prefix, model in models.items()
        for path, module in model.named_modules()
    }


def layers(values: Sequence[Any], modules: Mapping[str, Module]) -> dict[int, str]:
    """The path of the innermost Module of every value that belongs to one, by id.

    A parameter belongs to the Module that holds it; a result to the layer of a parameter among
    its operands, or else to that of an operand which the same call of the user's computed.
    """
    holders = {
        id(tensor): path
        for path, module in modules.items()
        for tensor in module.named_tensors().values()
    }
    paths = {id(x): holders[id(x)] for x in values if id(x) in holders}
    for x in filter(is_result, values):
        leaves = [y for y in x.inputs if not is_result(y)]
        siblings = [y for y in x.inputs if is_result(y) and y.origin == x.origin]
        if candidates := [paths[id(y)] for y in (*leaves, *siblings) if id(y) in paths]:
            paths[id(x)] = candidates[0]
    return paths


def ancestor(path: str, modules: Mapping[str, Module], depth: int) -> str | None:
    """The Module around a layer at a depth of nesting, itself if nothing is in it; or None."""
    around = sorted((other for other in modules if _is_within(path, other)), key=len)
    if depth < len(around):
        return around[depth]
    return None if any(_is_within(p, path) for p in modules if p != path) else path


def _is_within(path: str, other: str) -> bool:
    """Whether a path equals another or lies below it."""
    return other == "" or f"{path}.".startswith(f"{other}.")


def group_by_module(graph: Graph, depth: int, opened: Container[str] = ()) -> dict[Card, str]:
    """The path of the Module, at a depth of nesting, that each card collapses into, if any.

    An operation without parameters belongs to a Module if it lies between two of its cards.
    """
    layers = {card: card.layer for card in graph.cards if card.layer is not None}
    around = {path: ancestor(path, graph.modules, depth) for path in layers.values()}
    groups = {card: module for card, path in layers.items() if (module := around[path]) is not None}
    for module in dict.fromkeys(groups.values()):
        members = [card for card, path in groups.items() if path == module]
        after, before = graph.downstream(members), {w.source for c in members for w in c.inputs}
        for card in reversed(graph.cards):
            if card in before:
                before.update(wire.source for wire in card.inputs)
                if card in after:
                    groups.setdefault(card, module)
    return {card: path for card, path in groups.items() if path not in opened}


def collapse(graph: Graph, depth: int, opened: Container[str] = ()) -> Graph:
    """The graph with each Module at a depth of nesting as one card, and each run of equal ones.

    Depth 0 makes one card of each model, 1 of each layer of it; those at the `opened` paths stay.
    """
    paths = group_by_module(graph, depth, opened)
    members: dict[Card | str, list[Card]] = {}
    for card in graph.cards:
        members.setdefault(paths.get(card, card), []).append(card)
    group = {card: key for key, cards in members.items() for card in cards}
    cards = {
        key: LayerCard.of(key, graph.modules[key], inner)
        if isinstance(key, str)
        else dataclasses.replace(key, inputs=[])
        for key, inner in sorted(members.items(), key=lambda group: group[1][-1].index)
    }
    for wire in graph.wires:
        source, target = cards[group[wire.source]], cards[group[wire.target]]
        if source is not target:
            _join(source, target, wire)
    return Graph(_fold(list(cards.values())), graph.modules)


def _join(source: Card, target: Card, wire: Wire) -> None:
    """Connect two cards; from or to a layer one wire is enough."""
    to_layer = isinstance(target, LayerCard)
    is_joined = any(other.source is source for other in target.inputs)
    if not is_joined or not (to_layer or isinstance(source, LayerCard)):
        argument = len(target.inputs) if to_layer else wire.argument
        target.inputs.append(Wire(source, target, argument, wire.local))


def _fold(cards: list[Card]) -> list[Card]:
    """The cards with each run of equal layers as one, renumbered."""
    uses = Counter[Card | None](wire.source for card in cards for wire in card.inputs)
    runs: dict[Card | None, list[LayerCard]] = {}
    for card in cards:
        if isinstance(card, LayerCard):
            before = card.inputs[0].source if len(card.inputs) == 1 else None
            run = runs.get(before, []) if uses[before] == 1 else []
            runs[card] = run if run and run[-1].signature == card.signature else []
            runs[card].append(card)
    folds = {card: run for run in runs.values() if len(run) >= MIN_RUN for card in run}
    cards = [card for card in cards if card not in folds or card is folds[card][-1]]
    for index, card in enumerate(cards):
        card.index = index
        if card in folds:
            folds[card][-1].fold(folds[card])
    return cards
