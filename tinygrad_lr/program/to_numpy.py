"""A loss as the NumPy program that a person would have written, forward and backward."""

from __future__ import annotations

import ast
import copy
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import CodeType, FrameType, FunctionType, MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages.frames import user_frame
from tinygrad_lr.messages.notebook import highlight
from tinygrad_lr.messages.origin import Instruction
from tinygrad_lr.naming.names import closure, find, nodes
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.batches import Batches, plain
from tinygrad_lr.program.canonical import canonical
from tinygrad_lr.program.named import FunctionLowering, GraphLowering, Labels, NamedLowering
from tinygrad_lr.program.recorder import RecordingError
from tinygrad_lr.program.simplify import simplified
from tinygrad_lr.program.symbols import Symbol, largest, ordered
from tinygrad_lr.program.writer import Writer
from tinygrad_lr.tensor import Tensor, gradients

STEP = """\
import numpy as np
{imports}

def step({parameters}):
    {body}
    return {outputs}
"""
FUNCTION = "tg.to_numpy(function, *batch) makes a program that computes this by itself"
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


class Requirements(NamedTuple):
    """What the program of a graph has to be given together.

    Attributes:
        data: the arguments that are data.
        before: those that were computed from data before the graph was.
        place: the index that was, if there is one.
    """

    data: set[str]
    before: set[str]
    place: Instruction | None

    def check(self, names: set[str]) -> None:
        """Raise unless arguments that are given under these names are all that belong together."""
        data = bool(self.data & names)
        if self.place and (data or self.before & names):
            raise ValueError(f"other data may have other indices at {self.place}; {FUNCTION}")
        needed = self.before | self.data if data else self.before if names else set()
        if missing := ", ".join(sorted(needed - names)):
            raise TypeError(
                f"with other data the program needs {missing} as well: data belong together, and "
                f"so does what was computed from them; {FUNCTION}"
            )

    def __str__(self) -> str:
        return ", ".join(sorted(self.before)) or str(self.place)


class Program:
    """A NumPy program: a function `step` in a module that imports NumPy alone.

    Attributes:
        source: the text of the module.
        inputs: the arguments of `step` by name, with the arrays of the recorded run.
        wrt: the tensors whose gradients, or new values, it returns after the output.
        check_loss: takes the function's arguments and what gives the loss; raises if it is wrong.
    """

    def __init__(
        self,
        source: str,
        inputs: Mapping[str, Any],
        fixed: Collection[str],
        batch: Collection[str] = (),
        current: Mapping[str, Callable[[], Any]] = MappingProxyType({}),
        wrt: Sequence[Tensor] = (),
        labels: Mapping[str, Labels] = MappingProxyType({}),
        arguments: Sequence[str] = (),
        requires: Callable[[set[str]], None] = lambda names: None,
    ) -> None:
        self.source, self.inputs, self.wrt = source, dict(inputs), list(wrt)
        self._fixed, self._batch, self._current, self._requires = fixed, batch, current, requires
        self._labels, self._arguments = labels, arguments
        self.check_loss: Callable[[list[Any], Callable[[], Any]], None] | None = None
        space: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, "<program>", "exec"), space)
        self._step = space["step"]

    def __call__(self, *values: Any, **arrays: Any) -> Any:
        """Run it, as `program(X, y)` or `program(X=X, W=W.data)`.

        Of a function's program, parameters, the optimizer's state, and arrays and Tensors with a
        name that are not given are as they are now; its own arguments, numbers and rates are as in
        the recorded run. Its loss is compared with the function's the first time that it is called
        for a number of samples.

        Raises:
            RecordingError: if the function gives another loss.
            TypeError: if a name is no argument, or one is missing that belongs to the others.
            ValueError: if the program is not for the shape of an array.
        """
        named = dict(zip(self.inputs, values, strict=False))
        unknown = [*(arrays.keys() - self.inputs.keys()), *(arrays.keys() & named.keys())]
        if unknown or len(values) > len(self.inputs):
            raise TypeError(
                f"step has no argument {', '.join(sorted(unknown)) or len(values)}, or is given it "
                f"twice: the arguments are {', '.join(self.inputs)}"
            )
        named = {name: self._cast(name, x) for name, x in (named | arrays).items()}
        self._requires({*named})
        for name, x in named.items():
            self._check_shape(name, np.shape(x), np.shape(self.inputs[name]))
        current = {name: value() for name, value in self._current.items()}
        every = self.inputs | current | named
        if len({len(every[name]) for name in self._batch}) > 1:
            shapes = ", ".join(f"{name} {np.shape(every[name])}" for name in self._batch)
            raise ValueError(f"the arguments have different numbers of samples: {shapes}")
        if self.check_loss:
            batch = {name: every[name] for name in self._arguments}
            own = self.inputs | current | batch  # with the parameters that the function has
            self.check_loss([*batch.values()], lambda: self._loss(own))
        return self._run(every)

    def _run(self, arguments: Mapping[str, Any]) -> Any:
        """What the function gives; whole numbers are Python's, which float32 stays so beside."""
        return self._step(
            **{
                name: x.item() if np.ndim(x) == 0 and np.asarray(x).dtype.kind == "i" else x
                for name, x in arguments.items()
            }
        )

    def _loss(self, arguments: Mapping[str, Any]) -> Any:
        results = self._run(arguments)
        return results[0] if isinstance(results, tuple) else results

    def _cast(self, name: str, x: Any) -> Any:
        """An argument as an array; truth values as numbers where they were numbers.

        Raises:
            ValueError: if labels are out of range.
        """
        array, labels = plain(x), self._labels.get(name)
        if labels and labels.out_of_range(array):
            low, high, most = array.min(), array.max(), labels.most
            raise ValueError(f"{name} has labels from {low} to {high}, not 0 to {most}")
        recorded = np.asarray(self.inputs[name])
        return array.astype(recorded.dtype) if array.dtype.kind == "b" else array

    def _check_shape(self, name: str, shape: tuple[int, ...], recorded: tuple[int, ...]) -> None:
        """Raise unless an argument's shape is one that the program is for."""
        fixed = shape[1:] != recorded[1:] if name in self._batch else shape != recorded
        if len(shape) != len(recorded) or (fixed and name in {*self._fixed, *self._batch}):
            raise ValueError(f"{name} has the shape {shape}; the program is for {recorded}")
        pairs = zip(recorded, shape, strict=True)
        if name not in self._batch and any(n == 1 != m for n, m in pairs):
            raise ValueError(
                f"{name} has the shape {shape}, and the program was made from {recorded}: one "
                f"sample does not show what is summed over samples, so make it from two or more"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the source to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.source)

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"<program step({', '.join(self.inputs)})>"

    def _repr_html_(self) -> str:
        return highlight(self.source)


