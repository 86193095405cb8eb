"""Models as the NumPy programs of their losses and gradients, beside what a textbook has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinygrad_lr as tg
from examples import and_gate, linear, titanic, toy, tumors, xor
from examples.models import parameter, title
from examples.report import OUTPUT
from tinygrad_lr.program.to_numpy import Program

MODELS: dict[str, Callable[[], Program]] = {}
TEXTBOOK: dict[str, str] = {}
RNG = np.random.default_rng(0)
SAMPLES, CLASSES = RNG.normal(size=(12, 3)), RNG.integers(0, 3, 12)


def beside(textbook: str) -> Callable[[Callable[[], Program]], Callable[[], Program]]:
    """Enter a model, and the backward pass that a textbook has for it."""

    def enter(model: Callable[[], Program]) -> Callable[[], Program]:
        MODELS[model.__name__], TEXTBOOK[model.__name__] = model, textbook
        return model

    return enter


@beside("""dyhat = -2 * (Y - yhat) / m
dW = X.T @ dyhat
db = np.sum(dyhat)""")
def linear_regression():
    """Document 000, linear regression."""
    W, b = parameter([0.5]), parameter(0.0)

    def loss(X, Y):
        yhat = linear.forward(X, W, b)
        return linear.loss(Y, yhat)

    return tg.to_numpy(loss, linear.X, linear.Y)


@beside("""dZ = A - Y
dW = np.dot(X, dZ.T) / m
db = np.sum(dZ) / m""")
def titanic_columns():
    """Document 000, the Titanic, with passengers in columns."""
    rows, labels, *_ = titanic.load()
    W, b = titanic.start()

    def loss(rows, Y):
        X = rows.T
        Z = np.dot(W.T, X) + b
        A = titanic.sigmoid(Z)
        return titanic.loss(A, Y)

    return tg.to_numpy(loss, rows.T[:50], labels[:50])


@beside("""dZ = (A - Y) / m
dW = X.T @ dZ
db = dZ.sum(axis=0)
v_W = 0.9 * v_W + dW
W = W - 0.01 * v_W""")
def titanic_training():
    """Document 000, the Titanic as a layer, a module that trains by itself."""
    X, Y, *_ = titanic.load()
    model = tg.nn.Dense(14, 1, rng=0)
    sgd = tg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def loss(X, Y):
        Z = model(X)
        return tg.binary_cross_entropy_with_logits(Z, Y)

    return tg.to_numpy(loss, X.T[:50], Y[:50, None], optimizer=sgd, loop=True)


@beside("""dout = out - y
dz = dout * out * (1 - out)
dw = X.T @ dz
db = dz.sum()""")
def and_gate_neuron():
    """Document 001, the neuron of the AND gate and half the squared error."""
    w, b = parameter([0.5, 0.25]), parameter([0.3])

    def loss(X, y):
        out = and_gate.sigmoid(X @ w + b)
        return np.sum(0.5 * (out - y) ** 2)

    return tg.to_numpy(loss, and_gate.xdata, and_gate.ydata[:, 0])


@beside("""dZ2 = (A2 - Y) / m
dW2 = A1.T @ dZ2
db2 = dZ2.sum(axis=0)
dZ1 = dZ2 @ W2.T * A1 * (1 - A1)
dW1 = X.T @ dZ1
db1 = dZ1.sum(axis=0)""")
def xor_by_hand():
    """Document 001, the XOR gate: two neurons, and one that looks at the two."""
    W1, b1 = parameter([[0.5, -0.4], [0.3, 0.8]]), parameter(np.zeros(2))
    W2, b2 = parameter([[0.7], [-0.6]]), parameter(np.zeros(1))

    def loss(X, Y):
        Z1 = X @ W1 + b1
        A1 = tg.sigmoid(Z1)
        Z2 = A1 @ W2 + b2
        A2 = tg.sigmoid(Z2)
        return -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))

    return tg.to_numpy(loss, xor.xdata, xor.ydata)


@beside("""p = np.exp(Z - Z.max(axis=1, keepdims=True))
p /= p.sum(axis=1, keepdims=True)
loss = -np.log(p[np.arange(m), y]).mean()
dZ = p
dZ[np.arange(m), y] -= 1
dZ /= m""")
def iris_softmax():
    """Document 001, softmax regression."""
    W, b = parameter([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0], [-0.7, 0.0, 0.6]]), parameter(np.zeros(3))

    def loss(X, y):
        Z = X @ W + b
        return tg.cross_entropy(Z, y)

    return tg.to_numpy(loss, SAMPLES, CLASSES)


@beside("""dZ = A - Y
dW = X @ dZ.T
db = np.sum(dZ)""")
def digits_cost():
    """Document 002, whether a digit is a 2."""
    rows, labels = RNG.integers(0, 17, (20, 64)), RNG.integers(0, 2, 20)
    W, b = parameter(np.zeros((64, 1))), parameter(0.0)

    def loss(rows, Y):
        X = rows.T
        Z = np.dot(W.T, X) + b
        A = 1 / (1 + np.exp(-Z))
        return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    return tg.to_numpy(loss, rows, labels)


@beside("""dlogits = y_hat
dlogits[range(m), y] -= 1
dlogits /= m
dW = X.T @ dlogits
db = np.sum(dlogits, axis=0, keepdims=True)""")
def tumors_softmax():
    """Document 003, two classes of tumors, the loss as the document writes it."""
    W, b = parameter([[-0.67, -0.34], [-0.14, -0.19]]), parameter(np.zeros((1, 2)))

    def loss(X, y):
        logits = np.dot(X, W) + b
        exp_logits = np.exp(logits)
        y_hat = exp_logits / np.sum(exp_logits, axis=1, keepdims=True)
        correct_class_logprobs = -np.log(y_hat[range(len(X)), y])
        return np.sum(correct_class_logprobs) / len(X)

    return tg.to_numpy(loss, SAMPLES[:, :2], CLASSES % 2)


@beside("""dlogits = weight[y, None] / weight[y].sum() * (p - one_hot)""")
def tumors_weighted():
    """Document 003, the rarer class weighted more."""
    W, b = parameter([[-0.67, -0.34], [-0.14, -0.19]]), parameter(np.zeros((1, 2)))
    weight = np.array([2.0, 1.0])

    def loss(X, y):
        logits = tumors.forward(X, W, b)
        return tg.cross_entropy(logits, y, weight=weight)

    return tg.to_numpy(loss, SAMPLES[:, :2], CLASSES % 2)


@beside("""dz = a - y
dw = dz * x
db = dz""")
def one_sample():
    """Document 004, one sample."""
    w, b = parameter(0.8), parameter(0.1)

    def L(x, y):
        z = w * x + b
        a = tg.sigmoid(z)
        return toy.neg_log_loss(a, y)

    return tg.to_numpy(L, 1.3, 0)


@beside("""dZ = A - Y
dW = dZ @ X
dB = np.sum(dZ)""")
def toy_matrices():
    """Document 004, all samples at once, and the cost as the document writes it."""
    W, B = parameter([[-0.9, 0.3, 1.0]]), parameter([0.0])

    def total_cost(X, Y):
        Z = np.matmul(W, X.T) + B
        A = toy.sigmoid(Z)
        return np.sum(toy.neg_log_loss(A, Y))

    return tg.to_numpy(total_cost, SAMPLES, CLASSES % 2)


@beside("""dz = 2 * (z - y) / m
dw = X.T @ dz + 2 * lam * w""")
def ridge():
    """Ridge regression."""
    w, lam = parameter([0.3, -0.2, 0.1]), 0.1

    def loss(X, y):
        z = X @ w
        return np.mean((z - y) ** 2) + lam * np.sum(w**2)

    return tg.to_numpy(loss, SAMPLES, SAMPLES[:, 0])


@beside("""dz = np.where(np.abs(r) < 1, r, np.sign(r)) / m
dw = X.T @ dz""")
def huber():
    """Regression with Huber's loss."""
    w = parameter([0.3, -0.2, 0.1])

    def loss(X, y):
        r = X @ w - y
        return np.mean(np.where(np.abs(r) < 1, 0.5 * r**2, np.abs(r) - 0.5))

    return tg.to_numpy(loss, SAMPLES, SAMPLES[:, 0])


