"""Gradients that exist only as updates: weights += rate * ..."""

import numpy as np

# Why does my network not learn? Loss goes down a bit and then stays.
rng = np.random.default_rng(3)
X = rng.normal(size=(7, 3))
y = (X[:, :1] * X[:, 1:2] > 0).astype(float)

weights_0 = rng.normal(size=(3, 5)) * 0.8
weights_1 = rng.normal(size=(5, 1)) * 0.8
bias_0 = rng.normal(size=(1, 5)) * 0.1
bias_1 = rng.normal(size=(1, 1)) * 0.1

def nonlin(x, deriv=False):
    if deriv:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))

def feedforward(X, y, weights_0, weights_1, bias_0, bias_1):
    layer_1 = nonlin(np.dot(X, weights_0) + bias_0)
    layer_2 = nonlin(np.dot(layer_1, weights_1) + bias_1)
    error = 0.5 * np.sum((y - layer_2) ** 2)
    return error, (layer_1, layer_2)

def train_once(X, y, weights_0, weights_1, bias_0, bias_1, cache, learning_rate=0.5):
    layer_1, layer_2 = cache

    layer_2_error = y - layer_2
    layer_2_delta = layer_2_error * nonlin(layer_2, deriv=True)

    old_weights_1 = weights_1.copy()
    weights_1 += learning_rate * layer_1.T.dot(layer_2_delta)

    # how much did each hidden value contribute to the error?
    layer_1_error = layer_2_delta.dot(old_weights_1.T)
    layer_1_delta = layer_1_error * nonlin(layer_1, deriv=True)

    weights_0 += learning_rate * X.T.dot(layer_1_delta)
    bias_1 += learning_rate * np.sum(layer_2_delta, axis=0, keepdims=True)
    bias_0 += learning_rate * np.sum(layer_1_delta, axis=0, keepdims=True)
    return weights_0, weights_1, bias_0, bias_1


CHECK = "check(feedforward, train_once, X=X, y=y, weights_0=weights_0, weights_1=weights_1, bias_0=bias_0, bias_1=bias_1)"

MISTAKES = [
    ("layer_2_delta = layer_2_error * nonlin(layer_2, deriv=True)",
     "layer_2_delta = layer_2_error * nonlin(layer_2)",
     "deriv=True forgotten at the output"),
    ("layer_1_delta = layer_1_error * nonlin(layer_1, deriv=True)",
     "layer_1_delta = layer_1_error * nonlin(nonlin(layer_1), deriv=True)",
     "sigmoid applied twice before the derivative"),
    ("weights_0 += learning_rate * X.T.dot(layer_1_delta)",
     "weights_0 -= learning_rate * X.T.dot(layer_1_delta)",
     "the update of the first weights goes uphill"),
    ("layer_1_error = layer_2_delta.dot(old_weights_1.T)",
     "layer_1_error = layer_2_delta.dot(weights_1.T)",
     "weights used after their update"),
]
