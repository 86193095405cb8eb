"""Layers, activations, losses and gradients' norms: by definition and as in PyTorch."""

import copy

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf, normal
from tinygrad_lr import nn

F64 = {"rtol": 1e-12, "atol": 1e-13}


def close(ours, theirs, **tolerances):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), **(tolerances or F64))


def compare(torch, ours, theirs, *arrays, reductions=("mean", "sum", "none")):
    """Values and gradients of a function of arrays, in every reduction."""
    for reduction in reductions:
        own = [leaf(a) for a in arrays]
        their = [torch.tensor(a, requires_grad=True) for a in arrays]
        options = {"reduction": reduction} if reduction else {}
        result, reference = ours(*own, **options), theirs(*their, **options)
        g = normal(*result.shape, seed=9)
        result.backward(g)
        reference.backward(torch.from_numpy(np.asarray(g)))
        close(result.data, reference)
        for x, y in zip(own, their, strict=True):
            close(x.grad, y.grad)


# Activations

X = np.concatenate([normal(4, 5), [[0.0, -0.0, 30.0, -30.0, 1e-9]]])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("tg.leaky_relu(x)", "F.leaky_relu(x)"),
        ("tg.leaky_relu(x, 0.3)", "F.leaky_relu(x, 0.3)"),
        ("tg.gelu(x)", "F.gelu(x)"),
        ("tg.gelu(x, approximate='tanh')", "F.gelu(x, approximate='tanh')"),
        ("tg.silu(x)", "F.silu(x)"),
    ],
)
def test_activations_as_in_pytorch(torch, ours, theirs):
    def call(expression):
        return lambda x: eval(expression, {"tg": tg, "F": torch.nn.functional, "x": x})

    compare(torch, call(ours), call(theirs), X, reductions=[None])


def test_gelu_is_exact_in_the_tail_and_refuses_other_forms():
    mpmath_10 = -10 * 7.619853024160525e-24  # the share of a normal distribution below -10
    assert tg.gelu(np.array([-10.0]))[0] == pytest.approx(mpmath_10, rel=1e-13)
    assert tg.gelu(np.float32([1.0])).dtype == np.float32
    with pytest.raises(ValueError, match="'none' or 'tanh', not 'erf'"):
        tg.gelu(1.0, approximate="erf")


# Losses

M, C = 6, 4
Z, LABELS = normal(M, C), np.array([0, 3, 1, 1, 2, 3])
SHARES = np.random.default_rng(0).dirichlet(np.ones(C), M)
WEIGHT = np.array([0.5, 2.0, 1.25, 0.0])
BOTH = np.random.default_rng(1).uniform(0.1, 0.9, (M, C))


@pytest.mark.parametrize("delta", [0.3, 1.0, 5.0])
def test_huber_loss(torch, delta):
    F = torch.nn.functional
    compare(
        torch,
        lambda p, t, **o: tg.huber_loss(p, t, delta=delta, **o),
        lambda p, t, **o: F.huber_loss(p, t, delta=delta, **o),
        3 * Z,
        BOTH,
    )
    assert tg.huber_loss([1.0, 3.0], [0.0, 0.0], "none").tolist() == [0.5, 2.5]
    with pytest.raises(ValueError, match="delta is above 0, not 0"):
        tg.huber_loss([1.0], [1.0], delta=0)


@pytest.mark.parametrize("weight", [0.7, WEIGHT, BOTH], ids=["number", "columns", "elements"])
@pytest.mark.parametrize("pos_weight", [None, 3.0, WEIGHT], ids=["none", "number", "columns"])
def test_binary_weights(torch, weight, pos_weight):
    F = torch.nn.functional
    w, pos = (
        None if x is None else torch.tensor(x, dtype=torch.float64) for x in (weight, pos_weight)
    )
    compare(
        torch,
        lambda z, t, **o: tg.binary_cross_entropy_with_logits(
            z, t, weight=weight, pos_weight=pos_weight, **o
        ),
        lambda z, t, **o: F.binary_cross_entropy_with_logits(z, t, weight=w, pos_weight=pos, **o),
        5 * Z,
        BOTH,
    )
    if pos_weight is None:
        compare(
            torch,
            lambda p, **o: tg.binary_cross_entropy(p, BOTH, weight=weight, **o),
            lambda p, **o: F.binary_cross_entropy(
                p, torch.tensor(BOTH), weight=w.expand(M, C), **o
            ),
            BOTH[::-1].copy(),
        )