@beside("""dscores = p
dscores[range(m), y] -= 1
dscores /= m
dW2 = h.T @ dscores + reg * W2
dh = dscores @ W2.T
dh[h <= 0] = 0
dW1 = X.T @ dh + reg * W1""")
def relu_network():
    """A network with ReLU, softmax and weight decay, as courses have it."""
    W1, b1 = parameter(RNG.normal(size=(3, 4))), parameter(np.zeros(4))
    W2, b2, reg = parameter(RNG.normal(size=(4, 3))), parameter(np.zeros(3)), 0.001

    def loss(X, y):
        h = np.maximum(0, X @ W1 + b1)
        scores = h @ W2 + b2
        penalty = 0.5 * reg * np.sum(W1 * W1) + 0.5 * reg * np.sum(W2 * W2)
        return tg.cross_entropy(scores, y) + penalty

    return tg.to_numpy(loss, SAMPLES, CLASSES)


@beside("""dx_hat = dout * gamma
dx = (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0)) / std""")
def batch_norm():
    """Batch normalization."""
    W, gamma, beta = (
        parameter(RNG.normal(size=(3, 2))),
        parameter([1.0, 0.5]),
        parameter([0.1, 0.0]),
    )

    def loss(X, y):
        x = X @ W
        std = np.sqrt(x.var(axis=0) + 1e-5)
        x_hat = (x - x.mean(axis=0)) / std
        out = gamma * x_hat + beta
        return np.mean((out - y[:, None]) ** 2)

    return tg.to_numpy(loss, SAMPLES, SAMPLES[:, 0])


