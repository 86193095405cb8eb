"""Every error and warning says what it is about: names, shapes, line, and what would help."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf, line
from tinygrad_lr.array.protocols import ArrayMethods, ForeignName
from tinygrad_lr.messages.hints import HINTS

rng = np.random.default_rng(5)
X = rng.normal(size=(7, 4))
Y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0])


def normal(*shape, name=None):
    return leaf(rng.normal(size=shape), name=name)


def message(error, function):
    """What the function's error says, its notes included."""
    with pytest.raises(error) as caught:
        function()
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_a_product_names_operands_axes_line_and_what_would_fit():
    W = normal(1, 4)

    def forward():
        return X @ W

    text = message(tg.ShapeError, forward)
    assert "X is (7, 4) and W is (1, 4)" in text
    assert "last axis of X has length 4, the second last axis of W 1" in text
    assert f"test_errors.py, line {line(forward, 'return X @ W')}: X @ W" in text
    assert "X @ W.T would fit: (7, 4) @ (4, 1) -> (7, 1)" in text


@pytest.mark.parametrize(
    ("shape", "product", "fits"),
    [
        ((7, 2), lambda W: np.dot(X, W), "X.T @ W would fit: (4, 7) @ (7, 2) -> (4, 2)"),
        ((3, 7), lambda W: X.T @ W, "X.T @ W.T would fit"),
        ((3, 7), lambda W: X @ W, "W @ X would fit: (3, 7) @ (7, 4) -> (3, 4)"),
        ((2, 7), lambda W: X.T @ (W * 2), "X.T @ (W * 2).T would fit"),
    ],
)
def test_what_would_fit_a_product(shape, product, fits):
    W = normal(*shape)
    assert fits in message(tg.ShapeError, lambda: product(W))


def test_a_product_that_nothing_would_fit_makes_no_suggestion():
    W = normal(5, 6)
    assert "would fit" not in message(tg.ShapeError, lambda: X @ W)


def test_a_product_with_a_number_is_pointed_to_the_asterisk():
    W = normal()
    assert "X * W would fit" in message(tg.ShapeError, lambda: X @ W)


def test_broadcasting_names_the_axis_that_clashes():
    b = normal(7, name="b")
    text = message(tg.ShapeError, lambda: X + b)
    assert "X is (7, 4) and b is (7,); axis -1 has length 4 in X and 7 in b" in text
    assert "b[:, None] would fit: it is (7, 1)" in text
    W = normal(4, 7)
    assert "W.T would fit: it is (7, 4)" in message(tg.ShapeError, lambda: X - W)


def test_shape_errors_are_value_errors():
    assert issubclass(tg.ShapeError, ValueError)


def test_names_come_from_variables_where_the_expression_has_none():
    left, right = normal(3, 2), normal(3, 4)
    text = message(tg.ShapeError, lambda: tg.matmul(*(left, right)))
    assert "(3, 2) and" in text
    assert "(3, 4)" in text

    def forward(left, right):
        return tg.matmul(*(left, right))

    assert "left is (3, 2) and right is (3, 4)" in message(
        tg.ShapeError, lambda: forward(left, right)
    )


def test_other_errors_of_numpy_keep_their_type_and_get_a_note():
    W = normal(5, 3)
    text = message(np.exceptions.AxisError, lambda: W.sum(axis=2))
    assert "axis 2 is out of bounds" in text
    assert "in sum of W (5, 3)" in text
    assert "W.sum(axis=2)" in text
    assert "in getitem of W (5, 3)" in message(IndexError, lambda: W[:, 3])
    assert "in reshape of W (5, 3)" in message(ValueError, lambda: W.reshape(4, 4))
    text = message(ValueError, lambda: np.concatenate([W, X]))
    assert "in concatenate of W (5, 3) and X (7, 4)" in text


def test_a_layer_says_what_it_takes():
    layer = tg.nn.Dense(3, 2)
    assert "(..., 3)" in message(tg.ShapeError, lambda: layer(X))
    assert "(7, 4)" in message(tg.ShapeError, lambda: layer(X))


