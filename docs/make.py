"""Writes the pages of this folder that are generated: `python docs/make.py`."""

from pathlib import Path

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr.arraylike import WITHOUT_DERIVATIVE, supported

DOCS = Path(__file__).parent


def dispatched() -> list[str]:
    """The names in NumPy's main namespace whose functions ask their arguments' type what to do."""
    functions = {name: getattr(np, name) for name in dir(np) if not name.startswith("_")}
    return [
        name
        for name, function in functions.items()
        if isinstance(function, np.ufunc) or hasattr(function, "_implementation")
    ]


def numpy_table() -> str:
    """docs/numpy.md: which of NumPy's functions run on Tensors."""
    names = dispatched()
    ours = [name for name in names if supported(getattr(np, name))]
    plain = [name for name in names if getattr(np, name) in WITHOUT_DERIVATIVE]
    refused = [name for name in names if name not in ours and name not in plain]
    same = {supported(getattr(np, name)).__name__ for name in ours}
    more = [name for name in sorted(tg.ops.FUNCTIONS) if name not in same and hasattr(tg, name)]
    rows = [
        ("a Tensor, through which gradients flow", ours),
        ("a plain array: comparisons, indices, shapes", plain),
        ("TypeError, by name and with a way out", refused),
    ]
    lines = [
        "# NumPy's functions on Tensors",
        "",
        "`np.f(t)` for a Tensor `t`, with NumPy's own signatures. Arguments that would be lost are",
        "refused: `out=`, `where=`, `dtype=` (there is `.astype`). Operators, indexing and the",
        "ndarray methods follow the same table.",
        "",
        f"Made by `python docs/make.py` from the table of operations, with NumPy {np.__version__}.",
        "",
        "| result | functions |",
        "|---|---|",
        *(f"| {result} | {' '.join(f'`{name}`' for name in found)} |" for result, found in rows),
        "",
        "Not in NumPy's main namespace, but operations here: "
        + ", ".join(f"`tg.{name}`" for name in more)
        + ".",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "numpy.md").write_text(numpy_table())
