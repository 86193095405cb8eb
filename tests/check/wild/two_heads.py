"""One function for loss and gradients, two heads, keys with slashes."""

import numpy as np

HUBER_DELTA = 0.8
TASK_WEIGHTS = {"eta": 1.0, "cancel": 0.6}


def elu(a, alpha=1.0):
    return np.where(a > 0, a, alpha * (np.exp(np.minimum(a, 0)) - 1))


def loss_and_grads(params, X, eta, cancelled):
    """
    :param X: (n_orders, n_features)
    :param eta: (n_orders,) minutes, standardised
    :param cancelled: (n_orders,) 0/1
    :return: loss, dict of gradients with the keys of params
    """
    n_orders = X.shape[0]
    # ---- forward
    pre = X @ params["trunk/W"] + params["trunk/b"]
    shared = elu(pre)
    eta_hat = shared @ params["eta/w"] + params["eta/b"]
    logit = shared @ params["cancel/w"] + params["cancel/b"]

    resid = eta_hat - eta
    small = np.abs(resid) <= HUBER_DELTA
    huber = np.where(small, 0.5 * resid ** 2, HUBER_DELTA * (np.abs(resid) - 0.5 * HUBER_DELTA))
    bce = np.logaddexp(0, logit) - cancelled * logit
    loss = TASK_WEIGHTS["eta"] * huber.mean() + TASK_WEIGHTS["cancel"] * bce.mean()

    # ---- backward
    grads = {}
    d_eta_hat = np.where(small, resid, HUBER_DELTA * np.sign(resid))
    d_eta_hat = TASK_WEIGHTS["eta"] * d_eta_hat / n_orders
    p_cancel = 1 / (1 + np.exp(-logit))
    d_logit = TASK_WEIGHTS["cancel"] * (p_cancel - cancelled) / n_orders

    grads["eta/w"] = shared.T @ d_eta_hat
    grads["eta/b"] = d_eta_hat.sum(keepdims=True)
    grads["cancel/w"] = shared.T @ d_logit
    grads["cancel/b"] = d_logit.sum(keepdims=True)

    d_shared = np.outer(d_eta_hat, params["eta/w"])
    d_shared += np.outer(d_logit, params["cancel/w"])
    d_pre = d_shared * np.where(pre > 0, 1.0, shared + 1.0)
    grads["trunk/W"] = X.T @ d_pre
    grads["trunk/b"] = d_pre.sum(axis=0)
    return loss, grads


_r = np.random.default_rng(2024)
params = {
    "trunk/W": _r.normal(0, 0.6, (4, 5)),
    "trunk/b": _r.normal(0, 0.1, 5),
    "eta/w": _r.normal(0, 0.6, 5),
    "eta/b": _r.normal(0, 0.1, 1),
    "cancel/w": _r.normal(0, 0.6, 5),
    "cancel/b": _r.normal(0, 0.1, 1),
}
X = _r.normal(size=(10, 4))
eta = _r.normal(size=10)
cancelled = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 0])


CHECK = "check(loss_and_grads, params=params, X=X, eta=eta, cancelled=cancelled)"

MISTAKES = [
    ('d_shared += np.outer(d_logit, params["cancel/w"])',
     'd_shared = np.outer(d_logit, params["cancel/w"])',
     "= for +=: the first head's gradient is lost"),
    ("d_eta_hat = np.where(small, resid, HUBER_DELTA * np.sign(resid))",
     "d_eta_hat = np.where(small, resid, np.sign(resid))",
     "delta forgotten in the linear part of Huber"),
    ('d_logit = TASK_WEIGHTS["cancel"] * (p_cancel - cancelled) / n_orders',
     "d_logit = (p_cancel - cancelled) / n_orders",
     "task weight forgotten"),
    ('grads["cancel/w"] = shared.T @ d_logit',
     'grads["cancel/w"] = shared.T @ d_eta_hat',
     "other head's error used"),
]
