"""Random losses, as source text: `python -m tests.program.random_programs 2000` tries so many.

A loss is drawn line by line from the whole table of operations; a line stays if it runs on batches
of several sizes. Then `to_numpy` and `compile` are compared with the function itself, on other data
of other sizes.
"""

import linecache
import random
import re
import sys
import time
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np

import tinygrad_lr as tg


def alternatives(text):
    """The templates of a text."""
    return [x for line in text.strip().splitlines() for x in line.split(" ; ")]


# Expressions. {a} and {b} are arrays of floats, {k} is a mask, {i} whole numbers,
# {n} a number made of lengths, {u} a literal.
ELEMENTWISE = alternatives("""
np.tanh({a}) ; np.exp(0.3 * {a}) ; np.exp(-{a} ** 2) ; np.abs({a}) ; abs({a}) ; np.maximum({a}, 0)
np.maximum({u}, {a}) ; np.minimum({a}, {u}) ; tg.sigmoid({a}) ; tg.relu({a}) ; tg.softplus({a})
{a} ** 2 ; {a} ** 3 ; np.power(np.abs({a}) + 0.5, 1.5) ; 2 ** {a} ; np.sin({a}) ; np.cos({a})
np.log1p({a} ** 2) ; np.log(1 + np.exp({a})) ; np.log({a} ** 2 + 0.1) ; np.sqrt(1 + {a} ** 2)
np.expm1(0.2 * {a}) ; -{a} ; +{a} ; {a} / 3 ; 0.5 * {a} ; 1 / (1 + np.exp(-{a})) ; np.square({a})
1 / (1 + {a} ** 2) ; np.sign({a}) * {a} ; np.floor({a}) + {a} ; np.ceil({a}) * {a} ; {u} - {a}
np.round({a}, 1) - {a} ; np.clip({a}, -1, 1.5) ; np.clip({a}, None, {u}) ; {a}.clip(min=0)
np.where({a} > 0, {a}, 0.01 * {a}) ; np.where({a} > {u}, 1.5, 0.5) * {a} ; ({a} > 0) * {a}
({a} > 0).astype(float) + {a} ; np.copy({a}) ; {a}.copy() ; {a}.astype(float) ; tg.softmax({a})
tg.softmax({a}, axis=0) ; tg.log_softmax({a}) ; tg.log_softmax({a}, axis=0)
{a} - tg.logsumexp({a}, axis=-1, keepdims=True) ; leaky({a}) ; huber({a}) ; standardized({a}, 0)
standardized({a}, -1) ; mixed({a}, {b}) ; mixed({a}, {a}) ; mixed(mixed({a}, {b}), {a})
{a}.detach() ; {a}.detach() * {a} ; {a} + (np.sign({a}) - {a}).detach() ; {a} / {a}.max().detach()
{a}.round(1) * 0.1 + {a} ; {a}.tanh() ; {a}.sigmoid() ; {a}.softmax() ; {a} - {a}.mean()
np.exp({a} - np.max({a}, axis=-1, keepdims=True)) ; {a} / np.sqrt(np.sum({a} ** 2) + 0.1)
{a} + 1 - {a} ** 2 / 2 ; np.maximum({a}, 0) ** 2 ; {a} * tg.sigmoid(1.5 * {a})
tg.silu({a}) ; tg.leaky_relu({a}) ; tg.leaky_relu({a}, 0.2) ; tg.gelu({a})
tg.gelu({a}, approximate="tanh")
""")
BINARY = alternatives("""
{a} + {b} ; {a} - {b} ; {a} * {b} ; {a} / (1 + {b} ** 2) ; {a} / (1 + np.abs({b}))
np.maximum({a}, {b}) ; np.minimum({a}, {b}) ; np.where({k}, {a}, {b}) ; np.where({k}, {a}, 0)
np.where({a} > {b}, {a}, {b} ** 2) ; np.logaddexp({a}, {b}) ; {a} * {k} ; {k} * {a} + {b}
np.where({k}, {a}, {u}) ; ({a} - {b}) ** 2 ; 0.3 * {a} + 0.7 * {b} ; {a} ** 2 - {b} * {a}
{a} - {b} * {u} ; np.add({a}, {b}) ; np.subtract({a}, {b}) ; np.multiply({a}, {b})
np.divide({a}, 2 + np.cos({b})) ; ({k} + 1.0) * {a} ; ({a} * {b} + {a}) / 2 ; {b} * ({k} & {k})
(1 - {k} * {a}) * {b} ; (({a} > 0) + ({b} > 0)) * {a} ; {a} ** 2 * np.exp(-{b} ** 2)
""")
LAYERS = alternatives("""
X @ W ; X @ W + b ; X @ (W * s) + b ; X @ u ; X @ V ; X @ V @ W ; Z @ W ; np.tanh(X @ V) @ W + b
(X * scales) @ W ; (X - X.mean(axis=0)) @ W ; (X / X.std(axis=0)) @ V ; (X - X[0]) @ W + b * s
""")
PRODUCTS = [
    *alternatives("""
{a} @ {b} ; np.dot({a}, {b}) ; {a}.T @ {b} ; {a} @ {b}.T ; np.outer({a}, {b}) ; {a}.dot({b})
np.tensordot({a}, {b}, 1) ; np.tensordot({a}, {b}, axes=([0], [0])) ; np.matmul({a}, {b})
np.einsum("ij,jk->ik", {a}, {b}) ; np.einsum("ij,ij->i", {a}, {b}) ; np.einsum("i,j->ij", {a}, {b})
np.einsum("ij->ji", {a}) ; np.einsum("ij,kj->ik", {a}, {b}) ; np.einsum("i,ij->j", {a}, {b})
np.einsum("ii->i", {a} @ {a}.T) ; np.einsum("nij,j->ni", {a}, {b}) ; np.einsum("ij->j", {a})
{a}[:, None] - {b}[None, :] ; {a}[:, None] * {b} ; {a} * {b}[:, None] ; {a}[:, :, None] * {b}
"""),
    *LAYERS,
    *alternatives("""
net(X) ; net(X) * 0.5 ; net(np.tanh(X @ V)) ; net(X) + X @ W ; 0.2 * np.sum(Z * K, axis=(1, 2))
np.sum((X[:, None, :] - centers) ** 2, axis=-1) ; {a} @ (W @ W.T) ; tg.softmax(X @ X.T / 2) @ {a}
tg.softmax(X @ V @ X.T / np.sqrt(4)) @ X ; np.concatenate([X, np.ones((len(X), 1))], axis=1) @ V5
Z @ Z.mT ; Z @ K.mT ; np.matmul(Z, V) ; Z.reshape(len(Z), -1)[:, :3] * b ; tg.softmax(Z @ W, axis=1)
np.einsum("nij,nkj->nik", Z, Z @ V) ; np.einsum("nij,jk->nik", Z, W)
np.einsum("nij,ij->n", Z, K[0]) ; np.tensordot(Z, K[0], 2)
np.tensordot(Z, K[0], axes=([1, 2], [0, 1])) ; Z.mean(axis=1) @ W ; Z.transpose(0, 2, 1) @ v[:2]
np.swapaxes(Z, 1, 2) @ K[0] ; np.moveaxis(Z, 1, 0) @ W ; Z[..., 0] * v[:2]
np.linalg.norm(scales) * X @ W ; np.negative(X) @ V ; Z[:, 1] @ W + Z[:, 0] @ W ; V[labels] @ W
theta["w"] @ X.T ; X @ theta["w"] + theta["b"] ; layers[0] * X @ W ; {a} * layers[1]
"""),
]
SHAPES = alternatives("""
{a}[:, 0] ; {a}[:, -1] ; {a}[:, 1:] ; {a}[1:] ; {a}[:-1] ; {a}[::2] ; {a}[::-1] ; {a}[..., 0]
{a}[:, [0, 2]] ; {a}[:, None] ; {a}[:, None, :] ; {a}[None] ; {a}[np.arange(len(X)), {i}] ; {a}[{i}]
{a}[: len(X) // 2] ; {a}[len(X) // 2 :] ; {a}[0] ; {a}[-1] ; {a}[-2:] ; {a}[1:, :2] ; {a}[:, {i}]
{a}[1:] - {a}[:-1] ; {a}[1:] * {b}[:-1] ; {a}[np.arange(3), np.argsort({b})] ; {a}[labels, :2]
{a}[labels[:3]] ; {a}[np.arange(len(X)) // 2]
{a}[np.arange(len(X)), np.stack([labels, labels // 2])]
{a}[np.arange(len(X)), np.argmax(Z[..., :3], axis=2).T] ; {a}[:, [0, 0, 1]]
{a}[np.arange(3), np.argsort({a}[:, :3], axis=1)]
{a}[np.arange(len(X))[:, None], np.argsort({a}, axis=1)] ; {a}[np.arange(len(X)), [1] * len(X)]
{a}[[0, -1]] ; {a}[labels][:, labels] ; {a}[(len(X) - 1) // 2] * {b} ; {a}[1::2] ; {a}[::-2]
{a}[: len(X) - 1] ; b[labels] ; V[labels] ; W[:, labels] ; tg.Tensor(scales)[labels]
{a}[np.arange(len(X))[::-1]] ; {a}[np.argsort(y)] ; W[[0, 0, 1]] ; {a}[np.arange(len(X) - 1)]
{a}[2] * {b} ; {a}[-1, 0] * {b} ; {a}[2 : len(X) - 1] ; {a}.T ; {a}.reshape(-1)
{a}.reshape(len(X), -1) ; {a}.reshape(-1, 1) ; np.ravel({a}) ; {a}.flatten()
np.reshape({a}, (len(X), 2, -1)) ; np.reshape({a}, (-1, 2)) ; {a}.reshape((2, -1)) ; {a}.mT
np.expand_dims({a}, 1) ; np.squeeze({a}[:, :1], axis=1) ; np.squeeze({a}[:, None], 1)
np.transpose({a}) ; np.transpose({a}, (1, 0)) ; np.transpose({a}, (0, 2, 1))
np.swapaxes({a}, 0, 1) ; np.moveaxis({a}, -1, 0) ; np.broadcast_to({a}, (len(X), 3))
np.broadcast_to({a}, (2, len(X))) ; np.flip({a}, axis=0) ; np.flip({a}) ; np.pad({a}, 1)
np.pad({a}, (1, 2)) ; {a}.transpose() ; np.pad({a}, ((0, 1), (1, 0)))
np.pad({a}, ((1, 1), (0, 0)), constant_values=0.5) ; np.concatenate([{a}, {b}])
np.concatenate([{a}, {b}], axis=1) ; np.concatenate([{a}, {a}], axis=-1)
np.concatenate([{a}[1:], {a}[:1]]) ; np.concatenate([np.zeros(1), {a}]) ; np.stack([{a}, {b}])
np.stack([{a}, {b}], axis=1) ; np.stack([{a}, s * {a}], axis=-1) ; np.vstack([{a}, {b}])
np.hstack([{a}, {b}]) ; np.concatenate([{a}, {b}], axis=None) ; np.diagonal({a} @ {a}.T)
np.cumsum({a}, axis=0) / {n} ; np.cumsum({a}) / {n} ; np.cumsum({a}, axis=-1)
tg.add_at({a}, labels, (3,)) ; tg.add_at({a}, {i}, (len(X),)) ; tg.getitem({a}, 0)
""")
REDUCTIONS = alternatives("""
{a}.sum(axis=-1) ; {a}.sum(axis=0) / {n} ; {a}.mean(axis=0) ; {a}.mean(axis=1) ; {a}.max(axis=-1)
{a}.mean(axis=0, keepdims=True) ; np.max({a}, axis=0) ; np.min({a}, axis=-1) ; {a}.min(axis=0)
np.sum({a} * {a}, axis=-1) ; np.mean({a} ** 2, axis=1, keepdims=True) ; np.var({a}, axis=0, ddof=1)
np.var({a}, axis=-1) ; np.sqrt(np.var({a}, axis=0) + 0.1) ; np.std({a}, ddof=1) * {b} ; {a}.std()
np.prod({a}, axis=1) ; np.prod({a}[0]) * {b} ; tg.logsumexp({a}, axis=-1)
tg.logsumexp({a}, axis=0) ; np.sum({a}, axis=(0, 1)) / {n} * {b} ; np.trace({a} @ {a}.T) / {n} * {b}
np.trace(V) * {b} ; np.mean({a}) + {b} ; {a} - {a}.mean(axis=-1, keepdims=True)
{a} - {a}.mean(axis=0) ; np.max({a}) + {b} ; {a} / {n} ; {a} * {n} / 10 ; {n} * 0.1 - {a}
{a} * 0.5 / {n} ; {a}.sum() / {n} - {b} ; np.sum(np.where({k}, {a}, 0), axis=0) / {n}
tg.cross_entropy({a}, labels, reduction="none") ; tg.mse_loss({a}, {b}, reduction="none")
np.sum({a} * mask) / np.sum(mask + 0.1) * {b}
tg.binary_cross_entropy_with_logits({a}, mask, reduction="none") ; np.prod({a} * 0.5) + {b}
np.max({a}, axis=(0, 1)) * {b} ; np.var({a}, axis=(0, 1)) + {b} ; {a}.std(axis=0, ddof=1) * b
tg.logsumexp(np.where({a} >= {a}.mean(), {a}, -np.inf)) * {b} ; np.mean({a}, axis=(0, 1)) * {b}
tg.softmax(np.where(np.tri(len(X)) > 0, {a}, -np.inf))
tg.logsumexp({a}, axis=1, keepdims=True) - {a} ; {a}.max(axis=0, keepdims=True) - {a}
np.sum({a}, axis=-1, keepdims=True) / {n} * {a} ; np.min({a}) * {b}
np.sum({a} ** 2) ** 0.5 * {b} / {n} ; np.amax({a}, axis=0) ; np.mean({a}, 0)
{a} * np.sum({k}) / {n} ; {a} / np.maximum(np.sum({k}), 1) ; np.mean({k}, axis=0) * {a}
""")
CONSTANTS = alternatives("""
np.ones(len(X)) * {a} ; np.zeros((len(X), 3)) + {a} ; np.arange(len(X)) / len(X) * {a}
np.eye(3) @ {a} ; {a} @ np.eye(4) ; np.ones_like({a}) - {a} ; {a} + np.zeros_like({a})
np.full(len(X), 0.5) + {a} ; (np.eye(len(X)) - 1 / len(X)) @ {a} ; np.tril(np.ones((4, 4))) * V
np.tri(len(X)) @ {a} / len(X) ; np.array([0.5, 1.0, -1.0]) * {a} ; [1.0, 2.0, 0.5] * {a} ; lam * {a}
{a} * scale ** 2 ; alpha * {a} ; np.ones((len(X), 1)) * {a} ; np.sqrt(5) * {a} ; {a} ** labels
labels[:, None] * v ; np.where(mask, 1, -1) * {a} ; np.sign(labels - 1) * {a}
labels.astype(float) * {a} ; {a} / (labels.sum() + 1) ; {a} * mask.mean() ; {a} * np.max(labels)
(mask == 0) * {a} ; np.cumsum(labels) * {a} / 10 ; (labels + mask) * {a} / 3 ; {a} ** (labels + 1)
(1 - mask * 1.0) * {a} ; (labels - labels.mean()) * {a}
np.sum(labels[:, None] == labels, axis=1) * {a} ; {a} / (np.sum(labels == 1) + 1)
{a} * np.ones(len(X), int) ; {a}.astype(np.float32) + {b} ; np.count_nonzero(mask) * {a} / 10
{a} * (X.shape[0] > 2) ; {a} * (mask & (labels > 0)) ; (1 - np.arange(len(X)) / len(X)) * {a}
0.9 ** np.arange(len(X)) * {a} ; {a} - np.log(2) ; np.ones((3, len(X))) @ {a} / len(X)
{a} * (labels == 1) ; {a} * labels / 3 ; class_weights[1] * {a}
""")
MASKS = alternatives("""
{a} > 0 ; {a} > {b} ; {a} <= 0.3 ; y > 0 ; labels == 1 ; labels[:, None] == np.arange(3) ; mask
~{k} ; {k} & {k} ; {k} | {k} ; {k} ^ {k} ; np.logical_and({k}, {k}) ; np.logical_not({k})
np.isfinite({a}) ; ~np.isnan({a}) ; {a} >= {a}.mean() ; {a} == {a}.max(axis=-1, keepdims=True)
labels != 0 ; {k}[:, None] ; {k}[:, None] & {k} ; {a} < np.minimum({b}, 0.5) ; np.greater({a}, {b})
labels >= 1 ; np.arange(len(X)) % 2 == 0 ; np.arange(len(X)) < len(X) // 2 ; {k}[::-1]
np.logical_or({k}, {k}) ; np.abs({a}) < 1 ; labels[:, None] != labels ; ({a} > -1) & ({a} < 1)
np.arange(len(X)) > 0 ; np.any({k}, axis=-1) ; np.all({k}, axis=0)
""")
INDICES = alternatives("""
labels ; np.argmax({a}, axis=1) ; np.argmin({a}, 1) ; np.argsort(y) ; np.argmax(X[:, :3], axis=-1)
(labels + 1) % 3 ; labels // 2 ; 2 - labels ; np.where({k}, labels, 0) ; np.argsort({a})
labels[::-1] ; {a}.argmax(axis=1) ; np.maximum(labels, 1) ; np.argmax({a} @ {b}, axis=1)
""")
NUMBERS = alternatives("""
len(X) ; X.shape[0] ; y.size ; X.size ; (len(X) - 1) ; (2 * len(X)) ; (len(X) // 2) ; {a}.size
np.sqrt(len(X)) ; float(len(X)) ; {a}.shape[-1] ; (0.8 * len(X)) ; np.log(len(X) + 1)
(len(X) / (len(X) - 1)) ; len({a}) ; (len(y) + 1) ; (X.shape[0] * X.shape[1]) ; X.shape[1]
(len(X) * (len(X) - 1)) ; (len(X) * (len(X) - 1) / 2) ; len(X) ** 0.5 ; len(X) ** 2 ; np.size({a})
np.shape({a})[0] ; (1 - 1 / len(X)) ; (len(X) + lam)
""")
LOSSES = alternatives("""
np.mean({a}) ; np.sum({a}) / len(X) ; np.sum({a} ** 2) / X.shape[0] ; {a}.mean() ; np.sum({a}) / {n}
np.sum({a}) ; np.mean({a} ** 2) ; np.max({a}) ; np.min({a})
np.sum({a} * mask) / np.sum(mask + 0.1) ; np.mean(np.where({k}, {a}, 2 * {a})) ; tg.mse_loss({a}, y)
tg.mse_loss({a}, {b}) ; tg.binary_cross_entropy_with_logits({a}, mask)
tg.binary_cross_entropy_with_logits({a}, y > 0) ; tg.binary_cross_entropy(tg.sigmoid({a}), mask)
tg.cross_entropy({a}, labels) ; tg.cross_entropy({a}, labels, weight=class_weights)
tg.cross_entropy({a}, labels, reduction="sum") ; tg.cross_entropy({a}, tg.softmax({b}))
tg.cross_entropy({a}[0], labels[0]) ; tg.cross_entropy({a}, np.argmax(X[:, :3], axis=1))
-np.mean(tg.log_softmax({a})[np.arange(len(X)), labels]) ; np.var({a}) ; np.std({a})
np.var({a}, ddof=1) ; -np.mean(y * tg.sigmoid({a})) ; np.mean(huber({a} - y)) ; tg.logsumexp({a})
tg.logsumexp({a}) / {n} ; np.trace({a} @ {a}.T) / {n} ; ({a} @ {a}) / {n} ; np.dot({a}, {a})
np.mean(leaky({a})) ; s * np.mean({a}) ; np.mean(np.maximum(0, 1 - {a} * np.sign(y)))
np.sum({a} * weighted(labels)) ; {a}.sum() / y.size
np.mean((tg.softmax({a}) - (labels[:, None] == np.arange(3))) ** 2) ; np.sum(np.abs({a})) / {n}
np.sum(({a} - y) ** 2) / np.sqrt(len(y)) ; np.mean({a}[1:] - {a}[:-1]) ; np.sum({k} * {a}) / {n}
-np.sum(tg.Tensor(np.eye(3))[labels] * tg.log_softmax({a})) / len(X) ; np.prod({a}.mean(axis=0))
""")
PENALTIES = alternatives("""
0.1 * np.sum(W ** 2) ; lam * np.sum(np.abs(W)) ; lam / len(X) * np.sum(V * V) ; 0.01 * (v @ v)
lam * sum(np.sum(p ** 2) for p in (W, b, V)) ; s ** 2 ; np.sum(K ** 2) / len(X)
lam * sum((p ** 2).sum() for p in net.parameters()) ; 0.1 * np.max(np.abs(u))
0.5 * alpha * v.sum()
""")
HELPERS = """
def leaky(z):
    return np.where(z > 0, z, 0.01 * z)
def huber(e):
    return np.where(np.abs(e) < 1, 0.5 * e ** 2, np.abs(e) - 0.5)
def standardized(x, axis):
    m = x.mean(axis=axis, keepdims=True)
    return (x - m) / np.sqrt(((x - m) ** 2).mean(axis=axis, keepdims=True) + 0.1)
def weighted(labels):
    onehot = (labels[:, None] == np.arange(3)) * 1.0
    counts = onehot.sum(axis=0) + 1
    return (onehot / counts).sum(axis=1)
"""
MODULES = """
class Block(tg.nn.Module):
    def __init__(self, seed):
        self.inner = tg.nn.Dense(4, 4, "tanh", rng=seed, dtype=dtype)
        self.gain = tg.Tensor(np.full(4, 0.7, dtype), requires_grad=True)
    def forward(self, x):
        return x + self.gain * self.inner(x)
class Net(tg.nn.Module):
    def __init__(self):
        self.blocks = [Block(1), Block(2)]
        self.heads = {"mean": tg.nn.Dense(4, 3, rng=3, dtype=dtype)}
    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.heads["mean"](x)
"""
NETS = (
    "Net()",
    'tg.nn.Sequential(tg.nn.Dense(4, 5, "tanh", rng=1, dtype=dtype), '
    "tg.nn.Dense(5, 3, rng=2, dtype=dtype))",
    'tg.nn.Sequential(tg.nn.Dense(4, 3, "relu", bias=False, rng=1, dtype=dtype), np.tanh)',
    'tg.nn.Dense(4, 3, "softplus", rng=1, dtype=dtype)',
)
BLOCKS = """
    for step in range(3):
        {t} = np.tanh({a} @ V + 0.1 * step * {a})
#
    with tg.no_grad():
        {t} = {e}
#
    {t} = {a}
    {t} = {t} * {t}.mean() + 0.5
#
    {t}, rest = {e}, {e}
    {t} = {t} + 0.1 * rest
#
    parts = [{a} * j for j in (0.5, 1.5)]
    {t} = sum(parts) / len(parts)
"""
SHAPE = {"W": (4, 3), "b": (3,), "v": (3,), "u": (4,), "V": (4, 4), "V5": (5, 3), "s": ()}
SHAPE |= {"K": (1, 2, 4), "w": (4,)}
DRAFTS = 3, 5, 8  # the sizes of the batches that lines are tried on
MAX_VALUE, MAX_SIZE = 20, 400
FAILURES = ValueError, TypeError, IndexError, AttributeError, ZeroDivisionError  # of lines


