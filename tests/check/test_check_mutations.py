"""A mutation study: right programs, every line of their backward pass spoilt in every way.

What counts: a mistake that changes the numbers is found, and the report names its line.
"""

import ast
import copy
import inspect

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import defined
from tinygrad_lr.check.derivation.watch import leaves, watch

PROGRAMS = {}


def program(source, **inputs):
    """Register forward and backward, as source, with their inputs."""
    name = source.strip().splitlines()[0].removeprefix("# ")
    PROGRAMS[name] = source, inputs


rng = np.random.default_rng(11)


def normal(*shape):
    return rng.normal(size=shape)


def labels(*shape):
    y = (rng.random(shape) < 0.5).astype(float)
    y.flat[0], y.flat[1] = 0.0, 1.0
    return y


program(
    """
# logistic, samples in rows
def forward(X, Y, W, b):
    m = X.shape[0]
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    loss = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    return loss

def backward(X, Y, A, W):
    m = X.shape[0]
    dA = (-Y / A + (1 - Y) / (1 - A)) / m
    dZ = dA * A * (1 - A)
    dW = X.T @ dZ
    db = np.sum(dZ, axis=0)
    return dW, db
""",
    X=normal(7, 3), Y=labels(7, 1), W=normal(3, 1), b=normal(1),
)  # fmt: skip

program(
    """
# logistic, samples in columns, 1/m applied later
def forward(X, Y, W, b):
    m = X.shape[1]
    Z = np.dot(W.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    loss = -1 / m * np.sum(Y * np.log(A + 1e-15) + (1 - Y) * np.log(1 - A + 1e-15))
    cache = {"Z": Z, "A": A}
    return loss, cache

def backward(X, Y, cache):
    m = X.shape[1]
    A = cache["A"]
    dZ = A - Y
    dW = np.dot(X, dZ.T) / m
    db = np.sum(dZ) / m
    return {"dW": dW, "db": db}
""",
    X=normal(4, 9), Y=labels(1, 9), W=normal(4, 1), b=0.3,
)  # fmt: skip

program(
    """
# softmax, scores changed in place
def forward(X, y, W, b):
    N = len(X)
    scores = X @ W + b
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    probs = e / np.sum(e, axis=1, keepdims=True)
    loss = -np.sum(np.log(probs[np.arange(N), y])) / N + 0.5 * 0.1 * np.sum(W * W)
    return loss

def backward(X, y, W, probs):
    N = len(X)
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N
    dW = X.T @ dscores
    dW += 0.1 * W
    db = np.sum(dscores, axis=0)
    return dW, db
""",
    X=normal(8, 5), y=np.array([0, 2, 1, 1, 0, 2, 2, 0]), W=normal(5, 3), b=normal(3),
)  # fmt: skip

program(
    """
# two layers, tanh, samples in columns
def forward(X, Y, W1, b1, W2, b2):
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = 1 / (1 + np.exp(-Z2))
    cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
    return cost, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}

def backward(X, Y, W1, W2, cache):
    m = X.shape[1]
    A1, A2 = cache["A1"], cache["A2"]
    Z1 = cache["Z1"]
    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dA1 = W2.T @ dZ2
    dZ1 = dA1 * (1 - A1 ** 2)
    dW1 = dZ1 @ X.T / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    return grads
""",
    X=normal(3, 10), Y=labels(2, 10), W1=normal(4, 3), b1=normal(4, 1), W2=normal(2, 4),
    b2=normal(2, 1),
)  # fmt: skip

