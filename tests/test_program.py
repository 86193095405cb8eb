"""Exported programs compute what the graph computes, and read as a person writes them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_ops import CASES, arrays_in, bound, function

import tinygrad_lr as tg
from tinygrad_lr import Tensor, to_numpy

every_sample = pytest.mark.parametrize(("name", "sample"), CASES)
both = pytest.mark.parametrize("simplify", [True, False], ids=["simplified", "as recorded"])


def run(program, **arrays):
    """What the source of a program computes, in a namespace of its own."""
    space = {}
    exec(str(program), space)
    return space["step"](**(program.inputs | arrays))


def assert_same(results, expected, tol=1e-12):
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        theirs = np.asarray(theirs.data if isinstance(theirs, Tensor) else theirs)
        assert np.shape(ours) == theirs.shape
        scale = np.max(np.abs(theirs), initial=0.0)
        assert_allclose(ours, theirs, rtol=tol, atol=tol * max(scale, 1))


def scalar(name, sample, leaves):
    y = bound(function(name), sample)(*leaves)
    v = np.cos(np.arange(y.size)).reshape(y.shape)
    return (v * y).sum()


@both
@every_sample
def test_the_program_of_every_operation_gives_its_value_and_gradients(name, sample, simplify):
    leaves = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    L = scalar(name, sample, leaves)
    program = to_numpy(L, leaves, simplify=simplify)
    assert_same(run(program), [L, *tg.grad(L, leaves)])


@both
@every_sample
def test_the_program_of_every_second_derivative(name, sample, simplify):
    leaves = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    L = scalar(name, sample, leaves)
    first = tg.grad(L, leaves, create_graph=True)
    total = sum((np.sin(1.0 + np.arange(g.size)).reshape(g.shape) * g).sum() for g in first)
    total = total + 0 * sum((x * x).sum() for x in leaves)
    program = to_numpy(total, leaves, simplify=simplify)
    assert_same(run(program), [total, *tg.grad(total, leaves)], 1e-10)
