# ruff: noqa: RET504 (learners name what they return)
"""check_backward names the line that is wrong, and says why; and no more than it knows."""

import inspect

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import defined

rng = np.random.default_rng(7)
X = rng.normal(size=(9, 4))
Y = np.array([[0.0, 1, 1, 0, 1, 0, 0, 1, 1]]).T
W = rng.normal(size=(4, 1))
b = np.array([0.3])
GIVEN = {"X": X, "Y": Y, "W": W, "b": b}


def forward(X, Y, W, b):
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    loss = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return loss


def right(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db


def line(function, text):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, source in enumerate(lines) if text in source)


def test_a_right_backward_pass():
    report = tg.check_backward(forward, right, **GIVEN)
    assert report.ok and report.first_wrong is None
    assert [row.name for row in report.rows] == ["dZ", "dW", "db"]
    assert {row.verdict for row in report.rows} == {"right"}
    assert max(row.max_error for row in report.rows) < 1e-15
    assert "all 3 gradients are right" in str(report)
    report.assert_ok()


def test_the_line_that_is_wrong_and_those_that_follow_from_it():
    def backward(X, Y, A):
        dA = (-Y / A + (1 - Y) / (1 - A)) / len(X)
        dZ = dA * A
        dW = X.T @ dZ
        db = dZ.sum(axis=0)
        return {"W": dW, "b": db}

    report = tg.check_backward(forward, backward, **GIVEN)
    verdicts = {row.name: row.verdict for row in report.rows}
    told = {"dA": "right", "dZ": "wrong here", "dW": "inherited", "db": "inherited"}
    assert told.items() <= verdicts.items()
    assert report.first_wrong == "dZ" and not report.ok
    row = report.rows[1]
    assert row.line == line(backward, "dZ =") and row.source == "dZ = dA * A"
    with pytest.raises(AssertionError, match="first wrong: dZ, line"):
        report.assert_ok()


def test_a_factor_that_is_applied_later_is_a_convention():
    def backward(X, Y, A):
        m = len(X)
        dZ = A - Y
        dW = X.T @ dZ / m
        db = dZ.sum(axis=0) / m
        return dW, db

    report = tg.check_backward(forward, backward, **GIVEN)
    assert report.ok
    assert report.rows[0].diagnosis.startswith("by convention 9 times the gradient")


def test_a_shape_is_reported_and_not_condemned():
    def backward(X, Y, A):
        dZ = (A - Y) / len(X)
        dW = X.T @ dZ
        db = dZ.sum(keepdims=True)
        return dW, db

    report = tg.check_backward(forward, backward, **GIVEN)
    assert report.ok and "shape (1, 1) for (1,)" in report.rows[-1].diagnosis


@pytest.mark.parametrize("name", ["grad_W", "W_grad", "dW", "d_W", "nabla_W", "dL_dW", "dw"])
def test_names(name):
    source = f"def backward(X, Y, A):\n    {name} = X.T @ (A - Y) / len(X)\n    return {name}\n"
    report = tg.check_backward(forward, *defined(source), wrt="W", **GIVEN)
    assert report.ok and [row.name for row in report.rows] == [name]


def test_other_names_are_told():
    def backward(X, Y, A):
        error = 2 * (A - Y) / len(X)
        return error

    report = tg.check_backward(forward, backward, names={"error": "Z"}, **GIVEN)
    assert report.first_wrong == "error" and "2 times too large" in report.rows[0].diagnosis
    with pytest.raises(ValueError, match="forward has no value 'Q'"):
        tg.check_backward(forward, backward, names={"error": "Q"}, **GIVEN)


def test_the_cache_is_found_by_name_or_as_what_is_left():
    def with_cache(X, Y, W, b):
        A = 1 / (1 + np.exp(-(X @ W + b)))
        memory = {"A": A}
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)), memory

    def by_name(X, Y, memory):
        dW = X.T @ (memory["A"] - Y) / len(X)
        return {"W": dW}

    def left(X, Y, saved):
        dW = X.T @ (saved["A"] - Y) / len(X)
        return dW

    for backward in (by_name, left):
        tg.check_backward(with_cache, backward, wrt="W", **GIVEN).assert_ok()


def test_a_term_and_a_factor_are_missing():
    def backward(X, Y, A):
        dW = X.T @ A
        return dW

    report = tg.check_backward(forward, backward, **GIVEN)
    assert "the term Y of A - Y is missing, and the rest is 9 times" in report.rows[0].diagnosis


# Whether the loss or the backward pass is the odd one out

PASSES = """
def forward(X, Y, W, b):
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    J = {}(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return J

def backward(X, Y, A):
    m = len(X)
    dZ = {}
    dW = X.T @ dZ{}
    db = np.sum(dZ){}
    return dW, db
"""