def to_numpy(
    output: Tensor | Callable[..., Tensor],
    *batch: Any,
    wrt: Tensor | Sequence[Tensor] | None = None,
    simplify: bool = True,
    comments: bool = False,
    optimizer: Optimizer | None = None,
    loop: bool = False,
) -> Program:
    """The NumPy program that computes a loss and its gradients, for a batch of any size.

    The function is recorded on batches of several sizes, up to 150 samples and beyond the numbers
    in its code and that of the functions it names, and with other numbers beside the samples. What
    differs between them has to come from the arguments and their lengths, else the function is
    refused; then the program is run on data that it was not made from, and compared with what the
    function gives for arrays. What it does for numbers of samples that were not tried is only seen
    when the program is called. What depends on the data is computed: masks, argmax, constants that
    are as long as the batch. Names are the user's, a gradient's is d + the name.

    Args:
        output: a function of the batch, as for `compile`; gives a Tensor with one element.
        *batch: its arguments, arrays with the samples along the first axis.
        wrt: the tensors whose gradients are wanted; default all parameters that the loss reaches,
            with an optimizer its own.
        simplify: whether to rewrite what a person would write otherwise. Each rewriting is an
            identity for finite numbers, and compared with what it replaces in the recorded run. A
            comment says what was assumed about the data: that labels are classes.
        comments: whether to say of every line what shape it has and which rule it is.
        optimizer: add its update: the program returns the loss, the new parameters, and the
            optimizer's state.
        loop: add a function `train`, which begins with the optimizer as new, and a command line;
            needs an optimizer.

    Returns:
        A Program. Its arguments are the function's, then the parameters, which are as they are now
        if they are not given.

    `output` may also be a Tensor that has been computed, without a batch, as `to_numpy(loss, wrt)`:
    the program of this very computation. What was computed from data before the graph was built, as
    the number len(X) or a mask, is an argument, and has to be given with other data; where a length
    is part of an index or a shape, other data or shapes are refused. Arrays of variables are taken
    for data, so that with other parameters alone they are as they were.

    Raises:
        RecordingError: if the function reads values, or computes something else for another batch:
            a loop over the samples, an `if` on values, random numbers.
        GradientError: if the output has more than one element or does not depend on one of `wrt`.
        TypeError: if one of `wrt` is no Tensor.
        ValueError: if a loop is wanted without an optimizer, or would repeat what was computed
            before the graph was built.

    >>> W = Tensor([[1.0], [2.0]], requires_grad=True)
    >>> def loss(X, Y):
    ...     Z = X @ W
    ...     return np.sum((Z - Y) ** 2) / len(X)
    >>> X, Y = np.ones((3, 2)), np.zeros((3, 1))
    >>> program = to_numpy(loss, X, Y)
    >>> print(program)
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def step(X, Y, W):
        # forward
        Z = X @ W
        r = Z - Y
        loss = np.mean(r ** 2)
        # backward
        # because 1 / len(X) * 2 * (Z - Y) = 2 * r / len(X)
        dZ = 2 * r / len(X)
        dW = X.T @ dZ
        return loss, dW
    <BLANKLINE>
    >>> program(np.ones((5, 2)), np.ones((5, 1)))[0].item()
    4.0
    """
    if optimizer and type(optimizer).step is not Optimizer.step:
        raise TypeError(f"the update of {optimizer!r} is not in `update`: `step` is its own")
    if loop and optimizer is None:
        raise ValueError("a loop needs an optimizer: to_numpy(loss, optimizer=opt, loop=True)")
    frame = user_frame(2)
    batches = None
    if callable(output) and not isinstance(output, Tensor):
        batches, function = Batches(output, batch), output
        output = batches.first.output
    elif batch:
        if wrt is not None or len(batch) > 1:
            raise TypeError("to_numpy(loss, wrt): a loss that has been computed takes no batch")
        wrt = batch[0]
    if wrt is None:
        reached = _parameters(output) if batches else []
        wrt = optimizer.params if optimizer else reached
        if batches:
            wrt = [p for p in wrt if any(p is x for x in reached)]
    wrt = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    _check_tensors(output, wrt)
    names = find([output], _Variables.of(function, frame) if batches else frame)
    if simplify:
        output, wrt, names = canonical(output, wrt, names)
    lowering: NamedLowering
    lowering = FunctionLowering(names, batches) if batches else GraphLowering(names, output)
    program = _program(lowering, output, wrt, simplify, comments, optimizer, loop)
    if batches:
        _prove(program, batches, wrt, optimizer)
        program.check_loss = batches.check_loss
    return program


