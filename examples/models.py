"""The documents' models on a few samples: each function builds one and hands its loss to a verb.

The verbs are `tg.draw` (a picture) and `tg.explore` (a page). They are called inside the function,
where the variables have the names that they show. The docstring is the caption, and its beginning,
up to a colon, the title.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lr as tg
from examples import and_gate, linear, titanic, toy, tumors, xor

Model = Callable[[Callable[..., Any]], Any]
DRAWN: dict[str, Model] = {}
EXPLORED: dict[str, Model] = {}
SAMPLES = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
LABELS = np.array([[1.0], [0.0], [0.0], [1.0]])


def shown(*tables: dict[str, Model], name: str = "") -> Callable[[Model], Model]:
    """Enter a model into tables, by its function's name or another."""

    def enter(function: Model) -> Model:
        for table in tables:
            table[name or function.__name__] = function
        return function

    return enter


def title(model: Model) -> str:
    """The docstring of a model up to a colon."""
    return model.__doc__.partition(":")[0].rstrip(".")


def parameter(values: Any) -> tg.Tensor:
    return tg.Tensor(values, requires_grad=True)


@shown(DRAWN)
def logistic_regression(show):
    """Logistic regression, the model of all five documents, on four samples."""
    X, y = SAMPLES, LABELS
    w, b = parameter([[0.8], [-0.5]]), parameter(0.1)
    z = X @ w + b
    loss = tg.binary_cross_entropy_with_logits(z, y)
    return show(loss, wrt=[w, b])


@shown(EXPLORED, name="logistic_regression")
def weight_decay(show):
    """Logistic regression with weight decay: w is used twice, so its gradient is a sum."""
    X, y = SAMPLES, LABELS
    w, b = parameter([[0.8], [-0.5]]), parameter(0.1)
    u = X @ w
    z = u + b
    ŷ = tg.sigmoid(z)
    E = tg.binary_cross_entropy(ŷ, y)
    s = (w**2).sum()
    L = E + 0.1 * s
    return show(L, title="Logistic regression, forward and backward")


@shown(DRAWN)
def linear_regression(show):
    """Document 000, linear regression: b is broadcast, so its gradient is a sum."""
    X, Y = linear.X[:4], linear.Y[:4]
    W, b = parameter([0.5]), parameter(0.0)
    yhat = linear.forward(X, W, b)
    loss = linear.loss(Y, yhat)
    return show(loss, wrt=[W, b])


@shown(DRAWN)
def titanic_columns(show):
    """Document 000, the Titanic, with passengers in columns: fourteen features of two of them."""
    X, Y, *_ = titanic.load()
    X, Y = X[:, :2], Y[:2]
    W, b = titanic.start()
    Z = np.dot(W.T, X) + b
    A = titanic.sigmoid(Z)
    loss = titanic.loss(A, Y)
    return show(loss, wrt=[W, b])


@shown(DRAWN)
def titanic_layers(show):
    """Document 000, the Titanic from a layer, as Keras has it."""
    X, Y, *_ = titanic.load()
    X, Y = X[:, :4].T, Y[:4, None]
    model = tg.nn.Sequential([tg.nn.Dense(14, 1, activation="sigmoid", rng=0)])
    loss = tg.binary_cross_entropy(model(X), Y)
    return show(loss)


@shown(DRAWN)
def and_gate_neuron(show):
    """Document 001, the neuron of the AND gate, on one sample and half the squared error."""
    x, y = and_gate.xdata[3], and_gate.ydata[3]
    w, b = parameter([0.5, 0.25]), parameter([0.3])
    out = and_gate.forward(x, w, b)
    loss = and_gate.loss(out, y)
    return show(loss, wrt=[w, b])


@shown(DRAWN, name="xor_network")
def xor_layers(show):
    """Document 001, the XOR gate: a layer of two neurons, and one that looks at the two."""
    X, Y = xor.xdata, xor.ydata
    rng = np.random.default_rng(0)
    hidden = tg.nn.Dense(2, 2, activation="sigmoid", rng=rng)
    model = tg.nn.Sequential([hidden, tg.nn.Dense(2, 1, activation="sigmoid", rng=rng)])
    loss = tg.binary_cross_entropy(model(X), Y)
    return show(loss)


