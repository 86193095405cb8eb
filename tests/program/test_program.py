"""Exported programs compute what the graph computes, and read as a person writes them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tinygrad_lr as tg
from examples import dask_rows, programs, titanic
from tests.samples import CASES, arrays_in, bound, function
from tinygrad_lr import Tensor, to_numpy
from tinygrad_lr.program import algebra
from tinygrad_lr.program import simplify as rewriting

every_sample = pytest.mark.parametrize(("name", "sample"), CASES)
both = pytest.mark.parametrize("simplify", [True, False], ids=["simplified", "as recorded"])


def run(program, **arrays):
    """What the source of a program computes, in a namespace of its own."""
    space = {}
    exec(str(program), space)
    return space["step"](**(program.inputs | arrays))


def assert_same(results, expected, tol=1e-12):
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        theirs = np.asarray(theirs.data if isinstance(theirs, Tensor) else theirs)
        assert np.shape(ours) == theirs.shape
        scale = np.max(np.abs(theirs), initial=0.0)
        assert_allclose(ours, theirs, rtol=tol, atol=tol * max(scale, 1))


def scalar(name, sample, leaves):
    y = bound(function(name), sample)(*leaves)
    v = np.cos(np.arange(y.size)).reshape(y.shape)
    return (v * y).sum()


@both
@every_sample
def test_the_program_of_every_operation_gives_its_value_and_gradients(name, sample, simplify):
    leaves = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    L = scalar(name, sample, leaves)
    program = to_numpy(L, leaves, simplify=simplify)
    assert_same(run(program), [L, *tg.grad(L, leaves)])


@both
@every_sample
def test_the_program_of_every_second_derivative(name, sample, simplify):
    leaves = [Tensor(x, requires_grad=True) for x in arrays_in(sample)]
    L = scalar(name, sample, leaves)
    first = tg.grad(L, leaves, create_graph=True)
    total = sum((np.sin(1.0 + np.arange(g.size)).reshape(g.shape) * g).sum() for g in first)
    total = total + 0 * sum((x * x).sum() for x in leaves)
    program = to_numpy(total, leaves, simplify=simplify)
    assert_same(run(program), [total, *tg.grad(total, leaves)], 1e-10)


def data_of(m, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 3))
    return X, rng.integers(0, 2, (m, 1)) * 1.0, rng.integers(0, 4, m)


def parameters(*shapes):
    rng = np.random.default_rng(7)
    return [Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z)
    return e / np.sum(e, axis=1, keepdims=True)


def neg_log(y, a):
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def logistic(X, Y, y, W, b):
    A = sigmoid(np.dot(X, W) + b)
    m = len(X)
    return -1 / m * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def logistic_by_a_function(X, Y, y, W, b):
    return np.mean(neg_log(Y, sigmoid(X @ W + b)))


def logistic_in_columns(X, Y, y, W, b):
    A = sigmoid(np.dot(W.T, X.T) + b)
    return -np.sum(Y.T * np.log(A) + (1 - Y.T) * np.log(1 - A)) / X.shape[0]


def from_logits(X, Y, y, W, b):
    return tg.binary_cross_entropy_with_logits(X @ W + b, Y)


def labels_as_bool(X, Y, y, W, b):
    positive = Y > 0.5
    return np.mean(np.where(positive, 1, 2) * np.square(X @ W + b))


def scaled_data(X, Y, y, W, b):
    return np.mean(neg_log(Y, sigmoid((X - 0.5) / 2 @ W + b)))


def least_squares(X, Y, y, W, b):
    reg = 0.01
    return ((X @ W + b - Y) ** 2).mean() + reg * np.sum(W * W)


def hinge(X, Y, y, W, b):
    return np.mean(np.maximum(0, 1 - (2 * Y - 1) * (X @ W + b)))


def masked(X, Y, y, W, b):
    z = X @ W + b
    return np.sum((z > 0) * z) / len(z)


def chosen(X, Y, y, V, c):
    P = softmax(X @ V + c)
    return -np.mean(np.log(P[range(len(X)), y]))


def chosen_by_arange(X, Y, y, V, c):
    P = softmax(X @ V + c)
    m = X.shape[0]
    return np.sum(-np.log(P[np.arange(m), y])) / m


def one_hot(X, Y, y, V, c):
    P = softmax(X @ V + c)
    T = Tensor(np.eye(4))[y]
    return -np.sum(T * np.log(P)) / len(T)


def cross_entropy(X, Y, y, V, c):
    return tg.cross_entropy(X @ V + c, y)


def weighted(X, Y, y, V, c):
    return tg.cross_entropy(X @ V + c, y, weight=[1.0, 2.0, 3.0, 4.0])


def multiclass_hinge(X, Y, y, V, c):
    scores = X @ V + c
    right = scores[np.arange(len(X)), y][:, None]
    return np.mean(np.sum(np.maximum(0, scores - right + 1), axis=1)) - 1


def halves(X, Y, y, W, b):
    Z, (m, _) = X @ W + b, X.shape
    return np.mean(Z[: m // 2] ** 2) + np.sum(Z[m - 2] * Z[-m // 2 :])


def reshaped(X, Y, y, W, b):
    m, Z = len(X), X @ W + b
    return np.mean(np.reshape(Z, (1, m)) ** 2) + np.sum(Z[1:].reshape(m - 1) ** 2 * Y[1:, 0])


TWO = [
    logistic, logistic_by_a_function, logistic_in_columns, from_logits, labels_as_bool,
    scaled_data, least_squares, hinge, masked, halves, reshaped,
]  # fmt: skip
FOUR = [chosen, chosen_by_arange, one_hot, cross_entropy, weighted, multiclass_hinge]


def recorded(model, m=5, seed=0, simplify=True, **how):
    """A model's program, its loss and its parameters."""
    X, Y, y = data_of(m, seed)
    W, b = parameters((3, 1), (1,)) if model in TWO else parameters((3, 4), (1, 4))
    program = to_numpy(of_batch(model, W, b), X, Y, y, wrt=[W, b], simplify=simplify, **how)
    return program, X, Y, y, W, b


