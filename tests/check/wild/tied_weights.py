"""An auto-encoder that uses its weights twice."""

import numpy as np

class dA(object):
    """Denoising Auto-Encoder, W_prime = W.T, one image a row"""

    def __init__(self, n_visible, n_hidden, seed=123):
        numpy_rng = np.random.default_rng(seed)
        bound = 4 * np.sqrt(6. / (n_hidden + n_visible)) * 0.3
        self.W = numpy_rng.uniform(-bound, bound, (n_visible, n_hidden))
        self.vbias = numpy_rng.uniform(-0.1, 0.1, n_visible)
        self.hbias = numpy_rng.uniform(-0.1, 0.1, n_hidden)
        self.params = ['W', 'hbias', 'vbias']

    def sigmoid(self, a):
        return 1. / (1. + np.exp(-a))

    def get_hidden_values(self, inp):
        return self.sigmoid(inp @ self.W + self.hbias)

    def get_reconstructed_input(self, hidden):
        return self.sigmoid(hidden @ self.W.T + self.vbias)

    def get_cost(self, x, corruption, rho=0.2, sparsity=0.5):
        tilde_x = x * corruption
        y = self.get_hidden_values(tilde_x)
        z = self.get_reconstructed_input(y)
        L = - np.sum(x * np.log(z) + (1 - x) * np.log(1 - z), axis=1)
        rho_hat = y.mean(axis=0)
        kl = np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
        return np.mean(L) + sparsity * kl

    def get_updates(self, x, corruption, lr=0.1, rho=0.2, sparsity=0.5):
        m = x.shape[0]
        tilde_x = x * corruption
        y = self.get_hidden_values(tilde_x)
        z = self.get_reconstructed_input(y)

        L_vbias = (z - x) / m
        rho_hat = y.mean(axis=0)
        L_sparse = sparsity * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        L_hbias = (L_vbias @ self.W + L_sparse) * y * (1 - y)
        L_W = tilde_x.T @ L_hbias + L_vbias.T @ y

        self.W -= lr * L_W
        self.hbias -= lr * L_hbias.sum(axis=0)
        self.vbias -= lr * L_vbias.sum(axis=0)

da = dA(n_visible=6, n_hidden=4)
np_rng = np.random.default_rng(124)
x = np_rng.uniform(0.05, 0.95, (9, 6))
corruption = (np_rng.uniform(size=(9, 6)) > 0.3).astype(float)


CHECK = "check(da.get_cost, da.get_updates, x=x, corruption=corruption)"

MISTAKES = [
    ("L_W = tilde_x.T @ L_hbias + L_vbias.T @ y",
     "L_W = tilde_x.T @ L_hbias",
     "tied weights: the decoder's part is missing"),
    ("L_vbias = (z - x) / m",
     "L_vbias = (z - tilde_x) / m",
     "compared with the corrupted input"),
    ("self.hbias -= lr * L_hbias.sum(axis=0)",
     "self.hbias -= lr * L_hbias.mean(axis=0)",
     "mean for sum, 1/m is in already"),
    ("self.vbias -= lr * L_vbias.sum(axis=0)",
     "self.vbias += lr * L_vbias.sum(axis=0)",
     "sign of one update"),
]