def _program(
    lowering: NamedLowering,
    output: Tensor,
    wrt: list[Tensor],
    simplify: bool,
    comments: bool,
    optimizer: Optimizer | None,
    loop: bool,
) -> Program:
    """The program of a graph.

    Args:
        lowering: makes its Symbols.
        output, wrt, simplify, comments, optimizer, loop: as in `to_numpy`.
    """
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
    arguments = _arguments(lowering, writer)
    before = {name for name, x in arguments.items() if x in lowering.computed_before}
    data = {name for name, x in arguments.items() if x in lowering.data}
    requires = Requirements(data, before, lowering.place)
    if before:
        body.insert(0, f"# to be given with other data: {requires}")
    outputs = [ast.unparse(writer.output(x)) for x in returned]
    modules = sorted(name for name in writer.modules if name.partition(".")[0] != "np")
    source = STEP.format(
        imports="".join(f"import {name}\n" for name in modules),
        parameters=", ".join(arguments),
        body="\n    ".join(body),
        outputs=", ".join(outputs),
    )
    if loop:
        if before or requires.place:
            raise ValueError(f"the loop would repeat {requires}: {FUNCTION}")
        arrays = {name: x.value for name, x in arguments.items()}
        source += training(arrays, [outputs[0], *state], len(wrt), lowering.slots)
    return _with_defaults(source, lowering, arguments, wrt, requires)


def _arguments(lowering: NamedLowering, writer: Writer) -> dict[str, Symbol]:
    """The arguments of a program by name: a batch, what was computed before, parameters."""
    batch, before = lowering.batch, lowering.computed_before
    names = {x: str(x.name) for x in batch} | writer.names
    order = sorted(lowering.inputs, key=lambda x: (x not in batch, x in before, x.fixed))
    return {names[x]: x for x in order if x in names}


