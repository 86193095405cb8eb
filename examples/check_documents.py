# ruff: noqa: RET504 (the documents name what they return)
"""All documents: their derivations and code, right and wrong, checked by check_backward."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_lr as tg
from examples.and_gate import sigmoid
from examples.report import aligned
from tinygrad_lr.check.derivation.report import WRONG, Report


@dataclass(frozen=True)
class Case:
    """A forward and a backward pass; `first_wrong` is the first wrong name, or None."""

    document: str
    title: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: dict[str, Any]
    first_wrong: str | None = None


@dataclass(frozen=True)
class Judged:
    """A case and the report on it."""

    case: Case
    report: Report

    @property
    def agrees(self) -> bool:
        return self.report.first_wrong == self.case.first_wrong and (
            self.report.ok == (self.case.first_wrong is None)
        )


# Document 000: a line through points, one number each


def line(X, Y, W, b):
    yhat = W * X + b
    loss = 1 / len(X) * np.sum((yhat - Y) ** 2)
    return loss


def line_square_of_sum(X, Y, W, b):
    yhat = W * X + b
    loss = 1 / len(X) * np.sum(yhat - Y) ** 2
    return loss


def line_against_inputs(X, Y, W, b):
    yhat = W * X + b
    loss = 1 / len(X) * np.sum((yhat - X) ** 2)
    return loss


def line_backward(X, Y, yhat):
    dW = np.mean(-2 * X * (Y - yhat))
    db = np.mean(-2 * (Y - yhat))
    return dW, db


# Document 000: logistic regression, a column a sample


def columns(X, Y, W, b):
    A = sigmoid(W.T @ X + b)
    J = -1 / A.size * np.sum(Y * np.log(A + 1e-15) + (1 - Y) * np.log(1 - A + 1e-15))
    return J


def columns_len(X, Y, W, b):
    A = sigmoid(W.T @ X + b)
    m = len(A)
    J = -1 / m * np.sum(Y * np.log(A + 1e-15) + (1 - Y) * np.log(1 - A + 1e-15))
    return J


def columns_swapped(X, Y, W, b):
    A = sigmoid(W.T @ X + b)
    J = -1 / A.size * np.sum(A * np.log(Y + 1e-15) + (1 - A) * np.log(1 - Y + 1e-15))
    return J


def columns_backward(X, Y, A):
    m = A.shape[1]
    dW = X @ (A - Y).T / m
    db = np.sum(A - Y) / m
    return dW, db


def stale_m(X, Y, A):
    m = 8
    dW = X @ (A - Y).T / m
    db = np.sum(A - Y) / m
    return dW, db


def summed_twice(X, Y, A):
    m = A.shape[1]
    dW = 1 / m * sum(X @ (A - Y).T for i in range(m))
    db = 1 / m * np.sum(A - Y)
    return dW, db


# Document 001: one neuron, half the squared error, a row a sample


def neuron(x, y, w, b):
    z = x @ w + b
    out = sigmoid(z)
    loss = np.sum((out - y) ** 2) / 2
    return loss


def neuron_backward(x, y, w, b, out):
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for i in range(len(x)):
        d = (out[i] - y[i]) * out[i] * (1 - out[i])
        dw += d * x[i]
        db += d
    return dw, db


def sigmoid_derivative(x):
    return x * (1 - x)


def neuron_at_z(x, y, z, out):
    dout = out - y
    dz = dout * sigmoid_derivative(z)
    dw = x.T @ dz
    db = dz.sum()
    return dw, db


def neuron_without_x(x, y, out):
    dw = (out - y) * out * (1 - out)
    return dw


# Document 002: the class LogisticRegression, a column a sample


def summed(X, Y, W, b):
    Z = W.T @ X + b
    A = sigmoid(Z)
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return J


def averaged(X, Y, W, b):
    Z = W.T @ X + b
    A = sigmoid(Z)
    J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return J


def vectorised(X, Y, A):
    m = X.shape[1]
    dZ = A - Y
    dW = X @ dZ.T / m
    db = np.sum(dZ) / m
    return dW, db


def features_for_samples(X, Y, A):
    m = len(X)
    dZ = A - Y
    dW = X @ dZ.T / m
    db = np.sum(dZ) / m
    return dW, db


def loop_without_mean_of_db(X, Y, W, A):
    m = X.shape[1]
    dW = np.zeros_like(W)
    db = 0.0
    for i in range(m):
        dZ_i = A[0, i] - Y[0, i]
        dW[:, 0] += X[:, i] * dZ_i / m
        db += dZ_i
    return dW, db


# Document 003: softmax regression, a row a sample


def softmax(X, y, W, b):
    logits = X @ W + b
    exp_logits = np.exp(logits)
    y_hat = exp_logits / np.sum(exp_logits, axis=1, keepdims=True)
    loss = np.mean(-np.log(y_hat[range(len(y)), y]))
    return loss


def softmax_backward(X, y, W, y_hat):
    dscores = y_hat.copy()
    dscores[range(len(y)), y] -= 1
    dscores /= len(y)
    dW = X.T @ dscores
    db = np.sum(dscores, axis=0, keepdims=True)
    return dW, db


def softmax_in_place(X, y, W, y_hat):
    dscores = y_hat
    dscores[range(len(y)), y] -= 1
    dscores /= len(y)
    dW = X.T @ dscores
    db = np.sum(dscores, axis=0, keepdims=True)
    return dW, db


def softmax_without_one(X, y, y_hat):
    dW = X.T @ y_hat / len(y)
    return dW


# Document 004: the derivation step by step, first a column a sample, then a row


def likelihood(X, Y, W, B):
    z = W @ X + B
    a = sigmoid(z)
    L = np.sum(Y * np.log(a) + (1 - Y) * np.log(1 - a))
    return L


def negative(X, Y, W, B):
    z = W @ X + B
    a = sigmoid(z)
    L = -np.sum(Y * np.log(a) + (1 - Y) * np.log(1 - a))
    return L


def steps(X, Y, a):
    da = -Y / a + (1 - Y) / (1 - a)
    dz = da * a * (1 - a)
    dW = dz @ X.T
    dB = np.sum(dz, axis=1)
    return dW, dB


def sign_of_da(X, Y, a):
    da = Y / a + (1 - Y) / (1 - a)
    dz = da * a * (1 - a)
    dW = dz @ X.T
    dB = np.sum(dz, axis=1)
    return dW, dB


def combined(X, Y, a):
    dz = a - Y
    dW = dz @ X.T
    dB = np.sum(dz, axis=1)
    return dW, dB


def elementwise(X, Y, a):
    dW = (a - Y) * X
    dB = np.sum(a - Y, axis=1)
    return dW, dB


def unsummed(X, Y, a):
    dW = (a - Y) @ X.T
    dB = a - Y
    return dW, dB


def rows(X, Y, W, b):
    Z = W @ X.T + b
    A = sigmoid(Z)
    loss = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return loss


def rows_backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = dZ @ X
    db = np.sum(dZ, axis=1, keepdims=True)
    return dW, db


def rows_elementwise(X, Y, A):
    dZ = A - Y
    dW = dZ * X
    db = dZ
    return dW, db


rng = np.random.default_rng(0)


def labels(*shape):
    return rng.permutation(np.arange(np.prod(shape)) % 2.0).reshape(shape)


def data(features, samples):
    """A column a sample, as the documents 000 and 002 have them."""
    return {
        "X": rng.normal(size=(features, samples)),
        "Y": labels(1, samples),
        "W": 0.01 * rng.normal(size=(features, 1)),
        "b": 0.0,
    }


POINTS = {"X": np.arange(-2.0, 6.0), "Y": 2 * np.arange(-2.0, 6.0) + 1, "W": np.zeros(1), "b": 0.0}
TITANIC = data(features=14, samples=20)
PLANTS = {"x": rng.normal(size=(6, 2)), "y": labels(6), "w": rng.random(2), "b": rng.random(1)}
DIGITS = data(features=64, samples=1000)
TUMORS = {
    "X": rng.normal(size=(7, 3)), "y": np.array([0, 1, 1, 0, 1, 0, 1]),
    "W": 0.01 * rng.normal(size=(3, 2)), "b": np.zeros((1, 2)),
}  # fmt: skip
DRAWN = {
    "X": rng.normal(size=(3, 20)), "Y": labels(1, 20),
    "W": rng.normal(size=(1, 3)), "B": rng.normal(size=1),
}  # fmt: skip
# As many samples as features, as the document has it: with others dZ * X raises.
SQUARE = {
    "X": rng.normal(size=(3, 3)), "Y": np.array([0.0, 1.0, 1.0]),
    "W": rng.normal(size=(1, 3)), "b": rng.normal(size=(1, 1)),
}  # fmt: skip

CASES = [
    Case("000", "line", line, line_backward, POINTS),
    Case("000", "square of the sum", line_square_of_sum, line_backward, POINTS, "loss"),
    Case("000", "loss against the input", line_against_inputs, line_backward, POINTS, "loss"),
    Case("000", "logistic regression", columns, columns_backward, TITANIC),
    Case("000", "m of another model", columns, stale_m, TITANIC, "m"),
    Case("000", "len of a (1, m) array", columns_len, columns_backward, TITANIC, "J"),
    Case("000", "loss(Y, A) for loss(A, Y)", columns_swapped, columns_backward, TITANIC, "J"),
    Case("000", "summed by @ and by Σ", columns, summed_twice, TITANIC, "dW"),
    Case("000", "Y a column", columns, columns_backward, {**TITANIC, "Y": TITANIC["Y"].T}, "dW"),
    Case("001", "neuron, a sample at a time", neuron, neuron_backward, PLANTS),
    Case("001", "sigmoid_derivative(z)", neuron, neuron_at_z, PLANTS, "dz"),
    Case("001", "dw is dL/dz", neuron, neuron_without_x, PLANTS, "dw"),
    Case("002", "vectorised", averaged, vectorised, DIGITS),
    Case("002", "cost summed, gradient averaged", summed, vectorised, DIGITS, "J"),
    Case("002", "m is the number of features", summed, features_for_samples, DIGITS, "dW"),
    Case("002", "db without 1/m", averaged, loop_without_mean_of_db, DIGITS, "db"),
    Case("003", "softmax regression", softmax, softmax_backward, TUMORS),
    Case("003", "dscores is y_hat", softmax, softmax_in_place, TUMORS),
    Case("003", "X ŷ without the 1", softmax, softmax_without_one, TUMORS, "dW"),
    Case("004", "step by step", negative, steps, DRAWN),
    Case("004", "a - Y at once", negative, combined, DRAWN),
    Case("004", "sign of dL/da", negative, sign_of_da, DRAWN, "da"),
    Case("004", "log-likelihood as the loss", likelihood, combined, DRAWN, "L"),
    Case("004", "dW = (a - Y) * X", negative, elementwise, DRAWN, "dW"),
    Case("004", "dB not summed", negative, unsummed, DRAWN, "dB"),
    Case("004", "last cells", rows, rows_backward, SQUARE),
    Case("004", "last cells, dW = dZ * X", rows, rows_elementwise, SQUARE, "dW"),
]


def mark(case: Case) -> Judged:
    return Judged(case, tg.check_backward(case.forward, case.backward, **case.inputs))


def table(judged: list[Judged]) -> str:
    """A line each: the report's first wrong name, and whether it is the right one."""
    lines = [("doc", "what", "is", "agree", "first wrong", "source", "diagnosis")]
    for m in judged:
        row = next((r for r in m.report.rows if r.verdict == WRONG), None)
        columns = (row.name, row.source, row.diagnosis) if row else ("-", "", m.report.problem)
        kind = "wrong" if m.case.first_wrong else "right"
        agrees = "yes" if m.agrees else "NO"
        lines.append((m.case.document, m.case.title, kind, agrees, *columns))
    return aligned(lines)


def main() -> list[Judged]:
    judged = [mark(case) for case in CASES]
    print(table(judged))
    return judged


if __name__ == "__main__":
    main()
