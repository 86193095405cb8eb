"""What the user would call every value of a graph, without having named any."""

from __future__ import annotations

import ast
import inspect
import itertools
import keyword
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages.explain import members, namespaces
from tinygrad_lr.messages.frames import Origin, user_frame
from tinygrad_lr.messages.origin import Instruction, bracketed, locate
from tinygrad_lr.naming.source_text import target_of
from tinygrad_lr.nn import Module
from tinygrad_lr.ops import FUNCTIONS
from tinygrad_lr.tensor import Tensor, history

MAX_CALL, MAX_OPERAND = 24, 40  # characters, up to which an expression is a name for itself


def nodes(outputs: Sequence[Tensor]) -> list[Any]:
    """Every value behind the outputs, each once, inputs before results: Tensors, arrays, numbers.

    >>> w = Tensor(2.0, requires_grad=True)
    >>> nodes([3.0 * w])
    [3.0, Tensor(2., requires_grad=True), Tensor(6., op=multiply)]
    """
    ordered: dict[int, Any] = {}
    for node in reversed(history(*outputs)):
        ordered |= {id(x): x for x in (*node.inputs, node)}
    return list((ordered | {id(x): x for x in outputs}).values())


def find(
    outputs: Sequence[Tensor], frame: FrameType | None = None, model: Module | None = None
) -> dict[int, str]:
    """Names for the values of a graph, by their id: unique, and the same in every run.

    A value is called, in this order: by its `name`; by its path in the Module that holds it; by
    the user's variable that holds it now; by the variable that it was assigned to in the source;
    and what went into the graph without any, or came out of a call of several operations, as the
    source expression has it, if that is short. Whatever has no name even then is not in the
    result. Equal names are told apart in the order of computation: h, h_2, h_3.

    Args:
        outputs: the results of the graph, which hold its values.
        frame: where to look for variables; default the innermost frame outside of this package.
        model: the Module that holds the parameters; default those among the variables.

    >>> X, w = np.ones((3, 2)), Tensor([1.0, 2.0], requires_grad=True)
    >>> z = X @ w
    >>> loss = np.mean(z ** 2)
    >>> list(find([loss]).values())
    ['X', 'w', 'z', 'loss']
    """
    frame = frame or user_frame()
    values = nodes(outputs)
    runs = executions(values)
    complete = {id(e.results[-1]): e for e in runs if e.complete}
    labels = operand_texts(runs, frame) | {
        i: e.instruction.text
        for i, e in complete.items()
        if len(e.results) > 1 and len(e.instruction.text) <= MAX_CALL
    }
    labels |= {i: target for i, e in complete.items() if (target := target_of(e.instruction))}
    arrays = {id(x) for x in values if isinstance(x, (Tensor, np.ndarray))}  # a 2 may be any 2
    labels |= {id(x): name for name, x in scope(frame) if id(x) in arrays}
    labels |= paths(values, frame, model)
    labels |= {id(x): str(x.name) for x in values if getattr(x, "name", None)}
    counts: dict[str, int] = {}
    names = {id(x): unique(labels[id(x)], counts) for x in values if labels.get(id(x))}
    for x in values:
        if id(x) not in names and (base := transpose_base(x, values)) in names:
            names[id(x)] = unique(f"{bracketed(names[base])}.T", counts)
    return names


def identifier(name: str) -> str:
    """A name as Python has them: layers.0.W becomes W0.

    >>> [identifier(name) for name in ("layers.0.W", "class", "1 - Y", "w")]
    ['W0', 'class_', '_1_Y', 'w']
    """
    *path, last = name.split(".")
    if path and last.isidentifier():
        name = last + "".join(part for part in path if part.isdigit())
    name = re.sub(r"\W+", "_", name).strip("_") or "x"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) or name in ("np", "float", "len") else name


def unique(name: str, counts: dict[str, int]) -> str:
    """The name, or else name_2, name_3: the first that is not in use, and is from now on.

    >>> counts = {}
    >>> [unique(name, counts) for name in ("h", "h_2", "h", "h")]
    ['h', 'h_2', 'h_3', 'h_4']
    """
    new = name
    while new in counts:
        counts[name] += 1
        new = f"{name}_{counts[name]}"
    counts[new] = 1
    return new


def transpose_base(x: Any, values: Iterable[Any]) -> int:
    """The id of the value of which x is the transpose, by its memory; 0 if there is none."""
    if not isinstance(x, np.ndarray) or x.ndim < 2 or x.base is None:
        return 0
    arrays = [(id(y), unwrap(y)) for y in values]
    memory = x.T.__array_interface__
    same = (i for i, y in arrays if isinstance(y, np.ndarray) and y.__array_interface__ == memory)
    return next(same, 0)


