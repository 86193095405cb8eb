"""The forward and the backward pass over the cards of a graph, one step an operation."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.drawing.cards import Card, Graph
from tinygrad_lr.drawing.figures import number
from tinygrad_lr.drawing.formula import expression, literal
from tinygrad_lr.explorer.arrays import Arrays
from tinygrad_lr.explorer.mathml import math, mathml, name, sign, slope
from tinygrad_lr.explorer.replay import Replay
from tinygrad_lr.explorer.rules import Product, product
from tinygrad_lr.explorer.words import told
from tinygrad_lr.origin import locate
from tinygrad_lr.tensor import Tensor, gradients

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
ROLES = {True: "gradient", False: "local"}
Box = dict[str, Any]


class Sending(NamedTuple):
    """A gradient on its way from a result to its input i."""

    node: Tensor
    i: int
    product: Product


class Steps:
    """The steps of a page.

    Args:
        graph: the cards; the last one is the output.
        arrays: where the arrays of the page are kept.
    """

    def __init__(self, graph: Graph, arrays: Arrays) -> None:
        self.graph, self.arrays = graph, arrays
        self.card = {id(card.source): card for card in graph.cards}
        self.output = graph.cards[-1]
        self.loss = self.output.title if self.output.title.isidentifier() else "L"
        self.sums: dict[int, Any] = {}
        self.arrived: dict[int, list[tuple[str, Any]]] = defaultdict(list)
        self.sendings = self._sendings()
        self.uses = Counter(id(s.node.inputs[s.i]) for s in self.sendings)
        self.needed: dict[int, set[int]] = defaultdict(set)
        for s in self.sendings:
            self.needed[id(s.node)] |= s.product.used

    def _sendings(self) -> list[Sending]:
        """Every use of a rule, in the order of the backward pass."""
        found: list[Sending] = []

        def watched(node: Any, i: int, rule: Callable[..., Any], g: Any, y: Any, *inputs: Any,
                    **params: Any) -> Any:  # fmt: skip
            given = [x if id(v) in self.card or np.ndim(x) else np.asarray(x).item()
                     for v, x in zip(node.inputs, inputs, strict=True)]  # fmt: skip
            names = self.names(node)
            made = product(rule, g, y, given, i, params, names)
            found.append(Sending(node, i, made))
            return made.raw

        def rules(node: Any) -> Iterator[Any]:
            for i, rule in enumerate(node.op.rules):
                yield rule and partial(watched, node, i, rule)
                if i + 1 == len(node.inputs):
                    return

        gradients(self.output.source, rules=rules)
        return found

    def names(self, node: Tensor) -> dict[str, ast.expr]:
        """What the arguments of a node's rules are called."""
        card = self.card[id(node)]
        y = self.called(card, card)
        known = {"y": y, "g": ast.Attribute(y, "grad", ast.Load())}
        for k, x in enumerate(node.inputs):
            if id(x) in self.card:
                known[f"x{k}"] = self.called(self.card[id(x)], card)
            elif np.ndim(x):
                known[f"x{k}"] = expression(literal(x))
        return known

    def called(self, card: Card, place: Card) -> ast.expr:
        """A card's name, as it is called in the layer of another."""
        return expression(card.title if card.layer == place.layer else card.name)

    def all(self) -> list[Box]:
        """The steps, from the first to the last."""
        made = [card for card in self.graph.cards if getattr(card.source, "op", None)]
        steps: list[Box] = [{"p": "start"}]
        steps += [self.forward(card) for card in made]
        steps.append(self.seed())
        by_node: dict[int, list[Sending]] = {}
        for s in self.sendings:
            by_node.setdefault(id(s.node), []).append(s)
        steps += [self.backward(self.card[key], found) for key, found in by_node.items()]
        steps.append(self.done())
        for phase in ("forward", "backward"):
            of_phase = [step for step in steps if step["p"] == phase]
            for n, step in enumerate(of_phase, 1):
                step["n"] = f"{phase} {n} of {len(of_phase)}"
        return steps

    def entry(self, x: Any, role: str, label: str) -> Box:
        """An array in a row of a box."""
        return {"a": self.arrays.add(x), "r": role, "l": label}

    def forward(self, card: Card) -> Box:
        """The step that computes a card."""
        node, text = card.source, card.formula or card.title
        say = []
        needed = self.needed[id(node)]
        kept = [self.card[id(x)].title for k, x in enumerate(node.inputs)
                if k in needed and id(x) in self.card]  # fmt: skip
        kept += [card.title] if -1 in needed else []
        if kept:
            say.append(f"Remembered for the way back: {', '.join(dict.fromkeys(kept))}.")
        elif self.uses and id(node) in {id(s.node) for s in self.sendings}:
            say.append("Nothing needs to be remembered for the way back.")
        parts: list[Any] = []
        sources = [self.card[id(x)] for x in node.inputs if id(x) in self.card]
        shown = expression(text)
        signs = {ast.MatMult: "@", ast.Mult: "×", ast.Add: "+", ast.Sub: "−", ast.Div: "/"}
        between = signs.get(type(getattr(shown, "op", None)), ",")
        for source in sources:
            parts += [between] * bool(parts)
            parts.append(self.entry(source.value, "value", source.title))
        parts += ["=" if len(sources) > 1 and between != "," else "→"]
        parts.append(self.entry(card.value, "value", card.title))
        left = [name(card.title), sign("=")] if card.formula else []
        step = {
            "p": "forward",
            "k": card.k,
            "t": f"{card.title} = {card.formula}" if card.formula else card.title,
            "f": math(*left, mathml(expression(text))),
            "row": parts,
            "say": say,
        }
        place = locate(node.origin) if node.origin else None
        if place and place.statement:
            step["line"] = f"line {place.line}: {place.statement}"
        return step

    def seed(self) -> Box:
        """The step that starts the backward pass."""
        card = self.output
        self.sums[id(card.source)] = np.ones(card.shape)
        return {
            "p": "seed", "n": "backward", "k": card.k,
            "t": f"∂{self.loss}/∂{self.loss} = 1",
            "f": math(slope(name(self.loss), name(self.loss)), sign("="), "<mn>1</mn>"),
            "say": [f"The way back starts at {card.title}: it changes as fast as itself."],
            "sum": [[card.k, self.arrays.add(self.sums[id(card.source)])]],
        }  # fmt: skip

    def backward(self, card: Card, found: list[Sending]) -> Box:
        """The step that sends the gradient of a card to its inputs."""
        boxes = [box for s in found for box in self.boxes(card, s)]
        silent = [self.card[id(x)] for x in card.source.inputs
                  if id(x) in self.card and not getattr(x, "requires_grad", False)]  # fmt: skip
        say = [f"{c.title} is {'a constant' if c.kind == 'constant' else 'data'}: "
               f"nothing is sent there." for c in {c.k: c for c in silent}.values()]  # fmt: skip
        return {
            "p": "backward",
            "k": card.k,
            "t": f"through {card.title} = {card.formula}" if card.formula else
                 f"through {card.title}",
            "boxes": boxes,
            "say": say,
        }  # fmt: skip

    def boxes(self, card: Card, s: Sending) -> Iterator[Box]:
        """The box of one input that receives, and one for the sum of what it has received."""
        x = s.node.inputs[s.i]
        to, p = self.card[id(x)], s.product
        arrived = self.arrived[id(x)]
        arrived.append((card.title, p.sent))
        n, uses = len(arrived), self.uses[id(x)]
        total = self.sums[id(x)] = self.sums[id(x)] + p.sent if n > 1 else p.sent
        equals = "+=" if n > 1 else "="
        loss = name(self.loss)
        of = self.called(to, card)
        d = f"∂{self.loss}/∂"
        g = self.entry(self.sums[id(s.node)], "gradient", f"{d}{card.title} arrived")
        if p.local is not None:
            row = [g, "×", self.entry(p.local.array, "local", ast.unparse(p.local.text))]
        elif p.parts:
            texts = [self.entry(part.array, ROLES[part.arrived], ast.unparse(part.text))
                     for part in p.parts]  # fmt: skip
            row = [texts[0], p.sign, texts[1]]
        else:
            row = [g]
        sent = f"{d}{to.title}" + (" sent" if uses > 1 else "")
        equal = "=" if len(row) > 1 else "→"
        if np.shape(p.raw) != np.shape(p.sent):
            row += [equal, self.entry(p.raw, "gradient", f"as {card.title}"), "Σ→"]
        else:
            row.append(equal)
        row.append(self.entry(p.sent, "gradient", sent) | {"q": 1})
        say = told(p, self.sums[id(s.node)], card, to)
        if uses > 1:
            which = ORDINALS[n - 1] if n <= len(ORDINALS) else f"{n}th"
            count = f"{uses}" if uses > 9 else ("two three four five six seven eight nine".split())[uses - 2]
            say.append(f"The {which} of {count} contributions to {to.title}.")
        yield {
            "to": to.k,
            "e": f"{to.k}_{card.k}_{s.i}",
            "h": f"to {to.title}",
            "f": math(slope(loss, mathml(of)), sign(equals), mathml(p.text, loss)),
            "row": row,
            "say": say,
            "code": f"{ast.unparse(ast.Attribute(of, 'grad', ast.Load()))} {equals} {ast.unparse(p.text)}",
            "sum": self.arrays.add(total),
        }
        if n == uses > 1:
            yield {"h": f"accumulated in {to.title}", "row": self.contributions(to)}

    def contributions(self, to: Card) -> list[Any]:
        """What has arrived at a card, from where, and the sum."""
        row: list[Any] = []
        for source, sent in self.arrived[id(to.source)]:
            row += ["+"] * bool(row) + [self.entry(sent, "gradient", f"from {source}")]
        total = self.entry(self.sums[id(to.source)], "gradient", f"grad of {to.title}")
        return [*row, "=", total]

    def done(self) -> Box:
        """The last step: one step of gradient descent in numbers."""
        cards = [c for c in self.graph.cards if c.kind == "parameter" and c.gradient is not None]
        slopes = {c.source: c.gradient for c in cards}
        replay = Replay(self.output.source)
        rate, after = replay.downhill(slopes)
        boxes = []
        for c in cards:
            new = c.value - rate * c.gradient  # type: ignore[operator]
            row = [
                self.entry(c.value, "value", c.title), f"− {number(rate)} ×",
                self.entry(c.gradient, "gradient", f"∂{self.loss}/∂{c.title}"), "=",
                self.entry(new, "value", f"new {c.title}"),
            ]  # fmt: skip
            boxes.append({"h": c.title, "row": row, "code": f"{c.title} -= {number(rate)} * {c.title}.grad"})
        value = float(self.output.value.item())
        return {
            "p": "done",
            "t": "One step downhill",
            "boxes": boxes,
            "say": [f"Every parameter moves against its gradient, and {self.output.title} goes "
                    f"from {number(value, 4)} to {number(after, 4)}."],
        }  # fmt: skip
