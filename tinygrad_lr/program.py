"""A graph as the NumPy program that a person would have written, forward and backward."""

from __future__ import annotations

import ast
import copy
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr import names
from tinygrad_lr.ops import Rule, sigmoid, softmax
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.origin import locate, operand_texts, user_frame
from tinygrad_lr.simplify import simplified
from tinygrad_lr.source import Writer, identifier, ordered
from tinygrad_lr.symbols import Book, Length, Symbol, put_in
from tinygrad_lr.tensor import GradientError, Tensor, everything, gradients

SMALL = 8  # elements of an array without a name that are written out
LOOP = """

def train({arguments}, steps=1000):
{start}    for i in range(steps):
        {results} = step({given})
        if i % max(1, steps // 10) == 0:
            print(f"step {{i}}: {loss} {{{loss}:.6g}}")
    return {loss}, {parameters}


if __name__ == "__main__":
    import sys

    if len(sys.argv) < 2:
        sys.exit("usage: python FILE.py DATA.npz [STEPS], where DATA.npz holds {data}")
    data = np.load(sys.argv[1])
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    {loss}, {parameters} = train({loaded}, steps)
    print(f"after {{steps}} steps: {loss} {{{loss}:.6g}}")
    np.savez("trained.npz", {saved})
"""


class Program:
    """A NumPy program: a function `step` in a module that imports NumPy alone.

    Attributes:
        source: the text of the module.
        inputs: the arrays of the recorded run, under the names of the arguments.
    """

    def __init__(self, source: str, inputs: Mapping[str, Any]) -> None:
        self.source, self.inputs = source, dict(inputs)
        space: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, "<program>", "exec"), space)
        self._step = space["step"]

    def __call__(self, **arrays: Any) -> Any:
        """Run it, as `program(X=X, W=W.data)`; what is not given is as in the recorded run.

        Raises:
            TypeError: for a name that is no argument.
        """
        if unknown := arrays.keys() - self.inputs.keys():
            raise TypeError(
                f"step has no argument {', '.join(sorted(unknown))}: the arguments are "
                f"{', '.join(self.inputs)}"
            )
        return self._step(**(self.inputs | arrays))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the source to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.source)

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"<program step({', '.join(self.inputs)})>"


def to_numpy(
    output: Tensor,
    wrt: Tensor | Sequence[Tensor] | None = None,
    *,
    simplify: bool = True,
    comments: bool = False,
    optimizer: Optimizer | None = None,
    loop: bool = False,
) -> Program:
    """The NumPy program that computes an output and its gradients.

    Names are the user's, a gradient's is d + the name. Arrays that went into the graph are
    arguments, `data` first, then parameters, and so are sizes asked of their shapes.

    Args:
        output: a tensor with one element, or of any shape without `wrt`.
        wrt: the tensors whose gradients are wanted; default none, with an optimizer its parameters.
        simplify: whether to rewrite what a person would write otherwise. Each rewriting is an
            identity, and compared with what it replaces in the recorded run.
        comments: whether to say of every line what shape it has and which rule it is.
        optimizer: add its update: the program returns the output, the new parameters, and the
            optimizer's state.
        loop: add a function `train` and a command line; needs an optimizer.

    Raises:
        GradientError: if the output has more than one element or does not depend on one of `wrt`.
        ValueError: for a loop without an optimizer.

    >>> X, W = np.ones((3, 2)), Tensor([[1.0], [2.0]], requires_grad=True)
    >>> Y = np.zeros((3, 1))
    >>> Z = X @ W
    >>> loss = np.mean((Z - Y) ** 2)
    >>> program = to_numpy(loss, [W])
    >>> print(program)
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def step(X, Y, W):
        # forward
        Z = X @ W
        loss = np.mean((Z - Y) ** 2)
        # backward
        dZ = 2 * (Z - Y) / Z.size
        dW = X.T @ dZ
        return loss, dW
    <BLANKLINE>
    >>> program(X=X, Y=Y, W=W.data)[0]
    9.0
    """
    if loop and optimizer is None:
        raise ValueError("a loop needs an optimizer: to_numpy(loss, optimizer=opt, loop=True)")
    if wrt is None and optimizer is not None:
        wrt = optimizer.params
    wrt = [wrt] if isinstance(wrt, Tensor) else list(wrt or [])
    frame = user_frame(2)
    known = names.find([output], frame)
    if simplify:
        output, wrt, known = canonical(output, wrt, known)
    lowered = Lowering(known, {**frame.f_globals, **frame.f_locals})
    results = lowered.run(output, wrt)
    state = lowered.update(optimizer, wrt, results[1:]) if optimizer else {}
    results += state.values()
    if simplify:
        results = simplified(results, lowered.book, 1 + len(wrt))
    forward, backward = set(ordered(results[:1])), set(ordered(results[: 1 + len(wrt)]))
    if optimizer:
        state = dict(zip(state, results[1 + len(wrt) :], strict=True))
        results = [results[0], *state.values()]
    writer = Writer(results, state)
    sections: dict[str, list[str]] = {"forward": [], "backward": [], "update": []}
    for x, lines in writer.statements(lowered.book, lowered.said if comments else {}):
        section = "forward" if x in forward else "backward" if x in backward else "update"
        sections[section] += lines
    arguments = [x for x in lowered.inputs if x in writer.names]
    arguments.sort(key=lambda x: x.fixed)
    given = [writer.names[x] for x in arguments]
    told = [ast.unparse(writer.expression(x)) for x in results]
    body = [line for name, lines in sections.items() if lines for line in (f"# {name}", *lines)]
    body.append(f"return {', '.join(told)}")
    head = ["import numpy as np", "", "", f"def step({', '.join(given)}):"]
    source = "\n".join([*head, *(f"    {line}" for line in body)]) + "\n"
    inputs = {writer.names[x]: x.value for x in arguments}
    return Program(source + (training(inputs, told, len(wrt)) if loop else ""), inputs)


