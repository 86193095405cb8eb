"""Document 002: a class LogisticRegression, which learns to tell a 2 from the other digits."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import tinygrad_lr as tg
from examples.report import Row, gradient_difference, save_figure, table


class LogisticRegression:
    """Features X (n, m) and labels Y (1, m): a column a sample."""

    def __init__(self, X, Y, alpha=0.05):
        self.X = X
        self.Y = Y
        self.alpha = alpha
        self.m = X.shape[1]

    def fit(self):
        """Descend until the cost changes by less than 1e-5."""
        # The published code has m = len(X), the number of features, and sums the cost instead of
        # averaging it, from log(A), which is nan three times: 6906 iterations, 794 of 797 right.
        self.W = tg.Tensor(np.zeros((len(self.X), 1)), requires_grad=True)
        self.b = tg.Tensor(0.0, requires_grad=True)
        self.costs, self.difference = [], 0.0
        J, J_last = 0, 1
        while abs(J - J_last) >= 1e-5:
            J_last = J
            Z = np.dot(self.W.T, self.X) + self.b
            cost = tg.binary_cross_entropy_with_logits(Z, self.Y)
            dW, db = tg.grad(cost, [self.W, self.b])
            off = gradient_difference([dW, db], self.backward(tg.sigmoid(Z.data)))
            self.difference = max(self.difference, off)
            self.W.data -= self.alpha * dW
            self.b.data -= self.alpha * db
            J = cost.item()
            self.costs.append(J)

    def backward(self, A):
        dZ = A - self.Y
        dW = np.dot(self.X, dZ.T) / self.m
        db = np.sum(dZ) / self.m
        return dW, db

    def predict(self, x):
        """1 or 0 for each sample, here a row each."""
        W, b = self.W.data, self.b.data
        return [1 if tg.sigmoid(np.dot(single, W) + b) > 0.5 else 0 for single in x]


def main() -> list[Row]:
    x, digit = load_digits(return_X_y=True)
    y = digit == 2
    model = LogisticRegression(x[:1000].T, y[None, :1000], alpha=0.01)
    model.fit()
    right = np.sum(model.predict(x[1000:]) == y[1000:])
    print(f"iteration 1: cost {model.costs[0]:.12g}")
    print(f"iteration {len(model.costs)}: cost {model.costs[-1]:.12g}, {right} of 797 right")

    plt.figure(figsize=(10, 4))
    plt.subplot(121)
    plt.loglog(np.arange(len(model.costs)) + 1, model.costs)
    plt.xlabel("iteration")
    plt.ylabel("cost")
    plt.subplot(122)
    weights = model.W.data.reshape(8, 8)
    limit = np.abs(weights).max()
    plt.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
    plt.colorbar(label="weight: towards a 2 if positive")
    plt.xlabel("column of pixels")
    plt.ylabel("row of pixels")
    save_figure("digits")
    return [
        Row(
            document="002",
            model="is it a 2",
            loss=model.costs[-1],
            accuracy=f"{right}/797",
            figure="iterations",
            ours=len(model.costs),
            gradient_difference=model.difference,
        )
    ]


if __name__ == "__main__":
    print(table(main()))
