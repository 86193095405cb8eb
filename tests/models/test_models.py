"""Layers, models, their files, and training."""

import itertools
import sys
import types

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf
from tinygrad_lr.nn import Dense, Module, Sequential


class Holder(Module):
    """A module with some attributes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def network(rng=0):
    rng = np.random.default_rng(rng)
    return Sequential(Dense(3, 4, activation="tanh", rng=rng), Dense(4, 2, rng=rng))


def assert_equal_states(model, state):
    own = model.state_dict()
    assert own.keys() == state.keys()
    for name in state:
        np.testing.assert_array_equal(own[name], state[name], err_msg=name)


# Dense


def test_dense_shapes():
    layer = Dense(3, 2, rng=0)
    assert layer.W.shape == (3, 2) and layer.b.shape == (2,)
    assert layer(np.ones((5, 3))).shape == (5, 2)
    assert layer(np.ones(3)).shape == (2,)
    assert layer(np.ones((7, 5, 3))).shape == (7, 5, 2)


def test_dense_computes_x_W_plus_b():
    layer = Dense(3, 2, activation="sigmoid", rng=0)
    layer.b.data[:] = 0.5, -1.0
    x = np.arange(15.0).reshape(5, 3) / 10
    expected = 1 / (1 + np.exp(-(x @ layer.W.data + [0.5, -1.0])))
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-14)


def test_dense_starts_with_glorot_weights_and_zero_bias():
    layer = Dense(300, 200, rng=0)
    W, limit, n = layer.W.data, np.sqrt(6 / 500), 60_000
    assert np.abs(W).max() <= limit
    assert W.max() > 0.999 * limit and W.min() < -0.999 * limit
    variance = limit**2 / 3  # of a uniform distribution; its fourth moment is limit**4 / 5
    assert abs(W.mean()) < 5 * np.sqrt(variance / n)
    assert abs(W.var() - variance) < 5 * np.sqrt((limit**4 / 5 - variance**2) / n)
    np.testing.assert_array_equal(layer.b.data, np.zeros(200))


def test_dense_rng():
    seeded = Dense(3, 2, rng=7).W.data
    np.testing.assert_array_equal(seeded, Dense(3, 2, rng=7).W.data)
    np.testing.assert_array_equal(seeded, Dense(3, 2, rng=np.random.default_rng(7)).W.data)
    assert not np.any(seeded == Dense(3, 2, rng=8).W.data)
    shared = np.random.default_rng(7)
    assert not np.any(Dense(3, 2, rng=shared).W.data == Dense(3, 2, rng=shared).W.data)
    assert not np.any(Dense(3, 2).W.data == Dense(3, 2).W.data)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
        ("tanh", np.tanh),
        ("relu", lambda z: z * (z > 0)),
        ("softplus", lambda z: np.log(1 + np.exp(z))),
        ("softmax", lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True)),
        ("log_softmax", lambda z: z - np.log(np.exp(z).sum(-1, keepdims=True))),
    ],
)
def test_dense_activation_by_name_and_function(name, formula):
    x = np.array([[0.5, -1.0, 2.0], [0.0, 1.5, -0.5]])
    z = Dense(3, 2, rng=0)(x).data
    named = Dense(3, 2, activation=name, rng=0)(x).data
    np.testing.assert_allclose(named, formula(z), rtol=1e-14)
    by_function = Dense(3, 2, activation=getattr(tg, name), rng=0)(x).data
    np.testing.assert_array_equal(named, by_function)


def test_dense_without_bias():
    layer = Dense(3, 2, bias=False, rng=0)
    assert layer.b is None
    assert layer.parameters() == [layer.W]
    np.testing.assert_array_equal(layer(np.zeros((5, 3))).data, np.zeros((5, 2)))


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None])
def test_dense_refuses_sizes(n):
    with pytest.raises(ValueError, match=r"in_features is a whole number of at least 1, not"):
        Dense(n, 2)
    with pytest.raises(ValueError, match=r"units is a whole number of at least 1, not"):
        Dense(2, n)


def test_dense_refuses_activations():
    with pytest.raises(ValueError, match=r"the name of one \(tanh, sigmoid, .*, not 'swish'"):
        Dense(3, 2, activation="swish")
    with pytest.raises(ValueError, match=r"activation is a function, or the name .*, not 3"):
        Dense(3, 2, activation=3)


# Sequential and Module


def test_sequential_of_layers_or_of_one_list():
    layers = [Dense(3, 4, rng=0), np.tanh, tg.relu, Dense(4, 2, rng=1)]
    x = np.arange(15.0).reshape(5, 3) / 10
    expected = x
    for layer in layers:
        expected = layer(expected)
    for model in (Sequential(*layers), Sequential(layers), Sequential(tuple(layers))):
        np.testing.assert_array_equal(model(x).data, expected.data)


def test_sequential_refuses_what_is_no_layer():
    with pytest.raises(TypeError, match="a layer is a Module or a function, not 'tanh'"):
        Sequential(Dense(3, 4), "tanh")


def test_module_without_forward():
    with pytest.raises(NotImplementedError, match=r"Holder does not define forward"):
        Holder()(1.0)


def test_named_parameters_are_paths():
    model = network()
    first, second = model.layers
    assert dict(model.named_parameters()) == {
        "layers.0.W": first.W,
        "layers.0.b": first.b,
        "layers.1.W": second.W,
        "layers.1.b": second.b,
    }
    assert model.parameters() == [first.W, first.b, second.W, second.b]


def test_parameters_in_nested_lists_and_dicts():
    a, b, c = leaf([1]), leaf([2]), Dense(1, 1, bias=False)
    model = Holder(parts={"encoder": [a, (b,)], "head": c}, units=4, name="net")
    assert dict(model.named_parameters()) == {
        "parts.encoder.0": a,
        "parts.encoder.1.0": b,
        "parts.head.W": c.W,
    }


def test_shared_parameters_count_once():
    layer, w = Dense(2, 2), leaf([1])
    model = Holder(first=layer, again=[layer, {"tied": layer.W}], w=w, same=w)
    assert [name for name, _ in model.named_parameters()] == ["first.W", "first.b", "w"]
    assert len(model.parameters()) == len(model.state_dict()) == 3


def test_a_module_may_refer_to_itself():
    model = Holder(w=leaf([1]))
    model.part = Holder(v=leaf([2]), parent=model)
    assert [name for name, _ in model.named_parameters()] == ["w", "part.v"]


@pytest.mark.parametrize("keys", [(1, "1"), ("a.b", "a")], ids=str)
def test_paths_that_coincide_are_refused_before_a_parameter_is_lost(keys):
    inner = {"b": leaf([2])} if keys[1] == "a" else leaf([2])
    with pytest.raises(ValueError, match=r"two tensors of Holder have the path d\.(1|a\.b)"):
        Holder(d={keys[0]: leaf([1]), keys[1]: inner}).parameters()


def test_tensors_that_are_not_trained_are_state_but_no_parameters():
    model = Holder(w=leaf([1]), scale=tg.Tensor([2.0]))
    assert model.parameters() == [model.w]
    assert_equal_states(model, {"w": [1.0], "scale": [2.0]})


def test_zero_grad():
    model = network()
    model(np.ones((5, 3))).sum().backward()
    assert all(p.grad.shape == p.shape for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


# States


def test_state_dict_round_trip():
    model, other = network(0), network(1)
    state = model.state_dict()
    other.load_state_dict(state)
    assert_equal_states(other, state)
    x = np.arange(15.0).reshape(5, 3)
    np.testing.assert_array_equal(model(x).data, other(x).data)


def test_state_dict_and_load_state_dict_copy():
    model, other = network(0), network(1)
    state, before = model.state_dict(), model.state_dict()
    other.load_state_dict(state)
    for array in state.values():
        array[...] = 99
    assert_equal_states(model, before)
    assert_equal_states(other, before)


def test_load_state_dict_keeps_the_dtype_and_takes_numbers():
    model = Holder(w=tg.Tensor(np.zeros(2, np.float32), requires_grad=True), s=leaf([0]))
    model.load_state_dict({"w": [1, 2], "s": [True]})
    assert model.w.dtype == np.float32 and model.s.dtype == np.float64
    assert model.w.data.tolist() == [1, 2] and model.s.data.tolist() == [1]


def test_an_optimizer_trains_on_after_load_state_dict():
    model = Holder(w=leaf([0]))
    sgd = tg.optim.SGD(model.parameters(), lr=0.5)
    model.load_state_dict({"w": [4.0]})
    (model.w * model.w).sum().backward()
    sgd.step()
    assert model.w.data.tolist() == [0.0]


WRONG_STATES = {
    "missing": (lambda state: state.pop("layers.1.b"), "layers.1.b is missing"),
    "unknown": (lambda state: state.update(extra=1.0), "extra is not a part of it"),
    "shape": (
        lambda state: state.update({"layers.0.W": np.zeros((4, 3))}),
        r"layers.0.W has the shape \(4, 3\), not \(3, 4\)",
    ),
    "broadcastable": (
        lambda state: state.update({"layers.0.b": 1.0}),
        r"layers.0.b has the shape \(\)",
    ),
    "text": (
        lambda state: state.update({"layers.1.b": ["a", "b"]}),
        r"layers.1.b: .*dtype\('<U1'\)",
    ),
    "complex": (lambda state: state.update({"layers.1.b": [1j, 2]}), "layers.1.b: .*complex"),
    "objects": (
        lambda state: state.update({"layers.1.b": [None, {}]}),
        r"layers.1.b: .*dtype\('O'\)",
    ),
    "ragged": (lambda state: state.update({"layers.1.b": [[1], [1, 2]]}), r"layers\.1\.b"),
}


@pytest.mark.parametrize("change", WRONG_STATES)
def test_load_state_dict_refuses(change):
    spoil, message = WRONG_STATES[change]
    model, state = network(0), network(1).state_dict()
    before = model.state_dict()
    spoil(state)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    assert_equal_states(model, before)


def test_load_state_dict_names_everything_that_is_wrong():
    with pytest.raises(
        ValueError, match=r"Dense: W has the shape .*; b is missing; c is not a part of it"
    ):
        Dense(3, 2).load_state_dict({"W": [1], "c": [1]})


@pytest.mark.parametrize("value", [np.nan, 1.5], ids=str)
def test_load_state_dict_refuses_what_integers_cannot_hold(value):
    model = Holder(first=leaf([1]), steps=tg.Tensor([3]))
    with pytest.raises(ValueError, match="steps"):
        model.load_state_dict({"first": [9.0], "steps": [value]})
    assert model.first.data.tolist() == [1.0] and model.steps.data.tolist() == [3]


# Files


@pytest.mark.parametrize("name", ["model.npz", "model", "model.weights"])
@pytest.mark.parametrize("kind", ["str", "Path"])
def test_save_and_load_use_the_exact_path(tmp_path, name, kind):
    path = tmp_path / name
    model, other = network(0), network(1)
    model.save(path if kind == "Path" else str(path))
    assert [p.name for p in tmp_path.iterdir()] == [name]
    other.load(path if kind == "Path" else str(path))
    assert_equal_states(other, model.state_dict())


def test_save_and_load_any_tensors(tmp_path):
    def make(value):
        return Holder(
            number=tg.Tensor(value, requires_grad=True),
            single=tg.Tensor(np.full((2, 0, 3), value, np.float32)),
            counts=tg.Tensor([int(value)]),
            parts={"a/b": leaf([value]), "c.npy": leaf([value]), "ü": [leaf([value])]},
        )

    path = tmp_path / "model.npz"
    model, other = make(1.0), make(2.0)
    model.save(path)
    other.load(path)
    assert_equal_states(other, model.state_dict())


@pytest.mark.parametrize("name", ["file", "allow_pickle", "self", "args"])
def test_any_attribute_name_can_be_saved(tmp_path, name):
    path = tmp_path / "model.npz"
    model, other = Module(), Module()
    setattr(model, name, leaf([1, 2]))
    setattr(other, name, leaf([3, 4]))
    model.save(path)
    other.load(path)
    assert getattr(other, name).data.tolist() == [1, 2]


def test_save_overwrites(tmp_path):
    path = tmp_path / "model.npz"
    network(0).save(path)
    network(1).save(path)
    model = network(2)
    model.load(path)
    assert_equal_states(model, network(1).state_dict())


def test_save_keeps_the_old_file_if_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    network(0).save(path)

    def full_disk(file, *array, **options):
        file.write(b"PK")
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", full_disk)
        with pytest.raises(OSError, match="no space left"):
            network(1).save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]
    model = network(2)
    model.load(path)
    assert_equal_states(model, network(0).state_dict())


def test_save_into_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        network().save(tmp_path / "missing" / "model.npz")


def test_load_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.npz"):
        network().load(tmp_path / "model.npz")


def write_npy(path, raw):
    with open(path, "wb") as file:
        np.save(file, np.ones((3, 4)))


def write_objects(path, raw):
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(path, **dict.fromkeys(network().state_dict(), objects))


BAD_FILES = {
    "empty": (lambda path, raw: path.write_bytes(b""), "damaged or no .npz file"),
    "cut in the middle": (
        lambda path, raw: path.write_bytes(raw[: len(raw) // 2]),
        "damaged or no .npz file",
    ),
    "cut by one byte": (lambda path, raw: path.write_bytes(raw[:-1]), "damaged or no .npz file"),
    "only the start": (lambda path, raw: path.write_bytes(raw[:10]), "damaged or no .npz file"),
    "text": (lambda path, raw: path.write_text("W,b\n1,2\n"), "damaged or no .npz file"),
    ".npy": (write_npy, "damaged or no .npz file"),
    "objects": (write_objects, "damaged or no .npz file"),
    "of another program": (lambda path, raw: np.savez(path, a=np.ones(3)), "layers.0.W is missing"),
    "of another model": (lambda path, raw: Dense(3, 2).save(path), "layers.0.W is missing"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_load_refuses_files(tmp_path, kind):
    write, message = BAD_FILES[kind]
    path = tmp_path / "model.npz"
    network(0).save(path)
    write(path, path.read_bytes())
    model = network(1)
    with pytest.raises(ValueError, match=message):
        model.load(path)
    assert_equal_states(model, network(1).state_dict())


def test_a_damaged_byte_is_refused_or_harmless(tmp_path):
    path = tmp_path / "model.npz"
    saved = Dense(2, 2, rng=0)
    saved.save(path)
    raw, model, refused = path.read_bytes(), Dense(2, 2), 0
    for i in range(len(raw)):
        path.write_bytes(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :])
        model.load_state_dict({"W": np.zeros((2, 2)), "b": np.zeros(2)})
        try:
            model.load(path)
        except ValueError:
            refused += 1
            assert not model.W.data.any()
        else:
            assert_equal_states(model, saved.state_dict())
    assert refused > len(raw) // 2


def test_damage_in_the_header_of_a_large_array_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    Dense(100, 100, rng=0).save(path)
    raw = path.read_bytes()
    assert raw.count(b"'<f8'") == 2
    path.write_bytes(raw.replace(b"'<f8'", b"'<f4'", 1))  # half of the numbers, read as garbage
    model = Dense(100, 100, rng=1)
    with pytest.raises(ValueError, match="damaged"):
        model.load(path)
    assert_equal_states(model, Dense(100, 100, rng=1).state_dict())


class Executed:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_load_executes_nothing(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "model.npz"
    np.savez(path, W=np.array([Executed(str(trace))], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"damaged or no \.npz file"):
        Dense(1, 1).load(path)
    assert not trace.exists()


# fit

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [-1.0, 1.0, 1.0], [0.0, 2.0, 0.5], [1, -2, 0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])


def sgd_fit(model, *, epochs=3, lr=0.1, **options):
    sgd = tg.optim.SGD(model.parameters(), lr=lr)
    return tg.fit(model, X, Y, tg.binary_cross_entropy_with_logits, sgd, epochs, **options)


def accuracy(pred, target):
    return np.mean((pred > 0) == target)


class Recorder:
    """A model of one weight that keeps the rows of its inputs."""

    def __init__(self):
        self.w = leaf([0.0])
        self.batches = []

    def __call__(self, x):
        self.batches.append(x.tolist())
        return x * self.w


def recorded_batches(batch_size, epochs=2, rng=0, m=5):
    model, rows = Recorder(), np.arange(float(m))
    sgd = tg.optim.SGD([model.w], lr=0.0)
    tg.fit(model, rows, rows, tg.mse_loss, sgd, epochs, batch_size=batch_size, rng=rng)
    return model.batches


def test_history_has_a_number_an_epoch():
    history = sgd_fit(Dense(3, 1, rng=0), epochs=4, metrics={"accuracy": accuracy})
    assert list(history) == ["loss", "accuracy"]
    assert all(len(values) == 4 for values in history.values())
    assert all(type(v) is float for values in history.values() for v in values)


def test_full_batch_is_the_loop_written_by_hand():
    model = Dense(3, 1, rng=0)
    W, b, losses = model.W.data.copy(), np.zeros(1), []
    history = sgd_fit(model, epochs=50, lr=0.5)
    for _ in range(50):
        p = 1 / (1 + np.exp(-(X @ W + b)))
        losses.append(-np.mean(Y * np.log(p) + (1 - Y) * np.log(1 - p)))
        W -= 0.5 * X.T @ (p - Y) / 5
        b -= 0.5 * np.mean(p - Y)
    np.testing.assert_allclose(model.W.data, W, rtol=1e-12)
    np.testing.assert_allclose(model.b.data, b, rtol=1e-12)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)


def test_full_batches_keep_the_order():
    assert recorded_batches(None) == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5]), (np.int64(3), [3, 2])],
)
def test_minibatches_use_every_sample_once_per_epoch(batch_size, sizes):
    batches = recorded_batches(batch_size)
    n = len(sizes)
    for epoch in (batches[:n], batches[n:]):
        assert [len(batch) for batch in epoch] == sizes
        assert sorted(itertools.chain(*epoch)) == [0, 1, 2, 3, 4]


def test_minibatches_are_shuffled_anew_every_epoch():
    first, second = recorded_batches(20, m=20)
    assert first != second and first != sorted(first)


def test_fit_rng():
    first = recorded_batches(2, rng=3)
    assert recorded_batches(2, rng=3) == first
    assert recorded_batches(2, rng=np.random.default_rng(3)) == first
    assert recorded_batches(2, rng=4) != first


def test_loss_and_metrics_are_means_over_the_samples():
    def mean_of(batch_size):
        metrics = {"accuracy": accuracy, "mean": lambda pred, target: pred.mean()}
        model = Dense(3, 1, rng=0)
        return sgd_fit(model, epochs=1, lr=0.0, batch_size=batch_size, metrics=metrics, rng=0)

    pred = X @ Dense(3, 1, rng=0).W.data
    for history in (mean_of(None), mean_of(2)):  # batches of 2, 2 and 1
        losses = np.log(1 + np.exp(-pred)) * Y + np.log(1 + np.exp(pred)) * (1 - Y)
        assert history["loss"] == pytest.approx([losses.mean()], rel=1e-12)
        assert history["accuracy"] == pytest.approx([accuracy(pred, Y)], rel=1e-12)
        assert history["mean"] == pytest.approx([pred.mean()], rel=1e-12)


def test_history_is_from_before_the_step():
    model = Dense(3, 1, bias=False, rng=0)
    start = model.W.data.copy()
    history = sgd_fit(model, epochs=1, lr=10.0, metrics={"mean": lambda pred, _: pred.mean()})
    assert history["mean"] == pytest.approx([(X @ start).mean()], rel=1e-12)


@pytest.mark.parametrize("n", [0, -1, 2.5, "2"])
def test_fit_refuses_counts(n):
    with pytest.raises(ValueError, match="epochs is a whole number of at least 1, not"):
        sgd_fit(Dense(3, 1), epochs=n)
    with pytest.raises(ValueError, match="batch_size is a whole number of at least 1, not"):
        sgd_fit(Dense(3, 1), batch_size=n)


@pytest.mark.parametrize(("m", "n"), [(5, 4), (4, 5), (0, 0)])
def test_fit_refuses_lengths(m, n):
    model = Dense(3, 1)
    sgd = tg.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match=f"X has {m} rows and y {n}: one target per sample"):
        tg.fit(model, X[:m], Y[:n], tg.mse_loss, sgd, epochs=1)


def test_fit_refuses_targets_of_another_shape():
    model = Dense(3, 1)
    sgd = tg.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match=r"the shape \(5, 1\) and the target \(5,\)"):
        tg.fit(model, X, Y.ravel(), tg.mse_loss, sgd, epochs=1)


def test_fit_refuses_a_metric_named_loss():
    with pytest.raises(ValueError, match="loss"):
        sgd_fit(Dense(3, 1), metrics={"loss": accuracy})


# The progress bar


@pytest.fixture
def bars(monkeypatch):
    """The options of the calls of a stand-in for tqdm."""
    calls = []

    class Bar:
        def __init__(self, **options):
            calls.append(options | {"n": 0})

        def set_postfix_str(self, text, refresh):
            calls[-1]["text"] = text

        def update(self):
            calls[-1]["n"] += 1

        def close(self):
            calls[-1]["closed"] = True

    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    return calls


def set_terminal(monkeypatch, there):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: there, raising=False)


def test_progress_bar_on_a_terminal(monkeypatch, bars):
    set_terminal(monkeypatch, True)
    assert len(sgd_fit(Dense(3, 1), epochs=3)["loss"]) == 3
    (bar,) = bars
    assert bar["delay"] > 0 and bar["text"].startswith("loss ")
    assert bar["n"] == bar["total"] == 3 and bar["closed"]
    sgd_fit(Dense(3, 1), epochs=5, callback=lambda history: len(history["loss"]) == 2)
    assert bars[1]["n"] == 2 and bars[1]["closed"]


def test_no_progress_bar_without_a_terminal(monkeypatch, bars, capsys):
    set_terminal(monkeypatch, False)
    assert len(sgd_fit(Dense(3, 1), epochs=3)["loss"]) == 3
    assert bars == [] and capsys.readouterr() == ("", "")


def test_no_progress_bar_without_tqdm(monkeypatch, capsys):
    set_terminal(monkeypatch, True)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # makes its import fail
    assert len(sgd_fit(Dense(3, 1), epochs=3)["loss"]) == 3
    assert capsys.readouterr() == ("", "")


def test_the_real_tqdm_takes_what_it_is_given(monkeypatch):
    pytest.importorskip("tqdm", reason="tqdm is in the extra 'progress'")
    set_terminal(monkeypatch, True)
    assert len(sgd_fit(Dense(3, 1), epochs=3)["loss"]) == 3