def of_batch(model, W, b):
    return lambda X, Y, y: model(X, Y, y, W, b)


@both
@pytest.mark.parametrize("model", TWO + FOUR, ids=lambda model: model.__name__)
@pytest.mark.parametrize("m", [3, 4, 9])
def test_a_program_is_right_for_other_numbers_of_samples(model, m, simplify):
    program, X, Y, y, W, b = recorded(model, simplify=simplify)
    X, Y, y = data_of(m, seed=m)
    loss = model(X, Y, y, W, b)
    assert [*program.inputs] == ["X", "Y", "y", "W", "b"]
    assert_same(program(X, Y, y), [loss, *tg.grad(loss, [W, b])])


def test_small_constants_are_written_out_and_data_never_are():
    X, w = np.ones((3, 2)), Tensor(np.ones(2), requires_grad=True)
    program = to_numpy(np.sum(X @ w * np.array([1.0, 2.0, 4.0])), [w])
    assert "np.array([1.0, 2.0, 4.0])" in str(program)
    assert program.inputs.keys() == {"X", "w"}

    def drawn(w):
        return np.sum(w * np.random.default_rng(0).normal(size=2))

    before = np.random.get_state()[1].copy()
    assert len(to_numpy(drawn(w), [w]).inputs) == 2
    assert (np.random.get_state()[1] == before).all()


def test_masks_of_first_and_second_derivatives_follow_new_data():
    x, v = np.array([-1.0, 2.0, 3.0]), Tensor([1.0, -2.0, 0.5], requires_grad=True)

    def value(x, v):
        h = tg.relu(x * v) + np.abs(v) * np.maximum(x, v) + np.clip(v, -1, 1)
        return np.sum(h**3)

    def slope(x, v):
        (dv,) = tg.grad(value(x, v), [v], create_graph=True)
        return np.sum(dv * dv)

    new = np.array([2.0, -3.0, 1.0]), Tensor([-1.0, -0.5, 2.0], requires_grad=True)
    for f in (value, slope):
        for simplify in (True, False):
            program = to_numpy(lambda row, f=f: f(row[0], v), x[None], wrt=v, simplify=simplify)
            expected = f(*new)
            results = program(row=new[0][None], v=new[1].data)
            assert_same(results, [expected, *tg.grad(expected, [new[1]])])


OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.1),
    "momentum": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: tg.optim.Adam(p, lr=0.1),
    "adam with decay": lambda p: tg.optim.Adam(p, lr=0.1, weight_decay=0.1),
}


@both
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("model", [logistic, cross_entropy])
def test_a_program_with_an_update_trains_as_the_optimizer_does(model, optimizer, simplify):
    X, Y, y = data_of(6, 0)
    W, b = parameters((3, 1), (1,)) if model in TWO else parameters((3, 4), (1, 4))
    opt = optimizer([W, b])
    program = to_numpy(of_batch(model, W, b), X, Y, y, optimizer=opt, simplify=simplify)
    names = [line for line in str(program).splitlines() if "return" in line][-1]
    names = names.removeprefix("    return ").split(", ")
    state = {}
    for step in range(7):
        results = dict(zip(names, program(**state), strict=True))
        loss = model(X, Y, y, W, b)
        opt.zero_grad()
        loss.backward()
        opt.step()
        assert_allclose(results[names[0]], loss.data, rtol=1e-12, err_msg=f"step {step}")
        state = {name: results[name] for name in names[1:]}
    assert_allclose(state["W"], W.data, rtol=1e-11)
    assert_allclose(state["b"], b.data, rtol=1e-11, atol=1e-14)


@both
def test_a_program_of_layers(simplify):
    X, _, y = data_of(5, 0)
    model = tg.nn.Sequential(
        tg.nn.Dense(3, 4, activation="tanh", rng=0),
        tg.nn.Dense(4, 4, activation="relu", rng=1),
        tg.nn.Dense(4, 4, rng=2),
    )

    def loss_of(X, y):
        return tg.cross_entropy(model(X), y)

    program = to_numpy(loss_of, X, y, simplify=simplify)
    assert [*program.inputs] == ["X", "y", "W0", "b0", "W1", "b1", "W2", "b2"]
    X, _, y = data_of(8, 1)
    loss = loss_of(X, y)
    assert_same(program(X=X, y=y), [loss, *tg.grad(loss, model.parameters())])


