"""Where a compiled step keeps the parameters and the optimizer's state: in a few arrays."""

from __future__ import annotations

import numpy as np

from tinygrad_lr.compiled.plan import PackedArrays
from tinygrad_lr.compiled.recorder import RecordingError
from tinygrad_lr.optim import Optimizer


class PackedState:
    """The parameters and the state of an optimizer, packed.

    Attributes:
        rates: the names of the optimizer's numbers, but for lr.
        data: the parameters.
        slots: the optimizer's arrays, by name.

    Raises:
        TypeError: if the parameters have several dtypes.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.params = optimizer, optimizer.params
        if len(dtypes := sorted({p.dtype.name for p in self.params})) > 1:
            raise TypeError(
                f"the parameters are {' and '.join(dtypes)}, and a compiled step takes one dtype: "
                f"make all of them with the same"
            )
        state = optimizer.state()
        self.rates = [name for name in vars(optimizer) if name not in ("lr", "params", *state)]
        self.data = PackedArrays([p._array for p in self.params])
        self.slots = {
            name: PackedArrays(values)
            for name, values in state.items()
            if isinstance(values[0], np.ndarray)
        }

    def gather(self) -> list[int]:
        """Pack what was assigned from outside; gives the optimizer's numbers of steps.

        Raises:
            RecordingError: if these are not equal.
        """
        for p, array in zip(self.params, self.data.arrays, strict=True):
            if p._array is not array:
                array[...] = p._array
                p._array = array
            p.mark_changed()
            p.grad = None
        for name, slot in self.slots.items():
            values = getattr(self.optimizer, name)
            for i, array in enumerate(slot.arrays):
                if values[i] is not array:
                    array[...] = values[i]
                    values[i] = array
        steps: list[int] = getattr(self.optimizer, "steps", [0])
        if any(t != steps[0] for t in steps):
            raise RecordingError(
                f"the parameters have taken {steps} steps, but a compiled step takes as many with "
                f"all: go on without compile"
            )
        return steps