program(
    """
# three layers, ReLU and tanh, mean square
def forward(X, Y, W1, b1, W2, b2, W3, b3):
    Z1 = X @ W1 + b1
    A1 = np.maximum(0, Z1)
    Z2 = A1 @ W2 + b2
    A2 = np.tanh(Z2)
    Z3 = A2 @ W3 + b3
    loss = np.mean((Z3 - Y) ** 2)
    return loss

def backward(X, Y, W1, W2, W3, Z1, A1, Z2, A2, Z3):
    dZ3 = 2 * (Z3 - Y) / Z3.size
    dW3 = A2.T @ dZ3
    db3 = dZ3.sum(axis=0)
    dA2 = dZ3 @ W3.T
    dZ2 = dA2 * (1 - A2 ** 2)
    dW2 = A1.T @ dZ2
    db2 = dZ2.sum(axis=0)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * (Z1 > 0)
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(axis=0)
    return dW1, db1, dW2, db2, dW3, db3
""",
    X=normal(12, 5), Y=normal(12, 2), W1=normal(5, 4), b1=normal(4), W2=normal(4, 4),
    b2=normal(4), W3=normal(4, 2), b3=normal(2),
)  # fmt: skip

program(
    """
# two layers as in cs231n, grads by the names of the weights
def forward(X, y, params):
    W1, b1 = params["W1"], params["b1"]
    W2, b2 = params["W2"], params["b2"]
    N = X.shape[0]
    hidden = np.maximum(0, np.dot(X, W1) + b1)
    scores = np.dot(hidden, W2) + b2
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    loss = np.sum(-np.log(probs[range(N), y])) / N
    loss = loss + 0.5 * 0.05 * (np.sum(W1 * W1) + np.sum(W2 * W2))
    return loss

def backward(X, y, params, hidden, probs):
    W1, W2 = params["W1"], params["W2"]
    N = X.shape[0]
    grads = {}
    dscores = probs.copy()
    dscores[range(N), y] -= 1
    dscores /= N
    grads["W2"] = np.dot(hidden.T, dscores)
    grads["b2"] = np.sum(dscores, axis=0)
    dhidden = np.dot(dscores, W2.T)
    dhidden[hidden <= 0] = 0
    grads["W1"] = np.dot(X.T, dhidden)
    grads["b1"] = np.sum(dhidden, axis=0)
    grads["W2"] += 0.05 * W2
    grads["W1"] += 0.05 * W1
    return grads
""",
    X=normal(9, 4), y=np.array([0, 1, 2, 2, 1, 0, 1, 1, 2]),
    params={"W1": normal(4, 6), "b1": normal(6), "W2": normal(6, 3), "b2": normal(3)},
)  # fmt: skip

program(
    """
# a weight used twice
def forward(X, Y, W, b):
    Z1 = X @ W + b
    H = np.tanh(Z1)
    Z2 = H @ W.T
    loss = np.sum((Z2 - Y) ** 2) / len(X)
    return loss

def backward(X, Y, W, H, Z2):
    m = len(X)
    dZ2 = 2 * (Z2 - Y) / m
    dH = dZ2 @ W
    dZ1 = dH * (1 - H ** 2)
    dW = X.T @ dZ1 + dZ2.T @ H
    db = np.sum(dZ1, axis=0, keepdims=True)
    return {"dW": dW, "db": db}
""",
    X=normal(8, 5), Y=normal(8, 5), W=normal(5, 3), b=normal(1, 3),
)  # fmt: skip

program(
    """
# biases broadcast over rows and columns
def forward(X, Y, u, v, scale):
    S = X * scale + u
    P = S + v
    Q = 1 / (1 + np.exp(-P))
    loss = 0.5 * np.mean((Q - Y) ** 2)
    return loss

def backward(X, Y, S, P, Q, scale):
    n = Q.size
    dQ = (Q - Y) / n
    dP = dQ * Q * (1 - Q)
    dv = np.sum(dP, axis=0, keepdims=True)
    dS = dP
    du = np.sum(dS, axis=1, keepdims=True)
    dscale = np.sum(dS * X, axis=0)
    return du, dv, dscale
""",
    X=normal(6, 4), Y=normal(6, 4), u=normal(6, 1), v=normal(1, 4), scale=normal(4),
)  # fmt: skip

