"""grade marks what a course hands in: right, wrong, and what crashes, hangs or ends the process."""

import csv
import io
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr.check.__main__ import main

rng = np.random.default_rng(5)
GIVEN = {
    "X": rng.normal(size=(9, 4)),
    "Y": np.array([[0.0, 1, 1, 0, 1, 0, 0, 1, 1]]).T,
    "W": rng.normal(size=(4, 1)),
    "b": np.array([0.3]),
}


def forward(X, Y, W, b):
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def course(text):
    """{name: (source, what is expected)}, of a text in which `### name -> expected` begins one."""
    parts = (part.partition("\n") for part in text.split("### ")[1:])
    heads = ((head.partition(" -> "), source) for head, _, source in parts)
    return {name: (source, expected) for (name, _, expected), source in heads}


RIGHT = course("""
### step by step
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db
### in a dict
def backward(X, Y, A):
    return {"W": X.T @ (A - Y) / len(X), "b": np.mean(A - Y, axis=0)}
### the long way
def backward(X, Y, A):
    dA = -(np.divide(Y, A) - np.divide(1 - Y, 1 - A)) / Y.size
    dZ = np.multiply(dA, A * (1 - A))
    dW = np.dot(X.T, dZ)
    db = np.sum(dZ, axis=0, keepdims=True)
    return dW, db
### a sample at a time
def backward(X, Y, W, b, A):
    dW, db = np.zeros_like(W), np.zeros_like(b)
    for x, y, a in zip(X, Y, A):
        dW += np.outer(x, a - y) / len(X)
        db += (a - y) / len(X)
    return dW, db
### another name
import numpy
def gradients(X, Y, A):
    dW = numpy.einsum("ni,no->io", X, A - Y) / len(X)
    db = numpy.average(A - Y, axis=0)
    return dW, db
### helpers
def backward(X, Y, A):
    dZ = slope(A, Y) / len(X)
    return weights(X, dZ), dZ.sum(0)
def slope(A, Y):
    return A - Y
def weights(X, dZ):
    dW = X.T.dot(dZ)
    return dW
### in float32
def backward(X, Y, A):
    dZ = ((A - Y) / len(X)).astype(np.float32)
    dW = X.T.astype(np.float32) @ dZ
    db = dZ.sum(axis=0)
    return dW, db
### changes what it was given
def backward(X, Y, A):
    A -= Y
    A /= len(X)
    dW = X.T @ A
    db = A.sum(axis=0)
    return dW, db
### changes the labels
def backward(X, Y, A):
    Y -= A
    dW = -X.T @ Y / len(X)
    db = -Y.mean(axis=0)
    return dW, db
### changes the samples at the end
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    X *= 0
    return dW, db
### prints a lot
print("x" * 10**6)
def backward(X, Y, A):
    for _ in range(200):
        print("gradient", X)
    dW, db = X.T @ (A - Y) / len(X), np.mean(A - Y, axis=0)
    return dW, db
### typed
from __future__ import annotations
from dataclasses import dataclass
@dataclass
class Gradients:
    W: np.ndarray
    b: np.ndarray
def backward(X: np.ndarray, Y: np.ndarray, A: np.ndarray) -> Gradients:
    return Gradients(W=X.T @ (A - Y) / len(X), b=np.mean(A - Y, axis=0))
### with a main
import sys
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW, db = X.T @ dZ, dZ.sum(axis=0)
    return dW, db
if __name__ == "__main__":
    sys.exit(backward())
### leaves a thread behind
import threading, time
threading.Thread(target=time.sleep, args=(10**6,)).start()
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW, db = X.T @ dZ, dZ.sum(axis=0)
    return dW, db
""")

WRONG = course("""
### the sign -> dZ, line 2: sign
def backward(X, Y, A):
    dZ = (Y - A) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db
### no mean for b -> db, line 4: not divided by
def backward(X, Y, A):
    dZ = A - Y
    dW = X.T @ dZ / len(X)
    db = dZ.sum(axis=0)
    return dW, db
### elementwise -> dW, line 3: (9, 4), where the value is (4, 1)
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X * dZ
    db = dZ.sum(axis=0)
    return dW, db
### not summed -> db, line 4: not summed over the batch
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ dZ
    db = dZ
    return dW, db
### twice the sigmoid -> dZ, line 3
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dZ = dZ * A * (1 - A)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db
### in a helper -> returned value, line 7
def backward(X, Y, A):
    dZ = slope(A, Y) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db
def slope(A, Y):
    return A + Y
### not a number -> dW, line 3: not finite
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ np.log(-np.abs(dZ))
    db = dZ.sum(axis=0)
    return dW, db
""")

