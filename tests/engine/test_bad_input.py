"""Odd input works as NumPy says; bad input is refused by name, never cut, never an object array.

Every kind is tried as the data of a Tensor, as the other operand on either side of a Tensor, with
and without a gradient, and as the target of a loss.
"""

import array
import collections
import datetime
import enum
import operator
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_lr as tg
from tests.helpers import leaf, positive
from tinygrad_lr import Tensor


def read_only(x):
    x.setflags(write=False)
    return x


def unaligned(x):
    return np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)


class Level(enum.IntEnum):
    LOW = 1


class HasArray:
    def __array__(self, dtype=None, copy=None):
        return np.array([0.5, 1.5, 2.5], dtype)


A = np.array([[0.5, 1.5, 2.5], [3.5, -4.5, 5.5]])
INTEGERS = np.array([[1, 2, 3], [4, 5, 6]])


# Odd, but right

ODD = {
    "booleans": np.array([True, False, True]),
    "list of booleans": [[True, False, True], [False, False, True]],
    "int8": INTEGERS.astype(np.int8),
    "uint8": INTEGERS.astype(np.uint8),
    "int32": INTEGERS.astype(np.int32),
    "uint32": INTEGERS.astype(np.uint32),
    "uint64": INTEGERS.astype(np.uint64),
    "big-endian integers": INTEGERS.astype(">i4"),
    "big-endian floats": A.astype(">f8"),
    "big-endian float32": A.astype(">f4"),
    "float16": A.astype(np.float16),
    "float32": A.astype(np.float32),
    "longdouble": A.astype(np.longdouble),
    "a longdouble": np.longdouble(1.5),
    "a float16": np.float16(1.5),
    "a bool": np.bool_(True),
    "an int64": np.int64(2),
    "Python's bool": True,
    "IntEnum": Level.LOW,
    "array without axes": np.array(1.5),
    "no rows": np.empty((0, 3)),
    "no columns": np.empty((2, 0)),
    "empty list": [],
    "read-only": read_only(A.copy()),
    "strided": np.repeat(A, 2, axis=1)[:, ::2],
    "reversed": A[::-1, ::-1],
    "Fortran order": np.asfortranarray(A),
    "transposed": A.T,
    "broadcast": np.broadcast_to(A[0], (2, 3)),
    "unaligned": unaligned(A),
    "field of a record": np.array([(1.5, 2), (2.5, 3)], "f8,i2")["f0"],
    "tuple of tuples": tuple(map(tuple, A.tolist())),
    "list of arrays": list(A),
    "list of arrays without axes": [np.array(1.5), np.float32(2.5), 3],
    "list of Tensors without gradient": [Tensor(1.5), Tensor(2.5), 3.0],
    "range": range(3),
    "deque": collections.deque([1.5, 2.5]),
    "array.array": array.array("d", [1.5, 2.5]),
    "array.array of integers": array.array("h", [1, 2]),
    "memoryview": memoryview(A),
    "bytearray": bytearray(b"\x01\x02\x03"),
    "what has __array__": HasArray(),
    "nan and inf": [np.nan, np.inf, -np.inf],
    "smallest and largest": [5e-324, 1.7e308, -0.0],
}

each_odd = pytest.mark.parametrize("data", ODD.values(), ids=ODD)


@each_odd
def test_odd_data_of_a_tensor(data):
    plain = np.array(data)
    t, x = Tensor(data), leaf(data)
    for tensor in (t, x):
        assert type(tensor.data) is np.ndarray
        assert tensor.dtype.isnative and tensor.data.flags.writeable and tensor.data.flags.aligned
        assert_array_equal(tensor.data, plain)
    assert t.dtype.kind == plain.dtype.kind
    assert x.dtype == (np.float32 if plain.dtype in ("f4", ">f4") else np.float64)
    (slope,) = tg.grad(x + 0.0, [x], gradient=np.full(plain.shape, 3.0))
    assert_array_equal(slope, np.full(plain.shape, 3.0))
    assert slope.dtype == x.dtype


