"""Layers whose backward updates their weights at once and keeps no gradient."""

import numpy as np

rnd = np.random.default_rng(seed=42)


class ReLU:
    def forward(self, input):
        relu_forward = np.maximum(0, input)
        return relu_forward

    def backward(self, input, grad_output):
        relu_grad = input > 0
        return grad_output * relu_grad


class Dense:
    def __init__(self, input_units, output_units, learning_rate=0.1):
        self.learning_rate = learning_rate
        self.weights = rnd.normal(loc=0.0, scale=np.sqrt(2 / (input_units + output_units)), size=(input_units, output_units))
        self.biases = rnd.normal(size=output_units) * 0.2

    def forward(self, input):
        return np.dot(input, self.weights) + self.biases

    def backward(self, input, grad_output):
        weights = self.weights

        grad_weights = np.dot(input.T, grad_output)
        grad_biases = grad_output.mean(axis=0) * input.shape[0]
        assert grad_weights.shape == self.weights.shape and grad_biases.shape == self.biases.shape

        self.weights = self.weights - self.learning_rate * grad_weights
        self.biases = self.biases - self.learning_rate * grad_biases

        grad_input = np.dot(grad_output, weights.T)
        return grad_input


def crossentropy(logits, reference_answers):
    logits_for_answers = logits[np.arange(len(logits)), reference_answers]
    xentropy = - logits_for_answers + np.log(np.sum(np.exp(logits), axis=-1))
    return xentropy


def grad_crossentropy(logits, reference_answers):
    ones_for_answers = np.zeros_like(logits)
    ones_for_answers[np.arange(len(logits)), reference_answers] = 1
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return (- ones_for_answers + softmax) / logits.shape[0]


class Net:
    def __init__(self):
        self.network = []
        self.network.append(Dense(4, 6))
        self.network.append(ReLU())
        self.network.append(Dense(6, 5))
        self.network.append(ReLU())
        self.network.append(Dense(5, 3))

    def forward(self, X):
        activations = []
        input = X
        for layer in self.network:
            activations.append(layer.forward(input))
            input = activations[-1]
        return activations

    def loss(self, X, y):
        logits = self.forward(X)[-1]
        return np.mean(crossentropy(logits, y))

    def train(self, X, y):
        layer_activations = self.forward(X)
        layer_inputs = [X] + layer_activations
        logits = layer_activations[-1]

        loss_grad = grad_crossentropy(logits, y)

        for i in range(len(self.network))[::-1]:
            loss_grad = self.network[i].backward(layer_inputs[i], loss_grad)


X = rnd.normal(size=(9, 4))
y = np.array([2, 0, 1, 1, 2, 0, 0, 1, 2])
net = Net()


CHECK = "check(net.loss, net.train, X=X, y=y)"

MISTAKES = [
    ("grad_input = np.dot(grad_output, weights.T)",
     "grad_input = np.dot(grad_output, self.weights.T)",
     "uses the weights after their update"),
    ("grad_biases = grad_output.mean(axis=0) * input.shape[0]",
     "grad_biases = grad_output.mean(axis=0)",
     "mean over the batch: the 1/N is in grad_output already"),
    ("self.biases = self.biases - self.learning_rate * grad_biases",
     "self.biases = self.biases + self.learning_rate * grad_biases",
     "update goes uphill"),
    ("loss_grad = self.network[i].backward(layer_inputs[i], loss_grad)",
     "loss_grad = self.network[i].backward(layer_activations[i], loss_grad)",
     "the layer's output given for its input: crashes"),
]
