"""Every document's model as the NumPy program of its loss and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinygrad_lr as tg
from examples import and_gate, linear, titanic, toy, xor
from examples.report import OUTPUT
from tinygrad_lr.program.to_numpy import Program

MODELS: dict[str, Callable[[], Program]] = {}


def shown(export: Callable[[], Program]) -> Callable[[], Program]:
    """Put the program that a function makes on the page; its docstring is the title."""
    MODELS[export.__name__] = export
    return export


@shown
def linear_regression():
    """Document 000, linear regression"""
    X, Y = linear.X, linear.Y
    W = tg.Tensor([0.5], requires_grad=True)
    b = tg.Tensor(0.0, requires_grad=True)
    yhat = linear.forward(X, W, b)
    loss = linear.loss(Y, yhat)
    return tg.to_numpy(loss, [W, b])


@shown
def titanic_columns():
    """Document 000, the Titanic, with passengers in columns"""
    X, Y, *_ = titanic.load()
    W, b = titanic.start()
    Z = np.dot(W.T, X) + b
    A = titanic.sigmoid(Z)
    loss = titanic.loss(A, Y)
    return tg.to_numpy(loss, [W, b])


@shown
def titanic_training():
    """Document 000, the Titanic as layers, a module that trains by itself"""
    X, Y, *_ = titanic.load()
    X, Y = X.T, Y[:, None]
    model = tg.nn.Dense(14, 1, rng=0)
    Z = model(X)
    loss = tg.binary_cross_entropy_with_logits(Z, Y)
    sgd = tg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return tg.to_numpy(loss, optimizer=sgd, loop=True)


@shown
def and_gate_neuron():
    """Document 001, the neuron of the AND gate, on one sample and half the squared error"""
    x, y = and_gate.xdata[3], and_gate.ydata[3]
    w = tg.Tensor([0.5, 0.25], requires_grad=True)
    b = tg.Tensor([0.3], requires_grad=True)
    out = and_gate.forward(x, w, b)
    loss = and_gate.loss(out, y)
    return tg.to_numpy(loss, [w, b])


@shown
def xor_network():
    """Document 001, the XOR gate: two neurons, and one that looks at the two"""
    X, Y = xor.xdata, xor.ydata
    W1 = tg.Tensor([[0.5, -0.4], [0.3, 0.8]], requires_grad=True)
    b1 = tg.Tensor(np.zeros(2), requires_grad=True)
    W2 = tg.Tensor([[0.7], [-0.6]], requires_grad=True)
    b2 = tg.Tensor(np.zeros(1), requires_grad=True)
    A1 = tg.sigmoid(X @ W1 + b1)
    A2 = tg.sigmoid(A1 @ W2 + b2)
    loss = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    return tg.to_numpy(loss, [W1, b1, W2, b2])


@shown
def iris_softmax():
    """Document 001, softmax regression on flowers, by the library's own loss"""
    X = np.array([[-0.9, 1.0, -1.3], [1.4, 0.3, 0.5], [0.5, -0.4, 1.0], [0.1, 0.2, 0.3]])
    Y = np.array([0, 1, 2, 1])
    W = tg.Tensor([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0], [-0.7, 0.0, 0.6]], requires_grad=True)
    b = tg.Tensor(np.zeros(3), requires_grad=True)
    Z = X @ W + b
    loss = tg.cross_entropy(Z, Y)
    return tg.to_numpy(loss, [W, b])


@shown
def digits_cost():
    """Document 002, whether a digit is a 2: the cost is a sum"""
    rng = np.random.default_rng(0)
    X, Y = rng.integers(0, 17, (64, 1000)), rng.integers(0, 2, (1, 1000))
    W = tg.Tensor(np.zeros((64, 1)), requires_grad=True)
    b = tg.Tensor(0.0, requires_grad=True)
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return tg.to_numpy(J, [W, b])


@shown
def tumors_softmax():
    """Document 003, two classes of tumors, the loss as the document writes it"""
    X = np.array([[0.2, -1.1], [-0.7, 0.4], [1.2, 0.9]])
    y = np.array([0, 1, 1])
    W = tg.Tensor([[-0.67, -0.34], [-0.14, -0.19]], requires_grad=True)
    b = tg.Tensor(np.zeros((1, 2)), requires_grad=True)
    logits = np.dot(X, W) + b
    exp_logits = np.exp(logits)
    y_hat = exp_logits / np.sum(exp_logits, axis=1, keepdims=True)
    correct_class_logprobs = -np.log(y_hat[range(len(y_hat)), y])
    loss = np.sum(correct_class_logprobs) / len(y)
    return tg.to_numpy(loss, [W, b])


@shown
def one_sample():
    """Document 004, one sample"""
    x, y = 1.3, 0
    w = tg.Tensor(0.8, requires_grad=True)
    b = tg.Tensor(0.1, requires_grad=True)
    z = w * x + b
    a = tg.sigmoid(z)
    L = toy.neg_log_loss(a, y)
    return tg.to_numpy(L, [w, b])


@shown
def toy_matrices():
    """Document 004, samples in columns"""
    X = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    Y = np.array([[0, 0, 1]])
    W = tg.Tensor([[-0.9, 0.3, 1.0]], requires_grad=True)
    B = tg.Tensor([0.0], requires_grad=True)
    Z = np.matmul(W, X) + B
    A = toy.sigmoid(Z)
    total_cost = np.sum(toy.neg_log_loss(A, Y))
    return tg.to_numpy(total_cost, [W, B])


@shown
def backward_pass():
    """The derivative of a gradient: of the squared length of logistic regression's"""
    X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
    y = np.array([[1.0], [0.0], [0.0], [1.0]])
    w = tg.Tensor([[0.8], [-0.5]], requires_grad=True)
    z = X @ w
    loss = tg.binary_cross_entropy_with_logits(z, y)
    (dw,) = tg.grad(loss, [w], create_graph=True)
    length = np.sum(dw**2)
    return tg.to_numpy(length, [w])


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    for name, export in MODELS.items():
        export().save(OUTPUT / f"{name}.py")
        print(f"saved {OUTPUT / name}.py: {export.__doc__}")


if __name__ == "__main__":
    main()
