"""Pure functions, parameters in nested dicts, cotangents."""

import numpy as np

jnp = np   # same code later with jax.numpy


def init(key, sizes):
    rng = np.random.default_rng(key)
    d_in, d_hid, d_out = sizes
    scale = lambda n, m: rng.normal(size=(n, m)) / np.sqrt(n)
    return {
        "proj": {"w": scale(d_in, d_hid), "b": 0.1 * rng.normal(size=d_hid)},
        "block": {"w": scale(d_hid, d_hid), "b": 0.1 * rng.normal(size=d_hid)},
        "head": {"w": scale(d_hid, d_out), "b": 0.1 * rng.normal(size=d_out)},
    }


def dense_fwd(p, x):
    return x @ p["w"] + p["b"], (p, x)


def dense_bwd(res, ct):
    p, x = res
    ct_p = {"w": x.T @ ct, "b": ct.sum(axis=0)}
    ct_x = ct @ p["w"].T
    return ct_p, ct_x


def gelu_fwd(x):
    c = jnp.sqrt(2 / jnp.pi)
    t = jnp.tanh(c * (x + 0.044715 * x ** 3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_bwd(res, ct):
    x, t = res
    c = jnp.sqrt(2 / jnp.pi)
    du = c * (1 + 3 * 0.044715 * x ** 2)
    return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du)


def xent_fwd(logits, labels):
    logits = logits - logits.max(axis=-1, keepdims=True)
    logp = logits - jnp.log(jnp.exp(logits).sum(axis=-1, keepdims=True))
    onehot = jnp.eye(logits.shape[-1])[labels]
    return -(onehot * logp).sum(axis=-1).mean(), (logp, onehot)


def xent_bwd(res, ct):
    logp, onehot = res
    return ct * (jnp.exp(logp) - onehot) / onehot.shape[0]


def loss_fwd(params, x, labels):
    h, r1 = dense_fwd(params["proj"], x)
    u, r2 = dense_fwd(params["block"], h)
    g, r3 = gelu_fwd(u)
    h = h + g
    logits, r4 = dense_fwd(params["head"], h)
    loss, r5 = xent_fwd(logits, labels)
    return loss, (r1, r2, r3, r4, r5)


def loss_bwd(res):
    r1, r2, r3, r4, r5 = res
    ct_logits = xent_bwd(r5, 1.0)
    g_head, ct_h = dense_bwd(r4, ct_logits)
    ct_u = gelu_bwd(r3, ct_h)
    g_block, ct_res = dense_bwd(r2, ct_u)
    ct_h = ct_h + ct_res
    g_proj, _ = dense_bwd(r1, ct_h)
    return {"proj": g_proj, "block": g_block, "head": g_head}


params = init(0, (4, 5, 3))
_rng = np.random.default_rng(21)
x = _rng.normal(size=(7, 4))
labels = np.array([0, 2, 1, 1, 0, 2, 2])


CHECK = "check(loss_fwd, loss_bwd, params=params, x=x, labels=labels)"

MISTAKES = [
    ("ct_h = ct_h + ct_res",
     "ct_h = ct_res",
     "skip connection forgotten in the backward pass"),
    ("return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du)",
     "return ct * (0.5 * (1 + t) + 0.5 * x * (1 - t) * du)",
     "tanh derivative without the square"),
    ("return ct * (jnp.exp(logp) - onehot) / onehot.shape[0]",
     "return ct * (logp - onehot) / onehot.shape[0]",
     "log probabilities for probabilities"),
    ('return {"proj": g_proj, "block": g_block, "head": g_head}',
     'return {"proj": g_proj, "block": g_proj, "head": g_head}',
     "wrong gradients filed under block"),
]
