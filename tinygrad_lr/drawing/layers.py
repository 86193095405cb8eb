"""Which layer every value of a graph belongs to, and whole layers as one card."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard, Wire
from tinygrad_lr.nn import Module
from tinygrad_lr.tensor import Tensor

FOLD = 3  # equal layers in a row, from which on they are one card


def modules_by_path(models: Mapping[str, Module]) -> dict[str, Module]:
    """Every Module of some models under its path in the graph."""
    return {
        ".".join(filter(None, (prefix, path))): module
        for prefix, model in models.items()
        for path, module in model.named_modules()
    }


def layers(values: Sequence[Any], modules: Mapping[str, Module]) -> dict[int, str]:
    """The path of the innermost Module of every value that belongs to one, by id.

    A parameter belongs to the Module that holds it; a result to the layer of a parameter that
    went into it, or else to that of an operand which the same call of the user's computed.
    """
    found = {
        id(tensor): path
        for path, module in modules.items()
        for tensor in module.named_tensors().values()
    }
    inside = {id(x) for x in values}
    found = {key: path for key, path in found.items() if key in inside}
    for x in values:
        if not (isinstance(x, Tensor) and x.op):
            continue
        held = [found[id(y)] for y in x.inputs if id(y) in found and not getattr(y, "op", None)]
        same = [y for y in x.inputs if getattr(y, "op", None) and y.origin == x.origin]
        held += [found[id(y)] for y in same if id(y) in found]
        if held:
            found[id(x)] = held[0]
    return found


def ancestor(path: str | None, modules: Mapping[str, Module], depth: int) -> str | None:
    """The Module at a depth of nesting that a layer lies in; None if it is a part of none."""
    around = sorted((p for p in modules if path is not None and _within(path, p)), key=len)
    if depth < len(around):
        return around[depth]
    is_innermost = not any(_within(p, path) for p in modules if p != path)
    return around[-1] if around and is_innermost else None


def _within(path: str | None, other: str | None) -> bool:
    """Whether a path is another, or leads further into it."""
    return path == other or other == "" or f"{path}.".startswith(f"{other}.")


def collapsed(graph: Graph, depth: int, opened: Container[str] = ()) -> Graph:
    """The graph with every Module at a depth of nesting as one card, and runs of equal ones too.

    Args:
        graph: all cards.
        depth: 0 makes one card of each model, 1 of each layer of it, and so on.
        opened: paths of the Modules that stay as they are.
    """
    groups: dict[int | str, list[Card]] = {}
    place: dict[int, int | str] = {}
    for card in graph.cards:
        path = ancestor(card.layer, graph.modules, depth)
        place[card.k] = card.k if path is None or path in opened else path
        groups.setdefault(place[card.k], []).append(card)
    out = {place[w.source]: w.source for w in graph.wires if place[w.source] != place[w.target]}
    results = {key: graph.cards[out.get(key, members[-1].k)] for key, members in groups.items()}
    cards = {
        key: LayerCard.of(key, graph.modules[key], results[key], members)
        if isinstance(key, str)
        else dataclasses.replace(members[0])
        for key, members in sorted(groups.items(), key=lambda group: results[group[0]].k)
    }
    for k, card in enumerate(cards.values()):
        card.k, card.inputs = k, []
    for wire in graph.wires:
        source, target = cards[place[wire.source]], cards[place[wire.target]]
        if source is not target:
            _join(source, target, wire)
    return Graph(_folded(list(cards.values())), graph.modules)


def _join(source: Card, target: Card, wire: Wire) -> None:
    """A wire between two cards; from or to a layer one is enough."""
    layered = isinstance(target, LayerCard)
    known = any(known.source == source.k for known in target.inputs)
    if known and (layered or isinstance(source, LayerCard)):
        return
    argument = len(target.inputs) if layered else wire.argument
    target.inputs.append(Wire(source.k, target.k, argument, wire.local))


def _folded(cards: list[Card]) -> list[Card]:
    """The cards with each run of equal layers as one."""
    uses = Counter(wire.source for card in cards for wire in card.inputs)
    runs: dict[int, list[LayerCard]] = {}
    for card in cards:
        if isinstance(card, LayerCard):
            before = cards[card.inputs[0].source] if len(card.inputs) == 1 else None
            follows = isinstance(before, LayerCard) and uses[before.k] == 1 and card.like(before)
            runs[card.k] = [*runs[before.k], card] if before and follows else [card]
    longest = {run[0].k: run for run in runs.values()}  # a longer run comes later
    gone: dict[int, int] = {}
    for run in longest.values():
        if len(run) >= FOLD:
            run[-1].fold(run)
            gone |= {card.k: run[-1].k for card in run[:-1]}
    kept = [card for card in cards if card.k not in gone]
    number = {card.k: k for k, card in enumerate(kept)}
    for card in kept:
        card.k = number[card.k]
        card.inputs = [
            dataclasses.replace(wire, source=number[wire.source], target=card.k)
            for wire in card.inputs
        ]
    return kept
