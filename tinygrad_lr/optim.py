"""Optimizers, with PyTorch's formulas and defaults.

Optimizer  Updates parameters by their gradients; optimizers are subclasses.
SGD        Gradient descent, with momentum.
Adam       Steps of about lr in every coordinate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.tensor import Tensor

__all__ = ["SGD", "Adam", "Optimizer"]


class Optimizer:
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
        texts = [f"{len(self.params)} parameters", *(f"{k}={x!r}" for k, x in rates.items())]
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
            initialization and momentum in deep learning"); needs momentum.

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
    ) -> None:
        super().__init__(params, lr)
        messages.check_rate("momentum", momentum)
        messages.check_rate("weight_decay", weight_decay)
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead along the momentum, so it needs momentum > 0")
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov
        self.velocity = [np.zeros(p.shape, p.dtype) for p in self.params]

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """One step of gradient descent."""
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        if self.momentum:
            self.velocity[i] = self.momentum * self.velocity[i] + grad
            grad = grad + self.momentum * self.velocity[i] if self.nesterov else self.velocity[i]
        data -= self.lr * grad


class Adam(Optimizer):
    """Steps of about lr in every coordinate (Kingma & Ba 2014, arXiv:1412.6980, algorithm 1).

    Args:
        betas: decay rates of the running means of the gradient and of its square, in [0, 1).
        eps: added to the root of the mean square, at least 0.
        weight_decay: factor of the data that is added to the gradient, at least 0.

    >>> w = Tensor([3.0, -0.001], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Adam([w], lr=0.1).step()
    >>> w.data.round(6).tolist()
    [2.9, 0.099]
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        messages.check_rate("betas[0]", betas[0], below=1)
        messages.check_rate("betas[1]", betas[1], below=1)
        messages.check_rate("eps", eps)
        messages.check_rate("weight_decay", weight_decay)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.steps = [0] * len(self.params)
        self.means = [np.zeros(p.shape, p.dtype) for p in self.params]
        self.squares = [np.zeros(p.shape, p.dtype) for p in self.params]

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """One step of Adam, with the means corrected for their initial 0."""
        (beta1, beta2), mean, square = self.betas, self.means[i], self.squares[i]
        if self.weight_decay:
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
        np.sqrt(square, out=x)
        x /= (1 - beta2**t) ** 0.5
        x += self.eps
        np.divide(mean, x, out=x)
        x *= self.lr / (1 - beta1**t)
        data -= x


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
