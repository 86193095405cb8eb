"""fit with validation, callbacks, compiled steps and several arrays; trainings that go on."""

import inspect
import sys

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf, normal
from tinygrad_lr import nn

X, Y = normal(30, 4), np.random.default_rng(0).integers(0, 3, 30)
X2, Y2 = normal(11, 4, seed=1), np.random.default_rng(1).integers(0, 3, 11)


def accuracy(pred, target):
    return np.mean(pred.argmax(axis=1) == target)


def network(rng=0, dropout=0.4):
    rng = np.random.default_rng(rng)
    return nn.Sequential(
        nn.Dense(4, 8, activation="relu", rng=rng),
        nn.BatchNorm(8),
        nn.Dropout(dropout, rng=rng),
        nn.Dense(8, 3, rng=rng),
    )


def fit(model, epochs=3, **options):
    adam = options.pop("optimizer", None) or tg.optim.Adam(model.parameters(), lr=0.05)
    return tg.fit(model, X, Y, tg.cross_entropy, adam, epochs, **{"rng": 0, **options})


# Validation and modes


@pytest.mark.parametrize("batch_size", [None, 4, 11])
def test_validation_is_taken_as_after_eval_and_changes_nothing(batch_size):
    model, plain, seen = network(), network(), []

    def callback(history):
        expected = tg.cross_entropy(model.predict(X2), Y2).item()
        assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-12)
        assert history["val_accuracy"][-1] == accuracy(model.predict(X2), Y2)
        seen.append(len(history["loss"]))

    options = {"batch_size": batch_size, "metrics": {"accuracy": accuracy}}
    history = fit(model, validation=(X2, Y2), callback=callback, **options)
    assert seen == [1, 2, 3] and [*history] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    without = fit(plain, **options)
    for name in ("loss", "accuracy"):
        assert history[name] == without[name]
    for name, x in plain.state_dict().items():
        np.testing.assert_array_equal(x, model.state_dict()[name])


def test_fit_trains_as_in_training_and_leaves_the_modes():
    model, other = network().eval(), network()
    fit(model)
    fit(other)
    assert not model.training and not model.layers[2].training and other.training
    np.testing.assert_array_equal(model.layers[0].W.data, other.layers[0].W.data)
    with pytest.raises(ZeroDivisionError):
        fit(model, callback=lambda history: 1 / 0)
    assert not model.layers[1].training


def test_a_function_can_be_the_model():
    w = leaf(np.zeros((4, 3)))
    options = {"optimizer": tg.optim.SGD([w], 0.1), "validation": (X2, Y2)}
    history = tg.fit(lambda x: x @ w, X, Y, tg.cross_entropy, epochs=3, **options)
    assert history["loss"][0] > history["loss"][-1] and len(history["val_loss"]) == 3


# Callbacks


def test_a_callback_that_returns_true_ends_the_training():
    history = fit(network(), epochs=50, callback=lambda history: len(history["loss"]) == 4)
    assert len(history["loss"]) == 4


@pytest.mark.parametrize("maximize", [False, True])
def test_early_stopping(maximize):
    layer = nn.Dense(1, 1)
    stop = tg.EarlyStopping(layer, patience=2, monitor="score", maximize=maximize)
    sign, ended, history = -1 if maximize else 1, [], {"score": []}
    for i, score in enumerate([5.0, 3.0, 4.0, 2.0, 2.0, 6.0, 1.0]):
        layer.W.data[...] = i
        history["score"].append(sign * score)
        ended.append(stop(history))
    assert ended == [False, False, False, False, False, True, False]
    assert stop.best["W"] == 6 and stop.value == sign
    with pytest.raises(KeyError, match=r"val_loss is not in the history, \['score'\]: pass valid"):
        tg.EarlyStopping(layer)(history)


