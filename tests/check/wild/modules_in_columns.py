"""Modules in a list, walked backwards, a column a sample."""

import numpy as np

rng = np.random.default_rng(6036)


class Module:
    def sgd_step(self, lrate):
        pass


class Linear(Module):
    def __init__(self, m, n):
        self.m, self.n = (m, n)
        self.W0 = rng.normal(0, 0.2, (self.n, 1))
        self.W = rng.normal(0, 1.0 * m ** (-.5), [m, n])

    def forward(self, A):
        self.A = A
        return np.dot(self.W.T, A) + self.W0

    def backward(self, dLdZ):
        self.dLdW = np.dot(self.A, dLdZ.T)
        self.dLdW0 = dLdZ.sum(axis=1).reshape((self.n, 1))
        return np.dot(self.W, dLdZ)

    def sgd_step(self, lrate):
        self.W = self.W - lrate * self.dLdW
        self.W0 = self.W0 - lrate * self.dLdW0


class Tanh(Module):
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dLdA):
        return dLdA * (1.0 - (self.A ** 2))


class ReLU(Module):
    def forward(self, Z):
        self.A = np.maximum(0, Z)
        return self.A

    def backward(self, dLdA):
        return dLdA * (self.A != 0)


class SoftMax(Module):
    def forward(self, Z):
        return np.exp(Z) / np.sum(np.exp(Z), axis=0)

    def backward(self, dLdZ):
        return dLdZ


class NLL(Module):
    def forward(self, Ypred, Y):
        self.Ypred = Ypred
        self.Y = Y
        return float(np.sum(-Y * np.log(Ypred)))

    def backward(self):
        return self.Ypred - self.Y


class Sequential:
    def __init__(self, modules, loss):
        self.modules = modules
        self.loss = loss

    def forward(self, Xt, Yt):
        for m in self.modules:
            Xt = m.forward(Xt)
        return self.loss.forward(Xt, Yt)

    def backward(self):
        delta = self.loss.backward()
        for m in self.modules[::-1]:
            delta = m.backward(delta)
        return delta

    def sgd_step(self, lrate):
        for m in self.modules:
            m.sgd_step(lrate)


Xt = rng.normal(0, 1, (2, 7))
Yt = np.eye(3)[:, [0, 2, 1, 1, 0, 2, 1]]
nn = Sequential([Linear(2, 5), Tanh(), Linear(5, 4), ReLU(), Linear(4, 3), SoftMax()], NLL())


CHECK = "check(nn.forward, nn.backward, Xt=Xt, Yt=Yt)"

MISTAKES = [
    ("self.dLdW0 = dLdZ.sum(axis=1).reshape((self.n, 1))",
     "self.dLdW0 = dLdZ.mean(axis=1).reshape((self.n, 1))",
     "mean for sum: the loss is a sum"),
    ("return dLdA * (1.0 - (self.A ** 2))",
     "return dLdA * (1.0 - np.tanh(self.A) ** 2)",
     "tanh applied once more to the output"),
    ("return dLdA * (self.A != 0)",
     "return dLdA * self.A",
     "relu's derivative is 1 or 0, not the output"),
    ("for m in self.modules[::-1]:",
     "for m in self.modules:",
     "modules not reversed: crashes on the shapes"),
]
