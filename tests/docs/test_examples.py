"""The examples print the documents' numbers, or the right ones where a document is wrong."""

import functools
import io
import re
import runpy
from contextlib import redirect_stdout
from dataclasses import replace
from types import SimpleNamespace

import pytest

from examples import and_gate, digits, iris, linear, report, titanic, xor
from examples.__main__ import EXAMPLES
from examples.__main__ import main as run_all
from examples.report import Row, table

WITH_PLOTS = [example for example in EXAMPLES if hasattr(example, "save_figure")]
LOSSES = {
    linear: [37.58606569418768, 0.013325784698087338, 0.000895273767274456]
    + [6.01476863489e-05, 4.04093619781e-06],
    titanic: [0.6873154891052645, 0.5131387489956203, 0.481739821844681, 0.469173784901411]
    + [0.46230784992625373, 0.457685934072058, 0.4541504447950556, 0.45124336080160304]
    + [0.4487563312703641],
    iris: [1.0986122886681096, 1.0068085511767968, 0.6378818216471893, 0.32871824560759466]
    + [0.12399136791666154],
}
FRAGMENTS = {
    linear: ["W = 2.0001365002, b = 0.9993785185; at 12: 25.00101652"],
    titanic: [
        "A = [[0.48951622 0.50149394]], predicted [[0 1]]; loss 0.68128007540",
        "[ 0.24475811 -0.05108671 -0.03121642 -0.24925303  0.          0.24475811",
        "db = -0.0044949199",
        "640 of 792",
        "held out: loss 0.444007698517; TN 54, FP 9, FN 12, TP 24",
    ],
    and_gate: [
        "[2.64924114 2.6467143 ] [-4.09029157], the document",
        "outputs [0.0165 0.191  0.1914 0.7695], right 4/4",
    ],
    xor: [
        "gradient of the sum over all samples is [0. 0.] [0.]",
        "[-0.02515623 -0.01257811] [0.01257811], outputs [0.5031 0.5    0.4969 0.4937]",
        "right 1/4",
        "right 4/4",
    ],
    iris: [
        "w = [ 2.91348885 -4.87108942], b = [-0.58966788]; right 79/80, test 20/20",
        *(f"right {n}/150" for n in (50, 121, 124, 136, 146)),
    ],
    digits: ["iteration 1: cost 0.69314718056", "iteration 659: ", "787 of 797 right"],
}
AGREEING = Row(
    document="000", model="a model", loss=0.5, figure="a figure",
    printed=2.0, ours=2.0, tolerance=1e-9, gradient_difference=1e-15,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What an example returns and prints, and the folder that it ran in; each runs once."""

    @functools.cache
    def run(example):
        folder, text = tmp_path_factory.mktemp("run"), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(text):
            patch.chdir(folder)
            rows = example.main()
        return SimpleNamespace(rows=rows, text=text.getvalue(), folder=folder)

    return run


def cases(examples):
    return pytest.mark.parametrize("example", examples, ids=lambda e: e.__name__.split(".")[-1])


@cases(EXAMPLES)
def test_every_row_agrees(run, example):
    rows = run(example).rows
    assert rows and all(row.agrees for row in rows), table(rows)


@cases(LOSSES)
def test_losses_at_the_printed_steps(run, example):
    losses = re.findall(r"^step +\d+: loss ([-+.e\d]+)", run(example).text, re.MULTILINE)
    assert [float(loss) for loss in losses] == pytest.approx(LOSSES[example], rel=1e-11)


@cases(FRAGMENTS)
def test_other_numbers(run, example):
    text = run(example).text
    assert [fragment for fragment in FRAGMENTS[example] if fragment not in text] == []


@cases(WITH_PLOTS)
def test_plots(run, example):
    result = run(example)
    saved = re.findall(r"^saved (\S+\.png)$", result.text, re.MULTILINE)
    assert saved
    for path in saved:
        assert (result.folder / path).read_bytes().startswith(b"\x89PNG")


def test_titanic_is_as_the_document_prints_it(run):
    pattern = r"accuracy ([\d.]+) %; loss\(Y, A\) ([\d.]+), in"
    accuracies, losses = zip(*re.findall(pattern, run(titanic).text), strict=True)
    assert accuracies == ("64.4", "75.9", "79.5", "79.5", "79.8", "79.8", "79.8", "80.8")
    assert [float(loss) for loss in losses] == pytest.approx(
        [17.16646271874957, 12.757526841623513, 11.688361064742441, 11.150776615503466]
        + [10.83231532525657, 10.622380143288218, 10.473049466548982, 10.36043263717339],
        rel=1e-11,
    )


def test_titanic_layers_reach_the_documents_80_percent(run):
    row = run(titanic).rows[-1]
    assert 0.437 < row.loss < 0.447
    assert 80.18 < row.ours <= 80.56


@pytest.mark.parametrize(
    "wrong",
    [
        {"ours": 2.1},
        {"ours": float("nan")},
        {"gradient_difference": 1e-11},
        {"gradient_difference": report.relative_difference([1.0, float("nan")], [1.0, 1.0])},
        {"printed": None, "gradient_difference": 1e-11},
    ],
)
def test_a_row_can_disagree(wrong):
    assert AGREEING.agrees
    assert replace(AGREEING, printed=None).agrees
    assert not replace(AGREEING, **wrong).agrees
    assert table([replace(AGREEING, **wrong)]).endswith("NO")


def test_gradients_of_different_shapes_are_not_compared():
    with pytest.raises(ValueError, match="shapes"):
        report.gradient_difference([[1.0, 2.0]], [[[1.0], [2.0]]])


@pytest.mark.parametrize("ours, status", [(2.0, 0), (2.1, 1)])
def test_running_all_fails_if_a_row_disagrees(monkeypatch, capsys, ours, status):
    example = SimpleNamespace(main=lambda: [AGREEING, replace(AGREEING, ours=ours)])
    monkeypatch.setattr("examples.__main__.EXAMPLES", [example])
    assert run_all() == status
    assert f"{2 - status} of 2 rows agree" in capsys.readouterr().out


def test_hello(capsys):
    runpy.run_module("examples.hello")
    assert capsys.readouterr().out == "loss 0.356; after 2 hours of study 35% pass\n"
