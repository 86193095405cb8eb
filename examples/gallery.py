"""Every document's model as a picture: what is computed forward, and every gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinygrad_lr as tg
from examples import and_gate, linear, titanic, toy, tumors, xor
from examples.report import OUTPUT

MODELS: dict[str, Callable] = {}


def shown(draw: Callable) -> Callable:
    """Put what a function draws into the gallery; its docstring is the caption."""
    MODELS[draw.__name__] = draw
    return draw


@shown
def logistic_regression():
    """Logistic regression, the model of all five documents, on four samples."""
    X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
    y = np.array([[1.0], [0.0], [0.0], [1.0]])
    w = tg.Tensor([[0.8], [-0.5]], requires_grad=True)
    b = tg.Tensor(0.1, requires_grad=True)
    z = X @ w + b
    loss = tg.binary_cross_entropy_with_logits(z, y)
    return tg.draw(loss)


@shown
def one_sample():
    """Document 004, one sample: every gradient is the one to its right times the chip between."""
    x, y = toy.z_PRINTED[0].round(2), 0
    w = tg.Tensor(0.8, requires_grad=True)
    b = tg.Tensor(0.1, requires_grad=True)
    z = w * x + b
    a = tg.sigmoid(z)
    L = toy.neg_log_loss(a, y)
    return tg.draw(L)


@shown
def linear_regression():
    """Document 000, linear regression: b is broadcast, so its gradient is a sum."""
    X, Y = linear.X[:4], linear.Y[:4]
    W = tg.Tensor([0.5], requires_grad=True)
    b = tg.Tensor(0.0, requires_grad=True)
    yhat = linear.forward(X, W, b)
    loss = linear.loss(Y, yhat)
    return tg.draw(loss)


@shown
def titanic_two_passengers():
    """Document 000, the Titanic: fourteen features in rows and two passengers in columns."""
    X, Y, *_ = titanic.load()
    X, Y = X[:, :2], Y[:2]
    W, b = titanic.start()
    A = titanic.forward(X, W, b)
    loss = titanic.loss(A, Y)
    return tg.draw(loss)


@shown
def titanic_layers():
    """Document 000, the Titanic from a layer, as Keras has it."""
    X, Y, *_ = titanic.load()
    X, Y = X[:, :4].T, Y[:4, None]
    model = tg.nn.Sequential([tg.nn.Dense(14, 1, activation="sigmoid", rng=0)])
    loss = tg.binary_cross_entropy(model(X), Y)
    return tg.draw(loss)


@shown
def and_gate_neuron():
    """Document 001, the neuron of the AND gate, on one sample and half the squared error."""
    x, y = and_gate.xdata[3], and_gate.ydata[3]
    w = tg.Tensor([0.5, 0.25], requires_grad=True)
    b = tg.Tensor([0.3], requires_grad=True)
    out = and_gate.forward(x, w, b)
    loss = and_gate.loss(out, y)
    return tg.draw(loss)


@shown
def xor_network():
    """Document 001, the XOR gate: a layer of two neurons, and one that looks at the two."""
    X, Y = xor.xdata, xor.ydata
    rng = np.random.default_rng(0)
    hidden = tg.nn.Dense(2, 2, activation="sigmoid", rng=rng)
    model = tg.nn.Sequential([hidden, tg.nn.Dense(2, 1, activation="sigmoid", rng=rng)])
    loss = tg.binary_cross_entropy(model(X), Y)
    return tg.draw(loss)


@shown
def iris_softmax():
    """Document 001, softmax regression on three flowers: the rows of Z's gradient sum to 0."""
    X = np.array([[-0.9, 1.0, -1.3], [1.4, 0.3, 0.5], [0.5, -0.4, 1.0]])
    Y = np.array([0, 1, 2])
    W = tg.Tensor([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0], [-0.7, 0.0, 0.6]], requires_grad=True)
    b = tg.Tensor(np.zeros(3), requires_grad=True)
    Z = X @ W + b
    loss = tg.cross_entropy(Z, Y)
    return tg.draw(loss)


@shown
def digits_cost():
    """Document 002: a thousand digits of 64 pixels, of which the ranges are shown."""
    rng = np.random.default_rng(0)
    X, Y = rng.integers(0, 17, (64, 1000)), rng.integers(0, 2, (1, 1000))
    W = tg.Tensor(np.zeros((64, 1)), requires_grad=True)
    b = tg.Tensor(0.0, requires_grad=True)
    Z = np.dot(W.T, X) + b
    cost = tg.binary_cross_entropy_with_logits(Z, Y)
    return tg.draw(cost)


@shown
def tumors_weighted():
    """Document 003: two classes of tumors, the rarer one weighted more."""
    X = np.array([[0.2, -1.1], [-0.7, 0.4], [1.2, 0.9]])
    y = np.array([0, 1, 1])
    W = tg.Tensor([[-0.67, -0.34], [-0.14, -0.19]], requires_grad=True)
    b = tg.Tensor(np.zeros((1, 2)), requires_grad=True)
    logits = tumors.forward(X, W, b)
    loss = tg.cross_entropy(logits, y, weight=[2.0, 1.0])
    return tg.draw(loss)


@shown
def toy_matrices():
    """Document 004, three samples in columns, and the cost as the document writes it."""
    X = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    Y = np.array([[0, 0, 1]])
    W = tg.Tensor([[-0.9, 0.3, 1.0]], requires_grad=True)
    B = tg.Tensor([0.0], requires_grad=True)
    A = toy.sigmoid(np.matmul(W, X) + B)
    total_cost = np.sum(toy.neg_log_loss(A, Y))
    return tg.draw(total_cost)


@shown
def backward_pass():
    """A gradient is a computation, too: dw of logistic regression, by the operations' rules."""
    X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
    y = np.array([[1.0], [0.0], [0.0], [1.0]])
    w = tg.Tensor([[0.8], [-0.5]], requires_grad=True)
    z = X @ w
    loss = tg.binary_cross_entropy_with_logits(z, y)
    (dw,) = tg.grad(loss, [w], create_graph=True)
    return tg.draw(dw)


@shown
def ten_layers():
    """A network of ten layers on 64 images: each a card, and eight equal ones in one."""
    rng = np.random.default_rng(0)
    X, y = rng.random((64, 784)), rng.integers(0, 10, 64)
    sizes = [784, *[128] * 9]
    model = tg.nn.Sequential(
        *(tg.nn.Dense(n, 128, activation="relu", rng=rng) for n in sizes),
        tg.nn.Dense(128, 10, rng=rng),
    )
    loss = tg.cross_entropy(model(X), y)
    return tg.draw(loss)


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    for name, draw in MODELS.items():
        picture = draw()
        for format in ("svg", "png"):
            (OUTPUT / f"{name}.{format}").write_bytes(picture.pipe(format))
        print(f"saved {OUTPUT / name}.svg and .png: {draw.__doc__}")


if __name__ == "__main__":
    main()