@each_odd
def test_tensor_does_not_share_odd_data(data):
    before = np.array(data)
    t = leaf(data)
    t.data[...] = 7.0
    assert_array_equal(np.asarray(data), before)


@each_odd
def test_odd_data_assigned_to_a_tensor(data):
    plain = np.array(data)
    t = leaf(np.ones(plain.shape))
    t.data = data
    assert t.dtype == np.float64
    assert_array_equal(t.data, plain)


OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "np.maximum": np.maximum,
    "np.multiply": np.multiply,
    "np.dot": lambda a, b: np.dot(a, np.transpose(b)),
    "np.where": lambda a, b: np.where(np.zeros(np.shape(a)) == 0, a, b) - b,
    "np.concatenate": lambda a, b: np.concatenate([a, b], axis=None),
}
FINITE = {name: data for name, data in ODD.items() if name not in ("nan and inf",)}


@pytest.mark.filterwarnings("ignore:overflow", "ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("operate", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("data", FINITE.values(), ids=FINITE)
def test_odd_operand(operate, data, swapped):
    f = (lambda a, b: operate(b, a)) if swapped else operate
    plain = np.array(data)
    numbers = plain.astype(np.float32 if plain.dtype.itemsize == 4 else np.float64)
    a = positive(*plain.shape)
    expected = f(a, plain)
    x, twin = leaf(a), leaf(a)
    result, clean = f(x, data), f(twin, numbers)
    assert type(result) is Tensor
    assert result.dtype == np.float64  # also beside a longdouble: nothing here is longer
    assert_allclose(result.data, expected, rtol=1e-12)
    weights = np.asarray(positive(*result.shape))
    (gradient,) = tg.grad(result, [x], gradient=weights)
    (slope,) = tg.grad(clean, [twin], gradient=weights)
    assert gradient.dtype == np.float64
    assert_allclose(gradient, slope, rtol=1e-12)


@each_odd
def test_odd_operand_compared(data):
    plain = np.array(data)
    a = positive(*plain.shape)
    for compare in (operator.lt, operator.ge, operator.eq, operator.ne):
        assert_array_equal(compare(leaf(a), data), compare(a, plain))
        assert_array_equal(compare(leaf(a), data).dtype, bool)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_reductions_of_nothing(shape):
    x = leaf(np.empty(shape))
    for reduce, value in ((np.sum, 0), (np.prod, 1)):
        y = reduce(x)
        assert y.item() == value
        assert tg.grad(y, [x])[0].shape == shape
    assert x.sum(axis=0).shape == shape[1:]
    for reduce in (np.max, np.min):
        with pytest.raises(ValueError, match="zero-size"):
            reduce(x)
    with pytest.warns(RuntimeWarning):
        assert np.isnan(np.mean(x).item())


# Bad: the data and what the message has to name

BAD = {
    "object array": (np.array([1.0, 0.0, 1.0], object), "object"),
    "object without axes": (np.array(1.0, object), "object"),
    "None": (None, "None"),
    "list with None": ([1.0, None, 0.0], "None|object"),
    "str": ("1.0", "str|<U"),
    "strings": (["1", "0", "1"], "str|<U"),
    "array of strings": (np.array(["1", "0", "1"]), "str|<U"),
    "array of new strings": (np.array(["1", "0", "1"], np.dtypes.StringDType()), "String"),
    "bytes": (b"101", "bytes|S3"),
    "complex number": (1j, "complex"),
    "complex numbers": ([1.0, 1j, 0.0], "complex"),
    "complex array": (np.array([1.0, 1j, 0.0]), "complex"),
    "complex64": (np.complex64(1j), "complex"),
    "dates": (np.array(["2020-01-01"] * 3, "M8[D]"), "date|M8"),
    "a date": (np.datetime64("2020-01-01"), "date|M8"),
    "Python's date": (datetime.date(2020, 1, 1), "date"),
    "durations": (np.array([1, 0, 1], "m8[s]"), "timedelta|m8"),
    "a duration": (np.timedelta64(1, "D"), "timedelta|m8"),
    "records": (np.array([(1, 0.0)] * 3, "i4,f8"), "i4"),
    "set": ({1.0, 0.0}, "set"),
    "dict": ({"a": 1.0}, "dict"),
    "dict's values": ({"a": 1.0}.values(), "dict_values"),
    "generator": ((i for i in range(3)), "generator"),
    "map": (map(float, range(3)), "map"),
    "function": (np.exp, "ufunc|function"),
    "object": (object(), "object"),
    "Fraction": (Fraction(1, 2), "Fraction"),
    "Decimal": (Decimal("1.5"), "Decimal"),
    "Fractions": ([Fraction(1, 2)] * 3, "Fraction|object"),
    "ragged": ([[1.0], [0.0, 1.0]], "inhomogeneous"),
    "list with a Tensor": ([leaf(1.0), 0.0, 1.0], r"np\.stack"),
    "Tensors in lists": ([[leaf([1.0])], [leaf([0.0])]], r"np\.stack"),
    "masked array": (np.ma.array([1.0, 0.0, 1.0], mask=[False, True, False]), "mask|cut it out"),
    "masked integers": (np.ma.array([1, 0, 1], mask=[False, True, False]), "mask|cut it out"),
    "masked value": (np.ma.masked, "mask|cut it out"),
}

each_bad = pytest.mark.parametrize(("data", "named"), BAD.values(), ids=BAD)


@each_bad
def test_bad_data_of_a_tensor(data, named):
    error = ValueError if named == "inhomogeneous" else TypeError
    for use in (Tensor, leaf, lambda data: leaf([1.0, 2.0, 3.0]) * data):
        with pytest.raises(error, match=named):
            use(data)


@pytest.mark.parametrize("x", [leaf(1.0), leaf([1.0, 2.0]), leaf([1.0]) * 2.0])
@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: [t, t], lambda t: [[t], [1.0]]])
def test_tensor_with_a_gradient_is_no_data(x, wrap):
    with pytest.raises(TypeError, match=r"cut it out of the graph|np\.stack"):
        Tensor(wrap(x))


