"""Optimizers and schedules of their learning rates, with PyTorch's formulas and defaults.

Optimizer          Updates parameters by their gradients; optimizers are subclasses.
SGD                Gradient descent, with momentum.
Adam               Steps of about lr in every coordinate.
AdamW              Adam with decoupled weight decay.
Schedule           Sets the learning rate; schedules are subclasses.
LambdaLR           A learning rate times a function of the number of steps.
StepLR             A learning rate that falls every so many steps.
CosineAnnealingLR  A learning rate that falls as a cosine, after a warm-up.
clip_grad_norm     Gradients scaled to a norm of all of them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.state import Stateful
from tinygrad_lr.tensor import Tensor

__all__ = [
    "SGD", "Adam", "AdamW", "CosineAnnealingLR", "LambdaLR", "Optimizer", "Schedule",
    "StepLR", "clip_grad_norm",
]  # fmt: skip


class Optimizer(Stateful):
    """Updates the data of parameters in place by their gradients.

    Args:
        params: leaves that require a gradient, such as `model.parameters()`.
        lr: learning rate, at least 0. `optimizer.lr` may be changed between steps.

    Raises:
        TypeError, ValueError: if params cannot be trained or a rate is out of range.
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(f"params is a list, as of model.parameters(), not {params!r}")
        self.params = list(params)
        if not self.params:
            raise ValueError(
                "the list of parameters is empty: does the model have Tensors with "
                "requires_grad=True among its attributes?"
            )
        for p in self.params:
            _check_parameter(p)
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError("a parameter is listed twice and would be changed twice per step")
        messages.check_rate("lr", lr)
        self.lr = lr

    def state(self) -> dict[str, list[Any]]:
        """What is kept between steps, by name: lists of one value per parameter.

        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> SGD([w], momentum=0.9).state()
        {'velocity': [array([0., 0.])]}
        """
        lists = {name: x for name, x in vars(self).items() if isinstance(x, list)}
        lists.pop("params")
        return {name: x for name, x in lists.items() if len(x) == len(self.params)}

    def __repr__(self) -> str:
        rates = {name: x for name, x in vars(self).items() if not isinstance(x, list)}
        n = len(self.params)
        texts = [f"{n} parameter{'s' if n > 1 else ''}", *(f"{k}={x!r}" for k, x in rates.items())]
        return f"{type(self).__name__}({', '.join(texts)})"

    def zero_grad(self) -> None:
        """Forget the gradients of the parameters."""
        for p in self.params:
            p.zero_grad()

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        missing = [messages.describe(p) for p in self.params if p.grad is None]
        if missing:
            messages.warn(
                f"{len(missing)} of {len(self.params)} parameters have no gradient and are not "
                f"updated ({', '.join(missing)}): call backward() before step(), on a loss that "
                f"depends on them",
                TensorWarning,
            )
        for i, p in enumerate(self.params):
            if p.grad is not None:
                self.update(i, p.mark_changed(), p.grad)

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """Update the data of parameter number i in place."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define update(self, i, data, grad)"
        )


class SGD(Optimizer):
    """Gradient descent: data -= lr * grad.

    Args:
        momentum: factor of the previous step that is kept (Polyak 1964), at least 0.
        weight_decay: factor of the data that is added to the gradient, at least 0.
        nesterov: take the gradient ahead (Sutskever et al. 2013, "On the importance of
            initialization and momentum in deep learning"); needs momentum without dampening.
        dampening: the share of every gradient after the first that the momentum leaves out.
        maximize: go up instead of down.

    >>> w = Tensor(4.0, requires_grad=True)
    >>> (w * w).backward()
    >>> SGD([w], lr=0.25).step()
    >>> w.item()
    2.0
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        dampening: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr)
        messages.check_rate("momentum", momentum)
        messages.check_rate("weight_decay", weight_decay)
        messages.check_rate("dampening", dampening)
        if nesterov and (not momentum or dampening):
            raise ValueError("nesterov looks ahead, so it needs momentum > 0 and dampening 0")
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov
        self.dampening, self.maximize = dampening, maximize
        self.velocity = [np.zeros(p.shape, p.dtype) for p in self.params]
        if dampening:
            self.steps = [0] * len(self.params)

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """One step of gradient descent."""
        if self.maximize:
            grad = -grad
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        if self.momentum:
            new = grad
            if self.dampening:
                new = grad * (1 - self.dampening * (self.steps[i] > 0))
                self.steps[i] += 1
            self.velocity[i] = self.momentum * self.velocity[i] + new
            grad = grad + self.momentum * self.velocity[i] if self.nesterov else self.velocity[i]
        data -= self.lr * grad


