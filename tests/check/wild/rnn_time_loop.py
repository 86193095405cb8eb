"""A recurrent net in one function, with a dict for every array over time."""

import numpy as np

data = 'hello world'
chars = sorted(set(data))
data_size, vocab_size = len(data), len(chars)
char_to_ix = { ch:i for i,ch in enumerate(chars) }

hidden_size = 5
seq_length = 6

def loss_fun(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
  xs, hs, ys, ps = {}, {}, {}, {}
  hs[-1] = np.copy(hprev)
  loss = 0
  for t in range(len(inputs)):
    xs[t] = np.zeros((vocab_size,1))
    xs[t][inputs[t]] = 1
    hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t-1]) + bh)
    ys[t] = np.dot(Why, hs[t]) + by
    ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
    loss += -np.log(ps[t][targets[t],0])
  dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
  dbh, dby = np.zeros_like(bh), np.zeros_like(by)
  dhnext = np.zeros_like(hs[0])
  for t in reversed(range(len(inputs))):
    dy = np.copy(ps[t])
    dy[targets[t]] -= 1
    dWhy += np.dot(dy, hs[t].T)
    dby += dy
    dh = np.dot(Why.T, dy) + dhnext
    dhraw = (1 - hs[t] * hs[t]) * dh
    dbh += dhraw
    dWxh += np.dot(dhraw, xs[t].T)
    dWhh += np.dot(dhraw, hs[t-1].T)
    dhnext = np.dot(Whh.T, dhraw)
  for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
    np.clip(dparam, -5, 5, out=dparam)
  return loss, dWxh, dWhh, dWhy, dbh, dby

rng = np.random.default_rng(10)
Wxh = rng.standard_normal((hidden_size, vocab_size))*0.4
Whh = rng.standard_normal((hidden_size, hidden_size))*0.4
Why = rng.standard_normal((vocab_size, hidden_size))*0.4
bh = rng.standard_normal((hidden_size, 1))*0.1
by = np.zeros((vocab_size, 1))
hprev = rng.standard_normal((hidden_size,1))*0.3
inputs = [char_to_ix[ch] for ch in data[2:2+seq_length]]
targets = [char_to_ix[ch] for ch in data[3:3+seq_length]]


CHECK = "check(loss_fun, inputs=inputs, targets=targets, hprev=hprev, Wxh=Wxh, Whh=Whh, Why=Why, bh=bh, by=by)"

MISTAKES = [
    ("dWhh += np.dot(dhraw, hs[t-1].T)",
     "dWhh += np.dot(dhraw, hs[t].T)",
     "hs[t] for hs[t-1]"),
    ("dh = np.dot(Why.T, dy) + dhnext",
     "dh = np.dot(Why.T, dy)",
     "gradient from the next step forgotten"),
    ("dby += dy",
     "dby = dy",
     "= for += in the time loop"),
    ("return loss, dWxh, dWhh, dWhy, dbh, dby",
     "return loss, dWxh, dWhh, dWhy, dhraw, dby",
     "the last step's dhraw returned for dbh"),
]