def scope(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """(name, value) of what the variables of a frame hold, and of them: the best names last.

    One level down that is weights[0], W1 of a dict, W of self.W.
    """
    spaces = [[*reversed(space.items())] for space in reversed(namespaces(frame))]
    for variable, value in itertools.chain(*spaces):
        for at, part in () if isinstance(value, Module) else members(value):
            yield (variable + at if isinstance(value, (list, tuple)) else at.strip(".[]'")), part
    yield from itertools.chain(*spaces)


def closure(function: Any) -> dict[str, Any]:
    """The variables that a function has of those around it, if all of them have a value."""
    try:
        return dict(inspect.getclosurevars(function).nonlocals)
    except ValueError:
        return {}


def modules(
    values: Iterable[Any], frame: FrameType, model: Module | None = None
) -> dict[str, Module]:
    """The Modules that hold leaves of a graph, under the path that their own paths begin with.

    Every leaf counts once, for the Module that holds most of them, and most else. A single Module
    has the path "", several have the names of their variables.
    """
    if model is not None:
        return {"": model}
    leaves = {id(x) for x in values if isinstance(x, Tensor) and x.is_leaf}
    candidates = {
        id(x): (name, x, leaves.intersection(map(id, x.named_tensors().values())))
        for name, x in scope(frame)
        if isinstance(x, Module)
    }
    holders: dict[str, Module] = {}
    largest_first = sorted(
        candidates.values(), key=lambda c: (-len(c[2]), -len(list(c[1].named_modules())))
    )
    for name, module, tensors in largest_first:
        if tensors & leaves:
            holders[name] = module
            leaves -= tensors
    return dict.fromkeys([""], *holders.values()) if len(holders) == 1 else holders


def paths(values: Iterable[Any], frame: FrameType, model: Module | None = None) -> dict[int, str]:
    """The path, as in layers.0.W, of every value that a Module holds."""
    return {
        id(tensor): f"{prefix}.{path}" if prefix else path
        for prefix, module in modules(values, frame, model).items()
        for path, tensor in module.named_tensors().items()
    }


class Execution(NamedTuple):
    """An instruction that ran: an operation, or a call of a composed function, a layer, a loss."""

    instruction: Instruction
    function: str  # that is called; "" for an operator
    arguments: list[str]
    results: list[Tensor]  # that are in the graph
    complete: bool  # whether the last of them is what the instruction returned


def _read(origin: Origin) -> tuple[Instruction, str, list[str]]:
    """An instruction, the name of the function that it calls, and the arguments."""
    instruction = locate(origin)
    match instruction.node:
        case ast.Call(function, arguments):
            name = str(getattr(function, "attr", None) or getattr(function, "id", ""))
            if name == "grad":  # it says nothing of what a backward pass computes
                return instruction._replace(text="", span=()), "", []
            return instruction, name, [*map(ast.unparse, arguments)]
    return instruction, "", []


def executions(values: Iterable[Any]) -> list[Execution]:
    """The instructions that computed the results, in order.

    >>> w = Tensor(0.0, requires_grad=True)
    >>> z = np.exp(w)
    >>> [(e.function, e.arguments, target_of(e.instruction)) for e in executions(nodes([z]))]
    [('exp', ['w'], 'z')]
    """
    results: list[Any] = [x for x in values if isinstance(x, Tensor) and x.op and x.origin]
    calls = {origin: _read(origin) for origin in dict.fromkeys(x.origin for x in results)}

    def call(x: Any) -> Any:
        return id(x) if calls[x.origin][1] in ("", x.op.name) else x.origin

    groups = [list(group) for _, group in itertools.groupby(results, call)]
    runs = []
    for group, following in itertools.zip_longest(groups, groups[1:]):
        last = group[-1]
        complete = call(last) == id(last) or not following
        complete = complete or following[0].serial == last.serial + 1
        runs.append(Execution(*calls[last.origin], group, complete))
    return runs


def _uses(runs: Iterable[Execution], modules: set[str]) -> Iterator[tuple[Any, str, str]]:
    """(value, text, function) for every operand; the text is "" where the source has none."""
    for instruction, function, arguments, results, _ in runs:
        texts = instruction.operands(modules, FUNCTIONS) or arguments
        for result in results:
            own = texts[: len(result.inputs)] if result is results[0] else []
            for x, text in itertools.zip_longest(result.inputs, own, fillvalue=""):
                yield x, text, function


def _shape(x: Any) -> Any:
    """The shape of an array or of what makes one; None for rows of different lengths."""
    try:
        return np.shape(x)
    except ValueError:
        return None


def operand_texts(runs: Iterable[Execution], frame: FrameType) -> dict[int, str]:
    """What the source calls leaves, arrays and numbers where they first go into the graph.

    A number has a name only if all its uses have the same variable: Python keeps one 2 for the 2
    of x ** 2 and an n that is 2. An array made of a variable of another shape has not its name.
    """
    variables: ChainMap[str, Any] = ChainMap(*map(dict, namespaces(frame)))
    modules = {name for name, x in variables.items() if isinstance(x, ModuleType)} | {"np", "tg"}
    texts: dict[int, str] = {}
    numbers: dict[int, set[str]] = {}
    for x, text, function in _uses(runs, modules):
        if not (isinstance(x, Tensor) or np.ndim(x)):
            numbers.setdefault(id(x), set()).add("" if function else text)
        elif getattr(x, "op", None) or len(text) > MAX_OPERAND:
            continue
        elif text and _shape(variables.get(text, x)) == _shape(x):
            texts.setdefault(id(x), text)
    names = {i: text for i, (text, *others) in numbers.items() if not others}
    return texts | {i: text for i, text in names.items() if text.replace(".", "").isidentifier()}