class Adam(Optimizer):
    """Steps of about lr in every coordinate (Kingma & Ba 2014, arXiv:1412.6980, algorithm 1).

    Args:
        betas: decay rates of the running means of the gradient and of its square, in [0, 1).
        eps: added to the root of the mean square, at least 0.
        weight_decay: factor of the data that is added to the gradient, at least 0; default 0.
        amsgrad: divide by the largest mean square so far (Reddi et al. 2018, "On the convergence
            of Adam and beyond").
        maximize: go up instead of down.

    >>> w = Tensor([3.0, -0.001], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Adam([w], lr=0.1).step()
    >>> w.data.round(6).tolist()
    [2.9, 0.099]
    """

    decoupled, default_decay = False, 0.0  # whether the decay is a step of its own

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | None = None,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr)
        weight_decay = self.default_decay if weight_decay is None else weight_decay
        messages.check_rate("betas[0]", betas[0], below=1)
        messages.check_rate("betas[1]", betas[1], below=1)
        messages.check_rate("eps", eps)
        messages.check_rate("weight_decay", weight_decay)
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay
        self.amsgrad, self.maximize = amsgrad, maximize
        self.steps = [0] * len(self.params)
        self.means = [np.zeros(p.shape, p.dtype) for p in self.params]
        self.squares = [np.zeros(p.shape, p.dtype) for p in self.params]
        if amsgrad:
            self.largest = [np.zeros(p.shape, p.dtype) for p in self.params]

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """One step of Adam, with the means corrected for their initial 0."""
        (beta1, beta2), mean, square = self.betas, self.means[i], self.squares[i]
        if self.maximize:
            grad = -grad
        if self.weight_decay and self.decoupled:
            data *= 1 - self.lr * self.weight_decay
        elif self.weight_decay:
            grad = grad + self.weight_decay * data
        self.steps[i] += 1
        t = self.steps[i]
        x = np.empty_like(mean)  # one buffer: new arrays would take half of the time
        np.subtract(grad, mean, out=x)
        x *= 1 - beta1
        mean += x
        np.multiply(grad, grad, out=x)
        x -= square
        x *= 1 - beta2
        square += x
        if self.amsgrad:
            square = np.maximum(self.largest[i], square, out=self.largest[i])
        np.sqrt(square, out=x)
        x /= (1 - beta2**t) ** 0.5
        x += self.eps
        np.divide(mean, x, out=x)
        x *= self.lr / (1 - beta1**t)
        data -= x


class AdamW(Adam):
    """Adam with data *= 1 - lr * weight_decay, default 0.01, before every step.

    Loshchilov & Hutter 2017, "Decoupled weight decay regularization", arXiv:1711.05101.
    """

    decoupled, default_decay = True, 1e-2


def scale_to_norm(grads: Sequence[Any], max_norm: float) -> tuple[Any, list[Any]]:
    """The norm of all gradients as one vector, and the gradients scaled to at most max_norm."""
    norm = np.sqrt(sum(np.vdot(g, g) for g in grads))
    factor = np.minimum(1.0, max_norm / (norm + 1e-6))
    return norm, [g * factor for g in grads]


