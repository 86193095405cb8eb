"""Logistic regression with Tensors alone; every tool that takes a loss."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import tinygrad_lr as tg

Array = NDArray[np.float64]
X: Array = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
y: Array = np.array([1.0, 0.0, 0.0, 1.0])
w = tg.Tensor(np.zeros(2), requires_grad=True, name="w")
b = tg.Tensor(0.0, requires_grad=True)

z = assert_type(X @ w, tg.Tensor) + b
assert_type(1 - z / 2, tg.Tensor)
assert_type(np.float64(2.0) * z, tg.Tensor)
assert_type(y - X @ w, tg.Tensor)
assert_type(-(z**2), tg.Tensor)
assert_type(w.reshape(2, 1).T[0], tg.Tensor)
assert_type(tg.exp(z).sum(axis=0), tg.Tensor)
assert_type(tg.concatenate([w, y]), tg.Tensor)
assert_type(tg.einsum("ij,j->i", X, w), tg.Tensor)
assert_type(tg.where(z > 0, z, 0.0), tg.Tensor)
probabilities: Array = tg.sigmoid(X @ w.data)

loss = tg.mse_loss(z, y)
for step in range(20):
    loss = tg.binary_cross_entropy_with_logits(X @ w + b, y)
    for p in (w, b):
        p.zero_grad()
    loss.backward()
    for p in (w, b):
        if p.grad is not None:
            p.data -= 0.5 * p.grad
loss = assert_type(tg.mse_loss(X @ w + b, y), tg.Tensor)
print(f"{loss:.3f}", loss.item())

with tg.no_grad():
    print(tg.mse_loss(z, y).item())
with tg.detect_anomaly():
    (dw,) = tg.grad(tg.mse_loss(X @ w, y, reduction="sum"), [w])
assert_type(dw, NDArray[Any])
(slope,) = tg.grad((w**3).sum(), [w], create_graph=True)
assert_type(slope, tg.Tensor)
assert_type(tg.gradcheck(lambda v: tg.tanh(v).sum(), [w]), bool)


def forward(X: Array, y: Array, w: Array) -> Any:
    p = 1 / (1 + np.exp(-X @ w))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def backward(X: Array, y: Array, p: Array) -> Any:
    dw = X.T @ (p - y) / len(y)
    return dw


report = tg.check_backward(forward, backward, X=X, y=y, w=w.data)
report.assert_ok()
marks = tg.grade(forward, [backward], X=X, y=y, w=w.data)
print(report.ok, report.first_wrong, marks[0].diagnosis)

picture = tg.draw(loss, theme="dark", wrt=[w])
print(picture.text)


def main(folder: Path) -> None:
    film = tg.Film()
    film(loss)
    tg.explore(loss, folder / "page.html", history=film)
    program = tg.to_numpy(lambda X, y: tg.mse_loss(X @ w, y), X, y)
    program.save(folder / "step.py")
    value: float = program(X, y)[0]
    print(program.source, value)
