"""The forward and the backward pass over the cards of a graph, one step an operation."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard
from tinygrad_lr.drawing.figures import number
from tinygrad_lr.drawing.formula import expression
from tinygrad_lr.explorer import words
from tinygrad_lr.explorer.arrays import Arrays
from tinygrad_lr.explorer.mathml import derivative, math, mathml, name, sign, slope
from tinygrad_lr.explorer.passes import Sending, called, is_made, members
from tinygrad_lr.explorer.predict import asked
from tinygrad_lr.explorer.replay import Replay
from tinygrad_lr.explorer.rules import line
from tinygrad_lr.messages.origin import bracketed, locate

SIGNS: dict[Any, str] = {ast.MatMult: "@", ast.Mult: "×", ast.Add: "+", ast.Sub: "−", ast.Div: "/"}
PARAMETERS = 6  # whose step downhill is shown
Told = dict[str, Any]  # a piece of the page


class Contribution(NamedTuple):
    """What a card sends to another; of a whole layer there is no single rule that says it."""

    card: Card
    to: Card
    named: Card
    x: Any
    sent: Any
    sending: Sending | None


class Steps:
    """The steps of a view of a graph.

    Args:
        graph: the cards, some of which may be whole layers; the last one is the output.
        sendings: the backward pass.
        arrays: where the arrays of the page are kept.
    """

    def __init__(self, graph: Graph, sendings: Sequence[Sending], arrays: Arrays) -> None:
        self.graph, self.arrays = graph, arrays
        self.card = {id(member.source): card for card in graph.cards for member in members(card)}
        self.known = {id(m.source): m for card in graph.cards for m in members(card)}
        self.output = graph.cards[-1]
        root = self.output.result if isinstance(self.output, LayerCard) else self.output
        self.root: Any = root and root.source
        self.loss = self.output.title if self.output.title.isidentifier() else "L"
        self.sums: dict[int, Any] = {id(self.root): np.ones(self.output.shape)}
        self.arrived: dict[int, list[Contribution]] = defaultdict(list)
        self.needed: dict[int, set[int]] = defaultdict(set)
        self.sent: dict[int, list[Contribution]] = defaultdict(list)
        for s in sendings:
            self.needed[id(s.node)] |= s.product.used
            self._add(s)
        self.uses = Counter(id(c.x) for sent in self.sent.values() for c in sent)

    def _add(self, s: Sending) -> None:
        """Take in a sending; those of a layer to one value become one contribution."""
        x = s.node.inputs[s.i]
        card, to, named = self.card[id(s.node)], self.card[id(x)], self.known[id(x)]
        sent = self.sent[card.k]
        if not isinstance(card, LayerCard):
            sent.append(Contribution(card, to, named, x, s.product.sent, s))
        elif to is not card:
            same = [n for n, c in enumerate(sent) if c.x is x]
            for n in same:
                sent[n] = sent[n]._replace(sent=sent[n].sent + s.product.sent)
            if not same:
                sent.append(Contribution(card, to, named, x, s.product.sent, None))

    def all(self) -> list[Told]:
        """The steps, from the first to the last."""
        made = [c for c in self.graph.cards if isinstance(c, LayerCard) or is_made(c)]
        steps = [{"p": "start"}, *map(self.forward, made), self.seed()]
        steps += [self.backward(card) for card in reversed(made) if card.k in self.sent]
        steps.append(self.downhill())
        for phase in ("forward", "backward"):
            of_phase = [step for step in steps if step["p"] == phase]
            for n, step in enumerate(of_phase, 1):
                step["n"] = f"{phase} {n} of {len(of_phase)}"
        return steps

    def entry(self, x: Any, role: str, label: str) -> Told:
        """An array in a row: its place, its colour and what is written under it."""
        return {"a": self.arrays.add(x), "r": role, "l": label}

    def slope(self, card: Card) -> str:
        """∂loss/∂card as text."""
        return f"∂{self.loss}/∂{bracketed(card.title)}"

    def forward(self, card: Card) -> Told:
        """The step that computes a card."""
        sources = list({w.source: self.graph.cards[w.source] for w in card.inputs}.values())
        row: list[Any] = []
        formula = expression(card.formula or card.title)
        between = SIGNS.get(type(getattr(formula, "op", None)), ",")
        if not isinstance(card, LayerCard):
            sources = [self.graph.cards[w.source] for w in card.inputs]
        for source in sources:
            row += [between] * bool(row) + [self.entry(source.value, "value", source.title)]
        exact = between != "," and len(sources) == 2
        row += ["=" if exact else "→", self.entry(card.value, "value", card.title)]
        told = {
            "p": "forward",
            "k": card.k,
            "from": [source.k for source in sources],
            "t": f"{card.title} = {card.formula}" if card.formula else card.title,
            "row": row,
        }
        if isinstance(card, LayerCard):
            return told | {"say": [words.layer(card)]}
        left = [name(card.title), sign("=")] if card.formula else []
        told |= {"f": math(*left, mathml(formula)), "say": self.remembered(card)}
        place = locate(card.source.origin) if card.source.origin else None
        if place and place.statement:
            told["line"] = f"line {place.line}: {place.statement}"
        return told

    def remembered(self, card: Card) -> list[str]:
        """What the rules of a card will need."""
        if card.k not in self.sent:
            return []
        needed = self.needed[id(card.source)]
        inputs = [self.card.get(id(x)) for x in card.source.inputs]
        kept = [c.title for k, c in enumerate(inputs) if c and k in needed]
        return [words.remembered([*kept, card.title] if -1 in needed else kept)]

    def seed(self) -> Told:
        """The step that starts the backward pass."""
        d = slope(name(self.loss), name(self.loss))
        sum_ = [self.output.k, self.arrays.add(self.sums[id(self.root)])]
        return {
            "p": "seed", "n": "backward", "k": self.output.k,
            "t": f"∂{self.loss}/∂{self.loss} = 1",
            "f": math(d, sign("="), "<mn>1</mn>"),
            "say": [words.seed(self.loss)],
            "sums": [] if isinstance(self.output, LayerCard) else [sum_],
        }  # fmt: skip

    def backward(self, card: Card) -> Told:
        """The step that sends what has arrived at a card to its inputs."""
        boxes: list[Told] = []
        sums: list[Any] = []
        for c in self.sent[card.k]:
            self.arrived[id(c.x)].append(c)
            first = len(self.arrived[id(c.x)]) == 1
            self.sums[id(c.x)] = c.sent if first else self.sums[id(c.x)] + c.sent
            boxes += self.boxes(c)
            if not isinstance(c.to, LayerCard):
                sums.append([c.to.k, self.arrays.add(self.sums[id(c.x)])])
        told = {"p": "backward", "k": card.k, "boxes": boxes, "sums": sums}
        if isinstance(card, LayerCard):
            sums.append([card.k, None])
            parameters = [member for member in card.members if member.kind == "parameter"]
            boxes += map(self.parameter, parameters[:PARAMETERS])
            return told | {"t": f"through {card.title}", "say": [words.layer(card)]}
        receiving = {id(c.x) for c in self.sent[card.k]}
        silent = {id(x): self.known[id(x)] for x in card.source.inputs if id(x) in self.known}
        told["say"] = [words.silent(x) for key, x in silent.items() if key not in receiving]
        made = f" = {card.formula}" if card.formula else ""
        return told | {"t": f"through {card.title}{made}"}

    def parameter(self, card: Card) -> Told:
        """The box of a parameter inside of a layer."""
        return {"h": card.title, "row": [self.entry(card.gradient, "gradient", self.slope(card))]}

    def boxes(self, c: Contribution) -> Iterator[Told]:
        """The box of an input that receives, and at last one for the sum of what has arrived."""
        n, uses = len(self.arrived[id(c.x)]), self.uses[id(c.x)]
        sent = self.entry(c.sent, "gradient", self.slope(c.named) + " sent" * (uses > 1)) | {"q": 1}
        count = [words.contribution(n, uses, c.named)] if uses > 1 else []
        told = {"to": c.to.k, "h": f"to {c.to.title}", "full": int(n == uses)}
        if c.sending is None:
            result = c.card.result if isinstance(c.card, LayerCard) else None
            g = self.sums[id(result.source)] if result else c.sent
            row = [self.entry(g, "gradient", f"{self.slope(result or c.card)} arrived"), "→", sent]
            yield told | {"e": f"{c.to.k}_{c.card.k}", "row": row, "say": count}
        else:
            yield (
                told
                | self.rule(c.sending, c, sent)
                | {
                    "say": [*words.told(c.sending.product, c.sending.g, c.card, c.named), *count],
                    **asked(c.sending, c.card, c.named, self.graph, uses),
                }
            )
        if n == uses > 1:
            yield {"h": f"accumulated in {c.named.title}", "row": self.contributions(c.x, c.named)}

    def rule(self, s: Sending, c: Contribution, sent: Told) -> Told:
        """The chain rule as a formula, in numbers, and as a line of NumPy."""
        p, of = s.product, called(c.named, c.card)
        equals = "=" if len(self.arrived[id(c.x)]) == 1 else "+="
        loss, roles = name(self.loss), {True: "gradient", False: "local"}
        row: list[Any] = [self.entry(s.g, "gradient", f"{self.slope(c.card)} arrived")]
        if p.local is not None:
            row += ["×", self.entry(p.local.array, "local", ast.unparse(p.local.text))]
        elif p.parts:
            texts = [
                self.entry(part.array, roles[part.arrived], ast.unparse(part.text))
                for part in p.parts
            ]
            row = [texts[0], p.sign, texts[1]]
        row.append("=" if len(row) > 1 else "→")
        if np.shape(p.raw) != np.shape(p.sent):
            row += [self.entry(p.raw, "gradient", "for each copy"), "Σ →"]
        grad = ast.unparse(ast.Attribute(of, "grad", ast.Load()))
        return {
            "e": f"{c.to.k}_{c.card.k}_{s.i}",
            "f": math(derivative(loss, of), sign(equals), mathml(p.text, loss)),
            "row": [*row, sent],
            "code": line(grad, equals, p.text),
        }

    def contributions(self, x: Any, to: Card) -> list[Any]:
        """What has arrived at a value, from where, and the sum."""
        row: list[Any] = []
        for c in self.arrived[id(x)]:
            row += ["+"] * bool(row) + [self.entry(c.sent, "gradient", f"from {c.card.title}")]
        return [*row, "=", self.entry(self.sums[id(x)], "gradient", f"grad of {to.title}")]

    def downhill(self) -> Told:
        """The last step: one step of gradient descent in numbers."""
        cards = [c for card in self.graph.cards for c in members(card)]
        cards = [c for c in cards if c.kind == "parameter" and c.gradient is not None]
        rate, after = Replay(self.root).downhill({c.source: c.gradient for c in cards})
        boxes = []
        for c in cards[:PARAMETERS]:
            row = [
                self.entry(c.value, "value", c.title), f"− {number(rate)} ×",
                self.entry(c.gradient, "gradient", self.slope(c)), "=",
                self.entry(c.value - rate * np.asarray(c.gradient), "value", f"new {c.title}"),
            ]  # fmt: skip
            boxes.append({"h": c.name, "row": row, "code": f"{c.name} -= {rate:g} * {c.name}.grad"})
        before = float(self.output.value.item())
        said = words.downhill(self.output.title, before, after)
        return {"p": "done", "t": "One step downhill", "boxes": boxes, "say": [said]}
