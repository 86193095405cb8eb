"""Every value of a graph is called what its user calls it."""

import inspect
import linecache

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf
from tinygrad_lr.naming import names

X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
Y = np.array([[1.0], [0.0], [0.0], [1.0]])


def halves(*shape):
    return leaf(np.full(shape, 0.5))


def called(*outputs, **how):
    """The names of the values, in order, as the caller's frame gives them."""
    found = names.find(outputs, inspect.currentframe().f_back, **how)
    return [found.get(id(x)) for x in names.nodes(outputs)]


def test_variables_name_parameters_data_and_results():
    w, b = halves(2, 1), halves()
    z = X @ w + b
    loss = np.mean((z - Y) ** 2)
    assert called(loss) == ["X", "w", None, "b", "z", "Y", None, None, None, "loss"]


def cost_and_gone():
    W, b = halves(2, 1), halves()
    lam = 0.1
    A = tg.sigmoid(X @ W + b)
    loss = tg.binary_cross_entropy(A, 1 - Y) + lam * np.sum(W**2)
    loss += b
    return loss


def test_a_frame_that_is_gone_still_names_by_the_source():
    found = called(cost_and_gone())
    assert [name for name in found if name] == [
        "X",
        "W",
        "b",
        "A",
        "1 - Y",
        "lam",
        "loss",
        "loss_2",
    ]


def test_a_name_that_was_given_comes_first():
    w = halves(2)
    w.name = "weights"
    loss = (w * 2).sum()
    loss.name = "w"
    assert called(loss) == ["weights", None, None, "w"]


def test_a_loop_variable_is_no_name_for_what_a_closure_uses():
    W1, b2 = halves(2, 1), halves(1)

    def predict():
        return X @ W1 + b2

    for x in [W1, b2]:
        x.zero_grad()
    pred = predict()
    assert called(pred) == ["X", "W1", None, "b2", "pred"]
    tg.draw(pred)  # looks at the frame, which must not change what is found later
    for y in [b2, W1]:
        y.zero_grad()
    assert called(pred) == ["X", "W1", None, "b2", "pred"]


def test_parameters_and_variables_of_the_enclosing_function_name_before_local_ones():
    b2 = halves(1)

    def inner(bias):
        for x in [bias, b2]:
            x.zero_grad()
        other = b2
        z = X @ halves(2, 1) + bias
        return called(z + other * 1)

    assert "bias" in inner(halves(1)) and "b2" in inner(halves(1))


def test_a_loop_counts_its_rounds():
    h, U = halves(2), halves(2, 2)
    start = h
    for _ in range(3):
        h = np.tanh(h @ U)
    assert called(h) == ["start", "U", None, "h", None, "h_2", None, "h_3"]
    assert start is not h


def test_lists_dicts_and_attributes_name_what_they_hold():
    weights = [halves(2, 3), halves(3, 1)]
    cache = {"b1": halves(3)}

    class Holder:
        pass

    holder = Holder()
    holder.b2 = halves(1)
    out = np.tanh(X @ weights[0] + cache["b1"]) @ weights[1] + holder.b2
    assert [name for name in called(out) if name] == [
        *("X", "weights[0]", "b1", "weights[1]", "b2", "out")
    ]


def test_a_module_names_by_path_and_a_shared_parameter_once():
    shared = tg.nn.Dense(2, 2, activation="tanh", rng=0)
    model = tg.nn.Sequential(shared, shared, tg.nn.Dense(2, 1, rng=1))
    p = model(X)
    found = called(p)
    expected = ["X", "layers.0.W", "layers.0.b", "layers.2.W", "layers.2.b", "p"]
    assert [name for name in found if name] == expected


def test_two_modules_are_told_apart_by_their_variables():
    encoder, decoder = tg.nn.Dense(2, 3, rng=0), tg.nn.Dense(3, 2, bias=False, rng=1)
    out = decoder(encoder(X))
    found = called(out)
    expected = ["X", "encoder.W", "encoder.b", "encoder(X)", "decoder.W", "out"]
    assert [name for name in found if name] == expected


