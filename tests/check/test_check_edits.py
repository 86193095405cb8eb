"""Edits of lines of every kind, and what becomes of an error in the check itself."""

import ast
import functools

import numpy as np
import pytest

from tinygrad_lr.check.derivation.edits import edits
from tinygrad_lr.check.derivation.environment import Environment, right_side
from tinygrad_lr.check.derivation.rewrite import Rewriter, substituted
from tinygrad_lr.check.derivation.watch import Follower, Scope, Statement, watch

X, Y, W = np.arange(36.0).reshape(9, 4), np.ones((9, 1)), np.ones((4, 1))
HELD = {
    "X": X, "Y": Y, "W": W, "A": Y / 2 + 0.2, "m": 9, "y": np.arange(9) % 2, "best": np.inf,
    "p": None,
}  # fmt: skip
LINES = [
    "dW = X.T @ ((A > 0) * (A - Y) / m) + 0.1 * -W",
    "dW = (A - Y) / (m + 1)",
    "dW = A <= 0",
    "dW = A if m > 2 else -A",
    "dW = (lambda a, b: a @ b)(X.T, A - Y)",
    "dW = sum(x * a for x, a in zip(X, A))[:, None]",
    "dW = [f'{m:>3} {A - 1}', *{1: X}.values(), (n := m)]",
    "dW[1:, :, np.newaxis, ...] -= X[m - 1, :-1][:3] ** 2",
    "dW, db = X.T.dot(A), np.sum(A, axis=-1, keepdims=True)",
    "p.x['a'][0].W = A and not Y",
    "return {'W': np.where(A > 1e-3, X, 0.0), 'b': np.einsum('ij,ik->jk', X, A)}",
    "for t in reversed(range(m - 1, 0, -1)): pass",
    "for x, y in zip(X, Y): pass",
    "if m % 2 == 0 or 1 < m < 3: pass",
    "np.add.at(W, [0, 1], A[:2])",
]


def environment():
    return Environment(Scope(compile("", "", "exec"), 1, HELD, {"np": np}), Statement("", 1, ""))


@pytest.mark.parametrize("line", LINES)
def test_an_edit_of_any_line_is_a_line(line):
    node, env = ast.parse(line).body[0], environment()
    path = ("returned value 1", "W") if "return" in line else ("dW",)
    for wanted in (None, X.T @ Y):
        lines = [e.line for e in edits(node, right_side(node, env, path, None), env, wanted)]
        assert lines and all(
            ast.parse(f"{text} pass" if text[-1] == ":" else text) for text in lines
        )


def test_an_edit_keeps_what_is_in_brackets():
    node = ast.parse("dW = (A - Y) / 9").body[0]
    lines = {e.line for e in edits(node, node.value, environment(), None)}
    assert "dW = (A - Y) / 9 ** 2" in lines


def opposite(a):
    b = a + 1
    return -b


def test_an_edited_statement_runs_as_often_and_is_followed_in_its_line():
    statement = watch(opposite, 2.0).changes[0].statement
    node = statement.node
    new = substituted(node, {id(node.value): ast.parse("(a + 1) * 2", mode="eval").body})
    with Rewriter().rewritten({statement: new}):
        follower = Follower(opposite)
        assert follower.follow(functools.partial(opposite, 2.0)) == (-6.0, None)
    assert [s.line for s in follower.runs] == [statement.line, statement.line + 1]
    assert set(follower.runs.values()) == {1}
    assert opposite(2.0) == -3.0


def test_an_error_of_the_check_is_no_error_of_the_learners():
    class Broken(Follower):
        def start(self, scope, statement, n):
            raise KeyError("ours")

    def careful():
        try:
            return 1
        except KeyError:
            return 2

    with pytest.raises(KeyError, match="ours"):
        Broken(careful).follow(careful)
    assert Follower(careful).follow(careful) == (1, None)
