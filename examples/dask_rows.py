"""Document 000's Titanic on Dask: the exported program, with another module under the name np.

Dask arrays are made of chunks that need not fit into memory together. The program that `to_numpy`
writes asks for nothing but NumPy's functions, so `import dask.array as np` runs it on them.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import tinygrad_lr as tg
from examples import titanic
from tinygrad_lr.program.to_numpy import Program

STEPS, ROWS = 50, 100


def export() -> Program:
    """A step of gradient descent, on passengers in rows."""
    X, Y, *_ = titanic.load()
    W = tg.Tensor(np.zeros((14, 1)), requires_grad=True)
    b = tg.Tensor(np.zeros(1), requires_grad=True)

    def loss(X, Y):
        Z = X @ W + b
        return tg.binary_cross_entropy_with_logits(Z, Y)

    sgd = tg.optim.SGD([W, b], lr=0.5)
    return tg.to_numpy(loss, X.T[:20], Y[:20, None], optimizer=sgd)


def run(source: str, numpy: str) -> ModuleType:
    """The module of a program, with another module in NumPy's place."""
    module = ModuleType(numpy)
    exec(source.replace("import numpy as np", f"import {numpy} as np"), module.__dict__)
    return module


def train(step: Any, X: Any, Y: Any, compute: Any = lambda *arrays: arrays) -> tuple[Any, Any, Any]:
    """The loss and the weights after STEPS steps; `compute` makes arrays of what is delayed."""
    W, b = np.zeros((14, 1)), np.zeros(1)
    for _ in range(STEPS):
        loss, W, b = compute(*step(X, Y, W, b))
    return loss, W, b


def main() -> float:
    """The largest difference between the weights that NumPy and Dask arrive at."""
    import dask
    import dask.array

    program = export()
    X, Y, *_ = titanic.load()
    X, Y = X.T, Y[:, None]
    loss, W, b = train(run(program.source, "numpy").step, X, Y)
    chunked = [dask.array.from_array(x, chunks=(ROWS, x.shape[1])) for x in (X, Y)]
    delayed = run(program.source, "dask.array").step
    loss_dask, W_dask, b_dask = train(delayed, *chunked, dask.compute)
    print(program)
    print(f"after {STEPS} steps on {chunked[0].npartitions} chunks of {ROWS} rows: loss {loss:.6f}")
    return float(np.max(np.abs([loss_dask - loss, *(W_dask - W).ravel(), *(b_dask - b)])))


if __name__ == "__main__":
    print(f"NumPy and Dask differ by {main():.1e}")
