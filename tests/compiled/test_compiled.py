"""Compiled steps do what zero_grad, backward and step do, and refuse what cannot be repeated."""

import concurrent.futures
import contextlib
import re
import threading
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tinygrad_lr as tg
from tests.samples import arrays_in, bound, every_sample, function
from tinygrad_lr import Tensor
from tinygrad_lr.compiled import floats

RNG = np.random.default_rng(0)
X, NEW = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 3))
Y = np.array([[0.0], [1], [1], [0], [1], [0], [1]])
LABELS = np.array([0, 2, 1, 1, 3, 0, 2])
OPTIMIZERS = {
    "SGD": lambda params: tg.optim.SGD(params, lr=0.3),
    "momentum": lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.8, nesterov=True),
    "Adam": lambda params: tg.optim.Adam(params, lr=0.1),
    "Adam decayed": lambda params: tg.optim.Adam(params, lr=0.1, weight_decay=0.2),
}


def dense(units, activation=None, dtype=np.float64):
    return tg.nn.Dense(3, units, activation, rng=1, dtype=dtype)


def network(units, activation="tanh", dtype=np.float64):
    hidden = tg.nn.Dense(3, 5, activation, rng=2, dtype=dtype)
    return tg.nn.Sequential(hidden, tg.nn.Dense(5, units, rng=3, dtype=dtype))


def by_hand(model):
    """The document's loss, from probabilities."""

    def loss(x, y):
        a = 1 / (1 + np.exp(-model(x)))
        return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))

    return loss


def picked(model):
    """The other document's loss, by an index."""

    def loss(x, y):
        e = np.exp(model(x))
        p = e / np.sum(e, axis=1, keepdims=True)
        return -np.mean(np.log(p[np.arange(len(y)), y]))

    return loss


def hinge(model):
    def loss(x, y):
        scores = model(x)
        margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + 1)
        return np.sum(margins) / len(y) + 0.1 * np.sum(model.W**2)

    return loss


CASES = {
    "mse": (dense(1), lambda m: lambda x, y: tg.mse_loss(m(x), y), Y),
    "logistic": (dense(1), lambda m: lambda x, y: tg.binary_cross_entropy_with_logits(m(x), y), Y),
    "probabilities": (
        dense(1, "sigmoid"),
        lambda m: lambda x, y: tg.binary_cross_entropy(m(x), y),
        Y,
    ),
    "by hand": (dense(1), by_hand, Y),
    "softmax": (dense(4), lambda m: lambda x, y: tg.cross_entropy(m(x), y), LABELS),
    "weighted": (
        dense(4),
        lambda m: lambda x, y: tg.cross_entropy(m(x), y, weight=[1.0, 2.0, 0.5, 3.0]),
        LABELS,
    ),
    "picked": (dense(4), picked, LABELS),
    "hinge": (dense(4), hinge, LABELS),
    "tanh": (network(4), lambda m: lambda x, y: tg.cross_entropy(m(x), y), LABELS),
    "relu": (network(1, "relu"), lambda m: lambda x, y: tg.mse_loss(m(x), y), Y),
}


def copied(model):
    twin = type(model).__new__(type(model))
    vars(twin).update(vars(model))
    if isinstance(model, tg.nn.Sequential):
        twin.layers = list(map(copied, model.layers))
    else:
        twin.W, twin.b = (Tensor(t.data, requires_grad=True) for t in (model.W, model.b))
    return twin


