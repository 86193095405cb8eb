"""Reverse-mode automatic differentiation over NumPy, small enough to read.

Gradients:
    Tensor                            An array that remembers how it was computed.
    grad                              Gradients as values, without touching any `.grad`.
    no_grad                           Compute without recording.
    GradientError                     There is no such gradient.
    ShapeError                        Operands whose shapes do not fit.
    TensorWarning                     The computation runs, but is hardly what its author means.

Models:
    nn                                Layers, and Module, of which models are subclasses.
    optim                             Optimizers, schedules, and clip_grad_norm.
    fit                               The training loop, with batches, metrics and a history.
    EarlyStopping                     A callback of fit that stops it and keeps the best weights.
    save                              Write a training to a file.
    load                              Go on with it where it stopped.
    compile                           A training step, recorded once and run many times, faster.
    mse_loss                          Squared difference.
    binary_cross_entropy              The loss of probabilities, for labels from 0 to 1.
    binary_cross_entropy_with_logits  The same of logits, exact for every number.
    cross_entropy                     The loss of logits of several classes.
    huber_loss                        Squared for small differences, linear for large ones.

Checks:
    check_backward                    Mark a backward pass written by hand, line by line.
    grade                             Mark many of them, each in a process of its own.
    gradcheck                         Compare gradients with numerical derivatives.
    detect_anomaly                    Stop at the first operation that makes a nan or an inf.
    GradcheckError                    Gradients and numerical derivatives differ.
    AnomalyError                      An operation made a nan or an inf.

Pictures and programs:
    draw                              The computation of a tensor, or a model, as a picture.
    explore                           A page that plays the forward and the backward pass.
    Film                              Records a training, for `explore` to play.
    to_numpy                          The NumPy program that computes a loss and its gradients.
    RecordingError                    No program can be made of a function.

Functions of arrays and Tensors, with NumPy's names:
"""

import importlib
from types import ModuleType
from typing import Any

from tinygrad_lr import messages, ops, tensor
from tinygrad_lr import nn as nn
from tinygrad_lr import optim as optim
from tinygrad_lr.check.anomaly import AnomalyError, detect_anomaly
from tinygrad_lr.check.gradcheck import GradcheckError, gradcheck
from tinygrad_lr.functional import grad
from tinygrad_lr.functions.activations import *
from tinygrad_lr.functions.composed import *
from tinygrad_lr.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    mse_loss,
)
from tinygrad_lr.messages import GradientError, ShapeError, TensorWarning
from tinygrad_lr.ops import *
from tinygrad_lr.recording import no_grad
from tinygrad_lr.tensor import Tensor
from tinygrad_lr.training import EarlyStopping, fit, load, save

__version__ = "0.1.0"
# Tools, imported when they are used: they would add to the time of every import.
ON_DEMAND = {
    "check_backward": "check.derivation",
    "compile": "compiled.step",
    "draw": "drawing",
    "explore": "explorer",
    "Film": "explorer.film",
    "grade": "check.derivation",
    "RecordingError": "program.recorder",
    "to_numpy": "program.to_numpy",
}

__all__ = [
    "AnomalyError", "EarlyStopping", "GradcheckError", "GradientError", "ShapeError", "Tensor",
    "TensorWarning", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "detect_anomaly", "fit", "grad", "gradcheck", "huber_loss", "load", "mse_loss", "nn",
    "no_grad", "optim", "save", *ON_DEMAND, *ops.FUNCTIONS,
]  # fmt: skip
_FIRST_LINES = {name: str(f.__doc__).partition("\n")[0] for name, f in ops.FUNCTIONS.items()}
__doc__ = f"{__doc__}" + "\n".join(f"    {name:14}{x}" for name, x in _FIRST_LINES.items())


class _TensorModule(ModuleType):
    def __call__(self, *_: Any, **__: Any) -> Any:
        raise messages.tensor_called()


tensor.__class__ = _TensorModule


def __getattr__(name: str) -> Any:
    if name in ON_DEMAND:
        return getattr(importlib.import_module(f"tinygrad_lr.{ON_DEMAND[name]}"), name)
    raise messages.missing_name("tinygrad_lr", name)


def __dir__() -> list[str]:
    return __all__