def test_integer_beyond_64_bits():
    with pytest.raises(TypeError, match=r"object|int"):
        Tensor(10**30)
    assert_allclose((leaf(2.0) * 10**30).data, 2e30)


@each_bad
@pytest.mark.parametrize("swapped", [False, True])
def test_bad_operand(data, named, swapped):
    a = leaf([1.0, 2.0, 3.0])
    with pytest.raises((TypeError, ValueError), match=named):
        data + a if swapped else a + data


@each_bad
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", ["/", "np.maximum", "np.dot", "np.where", "np.concatenate"])
def test_bad_operand_of_any_operation(data, named, name, swapped):
    operate = OPERATIONS[name]
    for a in (leaf([1.0, 2.0, 3.0]), leaf([1.0, 2.0, 3.0]) * 2.0):
        with pytest.raises((TypeError, ValueError)):
            operate(data, a) if swapped else operate(a, data)


@each_bad
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", ["+", "np.maximum", "np.concatenate"])
def test_bad_operand_without_gradient(data, named, name, swapped):
    operate = OPERATIONS[name]
    for a in (Tensor([1.0, 2.0, 3.0]), leaf([1.0, 2.0, 3.0])):
        with tg.no_grad():
            try:
                result = operate(data, a) if swapped else operate(a, data)
            except (TypeError, ValueError):
                continue
        assert np.ma.is_masked(result)  # NumPy's own, which keeps the mask


@each_bad
def test_bad_data_assigned_to_a_tensor(data, named):
    t = leaf([1.0, 2.0, 3.0])
    with pytest.raises((TypeError, ValueError)):
        t.data = data
    assert_array_equal(t.data, [1, 2, 3])


@each_bad
def test_bad_gradient_argument(data, named):
    x = leaf([1.0, 2.0, 3.0])
    with pytest.raises((TypeError, ValueError)):
        (2 * x).backward(data)
    assert x.grad is None


