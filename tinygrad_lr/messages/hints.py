"""What names of PyTorch, Keras and NumPy are called here, for whoever asks for them."""

from __future__ import annotations

OF_ARRAYS = {
    "view": "reshape",
    "unsqueeze": "t[:, None], or np.expand_dims(t, axis)",
    "permute": "transpose",
    "t": "T",
    "clone": "copy",
    "abs": "abs(t)",
    "pow": "t ** p",
    "norm": "np.sqrt(np.sum(t ** 2))",
    "requires_grad_": "Tensor(data, requires_grad=True)",
    "add_": "t.data += x",
}
OF_MODULES = {
    "weight": "W, of the shape (in_features, units)",
    "bias": "b",
    "train": "nothing: no layer behaves differently in training",
    "eval": "nothing: no layer behaves differently in training",
    "fit": "the function fit(model, X, y, loss, optimizer, epochs)",
    "predict": "model(X)",
    "compile": "the function fit(model, X, y, loss, optimizer, epochs)",
}
HINTS = (
    OF_ARRAYS
    | OF_MODULES
    | {
        "Linear": "nn.Dense(in_features, units)",
        "ReLU": 'activation="relu", or the function relu',
        "Sigmoid": 'activation="sigmoid", or the function sigmoid',
        "Tanh": 'activation="tanh", or the function tanh',
        "Softmax": 'activation="softmax", or the function softmax',
        "MSELoss": "mse_loss(pred, target)",
        "BCELoss": "binary_cross_entropy(pred, target)",
        "BCEWithLogitsLoss": "binary_cross_entropy_with_logits(logits, target)",
        "CrossEntropyLoss": "cross_entropy(logits, target)",
        "nll_loss": "cross_entropy(logits, target)",
        "tensor": "Tensor(data, requires_grad=True)",
        "from_numpy": "Tensor(array)",
        "zeros": "Tensor(np.zeros(shape))",
        "ones": "Tensor(np.ones(shape))",
        "randn": "Tensor(rng.normal(size=shape))",
    }
)


def missing_name(owner: str, name: str) -> AttributeError:
    """The error for a name that `owner` does not have."""
    here = f"; here it is {HINTS[name]}" if name in HINTS else ""
    return AttributeError(f"{owner} has no {name!r}{here}")
