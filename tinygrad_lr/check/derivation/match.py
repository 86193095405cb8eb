"""Which of the values that a backward pass left behind claims to be the gradient of which input."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import (
    CHANGED,
    LOCAL,
    NEW,
    RETURNED,
    UPDATES,
    Place,
    evidence,
    fits,
    plain_name,
    stems,
)
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.watch import Path, name_of

BARE = ("grad", "gradient", "g", "delta", "derivative")  # of p.grad beside p.data
LISTS = ("grads", "gradients", "gs", "grad", "gradient", "g", "dparams", "dps", "d")


class Matcher:
    """Matches places with inputs.

    A name is evidence: among its readings the one with a fitting shape wins, and then the one with
    right numbers. What has no name is read by its position, if its shape fits there, else by its
    numbers, else by its shape.

    Args:
        truth: the true gradients, by input.
        paths: where the inputs are.
        names: which name is the gradient of which input, said by the caller.
        left_out: inputs whose gradient nobody asks for: a variable of another shape is none.
        layer: whether all that is returned without a name is a gradient, of samples, too.
    """

    def __init__(
        self,
        truth: Mapping[str, Any],
        paths: Mapping[str, Path],
        names: Mapping[str, str],
        left_out: Collection[str],
        rtol: float,
        layer: bool = False,
    ) -> None:
        self.truth, self.paths, self.names = truth, paths, names
        self.left_out, self.rtol, self.layer = left_out, rtol, layer

    def match(self, found: Mapping[Place, Any]) -> dict[str, Place]:
        """The place of each input's gradient, among what a backward pass left behind."""
        said = {(place, name): self._says(place, name) for place in found for name in self.truth}
        returned = [place for place in found if place.kind == RETURNED]
        unnamed = [p for p in returned if not any(said[p, name] for name in self.truth)]
        if len(returned) == len(self.truth):
            pairs = zip(returned, self.truth, strict=True)
            said |= {(place, name): 1 for place, name in pairs if place in unnamed}
        scores = {
            pair: self._score(*pair, found[pair[0]], evident, pair[0] in unnamed)
            for pair, evident in said.items()
        }
        claims: dict[str, Place] = {}
        for pair in sorted(scores, key=lambda pair: scores[pair], reverse=True):
            place, name = pair
            if scores[pair] and name not in claims and place not in claims.values():
                claims[name] = place
        left = {place: found[place] for place in unnamed if place not in claims.values()}
        return claims | self._by_shape(left, [name for name in self.truth if name not in claims])

    def _by_shape(self, left: dict[Place, Any], names: Iterable[str]) -> dict[str, Place]:
        """The places without a name that only one input fits."""
        claims = {}
        for name in names:
            fitting = [p for p, value in left.items() if fits(value, np.shape(self.truth[name]))]
            asked = self.layer or len(left) == 1 or name not in self.left_out
            if asked and len(fitting) == 1:
                claims[name] = fitting[0]
                del left[fitting[0]]
        return claims

    def _score(
        self, place: Place, name: str, value: Any, said: int, unnamed: bool
    ) -> tuple[int, ...]:
        """How well a place fits an input, the greater the better; empty if it does not."""
        g, returned, update = self.truth[name], place.kind == RETURNED, place.kind in UPDATES
        fitting = as_shape(value, np.shape(g))
        if fitting is None:
            right = False
        elif update:
            right = ratio(fitting, g, self.rtol) is not None
        else:
            right = close(fitting, g, self.rtol)
        if place.kind == NEW and not (right and np.size(g) > 1):
            return ()
        if right and unnamed:
            said = max(said, 1)
        if not said and not (right and returned):
            return ()
        if name in self.left_out and (update or (fitting is None and place.kind == LOCAL)):
            return ()  # samples and labels are no parameters
        if fitting is None and said < 2:
            return ()
        contract = said > 1 and place.kind not in (LOCAL, CHANGED)
        return fitting is not None, contract, right, said, not update, returned

    def _says(self, place: Place, name: str) -> int:
        """How much a place says that it holds an input's gradient: 3 all, 2, 1, or 0 nothing."""
        path = self.paths.get(name, (name,))
        if place.kind in UPDATES:
            return 3 * (place.path == path)
        if place.name in self.names:
            return 3 * (self.names[place.name] == name)
        owner, last = path[:-1], name_of(path)
        if place.path[:-1] == path and plain_name(place.name) in BARE:
            return 3  # W.g, an attribute of the array W
        beside = len(owner) > 0 and place.path[: len(owner)] == owner
        if len(owner) > 1 and place.path[:-2] == owner[:-1] and place.path[-1] == path[-1]:
            holder = plain_name(str(place.path[-2]).lstrip("."))
            beside |= holder in LISTS  # layer.grads["W"] for layer.params["W"]
        said = self._reads(place, path, beside)
        alike = [other for other in self.paths.values() if name_of(other) == last]
        if said and len(alike) > 1 and not beside and len(place.path) > 1:
            return int(place.kind == RETURNED)
        return said + (said > 1 and beside and len(owner) > 1)

    def _reads(self, place: Place, path: Path, beside: bool) -> int:
        """How much the name of a place says, beside an input of the same owner or elsewhere."""
        plain, owner = plain_name(place.name), path[:-1]
        if beside and plain in BARE:  # p.grad beside p.data
            others = (other for other in self.paths.values() if other != path)
            if not any(other[: len(owner)] == owner for other in others):
                return 2
        if plain.partition("[")[0] in LISTS and place.path[-1] == path[-1]:
            return 2  # grads[1] for params[1]
        inside = len(place.path) > 1
        holder = plain_name(str(place.path[-2]).lstrip(".")) if inside else ""
        bare = inside and (place.kind == RETURNED or holder in LISTS or bool(stems(holder)))
        return evidence(place.name, name_of(path), bare)