def test_binary_weights_that_would_broadcast_are_refused():
    p, t = BOTH[:, 0], np.ones(M)
    for options in ({"weight": np.ones((M, 1))}, {"pos_weight": np.ones((M, 1))}):
        with pytest.raises(ValueError, match=r"weight has the shape \(6, 1\), and the losses \(6,"):
            tg.binary_cross_entropy_with_logits(p, t, **options)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["none", "classes"])
@pytest.mark.parametrize("ignored", [None, -100, 3])
def test_cross_entropy_of_labels(torch, smoothing, weight, ignored):
    F = torch.nn.functional
    w = None if weight is None else torch.tensor(weight)
    labels = np.where(LABELS == 3, -100, LABELS) if ignored == -100 else LABELS
    options = {"label_smoothing": smoothing}
    theirs = {"ignore_index": -100 if ignored is None else ignored} | options
    compare(
        torch,
        lambda z, **o: tg.cross_entropy(z, labels, weight, ignore_index=ignored, **options, **o),
        lambda z, **o: F.cross_entropy(z, torch.tensor(labels), w, **theirs, **o),
        Z,
    )


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["none", "classes"])
def test_cross_entropy_of_probabilities_with_smoothing(torch, weight):
    F = torch.nn.functional
    w = None if weight is None else torch.tensor(weight)
    compare(
        torch,
        lambda z, t, **o: tg.cross_entropy(z, t, weight, label_smoothing=0.2, **o),
        lambda z, t, **o: F.cross_entropy(z, t, w, label_smoothing=0.2, **o),
        Z,
        SHARES,
    )


def test_cross_entropy_refuses_other_labels_and_smoothing():
    with pytest.raises(ValueError, match=r"labels from -100 to 0.*ignore_index= leaves out"):
        tg.cross_entropy(Z[:2], np.array([0, -100]))
    with pytest.raises(ValueError, match="labels from -2 to 0"):
        tg.cross_entropy(Z[:3], np.array([0, -2, -100]), ignore_index=-100)
    with pytest.raises(ValueError, match=r"label_smoothing is in \[0, 1\], not 1.5"):
        tg.cross_entropy(Z, LABELS, label_smoothing=1.5)


def test_losses_of_float32_predictions_stay_float32():
    p = leaf(np.float32(BOTH))
    for loss in (tg.mse_loss, tg.huber_loss, tg.binary_cross_entropy, tg.cross_entropy):
        assert loss(p, SHARES).dtype == np.float32
    assert tg.cross_entropy(p, LABELS, label_smoothing=0.1, ignore_index=3).dtype == np.float32


# Layers


def their_layer(torch, layer, theirs):
    """Give PyTorch's layer our parameters and buffers."""
    names = {"gamma": "weight", "beta": "bias", "W": "weight"}
    state = {names.get(k, k): torch.tensor(x) for k, x in layer.state_dict().items()}
    theirs.double().load_state_dict(theirs.state_dict() | state)


def compare_layers(torch, layer, theirs, *inputs):
    """Outputs, gradients and buffers of calls in a row, trained between them, then by eval()."""
    their_layer(torch, layer, theirs)
    ours = tg.optim.SGD(layer.parameters(), lr=0.3)
    other = torch.optim.SGD(theirs.parameters(), lr=0.3)
    for i, x in enumerate([*inputs, inputs[0]]):
        if i == len(inputs):
            assert layer.eval() is layer and not theirs.eval().training
        if float_input := x.dtype.kind == "f":
            own, their = leaf(x), torch.tensor(x, requires_grad=True)
        else:
            own, their = x, torch.tensor(x)
        y, z = layer(own), theirs(their)
        close(y.data, z)
        g = normal(*y.shape, seed=i)
        ours.zero_grad()
        other.zero_grad()
        (y * g).sum().backward()
        (z * torch.tensor(g)).sum().backward()
        if float_input:
            close(own.grad, their.grad)
        ours.step()
        other.step()
        state = theirs.state_dict()
        names = {"gamma": "weight", "beta": "bias", "W": "weight"}
        for name, value in layer.state_dict().items():
            close(value, state[names.get(name, name)])


