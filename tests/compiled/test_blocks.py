"""Steps on much data do block by block what they do on all rows at once, where that is the same."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tinygrad_lr as tg
from tinygrad_lr import Tensor
from tinygrad_lr.compiled import blocks

RNG = np.random.default_rng(0)
ROWS = 1003  # blocks of 64 and one of 43
X = RNG.normal(size=(ROWS, 3))
Y = (X[:, :1] > 0) * 1.0
LABELS = RNG.integers(4, size=ROWS)
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "MIN_BYTES", 0)
    monkeypatch.setattr(blocks, "_rows", lambda *_: 64)


@pytest.fixture
def counted(monkeypatch):
    """How often a program went block by block."""
    made = []

    class Counted(blocks.BlockedProgram):
        def __init__(self, plan):
            super().__init__(plan)
            made.append(len(self.blocks))

    monkeypatch.setattr("tinygrad_lr.compiled.recorder.BlockedProgram", Counted)
    return made


def linear(units):
    rng = np.random.default_rng(1)
    W, b = rng.normal(size=(3, units)) / 3, rng.normal(size=units)
    return [Tensor(p, requires_grad=True) for p in (W, b)]


def network():
    return linear(5) + [Tensor(p.data[:1].repeat(5, 0), requires_grad=True) for p in linear(4)[:1]]


def affine(x, W, b):
    return x @ W + b


def hidden(x, W, b, V):
    return np.maximum(x @ W + b, 0) @ V


def picked(x, y, *params):
    z = affine(x, *params)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def hinge(x, y, W, b):
    z = affine(x, W, b)
    margins = np.maximum(0, z - z[np.arange(len(y)), y][:, None] + 1)
    return margins.sum() / len(y) + 0.1 * (W**2).sum()


def columns(x, y, W, b):
    """The documents' layout: a column a sample."""
    z = W.T @ np.transpose(x) + b[:, None]
    return tg.binary_cross_entropy_with_logits(z, np.transpose(y))


def normalised(x, y, *params):
    z = affine(x, *params)
    z = (z - z.mean(axis=0)) / np.sqrt(((z - z.mean(axis=0)) ** 2).mean(axis=0) + 1e-5)
    return tg.cross_entropy(z, y)


BLOCKED = {
    "logistic": (
        linear(1),
        Y,
        lambda x, y, *p: tg.binary_cross_entropy_with_logits(affine(x, *p), y),
    ),
    "sum": (linear(1), Y, lambda x, y, *p: ((affine(x, *p) - y) ** 2).sum() / 1000),
    "columns": (linear(1), Y, columns),
    "softmax": (linear(4), LABELS, lambda x, y, *p: tg.cross_entropy(affine(x, *p), y)),
    "picked": (linear(4), LABELS, picked),
    "hinge": (linear(4), LABELS, hinge),
    "mlp": (network(), LABELS, lambda x, y, *p: tg.cross_entropy(hidden(x, *p), y)),
    "gathered": (
        linear(4),
        LABELS,
        lambda x, y, *p: (affine(x, *p)[:, 0] * Tensor(WEIGHTS)[y]).mean(),
    ),
    "bare loss": (linear(1), Y, lambda x, y, *p: (affine(x, *p) * x * y).sum()),
}
WHOLE = {
    "largest": (linear(1), Y, lambda x, y, *p: ((affine(x, *p) - y) ** 2).max()),
    "batch normalisation": (linear(4), LABELS, normalised),
    "running sums": (linear(1), Y, lambda x, y, *p: (np.cumsum(affine(x, *p), axis=0) * y).mean()),
    "neighbours": (linear(1), Y, lambda x, y, *p: (affine(x, *p)[1:] * y[:-1]).mean()),
    "reversed": (linear(1), Y, lambda x, y, *p: (affine(x, *p)[::-1] * y).mean()),
    "every pair": (linear(1), Y, lambda x, y, *p: (affine(x, *p) @ y.T).mean()),
    "looked up": (linear(4), LABELS, lambda x, y, W, b: (b[y] * (x @ W)[:, 0]).mean()),
    "a number a row": ([Tensor(Y)], Y, lambda x, y, w: ((x * w - y) ** 2).mean()),
    "centred": (
        linear(1),
        Y,
        lambda x, y, *p: ((affine(x, *p) - affine(x, *p).mean()) ** 2).mean(),
    ),
}
OPTIMIZERS = {
    "SGD": lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: tg.optim.Adam(params, lr=0.1, weight_decay=0.1),
}


def trains_alike(case, optimizer, held):
    start, y, loss = case
    eager, fast = ([Tensor(p.data, requires_grad=True) for p in start] for _ in range(2))
    slow, opt = (OPTIMIZERS[optimizer](params) for params in (eager, fast))
    if held:
        step = tg.compile(lambda: loss(Tensor(X), Tensor(y), *fast), opt)
    else:
        step = tg.compile(lambda x, y: loss(x, y, *fast), opt)
    for i in range(5):
        x = X if held or i < 3 else X[:, ::-1]
        value = loss(Tensor(x), Tensor(y), *eager)
        slow.zero_grad()
        value.backward()
        slow.step()
        assert_allclose(step(*() if held else (x, y)), value.item(), rtol=1e-9)
    for a, b in zip(eager, fast, strict=True):
        assert_allclose(b.data, a.data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("held", [True, False], ids=["held", "passed"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", BLOCKED)
def test_blocks_add_up(case, optimizer, held, counted):
    trains_alike(BLOCKED[case], optimizer, held)
    assert counted == [16]


@pytest.mark.parametrize("held", [True, False], ids=["held", "passed"])
@pytest.mark.parametrize("case", WHOLE)
def test_rows_that_depend_on_each_other_stay_together(case, held, counted):
    trains_alike(WHOLE[case], "SGD", held)
    assert not counted


def test_weights_of_classes(counted):
    params = linear(4)
    case = params, LABELS, lambda x, y, *p: tg.cross_entropy(affine(x, *p), y, weight=WEIGHTS)
    trains_alike(case, "SGD", held=True)
    assert counted == [16]
    trains_alike(case, "SGD", held=False)  # the sum of the weights divides every row


def test_few_data_stay_together(counted, monkeypatch):
    monkeypatch.setattr(blocks, "MIN_BYTES", 2**20)
    trains_alike(BLOCKED["logistic"], "SGD", held=False)
    assert not counted


def test_logits_that_overflow_start_again(counted):
    W = Tensor([[800.0]], requires_grad=True)
    x, y = np.resize([1.0, -2.0, 1e3], 900)[:, None], np.resize([0.0, 1.0, 1.0], 900)[:, None]
    step = tg.compile(
        lambda x, y: tg.binary_cross_entropy_with_logits(x @ W, y), tg.optim.SGD([W], lr=1.0)
    )
    weight = 800.0
    for _ in range(3):
        z = x * weight
        loss = np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))))
        weight -= np.mean((np.where(z > 0, 1.0, 0.0) - y) * x)
        assert_allclose(step(x, y), loss)
        assert_allclose(W.item(), weight)
    assert len(counted) == 2  # the quick program and the stable one


@pytest.mark.parametrize("x", [X.T.copy(), np.asfortranarray(X.T)], ids=["rows", "columns"])
def test_passed_blocks_are_in_one_piece(x, counted):
    W = Tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    step = tg.compile(lambda x: ((W @ x) ** 2).mean(), tg.optim.SGD([W], lr=0.1))
    assert_allclose(step(x), ((X @ [1.0, -2.0, 0.5]) ** 2).mean())
    assert len(counted) == x.flags.f_contiguous