@pytest.mark.parametrize(
    "dtype", [object, complex, str, "S4", "M8[s]", "m8[s]", "i4,f8", "nonsense"]
)
def test_bad_dtype(dtype):
    for use in (
        lambda: Tensor([1.0, 2.0], dtype=dtype),
        lambda: leaf([1.0, 2.0], dtype=dtype),
        lambda: leaf([1.0, 2.0]).astype(dtype),
        lambda: Tensor([1.0, 2.0]).astype(dtype),
    ):
        with pytest.raises(TypeError):
            use()


def test_dtypes_that_a_tensor_cannot_have_are_named():
    with pytest.raises(TypeError, match="a Tensor cannot have dtype float16: use float32 or"):
        Tensor([1.0], dtype=np.float16)
    text = "a Tensor that requires a gradient cannot have dtype int64"
    with pytest.raises(TypeError, match=text):
        Tensor([1, 2], requires_grad=True, dtype=np.int64)
    t = Tensor([1, 2])
    t.requires_grad = True
    with pytest.raises(TypeError, match=text):
        (0.5 * t).sum().backward()


# Subclasses of ndarray


@pytest.mark.parametrize(
    "text",
    [
        "m * t",
        "m - t",
        "m ** t",
        "t * m",
        "m @ t",
        "np.multiply(m, t)",
        "np.multiply(t, m)",
        "np.dot(m, t)",
        "np.ma.multiply(m, t)",
    ],
)
@pytest.mark.parametrize("mask", [False, [False, True, False]])
def test_masked_array_as_an_operand(text, mask):
    m, a = np.ma.array([1.0, 2.0, 3.0], mask=mask), positive(3)
    t = leaf(a)
    try:
        result = eval(text, {"np": np, "m": m, "t": t})
    except TypeError as refusal:
        assert "mask" in str(refusal) or "cut it out of the graph" in str(refusal)
        return
    assert type(result) is Tensor and result.requires_grad
    assert not np.any(mask), "the masked elements take part"
    assert_allclose(result.data, eval(text, {"np": np, "m": m.data, "t": a}), rtol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"np.ma.{name}(t)"
            for name in (
                *("array", "asarray", "getdata", "exp", "log", "sqrt", "sum", "mean", "average"),
                *("masked_invalid", "fix_invalid"),
            )
        ),
        "np.ma.masked_where([True, False], t)",
        "np.ma.add(t, 1.0)",
        "np.ma.where([True, False], t, 0.0)",
        "np.ma.concatenate([t, t])",
        "np.ma.dot(t, t)",
    ],
)
def test_functions_of_masked_arrays_do_not_cut(text):
    with pytest.raises(TypeError):
        eval(text, {"np": np, "t": leaf([1.0, 2.0])})


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(
    "text",
    [
        "m * t",
        "t * m",
        "m @ t",
        "t @ m",
        "m + t",
        "t - m",
        "np.dot(m, t)",
        "np.multiply(m, t)",
    ],
)
def test_matrix_as_an_operand(text):
    m, a = np.matrix([[1.0, 2.0], [3.0, 4.0]]), positive(2, 2)
    expected = np.asarray(eval(text, {"np": np, "m": m, "t": a}))
    try:
        result = eval(text, {"np": np, "m": m, "t": leaf(a)})
    except TypeError as refusal:
        assert "matrix" in str(refusal)
        return
    assert type(result) is Tensor and result.requires_grad
    assert_allclose(result.data, expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrix_as_data():
    assert type(Tensor(np.matrix([[1.0, 2.0]])).data) is np.ndarray
    x = leaf(np.matrix([[1.0, 2.0], [3.0, 4.0]]))
    assert_array_equal((x * x).data, [[1, 4], [9, 16]])


# pandas


def test_pandas_as_data(pd):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4]})
    assert_array_equal(leaf(frame).data, [[1.5, 3], [2.5, 4]])
    assert_array_equal(leaf(frame["b"]).data, [3, 4])
    assert leaf(frame["b"]).dtype == np.float64
    assert_array_equal(Tensor(pd.Series([True, False])).data, [True, False])
    assert_array_equal(Tensor(pd.Series([1.0, None])).data, [1, np.nan])
    for data in (["a", "b"], pd.to_datetime(["2020-01-01"]), [1, "a"], pd.Categorical(["a"])):
        with pytest.raises(TypeError, match="real numbers"):
            Tensor(pd.Series(data))


