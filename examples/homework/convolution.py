import numpy as np


def forward(x, w, b):
    kh, kw = w.shape[2:]
    H, W = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    out = np.zeros((len(x), len(w), H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i : i + kh, j : j + kw]
            out[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (x, w)


def backward(dout, cache):
    x, w = cache
    kh, kw = w.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j]
            dw += np.tensordot(d.T, x[:, :, i : i + kh, j : j + kw], axes=1)
            dx[:, :, i : i + kh, j : j + kw] = np.tensordot(d, w, axes=1)
    db = dout.sum(axis=(0, 2, 3))
    return dx, dw, db


rng = np.random.default_rng(0)
inputs = {
    "x": rng.normal(size=(3, 2, 5, 6)),
    "w": rng.normal(size=(4, 2, 3, 3)),
    "b": rng.normal(size=4),
}
