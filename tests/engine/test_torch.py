"""Values and gradients against PyTorch, at regular points and at kinks, ties and ends.

A case is an expression, once with our names and once with PyTorch's; where these are the same
it is written once. Gradients are compared for every variable that the expression uses.
"""

import numpy as np
import pytest

import tinygrad_lr as tg

torch = pytest.importorskip("torch", reason="PyTorch is in the extra 'bench'")

from tests.models import test_optim  # noqa: E402 (it is imported only with torch)

F = torch.nn.functional
inf = float("inf")
rng = np.random.default_rng(0)
REGULAR = {
    "x": rng.normal(size=(4, 3)),
    "y": rng.normal(size=(4, 3)),
    "p": rng.uniform(0.2, 2, (4, 3)),  # positive
    "u": rng.normal(size=3),
    "v": rng.normal(size=3),
    "c": rng.normal(size=(4, 1)),
    "m": rng.normal(size=(3, 5)),
    "b": rng.normal(size=(2, 4, 3)),  # batches of matrices
    "d": rng.normal(size=(2, 3, 5)),
    "s": rng.normal(size=(1, 3, 1)),
}


def evaluate(expression, names, make, values):
    """The result of an expression and its leaves, by name."""
    leaves = {name: make(value) for name, value in values.items()}
    return eval(expression, {**names, **leaves}), leaves


def compare(ours, theirs=None, rtol=1e-12, **values):
    values = {name: np.asarray(value, float) for name, value in (values or REGULAR).items()}
    with np.errstate(all="ignore"):
        result, own = evaluate(
            ours, {**vars(tg), "inf": inf}, lambda a: tg.Tensor(a, requires_grad=True), values
        )
        reference, leaves = evaluate(
            theirs or ours,
            {**vars(torch), "F": F, "torch": torch},
            lambda a: torch.tensor(a, requires_grad=True),
            values,
        )
        g = np.asarray(np.random.default_rng(1).normal(size=result.shape), result.dtype)
        result.backward(g)
        reference.backward(torch.from_numpy(g))
    assert str(reference.dtype) == f"torch.{result.dtype}"
    used = [name for name in values if leaves[name].grad is not None]
    assert used and used == [name for name in values if own[name].grad is not None]
    np.testing.assert_allclose(result.data, reference.detach(), rtol=rtol, atol=1e-14)
    for name in used:
        np.testing.assert_allclose(own[name].grad, leaves[name].grad, rtol, 1e-14, err_msg=name)


# Operations at regular points

SAME = """
x + y; x - y; x * y; x / p; -x; 2 - x; x - 2; 2 * x; 2 / p; p / 2; x + c; u * x; c / p; s - u
x ** 2; x ** 3.0; p ** x; p ** -0.5; 2.0 ** x; p ** u; x ** 0; x ** 1; x ** -2
add(x, y); subtract(x, y); multiply(x, y); divide(x, p); negative(x); square(x); sqrt(p); exp(x)
expm1(x); log(p); log1p(p); logaddexp(x, y); logaddexp(x, u); sin(x); cos(x); abs(x); sign(x)
maximum(x, y); minimum(x, y); maximum(x, u); minimum(c, x); tanh(x); sigmoid(x); relu(x)
clip(x, -0.5, 0.5); clip(x, None, 0.5); clip(x, -0.5); where(x > y, x * y, p); where(x > 0, u, c)
softmax(x, -1); softmax(b, 1); log_softmax(x, -1); log_softmax(x, 0)
sum(x); sum(b, 1); sum(b, (0, -1)); mean(x); mean(x, 0); mean(b, (0, 2)); max(x); min(x)
logsumexp(x, 1); logsumexp(b, (0, 2)); prod(x); prod(b, 1); cumsum(x, 0); cumsum(b, -1)
x @ m; u @ v; x @ u; u @ m; b @ m; b @ d; b @ u; u @ d; matmul(x, m); dot(u, v); outer(u, v)
tensordot(b, d, ([0, 2], [0, 1])); tensordot(x, m, 1); einsum("ij,jk->ik", x, m); trace(x @ x.T)
einsum("bij,bjk->ki", b, d); einsum("ij->", x); einsum("ii->i", m @ m.T); einsum("i,j->ij", u, v)
x.reshape(2, 6); reshape(x, (2, -1)); ravel(b); x.T; b.mT; broadcast_to(u, (2, 4, 3)); flip(x, (0,))
moveaxis(b, 0, 2); swapaxes(b, 0, 2); squeeze(s); squeeze(s, 0); diagonal(x); diagonal(b, 1, 1, 2)
x[1]; x[-1, 2]; x[:, 1]; x[1:3, ::2]; x[..., None]; x[[0, 0, 2]]; x[[0, 1, 0], [2, 2, 2]]; x[x > 0]
concatenate([x, y, x]); concatenate([x, c], 1); stack([x, y]); stack([x, p, x], 2)
"""

