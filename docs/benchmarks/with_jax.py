"""JAX: a step through jit, and the loop over the steps too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from docs.benchmarks.problems import CHAIN, Problem, Training

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_cpu_enable_async_dispatch", False)  # or a step waits for another thread


def dense(weights: list[Any], x: Any) -> Any:
    *hidden, W, b = weights
    for V, c in zip(hidden[::2], hidden[1::2], strict=True):
        x = jax.nn.relu(x @ V + c)
    return x @ W + b


def linear(weights: list[Any], X: Any, y: Any) -> Any:
    return jnp.mean((dense(weights, X) - y) ** 2)


def neuron(weights: list[Any], X: Any, y: Any) -> Any:
    return jnp.sum((jax.nn.sigmoid(dense(weights, X)) - y) ** 2 / 2)


def logistic(weights: list[Any], X: Any, y: Any) -> Any:
    z = dense(weights, X)
    return jnp.mean(jax.nn.softplus(z) - y * z)


def softmax(weights: list[Any], X: Any, y: Any, class_weights: Any = None) -> Any:
    losses = -jnp.take_along_axis(jax.nn.log_softmax(dense(weights, X)), y[:, None], 1)[:, 0]
    return jnp.average(losses, weights=None if class_weights is None else class_weights[y])


def chain(weights: list[Any], h: Any, y: Any) -> Any:
    w, b = weights
    h, _ = jax.lax.scan(lambda h, _: (h * w + b, None), h, length=CHAIN // 2)
    return jnp.mean((h - y) ** 2)


MODELS: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "neuron": neuron,
    "logistic": logistic,
    "softmax": softmax,
    "mlp": softmax,
    "chain": chain,
}


def stepping(problem: Problem) -> tuple[Callable[..., Any], Any]:
    """A step, from the state and a batch to the next state and the loss; and the first state."""
    loss_of = MODELS[problem.model]
    if problem.class_weights is not None:
        loss_of = partial(loss_of, class_weights=jnp.asarray(problem.class_weights))

    def sgd(weights: Any, batch: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(weights, *batch)
        return jax.tree.map(lambda w, g: w - problem.lr * g, weights, gradients), loss

    def adam(state: Any, batch: Any) -> Any:
        weights, means, squares, t = state
        loss, gradients = jax.value_and_grad(loss_of)(weights, *batch)
        t = t + 1
        means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
        squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)
        rate, correction = problem.lr / (1 - 0.9**t), 1 - 0.999**t
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v / correction) + 1e-8),
            weights, means, squares,
        )  # fmt: skip
        return (weights, means, squares, t), loss

    weights = [jnp.asarray(w) for w in problem.start]
    zeros = [jnp.zeros_like(w) for w in weights]
    if problem.adam:
        return adam, (weights, zeros, zeros, jnp.zeros((), weights[0].dtype))
    return sgd, weights


def jit(problem: Problem) -> Training:
    """A call a step."""
    (step, state), batches = stepping(problem), jax.tree.map(jnp.asarray, problem.batches)
    step = jax.jit(step)
    while True:
        for batch in batches:
            state, loss = step(state, batch)
        yield loss.block_until_ready(), state[0] if problem.adam else state


def scan(problem: Problem) -> Training:
    """All steps of a comparison in one call."""
    (step, state), batches = stepping(problem), jax.tree.map(jnp.asarray, problem.batches)

    def epoch(state: Any, _: Any) -> Any:
        for batch in batches:
            state, loss = step(state, batch)
        return state, loss

    run = jax.jit(lambda state: jax.lax.scan(epoch, state, length=problem.steps))
    while True:
        state, losses = run(state)
        yield losses.block_until_ready(), state[0] if problem.adam else state
