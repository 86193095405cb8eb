"""Optimizers: first steps in closed form, 100 steps as in PyTorch, and what they refuse."""

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf
from tinygrad_lr.optim import SGD, Adam

# A softmax regression of 5 samples, 3 features and 2 classes
X = np.array(
    [[0.5, -1.2, 2.0], [1.5, 0.3, -0.7], [-1.1, 0.8, 1.0], [0.2, 2.1, 0.4], [1.0, -1.9, 0.1]]
)
Y = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
W0 = np.array([[0.3, -0.2], [0.1, 0.4], [-0.5, 0.6]])
STEPS = 100

CONFIGURATIONS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}),
    "nesterov": ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    "decay": ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    "all together": ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    "Adam": ("Adam", {}),
    "Adam, other betas": ("Adam", {"lr": 0.005, "betas": (0.8, 0.99)}),
    "Adam, large eps": ("Adam", {"lr": 0.02, "eps": 0.1}),
    "Adam, decay": ("Adam", {"lr": 0.01, "weight_decay": 0.05}),
}

# W.ravel() after the steps, computed by PyTorch 2.13 in float64; test_torch.py computes it again
# fmt: off
GOLDEN = {
    "SGD": [
        0.1016895267402404, -0.0016895267402404625, 0.4952191830675631,
        0.004780816932436906, 0.4894003454446831, -0.38940034544468305,
    ],
    "momentum": [
        0.13531583778044118, -0.03531583778044132, 0.5124284061073789,
        -0.012428406107378852, 0.5238551817578478, -0.4238551817578486,
    ],
    "nesterov": [
        0.13576129700421893, -0.035761297004218755, 0.5136026811258805,
        -0.01360268112588021, 0.5223939009098486, -0.42239390090984846,
    ],
    "decay": [
        0.06210564607937186, -0.0015286024302990863, 0.3730325504257524,
        -0.07014733218038849, 0.42156352943119035, -0.3609864857821176,
    ],
    "all together": [
        0.06543604290388938, -0.004335728849363992, 0.37622036336987646,
        -0.0707187930972492, 0.42609190108339473, -0.36499158702886936,
    ],
    "Adam": [
        0.20415276014038064, -0.10415276014038084, 0.19434787742706364,
        0.3056521225729363, -0.4012605768403725, 0.5012605768403734,
    ],
    "Adam, other betas": [
        -0.020296074369699612, 0.12029607436969947, 0.38086563916586963,
        0.11913436083413054, -0.04986983977047591, 0.14986983977047613,
    ],
    "Adam, large eps": [
        0.061486207137139856, 0.038513792862859914, 0.4726691226421395,
        0.02733087735786082, 0.4332917831141942, -0.3332917831141947,
    ],
    "Adam, decay": [
        -0.01311869293738501, 0.08682436797996304, 0.35478053174649454,
        0.02649161069369712, 0.25213806721266585, -0.15591655858269984,
    ],
}
# fmt: on


def gradient(W):
    """The gradient of the mean cross-entropy."""
    e = np.exp(X @ W)
    return X.T @ (e / e.sum(1, keepdims=True) - Y) / len(X)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_100_steps_as_in_pytorch(name):
    kind, options = CONFIGURATIONS[name]
    W = leaf(W0)
    optimizer = getattr(tg.optim, kind)([W], **options)
    for _ in range(STEPS):
        W.grad = gradient(W.data)
        optimizer.step()
    np.testing.assert_allclose(W.data.ravel(), GOLDEN[name], rtol=1e-12)


# First steps


def steps(optimizer, *gradients):
    """The data of the only parameter after steps with these gradients."""
    (p,) = optimizer.params
    for g in gradients:
        p.grad = np.array(g)
        optimizer.step()
    return p.data


START, G1, G2 = np.array([1.0, -2.0, 0.5]), np.array([0.3, -4.0, 0.0]), np.array([-1.0, 2.0, 5.0])


def test_sgd_steps():
    expected = START - 0.1 * G1 - 0.1 * G2
    sgd = SGD([leaf(START)], lr=0.1)
    np.testing.assert_allclose(steps(sgd, G1, G2), expected, rtol=1e-14)


def test_sgd_default_lr():
    np.testing.assert_allclose(steps(SGD([leaf(START)]), G1), START - 0.01 * G1, rtol=1e-14)


