import numpy as np


class RNN:
    def __init__(self, n_in, n_hidden):
        rng = np.random.default_rng(1)
        self.Wx = rng.normal(size=(n_hidden, n_in))
        self.Wh = 0.5 * rng.normal(size=(n_hidden, n_hidden))
        self.b = np.zeros((n_hidden, 1))

    def loss(self, xs, target):
        self.xs, self.hs = xs, {-1: np.zeros_like(self.b)}
        for t, x in enumerate(xs):
            self.hs[t] = np.tanh(self.Wx @ x + self.Wh @ self.hs[t - 1] + self.b)
        self.error = self.hs[len(xs) - 1] - target
        return np.sum(self.error**2)

    def backward(self):
        self.dWx, self.dWh = np.zeros_like(self.Wx), np.zeros_like(self.Wh)
        self.db = np.zeros_like(self.b)
        dh = 2 * self.error
        for t in reversed(range(len(self.xs))):
            dz = dh * (1 - self.hs[t] ** 2)
            self.dWx += dz @ self.xs[t].T
            self.dWh += dz @ self.hs[t].T
            self.db += dz
            dh = self.Wh.T @ dz


rnn = RNN(n_in=2, n_hidden=4)
forward, backward = rnn.loss, rnn.backward
rng = np.random.default_rng(0)
inputs = {"xs": rng.normal(size=(5, 2, 1)), "target": rng.uniform(-0.5, 0.5, (4, 1))}
