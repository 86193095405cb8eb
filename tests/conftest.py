"""Fixtures: libraries that are not installed everywhere, and operations that leave no trace."""

from collections import defaultdict

import pytest

from tinygrad_lr.ops import FUNCTIONS, OPERATIONS, operation


def pytest_addoption(parser):
    parser.addoption("--few", type=int, help="run at most so many cases of every test")


def pytest_collection_modifyitems(config, items):
    if few := config.getoption("few"):
        cases = defaultdict(list)
        for item in items:
            cases[item.nodeid.partition("[")[0]].append(item)
        items[:] = [item for x in cases.values() for item in x[:: -(-len(x) // few)]]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is in the extra 'bench'")


@pytest.fixture
def jax():
    return pytest.importorskip("jax", reason="JAX is in the extra 'bench'")


@pytest.fixture
def pd():
    return pytest.importorskip("pandas", reason="pandas is in the extra 'test'")


@pytest.fixture
def temporary():
    """Make an operation that leaves the table when the test ends."""
    functions = []

    def make(formula, *rules, forward):
        forward.__name__ = "_temporary"
        functions.append(operation(formula, *rules)(forward))
        return functions[-1]

    yield make
    assert OPERATIONS.pop("temporary", None) is not None
    assert "_temporary" not in FUNCTIONS
