"""The baseline: derived by hand and written as the documents in examples/ write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from docs.benchmarks.problems import CHAIN, Array, Problem, Training


def updating(problem: Problem, weights: list[Array]) -> Callable[[Iterable[Array]], None]:
    """The textbook's SGD or Adam: a function of the gradients that updates weights in place."""
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    t = 0

    def sgd(gradients: Iterable[Array]) -> None:
        for w, g in zip(weights, gradients, strict=True):
            w -= problem.lr * g

    def adam(gradients: Iterable[Array]) -> None:
        nonlocal t
        t += 1
        for i, g in enumerate(gradients):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            m_hat, v_hat = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            weights[i] -= problem.lr * m_hat / (np.sqrt(v_hat) + 1e-8)

    return adam if problem.adam else sgd


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def linear(problem: Problem) -> Training:
    """Document 000: a line through points."""
    ((X, Y),) = problem.batches
    X, Y, (W, b) = X[:, 0], Y[:, 0], (w[..., 0] for w in problem.weights())
    while True:
        yhat = W * X + b
        loss = 1 / len(X) * np.sum((yhat - Y) ** 2)
        dW = np.mean(-2 * X * (Y - yhat))
        db = np.mean(-2 * (Y - yhat))
        W = W - problem.lr * dW
        b = b - problem.lr * db
        yield loss, [W, b]


def neuron(problem: Problem) -> Training:
    """Document 001: half the squared error of a sigmoid."""
    batches = [(X[0], y[0]) for X, y in problem.batches]
    w, b = (w.ravel() for w in problem.weights())
    while True:
        for x, y in batches:
            out = sigmoid(x.dot(w) + b)
            loss = (out - y) ** 2 / 2
            delta = (out - y) * out * (1 - out)
            w -= problem.lr * delta * x
            b -= problem.lr * delta
        yield loss, [w, b]


def logistic(problem: Problem) -> Training:
    """Document 000: a column a sample."""
    ((X, Y),) = problem.batches
    X, Y, (W, b) = X.T, Y[:, 0], problem.weights()
    while True:
        A = sigmoid(np.dot(W.T, X) + b)
        m, eps = A.shape[1], 1e-15
        loss = -1 / m * np.sum(Y * np.log(A + eps) + (1 - Y) * np.log(1 - A + eps))
        dW = np.dot(X, (A - Y).T) / m
        db = np.sum(A - Y) / m
        W = W - problem.lr * dW
        b = b - problem.lr * db
        yield loss, [W, b]


def cross_entropy(problem: Problem, logits: Array, y: Array) -> tuple[Any, Array]:
    """Document 003: the loss and its gradient, with the class weights that its torch form has."""
    exp_logits = np.exp(logits)
    y_hat = exp_logits / np.sum(exp_logits, axis=1, keepdims=True)
    losses = -np.log(y_hat[range(len(y_hat)), y])
    dscores = y_hat
    dscores[range(len(y_hat)), y] -= 1
    if problem.class_weights is None:
        return np.sum(losses) / len(y), dscores / len(y)
    weights = problem.class_weights[y]
    loss = np.sum(weights * losses) / np.sum(weights)
    return loss, dscores * (weights / np.sum(weights))[:, None]


def softmax(problem: Problem) -> Training:
    """Document 003: softmax regression; Adam is its torch form's."""
    ((X, y),) = problem.batches
    W, b = weights = problem.weights()
    update = updating(problem, weights)
    while True:
        loss, dscores = cross_entropy(problem, np.dot(X, W) + b, y)
        dW = np.dot(X.T, dscores)
        db = np.sum(dscores, axis=0)
        update([dW, db])
        yield loss, weights


def mlp(problem: Problem) -> Training:
    """The same with a hidden layer, which is in none of the documents."""
    ((X, y),) = problem.batches
    W1, b1, W2, b2 = weights = problem.weights()
    update = updating(problem, weights)
    while True:
        Z = np.dot(X, W1) + b1
        H = np.maximum(0, Z)
        loss, dscores = cross_entropy(problem, np.dot(H, W2) + b2, y)
        dW2 = np.dot(H.T, dscores)
        db2 = np.sum(dscores, axis=0)
        dZ = np.dot(dscores, W2.T) * (Z > 0)
        dW1 = np.dot(X.T, dZ)
        db1 = np.sum(dZ, axis=0)
        update([dW1, db1, dW2, db2])
        yield loss, weights


def chain(problem: Problem) -> Training:
    ((x, y),) = problem.batches
    w, b = problem.weights()
    while True:
        h = [x]
        for _ in range(CHAIN // 2):
            h.append(h[-1] * w + b)
        loss = np.mean((h[-1] - y) ** 2)
        dh = 2 * (h[-1] - y) / len(y)
        dw, db = np.zeros_like(w), np.zeros_like(b)
        for before in reversed(h[:-1]):
            dw = dw + dh * before
            db = db + dh
            dh = dh * w
        w = w - problem.lr * dw
        b = b - problem.lr * db
        yield loss, [w, b]


def train(problem: Problem) -> Training:
    return globals()[problem.model](problem)
