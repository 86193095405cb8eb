"""Three layers written out, with dropout, L2 and one long cache."""

import numpy as np


def sigmoid(x):
    s = 1 / (1 + np.exp(-x))
    return s


def relu(x):
    return np.maximum(0, x)


def forward_dropout(X, Y, parameters, D1, D2, lam=0.7, keep_prob=0.8):
    W1 = parameters["W1"]
    b1 = parameters["b1"]
    W2 = parameters["W2"]
    b2 = parameters["b2"]
    W3 = parameters["W3"]
    b3 = parameters["b3"]

    Z1 = np.dot(W1, X) + b1
    A1 = relu(Z1)
    A1 = A1 * D1
    A1 = A1 / keep_prob
    Z2 = np.dot(W2, A1) + b2
    A2 = relu(Z2)
    A2 = A2 * D2
    A2 = A2 / keep_prob
    Z3 = np.dot(W3, A2) + b3
    A3 = sigmoid(Z3)

    m = Y.shape[1]
    logprobs = np.multiply(-np.log(A3), Y) + np.multiply(-np.log(1 - A3), 1 - Y)
    data_cost = 1. / m * np.sum(logprobs)
    l2_cost = (1. / m) * (lam / 2) * (np.sum(np.square(W1)) + np.sum(np.square(W2)) + np.sum(np.square(W3)))
    cost = data_cost + l2_cost

    cache = (Z1, D1, A1, W1, b1, Z2, D2, A2, W2, b2, Z3, A3, W3, b3)
    return cost, cache


def backward_dropout(X, Y, cache, lam=0.7, keep_prob=0.8):
    m = X.shape[1]
    (Z1, D1, A1, W1, b1, Z2, D2, A2, W2, b2, Z3, A3, W3, b3) = cache

    dZ3 = A3 - Y
    dW3 = 1. / m * np.dot(dZ3, A2.T) + lam / m * W3
    db3 = 1. / m * np.sum(dZ3, axis=1, keepdims=True)

    dA2 = np.dot(W3.T, dZ3)
    dA2 = dA2 * D2
    dA2 = dA2 / keep_prob
    dZ2 = np.multiply(dA2, np.int64(A2 > 0))
    dW2 = 1. / m * np.dot(dZ2, A1.T) + lam / m * W2
    db2 = 1. / m * np.sum(dZ2, axis=1, keepdims=True)

    dA1 = np.dot(W2.T, dZ2)
    dA1 = dA1 * D1
    dA1 = dA1 / keep_prob
    dZ1 = np.multiply(dA1, np.int64(Z1 > 0))
    dW1 = 1. / m * np.dot(dZ1, X.T) + lam / m * W1
    db1 = 1. / m * np.sum(dZ1, axis=1, keepdims=True)

    gradients = {"dZ3": dZ3, "dW3": dW3, "db3": db3, "dA2": dA2,
                 "dZ2": dZ2, "dW2": dW2, "db2": db2, "dA1": dA1,
                 "dZ1": dZ1, "dW1": dW1, "db1": db1}
    return gradients


rng = np.random.default_rng(12)
X = rng.standard_normal((3, 8))
Y = np.array([[0, 1, 1, 0, 1, 0, 1, 1]])
parameters = {
    "W1": rng.standard_normal((5, 3)) * 0.7, "b1": 0.3 + 0.1 * rng.standard_normal((5, 1)),
    "W2": rng.standard_normal((4, 5)) * 0.6, "b2": 0.3 + 0.1 * rng.standard_normal((4, 1)),
    "W3": rng.standard_normal((1, 4)) * 0.6, "b3": np.zeros((1, 1)),
}
D1 = (rng.random((5, 8)) < 0.8).astype(int)
D2 = (rng.random((4, 8)) < 0.8).astype(int)


CHECK = "check(forward_dropout, backward_dropout, X=X, Y=Y, parameters=parameters, D1=D1, D2=D2)"

MISTAKES = [
    ("dA1 = dA1 * D1",
     "dA1 = dA1 * 1",
     "dropout mask D1 forgotten in the backward pass"),
    ("dA2 = dA2 / keep_prob",
     "dA2 = dA2 * keep_prob",
     "multiplied by keep_prob instead of divided"),
    ("dW1 = 1. / m * np.dot(dZ1, X.T) + lam / m * W1",
     "dW1 = 1. / m * np.dot(dZ1, X.T)",
     "L2 term of W1 forgotten"),
    ("db2 = 1. / m * np.sum(dZ2, axis=1, keepdims=True)",
     "db2 = 1. / m * np.sum(dA2, axis=1, keepdims=True)",
     "dA2 for dZ2"),
]
