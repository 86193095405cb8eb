"""The documents' models trained by compiled steps: the same weights as operation by operation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits, load_iris

import tinygrad_lr as tg
from examples import and_gate, linear, titanic, toy, tumors
from tinygrad_lr import Tensor


def leaves(*values):
    return [Tensor(value, requires_grad=True) for value in values]


def linear_regression():
    W, b = leaves([0.01], 0.0)
    yield [W, b], tg.optim.SGD([W, b], lr=0.01), 500
    yield [(linear.X, linear.Y)], lambda X, Y: linear.loss(Y, linear.forward(X, W, b))


def linear_layers():
    model = tg.nn.Sequential([tg.nn.Dense(1, 1, rng=0)])
    yield model.parameters(), tg.optim.SGD(model.parameters(), lr=0.01), 500
    batch = linear.X.reshape(-1, 1), linear.Y.reshape(-1, 1)
    yield [batch], lambda X, Y: tg.mse_loss(model(X), Y)


def titanic_by_hand():
    W, b = titanic.start()
    X, Y, *_ = titanic.load()
    yield [W, b], tg.optim.SGD([W, b], lr=0.01), 300
    yield [(X, Y)], lambda X, Y: titanic.loss(titanic.forward(X, W, b), Y)


def titanic_layers():
    X, Y, *_ = titanic.load()
    model = tg.nn.Dense(14, 1, rng=0)
    yield model.parameters(), tg.optim.Adam(model.parameters()), 300
    batch = X.T.copy(), Y[:, None]
    yield [batch], lambda X, Y: tg.binary_cross_entropy_with_logits(model(X), Y)


def and_neuron():
    w, b = leaves([0.25482, 0.66275074], [0.29860375])
    yield [w, b], tg.optim.SGD([w, b], lr=0.1), 1000
    samples = list(zip(and_gate.xdata, and_gate.ydata, strict=True))
    yield samples, lambda x, y: and_gate.loss(and_gate.forward(x, w, b), y)


def xor_network():
    rng = np.random.default_rng(0)
    layers = [tg.nn.Dense(2, 2, activation="sigmoid", rng=rng)]
    layers.append(tg.nn.Dense(2, 1, activation="sigmoid", rng=rng))
    model = tg.nn.Sequential(layers)
    yield model.parameters(), tg.optim.Adam(model.parameters(), lr=0.1), 300
    y = np.array([[0.0], [1], [1], [0]])
    yield [(and_gate.xdata, y)], lambda X, Y: tg.binary_cross_entropy(model(X), Y)


def iris_softmax():
    X, Y = load_iris(return_X_y=True)
    W, b = leaves(np.zeros((4, 3)), np.zeros(3))
    yield [W, b], tg.optim.SGD([W, b], lr=0.1), 1000
    batch = (X - X.mean(axis=0)) / X.std(axis=0), Y
    yield [batch], lambda X, Y: tg.cross_entropy(X @ W + b, Y)


def digits_in_columns():
    x, digit = load_digits(return_X_y=True)
    W, b = leaves(np.zeros((64, 1)), 0.0)
    yield [W, b], tg.optim.SGD([W, b], lr=0.01), 100
    batch = x[:1000].T.copy(), (digit == 2)[None, :1000]
    yield [batch], lambda X, Y: tg.binary_cross_entropy_with_logits(np.dot(W.T, X) + b, Y)


def tumors_weighted():
    _, X, y, *_ = tumors.prepare(np.random.default_rng(0))
    model = tumors.LogisticRegression(2, 2)
    yield model.parameters(), tg.optim.Adam(model.parameters(), lr=0.1), 50
    weights = 1 / np.bincount(y["train"])
    yield [(X["train"], y["train"])], lambda X, y: tg.cross_entropy(model(X), y, weight=weights)


def toy_samples():
    X, Y, W, B = toy.start(3, 0)
    yield [W, B], tg.optim.SGD([W, B], lr=0.01), 200
    yield [(X, Y)], lambda X, Y: toy.neg_log_loss(toy.sigmoid(np.matmul(W, X) + B), Y).sum()


@pytest.mark.parametrize(
    "example",
    [
        linear_regression, linear_layers, titanic_by_hand, titanic_layers, and_neuron,
        xor_network, iris_softmax, digits_in_columns, tumors_weighted, toy_samples,
    ],
)  # fmt: skip
def test_the_same_weights(example):
    (params, opt, epochs), (batches, loss) = example()
    twin_params, twin_opt, _ = next(twin := example())
    for p, q in zip(params, twin_params, strict=True):
        q.data = p.data
    _, twin_loss = next(twin)
    start = [p.data.copy() for p in params]
    step = tg.compile(loss, opt)
    for _ in range(epochs):
        for batch in batches:
            value = twin_loss(*batch)
            twin_opt.zero_grad()
            value.backward()
            twin_opt.step()
            assert_allclose(step(*batch), value.item(), rtol=1e-9)
    moved = max(np.abs(q.data - b).max() for q, b in zip(twin_params, start, strict=True))
    assert moved > 0.1
    for p, q in zip(params, twin_params, strict=True):
        assert_allclose(p.data, q.data, rtol=1e-9, atol=1e-9 * moved)
