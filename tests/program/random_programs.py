"""Random losses, as source text: `python -m tests.program.random_programs 2000` tries so many.

Each is exported from one batch and run on other data of another size, beside the function itself.
"""

import linecache
import random
import sys
import warnings
from collections import Counter

import numpy as np

import tinygrad_lr as tg

UNARY = [
    "np.tanh({})", "np.exp(0.3 * {})", "np.abs({})", "np.maximum({}, 0)", "tg.sigmoid({})",
    "{} ** 2", "np.sin({})", "np.log1p({} ** 2)", "np.sqrt(1 + {} ** 2)", "-{}", "0.5 * {}",
    "{} / 3", "np.clip({}, -1, 1.5)", "leaky({})", "huber({})", "tg.softplus({})",
    "np.square({})", "1 / (1 + np.exp(-{}))", "({} > 0) * {}",
]  # fmt: skip
BINARY = ["{} + {}", "{} - {}", "{} * {}", "np.maximum({}, {})", "np.where({} > {}, 1.5, 0.5)"]
COLUMNS = [
    "{z}.sum(axis=1)", "{z}.mean(axis=1)", "{z}.max(axis=1)", "{z}[:, 0]", "{z} @ v",
    "{z}[np.arange(len(X)), labels]", "np.sum({z} * {z}, axis=-1)",
    "tg.log_softmax({z})[np.arange(len(X)), labels]",
    "{z}[np.arange(len(X)), np.argmax(X[:, :3], 1)]",
]  # fmt: skip
MATRICES = [
    "X @ W + b", "X @ W", "net(X)", "(X - X.mean(axis=0)) @ W", "X @ W / np.sqrt(len(X))",
    "np.concatenate([X, np.ones((len(X), 1))], axis=1) @ V", "X.reshape(len(X), -1) @ W",
    "(X * scales) @ W", "(X / X.std(axis=0)) @ W", "np.stack([X @ v3, X @ v3 * 2, y], axis=1)",
    "tg.softmax(X @ W)", "(mask[:, None] * X) @ W",
]  # fmt: skip
REDUCTIONS = [
    "np.mean({r})", "np.sum({r}) / len(X)", "np.sum({r}) / X.shape[0]", "{r}.mean()",
    "np.sum({r})", "np.sum({r}) / (len(X) - 1)", "np.sum({r}) / np.sqrt(len(y))",
    "np.mean({r}[: len(X) // 2])", "np.sum({r} * mask) / np.sum(mask)",
    "np.mean({r}[1:] - {r}[:-1])", "np.sum({r}) / {r}.size", "np.max({r})",
    "np.mean(np.where(y > 0, {r}, 2 * {r}))", "{r}.sum() / float(len(X))",
]  # fmt: skip
PENALTIES = [
    "0.1 * np.sum(W ** 2)", "lam * np.sum(np.abs(W))", "lam / len(X) * np.sum(W * W)",
    "0.01 * (v @ v)",
]  # fmt: skip
HELPERS = """
def leaky(z):
    return np.where(z > 0, z, 0.01 * z)
def huber(e):
    return np.where(np.abs(e) < 1, 0.5 * e ** 2, np.abs(e) - 0.5)
"""


def source(r):
    """The text of a random loss of (X, y, labels, mask)."""
    lines, matrices, columns = [], [], []

    def assign(kind, text):
        name = f"{kind}{len(lines)}"
        lines.append(f"    {name} = {text}")
        return name

    for _ in range(r.randint(1, 2)):
        z = assign("z", r.choice(MATRICES))
        for _ in range(r.randint(0, 2)):
            if matrices and r.random() < 0.4:
                z = assign("h", r.choice(BINARY).format(z, r.choice(matrices)))
            else:
                z = assign("h", r.choice(UNARY).replace("{}", z))
        matrices.append(z)
    for z in matrices:
        e = assign("r", r.choice(COLUMNS).format(z=z))
        if r.random() < 0.6:
            e = assign("e", f"{e} - y" if r.random() < 0.7 else f"y * {e}")
        if r.random() < 0.6:
            e = assign("e", r.choice(UNARY).replace("{}", e))
        columns.append(e)
    losses = [r.choice(REDUCTIONS).format(r=e) for e in columns]
    if r.random() < 0.4:
        losses.append(r.choice(PENALTIES))
    lines.append(f"    return {' + '.join(losses)}")
    return "def loss(X, y, labels, mask):\n" + "\n".join(lines) + "\n" + HELPERS