def eager(loss, optimizer):
    def step(*batch):
        value = loss(*batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def pair(case="logistic", optimizer="SGD"):
    """The same training twice: eager and compiled, with their parameters."""
    model, loss_of, y = CASES[case]
    steps = []
    for make in (eager, tg.compile):
        twin = copied(model)
        opt = OPTIMIZERS[optimizer](twin.parameters())
        steps.append((make(loss_of(twin), opt), twin.parameters(), opt))
    return *steps, y


def assert_same(slow, fast, rtol=1e-9):
    for a, b in zip(slow[1], fast[1], strict=True):
        assert_allclose(b.data, a.data, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_trains_to_the_same_weights(case, optimizer):
    slow, fast, y = pair(case, optimizer)
    for i in range(20):
        x = X if i < 10 else NEW
        assert_allclose(fast[0](x, y), slow[0](x, y), rtol=1e-9)
    assert_same(slow, fast)


@pytest.mark.parametrize("case", ["logistic", "softmax", "tanh"])
@pytest.mark.parametrize("rows", [7, 900])
def test_data_that_the_function_holds_are_constants(case, rows):
    model, loss_of, y = CASES[case]
    x, y = np.resize(X, (rows, 3)), np.resize(y, (rows, *y.shape[1:]))
    a, b = copied(model), copied(model)
    opt_a, opt_b = (tg.optim.Adam(m.parameters(), lr=0.1) for m in (a, b))
    slow = eager(lambda: loss_of(a)(x, y), opt_a)
    fast = tg.compile(lambda: loss_of(b)(x, y), opt_b)
    for _ in range(10):
        assert_allclose(fast(), slow(), rtol=1e-9)
    assert_same((0, a.parameters()), (0, b.parameters()))


def affine(x, W, b):
    return x @ W + b


BIASES = {  # shapes of W and b, what is computed from them, how many lines are saved
    "Dense": ((3, 2), (2,), affine, 2),
    "a row": ((3, 2), (1, 2), affine, 2),
    "a number": ((3, 1), (), affine, 1),
    "b first": ((3, 2), (2,), lambda x, W, b: b + x @ W, 2),
    "times 2": ((3, 2), (2,), lambda x, W, b: 2 * affine(x, W, b), 2),
    "twice": ((3, 2), (2,), lambda x, W, b: affine(x, W, b) * (x @ W + b), 1),
    "W without b": ((3, 2), (2,), lambda x, W, b: affine(x, W, b) * (x @ W), 0),
    "b without W": ((3, 2), (2,), lambda x, W, b: affine(x, W, b) + b**2, 1),
    "a number a row": ((3, 1), (900, 1), affine, 0),
    "W is square": ((3, 3), (3,), lambda x, W, b: x @ W.T + b, 0),
    "b beside x": ((3, 3), (3,), lambda x, W, b: (x + b) @ W, 0),
}


@pytest.mark.parametrize("case", BIASES)
def test_a_bias_is_a_row_of_the_weights(case):
    """X @ W + b of constant X is one product, and so are its gradients, where that is the same."""
    *shapes, f, fewer = BIASES[case]
    x, target = np.resize(X, (900, 3)), np.resize(NEW, (900, shapes[0][1]))
    start = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(shapes)]
    params = [[Tensor(v, requires_grad=True) for v in start] for _ in range(3)]
    slow, fast, apart = (
        make(
            lambda W=W, b=b: np.mean((np.tanh(f(Tensor(x), W, b)) - target) ** 2),
            OPTIMIZERS["momentum"]([b, W] if i == 2 else [W, b]),
        )
        for i, (make, (W, b)) in enumerate(
            zip((eager, tg.compile, tg.compile), params, strict=True)
        )
    )
    for _ in range(5):
        loss = slow()
        assert_allclose([fast(), apart()], [loss, loss], rtol=1e-9)
    for p, *others in zip(*params, strict=True):
        for q in others:
            assert_allclose(q.data, p.data, rtol=1e-9)
    assert apart.source.count("\n") - fast.source.count("\n") == fewer


def test_float32_stays_float32():
    a, b = (network(4, dtype=np.float32) for _ in range(2))
    x, loss = X.astype(np.float32), lambda m: lambda x, y: tg.cross_entropy(m(x), y)
    slow = eager(loss(a), tg.optim.Adam(a.parameters(), lr=0.01))
    fast = tg.compile(loss(b), tg.optim.Adam(b.parameters(), lr=0.01))
    for _ in range(10):
        assert_allclose(fast(x, LABELS), slow(x, LABELS), rtol=1e-4)
    assert {p.dtype for p in b.parameters()} == {np.dtype(np.float32)}
    assert_same((0, a.parameters()), (0, b.parameters()), rtol=1e-4)


def test_another_number_of_samples_is_recorded_anew():
    slow, fast, y = pair("tanh", "Adam")
    for rows in (7, 5, 7, 2, 5, 1):
        assert_allclose(fast[0](X[:rows], y[:rows]), slow[0](X[:rows], y[:rows]), rtol=1e-9)
    assert_same(slow, fast)


def test_the_function_is_not_called_for_what_is_known():
    calls = []
    w = Tensor(np.ones(3), requires_grad=True)

    def loss(x):
        calls.append(x.shape)
        return np.mean((x @ w) ** 2)

    step = tg.compile(loss, tg.optim.SGD([w], lr=0.1))
    for _ in range(9):  # which are compared now and then
        step(X), step(X[:5])
    recorded = len(calls)
    assert recorded <= 2 * (2 + 5)
    step(X), step(X[:5]), step(X.tolist()), step(X), step.each([X, X])
    assert len(calls) == recorded
    w.data = np.zeros(3)
    assert step(X) == 0
    assert len(calls) == recorded
    step.optimizer.weight_decay = 0.1
    step(X)
    assert len(calls) > recorded


@pytest.mark.parametrize("rows", [3, 2000])
def test_numpy_warns_as_it_did(rows):
    w = Tensor(np.ones(3), requires_grad=True)
    step = tg.compile(lambda x: np.sum(np.exp(x @ w)), tg.optim.SGD([w], lr=0.0))
    with np.errstate(over="raise", divide="call"):
        before = np.geterr()
        step(np.zeros((rows, 3)))
        assert step(np.full((rows, 3), 1e3)) == np.inf
        assert np.geterr() == before
    with pytest.raises(FloatingPointError), np.errstate(over="raise"):
        np.exp(np.array([1e3]))


def test_rates_parameters_and_eager_steps_may_change_between_steps():
    slow, fast, y = pair("logistic", "Adam")
    for i in range(12):
        for _, params, opt in (slow, fast):
            opt.lr = 0.1 / (1 + i)
            if i == 4:
                opt.weight_decay = 0.05
            if i == 6:
                params[0].data = params[0].data + 1
            if i == 8:
                params[0].data[1] = 5.0
        assert_allclose(fast[0](X, y), slow[0](X, y), rtol=1e-9)
        if i == 9:
            for _, params, opt in (slow, fast):
                loss = tg.binary_cross_entropy_with_logits(X @ params[0] + params[1], y)
                opt.zero_grad()
                loss.backward()
                opt.step()
    assert_same(slow, fast)


@pytest.mark.parametrize("rows", [3, 2000])
def test_logits_that_overflow_give_the_right_loss(rows):
    W = Tensor([[800.0]], requires_grad=True)
    x = np.resize([1.0, -2.0, 1e3], rows)[:, None]
    y = np.resize([0.0, 1.0, 1.0], rows)[:, None]
    step = tg.compile(
        lambda x, y: tg.binary_cross_entropy_with_logits(x @ W, y), tg.optim.SGD([W], lr=1.0)
    )
    weights = [800.0]
    for _ in range(3):
        z = x * weights[-1]
        loss = np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))))
        slope = np.mean((np.where(z > 0, 1.0, 0.0) - y) * x)
        assert_allclose(step(x, y), loss)
        weights.append(weights[-1] - slope)
        assert_allclose(W.item(), weights[-1])


def test_a_graph_from_before_a_step_is_out_of_date():
    _, fast, y = pair()
    W, b = fast[1]
    fast[0](X, y)
    loss = tg.mse_loss(X @ W + b, y)
    fast[0](X, y)
    with pytest.raises(tg.GradientError, match="was changed"):
        loss.backward()


def test_arrays_are_not_made_anew():
    _, fast, y = pair()
    fast[0](X, y)
    before = [id(p.data) for p in fast[1]]
    fast[0](X, y)
    assert [id(p.data) for p in fast[1]] == before


def branch(x, y, W):
    z = x @ W
    return (z * z).mean() if z.sum() > 0 else z.mean()


UNREPEATABLE = {
    "if": branch,
    "item": lambda x, y, W: (x @ W).mean() * W.sum().item(),
    "float": lambda x, y, W: (x @ W).mean() * float(W.sum()),
    ".data": lambda x, y, W: ((x @ W) * (W.data > 0).sum()).mean(),
    "nonzero": lambda x, y, W: (x @ W)[np.nonzero(x @ W > 0)].sum(),
    "random": lambda x, y, W: ((x @ W) * np.random.default_rng().normal(size=(7, 1))).mean(),
}


@pytest.mark.parametrize("name", UNREPEATABLE)
def test_what_cannot_be_repeated_is_refused(name):
    W = Tensor([[1.0], [2.0], [0.5]], requires_grad=True)
    step = tg.compile(lambda x, y: UNREPEATABLE[name](x, y, W), tg.optim.SGD([W], lr=0.1))
    for _ in range(2):
        with pytest.raises(tg.RecordingError):
            step(X, Y)
    assert W.data.ravel().tolist() == [1.0, 2.0, 0.5]


def test_comparisons_are_recorded():
    slow, fast, y = pair("hinge")
    for x in (X, -X, NEW):
        assert_allclose(fast[0](x, y), slow[0](x, y), rtol=1e-9)
    mask = Tensor([1.0, -1.0], requires_grad=True)
    step = tg.compile(lambda x: (x * (x * mask > 0) * mask).sum(), tg.optim.SGD([mask], lr=0.0))
    for x in (np.array([1.0, 2.0]), np.array([-1.0, -2.0])):
        assert step(x) == np.sum(x * (x * mask.data > 0) * mask.data)