def _with_defaults(
    source: str,
    lowering: NamedLowering,
    arguments: Mapping[str, Symbol],
    wrt: Sequence[Tensor],
    requires: Requirements,
) -> Program:
    """A program with what its arguments are if they are not given."""
    batch, current = lowering.batch, lowering.current
    inputs = {name: batch.get(x, x.value) for name, x in arguments.items()}
    inputs |= {name: x.value.copy() for name, x in arguments.items() if x.fixed}
    return Program(
        source,
        inputs,
        fixed={name for name, x in arguments.items() if x.fixed or lowering.trace.fixed},
        batch=[name for name, x in arguments.items() if x in batch and not x.fixed],
        current={name: current[x] for name, x in arguments.items() if x in current},
        wrt=wrt,
        labels=lowering.labels,
        arguments=[name for name, x in arguments.items() if x in batch],
        requires=requires.check,
    )


class _Variables(NamedTuple):
    """The variables of a function, in place of those of a frame."""

    f_locals: Mapping[str, Any]
    f_globals: Mapping[str, Any]
    f_code: CodeType

    @classmethod
    def of(cls, function: Any, frame: FrameType) -> Any:
        """A function's own variables first, then those of the frame that it is passed on in."""
        inner = getattr(function, "__func__", function)
        outside = {**frame.f_globals, **frame.f_locals}
        if not isinstance(inner, FunctionType):
            return cls({}, outside, frame.f_code)
        own = {"self": function.__self__} if inner is not function else {}
        return cls(own | closure(inner), outside | inner.__globals__, inner.__code__)


def _parameters(output: Tensor) -> list[Tensor]:
    """The leaves that a loss has a gradient for, in the order of their use."""
    grads = gradients(output) if output.requires_grad else {}
    return [x for x in nodes([output]) if isinstance(x, Tensor) and x.is_leaf and x in grads]


def _updated(optimizer: Optimizer, i: int, p: Tensor, gradient: Any) -> Any:
    """Parameter i as the optimizer would update it, which it does not."""
    shadow, array = copy.copy(optimizer), p._array.copy()
    for name, values in optimizer.state().items():
        setattr(shadow, name, copy.deepcopy(values))
    shadow.update(i, array, gradient)
    return array


def _prove(
    program: Program, batches: Batches, wrt: Sequence[Tensor], optimizer: Optimizer | None
) -> None:
    """Run the program on data of another size, and compare it with the function.

    Raises:
        RecordingError: if the results differ.
    """
    arrays = [x._array for x in batches.last.batch]
    output = batches.eager(arrays)
    batches.check_recorded(output)
    grads = {x: unwrap(g) for x, g in gradients(output).items()} if wrt else {}
    expected = [output._array.reshape(()), *(np.asarray(grads[x]) for x in wrt)]
    if optimizer:
        place = {id(p): i for i, p in enumerate(optimizer.params)}
        expected[1:] = [
            _updated(optimizer, place[id(p)], p, g) for p, g in zip(wrt, expected[1:], strict=True)
        ]
    try:
        with np.errstate(all="ignore"):
            results = program(*arrays)
    except Exception as error:
        raise RecordingError(
            f"the program would fail for another number of samples ({error}). This is a fault of "
            f"to_numpy\n{program}"
        ) from error
    results = results if isinstance(results, tuple) else (results,)
    exact = all(np.asarray(x).dtype != np.float32 for x in (*expected, *results))
    rtol, rounding = (1e-7, 1e-12) if exact else (1e-3, 1e-5)
    noise = rounding * max(map(largest, grads.values()), default=0.0)  # of what cancels
    slopes = [np.inf, *(np.abs(grads[x]) for x in wrt)]
    for x, y, slope in zip(results, expected, slopes, strict=False):
        near = np.isclose(x, y, rtol=rtol, atol=rtol * largest(y) + noise, equal_nan=True)
        # Adam makes whole steps of rounding
        near |= slope <= 1e3 * noise if optimizer else False
        wider = y.dtype == np.float32 != getattr(x, "dtype", np.float32)
        if not near.all() or wider:
            raise RecordingError(
                f"the program would not be right for {batches.size} samples: it gives {x!r}, and "
                f"the function {y!r}. This is a fault of to_numpy\n{program}"
            )


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


def training(
    inputs: Mapping[str, Any], outputs: list[str], parameters: int, slots: Mapping[str, str]
) -> str:
    """The function `train`, and the command line around it.

    Args:
        inputs: the arguments of `step`.
        outputs: what it returns: the loss, so many parameters, the optimizer's state.
        slots: the parameter that each array of the state is as large as.
    """
    loss, new, state = outputs[0], outputs[1 : 1 + parameters], outputs[1 + parameters :]
    outer = [name for name in inputs if name not in state]
    start = ""
    for name in state:
        zeros = f"np.zeros_like({slots[name]})" if np.ndim(inputs[name]) else "0"
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
