"""How long a step takes, side by side: one process a competitor, in turns of some milliseconds."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import resource
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from docs.benchmarks.problems import CHAIN, Array, Problem, Training, Unavailable, chain

SLICE = 1.5e-3  # seconds: long beside a clock's tick, short beside a scheduler's turn
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


@dataclass(frozen=True)
class Competitor:
    """A function of a module in this folder, which is imported in the process that runs it.

    With a `loop` of its own it makes all the steps of a comparison each time it is advanced.
    """

    name: str
    module: str
    function: str
    loop: bool = False

    def train(self, problem: Problem) -> Training:
        """The generator; raises Unavailable if what it needs is not installed."""
        try:
            module = importlib.import_module(f"docs.benchmarks.{self.module}")
        except ModuleNotFoundError as error:
            raise Unavailable(f"{error.name} is not installed") from None
        training: Training = getattr(module, self.function)(problem)
        return training


BASELINE = Competitor("documents' NumPy", "with_numpy", "train")
COMPETITORS = [
    BASELINE,
    Competitor("tuned NumPy", "with_tuned_numpy", "train"),
    Competitor("tinygrad_lr", "with_tinygrad_lr", "eager"),
    Competitor("tinygrad_lr compiled", "with_tinygrad_lr", "compiled"),
    Competitor("PyTorch", "with_torch", "eager"),
    Competitor("PyTorch tuned", "with_torch", "tuned"),
    Competitor("torch.compile", "with_torch", "compiled"),
    Competitor("JAX jit", "with_jax", "jit"),
    Competitor("JAX scan", "with_jax", "scan", loop=True),
    Competitor("HIPS autograd", "with_autograd", "train"),
    Competitor("MyGrad", "with_mygrad", "train"),
]


def arrays(weights: Iterable[Any]) -> list[Array]:
    """Any competitor's weights, as flat arrays."""
    return [np.asarray(w.detach() if hasattr(w, "detach") else w).flatten() for w in weights]


def trained(competitor: Competitor, problem: Problem) -> tuple[Training, list[Array], float]:
    """A training after the steps of a comparison, its weights, and the seconds of its first."""
    training = competitor.train(problem)
    start = time.perf_counter()
    _, weights = next(training)
    first = time.perf_counter() - start
    if not competitor.loop:
        for _ in range(problem.steps - 1):
            _, weights = next(training)
    return training, arrays(weights), first


def check(
    problem: Problem, competitor: Competitor, weights: list[Array], expected: list[Array]
) -> None:
    """Raise AssertionError for parameters off by too much, relative to their change in training."""
    for i, (w, e, s) in enumerate(zip(weights, expected, problem.start, strict=True)):
        off = float(np.linalg.norm(w - e) / np.linalg.norm(e - s.ravel()))
        if not off <= problem.tolerance:
            raise AssertionError(f"{competitor.name}: parameter {i} is off by {off:.1e}")


def work(pipe: Any, competitor: Competitor, make: Callable[[], Problem]) -> None:
    """The process of one competitor: train, send the weights, then time slices on request."""
    problem = make()
    try:
        training, weights, first = trained(competitor, problem)
    except Unavailable as reason:
        return pipe.send(reason)
    steps = problem.steps if competitor.loop else 1
    count = 1
    while min(timed(training, count)[0] for _ in range(5)) < SLICE:  # too few would run cold
        count *= 2
    if hasattr(os, "sched_setaffinity"):  # one core for all, as neighbours may slow another
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pipe.send((weights, first))
    with suppress(EOFError):  # once the pipe is closed
        while pipe.recv():
            timed(training, count)  # warms up what cooled during the others' turns
            seconds, undisturbed = timed(training, count)
            pipe.send((seconds / count / steps, undisturbed))
    return None


def timed(training: Training, count: int) -> tuple[float, bool]:
    """The seconds of some advances, and whether nothing else took the processor from them."""
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    start = time.perf_counter()
    for _ in itertools.repeat(None, count):
        next(training)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw == switches


@dataclass
class Result:
    """One competitor on one workload."""

    first: float  # seconds of the first step, compilation included
    slices: list[tuple[float, bool]] = field(default_factory=list)  # seconds a step, undisturbed

    def seconds(self) -> float:
        """The median time of a step."""
        return statistics.median(seconds for seconds, _ in self.slices)

    def ratio(self, baseline: Result) -> float:
        """The median ratio of the slices of a round, of those rounds that nothing disturbed.

        Where others use the machine so much that there is none, all rounds count.
        """
        pairs = zip(self.slices, baseline.slices, strict=True)
        rounds = [(own / base, a and b) for (own, a), (base, b) in pairs]
        calm = [ratio for ratio, undisturbed in rounds if undisturbed]
        return statistics.median(calm or [ratio for ratio, _ in rounds])


@contextmanager
def worker(competitor: Competitor, make: Callable[[], Problem]) -> Iterator[Any]:
    """The pipe to a new process."""
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    process = context.Process(target=work, args=(end, competitor, make))
    process.start()
    end.close()
    try:
        yield pipe
    finally:
        pipe.close()
        process.join()


def race(make: Callable[[], Problem], seconds: float) -> dict[str, Result | Unavailable]:
    """Time all competitors in turns, for some seconds; those that cannot run say why.

    Raises:
        AssertionError: if a competitor's weights are not the baseline's.
    """
    problem, expected = make(), None
    results: dict[str, Result | Unavailable] = {}
    with ExitStack() as stack:
        runs = []
        for competitor in COMPETITORS:  # one by one, so that each compiles undisturbed
            pipe = stack.enter_context(worker(competitor, make))
            answer = pipe.recv()
            results[competitor.name] = answer
            if not isinstance(answer, Unavailable):
                weights, first = answer
                expected = expected or weights  # the baseline is the first
                check(problem, competitor, weights, expected)
                results[competitor.name] = run = Result(first)
                runs.append((run, pipe))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for run, pipe in runs:
                pipe.send(True)
                run.slices.append(pipe.recv())
    return results


def bytes_a_node() -> float:
    """The memory of a recorded operation in the chain, without the array of its result."""
    from docs.benchmarks.with_tinygrad_lr import setup

    problem = chain()
    _, loss_of, _ = setup(problem)
    ((X, y),) = problem.batches

    def traced(compute: Callable[[], Any]) -> int:
        tracemalloc.start()
        kept = compute()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del kept
        return size

    arrays_alone = traced(lambda: [X * X for _ in range(CHAIN)])
    return (traced(lambda: loss_of(X, y)) - arrays_alone) / CHAIN + 8  # 8: of a list's item
