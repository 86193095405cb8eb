"""Document 001: the XOR gate, which one neuron cannot learn and a network of three can."""

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_lr as tg
from examples.and_gate import forward, loss, train, xdata
from examples.report import Row, gradient_difference, save_figure, table

ydata = np.array([[0], [1], [1], [0]])


def right(out):
    return np.sum((out > 0.5) == ydata.reshape(out.shape))


def neuron() -> Row:
    """The neuron of the AND gate."""
    w = tg.Tensor([0.0, 0.0], requires_grad=True)
    b = tg.Tensor([0.0], requires_grad=True)
    dw, db = tg.grad(np.sum(loss(forward(xdata, w, b), ydata[:, 0])), [w, b])
    print(f"at zero weights the gradient of the sum over all samples is {dw} {db}")

    w.data += 0.5
    b.data += 0.5
    difference = train(xdata, ydata, w, b, etah=0.1, num_epoch=5000)
    out = forward(xdata, w.data, b.data)
    print(f"one neuron: {w.data} {b.data}, outputs {out.round(4)}, right {right(out)}/4")
    plot(121, "one neuron", lambda x: forward(x, w.data, b.data))
    return Row(
        document="001",
        model="XOR, one neuron",
        loss=loss(out, ydata[:, 0]).mean(),
        accuracy=f"{right(out)}/4",
        figure="output for (1, 1)",
        ours=out[3],
        gradient_difference=difference,
    )


def backward(x, y, hidden, out, W2):
    """The neuron's backward pass, now of the mean cross-entropy, and once more for the layer."""
    delta2 = (out - y) / len(x)
    delta1 = np.dot(delta2, W2.T) * hidden * (1 - hidden)
    return [np.dot(x.T, delta1), delta1.sum(axis=0), np.dot(hidden.T, delta2), delta2.sum(axis=0)]


def network() -> Row:
    """Two neurons that look at the inputs, and one that looks at the two."""
    rng = np.random.default_rng(0)
    hidden = tg.nn.Dense(2, 2, activation="sigmoid", rng=rng)
    model = tg.nn.Sequential([hidden, tg.nn.Dense(2, 1, activation="sigmoid", rng=rng)])
    parameters = model.parameters()
    ours = tg.grad(tg.binary_cross_entropy(model(xdata), ydata), parameters)
    by_hand = backward(xdata, ydata, hidden(xdata).data, model(xdata).data, parameters[2].data)

    adam = tg.optim.Adam(parameters, lr=0.1)
    history = tg.fit(model, xdata, ydata, tg.binary_cross_entropy, adam, epochs=500)
    out = model(xdata).data
    print(f"network: outputs {out.ravel().round(4)}, right {right(out)}/4")
    plot(122, "2-2-1 network", lambda x: model(x).data[:, 0])
    return Row(
        document="001",
        model="XOR, 2-2-1 network",
        loss=history["loss"][-1],
        accuracy=f"{right(out)}/4",
        figure="output for (1, 1)",
        ours=out[3, 0],
        gradient_difference=gradient_difference(ours, by_hand),
    )


def plot(place, title, output):
    """What a model puts out over the square around the four inputs."""
    axis = np.linspace(-0.5, 1.5, 201)
    x1, x2 = np.meshgrid(axis, axis)
    values = output(np.column_stack([x1.ravel(), x2.ravel()])).reshape(x1.shape)
    plt.subplot(place)
    plt.contourf(x1, x2, values, levels=np.linspace(0, 1, 21), cmap="RdBu_r")
    plt.colorbar(label="output", ticks=np.linspace(0, 1, 5))
    plt.contour(x1, x2, values, levels=[0.5], colors="black")
    for x, y in zip(xdata, ydata[:, 0], strict=True):
        plt.scatter(*x, c="white", edgecolors="black", s=250, zorder=2)
        plt.text(*x, y, ha="center", va="center")
    plt.title(title)
    plt.xlabel("$x_1$")
    plt.ylabel("$x_2$")


def main() -> list[Row]:
    plt.figure(figsize=(10, 4.2))
    rows = [neuron(), network()]
    save_figure("xor")
    return rows


if __name__ == "__main__":
    print(table(main()))