RENAMED = [
    ("power(p, x)", "pow(p, x)"),
    ("softplus(x)", "F.softplus(x)"),
    ("sum(x, 0, keepdims=True)", "sum(x, 0, keepdim=True)"),
    ("mean(x, 1, keepdims=True)", "mean(x, 1, keepdim=True)"),
    ("max(x, 1)", "amax(x, 1)"),
    ("min(b, (0, 2), keepdims=True)", "amin(b, (0, 2), keepdim=True)"),
    ("logsumexp(x, keepdims=True)", "logsumexp(x, (0, 1), keepdim=True)"),
    ("var(x)", "var(x, correction=0)"),
    ("var(x, 1, ddof=1)", "var(x, 1)"),
    ("std(x)", "std(x, correction=0)"),
    ("std(b, (0, 2), ddof=1, keepdims=True)", "std(b, (0, 2), keepdim=True)"),
    ("prod(x, 1, keepdims=True)", "prod(x, 1, keepdim=True)"),
    ("cumsum(x)", "cumsum(x.ravel(), 0)"),
    ("flip(b)", "flip(b, (0, 1, 2))"),
    ("transpose(b)", "permute(b, (2, 1, 0))"),
    ("transpose(b, (1, 2, 0))", "permute(b, (1, 2, 0))"),
    ("expand_dims(x, 1)", "unsqueeze(x, 1)"),
    ("pad(x, ((1, 0), (2, 3)))", "F.pad(x, (2, 3, 1, 0))"),
    ("pad(x, 2, constant_values=7)", "F.pad(x, (2, 2, 2, 2), value=7)"),
    ("astype(x, 'float32')", "x.to(torch.float32)"),
    ("getitem(x, 1)", "x[1]"),
    ("x[::-1]", "x.flip(0)"),
    ("add_at(u, [0, 2, 0], (4,))", "zeros(4).double().index_add(0, tensor([0, 2, 0]), u)"),
]


@pytest.mark.parametrize("expression", SAME.replace(";", "\n").strip().splitlines())
def test_expression(expression):
    compare(expression.strip())


@pytest.mark.parametrize(("ours", "theirs"), RENAMED)
def test_expression_that_pytorch_writes_otherwise(ours, theirs):
    compare(ours, theirs)


# Kinks, ties and ends