program(
    """
# recurrent over time, lists of states
def forward(X, Y, Wx, Wh, Wy, b):
    h = np.zeros((X.shape[1], Wh.shape[0]))
    hs = [h]
    loss = 0
    for t in range(len(X)):
        z = X[t] @ Wx + h @ Wh + b
        h = np.tanh(z)
        y = h @ Wy
        loss = loss + np.sum((y - Y[t]) ** 2)
        hs.append(h)
    return loss, hs

def backward(X, Y, Wx, Wh, Wy, hs):
    dWx, dWh, dWy, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy), np.zeros(len(Wh))
    dh_next = np.zeros_like(hs[0])
    for t in reversed(range(len(X))):
        dy = 2 * (hs[t + 1] @ Wy - Y[t])
        dWy += hs[t + 1].T @ dy
        dh = dy @ Wy.T + dh_next
        dz = dh * (1 - hs[t + 1] ** 2)
        dWx += X[t].T @ dz
        dWh += hs[t].T @ dz
        db += dz.sum(axis=0)
        dh_next = dz @ Wh.T
    return dWx, dWh, dWy, db
""",
    X=normal(5, 6, 3), Y=normal(5, 6, 2), Wx=normal(3, 4), Wh=0.5 * normal(4, 4), Wy=normal(4, 2),
    b=normal(4),
)  # fmt: skip

program(
    """
# characters over time, dictionaries of states, loss at every step
def forward(xs, targets, Wxh, Whh, Why, bh, by):
    hs, ys, ps = {}, {}, {}
    hs[-1] = np.zeros((Whh.shape[0], 1))
    loss = 0
    for t in range(len(xs)):
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss = loss - np.log(ps[t][targets[t], 0])
    return loss, (hs, ps)

def backward(xs, targets, Wxh, Whh, Why, bh, by, hs, ps):
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    return dWxh, dWhh, dWhy, dbh, dby
""",
    xs=np.eye(4)[[0, 2, 1, 3, 0]].reshape(5, 4, 1), targets=[2, 1, 3, 0, 1],
    Wxh=normal(3, 4), Whh=0.5 * normal(3, 3), Why=normal(4, 3), bh=normal(3, 1), by=normal(4, 1),
)  # fmt: skip

program(
    """
# delta and grad_ naming, a skip connection
def forward(X, T, V, W, c):
    z1 = X @ V + c
    a1 = np.tanh(z1)
    z2 = a1 @ W + a1
    out = np.tanh(z2)
    diff = out - T
    loss = np.mean(np.sum(diff * diff, axis=1))
    return loss

def backward(X, T, V, W, a1, out):
    m = len(X)
    delta2 = 2 * (out - T) / m * (1 - out ** 2)
    grad_W = a1.T @ delta2
    grad_a1 = delta2 @ W.T + delta2
    delta1 = grad_a1 * (1 - a1 ** 2)
    grad_V = X.T @ delta1
    grad_c = delta1.sum(axis=0)
    return grad_V, grad_W, grad_c
""",
    X=normal(9, 3), T=normal(9, 4), V=normal(3, 4), W=normal(4, 4), c=normal(4),
)  # fmt: skip


# Mutations: each gives (kind, statement) for a statement of the backward pass.


def each(node, kind, change):
    """Copies of a statement, each with one node of a kind changed."""
    places = [n for n in ast.walk(node) if isinstance(n, kind)]
    for i in range(len(places)):
        new = copy.deepcopy(node)
        place = [n for n in ast.walk(new) if isinstance(n, kind)][i]
        for changed in change(place):
            parent = copy.deepcopy(new)
            old = [n for n in ast.walk(parent) if isinstance(n, kind)][i]
            yield Replace(old, changed).visit(parent)


class Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else super().generic_visit(node)


def expression(text):
    return ast.parse(text, mode="eval").body


def whole(node, template):
    """The statement with its right side v put into a template."""
    new = copy.deepcopy(node)
    new.value = expression(template.format(f"({ast.unparse(node.value)})"))
    return new