def test_early_stopping_keeps_a_copy_of_the_best_weights():
    model, kept = network(), []
    stop = tg.EarlyStopping(model, patience=3)

    def callback(history):
        ends = stop(history)
        kept.append(model.state_dict())
        return ends

    history = fit(model, 200, validation=(X2, Y2), callback=callback)
    losses = history["val_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 4 < 200
    for name, x in kept[best].items():
        np.testing.assert_array_equal(stop.best[name], x)


# Several arrays, clipping and compiled steps


class TwoInputs(nn.Module):
    def __init__(self):
        self.a, self.b = nn.Dense(4, 2, rng=0), nn.Dense(3, 1, rng=1)

    def forward(self, x, z):
        return self.a(x), self.b(z)


@pytest.mark.parametrize("compiled", [False, True])
def test_several_inputs_outputs_and_targets(compiled):
    Z, T = normal(30, 3), normal(30, 1, seed=2)

    def loss(pred, label, value):
        return tg.cross_entropy(pred[0], label) + tg.mse_loss(pred[1], value)

    model, labels = TwoInputs(), Y % 2
    start = loss(model(X, Z), labels, T).item()
    history = tg.fit(
        model, (X, Z), (labels, T), loss, tg.optim.SGD(model.parameters(), 0.1), 4,
        metrics={"right": lambda p, label, value: np.mean(p[0].argmax(axis=1) == label)},
        validation=((X[:7], Z[:7]), (labels[:7], T[:7])), compile=compiled,
    )  # fmt: skip
    assert history["loss"][0] == pytest.approx(start, rel=1e-12)
    pred = model(X[:7], Z[:7])
    assert history["val_loss"][-1] == pytest.approx(loss(pred, labels[:7], T[:7]).item())
    assert history["val_right"][-1] == np.mean(pred[0].data.argmax(axis=1) == labels[:7])
    assert ("right" in history) is not compiled
    with pytest.raises(ValueError, match="X has 30, 29 rows and y 30, 30"):
        tg.fit(model, (X, Z[1:]), (labels, T), loss, tg.optim.SGD(model.parameters()), 1)


@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("batch_size", [None, 8])
def test_compiled_steps_give_the_same(clip_norm, batch_size):
    def train(compiled):
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Dense(4, 8, activation="gelu", rng=rng), nn.Dense(8, 3, rng=rng))
        options = {"clip_norm": clip_norm, "batch_size": batch_size, "compile": compiled}
        sgd = tg.optim.SGD(model.parameters(), lr=0.3)
        history = fit(model, 5, optimizer=sgd, validation=(X2, Y2), **options)
        return history, model

    (ours, model), (theirs, other) = train(True), train(False)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-10)
    np.testing.assert_allclose(model[0].W.data, other[0].W.data, rtol=1e-9)


def test_a_compiled_fit_refuses_dropout_by_name():
    with pytest.raises(tg.RecordingError, match="what Dropout does in training"):
        fit(nn.Sequential(nn.Dense(4, 3), nn.Dropout()), compile=True)


def test_clipping_is_the_loop_written_by_hand():
    model, other = nn.Dense(4, 3, rng=0), nn.Dense(4, 3, rng=0)
    fit(model, 4, optimizer=tg.optim.SGD(model.parameters(), 0.5), clip_norm=0.2)
    sgd = tg.optim.SGD(other.parameters(), 0.5)
    for _ in range(4):
        sgd.zero_grad()
        tg.cross_entropy(other(X), Y).backward()
        norm = np.sqrt(sum(np.sum(p.grad**2) for p in sgd.params))
        assert tg.optim.clip_grad_norm(sgd.params, 0.2) == pytest.approx(norm, rel=1e-14)
        sgd.step()
    np.testing.assert_array_equal(model.W.data, other.W.data)


