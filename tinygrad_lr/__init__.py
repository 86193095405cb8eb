"""tinygrad_lr: reverse-mode automatic differentiation over NumPy, small enough to read."""

import importlib
from typing import Any

from tinygrad_lr import messages
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
    "Film": "explorer",
    "grade": "check.derivation",
    "RecordingError": "program.recorder",
    "to_numpy": "program.to_numpy",
}


def __getattr__(name: str) -> Any:
    if name in ON_DEMAND:
        return getattr(importlib.import_module(f"tinygrad_lr.{ON_DEMAND[name]}"), name)
    raise messages.missing_name("tinygrad_lr", name)