def test_an_outer_sum_by_accident_warns_once_per_line():
    W = normal(4, 1)

    def residuals():
        return X @ W - Y

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            residuals()
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "X @ W is (7, 1) and Y is (7,): these broadcast to (7, 7)" in text
    assert "(X @ W).ravel() or Y[:, None]" in text
    assert caught[0].lineno == line(residuals, "X @ W - Y")
    assert caught[0].filename == __file__


def test_an_outer_sum_on_purpose_does_not_warn():
    a = normal(7)
    assert (a[:, None] - Y).shape == (7, 7)
    assert np.outer(a, Y).shape == (7, 7)
    assert (a.reshape(-1, 1) * Y).shape == (7, 7)
    assert tg.grad(np.sum(X[:, :1] * normal(1)), [normal(1)][:0]) == []


def test_the_warning_can_be_an_error_or_silent():
    W = normal(4, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", tg.TensorWarning)
        with pytest.raises(tg.TensorWarning):
            X @ W + Y
        warnings.simplefilter("ignore", tg.TensorWarning)
        assert (X @ W + Y).shape == (7, 7)


@pytest.mark.parametrize(
    "loss", [tg.mse_loss, tg.binary_cross_entropy, tg.binary_cross_entropy_with_logits]
)
def test_prediction_and_target_of_different_rank_are_refused(loss):
    A = tg.sigmoid(X @ normal(4, 1))
    text = message(ValueError, lambda: loss(A, Y))
    assert "(7, 1)" in text
    assert "(7,)" in text


def test_swapped_probabilities_and_labels():
    A = tg.sigmoid(X @ normal(4))
    with pytest.warns(tg.TensorWarning, match="swapped"):
        tg.binary_cross_entropy(Y, A)
    Z = X @ normal(4) * 3
    text = message(ValueError, lambda: tg.binary_cross_entropy_with_logits(Y, Z))
    assert "swapped" in text
    assert "with_logits" in message(ValueError, lambda: tg.binary_cross_entropy(Z, Y))
    assert "labels are in [0, 1]" in message(ValueError, lambda: tg.binary_cross_entropy(A, 2 * Y))


def test_labels_of_cross_entropy():
    Z = X @ normal(4, 3)
    assert "labels from 0 to 3" in message(
        ValueError, lambda: tg.cross_entropy(Z, [0, 1, 2, 3, 0, 1, 2])
    )
    assert "integers" in message(TypeError, lambda: tg.cross_entropy(Z, Y))


def test_backward_of_no_scalar_says_sum_or_mean():
    text = message(tg.GradientError, lambda: (X @ normal(4)).backward())
    assert "(7,)" in text
    assert ".sum()" in text
    assert ".mean()" in text


def test_backward_without_parameters_says_why():
    W = normal(4, name="W")
    text = message(tg.GradientError, lambda: (X @ tg.Tensor(W.data)).sum().backward())
    assert "requires_grad=True" in text
    assert ".detach()" in text

    def without_recording():
        with tg.no_grad():
            loss = (X @ W).sum()
        loss.backward()

    text = message(tg.GradientError, without_recording)
    assert "`X @ W`" in text
    assert f"line {line(without_recording, 'X @ W')}" in text
    assert "no_grad" in text


def test_a_parameter_that_the_loss_does_not_reach():
    W, unused, model = normal(4, name="W"), normal(2, 3, name="unused"), tg.nn.Dense(1, 1)
    sgd = tg.optim.SGD([W, unused, model.W, normal(2, 3)], lr=0.1)
    (X @ W).sum().backward()
    names = r"\(unused, model\.W, sgd\.params\[3\]\)"
    with pytest.warns(tg.TensorWarning, match=f"3 of 4 parameters .* {names}"):
        sgd.step()


def test_a_second_backward_into_the_same_leaves():
    W = normal(4, name="W")
    (X @ W).sum().backward()
    with pytest.warns(tg.TensorWarning, match=r"W already had a gradient.*zero_grad\(\)"):
        (X @ W).sum().backward()
    np.testing.assert_allclose(W.grad, 2 * X.sum(axis=0), rtol=1e-12)


def change_augmented(W):
    W.data -= 0.1


def change_element(W):
    W.data[0] = 3.0


def change_by_ufunc(W):
    np.multiply(W.data, 2, out=W.data)


def change_by_assignment(W):
    W.data = W.data + 1


def change_by_optimizer(W):
    W.grad = np.ones(4)
    tg.optim.SGD([W]).step()
    W.grad = None


def change_a_kept_array(W, kept=None):
    kept = W.data
    kept += 1


@pytest.mark.parametrize(
    "change",
    [
        change_augmented,
        change_element,
        change_by_ufunc,
        change_by_assignment,
        change_by_optimizer,
        change_a_kept_array,
    ],
)
def test_data_changed_before_the_backward_pass(change):
    W = normal(4, name="W")

    def step():
        loss = np.sum((X @ W) ** 2)
        change(W)
        loss.backward()

    text = message(tg.GradientError, step)
    assert "W was changed after `X @ W`" in text
    assert f"line {line(step, 'X @ W')}" in text
    assert W.grad is None

    loss = np.sum((X @ W) ** 2)
    loss.backward()
    np.testing.assert_allclose(W.grad, 2 * X.T @ (X @ W.data), rtol=1e-12)


def test_an_array_that_was_handed_out_long_before_is_noticed():
    W = normal(4)
    view = W.data[1:]
    loss = np.sum((X @ W) ** 2)
    view[0] = 9.0
    with pytest.raises(tg.GradientError, match="was changed"):
        loss.backward()


def test_the_values_of_a_result_cannot_be_changed():
    Z = X @ normal(4)
    with pytest.raises(ValueError, match="read-only"):
        Z.data[0] = 1.0


def test_the_natural_update_stays_natural():
    W = normal(4)
    for _ in range(3):
        W.zero_grad()
        loss = np.sum((X @ W) ** 2)
        loss.backward()
        by_hand = W.data - 0.01 * 2 * X.T @ (X @ W.data)
        W.data -= 0.01 * W.grad
        np.testing.assert_allclose(W.data, by_hand, rtol=1e-12)


def test_data_keep_their_shape():
    W = normal(1, 3, name="W")
    text = message(tg.ShapeError, lambda: setattr(W, "data", np.zeros((3, 3))))
    assert "W is (1, 3)" in text
    assert "(3, 3)" in text


def test_a_sum_of_losses_that_keeps_every_graph():
    W, total = normal(4), 0.0
    with pytest.warns(tg.TensorWarning, match=r"total \+= loss.*\.item\(\)"):
        for _ in range(2):
            W.zero_grad()
            loss = np.sum((X @ W) ** 2)
            loss.backward()
            total += loss
    with pytest.warns(tg.TensorWarning, match="keeps every graph"):
        total = 0.0
        for _ in range(3):
            W.zero_grad()
            loss = np.sum((X @ W) ** 2)
            total = total + loss
            loss.backward()


def test_numbers_that_leave_the_graph_warn():
    w = normal()
    with pytest.warns(tg.TensorWarning, match=r"\.item\(\)"):
        assert math.exp(w) == pytest.approx(np.exp(w.data))
    assert w.item() == w.data


def test_arrays_of_tensors_are_refused_with_the_way_out():
    w = normal(4)
    for make in (lambda: np.array([w, w]), lambda: X.dot(w), lambda: np.asarray(w)):
        text = message(TypeError, make)
        assert "np.stack" in text
        assert "a @ t" in text


def test_functions_without_an_operation_are_refused_by_name():
    w = normal(4)
    text = message(TypeError, lambda: np.log2(w))
    assert "np.log2 has no derivative rule here; write np.log(t) / np.log(2)" in text
    assert "the nearest with one is cos" in message(TypeError, lambda: np.cosh(w))
    assert "np.linalg.norm" in message(TypeError, lambda: np.linalg.norm(w))
    assert "np.add.reduce" in message(TypeError, lambda: np.add.reduce(w))
    assert "out=" in message(TypeError, lambda: np.exp(w, out=np.zeros(4)))
    assert ".astype" in message(TypeError, lambda: np.sum(w, dtype=np.float32))
    assert "np.where" in message(TypeError, lambda: np.sum(w, where=Y[:4] > 0))


def anomaly(function):
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        return message(tg.AnomalyError, function)


def test_the_log_of_a_saturated_sigmoid():
    z = tg.Tensor([0.5, 40.0, 1.0], requires_grad=True)
    y = np.array([1.0, 0.0, 1.0])

    def loss():
        A = 1 / (1 + np.exp(-z))
        A = tg.sigmoid(z)
        return -np.mean(y * np.log(A) + (1 - y) * np.log(1 - A))

    text = anomaly(loss)
    assert "log gives -inf at index 1, from 1 - A = 0.0" in text
    assert f"line {line(loss, 'np.mean')}: np.log(1 - A)" in text
    assert "binary_cross_entropy_with_logits" in text


def test_where_does_not_protect_the_branch_not_taken():
    x = tg.Tensor([4.0, 0.0, 1.0], requires_grad=True)

    def loss():
        np.where(x > 0, np.sqrt(x), 0.0).sum().backward()

    text = anomaly(loss)
    assert "the gradient of x through sqrt is nan at index 1: 0.0 arrived, x = 0.0" in text
    assert "where does not protect" in text


def test_the_log_of_a_negative_number():
    x = tg.Tensor([[1.0, 2.0], [3.0, -1.0]], requires_grad=True)
    text = anomaly(lambda: np.log(x))
    assert "log gives nan at index (1, 1), from x = -1.0" in text
    assert "1 / x is finite" in text


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: np.exp(x * 1000), "logsumexp"),
        (lambda x: 1 / (x - 1), "safe divisor"),
        (lambda x: np.sqrt(x - 1).sum().backward(), "no slope at 0"),
        (lambda x: np.log(x - 1), "safe argument"),
        (lambda x: (-x) ** 0.5, "not whole"),
    ],
)
def test_cures(function, text):
    assert text in anomaly(lambda: function(tg.Tensor([1.0, 4.0], requires_grad=True)))


