"""Document 000: who survived the Titanic, a logistic regression, as NumPy and as layers."""

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_lr as tg
from examples.report import DATA, Row, gradient_difference, save_figure, table

# What the document prints as the loss every 1000 steps is loss(Y, A), the arguments swapped, with
# 1e-15 added inside the logarithms: -log(1e-15) * mean |A - Y|.
PRINTED = [
    (17.16646271874957, 64.4),
    (12.757526841623513, 75.9),
    (11.688361064742441, 79.5),
    (11.150776615503466, 79.5),
    (10.83231532525657, 79.8),
    (10.622380143288218, 79.8),
    (10.473049466548982, 79.8),
    (10.36043263717339, 80.8),
]


def load():
    """X (14, m) and Y (m,), of the document's 792 passengers and of the 99 that it holds out."""
    data = np.loadtxt(DATA / "titanic_features.csv", delimiter=",", skiprows=1, usecols=range(16))
    X, Y = data[:, 2:].T, data[:, 1]
    return X[:, :792], Y[:792], X[:, 792:], Y[792:]


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def forward(X, W, b):
    return sigmoid(np.dot(W.T, X) + b)


def loss(A, Y):
    return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / len(Y)


def backward(X, Y, A):
    dW = np.dot(X, (A - Y).T) / len(Y)
    db = np.sum(A - Y) / len(Y)
    return dW, db


def predict(A):
    return np.uint8(A > 0.5)


def accuracy(yhat, Y):
    return 100 * np.mean(yhat == Y)


def start():
    np.random.seed(2020)
    W = tg.Tensor(0.01 * np.random.randn(14, 1), requires_grad=True)
    b = tg.Tensor(0.0, requires_grad=True)
    return W, b


def step(X, Y, W, b):
    """A, the loss, the framework's gradients, and their difference from `backward`."""
    A = forward(X, W, b)
    value = loss(A, Y)
    dW, db = tg.grad(value, [W, b])
    return A.data, value.item(), dW, db, gradient_difference([dW, db], backward(X, Y, A.data))


def two_passengers(X, Y) -> Row:
    """The document's demonstration of one step.

    Its divisor m is len(A) = 1 in the loss, a sum therefore, and in the gradients 8, the length
    of the linear regression's yhat: it prints 1.36256, dW[0] = 0.06118953, db = -0.00112373. The
    mean over the two passengers is 0.68128, with dW[0] = 0.24475811 and db = -0.00449492.
    """
    A, value, dW, db, difference = step(X, Y, *start())
    print(f"A = {A}, predicted {predict(A)}; loss {value:.12g}")
    print(f"dW = {dW.ravel()}\ndb = {db:.10g}")
    return Row(
        document="000",
        model="Titanic, two passengers",
        loss=value,
        accuracy="2/2",
        figure="loss, summed",
        printed=1.3625601508159457,
        ours=2 * value,
        tolerance=1e-14,
        gradient_difference=difference,
    )


def numpy_form(X, Y, X_test, Y_test) -> list[Row]:
    """Every step written out, on all passengers at once, and the test left to the reader."""
    W, b = start()
    losses, accuracies, difference = [], [], 0.0
    for i in range(8000):
        A, value, dW, db, off = step(X, Y, W, b)
        difference = max(difference, off)
        losses.append(value)
        accuracies.append(accuracy(predict(A), Y))
        if i % 1000 == 0:
            swapped = -np.log(1e-15) * np.mean(np.abs(A - Y))
            printed, percent = PRINTED[i // 1000]
            print(
                f"step {i}: loss {value:.12g}, accuracy {accuracies[-1]:.1f} %; "
                f"loss(Y, A) {swapped:.12g}, in the document {printed:.12g} and {percent} %"
            )
        W.data -= 0.01 * dW
        b.data -= 0.01 * db
    A, value, *_ = step(X, Y, W, b)
    right = np.sum(predict(A) == Y)
    print(f"step 8000: loss {value:.12g}, {right} of 792")
    plot(np.arange(8000), losses, accuracies, "NumPy form: all 792 passengers a step")

    A_test, value_test, _, _, difference_test = step(X_test, Y_test, W, b)
    confusion = np.zeros((2, 2), dtype=int)
    np.add.at(confusion, (Y_test.astype(int), predict(A_test)[0]), 1)
    (TN, FP), (FN, TP) = confusion
    print(f"held out: loss {value_test:.12g}; TN {TN}, FP {FP}, FN {FN}, TP {TP}")
    return [
        Row(
            document="000",
            model="Titanic, NumPy form",
            loss=value,
            accuracy=f"{right}/792",
            figure="loss(Y, A), step 7000",
            printed=printed,
            ours=swapped,
            tolerance=1e-14,
            gradient_difference=difference,
        ),
        Row(
            document="000",
            model="Titanic, held out",
            loss=value_test,
            accuracy=f"{TN + TP}/99",
            figure="right, in %",
            ours=accuracy(predict(A_test), Y_test),
            gradient_difference=difference_test,
        ),
    ]


def keras_form(X, Y) -> Row:
    """The same model from layers, trained on 32 passengers a step."""
    inputs, targets = X.T, Y.reshape(-1, 1)
    model = tg.nn.Sequential([tg.nn.Dense(14, 1, activation="sigmoid", rng=0)])
    history = tg.fit(
        model,
        inputs,
        targets,
        tg.binary_cross_entropy,
        tg.optim.SGD(model.parameters(), lr=0.01),
        epochs=500,
        batch_size=32,
        metrics={"accuracy": lambda A, Y: accuracy(predict(A), Y)},
        rng=0,
    )
    plot(np.arange(500) * 25, history["loss"], history["accuracy"], "layers: 32 passengers a step")

    A = model(inputs)
    value = tg.binary_cross_entropy(A, targets)
    dW, db = tg.grad(value, model.parameters())
    right = np.sum(predict(A) == targets)
    print(f"layers: loss {value:.6f}, {right} of 792")
    return Row(
        document="000",
        model="Titanic, layers",
        loss=value.item(),
        accuracy=f"{right}/792",
        figure="right, in % (~80)",
        printed=80.0,
        ours=accuracy(predict(A), targets),
        tolerance=0.01,
        gradient_difference=gradient_difference([dW, db.item()], backward(X, Y, A.data.T)),
    )


def plot(steps, losses, accuracies, label):
    """Add a training run to the figure."""
    for place, values, name in ((121, losses, "cross-entropy"), (122, accuracies, "accuracy (%)")):
        plt.subplot(place)
        plt.plot(steps, values, label=label)
        plt.xlabel("step")
        plt.ylabel(name)


def main() -> list[Row]:
    X, Y, X_test, Y_test = load()
    plt.figure(figsize=(11, 4))
    rows = [
        two_passengers(X[:, :2], Y[:2]),
        *numpy_form(X, Y, X_test, Y_test),
        keras_form(X, Y),
    ]
    plt.legend()
    save_figure("titanic")
    return rows


if __name__ == "__main__":
    print(table(main()))
