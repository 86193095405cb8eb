"""What tests of several rooms need."""

import linecache

import numpy as np

from tinygrad_lr import Tensor


def leaf(values, dtype=None, name=None):
    """A Tensor that requires a gradient; a Tensor as it is."""
    if isinstance(values, Tensor):
        return values
    return Tensor(values, requires_grad=True, dtype=dtype, name=name)


def defined(source):
    """The functions that a source defines, in its order."""
    filename, functions = f"<source {hash(source)}>", {}
    linecache.cache[filename] = len(source), None, source.splitlines(True), filename
    exec(compile(source, filename, "exec"), {"np": np}, functions)
    return functions.values()
