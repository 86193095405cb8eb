"""A variational auto-encoder with the noise given."""

import numpy as np


class VAE:
    def __init__(self, x_dim=5, h_dim=4, z_dim=2, seed=0):
        rng = np.random.default_rng(seed)
        self.w = {
            'enc': rng.standard_normal((x_dim, h_dim)) * 0.5,
            'mu': rng.standard_normal((h_dim, z_dim)) * 0.5,
            'logvar': rng.standard_normal((h_dim, z_dim)) * 0.5,
            'dec': rng.standard_normal((z_dim, h_dim)) * 0.5,
            'out': rng.standard_normal((h_dim, x_dim)) * 0.5,
        }
        self.velocity = {k: np.zeros_like(v) for k, v in self.w.items()}
        self.cache = {}

    def encode(self, x):
        h = np.tanh(x @ self.w['enc'])
        return h, h @ self.w['mu'], h @ self.w['logvar']

    def decode(self, z):
        g = np.tanh(z @ self.w['dec'])
        return g, 1 / (1 + np.exp(-(g @ self.w['out'])))

    def elbo_loss(self, x, eps):
        h, mu, logvar = self.encode(x)
        z = mu + np.exp(logvar / 2) * eps
        g, x_rec = self.decode(z)
        bce = -np.sum(x * np.log(x_rec) + (1 - x) * np.log(1 - x_rec))
        kld = -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar))
        self.cache = dict(x=x, h=h, mu=mu, logvar=logvar, z=z, g=g, x_rec=x_rec)
        return (bce + kld) / x.shape[0]

    def backward(self, eps):
        c = self.cache
        batch_size = c['x'].shape[0]
        dw = {}
        # decoder
        d_out = (c['x_rec'] - c['x']) / batch_size
        dw['out'] = c['g'].T @ d_out
        d_g = (d_out @ self.w['out'].T) * (1 - c['g'] ** 2)
        dw['dec'] = c['z'].T @ d_g
        d_z = d_g @ self.w['dec'].T
        # reparametrisation + KL
        d_mu = d_z + c['mu'] / batch_size
        d_logvar = d_z * eps * 0.5 * np.exp(c['logvar'] / 2)
        d_logvar += 0.5 * (np.exp(c['logvar']) - 1) / batch_size
        # encoder
        dw['mu'] = c['h'].T @ d_mu
        dw['logvar'] = c['h'].T @ d_logvar
        d_h = d_mu @ self.w['mu'].T + d_logvar @ self.w['logvar'].T
        d_h = d_h * (1 - c['h'] ** 2)
        dw['enc'] = c['x'].T @ d_h
        return dw

    def update(self, dw, lr=1e-3, momentum=0.9):
        for k in self.w:
            self.velocity[k] = momentum * self.velocity[k] + dw[k]
            self.w[k] -= lr * self.velocity[k]


vae = VAE(seed=3)
_rng = np.random.default_rng(30)
x_batch = _rng.uniform(0.1, 0.9, (7, 5))
eps_batch = _rng.standard_normal((7, 2))


CHECK = "check(vae.elbo_loss, vae.backward, x=x_batch, eps=eps_batch)"

MISTAKES = [
    ("d_mu = d_z + c['mu'] / batch_size",
     "d_mu = d_z",
     "KL term forgotten for mu"),
    ("d_logvar = d_z * eps * 0.5 * np.exp(c['logvar'] / 2)",
     "d_logvar = d_z * eps * np.exp(c['logvar'] / 2)",
     "inner derivative 1/2 forgotten"),
    ("d_h = d_mu @ self.w['mu'].T + d_logvar @ self.w['logvar'].T",
     "d_h = d_mu @ self.w['mu'].T",
     "path through logvar forgotten"),
    ("dw['dec'] = c['z'].T @ d_g",
     "dw['dec'] = c['mu'].T @ d_g",
     "mean for the sampled z"),
]