@both
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_layers_are_updated_after_all_gradients_are_known(optimizer, simplify):
    X, Y, _ = data_of(5, 0)
    model = tg.nn.Sequential(tg.nn.Dense(3, 4, activation="tanh", rng=0), tg.nn.Dense(4, 1, rng=1))
    opt = optimizer(model.parameters())
    loss = tg.mse_loss(model(X), Y)
    program = to_numpy(loss, optimizer=opt, simplify=simplify)
    new = program()
    for p, g in zip(opt.params, tg.grad(loss, opt.params), strict=True):
        p.grad = g
    opt.step()
    assert_same(new[: 1 + len(opt.params)], [loss, *opt.params])


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_a_saved_program_trains_alone(name, tmp_path):
    X, Y, y = data_of(6, 0)
    W, b = parameters((3, 1), (1,))
    np.savez(tmp_path / "data.npz", X=X, Y=Y, W=W.data, b=b.data)
    opt = OPTIMIZERS[name]([W, b])
    to_numpy(lambda X, Y: logistic(X, Y, None, W, b), X, Y, optimizer=opt, loop=True).save(
        tmp_path / "trains.py"
    )
    told = subprocess.run(
        [sys.executable, "-I", "trains.py", "data.npz", "20"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    for _ in range(20):
        loss = logistic(X, Y, y, W, b)
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert f"after 20 steps: loss {loss.item():.6g}" in told.stdout
    trained = np.load(tmp_path / "trained.npz")
    assert_allclose(trained["W"], W.data, rtol=1e-11)
    assert_allclose(trained["b"], b.data, rtol=1e-11, atol=1e-14)
    usage = subprocess.run(
        [sys.executable, "-I", "trains.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert usage.returncode and "DATA.npz holds X, Y, W, b" in usage.stderr


def test_a_loop_needs_an_optimizer():
    w = Tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="needs an optimizer"):
        to_numpy(w * w, [w], loop=True)


def test_arguments_and_shapes_are_checked():
    program, X, *_ = recorded(logistic)
    with pytest.raises(TypeError, match=r"no argument V.*X, Y, y, W, b"):
        program(V=1)
    with pytest.raises(ValueError, match=r"W has the shape \(4, 1\); the program is for \(3, 1\)"):
        program(W=np.ones((4, 1)))
    with pytest.raises(ValueError, match=r"X has the shape \(3,\)"):
        program(X=X[0])
    with pytest.raises(ValueError, match=r"different numbers of samples: X \(2, 3\), Y \(5, 1\)"):
        program(X=X[:2])
    x, w = X[:1], parameters((3, 1))[0]
    single = to_numpy(np.sum((x @ w) ** 2), [w])
    with pytest.raises(ValueError, match="make it from two or more"):
        single(x=X)


def test_what_has_no_gradient_is_told():
    X, w = np.ones((3, 2)), Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(tg.GradientError, match=r"take its .sum\(\) or .mean\(\)"):
        to_numpy(X @ w, [w])
    with pytest.raises(tg.GradientError, match="does not require a gradient"):
        to_numpy(Tensor(X).sum(), [w])
    other = Tensor(1.0, requires_grad=True)
    with pytest.raises(tg.GradientError, match="does not depend on"):
        to_numpy(np.sum(X @ w), [w, other])


def test_an_output_of_any_shape_without_gradients():
    X, w = np.ones((3, 2)), Tensor(np.ones(2), requires_grad=True)
    z = X @ w
    assert_same(to_numpy(z)(X=X[:2]), [z.data[:2]])
    assert "backward" not in str(to_numpy(z))


@both
@pytest.mark.parametrize("index", [(), ..., (..., slice(1, None)), (None, ..., None)], ids=str)
def test_an_index_of_a_vector(index, simplify):
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    L = (x[index] ** 2).sum()
    assert_same(run(to_numpy(L, x, simplify=simplify)), [L, *tg.grad(L, [x])])


@both
def test_float32_stays(simplify):
    X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    Y = np.array([[0], [1], [1], [0]], np.float32)
    W = Tensor(np.ones((3, 1), np.float32), requires_grad=True)
    loss = tg.binary_cross_entropy_with_logits(X @ W / 3, Y)
    results = to_numpy(loss, [W], simplify=simplify)()
    assert [x.dtype for x in results] == [np.float32, np.float32]
    assert_same(results, [loss, *tg.grad(loss, [W])], 1e-6)


def test_integers_beside_whole_floats_do_not_overflow():
    X, w = np.array([200, 100], np.uint8), Tensor([1.0, 2.0], requires_grad=True)
    program = to_numpy(np.sum(w * (X * 2.0)), [w])
    assert_same(program(), [800.0, np.array([400.0, 200.0])])


def test_comments_tell_shapes_and_rules():
    program, *_ = recorded(logistic, comments=True)
    lines = {line.strip().partition(" =")[0]: line for line in str(program).splitlines()}
    assert lines["a"].endswith("# (len(X), 1): σ(x)")
    assert lines["dW"].endswith("# (3, 1): back through a @ b")
    assert "# because" in str(program)


HASHED = """
import sys

from tests.program.test_program import *
for model in TWO + FOUR:
    for simplify in (True, False):
        print(recorded(model, simplify=simplify)[0])
"""


def test_programs_are_the_same_in_every_process():
    texts = {
        subprocess.run(
            [sys.executable, "-c", HASHED],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(texts) == 1
    assert texts.pop().count("def step") == 2 * len(TWO + FOUR)


def wrong(x):
    """As a rewriting rule, a sign lost."""
    return x.args[0] if x.function is np.negative else None


def test_a_wrong_rule_is_not_used(monkeypatch):
    expected = recorded(logistic)[0]()
    monkeypatch.setitem(rewriting.RULES, np.negative, [wrong])
    assert_same(recorded(logistic)[0](), expected)
    monkeypatch.setattr(rewriting, "same", lambda x, y: True)
    with pytest.raises(tg.RecordingError, match="would not be right"):
        recorded(logistic)


def test_wrong_algebra_is_not_used(monkeypatch):
    expected = recorded(logistic)[0]()
    monkeypatch.setattr(algebra.Fraction, "__add__", lambda self, other: self)
    assert_same(recorded(logistic)[0](), expected)
    monkeypatch.setattr(algebra, "same", lambda x, y: True)
    with pytest.raises(tg.RecordingError, match="would not be right"):
        recorded(logistic)


@both
def test_the_program_of_a_backward_pass_is_right_for_other_numbers_of_samples(simplify):
    def penalty(X, Y, W, b):
        loss = np.mean((sigmoid(X @ W + b) - Y) ** 2)
        grads = tg.grad(loss, [W, b], create_graph=True)
        return sum(np.sum(g * g) for g in grads)

    W, b = parameters((3, 1), (1,))
    X, Y, _ = data_of(5, 0)
    program = to_numpy(lambda X, Y: penalty(X, Y, W, b), X, Y, wrt=[W, b], simplify=simplify)
    for m in (3, 5, 8):
        X, Y, _ = data_of(m, m)
        value = penalty(X, Y, W, b)
        assert_same(program(X=X, Y=Y), [value, *tg.grad(value, [W, b])])


def test_the_program_runs_on_dask():
    pytest.importorskip("dask.array", reason='pip install "dask[array]"')
    assert dask_rows.main() < 1e-12


def test_the_program_runs_on_jax():
    jax = pytest.importorskip("jax", reason="pip install jax")
    X, Y, *_ = titanic.load()
    program = dask_rows.export()
    with jax.enable_x64(True):
        ours = dask_rows.train(dask_rows.run(program.source, "numpy").step, X.T, Y[:, None])
        theirs = dask_rows.train(dask_rows.run(program.source, "jax.numpy").step, X.T, Y[:, None])
        assert_same(tuple(map(np.asarray, theirs)), ours, 1e-10)


def test_gradients_of_what_is_computed_on_the_way():
    X, Y, _ = data_of(5, 0)
    W, b = parameters((3, 1), (1,))
    Z = X @ W + b
    A = sigmoid(Z)
    loss = np.mean(neg_log(Y, A))
    program = to_numpy(loss, [Z, A, W])
    assert_same(program(), [loss, *tg.grad(loss, [Z, A, W])])
    assert "dZ = " in str(program) and "dA = " in str(program)


GOLDEN = {
    "tumors_softmax": ["dlogits = y_hat / len(X)", "dlogits[rows, y] -= 1 / len(X)"],
    "linear_regression": ["db = delta.sum()"],
    "titanic_columns": ["dZ = (a - Y) / len(rows)", "db = dZ.sum()"],
    "and_gate_neuron": ["dw = X.T @ delta"],
    "digits_cost": ["dZ = A - Y", "db = dZ.sum()"],
    "xor_by_hand": ["dZ2 = (A2 - Y) / len(Y)", "dW2 = A1.T @ dZ2", "db2 = dZ2.sum(axis=0)"],
    "toy_matrices": ["dZ = a - Y", "dW = dZ @ X"],
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_lines_of_the_documents_are_found_again(name):
    lines = [line.strip() for line in str(programs.MODELS[name]()).splitlines()]
    assert [line for line in GOLDEN[name] if line not in lines] == []


@pytest.mark.parametrize("name", programs.MODELS)
def test_the_programs_of_the_documents_run(name):
    program = programs.MODELS[name]()
    assert all(np.all(np.isfinite(x)) for x in program())
    assert_same(run(program), program())


@both
def test_long_graphs(simplify):
    w = Tensor([1.0, 2.0], requires_grad=True)
    x = w
    for _ in range(500):
        x = np.sin(x) * 0.5 + w
    loss = np.sum(x)
    program = to_numpy(loss, [w], simplify=simplify)
    assert_same(program(), [loss, *tg.grad(loss, [w])])


def test_an_exponent_is_no_length():
    w = Tensor([0.3, 0.2], requires_grad=True)
    X = np.random.default_rng(0).normal(size=(2, 2))
    for k in (2, 3):
        program = tg.to_numpy(lambda X, k=k: np.sum((X @ w) ** k) / 4, X)
        new = np.random.default_rng(1).normal(size=(5, 2))
        assert_allclose(program(new)[0], np.sum((new @ w.data) ** k) / 4)


@pytest.mark.parametrize("wrong", [3.0, np.ones(2)])
def test_what_is_no_tensor(wrong):
    w = Tensor([0.3, 0.2], requires_grad=True)
    with pytest.raises(TypeError, match="Tensor"):
        tg.to_numpy(wrong, [w])
    with pytest.raises(TypeError, match="Tensors"):
        tg.to_numpy(w.sum(), [wrong])


ROWS = np.random.default_rng(5).normal(size=(12, 3))


def cost_of_rows(rows, w, kind):
    z, n = rows @ w, len(rows)
    match kind:
        case "a length":
            return np.sum(z * z) / (n - 1)
        case "a mask":
            return np.sum(np.where(z.data > 0, z, 0.1 * z))
        case "a number of the data":
            return np.sum(z * z) / float(np.std(rows))
        case "a chosen part":
            return np.sum(z[z.data > 0] ** 2)
        case "a detached part":
            return np.sum((z - z.detach() * 2) ** 2)


@both
@pytest.mark.parametrize(
    "kind",
    ["a length", "a mask", "a number of the data", "a chosen part", "a detached part"],
)
def test_what_was_computed_before_the_graph_has_to_be_given_with_other_data(kind, simplify):
    w = Tensor([0.3, -0.2, 0.5], requires_grad=True)
    rows = Tensor(ROWS, name="rows")
    loss = cost_of_rows(rows, w, kind)
    program = to_numpy(loss, w, simplify=simplify)
    assert_same(program(), [loss, *tg.grad(loss, [w])])
    (before,) = program.inputs.keys() - {"rows", "w"}
    assert f"# to be given with other data: {before}" in str(program)
    for other in ({"rows": ROWS * 2}, {"w": 2 * w.data}, {"rows": ROWS[:5]}):
        with pytest.raises((TypeError, ValueError), match=rf"{before} as well|shape"):
            program(**other)
    with pytest.raises(ValueError, match="the loop would repeat"):
        to_numpy(loss, optimizer=tg.optim.SGD([w], lr=0.1), loop=True)


def test_a_length_that_is_given_serves_another_number_of_samples():
    w = Tensor([0.3, -0.2, 0.5], requires_grad=True)
    loss = np.sum((ROWS @ w) ** 2) / len(ROWS)
    program = to_numpy(loss, [w])
    expected = np.mean((ROWS[:5] @ w) ** 2)
    assert_same(program(ROWS=ROWS[:5], len_ROWS=5), [expected, *tg.grad(expected, [w])])


def test_an_index_of_lengths_is_for_the_recorded_data_alone():
    w = Tensor([0.3, -0.2, 0.5], requires_grad=True)
    m = len(ROWS)
    loss = np.sum((ROWS @ w)[m // 2 :])
    program = to_numpy(loss, [w])
    new = Tensor(2 * w.data)
    assert_same(program(w=new.data)[0], [np.sum((ROWS @ new)[m // 2 :])])
    with pytest.raises(ValueError, match=r"m // 2.*to_numpy\(function"):
        program(ROWS=ROWS[::-1])


def test_a_shape_of_lengths_is_for_the_recorded_shapes_alone():
    w = Tensor([0.3, -0.2, 0.5], requires_grad=True)
    m = len(ROWS)
    program = to_numpy(np.sum(np.reshape(ROWS @ w, (m, 1)) ** 2), [w])
    assert_allclose(program(ROWS=ROWS[::-1])[0], np.sum((ROWS @ w.data) ** 2))
    with pytest.raises(ValueError, match=r"\(5, 3\); the program is for \(12, 3\)"):
        program(ROWS=ROWS[:5])


def test_where_no_source_can_be_read_numbers_are_arguments():
    space = {"np": np, "ROWS": ROWS, "w": Tensor([0.3, -0.2, 0.5], requires_grad=True)}
    exec("loss = np.sum((ROWS @ w) ** 2) / len(ROWS) * 2", space)
    program = to_numpy(space["loss"], space["w"])
    assert_same(program(), [space["loss"], *tg.grad(space["loss"], [space["w"]])])
    numbers = program.inputs.keys() - {"ROWS", "w"}
    assert len(numbers) == 3 and "12" not in str(program)
    with pytest.raises(TypeError, match="needs c"):
        program(w=np.ones(3))
