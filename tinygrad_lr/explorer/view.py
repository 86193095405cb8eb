"""One picture of a graph as data for the page: its cards, and one step per operation."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard
from tinygrad_lr.drawing.formatting import number
from tinygrad_lr.drawing.formula import expression
from tinygrad_lr.explorer import words
from tinygrad_lr.explorer.mathml import SIGNS, derivative, math, mathml, name, sign
from tinygrad_lr.explorer.page import Arrays, Json
from tinygrad_lr.explorer.predict import prediction
from tinygrad_lr.explorer.replay import Replay
from tinygrad_lr.explorer.vjps import Factor, VJPCall, statement
from tinygrad_lr.messages.origin import bracketed, locate

MAX_PARAMETERS = 6  # whose numbers are shown
Row = list[Any]  # arrays, with signs between them


class Contribution(NamedTuple):
    """What a card adds to the gradient of another; for a whole layer there is no single call."""

    card: Card
    target: Card
    gradient: Any
    call: VJPCall | None


class View:
    """The cards and steps of a graph, some of whose cards may be whole layers."""

    def __init__(self, graph: Graph, calls: Sequence[VJPCall], arrays: Arrays) -> None:
        self.graph, self.arrays = graph, arrays
        self.place = {inner: card for card in graph.cards for inner in card.unfold()}
        self.card = {id(inner.node): inner for inner in self.place}
        self.root = graph.output.unfold()[-1]
        self.loss = graph.output.title if graph.output.title.isidentifier() else "L"
        self.sums: dict[Card, Any] = {self.root: np.ones(self.root.shape)}
        self.incoming: dict[Card, list[Contribution]] = defaultdict(list)
        self.reads: dict[Card, set[int]] = defaultdict(set)
        self.outgoing: dict[Card, list[Contribution]] = defaultdict(list)
        for call in calls:
            self._add(call)
        self.uses = Counter(c.target for outgoing in self.outgoing.values() for c in outgoing)

    def _add(self, call: VJPCall) -> None:
        """Add a call; those from a layer to one card become one contribution."""
        result, target = self.card[id(call.node)], self.card[id(call.node.inputs[call.i])]
        self.reads[result] |= call.reads
        card, gradient = self.place[result], call.gradient
        outgoing = self.outgoing[card]
        if not isinstance(card, LayerCard):
            outgoing.append(Contribution(card, target, gradient, call))
        elif self.place[target] is not card:
            at = next((i for i, c in enumerate(outgoing) if c.target is target), len(outgoing))
            total = sum((c.gradient for c in outgoing[at : at + 1]), gradient)
            outgoing[at : at + 1] = [Contribution(card, target, total, None)]

    def steps(self) -> list[Json]:
        """The steps, from the first to the last."""
        computed = [c for c in self.graph.cards if isinstance(c, LayerCard) or c.is_result]
        forward = [self.forward(card) for card in computed]
        seed = self.seed()
        backward = [self.backward(card) for card in reversed(computed) if card in self.outgoing]
        for steps in (forward, backward):
            for n, step in enumerate(steps, 1):
                step["tag"] = f"{step['phase']} {n} of {len(steps)}"
        return [{"phase": "start"}, *forward, seed, *backward, self.downhill()]

    def array(self, x: Any, role: str, label: str) -> Json:
        """An array in a row: its role gives the colour, the label stands below it."""
        return {"array": self.arrays.add(x), "role": role, "label": label}

    def gradient(self, card: Card, x: Any, event: str = "") -> Json:
        """A gradient ∂loss/∂card in a row."""
        return self.array(x, "gradient", f"∂{self.loss}/∂{bracketed(card.title)}{event}")

    def forward(self, card: Card) -> Json:
        """The step that computes a card."""
        sources = [wire.source for wire in card.inputs]
        if isinstance(card, LayerCard):
            sources = list(dict.fromkeys(sources))
        tree = expression(card.formula or card.title)
        between = SIGNS.get(type(getattr(tree, "op", None)), ",")
        row = _join(between, [self.array(x.value, "value", x.title) for x in sources])
        equals = "=" if between != "," and len(sources) == 2 else "→"
        step = {
            "phase": "forward",
            "card": card.index,
            "from": [source.index for source in sources],
            "title": _equation(card),
            "row": [*row, equals, self.array(card.value, "value", card.title)],
        }
        if isinstance(card, LayerCard):
            return step | {"notes": [words.layer(card)]}
        left = [name(card.title), sign("=")] if card.formula else []
        step |= {"formula": math(*left, mathml(tree)), "notes": self.saved_values(card)}
        place = locate(card.node.origin) if card.node.origin else None
        if place and place.statement:
            step["line"] = f"line {place.line}: {place.statement}"
        return step

    def saved_values(self, card: Card) -> list[str]:
        """What the rules of a card will read."""
        if card not in self.outgoing:
            return []
        inputs = [self.card.get(id(x)) for x in card.node.inputs]
        saved = [self.place[x].title for i, x in enumerate(inputs) if x and i in self.reads[card]]
        return [words.saved_values(saved + [card.title] * (-1 in self.reads[card]))]

    def seed(self) -> Json:
        """The step that starts the backward pass."""
        loss, output = name(self.loss), self.graph.output
        total = [output.index, self.arrays.add(self.sums[self.root])]
        return {
            "phase": "seed", "tag": "backward", "card": output.index,
            "title": f"∂{self.loss}/∂{self.loss} = 1",
            "formula": math(derivative(loss, ast.Name(self.loss)), sign("="), "<mn>1</mn>"),
            "notes": [words.SEED.format(self.loss)],
            "sums": [] if isinstance(output, LayerCard) else [total],
        }  # fmt: skip

    def backward(self, card: Card) -> Json:
        """The step that passes the gradient of a card on to its inputs."""
        boxes: list[Json] = []
        sums: list[Any] = []
        for c in self.outgoing[card]:
            self.incoming[c.target].append(c)
            self.sums[c.target] = self.sums.get(c.target, 0) + c.gradient
            boxes += self.boxes(c)
            if c.target is self.place[c.target]:
                sums.append([c.target.index, self.arrays.add(self.sums[c.target])])
        step = {"phase": "backward", "card": card.index, "boxes": boxes, "sums": sums}
        if isinstance(card, LayerCard):
            sums.append([card.index, None])
            for x in card.parameters[:MAX_PARAMETERS]:
                boxes.append({"heading": x.title, "row": [self.gradient(x, x.gradient)]})
            return step | {"title": f"through {card.title}", "notes": [words.layer(card)]}
        inputs = dict.fromkeys(self.card[id(x)] for x in card.node.inputs if id(x) in self.card)
        receivers = {c.target for c in self.outgoing[card]}
        notes = [words.no_gradient(x) for x in inputs if x not in receivers]
        return step | {"title": f"through {_equation(card)}", "notes": notes}

    def boxes(self, c: Contribution) -> Iterator[Json]:
        """A box for a contribution, and after the last one a box for the sum."""
        n, uses, place = len(self.incoming[c.target]), self.uses[c.target], self.place[c.target]
        answer = self.gradient(c.target, c.gradient, " sent" * (uses > 1)) | {"answer": 1}
        count = [words.contribution(n, uses, c.target)] if uses > 1 else []
        box = {"target": place.index, "heading": f"to {place.title}", "complete": int(n == uses)}
        if c.call is None:
            output = c.card.unfold()[-1]
            row = [self.gradient(output, self.sums[output], " arrived"), "→", answer]
            yield box | {"wire": f"{place.index}_{c.card.index}", "row": row, "notes": count}
        else:
            notes = [*words.describe(c.call, c.card, c.target), *count]
            box |= self.rule(c.call, c, answer) | {"notes": notes}
            yield box | prediction(c.call, c.card, c.target, self.graph, uses)
        if n == uses > 1:
            row = self.contributions(c.target)
            yield {"heading": f"accumulated in {c.target.title}", "row": row}

    def rule(self, call: VJPCall, c: Contribution, answer: Json) -> Json:
        """The chain rule as a formula, in numbers, and as a line of NumPy."""
        target, loss = c.target.reference(c.card.layer), name(self.loss)
        equals = "=" if len(self.incoming[c.target]) == 1 else "+="
        row: Row = [self.gradient(c.card, call.g, " arrived")]
        if call.local:
            row += ["×", self.factor(call.local)]
        elif call.factors:
            row = _join(call.sign, [self.factor(x) for x in call.factors])
        row.append("=" if len(row) > 1 else "→")
        if np.shape(call.raw) != np.shape(call.gradient):
            row += [self.array(call.raw, "gradient", "for each copy"), "Σ →"]
        grad = ast.unparse(ast.Attribute(target, "grad", ast.Load()))
        return {
            "wire": f"{self.place[c.target].index}_{c.card.index}_{call.i}",
            "formula": math(derivative(loss, target), sign(equals), mathml(call.text, loss)),
            "row": [*row, answer],
            "code": statement(grad, equals, call.text),
        }

    def factor(self, x: Factor) -> Json:
        """A factor of a product, in its row."""
        role = "gradient" if x.has_gradient else "local"
        return self.array(x.array, role, ast.unparse(x.text))

    def contributions(self, card: Card) -> Row:
        """The contributions to a card, and their sum."""
        rows = [
            self.array(c.gradient, "gradient", f"from {c.card.title}") for c in self.incoming[card]
        ]
        total = self.array(self.sums[card], "gradient", f"grad of {card.title}")
        return [*_join("+", rows), "=", total]

    def downhill(self) -> Json:
        """The last step: one step of gradient descent in numbers."""
        cards = [c for c in self.place if c.kind == "parameter" and c.gradient is not None]
        rate, after = Replay(self.root.node).downhill({c.node: c.gradient for c in cards})
        boxes = []
        for c in cards[:MAX_PARAMETERS]:
            value, gradient = self.array(c.value, "value", c.title), self.gradient(c, c.gradient)
            new = self.array(c.value - rate * np.asarray(c.gradient), "value", f"new {c.title}")
            row = [value, f"− {number(rate)} ×", gradient, "=", new]
            code = f"{c.name} -= {rate:g} * {c.name}.grad"
            boxes.append({"heading": c.name, "row": row, "code": code})
        before = float(self.root.value.item())
        notes = [words.downhill(self.graph.output.title, before, after)]
        return {"phase": "done", "title": "One step downhill", "boxes": boxes, "notes": notes}

    def node(self, card: Card, difference: Any) -> Json:
        """A card as data, once the steps are there; `difference` is its finite difference."""
        node: Json = {"id": card.id, "index": card.index, "kind": card.kind, "name": card.name}
        if isinstance(card, LayerCard):
            return node | {"opens": card.paths[0], "notes": [words.layer(card)]}
        node |= {"value": self.arrays.add(card.value), "leaf": not card.is_result}
        if card.formula:
            node["formula"] = math(mathml(expression(card.formula)))
        if card.gradient is not None:
            node["gradient"] = gradient = self.gradient(card, card.gradient)
            if len(self.incoming[card]) > 1:
                node["contributions"] = self.contributions(card)
            if difference is not None:
                row = [gradient, "≈", self.array(difference, "gradient", "finite differences")]
                note = words.differences(card.gradient, difference)
                node["check"] = {"row": row, "notes": [note]}
        return node


def _equation(card: Card) -> str:
    return card.title + (f" = {card.formula}" if card.formula else "")


def _join(sign: str, arrays: list[Json]) -> Row:
    """Arrays with a sign between them."""
    return [part for array in arrays for part in (sign, array)][1:]
