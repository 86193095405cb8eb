"""A GRU over time, its gates packed in one matrix, gradients written into a list."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class TimeGRU:
    """xs (N, T, D) -> hs (N, T, H)"""
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.caches = None

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        hs = np.empty((N, T, H))
        h = np.zeros((N, H))
        self.caches = []
        for t in range(T):
            x, h_prev = xs[:, t, :], h
            A = np.dot(x, Wx) + b
            z = sigmoid(A[:, :H] + np.dot(h_prev, Wh[:, :H]))
            r = sigmoid(A[:, H:2*H] + np.dot(h_prev, Wh[:, H:2*H]))
            h_hat = np.tanh(A[:, 2*H:] + np.dot(r * h_prev, Wh[:, 2*H:]))
            h = (1 - z) * h_prev + z * h_hat
            hs[:, t, :] = h
            self.caches.append((x, h_prev, z, r, h_hat))
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        D = Wx.shape[0]
        Whz, Whr, Whh = Wh[:, :H], Wh[:, H:2*H], Wh[:, 2*H:]

        dxs = np.empty((N, T, D))
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dh = np.zeros((N, H))

        for t in reversed(range(T)):
            x, h_prev, z, r, h_hat = self.caches[t]
            dh_next = dhs[:, t, :] + dh

            dh = dh_next * (1 - z)
            # tanh
            dt_h = dh_next * z * (1 - h_hat ** 2)
            dWh[:, 2*H:] += np.dot((r * h_prev).T, dt_h)
            dhr = np.dot(dt_h, Whh.T)
            dh += r * dhr
            # update gate
            dt_z = dh_next * (h_hat - h_prev) * z * (1 - z)
            dWh[:, :H] += np.dot(h_prev.T, dt_z)
            dh += np.dot(dt_z, Whz.T)
            # reset gate
            dt_r = dhr * h_prev * r * (1 - r)
            dWh[:, H:2*H] += np.dot(h_prev.T, dt_r)
            dh += np.dot(dt_r, Whr.T)

            dA = np.hstack((dt_z, dt_r, dt_h))
            dWx += np.dot(x.T, dA)
            db += np.sum(dA, axis=0)
            dxs[:, t, :] = np.dot(dA, Wx.T)

        self.grads[0][...] = dWx
        self.grads[1][...] = dWh
        self.grads[2][...] = db
        return dxs


rng = np.random.default_rng(2)
N, T, D, H = 3, 5, 2, 4
layer = TimeGRU(0.6 * rng.standard_normal((D, 3 * H)),
                0.6 * rng.standard_normal((H, 3 * H)),
                0.1 * rng.standard_normal(3 * H))
xs = rng.standard_normal((N, T, D))


CHECK = "check(layer.forward, layer.backward, xs=xs)"

MISTAKES = [
    ("dt_z = dh_next * (h_hat - h_prev) * z * (1 - z)",
     "dt_z = dh_next * h_hat * z * (1 - z)",
     "the (1 - z) path to h_prev is missing in the update gate"),
    ("dh += r * dhr",
     "dh += dhr",
     "reset gate factor forgotten towards h_prev"),
    ("dh_next = dhs[:, t, :] + dh",
     "dh_next = dhs[:, t, :]",
     "gradient from the later time step dropped"),
    ("self.grads[2][...] = db",
     "self.grads[1][...] = db",
     "gradient of b written over that of Wh"),
]
