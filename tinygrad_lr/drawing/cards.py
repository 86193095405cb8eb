"""The computation as data, before there is any picture: one card per array."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lr.drawing.formatting import NDArray, number, summary
from tinygrad_lr.drawing.formula import expression
from tinygrad_lr.nn import Module

MAX_CARDS = 300  # a picture of more cannot be read


@dataclass(eq=False)
class Wire:
    """One use of an array: from the card `source` into `argument` of the card `target`.

    `local` is the derivative of a scalar target with respect to a scalar source, or None.
    """

    source: Card
    target: Card
    argument: int
    local: float | None = None

    @property
    def key(self) -> str:
        """Source, target and argument, as in the ids of the SVG."""
        return f"{self.source.index}_{self.target.index}_{self.argument}"


@dataclass(eq=False)
class Card:
    """One array of a computation, with the operation that computes it.

    Attributes:
        index: its place in the order of computation.
        kind: "parameter", "data", "constant", "operation", "loss" (the output, if it is a
            scalar) or "output".
        node: the Tensor, ndarray or number in the graph.
        value: the array.
        gradient: of the output with respect to it, or None.
        layer: the path of the Module that it belongs to, or None.
        inputs: the wires that end here.
        name: unique in the graph; what formulas call it.
        title: the name within its layer, as W for layers.0.W.
        formula: of its operation, in the titles of its inputs; "" if the title is the formula.
        tree: the syntax tree of such a title.
    """

    index: int
    kind: str
    node: Any
    value: NDArray
    gradient: NDArray | None = None
    layer: str | None = None
    inputs: list[Wire] = field(default_factory=list)
    name: str = ""
    title: str = ""
    formula: str = ""
    tree: ast.expr | None = None

    @property
    def id(self) -> str:
        """n and the index, the same in the SVG."""
        return f"n{self.index}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    @property
    def is_result(self) -> bool:
        """Whether one operation computes it."""
        return is_result(self.node)

    def reference(self, layer: str | None) -> ast.expr:
        """It in the formulas of a layer."""
        return self.tree or expression(self.title if self.layer == layer else self.name)

    def unfold(self) -> Sequence[Card]:
        """The cards that it stands for, the output last."""
        return [self]

    def details(self) -> str:
        """Its kind and numbers."""
        kind = "" if self.kind == "operation" else f"  [{self.kind}]"
        gradient = "" if self.gradient is None else f"  grad {summary(self.gradient)}"
        return f"{kind}  value {summary(self.value)}{gradient}"

    def __str__(self) -> str:
        shape = f" {self.shape}" if self.shape else ""
        formula = f" = {self.formula}" if self.formula else ""
        return f"{self.name}{shape}{formula}{self.details()}"


@dataclass(eq=False, kw_only=True)
class LayerCard(Card):
    """A whole Module, or a run of equal ones, as one card; `value` is what comes out.

    Attributes:
        members: the cards that it stands for.
        paths: of the Modules that it stands for.
    """

    members: Sequence[Card]
    paths: Sequence[str]

    @classmethod
    def of(cls, path: str, module: Module, members: Sequence[Card]) -> LayerCard:
        """The card of a Module whose cards are `members`, the output last."""
        title, value = layer_title(path, module), members[-1].value
        card = cls(0, "layer", module, value, layer=path, members=members, paths=[path])
        card.name = card.title = title
        card.formula = str(module) if path or str(module) != title else ""
        return card

    @property
    def parameters(self) -> list[Card]:
        """The cards of its parameters."""
        return [card for card in self.members if card.kind == "parameter"]

    @property
    def parameter_count(self) -> int:
        """The number of scalar parameters."""
        return sum(card.value.size for card in self.parameters)

    @property
    def norm(self) -> float | None:
        """The Euclidean norm of the gradients of its parameters, or None."""
        grads = [card.gradient for card in self.parameters if card.gradient is not None]
        return math.hypot(*map(np.linalg.norm, grads)) if grads else None

    @property
    def signature(self) -> tuple[Any, ...]:
        """Equal for equal layers."""
        return self.formula, self.parameter_count, self.shape

    def unfold(self) -> Sequence[Card]:
        return self.members

    def fold(self, run: Sequence[LayerCard]) -> None:
        """Absorb a run of equal layers, of which this is the last."""
        self.name = self.title = f"{run[0].title} … {self.title}"
        self.formula = f"{len(run)} × ({self.formula})"
        self.members = [member for card in run for member in card.members]
        self.paths = [path for card in run for path in card.paths]
        self.inputs = [Wire(w.source, self, w.argument, w.local) for w in run[0].inputs]

    def details(self) -> str:
        norm = "" if self.norm is None else f"  ‖grad‖ {number(self.norm)}"
        return f"  {self.parameter_count:,} parameters{norm}"


def is_result(x: Any) -> bool:
    """Whether an operation computes x."""
    return getattr(x, "op", None) is not None


def layer_title(path: str, module: Module) -> str:
    """What a whole Module is called: its path, or its class where it is the model itself."""
    return path or type(module).__name__


@dataclass
class Graph:
    """The cards of a computation, inputs before results; the output is the last.

    Attributes:
        modules: the Modules that hold parameters, and those in them, by their paths.
    """

    cards: list[Card]
    modules: dict[str, Module] = field(default_factory=dict)

    @property
    def output(self) -> Card:
        """The last card."""
        return self.cards[-1]

    @property
    def wires(self) -> list[Wire]:
        """All wires, in the order of their targets."""
        return [wire for card in self.cards for wire in card.inputs]

    def downstream(self, cards: Iterable[Card]) -> set[Card]:
        """Some cards, and all that are computed from them."""
        reached = set(cards)
        for card in self.cards:
            if any(wire.source in reached for wire in card.inputs):
                reached.add(card)
        return reached

    def check_size(self, caller: str, advice: str) -> None:
        """Raise ValueError if there are too many cards for a picture."""
        if len(self.cards) > MAX_CARDS:
            raise ValueError(
                f"{caller}: this would be {len(self.cards)} cards, and up to {MAX_CARDS} can be "
                f"read. {advice}"
            )

    def __str__(self) -> str:
        return "\n".join(map(str, self.cards))