def test_layers_in_eval_mode_on_their_own_stay_so():
    model = network()
    model.layers[1].requires_grad_(False).eval()
    model.layers[2].eval()
    start = model.state_dict()
    fit(model)
    for name in ("layers.1.running_mean", "layers.1.gamma", "layers.2.draws"):
        np.testing.assert_array_equal(model.state_dict()[name], start[name])
    assert (model.layers[0].W.data != start["layers.0.W"]).any()
    assert model.training and not model.layers[1].training
    fit(model, compile=True)  # which refuses what these layers do in training


def test_a_function_of_modules_is_validated_as_after_eval():
    model, other = network(), network()
    adam = tg.optim.Adam(other.parameters(), lr=0.05)
    expected = fit(model, validation=(X2 + 9, Y2))
    result = tg.fit(
        lambda x: other(x), X, Y, tg.cross_entropy, adam, 3, rng=0, validation=(X2 + 9, Y2)
    )
    assert result == expected
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, other.state_dict()[name])


def test_the_history_holds_what_was_before_the_step():
    w = leaf(np.zeros(3))
    ones = np.ones(3)
    history = tg.fit(
        lambda x: w.reshape(-1), ones, ones, tg.mse_loss, tg.optim.SGD([w], lr=1.0), 1,
        metrics={"squares": lambda p, t: np.mean((p - t) ** 2)},
    )  # fmt: skip
    assert history == {"loss": [1.0], "squares": [1.0]}
    w = leaf(2.0)
    history = tg.fit(lambda x: w, ones, ones, lambda p, t: p, tg.optim.SGD([w], lr=1.0), 2)
    assert history["loss"] == [2.0, 1.0]