@pytest.mark.parametrize(
    ("loss", "dZ", "by", "bias_by", "first", "diagnosis"),
    [
        ("-np.sum", "A - Y", " / m", " / m", "J", "loss is 9 times theirs"),
        ("-2 * np.sum", "2 * (A - Y)", " / 2", " / 2", "dW", "half of what it should be"),
        ("np.sum", "A - Y", "", "", "J", "negative as a log-likelihood is"),
        ("np.sum", "A - Y", " / m", " / m", "J", "negative as a log-likelihood is"),
        ("-np.sum", "A - Y", " / m", "", "dW", "divided once too often by 9"),
        ("-np.sum", "A - Y", "", " / m", "db", "divided once too often by 9"),
        ("-np.sum", "(A - Y) / m", "", "", "dZ", "divided once too often by 9"),
        ("-np.mean", "(A - Y) / m", " / m", " / m", "dZ", "divided once too often by 9"),
        ("-1 / len(X) * np.sum", "(A - Y) / m", " / m", " / m", "dZ", "once too often by 9"),
        ("-np.mean", "A - Y", "", "", "dZ", "not divided by the number of samples"),
        ("-np.mean", "2 * (A - Y)", " / m", " / m", "dZ", "2 times too large"),
        ("-np.sum", "Y - A", "", "", "dZ", "the sign is flipped"),
    ],
)
def test_the_odd_one_out(loss, dZ, by, bias_by, first, diagnosis):
    report = tg.check_backward(*defined(PASSES.format(loss, dZ, by, bias_by)), **GIVEN)
    wrong = [row for row in report.rows if row.verdict == "wrong here"]
    assert wrong[0].name == first and diagnosis in wrong[0].diagnosis, str(report)


# What can happen besides


def test_a_backward_pass_that_raises_is_reported():
    def backward(X, Y, A):
        dZ = (A - Y) / len(X)
        dW = X @ dZ
        return dW

    report = tg.check_backward(forward, backward, **GIVEN)
    assert report.first_wrong == "dW" and not report.ok
    assert f"backward raised ValueError in line {line(backward, 'dW =')}" in str(report)
    assert report.rows[0].verdict == "right"


@pytest.mark.parametrize("before", ["", "\n    dW = X.T @ dZ"])
def test_a_backward_pass_that_raises_may_hold_an_eps(before):
    (backward,) = defined(f"""
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    scale = 1 / (np.abs(dZ) + 1e-8){before}
    dW = X @ dZ
    return dW
""")
    report = tg.check_backward(forward, backward, **GIVEN)
    assert report.first_wrong == "dW" and "raised ValueError" in report.summary
    assert "digits" not in str(report)


def test_nothing_that_is_a_claim():
    def backward(X, Y, A):
        pass

    report = tg.check_backward(forward, backward, **GIVEN)
    assert not report.ok and report.first_wrong is None and report.rows == []
    assert "returns nothing that is named after" in str(report)
    with pytest.raises(AssertionError):
        report.assert_ok()


def test_a_change_in_place_is_told_and_damages_nothing():
    def backward(X, Y, A):
        dZ = A
        dZ -= Y
        dZ /= len(X)
        dW = X.T @ dZ
        return dW

    before = X.copy()
    report = tg.check_backward(forward, backward, wrt="W", **GIVEN)
    assert report.ok and "changes A in place" in str(report)
    assert np.array_equal(X, before)


def test_nan():
    def backward(X, Y, A):
        dZ = (A - Y) / len(X)
        dW = X.T @ np.log(-np.abs(dZ))
        return dW

    report = tg.check_backward(forward, backward, **GIVEN)
    assert report.first_wrong == "dW" and report.rows[-1].diagnosis == "not finite"


def test_what_is_not_possible_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match=r"shape \(9, 1\): the gradient of one number"):
        tg.check_backward(lambda X, Y, W, b: X @ W + b - Y, right, **GIVEN)
    with pytest.raises(ValueError, match="which no gradient leads back from"):
        tg.check_backward(lambda X, Y, W, b: 3.0, right, **GIVEN)
    with pytest.raises(ValueError, match="raised KeyError"):
        tg.check_backward(lambda X, Y, W, b: {}["W"], right, **GIVEN)
    with pytest.raises(TypeError, match="takes A, Q, which is neither"):
        tg.check_backward(lambda X, Y, W, b: np.mean(X @ W), lambda A, Q: None, **GIVEN)


def test_a_loss_that_is_returned_as_a_plain_number():
    def plain(X, Y, W, b):
        A = 1 / (1 + np.exp(-(X @ W + b)))
        cost = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
        return float(cost)

    tg.check_backward(plain, right, **GIVEN).assert_ok()


def test_labels_that_forward_uses_as_indices():
    def softmax(X, y, W):
        P = np.exp(X @ W)
        P = P / P.sum(axis=1, keepdims=True)
        return -np.mean(np.log(P[np.arange(len(y)), y.astype(int)]))

    def backward(X, y, P):
        dW = X.T @ (P - np.eye(3)[y.astype(int)]) / len(X)
        return dW

    y = np.array([0.0, 2, 1, 1, 0, 2, 2, 1, 0])
    tg.check_backward(softmax, backward, X=X, y=y, W=rng.normal(size=(4, 3))).assert_ok()


