"""Static forward and backward that save tensors in a context."""

import numpy as np


class Context:
    def __init__(self):
        self.saved_tensors = ()

    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


class CosineLinearSiLU:
    """Rows of x are normalised to unit length, then linear, then SiLU."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        norm = np.sqrt((x ** 2).sum(-1, keepdims=True))
        x_hat = x / norm
        pre = x_hat @ weight.T + bias
        sig = 1.0 / (1.0 + np.exp(-pre))
        ctx.save_for_backward(x_hat, norm, weight, pre, sig)
        return pre * sig

    @staticmethod
    def backward(ctx, grad_output):
        x_hat, norm, weight, pre, sig = ctx.saved_tensors
        grad_pre = grad_output * (sig + pre * sig * (1 - sig))
        grad_bias = grad_pre.sum(0)
        grad_weight = grad_pre.T @ x_hat
        grad_x_hat = grad_pre @ weight
        inner = (grad_x_hat * x_hat).sum(-1, keepdims=True)
        grad_x = (grad_x_hat - inner * x_hat) / norm
        return grad_x, grad_weight, grad_bias


rng = np.random.default_rng(11)
x = rng.standard_normal((6, 4))
weight = rng.standard_normal((3, 4))
bias = rng.standard_normal(3) * 0.2
ctx = Context()


CHECK = "check(CosineLinearSiLU.forward, CosineLinearSiLU.backward, ctx=ctx, x=x, weight=weight, bias=bias)"

MISTAKES = [
    ("grad_pre = grad_output * (sig + pre * sig * (1 - sig))",
     "grad_pre = grad_output * (sig + pre * (1 - sig))",
     "SiLU derivative lacks a factor sigmoid"),
    ("grad_bias = grad_pre.sum(0)",
     "grad_bias = grad_output.sum(0)",
     "upstream gradient for grad_pre in the bias"),
    ("inner = (grad_x_hat * x_hat).sum(-1, keepdims=True)",
     "inner = (grad_x_hat * x_hat).mean(-1, keepdims=True)",
     "mean for sum in the projection"),
    ("return grad_x, grad_weight, grad_bias",
     "return grad_x, None, grad_bias",
     "gradient of the weight not returned"),
]