def swapped_names(node, source):
    """Names of one family exchanged: W1 for W2, Z1 for A1, hs for another."""
    families = ({"W1", "W2", "W3"}, {"Wx", "Wh"}, {"V", "W"}, {"Wxh", "Whh"})
    points = [("A1", "Z1"), ("A2", "Z2"), ("A2", "A1"), ("A1", "X"), ("Q", "P")]

    def change(n):
        for family in families:
            if n.id in family:
                others = sorted(
                    m for m in family - {n.id} if f" {m}," in source or f" {m})" in source
                )
                yield from (("another weight", m) for m in others)
        for a, z in points:
            if n.id == a and f"{z} =" in source.replace("def backward(X", "X ="):
                yield "at z instead of a", z

    for i, name in enumerate(n for n in ast.walk(node.value) if isinstance(n, ast.Name)):
        for kind, other in change(name):
            new = copy.deepcopy(node)
            [n for n in ast.walk(new.value) if isinstance(n, ast.Name)][i].id = other
            yield kind, new


def mutations(node, source):
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        return
    if isinstance(node, ast.AugAssign) or (
        isinstance(node, ast.Assign) and not isinstance(node.value, (ast.Dict, ast.Attribute))
    ):
        for c in ("2", "0.5"):
            yield "factor", whole(node, f"{c} * {{}}")
        yield "sign", whole(node, "-{}")
    if not isinstance(node.value, (ast.Constant, ast.Dict, ast.Attribute)):
        yield "transposed", whole(node, "{}.T")
        yield "broadcast", whole(node, "{} * np.ones((3, 1))")
        for axis in (0, 1):
            yield "summed", whole(node, f"np.sum({{}}, axis={axis}, keepdims=True)")
    if isinstance(node, ast.AugAssign):
        for op in (ast.Add(), ast.Sub()):
            new = copy.deepcopy(node)
            new.op = op
            yield "sign of a term", new
        yield "missing term", ast.Assign([node.target], node.value, lineno=node.lineno)
    for m, features in (("m", "sum(X.shape) - m"), ("N", "X.shape[1]")):
        if f"{m} =" in source and not isinstance(node, ast.AugAssign):
            yield "1/m", whole(node, f"{{}} / {m}")
        others = [ast.Constant(1), expression(features)]
        for new in each(node, ast.Name, lambda n, m=m, to=others: to if n.id == m else []):
            yield "m", new

    def products(n):
        if isinstance(n.op, ast.Mult):
            yield n.left
            yield n.right

    def sums(n):
        if isinstance(n.op, (ast.Add, ast.Sub)):
            yield ast.BinOp(n.left, ast.Sub() if isinstance(n.op, ast.Add) else ast.Add(), n.right)

    def terms(n):
        if isinstance(n.op, (ast.Add, ast.Sub)):
            yield n.left
            yield n.right if isinstance(n.op, ast.Add) else ast.UnaryOp(ast.USub(), n.right)

    yield from (("missing factor", new) for new in each(node, ast.BinOp, products))
    yield from (("sign of a term", new) for new in each(node, ast.BinOp, sums))
    yield from (("missing term", new) for new in each(node, ast.BinOp, terms))
    yield from (
        ("transposed", new)
        for new in each(node, ast.Attribute, lambda n: [n.value] if n.attr == "T" else [])
    )

    def sum_(n):
        name = ast.unparse(n.func)
        if name.endswith("sum"):
            yield "not summed", n.args[0] if name == "np.sum" else n.func.value
            for k, keyword in enumerate(n.keywords):
                if keyword.arg == "axis":
                    new = copy.deepcopy(n)
                    new.keywords[k].value = ast.Constant(1 - keyword.value.value)
                    yield "wrong axis", new

    for kind in ("not summed", "wrong axis"):
        for new in each(node, ast.Call, lambda n, kind=kind: [c for k, c in sum_(n) if k == kind]):
            yield kind, new
    if hasattr(node, "value") and not isinstance(node.value, ast.Dict):
        yield from swapped_names(node, source)


