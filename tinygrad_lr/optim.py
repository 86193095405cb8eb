"""Optimizers, with PyTorch's formulas and defaults."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.tensor import Tensor


class Optimizer:
    """Changes the data of parameters in place, given their gradients.

    Args:
        params: leaves that require a gradient, as `model.parameters()` returns them.
        lr: learning rate, at least 0. `optimizer.lr` may be changed between steps.

    Raises:
        ValueError, TypeError: for parameters that cannot be trained and rates out of range.
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
            if not isinstance(p, Tensor):
                kind = type(p).__name__
                raise TypeError(f"a parameter is a Tensor, not {kind}: pass model.parameters()")
            if not p.is_leaf:
                raise ValueError(
                    f"{p!r} is the result of a computation, and changing it trains nothing: "
                    f"pass the leaves that it is computed from"
                )
            if not p.requires_grad:
                raise ValueError(f"{p!r} gets no gradient: make it with requires_grad=True")
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError("a parameter is listed twice and would be changed twice a step")
        _check_range("lr", lr)
        self.lr = lr

    def state(self) -> dict[str, list[Any]]:
        """What is kept between steps, by name: lists of one value a parameter.

        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> SGD([w], momentum=0.9).state()
        {'velocity': [array([0., 0.])]}
        """
        lists = {name: x for name, x in vars(self).items() if isinstance(x, list)}
        lists.pop("params")
        return {name: x for name, x in lists.items() if len(x) == len(self.params)}

    def zero_grad(self) -> None:
        """Forget the gradients of the parameters."""
        for p in self.params:
            p.zero_grad()

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        missing = [f"{p.name or 'one'} of shape {p.shape}" for p in self.params if p.grad is None]
        if missing:
            messages.warn(
                f"{len(missing)} of {len(self.params)} parameters have no gradient and stay as "
                f"they are ({', '.join(missing)}): backward() comes before step(), and the loss "
                f"has to depend on them",
                TensorWarning,
            )
        for i, p in enumerate(self.params):
            if p.grad is not None:
                self.update(i, p.mark_changed(), p.grad)

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """Change the data of parameter number i in place."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent: data -= lr * grad.

    Args:
        momentum: share of the last step that is kept (Polyak 1964), at least 0.
        weight_decay: multiple of the data that is added to the gradient, at least 0.
        nesterov: whether the gradient is taken ahead (Sutskever et al. 2013, "On the importance
            of initialization and momentum in deep learning"); needs momentum.

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
        _check_range("momentum", momentum)
        _check_range("weight_decay", weight_decay)
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
        betas: how much of the running means of the gradient and of its square is kept, in [0, 1).
        eps: added to the root of the mean square, at least 0.
        weight_decay: multiple of the data that is added to the gradient, at least 0.

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
        _check_range("betas[0]", betas[0], below=1)
        _check_range("betas[1]", betas[1], below=1)
        _check_range("eps", eps)
        _check_range("weight_decay", weight_decay)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.steps = [0] * len(self.params)
        self.means = [np.zeros(p.shape, p.dtype) for p in self.params]
        self.squares = [np.zeros(p.shape, p.dtype) for p in self.params]

    def update(self, i: int, data: npt.NDArray[Any], grad: npt.NDArray[Any]) -> None:
        """One step of Adam, with the means corrected for their start at 0."""
        (beta1, beta2), mean, square = self.betas, self.means[i], self.squares[i]
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        self.steps[i] += 1
        t = self.steps[i]
        x = np.empty_like(mean)  # for all between: half of the time goes into new arrays otherwise
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


def _check_range(name: str, value: float, below: float = math.inf) -> None:
    if not isinstance(value, (int, float, np.number)) or not 0 <= value < below:
        kind, limit = ("finite ", "") if below == math.inf else ("", f" and below {below}")
        raise ValueError(f"{name} is a {kind}number of at least 0{limit}, not {value!r}")
