"""Layer objects that keep dweights, dbiases and dinputs."""

import numpy as np

rng = np.random.default_rng(0)


class Dense_Layer:

    def __init__(self, n_inputs, n_neurons,
                 weight_l1=0, weight_l2=0,
                 bias_l2=0):
        self.weights = 0.6 * rng.standard_normal((n_inputs, n_neurons))
        self.biases = 0.2 * rng.standard_normal((1, n_neurons))
        self.weight_l1 = weight_l1
        self.weight_l2 = weight_l2
        self.bias_l2 = bias_l2

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)

        if self.weight_l1 > 0:
            dL1 = np.ones_like(self.weights)
            dL1[self.weights < 0] = -1
            self.dweights += self.weight_l1 * dL1
        if self.weight_l2 > 0:
            self.dweights += 2 * self.weight_l2 * self.weights
        if self.bias_l2 > 0:
            self.dbiases += 2 * self.bias_l2 * self.biases

        self.dinputs = np.dot(dvalues, self.weights.T)


class ReLU_Layer:

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()

        self.dinputs[self.inputs <= 0] = 0


class Softmax_Loss():

    def forward(self, inputs, y_true):
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp_values / np.sum(exp_values, axis=1, keepdims=True)
        correct_confidences = self.output[range(len(inputs)), y_true]
        return np.mean(-np.log(correct_confidences))

    def backward(self, dvalues, y_true):
        samples = len(dvalues)
        self.dinputs = dvalues.copy()
        self.dinputs[range(samples), y_true] -= 1
        self.dinputs = self.dinputs / samples


def penalty(layer):
    loss = 0
    if layer.weight_l1 > 0:
        loss += layer.weight_l1 * np.sum(np.abs(layer.weights))
    if layer.weight_l2 > 0:
        loss += layer.weight_l2 * np.sum(layer.weights * layer.weights)
    if layer.bias_l2 > 0:
        loss += layer.bias_l2 * np.sum(layer.biases * layer.biases)
    return loss


dense1 = Dense_Layer(2, 5, weight_l1=0.02, weight_l2=0.05, bias_l2=0.05)
activation1 = ReLU_Layer()
dense2 = Dense_Layer(5, 3)
softmax_loss = Softmax_Loss()


def forward(X, y):
    dense1.forward(X)
    activation1.forward(dense1.output)
    dense2.forward(activation1.output)
    data_loss = softmax_loss.forward(dense2.output, y)
    return data_loss + penalty(dense1) + penalty(dense2)


def backward(y):
    softmax_loss.backward(softmax_loss.output, y)
    dense2.backward(softmax_loss.dinputs)
    activation1.backward(dense2.dinputs)
    dense1.backward(activation1.dinputs)


X = rng.standard_normal((9, 2))
y = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0])


CHECK = "check(forward, backward, X=X, y=y)"

MISTAKES = [
    ("dL1[self.weights < 0] = -1",
     "dL1[self.dweights < 0] = -1",
     "sign of the gradient for the sign of the weights in L1"),
    ("self.dinputs[self.inputs <= 0] = 0",
     "self.dinputs[dvalues <= 0] = 0",
     "relu masked by dvalues"),
    ("self.dinputs = self.dinputs / samples",
     "self.dinputs = self.dinputs / len(dvalues[0])",
     "normalised by the number of classes"),
    ("dense1.backward(activation1.dinputs)",
     "dense1.backward(dense2.dinputs)",
     "activation skipped when passing back"),
]