@shown(EXPLORED, name="xor_network")
def xor_training(show):
    """The XOR gate with a hidden layer of two neurons, and its training as a film."""
    X, Y = xor.xdata, xor.ydata
    rng = np.random.default_rng(0)
    W1, b1 = parameter(rng.normal(size=(2, 2))), parameter(np.zeros(2))
    w2, b2 = parameter(rng.normal(size=(2, 1))), parameter(0.0)

    def forward():
        H = tg.sigmoid(X @ W1 + b1)
        Ŷ = tg.sigmoid(H @ w2 + b2)
        return tg.binary_cross_entropy(Ŷ, Y)

    parameters = [W1, b1, w2, b2]
    start = [x.data.copy() for x in parameters]
    adam, film = tg.optim.Adam(parameters, lr=0.1), tg.Film()
    for _ in range(200):
        L = forward()
        film(L)
        adam.zero_grad()
        L.backward()
        adam.step()
    for x, data in zip(parameters, start, strict=True):
        x.data = data
    L = forward()
    return show(L, history=film, title="The XOR network, forward and backward")


@shown(DRAWN)
def iris_softmax(show):
    """Document 001, softmax regression on four flowers: the rows of Z's gradient sum to 0."""
    X = np.array([[-0.9, 1.0, -1.3], [1.4, 0.3, 0.5], [0.5, -0.4, 1.0], [0.1, 0.2, 0.3]])
    Y = np.array([0, 1, 2, 1])
    W = parameter([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0], [-0.7, 0.0, 0.6]])
    b = parameter(np.zeros(3))
    Z = X @ W + b
    loss = tg.cross_entropy(Z, Y)
    return show(loss, wrt=[W, b])


@shown(EXPLORED, name="softmax_regression")
def softmax_by_parts(show):
    """Softmax regression by its parts, down to the picked probabilities."""
    X, y = np.array([[-0.9, 1.0], [1.4, 0.3], [0.5, -0.4]]), np.array([0, 1, 2])
    W, b = parameter([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0]]), parameter(np.zeros(3))
    Z = X @ W + b
    P = tg.softmax(Z)
    p = P[np.arange(3), y]
    losses = -np.log(p)
    L = np.mean(losses)
    return show(L, title="Softmax regression, forward and backward")


@shown(DRAWN)
def digits_cost(show):
    """Document 002, whether a digit is a 2: of a thousand digits the ranges are shown."""
    rng = np.random.default_rng(0)
    X, Y = rng.integers(0, 17, (64, 1000)), rng.integers(0, 2, (1, 1000))
    W, b = parameter(np.zeros((64, 1))), parameter(0.0)
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return show(J, wrt=[W, b])


@shown(DRAWN)
def tumors_weighted(show):
    """Document 003: two classes of tumors, the rarer one weighted more."""
    X, y = np.array([[0.2, -1.1], [-0.7, 0.4], [1.2, 0.9]]), np.array([0, 1, 1])
    W, b = parameter([[-0.67, -0.34], [-0.14, -0.19]]), parameter(np.zeros((1, 2)))
    logits = tumors.forward(X, W, b)
    loss = tg.cross_entropy(logits, y, weight=[2.0, 1.0])
    return show(loss)


@shown(DRAWN)
def one_sample(show):
    """Document 004, one sample: every gradient is the one to its right times the chip between."""
    x, y = 1.3, 0
    w, b = parameter(0.8), parameter(0.1)
    z = w * x + b
    a = tg.sigmoid(z)
    L = toy.neg_log_loss(a, y)
    return show(L, wrt=[w, b])


@shown(DRAWN)
def toy_matrices(show):
    """Document 004, samples in columns: three of them, and the cost as the document writes it."""
    X = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    Y = np.array([[0, 0, 1]])
    W, B = parameter([[-0.9, 0.3, 1.0]]), parameter([0.0])
    Z = np.matmul(W, X) + B
    A = toy.sigmoid(Z)
    total_cost = np.sum(toy.neg_log_loss(A, Y))
    return show(total_cost, wrt=[W, B])


@shown(DRAWN)
def backward_pass(show):
    """The derivative of a gradient: dw is computed by rules, and its length has a gradient, too."""
    X, y = SAMPLES, LABELS
    w = parameter([[0.8], [-0.5]])
    z = X @ w
    loss = tg.binary_cross_entropy_with_logits(z, y)
    (dw,) = tg.grad(loss, [w], create_graph=True)
    length = np.sum(dw**2)
    return show(length, wrt=[w])


@shown(DRAWN)
def ten_layers(show):
    """A network of ten layers on 64 images: each a card, and eight equal ones in one."""
    rng = np.random.default_rng(0)
    X, y = rng.random((64, 784)), rng.integers(0, 10, 64)
    sizes = [784, *[128] * 9]
    model = tg.nn.Sequential(
        *(tg.nn.Dense(n, 128, activation="relu", rng=rng) for n in sizes),
        tg.nn.Dense(128, 10, rng=rng),
    )
    loss = tg.cross_entropy(model(X), y)
    return show(loss)