def test_momentum_steps():
    v1 = G1
    v2 = 0.9 * v1 + G2
    sgd = SGD([leaf(START)], lr=0.1, momentum=0.9)
    np.testing.assert_allclose(steps(sgd, G1, G2), START - 0.1 * (v1 + v2), rtol=1e-14)


def test_nesterov_steps():
    v1 = G1
    v2 = 0.9 * v1 + G2
    expected = START - 0.1 * (G1 + 0.9 * v1) - 0.1 * (G2 + 0.9 * v2)
    sgd = SGD([leaf(START)], lr=0.1, momentum=0.9, nesterov=True)
    np.testing.assert_allclose(steps(sgd, G1, G2), expected, rtol=1e-14)


def test_sgd_weight_decay_step():
    sgd = SGD([leaf(START)], lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(steps(sgd, G1), START - 0.1 * (G1 + 0.5 * START), rtol=1e-14)


def test_adam_first_step():
    adam = Adam([leaf(START)], lr=0.1, eps=0.5)
    np.testing.assert_allclose(steps(adam, G1), START - 0.1 * G1 / (np.abs(G1) + 0.5), rtol=1e-14)


def test_adam_second_step():
    b1, b2 = 0.6, 0.7
    mean = (b1 * (1 - b1) * G1 + (1 - b1) * G2) / (1 - b1**2)
    square = (b2 * (1 - b2) * G1**2 + (1 - b2) * G2**2) / (1 - b2**2)
    first = START - 0.1 * G1 / (np.abs(G1) + 1e-8)
    adam = Adam([leaf(START)], lr=0.1, betas=(b1, b2))
    np.testing.assert_allclose(
        steps(adam, G1, G2), first - 0.1 * mean / (np.sqrt(square) + 1e-8), rtol=1e-13
    )


def test_adam_default_lr_and_gradient_0():
    expected = START - 1e-3 * G1 / (np.abs(G1) + 1e-8)
    np.testing.assert_allclose(steps(Adam([leaf(START)]), G1), expected, rtol=1e-14)


def test_adam_weight_decay_step():
    g = G1 + 0.5 * START
    adam = Adam([leaf(START)], lr=0.1, weight_decay=0.5)
    expected = START - 0.1 * g / (np.abs(g) + 1e-8)
    np.testing.assert_allclose(steps(adam, G1), expected, rtol=1e-14)


def test_betas_0_step_by_the_sign():
    adam = Adam([leaf(START)], lr=0.1, betas=(0, 0), eps=0)
    np.testing.assert_allclose(steps(adam, G2), START - 0.1 * np.sign(G2), rtol=1e-14)


# What a step touches

OPTIMIZERS = pytest.mark.parametrize(
    ("kind", "options"),
    [
        (SGD, {}),
        (SGD, {"momentum": 0.9}),
        (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (Adam, {"weight_decay": 0.1}),
    ],
    ids=["SGD", "momentum", "nesterov", "Adam"],
)


@pytest.mark.filterwarnings("ignore::tinygrad_lr.TensorWarning")  # one parameter is left out
@OPTIMIZERS
def test_parameters_without_a_gradient_are_left_alone(kind, options):
    idle, used = leaf(START), leaf(START)
    optimizer = kind([idle, used], lr=0.1, **options)
    used.grad = G1
    optimizer.step()
    np.testing.assert_array_equal(idle.data, START)
    assert not np.any(used.data[:2] == START[:2])


@pytest.mark.filterwarnings("ignore::tinygrad_lr.TensorWarning")  # one parameter is left out
@OPTIMIZERS
def test_a_gradient_that_comes_late_makes_a_first_step(kind, options):
    late, other, reference = leaf(START), leaf(START), leaf(START)
    optimizer = kind([late, other], lr=0.1, **options)
    other.grad = G2
    optimizer.step()
    late.grad = G1
    optimizer.step()
    expected = steps(kind([reference], lr=0.1, **options), G1)
    np.testing.assert_array_equal(late.data, expected)


@OPTIMIZERS
def test_steps_are_in_place_and_leave_gradients_and_dtypes(kind, options):
    p, g = leaf(np.float32(START)), np.float32(G2)
    data = p.data
    p.grad = g.copy()
    optimizer = kind([p], lr=0.1, **options)
    optimizer.step()
    optimizer.step()
    assert p.data is data and p.dtype == np.float32
    assert not np.any(data == np.float32(START))
    np.testing.assert_array_equal(p.grad, g)


@OPTIMIZERS
def test_gradients_are_not_kept_by_reference(kind, options):
    p, reference = leaf(START), leaf(START)
    optimizer = kind([p], lr=0.1, **options)
    p.grad = G1.copy()
    optimizer.step()
    p.grad[:] = G2  # the same array with other numbers
    optimizer.step()
    expected = steps(kind([reference], lr=0.1, **options), G1, G2)
    np.testing.assert_array_equal(p.data, expected)


@OPTIMIZERS
def test_numbers_are_trained_as_well(kind, options):
    p, same = leaf(1.0), leaf([1.0])
    expected = steps(kind([same], lr=0.1, **options), [3.0], [-1.0])
    assert steps(kind([p], lr=0.1, **options), 3.0, -1.0) == expected[0]
    assert p.shape == ()


def test_lr_may_change_between_steps():
    sgd = SGD([leaf(START)], lr=0.1)
    steps(sgd, G1)
    sgd.lr = 10.0
    np.testing.assert_allclose(steps(sgd, G2), START - 0.1 * G1 - 10 * G2, rtol=1e-14)


def test_lr_0_changes_nothing():
    for optimizer in (SGD([leaf(START)], lr=0), Adam([leaf(START)], lr=0)):
        np.testing.assert_array_equal(steps(optimizer, G1), START)


def test_zero_grad():
    p, q = leaf(START), leaf(START)
    optimizer = SGD([p, q])
    (p * p).sum().backward()
    assert p.grad is not None
    optimizer.zero_grad()
    assert p.grad is None and q.grad is None


def test_params_from_a_generator():
    model = tg.nn.Dense(2, 1)
    sgd = SGD(p for p in model.parameters())
    assert sgd.params == [model.W, model.b]


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_convex_problem_is_solved(kind):
    w = leaf(np.zeros(3))
    optimizer = kind([w], lr=0.05)
    for _ in range(2000):
        loss = tg.mse_loss(X @ w, X @ np.array([1.0, -2.0, 0.5]), "sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(w.data, [1, -2, 0.5], rtol=1e-6)


# What is refused


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "the list of parameters is empty: does the model have Tensors with"),
        (leaf(1), TypeError, r"a list, as of model.parameters"),
        ([leaf(1) * 2], ValueError, "pass the leaves that it is computed from"),
        ([tg.Tensor([1.0])], ValueError, "gets no gradient: make it with requires_grad=True"),
        ([leaf(START)] * 2, ValueError, "a parameter is listed twice"),
        ([np.ones(2)], TypeError, "a parameter is a Tensor, not ndarray"),
        ({"W": leaf(1)}, TypeError, "a parameter is a Tensor, not str"),
    ],
    ids=["empty", "Tensor", "no leaf", "not trained", "twice", "array", "dict"],
)
def test_parameters_that_are_refused(kind, params, error, message):
    with pytest.raises(error, match=message):
        kind(params)


BAD = [-1e-9, -np.inf, np.inf, np.nan]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (SGD, "lr"),
        (SGD, "momentum"),
        (SGD, "weight_decay"),
        (Adam, "lr"),
        (Adam, "eps"),
        (Adam, "weight_decay"),
    ],
)
def test_rates_out_of_range_are_refused(kind, name, value):
    with pytest.raises(ValueError) as error:
        kind([leaf(1)], **{name: value})
    assert str(error.value) == f"{name} is a finite number of at least 0, not {value!r}"


@pytest.mark.parametrize("value", [*BAD, 1.0, 1.5])
@pytest.mark.parametrize("i", [0, 1])
def test_betas_out_of_range_are_refused(i, value):
    betas = (value, 0.9) if i == 0 else (0.9, value)
    with pytest.raises(ValueError) as error:
        Adam([leaf(1)], betas=betas)
    for part in (f"betas[{i}] is", "below 1", f"not {value!r}"):
        assert part in str(error.value)


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValueError, match="so it needs momentum > 0"):
        SGD([leaf(1)], nesterov=True)
