"""check_backward judges the documents' derivations: the right ones and the wrong ones."""

from dataclasses import replace

import numpy as np
import pytest

from examples import check_documents
from examples.__main__ import main as run_all
from examples.check_documents import CASES, mark
from tinygrad_lr.check.derivation.report import WRONG

# What is the first wrong name, and what the diagnosis has to say
MISTAKES = {
    ("000", "square of the sum"): ("loss", "square of yhat - Y"),
    ("000", "loss against the input"): ("loss", "square of yhat - Y"),
    ("000", "m of another model"): ("m", "2.5 times what it should be"),
    ("000", "len of a (1, m) array"): ("J", "loss is 20 times theirs"),
    ("000", "loss(Y, A) for loss(A, Y)"): ("J", "cross-entropy of A and Y"),
    ("000", "summed by @ and by Σ"): (
        "dW",
        "20 times too large: not divided by the number of samp",
    ),
    ("000", "Y a column"): ("dW", "broadcast to (14, 20), where the value is (14, 1)"),
    ("001", "sigmoid_derivative(z)"): ("dz", "z is used where out belongs"),
    ("001", "dw is dL/dz"): ("dw", "not summed over the batch"),
    ("002", "cost summed, gradient averaged"): ("J", "loss is 1000 times theirs"),
    ("002", "m is the number of features"): ("dW", "by 64, the number of features"),
    ("002", "db without 1/m"): ("db", "not divided by the number of samples"),
    ("003", "X ŷ without the 1"): ("dW", "term y of y_hat - y is missing"),
    ("004", "sign of dL/da"): ("da", "the term Y / a has the wrong sign"),
    ("004", "log-likelihood as the loss"): ("L", "negative as a log-likelihood is"),
    ("004", "dW = (a - Y) * X"): ("dW", "broadcast to (3, 20), where the value is (1, 3)"),
    ("004", "dB not summed"): ("dB", "not summed over the batch"),
    ("004", "last cells, dW = dZ * X"): ("dW", "broadcast to (3, 3), where the value is (1, 3)"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.document} {case.title}")
def test_the_first_wrong_line_and_why(case):
    first, diagnosis = MISTAKES.get((case.document, case.title), (None, ""))
    report = mark(case).report
    assert (case.first_wrong, report.first_wrong) == (first, first), str(report)
    assert report.ok == (first is None)
    assert diagnosis in next((r.diagnosis for r in report.rows if r.verdict == WRONG), "")


def test_every_mistake_is_a_case_and_every_document_has_a_right_one():
    assert set(MISTAKES) <= {(case.document, case.title) for case in CASES}
    right = {case.document for case in CASES if case.first_wrong is None}
    assert right == {"000", "001", "002", "003", "004"}


def test_what_a_document_changes_in_place_is_told():
    (case,) = (case for case in CASES if case.title == "dscores is y_hat")
    before = case.inputs["X"].copy()
    assert "changes y_hat in place" in mark(case).report.cautions[0]
    assert np.array_equal(case.inputs["X"], before)


@pytest.mark.parametrize(("first_wrong", "status"), [("dW", 0), ("db", 1), (None, 1)])
def test_running_all_fails_if_a_judgement_is_wrong(monkeypatch, capsys, first_wrong, status):
    wrong = next(case for case in CASES if case.first_wrong == "dW")
    case = replace(wrong, first_wrong=first_wrong)
    monkeypatch.setattr("examples.__main__.EXAMPLES", [])
    monkeypatch.setattr(check_documents, "CASES", [case])
    assert run_all() == status
    assert f"{1 - status} of 1 derivations" in capsys.readouterr().out
