"""Optimizers' further options, clipping and schedules as in PyTorch, eager and compiled."""

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf, normal
from tinygrad_lr.optim import SGD, Adam, AdamW, CosineAnnealingLR, LambdaLR, StepLR, clip_grad_norm

X, Y = normal(20, 4), np.random.default_rng(0).integers(0, 3, 20)
F64 = {"rtol": 1e-12, "atol": 1e-13}

OPTIONS = {
    "AdamW": ("AdamW", {}),
    "AdamW, decay": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
    "AdamW, all": ("AdamW", {"lr": 0.02, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    "amsgrad": ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.5, 0.6)}),
    "Adam, maximize": ("Adam", {"lr": 0.02, "maximize": True, "weight_decay": 0.1}),
    "dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    "dampening, all": (
        "SGD",
        {"lr": 0.1, "momentum": 0.8, "dampening": 0.9, "weight_decay": 0.1, "maximize": True},
    ),
    "dampening, no momentum": ("SGD", {"lr": 0.1, "dampening": 0.4}),
    "SGD, maximize": ("SGD", {"lr": 0.1, "maximize": True}),
}
SCHEDULES = {
    "step": (
        lambda o: StepLR(o, 3, gamma=0.5),
        lambda S, o: S.StepLR(o, 3, gamma=0.5),
    ),
    "lambda": (
        lambda o: LambdaLR(o, lambda n: 1 / (1 + n)),
        lambda S, o: S.LambdaLR(o, lambda n: 1 / (1 + n)),
    ),
    "cosine": (
        lambda o: CosineAnnealingLR(o, 10, eta_min=1e-3),
        lambda S, o: S.CosineAnnealingLR(o, 10, eta_min=1e-3),
    ),
    "warm-up": (
        lambda o: CosineAnnealingLR(o, 10, eta_min=1e-3, warmup=4),
        lambda S, o: S.SequentialLR(
            o,
            [
                S.LinearLR(o, start_factor=1 / 5, total_iters=4),
                S.CosineAnnealingLR(o, 10, eta_min=1e-3),
            ],
            milestones=[4],
        ),
    ),
}


def network():
    rng = np.random.default_rng(6)
    return tg.nn.Sequential(
        tg.nn.Dense(4, 6, activation="tanh", rng=rng), tg.nn.Dense(6, 3, rng=rng)
    )


def torch_training(torch, kind, options, schedule=None, max_norm=None, steps=25):
    """The learning rates, norms and parameters of PyTorch's steps."""
    W1, b1, W2, b2 = params = [
        torch.tensor(p.data, requires_grad=True) for p in network().parameters()
    ]
    optimizer = getattr(torch.optim, kind)(params, **options)
    scheduler = schedule and schedule(torch.optim.lr_scheduler, optimizer)
    rates, norms = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        z = torch.tanh(torch.from_numpy(X) @ W1 + b1) @ W2 + b2
        torch.nn.functional.cross_entropy(z, torch.from_numpy(Y)).backward()
        if max_norm is not None:
            norms.append(torch.nn.utils.clip_grad_norm_(params, max_norm).item())
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        if scheduler:
            scheduler.step()
    return rates, norms, [p.detach().numpy() for p in params]


