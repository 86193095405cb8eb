"""All weights unrolled in one vector, a loop over the samples."""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_gradient(z):
    g = sigmoid(z) * (1 - sigmoid(z))
    return g


input_layer_size = 3
hidden_layer_size = 5
num_labels = 4


def cost_and_grad(params, X, y, Lambda=1.5):
    split = hidden_layer_size * (input_layer_size + 1)
    Theta1 = params[:split].reshape((hidden_layer_size, input_layer_size + 1), order='F')
    Theta2 = params[split:].reshape((num_labels, hidden_layer_size + 1), order='F')

    m = X.shape[0]
    J = 0
    Theta1_grad = np.zeros(Theta1.shape)
    Theta2_grad = np.zeros(Theta2.shape)

    A1 = np.column_stack((np.ones(m), X))
    A2 = np.column_stack((np.ones(m), sigmoid(A1.dot(Theta1.T))))
    h = sigmoid(A2.dot(Theta2.T))
    Y = np.zeros((m, num_labels))
    for i in range(m):
        Y[i, y[i] - 1] = 1
    J = -1.0 / m * np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h))
    J = J + Lambda / (2.0 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))

    for t in range(m):
        a_1 = np.concatenate(([1], X[t, :]))
        z_2 = Theta1.dot(a_1)
        a_2 = np.concatenate(([1], sigmoid(z_2)))
        z_3 = Theta2.dot(a_2)
        a_3 = sigmoid(z_3)
        delta_3 = a_3 - Y[t, :]
        delta_2 = Theta2[:, 1:].T.dot(delta_3) * sigmoid_gradient(z_2)
        Theta2_grad = Theta2_grad + np.outer(delta_3, a_2)
        Theta1_grad = Theta1_grad + np.outer(delta_2, a_1)

    Theta1_grad = Theta1_grad / m
    Theta2_grad = Theta2_grad / m

    Theta1_grad[:, 1:] = Theta1_grad[:, 1:] + (Lambda / m) * Theta1[:, 1:]
    Theta2_grad[:, 1:] = Theta2_grad[:, 1:] + (Lambda / m) * Theta2[:, 1:]

    grad = np.concatenate((Theta1_grad.ravel(order='F'), Theta2_grad.ravel(order='F')))
    return J, grad


rng = np.random.default_rng(2011)
X = rng.standard_normal((8, 3))
y = np.array([1, 3, 2, 4, 4, 1, 2, 3])
params = rng.standard_normal(5 * 4 + 4 * 6) * 0.8


CHECK = "check(cost_and_grad, params=params, X=X, y=y)"

MISTAKES = [
    ("delta_2 = Theta2[:, 1:].T.dot(delta_3) * sigmoid_gradient(z_2)",
     "delta_2 = Theta2[:, :-1].T.dot(delta_3) * sigmoid_gradient(z_2)",
     "the bias is the first column, not the last"),
    ("Theta1_grad[:, 1:] = Theta1_grad[:, 1:] + (Lambda / m) * Theta1[:, 1:]",
     "Theta1_grad = Theta1_grad + (Lambda / m) * Theta1",
     "bias column regularised as well"),
    ("delta_3 = a_3 - Y[t, :]",
     "delta_3 = (a_3 - Y[t, :]) * sigmoid_gradient(z_3)",
     "sigmoid gradient of the output with cross-entropy"),
    ("Theta1_grad.ravel(order='F'), ",
     "Theta1_grad.ravel(), ",
     "unrolled in C order where the parameters are in F order"),
]