def clip_grad_norm(params: Iterable[Tensor] | Tensor, max_norm: float) -> float:
    """Scale gradients so that their norm, as of one vector, is at most max_norm; the norm before.

    To be called between `backward()` and `step()` (Pascanu et al. 2013, arXiv:1211.5063); `fit`
    and `compile` take it as clip_norm themselves.

    >>> w = Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm([w], max_norm=1.0), w.grad.round(5).tolist()
    (10.0, [0.6, 0.8])
    """
    if max_norm != math.inf:  # to measure alone
        messages.check_rate("max_norm", max_norm)
    params = [params] if isinstance(params, Tensor) else params
    trained = [p for p in params if p.grad is not None]
    norm, grads = scale_to_norm([p.grad for p in trained], max_norm)
    for p, g in zip(trained, grads, strict=True):
        p.grad = np.asarray(g, p.dtype)
    return float(norm)


class Schedule(Stateful):
    """Sets `optimizer.lr`, which ordinary and compiled steps read: its first value times a factor.

    Schedules are subclasses with a `factor`. An optimizer has one: every one sets lr anew.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.base_lr, self.last_epoch = optimizer, optimizer.lr, -1
        self.step()

    def factor(self, n: int) -> float:
        """What lr is multiplied by after n calls of step()."""
        raise NotImplementedError(f"{type(self).__name__} does not define factor(self, n)")

    def step(self) -> None:
        """Set the next learning rate."""
        lr = self.base_lr * self.factor(self.last_epoch + 1)
        messages.check_rate(f"{type(self).__name__}: lr", lr)
        self.optimizer.lr, self.last_epoch = lr, self.last_epoch + 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.optimizer.lr:g}, last_epoch={self.last_epoch})"


class LambdaLR(Schedule):
    """A schedule: lr is its first value times lr_lambda(n) after n calls of step().

    >>> sgd = SGD([Tensor(1.0, requires_grad=True)], lr=0.8)
    >>> halving = LambdaLR(sgd, lambda n: 0.5 ** n)
    >>> halving.step()
    >>> sgd.lr
    0.4
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def factor(self, n: int) -> float:
        """What lr_lambda gives."""
        return self.lr_lambda(n)


class StepLR(Schedule):
    """A schedule: lr is its first value times gamma for each step_size calls of step()."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        messages.check_count("step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def factor(self, n: int) -> float:
        """A power of gamma."""
        power: float = self.gamma ** (n // self.step_size)
        return power


class CosineAnnealingLR(Schedule):
    """A schedule: lr falls to eta_min along half a cosine in T_max calls of step(), then rises.

    Before, it grows in warmup equal steps from lr / (warmup + 1). arXiv:1608.03983.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, warmup: int = 0
    ) -> None:
        messages.check_count("T_max", T_max)
        messages.check_count("warmup", warmup, least=0)
        messages.check_rate("eta_min", eta_min)
        self.T_max, self.eta_min, self.warmup = T_max, eta_min, warmup
        super().__init__(optimizer)

    def factor(self, n: int) -> float:
        """The linear warm-up, then the cosine."""
        if n < self.warmup:
            return (n + 1) / (self.warmup + 1)
        low = self.eta_min / (self.base_lr or 1)
        return low + (1 - low) * (1 + math.cos(math.pi * (n - self.warmup) / self.T_max)) / 2


def _check_parameter(p: Any) -> None:
    """Raise for anything but a leaf that requires a gradient."""
    if not isinstance(p, Tensor):
        kind = type(p).__name__
        raise TypeError(f"a parameter is a Tensor, not {kind}: pass model.parameters()")
    if not p.is_leaf:
        raise ValueError(
            f"{messages.describe(p)} is the result of a computation, and updating it trains "
            f"nothing: pass the leaves that it is computed from"
        )
    if not p.requires_grad:
        raise ValueError(
            f"{messages.describe(p)} gets no gradient: make it with requires_grad=True"
        )


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> Any:
        raise messages.missing_name("tinygrad_lr.optim", name)