def test_what_is_chosen_by_values_is_chosen_anew():
    W = Tensor(np.eye(3)[:, :2] + 0.1, requires_grad=True)

    def loss(x):
        z = x @ W
        rows = np.arange(len(x))
        best = z[rows, np.argmax(z, axis=1)]
        return best.sum() + (z * np.logical_not(z > 0)).sum() + z[:, 0][np.argsort(x[:, 1])][0]

    step = tg.compile(loss, tg.optim.SGD([W], lr=0.0))
    for x in (X, -X, NEW, 2 * X):
        assert_allclose(step(x), loss(Tensor(x)).item(), rtol=1e-12)


def test_a_difference_is_found_by_a_later_batch():
    """A step that is right for the first batch alone is stopped at the second."""
    w = Tensor([1.0, 2.0], requires_grad=True)
    step = tg.compile(lambda x: np.sum(np.abs(x * w)), tg.optim.SGD([w], lr=0.1, momentum=0.5))
    step(np.array([1.0, 3.0]))
    recorded = next(iter(step._recorded.values()))[0]
    run = recorded.program.run
    recorded.program.run = lambda *arguments: 1.5 * run(*arguments)
    other = Tensor(w.data.copy(), requires_grad=True)
    eager = tg.optim.SGD([other], lr=0.1, momentum=0.5)
    eager.velocity[0] = step.optimizer.velocity[0].copy()
    with pytest.raises(tg.RecordingError, match="the loss"):
        step(np.array([-1.0, 3.0]))
    np.sum(np.abs(np.array([-1.0, 3.0]) * other)).backward()
    eager.step()
    assert_allclose(w.data, other.data, rtol=1e-15)
    assert_allclose(step.optimizer.velocity[0], eager.velocity[0], rtol=1e-15)


def test_a_gradient_of_rounding_alone_is_not_compared():
    """A bias before a normalization has the gradient 0, of which Adam makes whole steps."""
    W, b = Tensor(np.eye(3), requires_grad=True), Tensor(np.zeros(3), requires_grad=True)

    def loss(x):
        z = x @ W + b
        z = z - z.mean(axis=0)
        return np.mean((z / np.sqrt((z * z).mean(axis=0) + 1e-3)) ** 3)

    step = tg.compile(loss, tg.optim.Adam([W, b], lr=0.1))
    for _ in range(9):
        step(X)


def test_there_are_programs_for_so_many_shapes_only():
    slow, fast, y = pair("tanh", "Adam")
    rows = np.tile(np.arange(1, 8), 4)
    many = np.concatenate([X] * 4)
    ys = np.concatenate([y] * 4)
    with pytest.warns(tg.TensorWarning, match="one operation after the other") as caught:
        for k, n in enumerate([*range(1, 22), *rows]):
            assert_allclose(fast[0](many[:n], ys[:n]), slow[0](many[:n], ys[:n]), rtol=1e-9), k
    assert len(caught) == 1 and len(fast[0]._recorded) == 16
    assert_same(slow, fast)


# Steps that were wrong, crashed or were refused once
MENDED = {
    "or": lambda x, y, w: np.mean((((x > 0) + (x > 1)) @ w - y) ** 2),
    "masks": lambda x, y, w: np.mean(((x @ w > 0) & (y > 0) | ~(x @ w > 1)) * (x @ w - y) ** 2),
    "logical": lambda x, y, w: np.sum(np.logical_and(x > 0, x < 1) * w) + np.sum(w * w),
    "isnan": lambda x, y, w: np.mean(np.where(np.isnan(x @ w), 0, x @ w - y) ** 2),
    "detached": lambda x, y, w: np.mean((x @ (w + (np.sign(w) - w).detach()) - y) ** 2),
    "detached itself": lambda x, y, w: np.mean((x.detach() @ w - y) ** 2) + np.sum(w * w.detach()),
    "target": lambda x, y, w: np.mean((x @ w - (0.9 * (x @ w).detach() + y)) ** 2),
    "ruled out": lambda x, y, w: np.mean(
        tg.softmax(np.where(np.tril(np.ones((7, 7))) > 0, (x * w) @ x.T, -np.inf)) @ y
    ),
    "joined": lambda x, y, w: np.concatenate([x[0] * w, w[:2]]).sum() ** 2,
    "a sum": lambda x, y, w: np.sum(x @ w + y) ** 2,
    "differences": lambda x, y, w: (
        np.sum(np.maximum(x @ w, 0)[1:] - np.maximum(x @ w, 0)[:-1]) + np.sum(w * w)
    ),
    "scaled masks": lambda x, y, w: np.sum(((x > 0) * 0.5 + (x > 1) * 0.5) @ w),
    "a mask less another": lambda x, y, w: np.sum(((x > 0) * 0.5 - (x > 1) * 0.5) @ w) ** 2,
    "masks of arrays": lambda x, y, w: np.mean(((np.arange(7) > 2) & (x @ w > 0)) * (x @ w - y)),
    "counts": lambda x, y, w: (
        np.sum(x @ w * np.any(x > 1, axis=1)) / (1 + np.count_nonzero(y > 0))
        + np.all(x > -2) * np.sum(w)
    ),
    "a view": lambda x, y, w: (
        lambda z: np.min(np.einsum("ij->ji", z)) + np.sum(tg.sigmoid(z) * y[:, None])
    )(x * w),
    "a trace": lambda x, y, w: (lambda z: np.trace(z @ z.T) / 3)(np.concatenate([x * w, x])),
    "a softmax of a number": lambda x, y, w: np.sum(tg.softmax(w[0]) * (x @ w)),
    "put into a column": lambda x, y, w: np.sum(
        np.mean((x * w) ** 2, axis=1, keepdims=True)[0] * y
    ),
}


@pytest.mark.parametrize("name", MENDED)
def test_a_compiled_step_is_an_ordinary_one(name):
    start, g = np.array([0.3, -0.2, 0.5]), np.random.default_rng(5)
    a, b = (Tensor(start, requires_grad=True) for _ in range(2))
    step = tg.compile(lambda x, y: MENDED[name](x, y, a), tg.optim.SGD([a], lr=0.05))
    optimizer = tg.optim.SGD([b], lr=0.05)
    for _ in range(11):
        x, y = g.normal(size=(7, 3)), g.normal(size=7)
        loss = MENDED[name](Tensor(x), Tensor(y), b)
        assert_allclose(step(x, y), loss.item(), rtol=1e-9)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert_allclose(a.data, b.data, rtol=1e-9)


