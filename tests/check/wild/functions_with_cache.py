"""Layer functions that take dout and a cache."""

import numpy as np


def affine_forward(x, w, b):
    out = None
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    dx, dw, db = None, None, None
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    out = np.maximum(0, x)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    dx, x = None, cache
    dx = dout * (x > 0)
    return dx


def affine_relu_forward(x, w, b):
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    cache = (fc_cache, relu_cache)
    return out, cache


def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    dx, dw, db = affine_backward(da, fc_cache)
    return dx, dw, db


rng = np.random.default_rng(231)
x = rng.standard_normal((5, 2, 3))
w = rng.standard_normal((6, 4)) * 0.7
b = rng.standard_normal(4) * 0.3


CHECK = "check(affine_relu_forward, affine_relu_backward, x=x, w=w, b=b)"

MISTAKES = [
    ("dx = dout * (x > 0)",
     "dx = dout * (dout > 0)",
     "the relu's mask is taken from dout instead of from x"),
    ("dw = x.reshape(N, -1).T.dot(dout)",
     "dw = x.reshape(-1, N).dot(dout)",
     "reshape is not a transpose"),
    ("db = np.sum(dout, axis=0)",
     "db = np.mean(dout, axis=0)",
     "mean over the batch where the sum belongs"),
    ("dx, dw, db = affine_backward(da, fc_cache)",
     "dx, dw, db = affine_backward(dout, fc_cache)",
     "dout passed on past the relu"),
]