TEMPLATES = (
    ELEMENTWISE, BINARY, PRODUCTS, SHAPES, REDUCTIONS, CONSTANTS, MASKS, INDICES, NUMBERS, LOSSES,
    PENALTIES,
)  # fmt: skip
BLOCKS = [x.strip("\n") for x in BLOCKS.split("#\n")]
KINDS = (ELEMENTWISE, 4), (BINARY, 3), (PRODUCTS, 5), (SHAPES, 3), (REDUCTIONS, 2), (CONSTANTS, 1)


def batch(n, seed, dtype=float):
    """Arrays of n samples, and a number."""
    g = np.random.default_rng([seed, n])
    X, y = g.normal(size=(n, 4)).astype(dtype), g.normal(size=n).astype(dtype)
    Z = g.normal(size=(n, 2, 4)).astype(dtype)
    return [X, y, g.integers(0, 3, n), g.random(n) < 0.7, Z, dtype(g.uniform(0.5, 1.5))]


class Draft:
    """A loss of which each line has been run on small batches.

    Args:
        r: the random numbers that it is drawn with.
        space: what the loss finds beside its arguments.
        dtype: of the batches.
    """

    def __init__(self, r, space, dtype):
        self.r, self.space, self.lines = r, space, []
        tensors = [[tg.Tensor(x) for x in batch(n, n, dtype)] for n in DRAFTS]
        for x in tensors:
            x[2] = tg.Tensor(np.resize([2, 0, 1], len(x[0])))  # every class, the largest first
        self.frames = [dict(zip(ARGUMENTS, x, strict=True)) for x in tensors]
        self.names = ["X", "y"]  # of arrays
        self.masks, self.used = [], set()
        self.known = {name: space[name] for name in SHAPE if name in space}

    def loss(self):
        """The lines of the function."""
        self.add("z", self.r.choice(LAYERS))
        for _ in range(self.r.randint(2, 7)):
            if self.r.random() < 0.08:
                self.block()
            elif self.r.random() < 0.12:
                self.add("m", self.r.choice(MASKS), mask=True)
            else:
                kinds, weights = zip(*KINDS, strict=True)
                (kind,) = self.r.choices(kinds, weights)
                self.add(self.r.choice("zhae"), self.r.choice(kind))
        terms = []
        for name in reversed(self.names):
            if name not in self.used and len(terms) < 4:
                drawn = [self.r.choice(LOSSES) for _ in range(8)]
                attempts = (self.term(x.replace("{a}", name)) for x in (*drawn, "np.mean({a})"))
                terms += next(filter(None, attempts), [])
        if self.r.random() < 0.3:
            terms += self.term(self.r.choice(PENALTIES))
        total = " + ".join(terms) if self.r.random() < 0.8 else f"({' + '.join(terms)}) / 2"
        return [*self.lines, f"    return {total}"]

    def value(self, name):
        return self.frames[-1][name] if name in self.frames[-1] else self.known[name]

    def fill(self, template, depth=0):
        """A template with names, numbers and expressions in its places."""
        first = []

        def part(match):
            kind, r = match[1], self.r
            if kind == "n":
                return self.fill(r.choice(NUMBERS), depth)
            if kind == "u":
                return r.choice(("0.5", "1", "1.5", "0.1", "2"))
            if kind == "k":
                if self.masks and r.random() < 0.5:
                    return r.choice(self.masks)
                return f"({self.fill(r.choice(MASKS) if depth < 2 else 'mask', depth + 1)})"
            if kind == "i":
                return self.fill(r.choice(INDICES), depth + 1)
            if kind == "e":
                return self.fill(r.choice(r.choice((ELEMENTWISE, BINARY, PRODUCTS))), depth)
            if kind == "b" and first and r.random() < 0.7:
                name = self.fitting(first[0])
            else:
                name = self.name()
            first.append(name)
            if depth < 1 and r.random() < 0.15:
                return f"({self.fill(r.choice(ELEMENTWISE).replace('{a}', name), 2)})"
            return name

        filled = {}  # the same everywhere
        return re.sub(
            r"\{([abknuie])\}",
            lambda m: filled.setdefault(m[0], part(m)) if m[1] in "ab" else part(m),
            template,
        )

    def name(self):
        """A name of an array, of a late one more often."""
        if self.r.random() < 0.1:
            return self.r.choice([*self.known])
        weights = [i + 8 * (x not in self.used) for i, x in enumerate(self.names, 1)]
        return self.r.choices(self.names, weights)[0]

    def fitting(self, name):
        """A name of an array that broadcasts with another."""
        shape = np.shape(self.value(name))
        fits = [x for x in self.names if broadcast(shape, np.shape(self.value(x)))]
        fits += [x for x in self.known if broadcast(shape, SHAPE[x])]
        return self.r.choice(fits or [name])

    def add(self, kind, template, mask=False):
        """A line that assigns, if it runs; in a few attempts."""
        for _ in range(6):
            text = self.fill(template)
            values = self.run(text, mask)
            if values:
                name = f"{kind}{len(self.lines)}"
                for frame, value in zip(self.frames, values, strict=True):
                    frame[name] = value
                self.lines.append(f"    {name} = {text}")
                self.used.update(re.findall(r"\w+", text))
                (self.masks if mask else self.names).append(name)
                return

    def term(self, template):
        """A part of the sum that is returned, if it runs and a gradient flows through it."""
        text = self.fill(template)
        values = self.run(text)
        good = values and all(x.size == 1 and getattr(x, "requires_grad", False) for x in values)
        self.used.update(re.findall(r"\w+", text) if good else ())
        return [text] * bool(good)

    def block(self):
        """A few lines that belong together."""
        name = f"t{len(self.lines)}"
        text = self.fill(self.r.choice(BLOCKS).replace("{t}", name))
        values = self.run("\n".join(line[4:] for line in text.splitlines()), name=name)
        if values:
            for frame, value in zip(self.frames, values, strict=True):
                frame[name] = value
            self.lines += text.splitlines()
            self.used.update(re.findall(r"\w+", text))
            self.used.discard(name)
            self.names.append(name)

    def run(self, text, mask=False, name=None):
        """The values of an expression for each batch, or of a name after some lines; or None."""
        try:
            code = compile(text, "<draft>", "exec" if name else "eval")
            values = []
            for frame in self.frames:
                variables = dict(frame)
                value = eval(code, self.space | variables, variables)
                values.append(variables[name] if name else value)
            return values if all(usable(x, mask) for x in values) else None
        except FAILURES:
            return None


