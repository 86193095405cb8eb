"""What other libraries' names are here: every hint that is code runs, and every name gives one."""

import inspect
import re
import warnings

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf, normal
from tinygrad_lr import nn
from tinygrad_lr.messages.arguments import KEYWORDS
from tinygrad_lr.messages.hints import HINTS, REPLACEMENTS


def surroundings():
    """What the hints speak of."""
    x, n = np.ones((6, 4)), 4
    model = layer = nn.Dense(4, 3, rng=0)
    params = model.parameters()
    t, w = leaf(normal(2, 3)), leaf(normal(4, 4))
    U, W, b = np.eye(3), normal(3, 3), np.zeros(3)
    return {
        "np": np, "tg": tg, "t": t, "a": leaf(normal(3, 3)), "b": b, "x": 1.0, "X": x, "p": 2,
        "y": np.array([0, 1, 2, 0, 1, 2]), "model": model, "layer": layer, "params": params,
        "loss": tg.cross_entropy, "optimizer": tg.optim.SGD(params), "epochs": 1, "n": n,
        "units": 3, "in_features": 4, "rng": np.random.default_rng(0), "shape": (2, 3),
        "data": [1.0, 2.0], "mask": np.ones((2, 3), bool), "layers": [layer],
        "pred": normal(5), "target": np.ones(5), "logits": normal(5, 3), "W": W, "U": U, "w": w,
        "labels": np.array([0, 1, 2, 1, 0]), "axis": 1, "low": 0,
        "high": 4, "dtype": np.float64, "steps": [normal(2, 3)], "h": np.zeros((2, 3)),
    }  # fmt: skip


def run(name, code):
    values = surroundings()
    if "pred" in code and "binary" in code:
        values["pred"] = np.full(5, 0.5)
    if "squares" in code:
        values["squares"] = [np.zeros(p.shape) for p in values["params"]]
    if "x.shape" in code:
        values["x"] = leaf(normal(5, 2, 4, 6))
    if "W[k]" in code:
        values |= {"W": [np.eye(3)] * 4, "U": [np.eye(3)] * 4, "b": [np.ones(3)] * 4, "c": 0}
    if "c, h // 2" in code:
        values |= {"x": leaf(normal(5, 2, 4, 6)), "m": 5, "c": 2, "h": 4, "w": 6}
    if "einsum" in code:
        values |= {"x": normal(5, 2, 6, 8), "K": leaf(normal(3, 2, 3, 3)), "h": 4, "w": 6}
    if "tg.grad(loss" in code:
        values["loss"] = values["model"](values["X"]).sum()
    if "p.grad" in code:
        tg.mean(values["model"](values["X"])).backward()
    if "with_logits" in code:
        values["logits"] = normal(5)
    if name in ("mm", "bmm", "cat"):
        values["b"] = np.eye(3)
    exec(code, values)
    return values


@pytest.mark.parametrize("name", HINTS)
def test_every_hint_runs(name):
    run(name, HINTS[name])


@pytest.mark.parametrize("code", [*REPLACEMENTS.values()], ids=[*REPLACEMENTS])
def test_every_replacement_is_code(code):
    compile(code.replace("...", "[t, t]").replace(" or ", "; "), "hint", "exec")


def test_a_hint_that_does_not_run_is_seen():
    with pytest.raises(AttributeError):
        run("Linear", "tg.nn.Linear(in_features, units)")


def test_convolution_and_pooling_of_the_hints_as_in_pytorch(torch):
    x, K = normal(5, 2, 6, 8), normal(3, 2, 3, 3)
    result = eval(HINTS["Conv2d"], {"np": np, "x": x, "K": leaf(K), "h": 4, "w": 6})
    expected = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(K))
    np.testing.assert_allclose(result.data, expected, rtol=1e-12)
    pooled = eval(HINTS["MaxPool2d"], {"x": leaf(x), "m": 5, "c": 2, "h": 6, "w": 8})
    np.testing.assert_array_equal(pooled.data, torch.nn.functional.max_pool2d(torch.tensor(x), 2))