TIES = [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [-1.0, 0.0, 0.0], [3.0, 1.0, 3.0]]


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        ("relu(x)", None, {"x": [-1, -0.0, 0, 1]}),
        ("maximum(x, 0)", "maximum(x, torch.zeros_like(x))", {"x": [-1, -0.0, 0, 1]}),
        ("abs(x)", None, {"x": [-1, -0.0, 0, 1]}),
        ("sign(x)", None, {"x": [-1, 0, 1]}),
        ("sqrt(x)", None, {"x": [0, 1, inf]}),
        ("sqrt(sum(square(x)))", None, {"x": [0, 0]}),
        ("log(x)", None, {"x": [0, 1e-300, inf]}),
        ("log1p(x)", None, {"x": [-1, 0, 1e-300]}),
        ("exp(x)", None, {"x": [-inf, -800, 800]}),
        ("1 / x", None, {"x": [0, inf]}),
        ("maximum(x, y)", None, {"x": [0, 1, 2, -inf], "y": [0, 1, 1, -inf]}),
        ("minimum(x, y)", None, {"x": [0, 1, 2, inf], "y": [0, 1, 1, inf]}),
        ("max(x)", "amax(x)", {"x": TIES}),
        ("max(x)", None, {"x": TIES}),
        ("max(x, 1)", "amax(x, 1)", {"x": TIES}),
        ("min(x, 0)", "amin(x, 0)", {"x": TIES}),
        ("min(x)", None, {"x": TIES}),
        ("clip(x, 0, 1)", None, {"x": [-1, 0, 0.5, 1, 2]}),
        ("clip(x, 1, 1)", None, {"x": [0, 1, 2]}),
        ("x ** y", None, {"x": [0, 0, 0, 0, 2, -2], "y": [0, 1, 2, 0.5, 0, 2]}),
        ("x ** 0", None, {"x": [0, 1]}),
        ("x ** 1", None, {"x": [0, 1]}),
        ("x ** 2", None, {"x": [0, -1]}),
        ("x ** 0.5", None, {"x": [0, 1]}),
        ("0.0 ** x", None, {"x": [0, 1, 2]}),
        ("prod(x)", None, {"x": [0, 2, 3]}),
        ("prod(x)", None, {"x": [0, 0, 3]}),
        ("prod(x, 1)", None, {"x": [[0, 2, 3], [0, 0, 3], [0, 0, 0], [1, 2, 3]]}),
        ("where(x > 0, x, 0.0)", None, {"x": [-1, 0, 1]}),
        ("where(x > 0, log(x), 0.0)", None, {"x": [0, 1]}),
        ("where(x > 0, inf, x)", None, {"x": [-1, 1]}),
        ("log(where(x > 0, x, 1.0))", None, {"x": [0, 2]}),
        ("logaddexp(x, y)", None, {"x": [1, 1e4, 0], "y": [1, 1e4, -inf]}),
        ("logsumexp(x, 0)", None, {"x": [1e4, 1e4]}),
        ("logsumexp(x, 0)", None, {"x": [-1e4, 0, -inf]}),
        ("softmax(x, 0)", None, {"x": [1e4, 1e4, 0]}),
        ("softmax(x, 0)", None, {"x": [0, -inf]}),
        ("log_softmax(x, 0)", None, {"x": [1e4, -1e4]}),
        ("sigmoid(x)", None, {"x": [-1000, -100, 0, 100, 1000]}),
        ("tanh(x)", None, {"x": [-1000, 0, 1000]}),
        ("softplus(x)", "F.softplus(x)", {"x": [-1000, 0, 1000]}),
    ],
)
def test_kinks_ties_and_ends(ours, theirs, values):
    compare(ours, theirs, **values)


# Losses

M, C = 5, 3
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


@REDUCTIONS
@pytest.mark.parametrize(
    "loss", ["mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"]
)
@pytest.mark.parametrize("shape", [(M,), (M, 1), (M, C)], ids=str)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_binary_losses(loss, reduction, shape, kind):
    p, t = np.random.default_rng(2).uniform(0.01, 0.99, (2, *shape))
    pred = p if loss == "binary_cross_entropy" else np.log(p / (1 - p))
    expression = f"{loss}(x, t, reduction={reduction!r})"
    compare(expression, "F." + expression, x=pred, t=t if kind == "soft" else t > 0.5)