@pytest.mark.parametrize("name", ["val_loss", "val_accuracy"])
def test_names_of_the_history_are_refused_for_metrics(name):
    with pytest.raises(ValueError, match=f"a metric cannot be named '{name}'"):
        fit(network(), metrics={name: accuracy})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0.2}, "validation is a pair"),
        ({"validation": (X2,)}, "validation is a pair"),
        ({"callback": [print]}, "callback is a function of the history"),
        ({"validation": (X2, Y2[1:])}, "validation: X has 11 rows and y 10"),
    ],
)
def test_what_fit_cannot_take(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(network(), **options)
    for loss, what in ((lambda p, t: p, r"one of shape \(30, 3\)"), (lambda p, t: 2.0, "2.0")):
        with pytest.raises(TypeError, match=f"a Tensor with one element, not {what}"):
            tg.fit(network(), X, Y, loss, tg.optim.SGD([leaf(1.0)]), 1)
    with pytest.raises(TypeError, match="arrays with samples in rows"):
        tg.fit(network(), iter(X), Y, tg.cross_entropy, tg.optim.SGD([leaf(1.0)]), 1)


@pytest.mark.parametrize("batch_size", [None, 1, 4, 11, 50])
def test_predictions_of_several_outputs(batch_size):
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Dense(4, 2, rng=0), nn.Dense(4, 3, rng=1)

        def forward(self, x):
            return self.a(x), self.b(x)

    model = Two()
    a, b = model.predict(X2, batch_size=batch_size)
    np.testing.assert_allclose(a, model.a(X2).data, rtol=1e-12)
    np.testing.assert_allclose(b, model.b(X2).data, rtol=1e-12)
    assert model.predict(X2[:0])[1].shape == (0, 3)
    with pytest.raises(ValueError, match="batch_size is a whole number of at least 1, not 0"):
        model.predict(X2, batch_size=0)


# Progress


def test_the_epoch_that_ends_a_training_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    fit(network(), 50, verbose=True, callback=lambda history: len(history["loss"]) == 4)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 4 of 50: loss ")


def test_lines_where_there_is_no_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    for verbose, lines in ((None, 0), (False, 0), (True, 1)):
        fit(network(), 3, validation=(X2, Y2), verbose=verbose)
        out, err = capsys.readouterr()
        assert not out and len(err.splitlines()) == lines
    assert err.startswith("epoch 3 of 3: loss ") and ", val_loss " in err


# Going on where a training stopped


def training(path=None, generator=None):
    """All parts of a training, and a function that goes on with it."""
    rng = np.random.Generator(generator(5)) if generator else np.random.default_rng(5)
    model = network(rng)
    adam = tg.optim.AdamW(model.parameters(), lr=0.05, amsgrad=True)
    schedule = tg.optim.CosineAnnealingLR(adam, 10, warmup=2)
    stop = tg.EarlyStopping(model, patience=50)
    parts = {"model": model, "adam": adam, "schedule": schedule, "stop": stop, "rng": rng}

    def after_epoch(history):
        schedule.step()
        return stop(history)

    def train(epochs):
        return fit(model, epochs, optimizer=adam, batch_size=7, rng=rng,
                   validation=(X2, Y2), callback=after_epoch)  # fmt: skip

    return parts, train


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_a_training_goes_on_bit_for_bit(tmp_path, kind):
    generator, path = getattr(np.random, kind), tmp_path / "training.npz"
    parts, train = training(generator=generator)
    train(3)
    tg.save(path, **parts)
    whole = train(4)
    again, go_on = training(generator=generator)
    go_on(1)  # whatever was before
    tg.load(path, **again)
    assert go_on(4) == whole
    for name in ("model", "adam", "schedule", "stop"):
        for key, x in parts[name].state_dict().items():
            np.testing.assert_array_equal(again[name].state_dict()[key], x, err_msg=key)
    assert parts["rng"].random() == again["rng"].random()


def test_files_of_other_trainings_are_refused(tmp_path):
    path = tmp_path / "training.npz"
    parts, _ = training()
    tg.save(path, model=parts["model"], rng=parts["rng"])
    with pytest.raises(ValueError, match=r"has the parts \['model', 'rng'\], not \['adam'\]"):
        tg.load(path, adam=parts["adam"])
    model, rng = network(), np.random.default_rng(5)
    before, draw = model.state_dict(), rng.bit_generator.state
    with pytest.raises(ValueError, match=r"^model: this state does not fit Dense: .*W is missing"):
        tg.load(path, rng=rng, model=nn.Dense(2, 2))
    with pytest.raises(ValueError, match=r"^rng: "):
        tg.load(path, model=model, rng=np.random.Generator(np.random.MT19937()))
    for name, x in model.state_dict().items():  # what had been loaded before is as it was
        np.testing.assert_array_equal(x, before[name])
    assert rng.bit_generator.state == draw
    with pytest.raises(TypeError, match="a part of a training is a Module"):
        tg.save(path, epoch=3)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="damaged"):
        tg.load(path, model=parts["model"])


# The digits


def test_digits_as_in_pytorch(torch, tmp_path):
    from docs.benchmarks import digits_with_torch as theirs
    from examples import digits_classifier as ours

    assert len(inspect.getsource(ours).splitlines()) <= len(inspect.getsource(theirs).splitlines())
    torch.set_num_threads(1)
    own = ours.main(epochs=10, path=tmp_path / "ours.npz")
    other = theirs.main(epochs=10, path=tmp_path / "theirs.pt")
    assert own > 0.95 and abs(own - other) < 0.02


def test_the_digits_go_on_where_they_were_stopped(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra 'test'")
    from examples import digits_classifier as digits

    def state(name, stop_after=None):
        path, save = tmp_path / name, tg.save

        def interrupted(*args, **parts):
            save(*args, **parts)
            if parts["schedule"].last_epoch == stop_after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(tg, "save", interrupted)
            digits.main(epochs=4, path=path)
        with np.load(path) as arrays:
            return dict(arrays)

    whole = state("whole.npz")
    with pytest.raises(KeyboardInterrupt):
        state("parts.npz", stop_after=2)
    parts = state("parts.npz")
    assert parts.keys() == whole.keys()
    for name, x in whole.items():
        np.testing.assert_array_equal(parts[name], x, err_msg=name)