SERIES_WORKS = {
    "t * s": lambda s, t: t * s,
    "t - s": lambda s, t: t - s,
    "t @ s": lambda s, t: t @ s,
    "np.dot(s, t)": np.dot,
    "np.dot(t, s)": lambda s, t: np.dot(t, s),
    "np.multiply(t, s)": lambda s, t: np.multiply(t, s),
    "np.where(s > 1, t, s)": lambda s, t: np.where(s > 1, t, s),
    "np.stack([s, t])": lambda s, t: np.stack([s, t]),
    "t[s > 1]": lambda s, t: t[s > 1],
    "t[s.index]": lambda s, t: t[s.index],
}
SERIES_MAY_BE_REFUSED = {
    "s * t": lambda s, t: s * t,
    "s - t": lambda s, t: s - t,
    "s ** t": lambda s, t: s**t,
    "s @ t": lambda s, t: s @ t,
    "s * t[0]": lambda s, t: s * t[0],
    "s.add(t)": lambda s, t: s.add(t),
    "s.dot(t)": lambda s, t: s.dot(t),
    "np.multiply(s, t)": np.multiply,
    "np.maximum(s, t)": np.maximum,
    "s.index * t": lambda s, t: s.index * t,
    "s.clip(t)": lambda s, t: s.clip(t[0], 3.0),
}


@pytest.mark.parametrize("name", SERIES_WORKS)
@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [1, 2, 3], [True, False, True]])
def test_series_as_an_operand(pd, name, values):
    f, a = SERIES_WORKS[name], positive(3)
    x, twin = leaf(a), leaf(a)
    index = [2, 0, 1]
    result = f(pd.Series(values, index=index), x)
    assert type(result) is Tensor
    clean = twin[index] if name == "t[s.index]" else f(np.array(values), twin)
    assert_allclose(result.data, clean.data, rtol=1e-12)
    assert_allclose(tg.grad(result.sum(), [x]), tg.grad(clean.sum(), [twin]), rtol=1e-12)


@pytest.mark.parametrize("name", SERIES_MAY_BE_REFUSED)
def test_operation_that_pandas_takes_over_does_not_cut(pd, name):
    f, a = SERIES_MAY_BE_REFUSED[name], positive(3)
    s, x = pd.Series([1.0, 2.0, 3.0]), leaf(a)
    try:
        result = f(s, x)
    except (TypeError, ValueError) as refusal:
        assert "Tensor" in str(refusal)
        return
    assert type(result) is Tensor and result.requires_grad
    assert_allclose(result.data, f(s, a), rtol=1e-12)


@pytest.mark.parametrize(
    "f", [lambda d, t: t * d, lambda d, t: t @ d, lambda d, t: np.dot(d, t), lambda d, t: t - d]
)
def test_data_frame_as_an_operand(pd, f):
    values, a = np.array([[1.0, 2.0], [3.0, 5.0]]), positive(2, 2)
    x, twin = leaf(a), leaf(a)
    result, clean = f(pd.DataFrame(values, columns=["a", "b"]), x), f(values, twin)
    assert type(result) is Tensor
    assert_allclose(result.data, clean.data, rtol=1e-12)
    assert_allclose(tg.grad(result.sum(), [x]), tg.grad(clean.sum(), [twin]), rtol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "d * t",
        "d @ t",
        "d - t[0, 0]",
        "d.dot(t)",
        "np.matmul(d, t)",
        "np.add(d, t)",
    ],
)
def test_operation_that_a_data_frame_takes_over_does_not_cut(pd, text):
    values, a = np.array([[1.0, 2.0], [3.0, 5.0]]), positive(2, 2)
    try:
        d = pd.DataFrame(values, columns=["a", "b"])
        result = eval(text, {"np": np, "d": d, "t": leaf(a)})
    except (TypeError, ValueError) as refusal:
        assert "Tensor" in str(refusal)
        return
    assert type(result) is Tensor and result.requires_grad
    assert_allclose(result.data, eval(text, {"np": np, "d": values, "t": a}), rtol=1e-12)


