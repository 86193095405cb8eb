"""Batch normalisation step by step, in a network of objects."""

import numpy as np

class LinearLayer:
    def __init__(self, nIn, nOut, seed):
        self.W = np.random.default_rng(seed).normal(0, 1 / np.sqrt(nIn), (nIn, nOut))

    def propagate(self, x):
        self.x = x
        return x @ self.W

    def backpropagate(self, gradOut):
        self.gradW = self.x.T @ gradOut
        return gradOut @ self.W.T


class BatchNormLayer:
    def __init__(self, nFeatures, eps=1e-5):
        gen = np.random.default_rng(50)
        self.gamma = gen.uniform(0.5, 1.5, nFeatures)
        self.beta = gen.uniform(-0.5, 0.5, nFeatures)
        self.eps = eps

    def propagate(self, x):
        self.xmu = x - x.mean(axis=0)
        self.var = np.mean(self.xmu ** 2, axis=0)
        self.sqrtvar = np.sqrt(self.var + self.eps)
        self.ivar = 1. / self.sqrtvar
        self.xhat = self.xmu * self.ivar
        return self.gamma * self.xhat + self.beta

    def backpropagate(self, gradOut):
        N, D = gradOut.shape
        self.gradBeta = np.sum(gradOut, axis=0)
        self.gradGamma = np.sum(gradOut * self.xhat, axis=0)
        gradXhat = gradOut * self.gamma
        # through the division
        gradIvar = np.sum(gradXhat * self.xmu, axis=0)
        gradXmu1 = gradXhat * self.ivar
        gradSqrtvar = -1. / (self.sqrtvar ** 2) * gradIvar
        gradVar = 0.5 * 1. / self.sqrtvar * gradSqrtvar
        # through the variance
        gradSq = 1. / N * np.ones((N, D)) * gradVar
        gradXmu2 = 2 * self.xmu * gradSq
        # through the mean
        gradX1 = gradXmu1 + gradXmu2
        gradMu = -1 * np.sum(gradX1, axis=0)
        gradX2 = 1. / N * np.ones((N, D)) * gradMu
        return gradX1 + gradX2


class Network:
    def __init__(self):
        self.lin1 = LinearLayer(4, 3, seed=60)
        self.bn = BatchNormLayer(3)
        self.lin2 = LinearLayer(3, 2, seed=61)

    def calcLoss(self, x, target):
        h = np.tanh(self.bn.propagate(self.lin1.propagate(x)))
        self.h = h
        self.diff = self.lin2.propagate(h) - target
        return np.sum(self.diff ** 2) / (2 * len(x))

    def calcGradients(self, x, target):
        g = self.diff / len(x)
        g = self.lin2.backpropagate(g)
        g = g * (1 - self.h ** 2)
        g = self.bn.backpropagate(g)
        self.lin1.backpropagate(g)


network = Network()
gen = np.random.default_rng(62)
trainX = gen.normal(size=(6, 4))
trainY = gen.normal(size=(6, 2))


CHECK = "check(network.calcLoss, network.calcGradients, x=trainX, target=trainY)"

MISTAKES = [
    ("gradXhat = gradOut * self.gamma",
     "gradXhat = gradOut",
     "gamma forgotten on the way back"),
    ("gradSqrtvar = -1. / (self.sqrtvar ** 2) * gradIvar",
     "gradSqrtvar = 1. / (self.sqrtvar ** 2) * gradIvar",
     "sign of the derivative of 1/x"),
    ("self.gradGamma = np.sum(gradOut * self.xhat, axis=0)",
     "self.gradGamma = np.sum(gradOut * self.xmu, axis=0)",
     "gamma multiplies xhat, not xmu"),
    ("gradX1 = gradXmu1 + gradXmu2",
     "gradX1 = gradXmu1",
     "path through the variance forgotten"),
]
