import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(X, Y, W1, b1, W2, b2):
    hidden = sigmoid(X @ W1 + b1)
    output = sigmoid(hidden @ W2 + b2)
    return 0.5 * np.sum((output - Y) ** 2)


def backward(X, Y, W1, b1, W2, b2, lr=0.1):
    hidden = sigmoid(X @ W1 + b1)
    output = sigmoid(hidden @ W2 + b2)

    output_delta = (output - Y) * output * (1 - output)
    W2 -= lr * hidden.T @ output_delta
    b2 -= lr * output_delta.sum(axis=0)

    hidden_delta = output_delta @ W2.T * hidden * (1 - hidden)
    W1 -= lr * X.T @ hidden_delta
    b1 -= lr * hidden_delta.sum(axis=0)


rng = np.random.default_rng(0)
inputs = {
    "X": rng.normal(size=(8, 3)), "Y": np.array([[0, 1, 1, 0, 1, 0, 0, 1]]).T,
    "W1": rng.normal(size=(3, 4)), "b1": rng.normal(size=4),
    "W2": rng.normal(size=(4, 1)), "b2": rng.normal(size=1),
}  # fmt: skip
