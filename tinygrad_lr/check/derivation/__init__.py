"""Marks a hand-written backward pass, line by line.

`backward` runs both passes and collects everything; `watch` records what a function does, `claims`
finds its gradients, `judgement` and `marking` compare them with the truth and with the chain rule,
`way`, `blame` and `loss_check` find where an error began, `mistakes` and `diagnosis` say which it
is, `findings`, `cautions` and `report` tell it.
"""

from tinygrad_lr.check.derivation.backward import check_backward

__all__ = ["check_backward"]