FAILED = course("""
### returns nothing -> returns nothing: it ends with dW, db
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
### forgets b -> not checked: b
def backward(X, Y, A):
    dW = X.T @ (A - Y) / len(X)
    return dW
### swaps them -> returns the gradients of b, W, in this order, and forward takes W, b
def backward(X, Y, A):
    return np.mean(A - Y, axis=0), X.T @ (A - Y) / len(X)
### unknown parameter -> takes Q, which is neither an input nor a variable of forward
def backward(X, Y, Q):
    return X.T @ Q
### unknown variable -> NameError in line 2
def backward(X, Y, A):
    return X.T @ (a - Y)
### shapes -> ValueError in line 2
def backward(X, Y, A):
    dW = X @ (A - Y)
    return dW
### raises -> KeyError in line 2
def backward(X, Y, A):
    raise KeyError("W")
### recursion -> RecursionError in line 2
def backward(X, Y, A):
    return backward(X, Y, A)
### asks -> EOFError in line 2
def backward(X, Y, A):
    rate = float(input("learning rate? "))
    return rate * X.T @ (A - Y)
### no syntax -> SyntaxError: expected ':'
def backward(X, Y, A)
    return X.T @ (A - Y)
### nothing -> it defines no function `backward`, but none
W = 3
### several functions -> it defines no function `backward`, but dW, db
def dW(X, Y, A): return X.T @ (A - Y)
def db(Y, A): return np.sum(A - Y)
### import that fails -> ModuleNotFoundError: No module named 'no_such_module'
import no_such_module
def backward(X, Y, A): return X.T @ (A - Y)
### exits -> SystemExit: done
import sys
sys.exit("done")
### exits when called -> SystemExit
import sys
def backward(X, Y, A):
    sys.exit(0)
### ends the process -> the process ended, with exit code 3
import os
def backward(X, Y, A):
    os._exit(3)
### segmentation fault -> the process ended, with exit code -11
import os, signal
os.kill(os.getpid(), signal.SIGSEGV)
### closes the pipe -> the process ended
import os
os.closerange(3, 256)
def backward(X, Y, A): return X.T @ (A - Y)
### interrupts -> the process ended
def backward(X, Y, A):
    raise KeyboardInterrupt
### changes numpy -> forward returned -7.0
np.mean = lambda *arguments, **options: 7.0
def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW, db = X.T @ dZ, dZ.sum(axis=0)
    return dW, db
### memory -> MemoryError in line 2
def backward(X, Y, A):
    return np.ones((10**8, 10**8))
### endless -> not finished after 15 s
def backward(X, Y, A):
    while True:
        pass
### sleeps -> not finished after 15 s
import time
time.sleep(10**6)
""")


def test_a_course_in_which_each_submission_is_judged_by_itself():
    given = {name: x.copy() for name, x in GIVEN.items()}
    texts = {name: source for name, (source, _) in {**WRONG, **FAILED, **RIGHT}.items()}
    marks = tg.grade(forward, texts, timeout=15.0, **given)
    assert [mark.name for mark in marks] == [*texts] and len(marks) >= 40
    assert all(np.array_equal(given[name], GIVEN[name]) for name in GIVEN)
    misjudged = []
    for name, ok, first, line, diagnosis, _, report in marks:
        if name in RIGHT:
            agrees = ok and report.ok
        elif name in WRONG:
            place, _, words = WRONG[name][1].partition(": ")
            agrees = not ok and f"{first}, line {line}" == place and words in diagnosis
        else:
            agrees = not ok and FAILED[name][1] in diagnosis
        if not agrees:
            misjudged.append(f"{name}: {ok}, {first}, line {line}: {diagnosis}")
    assert not misjudged, "\n".join(misjudged)


def backward(X, Y, A):
    dZ = (A - Y) / len(X)
    dW = X.T @ dZ
    db = dZ.sum(axis=0)
    return dW, db


def test_functions_texts_and_files(tmp_path):
    path = tmp_path / "ada, b.py"
    path.write_text(RIGHT["helpers"][0], encoding="utf-8")
    wrong = WRONG["the sign"][0]
    given = [backward, RIGHT["in a dict"][0], path, wrong, str(tmp_path / "lost.py")]
    marks = tg.grade(forward, given, **GIVEN)
    assert [m.name for m in marks] == ["1 backward", "2", "ada, b", "4", "lost"]
    assert [m.ok for m in marks] == [True] * 3 + [False] * 2
    assert "FileNotFoundError" in marks[4].diagnosis

    text = marks.to_csv(tmp_path / "marks.csv")
    assert (tmp_path / "marks.csv").read_text(encoding="utf-8") == text == marks.to_csv()
    head, *rows = csv.reader(io.StringIO(text))
    assert head == ["name", "ok", "first_wrong", "line", "diagnosis", "correction"]
    assert rows[2] == ["ada, b", "True", "", "", "", ""]
    assert rows[3][:4] == ["4", "False", "dZ", "2"] and rows[3][5].startswith("dZ = ")
    assert [row[0] for row in rows] == [mark.name for mark in marks]
    assert str(marks).splitlines()[-1] == "3 of 5 are right"
    assert len(str(marks).splitlines()) == 5 + 3


