"""The competitors of the benchmark train to the same weights; how fast is not asserted."""

import pytest

from docs.benchmarks.measure import BASELINE, COMPETITORS, check, trained
from docs.benchmarks.problems import PROBLEMS, Unavailable


@pytest.fixture(scope="module", params=PROBLEMS)
def case(request):
    """A problem and the weights of the documents' NumPy."""
    problem = PROBLEMS[request.param]()
    return problem, trained(BASELINE, problem)[1]


@pytest.mark.parametrize("competitor", COMPETITORS[1:], ids=lambda c: c.name)
def test_all_end_at_the_same_weights(case, competitor):
    problem, expected = case
    try:
        weights = trained(competitor, problem)[1]
    except Unavailable as reason:
        pytest.skip(str(reason))
    check(problem, competitor, weights, expected)


def test_weights_that_differ_are_an_error(case):
    problem, expected = case
    with pytest.raises(AssertionError, match="parameter 0 is off"):
        check(problem, BASELINE, [problem.start[0].ravel(), *expected[1:]], expected)