def test_the_model_is_found_where_the_frame_does_not_hold_it():
    def make():
        return tg.nn.Sequential(tg.nn.Dense(2, 1, rng=0))

    holder = [make()]
    out, model = holder[0](X), holder.pop()
    del holder
    assert "layers.0.W" in called(out)
    hidden = [model]
    del model
    out = hidden[0](X)
    assert "layers.0.W" in called(out, model=hidden[0])


@pytest.mark.filterwarnings("ignore::tinygrad_lr.TensorWarning")
def test_labels_are_called_as_they_are():
    labels = np.array([0, 2, 1, 1])
    assert "labels" in called(tg.cross_entropy(X @ halves(2, 3), labels))


def test_an_array_that_the_backward_pass_turned_is_called_so():
    w = halves(2, 1)
    loss = np.sum((X @ w) ** 2)
    (dw,) = tg.grad(loss, [w], create_graph=True)
    assert "X.T" in called(dw)


def test_a_call_whose_result_is_not_in_the_graph_gives_its_parts_no_name():
    w = halves(2, 1)

    def gone():
        cost = tg.mse_loss(X @ w, Y)
        return tg.grad(cost, [w], create_graph=True)[0]

    assert "cost" not in called(gone())


def test_a_number_is_named_by_its_variable_unless_that_would_name_another():
    w, lam, two = halves(2), 0.1, 2
    assert called((w * lam).sum()) == ["w", "lam", None, None]
    assert called((w**2 * two).sum()) == ["w", None, None, None, None]
    assert called((w**two).sum()) == ["w", "two", None, None]


def test_builtin_sum_names_nothing_wrongly():
    losses = [halves(), halves()]
    total = sum(losses)
    assert called(total) == [None, "losses[0]", None, "losses[1]", "total"]


def test_walrus_tuple_annotation_and_attribute_targets():
    class Model:
        def run(self, w):
            self.z = w * 3.0
            a, b = np.exp(self.z), np.sin(self.z)
            total: tg.Tensor = a + b
            return (half := total / 2) * half

    w = halves()
    assert called(Model().run(w)) == ["w", None, "z", "a", "b", "total", None, "half", None]


def test_without_any_source_there_are_no_names_and_no_error():
    space = {"np": np, "w": halves(2)}
    exec("z = np.exp(w)\nloss = z.sum()", space)
    loss = space.pop("loss")
    space.clear()
    assert called(loss) == [None, None, "loss"]


def test_a_notebook_names_by_the_source_of_its_cells():
    cell = "def cost(w):\n    z = np.exp(w)\n    return z.sum()\nresult = [cost(w)]"
    linecache.cache["<cell 1>"] = (len(cell), None, cell.splitlines(keepends=True), "<cell 1>")
    space = {"np": np, "w": halves(2)}
    exec(compile(cell, "<cell 1>", "exec"), space)
    assert called(space["result"][0]) == ["w", "z", None]


def test_the_largest_model_names_what_several_hold():
    model = tg.nn.Sequential(tg.nn.Dense(2, 2, rng=0), tg.nn.Dense(2, 1, rng=1))
    first = model[0]
    assert "layers.0.W" in called(model(X))
    assert "W" in called(first(X), model=first)


def test_two_functions_of_a_file_do_not_mix():
    def first(w):
        z = w * 2.0
        return z.sum()

    def second(w):
        h = w * 2.0
        return h.sum()

    w = halves(2)
    assert called(first(w), second(w)) == ["w", None, "z", None, "h", None]


def test_ten_thousand_operations_in_a_second():
    y = halves(2)
    for _ in range(10_000):
        y = y + 1.0
    assert len(names.nodes([y])) == 10_002
    assert list(names.find([y]).values())[-1] == "y_10001"


def test_order_is_by_computation_and_inputs_come_first():
    w = halves()
    b = w * 2.0
    a = w * 3.0
    out = a + b
    order = names.nodes([out])
    at = {id(x): i for i, x in enumerate(order)}
    assert all(at[id(x)] < at[id(y)] for y in order if isinstance(y, tg.Tensor) for x in y.inputs)
    assert at[id(b)] < at[id(a)]
