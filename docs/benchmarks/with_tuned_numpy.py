"""The same by hand with care: what never changes computed once, few calls, few temporaries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from docs.benchmarks.problems import CHAIN, Array, Problem, Training


def updating(problem: Problem, weights: list[Array]) -> tuple[Callable[[], None], list[Array]]:
    """Adam in place on all weights as one vector; returns also the views that get the gradients.

    The weights, too, become views of that vector.
    """
    sizes = np.cumsum([w.size for w in weights])[:-1]
    w = np.concatenate([w.ravel() for w in weights])
    g, m, v, root = (np.zeros_like(w) for _ in range(4))
    shapes = [w.shape for w in weights]
    weights[:], gradients = (
        [part.reshape(s) for part, s in zip(np.split(flat, sizes), shapes, strict=True)]
        for flat in (w, g)
    )
    power1 = power2 = 1.0

    def adam() -> None:
        nonlocal power1, power2
        power1, power2 = power1 * 0.9, power2 * 0.999
        np.subtract(g, m, out=root)
        np.multiply(root, 0.1, out=root)
        np.add(m, root, out=m)
        np.multiply(g, g, out=g)
        np.subtract(g, v, out=g)
        np.multiply(g, 0.001, out=g)
        np.add(v, g, out=v)
        np.sqrt(v, out=root)
        np.add(root, 1e-8 * math.sqrt(1 - power2), out=root)
        np.divide(m, root, out=root)
        np.multiply(root, problem.lr * math.sqrt(1 - power2) / (1 - power1), out=root)
        np.subtract(w, root, out=w)

    return adam, gradients


def linear(problem: Problem) -> Training:
    ((X, y),) = problem.batches
    x, y, (w, b) = X[:, 0].copy(), y[:, 0].copy(), (w.item() for w in problem.weights())
    ones, rate = np.ones(len(x)), 2 * problem.lr / len(x)
    while True:
        d = x * w + b - y
        loss = d.dot(d) / len(x)
        w -= rate * d.dot(x)
        b -= rate * d.dot(ones)
        yield loss, [w, b]


def neuron(problem: Problem) -> Training:
    """In Python's floats: so small an array is all overhead."""
    samples = [(*X[0].tolist(), y.item()) for X, y in problem.batches]
    w1, w2, b = (w for array in problem.weights() for w in array.ravel().tolist())
    exp, lr = math.exp, problem.lr
    while True:
        for x1, x2, y in samples:
            out = 1 / (1 + exp(-(x1 * w1 + x2 * w2 + b)))
            d = out - y
            loss = d * d / 2
            d *= lr * out * (1 - out)
            w1 -= d * x1
            w2 -= d * x2
            b -= d
        yield loss, [[w1, w2], b]


def logistic(problem: Problem) -> Training:
    """The loss from the logits: log(1 + exp(z)) - y z, with the exponential that σ needs anyway."""
    ((X, y),) = problem.batches
    y, (w, b) = y[:, 0].copy(), (w.ravel() for w in problem.weights())
    ones, m, rate = np.ones(len(y)), len(y), problem.lr / len(y)
    e, a = np.empty(m), np.empty(m)
    while True:
        z = X.dot(w)
        z += b
        np.negative(np.abs(z, out=e), out=e)
        np.exp(e, out=e)
        e1 = np.add(e, 1, out=a)
        loss = (np.log(e1).dot(ones) + np.maximum(z, 0).dot(ones) - z.dot(y)) / m
        np.divide(np.where(z > 0, 1.0, e), e1, out=a)
        a -= y
        w -= rate * a.dot(X)
        b -= rate * a.dot(ones)
        yield loss, [w, b]


def cross_entropy(problem: Problem, y: Array, classes: int) -> Any:
    """A function from the logits, a row a class, to the loss and its gradient, in their place."""
    m, dtype = len(y), problem.start[0].dtype
    weights = np.full(m, 1 / m) if problem.class_weights is None else problem.class_weights[y]
    weights = (weights / weights.sum()).astype(dtype)
    rows = np.arange(classes)[:, None] == y
    target = rows * weights
    flat_target = target.ravel()

    def loss_and_gradient(z: Array) -> tuple[Any, Array]:
        z -= z.max(axis=0)
        chosen = z.ravel().dot(flat_target)
        np.exp(z, out=z)
        total = z.sum(axis=0)
        loss = np.log(total).dot(weights) - chosen
        z *= weights / total
        z -= target
        return loss, z

    return loss_and_gradient


def softmax(problem: Problem) -> Training:
    ((X, y),) = problem.batches
    XT, ones, weights = np.ascontiguousarray(X.T), np.ones(len(y)), problem.weights()
    update, (dW, db) = updating(problem, weights)
    W, b = weights
    loss_and_gradient = cross_entropy(problem, y, len(b))
    while True:
        z = W.T.dot(XT)
        z += b[:, None]
        loss, dz = loss_and_gradient(z)
        dW[:] = XT.dot(dz.T)
        dz.dot(ones, out=db)
        update()
        yield loss, weights


def mlp(problem: Problem) -> Training:
    ((X, y),) = problem.batches
    ones, weights = np.ones(len(y), X.dtype), problem.weights()
    update, (dW1, db1, dW2, db2) = updating(problem, weights)
    W1, b1, W2, b2 = weights
    loss_and_gradient = cross_entropy(problem, y, len(b2))
    h, dh = (np.empty((len(y), len(b1)), X.dtype) for _ in range(2))
    while True:
        X.dot(W1, out=h)
        np.add(h, b1, out=h)
        np.maximum(h, 0, out=h)
        z = W2.T.dot(h.T)
        z += b2[:, None]
        loss, dz = loss_and_gradient(z)
        dW2[:] = h.T.dot(dz.T)
        dz.dot(ones, out=db2)
        dz.T.dot(W2.T, out=dh)
        np.multiply(dh, h > 0, out=dh)
        np.dot(X.T, dh, out=dW1)
        ones.dot(dh, out=db1)
        update()
        yield loss, weights


def chain(problem: Problem) -> Training:
    ((x, y),) = problem.batches
    w, b = problem.weights()
    n, add, multiply = CHAIN // 2, np.add, np.multiply
    H, D = np.empty((n + 1, len(x))), np.empty((n, len(x)))
    H[0] = x
    h, d = list(H), list(D)
    while True:
        for before, after in itertools.pairwise(h):
            multiply(before, w, after)
            add(after, b, after)
        error = h[-1] - y
        loss = error.dot(error) / len(y)
        d[-1][:] = error * (2 / len(y))
        for after, before in zip(d[:0:-1], d[-2::-1], strict=True):
            multiply(after, w, before)
        w -= problem.lr * np.einsum("ij,ij->j", H[:-1], D)
        b -= problem.lr * D.sum(axis=0)
        yield loss, [w, b]


def train(problem: Problem) -> Training:
    return globals()[problem.model](problem)
