"""Losses and their gradients against closed forms, at their ends, and what they refuse."""

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf
from tinygrad_lr import Tensor

M, C = 5, 3
rng = np.random.default_rng(0)
Z = rng.normal(size=M)  # logits of two classes, and probabilities of the second
P = rng.uniform(0.05, 0.95, M)
T = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
SOFT = np.array([0.9, 0.2, 0.0, 1.0, 0.5])
LOGITS = rng.normal(size=(M, C))
LABELS = np.array([2, 0, 1, 1, 0])
ONE_HOT = np.eye(C)[LABELS]
PROBABILITIES = rng.dirichlet(np.ones(C), M)
WEIGHT = np.array([0.5, 2.0, 1.25])

REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
BINARY = pytest.mark.parametrize(
    "loss", [tg.mse_loss, tg.binary_cross_entropy, tg.binary_cross_entropy_with_logits]
)


def check(loss, pred, expected, slope, reduction, total=None):
    """Compare value and gradient with the losses of the samples and their derivatives.

    A mean divides by `total`, by default the number of losses.
    """
    leaf_ = leaf(pred)
    value = loss(leaf_, reduction)
    if reduction == "none":
        g = np.linspace(0.5, 2, expected.size).reshape(expected.shape)
        value.backward(g)
        slope = slope * g.reshape(g.shape + (1,) * (slope.ndim - g.ndim))
    else:
        scale = 1 if reduction == "sum" else (total or expected.size)
        expected, slope = expected.sum() / scale, slope / scale
        value.backward()
    assert value.shape == np.shape(expected)
    np.testing.assert_allclose(value.data, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(leaf_.grad, slope, rtol=1e-13, atol=1e-15)


def softmax(z):
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


# Closed forms


@REDUCTIONS
@pytest.mark.parametrize("shape", [(M,), (M, 1), (1, M)])
def test_mse_loss(reduction, shape):
    z, t = Z.reshape(shape), SOFT.reshape(shape)
    check(lambda p, r: tg.mse_loss(p, t, r), z, (z - t) ** 2, 2 * (z - t), reduction)


@REDUCTIONS
@pytest.mark.parametrize("t", [T, SOFT, 1 - T], ids=["hard", "soft", "flipped"])
def test_binary_cross_entropy(reduction, t):
    expected = -(t * np.log(P) + (1 - t) * np.log(1 - P))
    slope = (1 - t) / (1 - P) - t / P
    check(lambda p, r: tg.binary_cross_entropy(p, t, r), P, expected, slope, reduction)


@REDUCTIONS
@pytest.mark.parametrize("t", [T, SOFT, 1 - T], ids=["hard", "soft", "flipped"])
def test_binary_cross_entropy_with_logits(reduction, t):
    p = 1 / (1 + np.exp(-Z))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    loss = tg.binary_cross_entropy_with_logits
    check(lambda z, r: loss(z, t, r), Z, expected, p - t, reduction)


@REDUCTIONS
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_cross_entropy_of_labels(reduction, weight):
    w = np.ones(M) if weight is None else weight[LABELS]
    p = softmax(LOGITS)
    check(
        lambda z, r: tg.cross_entropy(z, LABELS, weight, r),
        LOGITS,
        -w * np.log(p[np.arange(M), LABELS]),
        w[:, None] * (p - ONE_HOT),
        reduction,
        total=w.sum(),
    )


@REDUCTIONS
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("t", [ONE_HOT, PROBABILITIES], ids=["one-hot", "probabilities"])
def test_cross_entropy_of_probabilities(reduction, weight, t):
    wt = t if weight is None else t * weight
    p = softmax(LOGITS)
    check(
        lambda z, r: tg.cross_entropy(z, t, weight, r),
        LOGITS,
        -(wt * np.log(p)).sum(-1),
        wt.sum(-1, keepdims=True) * p - wt,
        reduction,
        total=M,
    )


@REDUCTIONS
@pytest.mark.parametrize("label", range(C))
def test_cross_entropy_of_one_sample(reduction, label):
    z = LOGITS[0]
    expected, slope = -np.log(softmax(z)[label]), softmax(z) - np.eye(C)[label]
    for target in (label, np.array(label), Tensor(label), np.eye(C)[label]):
        check(lambda z, r, t=target: tg.cross_entropy(z, t, None, r), z, expected, slope, reduction)


def test_weighted_mean_does_not_depend_on_the_scale_of_the_weights():
    first, second = (tg.cross_entropy(LOGITS, LABELS, w) for w in (WEIGHT, 10 * WEIGHT))
    assert first == pytest.approx(second, rel=1e-14)


def test_weight_0_leaves_a_class_out():
    others = LABELS != 1
    weighted = tg.cross_entropy(LOGITS, LABELS, [1.0, 0.0, 1.0])
    assert weighted == pytest.approx(tg.cross_entropy(LOGITS[others], LABELS[others]), rel=1e-14)


def test_the_logistic_loss_is_the_cross_entropy_of_two_classes():
    two = np.stack([np.zeros(M), Z], axis=1)
    logistic = tg.binary_cross_entropy_with_logits(Z, T)
    assert logistic == pytest.approx(tg.cross_entropy(two, T.astype(int)), rel=1e-14)
    assert logistic == pytest.approx(tg.binary_cross_entropy(tg.sigmoid(Z), T), rel=1e-14)


# Kinds of targets


@BINARY
@pytest.mark.parametrize("kind", [bool, int, np.uint8, np.float32, list, Tensor, "int Tensor"])
def test_targets_of_any_kind(loss, kind):
    labels = T.astype(int)
    target = {list: T.tolist(), Tensor: Tensor(T), "int Tensor": Tensor(labels)}.get(kind)
    target = labels.astype(kind) if target is None else target
    p, reference = leaf(P), leaf(P)
    loss(p, target).backward()
    loss(reference, T).backward()
    np.testing.assert_array_equal(p.grad, reference.grad)


@pytest.mark.parametrize(
    "target",
    [
        LABELS.tolist(),
        LABELS.astype(np.uint8),
        Tensor(LABELS),
        ONE_HOT.astype(bool),
        ONE_HOT.astype(int),
        Tensor(ONE_HOT),
        Tensor(ONE_HOT.astype(int)),
    ],
    ids=["list", "uint8", "int Tensor", "bool", "int one-hot", "Tensor", "int one-hot Tensor"],
)
def test_classes_of_any_kind(target):
    z, reference = leaf(LOGITS), leaf(LOGITS)
    tg.cross_entropy(z, target).backward()
    tg.cross_entropy(reference, LABELS).backward()
    np.testing.assert_allclose(z.grad, reference.grad, rtol=1e-14)


def test_targets_have_gradients():
    t, z = leaf(PROBABILITIES), leaf(LOGITS)
    tg.cross_entropy(z, t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad, -np.log(softmax(LOGITS)), rtol=1e-13)
    t = leaf(SOFT)
    tg.binary_cross_entropy(P, t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad, np.log(1 - P) - np.log(P), rtol=1e-13)
    t = leaf(SOFT)
    tg.binary_cross_entropy_with_logits(Z, t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad, -Z, rtol=1e-13)
    t = leaf(SOFT)
    tg.mse_loss(Z, t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad, 2 * (SOFT - Z), rtol=1e-13)


def test_float32_stays_float32():
    z, t = leaf(np.float32(Z)), np.float32(T)
    for loss in (tg.mse_loss, tg.binary_cross_entropy_with_logits):
        assert loss(z, t).dtype == np.float32
    assert tg.cross_entropy(leaf(np.float32(LOGITS)), LABELS, WEIGHT).dtype == np.float32


# Ends


def test_binary_cross_entropy_at_0_and_1():
    """Logarithms are limited as in PyTorch."""
    p = leaf([0.0, 1.0, 0.0, 1.0, 0.25])
    losses = tg.binary_cross_entropy(p, np.array([0, 1, 1, 0, 1]), "none")
    losses.sum().backward()
    np.testing.assert_allclose(losses.data, [0, 0, 100, 100, np.log(4)], rtol=1e-15)
    np.testing.assert_allclose(p.grad, [0, 0, -1e12, 1e12, -4], rtol=1e-15)


def test_binary_cross_entropy_near_0_and_1_is_exact():
    p = leaf([1e-9, 1 - 1e-9, 1e-300])
    losses = tg.binary_cross_entropy(p, np.array([1, 0, 0]), "none")
    losses.sum().backward()
    np.testing.assert_allclose(losses.data, [9 * np.log(10)] * 2 + [1e-300], rtol=1e-8)
    np.testing.assert_allclose(p.grad[:2], [-1e9, 1e9], rtol=1e-6)


def test_binary_cross_entropy_with_large_logits():
    z = leaf([1e4, -1e4, 1e4, -1e4, 0.0, 0.0])
    losses = tg.binary_cross_entropy_with_logits(z, np.array([1, 0, 0, 1, 0, 1]), "none")
    losses.sum().backward()
    np.testing.assert_allclose(losses.data, [0, 0, 1e4, 1e4, np.log(2), np.log(2)], rtol=1e-15)
    assert z.grad.tolist() == [0, 0, 1, -1, 0.5, -0.5]


def test_binary_cross_entropy_with_logits_is_exact_in_the_tail():
    z = leaf([40.0, -40.0])
    losses = tg.binary_cross_entropy_with_logits(z, np.array([1, 0]), "none")
    losses.sum().backward()
    np.testing.assert_allclose(losses.data, [np.exp(-40)] * 2, rtol=1e-14)
    np.testing.assert_allclose(z.grad[1], np.exp(-40), rtol=1e-14)


@pytest.mark.parametrize("classes", ["labels", "one-hot"])
def test_cross_entropy_with_large_logits(classes):
    first, last = [1e4, -1e4, 0.0], [1e4, 1e4, 1e4]
    z = leaf([first, first, last, [0.0, 1e4, -1e4], [-1e4, 0.0, 1e4]])
    labels = np.array([0, 1, 2, 1, 0])
    target = labels if classes == "labels" else np.eye(3)[labels]
    losses = tg.cross_entropy(z, target, reduction="none")
    losses.sum().backward()
    np.testing.assert_allclose(losses.data, [0, 2e4, np.log(3), 0, 2e4], rtol=1e-15)
    expected = [[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3], [0, 0, 0], [-1, 0, 1]]
    np.testing.assert_allclose(z.grad, expected, rtol=1e-15)


def test_a_class_can_be_ruled_out_by_a_logit_of_minus_infinity():
    z = leaf([[0.0, -np.inf, 0.0]])
    loss = tg.cross_entropy(z, np.array([0]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2), rel=1e-15)
    assert z.grad.tolist() == [[-0.5, 0.0, 0.5]]


# What is refused


@BINARY
@pytest.mark.parametrize(
    ("p", "t"), [((M,), (M, 1)), ((M, 1), (M,)), ((M,), ()), ((M, 1), (1, M)), ((M,), (M - 1,))]
)
def test_unequal_shapes_are_refused(loss, p, t):
    pred, target = np.full(p, 0.5), np.ones(t)
    for first, second in ((pred, target), (leaf(pred), target), (leaf(pred), Tensor(target))):
        with pytest.raises(ValueError) as error:
            loss(first, second)
        assert f"prediction has the shape {p} and the target {t}" in str(error.value)
        assert loss.__name__ in str(error.value)


@pytest.mark.parametrize("target", [(M, 1), (M - 1,), (), (M, C - 1), (C, M), (M, C, 1)], ids=str)
def test_cross_entropy_refuses_shapes_of_targets(target):
    with pytest.raises(ValueError) as error:
        tg.cross_entropy(LOGITS, np.zeros(target, int))
    assert f"target has the shape {target}, but logits {(M, C)}" in str(error.value)


@pytest.mark.parametrize("shape", [(), (M, C, 2)], ids=str)
def test_cross_entropy_refuses_shapes_of_logits(shape):
    with pytest.raises(ValueError) as error:
        tg.cross_entropy(np.zeros(shape), LABELS)
    assert f"logits have the shape (C,) or (m, C), not {shape}" in str(error.value)


@pytest.mark.parametrize("label", [C, -1, -100, 2**40])
@pytest.mark.parametrize("kind", [np.array, Tensor])
def test_cross_entropy_refuses_labels_out_of_range(label, kind):
    labels = LABELS.copy()
    labels[3] = label
    low, high = min(label, 0), max(label, 2)
    message = f"labels from {low} to {high}, but the logits have the classes 0 to 2"
    with pytest.raises(ValueError, match=message):
        tg.cross_entropy(LOGITS, kind(labels))


@pytest.mark.parametrize("dtype", [float, bool, np.float32])
@pytest.mark.parametrize("kind", [np.array, Tensor])
def test_cross_entropy_refuses_labels_that_are_no_integers(dtype, kind):
    with pytest.raises(TypeError, match=f"labels are integers, not {np.dtype(dtype)}"):
        tg.cross_entropy(LOGITS, kind(LABELS.astype(dtype)))


@pytest.mark.parametrize("weight", [np.ones(C - 1), np.ones(M), np.ones((1, C)), 2.0])
@pytest.mark.parametrize("target", [LABELS, ONE_HOT], ids=["labels", "one-hot"])
def test_cross_entropy_refuses_weights_of_another_shape(weight, target):
    with pytest.raises(ValueError) as error:
        tg.cross_entropy(LOGITS, target, weight)
    assert f"weight has the shape {np.shape(weight)}, but the logits have 3" in str(error.value)


@pytest.mark.parametrize("reduction", ["avg", "Mean", "", None])
@pytest.mark.parametrize(
    ("loss", "pred", "target"),
    [
        (tg.mse_loss, Z, T),
        (tg.binary_cross_entropy, P, T),
        (tg.binary_cross_entropy_with_logits, Z, T),
        (tg.cross_entropy, LOGITS, LABELS),
        (tg.cross_entropy, LOGITS, ONE_HOT),
    ],
)
def test_unknown_reductions_are_refused(loss, pred, target, reduction):
    with pytest.raises(ValueError, match=f"'mean', 'sum' or 'none', not {reduction!r}"):
        loss(pred, target, reduction=reduction)
