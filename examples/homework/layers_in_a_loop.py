import numpy as np


def linear_backward(dZ, A, W):
    m = A.shape[0]
    dW = dZ @ A.T / m
    db = dZ.sum(axis=1, keepdims=True) / m
    return W.T @ dZ, dW, db


def forward(X, Y, params):
    A, caches = X, []
    for i in (1, 2, 3):
        Z = params[f"W{i}"] @ A + params[f"b{i}"]
        caches.append((A, Z))
        A = np.maximum(0, Z) if i < 3 else 1 / (1 + np.exp(-Z))
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1]
    return cost, (A, caches)


def backward(Y, params, cache):
    A, caches = cache
    grads, dZ = {}, A - Y
    for i in (3, 2, 1):
        A, _ = caches[i - 1]
        dA, grads[f"dW{i}"], grads[f"db{i}"] = linear_backward(dZ, A, params[f"W{i}"])
        if i > 1:
            dZ = dA * (caches[i - 2][1] > 0)
    return grads


rng = np.random.default_rng(0)
shapes = {"W1": (5, 4), "b1": (5, 1), "W2": (3, 5), "b2": (3, 1), "W3": (1, 3), "b3": (1, 1)}
params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
inputs = {"X": rng.normal(size=(4, 7)), "Y": np.array([[0, 1, 1, 0, 1, 0, 0]]), "params": params}
