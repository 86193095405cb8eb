"""Lists of gradients filled from the end, one sample at a time."""

import numpy as np


class Network(object):

    def __init__(self, sizes):
        rng = np.random.default_rng(7)
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.biases = [rng.standard_normal((y, 1)) for y in sizes[1:]]
        self.weights = [rng.standard_normal((y, x))
                        for x, y in zip(sizes[:-1], sizes[1:])]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = sigmoid(np.dot(w, a)+b)
        return a

    def total_cost(self, X, Y):
        cost = 0.0
        for x, y in zip(X, Y):
            a = self.feedforward(x.reshape(-1, 1))
            cost += 0.5*np.sum((a-y.reshape(-1, 1))**2)/len(X)
        return cost

    def gradient(self, X, Y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in zip(X, Y):
            delta_nabla_b, delta_nabla_w = self.backprop(x.reshape(-1, 1), y.reshape(-1, 1))
            nabla_b = [nb+dnb for nb, dnb in zip(nabla_b, delta_nabla_b)]
            nabla_w = [nw+dnw for nw, dnw in zip(nabla_w, delta_nabla_w)]
        nabla_b = [nb/len(X) for nb in nabla_b]
        nabla_w = [nw/len(X) for nw in nabla_w]
        return (nabla_b, nabla_w)

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation = x
        activations = [x]
        zs = []
        for b, w in zip(self.biases, self.weights):
            z = np.dot(w, activation)+b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = self.cost_derivative(activations[-1], y) * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for l in range(2, self.num_layers):
            z = zs[-l]
            sp = sigmoid_prime(z)
            delta = np.dot(self.weights[-l+1].transpose(), delta) * sp
            nabla_b[-l] = delta
            nabla_w[-l] = np.dot(delta, activations[-l-1].transpose())
        return (nabla_b, nabla_w)

    def cost_derivative(self, output_activations, y):
        return (output_activations-y)


def sigmoid(z):
    return 1.0/(1.0+np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z)*(1-sigmoid(z))


rng = np.random.default_rng(11)
X = rng.standard_normal((6, 5))
Y = np.eye(2)[[0, 1, 1, 0, 1, 0]]
net = Network([5, 4, 3, 2])


CHECK = "check(net.total_cost, net.gradient, X=X, Y=Y)"

MISTAKES = [
    ("sp = sigmoid_prime(z)",
     "sp = sigmoid_prime(activations[-l])",
     "sigmoid_prime takes z, it is given the activation"),
    ("return (output_activations-y)",
     "return (y-output_activations)",
     "sign of the cost's derivative"),
    ("nabla_w = [nw+dnw for nw, dnw in zip(nabla_w, delta_nabla_w)]",
     "nabla_w = [dnw for nw, dnw in zip(nabla_w, delta_nabla_w)]",
     "samples not added up: only the last counts"),
    ("nabla_b = [nb/len(X) for nb in nabla_b]",
     "nabla_b = [nb/len(nabla_b) for nb in nabla_b]",
     "divided by the number of layers, not of samples"),
]
