"""The table of docs/conventions.md: every cell against the library of its column."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_lr as tg

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
CELLS = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS]
assert len(CELLS) > 20, f"the table of {PAGE} is not found"
NUMBERS = {"inf": float("inf"), "nan": float("nan")}
pytestmark = pytest.mark.parametrize("cells", CELLS, ids=[cells[0] for cells in CELLS])


def code(cell):
    """What a cell holds between backticks."""
    return cell.split("`")[1]


def read(numbers):
    """Numbers or lists, separated by commas, as a tuple."""
    values = eval(numbers, NUMBERS)
    return values if isinstance(values, tuple) else (values,)


def check(cells, column, library, differentiate):
    """Compare a cell with (value, derivative in x, derivative in y if there is a y)."""
    _, expression, _, point, _ = cells[0].split("`")
    if cells[column] == "–":
        assert not hasattr(library, expression.removeprefix("tg.").split("(")[0])
        return

    def function(*args):
        return eval(expression, {"tg": library, **dict(zip("xy", args, strict=False))})

    with np.errstate(all="ignore"):
        numbers = differentiate(function, [np.array(p, float) for p in read(point)])
    for number, expected in zip(numbers, read(code(cells[column])), strict=True):
        assert np.shape(number) == np.shape(expected)
        np.testing.assert_allclose(number, expected, rtol=1e-10)


def test_our_column(cells):
    def differentiate(function, point):
        leaves = [tg.Tensor(p, requires_grad=True) for p in point]
        value = function(*leaves)
        return value.data, *tg.grad(value.sum(), leaves)

    check(cells, 1, tg, differentiate)


def test_pytorch_column(cells, torch):
    renamed = {
        "max": torch.amax,
        "min": torch.amin,
        "std": lambda x: torch.std(x, correction=0),
        "softmax": lambda x: torch.softmax(x, -1),
        "leaky_relu": torch.nn.functional.leaky_relu,
        "binary_cross_entropy": torch.nn.functional.binary_cross_entropy,
    }

    def differentiate(function, point):
        leaves = [torch.tensor(p, requires_grad=True) for p in point]
        value = function(*leaves)
        return value.detach(), *torch.autograd.grad(value.sum(), leaves)

    check(cells, 2, SimpleNamespace(**vars(torch) | renamed), differentiate)


def test_jax_column(cells, jax):
    def differentiate(function, point):
        with jax.enable_x64(True):
            leaves = [jax.numpy.asarray(p) for p in point]
            derivatives = jax.grad(lambda *args: function(*args).sum(), range(len(leaves)))
            return function(*leaves), *derivatives(*leaves)

    check(cells, 3, SimpleNamespace(**vars(jax.numpy) | vars(jax.nn)), differentiate)


def test_a_note_explains_where_we_differ_from_pytorch(cells):
    assert (code(cells[1]) != code(cells[2])) == (cells[2][-1] in "¹²")