def mutants(name):
    """(kind, line, mutated line, source) for each mistake in each line of backward."""
    source, _ = PROGRAMS[name]
    tree = ast.parse(source)
    backward = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "backward")
    seen = set()
    lines = source.splitlines()
    for node in ast.walk(backward):
        if not isinstance(node, (ast.Assign, ast.AugAssign)) or is_helper(node):
            continue
        for kind, new in mutations(node, source):
            line = ast.unparse(ast.fix_missing_locations(new))
            if (node.lineno, line) in seen or line == ast.unparse(node):
                continue
            seen.add((node.lineno, line))
            indent = " " * node.col_offset
            changed = [*lines[: node.lineno - 1], indent + line, *lines[node.lineno :]]
            yield kind, node.lineno, line, "\n".join(changed) + "\n"


def is_helper(node):
    """Whether a line only unpacks or prepares."""
    text = ast.unparse(node)
    return any(
        word in text for word in ("zeros", "cache[", "params[", "= {", "m = ", "N = ", "n = ")
    )


def outcome(source, name):
    """The gradients that a backward pass returns, or None if it raises."""
    _, inputs = PROGRAMS[name]
    forward, backward = defined(source)
    run = watch(forward, **copy.deepcopy(inputs))
    known = {**run.locals, **inputs}
    cache = run.result[1] if isinstance(run.result, tuple) else None
    arguments = {p: known.get(p, cache) for p in inspect.signature(backward).parameters}
    try:
        returned = backward(**copy.deepcopy(arguments))
    except (ValueError, IndexError, AttributeError, NameError, KeyError, TypeError):
        return None
    return {path: np.array(x) for path, _, x in leaves(returned, (), ())}


def changes_numbers(right, wrong):
    if wrong is None or right.keys() != wrong.keys():
        return True
    for name, a in right.items():
        a, b = np.squeeze(a), np.squeeze(wrong[name])
        if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=1e-9 * np.abs(a).max()):
            return True
    return False


def check(source, name):
    _, inputs = PROGRAMS[name]
    return tg.check_backward(*defined(source), **inputs)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_false_alarm(name):
    report = check(PROGRAMS[name][0], name)
    report.assert_ok()


# What a diagnosis has to say of each kind of mistake, at least one of these words.
SAYS = {
    "factor": ("times", "half", "factor", "axis"),
    "1/m": ("number of", "length of", "times"),
    "m": ("number of", "length of", "times", "shape", "raises"),
    "sign": ("sign", "zero", "mask"),
    "sign of a term": ("sign", "derivative", "term", "raises"),
    "missing term": ("term", "uses", "missing", "gradient of", "derivative", "zero", "shape"),
    "missing factor": ("missing", "derivative", "times", "half", "shape", "broadcast", "raises"),
    "transposed": ("transposed", "shape", "broadcast", "raises"),
    "broadcast": ("broadcast", "shape", "raises"),
    "summed": ("axis", "axes", "summed", "shape", "raises"),
    "not summed": ("not summed", "shape", "broadcast"),
    "wrong axis": ("axis", "axes", "summed", "shape", "raises"),
    "another weight": ("is used where", "transposed", "shape", "raises"),
    "at z instead of a": ("instead of", "is used where", "input", "shape", "raises"),
}


def study(name):
    """How many mistakes there are, are found, placed, and rightly explained; the misplaced."""
    source, _ = PROGRAMS[name]
    right = outcome(source, name)
    counts, missed = np.zeros(4, int), []
    for kind, number, line, mutated in mutants(name):
        with np.errstate(all="ignore"):
            if not changes_numbers(right, outcome(mutated, name)):
                continue
        report = check(mutated, name)
        first = next((row for row in report.rows if row.verdict == "wrong here"), None)
        placed = first is not None and first.line == number
        said = placed and any(word in first.diagnosis for word in SAYS[kind])
        counts += 1, not report.ok, placed, said
        if not placed:
            missed.append((kind, number, line, report))
    return (*counts.tolist(), missed)


@pytest.mark.parametrize("name", PROGRAMS)
def test_mistakes_are_found_and_placed(name):
    total, found, placed, explained, missed = study(name)
    share = f"{explained / total:.0%}"
    print(f"{name}: {total} mistakes, {found} found, {placed} placed, {share} rightly explained")
    assert found == total
    assert placed >= 0.95 * total, missed
