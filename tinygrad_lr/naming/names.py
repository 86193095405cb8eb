"""What the user would call every value of a graph, without having named any."""

from __future__ import annotations

import ast
import functools
import itertools
import keyword
import linecache
import re
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.messages.explain import members, namespaces
from tinygrad_lr.messages.frames import Origin, user_frame
from tinygrad_lr.messages.origin import Instruction, bracketed, locate
from tinygrad_lr.nn import Module
from tinygrad_lr.ops import FUNCTIONS
from tinygrad_lr.tensor import Tensor, history

Position = tuple[int | None, ...]
SHORT, LONG = 24, 40  # characters, up to which a call, and an operand, is a name for itself


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
    held = dict(variables(frame, values))
    layers = paths(values, frame, model)
    made = executions(values)
    assigned = {id(results[-1]): place.target for place, results, whole in made if whole}
    written = operands(made, frame) | {
        id(results[-1]): place.instruction.text
        for place, results, whole in made
        if whole and len(results) > 1 and len(place.instruction.text) <= SHORT
    }
    taken: dict[str, int] = {}
    names = {}
    for x in values:
        if name := (
            getattr(x, "name", None)
            or layers.get(id(x))
            or held.get(id(x))
            or assigned.get(id(x))
            or written.get(id(x))
        ):
            names[id(x)] = unique(str(name), taken)
    for x in values:
        if id(x) not in names and (other := turned(x, values)) in names:
            names[id(x)] = unique(f"{bracketed(names[other])}.T", taken)
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


def unique(name: str, taken: dict[str, int]) -> str:
    """The name, or else name_2, name_3: the first that is not taken, and is from now on.

    >>> taken = {}
    >>> [unique(name, taken) for name in ("h", "h_2", "h", "h")]
    ['h', 'h_2', 'h_3', 'h_4']
    """
    free = name
    while free in taken:
        taken[name] += 1
        free = f"{name}_{taken[name]}"
    taken[free] = 1
    return free


def turned(x: Any, values: Iterable[Any]) -> int:
    """The id of the array of which x is the transpose, by its memory; 0 if of none."""
    if isinstance(x, np.ndarray) and x.ndim > 1 and x.base is not None:
        for y in values:
            array = y._array if isinstance(y, Tensor) else y
            if isinstance(array, np.ndarray) and array.shape == x.shape[::-1]:
                here, there = x.__array_interface__["data"], array.__array_interface__["data"]
                if here == there and x.strides == array.strides[::-1]:
                    return id(y)
    return 0


def parts(name: str, x: Any) -> Iterator[tuple[str, Any]]:
    """What a variable holds one level down: weights[0], W1 of a dict, W of self.W."""
    for at, part in () if isinstance(x, Module) else members(x):
        yield (name + at if isinstance(x, (list, tuple)) else at.strip(".[]'")), part


def variables(frame: FrameType, values: Iterable[Any]) -> Iterator[tuple[int, str]]:
    """(id, variable) for the values that a variable of the frame holds, the best name last.

    Numbers are left out: a variable that holds a 2 says nothing about the 2 of x ** 2.
    """
    wanted = {id(x) for x in values if isinstance(x, (Tensor, np.ndarray))}
    levels = [[(name, x) for name, x in space.items()] for space in reversed(namespaces(frame))]
    levels[:0] = [[part for name, x in level for part in parts(name, x)] for level in levels]
    for level in levels:
        yield from ((id(x), name) for name, x in reversed(level) if id(x) in wanted)


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
    known = {
        id(x): (name, x, leaves.intersection(map(id, x.named_tensors().values())))
        for space in reversed(namespaces(frame))
        for variable, value in reversed(space.items())
        for name, x in ((variable, value), *parts(variable, value))
        if isinstance(x, Module)
    }
    found: dict[str, Module] = {}
    by_size = sorted(known.values(), key=lambda m: (-len(m[2]), -len(list(m[1].named_modules()))))
    for name, module, held in by_size:
        if held & leaves:
            found[name] = module
            leaves -= held
    return dict.fromkeys([""], *found.values()) if len(found) == 1 else found


def paths(values: Iterable[Any], frame: FrameType, model: Module | None = None) -> dict[int, str]:
    """The path, as in layers.0.W, of every value that a Module holds."""
    return {
        id(tensor): f"{prefix}.{path}" if prefix else path
        for prefix, module in modules(values, frame, model).items()
        for path, tensor in module.named_tensors().items()
    }