def broadcast(*shapes):
    try:
        return bool(np.broadcast_shapes(*shapes)) or True
    except ValueError:
        return False


def usable(x, mask):
    """Whether a value is small, finite, and of the kind that is wanted."""
    array = getattr(x, "_array", x)
    if not isinstance(array, (np.ndarray, np.generic)) or array.size > MAX_SIZE or not array.size:
        return False
    if mask:
        return array.dtype == bool and array.ndim > 0
    return array.dtype.kind == "f" and bool(np.max(np.abs(array)) <= MAX_VALUE)


ARGUMENTS = "X", "y", "labels", "mask", "Z", "alpha"


class Model(NamedTuple):
    """A loss, with what it is made of."""

    loss: object
    text: str
    params: list  # that it has a gradient for
    dtype: type


def made(seed, drawn=None):
    """The Model of a seed, as new; None if it is not finite on the batches of the drafts.

    Args:
        drawn: the text of the loss, if it has been drawn before.
    """
    r, g = random.Random(seed), np.random.default_rng(seed)
    dtype = np.float32 if r.random() < 0.15 else np.float64
    net = r.choice(NETS)
    leaves = {
        n: tg.Tensor((0.7 * g.normal(size=s)).astype(dtype), requires_grad=True)
        for n, s in SHAPE.items()
    }
    space = {"np": np, "tg": tg, "dtype": dtype, "lam": 0.02, "scale": 1.5} | leaves
    space["theta"] = {"w": space.pop("w"), "b": tg.Tensor(dtype(0.2), requires_grad=True)}
    space["layers"] = [
        tg.Tensor(g.normal(size=s).astype(dtype), requires_grad=True) for s in (4, 3)
    ]
    space["scales"] = g.normal(size=4).astype(dtype)
    space["centers"] = g.normal(size=(3, 4)).astype(dtype)
    space["class_weights"] = g.uniform(0.5, 2, 3).astype(dtype)
    first, second = r.choice([x for x in ELEMENTWISE if "mixed" not in x]), r.choice(BINARY)
    places = {"{b}": "q", "{u}": "0.5", "{k}": "(p > 0)"}
    mixed = f"def mixed(p, q):\n    t = {first}\n".replace("{a}", "p")
    mixed += f"    return {second}\n".replace("{a}", "t")
    for place, text in places.items():
        mixed = mixed.replace(place, text)
    helpers, name = HELPERS + mixed + MODULES, f"<random {seed}>"
    execute(helpers, f"<helpers {seed}>", space)
    space["net"] = eval(net, space)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        text = drawn or "\n".join(
            [f"def loss({', '.join(ARGUMENTS)}):", *Draft(r, space, dtype).loss(), ""]
        )
        execute(text, name, space)
        params = [*leaves.values(), *space["theta"].values(), *space["layers"]]
        params += space["net"].parameters()
        reached = reach(space["loss"], params, dtype)
    return Model(space["loss"], text, reached, dtype) if reached else None


