"""A recurrent net in a class that updates its own weights."""

import numpy as np

def softmax(xs):
    e = np.exp(xs - np.max(xs))
    return e / e.sum()

class RNN:

    def __init__(self, input_size, output_size, hidden_size):
        r = np.random.default_rng(12)
        self.Whh = r.normal(size=(hidden_size, hidden_size)) * 0.4
        self.Wxh = r.normal(size=(hidden_size, input_size)) * 0.4
        self.Why = r.normal(size=(output_size, hidden_size)) * 0.6
        self.bh = r.normal(size=(hidden_size, 1)) * 0.1
        self.by = r.normal(size=(output_size, 1)) * 0.1

    def forward(self, inputs, target):
        h = np.zeros((self.Whh.shape[0], 1))
        self.last_inputs = inputs
        self.last_hs = {0: h}
        for i, x in enumerate(inputs):
            h = np.tanh(self.Wxh @ x + self.Whh @ h + self.bh)
            self.last_hs[i + 1] = h
        y = self.Why @ h + self.by
        self.last_probs = softmax(y)
        self.last_target = int(target)
        return -np.log(self.last_probs[int(target), 0])

    def backprop(self, learn_rate=2e-2):
        n = len(self.last_inputs)

        d_y = self.last_probs.copy()
        d_y[self.last_target] -= 1

        d_Why = d_y @ self.last_hs[n].T
        d_by = d_y

        d_Whh = np.zeros(self.Whh.shape)
        d_Wxh = np.zeros(self.Wxh.shape)
        d_bh = np.zeros(self.bh.shape)

        d_h = self.Why.T @ d_y

        for t in reversed(range(n)):
            temp = (1 - self.last_hs[t + 1] ** 2) * d_h
            d_bh += temp
            d_Whh += temp @ self.last_hs[t].T
            d_Wxh += temp @ self.last_inputs[t].T
            d_h = self.Whh.T @ temp

        for d in [d_Wxh, d_Whh, d_Why, d_bh, d_by]:
            np.clip(d, -5, 5, out=d)

        self.Whh -= learn_rate * d_Whh
        self.Wxh -= learn_rate * d_Wxh
        self.Why -= learn_rate * d_Why
        self.bh -= learn_rate * d_bh
        self.by -= learn_rate * d_by

rnn = RNN(4, 2, 5)
one_hot = np.eye(4)
sentence = one_hot[[2, 0, 3, 1, 2, 2]].reshape(6, 4, 1)
label = 1


CHECK = "check(rnn.forward, rnn.backprop, inputs=sentence, target=label)"

MISTAKES = [
    ("temp = (1 - self.last_hs[t + 1] ** 2) * d_h",
     "temp = (1 - self.last_hs[t] ** 2) * d_h",
     "time index one too early in the tanh derivative"),
    ("d_h = self.Whh.T @ temp",
     "d_h = self.Whh @ temp",
     "transposition missing, runs as Whh is square"),
    ("for t in reversed(range(n)):",
     "for t in range(n):",
     "time walked forwards"),
    ("self.bh -= learn_rate * d_bh",
     "self.bh += learn_rate * d_bh",
     "sign of the update of bh"),
]
