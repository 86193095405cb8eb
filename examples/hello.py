"""Logistic regression from data to prediction, its gradient checked: `python -m examples.hello`."""

import numpy as np

import tinygrad_lr as tg

hours, passed = np.arange(1, 8) / 2, np.array([0, 0, 0, 1, 0, 1, 1])
w, b = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)


def loss(w, b):
    return tg.binary_cross_entropy_with_logits(w * hours + b, passed)


tg.gradcheck(loss, [w, b])
for _ in range(1000):
    dw, db = tg.grad(loss(w, b), [w, b])
    w.data -= 0.5 * dw
    b.data -= 0.5 * db
print(f"loss {loss(w, b):.3f}; after 2 hours of study {tg.sigmoid(2 * w + b):.0%} pass")