def test_binary_cross_entropy_at_0_and_1():
    # the limit 1e-12 in the derivative is a float32 in PyTorch: 1.000000004e12, not 1e12
    ours = "binary_cross_entropy(p, [0, 1, 0, 1], 'none')"
    theirs = "F.binary_cross_entropy(p, tensor([0.0, 1, 0, 1]).double(), reduction='none')"
    compare(ours, theirs, rtol=1e-8, p=[0, 0, 1, 1])


def test_binary_cross_entropy_with_large_logits():
    expression = "binary_cross_entropy_with_logits(x, t, reduction='none')"
    compare(expression, "F." + expression, x=[1e4, -1e4, 1e4, -1e4, 0], t=[0, 1, 1, 0, 0])


@REDUCTIONS
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.25], [0.0, 1.0, 1.0]], ids=str)
@pytest.mark.parametrize("kind", ["labels", "label", "probabilities", "probabilities of one"])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_cross_entropy(reduction, weight, kind, scale):
    generator = np.random.default_rng(4)
    m = M if kind in ("labels", "probabilities") else ()
    size = (M, C) if m else (C,)
    z = scale * generator.normal(size=size)
    t = (
        generator.integers(1, C, m)
        if "label" in kind
        else generator.dirichlet(np.ones(C), m or None)
    )
    ours, theirs = tg.Tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    own_t = tg.Tensor(t, requires_grad="label" not in kind)
    their_t = torch.tensor(t, requires_grad="label" not in kind)
    w = None if weight is None else torch.tensor(weight).double()
    result = tg.cross_entropy(ours, own_t, weight, reduction)
    reference = F.cross_entropy(theirs, their_t, w, reduction=reduction)
    g = np.random.default_rng(5).normal(size=result.shape)
    result.backward(g)
    reference.backward(torch.from_numpy(np.asarray(g)))
    np.testing.assert_allclose(result.data, reference.detach(), rtol=1e-12)
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)
    if "label" not in kind:
        np.testing.assert_allclose(own_t.grad, their_t.grad, rtol=1e-12, atol=1e-14)


# Optimizers


def torch_steps(name):
    """What test_optim.GOLDEN records: 100 steps of PyTorch's optimizer on the NumPy gradient."""
    kind, options = test_optim.CONFIGURATIONS[name]
    W = torch.tensor(test_optim.W0, requires_grad=True)
    optimizer = getattr(torch.optim, kind)([W], **options)
    for _ in range(test_optim.STEPS):
        W.grad = torch.from_numpy(test_optim.gradient(W.detach().numpy()))
        optimizer.step()
    return W.detach().numpy().ravel()


@pytest.mark.parametrize("name", test_optim.CONFIGURATIONS)
def test_recorded_steps(name):
    np.testing.assert_allclose(test_optim.GOLDEN[name], torch_steps(name), rtol=1e-12)


@pytest.mark.parametrize("name", test_optim.CONFIGURATIONS)
def test_a_network_trained_100_steps(name):
    kind, options = test_optim.CONFIGURATIONS[name]
    generator = np.random.default_rng(6)
    X, labels = generator.normal(size=(20, 4)), generator.integers(0, C, 20)
    model = tg.nn.Sequential(
        tg.nn.Dense(4, 6, activation="tanh", rng=generator), tg.nn.Dense(6, C, rng=generator)
    )
    copy = [torch.tensor(p.data, requires_grad=True) for p in model.parameters()]
    W1, b1, W2, b2 = copy
    ours = getattr(tg.optim, kind)(model.parameters(), **options)
    theirs = getattr(torch.optim, kind)(copy, **options)
    for _ in range(100):
        ours.zero_grad()
        tg.cross_entropy(model(X), labels).backward()
        ours.step()
        theirs.zero_grad()
        z = torch.tanh(torch.from_numpy(X) @ W1 + b1) @ W2 + b2
        F.cross_entropy(z, torch.from_numpy(labels)).backward()
        theirs.step()
    for p, q in zip(model.parameters(), copy, strict=True):
        np.testing.assert_allclose(p.data, q.detach(), rtol=1e-12, atol=1e-13)