def our_training(kind, options, schedule=None, max_norm=None, compiled=False, steps=25):
    model = network()
    optimizer = getattr(tg.optim, kind)(model.parameters(), **options)
    scheduler = schedule and schedule(optimizer)
    rates, norms = [], []
    step = tg.compile(lambda x, y: tg.cross_entropy(model(x), y), optimizer, clip_norm=max_norm)
    for _ in range(steps):
        if compiled:
            step(X, Y)
        else:
            optimizer.zero_grad()
            tg.cross_entropy(model(X), Y).backward()
            if max_norm is not None:
                norms.append(clip_grad_norm(optimizer.params, max_norm))
            optimizer.step()
        rates.append(optimizer.lr)
        if scheduler:
            scheduler.step()
    return rates, norms, [p.data for p in model.parameters()]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, **F64)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_as_in_pytorch(torch, name):
    theirs = torch_training(torch, *OPTIONS[name])
    assert_same(our_training(*OPTIONS[name]), theirs)
    compiled = our_training(*OPTIONS[name], compiled=True)
    for x, y in zip(compiled[2], theirs[2], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_as_in_pytorch(torch, name):
    ours, theirs = SCHEDULES[name]
    options = "SGD", {"lr": 0.3, "momentum": 0.5}
    expected = torch_training(torch, *options, theirs)
    assert len({round(lr, 9) for lr in expected[0]}) > 4
    assert_same(our_training(*options, ours), expected)
    rates, _, params = our_training(*options, ours, compiled=True)
    np.testing.assert_allclose(rates, expected[0], **F64)
    for x, y in zip(params, expected[2], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("max_norm", [0.0, 0.05, 0.3, 100.0])
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_clipping_as_in_pytorch(torch, max_norm, kind):
    options = kind, {"lr": 0.2}
    theirs = torch_training(torch, *options, max_norm=max_norm)
    assert_same(our_training(*options, max_norm=max_norm), theirs)
    _, _, params = our_training(*options, max_norm=max_norm, compiled=True)
    for x, y in zip(params, theirs[2], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-10)


def test_one_tensor_is_clipped_and_an_infinite_limit_measures_alone():
    w = leaf(np.array([3.0, 4.0]))
    (w * w).sum().backward()
    assert clip_grad_norm(w, np.inf) == 10.0 and w.grad.tolist() == [6.0, 8.0]
    assert clip_grad_norm(w, 1.0) == 10.0
    np.testing.assert_allclose(w.grad, [0.6, 0.8], rtol=1e-6)


def test_rates_of_schedules():
    def made(lr):
        sgd = SGD([leaf(1.0)], lr=lr)
        return sgd, CosineAnnealingLR(sgd, 10, eta_min=0.1)

    (sgd, schedule), (other, again) = made(1.0), made(0.5)
    for _ in range(3):
        schedule.step()
    other.load_state_dict(sgd.state_dict())
    again.load_state_dict(schedule.state_dict())
    for _ in range(7):
        again.step()
    assert other.lr == pytest.approx(0.1, rel=1e-12)
    with pytest.raises(ValueError, match="does not fit CosineAnnealingLR: T_max is missing"):
        schedule.load_state_dict(StepLR(sgd, 3).state_dict())
    before = sgd.lr
    for factor in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="LambdaLR: lr is a finite number of at least 0"):
            LambdaLR(sgd, lambda n, factor=factor: factor)
    assert sgd.lr == before
    for options in ({"warmup": -1}, {"warmup": 1.5}, {"eta_min": -1.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            CosineAnnealingLR(sgd, 10, **options)


def test_betas_in_a_list_as_from_json():
    w, v = leaf(np.array([3.0, 4.0])), leaf(np.array([3.0, 4.0]))
    lists, tuples = Adam([w], betas=[0.5, 0.9]), Adam([v], betas=(0.5, 0.9))
    step = tg.compile(lambda x: ((w - x) ** 2).sum(), lists)
    for _ in range(3):
        step(np.ones(2))
        ((v - 1.0) ** 2).sum().backward()
        tuples.step()
        tuples.zero_grad()
    np.testing.assert_allclose(w.data, v.data, rtol=1e-12)
    tuples.load_state_dict(lists.state_dict())


def test_clipping_large_batches_and_single_numbers():
    X, Y = normal(60_000, 8), normal(60_000, 1, seed=1)
    for batch in ((X, Y), (X[0, :1], Y[0])):
        layer, other = (
            tg.nn.Dense(len(batch[0].T) if batch[0].ndim > 1 else 1, 1, rng=0) for _ in "ab"
        )
        step = tg.compile(
            lambda x, y, m=layer: tg.mse_loss(m(x), y), SGD(layer.parameters(), 0.5), clip_norm=0.1
        )
        sgd = SGD(other.parameters(), 0.5)
        for _ in range(6):
            step(*batch)
            sgd.zero_grad()
            tg.mse_loss(other(batch[0]), batch[1]).backward()
            clip_grad_norm(sgd.params, 0.1)
            sgd.step()
        np.testing.assert_allclose(layer.W.data, other.W.data, rtol=1e-9)


def test_clip_grad_norm_leaves_out_parameters_without_a_gradient_and_keeps_float32():
    p, idle = leaf(np.float32([3.0, 4.0])), leaf([1.0])
    p.grad = np.float32([3.0, 4.0])
    assert clip_grad_norm([p, idle], 1.0) == 5.0 and idle.grad is None
    assert p.grad.dtype == np.float32
    np.testing.assert_allclose(p.grad, [0.6, 0.8], rtol=1e-5)
    for wrong in (-1.0, np.nan, None):
        with pytest.raises(ValueError, match="max_norm is a finite number of at least 0"):
            clip_grad_norm([p], wrong)
        if wrong is not None:
            with pytest.raises(ValueError, match="clip_norm is a finite number of at least 0"):
                tg.compile(lambda: p.sum(), SGD([p]), clip_norm=wrong)


def test_clipping_with_an_infinite_gradient_as_in_pytorch(torch):
    p, q = leaf([1.0, 2.0]), torch.tensor([1.0, 2.0], requires_grad=True)
    p.grad, q.grad = np.array([np.inf, 1.0]), torch.tensor([np.inf, 1.0])
    with np.errstate(invalid="ignore"):
        assert clip_grad_norm([p], 1.0) == torch.nn.utils.clip_grad_norm_([q], 1.0).item()
    np.testing.assert_array_equal(p.grad, q.grad.numpy())


def test_nesterov_with_dampening_and_counts_are_refused():
    with pytest.raises(ValueError, match="needs momentum > 0 and dampening 0"):
        SGD([leaf(1.0)], momentum=0.9, dampening=0.1, nesterov=True)
    for schedule in (StepLR, CosineAnnealingLR):
        with pytest.raises(ValueError, match="is a whole number of at least 1, not 0"):
            schedule(SGD([leaf(1.0)]), 0)


@pytest.mark.parametrize("name", OPTIONS)
def test_exported_updates(name):
    kind, options = OPTIONS[name]
    model = network()
    optimizer = getattr(tg.optim, kind)(model.parameters(), **options)

    def loss(X, Y):
        return tg.cross_entropy(model(X), Y)

    program = tg.to_numpy(loss, X, Y, optimizer=optimizer)
    for _ in range(3):  # its state is what the optimizer has now
        new = program(X, Y)
        optimizer.zero_grad()
        loss(X, Y).backward()
        optimizer.step()
        for p, x in zip(program.wrt, new[1:], strict=False):
            np.testing.assert_allclose(p.data, x, rtol=1e-8, atol=1e-10)


# States


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_goes_on_exactly_from_its_state(name, compiled):
    kind, options = OPTIONS[name]

    def training():
        model = network()
        optimizer = getattr(tg.optim, kind)(model.parameters(), **options)
        return model, optimizer, tg.compile(lambda x, y: tg.cross_entropy(model(x), y), optimizer)

    def train(model, optimizer, step):
        for _ in range(5):
            if compiled:
                step(X, Y)
            else:
                optimizer.zero_grad()
                tg.cross_entropy(model(X), Y).backward()
                optimizer.step()

    model, optimizer, _ = first = training()
    train(*first)
    optimizer.lr = 0.01
    weights, state = model.state_dict(), optimizer.state_dict()
    train(*first)
    second = training()
    train(*second)  # something else before
    train(*second)
    second[0].load_state_dict(weights)
    second[1].load_state_dict(state)
    assert second[1].lr == 0.01
    train(*second)
    for p, q in zip(model.parameters(), second[0].parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert optimizer.state_dict().keys() == second[1].state_dict().keys()
    for name, x in optimizer.state_dict().items():
        np.testing.assert_array_equal(x, second[1].state_dict()[name])


def test_states_are_copies_and_keep_kinds():
    adam = Adam([leaf([1.0, 2.0]), leaf(3.0)], lr=1, amsgrad=True)
    for p in adam.params:
        p.grad = np.ones(p.shape)
    adam.step()
    state = adam.state_dict()
    assert {"lr", "betas", "amsgrad", "steps.1", "means.0", "largest.1"} <= state.keys()
    adam.step()
    assert state["steps.0"] == 1 and adam.steps == [2, 2]
    other = AdamW([leaf([1.0, 2.0]), leaf(3.0)], amsgrad=True)
    other.load_state_dict(state | {"lr": 0.5})
    assert other.lr == 0.5 and other.steps == [1, 1] and other.betas == (0.9, 0.999)
    assert type(other.steps[0]) is int and other.amsgrad is True


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    sgd = SGD([leaf([1.0, 2.0])], lr=0.1, momentum=0.9)
    before = sgd.state_dict()
    for wrong, message in (
        (
            Adam([leaf([1.0, 2.0])]).state_dict(),
            "SGD: .*betas is not a part of it.*velocity.0 is m",
        ),
        (before | {"lr": 5.0, "velocity.0": np.ones(3)}, r"the shape \(3,\), not \(2,\)"),
        (before | {"lr": "fast"}, "lr"),
    ):
        with pytest.raises(ValueError, match=message):
            sgd.load_state_dict(wrong)
        assert sgd.lr == 0.1


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_from_its_state(name):
    make, _ = SCHEDULES[name]
    first, second = (make(SGD([leaf(1.0)], lr=0.3)) for _ in range(2))
    for _ in range(6):
        first.step()
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        first.step()
        second.step()
        assert first.optimizer.lr == second.optimizer.lr
