"""What is data among the inputs of a check, and what cannot be seen with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import evidence, plain_name
from tinygrad_lr.check.derivation.truth import Truth
from tinygrad_lr.check.derivation.watch import Path, leaves, statements, written

DATA = frozenset(
    (
        "t", "ts", "target", "targets", "label", "labels", "data", "feature", "features", "input",
        "inputs", "image", "images", "truth", "dout", "upstream", "mask", "masks", "ratings", "r",
        "hprev", "hinit", "initialstate", "sample", "samples", "example", "examples", "pairs",
        "batch", "dataset", "observations", "row", "rows",
    )
)  # fmt: skip
LIKE_PARAMETERS = re.compile(
    r"_*([wbuvpqkh]\d*$|.*(weight|bias|theta|kernel|filter|gamma|beta|emb|coef|intercept|param))",
    re.IGNORECASE,
)
WEIGHTS = re.compile(r"_*[wb]\d*$|.*(weight|bias|theta|kernel|emb|coef)", re.IGNORECASE)
STATISTICS = frozenset(("mean", "means", "mu", "std", "stds", "sigma", "avg"))  # of features
LIKE_DATA = re.compile(r"[xy](?!(2|to)?[hw]\d*$)|feat|(class|sample|pos|example)w(eights?)?$")
SETTINGS = frozenset(
    (
        "reg", "lam", "lambd", "lambda", "lmbda", "lmbd", "l1", "l2", "c", "alpha", "lr", "eta",
        "eps", "epsilon", "decay", "momentum", "mu", "beta", "p", "rate", "keepprob",
        "learningrate",
    )
)  # fmt: skip


def is_data(name: str, x: Any, values: Iterable[str] = ()) -> bool:
    """Whether an input is samples, labels, a mask or a setting, whose gradient nobody wants.

    Args:
        values: forward's names: `da` beside an `a` is a gradient that comes from above.
    """
    plain, x = plain_name(name.partition("[")[0]), np.asarray(x)
    setting = plain in SETTINGS or any(word in plain for word in ("lambda", "reg", "decay", "rate"))
    if plain in DATA or LIKE_DATA.match(plain) or (setting and not x.ndim):
        return True
    numbers = set(np.unique(x)) if x.ndim else set()
    mask = len(numbers) == 2 and 0 in numbers and not WEIGHTS.match(plain)
    return mask or any(evidence(name, value) for value in values)


def likely_data(
    truth: Truth, inputs: Mapping[str, Any], values: Mapping[str, Any], is_loss: bool
) -> set[str]:
    """The inputs that hold samples or settings, judged before it is known what is claimed.

    They are those that are named so; all arguments, if there are attributes or global variables as
    well; and of plain arguments those that are as long as the batch.
    """
    shapes = {name: x.shape for name, x in truth.inputs.items()}
    arguments = {name for name, path in truth.paths.items() if path[0] in inputs}
    data = {name for name, x in truth.inputs.items() if is_data(name, x._array, values)}
    if is_loss:
        data |= arguments if arguments < shapes.keys() else set()
        asked = {n: shapes[n] for n in arguments - data if len(truth.paths[n]) == 1}
        data |= _per_sample(asked, inputs)
    return data


def excused(
    truth: Truth,
    inputs: Mapping[str, Any],
    values: Mapping[str, Any],
    claimed: Mapping[str, Any],
    owner: Any,
    is_loss: bool,
) -> set[str]:
    """The inputs that need no gradient, though none is claimed.

    They are those that are named as data or settings. Of a loss also
    - plain arguments that are as long as the batch, and are not named as weights;
    - all arguments, if a parameter outside them has a claim; but for what stands in a container of
      which another element has one;
    - single numbers, if all parameters with a claim are elements or attributes;
    - global means and deviations, if all parameters with a claim are arguments.

    Args:
        claimed: the gradients that are claimed.
        owner: the object whose method computes the loss.
    """
    paths, shapes = truth.paths, {name: x.shape for name, x in truth.inputs.items()}
    found = {name for name, x in truth.inputs.items() if is_data(name, x._array, values)}
    trained = {name for name in claimed if name in paths and name not in found}
    arguments = {name for name in paths if paths[name][0] in inputs}
    if is_loss:
        long = _per_sample({n: shapes[n] for n in arguments - found}, inputs)
        found |= {n for n in long if len(paths[n]) == 1 and not WEIGHTS.match(n)}
        numbers = {n for n in arguments if not shapes[n] and not LIKE_PARAMETERS.match(n)}
        found |= _beside(trained, arguments, numbers, paths) if trained else set()
    found |= given_among(owner, paths, trained)
    missing = {n: s for n, s in shapes.items() if n not in found and n not in claimed}
    known = [truth.inputs[n]._array for n in found]
    return found.union(samples_among(missing, known, claimed.values()))


def _beside(
    trained: set[str], arguments: set[str], numbers: set[str], paths: Mapping[str, Path]
) -> set[str]:
    """The arguments and global variables that are no parameters, as others than they are trained.

    Args:
        trained: the parameters with a claim.
        numbers: the arguments that are single numbers.
    """
    if trained <= arguments:
        found = {name for name in paths.keys() - arguments if plain_name(name) in STATISTICS}
    else:
        holders = {paths[name][0] for name in trained}
        found = {name for name in arguments if paths[name][0] not in holders}
    return found | (numbers if all(len(paths[name]) > 1 for name in trained) else set())


def samples_among(
    shapes: Mapping[str, tuple[int, ...]], known: Iterable[Any], claimed: Iterable[Any]
) -> list[str]:
    """The inputs without a claim that must be samples, though no name says so.

    All are of one length, which is that of the samples that are `known`, if some are, and which no
    parameter has whose gradient is `claimed`.
    """
    axes = [np.shape(g) for g in claimed]
    for axis in (0, -1):
        lengths = {shape[axis] if shape else 1 for shape in shapes.values()}
        alike = len(shapes) > 1 and len(lengths) == 1 and lengths != {1}
        told = all(lengths & set(np.shape(x)) for x in known if np.ndim(x))
        if alike and told and axes and not any(lengths & set(shape) for shape in axes):
            return list(shapes)
    return []


def given_among(owner: Any, paths: Mapping[str, Path], claimed: Collection[str]) -> set[str]:
    """The attributes that are no parameters: what an object was given, and a mean of that.

    What was given, as class weights, counts only if the object has made all attributes with a
    claim, and if it is not named as a parameter; a mean is one number.
    """
    made = {("self", f".{name}"): value for name, value in _attributes(owner)}
    values = {name: made[path] for name, path in paths.items() if path in made}
    found = {name for name, value in values.items() if isinstance(value, ast.Call)}
    given = {name for name, value in values.items() if isinstance(value, ast.Name)}
    if claimed and not given.intersection(claimed):
        found |= {name for name in given if not LIKE_PARAMETERS.match(name)}
    return found


def _attributes(owner: Any) -> Iterator[tuple[str, ast.expr]]:
    """The attributes that an object's class sets to arguments, or to means of them."""
    code: Any = getattr(getattr(type(owner), "__init__", None), "__code__", None)
    arguments = code.co_varnames[: code.co_argcount] if code else ()
    for statement in statements(code).values() if code else ():
        match statement.node:
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
                match value:
                    case ast.Name(id=argument):
                        known = argument in arguments
                    case ast.Call(func=ast.Attribute(attr="mean"), args=[x], keywords=[]):
                        known = getattr(getattr(x, "value", x), "id", "") in arguments
                    case _:
                        known = False
                if known:
                    yield name, value


