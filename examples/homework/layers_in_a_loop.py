import numpy as np


def linear_backward(dZ, A, W):
    m = A.shape[0]
    return W.T @ dZ, dZ @ A.T / m, dZ.sum(axis=1, keepdims=True) / m


def forward(X, Y, params):
    A, caches, L = X, [], len(params) // 2
    for l in range(1, L + 1):
        Z = params[f"W{l}"] @ A + params[f"b{l}"]
        caches.append((A, Z))
        A = np.maximum(0, Z) if l < L else 1 / (1 + np.exp(-Z))
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1]
    return cost, (A, caches)


def backward(Y, params, cache):
    A, caches = cache
    grads, dZ = {}, A - Y
    for l in reversed(range(1, len(caches) + 1)):
        A, _ = caches[l - 1]
        dA, grads[f"dW{l}"], grads[f"db{l}"] = linear_backward(dZ, A, params[f"W{l}"])
        if l > 1:
            dZ = dA * (caches[l - 2][1] > 0)
    return grads


rng = np.random.default_rng(0)
sizes = [4, 5, 3, 1]  # a column a sample
params = {f"W{l}": rng.normal(size=(sizes[l], sizes[l - 1])) for l in (1, 2, 3)}
params |= {f"b{l}": 0.1 * rng.normal(size=(sizes[l], 1)) for l in (1, 2, 3)}
inputs = {"X": rng.normal(size=(4, 7)), "Y": np.array([[0, 1, 1, 0, 1, 0, 0]]), "params": params}
