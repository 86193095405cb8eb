"""A method that returns the loss and a dict of gradients."""

import numpy as np


class TwoLayerNet(object):

    def __init__(self, input_size, hidden_size, output_size, std=0.5):
        rng = np.random.default_rng(0)
        self.params = {}
        self.params['W1'] = std * rng.standard_normal((input_size, hidden_size))
        self.params['b1'] = 0.1 * rng.standard_normal(hidden_size)
        self.params['W2'] = std * rng.standard_normal((hidden_size, output_size))
        self.params['b2'] = np.zeros(output_size)

    def loss(self, X, y=None, reg=0.0):
        W1, b1 = self.params['W1'], self.params['b1']
        W2, b2 = self.params['W2'], self.params['b2']
        N, D = X.shape

        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(W2) + b2

        if y is None:
            return scores

        scores = scores - np.max(scores, axis=1, keepdims=True)
        exp_scores = np.exp(scores)
        probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
        loss = np.sum(-np.log(probs[np.arange(N), y])) / N
        loss += reg * np.sum(W1 * W1) + reg * np.sum(W2 * W2)

        grads = {}
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores /= N

        grads['W2'] = np.dot(hidden.T, dscores)
        grads['b2'] = np.sum(dscores, axis=0)

        dhidden = np.dot(dscores, W2.T)
        dhidden[hidden <= 0] = 0

        grads['W1'] = np.dot(X.T, dhidden)
        grads['b1'] = np.sum(dhidden, axis=0)

        grads['W2'] += 2 * reg * W2
        grads['W1'] += 2 * reg * W1

        return loss, grads


rng = np.random.default_rng(42)
X = rng.standard_normal((7, 4))
y = np.array([0, 1, 2, 2, 1, 0, 1])
net = TwoLayerNet(4, 6, 3)


CHECK = "check(net.loss, X=X, y=y, reg=0.1)"

MISTAKES = [
    ("dscores[np.arange(N), y] -= 1",
     "dscores[:, y] -= 1",
     "subtracts from whole columns, not from each row's label"),
    ("dscores /= N",
     "dscores /= D",
     "divided by the number of features instead of samples"),
    ("grads['W1'] += 2 * reg * W1",
     "grads['W1'] = 2 * reg * W1",
     "= for +=: the data gradient is thrown away"),
    ("grads['b1'] = np.sum(dhidden, axis=0)",
     "grads['b1'] = np.sum(dhidden)",
     "sum without axis"),
]
