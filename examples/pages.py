"""The pages of docs/explorer: three of the documents' models, to be played in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import tinygrad_lr as tg
from examples import xor

PAGES: dict[str, Callable[[Path], Path]] = {}


def page(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Put what a function writes among the pages; its docstring is the link."""
    PAGES[write.__name__] = write
    return write


@page
def logistic_regression(path):
    """Logistic regression with weight decay: w is used twice, so its gradient is a sum."""
    X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
    y = np.array([[1.0], [0.0], [0.0], [1.0]])
    w = tg.Tensor([[0.8], [-0.5]], requires_grad=True)
    b = tg.Tensor(0.1, requires_grad=True)
    u = X @ w
    z = u + b
    ŷ = tg.sigmoid(z)
    E = tg.binary_cross_entropy(ŷ, y)
    s = (w**2).sum()
    L = E + 0.1 * s
    return tg.explore(L, path, title="Logistic regression, forward and backward")


@page
def softmax_regression(path):
    """Softmax regression by its parts, down to the picked probabilities."""
    X = np.array([[-0.9, 1.0], [1.4, 0.3], [0.5, -0.4]])
    y = np.array([0, 1, 2])
    W = tg.Tensor([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0]], requires_grad=True)
    b = tg.Tensor(np.zeros(3), requires_grad=True)
    Z = X @ W + b
    P = tg.softmax(Z)
    p = P[np.arange(3), y]
    losses = -np.log(p)
    L = np.mean(losses)
    return tg.explore(L, path, title="Softmax regression, forward and backward")


@page
def xor_network(path):
    """The XOR gate with a hidden layer of two neurons, and its training as a film."""
    X, Y = xor.xdata, xor.ydata
    rng = np.random.default_rng(0)
    W1 = tg.Tensor(rng.normal(size=(2, 2)), requires_grad=True)
    b1 = tg.Tensor(np.zeros(2), requires_grad=True)
    w2 = tg.Tensor(rng.normal(size=(2, 1)), requires_grad=True)
    b2 = tg.Tensor(0.0, requires_grad=True)

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
    return tg.explore(L, path, history=film, title="The XOR network, forward and backward")
