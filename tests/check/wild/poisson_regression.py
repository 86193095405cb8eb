"""A zero-inflated regression with branches in the loop over observations."""

import numpy as np
from math import lgamma

rs = np.random.default_rng(1846)
n, k, q = 11, 4, 3
Xmat = np.column_stack([np.ones(n), 0.7 * rs.standard_normal((n, k - 1))])   # count part
Zmat = np.column_stack([np.ones(n), rs.standard_normal((n, q - 1))])         # zero part
exposure = rs.uniform(0.5, 3.0, n)
counts = np.array([0, 2, 1, 0, 3, 0, 1, 4, 0, 2, 1])
beta = np.array([0.3, -0.4, 0.5, 0.2])
gam = np.array([-0.6, 0.4, -0.3])
ridge = 0.2


def inv_logit(v):
    return 1 / (1 + np.exp(-v))


def negloglik(beta, gam, Xmat, Zmat, counts, exposure):
    """minus penalised log likelihood, the intercept is not penalised"""
    ll = 0.0
    for i in range(len(counts)):
        mu = exposure[i] * np.exp(Xmat[i] @ beta)
        pi = inv_logit(Zmat[i] @ gam)
        if counts[i] == 0:
            ll += np.log(pi + (1 - pi) * np.exp(-mu))
        else:
            ll += np.log(1 - pi) - mu + counts[i] * np.log(mu) - lgamma(counts[i] + 1)
    return -ll + 0.5 * ridge * np.sum(beta[1:] ** 2)


def score(beta, gam, Xmat, Zmat, counts, exposure):
    s_beta = np.zeros(len(beta))
    s_gam = np.zeros(len(gam))
    for i in range(len(counts)):
        mu = exposure[i] * np.exp(Xmat[i] @ beta)
        pi = inv_logit(Zmat[i] @ gam)
        if counts[i] == 0:
            p0 = pi + (1 - pi) * np.exp(-mu)
            w_mu = -(1 - pi) * np.exp(-mu) * mu / p0
            w_pi = (1 - np.exp(-mu)) * pi * (1 - pi) / p0
        else:
            w_mu = counts[i] - mu
            w_pi = -pi
        s_beta += w_mu * Xmat[i]
        s_gam += w_pi * Zmat[i]
    g_beta = -s_beta
    g_beta[1:] += ridge * beta[1:]
    g_gam = -s_gam
    return g_beta, g_gam


CHECK = "check(negloglik, score, beta=beta, gam=gam, Xmat=Xmat, Zmat=Zmat, counts=counts, exposure=exposure)"

MISTAKES = [
    ("w_pi = (1 - np.exp(-mu)) * pi * (1 - pi) / p0",
     "w_pi = (1 - np.exp(-mu)) / p0",
     "derivative of the logistic function forgotten"),
    ("w_pi = -pi",
     "w_pi = 1 - pi",
     "derivative of log(pi) for that of log(1 - pi)"),
    ("g_beta[1:] += ridge * beta[1:]",
     "g_beta += ridge * beta",
     "intercept penalised too"),
    ("s_gam += w_pi * Zmat[i]",
     "s_gam = w_pi * Zmat[i]",
     "= for +=: only the last observation counts"),
]
