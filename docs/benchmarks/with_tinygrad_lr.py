"""tinygrad_lr, written as its users write it."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_lr as tg
from docs.benchmarks.problems import CHAIN, Problem, Training


class Chain(tg.nn.Module):
    """h = h * W + b, over and over."""

    def __init__(self) -> None:
        self.W, self.b = (tg.Tensor([0.0] * 8, requires_grad=True) for _ in range(2))

    def forward(self, h: Any) -> Any:
        for _ in range(CHAIN // 2):
            h = h * self.W + self.b
        return h


def network(problem: Problem) -> Any:
    """The model at its start."""
    if problem.model == "chain":
        model = Chain()
    else:
        shapes = [W.shape for W in problem.start[::2]]
        dtype = problem.start[0].dtype
        activations = ["relu"] * (len(shapes) - 1) + ["sigmoid" * (problem.model == "neuron")]
        layers = zip(shapes, activations, strict=True)
        model = tg.nn.Sequential([tg.nn.Dense(*s, a or None, dtype=dtype) for s, a in layers])
    names = [name for name, _ in model.named_parameters()]
    model.load_state_dict(dict(zip(names, problem.start, strict=True)))
    return model


def half_squared_error(out: Any, y: Any) -> Any:
    return ((out - y) ** 2 / 2).sum()


def setup(problem: Problem) -> tuple[Any, Any, Any]:
    """The model, the loss as a function of X and y, and the optimizer."""
    model, class_weights = network(problem), problem.class_weights
    losses = {
        "linear": tg.mse_loss,
        "chain": tg.mse_loss,
        "neuron": half_squared_error,
        "logistic": tg.binary_cross_entropy_with_logits,
        "softmax": lambda z, y: tg.cross_entropy(z, y, weight=class_weights),
        "mlp": tg.cross_entropy,
    }
    loss = losses[problem.model]
    optimizer = tg.optim.Adam if problem.adam else tg.optim.SGD
    return model, lambda X, y: loss(model(X), y), optimizer(model.parameters(), lr=problem.lr)


def eager(problem: Problem) -> Training:
    model, loss_of, optimizer = setup(problem)
    weights = model.parameters()
    while True:
        for X, y in problem.batches:
            loss = loss_of(X, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield loss, weights


def compiled(problem: Problem) -> Training:
    """What never changes is a constant of the step; samples in turn are one call of `each`."""
    model, loss_of, optimizer = setup(problem)
    weights = model.parameters()
    if len(problem.batches) == 1:
        ((X, y),) = problem.batches
        step = tg.compile(lambda: loss_of(X, y), optimizer)
        while True:
            yield step(), weights
    step = tg.compile(loss_of, optimizer)
    batches = [np.stack(arrays) for arrays in zip(*problem.batches, strict=True)]
    while True:
        yield step.each(*batches)[-1], weights