def test_a_product_that_overflows_tells_the_ranges():
    W = tg.Tensor(np.full((4, 2), 1e300), requires_grad=True)
    assert "matmul gives" in anomaly(lambda: (1e10 * X) @ W)


def test_finite_computations_pass_and_the_watch_ends():
    W = normal(4)
    with tg.detect_anomaly():
        np.sum((X @ W) ** 2).backward()
    with np.errstate(divide="ignore"):
        assert np.log(W * 0).data.max() == -np.inf
    with pytest.raises(KeyError), tg.detect_anomaly():
        raise KeyError
    with np.errstate(divide="ignore"):
        assert np.log(W * 0).data.max() == -np.inf


def test_an_inf_on_purpose_passes_and_a_nan_in_the_data_is_told():
    W = normal(4, name="W")
    with tg.detect_anomaly():
        np.where([True, False, True, True], W, -np.inf)
    assert "W is nan already at 2" in anomaly(
        lambda: tg.Tensor([1.0, 2.0, np.nan], requires_grad=True, name="W") * 2
    )


def test_nothing_is_recorded_or_watched_within_no_grad():
    W = normal(4)
    with tg.no_grad(), tg.detect_anomaly(), np.errstate(divide="ignore"):
        assert not np.log(W * 0).requires_grad


