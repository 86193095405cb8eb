"""Embeddings: rows picked by index, gradients added by np.add.at."""

import numpy as np

def sigmoid(v):
    return 1.0 / (1.0 + np.exp(-v))

vocab = ["the", "cat", "sat", "on", "mat", "dog", "ran"]
emb_dim = 4
npr = np.random.default_rng(77)
W_in = npr.normal(0, 0.5, (len(vocab), emb_dim))
W_out = npr.normal(0, 0.5, (len(vocab), emb_dim))

# pairs from a window over "the cat sat on the mat the dog ran"
center_ids = np.array([0, 1, 1, 2, 3, 0, 4, 0, 5, 6])
context_ids = np.array([1, 0, 2, 3, 2, 4, 0, 5, 6, 5])
negative_ids = npr.integers(0, len(vocab), (10, 3))

def sgns_loss(W_in, W_out, center_ids, context_ids, negative_ids):
    v = W_in[center_ids]                     # (B, d)
    u_pos = W_out[context_ids]               # (B, d)
    u_neg = W_out[negative_ids]              # (B, K, d)
    pos_score = np.sum(v * u_pos, axis=1)
    neg_score = np.squeeze(u_neg @ v[:, :, None], axis=2)
    loss = -np.log(sigmoid(pos_score)) - np.log(sigmoid(-neg_score)).sum(axis=1)
    return loss.mean()

def sgns_grads(W_in, W_out, center_ids, context_ids, negative_ids):
    batch = len(center_ids)
    v = W_in[center_ids]
    u_pos = W_out[context_ids]
    u_neg = W_out[negative_ids]

    g_pos = (sigmoid(np.sum(v * u_pos, axis=1)) - 1) / batch
    g_neg = sigmoid(np.einsum("bkd,bd->bk", u_neg, v)) / batch

    grad_v = g_pos[:, None] * u_pos + np.einsum("bk,bkd->bd", g_neg, u_neg)
    grad_u_pos = g_pos[:, None] * v
    grad_u_neg = g_neg[:, :, None] * v[:, None, :]

    grad_in = np.zeros_like(W_in)
    grad_out = np.zeros_like(W_out)
    np.add.at(grad_in, center_ids, grad_v)
    np.add.at(grad_out, context_ids, grad_u_pos)
    np.add.at(grad_out, negative_ids, grad_u_neg)
    return [grad_in, grad_out]


CHECK = "check(sgns_loss, sgns_grads, W_in=W_in, W_out=W_out, center_ids=center_ids, context_ids=context_ids, negative_ids=negative_ids)"

MISTAKES = [
    ("np.add.at(grad_in, center_ids, grad_v)",
     "grad_in[center_ids] += grad_v",
     "fancy += counts a word that comes twice only once"),
    ("g_pos = (sigmoid(np.sum(v * u_pos, axis=1)) - 1) / batch",
     "g_pos = sigmoid(np.sum(v * u_pos, axis=1)) / batch",
     "label 1 not subtracted for the positive pair"),
    ("grad_u_pos = g_pos[:, None] * v",
     "grad_u_pos = g_pos[:, None] * u_pos",
     "output vector for the centre vector"),
    ("return [grad_in, grad_out]",
     "return [grad_out, grad_in]",
     "returns swapped"),
]
