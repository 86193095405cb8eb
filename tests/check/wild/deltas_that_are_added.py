"""Deltas that are added to copies of the weights, with a dropout mask."""

import numpy as np

alpha, hidden_size, batch_size = (0.5, 6, 8)


def tanh(x):
    return np.tanh(x)


def tanh2deriv(output):
    return 1 - (output ** 2)


def network_error(images, labels, weights_0_1, weights_1_2, dropout_mask):
    layer_0 = images
    layer_1 = tanh(np.dot(layer_0, weights_0_1))
    layer_1 = layer_1 * dropout_mask * 2
    layer_2 = np.dot(layer_1, weights_1_2)
    error = 0.5 * np.sum((labels - layer_2) ** 2) / batch_size
    return error


def train_on_batch(images, labels, weights_0_1, weights_1_2, dropout_mask):
    weights_0_1, weights_1_2 = weights_0_1.copy(), weights_1_2.copy()

    layer_0 = images
    hidden = tanh(np.dot(layer_0, weights_0_1))
    layer_1 = hidden * dropout_mask * 2
    layer_2 = np.dot(layer_1, weights_1_2)

    layer_2_delta = (labels - layer_2) / batch_size
    layer_1_delta = layer_2_delta.dot(weights_1_2.T) * tanh2deriv(hidden)
    layer_1_delta *= dropout_mask * 2

    weights_1_2 += alpha * layer_1.T.dot(layer_2_delta)
    weights_0_1 += alpha * layer_0.T.dot(layer_1_delta)
    return weights_0_1, weights_1_2


rng = np.random.default_rng(1)
lights = rng.standard_normal((batch_size, 3))
walk = np.eye(2)[[1, 0, 1, 1, 0, 0, 1, 0]]
weights_0_1 = 0.8 * rng.random((3, hidden_size)) - 0.4
weights_1_2 = 0.8 * rng.random((hidden_size, 2)) - 0.4
dropout_mask = rng.integers(2, size=(batch_size, hidden_size))


CHECK = "check(network_error, train_on_batch, images=lights, labels=walk, weights_0_1=weights_0_1, weights_1_2=weights_1_2, dropout_mask=dropout_mask)"

MISTAKES = [
    ("layer_1_delta = layer_2_delta.dot(weights_1_2.T) * tanh2deriv(hidden)",
     "layer_1_delta = layer_2_delta.dot(weights_1_2.T) * tanh2deriv(layer_1)",
     "tanh2deriv of the layer after the dropout"),
    ("layer_1_delta *= dropout_mask * 2",
     "layer_1_delta *= dropout_mask",
     "scale 2 of the dropout forgotten"),
    ("layer_2_delta = (labels - layer_2) / batch_size",
     "layer_2_delta = (layer_2 - labels) / batch_size",
     "sign: the updates add"),
    ("weights_1_2 += alpha * layer_1.T.dot(layer_2_delta)",
     "weights_1_2 += alpha * hidden.T.dot(layer_2_delta)",
     "activation before the dropout"),
]
