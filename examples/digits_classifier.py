"""Handwritten digits: validation, dropout, a schedule, clipping, early stopping, and resuming."""

import os

import numpy as np
from sklearn.datasets import load_digits

import tinygrad_lr as tg

PATH = "output/digits.npz"


def main(epochs=60, patience=8, path=PATH):
    """The accuracy on 497 digits; started again, a training goes on where it was stopped."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    train, valid, test = ((X[rows] / 16, y[rows]) for rows in np.split(order, [1000, 1300]))
    rng = np.random.default_rng(1)
    model = tg.nn.Sequential(
        tg.nn.Dense(64, 64, activation="relu", init="he_normal", rng=rng),
        tg.nn.Dropout(0.3, rng=rng),
        tg.nn.Dense(64, 10, rng=rng),
    )
    adam = tg.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = tg.optim.CosineAnnealingLR(adam, epochs, warmup=3)
    stop = tg.EarlyStopping(model, patience)
    parts = {"model": model, "adam": adam, "schedule": schedule, "stop": stop, "rng": rng}
    if os.path.exists(path):
        tg.load(path, **parts)

    def after_epoch(history):
        schedule.step()
        stopped = stop(history)
        tg.save(path, **parts)
        return stopped

    if (left := epochs - schedule.last_epoch) > 0 and stop.wait < patience:
        tg.fit(model, *train, tg.cross_entropy, adam, left, batch_size=32, rng=rng, clip_norm=1.0,
               validation=valid, callback=after_epoch)  # fmt: skip
    model.load_state_dict(stop.best)
    accuracy = np.mean(model.predict(test[0]).argmax(axis=1) == test[1])
    print(f"{accuracy:.1%} of {len(test[0])} digits are right")
    return accuracy


if __name__ == "__main__":
    os.makedirs("output", exist_ok=True)
    main()
