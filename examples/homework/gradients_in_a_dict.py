import numpy as np


def forward(params, X, y, reg=0.1):
    W1, b1, W2, b2 = (params[name] for name in ("W1", "b1", "W2", "b2"))
    N = len(X)

    hidden = np.maximum(0, X @ W1 + b1)
    scores = hidden @ W2 + b2
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -np.log(probs[np.arange(N), y]).mean()
    loss += reg * np.sum(W1 * W1) + reg * np.sum(W2 * W2)

    grads = {}
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N
    grads["W2"] = hidden.T @ dscores + reg * W2
    grads["b2"] = dscores.sum(axis=0)
    dhidden = dscores @ W2.T
    dhidden[hidden <= 0] = 0
    grads["W1"] = X.T @ dhidden + 2 * reg * W1
    grads["b1"] = dhidden.sum(axis=0)
    return loss, grads


rng = np.random.default_rng(0)
params = {
    "W1": rng.normal(size=(4, 5)), "b1": 0.1 * rng.normal(size=5),
    "W2": rng.normal(size=(5, 3)), "b2": 0.1 * rng.normal(size=3),
}  # fmt: skip
inputs = {"params": params, "X": rng.normal(size=(8, 4)), "y": np.array([0, 2, 1, 1, 0, 2, 2, 0])}
