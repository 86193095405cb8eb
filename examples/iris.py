"""Document 001: the neuron on two kinds of iris, and softmax regression on all three."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

import tinygrad_lr as tg
from examples.and_gate import forward, loss, train
from examples.report import Row, gradient_difference, save_figure, table


def neuron() -> Row:
    """Setosa or versicolor, from the sepals; the neuron and its training are the AND gate's."""
    iris = load_iris()
    np.random.seed(0)
    order = np.random.permutation(100)
    X, Y = iris.data[order, :2], iris.target[order, None]
    w = tg.Tensor(np.random.uniform(size=2), requires_grad=True)
    b = tg.Tensor(np.random.uniform(size=1), requires_grad=True)
    difference = train(X[:80], Y[:80], w, b, etah=0.01, num_epoch=1000)

    out = forward(X, w.data, b.data)
    right = (out > 0.5) == Y[:, 0]
    print(f"w = {w.data}, b = {b.data}; right {right[:80].sum()}/80, test {right[80:].sum()}/20")

    for kind, marker in enumerate("os"):
        plt.scatter(*X[Y[:, 0] == kind].T, marker=marker, label=iris.target_names[kind])
    sepal_length = np.array([X[:, 0].min(), X[:, 0].max()])
    # The document's repository draws this line without b.
    plt.plot(sepal_length, -(w.data[0] * sepal_length + b.data) / w.data[1], "k", label="boundary")
    plt.xlabel(iris.feature_names[0])
    plt.ylabel(iris.feature_names[1])
    plt.legend()
    save_figure("iris")
    return Row(
        document="001",
        model="iris, two kinds",
        loss=loss(out[:80], Y[:80, 0]).mean(),
        accuracy=f"{right[:80].sum()}/80",
        figure="right of 20 test samples",
        printed=20,
        ours=right[80:].sum(),
        gradient_difference=difference,
    )


def softmax_backward(X, Y, Z):
    dZ = tg.softmax(Z)
    dZ[np.arange(len(Y)), Y] -= 1
    dZ /= len(Y)
    return [X.T @ dZ, dZ.sum(axis=0)]


def softmax_regression() -> Row:
    """All three kinds, from all four measures."""
    X, Y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    W = tg.Tensor(np.zeros((4, 3)), requires_grad=True)
    b = tg.Tensor(np.zeros(3), requires_grad=True)
    difference = 0.0
    for i in range(1001):
        Z = X @ W + b
        value = tg.cross_entropy(Z, Y)
        dW, db = tg.grad(value, [W, b])
        if i in (0, 1, 10, 100, 1000):
            right = np.sum(Z.argmax(axis=1) == Y)
            print(f"step {i}: loss {value:.12g}, right {right}/150")
        if i % 100 == 1:  # at step 0 all kinds are equal and db is rounding alone
            by_hand = softmax_backward(X, Y, Z.data)
            difference = max(difference, gradient_difference([dW, db], by_hand))
        W.data -= 0.1 * dW
        b.data -= 0.1 * db
    return Row(
        document="001",
        model="iris, three kinds",
        loss=value.item(),
        accuracy=f"{right}/150",
        figure="loss, step 1000",
        ours=value.item(),
        gradient_difference=difference,
    )


def main() -> list[Row]:
    return [neuron(), softmax_regression()]


if __name__ == "__main__":
    print(table(main()))
