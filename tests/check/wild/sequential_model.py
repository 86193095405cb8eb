"""A model that is put together from layers, with penalties and dropout."""

import numpy as np


class Layer(object):
    trainable = False

    def call(self, inputs):
        raise NotImplementedError


class Dense(Layer):
    trainable = True

    def __init__(self, units, input_dim, kernel_regularizer=0.0, seed=0):
        rng = np.random.default_rng(seed)
        limit = np.sqrt(6.0 / (input_dim + units))
        self.kernel = rng.uniform(-limit, limit, (input_dim, units))
        self.bias = rng.uniform(-0.1, 0.1, units)
        self.l2 = kernel_regularizer
        self.grads = {}

    def call(self, inputs):
        self.inputs = inputs
        return np.matmul(inputs, self.kernel) + self.bias

    def penalty(self):
        return self.l2 * np.sum(np.square(self.kernel))

    def backprop(self, grad):
        self.grads['kernel'] = np.matmul(self.inputs.T, grad) + 2 * self.l2 * self.kernel
        self.grads['bias'] = np.sum(grad, axis=0)
        return np.matmul(grad, self.kernel.T)


class LeakyReLU(Layer):
    def __init__(self, alpha=0.3):
        self.alpha = alpha

    def call(self, inputs):
        self.inputs = inputs
        return np.where(inputs > 0, inputs, self.alpha * inputs)

    def backprop(self, grad):
        return np.where(self.inputs > 0, grad, self.alpha * grad)


class Dropout(Layer):
    """The mask is drawn once, for tests."""
    def __init__(self, rate, shape, seed):
        self.rate = rate
        self.mask = np.random.default_rng(seed).uniform(size=shape) > rate

    def call(self, inputs):
        return inputs * self.mask / (1 - self.rate)

    def backprop(self, grad):
        return grad * self.mask / (1 - self.rate)


class BinaryCrossentropy(object):
    def __call__(self, y_true, logits):
        self.y_true = y_true
        self.y_pred = 1 / (1 + np.exp(-logits))
        return -np.mean(y_true * np.log(self.y_pred) + (1 - y_true) * np.log(1 - self.y_pred))

    def gradient(self):
        return (self.y_pred - self.y_true) / self.y_true.size


class Sequential(object):
    def __init__(self, layers=None):
        self.layers = layers or []

    def add(self, layer):
        self.layers.append(layer)

    def compile(self, loss):
        self.loss = loss

    def forward(self, x, y):
        for layer in self.layers:
            x = layer.call(x)
        total = self.loss(y, x)
        for layer in self.layers:
            if layer.trainable:
                total += layer.penalty()
        return total

    def backward(self):
        grad = self.loss.gradient()
        for layer in reversed(self.layers):
            grad = layer.backprop(grad)
        return grad


model = Sequential()
model.add(Dense(6, input_dim=4, kernel_regularizer=0.05, seed=1))
model.add(LeakyReLU(0.2))
model.add(Dropout(0.25, (8, 6), seed=5))
model.add(Dense(2, input_dim=6, kernel_regularizer=0.02, seed=2))
model.compile(loss=BinaryCrossentropy())

_rng = np.random.default_rng(7)
x_train = _rng.normal(size=(8, 4))
y_train = np.stack([x_train[:, 0] > 0, x_train[:, 1] + x_train[:, 2] > -0.9], axis=1).astype(float)


CHECK = "check(model.forward, model.backward, x=x_train, y=y_train)"

MISTAKES = [
    ("+ 2 * self.l2 * self.kernel",
     "+ self.l2 * self.kernel",
     "factor 2 of the l2 penalty forgotten"),
    ("self.grads['bias'] = np.sum(grad, axis=0)",
     "self.grads['bias'] = np.sum(grad)",
     "sum over all axes instead of the samples"),
    ("return grad * self.mask / (1 - self.rate)",
     "return grad / (1 - self.rate)",
     "dropout mask missing on the way back"),
    ("for layer in reversed(self.layers):",
     "for layer in self.layers:",
     "layers walked in forward order"),
]
