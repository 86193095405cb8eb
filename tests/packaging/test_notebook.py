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
def forward(X, w):
    return np.sum((X @ w) ** 2)
def backward(X, w):
    dw = X.T @ (X @ w)
    return dw
"""
SHOWN = {  # what a cell ends with, and the kind and a part of what it shows
    "loss": ("text/plain", "Tensor("),
    "model": ("text/html", "Dense 2 → 3, tanh"),
    "adam": ("text/plain", "Adam(4 parameters, lr=0.1"),
    "film": ("text/html", "film of 3 steps"),
    "step": ("text/html", "<span"),
    "tg.to_numpy(cost, X, y)": ("text/html", "import</span> numpy"),
    "tg.draw(loss)": ("image/svg+xml", "layers.0.W"),
    "tg.explore(loss, history=film)": ("text/html", "<iframe"),
    "tg.check_backward(forward, backward, X=X, w=np.array([1.0, 2.0]))": ("text/html", "wrong"),
}


def test_a_notebook_shows_everything(monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in the extra 'release'")
    pytest.importorskip("ipykernel", reason="ipykernel is in the extra 'release'")
    from nbformat import v4

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]) + os.pathsep)
    notebook = v4.new_notebook(cells=[v4.new_code_cell(code) for code in (SETUP, *SHOWN)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell, (kind, part) in zip(notebook.cells[1:], SHOWN.values(), strict=True):
        (output,) = cell.outputs
        assert part in output["data"][kind], cell.source
