"""The computation as data, before there is any picture: one card an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lr.drawing.figures import NDArray, flaw, number, span
from tinygrad_lr.nn import Module


@dataclass
class Wire:
    """One use of a value: from the card `source` into `argument` of the card `target`.

    `local` is the derivative of a scalar target with respect to a scalar source, or None.
    """

    source: int
    target: int
    argument: int
    local: float | None = None

    @property
    def id(self) -> str:
        """e, then source, target and argument: the same in the SVG."""
        return f"e{self.source}_{self.target}_{self.argument}"


@dataclass
class Card:
    """One array of a computation, with the operation that made it.

    Attributes:
        k: its place in the order of computation.
        kind: "parameter", "data", "constant", "operation", "loss" (the output, if it is a
            scalar) or "output".
        name: unique in the graph; what formulas call it.
        title: the name within its layer, as W for layers.0.W.
        formula: of its operation, about the titles of its inputs; "" if the title says it.
        value: the array.
        gradient: of the output with respect to it, or None.
        layer: the path of the Module that it belongs to, or None.
        inputs: the wires that end here.
        source: the Tensor, ndarray or number that the card is about.
    """

    k: int
    kind: str
    name: str
    title: str
    formula: str
    value: NDArray
    gradient: NDArray | None = None
    layer: str | None = None
    inputs: list[Wire] = field(default_factory=list)
    source: Any = None

    @property
    def id(self) -> str:
        """n and the place in the order: the same in the SVG."""
        return f"n{self.k}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    def __str__(self) -> str:
        of = f" {self.shape}" if self.shape else ""
        made = f" = {self.formula}" if self.formula else ""
        kind = "" if self.kind == "operation" else f"  [{self.kind}]"
        told = [f"{self.name}{of}{made}{kind}", f"value {summary(self.value)}"]
        if self.gradient is not None:
            told.append(f"grad {summary(self.gradient)}")
        return "  ".join(told)


@dataclass
class LayerCard(Card):
    """A whole Module, or a run of equal ones, in one card; `value` is what comes out.

    Attributes:
        parameters: the number of numbers in its parameters.
        norm: the Euclidean norm of their gradients, or None.
        members: the cards that it stands for.
        result: the one of them whose value comes out.
        paths: of the Modules that it stands for.
    """

    parameters: int = 0
    norm: float | None = None
    members: list[Card] = field(default_factory=list)
    result: Card | None = None
    paths: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: str, module: Module, result: Card, members: Sequence[Card]) -> LayerCard:
        """The card of a Module whose cards are `members` and whose output is `result`."""
        title = layer_title(path, module)
        made = str(module) if path or str(module) != title else ""
        card = cls(0, "layer", title, title, made, result.value, None, path)
        parts = [member for member in members if member.kind == "parameter"]
        card.parameters = sum(part.value.size for part in parts)
        slopes = [part.gradient for part in parts if part.gradient is not None]
        card.norm = math.hypot(*map(np.linalg.norm, slopes)) if slopes else None
        card.source, card.result, card.members, card.paths = module, result, [*members], [path]
        return card

    def like(self, other: LayerCard) -> bool:
        """Whether the other is the same kind of layer."""
        mine, its = ((c.formula, c.parameters, c.shape) for c in (self, other))
        return mine == its

    def fold(self, run: Sequence[LayerCard]) -> None:
        """Stand for a run of equal layers, of which this is the last."""
        self.name = self.title = f"{run[0].title} … {self.title}"
        self.formula = f"{len(run)} × ({self.formula})"
        self.parameters = sum(card.parameters for card in run)
        self.norm = None if self.norm is None else math.hypot(*(card.norm or 0 for card in run))
        self.members = [member for card in run for member in card.members]
        self.paths = [path for card in run for path in card.paths]
        self.inputs = run[0].inputs

    def __str__(self) -> str:
        told = f"{self.name} {self.shape} = {self.formula}  {self.parameters:,} parameters"
        return told if self.norm is None else f"{told}  ‖grad‖ {number(self.norm)}"


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
    def wires(self) -> list[Wire]:
        """All wires, in the order of their targets."""
        return [wire for card in self.cards for wire in card.inputs]

    def __str__(self) -> str:
        return "\n".join(map(str, self.cards))


def summary(x: NDArray) -> str:
    """An array in a few words."""
    said = number(x.item()) if x.size == 1 else span(x)
    return said if x.size == 1 or not flaw(x) else f"{said} ({flaw(x)})"
