"""Causal attention, everything by einsum."""

import numpy as np

class CausalAttentionBlock:
    """y = x + sum_h softmax(q k / sqrt(dk)) v @ wo"""

    def __init__(self, n_embd, n_head, seed=0):
        rng = np.random.default_rng(seed)
        self.dk = n_embd // n_head
        shape = (n_embd, n_head, self.dk)
        self.wq, self.wk, self.wv = (rng.normal(0, n_embd ** -0.5, shape) for _ in range(3))
        self.wo = rng.normal(0, n_embd ** -0.5, (n_head, self.dk, n_embd))
        self.grad = {}

    def __call__(self, x):
        # b batch, t/s time, c channel, h head, k head channel
        q = np.einsum('btc,chk->bhtk', x, self.wq)
        k = np.einsum('btc,chk->bhtk', x, self.wk)
        v = np.einsum('btc,chk->bhtk', x, self.wv)
        scores = np.einsum('bhtk,bhsk->bhts', q, k) / np.sqrt(self.dk)
        T = x.shape[1]
        scores = np.where(np.tril(np.ones((T, T), bool)), scores, -1e9)
        att = np.exp(scores - scores.max(-1, keepdims=True))
        att = att / att.sum(-1, keepdims=True)
        ctx = np.einsum('bhts,bhsk->bhtk', att, v)
        self.saved = x, q, k, v, att, ctx
        return x + np.einsum('bhtk,hkc->btc', ctx, self.wo)

    def backward(self, dy):
        x, q, k, v, att, ctx = self.saved
        self.grad['wo'] = np.einsum('bhtk,btc->hkc', ctx, dy)
        dctx = np.einsum('btc,hkc->bhtk', dy, self.wo)
        datt = np.einsum('bhtk,bhsk->bhts', dctx, v)
        dv = np.einsum('bhts,bhtk->bhsk', att, dctx)
        dscores = att * (datt - (datt * att).sum(-1, keepdims=True))
        dscores = dscores / np.sqrt(self.dk)
        dq = np.einsum('bhts,bhsk->bhtk', dscores, k)
        dk = np.einsum('bhts,bhtk->bhsk', dscores, q)
        dx = dy.copy()
        for name, g in (('wq', dq), ('wk', dk), ('wv', dv)):
            self.grad[name] = np.einsum('btc,bhtk->chk', x, g)
            dx += np.einsum('bhtk,chk->btc', g, getattr(self, name))
        return dx

block = CausalAttentionBlock(n_embd=6, n_head=2, seed=9)
x = np.random.default_rng(10).normal(size=(4, 5, 6))


CHECK = "check(block, block.backward, x=x)"

MISTAKES = [
    ("dscores = dscores / np.sqrt(self.dk)",
     "dscores = dscores / self.dk",
     "square root forgotten in the scale"),
    ("dx = dy.copy()",
     "dx = np.zeros_like(dy)",
     "residual path forgotten"),
    ("dv = np.einsum('bhts,bhtk->bhsk', att, dctx)",
     "dv = np.einsum('bhts,bhsk->bhtk', att, dctx)",
     "attention not transposed"),
    ("datt = np.einsum('bhtk,bhsk->bhts', dctx, v)",
     "datt = np.einsum('bhtk,bhsk->bhts', ctx, v)",
     "context for its gradient"),
]
