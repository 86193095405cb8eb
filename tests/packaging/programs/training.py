"""A classifier of short texts with every layer: trained, stopped early, kept and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_lr as tg
from tinygrad_lr import nn, optim

Floats = npt.NDArray[np.float64]


class Classifier(nn.Module):
    def __init__(self, words: int, classes: int, rng: np.random.Generator) -> None:
        self.embedding = nn.Embedding(words, 4, rng=rng)
        self.flatten, self.dropout = nn.Flatten(), nn.Dropout(0.1, rng=rng)
        self.norms = [nn.LayerNorm(12), nn.BatchNorm(8)]
        self.hidden = nn.Dense(12, 8, activation="gelu", init="he_normal", rng=rng)
        self.out = nn.Dense(8, classes, init=lambda rng, shape: np.zeros(shape))

    def forward(self, ids: npt.ArrayLike) -> tg.Tensor:
        before, after = self.norms
        x: tg.Tensor = before(self.flatten(self.embedding(ids)))
        return self.out(self.dropout(after(self.hidden(x))))


def smoothed(logits: tg.Tensor, labels: npt.ArrayLike) -> tg.Tensor:
    return tg.cross_entropy(logits, labels, weight=[1.0, 2.0, 1.0], label_smoothing=0.1)


@tg.no_grad()
def accuracy(model: Classifier, ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> float:
    logits: Floats = model.predict(ids, batch_size=10)
    return float(np.mean(logits.argmax(axis=1) == labels))


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 7, (60, 3))
    labels = ids.max(axis=1) // 3
    model = Classifier(7, 3, rng)
    adam = optim.AdamW(model.parameters(), lr=0.02, amsgrad=True)
    schedule = optim.CosineAnnealingLR(adam, T_max=20, warmup=2)
    stop = tg.EarlyStopping(model, patience=5, monitor="val_loss")
    parts: dict[str, Any] = {"model": model, "adam": adam, "schedule": schedule, "stop": stop}

    def after_epoch(history: dict[str, list[float]]) -> bool:
        schedule.step()
        return stop(history)

    history = tg.fit(
        model, ids[:40], labels[:40], smoothed, adam, 20, batch_size=10, rng=rng, clip_norm=1.0,
        validation=(ids[40:], labels[40:]), callback=after_epoch,
    )  # fmt: skip
    tg.save(folder / "training.npz", **parts)
    model.load_state_dict(stop.best)
    assert accuracy(model, ids, labels) > 0.5 and min(history["val_loss"]) < history["val_loss"][0]
    tg.load(folder / "training.npz", **parts)
    adam.zero_grad()
    frozen = model.embedding.requires_grad_(False).eval()
    loss = smoothed(model.train()(ids), labels) + tg.huber_loss(frozen(ids), np.zeros((60, 3, 4)))
    loss.backward()
    norm: float = optim.clip_grad_norm(model.parameters(), max_norm=0.5)
    assert norm > 0 and schedule.last_epoch == len(history["loss"])


if __name__ == "__main__":
    main(Path("."))