def test_tensor_in_pandas_is_refused(pd):
    t = leaf([1.0, 2.0])
    for make in (pd.Series, pd.DataFrame, pd.Index, lambda t: pd.DataFrame({"a": t})):
        with pytest.raises(TypeError, match="cut it out of the graph"):
            make(t)


# Targets of losses

LOSSES = {
    "mse_loss": tg.mse_loss,
    "binary_cross_entropy": tg.binary_cross_entropy,
    "binary_cross_entropy_with_logits": tg.binary_cross_entropy_with_logits,
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)

ODD_LABELS = {
    "list": [0, 1, 1],
    "tuple": (0.0, 1.0, 1.0),
    "booleans": [False, True, True],
    "array of booleans": np.array([False, True, True]),
    "uint8": np.uint8([0, 1, 1]),
    "int8": np.int8([0, 1, 1]),
    "big-endian": np.array([0, 1, 1], ">i2"),
    "float16": np.float16([0, 1, 1]),
    "longdouble": np.longdouble([0, 1, 1]),
    "float32": np.float32([0, 1, 1]),
    "read-only": read_only(np.array([0, 1, 1])),
    "strided": np.array([0, 9, 1, 9, 1, 9])[::2],
    "memoryview": memoryview(np.array([0.0, 1.0, 1.0])),
    "array.array": array.array("b", [0, 1, 1]),
    "bytearray": bytearray([0, 1, 1]),
    "Tensor": Tensor([0, 1, 1]),
    "Tensor of booleans": Tensor([False, True, True]),
    "list of Tensors": [Tensor(0), Tensor(1), 1],
}
each_odd_label = pytest.mark.parametrize("target", ODD_LABELS.values(), ids=ODD_LABELS)


def assert_same_loss(loss, pred, target, clean):
    x, twin = leaf(pred), leaf(pred)
    value, expected = loss(x, target), loss(twin, clean)
    assert type(value) is Tensor
    assert_allclose(value.data, expected.data, rtol=1e-14)
    assert_allclose(tg.grad(value, [x]), tg.grad(expected, [twin]), rtol=1e-14)


