"""Type hints and dataclasses for parameters, activations and gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy import ndarray as Array


@dataclass
class Parameters:
    w_hidden: Array  # (n_features, n_hidden)
    b_hidden: Array  # (n_hidden,)
    w_out: Array     # (n_hidden, n_classes)
    b_out: Array     # (n_classes,)


@dataclass(frozen=True)
class Activations:
    pre_hidden: Array
    hidden: Array
    probabilities: Array


@dataclass(frozen=True)
class Gradients:
    w_hidden: Array
    b_hidden: Array
    w_out: Array
    b_out: Array


def softplus(z: Array) -> Array:
    return np.logaddexp(0.0, z)


def expit(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))


class WeightedClassifier:
    """One hidden layer, softplus units, every sample has an importance weight."""

    def __init__(self, params: Parameters, weight_decay: float = 0.0) -> None:
        self.params = params
        self.weight_decay = weight_decay
        self._activations: Optional[Activations] = None

    def compute_loss(self, features: Array, labels: Array, sample_weight: Array) -> float:
        p = self.params
        pre_hidden = features @ p.w_hidden + p.b_hidden
        hidden = softplus(pre_hidden)
        logits = hidden @ p.w_out + p.b_out
        shifted = logits - logits.max(axis=1, keepdims=True)
        probabilities = np.exp(shifted)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        self._activations = Activations(pre_hidden, hidden, probabilities)
        picked = probabilities[np.arange(len(labels)), labels]
        data_loss = -np.sum(sample_weight * np.log(picked)) / np.sum(sample_weight)
        return float(data_loss + 0.5 * self.weight_decay * np.sum(p.w_out ** 2))

    def compute_gradients(self, features: Array, labels: Array, sample_weight: Array) -> Gradients:
        assert self._activations is not None, "call compute_loss first"
        act = self._activations
        p = self.params
        grad_logits = act.probabilities.copy()
        grad_logits[np.arange(len(labels)), labels] -= 1.0
        grad_logits *= (sample_weight / sample_weight.sum())[:, np.newaxis]
        grad_hidden = grad_logits @ p.w_out.T
        grad_pre_hidden = grad_hidden * expit(act.pre_hidden)
        return Gradients(
            w_hidden=features.T @ grad_pre_hidden,
            b_hidden=grad_pre_hidden.sum(axis=0),
            w_out=act.hidden.T @ grad_logits + self.weight_decay * p.w_out,
            b_out=grad_logits.sum(axis=0),
        )


def make_example(seed: int = 17) -> tuple[WeightedClassifier, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    params = Parameters(
        w_hidden=rng.normal(scale=0.7, size=(5, 6)),
        b_hidden=rng.normal(scale=0.1, size=6),
        w_out=rng.normal(scale=0.7, size=(6, 3)),
        b_out=rng.normal(scale=0.1, size=3),
    )
    features = rng.normal(size=(9, 5))
    labels = rng.integers(0, 3, size=9)
    sample_weight = rng.uniform(0.5, 2.0, size=9)
    return WeightedClassifier(params, weight_decay=0.1), features, labels, sample_weight


clf, features, labels, sample_weight = make_example()


CHECK = "check(clf.compute_loss, clf.compute_gradients, features=features, labels=labels, sample_weight=sample_weight)"

MISTAKES = [
    ("grad_logits *= (sample_weight / sample_weight.sum())[:, np.newaxis]",
     "grad_logits /= len(labels)",
     "sample weights ignored"),
    ("grad_pre_hidden = grad_hidden * expit(act.pre_hidden)",
     "grad_pre_hidden = grad_hidden * expit(act.hidden)",
     "softplus derivative taken at the output"),
    ("w_out=act.hidden.T @ grad_logits + self.weight_decay * p.w_out,",
     "w_out=act.hidden.T @ grad_logits,",
     "weight decay term forgotten"),
    ("grad_logits[np.arange(len(labels)), labels] -= 1.0",
     "grad_logits[:, labels] -= 1.0",
     "one-hot subtracted from whole columns instead of one entry a row"),
]
