"""Document 000: linear regression, y = 2x + 1, written out in NumPy and then from layers."""

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_lr as tg
from examples.report import Row, gradient_difference, save_figure, table

X = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
Y = 2 * X + 1


def forward(X, W, b):
    return W * X + b


def loss(Y, yhat):
    # The document's code is 1/m * np.sum(yhat - Y)**2, the square of the sum: it prints
    # 129.7037237445872 at the start, where the mean square is 37.58606569418767.
    return np.sum((Y - yhat) ** 2) / len(Y)


def backward(X, Y, yhat):
    dW = np.mean(-2 * X * (Y - yhat))
    db = np.mean(-2 * (Y - yhat))
    return dW, db


def numpy_form() -> Row:
    """Every step written out; the gradients are the framework's, checked against `backward`."""
    np.random.seed(2020)
    W = tg.Tensor(0.01 * np.random.randn(1), requires_grad=True)
    b = tg.Tensor(0.0, requires_grad=True)

    losses, difference = [], 0.0
    for i in range(500):
        value = loss(Y, forward(X, W, b))
        dW, db = tg.grad(value, [W, b])
        by_hand = backward(X, Y, forward(X, W.data, b.data))
        difference = max(difference, gradient_difference([dW.item(), db], by_hand))
        if i % 100 == 0:
            print(f"step {i:3}: loss {value:.12g}")
        losses.append(value.item())
        W.data -= 0.01 * dW
        b.data -= 0.01 * db
    prediction = forward(12.0, W, b).item()
    print(f"W = {W.item():.10f}, b = {b.item():.10f}; at 12: {prediction:.8f}")

    plt.semilogy(losses)
    plt.xlabel("step")
    plt.ylabel("mean squared error")
    save_figure("linear")
    return Row(
        document="000",
        model="linear regression",
        loss=losses[-1],
        figure="prediction at 12",
        printed=25.00101652,
        ours=prediction,
        tolerance=5e-10,
        gradient_difference=difference,
    )


def keras_form() -> Row:
    """The same model from layers, as the document has it in Keras; it prints no number for it."""
    model = tg.nn.Sequential([tg.nn.Dense(1, 1, rng=0)])
    inputs, targets = X.reshape(-1, 1), Y.reshape(-1, 1)
    sgd = tg.optim.SGD(model.parameters(), lr=0.01)
    history = tg.fit(model, inputs, targets, tg.mse_loss, sgd, epochs=500)

    W, b = model.parameters()
    dW, db = tg.grad(tg.mse_loss(model(inputs), targets), [W, b])
    by_hand = backward(X, Y, forward(X, W.item(), b.item()))
    prediction = model(np.array([[12.0]])).item()
    print(f"loss {history['loss'][0]:.6g} -> {history['loss'][-1]:.6g}; at 12: {prediction:.6f}")
    return Row(
        document="000",
        model="linear regression, layers",
        loss=history["loss"][-1],
        figure="y at 12 (25, 'not exactly')",
        printed=25.0,
        ours=prediction,
        tolerance=1e-4,
        gradient_difference=gradient_difference([dW.item(), db.item()], by_hand),
    )


def main() -> list[Row]:
    return [numpy_form(), keras_form()]


if __name__ == "__main__":
    print(table(main()))