def training(inputs: Mapping[str, Any], told: list[str], parameters: int) -> str:
    """The function `train`, and the command line around it.

    Args:
        inputs: the arguments of `step`.
        told: what it returns: the loss, the parameters, the optimizer's state.
        parameters: how many.
    """
    loss, new, kept = told[0], told[1 : 1 + parameters], told[1 + parameters :]
    outer = [name for name in inputs if name not in kept]
    zeros = (
        (name, "0" if np.ndim(inputs[name]) == 0 else f"np.zeros_like({name.partition('_')[2]})")
        for name in kept
    )
    return LOOP.format(
        arguments=", ".join(outer),
        start="".join(f"    {name} = {zero}\n" for name, zero in zeros),
        results=", ".join(told),
        given=", ".join(inputs),
        loss=loss,
        parameters=", ".join(new),
        data=", ".join(outer),
        loaded=", ".join(f'data["{name}"]' for name in outer),
        saved=", ".join(f"{name}={name}" for name in new),
    )


def canonical(
    output: Tensor, wrt: list[Tensor], known: dict[int, str]
) -> tuple[Tensor, list[Tensor], dict[int, str]]:
    """The graph with the table's sigmoid and softmax in place of arithmetic that spells them out."""
    new: dict[Tensor, Tensor] = {}

    def renewed(x: Any) -> Any:
        return new.get(x, x) if isinstance(x, Tensor) else x

    with everything():
        for x in names.nodes([output]):
            if not isinstance(x, Tensor) or x.op is None:
                continue
            inputs = tuple(map(renewed, x.inputs))
            y = x
            if (z := _sigmoid_of(x)) is not None:
                y = sigmoid(renewed(z))
            elif (found := _softmax_of(x)) is not None:
                y = softmax(renewed(found[0]), found[1])
            elif any(a is not b for a, b in zip(inputs, x.inputs, strict=True)):
                first = next(a for a in inputs if isinstance(a, Tensor))
                y = first.apply(x.op, inputs, x.params)
            if y is not x:
                new[x], y.origin = y, x.origin
                if id(x) in known:
                    known[id(y)] = known[id(x)]
    return renewed(output), list(map(renewed, wrt)), known


def _sigmoid_of(y: Tensor) -> Any:
    """z, if y is 1 / (1 + exp(-z))."""
    for one, below in _inputs(y, "divide"):
        for a, b in _either_way(below, "add"):
            if _is(one, 1) and _is(a, 1):
                for (minus_z,) in _inputs(b, "exp"):
                    for (z,) in _inputs(minus_z, "negative"):
                        return z
    return None


def _softmax_of(y: Tensor) -> tuple[Tensor, Any] | None:
    """(z, axis), if y is exp(z) / sum(exp(z)), or exp(z - c) / sum(exp(z - c))."""
    for e, total in _inputs(y, "divide"):
        for (x,) in _inputs(e, "exp"):
            for (f,) in _inputs(total, "sum"):
                exps = f is e or any(g is x for (g,) in _inputs(f, "exp"))
                if exps and total.params["keepdims"]:
                    for z, top in _inputs(x, "subtract"):
                        if np.shape(top) == np.shape(total):
                            return z, total.params["axis"]
                    return x, total.params["axis"]
    return None