@pytest.mark.parametrize("shape", [(5,), (3, 5)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm(torch, shape, eps):
    layer = nn.LayerNorm(shape if len(shape) > 1 else 5, eps=eps)
    layer.gamma.data, layer.beta.data = normal(*shape), normal(*shape, seed=1)
    inputs = 3 + normal(4, 3, 5), normal(2, 3, 5)
    compare_layers(torch, layer, torch.nn.LayerNorm(shape, eps=eps), *inputs)


@pytest.mark.parametrize("rest", [(), (7,), (2, 4)])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.6, "eps": 0.1}], ids=["default", "other"])
def test_batch_norm(torch, rest, options):
    kind = [torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d][len(rest)]
    layer = nn.BatchNorm(3, **options)
    layer.gamma.data = normal(3)
    inputs = [2 + normal(6, 3, *rest, seed=i) for i in range(3)]
    compare_layers(torch, layer, kind(3, **options), *inputs)
    assert {"running_mean", "running_var"} < layer.state_dict().keys()
    assert layer.parameters() == [layer.gamma, layer.beta]


def test_batch_norm_without_running_statistics(torch):
    theirs = torch.nn.BatchNorm1d(3, track_running_stats=False)
    layer = nn.BatchNorm(3, track_running_stats=False)
    compare_layers(torch, layer, theirs, normal(6, 3), normal(4, 3))
    assert layer.state_dict().keys() == {"gamma", "beta"}


def test_embedding(torch):
    ids = [np.array([[1, 0], [6, 1]]), np.array([3]), np.array(2, np.uint8).astype(np.int64)]
    compare_layers(torch, nn.Embedding(7, 3, rng=0), torch.nn.Embedding(7, 3), *ids)


@pytest.mark.parametrize("ids", [[-1], [7], [1.0], np.array([True])], ids=str)
def test_embedding_refuses(ids):
    with pytest.raises(IndexError, match="Embedding takes integers from 0 to 6, not"):
        nn.Embedding(7, 3)(np.asarray(ids))


def test_layers_say_what_they_take():
    with pytest.raises(
        tg.ShapeError, match=r"LayerNorm\(\(3, 5\)\) takes \(..., 3, 5\), but the input"
    ):
        nn.LayerNorm((3, 5))(np.ones((2, 5, 3)))
    with pytest.raises(
        tg.ShapeError, match=r"BatchNorm\(3\) takes \(m, 3, ...\), but the input is"
    ):
        nn.BatchNorm(3)(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): training takes more than one"):
        nn.BatchNorm(3)(np.ones((1, 3)))
    assert nn.BatchNorm(3).eval()(np.ones((1, 3))).shape == (1, 3)
    with pytest.raises(ValueError, match=r"p is in \[0, 1\], not 2"):
        nn.Dropout(2)


def test_flatten():
    x = normal(4, 3, 2)
    np.testing.assert_array_equal(nn.Flatten()(x), x.reshape(4, 6))
    assert nn.Flatten()(leaf(x)).shape == (4, 6) and nn.Flatten()(np.ones((0, 2, 3))).shape == (
        0,
        6,
    )


# Dropout


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_dropout_keeps_its_share_and_scales_the_rest(p):
    x = leaf(np.ones((200, 100)))
    y = nn.Dropout(p, rng=0)(x)
    y.sum().backward()
    assert set(np.unique(y.data)) == {0.0: {1.0}, 1.0: {0.0}}.get(p, {0.0, 1 / (1 - p or 1)})
    np.testing.assert_array_equal(x.grad, y.data)
    n, share = x.size, np.mean(y.data == 0)
    assert abs(share - p) <= 5 * np.sqrt(p * (1 - p) / n)


def test_dropout_draws_anew_and_not_after_eval():
    layer, x = nn.Dropout(0.5, rng=0), np.ones((5, 8))
    first, second = layer(x).data, layer(x).data
    assert (first != second).any()
    t = tg.Tensor(x)
    assert layer.eval()(t) is t and layer.train()(t) is not t
    again = nn.Dropout(0.5, rng=0)
    np.testing.assert_array_equal(again(x).data, first)
    other = nn.Dropout(0.5, rng=1)
    other.load_state_dict(again.state_dict())  # the seed and how often it has drawn
    np.testing.assert_array_equal(other(x).data, second)
    assert nn.Dropout()(np.float32([1.0])).dtype == np.float32


