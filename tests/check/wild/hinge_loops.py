"""A hinge loss in nested loops that fill dW a column at a time."""

import numpy as np


def hinge_loss(W, X, y, reg):
    dW = np.zeros(W.shape)

    num_classes = W.shape[1]
    num_train = X.shape[0]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        correct_class_score = scores[y[i]]
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - correct_class_score + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]

    loss /= num_train
    dW /= num_train

    loss += reg * np.sum(W * W)
    dW += 2 * reg * W

    return loss, dW


rng = np.random.default_rng(61)
W = rng.standard_normal((5, 3)) * 0.4
X = rng.standard_normal((8, 5))
y = np.array([0, 2, 1, 1, 0, 2, 2, 1])
reg = 0.2


CHECK = "check(hinge_loss, W=W, X=X, y=y, reg=reg)"

MISTAKES = [
    ("dW[:, y[i]] -= X[i]",
     "dW[:, y[i]] += X[i]",
     "sign of the correct class"),
    ("dW[:, j] += X[i]",
     "dW[:, j] += margin * X[i]",
     "margin as a factor: that would be the squared hinge"),
    ("dW /= num_train",
     "dW /= num_classes",
     "divided by the classes"),
    ("dW[:, j] += X[i]",
     "dW[:, j] = X[i]",
     "= for +="),
]
