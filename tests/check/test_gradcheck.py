"""gradcheck accepts every right rule and rejects wrong ones, and says why."""

import logging

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import leaf, positive
from tests.samples import SAMPLES, arrays_in, bound, function
from tinygrad_lr import Tensor
from tinygrad_lr.ops import OPERATIONS, EachArgument, Op


def parameter(*shape, seed=0, name=None):
    return leaf(positive(*shape, seed=seed), name=name)


def op(forward, *rules):
    """A function with rules of its own, outside of the table."""
    operation = Op("f", rules, forward)
    return lambda x, *more: x.apply(operation, (x, *more), {})


def scaled(rule, factor):
    return lambda *args, **params: rule(*args, **params) * factor


# Wrong rules: functions and inputs, by the order of the derivative in which they show

OFF = 1 + 1e-8
exp_off = op(np.exp, lambda g, y, x: g * y * OFF)
exp_of_data = op(np.exp, lambda g, y, x: g * np.exp(x.data if isinstance(x, Tensor) else x))
WRONG_FIRST = {
    "factor": (op(np.tanh, lambda g, y, x: g * (1 - y**2) * OFF), [parameter(2, 3)]),
    "factor, no complex step": (
        op(lambda x: np.abs(np.tanh(x)), lambda g, y, x: g * (1 - y**2) * OFF),
        [parameter(2, 3)],
    ),
    "factor of one element": (
        op(np.exp, lambda g, y, x: g * y * np.array([1, 1, OFF])),
        [parameter(3)],
    ),
    "factor, 90,000 inputs": (lambda x: tg.mean(exp_off(x)), [parameter(300, 300)]),
    "factor, 200 outputs": (exp_off, [parameter(200)]),
    "factor in a small gradient": (lambda x: 1e-30 * tg.sum(exp_off(x)), [parameter(3)]),
    "sign": (op(np.cos, lambda g, y, x: g * tg.sin(x)), [parameter(3)]),
    "transpose not inverted": (
        op(lambda x: np.transpose(x, (1, 2, 0)), lambda g, y, x: tg.transpose(g, (1, 2, 0))),
        [parameter(2, 2, 2)],
    ),
    "wrong matrix transposed": (
        op(np.matmul, lambda g, y, a, b: g @ b, lambda g, y, a, b: a.mT @ g),
        [parameter(3, 3), parameter(3, 3, seed=1)],
    ),
    "summed over the wrong axis": (
        op(np.add, lambda g, y, x, b: g, lambda g, y, x, b: g.sum(axis=1)),
        [parameter(3, 3), parameter(3, seed=1)],
    ),
    "mean over the batch in place of the sum": (
        op(np.add, lambda g, y, x, b: g, lambda g, y, x, b: g.sum(axis=0) / 4),
        [parameter(4, 3), parameter(3, seed=1)],
    ),
    "one use of two": (lambda x: x * x.detach(), [parameter(3)]),
    "no gradient": (op(np.exp, lambda g, y, x: g * 0), [parameter(3)]),
    "nan": (op(np.exp, lambda g, y, x: g * np.nan), [parameter(3)]),
    "shape": (op(np.sum, lambda g, y, x: g), [parameter(3)]),
    "raises": (op(np.exp, lambda g, y, x: g @ x.missing), [parameter(3)]),
    "kept slope of abs": (op(np.abs, lambda g, y, x: g), [leaf(-positive(3))]),
}
WRONG_SECOND = {
    "right first, wrong second derivative": (exp_of_data, [parameter(3)]),
    "factor in the second derivative": (
        op(
            np.exp,
            lambda g, y, x: (
                g * op(np.exp, lambda g, y, x: OFF * g * y)(x) if isinstance(x, Tensor) else g * y
            ),
        ),
        [parameter(3)],
    ),
}


def accepted(checker):
    """The wrong rules that a checker accepts."""
    return [
        name
        for order, wrong in ((1, WRONG_FIRST), (2, WRONG_SECOND))
        for name, (func, inputs) in wrong.items()
        if checker(func, inputs, order=order, raise_exception=False)
    ]