@beside("""for t in reversed(range(T)):
    dz = dh * (1 - h[t] ** 2)
    dWx += x[t].T @ dz
    dWh += h[t - 1].T @ dz
    dh = dz @ Wh.T""")
def recurrent_network():
    """A recurrent network over three steps."""
    Wx, Wh = parameter(RNG.normal(size=(2, 3))), parameter(RNG.normal(size=(3, 3)))
    v = parameter(RNG.normal(size=3))

    def loss(S, y):
        h = np.zeros((len(S), 3))
        for t in range(3):
            h = np.tanh(S[:, t] @ Wx + h @ Wh)
        return np.mean((h @ v - y) ** 2)

    return tg.to_numpy(loss, RNG.normal(size=(12, 3, 2)), SAMPLES[:, 0])


@beside("""dV = P.mT @ dout
dP = dout @ V.mT
dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True))
dQ = dS @ K / np.sqrt(d)
dK = dS.mT @ Q / np.sqrt(d)""")
def attention():
    """Attention over four tokens."""
    Wq, Wk, Wv = (parameter(RNG.normal(size=(3, 2))) for _ in range(3))

    def loss(X, y):
        Q, K, V = X @ Wq, X @ Wk, X @ Wv
        S = Q @ K.mT / np.sqrt(2)
        P = tg.softmax(S, axis=-1)
        out = P @ V
        return np.mean((out.sum(axis=(1, 2)) - y) ** 2)

    return tg.to_numpy(loss, RNG.normal(size=(12, 4, 3)), SAMPLES[:, 0])


@beside("""a = 1 / (1 + np.exp(-z))
dw = X.T @ (a - y) / m
u = X @ (2 * dw) / m
ddw = X.T @ (u * a * (1 - a))""")
def backward_pass():
    """The derivative of a gradient: dw is computed by rules, and its length has a gradient, too."""
    w = parameter([0.8, -0.5, 0.2])

    def length(X, y):
        z = X @ w
        loss = tg.binary_cross_entropy_with_logits(z, y)
        (dw,) = tg.grad(loss, [w], create_graph=True)
        return np.sum(dw**2)

    return tg.to_numpy(length, SAMPLES, CLASSES % 2)


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    for name, export in MODELS.items():
        export().save(OUTPUT / f"{name}.py")
        print(f"saved {OUTPUT / name}.py: {title(export)}")


if __name__ == "__main__":
    main()
