"""What the data of a check are like: their sizes, and what cannot be seen with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.watch import Path, parts


def touched(arguments: dict[str, Any], untouched: dict[str, Any]) -> Iterator[str]:
    """The arguments that backward changed in place."""
    for name, before in untouched.items():
        now = parts(arguments[name], (name,))
        for (path, x), (_, y) in zip(parts(before, (name,)), now, strict=False):
            if not np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f"):
                told = _told(path)
                yield f"backward changes {told} in place: its old value is lost to what comes later"


def _told(path: Path) -> str:
    return str(path[0]) + "".join(f"[{key!r}]" for key in path[1:])


def samples_and_labels(inputs: Mapping[str, Any], claimed: set[str | None]) -> dict[str, Any]:
    """The inputs that are no parameters: samples and labels."""
    nested = (np.ndarray, list, tuple, Mapping)
    arrays = {
        name: np.asarray(x)
        for name, x in inputs.items()
        if isinstance(x, np.ndarray)
        or (isinstance(x, (list, tuple)) and not any(isinstance(v, nested) for v in x))
    }
    arrays = {name: x for name, x in arrays.items() if x.ndim}
    return {name: x for name, x in arrays.items() if name not in claimed} or arrays


def _samples(data: Mapping[str, Any]) -> int | None:
    """The number of samples: the length that samples and labels have in common."""
    shared = [set(x.shape) for x in data.values()]
    common = set.intersection(*shared) if shared else set()
    common = {n for n in common if n > 1} or common
    return common.pop() if len(common) == 1 else max(common, default=None)


def named_sizes(data: dict[str, Any], targets: dict[str, Any]) -> dict[int, str]:
    """Names for the lengths of axes."""
    sizes: dict[int, str] = {}
    m = _samples(data)
    if m:
        sizes[m] = "the number of samples"
    for name, x in data.items():
        for n in x.shape:
            if x.dtype.kind == "f" and x.ndim == 2 and name[:1] in "xX":
                sizes.setdefault(n, "the number of features")
    for name, versions in targets.items():
        for axis, n in enumerate(versions[0].shape):
            sizes.setdefault(n, f"the length of axis {axis} of {name}")
    sizes.pop(1, None)
    return sizes


def blind_spots(inputs: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    """What this check cannot see with these data."""
    m = _samples(data)
    if data and m == 1:
        yield "there is only one sample: no sum or mean over the samples is tested"
    labels = [name for name in data if name.lower().startswith(("y", "t", "label"))]
    for name in labels:
        if data[name].size > 1 and len(np.unique(data[name])) == 1:
            yield f"{name} holds only one label: half of the loss is not tested"
    square = [n for n, x in data.items() if x.ndim == 2 and x.shape[0] == x.shape[1] > 1]
    for name in square:
        many = "classes" if name in labels else "features"
        yield f"{name} is square: with as many {many} as samples a transpose does not show"
    for path, w in parts(inputs, ()):
        name = _told(path)
        shape: tuple[int, ...] = getattr(w, "shape", ())
        if path[0] in data or len(shape) != 2:
            continue
        if shape[0] == shape[1] > 1:
            yield (
                f"{name} is square: with as many features as classes or units a transpose does "
                f"not show in the shapes"
            )
        elif m in shape and m != 1 and not square:
            yield (
                f"{name} is {shape}: with as many classes or units as samples a sum over the "
                f"wrong axis does not show in the shapes"
            )
