"""States as arrays by name: what fits where, and the files that they are kept in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr.messages.arguments import Explained

Arrays = Mapping[str, npt.NDArray[Any]]


class Stateful(Explained):
    """The numbers and arrays among the attributes, also in lists and dicts, are the state."""

    def _places(self) -> dict[str, tuple[Any, Any]]:
        """Each by its name, as its container and its key there."""
        places: dict[str, tuple[Any, Any]] = {}
        for name, x in vars(self).items():
            keys = x if isinstance(x, dict) else range(len(x)) if isinstance(x, list) else ()
            places |= {name: (vars(self), name)} | {f"{name}.{key}": (x, key) for key in keys}
        kinds = (int, float, tuple, np.number, np.ndarray)
        return {name: (x, key) for name, (x, key) in places.items() if isinstance(x[key], kinds)}

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """A copy of settings and state by name, as lr and means.0."""
        values, exact = {k: x[key] for k, (x, key) in self._places().items()}, (bool, np.ndarray)
        return {k: np.array(x, None if isinstance(x, exact) else float) for k, x in values.items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Go on from a `state_dict`; ValueError, and no change, if it does not fit."""
        places = self._places()
        for name, new in fit_arrays(type(self).__name__, self.state_dict(), state).items():
            x, key = places[name]
            if isinstance(x[key], np.ndarray):
                x[key] = new
            else:
                value: Any = new.tolist()
                whole = isinstance(x[key], int) and not new.ndim and value == int(value)
                x[key] = tuple(value) if new.ndim else type(x[key])(value) if whole else value


def fit_arrays(owner: str, own: Arrays, state: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Copies of a state's arrays in the dtypes of an owner's own; ValueError if it does not fit."""
    new, wrong = {}, [f"{name} is missing" for name in own.keys() - state.keys()]
    wrong += [f"{name} is not a part of it" for name in state.keys() - own.keys()]
    for name in own.keys() & state.keys():
        try:
            new[name] = np.array(state[name]).astype(own[name].dtype, casting="same_kind")
        except (TypeError, ValueError) as error:
            wrong.append(f"{name}: {error}")
        else:
            if new[name].shape != own[name].shape:
                wrong.append(f"{name} has the shape {new[name].shape}, not {own[name].shape}")
    if wrong:
        raise ValueError(f"this state does not fit {owner}: {'; '.join(sorted(wrong))}")
    return {name: new[name] for name in own}


def write(path: str | os.PathLike[str], state: Arrays) -> None:
    """Write arrays in NumPy's .npz format; replaces a file only once the new one is complete."""
    import zipfile  # here, as it would double the time to import the package

    temporary = f"{os.fspath(path)}.partial"
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, array in state.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def read(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays in an .npz file, without executing anything; ValueError if it is damaged."""
    import zipfile  # here, as in `write`

    with open(path, "rb") as file:
        try:
            if damaged := zipfile.ZipFile(file).testzip():
                raise zipfile.BadZipFile(damaged)
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except Exception as error:
            raise ValueError(f"{os.fspath(path)} is damaged or no .npz file: {error}") from error