def test_an_eps_in_forward_that_backward_leaves_out():
    def guarded(X, Y, W, b):
        A = 1 / (1 + np.exp(-(X @ W + b)))
        return -np.mean(Y * np.log(A + 1e-8) + (1 - Y) * np.log(1 - A + 1e-8))

    report = tg.check_backward(guarded, right, **GIVEN)
    assert report.ok and "log(... + 1e-08)" in report.cautions[0]
    steep = {**GIVEN, "W": np.array([[4.0], [-4.0], [4.0], [0.0]])}
    assert tg.check_backward(guarded, right, **steep).ok
    report = tg.check_backward(guarded, right, **{**GIVEN, "X": 100 * X})
    assert "saturated" in str(report)


def test_a_value_used_twice_at_every_step():
    def growth(x):
        h = 1 * x
        for _ in range(40):
            h = h * (1.5 - h)
        return np.sum(h**2)

    def backward(h):
        dx = h**3
        return dx

    report = tg.check_backward(growth, backward, x=np.array([0.3, 0.4]))
    assert report.first_wrong == "dx"


def test_cautions():
    def cautions(**changed):
        return " ".join(tg.check_backward(forward, right, **{**GIVEN, **changed}).cautions)

    assert cautions() == ""
    assert "only one sample" in cautions(X=X[:1], Y=Y[:1])
    assert "only one label" in cautions(Y=np.ones((9, 1)))
    assert "as many features as samples" in cautions(X=X[:4], Y=Y[:4])


def test_inputs_that_are_empty_or_rows_of_different_lengths():
    def forward(X, mask, w):
        return sum(np.sum(w * np.array(x)) ** 2 for x in X)

    def backward(X, mask, w):
        return sum(2 * np.sum(w * np.array(x)) * np.sum(x) for x in X)

    rows = [[1.0, 2.0], [3.0]]
    assert tg.check_backward(forward, backward, X=rows, mask=[], w=np.array(0.5)).ok


def test_a_caution_names_an_attribute_as_it_is_written():
    class Model:
        W = None

    def forward(X, model):
        return np.sum(X @ model.W)

    def backward(X, model):
        return X.T @ np.ones((3, 2))

    model = Model()
    model.W = np.eye(2)
    report = tg.check_backward(forward, backward, X=np.ones((3, 2)), model=model)
    assert report.ok and "caution: model.W is square" in str(report)


def test_cautions_on_weights():
    def forward(X, Y, W):
        return np.mean((np.sum(np.tanh(X @ W), axis=1, keepdims=True) - Y) ** 2)

    def cautions(samples, units):
        shapes = {"X": (samples, 3), "Y": (samples, 1), "W": (3, units)}
        given = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        return " ".join(tg.check_backward(forward, lambda X: {"dW": X[:0]}, **given).cautions)

    assert cautions(7, 5) == ""
    assert "W is square: with as many features as classes or units" in cautions(7, 3)
    assert "W is (3, 7): with as many classes or units as samples" in cautions(7, 7)


def test_the_page_of_a_notebook_is_escaped():
    def backward(X, Y, A):
        dZ = (A - Y) / len(X) * (A < 2)
        return dZ

    page = tg.check_backward(forward, backward, **GIVEN)._repr_html_()
    assert "A &lt; 2" in page and "<table>" in page and "\033" not in page


def test_colour_on_a_terminal_only(monkeypatch):
    report = tg.check_backward(forward, right, **GIVEN)
    assert "\033[" not in str(report)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\033[32mright" in str(report)


def test_inputs_are_samples_by_their_length_but_parameters_are_not():
    def forward(entradas, alvos, U, c):
        return np.mean((np.tanh(entradas @ U) @ np.ones(3) * c - alvos) ** 2)

    def backward(entradas, alvos, U, c):
        h = np.tanh(entradas @ U)
        g = 2 * (h @ np.ones(3) * c - alvos) / len(alvos)
        dU = entradas.T @ (np.outer(g, np.ones(3)) * c * (1 - h**2))
        return dU, g @ h @ np.ones(3)

    rng = np.random.default_rng(3)
    given = {"entradas": rng.normal(size=(7, 2)), "alvos": rng.normal(size=7), "c": 0.7}
    report = tg.check_backward(forward, backward, U=rng.normal(size=(2, 3)), **given)
    report.assert_ok()
    assert report.left_out == ["entradas", "alvos"]

    def affine(X, W, b, scale):
        return np.sum((X @ W + b) ** 2) * scale

    def forgets(X, W, b, scale):
        dscale = np.sum((X @ W + b) ** 2)
        return dscale

    given = {"X": rng.normal(size=(7, 2)), "W": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}
    report = tg.check_backward(affine, forgets, **given, scale=0.3)
    assert not report.ok and report.missing == ["W", "b"]
