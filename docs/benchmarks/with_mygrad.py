"""MyGrad: arrays that record, as here."""

from __future__ import annotations

from typing import Any

import mygrad as mg
from mygrad.nnet.activations import logsoftmax, relu, sigmoid
from mygrad.nnet.losses import negative_log_likelihood, softmax_crossentropy

from docs.benchmarks.problems import CHAIN, Problem, Training
from docs.benchmarks.with_numpy import updating


def dense(weights: list[Any], x: Any) -> Any:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2], strict=True):
        x = relu(x @ V + c)
    return x @ W + b


def loss_of(problem: Problem, weights: list[Any], X: Any, y: Any) -> Any:
    if problem.model == "chain":
        w, b = weights
        for _ in range(CHAIN // 2):
            X = X * w + b
        return mg.mean((X - y) ** 2)
    z = dense(weights, X)
    if problem.model == "linear":
        return mg.mean((z - y) ** 2)
    if problem.model == "neuron":
        return mg.sum((sigmoid(z) - y) ** 2 / 2)
    if problem.model == "logistic":
        return mg.mean(mg.logaddexp(0, z) - y * z)
    if problem.class_weights is None:
        return softmax_crossentropy(z, y)
    share = problem.class_weights * (len(y) / problem.class_weights[y].sum())
    return negative_log_likelihood(logsoftmax(z), y, weights=share)


def train(problem: Problem) -> Training:
    weights = [mg.tensor(w) for w in problem.weights()]
    update = updating(problem, [w.data for w in weights])
    while True:
        for X, y in problem.batches:
            loss = loss_of(problem, weights, X, y)
            loss.backward()
            update([w.grad for w in weights])
        yield loss, weights
