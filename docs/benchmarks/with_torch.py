"""PyTorch: as its users write it, without what can be left out, and compiled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from docs.benchmarks.problems import CHAIN, Problem, Training, Unavailable

torch.set_num_threads(1)


class Chain(torch.nn.Module):
    """The same as `chained`, with the weights inside."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (torch.nn.Parameter(torch.zeros(8)) for _ in range(2))

    def forward(self, h: Any) -> Any:
        return chained([self.weight, self.bias], h)


def chained(weights: list[Any], h: Any) -> Any:
    w, b = weights
    for _ in range(CHAIN // 2):
        h = h * w + b
    return h


def dense(weights: list[Any], x: Any) -> Any:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2], strict=True):
        x = functional.relu(functional.linear(x, V, c))
    return functional.linear(x, W, b)


def network(problem: Problem) -> tuple[Any, list[Any]]:
    """The model at its start, and its weights in the layout of the start."""
    if problem.model == "chain":
        model = Chain()
    else:
        layers = [torch.nn.Linear(*W.shape) for W in problem.start[::2]]
        hidden = [module for layer in layers[:-1] for module in (layer, torch.nn.ReLU())]
        model = torch.nn.Sequential(*hidden, layers[-1])
    model.to(torch.from_numpy(problem.start[0]).dtype)
    weights = [p.detach().T if p.ndim == 2 else p.detach() for p in model.parameters()]
    for w, start in zip(weights, problem.start, strict=True):
        w.copy_(torch.from_numpy(start))
    return model, weights


def half_squared_error(z: Any, y: Any) -> Any:
    return ((torch.sigmoid(z) - y) ** 2 / 2).sum()


def loss_function(problem: Problem) -> Callable[[Any, Any], Any]:
    """The loss of the model's output and the target."""
    c = problem.class_weights
    weight = None if c is None else torch.from_numpy(c)
    losses: dict[str, Any] = {
        "linear": functional.mse_loss,
        "chain": functional.mse_loss,
        "neuron": half_squared_error,
        "logistic": functional.binary_cross_entropy_with_logits,
        "softmax": lambda z, y: functional.cross_entropy(z, y, weight),
        "mlp": functional.cross_entropy,
    }
    return losses[problem.model]


def batches(problem: Problem) -> list[tuple[Any, Any]]:
    return [(torch.from_numpy(X), torch.from_numpy(y)) for X, y in problem.batches]


def eager(problem: Problem) -> Training:
    (model, weights), loss_of, data = network(problem), loss_function(problem), batches(problem)
    algorithm = torch.optim.Adam if problem.adam else torch.optim.SGD
    optimizer = algorithm(model.parameters(), lr=problem.lr)
    while True:
        for X, y in data:
            loss = loss_of(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield loss, weights


def tuned(problem: Problem) -> Training:
    """No modules, no .grad, and the optimizer's fused kernel, or for SGD none."""
    (model, weights), loss_of, data = network(problem), loss_function(problem), batches(problem)
    output = chained if problem.model == "chain" else dense
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, lr=problem.lr, fused=True) if problem.adam else None
    while True:
        for X, y in data:
            loss = loss_of(output(parameters, X), y)
            gradients = torch.autograd.grad(loss, parameters)
            if adam:
                for p, g in zip(parameters, gradients, strict=True):
                    p.grad = g
                adam.step()
            else:
                with torch.no_grad():
                    for p, g in zip(parameters, gradients, strict=True):
                        p.sub_(g, alpha=problem.lr)
        yield loss, weights


def compiled(problem: Problem) -> Training:
    """The whole step through torch.compile, the optimizer included."""
    if problem.model == "chain":
        raise Unavailable("it would unroll the loop, and compile for minutes")
    if not shutil.which(os.environ.get("CXX", "g++")):
        raise Unavailable("there is no C++ compiler")
    (model, weights), loss_of, data = network(problem), loss_function(problem), batches(problem)
    parameters = [p.detach() for p in model.parameters()]
    means, squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    t = torch.zeros((), dtype=parameters[0].dtype)
    value_and_gradients = torch.func.grad_and_value(lambda ws, X, y: loss_of(dense(ws, X), y))

    @torch.compile
    def step(X: Any, y: Any) -> Any:
        gradients, loss = value_and_gradients(parameters, X, y)
        for w, g, m, v in zip(parameters, gradients, means, squares, strict=True):
            if problem.adam:
                m.lerp_(g, 0.1)
                v.lerp_(g * g, 0.001)
                root = (v / (1 - 0.999**t)).sqrt() + 1e-8
                w.sub_(problem.lr * m / (1 - 0.9**t) / root)
            else:
                w.sub_(problem.lr * g)
        return loss

    while True:
        for X, y in data:
            t += 1  # outside: what is compiled would read it before it is changed
            loss = step(X, y)
        yield loss, weights
