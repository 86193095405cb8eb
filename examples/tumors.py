"""Document 003: benign or malignant? Softmax regression, written out in NumPy and as a class."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import tinygrad_lr as tg
from examples.report import Row, gradient_difference, relative_difference, save_figure, table

# Rows, mean and covariance of (leukocyte count, blood pressure), before the cut in draw_tumors.
TUMORS = {
    "benign": (389, (16.517, 14.856), ((5.585, 0.459), (0.459, 0.995))),
    "malignant": (611, (14.089, 15.634), ((6.874, 0.157), (0.157, 0.952))),
}
# What the document's own 1000 rows give: loss and accuracy at epochs 0, 10, .. 40.
NUMPY_FORM = [(0.684, 0.897), (0.446, 0.970), (0.349, 0.973), (0.297, 0.973), (0.263, 0.973)]
CLASS_FORM = [(0.96, 60.7), (0.28, 87.0), (0.15, 95.6), (0.12, 97.7), (0.10, 98.3)]
# What its NumPy form gives on 40 tables of draw_tumors: the mean, and the deviation of a table.
EXPECTED_LOSS, DEVIATION = 0.2455, 0.0065
SEED = 1234


def draw_tumors(rng):
    """1000 rows that resemble the document's tumors.csv: X (1000, 2) and y, the class names.

    Its classes are Gaussians cut by a line along which they mix a little, so a draw is kept with
    the probability that a logistic regression on tumors.csv gives to its class.
    """
    X, y = [], []
    for name, (count, mean, covariance) in TUMORS.items():
        draws = rng.multivariate_normal(mean, covariance, 4 * count, method="cholesky")
        malignant = tg.sigmoid(draws @ [-8.5259, 8.6930] + 3.1747)
        kept = rng.random(len(draws)) < (malignant if name == "malignant" else 1 - malignant)
        X.append(draws[kept][:count])
        y += [name] * count
    return np.concatenate(X), np.array(y)


def train_val_test_split(X, y, train_size):
    X_train, X_, y_train, y_ = train_test_split(X, y, train_size=train_size, stratify=y)
    X_val, X_test, y_val, y_test = train_test_split(X_, y_, train_size=0.5, stratify=y_)
    return X_train, X_val, X_test, y_train, y_val, y_test


class LabelEncoder:
    def fit(self, y):
        self.classes = np.unique(y).tolist()
        self.class_to_index = {class_: i for i, class_ in enumerate(self.classes)}
        return self

    def encode(self, y):
        return np.array([self.class_to_index[item] for item in y])

    def decode(self, y):
        return [self.classes[item] for item in y]


def forward(X, W, b):
    return np.dot(X, W) + b


def backward(X, y, logits, class_weights):
    """dW and db of the weighted mean; with equal weights it is the mean."""
    exp_logits = np.exp(logits)
    y_hat = exp_logits / np.sum(exp_logits, axis=1, keepdims=True)
    dscores = y_hat.copy()  # without a copy, as in the document, y_hat is no probability any more
    dscores[range(len(y_hat)), y] -= 1
    dscores *= class_weights[y, None] / np.sum(class_weights[y])
    dW = np.dot(X.T, dscores)
    db = np.sum(dscores, axis=0, keepdims=True)
    return dW, db


def accuracy_fn(y_pred, y_true):
    return np.mean(np.equal(y_pred, y_true)) * 100


def predict(X, W, b):
    return np.argmax(forward(X, W, b), axis=1)


def evaluate(X, y, W, b, printed):
    """Print the accuracy on each split, and return that on the test split, in %."""
    accuracies = {split: accuracy_fn(predict(X[split], W, b), y[split]) for split in X}
    text = ", ".join(f"{split} acc: {accuracy:.1f}" for split, accuracy in accuracies.items())
    print(f"{text}; in the document train and test acc: {printed}")
    return accuracies["test"]


def start():
    """The document's W: it has the same seed, and as many random numbers were used before."""
    W = tg.Tensor(0.01 * np.random.randn(2, 2), requires_grad=True)
    b = tg.Tensor(np.zeros((1, 2)), requires_grad=True)
    return W, b