def reach(loss, params, dtype):
    """The parameters that a loss has a gradient for; none if one of these is not finite."""
    for n in DRAFTS:
        try:
            loss(*map(tg.Tensor, batch(n, n, dtype))).backward()
        except (ValueError, TypeError, AttributeError):
            return []
        reached = [p for p in {id(p): p for p in params}.values() if p.grad is not None]
        largest = [np.max(np.abs(p.grad)) for p in reached]
        if not all(np.isfinite(largest)) or not 1e-3 < max(largest, default=0) < 1e3:
            return []  # as all that is there may be rounding
        for p in reached:
            p.grad = None
    return reached


def execute(text, name, space):
    linecache.cache[name] = len(text), None, text.splitlines(True), name
    exec(compile(text, name, "exec"), space)


def difference(results, expected):
    """How far results are off, relative to the largest element of each array."""
    arrays = [(np.asarray(x), np.asarray(y)) for x, y in zip(results, expected, strict=True)]
    if any(x.shape != y.shape for x, y in arrays):
        return np.inf
    floor = 1e-4 * max(np.max(np.abs(y)) for _, y in arrays) + 1e-12  # what cancels is rounding
    off = [np.max(np.abs(x - y)) / max(np.max(np.abs(y)), floor) for x, y in arrays]
    return max(off) if all(np.isfinite(off)) else np.inf


