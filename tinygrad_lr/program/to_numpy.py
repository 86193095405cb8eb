"""A graph as the NumPy program that a person would have written, forward and backward."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.messages.frames import user_frame
from tinygrad_lr.naming.names import find
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.canonical import canonical
from tinygrad_lr.program.from_source import SourceLowering
from tinygrad_lr.program.simplify import simplified
from tinygrad_lr.program.symbols import Symbol, ordered
from tinygrad_lr.program.writer import Writer
from tinygrad_lr.tensor import Tensor

STEP = """\
import numpy as np


def step({parameters}):
    {body}
    return {outputs}
"""
LOOP = """

def train({arguments}, steps=1000):
{start}    for i in range(steps):
        {results} = step({inputs})
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
        """Run it, as `program(X=X, W=W.data)`; other arguments are as in the recorded run.

        Raises:
            TypeError: if a name is no argument.
            ValueError: if the program is not for the shape of an array.
        """
        if unknown := arrays.keys() - self.inputs.keys():
            raise TypeError(
                f"step has no argument {', '.join(sorted(unknown))}: the arguments are "
                f"{', '.join(self.inputs)}"
            )
        for name, x in arrays.items():
            shape, recorded = np.shape(x), np.shape(self.inputs[name])
            if len(shape) != len(recorded) or (name in self._fixed and shape != recorded):
                raise ValueError(f"{name} has the shape {shape}; the program is for {recorded}")
            if any(n == 1 != m for n, m in zip(recorded, shape, strict=True)):
                raise ValueError(
                    f"{name} has the shape {shape}, and the program was made from {recorded}: one "
                    f"sample does not show what is summed over samples, so make it from two or more"
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
    arguments, data first, then parameters, then numbers that have a name. What was computed from
    them, as 1 - Y, is computed from them again, and lengths are those of their shapes, so that the
    program is right for other data, of any number of samples, too.

    Args:
        output: a tensor with one element, or of any shape without `wrt`.
        wrt: the tensors whose gradients are wanted; default none, with an optimizer its parameters.
        simplify: whether to rewrite what a person would write otherwise. Each rewriting is an
            identity, and compared with what it replaces in the recorded run. A comment says what
            was assumed about the data: that one-hot labels add up to 1.
        comments: whether to say of every line what shape it has and which rule it is.
        optimizer: add its update: the program returns the output, the new parameters, and the
            optimizer's state.
        loop: add a function `train` and a command line; needs an optimizer.

    Raises:
        GradientError: if the output has more than one element or does not depend on one of `wrt`.
        TypeError: if the output or one of `wrt` is no Tensor.
        ValueError: if a loop is wanted without an optimizer.

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
    if loop and optimizer is None:
        raise ValueError("a loop needs an optimizer: to_numpy(loss, optimizer=opt, loop=True)")
    wrt = optimizer.params if wrt is None and optimizer else wrt
    wrt = [wrt] if isinstance(wrt, Tensor) else list(wrt or [])
    _check_tensors(output, wrt)
    frame = user_frame(2)
    names = find([output], frame)
    if simplify:
        output, wrt, names = canonical(output, wrt, names)
    lowering = SourceLowering(names, {**frame.f_globals, **frame.f_locals})
    results, n = lowering.run(output, wrt), 1 + len(wrt)
    if isinstance(results[0], Symbol):
        results[0].name = results[0].name or "loss"
    state = lowering.update(optimizer, wrt, results[1:]) if optimizer else {}
    results += state.values()
    if simplify:
        results = simplified(results, lowering.trace, n)
    state = dict(zip(state, results[n:], strict=True))
    returned = [results[0], *state.values()] if optimizer else results
    writer = Writer(returned, state, lowering.trace)
    body = _body(writer, results[:1], results[:n], comments)
    numbers = set(lowering.numbers.values())
    order = sorted(lowering.inputs, key=lambda x: (x in numbers, x.fixed))
    arguments = {writer.names[x]: x for x in order if x in writer.names}
    parameters = [f"{name}={x.value}" if x in numbers else name for name, x in arguments.items()]
    outputs = [ast.unparse(writer.expression(x)) for x in returned]
    source = STEP.format(
        parameters=", ".join(parameters), body="\n    ".join(body), outputs=", ".join(outputs)
    )
    if loop:
        arrays = {name: x.value for name, x in arguments.items() if x not in numbers}
        source += training(arrays, outputs, len(wrt))
    fixed = {name for name, x in arguments.items() if x.fixed}
    inputs = {name: x.value.copy() if x.fixed else x.value for name, x in arguments.items()}
    return Program(source, inputs, fixed)


def _check_tensors(output: Any, wrt: list[Any]) -> None:
    """Raise if one of them is no Tensor."""
    if not isinstance(output, Tensor):
        raise TypeError(f"output is a Tensor, as a loss is, not {output!r}")
    for x in wrt:
        if not isinstance(x, Tensor):
            raise TypeError(f"wrt is a list of Tensors, as model.parameters(), not of {x!r}")


def _body(writer: Writer, output: list[Any], gradients: list[Any], comments: bool) -> list[str]:
    """The lines of `step`, but for the last, in the sections forward, backward and update."""
    forward, backward = set(ordered(output)), set(ordered(gradients))
    sections = {"forward": [], "backward": writer.assumptions(), "update": []}
    for x, lines in writer.statements(comments):
        section = "forward" if x in forward else "backward" if x in backward else "update"
        sections[section] += lines
    return [line for name, lines in sections.items() if lines for line in (f"# {name}", *lines)]


def training(inputs: Mapping[str, Any], outputs: list[str], parameters: int) -> str:
    """The function `train`, and the command line around it.

    Args:
        inputs: the arguments of `step`.
        outputs: what it returns: the loss, so many parameters, the optimizer's state.
    """
    loss, new, state = outputs[0], outputs[1 : 1 + parameters], outputs[1 + parameters :]
    outer = [name for name in inputs if name not in state]
    start = ""
    for name in state:
        zeros = f"np.zeros_like({name.partition('_')[2]})" if np.ndim(inputs[name]) else "0"
        start += f"    {name} = {zeros}\n"
    return LOOP.format(
        arguments=", ".join(outer),
        start=start,
        results=", ".join(outputs),
        inputs=", ".join(inputs),
        loss=loss,
        parameters=", ".join(new),
        data=", ".join(outer),
        loaded=", ".join(f'data["{name}"]' for name in outer),
        saved=", ".join(f"{name}={name}" for name in new),
    )