def test_data_that_two_tensors_share_are_watched_in_both():
    W, V = normal(4), normal()
    y = np.sum(V * W.detach())
    W.data[0] = 9.0
    with pytest.raises(tg.GradientError, match="was changed"):
        y.backward()


def test_views_without_a_graph_are_copies():
    W = normal(4)
    with tg.no_grad():
        view = W[:2]
    y = np.sum(W * W)
    view.data[0] = 100.0
    y.backward()
    np.testing.assert_array_equal(W.grad, 2 * W.data)


def test_three_operands_of_which_two_clash():
    w = normal(3)
    text = message(tg.ShapeError, lambda: np.where(np.ones(2, bool), w, w))
    assert "axis -1 has length 2" in text
    assert "3 in w" in text


def test_a_module_is_no_operand():
    import numpy

    W = normal(1, 4)
    assert "X is (7, 4) and W is (1, 4)" in message(tg.ShapeError, lambda: numpy.dot(X, W))


@pytest.mark.parametrize("compare", [np.equal, lambda a, b: a == b, lambda a, b: b < a])
def test_comparing_a_column_with_a_row_warns(compare):
    A = tg.sigmoid(X @ normal(4, 1))
    with pytest.warns(tg.TensorWarning, match=r"broadcast to \(7, 7\)"):
        compare(A, Y)