def test_wrong_rules_are_found():
    assert accepted(tg.gradcheck) == []


def test_a_checker_that_never_compares_would_not_pass():
    assert accepted(lambda func, inputs, **_: True) == [*WRONG_FIRST, *WRONG_SECOND]


@pytest.mark.parametrize(("func", "inputs"), WRONG_SECOND.values(), ids=WRONG_SECOND)
def test_a_wrong_second_derivative_does_not_show_in_the_first(func, inputs):
    assert tg.gradcheck(func, inputs)


def test_missing_unbroadcast_is_found(monkeypatch):
    inputs = [parameter(4, 3), parameter(3, seed=1, name="b")]
    assert tg.gradcheck(tg.multiply, inputs, order=2)
    monkeypatch.setattr("tinygrad_lr.tensor.unbroadcast", lambda g, x: g)
    with pytest.raises(tg.GradcheckError, match=r"b is \(3,\), but its gradient .* \(4, 3\)"):
        tg.gradcheck(tg.multiply, inputs)


# Right rules

FLAT = {"sign", "round", "floor", "ceil"}  # a factor changes nothing in a derivative of 0


def samples():
    """(name, function, inputs) for every sample of the derivative table's own test."""
    for name, calls in SAMPLES.items():
        for sample in calls:
            if inputs := list(map(leaf, arrays_in(sample))):
                yield name, bound(function(name), sample), inputs


def test_the_whole_table_passes_at_orders_1_and_2():
    for name, func, inputs in samples():
        assert tg.gradcheck(func, inputs, order=2), name


def test_a_factor_of_1_00000001_is_found_in_every_rule_of_the_table():
    rejected, checked = {(name, 0) for name in FLAT}, set()
    for name, func, inputs in samples():
        operation = OPERATIONS.get(name)
        rules = getattr(operation, "rules", ())
        each = [rules.rule] if isinstance(rules, EachArgument) else rules
        for i, rule in enumerate(each):
            if rule is None:
                continue
            try:
                verdicts = []
                for factor in (2, 1.00000001):
                    wrong = [scaled(r, factor) if r is rule else r for r in each]
                    varied = isinstance(rules, EachArgument)
                    operation.rules = EachArgument(*wrong) if varied else tuple(wrong)
                    verdicts.append(tg.gradcheck(func, inputs, raise_exception=False))
            finally:
                operation.rules = rules
            assert verdicts in ([False, False], [True, True]), (name, i)
            checked.add((name, i))
            rejected |= {(name, i)} if not any(verdicts) else set()
    assert len(checked) > 50
    assert checked <= rejected


X, Y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "softmax"])
def test_a_model_whose_parameters_func_does_not_take_from_its_arguments(activation):
    model = tg.nn.Sequential(tg.nn.Dense(4, 5, activation, rng=0), tg.nn.Dense(5, 3, rng=1))
    parameters = list(model.parameters())
    before = [p.data.copy() for p in parameters]
    loss = tg.cross_entropy(model(X), Y)
    assert tg.gradcheck(lambda *_: tg.cross_entropy(model(X), Y), parameters, order=2)
    for p, data in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(p.data, data)
    loss.backward()  # its graph has not noticed anything


