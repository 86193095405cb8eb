"""Marks a hand-written backward pass, line by line.

The story: run both passes (`forward`, `watch`, `experiment`), find where gradients are kept
(`claims`, `match`), compare them with the true ones (`truth`, `compare`), blame the first statement
that is wrong (`blame`, `odd_loss`), explain it (`explain`, `repair`, `edits`, `diagnosis`), and
report (`marking`, `problems`, `rows`, `report`).
"""

from tinygrad_lr.check.derivation.check_backward import check_backward
from tinygrad_lr.check.derivation.grade import grade

__all__ = ["check_backward", "grade"]