OF_MODULE = """zeros ones randn rand from_numpy as_tensor manual_seed cat clamp unsqueeze autograd
device set_grad_enabled Linear mm eye arange argmax"""
OF_NN = """Linear Conv2d MaxPool2d ReLU Sigmoid Tanh Softmax GELU SiLU LeakyReLU MSELoss BCELoss
BCEWithLogitsLoss CrossEntropyLoss NLLLoss L1Loss HuberLoss BatchNorm1d BatchNorm2d ModuleList
Parameter Identity LSTM functional LogSoftmax"""
OF_TENSOR = """view unsqueeze permute t clone abs pow norm requires_grad_ add_ mul_ zero_ mm clamp
numel float double long cuda cpu to masked_fill expand"""
OF_MODEL = "weight bias fit compile evaluate add cuda to register_buffer"
OF_OPTIM = "lr_scheduler ExponentialLR ReduceLROnPlateau RMSprop clip_grad_norm_"
OWNERS = [
    (tg, OF_MODULE), (nn, OF_NN), (tg.optim, OF_OPTIM), (leaf(normal(2, 2)), OF_TENSOR),
    (nn.Dense(2, 2), OF_MODEL), (tg.optim.SGD([leaf(1.0)]), "param_groups learning_rate"),
    (tg.optim.StepLR(tg.optim.SGD([leaf(1.0)]), 2), "get_last_lr"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in OWNERS for name in names.split()]
)
def test_names_of_other_libraries(owner, name):
    with pytest.raises(AttributeError) as error:
        getattr(owner, name)
    assert f"has no {name!r}; write {HINTS[name]}" in str(error.value)
    assert not hasattr(owner, name)


X, P = leaf(normal(2, 3)), leaf(1.0)
CALLS = {
    "dim": [
        lambda **k: tg.sum(X, **k), lambda **k: X.mean(**k), lambda **k: tg.softmax(X, **k),
        lambda **k: X.argmax(**k), lambda **k: X.var(**k), lambda **k: tg.concatenate([X], **k),
        lambda **k: tg.stack([X, X], **k), lambda **k: X.squeeze(**k), lambda **k: X.cumsum(**k),
        lambda **k: X.std(**k), lambda **k: X.logsumexp(**k), lambda **k: tg.prod(X, **k),
    ],
    "keepdim": [lambda **k: tg.max(X, **k), lambda **k: X.std(axis=1, **k)],
    "learning_rate": [lambda **k: tg.optim.SGD([P], **k), lambda **k: tg.optim.AdamW([P], **k)],
    "use_bias": [lambda **k: nn.Dense(2, 3, **k)],
    "kernel_initializer": [lambda **k: nn.Dense(2, 3, **k)],
    "rate": [lambda **k: nn.Dropout(**k)],
    "validation_data": [lambda **k: tg.fit(None, X, X, None, None, 1, **k)],
    "callbacks": [lambda **k: tg.fit(None, X, X, None, None, 1, **k)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "call"), [(word, call) for word, calls in CALLS.items() for call in calls]
)
def test_arguments_of_other_libraries(word, call):
    with pytest.raises(TypeError) as error:
        call(**{word: 1})
    assert f"{word}" in str(error.value) and f"here it is {KEYWORDS[word]}" in str(error.value)


CALLABLES = {
    name: function
    for module in (tg, nn, tg.optim)
    for name, function in ((n, getattr(module, n)) for n in dir(module))
    if callable(function) and not (isinstance(function, type) and issubclass(function, Exception))
}


@pytest.mark.parametrize("name", CALLABLES)
def test_an_argument_that_a_message_names_is_there(name):
    function = CALLABLES[name]
    own = inspect.signature(function).parameters
    for word in KEYWORDS.keys() - own:
        with pytest.raises((TypeError, AttributeError, ValueError)) as error:
            function(1.0, **{word: 1})
        if named := re.search(r"here it is (\w+)", str(error.value)):
            assert named[1] in own, f"{name}({word}=): {error.value}"


def test_a_model_of_ones_own_may_have_such_arguments():
    class Own(nn.Module):
        def __init__(self, rate, **rest):
            self.rate, self.rest = rate, rest

    assert Own(rate=3, seed=1).rest == {"seed": 1}
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        nn.Dense(2, 3, colour=1)


def test_tensor_and_grad_called_as_elsewhere():
    with pytest.raises(TypeError, match=r"tinygrad_lr.tensor is a module; write tg.Tensor\(data\)"):
        tg.tensor([1.0])
    for call in (lambda: tg.grad(lambda x: x**2), lambda: tg.grad(lambda x: x**2, P)):
        with pytest.raises(
            TypeError, match=r"grad takes what was computed, as tg.grad\(f\(x\), x\)"
        ):
            call()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tg.grad(P**2, P) == [2.0]