def eager(model, arrays):
    """Loss and gradients, operation by operation."""
    output = model.loss(*map(tg.Tensor, arrays))
    return [output.data.copy(), *tg.grad(output, model.params)]


class Wrong(Exception):
    """A program gives other numbers than the function that it was made from."""


def compare(model, results, expected, title):
    limit = 5e-3 if model.dtype == np.float32 else 2e-7
    if all(np.isfinite(y).all() for y in expected):
        off = difference(results, expected)
        if not off <= limit:
            raise Wrong(f"{title}: off by {off:.1e}")


def check_gradients(model, seed, simplify=True):
    """to_numpy, on other data of other sizes."""
    program = tg.to_numpy(
        model.loss, *batch(4 + seed % 7, seed, model.dtype), simplify=simplify, wrt=model.params
    )
    for n in (3 + seed % 11, 4 + seed % 5):
        other = batch(n, seed + 1, model.dtype)
        compare(model, program(*other), eager(model, other), f"simplify={simplify}\n{program}")


def optimizer_of(model, seed):
    """An optimizer of the parameters of a model."""
    kind, rates = (
        (tg.optim.SGD, {"momentum": 0.9}),
        (tg.optim.Adam, {}),
        (tg.optim.SGD, {}),
        (tg.optim.Adam, {"weight_decay": 0.1, "betas": (0.8, 0.9)}),
        (tg.optim.SGD, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01}),
    )[seed % 5]
    return kind(model.params, lr=0.01, **rates)


