"""HIPS autograd: NumPy's functions, its own copies of them, and gradients of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad
from autograd.scipy.special import logsumexp

from docs.benchmarks.problems import CHAIN, Problem, Training
from docs.benchmarks.with_numpy import updating


def dense(weights: Any, x: Any) -> Any:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2], strict=True):
        x = np.maximum(x @ V + c, 0)
    return x @ W + b


def linear(weights: Any, X: Any, y: Any) -> Any:
    return np.mean((dense(weights, X) - y) ** 2)


def neuron(weights: Any, X: Any, y: Any) -> Any:
    out = 1 / (1 + np.exp(-dense(weights, X)))
    return np.sum((out - y) ** 2 / 2)


def logistic(weights: Any, X: Any, y: Any) -> Any:
    z = dense(weights, X)
    return np.mean(np.logaddexp(0, z) - y * z)


def softmax(weights: Any, X: Any, y: Any, class_weights: Any = None) -> Any:
    z = dense(weights, X)
    losses = logsumexp(z, axis=1) - z[np.arange(len(y)), y]
    if class_weights is None:
        return np.mean(losses)
    return np.sum(class_weights[y] * losses) / np.sum(class_weights[y])


def chain(weights: Any, h: Any, y: Any) -> Any:
    w, b = weights
    for _ in range(CHAIN // 2):
        h = h * w + b
    return np.mean((h - y) ** 2)


MODELS: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "neuron": neuron,
    "logistic": logistic,
    "softmax": softmax,
    "mlp": softmax,
    "chain": chain,
}


def train(problem: Problem) -> Training:
    options = {} if problem.class_weights is None else {"class_weights": problem.class_weights}
    value_and_gradients, weights = value_and_grad(MODELS[problem.model]), problem.weights()
    update = updating(problem, weights)
    while True:
        for X, y in problem.batches:
            loss, gradients = value_and_gradients(weights, X, y, **options)
            update(gradients)
        yield loss, weights