def numpy_form(X, y):
    """W, b and a row of the table; the gradients are checked every 10 epochs."""
    X_train, y_train = X["train"], y["train"]
    print(
        f"loss: {tg.cross_entropy(forward(X_train, *start()), y_train):.2f}, in the document 0.70"
    )
    W, b = start()  # once more, as in the document: the first were for a single step
    difference = 0.0
    for epoch_num in range(50):
        logits = forward(X_train, W, b)
        loss = tg.cross_entropy(logits, y_train)
        dW, db = tg.grad(loss, [W, b])
        if epoch_num % 10 == 0:
            by_hand = backward(X_train, y_train, logits.data, np.ones(2))
            difference = max(difference, gradient_difference([dW, db], by_hand))
            accuracy = np.mean(np.equal(y_train, logits.argmax(axis=1)))
            printed = "{:.3f}, {:.3f}".format(*NUMPY_FORM[epoch_num // 10])
            print(f"Epoch: {epoch_num}, loss: {loss:.3f}, accuracy: {accuracy:.3f} ({printed})")
        W.data -= 0.1 * dW
        b.data -= 0.1 * db
    loss = tg.cross_entropy(forward(X_train, W, b), y_train).item()
    test_accuracy = evaluate(X, y, W.data, b.data, printed=0.97)
    row = Row(
        document="003",
        model="tumors, NumPy form",
        loss=loss,
        accuracy=f"{test_accuracy:.1f} %",
        figure="loss (mean of 40 tables)",
        printed=EXPECTED_LOSS,
        ours=loss,
        tolerance=3 * DEVIATION / EXPECTED_LOSS,
        gradient_difference=difference,
    )
    return W.data, b.data, row


class LogisticRegression(tg.nn.Module):
    def __init__(self, input_dim, num_classes):
        self.fc1 = tg.nn.Dense(input_dim, num_classes)

    def forward(self, x_in):
        return self.fc1(x_in)


def class_form(X, y, class_weights):
    """The same from a layer, with weighted classes and Adam."""
    X_train, y_train = X["train"], y["train"]
    model = LogisticRegression(input_dim=2, num_classes=2)
    # The document's start, which is PyTorch's for the seed 1234 and has a row a class.
    W = np.array([[-0.66612393, -0.13873638], [-0.33963162, -0.18859762]]).T
    model.load_state_dict({"fc1.W": W, "fc1.b": [-0.62465709, 0.2837545]})
    optimizer = tg.optim.Adam(model.parameters(), lr=0.1)
    difference = 0.0
    for epoch in range(50):
        y_pred = model(X_train)
        loss = tg.cross_entropy(y_pred, y_train, weight=class_weights)
        optimizer.zero_grad()
        loss.backward()
        if epoch % 10 == 0:
            dW, db = backward(X_train, y_train, y_pred.data, class_weights)
            ours = [model.fc1.W.grad, model.fc1.b.grad]
            difference = max(difference, gradient_difference(ours, [dW, db[0]]))
            accuracy = accuracy_fn(y_pred.argmax(axis=1), y_train)
            printed = "{:.2f}, {:.1f}".format(*CLASS_FORM[epoch // 10])
            print(f"Epoch: {epoch} | loss: {loss:.2f}, accuracy: {accuracy:.1f} ({printed})")
        optimizer.step()
    W, b = model.fc1.W.data, model.fc1.b.data
    test_accuracy = evaluate(X, y, W, b, printed=0.98)
    row = Row(
        document="003",
        model="tumors, class form",
        loss=tg.cross_entropy(model(X_train), y_train, weight=class_weights).item(),
        accuracy=f"{test_accuracy:.1f} %",
        figure="test accuracy in %",
        printed=98.0,
        ours=test_accuracy,
        tolerance=3 * np.sqrt(0.02 / 0.98 / 150),  # 3 deviations of a share of 150 tumors
        gradient_difference=difference,
    )
    return W, b, row


def unstandardize(W, b, X_scaler):
    """The weights for X as it was measured."""
    W_unscaled = W / X_scaler.scale_[:, None]
    # The document sums mean * W over the classes as well: both get the same shift, the boundary
    # moves, and on its data 97 instead of 147 of the 150 test tumors are classified right.
    b_unscaled = b - X_scaler.mean_ @ W_unscaled
    return W_unscaled, b_unscaled


def get_metrics(y_true, y_pred, classes):
    """(precision, recall, f1) of each class and overall."""
    each = precision_recall_fscore_support(y_true, y_pred, average=None)[:3]
    overall = precision_recall_fscore_support(y_true, y_pred, average="weighted")[:3]
    return dict(zip([*classes, "overall"], [*np.transpose(each), overall], strict=True))


def plot_decision_boundary(X, y, classes, boundaries):
    for i, marker in enumerate("os"):
        plt.scatter(*X[y == i].T, s=10, marker=marker, label=classes[i])
    for (name, (W, b)), style in zip(boundaries.items(), ("-", "--"), strict=True):
        (w0, w1), c = W[:, 1] - W[:, 0], b[..., 1] - b[..., 0]
        leukocytes = X[:, 0].mean()
        on_line = leukocytes, -(w0 * leukocytes + c).item() / w1
        plt.axline(on_line, slope=-w0 / w1, color="k", linestyle=style, label=name)
    plt.xlabel("leukocyte count")


def ce_demo() -> Row:
    """The document's three logits, which PyTorch drew in float32."""
    logits = tg.Tensor(
        [
            [-0.8544751405715942, 0.5098422169685364],
            [-0.08205454796552658, 0.6607316732406616],
            [0.07846496254205704, 0.788429319858551],
        ],
        requires_grad=True,
    )
    y_true = np.array([0, 0, 0])
    loss = tg.cross_entropy(logits, y_true)
    by_hand = (tg.softmax(logits.data) - np.eye(2)[y_true]) / 3
    print(f"Loss: {loss:.10f}, in the document 1.2779091597")
    return Row(
        document="003",
        model="loss of 3 samples",
        loss=loss.item(),
        figure="loss, in float32",
        printed=1.2779091596603394,
        ours=loss.item(),
        tolerance=1e-7,
        gradient_difference=gradient_difference(tg.grad(loss, [logits]), [by_hand]),
    )


def prepare(rng):
    """The splits as measured, as standardized and as numbers of classes; scaler and encoder."""
    X, y = draw_tumors(rng)
    np.random.seed(SEED)
    order = np.random.permutation(len(X))
    splits = train_val_test_split(X[order], y[order], train_size=0.7)
    label_encoder = LabelEncoder().fit(splits[3])
    raw = dict(zip(("train", "val", "test"), splits[:3], strict=True))
    y = {split: label_encoder.encode(y) for split, y in zip(raw, splits[3:], strict=True)}
    X_scaler = StandardScaler().fit(raw["train"])
    X = {split: X_scaler.transform(x) for split, x in raw.items()}
    return raw, X, y, X_scaler, label_encoder


def main() -> list[Row]:
    raw, X, y, X_scaler, label_encoder = prepare(np.random.default_rng(SEED))
    counts = np.bincount(y["train"])
    print(f"counts: {counts}, in the document [272 428]")
    W_numpy, b_numpy, numpy_row = numpy_form(X, y)
    W, b, class_row = class_form(X, y, class_weights=1 / counts)
    performance = get_metrics(y["test"], predict(X["test"], W, b), label_encoder.classes)
    for name, metrics in performance.items():
        print("{}: precision {:.4f}, recall {:.4f}, f1 {:.4f}".format(name, *metrics))
    print("the document's code on its data, overall: 0.9800, 0.9800, 0.9800")

    W_unscaled, b_unscaled = unstandardize(W, b, X_scaler)
    scaled, unscaled = forward(X["test"], W, b), forward(raw["test"], W_unscaled, b_unscaled)
    print(f"unscaled weights give logits within {relative_difference(unscaled, scaled):.0e}")
    b_document = b - np.sum(X_scaler.mean_ @ W_unscaled)
    accuracy = accuracy_fn(predict(raw["test"], W_unscaled, b_document), y["test"])
    print(f"with the document's unscaled b: test acc: {accuracy:.1f}")
    y_infer = tg.softmax(forward(np.array([[13, 12]]), W_unscaled, b_unscaled))
    label = label_encoder.decode(y_infer.argmax(axis=1))[0]
    print(f"(13, 12): a {label} tumor, {100 * y_infer.max():.0f}%; in the document benign, 93%")
    accuracy = accuracy_fn(np.array([0, 0, 1]), np.array([1, 1, 1]))
    print(f"Accuracy: {accuracy:.1f} (the document prints the expression: its f is missing)")

    boundaries = {
        "NumPy form": unstandardize(W_numpy, b_numpy, X_scaler),
        "class form": (W_unscaled, b_unscaled),
    }
    _, panels = plt.subplots(1, 2, figsize=(11, 4.5), sharex=True, sharey=True)
    for panel, split in zip(panels, ("train", "test"), strict=True):
        plt.sca(panel)
        plt.title(split)
        plot_decision_boundary(raw[split], y[split], label_encoder.classes, boundaries)
    panels[0].set_ylabel("blood pressure")
    plt.legend()
    save_figure("tumors")
    return [numpy_row, class_row, ce_demo()]


if __name__ == "__main__":
    print(table(main()))
