"""A graph as the NumPy program that a person would have written, forward and backward."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.messages.frames import user_frame
from tinygrad_lr.naming import names
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.canonical import canonical
from tinygrad_lr.program.lowering import Lowering
from tinygrad_lr.program.simplify import simplified
from tinygrad_lr.program.symbols import ordered
from tinygrad_lr.program.writer import Writer
from tinygrad_lr.tensor import Tensor

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

    def __init__(self, source: str, inputs: Mapping[str, Any], fixed: Collection[str]) -> None:
        self.source, self.inputs, self._fixed = source, dict(inputs), fixed
        space: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, "<program>", "exec"), space)
        self._step = space["step"]

    def __call__(self, **arrays: Any) -> Any:
        """Run it, as `program(X=X, W=W.data)`; what is not given is as in the recorded run.

        Raises:
            TypeError: for a name that is no argument.
            ValueError: for a shape that the program was not made for.
        """
        if unknown := arrays.keys() - self.inputs.keys():
            raise TypeError(
                f"step has no argument {', '.join(sorted(unknown))}: the arguments are "
                f"{', '.join(self.inputs)}"
            )
        for name, x in arrays.items():
            self._check(name, np.shape(x), np.shape(self.inputs[name]))
        return self._step(**(self.inputs | arrays))

    def _check(self, name: str, shape: tuple[int, ...], recorded: tuple[int, ...]) -> None:
        """Refuse a shape that would be broadcast where the recorded one was not."""
        wrong = name in self._fixed and shape != recorded
        if wrong or len(shape) != len(recorded):
            raise ValueError(f"{name} has the shape {shape}; the program is for {recorded}")
        if any(n == 1 != m for n, m in zip(recorded, shape, strict=True)):
            raise ValueError(
                f"{name} has the shape {shape}, and the program was made from {recorded}: one "
                f"sample does not tell what is summed over samples, so make it from two or more"
            )

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
    arguments, data first, then parameters, then numbers that have a name. What was computed from
    them, as 1 - Y, is computed from them again, and lengths are asked of their shapes, so that the
    program is right for other data, of any number of samples, too.

    Args:
        output: a tensor with one element, or of any shape without `wrt`.
        wrt: the tensors whose gradients are wanted; default none, with an optimizer its parameters.
        simplify: whether to rewrite what a person would write otherwise. Each rewriting is an
            identity, and compared with what it replaces in the recorded run. A comment tells what
            was taken for granted of the data: that one-hot labels add up to 1.
        comments: whether to say of every line what shape it has and which rule it is.
        optimizer: add its update: the program returns the output, the new parameters, and the
            optimizer's state.
        loop: add a function `train` and a command line; needs an optimizer.

    Raises:
        GradientError: if the output has more than one element or does not depend on one of `wrt`.
        TypeError: for an output or a `wrt` that is no Tensor.
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
        u = Z - Y
        loss = np.mean(u ** 2)
        # backward
        # because 1 / len(X) * 2 * (Z - Y) = 2 * u / len(X)
        dZ = 2 * u / len(X)
        dW = X.T @ dZ
        return loss, dW
    <BLANKLINE>
    >>> program(X=X, Y=Y, W=W.data)[0].item()
    9.0
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"output is a Tensor, as a loss is, not {output!r}")
    if loop and optimizer is None:
        raise ValueError("a loop needs an optimizer: to_numpy(loss, optimizer=opt, loop=True)")
    if wrt is None and optimizer is not None:
        wrt = optimizer.params
    wrt = [wrt] if isinstance(wrt, Tensor) else list(wrt or [])
    if wrong := [x for x in wrt if not isinstance(x, Tensor)]:
        raise TypeError(f"wrt is a list of Tensors, as model.parameters(), not of {wrong[0]!r}")
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
    sections = {"forward": [], "backward": writer.facts(lowered.book), "update": []}
    for x, lines in writer.statements(lowered.book, comments):
        section = "forward" if x in forward else "backward" if x in backward else "update"
        sections[section] += lines
    numbers = set(lowered.numbers.values())
    arguments = [x for x in lowered.inputs if x in writer.names]
    arguments.sort(key=lambda x: (x in numbers, x.fixed))
    given = [writer.names[x] + (f"={x.value}" if x in numbers else "") for x in arguments]
    told = [ast.unparse(writer.expression(x)) for x in results]
    body = [line for name, lines in sections.items() if lines for line in (f"# {name}", *lines)]
    body.append(f"return {', '.join(told)}")
    head = ["import numpy as np", "", "", f"def step({', '.join(given)}):"]
    source = "\n".join([*head, *(f"    {line}" for line in body)]) + "\n"
    if loop:
        arrays = {writer.names[x]: x.value for x in arguments if x not in numbers}
        source += training(arrays, told, len(wrt))
    fixed = {writer.names[x] for x in arguments if x.fixed}
    inputs = {writer.names[x]: x.value.copy() if x.fixed else x.value for x in arguments}
    return Program(source, inputs, fixed)


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
