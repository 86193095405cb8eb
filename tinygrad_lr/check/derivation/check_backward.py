"""check_backward: mark a hand-written backward pass, line by line."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation import odd_loss
from tinygrad_lr.check.derivation.blame import Blame, Culprit
from tinygrad_lr.check.derivation.claims import (
    KEPT,
    LOCAL,
    CHANGED,
    REBOUND,
    RETURNED,
    UPDATE,
    evidence,
    fits,
)
from tinygrad_lr.check.derivation.compare import Comparison
from tinygrad_lr.check.derivation.data import (
    blind_spots,
    data_of,
    left_out,
    named_sizes,
    number_of_samples,
)
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, largest, ratio
from tinygrad_lr.check.derivation.experiment import Experiment
from tinygrad_lr.check.derivation.explain import Explainer, Explanation
from tinygrad_lr.check.derivation.forward import (
    Forward,
    Truth,
    Unmarkable,
    differentiate,
    run_forward,
)
from tinygrad_lr.check.derivation.passes import Passes
from tinygrad_lr.check.derivation.report import INHERITED, RIGHT, WRONG, Report, Row
from tinygrad_lr.check.derivation.rewrite import substituted
from tinygrad_lr.check.derivation.watch import Change, Statement
from tinygrad_lr.messages import TensorWarning


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    /,
    *,
    names: Mapping[str, str] | None = None,
    wrt: str | Sequence[str] | None = None,
    **inputs: Any,
) -> Report:
    """Mark a hand-written backward pass: which gradient is the first that is wrong, and why.

    `forward` is run on Tensors, `backward` on plain arrays; both may be functions or methods, call
    helpers of their own, fill arrays, and keep gradients wherever people keep them: in variables,
    in what is returned, in attributes, in dicts and lists, or as updates `W -= lr * dW`. A
    gradient that is wrong is traced: backward is run again with true values in the place of what a
    statement computed, and the first statement that makes the wrong gradients right is the one to
    blame, in the function where it stands.

    Args:
        forward: returns the loss, one number, or (loss, cache). What returns an array, as a layer,
            is checked with an upstream gradient that is made up for the parameter of `backward`
            that takes it (`dout`).
        backward: the function to mark. Its parameters are named after inputs, forward's local
            variables, or the cache. Without it, `forward` returns (loss, gradients) itself.
        names: what is the gradient of what, where neither names nor numbers tell: {"delta2": "Z2"}.
        wrt: the inputs whose gradients have to be right; default all that hold floats, but for
            those that are named as data or settings and whose gradient is nowhere.
        **inputs: what forward takes. Arrays of floats are differentiated; labels need not be.

    Returns:
        A `Report`. Print it; `report.ok` and `report.first_wrong` are for programs, and
        `report.assert_ok()` for tests.

    Raises:
        ValueError: if forward fails, or returns no single number that depends on the inputs.
        TypeError: if backward has a parameter that nothing is known for.

    >>> def forward(X, Y, W, b):
    ...     Z = X @ W + b
    ...     A = 1 / (1 + np.exp(-Z))
    ...     return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    >>> def backward(X, Y, A):
    ...     dZ = A - Y
    ...     dW = X.T @ dZ / len(X)
    ...     db = dZ.sum(axis=0)
    ...     return dW, db
    >>> X, Y = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, -1.0]]), np.array([[0], [1], [1]])
    >>> report = check_backward(forward, backward, X=X, Y=Y, W=np.zeros((2, 1)), b=np.zeros(1))
    >>> print(report.summary)
    first wrong: db, line 4: 3 times too large: not divided by the number of samples
    """
    passes = Passes(forward, backward, inputs)
    fore = run_forward(passes)
    if fore.output is None:
        _differentiated(passes, fore, None)
    experiment = Experiment(passes, fore)
    truth = _differentiated(passes, fore, experiment.upstream)
    wrt = [wrt] if isinstance(wrt, str) else wrt
    if wrt is not None and (unknown := [name for name in wrt if name not in truth.inputs]):
        raise ValueError(
            f"wrt={list(wrt)!r}: the loss does not depend on {', '.join(unknown)}; there are "
            f"{', '.join(truth.inputs)}"
        )
    return _Marking(fore, truth, experiment, inputs, names or {}, wrt).report()


def _differentiated(passes: Passes, fore: Forward, upstream: Any) -> Truth:
    """The truth, or the error that says what forward lacks."""
    error, end = fore.run.error, fore.run.end
    try:
        truth = differentiate(passes, fore, upstream)
    except Unmarkable:
        raise
    except Exception as plain:
        raised = error or plain
        kind = TypeError if isinstance(raised, TypeError) else ValueError
        raise kind(
            f"{passes.name(0)} raised {type(raised).__name__} in line {end.line}, `{end.text}`: {raised}"
        ) from raised
    if not truth.inputs:
        raise ValueError(
            f"{passes.name(0)} returned {fore.run.result!r}, which no gradient leads back from: return "
            f"the loss, computed by NumPy's functions from inputs of which at least one is an array of "
            f"floats"
        )
    return truth


class _Marking:
    """A backward pass beside the truth, and the report on it."""

    def __init__(
        self,
        fore: Forward,
        truth: Truth,
        experiment: Experiment,
        inputs: Mapping[str, Any],
        names: Mapping[str, str],
        wrt: Sequence[str] | None,
    ) -> None:
        self.fore, self.truth, self.experiment, self.inputs = fore, truth, experiment, inputs
        self.names = dict(fore.names)
        extra = {}
        for name, target in names.items():
            if target not in self.names:
                raise ValueError(f"names={{{name!r}: {target!r}}}: forward has no value {target!r}")
            x = self.names[target][-1]
            if target not in truth.inputs and x in truth.of:
                extra[target] = truth.of[x]
        self.left_out = left_out(truth, inputs, fore.names, wrt, experiment.upstream is None)
        self.comparison = Comparison(truth, experiment, names, extra, self.left_out)
        self.run = self.comparison.outcome.run
        self.data = data_of(inputs, self.comparison.claims)
        self.m = number_of_samples(self.data) or 1
        self.sizes = named_sizes(self.data)
        self.blame = Blame(self.comparison, truth.of, self.names, self.sizes)
        self.explanations: list[tuple[Culprit, Explanation]] = []
        self.guarded = ""  # the eps in backward, if it is all that is wrong

    def report(self) -> Report:
        """The report."""
        comparison = self.comparison
        cautions = [*blind_spots(self.inputs, self.data), *self.changed_in_place()]
        if comparison.guard and comparison.rtol > 1e-7:
            cautions.append(
                f"forward has log(... + {comparison.guard:g}), which backward may leave out: "
                f"relative differences up to {comparison.rtol:.1g} are counted as that"
            )
        if self.truth.why:
            cautions.append(
                f"lines could not be marked: {self.truth.why}; the gradients were compared with finite "
                f"differences"
            )
        cautions += self.warnings()
        problem, missing, left_out = self.problem(), *self.unclaimed()
        odd = self.odd_one_out()
        if comparison.saturated and not odd:
            problem = problem or (
                "not checked: forward is saturated, it takes the log of numbers that are 0 but for rounding "
                "or an eps, so that its gradient is not the formula's; give smaller inputs"
            )
        elif not (odd or self.explanations):
            self.explain()
        cautions += [self.guarded] * bool(self.guarded)
        rows = self.rows(odd)
        if missing and not problem and not comparison.claims and not self.run.error:
            problem = self.nothing_claimed()
        return Report(rows, cautions, problem, missing, left_out)

    # What is wrong with the pass as a whole

    def problem(self) -> str:
        """What is wrong with the backward pass as a whole; empty if nothing."""
        run, claims = self.run, self.comparison.claims
        name = self.experiment.passes.name(1)
        if run.error:
            end = run.end
            return f"{name} raised {type(run.error).__name__} in line {end.line}, `{end.text}`: {run.error}"
        known = {c.name for c in run.changes} | {p.name for p in self.comparison.outcome.places}
        for key in self.comparison.names:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                return f"names: {name} has no variable {key!r}" + f"; is {near[0]!r} meant?" * bool(
                    near
                )
        kinds = {claim.place.kind for claim in claims.values()}
        local = [c for n, c in claims.items() if c.place.kind == LOCAL and n not in self.left_out]
        if local and not kinds & {RETURNED, KEPT, UPDATE, REBOUND}:
            found = ", ".join(dict.fromkeys(c.place.name for c in local))
            if run.result is None:
                return f"{name} returns nothing: it ends with {found}, and should return them"
            return f"{name} does not return {found}"
        if local and local[0].place.name not in self.comparison.names:
            return "not returned: " + ", ".join(
                f"{c.place.name} (line {c.statement.line})" for c in local
            )
        return self.out_of_order()

    def out_of_order(self) -> str:
        """What to say if gradients are returned in another order than forward takes their inputs.

        The order in which they were computed is as good, if they have names.
        """
        claims = self.comparison.claims
        wanted = [n for n in self.truth.inputs if n in claims and claims[n].place.kind == RETURNED]
        wanted = [n for n in wanted if len(claims[n].place.path) == 1]
        position = {p: i for i, p in enumerate(self.comparison.outcome.places)}
        order = sorted(wanted, key=lambda n: position[claims[n].place])
        changes = {id(c): i for i, c in enumerate(self.run.changes)}
        computed = sorted(wanted, key=lambda n: changes.get(id(claims[n].change), len(changes)))
        stems = [n.rstrip("0123456789") for n in wanted]
        by_kind = sorted(wanted, key=lambda n: stems.index(n.rstrip("0123456789")))
        named = not any(claims[n].place.name.startswith("returned value") for n in wanted)
        data = [n for n in self.left_out if n in wanted]
        rest = [n for n in wanted if n not in data]
        data_aside = len(rest) > 1 and order in (rest + data, data + rest)
        if order == wanted or (named and (data_aside or order in (computed, by_kind))):
            return ""
        return (
            f"{self.experiment.passes.name(1)} returns the gradients of {', '.join(order)}, in this order, "
            f"and forward takes {', '.join(wanted)}"
        )

    def unclaimed(self) -> tuple[list[str], list[str]]:
        """(missing, left out): the inputs whose gradient was not found."""
        names = [n for n in self.truth.inputs if n not in self.comparison.claims]
        left_out = [n for n in names if n in self.left_out]
        return [n for n in names if n not in left_out], left_out

    def nothing_claimed(self) -> str:
        """What to say where no gradient of an input is found: what looks like one."""
        likely: dict[str, str] = {}
        for fitting in (close, lambda a, b, *_: True):
            for change in self.run.changes:
                for name, g in self.comparison.truth.items():
                    value = as_shape(change.value, np.shape(g)) if np.ndim(change.value) else None
                    if (
                        value is not None
                        and name not in likely.values()
                        and fitting(value, g, 1e-7)
                    ):
                        likely.setdefault(change.name, name)
        hint = f": names={dict(list(likely.items())[:3])!r} tells which is which" if likely else ""
        return (
            f"{self.experiment.passes.name(1)} has no variable and returns nothing that is named after an "
            f"input of {self.experiment.passes.name(0)}, as dW is after W{hint}"
        )

    def changed_in_place(self) -> Iterator[str]:
        """The arguments that backward changed in place, but for updates."""
        claimed = {claim.place for claim in self.comparison.claims.values()}
        arguments = self.experiment.arguments
        updated = {place.path for place in self.comparison.outcome.places if place.kind == UPDATE}
        for place in self.comparison.outcome.places:
            if place.kind == CHANGED and place not in claimed and place.path[0] in arguments:
                if self.experiment.same[place.path] in updated & {*self.truth.paths.values()}:
                    continue
                root, *keys = place.path
                title = str(root) + "".join(f"[{key!r}]" for key in keys)
                yield f"backward changes {title} in place: its old value is lost to what comes later"

    def warnings(self) -> list[str]:
        """What the library warned of in forward."""
        texts = (
            str(w.message) for w in self.fore.warnings if issubclass(w.category, TensorWarning)
        )
        return list(dict.fromkeys(text for text in texts if not text.startswith("float()")))

    # Which lines are wrong

    def odd_one_out(self) -> str:
        """Why it is the loss that is wrong, and not the backward pass; empty if it is not."""
        comparison, loss = self.comparison, self.truth.loss
        claims = {
            name: comparison.gradient(comparison.outcome, name)
            for name in comparison.claims
            if name in self.truth.inputs
        }
        if not claims or loss is None or self.run.error or comparison.right(comparison.outcome):
            return ""
        factor = odd_loss.common_ratio(claims, comparison.truth)
        if factor and odd_loss.is_likelihood(loss, factor, self.m):
            return (
                "the gradients are minus those of forward's loss, negative as a log-likelihood is"
            )
        words = odd_loss.summed_for_mean(loss, factor, self.m) if factor and len(claims) > 1 else ""
        self.blame.scaled = not words
        if not comparison.saturated:
            self.explain()
        explained = len(self.explanations) == 1 and self.explanations[0][1].words != "unknown"
        if self.explained_before() or (explained and not words) or self.guarded:
            return ""
        consistent = not any(
            self.blame.is_gradient(c.value) is not None
            for c in self.run.changes
            if np.ndim(c.value) and any(evidence(c.name, n) > 1 for n in self.names)
        )
        if not words and consistent:
            words = odd_loss.other_loss(claims, self.truth.inputs, self.names, self.data, self.m)
        if words:
            self.explanations.clear()
        return words

    def explained_before(self) -> bool:
        """Whether a statement before the gradients explains them."""
        claims = self.comparison.claims
        return any(
            culprit.statement not in {claims[n].statement for n in culprit.inputs if n in claims}
            for culprit, _ in self.explanations
        )

    def explain(self) -> None:
        """Find the culprits, and what is wrong with them."""
        comparison = self.comparison
        if comparison.right(comparison.outcome) >= comparison.claims.keys() and not self.run.error:
            return
        self.guarded = self.guards()
        if self.guarded:
            return
        self.explanations = Explainer(self.blame).all()

    def guards(self) -> str:
        """The eps in a denominator or a logarithm of backward, if without it all is right."""
        edited, lines = {}, []
        for change in self.run.changes:
            statement = change.statement
            if statement in edited or statement.node is None:
                continue
            small = [
                n
                for n in ast.walk(statement.node)
                if isinstance(n, ast.Constant) and is_eps(n.value)
            ]
            if small:
                zeros = {id(n): ast.Constant(0.0) for n in small}
                edited[statement] = substituted(statement.node, zeros)
                lines.append(f"the {small[0].value:g} in line {statement.line}")
        outcome = self.experiment.rewritten(edited) if edited else None
        if outcome is None:
            return ""
        if self.comparison.right(outcome) < self.comparison.claims.keys():
            return ""
        off = max(self.relative_error(name) for name in self.comparison.claims)
        if off > 1e-2:
            return ""
        self.comparison.rtol = max(self.comparison.rtol, 2 * off)
        return f"right to {max(1, int(-np.log10(off)))} digits: {' and '.join(lines)}"

    def relative_error(self, name: str) -> float:
        """How far a claim is from the truth, relative to the largest element."""
        value = self.comparison.gradient(self.comparison.outcome, name)
        return difference(value, self.comparison.truth[name])[1]

    # The rows

    def rows(self, odd: str) -> list[Row]:
        """A row for each gradient, in the order of the backward pass."""
        placed: dict[str, tuple[int, Row]] = {}
        order = {id(c): i for i, c in enumerate(self.run.changes)}
        last = len(order)
        right = self.comparison.right(self.comparison.outcome)
        for change, row in self.intermediates(right):
            placed[row.name] = order[id(change)], row
        for name, claim in self.comparison.claims.items():
            value = self.comparison.gradient(self.comparison.outcome, name)
            row = self.row(
                claim.text, claim.statement, value, self.comparison.truth[name], name in right
            )
            at = order.get(id(claim.change), last)
            old = placed.get(row.name)
            if old is None or old[1].verdict == RIGHT:
                placed[row.name] = at, row
        for culprit, explanation in self.explanations:
            statement = explanation.statement
            at = [order[id(c)] for c in self.run.changes if c.statement == statement]
            same = statement == culprit.statement
            names = (c.name for c in self.run.changes if c.statement == statement)
            kind = {ast.For: "the loop", ast.If: "the branch"}
            other = kind.get(type(statement.node), "returned value")
            label = culprit.name if same else next(names, other)
            off = difference(culprit.value, culprit.expected) if same else (np.nan, np.nan)
            shape = np.shape(culprit.value) if same else ()
            placed[label] = (
                min(at, default=last),
                Row(
                    label, statement.line, statement.text, shape, *off, WRONG, explanation.words,
                    explanation.correction, self.helper(statement),
                ),
            )  # fmt: skip
        if self.run.error and not self.explanations:
            end = self.run.end
            label = next(iter(sorted(end.assigned)), end.text)
            words = f"raises {type(self.run.error).__name__}: {self.run.error}"
            placed[label] = (
                last + 1,
                Row(label, end.line, end.text, (), np.nan, np.nan, WRONG, words),
            )
        rows = [row for _, row in sorted(placed.values(), key=lambda p: p[0])]
        if odd:
            rows = [self.loss_row(odd), *(Row(*row[:4], np.nan, np.nan, RIGHT) for row in rows)]
        return rows

    def row(self, name: str, statement: Statement, value: Any, truth: Any, right: bool) -> Row:
        """A row for a claim that is not to blame."""
        words = ""
        if right and np.shape(value) != np.shape(truth):
            words = f"right numbers in shape {np.shape(value)} for {np.shape(truth)}"
        return Row(
            name, statement.line, statement.text, np.shape(value), *difference(value, truth),
            RIGHT if right else INHERITED, words, "", self.helper(statement),
        )  # fmt: skip

    def helper(self, statement: Statement) -> str:
        """The name of the function that a statement is in, if it is not the one that was checked."""
        own = self.experiment.passes.name(1)
        return statement.function if statement.function not in (own, "<lambda>", "") else ""

    def intermediates(self, right: frozenset[str]) -> Iterator[tuple[Change, Row]]:
        """Rows for the values that are named as gradients of forward's, but for inputs."""
        order = {id(c): i for i, c in enumerate(self.run.changes)}
        blamed = [e.statement for _, e in self.explanations]
        claimed = {(c.statement, c.text) for c in self.comparison.claims.values()}
        position = {c.statement: i for i, c in reversed([*enumerate(self.run.changes)])}
        first = min((position[s] for s in blamed if s in position), default=len(order))
        latest = {c.name: c for c in self.run.changes if c.frame == 1}
        said = False
        for name, change in latest.items():
            read = [
                x
                for n, xs in self.names.items()
                if evidence(name, n) > 1
                for x in xs
                if x in self.truth.of
            ]
            if (change.statement, name) in claimed or not read or not np.size(change.value):
                continue
            fitting = [x for x in read if fits(change.value, np.shape(self.truth.of[x]))]
            x = next((x for x in fitting if self.blame.matches(change, x)), (fitting or read)[0])
            other, truth, words = self.blame.is_gradient(change.value), self.truth.of[x], ""
            off = difference(change.value, truth)
            factor = ratio(as_shape(change.value, np.shape(truth)), truth) if fitting else None
            verdict = RIGHT
            if self.blame.matches(change, x):
                pass
            elif factor and self.blame.is_natural(factor):
                words, said = "" if said else self.convention(factor), True
            elif other is not None and self.blame.title(other):
                off = np.nan, np.nan
                words = (
                    f"by its name the gradient of {self.blame.title(x)}; it is that of "
                    f"{self.blame.title(other)}"
                )
            elif order[id(change)] >= first:
                verdict = INHERITED
            else:
                continue
            yield change, Row(
                name, change.statement.line, change.statement.text, np.shape(change.value), *off,
                verdict, words, "", self.helper(change.statement),
            )  # fmt: skip

    def convention(self, factor: float) -> str:
        """The words for a factor that is applied later."""
        names = {1 / n: f"1/{n}" for n in self.sizes} | {float(n): str(n) for n in self.sizes}
        text = next((t for c, t in names.items() if abs(c / factor - 1) < 1e-9), f"{factor:.6g}")
        return f"by convention {text} times the gradient: the factor is applied later"

    def loss_row(self, odd: str) -> Row:
        """A row for the statement of forward that made the loss."""
        loss, run = self.truth.loss, self.fore.run
        made = [c for c in run.changes if c.value is loss or c.value is self.fore.output]
        statement, name = (made[-1].statement, made[-1].name) if made else (run.end, "loss")
        words = f"{odd}: the loss is the odd one out, not the backward pass"
        return Row(name, statement.line, statement.text, (), np.nan, np.nan, WRONG, words)


def is_eps(x: Any) -> bool:
    """Whether a number keeps a denominator or a logarithm from 0."""
    return isinstance(x, float) and 0 < x <= 1e-4


def difference(value: Any, truth: Any) -> tuple[float, float]:
    """The largest absolute difference, and that relative to the largest element of the truth."""
    fitting = None if value is None else as_shape(value, np.shape(truth))
    error = np.inf if fitting is None else largest(fitting - truth)
    return error, error / (largest(truth) or 1.0)