@functools.lru_cache(maxsize=64)
def targets(source: str) -> dict[Position, str]:
    """The variable that is assigned to, for the place of every right-hand side in a source."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    found: dict[Position, str] = {}

    def add(target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for pair in zip(target.elts, value.elts, strict=False):
                add(*pair)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            name = ast.unparse(target).removeprefix("self.")
            found[value.lineno, value.col_offset, value.end_lineno, value.end_col_offset] = name

    for node in ast.walk(tree):
        match node:
            case ast.Assign():
                add(node.targets[0], node.value)
            case ast.AnnAssign() | ast.NamedExpr() if node.value:
                add(node.target, node.value)
            case ast.AugAssign():
                add(node.target, node)
    return found


class Place(NamedTuple):
    """An instruction: what it calls with which arguments, and what it is assigned to."""

    instruction: Instruction
    called: str = ""
    arguments: tuple[str, ...] = ()
    target: str = ""

    @classmethod
    def of(cls, origin: Origin) -> Place:
        """The place of an instruction.

        >>> def f(w):
        ...     z = np.exp(w)
        ...     return z
        >>> place = Place.of(f(Tensor(0.0, requires_grad=True)).origin)
        >>> place.instruction.text, place.called, place.arguments, place.target
        ('np.exp(w)', 'exp', ('w',), 'z')
        """
        instruction = locate(origin)
        node = instruction.node
        call = node if isinstance(node, ast.Call) else None
        function = call.func if call else None
        arguments = tuple(map(ast.unparse, call.args)) if call else ()
        called = str(getattr(function, "attr", None) or getattr(function, "id", ""))
        code, offset = origin
        line, last, start, end = list(code.co_positions())[offset // 2]
        source = "".join(linecache.getlines(code.co_filename))
        if called == "grad":  # it says nothing of what a backward pass computes
            return cls(Instruction(instruction.file, instruction.line, "", ""))
        target = targets(source).get((line, start, last, end), "")
        return cls(instruction, called, arguments, target)


class Execution(NamedTuple):
    """An instruction that ran, and the results that it made, of those that are in the graph.

    All but the calls of composed functions, layers and losses make one; of theirs it is `whole`
    if the last one is there for sure, which is what the call returned.
    """

    place: Place
    results: list[Tensor]
    whole: bool


def executions(values: Iterable[Any]) -> list[Execution]:
    """The instructions that made the results, in order."""
    places: dict[Origin, Place] = {}
    found: list[Execution] = []
    last = 0
    for x in values:
        if not (isinstance(x, Tensor) and x.op and x.origin):
            continue
        if x.origin not in places:
            places[x.origin] = Place.of(x.origin)
        place = places[x.origin]
        single = place.called in ("", x.op.name)
        if not single and found and found[-1].place is place:
            found[-1].results.append(x)
        else:
            if found and not found[-1].whole:
                found[-1] = found[-1]._replace(whole=x.serial == last + 1)
            found.append(Execution(place, [x], single))
        last = x.serial
    return [*found[:-1], *(execution._replace(whole=True) for execution in found[-1:])]


def operands(made: Iterable[Execution], frame: FrameType) -> dict[int, str]:
    """What the source calls leaves, arrays and numbers where they first go into the graph.

    A number has a name only if all its uses have the same variable: Python keeps one 2 for the 2
    of x ** 2 and an n that is 2. An array made of a variable of another shape has not its name.
    """
    scope: dict[str, Any] = {}
    for space in reversed(namespaces(frame)):
        scope |= space
    packages = {name for name, x in scope.items() if isinstance(x, ModuleType)} | {"np", "tg"}
    found: dict[int, str] = {}
    numbers: dict[int, set[str]] = {}
    for place, results, _ in made:
        texts = place.instruction.operands(packages, FUNCTIONS) or place.arguments
        for result in results:
            said = texts[: len(result.inputs)] if result is results[0] else ()
            for x, text in itertools.zip_longest(result.inputs, said, fillvalue=""):
                if not (isinstance(x, Tensor) or np.ndim(x)):
                    numbers.setdefault(id(x), set()).add("" if place.called else text)
                elif text and len(text) <= LONG and not getattr(x, "op", None):
                    same = text not in scope or np.shape(scope[text]) == np.shape(x)
                    found |= {id(x): text} if same and id(x) not in found else {}
    variables = {i: text for i, (text, *more) in numbers.items() if not more}
    return found | {i: t for i, t in variables.items() if t.replace(".", "").isidentifier()}
