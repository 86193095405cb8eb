"""What the data of a check are like: their sizes, and what cannot be seen with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import evidence, plain_name
from tinygrad_lr.check.derivation.forward import Truth
from tinygrad_lr.check.derivation.watch import leaves

DATA = frozenset(
    "t ts target targets label labels data features feature input inputs image images truth dout upstream "
    "mask masks ratings r sampleweight hprev hinit initialstate".split()
)
SETTINGS = frozenset(
    "reg lam lambda lmbda lmbd l1 l2 c alpha lr eta eps epsilon decay momentum mu beta p rate keepprob "
    "learningrate".split()
)


def is_data(name: str, x: Any, values: Iterable[str] = ()) -> bool:
    """Whether an input is samples, labels, a mask or a setting, whose gradient nobody wants.

    Args:
        values: forward's names: `da` beside an `a` is a gradient that comes from above.
    """
    plain, x = plain_name(name.partition("[")[0]), np.asarray(x)
    if plain in DATA or plain[:1] in ("x", "y") or (plain in SETTINGS and not x.ndim):
        return True
    values_of = set(np.unique(x)) if x.ndim else set()
    mask = len(values_of) == 2 and 0 in values_of
    return mask or any(evidence(name, value) for value in values)


def left_out(
    truth: Truth,
    inputs: Mapping[str, Any],
    values: Mapping[str, Any],
    wrt: Collection[str] | None,
    is_loss: bool,
) -> list[str]:
    """The inputs whose gradient nobody asks for.

    They are those that are named as data or settings, and what is as long as the samples are, in a
    program whose parameters are not; where the parameters belong to an object, all that is given.
    """
    if wrt is not None:
        return [name for name in truth.inputs if name not in wrt]
    shapes = {name: x.shape for name, x in truth.inputs.items()}
    found = {n for n, x in truth.inputs.items() if is_data(n, x._array, values)}
    given = {n for n, path in truth.paths.items() if path[0] in inputs}
    if is_loss and given < shapes.keys():
        found |= given
    found |= {n for n in shapes.keys() - given if not shapes[n]}  # a number in an object
    data = {name: np.asarray(x) for name, x in inputs.items() if is_data(name, _array(x))}
    m = number_of_samples({name: x for name, x in data.items() if x.ndim})
    long = {n for n in shapes.keys() - found if m and m > 1 and m in (*shapes[n][:1], *shapes[n][-1:])}
    others = shapes.keys() - found - long
    if is_loss and others and not any(m in shapes[n] for n in others):
        found |= long
    return [name for name in truth.inputs if name in found]


def _array(x: Any) -> Any:
    """A number or an array as an array; of what is none an empty one."""
    return np.asarray(x) if isinstance(x, (np.ndarray, float, int, np.number)) else np.zeros(0)


def data_of(inputs: Mapping[str, Any], claimed: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that are samples and labels, as arrays."""
    nested = (np.ndarray, list, tuple, Mapping)
    arrays = {
        name: np.asarray(x)
        for name, x in inputs.items()
        if isinstance(x, np.ndarray)
        or (isinstance(x, (list, tuple)) and not any(isinstance(v, nested) for v in x))
    }
    arrays = {name: x for name, x in arrays.items() if x.ndim}
    named = {name: x for name, x in arrays.items() if is_data(name, x)}
    return named or {name: x for name, x in arrays.items() if name not in claimed} or arrays


def number_of_samples(data: Mapping[str, Any]) -> int | None:
    """The length that samples and labels have in common."""
    shared = [set(x.shape) for x in data.values()]
    common = set.intersection(*shared) if shared else set()
    common = {n for n in common if n > 1} or common
    return common.pop() if len(common) == 1 else max(common, default=None)


def named_lengths(data: Mapping[str, Any]) -> dict[int, str]:
    """Names for the lengths of axes that a gradient may be divided by."""
    lengths: dict[int, str] = {}
    m = number_of_samples(data)
    if m:
        lengths[m] = "the number of samples"
    for name, x in data.items():
        for n in x.shape:
            if x.dtype.kind == "f" and x.ndim == 2 and name[:1] in "xX":
                lengths.setdefault(n, "the number of features")
    lengths.pop(1, None)
    return lengths


def named_sizes(data: Mapping[str, Any]) -> dict[int, str]:
    """Names for all numbers that a gradient may be divided by."""
    sizes = named_lengths(data)
    for name, x in data.items():
        sizes.setdefault(x.size, f"the number of elements of {name}")
    sizes.pop(1, None)
    return sizes


def blind_spots(inputs: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    """What this check cannot see with these data."""
    m = number_of_samples(data)
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
    for name, value in inputs.items():
        for path, _, w in leaves(value, (name,), None):
            title = str(path[0]) + "".join(f"[{key!r}]" for key in path[1:])
            shape = np.shape(w)
            if name in data or len(shape) != 2:
                continue
            if shape[0] == shape[1] > 1:
                yield (
                    f"{title} is square: with as many features as classes or units a transpose does "
                    f"not show in the shapes"
                )
            elif m in shape and m != 1 and not square:
                yield (
                    f"{title} is {shape}: with as many classes or units as samples a sum over the "
                    f"wrong axis does not show in the shapes"
                )