def _is(x: Any, n: float) -> bool:
    return not isinstance(x, Tensor) and np.ndim(x) == 0 and bool(x == n)


def _inputs(x: Any, name: str) -> list[Any]:
    return [x.inputs] if isinstance(x, Tensor) and x.op and x.op.name == name else []


def _either_way(x: Any, name: str) -> Iterator[Any]:
    for a, b in _inputs(x, name):
        yield a, b
        yield b, a


class Lowering:
    """A graph and its gradients as Symbols.

    Args:
        known: names by the id of a value, as `names.find` gives them.
        space: the user's variables.
    """

    def __init__(self, known: Mapping[int, str], space: Mapping[str, Any]) -> None:
        self.known, self.space = known, space
        self.book = Book(self.read)
        self.inputs: list[Symbol] = []
        self.said: dict[Symbol, str] = {}
        self._symbols: dict[int, Any] = {}
        self._inputs: dict[Tensor, list[Any]] = {}
        self._params: dict[Tensor, dict[str, Any]] = {}
        self._held: list[Any] = []  # so that no id is used again

    def read(self, x: Any) -> Any:
        """The Symbol for a tensor or an array; numbers and Symbols as they are."""
        if isinstance(x, Symbol) or not isinstance(x, (Tensor, np.ndarray)):
            return x
        if id(x) not in self._symbols:
            node = isinstance(x, Tensor) and x.op
            self._symbols[id(x)] = self._result(x) if node else self._leaf(x)
            self._held.append(x)
        return self._symbols[id(x)]

    def _result(self, x: Any) -> Any:
        """What an operation computes."""
        inputs = [self.read(self._number(x, i, y)) for i, y in enumerate(x.inputs)]
        self._inputs[x] = inputs
        self._params[x] = {k: put_in(v, self.read) for k, v in x.params.items()}
        if x.op.name == "getitem":
            self._params[x]["index"] = _counted(inputs[0], self._params[x]["index"])
        y = self._forward(x)(*inputs, **self._params[x])
        if isinstance(y, Symbol):
            y = y.now
            name = self.known.get(id(x), "")
            if not y.name and y.function and name.replace(".", "").isidentifier():
                y.name = identifier(name)
            self.said.setdefault(y, x.op.formula)
        return y

    def _forward(self, node: Any) -> Any:
        """The NumPy function of an operation."""
        return node.op.forward

    def _leaf(self, x: Any) -> Any:
        """An argument, or a constant."""
        array = x._array if isinstance(x, Tensor) else x
        name = self.known.get(id(x)) or self._variable(array)
        if name and not name.replace(".", "").isidentifier():
            if (y := self._expression(name)) is not None and np.array_equal(y.value, array):
                return y
            name = None
        trained = isinstance(x, Tensor) and x.requires_grad
        if name is None and not trained and array.size <= SMALL:
            return self.book.number(array) if array.ndim == 0 else array
        return self.argument(array, identifier(name or "x"), trained)

    def argument(self, array: Any, name: str, fixed: bool = False) -> Symbol:
        """A Symbol for an array that the program is given."""
        self.inputs.append(self.book.argument(array, name, fixed))
        return self.inputs[-1]

    def _variable(self, array: Any) -> str | None:
        """The user's variable with whole numbers equal to these, as of the labels in an index."""
        if array.size > 1:
            for name, x in self.space.items():
                values = x._array if isinstance(x, Tensor) else x
                plain = isinstance(values, np.ndarray) and not name.startswith("_")
                if plain and values.dtype.kind in "biu" and np.array_equal(values, array):
                    return name
        return None

    def _number(self, node: Any, i: int, x: Any) -> Any:
        """A number that went into an operation, as what it was computed from, if that is known."""
        if not isinstance(x, (int, np.integer)) or x < 2 or node.origin is None:
            return x
        texts = operand_texts(locate(node.origin).text)
        if len(texts) != len(node.inputs) or texts[i].isdigit():
            return x
        y = self._size(x) if texts[i].isidentifier() else self._expression(texts[i])
        return y if isinstance(y, Length) and y == x else x

    def _size(self, n: int) -> Any:
        """A length of n of an array that is data."""
        for x in self.inputs:
            for length in x.shape:
                if isinstance(length, Length) and length == n:
                    return length
        return None

    def _expression(self, text: str) -> Any:
        """The user's expression, of Symbols in place of arrays; None if that is not possible."""
        try:
            tree = _Shapes().visit(ast.parse(text, mode="eval"))
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            space: dict[str, Any] = {"np": np, "__builtins__": {}}
            for name in used - {"np"}:
                x = self.space[name]
                if not isinstance(x, (Tensor, np.ndarray, int, float)):
                    return None
                if isinstance(x, np.ndarray) and id(x) not in self._symbols:
                    self._held.append(x)
                    self._symbols[id(x)] = self.argument(x, identifier(name))
                space[name] = self.read(x)
            y = eval(compile(ast.fix_missing_locations(tree), "<user>", "eval"), space)
        except Exception:  # whatever the expression needs that is not there any more
            return None
        return y if isinstance(y, (Symbol, Length)) else None

    def run(self, output: Tensor, wrt: Sequence[Tensor]) -> list[Any]:
        """The output and its gradients."""
        for x in names.nodes([output]):
            self.read(x)
        loss = self.read(output)
        if isinstance(loss, Symbol):
            loss.name = loss.name or "loss"
        if not wrt:
            return [loss]
        found = gradients(output, read=self.read, rules=self._rules)
        for x, g in found.items():
            name = self.known.get(id(x), "")
            if isinstance(g, Symbol) and g.now.function and x is not output:
                g = g.now
                if not g.name and name.replace(".", "").isidentifier():
                    g.name = f"d{identifier(name)}"
        for x in wrt:
            if x not in found:
                raise GradientError(
                    f"{output!r} does not depend on {x!r}: it has no gradient there"
                )
        return [loss, *(found[x] for x in wrt)]

    def _rules(self, node: Any) -> Iterator[Any]:
        """The rules of a node, given the metadata as Symbols, and remembered for comments."""
        for i, rule in enumerate(node.op.rules):
            yield rule and functools.partial(self._run_rule, rule, node, i)
            if i + 1 == len(node.inputs):
                return

    def _run_rule(self, rule: Rule, node: Any, i: int, g: Any, y: Any, *_: Any, **__: Any) -> Any:
        dx = rule(g, y, *self._inputs[node], **self._params[node])
        if isinstance(dx, Symbol):
            self.said.setdefault(dx.now, f"back through {node.op.formula}")
        return dx

    def update(
        self, optimizer: Optimizer, params: Sequence[Tensor], grads: Sequence[Any]
    ) -> dict[str, Any]:
        """The new parameters and the new state of the optimizer, by name."""
        shadow = copy.copy(optimizer)
        lists = {
            name: x
            for name, x in vars(optimizer).items()
            if name != "params" and isinstance(x, list) and len(x) == len(optimizer.params)
        }
        place = {id(p): i for i, p in enumerate(optimizer.params)}
        own: dict[str, str] = {}
        for name, values in lists.items():
            slots = list(values)
            if all(isinstance(x, int) for x in values):
                steps = self.argument(np.array(values[0]), "t", fixed=True)
                slots = [steps.changeable() for _ in values]
            else:
                for p in params:
                    i = place[id(p)]
                    own[name] = name.removesuffix("s")
                    title = f"{own[name]}_{self.read(p).name}"
                    slots[i] = self.argument(values[i], title, fixed=True).changeable()
            setattr(shadow, name, slots)
        state: dict[str, Any] = {}
        for p, g in zip(params, grads, strict=True):
            data = self.read(p).changeable()
            shadow.update(place[id(p)], data, g)
            state[self.read(p).name] = data.now
        for name in lists:
            slots = getattr(shadow, name)
            for p in params:
                x = slots[place[id(p)]].now
                if x.function:
                    state[f"{own[name]}_{self.read(p).name}" if name in own else "t"] = x
        return state


class _Shapes(ast.NodeTransformer):
    """len(x) as x.shape[0], which a Symbol can tell as a Length."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
            shape = ast.Attribute(node.args[0], "shape", ast.Load())
            return ast.Subscript(shape, ast.Constant(0), ast.Load())
        return node


def _counted(x: Symbol, index: Any) -> Any:
    """An index with 0, 1, 2, ... for every row told by the number of rows."""
    if not isinstance(index, tuple) or not isinstance(x, Symbol):
        return index

    def part(i: int, value: Any) -> Any:
        array = value.value if isinstance(value, Symbol) else value
        if isinstance(array, (range, list, np.ndarray)) and np.ndim(array) == 1:
            length = x.shape[i] if i < x.ndim else 0
            if isinstance(length, Length) and np.array_equal(array, np.arange(length)):
                return x.book.record(np.arange, length)
        return value

    return tuple(part(i, value) for i, value in enumerate(index))