def test_a_repeated_number_of_float32_and_the_variance_of_one():
    W, s = (Tensor(np.full(n, 0.3, np.float32), requires_grad=True) for n in [(3, 2), ()])

    def loss(x):
        z = x @ W
        return s * np.mean(np.mean(z, axis=1)) + np.min(np.tanh(z)) + np.var(2 * s)

    x = X.astype(np.float32)
    expected = loss(Tensor(x)).item()
    assert_allclose(tg.compile(loss, tg.optim.Adam([W, s]))(x), expected, rtol=1e-6)


def test_a_mask_as_an_index_is_refused_by_name():
    w = Tensor([0.3, -0.2, 0.5], requires_grad=True)

    def loss(x):
        z = x @ w
        return (z[z > 0] ** 2).sum()

    with pytest.raises(tg.RecordingError, match=r"np\.where\(mask, a, 0\)"):
        tg.compile(loss, tg.optim.SGD([w], lr=0.1))(X)
    assert_allclose(tg.to_numpy(loss, X)(NEW)[0], loss(Tensor(NEW)).item())


def test_a_mask_that_is_an_argument_is_refused_as_an_index():
    w, mask = Tensor([0.3, -0.2, 0.5], requires_grad=True), np.arange(len(X)) % 2 == 0
    step = tg.compile(lambda x, mask: np.exp(x[mask] @ w).mean(), tg.optim.SGD([w], lr=0.1))
    with pytest.raises(tg.RecordingError, match=r"np\.where\(mask, a, 0\)"):
        step(X, mask)


def test_what_a_function_keeps_beside_the_loss_is_refused():
    w, kept = Tensor([0.3, -0.2, 0.5], requires_grad=True), {"mean": np.zeros(3)}

    def loss(x):
        kept["mean"] = 0.9 * kept["mean"] + 0.1 * x.mean(axis=0)
        return ((x @ w) ** 2).mean()

    with pytest.raises(tg.RecordingError, match=r"keeps .* does not need[\s\S]*x.mean\(axis=0\)"):
        tg.compile(loss, tg.optim.SGD([w], lr=0.1))(X)


def test_class_weights_are_an_argument():
    W = Tensor(np.eye(3), requires_grad=True)
    labels = np.arange(len(X)) % 3

    def loss(x, labels, weight):
        return tg.cross_entropy(x @ W, labels, weight=weight)

    step = tg.compile(loss, tg.optim.SGD([W], lr=0.1))
    for i in range(6):
        weight = np.array([1.0, 2.0 + i, 0.5])
        expected = loss(X, labels, weight).item()
        assert_allclose(step(X, labels, weight), expected, rtol=1e-12)


def test_a_divisor_of_0_gives_what_numpy_does():
    w = Tensor([0.3, -0.2, 0.5], requires_grad=True)

    def loss(x):
        return (1 / (1 + (x @ w) ** 2 / (len(x) - 1))).sum()

    with np.errstate(all="ignore"):
        expected = loss(X[:1]).item()
        step = tg.compile(loss, tg.optim.SGD([w], lr=0.0))
        assert_allclose(step(X[:1]), expected)


def test_labels_out_of_range_are_seen_in_every_batch():
    W = Tensor(np.eye(3), requires_grad=True)
    step = tg.compile(lambda x, t: tg.cross_entropy(x @ W, t), tg.optim.SGD([W], lr=0.1))
    good = np.array([0, 1, 2, 2, 1, 0, 1])
    for _ in range(6):
        step(X, good)
    before = W.data.copy()
    for bad in (7, -1, 3):
        with pytest.raises(ValueError, match=f"{bad}"):
            step(X, np.where(good == 2, bad, good))
        assert_allclose(W.data, before)
    step(X, good)


def test_an_optimizer_that_overrides_its_update():
    class Doubled(tg.optim.SGD):
        def update(self, i, data, grad):
            data -= 2 * self.lr * grad

    a, b = (Tensor([0.3, -0.2, 0.5], requires_grad=True) for _ in range(2))
    step = tg.compile(lambda x: np.mean((x @ a) ** 2), Doubled([a], lr=0.05))
    optimizer = tg.optim.SGD([b], lr=0.1)
    for _ in range(5):
        step(X)
        optimizer.zero_grad()
        np.mean((X @ b) ** 2).backward()
        optimizer.step()
    assert_allclose(a.data, b.data, rtol=1e-12)


def test_a_wrong_program_is_noticed(monkeypatch):
    from tinygrad_lr.compiled import rewrites

    monkeypatch.setitem(
        rewrites.UNGUARDED, "logistic_loss", lambda z, t: np.exp(-z) * (1 - 0.9 * t)
    )
    _, fast, y = pair()
    for _ in range(2):
        with pytest.raises(tg.RecordingError, match="differs"):
            fast[0](X, y)


def test_what_is_no_loss_and_no_optimizer():
    W = Tensor([1.0, 2.0], requires_grad=True)
    sgd = tg.optim.SGD([W], lr=0.1)
    with pytest.raises(tg.RecordingError, match="one element"):
        tg.compile(lambda: W * 2, sgd)()
    with pytest.raises(TypeError, match="SGD or Adam"):
        tg.compile(lambda: W.sum(), "sgd")
    single = Tensor(np.ones(2, np.float32), requires_grad=True)
    with pytest.raises(TypeError, match="are float32 and float64"):
        tg.compile(lambda: (W * single).sum(), tg.optim.SGD([W, single], lr=0.1))
    with pytest.raises(tg.GradientError, match="does not depend"):
        tg.compile(lambda: Tensor(1.0, requires_grad=True) * 2, sgd)()


def test_what_a_step_is_not_told_of_is_read_anew_if_it_is_a_tensor():
    a, b, scale = (Tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0], 1.0))
    one, two = (
        tg.compile(lambda: np.sum((a * b * scale) ** 2), OPTIMIZERS["SGD"]([p])) for p in (a, b)
    )
    for step, p in ((one, a), (two, b), (one, a), (two, b)):
        before = [t.data.copy() for t in (a, b, scale)]
        value = np.sum((before[0] * before[1] * before[2]) ** 2)
        other = before[1] if p is a else before[0]
        mine = before[0] if p is a else before[1]
        assert_allclose(step(), value)
        assert_allclose(p.data, mine - 0.3 * 2 * mine * (other * before[2]) ** 2)
        scale.data = scale.data * 0.1


def test_under_no_grad_all_is_recorded_as_well():
    def loss(model):
        def of(x):
            with tg.no_grad():
                target = 2 * model(x) + x[:, :1]
            return tg.mse_loss(model(x), target)

        return of

    model = dense(1)
    twin = copied(model)
    slow, fast = (
        make(loss(m), OPTIMIZERS["SGD"](m.parameters()))
        for make, m in ((eager, model), (tg.compile, twin))
    )
    for x in (X, NEW, 3 * X):
        assert_allclose(fast(x), slow(Tensor(x)), rtol=1e-9)