def test_two_dropouts_of_one_generator_differ_and_those_of_a_seed_agree():
    x, rng = np.ones((5, 8)), np.random.default_rng(0)
    one, other = nn.Dropout(0.5, rng), nn.Dropout(0.5, rng)
    assert (one(x).data != other(x).data).any()
    np.testing.assert_array_equal(nn.Dropout(rng=3)(x).data, nn.Dropout(rng=3)(x).data)


# Modes, gradients, initial weights, predictions


def network():
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Dense(5, 8, activation="gelu", init="he_normal", rng=rng),
        nn.BatchNorm(8),
        nn.Dropout(0.4, rng=rng),
        nn.Dense(8, 3, rng=rng),
    )


def test_modes_reach_every_module():
    model = network()
    assert model.training and model.layers[1].training
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert all(module.training for _, module in model.train().named_modules())


def test_requires_grad_freezes_and_unfreezes_all_but_buffers():
    model = network()
    trained = model.parameters()
    assert model.requires_grad_(False) is model and model.parameters() == []
    model.layers[3].requires_grad_()
    assert model.parameters() == [model.layers[3].W, model.layers[3].b]
    model.requires_grad_()
    assert model.parameters() == trained
    assert not model.layers[1].running_mean.requires_grad


def test_summary_and_predict_change_nothing():
    model, x = network(), normal(10, 5)
    model(x)
    model.layers[2].eval()
    before = copy.deepcopy(model.state_dict())
    model.summary(x)
    pred = model.predict(x)
    assert isinstance(pred, np.ndarray) and model.training and not model.layers[2].training
    assert model.state_dict().keys() == before.keys()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_allclose(model.predict(x, batch_size=3), pred, rtol=1e-12)
    np.testing.assert_allclose(model.eval()(x).data, pred, rtol=1e-12)
    assert model.predict(x[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("init", "std"),
    [("glorot_uniform", np.sqrt(2 / 700)), ("he_normal", np.sqrt(2 / 400)), ("zeros", 0)],
)
def test_initial_weights(init, std):
    W = nn.Dense(400, 300, rng=0, init=init).W.data
    assert W.std() == pytest.approx(std, rel=0.02) and abs(W.mean()) <= 5 * std / np.sqrt(W.size)


def test_initial_weights_by_a_function():
    W = nn.Dense(2, 3, init=lambda rng, shape: np.full(shape, 7.0)).W
    assert W.data.tolist() == [[7.0] * 3] * 2
    with pytest.raises(ValueError, match=r"init gives the shape \(3, 2\), and W has \(2, 3\)"):
        nn.Dense(2, 3, init=lambda rng, shape: np.ones(shape[::-1]))
    with pytest.raises(ValueError, match=r"init is a function, or the name of one .glorot_uniform"):
        nn.Dense(2, 3, init="ones")


@pytest.mark.parametrize("first", [nn.Dense, nn.LayerNorm, nn.BatchNorm])
def test_a_float32_model_stays_float32_on_float64_data(first):
    args = (4, 3) if first is nn.Dense else (4,)
    layer = first(*args, dtype=np.float32)
    for x in (normal(6, 4), leaf(normal(6, 4)), normal(6, 4).tolist()):
        y = layer(x)
        assert y.dtype == np.float32
    y.sum().backward()
    assert {t.dtype for t in layer.named_tensors().values()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


# Drawn, exported and compiled

LAYERS = {
    "Embedding": (nn.Embedding(6, 3, rng=0), np.array([[0, 5], [2, 2], [1, 3], [4, 4]])),
    "LayerNorm": (nn.LayerNorm(3), normal(4, 3)),
    "BatchNorm": (nn.BatchNorm(3, track_running_stats=False), normal(4, 3)),
    "BatchNorm after eval": (nn.BatchNorm(3).eval(), normal(4, 3)),
    "Dropout after eval": (nn.Sequential(nn.Dense(3, 2, rng=0), nn.Dropout().eval()), normal(4, 3)),
    "Flatten": (nn.Sequential(nn.Flatten(), nn.Dense(6, 2, rng=0)), normal(4, 3, 2)),
    **{
        name: (nn.Dense(3, 2, activation=name, rng=0), normal(4, 3))
        for name in ("leaky_relu", "gelu", "silu")
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_drawn_exported_and_compiled(name):
    layer, x = copy.deepcopy(LAYERS[name])

    def loss(x):
        return tg.mean(tg.square(layer(x) - 0.3))

    params = layer.parameters()
    expected = tg.grad(loss(x), params)
    assert str(layer) in tg.draw(layer, x).text or isinstance(layer, nn.Sequential)
    assert "loss" in tg.draw(loss(x)).text or "mean" in tg.draw(loss(x)).text
    program = tg.to_numpy(loss, x)
    value, *grads = program(x)
    np.testing.assert_allclose(value, loss(x).item(), rtol=1e-12)
    by_id = {id(p): g for p, g in zip(params, expected, strict=True)}
    for p, g in zip(program.wrt, grads, strict=True):
        np.testing.assert_allclose(g, by_id[id(p)], rtol=1e-10, atol=1e-14)
    start = [p.data.copy() for p in params]
    step = tg.compile(loss, tg.optim.SGD(params, lr=0.5))
    assert step(x) == pytest.approx(value, rel=1e-12)
    for p, w, g in zip(params, start, expected, strict=True):
        np.testing.assert_allclose(p.data, w - 0.5 * g, rtol=1e-10, atol=1e-14)


LOSSES = {
    "huber": lambda z, t: tg.huber_loss(z[:, 0], 1.0 * t, delta=0.7),
    "weights": lambda z, t: tg.binary_cross_entropy_with_logits(
        z[:, 0], t / 3, pos_weight=2.5, weight=0.5
    ),
    "smoothing": lambda z, t: tg.cross_entropy(z, t, label_smoothing=0.2),
    "ignore": lambda z, t: tg.cross_entropy(z, t, ignore_index=3),
    "all": lambda z, t: tg.cross_entropy(z, t, WEIGHT, ignore_index=-1, label_smoothing=0.2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_drawn_exported_and_compiled(name):
    x = normal(12, 5)
    t = np.array([0, 3, 2, 1, 3, 0, 1, 2, 2, 1, 0, 3])
    t = np.where(t == 3, -1, t) if name == "all" else t
    layer = nn.Dense(5, C, rng=0)

    def loss(x, t):
        return LOSSES[name](layer(x), t)

    expected = tg.grad(loss(x, t), layer.parameters())
    assert "loss" in tg.draw(loss(x, t)).text or name == "huber"
    value, *grads = tg.to_numpy(loss, x, t, wrt=layer.parameters())(x, t)
    assert value == pytest.approx(loss(x, t).item(), rel=1e-12)
    for g, e in zip(grads, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-13)
    start = layer.state_dict()
    step = tg.compile(loss, tg.optim.SGD(layer.parameters(), lr=0.5))
    other = t[::-1].copy()
    assert step(x, t) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(layer.W.data, start["W"] - 0.5 * expected[0], rtol=1e-9, atol=1e-13)
    for _ in range(4):
        now = loss(x, other).item()
        assert step(x, other) == pytest.approx(now, rel=1e-10)
    if "cross_entropy" in LOSSES[name].__code__.co_names and name != "weights":
        with pytest.raises(ValueError, match="labels from"):
            step(x, np.where(t == 2, 9, t))


@pytest.mark.parametrize(
    ("layer", "way_out"),
    [(nn.Dropout(0.5), "pass the mask as an argument"), (nn.BatchNorm(3), "track_running_stats")],
    ids=["Dropout", "BatchNorm"],
)
@pytest.mark.parametrize("tool", ["compile", "to_numpy"])
def test_what_training_does_is_not_recorded(layer, way_out, tool):
    layer, dense, x = copy.deepcopy(layer), nn.Dense(3, 3, rng=0), normal(12, 3)
    before = layer.state_dict()

    def loss(x):
        return tg.mean(layer(dense(x)))

    def record():
        if tool == "compile":
            return tg.compile(loss, tg.optim.SGD(dense.parameters()))(x)
        return tg.to_numpy(loss, x)(x)

    with pytest.raises(tg.RecordingError) as error:
        record()
    assert way_out in str(error.value) and "In eval mode it does not" in str(error.value)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    layer.eval()
    record()


def test_a_compiled_step_knows_the_modes():
    norm, dense, x = nn.BatchNorm(3), nn.Dense(3, 2, rng=0), normal(12, 3)
    model = nn.Sequential(norm, dense, nn.Dropout(0.5))
    step = tg.compile(lambda x: tg.mean(model(x) ** 2), tg.optim.SGD(dense.parameters(), lr=0.0))
    model.eval()
    values = [step(x) for _ in range(70)]
    for layer in (norm, model.layers[2]):
        layer.train()
        with pytest.raises(tg.RecordingError, match="in training, which"):
            step(x)
        layer.eval()
    assert step(x) == pytest.approx(values[0], rel=1e-12)


def test_running_statistics_of_data_alone_are_not_recorded():
    norm, dense, x = nn.BatchNorm(3), nn.Dense(3, 2, rng=0), normal(12, 3)
    step = tg.compile(lambda t: tg.mse_loss(dense(norm(x)), t), tg.optim.SGD(dense.parameters()))
    with pytest.raises(tg.RecordingError, match="what BatchNorm does in training"):
        step(normal(12, 2))
    assert (norm.running_mean.data == 0).all()


@pytest.mark.parametrize("ids", [[-1, 2], [0, 6]], ids=str)
def test_compiled_and_exported_embeddings_refuse_as_well(ids):
    layer = nn.Embedding(6, 2, rng=0)

    def loss(i):
        return tg.mean(layer(i) ** 2)

    right, program = np.array([0, 5]), tg.to_numpy(loss, np.array([0, 1]))
    step = tg.compile(loss, tg.optim.SGD(layer.parameters(), lr=0.0))
    for _ in range(6):
        assert step(right) == pytest.approx(loss(right).item(), rel=1e-12)
    assert program(right)[0] == pytest.approx(loss(right).item(), rel=1e-12)
    with pytest.raises(IndexError):
        loss(np.array(ids))
    with pytest.raises((IndexError, ValueError)):
        step(np.array(ids))
    with pytest.raises(ValueError, match="labels from"):
        program(np.array(ids))


def test_a_picture_of_a_model_changes_nothing():
    model = nn.Sequential(nn.Dense(3, 4, rng=0), nn.BatchNorm(4), nn.Dropout(0.5, rng=0))
    before = model.state_dict()
    tg.draw(model, normal(5, 3))
    assert model.training
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])


def test_arguments_that_a_layer_does_not_take():
    with pytest.raises(TypeError, match=r"Flatten\(\) takes no arguments"):
        nn.Flatten(2)
    with pytest.raises(TypeError, match="a layer is a Module or a function, not <class"):
        nn.Sequential(nn.Dense(2, 1), nn.Flatten)
    with pytest.raises(ValueError, match="at least one axis"):
        nn.LayerNorm(())
    for options in ({"momentum": None}, {"momentum": 5}, {"eps": -1.0}):
        with pytest.raises(ValueError, match=f"BatchNorm: {next(iter(options))} is a"):
            nn.BatchNorm(3, **options)
    with pytest.raises(TypeError):
        nn.Buffer([1.0], requires_grad=True)


def test_losses_say_what_does_not_fit():
    z = normal(2, 3)
    with pytest.raises(ValueError, match="ignore_index= is for labels"):
        tg.cross_entropy(z, np.eye(3)[:2], ignore_index=0)
    with pytest.raises(TypeError, match=r"ignore_index is an integer label, not 1\.5"):
        tg.cross_entropy(z, np.array([0, 1]), ignore_index=1.5)
    with pytest.raises(ValueError, match=r"weight has the shape \(3,\), and the losses \(2,\)"):
        tg.binary_cross_entropy(np.full(2, 0.5), np.ones(2), weight=np.ones(3))
    lists = tg.binary_cross_entropy_with_logits([1.0, 2.0], [0, 1], pos_weight=2.0)
    arrays = tg.binary_cross_entropy_with_logits(
        np.array([1.0, 2.0]), np.array([0, 1]), pos_weight=2.0
    )
    assert lists.item() == arrays.item()


def test_a_mask_as_an_argument_is_dropout_in_a_compiled_step():
    dense, rng, x = nn.Dense(3, 4, rng=0), np.random.default_rng(0), normal(6, 3)
    step = tg.compile(
        lambda x, mask: tg.mean(dense(x) * mask / 0.8), tg.optim.SGD(dense.parameters(), lr=0.0)
    )
    for _ in range(5):
        mask = (rng.random((6, 4)) >= 0.2).astype(float)
        assert step(x, mask) == pytest.approx(np.mean(dense(x).data * mask / 0.8), rel=1e-12)