RIGHT = {
    "several outputs": (
        lambda a, b: (a @ b, tg.exp(a), 3, np.ones(2)),
        [parameter(2, 3), parameter(3, 2)],
    ),
    "an output twice": (lambda x: [x, x], [parameter(2)]),
    "an input twice": (tg.multiply, [parameter(3)] * 2),
    "other arguments": (lambda x, n, a: n * x * a, [parameter(3), 2, np.arange(3)]),
    "an input without effect": (lambda a, b: a * a, [parameter(3), parameter(2)]),
    "no elements": (lambda x: x * 2, [parameter(0, 3)]),
    "a sum that is constant": (lambda x: tg.softmax(x).sum() - 1, [parameter(4)]),
    "an end of the domain": (
        lambda p: tg.binary_cross_entropy(p, [1, 0, 0]),
        [leaf([0.999, 1e-6, 0.3])],
    ),
    "a large constant": (lambda x: tg.sum(tg.abs(x)) + 1e6, [parameter(3)]),
    "close to a kink": (tg.abs, [leaf([1e-5, -1e-4, 1e3])]),
    "many kinks": (lambda x: tg.sum(tg.abs(x - 1) * (x - 1)), [parameter(200, 200)]),
    "whole numbers": (lambda x: x**3 - 2 * x, [leaf([1, 2, 3])]),
    "conversion within": (lambda x: x * abs(Tensor(x.data).item() * 0 + 1), [parameter()]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name):
    func, inputs = RIGHT[name]
    assert tg.gradcheck(func, inputs) is True


def test_a_fourth_derivative():
    assert tg.gradcheck(lambda x: tg.exp(x) * tg.sin(x), parameter(2), order=4)


# Kinks


@pytest.mark.parametrize(
    ("func", "values", "expected"),
    [
        (tg.relu, [0.0, 1.0], ["d output[0] / d x[0] is 0", "slopes 0 and 1"]),
        (tg.abs, [0.0, -1.0], ["d output[0] / d x[0] is 0", "slopes -1 and 1"]),
        (lambda x: tg.maximum(x, 1), [0.5, 1.0], ["d output[1] / d x[1] is 0.5", "0 and 1"]),
        (lambda x: tg.clip(x, -1, 1), [0.5, 1.0], ["d output[1] / d x[1] is 1", "1 and 0"]),
        (tg.floor, [0.5, 1.0], ["d output[1] / d x[1] is 0", "-inf and inf"]),
        (tg.round, [0.5, 1.0], ["d output[0] / d x[0] is 0", "-inf and inf"]),
        (tg.ceil, [0.5, 1.0], ["d output[1] / d x[1] is 0", "-inf and inf"]),
    ],
)
def test_a_kink_is_accepted_and_reported(func, values, expected, caplog):
    x = leaf(values, name="x")
    assert tg.gradcheck(func, x)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("tinygrad_lr.gradcheck", logging.WARNING)
    assert all(part in record.getMessage() for part in ["kink", *expected])
    assert tg.gradcheck(func, x, order=2)


def test_a_value_beyond_the_slopes_is_wrong_at_a_kink_too():
    wrong = op(np.abs, lambda g, y, x: g * ((x > 0) * 1.0 - (x < 0) + 2 * (x == 0)))
    assert not tg.gradcheck(wrong, leaf([0.0, 1.0]), raise_exception=False)


def test_no_kink_is_reported_where_there_is_none(caplog):
    for func in (tg.exp, tg.log, tg.abs, tg.softplus, tg.logaddexp):
        inputs = (
            [parameter(2, 3), parameter(3, seed=1)] if func is tg.logaddexp else [parameter(2, 3)]
        )
        assert tg.gradcheck(func, inputs, order=2)
    assert not caplog.records


# Refusals and messages


@pytest.mark.parametrize(
    ("func", "x", "message"),
    [
        (tg.exp, leaf(np.ones(2, "f"), name="w"), "w is float32"),
        (lambda x: tg.astype(tg.exp(x), "f"), parameter(2), "output is float32"),
        (
            lambda x: tg.astype(tg.astype(tg.exp(x), "f"), float),
            parameter(2),
            "a result of astype in func is float32",
        ),
        (lambda x: x * np.random.normal(), parameter(2), "func is not deterministic"),
        (lambda x: tg.exp(x.data), parameter(2), "no output depends on an input.*detach"),
        (lambda x: 1.0, parameter(2), "no output depends on an input"),
    ],
)
def test_what_cannot_be_checked_is_refused(func, x, message):
    with pytest.raises(tg.GradcheckError, match=message):
        tg.gradcheck(func, x)
    assert tg.gradcheck(func, x, raise_exception=False) is False


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (Tensor([1.0]), {}, "requires_grad=True"),
        ([], {}, "requires_grad=True"),
        (parameter(2), {"order": 0}, "order is at least 1"),
        (parameter(2), {"eps": 0.0}, "eps above 0"),
    ],
)
def test_misuse_is_a_value_error(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        tg.gradcheck(tg.exp, inputs, **options, raise_exception=False)


def test_the_message_lists_the_worst_elements_with_their_reading():
    factors = np.array([1, 1.5, 1.001, 1.000005, 1.00000001, 1, 1.02, 1.03, 1.04])
    wrong = op(np.exp, lambda g, y, x: g * y * factors)
    x = leaf(np.zeros(9), name="x")
    with pytest.raises(tg.GradcheckError) as error:
        tg.gradcheck(wrong, x)
    head, *lines = str(error.value).splitlines()
    assert head == "7 of 81 derivatives are wrong, by the complex step:"
    assert lines[0] == (
        "  d output[1] / d x[1]: analytic 1.5, numeric 1, relative error 3.3e-01: probably wrong"
    )
    assert [line.split(" / ")[0][-4:] for line in lines[:-1]] == [
        f"t[{i}]" for i in (1, 8, 7, 6, 2)
    ]
    assert lines[4].endswith("relative error 1.0e-03: uncomfortable")
    assert lines[5] == "  and 2 more"
    factors[[1, 6, 7, 8]] = 1
    with pytest.raises(tg.GradcheckError) as error:
        tg.gradcheck(wrong, x)
    assert "5.0e-06: okay with kinks, too high without" in str(error.value)
    assert "1.0e-08: good for finite differences" in str(error.value)
    with pytest.raises(tg.GradcheckError, match="by Ridders' extrapolation"):
        tg.gradcheck(lambda x: abs(wrong(x)), x)


def test_places_are_named_by_input_output_and_order():
    a, b = parameter(2, 2, name="W"), parameter(seed=1)
    with pytest.raises(tg.GradcheckError, match=r"d output 1 / d input 1:"):
        tg.gradcheck(lambda a, b: (a, b * b.detach()), [a, b])
    with pytest.raises(tg.GradcheckError, match=r"d \(gradient of W\)\[0, 1\] / d W\[0, 1\]:"):
        tg.gradcheck(exp_of_data, a, order=2)
    with pytest.raises(tg.GradcheckError, match=r"d W along random direction \d:"):
        tg.gradcheck(lambda x: tg.sum(x * x.detach()), parameter(40, 40, name="W"))
    with pytest.raises(tg.GradcheckError, match=r"d random sum \d of the outputs / d W\[\d+\]:"):
        tg.gradcheck(lambda x: x * x.detach(), parameter(101, name="W"))


# PyTorch


def test_eps_atol_rtol_mean_what_they_mean_in_pytorch(torch):
    def verdicts(factor, **options):
        class Wrong(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return torch.sin(x)

            @staticmethod
            def backward(ctx, g):
                return g * torch.cos(ctx.saved_tensors[0]) * factor

        wrong = op(np.sin, lambda g, y, x: g * tg.cos(x) * factor)
        x = parameter(3)
        theirs = torch.autograd.gradcheck(
            Wrong.apply,
            torch.tensor(x.data, requires_grad=True),
            raise_exception=False,
            **options,
        )
        return theirs, tg.gradcheck(wrong, x, raise_exception=False, **options)

    assert verdicts(1) == (True, True)
    assert verdicts(1.1) == (False, False)
    assert verdicts(1.0009) == (True, False)  # what PyTorch's defaults let pass
    for factor in (1, 1.0009, 1.002, 1.1):
        for options in ({"eps": 1e-6}, {"eps": 1e-5, "rtol": 0.01}, {"eps": 1e-6, "atol": 0.2}):
            theirs, ours = verdicts(factor, **options)
            assert theirs == ours, (factor, options)


def test_tolerances_are_those_that_are_given():
    wrong = op(np.exp, lambda g, y, x: g * y * 1.001)
    assert not tg.gradcheck(wrong, parameter(3), raise_exception=False)
    assert tg.gradcheck(wrong, parameter(3), rtol=2e-3)
    assert tg.gradcheck(wrong, parameter(3), atol=0.1)