def stepped(model, optimizer, arrays):
    """The loss before an ordinary step."""
    optimizer.zero_grad()
    output = model.loss(*map(tg.Tensor, arrays))
    output.backward()
    optimizer.step()
    return output.data.copy()


def moved(params, before):
    return [p.data - x for p, x in zip(params, before, strict=True)]


def check_update(model, seed):
    """to_numpy with an optimizer, whose state is not that of the start."""
    optimizer = optimizer_of(model, seed)
    optimizer.eps = 1e-3  # so that rounding does not become a step
    stepped(model, optimizer, batch(6, seed, model.dtype))
    program = tg.to_numpy(
        model.loss, *batch(5, seed, model.dtype), optimizer=optimizer, simplify=seed % 2 > 0
    )
    other = batch(3 + seed % 11, seed + 1, model.dtype)
    before = [p.data.copy() for p in model.params]
    value, *new = program(*other)
    expected = stepped(model, optimizer, other)
    changes = [x - p for x, p in zip(new, before, strict=False)]
    compare(
        model, [value, *changes], [expected, *moved(model.params, before)], f"update\n{program}"
    )
    state = [x for values in optimizer.state().values() for x in values]
    if isinstance(optimizer, tg.optim.Adam):
        state = state[len(model.params) - 1 :]  # one number of steps for all
    elif not optimizer.momentum:
        state = []
    compare(model, new[len(before) :], state, f"state\n{program}") if state else None


