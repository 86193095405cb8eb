"""What to write for a name or an argument that is not here: other libraries', or NumPy's own."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from tinygrad_lr.ops import FUNCTIONS

NORM = "np.sqrt(np.sum(t ** 2))"
FIT = "tg.fit(model, X, y, loss, optimizer, epochs)"
CONV = (
    'sum(np.einsum("mchw,dc->mdhw", x[:, :, i:i + h, j:j + w], K[:, :, i, j]) '
    "for i in range(3) for j in range(3))  # K is (d, c, 3, 3), and (h, w) the size of the result"
)
POOLED = "m, c, h // 2, 2, w // 2, 2"
POOL = "  # x is (m, c, h, w)"
RNN = "for x in steps: h = np.tanh(x @ W + h @ U + b)"
LSTM = (
    "for x in steps: i, f, o = [tg.sigmoid(x @ W[k] + h @ U[k] + b[k]) for k in (0, 1, 2)]; "
    "c = f * c + i * np.tanh(x @ W[3] + h @ U[3] + b[3]); h = o * np.tanh(c)"
)
GRU = (
    "for x in steps: r, z = [tg.sigmoid(x @ W[k] + h @ U[k] + b[k]) for k in (0, 1)]; "
    "h = (1 - z) * np.tanh(x @ W[2] + r * (h @ U[2]) + b[2]) + z * h"
)
RMSPROP = (
    "for p, s in zip(params, squares): s[...] = 0.99 * s + 0.01 * p.grad ** 2; "
    "p.data -= 0.01 * p.grad / (np.sqrt(s) + 1e-8)"
)
CLASSES = "tg.cross_entropy(logits, labels)"
NOTHING = "x  # as it is: all is on the CPU, and dtype= of a layer or a Tensor chooses float32"
HINTS = {  # for names of PyTorch, Keras and NumPy: code that runs
    "view": "t.reshape(shape)", "permute": "t.transpose(1, 0)", "t": "t.T", "clone": "t.copy()",
    "abs": "abs(t)", "pow": "t ** p", "norm": NORM, "add_": "t.data += x", "mul_": "t.data *= x",
    "zero_": "t.data[...] = 0", "mm": "a @ b", "bmm": "a @ b", "clamp": "np.clip(t, low, high)",
    "unsqueeze": "np.expand_dims(t, axis)", "numel": "t.size",
    "cat": "np.concatenate([a, b], axis=0)", "requires_grad_": "t.requires_grad = True",
    "float": "t.astype(np.float32)  # or dtype=np.float32 for a layer",
    "double": "t.astype(np.float64)  # or dtype=np.float64 for a layer", "type": "t.astype(dtype)",
    "randint": "rng.integers(low, high, shape)", "full": "np.full(shape, x)",
    "modules": "[m for _, m in model.named_modules()]", "long": "t.data.astype(int)",
    "masked_fill": "np.where(mask, x, t)", "expand": "np.broadcast_to(t, shape)",
    "cuda": NOTHING, "cpu": NOTHING, "to": NOTHING, "device": NOTHING,
    "tensor": "tg.Tensor(data)", "as_tensor": "tg.Tensor(data)", "from_numpy": "tg.Tensor(data)",
    "Variable": "tg.Tensor(data, requires_grad=True)",
    "Parameter": "tg.Tensor(data, requires_grad=True)",
    "zeros": "tg.Tensor(np.zeros(shape))", "ones": "tg.Tensor(np.ones(shape))",
    "randn": "tg.Tensor(rng.normal(size=shape))", "rand": "tg.Tensor(rng.random(shape))",
    "arange": "np.arange(n)", "eye": "np.eye(n)", "argmax": "np.argmax(t, axis=1)",
    "manual_seed": "rng = np.random.default_rng(0)  # and rng=rng for every layer and fit",
    "autograd": "tg.grad(loss, params)", "GradientTape": "tg.grad(loss, params)",
    "functional": "tg.relu(t)  # and the losses: all in tg", "set_grad_enabled": "tg.no_grad()",
    "inference_mode": "tg.no_grad()", "clip_grad_norm_": "tg.optim.clip_grad_norm(params, 1.0)",
    "Sequential": "tg.nn.Sequential(*layers)", "ModuleList": "list(layers)",
    "ModuleDict": "dict(first=layer)", "register_buffer": "model.mean = tg.nn.Buffer(data)",
    "Linear": "tg.nn.Dense(in_features, units)", "Identity": "tg.nn.Sequential()",
    "Conv2d": CONV, "RNN": RNN, "LSTM": LSTM, "GRU": GRU,
    "MaxPool2d": f"x.reshape({POOLED}).max(axis=(3, 5)){POOL}",
    "AvgPool2d": f"x.reshape({POOLED}).mean(axis=(3, 5)){POOL}",
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNormalization"), "tg.nn.BatchNorm(n)"),
    "LayerNormalization": "tg.nn.LayerNorm(n)",
    "Dropout2d": "x * (rng.random((*x.shape[:2], 1, 1)) >= 0.5) / 0.5",
    **{
        name: f'tg.nn.Dense(n, units, activation="{name.lower()}")  # or tg.{name.lower()}'
        for name in ("ReLU", "Sigmoid", "Tanh", "Softmax", "Softplus", "GELU", "SiLU")
    },
    "LeakyReLU": "tg.leaky_relu", "LogSoftmax": "tg.log_softmax",
    "MSELoss": "tg.mse_loss(pred, target)", "HuberLoss": "tg.huber_loss(pred, target)",
    "SmoothL1Loss": "tg.huber_loss(pred, target)  # at its default beta = 1",
    "clip_grad_value_": "for p in params: p.grad = np.clip(p.grad, -1, 1)",
    "L1Loss": "np.mean(np.abs(pred - target))", "l1_loss": "np.mean(np.abs(pred - target))",
    "BCELoss": "tg.binary_cross_entropy(pred, target)",
    "BCEWithLogitsLoss": "tg.binary_cross_entropy_with_logits(logits, target)",
    "CrossEntropyLoss": CLASSES, "NLLLoss": CLASSES, "nll_loss": CLASSES,
    "lr_scheduler": "tg.optim.StepLR(optimizer, step_size=10)",
    "ExponentialLR": "tg.optim.LambdaLR(optimizer, lambda n: 0.9 ** n)",
    "get_last_lr": "optimizer.lr", "param_groups": "optimizer.lr", "learning_rate": "optimizer.lr",
    "ReduceLROnPlateau": "optimizer.lr /= 10", "RMSprop": RMSPROP,
    "DataLoader": FIT + "  # which takes batch_size=",
    "evaluate": "loss(model.predict(X), y).item()",
    "fit": FIT, "compile": FIT, "add": "tg.nn.Sequential(*layers)",
    "weight": "layer.W  # (in_features, units); gamma of a normalization",
    "bias": "layer.b  # beta of a normalization",
}  # fmt: skip
REPLACEMENTS = {  # for functions without a derivative rule
    "norm": NORM, "average": "np.sum(w * t) / np.sum(w)", "reciprocal": "1 / t",
    "log2": "np.log(t) / np.log(2)", "log10": "np.log(t) / np.log(10)",
    "expit": "tg.sigmoid(t)", "inner": "a @ b.T",
    "column_stack": "np.stack(..., axis=1) or np.hstack",
}  # fmt: skip
ARGUMENTS = {  # for arguments of NumPy's functions
    "out": "a result is a new Tensor: write `x = x + t`, not `x += t`, where x is an array",
    "where": "use np.where(condition, a, b)",
    "dtype": "use .astype(...)",
    "correction": "it is ddof= here",
    "initial": "combine it with the result",
}


def missing_name(owner: str, name: str) -> AttributeError:
    """The error for a name that `owner` does not have."""
    here = f"; write {HINTS[name]}" if name in HINTS else ""
    return AttributeError(f"{owner} has no {name!r}{here}")


def tensor_called() -> TypeError:
    """The error for the module `tensor`, which PyTorch's users call as a function."""
    return TypeError(f"tinygrad_lr.tensor is a module; write {HINTS['tensor']}")


def function_refused(function: Any) -> TypeError:
    """The error for a function without a derivative rule."""
    name = function.__name__
    if name in REPLACEMENTS:
        advice = f"; write {REPLACEMENTS[name]}"
    else:
        near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.7)
        advice = f"; the nearest with one is {near[0]}" if near else ""
    if getattr(np, name, None) is function:
        name = f"np.{name}"
    elif (getattr(function, "__module__", None) or "").startswith("numpy"):
        name = f"{function.__module__}.{name}".replace("numpy", "np", 1)
    return TypeError(
        f"{name} has no derivative rule here{advice}. On t.data it gives the values alone"
    )


def method_refused(ufunc: Any, method: str) -> TypeError:
    """The error for a method of a ufunc, as np.add.outer."""
    return TypeError(
        f"np.{ufunc.__name__}.{method} has no derivative rule here; sum, prod, max, min, "
        f"logsumexp and cumsum have"
    )


def argument_refused(function: Any, name: str) -> TypeError:
    """The error for an argument that a function does not take on Tensors."""
    advice = ARGUMENTS.get(name, "leave it out")
    return TypeError(f"np.{function.__name__}({name}=...) on a Tensor: {advice}")
