"""The generated pages are current."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from examples.check_documents import CASES
from examples.gallery import MODELS
from examples.pages import PAGES

DOCS = Path(__file__).parents[2] / "docs"
make = runpy.run_path(str(DOCS / "make.py"))


def rows(text):
    """The names in each row of a table of functions."""
    return [re.findall(r"`(\w+)`", line) for line in text.splitlines() if line.startswith("| ")][1:]


def test_the_table_of_numpy_functions_is_current():
    page, now = (DOCS / "numpy.md").read_text(), make["numpy_table"]()
    if f"NumPy {np.__version__}." in page:
        assert page == now
    for written, current in zip(rows(page)[:2], rows(now)[:2], strict=True):
        assert {name for name in written if hasattr(np, name)} == set(current)


def test_what_the_table_calls_refused_is_refused_by_name():
    x, reached = tg.Tensor(np.eye(3) + 1, requires_grad=True), 0
    for name in rows(make["numpy_table"]())[2]:
        function = getattr(np, name)
        if name.startswith("save"):
            continue
        with pytest.raises(TypeError) as refusal:
            function(*[x] * getattr(function, "nin", 1))
        if "required" not in str(refusal.value) and "missing" not in str(refusal.value):
            assert f"np.{function.__name__} has no derivative rule here" in str(refusal.value)
            reached += 1
    assert reached > 150


def test_the_errata_quote_what_the_check_prints():
    assert (DOCS / "errata.md").read_text(encoding="utf-8") == make["errata"]()


def test_every_mistake_is_among_the_errata():
    quoted = re.findall("<!-- check: (.*) -->", (DOCS / "errata.md").read_text(encoding="utf-8"))
    assert {case.title for case in CASES if case.first_wrong} <= set(quoted)


def test_the_programs_are_those_of_now():
    assert (DOCS / "programs.md").read_text(encoding="utf-8") == make["programs"]()


def test_the_gallery_shows_every_picture():
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == make["gallery"]()
    assert {path.stem for path in (DOCS / "gallery").glob("*.svg")} == set(MODELS)


def without_pictures(page):
    """A page of the explorer without what depends on the renderer's version."""
    match = re.search(r'id="data">(.*?)</script>', page, re.S)
    data = json.loads(match[1])
    for view in data["views"].values():
        del view["svg"]
    return page[: match.start()], data, page[match.end() :]


@pytest.mark.parametrize("name", PAGES)
def test_the_explorer_s_pages_are_current(name, tmp_path):
    page = (DOCS / "explorer" / f"{name}.html").read_text(encoding="utf-8")
    now = PAGES[name](tmp_path / "page.html").read_text(encoding="utf-8")
    assert without_pictures(page) == without_pictures(now), "python -m docs.make writes it anew"


@pytest.mark.parametrize("name", MODELS)
def test_the_gallery_is_drawn_from_the_dot_text_of_now(name):
    svg = (DOCS / "gallery" / f"{name}.svg").read_text(encoding="utf-8")
    assert svg.endswith(make["digest"](MODELS[name]()) + "\n"), "python -m docs.make draws it anew"