def check_compiled(model, twin, seed):
    """compile over six steps with other data, sizes and rates."""
    optimizer, other = optimizer_of(model, seed), optimizer_of(twin, seed)
    optimizer.eps = other.eps = 1e-3
    step, n = tg.compile(model.loss, optimizer), 4 + seed % 7
    for i, size in enumerate((n, n, n, n + 2, n, n + 2)):
        arrays = batch(size, seed + i, model.dtype)
        optimizer.lr = other.lr = 0.01 * (1 + i // 2)
        before = [p.data.copy() for p in model.params]
        old = [p.data.copy() for p in twin.params]
        value = step(*arrays)
        expected = stepped(twin, other, arrays)
        compare(
            model,
            [value, *moved(model.params, before)],
            [expected, *moved(twin.params, old)],
            f"compiled, step {i}\n{step.source}",
        )
        for p, x in zip(twin.params, model.params, strict=True):
            p.data = x.data  # so that rounding does not add up
        for ours, theirs in zip(optimizer.state().values(), other.state().values(), strict=True):
            theirs[:] = [np.copy(x) if isinstance(x, np.ndarray) else x for x in ours]


def check_raw(model, seed):
    check_gradients(model, seed, simplify=False)


def check_compile(model, seed):
    check_compiled(model, made(seed, model.text), seed)


CHECKS = {
    "to_numpy": check_gradients,
    "to_numpy, raw": check_raw,
    "to_numpy, optimizer": check_update,
    "compile": check_compile,
}


def attempt(seed, titles=tuple(CHECKS)):
    """(what became of a program in some checks, its source); None if it was not finite.

    A check gives "right", or an exception.
    """
    if (model := made(seed)) is None:
        return None
    verdicts = {}
    for title in titles:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                CHECKS[title](made(seed, model.text), seed)
                verdicts[title] = "right"
            except Exception as error:
                verdicts[title] = error
    return verdicts, model.text


FAULTS = "fault of to_numpy", "differs from the operations one by one"


def kind_of(verdict):
    """What to count: right, refused, a fault that was found before a number came out, or wrong."""
    if isinstance(verdict, str):
        return verdict
    if not isinstance(verdict, tg.RecordingError):
        return "wrong" if isinstance(verdict, Wrong) else type(verdict).__name__
    return "fault" if any(x in str(verdict) for x in FAULTS) else "refused"


def main(count, start=0):
    """Try programs, print those that are not right, and count."""
    began, found, reasons = time.perf_counter(), Counter(), Counter()
    for seed in range(start, start + count):
        if (result := attempt(seed)) is None:
            found["not finite"] += 1
            continue
        faults = {title: x for title, x in result[0].items() if x != "right"}
        kinds = [kind_of(x) for x in faults.values()]
        worst = next((kind for kind in kinds if kind != "refused"), "refused")
        found[worst if kinds else "right"] += 1
        for kind, (title, error) in zip(kinds, faults.items(), strict=True):
            reasons[f"{title}, {kind}: {re.sub(r'[0-9]+', '0', str(error))[:60]!r}"] += 1
        if kinds:
            shown = {str(x) for x in faults.values()}
            print(f"--- {seed} {worst}", result[1], *shown, sep="\n", flush=True)
    for reason, n in reasons.most_common():
        print(f"{n:5} {reason}")
    share = found["refused"] / max(count - found["not finite"], 1)
    print(f"{dict(found)}, {share:.1%} refused", end=", ")
    print(f"{(time.perf_counter() - began) / count:.2f} s each")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["2000"]))