@each_loss
@each_odd_label
def test_odd_target(loss, target):
    assert_same_loss(loss, positive(3), target, np.array([0.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    "target",
    [
        [2, 0, 1],
        (2, 0, 1),
        np.uint8([2, 0, 1]),
        np.int8([2, 0, 1]),
        np.uint64([2, 0, 1]),
        np.array([2, 0, 1], ">i4"),
        np.array([2, 9, 0, 9, 1, 9])[::2],
        read_only(np.array([2, 0, 1])),
        memoryview(bytes([2, 0, 1])),
        array.array("i", [2, 0, 1]),
        Tensor([2, 0, 1]),
        [Tensor(2), Tensor(0), np.int8(1)],
        np.eye(4)[[2, 0, 1]] > 0,
        np.eye(4, dtype=np.uint8)[[2, 0, 1]],
        np.asfortranarray(np.eye(4)[[2, 0, 1]]),
        np.eye(4)[[2, 0, 1]].tolist(),
        Tensor(np.eye(4)[[2, 0, 1]]),
        np.eye(4, dtype=">f4")[[2, 0, 1]],
    ],
)
def test_odd_target_of_cross_entropy(target):
    assert_same_loss(tg.cross_entropy, positive(3, 4), target, np.array([2, 0, 1]))


def test_pandas_as_a_target(pd):
    binary, classes = pd.Series([0, 1, 1], index=[5, 3, 4]), pd.Series([2, 0, 1], index=[1, 2, 0])
    for loss in LOSSES.values():
        assert_same_loss(loss, positive(3), binary, np.array([0.0, 1.0, 1.0]))
    assert_same_loss(tg.cross_entropy, positive(3, 4), classes, classes.to_numpy())
    one_hot = pd.DataFrame(np.eye(4)[[2, 0, 1]], columns=list("abcd"))
    assert_same_loss(tg.cross_entropy, positive(3, 4), one_hot, classes.to_numpy())
    for loss in LOSSES.values():
        with pytest.raises((TypeError, ValueError)):
            loss(leaf(positive(3)), pd.Series(["0", "1", "1"]))


@each_loss
@each_bad
def test_bad_target(loss, data, named):
    for pred in (leaf(positive(3)), Tensor(positive(3))):
        with pytest.raises((TypeError, ValueError), match=rf"{named}|the target \("):
            loss(pred, data)


@each_bad
def test_bad_target_of_cross_entropy(data, named):
    for logits in (leaf(positive(3, 4)), Tensor(positive(3, 4))):
        with pytest.raises((TypeError, ValueError), match=rf"{named}|target has the shape"):
            tg.cross_entropy(logits, data)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (np.eye(3, 4).astype(object), "object"),
        (np.eye(3, 4).astype(str), "str|<U"),
        (np.eye(3, 4) * 1j, "complex"),
        (np.eye(3, 4).astype("m8[s]"), "timedelta|m8"),
        (np.ma.array(np.eye(3, 4), mask=np.eye(3, 4)), "mask"),
        ([0.0, 1.0, 2.0], "float"),
        ([True, False, True], "bool"),
        ([0, 1, -1], "-1"),
        ([0, 1, 4], "4"),
        ([0, 1, np.nan], "float"),
        ([[0], [1], [2]], "shape"),
        ([0, 1], "shape"),
        (leaf([0.0, 1.0, 2.0]), "float"),
    ],
)
def test_bad_labels_of_cross_entropy(target, named):
    for logits in (leaf(positive(3, 4)), Tensor(positive(3, 4))):
        with pytest.raises((TypeError, ValueError), match=named):
            tg.cross_entropy(logits, target)


@pytest.mark.parametrize(
    ("weight", "named"),
    [
        ([1j, 1, 1, 1], "complex"),
        (["1"] * 4, "str|<U"),
        ([None] * 4, "None|object"),
        (np.ones(4, object), "object"),
        (np.ma.array(np.ones(4), mask=[1, 0, 0, 0]), "mask"),
        (1.0, "weight"),
        (np.ones(3), "weight"),
        (np.ones((3, 4)), "weight"),
        (leaf(np.ones(4)), "Tensor"),
        ({0: 1.0, 1: 1.0}, "weight|dict"),
    ],
)
@pytest.mark.parametrize("target", [np.array([0, 1, 2]), np.eye(3, 4)])
def test_bad_weight_of_cross_entropy(weight, named, target):
    with pytest.raises((TypeError, ValueError), match=named):
        tg.cross_entropy(leaf(positive(3, 4)), target, weight=weight)


@pytest.mark.parametrize(
    "weight", [[1, 2, 3, 4], np.uint8([1, 2, 3, 4]), Tensor([1, 2, 3, 4]), range(1, 5)]
)
def test_odd_weight_of_cross_entropy(weight):
    logits, target = leaf(positive(3, 4)), np.array([0, 3, 2])
    expected = tg.cross_entropy(logits, target, weight=np.array([1.0, 2.0, 3.0, 4.0]))
    assert tg.cross_entropy(logits, target, weight=weight).item() == expected.item()


@each_loss
def test_loss_of_no_samples(loss):
    x = leaf(np.empty((0, 3)))
    value = loss(x, np.empty((0, 3)), reduction="sum")
    assert value.item() == 0
    assert tg.grad(value, [x])[0].shape == (0, 3)


# Indices, axes and shapes: refused as NumPy refuses them