def batch(n, seed, dtype=float):
    g = np.random.default_rng([seed, n])
    X, y = g.normal(size=(n, 4)).astype(dtype), g.normal(size=n).astype(dtype)
    return X, y, g.integers(0, 3, n), (g.random(n) < 0.7).astype(dtype)


def built(seed):
    """(loss, its source, parameters) of a seed."""
    r, g = random.Random(seed), np.random.default_rng(seed)
    dtype = np.float32 if r.random() < 0.15 else float
    text = source(r)
    shapes = {"W": (4, 3), "b": (3,), "v": (3,), "V": (5, 3), "v3": (4,)}
    space = {
        n: tg.Tensor(g.normal(size=s).astype(dtype), requires_grad=True) for n, s in shapes.items()
    }
    net = tg.nn.Sequential(tg.nn.Dense(4, 5, "tanh", rng=seed), tg.nn.Dense(5, 3, rng=seed + 1))
    space |= {
        "np": np,
        "tg": tg,
        "net": net,
        "lam": 0.02,
        "scales": np.array([1.0, 2, 0.5, 3], dtype),
    }
    name = f"<random {seed}>"
    linecache.cache[name] = len(text), None, text.splitlines(True), name
    exec(compile(text, name, "exec"), space)
    return space["loss"], text, dtype


def difference(results, expected):
    """The largest difference, relative to the largest element of each array."""
    pairs = zip(results, expected, strict=True)
    return max(np.max(np.abs(x - y)) / max(np.max(np.abs(y)), 1e-3) for x, y in pairs)


def attempt(seed, simplify=True):
    """What became of a program: "right", or why it was refused, or what is wrong."""
    loss, text, dtype = built(seed)
    n, m, optimizer = 4 + seed % 7, 3 + seed % 11, None
    if seed % 4 == 0:
        reached = tg.to_numpy(loss, *batch(n, seed, dtype)).wrt
        optimizer = (
            (tg.optim.SGD, tg.optim.Adam)[seed % 8 > 0](reached, lr=0.02) if reached else None
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            program = tg.to_numpy(
                loss, *batch(n, seed, dtype), simplify=simplify, optimizer=optimizer
            )
        except tg.RecordingError as error:
            return "faulty" if "fault of" in str(error) else "refused", f"{text}{error}"
        other = batch(m, seed + 1, dtype)
        output = loss(*map(tg.Tensor, other))
        grads = tg.grad(output, program.wrt) if program.wrt else []
        results = program(*other)
        expected = [output.data, *(g.data for g in grads)]
        if optimizer:
            optimizer.zero_grad()
            output.backward()
            optimizer.step()
            expected[1:] = [p.data for p in program.wrt]
    results = (results if isinstance(results, tuple) else (results,))[: len(expected)]
    off = difference(results, expected)
    limit = 2e-3 if dtype == np.float32 else 1e-8
    if not off <= limit and np.isfinite(expected[0]):
        return "wrong", f"{off:.1e}\n{text}\n{program}"
    return "right", ""


def main(count, start=0):
    found = Counter()
    for seed in range(start, start + count):
        try:
            verdict, text = attempt(seed, simplify=seed % 5 > 0)
        except Exception as error:
            verdict, text = type(error).__name__, f"{error}\n{built(seed)[1]}"
        found[verdict] += 1
        if verdict != "right":
            print(seed, verdict, text)
    print(dict(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["2000"]))
