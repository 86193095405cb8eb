"""The computation as data, before there is any picture: one card an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lr import names
from tinygrad_lr.drawing.figures import NDArray, flaw, number, span
from tinygrad_lr.drawing.formula import LONG, formula, literal
from tinygrad_lr.nn import Module
from tinygrad_lr.origin import user_frame
from tinygrad_lr.tensor import Tensor, gradients, unbroadcast


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
        layer: the path of the Module that it belongs to, or "".
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
    layer: str = ""
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
class Graph:
    """The cards of a computation, inputs before results; the output is the last."""

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


def graph(
    output: Tensor,
    *,
    gradient: bool = True,
    derivatives: bool | None = None,
    wrt: Sequence[Tensor] | None = None,
    frame: FrameType | None = None,
    model: Module | None = None,
) -> Graph:
    """The cards of the computation behind a tensor.

    Args:
        output: what was computed.
        gradient: whether to compute the gradient of everything, if the output is one number.
        derivatives: whether wires between scalars have their local derivative; default if all
            of a graph's values are scalars.
        wrt: tensors outside of whose way to the output no gradient is shown; default all.
        frame: where the user's variables are; default the innermost frame outside the package.
        model: the Module that was called; default those among the variables.

    >>> w = Tensor(3.0, requires_grad=True)
    >>> loss = (2 * w + 1) ** 2
    >>> print(graph(loss))
    w  [parameter]  value 3  grad 28
    2 * w  value 6  grad 14
    2 * w + 1  value 7  grad 14
    loss = (2 * w + 1) ** 2  [loss]  value 49  grad 1
    """
    frame = frame or user_frame()
    values = names.nodes([output])
    known = names.find([output], frame, model)
    slopes = gradients(output) if gradient and output.requires_grad and output.size == 1 else {}
    if wrt is not None:
        slopes = {x: slopes[x] for x in _leading_from(wrt, values) if x in slopes}
    inner = [x for x in values if id(x) in known or np.ndim(_array(x)) or isinstance(x, Tensor)]
    scalars = all(np.size(_array(x)) == 1 for x in inner)
    label = Labels(known)
    cards: dict[int, Card] = {}
    for x in inner:
        made = formula(x.op, [label.of(y) for y in x.inputs], x.params) if _made(x) else ""
        title, shown = label.new(x, made, _kind(x, output))
        card = Card(len(cards), _kind(x, output), title, title, shown, np.asarray(_array(x)))
        card.source = x
        card.gradient = np.asarray(slopes[x]) if isinstance(x, Tensor) and x in slopes else None
        if _made(x):
            locals_ = _locals(x) if (scalars if derivatives is None else derivatives) else {}
            card.inputs = [
                Wire(cards[id(y)].k, card.k, i, locals_.get(i))
                for i, y in enumerate(x.inputs)
                if id(y) in cards
            ]
        cards[id(x)] = card
    return Graph(list(cards.values()))


class Labels:
    """What a value is called in its card, and in the formulas of others."""

    def __init__(self, known: dict[int, str]):
        self.known = dict(known)
        self.taken = dict.fromkeys(known.values(), 1)
        self.counts: dict[str, int] = {}

    def of(self, x: Any) -> str:
        """A value's name, or the formula that stands for it; a number that has none is itself."""
        return self.known.get(id(x)) or literal(x)

    def new(self, x: Any, made: str, kind: str) -> tuple[str, str]:
        """(title, formula) of a value; it gets a name if it has none and its formula is long."""
        if id(x) in self.known:
            return self.known[id(x)], made
        if made and len(made) <= LONG:
            self.known[id(x)] = made
            return made, ""
        letter = {"parameter": "θ", "operation": "v"}.get(kind, "c")
        self.counts[letter] = self.counts.get(letter, 0) + 1
        self.known[id(x)] = names.unique(
            f"{letter}{self.counts[letter]}".translate(LOW), self.taken
        )
        return self.known[id(x)], made


LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def _array(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else x


def _made(x: Any) -> bool:
    return isinstance(x, Tensor) and x.op is not None


def _kind(x: Any, output: Tensor) -> str:
    if x is output:
        return "loss" if x.size == 1 and x.requires_grad else "output"
    if _made(x):
        return "operation"
    if isinstance(x, Tensor) and x.requires_grad:
        return "parameter"
    return "data" if np.ndim(_array(x)) or isinstance(x, Tensor) else "constant"


def _leading_from(wrt: Sequence[Tensor], values: Sequence[Any]) -> list[Tensor]:
    """The tensors on the way from `wrt` to the output."""
    on = {id(x) for x in wrt}
    for x in values:
        if _made(x) and any(id(y) in on for y in x.inputs):
            on.add(id(x))
    return [x for x in values if id(x) in on]


def _locals(x: Tensor) -> dict[int, float]:
    """The derivative of a scalar result with respect to each of its scalar inputs."""
    inputs = [_array(y) for y in x.inputs]
    found = {}
    if x.op is None or x.size != 1:
        return {}
    for i, (y, rule) in enumerate(zip(x.inputs, x.op.rules, strict=False)):
        if isinstance(y, Tensor) and y.requires_grad and y.size == 1 and rule is not None:
            dx = rule(np.ones_like(x._array), x._array, *inputs, **x.params)
            found[i] = float(unbroadcast(np.asarray(dx), y).item())
    return found