@pytest.mark.parametrize("rows", [3, 60])
def test_an_index_that_is_passed_is_no_constant(rows):
    w = Tensor(np.linspace(1, 2, 40), requires_grad=True)
    step = tg.compile(lambda x, i: np.sum((x[i] * w[i]) ** 2), tg.optim.SGD([w], lr=0.0))
    x = np.linspace(-1, 1, 40)
    for seed in range(3):
        i = np.random.default_rng(seed).integers(40, size=rows)
        assert_allclose(step(x, i), np.sum((x[i] * w.data[i]) ** 2))


def test_gradients_that_depend_on_the_shape_alone():
    W, b = Tensor(np.ones((50, 60)), requires_grad=True), Tensor(np.zeros(60), requires_grad=True)
    step = tg.compile(lambda x: np.sum(x @ W + b), tg.optim.SGD([W, b], lr=0.1))
    for rows, moved in ((30, -3.0), (20, -5.0), (30, -8.0)):
        step(np.ones((rows, 50)))
        assert_allclose(b.data, np.full(60, moved))


@pytest.mark.parametrize("size", [4, 4000])
def test_nan_stays_nan(size):
    x = np.ones(size)
    x[1] = np.nan
    w = Tensor(np.ones(size), requires_grad=True)
    for loss in (lambda x: np.sum(np.maximum(x * w, 0)), lambda x: np.max(x * w)):
        step = tg.compile(loss, tg.optim.SGD([w], lr=0.0))
        assert step(np.ones(size)) > 0
        with np.errstate(invalid="ignore"):
            assert np.isnan(step(x))
        w.data = np.ones(size)


def test_infinite_steps_are_taken():
    w = Tensor([0.0, 1.0], requires_grad=True)
    step = tg.compile(lambda: np.sum(np.sqrt(w) * [1.0, 2.0]), tg.optim.SGD([w], lr=0.5))
    with np.errstate(divide="ignore"):
        assert step() == 2.0
    assert w.data.tolist() == [-np.inf, 0.5]


def test_a_parameter_that_is_frozen_later_is_not_trained():
    _, fast, y = pair()
    fast[0](X, y)
    fast[1][0].requires_grad = False
    with pytest.raises(tg.RecordingError, match="requires no gradient"):
        fast[0](X, y)


def test_adam_with_other_numbers_of_steps():
    _, fast, y = pair("logistic", "Adam")
    fast[0](X, y)
    fast[2].steps = [2, 1]
    with pytest.raises(tg.RecordingError, match="steps"):
        fast[0](X, y)


def test_a_loss_with_axes_and_large_arrays():
    W = Tensor(np.full((1000, 1), 0.001), requires_grad=True)
    step = tg.compile(lambda x: np.tanh(x @ W) ** 2, tg.optim.SGD([W], lr=0.1))
    assert_allclose(step(np.ones((1, 1000))), np.tanh(1.0) ** 2)


def test_a_batch_is_turned_without_a_call():
    W = Tensor(np.full((40, 1), 0.1), requires_grad=True)
    step = tg.compile(lambda x: np.mean((x @ W) ** 2), tg.optim.SGD([W], lr=0.01))
    assert_allclose([step(np.ones((50, 40))) for _ in range(2)], [16.0, 0.64])
    assert "a0.T" in step.source


def test_a_stack_of_one_matrix_with_one_element():
    W = Tensor(np.full((1, 1, 1), 2.0), requires_grad=True)
    step = tg.compile(lambda x: np.mean((W @ x) ** 2), tg.optim.SGD([W], lr=0.25))
    assert [step(np.ones((3, 1, 40))) for _ in range(2)] == [4.0, 1.0]


STEPS = [
    np.exp,
    lambda a: np.maximum(a, 0),
    lambda a: a * a,
    lambda a: a.T + a,
    lambda a: a @ a * 0.01,
    lambda a: a - a.mean(axis=0, keepdims=True),
    lambda a: a[::-1],
    lambda a: a / (1 + np.abs(a).sum(axis=1, keepdims=True)),
    lambda a: a.reshape(20, 80).T.reshape(40, 40),
    lambda a: np.where(a > 0.1, a, -a * 0.5),
    lambda a: np.concatenate([a[:20], -a[20:]]),
    lambda a: a[:, :1] * a,
]


