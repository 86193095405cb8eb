"""The page of wild programs is current, and says the truth about them."""

import runpy
from pathlib import Path

import pytest

from examples.wild import FOLDER, HOMEWORK, main, report, source
from tinygrad_lr.check.derivation.grade import check_file

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_quotes_what_the_check_prints():
    page = runpy.run_path(str(DOCS / "make.py"))["wild"]()
    assert (DOCS / "wild.md").read_text(encoding="utf-8") == page, "python -m docs.make"


def test_every_file_is_on_the_page_and_short():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(HOMEWORK)
    assert all(len(source(name).splitlines()) <= 35 for name in HOMEWORK)


@pytest.mark.parametrize("name", HOMEWORK)
def test_the_mistake_is_found_at_its_line_and_is_the_only_one(name):
    _, _, wrong, right = HOMEWORK[name]
    assert source(name).count(wrong) == 1
    check_file(source(name).replace(wrong, right)).assert_ok()
    found = report(name)
    assert not found.ok
    assert found.first.line == source(name)[: source(name).index(wrong)].count("\n") + 1, str(found)


def test_all_reports_are_printed(capsys):
    main()
    out = capsys.readouterr().out
    assert all(homework.title in out for homework in HOMEWORK.values())
