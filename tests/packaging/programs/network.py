"""Models, optimizers and training."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import tinygrad_lr as tg
from tinygrad_lr import nn, optim

rng = np.random.default_rng(0)
X = rng.normal(size=(32, 2))
labels = (X[:, 0] * X[:, 1] > 0).astype(int)


class Network(nn.Module):
    """A classifier with a scale of its own."""

    def __init__(self, units: int) -> None:
        self.hidden = nn.Dense(2, units, activation="tanh", rng=0)
        self.out = nn.Dense(units, 2, rng=1)
        self.scale = tg.Tensor(1.0, requires_grad=True)

    def forward(self, x: NDArray[np.float64] | tg.Tensor) -> tg.Tensor:
        return self.out(self.hidden(x)) * self.scale


model = Network(8)
logits = assert_type(model(X), tg.Tensor)
adam = optim.Adam(model.parameters(), lr=0.05, betas=(0.9, 0.99))
for epoch in range(5):
    loss = tg.cross_entropy(model(X), labels)
    adam.zero_grad()
    loss.backward()
    adam.step()


def accuracy(pred: NDArray[Any], target: NDArray[Any]) -> float:
    return float(np.mean(pred.argmax(axis=1) == target))


history = tg.fit(
    model, X, labels, tg.cross_entropy, adam, epochs=3, batch_size=8,
    metrics={"accuracy": accuracy}, rng=0,
)  # fmt: skip
assert_type(history["accuracy"], list[float])

line = nn.Sequential(nn.Dense(2, 4, activation=tg.relu), nn.Dense(4, 1))
assert_type(line(X), tg.Tensor)
sgd = tg.optim.SGD(line.parameters(), lr=0.1, momentum=0.9, nesterov=True)
compiled = tg.compile(lambda x, t: tg.mse_loss(line(x), t), sgd)
assert_type(compiled(X, X[:, :1]), float)
assert_type(compiled.each(X[:, None], X[:, None, :1]), list[float])
print(line.parameter_count(), compiled.source)
line.summary(X)
for path, parameter in line.named_parameters():
    print(path, parameter.shape, parameter.dtype, parameter.ndim)


def main(folder: Path) -> None:
    model.save(folder / "model.npz")
    model.load(folder / "model.npz")
    model.load_state_dict(model.state_dict())
    tg.draw(model, X[:2], depth=1).render(outfile=folder / "model.svg")