def test_two_vectors_of_different_length_get_no_advice():
    text = message(tg.ShapeError, lambda: normal(4) - normal(5))
    assert "would fit" not in text


@pytest.mark.parametrize("shape", [(4, 3), (4, 1)])
def test_an_activation_too_many(shape):
    Z, three = X @ normal(*shape), shape[1] == 3
    with pytest.warns(tg.TensorWarning, match="leave it out"):
        if three:
            tg.cross_entropy(tg.softmax(Z), [0, 1, 2, 0, 1, 2, 0])
        else:
            tg.binary_cross_entropy_with_logits(tg.sigmoid(Z), Y[:, None])


def test_a_parameter_that_was_replaced_by_a_result():
    w = normal(4)
    np.sum(X @ w).backward()
    w = w - 0.1 * w.grad
    with pytest.warns(tg.TensorWarning, match=r"`w - 0.1 \* w.grad`.*w.data -= lr \* w.grad"):
        w.zero_grad()


def test_a_gradient_set_to_zero_is_no_gradient_left():
    w = normal(4)
    np.sum(X @ w).backward()
    w.grad[:] = 0
    np.sum(X @ w).backward()
    np.testing.assert_array_equal(w.grad, X.sum(axis=0))


def test_a_loss_that_becomes_nan_in_fit():
    broken = X.copy()
    broken[2, 1] = np.nan
    model = tg.nn.Dense(4, 1, rng=0)
    sgd = tg.optim.SGD(model.parameters())
    with pytest.warns(tg.TensorWarning, match="became nan in epoch 1.*detect_anomaly"):
        tg.fit(model, broken, Y[:, None], tg.mse_loss, sgd, epochs=3)


@pytest.mark.parametrize(
    "wrong", [{"loss": "mse"}, {"optimizer": "adam"}, {"metrics": ["accuracy"]}], ids=str
)
def test_words_of_keras_in_fit(wrong):
    model = tg.nn.Dense(4, 1, rng=0)
    arguments = {"loss": tg.mse_loss, "optimizer": tg.optim.SGD(model.parameters()), "epochs": 1}
    assert next(iter(wrong)) in message(
        TypeError, lambda: tg.fit(model, X, Y[:, None], **(arguments | wrong))
    )


@pytest.mark.parametrize(
    ("look_up", "text"),
    [
        (lambda: tg.nn.Linear, "nn.Dense(in_features, units)"),
        (lambda: tg.tensor_of, "has no 'tensor_of'"),
        (lambda: tg.zeros, "Tensor(np.zeros(shape))"),
        (lambda: normal(4).view(2, 2), "reshape"),
        (lambda: tg.nn.Dense(4, 1).weight, "layer.W  # (in_features, units)"),
        (lambda: tg.nn.CrossEntropyLoss(), "cross_entropy(logits, labels)"),
    ],
)
def test_names_of_other_frameworks(look_up, text):
    assert text in message(AttributeError, look_up)


def test_names_of_other_frameworks_tensors_are_told_and_not_there():
    names = [name for name, value in vars(ArrayMethods).items() if isinstance(value, ForeignName)]
    assert {"view", "clone", "requires_grad_"} <= {*names}
    for name in names:
        assert HINTS[name] in message(AttributeError, lambda name=name: getattr(normal(4), name))
        assert not hasattr(normal(4), name)


def test_optimizers_ask_for_the_parameters():
    model = tg.nn.Dense(4, 1)
    for params in (model, model.parameters, model.named_parameters(), model.state_dict()):
        assert "model.parameters()" in message(
            TypeError, lambda params=params: tg.optim.SGD(params)
        )


def test_requires_grad_is_a_truth_value():
    text = message(TypeError, lambda: tg.Tensor(3, 4))
    assert "requires_grad must be True or False, not 4" in text


def test_watching_a_model_names_its_own_operands():
    model = tg.nn.Dense(4, 1)
    model.W.name = "W"
    broken = X.copy()
    broken[2, 1] = np.nan
    assert "is nan already at (2, 1)" in anomaly(lambda: model(broken))