@pytest.mark.parametrize("seed", range(60))
def test_programs_drawn_at_random(seed):
    """Arrays used again, turned, reversed and broadcast: who shares a place wrongly is seen."""
    rng = np.random.default_rng(seed)
    chosen, gated = rng.choice(len(STEPS), size=rng.integers(2, 7)), rng.random() < 0.5
    optimizer = OPTIMIZERS[list(OPTIMIZERS)[seed % len(OPTIMIZERS)]]

    def loss_of(W, b):
        def loss(x):
            a = first = np.tanh(x @ W + b)
            for k in chosen:
                a = np.tanh(STEPS[k](a)) * (first if gated else 1)
            return np.mean((a - 1) ** 2) + 0.01 * np.sum(W**2)

        return loss

    start = rng.normal(size=(40, 40)) * 0.1, np.zeros(40)
    twins = [[Tensor(v, requires_grad=True) for v in start] for _ in range(2)]
    slow, fast = (
        make(loss_of(*params), optimizer(params))
        for make, params in zip((eager, tg.compile), twins, strict=True)
    )
    for _ in range(3):
        x = rng.normal(size=(40, 40))
        assert_allclose(fast(x), slow(Tensor(x)), rtol=1e-7)
    for p, q in zip(*twins, strict=True):
        assert_allclose(q.data, p.data, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", ["mse", "logistic", "softmax", "tanh", "relu"])
def test_each_is_a_step_on_one_after_the_other(case, optimizer):
    slow, fast, y = pair(case, optimizer)
    batches = [X, NEW, -X, 2 * NEW], [y, y[::-1], y, y]
    for first, last in ((0, 3), (3, 4), (0, 4)):
        some = [arrays[first:last] for arrays in batches]
        losses = [slow[0](*batch) for batch in zip(*some, strict=True)]
        assert_allclose(fast[0].each(*map(np.stack, some)), losses, rtol=1e-9)
    assert fast[0].each(np.empty((0, 7, 3)), np.empty((0, *y.shape), y.dtype)) == []
    assert_same(slow, fast)
    for p in fast[1]:
        assert p.grad is None


def test_each_takes_one_element_of_every_array_per_step():
    w = Tensor(1.0, requires_grad=True)
    step = tg.compile(lambda x, y: (w * x - y) ** 2, tg.optim.SGD([w], lr=0.5))
    assert step.each([1.0, 2.0], [1.0, 0.0]) == [0.0, 4.0]
    assert w.item() == -3.0
    assert step.each(np.ones(3), [-3.0, -3.0, 1.0]) == [0.0, 0.0, 16.0]
    assert w.item() == 1.0
    for _ in range(2):
        with pytest.raises(ValueError, match="3, 4"):
            step.each(np.ones(3), np.ones(4))
    assert w.item() == 1.0


def test_each_notices_what_was_changed_before():
    slow, fast, y = pair("logistic", "Adam")
    x, labels = np.stack([X, NEW, X]), np.stack([y, y, y])
    for i in range(5):
        for _, params, opt in (slow, fast):
            if i == 1:
                opt.lr = 0.02
            if i == 2:
                params[0].data = params[0].data + 1
            if i == 3:
                opt.betas = 0.8, 0.99
        losses = [slow[0](*batch) for batch in zip(x[:, i:], labels[:, i:], strict=True)]
        assert_allclose(fast[0].each(x[:, i:], labels[:, i:]), losses, rtol=1e-9)
    assert_same(slow, fast)
    fast[1][0].requires_grad = False
    with pytest.raises(tg.RecordingError, match="requires no gradient"):
        fast[0].each(x[:, i:], labels[:, i:])


@pytest.mark.parametrize("rows", [1, 2000])
def test_each_goes_on_after_a_step_that_overflows(rows):
    W = Tensor([[1.0]], requires_grad=True)
    x = np.resize([1.0, 1.0, -1e3, 1.0, 1e4, 0.5], (rows, 6)).T[..., None]
    y = np.resize([0.0, 1.0, 1.0, 1.0, 0.0, 1.0], (rows, 6)).T[..., None]
    twin = Tensor(W.data, requires_grad=True)
    slow, fast = (
        make(
            lambda x, y, w=w: tg.binary_cross_entropy_with_logits(x @ w, y),
            tg.optim.SGD([w], lr=0.1, momentum=0.5),
        )
        for make, w in ((eager, twin), (tg.compile, W))
    )
    for _ in range(2):
        losses = [slow(Tensor(a), b) for a, b in zip(x, y, strict=True)]
        assert_allclose(fast.each(x, y), losses, rtol=1e-9, atol=1e-15)
    assert_allclose(W.data, twin.data, rtol=1e-9)


def test_the_source_can_be_printed():
    _, fast, y = pair()
    fast[0](X, y)
    assert "def run(" in fast[0].source


def test_floats_write_an_expression_once():
    model = tg.nn.Sequential(tg.nn.Dense(3, 3, "tanh", rng=0), tg.nn.Dense(3, 1, rng=1))
    step = tg.compile(lambda x, y: tg.mse_loss(model(x), y), tg.optim.Adam(model.parameters()))
    step(X[:1], Y[:1])
    products = re.findall(r"[\w.]+ [*/] [\w.]+", step.source)
    assert "tanh" in step.source and max(map(len, step.source.splitlines())) < 400
    assert max(Counter(products).values()) == 1


@pytest.mark.parametrize("arrays", [True, False], ids=["arrays", "floats"])
@every_sample
def test_every_operation(name, sample, arrays, monkeypatch):
    if arrays:
        monkeypatch.setattr(floats, "MAX_LINES", 0)
    params = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    if not sum(p.size for p in params):
        pytest.skip("no parameter has an element")
    f = bound(function(name), sample)
    v = np.random.default_rng(0).normal(size=np.shape(f(*arrays_in(sample))))
    step = tg.compile(lambda: np.sum(v * f(*params)), tg.optim.SGD(params, lr=1e-3))
    step()
    first = [p.data.copy() for p in params]
    again = [Tensor(x, requires_grad=True) for x in first]
    value = np.sum(v * f(*again))
    assert_allclose(step(), value.item(), rtol=1e-9)
    for p, x, g in zip(params, first, tg.grad(value, again), strict=True):
        assert_allclose(p.data, x - 1e-3 * g, rtol=1e-9)


def steps_both_ways(loss, shapes, batches, lr=0.05):
    """The losses of eager and of compiled steps, from the same start of zeros and of numbers."""
    found = []
    for way in ("eager", "compiled"):
        rng = np.random.default_rng(0)
        params = [tg.Tensor(rng.normal(size=s), requires_grad=True) for s in shapes]
        params[-1].data[...] = 0
        optimizer = tg.optim.SGD(params, lr=lr)
        step = tg.compile(lambda *batch, params=params: loss(*params, *batch), optimizer)
        losses = []
        for batch in batches:
            if way == "compiled":
                losses.append(step(*batch))
                continue
            value = loss(*params, *map(tg.Tensor, batch))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
        found.append(losses)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_data_of_whole_numbers_and_a_bias(dtype):
    X, y = XOR.astype(dtype), np.array([[0.0], [1.0], [1.0], [0.0]])
    steps_both_ways(lambda W, b: ((X @ W + b - y) ** 2).mean(), [(2, 1), (1,)], [()] * 4)
    steps_both_ways(lambda W, b: ((W @ X.T + b - y.T) ** 2).mean(), [(1, 2), (1,)], [()] * 4)


def test_a_column_beside_the_weights_is_no_row_of_them():
    X = np.random.default_rng(1).normal(size=(3, 2))
    steps_both_ways(lambda W, b: ((X @ W + b) ** 2).sum(), [(2, 3), (3, 1)], [()] * 4)


def test_a_sample_of_many_classes_is_a_short_program():
    X, y = np.random.default_rng(2).normal(size=(5, 1, 2)), np.arange(5)[:, None]
    steps_both_ways(
        lambda W, b, x, t: tg.cross_entropy(x @ W + b, t),
        [(2, 15), (15,)],
        list(zip(X, y, strict=True)),
    )


def test_numbers_that_floats_refuse_are_those_of_numpy():
    for x, loss in ((-4.0, lambda w, x: (x * w) ** 1.5), (1e200, lambda w, x: (x * w) ** 3)):
        w = tg.Tensor(1.0, requires_grad=True)
        step = tg.compile(lambda x, w=w, loss=loss: loss(w, x), tg.optim.SGD([w], lr=0.0))
        with np.errstate(all="ignore"):
            assert step(np.array(4.0)) == 8.0 or x > 0
            assert not np.isfinite(step(np.array(x)))


def test_small_unsigned_numbers_wrap_around_as_in_numpy():
    batches = [(np.array([2, 3], np.uint8),), (np.array([200, 17], np.uint8),)]
    steps_both_ways(lambda w, x: (x * x * w).sum(), [(2,)], batches * 2, lr=1e-6)


@pytest.mark.parametrize("kind", ["f4", ">f4", "f2", "g"])
def test_batches_of_other_kinds_of_numbers(kind):
    x = np.array([0.1, 0.7], kind)
    steps_both_ways(lambda w, x: ((x * w - 1) ** 2).sum(), [(2,)], [(x,), (x + 1,)])


def test_a_rate_of_another_kind_is_a_number():
    w = [tg.Tensor([0.3, 0.7], requires_grad=True) for _ in range(2)]
    optimizers = [tg.optim.SGD([p], lr=0.1) for p in w]
    steps = [
        tg.compile(lambda p=p: (p * p * p).sum(), o) for p, o in zip(w, optimizers, strict=True)
    ]
    for rate in (0.1, float(np.float32(0.05))):
        optimizers[0].lr, optimizers[1].lr = rate, rate if rate == 0.1 else np.float32(rate)
        for step in steps:
            step()
    np.testing.assert_allclose(w[1].data, w[0].data, rtol=1e-14)


def test_a_frozen_parameter_is_refused_before_and_after_the_first_step():
    w, v = (tg.Tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = tg.optim.SGD([w, v], lr=0.1)
    step = tg.compile(lambda: w * v, optimizer)
    step()
    v.requires_grad = False
    for frozen in (step, tg.compile(lambda: w * v, optimizer)):
        with pytest.raises(tg.RecordingError, match="an optimizer of the parameters that do"):
            frozen()


def test_a_batch_that_is_a_parameters_own_array():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    step = tg.compile(lambda x: ((w - x) ** 2).sum() + w.sum(), tg.optim.SGD([w], lr=0.1))
    assert step(w.data) == 3.0
    np.testing.assert_allclose(w.data, [0.9, 1.9])


def test_each_refuses_arrays_of_other_lengths_also_none():
    w = tg.Tensor(1.0, requires_grad=True)
    step = tg.compile(lambda x, y: (w * x - y) ** 2, tg.optim.SGD([w], lr=0.1))
    with pytest.raises(ValueError, match="same length"):
        step.each(np.zeros(0), np.zeros(2))
    assert step.each(np.zeros(0), np.zeros(0)) == []


def test_one_number_is_trained_in_floats():
    w = tg.Tensor([1.0], requires_grad=True)
    step = tg.compile(lambda x: ((w * x - 1) ** 2).sum(), tg.optim.SGD([w], lr=0.1))
    losses = [step(np.array([2.0])) for _ in range(3)]
    assert {type(loss) for loss in losses} == {float}  # and not one of NumPy's
    assert losses == pytest.approx([1.0, 0.04, 0.0016])


SMALL = {
    "logarithm": lambda x, w: -np.mean(np.log(tg.softplus(x + w))),
    "logarithm of the mean": lambda x, w: -np.log(np.mean(tg.softplus(x + w))),
    "two paths": lambda x, w: (s := tg.softplus(x + w)).mean() - np.log(s.max()),
}


@pytest.mark.parametrize("rows", [3, 300])  # floats and arrays
@pytest.mark.parametrize("loss", SMALL.values(), ids=SMALL)
def test_a_small_softplus_below_a_logarithm_is_exact(loss, rows):
    w = Tensor([0.5], requires_grad=True)
    step = tg.compile(lambda x: loss(x, w), tg.optim.SGD([w], lr=0.0))
    x = np.zeros((rows, 1))
    for _ in range(2):
        step(x)
    assert_allclose(step(x - 30.5), -np.log(np.log1p(np.exp(-30.0))), rtol=1e-12)
    step(x)
    assert_allclose(step(x - 700.5), 700.0, rtol=1e-12)


ZEROS = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
TIMES_ZERO = {
    "a constant": lambda x, w: np.where(x[0] > 0, np.mean(ZEROS @ w), 1.0) + np.mean(x),
    "a number": lambda x, w: np.mean(x * w[1]) + np.where(np.mean(x) > 5, 1.0, 0.0 * w[0]),
    "an index": lambda x, w: np.sum(np.exp(2e3 * (1 - x) * w[1])[:1]),
    "a gradient": lambda x, w: np.sum(np.where(x > 0.5, np.sqrt(x), 0.0) * w[1]),
}


@pytest.mark.parametrize("rows", [3, 300])
@pytest.mark.parametrize("loss", TIMES_ZERO.values(), ids=TIMES_ZERO)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_zero_times_nan_is_nan(loss, bad, rows):
    runs = []
    for kind in (eager, tg.compile):
        w = Tensor([0.5, 0.5], requires_grad=True)
        step = kind(lambda x, w=w: loss(x, w), tg.optim.SGD([w], lr=0.01))
        x = np.ones(rows)
        losses = [step(x), step(x)]
        w.data[0] = bad
        x[1] = 0.0  # where a root has no slope
        with np.errstate(all="ignore"):
            losses.append(step(x))
        runs.append([*losses, *w.data])
    assert_allclose(*runs, rtol=1e-9)


VIEWED = {
    "turned": lambda x, W: np.sum(np.einsum("ij->ji", np.tanh(x @ W)) @ np.exp(x @ W)),
    "diagonal": lambda x, W: np.sum(np.einsum("ii->i", np.tanh(W)) * np.mean(np.exp(x @ W), 0)),
    "of a parameter": lambda x, W: np.sum((x @ np.einsum("ij->ji", W)) ** 2),
    "backward": lambda x, W: np.mean(np.exp(np.einsum("ij->ij", np.tanh(x @ W))) * (x @ W)),
}


@pytest.mark.parametrize("rows", [7, 400])
@pytest.mark.parametrize("loss", VIEWED.values(), ids=VIEWED)
def test_a_view_of_a_buffer_keeps_it(loss, rows):
    runs = []
    for kind in (eager, tg.compile):
        W = Tensor(np.random.default_rng(1).normal(size=(6, 6)), requires_grad=True)
        step = kind(lambda x, W=W: loss(x, W), tg.optim.Adam([W], lr=0.01))
        rng = np.random.default_rng(2)
        losses = [step(0.3 * rng.normal(size=(rows, 6))) for _ in range(6)]
        runs.append([*losses, *W.data.ravel()])
    assert_allclose(*runs, rtol=1e-9)


RATES = {
    "SGD": (
        lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1),
        {"momentum": [0.5, 0.0, 0.8], "weight_decay": [0.2, 0.01], "lr": [0.05, 1]},
    ),
    "Adam": (
        lambda params: tg.optim.Adam(params, lr=0.1, weight_decay=0.1),
        {
            "betas": [(0.8, 0.99), (0.0, 0.9), (0.5, 0.999)],
            "eps": [1e-3, 0.0, 0.1],
            "weight_decay": [0.3, 0.0, np.float64(0.05)],
        },
    ),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("units", [3, 40])
@pytest.mark.parametrize("name", RATES)
def test_every_rate_may_change_between_steps(name, units, dtype):
    make, changes = RATES[name]
    runs, programs = [], 0
    for kind in (eager, tg.compile):
        W = Tensor(np.full((3, units), 0.3), dtype=dtype, requires_grad=True)
        optimizer = make([W])
        x, y = X.astype(dtype), Y.astype(dtype)

        def loss(x, y, W=W):
            return tg.mse_loss(np.tanh(x @ W), y * np.ones(W.shape[1]))

        step = kind(loss, optimizer)
        losses = [step(Tensor(x) if kind is eager else x, y) for _ in range(3)]
        for rate, values in changes.items():
            for value in values:
                setattr(optimizer, rate, value)
                losses += [step(Tensor(x) if kind is eager else x, y) for _ in range(2)]
        runs.append([*losses, *W.data.ravel()])
        programs = len(getattr(step, "_recorded", ()))
    assert_allclose(*runs, rtol=2e-4 if dtype == np.float32 else 1e-9)
    assert programs <= 4  # for the rates that are 0


def test_rates_do_not_record_anew():
    w = Tensor(np.ones(3), requires_grad=True)
    optimizer = tg.optim.Adam([w], lr=0.1, weight_decay=0.1)
    calls = []
    step = tg.compile(lambda x: (calls.append(0), np.mean((x @ w) ** 2))[1], optimizer)
    for i in range(40):
        optimizer.betas, optimizer.eps = (0.9 / (1 + i), 0.999 - 0.001 * i), 1e-8 * (1 + i)
        optimizer.weight_decay = 0.1 + 0.01 * i
        step(X)
    assert len(step._recorded) == 1
    assert len(calls) <= 10  # twice to record, and at calls 1, 2, 4, 8, 16, 32


@pytest.mark.parametrize("rows", [7, 70_000])
@pytest.mark.parametrize("limit", [1e-3, 0.1, 100.0])
def test_gradients_are_clipped_as_by_torch(limit, rows):
    torch = pytest.importorskip("torch")
    x = np.resize(X, (rows, 3))
    y = np.resize(Y, (rows, 1))
    W, b = np.linspace(-1, 1, 6).reshape(3, 2), np.array([0.1, -0.2])
    params = [Tensor(W, requires_grad=True), Tensor(b, requires_grad=True)]
    twins = [torch.tensor(p.data, requires_grad=True) for p in params]
    theirs = torch.optim.Adam(twins, lr=0.1)
    step = tg.compile(
        lambda x, y: np.mean((np.tanh(x @ params[0] + params[1]) - y) ** 2),
        tg.optim.Adam(params, lr=0.1),
        clip_norm=limit,
    )
    X_, Y_ = torch.tensor(x), torch.tensor(y)
    for _ in range(5):
        loss = ((torch.tanh(X_ @ twins[0] + twins[1]) - Y_) ** 2).mean()
        theirs.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twins, limit)
        theirs.step()
        assert_allclose(step(x, y), loss.item(), rtol=1e-12)
    for p, twin in zip(params, twins, strict=True):
        assert_allclose(p.data, twin.detach().numpy(), rtol=1e-9)


def test_clipping_holds_for_batches_without_a_program(monkeypatch):
    monkeypatch.setattr("tinygrad_lr.compiled.step.MAX_PROGRAMS", 0)
    w = Tensor([3.0, 4.0], requires_grad=True)
    step = tg.compile(lambda x: (x * w).sum(), tg.optim.SGD([w], lr=1.0), clip_norm=1.0)
    with pytest.warns(tg.TensorWarning, match="one operation after the other"):
        step(np.array([30.0, 40.0]))
    assert_allclose(w.data, [3.0 - 0.6, 4.0 - 0.8], rtol=1e-6)
    with pytest.raises(ValueError, match="clip_norm"):
        tg.compile(lambda x: (x * w).sum(), tg.optim.SGD([w]), clip_norm=-1.0)


@pytest.mark.parametrize("rows", [3, 3000])
def test_threads_take_turns_or_are_told(rows):
    w = Tensor(np.zeros(3), requires_grad=True)
    step = tg.compile(lambda x: np.sum(x @ w) / len(x), tg.optim.SGD([w], lr=1.0))
    x, lock = np.ones((rows, 3)), threading.Lock()

    def run(held):
        try:
            with lock if held else contextlib.nullcontext():
                return step(x)
        except RuntimeError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for held in (True, False):
            results = [*pool.map(run, [held] * 400)]
            refused = {r for r in results if isinstance(r, str)}
            done = [r for r in results if not isinstance(r, str)]
            assert len(done) == 400 if held else done
            assert all("threading.Lock" in r for r in refused)
            assert_allclose(sorted(np.diff(sorted(done))), [3.0] * (len(done) - 1))
    assert_allclose(step(x), w.data.sum() + 3.0)
    assert step.each(x[None].repeat(5, 0))


def test_a_step_within_a_step_is_refused_and_the_next_one_runs():
    w = Tensor([1.0], requires_grad=True)

    def loss(x):
        if x.shape == (2,):
            step(np.ones(1))
        return np.sum(x * w)

    step = tg.compile(loss, tg.optim.SGD([w], lr=0.1))
    with pytest.raises(RuntimeError, match=r"hold a threading\.Lock"):
        step(np.ones(2))
    assert step(np.ones(1)) == 1.0


def chained(x, w):
    z = w * x
    for _ in range(300):
        z = z * 0.99 + w
    return z


LONG = {
    "operations on a number": (chained, np.array(0.5)),
    "terms": (lambda x, w: np.mean(sum(x * (w * i) for i in range(1000))), np.ones(9)),
    "losses": (lambda x, w: sum(np.mean((x * w - i) ** 2) for i in range(400)), np.ones(9)),
}


@pytest.mark.parametrize("loss, x", LONG.values(), ids=LONG)
def test_long_computations(loss, x):
    runs = []
    for kind in (eager, tg.compile):
        w = Tensor(0.3, requires_grad=True)
        step = kind(lambda x, w=w: loss(x, w), tg.optim.SGD([w], lr=1e-6))
        runs.append([*(step(x) for _ in range(3)), w.item()])
    assert_allclose(*runs, rtol=1e-9)


def test_nothing_of_the_recording_stays():
    W = Tensor(np.zeros((256, 4)), requires_grad=True)
    x = RNG.normal(size=(4000, 256))  # 8 MB
    step = tg.compile(lambda x: np.mean(np.tanh(np.exp(x - x.mean(0)) @ W)), tg.optim.SGD([W]))
    tracemalloc.start()
    step(x)
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 2.5 * x.nbytes  # one buffer for x - x.mean(0), and one for its exp
