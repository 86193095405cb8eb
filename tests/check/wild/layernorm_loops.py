"""Layer normalisation in scalar loops."""

import numpy as np

def layernorm_forward(inp, weight, bias):
    B, T, C = inp.shape
    eps = 1e-5
    out = np.zeros((B, T, C))
    mean = np.zeros((B, T))
    rstd = np.zeros((B, T))
    for b in range(B):
        for t in range(T):
            x = inp[b, t]
            m = x.sum() / C
            v = ((x - m) ** 2).sum() / C
            s = 1.0 / np.sqrt(v + eps)
            out[b, t] = (x - m) * s * weight + bias
            # keep for the backward pass
            mean[b, t] = m
            rstd[b, t] = s
    return out, (inp, weight, mean, rstd)

def layernorm_backward(dout, cache):
    inp, weight, mean, rstd = cache
    B, T, C = inp.shape
    dinp = np.zeros_like(inp)
    dweight = np.zeros_like(weight)
    dbias = np.zeros_like(weight)
    for b in range(B):
        for t in range(T):
            # first: two reduce operations
            dnorm_mean = 0.0
            dnorm_norm_mean = 0.0
            for i in range(C):
                norm_bti = (inp[b, t, i] - mean[b, t]) * rstd[b, t]
                dnorm_i = weight[i] * dout[b, t, i]
                dnorm_mean += dnorm_i
                dnorm_norm_mean += dnorm_i * norm_bti
            dnorm_mean = dnorm_mean / C
            dnorm_norm_mean = dnorm_norm_mean / C
            # now iterate again and accumulate all the gradients
            for i in range(C):
                norm_bti = (inp[b, t, i] - mean[b, t]) * rstd[b, t]
                dbias[i] += dout[b, t, i]
                dweight[i] += norm_bti * dout[b, t, i]
                dval = weight[i] * dout[b, t, i]
                dval -= dnorm_mean
                dval -= norm_bti * dnorm_norm_mean
                dval *= rstd[b, t]
                dinp[b, t, i] += dval
    return dinp, dweight, dbias

rng = np.random.default_rng(1337)
inp = rng.standard_normal((2, 3, 5)) * 1.5
weight = rng.uniform(0.5, 1.5, 5)
bias = rng.standard_normal(5) * 0.1


CHECK = "check(layernorm_forward, layernorm_backward, inp=inp, weight=weight, bias=bias)"

MISTAKES = [
    ("dval -= dnorm_mean",
     "dval += dnorm_mean",
     "sign of the mean term"),
    ("dval -= norm_bti * dnorm_norm_mean",
     "dval -= dnorm_norm_mean",
     "norm forgotten in the variance term"),
    ("dval *= rstd[b, t]",
     "dval /= rstd[b, t]",
     "divided by the reciprocal deviation"),
    ("dbias[i] += dout[b, t, i]",
     "dbias[i] = dout[b, t, i]",
     "= for +=: only the last position is kept"),
]
