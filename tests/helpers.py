"""What tests in several folders need."""

import inspect
import linecache

import numpy as np

from tinygrad_lr import Tensor


def leaf(values, dtype=None, name=None):
    """A Tensor that requires a gradient; a Tensor as it is."""
    if isinstance(values, Tensor):
        return values
    return Tensor(values, requires_grad=True, dtype=dtype, name=name)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def positive(*shape, seed=0):
    """Numbers that are probabilities, too."""
    return np.random.default_rng([seed, *shape]).uniform(0.2, 0.9, shape)


def numerical_gradient(f, x, h=1e-3):
    """The gradient of a number f(x): central differences, extrapolated (Richardson), error h**4."""

    def slope(index, step):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        return (f(up) - f(down)) / (2 * step)

    gradient = [(4 * slope(i, h / 2) - slope(i, h)) / 3 for i in np.ndindex(x.shape)]
    return np.array(gradient).reshape(x.shape)


def line(function, text):
    """The number of the line of a function that holds a text."""
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, source in enumerate(lines) if text in source)


def defined(source):
    """The functions that a source defines, in its order."""
    filename, functions = f"<source {hash(source)}>", {}
    linecache.cache[filename] = len(source), None, source.splitlines(True), filename
    exec(compile(source, filename, "exec"), {"np": np}, functions)
    return functions.values()
