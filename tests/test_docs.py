"""The generated pages are current."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg

DOCS = Path(__file__).parents[1] / "docs"
make = runpy.run_path(str(DOCS / "make.py"))


def rows(text):
    """The names in each row of a table of functions."""
    return [re.findall(r"`(\w+)`", line) for line in text.splitlines() if line.startswith("| ")][1:]


def test_the_table_of_numpy_functions_is_current():
    page, now = (DOCS / "numpy.md").read_text(), make["numpy_table"]()
    if f"NumPy {np.__version__}." in page:
        assert page == now
    for written, found in zip(rows(page)[:2], rows(now)[:2], strict=True):
        assert {name for name in written if hasattr(np, name)} == set(found)


def test_what_the_table_calls_refused_is_refused_by_name():
    refused = rows(make["numpy_table"]())[2]
    assert len(refused) > 100
    x = tg.Tensor(np.eye(3) + 1, requires_grad=True)
    for name in (name for name in refused if not name.startswith("save")):
        function = getattr(np, name)
        with pytest.raises(TypeError, match=rf"{function.__name__}|missing|argument"):
            function(*[x] * getattr(function, "nin", 1))