def _per_sample(shapes: Mapping[str, tuple[int, ...]], inputs: Mapping[str, Any]) -> set[str]:
    """What is as long as the samples are, if something else is not."""
    data = {
        name: _array(x)
        for name, x in inputs.items()
        if is_data(name, x if isinstance(x, np.ndarray) else [])
    }
    m = number_of_samples({name: x for name, x in data.items() if x.size and x.ndim}) or 1
    long = {name for name, shape in shapes.items() if m in (*shape[:1], *shape[-1:])}
    others = shapes.keys() - long
    return set() if m == 1 or not others or any(m in shapes[n] for n in others) else long


def _array(x: Any) -> Any:
    """A value as an array; an empty one for rows of different lengths, which are none."""
    try:
        return np.asarray(x)
    except ValueError:
        return np.zeros(0)


def data_of(inputs: Mapping[str, Any], claimed: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that are samples and labels, as arrays."""
    arrays = {name: np.asarray(x) for name, x in inputs.items() if _is_array(x)}
    arrays = {name: x for name, x in arrays.items() if x.ndim and x.size}
    named = {name: x for name, x in arrays.items() if is_data(name, x)}
    return named or {name: x for name, x in arrays.items() if name not in claimed} or arrays


def _is_array(x: Any) -> bool:
    """Whether a value is an array, or a list of anything but arrays and containers."""
    if not isinstance(x, (list, tuple)):
        return isinstance(x, np.ndarray)
    return not any(isinstance(v, (np.ndarray, list, tuple, Mapping)) for v in x)


def number_of_samples(data: Mapping[str, Any]) -> int | None:
    """The length that samples and labels have in common."""
    shapes = [set(x.shape) for x in data.values()]
    return max(set.intersection(*shapes), default=None) if shapes else None


def named_lengths(data: Mapping[str, Any]) -> dict[int, str]:
    """Names for the lengths of axes that a gradient may be divided by."""
    lengths = {number_of_samples(data) or 1: "the number of samples"}
    for name, x in data.items():
        if x.dtype.kind == "f" and x.ndim == 2 and name[:1] in "xX":
            for n in x.shape:
                lengths.setdefault(n, "the number of features")
    return {n: words for n, words in lengths.items() if n > 1}


def named_sizes(data: Mapping[str, Any]) -> dict[int, str]:
    """Names for all numbers that a gradient may be divided by."""
    sizes = named_lengths(data)
    for name, x in data.items():
        if x.size > 1:
            sizes.setdefault(x.size, f"the number of elements of {name}")
    return sizes


def blind_spots(inputs: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    """What this check cannot see with these inputs."""
    m = number_of_samples(data)
    if data and m == 1:
        yield "there is only one sample: no sum or mean over the samples is tested"
    labels = [name for name in data if name.lower().startswith(("y", "t", "label"))]
    for name in labels:
        if data[name].size > 1 and len(np.unique(data[name])) == 1:
            yield f"{name} holds only one label: half of the loss is not tested"
    square = [name for name, x in data.items() if _is_square(x.shape)]
    for name in square:
        many = "classes" if name in labels else "features"
        yield f"{name} is square: with as many {many} as samples a transpose does not show"
    for name, value in inputs.items():
        for path, _, w in leaves(value, (name,), None) if name not in data else ():
            shape = np.shape(w)
            if _is_square(shape):
                yield (
                    f"{written(path)} is square: with as many features as classes or units a "
                    f"transpose does not show in the shapes"
                )
            elif len(shape) == 2 and m in shape and m != 1 and not square:
                yield (
                    f"{written(path)} is {shape}: with as many classes or units as samples a sum "
                    f"over the wrong axis does not show in the shapes"
                )


def _is_square(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] == shape[1] > 1