def test_what_a_submission_prints_is_not_seen(capfd):
    """Nor where sys.stdout is not the process's own, as in a notebook."""
    assert tg.grade(forward, [RIGHT["prints a lot"][0]], **GIVEN)[0].ok
    printed = capfd.readouterr()
    assert not printed.err and not printed.out[:100]


def test_files_of_one_name_are_all_marked(tmp_path):
    paths = [tmp_path / name / "homework.py" for name in ("ada", "bob")]
    for path, source in zip(paths, (RIGHT["helpers"][0], WRONG["the sign"][0]), strict=True):
        path.parent.mkdir()
        path.write_text(source, encoding="utf-8")
    assert [mark.ok for mark in tg.grade(forward, paths, **GIVEN)] == [True, False]


HOMEWORK = """
import numpy as np

def inputs():
    rng = np.random.default_rng(0)
    return {"X": rng.normal(size=(5, 3)), "w": rng.normal(size=3)}

def forward(X, w):
    r = X @ w
    return np.sum(r**2)

def backward(X, r):
    dw = 2 * X.T @ r
    return dw
"""
FILES = {
    "right": HOMEWORK,
    "wrong": HOMEWORK.replace("2 * X.T", "X.T"),
    "together": HOMEWORK[: HOMEWORK.index("def backward")].replace(
        "return np.sum(r**2)", "return np.sum(r**2), {'w': 2 * X.T @ r}"
    ),
    "no_forward": HOMEWORK.replace("def forward", "def front"),
    "no_inputs": HOMEWORK.replace("def inputs", "def given"),
    "crashes": HOMEWORK.replace("dw = 2", "dw = 1 / 0"),
    "crashes_at_once": "1 / 0\n" + HOMEWORK,
    "endless": HOMEWORK + "while True: pass\n",
    "neighbour": "from given import inputs\n" + HOMEWORK.replace("def inputs", "def others"),
    "given": HOMEWORK[: HOMEWORK.index("def forward")],
}


@pytest.fixture
def files(tmp_path):
    """The paths of homework, by name."""
    paths = {name: tmp_path / f"{name}.py" for name in FILES}
    for name, path in paths.items():
        path.write_text(FILES[name], encoding="utf-8")
    return {**paths, "lost": tmp_path / "lost.py"}


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("right", 0, "the gradient is right"),
        ("together", 0, "right"),
        ("neighbour", 0, "the gradient is right"),
        ("wrong", 1, "first wrong: dw, line 13"),
        ("no_forward", 1, "the file defines no `forward`"),
        ("no_inputs", 1, "the file defines no `inputs`"),
        ("crashes", 1, "ZeroDivisionError in line 13"),
        ("crashes_at_once", 1, "ZeroDivisionError: division by zero"),
        ("lost", 1, "FileNotFoundError"),
    ],
)
def test_a_file_on_the_command_line(files, monkeypatch, capsys, name, status, said):
    monkeypatch.setattr("sys.argv", ["check", str(files[name])])
    assert main() == status
    out = capsys.readouterr().out
    assert out.startswith(f"{files[name]}\n") and said in out


def test_many_files_on_the_command_line(files, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "tinygrad_lr.check", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    table = tmp_path / "marks.csv"
    names = ["right", "endless", "crashes", "wrong"]
    done = run(*(files[name] for name in names), "--timeout", "5", "--csv", table)
    assert done.returncode == 1 and not done.stderr
    assert "not finished after 5 s" in done.stdout
    head, *rows = csv.reader(io.StringIO(table.read_text(encoding="utf-8")))
    assert head[:2] == ["name", "ok"]
    assert [row[:4] for row in rows] == [
        [str(files["right"]), "True", "", ""],
        [str(files["endless"]), "False", "", ""],
        [str(files["crashes"]), "False", "dw", "13"],
        [str(files["wrong"]), "False", "dw", "13"],
    ]
    assert run(files["right"], files["together"]).returncode == 0
    assert run().returncode == 2
