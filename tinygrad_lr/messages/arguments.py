"""Checks of what functions take, and the errors for data that a Tensor does not."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from tinygrad_lr import messages
from tinygrad_lr.ops import PYTORCH_NAMES

F = TypeVar("F", bound=Callable[..., Any])
KEYWORDS = PYTORCH_NAMES | {  # for arguments of PyTorch, Keras and scikit-learn
    "learning_rate": "lr", "beta_1": "betas=(beta_1, beta_2)", "beta_2": "betas=(beta_1, beta_2)",
    "epsilon": "eps", "beta1": "betas=(beta1, beta2)", "beta2": "betas=(beta1, beta2)",
    "global_clipnorm": "clip_norm",
    "use_bias": "bias", "kernel_initializer": "init", "out_features": "units",
    "input_dim": "in_features", "seed": "rng", "random_state": "rng", "rate": "p",
    "validation_data": "validation", "callbacks": "callback", "num_warmup_steps": "warmup",
}  # fmt: skip


def check_arguments(name: str, keywords: Iterable[str], own: Container[str]) -> None:
    """Raise TypeError, with what to write instead, for another library's name of an argument."""
    for word in keywords:
        here = KEYWORDS.get(word, "")
        if word not in own and re.split(r"\W", here)[0] in own:
            raise TypeError(f"{name} has no argument {word}=; here it is {here}")


def explained(function: F) -> F:
    """Let a function say what other libraries' names of its arguments are here."""
    own = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        check_arguments(function.__name__, kwargs, own)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


class Explained:
    """Constructors that do so, and objects that say what other libraries' attributes are here."""

    if not TYPE_CHECKING:  # a type checker would take every argument and every name

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            if cls.__init__ is object.__init__ and (args or kwargs):
                raise TypeError(f"{cls.__name__}() takes no arguments")
            own = inspect.signature(cls.__init__).parameters if kwargs else {}
            if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
                check_arguments(cls.__name__, kwargs, own)
            return super().__new__(cls)

        def __getattr__(self, name: str) -> Any:
            raise messages.missing_name(type(self).__name__, name)


def check_count(name: str, n: Any, least: int = 1) -> None:
    """Raise ValueError for anything but a whole number of at least 1, or another least."""
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {n!r}")


def check_rate(name: str, value: Any, below: float = math.inf, at_most: float = math.inf) -> None:
    """Raise ValueError for anything but a number in [0, below) and [0, at_most]."""
    number = isinstance(value, (int, float, np.number))
    if not number or not 0 <= value <= at_most or value >= below:
        limit = f" and below {below}" if below < math.inf else ""
        limit += f" and at most {at_most}" if at_most < math.inf else ""
        kind = "" if limit else "finite "
        raise ValueError(f"{name} is a {kind}number of at least 0{limit}, not {value!r}")


def dtype_refused(dtype: np.dtype[Any]) -> TypeError:
    """The error for a Tensor that cannot have a dtype."""
    which = " that requires a gradient" if dtype.kind in "biu" else ""
    return TypeError(f"a Tensor{which} cannot have dtype {dtype}: use float32 or float64")


def not_real(x: Any, array: np.ndarray[Any, Any]) -> TypeError:
    """The error for data that make an array of something else than real numbers."""
    kind = type(x).__name__
    if array.ndim or isinstance(x, np.ndarray):
        kind += f" of {array.dtype}"
    return TypeError(f"a Tensor takes real numbers, not {kind}")
