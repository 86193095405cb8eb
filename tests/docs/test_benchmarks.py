"""The competitors of the benchmark train to the same weights; how fast is not asserted."""

import functools
from dataclasses import replace

import pytest

from docs.benchmarks.measure import BASELINE, COMPETITORS, check, trained
from docs.benchmarks.problems import PROBLEMS, Unavailable

FEW = ("W2", "W4w")  # the others take long to compile: the benchmark itself checks all of them
CASES = [
    pytest.param(workload, competitor, id=f"{workload}-{competitor.name}")
    for workload in PROBLEMS
    for competitor in COMPETITORS[1:]
    if workload in FEW or competitor.module in ("with_tuned_numpy", "with_tinygrad_lr")
]


@functools.cache
def by_hand(workload):
    """A problem and the weights of the documents' NumPy."""
    problem = PROBLEMS[workload]()
    return problem, trained(BASELINE, problem)[1]


@pytest.mark.parametrize("workload, competitor", CASES)
@pytest.mark.filterwarnings("default")  # the others' own
def test_all_end_at_the_same_weights(workload, competitor):
    problem, expected = by_hand(workload)
    try:
        weights = trained(competitor, problem)[1]
    except Unavailable as reason:
        pytest.skip(str(reason))
    check(problem, competitor, weights, expected)


@pytest.mark.parametrize("workload", PROBLEMS)
def test_a_step_less_is_noticed(workload):
    problem, expected = by_hand(workload)
    weights = trained(BASELINE, replace(problem, steps=problem.steps - 1))[1]
    with pytest.raises(AssertionError, match="is off by"):
        check(problem, BASELINE, weights, expected)
