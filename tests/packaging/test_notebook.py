"""A notebook that shows everything shows it as HTML or as a picture."""

import os
from pathlib import Path

import pytest

SETUP = """
import numpy as np, tinygrad_lr as tg
X, y = np.array([[1.5, 2.0], [-0.5, 1.0]]), np.array([[1.0], [0.0]])
model = tg.nn.Sequential(tg.nn.Dense(2, 3, activation="tanh", rng=0), tg.nn.Dense(3, 1, rng=1))
adam, film = tg.optim.Adam(model.parameters(), lr=0.1), tg.Film()
def cost(X, y):
    return tg.binary_cross_entropy_with_logits(model(X), y)
for _ in range(3):
    loss = cost(X, y)
    film(loss)
    adam.zero_grad()
    loss.backward()
    adam.step()
step = tg.compile(cost, adam)
step(X, y)
loss = cost(X, y)
rng = np.random.default_rng(0)
classifier = tg.nn.Sequential(
    tg.nn.Embedding(9, 4, rng=rng), tg.nn.Flatten(), tg.nn.BatchNorm(8), tg.nn.LayerNorm(8),
    tg.nn.Dropout(0.1, rng=rng), tg.nn.Dense(8, 3, activation=None, init="he_normal", rng=rng),
)
ids, classes = rng.integers(0, 9, (40, 2)), rng.integers(0, 3, 40)
adamw = tg.optim.AdamW(classifier.parameters(), lr=0.01)
schedule = tg.optim.CosineAnnealingLR(adamw, 5, warmup=1)
stop = tg.EarlyStopping(classifier, patience=3)
def after_epoch(history):
    schedule.step()
    return stop(history)
def forward(X, w):
    return np.sum((X @ w) ** 2)
def backward(X, w):
    dw = X.T @ (X @ w)
    return dw
"""
SHOWN = {  # what a cell ends with, and the kind and a part of what it shows
    "loss": ("text/plain", "Tensor("),
    "classifier": ("text/html", "BatchNorm 8"),
    "schedule": ("text/plain", "CosineAnnealingLR(lr=0.005, last_epoch=0)"),
    "stop": ("text/plain", "EarlyStopping(val_loss="),
    "classifier.predict(ids[:2]).shape": ("text/plain", "(2, 3)"),
    "model": ("text/html", "Dense 2 → 3, tanh"),
    "adam": ("text/plain", "Adam(4 parameters, lr=0.1"),
    "film": ("text/html", "film of 3 steps"),
    "step": ("text/html", "<span"),
    "tg.to_numpy(cost, X, y)": ("text/html", "import</span> numpy"),
    "tg.draw(loss)": ("image/svg+xml", "layers.0.W"),
    "tg.explore(loss, history=film)": ("text/html", "<iframe"),
    "tg.check_backward(forward, backward, X=X, w=np.array([1.0, 2.0]))": ("text/html", "wrong"),
}


FIT = """
tg.fit(classifier, ids, classes, tg.cross_entropy, adamw, 5, batch_size=10, rng=rng, clip_norm=1.0,
       validation=(ids, classes), callback=after_epoch, verbose=True)["val_loss"][-1]
"""


@pytest.fixture
def run(monkeypatch):
    """Execute cells of a notebook; their outputs."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in the extra 'release'")
    pytest.importorskip("ipykernel", reason="ipykernel is in the extra 'release'")
    from nbformat import v4

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]) + os.pathsep)

    def execute(*codes):
        notebook = v4.new_notebook(cells=[v4.new_code_cell(code) for code in codes])
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        return [cell.outputs for cell in notebook.cells]

    return execute


def test_a_notebook_shows_everything(run):
    _, *shown, trained, after = run(SETUP, *SHOWN, FIT, "stop")
    for source, (output,), (kind, part) in zip(SHOWN, shown, SHOWN.values(), strict=True):
        assert part in output["data"][kind], source
    texts = [str(output) for output in trained]
    assert (
        any("5/5" in text for text in texts[:-1]) and float(trained[-1]["data"]["text/plain"]) > 0
    )
    assert "val_loss=inf" not in str(after)
