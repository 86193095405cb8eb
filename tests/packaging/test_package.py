"""What a user of pip gets: metadata, the README on a package index, and `python -m tinygrad_lr`."""

import re
import runpy
from configparser import ConfigParser
from pathlib import Path

import pytest

import tinygrad_lr as tg
from tinygrad_lr.__main__ import DEMO, extras, info, main

ROOT = Path(__file__).parents[2]
HOMEWORK = """
import numpy as np

def forward(X, w):
    return np.sum((X @ w) ** 2)

def backward(X, w):
    dw = {factor} * X.T @ (X @ w)
    return dw

inputs = dict(X=np.ones((3, 2)), w=np.array([1.0, 2.0]))
"""


def config():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_links_of_the_readme_are_absolute_on_a_package_index():
    pytest.importorskip("setuptools", reason="setuptools builds the package")
    text = runpy.run_path(str(ROOT / "setup.py"))["long_description"]()
    url = config()["metadata"]["url"]
    raw = url.replace("github.com", "raw.githubusercontent.com")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", text)
    assert pictures and all(x.startswith(f"{raw}/main/docs/") for x in pictures)
    assert len(links) > 10 and all(x.startswith("https://") for x in links)
    for address in pictures + links:
        path = re.sub(rf"^({re.escape(raw)}|{re.escape(url)}/blob)/main/", "", address)
        assert (ROOT / path).exists(), address


def test_the_metadata_agree():
    metadata = config()["metadata"]
    classifiers = metadata["classifiers"]
    oldest = config()["options"]["python_requires"].removeprefix(">=")
    assert f":: {oldest}" in classifiers and ":: 3.13" in classifiers and "Typed" in classifiers
    assert f"version: {tg.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert metadata["url"] in (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(metadata["url"] in line for line in metadata["project_urls"].split("\n") if line)


def test_the_command_shows_versions_and_extras(capsys, monkeypatch):
    assert main([]) == main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"tinygrad_lr {tg.__version__}" in text and "NumPy" in text
    names = "tinygrad_lr.__main__.metadata"
    lines = ["numpy>=2", "pygraphviz>=2; extra == 'draw'", 'no-such-package; extra == "draw"']
    monkeypatch.setattr(f"{names}.requires", lambda name: lines)
    assert extras() == {"draw": ["pygraphviz", "no-such-package"]}
    assert "no-such-package missing" in info()


def test_the_demo_is_its_own_source(capsys):
    assert main(["demo", "--source"]) == 0
    assert capsys.readouterr().out == DEMO
    assert main(["demo"]) == 0
    text = capsys.readouterr().out
    assert "z (4,) = X @ w + b" in text and "def step(X, y, w, b):" in text


def test_a_page_of_the_demo(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["explore", str(page)]) == 0
    assert "<svg" in page.read_text(encoding="utf-8") and str(page) in capsys.readouterr().out


@pytest.mark.parametrize(("factor", "code"), [(2, 0), (3, 1)])
def test_a_homework_is_marked(tmp_path, capsys, factor, code):
    path = tmp_path / "homework.py"
    path.write_text(HOMEWORK.format(factor=factor))
    assert main(["check", str(path), "--timeout", "60"]) == code
    assert ("wrong here" in capsys.readouterr().out) == bool(code)


def test_help_and_what_is_unknown(capsys):
    for arguments in (["--help"], ["check", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
    assert "homework.py" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--sauce"])
