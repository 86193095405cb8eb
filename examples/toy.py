"""Document 004: one sigmoid neuron on toy data, sample by sample, as matrices, and by rows."""

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_lr as tg
from examples.report import Row, gradient_difference, relative_difference, save_figure, table

# What the document prints. It does not print Y, but only one Y leads from z to L.
z_PRINTED = np.array(
    [1.30108329, 3.3559704, 2.29305178, 5.39143942, 0.22332182, -0.90609519, -1.40676835]
    + [0.59137067, 1.91820636, 5.14922994, 3.55974381, -1.16140935, 3.4926294, -1.02240655]
    + [2.09740392, 4.76738831, -0.19158711, -1.1040475, -3.45294174, 3.42278861]
)
L_PRINTED = np.array(
    [-1.54185984, -0.03428114, -2.38923239, -5.39598448, -0.81102926, -0.33939587, -1.6258505]
    + [-1.03192489, -0.13703663, -5.15501703, -0.02804903, -1.43375798, -3.52259664, -1.32969137]
    + [-2.21320699, -4.77585492, -0.60193483, -1.39037353, -0.03116178, -3.45488917]
)
Y_PRINTED = np.array([0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def neg_log_loss(pred, y):
    return -(y * np.log(pred) + (1 - y) * np.log(1 - pred))


def test_sigmoid():
    for x, y in [(0, 0.5), (-100, 0), (100, 1)]:
        pred = sigmoid(tg.Tensor(x)).item()
        print(f"sigmoid({x}) = {pred:.10g}, in the document {y}")
        assert round(pred, 4) == y


def test_neg_log_loss():
    for pred, y, loss in [(0.000001, 0, 0), (0.9999999, 1, 0), (0.3, 0, 0.3567)]:
        neg_loss = neg_log_loss(tg.Tensor(pred), y).item()
        print(f"neg_log_loss({pred}, {y}) = {neg_loss:.10g}, in the document {loss}")
        assert round(neg_loss, 4) == loss


def derivatives(z, Y):
    """a, its negative log-likelihood L, and dL/da and dL/dz as the framework finds them."""
    z = tg.Tensor(z, requires_grad=True)
    a = sigmoid(z)
    L = neg_log_loss(a, Y)
    return a.data, L.data, *tg.grad(L.sum(), [a, z])


def printed_samples() -> Row:
    a, L, da, dz = derivatives(z_PRINTED, Y_PRINTED)
    # The document has dL/da = Y / a + (1 - Y) / (1 - a). Times da/dz that is |a - Y|, not a - Y:
    # a check on samples with Y = 0 alone does not see it.
    by_hand = [-Y_PRINTED / a + (1 - Y_PRINTED) / (1 - a), a - Y_PRINTED]
    print(f"L of 20 samples, at most {np.abs(-L - L_PRINTED).max():.0e} off the document's")
    print(f"dL/dz = {dz[:3].round(4)}..., by the document's dL/da {np.abs(dz[:3]).round(4)}...")
    return Row(
        document="004",
        model="20 samples, z to L",
        loss=L.sum(),
        accuracy=f"{np.sum((a > 0.5) == Y_PRINTED)}/20",
        figure="sum of L",
        printed=L_PRINTED.sum(),
        ours=-L.sum(),
        tolerance=5e-9,
        gradient_difference=gradient_difference([da, dz], by_hand),
    )


def start(input_dim, seed):
    """20 random samples in columns. The document's are unseeded: nobody else gets its costs."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((input_dim, 20))
    Y = rng.choice([0, 1], 20).reshape(1, 20)
    W = tg.Tensor(rng.standard_normal((1, input_dim)), requires_grad=True)
    B = tg.Tensor(rng.standard_normal(1), requires_grad=True)
    return X, Y, W, B


def train_with_for_loop(X, Y, W, B, l_r, epoch_num):
    """The cost of each epoch, and the difference of the gradients from those by hand."""
    costs, difference = [], 0.0
    for _ in range(epoch_num):
        dW, dB = np.zeros(W.shape), np.zeros(B.shape)
        dW_by_hand, dB_by_hand = np.zeros(W.shape), np.zeros(B.shape)
        total_cost = 0.0
        for x_, y in zip(X.T, Y.T, strict=True):
            a = sigmoid(np.matmul(W, x_) + B)
            loss = neg_log_loss(a, y)
            dW_one, dB_one = tg.grad(loss, [W, B])
            dW += dW_one
            dB += dB_one
            dW_by_hand += (a.data - y) * x_
            dB_by_hand += a.data - y
            total_cost += loss.item()
        off = gradient_difference([dW, dB], [dW_by_hand, dB_by_hand])
        difference = max(difference, off)
        costs.append(total_cost)
        W.data -= l_r * dW / len(Y.T)
        B.data -= l_r * dB / len(Y.T)
    return costs, difference


def backward(X, Y, A):
    # The document's dW = (a - Y) * X, taken at its word in the last cells, is (3, 3): W becomes
    # (3, 3), and a loss that falls to 0.0420, below the right 0.1035, looks healthy.
    dW = np.matmul(A - Y, X.T)
    dB = np.sum(A - Y, axis=1)
    return dW, dB


def cost(X, Y, W, B):
    # From Z, because with 50 features A comes close to 1, where log(1 - A) has lost its digits.
    Z = np.matmul(W, X) + B
    return tg.binary_cross_entropy_with_logits(Z, Y, reduction="sum")


def train(X, Y, W, B, l_r, epoch_num):
    """The same for all samples at once."""
    costs, difference = [], 0.0
    for e in range(epoch_num):
        total_cost = cost(X, Y, W, B)
        dW, dB = tg.grad(total_cost, [W, B])
        if e % 10 == 0:
            A = sigmoid(np.matmul(W.data, X) + B.data)
            difference = max(difference, gradient_difference([dW, dB], backward(X, Y, A)))
        costs.append(total_cost.item())
        W.data -= l_r * dW / len(Y.T)
        B.data -= l_r * dB / len(Y.T)
    return costs, difference


def row(model, X, Y, W, B, costs, difference, printed=None) -> Row:
    """A trained neuron; adds its costs to the figure."""
    losses = np.array(costs) / len(Y.T)
    plt.semilogx(np.arange(len(losses)) + 1, losses, label=f"{model}: {len(losses)} epochs")
    right = np.sum((np.matmul(W.data, X) + B.data > 0) == Y)
    return Row(
        document="004",
        model=model,
        loss=losses[-1],
        accuracy=f"{right}/{len(Y.T)}",
        figure="mean loss",
        printed=printed,
        ours=losses[-1],
        tolerance=1e-9,
        gradient_difference=difference,
    )


def three_features() -> Row:
    X, Y, W, B = start(3, seed=1)
    by_loop, difference = train_with_for_loop(X, Y, W, B, l_r=0.01, epoch_num=20)
    plt.semilogx(np.arange(20) + 1, np.array(by_loop) / 20, "k.", label="3 features, for loop")
    X, Y, W, B = start(3, seed=1)
    costs, off = train(X, Y, W, B, l_r=0.01, epoch_num=5000)
    print(f"for loop or matrices: costs differ by {relative_difference(costs[:20], by_loop):.0e}")
    # Five equal costs: the document's cell had been run before, until nothing changed.
    print(f"total_cost = {np.round(costs[999::1000], 7)}, in the document 12.0334063 each")
    return row("3 features", X, Y, W, B, costs, max(difference, off))


def fifty_features() -> Row:
    X, Y, W, B = start(50, seed=2)
    costs, difference = train(X, Y, W, B, l_r=0.01, epoch_num=500)
    print(f"50 features: total cost {costs[-1]:.6f}, in the document 0.767097")
    print("predictions", *sigmoid(np.matmul(W.data, X) + B.data).round(3)[0])
    print("labels     ", *Y[0])
    return row("50 features", X, Y, W, B, costs, difference)


def last_cells() -> Row:
    """A sample a row, as the document has it here; its W is recovered from the A that it prints."""
    X = np.array([[1.0, 0, 0], [2.0, 0, 1], [3.0, 1, 0]])
    Y = np.array([0, 0, 1])
    W = tg.Tensor(
        [[-0.942079463991822, 0.34282379897639415, 0.9641644724415083]], requires_grad=True
    )
    b = tg.Tensor([0.0], requires_grad=True)
    costs, difference = train(X.T, Y.reshape(1, 3), W, b, l_r=1.0, epoch_num=37)
    print(f"last cells: loss {costs[0] / 3:.12g} -> {costs[-1] / 3:.12g} in 37 epochs")
    print(f"W = {W.data}, b = {b.data}")
    return row("last cells", X.T, Y.reshape(1, 3), W, b, costs, difference, 0.10346427009955754)


def main() -> list[Row]:
    test_sigmoid()
    test_neg_log_loss()
    rows = [printed_samples(), three_features(), fifty_features(), last_cells()]
    plt.ylim(bottom=0)
    plt.xlabel("epoch")
    plt.ylabel("mean negative log-likelihood")
    plt.legend()
    save_figure("toy")
    return rows


if __name__ == "__main__":
    print(table(main()))