@pytest.mark.parametrize(
    "index",
    [
        [0, 2],
        [True, False, True],
        [],
        np.array([], int),
        np.array([0, 2], ">i4"),
        np.uint8([0, 2]),
        np.array(1),
        np.int8(-1),
        Level.LOW,
        True,
        None,
        Ellipsis,
        (),
        (slice(None), None),
        slice(np.int64(0), None, np.int8(2)),
        range(2),
        np.array([[0, 1], [2, 2]])[:, ::-1],
        Tensor([0, 2]),
        Tensor([True, False, True]),
        Tensor(1),
        slice(Tensor(1), None),
        memoryview(np.array([0, 2])),
    ],
    ids=lambda index: repr(index).partition(" at 0x")[0],
)
def test_odd_index(index):
    a = np.array([1.0, 2.0, 4.0])
    x = leaf(a)
    result = x[index]
    plain = np.asarray(index) if isinstance(index, Tensor) else index
    assert_array_equal(result.data, a[plain])
    expected = np.zeros(3)
    np.add.at(expected, plain, 1.0)
    assert_array_equal(tg.grad(result.sum(), [x])[0], expected)


@pytest.mark.parametrize(
    "text",
    [
        "t[1.0]",
        "t['a']",
        "t[[0.0, 1.0]]",
        "t[np.array([0, 1], object)]",
        "t[np.array(['a'])]",
        "t[1j]",
        "t[{0}]",
        "t[5]",
        "t[[0, 5]]",
        "t[[True]]",
        "t[0, 0, 0]",
        "t[[[0], [0, 1]]]",
        "np.sum(t, axis='0')",
        "np.sum(t, axis=1.0)",
        "np.sum(t, axis=2)",
        "np.sum(t, axis=(0, 0))",
        "np.mean(t, axis=-3)",
        "np.max(t, axis='rows')",
        "np.prod(t, axis=5)",
        "np.var(t, axis=1.5)",
        "np.cumsum(t, axis=(0, 1))",
        "np.reshape(t, (4, 2))",
        "np.reshape(t, (2.0, 3))",
        "np.reshape(t, (-1, -1))",
        "np.reshape(t, 'a')",
        "np.transpose(t, (0, 0))",
        "np.transpose(t, (0,))",
        "np.transpose(t, (0, 2))",
        "np.swapaxes(t, 0, 2)",
        "np.moveaxis(t, 0, 2)",
        "np.moveaxis(t, (0, 1), (0,))",
        "np.expand_dims(t, 4)",
        "np.squeeze(t, 0)",
        "np.broadcast_to(t, (3, 2))",
        "np.concatenate([t, t], axis=2)",
        "np.concatenate([t, np.ones((2, 2))])",
        "np.stack([t, t], axis=4)",
        "np.stack([t, t.T])",
        "np.pad(t, -1)",
        "np.pad(t, 1.5)",
        "np.trace(t[0])",
        "np.diagonal(t, axis1=0, axis2=0)",
        "np.tensordot(t, t, axes=1)",
        "np.tensordot(t, t, axes=5)",
        "np.einsum('ij,jk->ik', t, t)",
        "np.einsum('ijk->i', t)",
        "np.einsum('ij->ik', t)",
        "np.flip(t, 2)",
        "np.round(t, 1.5)",
        "np.dot(t, t)",
    ],
)
def test_refused_as_numpy_refuses(text):
    a = np.arange(6.0).reshape(2, 3)
    with pytest.raises((TypeError, ValueError, IndexError)) as numpys:
        eval(text, {"np": np, "t": a})
    kinds = (np.exceptions.AxisError, TypeError, IndexError, ValueError)
    kind = next(kind for kind in kinds if numpys.errisinstance(kind))
    with pytest.raises(kind) as ours:
        eval(text, {"np": np, "t": leaf(a)})
    assert "zip()" not in str(ours.value)


@pytest.mark.parametrize(
    "text",
    [
        "t[x]",
        "t[[0, 1], x]",
        "np.sum(t, axis=x)",
        "np.reshape(t, (x, 3))",
        "np.clip(t, 0, x)",
        "np.cumsum(t, x)",
    ],
)
def test_tensor_with_a_gradient_is_no_index_axis_or_shape(text):
    with pytest.raises((TypeError, IndexError)):
        eval(text, {"np": np, "t": leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "x": leaf(1.0)})
