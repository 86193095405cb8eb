"""check_backward on the habits of courses and forums: where gradients are, what is mistaken."""

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.check.test_check_kinds import X, assert_corrected, assert_found, check, parsed
from tests.helpers import defined, line, normal

KEEP = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]], dtype=float)[:, :, None]

# Programs with their inputs and mistakes: right => wrong | words of the diagnosis, or "=" if the
# correction has to be the right line
TEXT = """
### states that start as zeros, multiplied by their method, and a mask | \
dict(xs=normal(3, 4, 2), keep=KEEP, **arrays(P=(2, 5), R=(5, 5)))
def forward(xs, keep, P, R):
    s, states = np.zeros((xs.shape[1], R.shape[0])), []
    for t in range(len(xs)):
        new = np.sin(xs[t].dot(P) + s.dot(R))
        states.append((s, new, keep[t]))
        s = keep[t] * new + (1 - keep[t]) * s
    return 0.5 * np.sum(s * s), states, s
def backward(xs, P, R, states, s):
    dP, dR, ds = np.zeros_like(P), np.zeros_like(R), s.copy()
    for t in reversed(range(len(xs))):
        before, new, k = states[t]
        da = k * ds * np.cos(xs[t].dot(P) + before.dot(R))
        dP += xs[t].T.dot(da)
        dR += before.T.dot(da)
        ds = da.dot(R.T) + (1 - k) * ds
    return dP, dR
da = k * ds * => da = ds * | the factor k is missing
+ (1 - k) * ds => + ds | 1 - k
before.T.dot => new.T.dot | new is used where before belongs
### a penalty on all but the first row | dict(X=X, y=normal(7), w=normal(3), lam=0.6)
def forward(X, y, w, lam):
    r = X @ w - y
    return 0.5 * np.sum(r ** 2) + 0.5 * lam * np.sum(w[1:] ** 2)
def backward(X, y, w, lam, r):
    dw = X.T @ r
    dw[1:] += lam * w[1:]
    return dw
dw[1:] += lam * w[1:] => dw += lam * w | dw[1:] alone
### what a helper is told by a word | GIVEN
def act(z, kind):
    return np.tanh(z) if kind == "tanh" else np.maximum(z, 0)
def slope(z, kind):
    if kind == "tanh":
        return 1 - np.tanh(z) ** 2
    return z > 0
def forward(X, T, V, a, U):
    S = X @ V + a
    H = act(S, "relu")
    return 0.5 * np.sum((H @ U - T) ** 2)
def backward(X, T, V, a, U, S, H):
    e = H @ U - T
    dS = e @ U.T * slope(S, "relu")
    return X.T @ dS, dS.sum(axis=0), H.T @ e
slope(S, "relu") => slope(S, "tanh") | 'tanh' is used where 'relu' belongs
### sums over samples in comprehensions | dict(xs=list(X), ts=[1.0, -2, 0.5, 3, 1, 0, 2], \
ws=[normal(3), normal(3, seed=4)])
def forward(xs, ts, ws):
    return sum(0.5 * ((ws[0] + ws[1] * x) @ x - t) ** 2 for x, t in zip(xs, ts))
def backward(xs, ts, ws):
    grads = [np.zeros(w.shape) for w in ws]
    for x, t in zip(xs, ts):
        e = (ws[0] + ws[1] * x) @ x - t
        parts = [e * x, e * x * x]
        grads = [g + part for g, part in zip(grads, parts)]
    return grads
[g + part for => [part for | the term g is missing
### axes that are moved before they are joined | dict(x=normal(2, 3, 4), W=normal(3, 5))
def forward(x, W):
    rows = x.transpose(0, 2, 1).reshape(-1, 3)
    out = np.cos(rows @ W).reshape(2, 4, 5).transpose(0, 2, 1)
    return np.sum(out * out * np.arange(1, 6)[:, None]), rows, out
def backward(x, W, cache):
    rows, out = cache
    dout = 2 * out * np.arange(1, 6)[:, None]
    flat = dout.transpose(0, 2, 1).reshape(-1, 5)
    dz = -np.sin(rows @ W) * flat
    return {"dW": rows.T @ dz}
dout.transpose(0, 2, 1).reshape => dout.reshape | the axes of dout
### a margin that is cut off | dict(x=normal(2, 6), k=normal(3))
def forward(x, k):
    wide = np.pad(x, ((0, 0), (1, 1)))
    return np.sum((wide[:, :-2] * k[0] + wide[:, 1:-1] * k[1] + wide[:, 2:] * k[2]) ** 3) / 3, wide
def backward(x, k, wide):
    y = wide[:, :-2] * k[0] + wide[:, 1:-1] * k[1] + wide[:, 2:] * k[2]
    dy = y * y
    dwide = np.zeros_like(wide)
    dwide[:, :-2] += dy * k[0]
    dwide[:, 1:-1] += dy * k[1]
    dwide[:, 2:] += dy * k[2]
    dx = dwide[:, 1:-1]
    return dx, np.array([np.sum(dy * wide[:, i:i + 6]) for i in range(3)])
dx = dwide[:, 1:-1] => dx = dwide[:, :6] | at both
### a softmax between two layers | dict(X=X, T=normal(7, 4), **arrays(A=(3, 4)))
def forward(X, T, A):
    e = np.exp(X @ A)
    p = e / e.sum(axis=1, keepdims=True)
    return 0.5 * np.sum((p - T) ** 2)
def backward(X, T, p):
    dp = p - T
    dz = p * (dp - np.sum(p * dp, axis=1, keepdims=True))
    return X.T @ dz
p * (dp - np.sum(p * dp, axis=1, keepdims=True)) => p * (1 - p) * dp | p is a softmax
### loops over samples and classes | dict(X=X, y=np.array([2, 0, 1, 1, 0, 2, 2]), W=normal(3, 3))
def forward(X, y, W):
    s = X @ W
    return np.sum(np.log(np.sum(np.exp(s), axis=1)) - s[np.arange(len(X)), y]) / len(X)
def backward(X, y, W):
    dW = np.zeros(W.shape)
    for i in range(len(X)):
        e = np.exp(X[i] @ W)
        for k in range(W.shape[1]):
            p = e[k] / np.sum(e)
            if k == y[i]:
                dW[:, k] += (p - 1) * X[i]
            else:
                dW[:, k] += p * X[i]
    return dW / len(X)
if k == y[i] => if k == y[k] | k is used where i belongs
(p - 1) * X[i] => -X[i] | the factor 1 - p is missing
### an error that points downhill, added to the weights | \
dict(x=X, wanted=normal(7, 1), **arrays(w0=(3, 4), w1=(4, 1)))
def forward(x, wanted, w0, w1):
    return 0.5 * np.sum((wanted - np.tanh(x @ w0) @ w1) ** 2)
def train(x, wanted, w0, w1):
    hidden = np.tanh(x @ w0)
    error = wanted - hidden @ w1
    hidden_error = error @ w1.T
    hidden_delta = hidden_error * (1 - hidden ** 2)
    w1 += hidden.T @ error
    w0 += x.T @ hidden_delta
w0 += => w0 -= | =
### what is computed and not used | GIVEN
def forward(X, T, V, a, U):
    S = X @ V + a
    H = np.log(1 + np.exp(S))
    return 0.5 * np.sum((H @ U - T) ** 2) + 0.1 * np.sum(V * V)
def backward(X, T, V, a, U, S, H):
    e = H @ U - T
    dH = e @ U.T
    dS = dH / (1 + np.exp(-S))
    penalty = 0.2 * V
    dV = X.T @ dS
    da = dS.sum(axis=0)
    return dV + penalty, da, H.T @ e
X.T @ dS => X.T @ dH | dH is used where dS belongs
### a derivative that is given the value itself | \
dict(X=X, y=normal(7, 1), **arrays(A=(3, 4), B=(4, 1)))
def squash(x):
    return 1 / (1 + np.exp(-x))
def slope(out):
    return out * (1 - out)
def forward(X, y, A, B):
    h = squash(X @ A)
    return np.sum((squash(h @ B) - y) ** 2) / 2
def backward(X, y, A, B, h):
    q = squash(h @ B)
    dq = (q - y) * slope(q)
    dh = dq @ B.T * slope(h)
    return X.T @ dh, h.T @ dq
out * (1 - out) => squash(out) * (1 - squash(out)) | squash is applied to out once more
"""
PROGRAMS, MISTAKES = parsed(TEXT, KEEP=KEEP)


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_right_program_is_ok(title):
    source, given = PROGRAMS[title]
    report = check(source, **given)
    data = {"xs", "keep", "X", "x", "y", "t", "ts", "T", "lam", "wanted"}
    assert report.ok and {n.partition("[")[0] for n in report.left_out} <= data, str(report)


@pytest.mark.parametrize("title", MISTAKES)
def test_a_mistake_is_placed_explained_and_corrected(title):
    assert_corrected(PROGRAMS, *MISTAKES[title])


class Traced(np.ndarray):
    """An array with a gradient in g."""


class Affine:
    """Gradients are attributes of the arrays themselves."""

    def __init__(self):
        self.w, self.c = normal(3, 2).view(Traced), normal(2).view(Traced)

    def loss(self, x, t):
        self.x, self.e = x, x @ np.asarray(self.w) + np.asarray(self.c) - t
        return float(0.5 * np.sum(self.e**2))

    def backward(self):
        self.w.g = self.x.T @ self.e
        self.c.g = self.e.sum(axis=0)

    def wrong(self):
        self.w.g = self.x.T @ self.e
        self.c.g = self.e.mean(axis=0)


def test_gradients_that_are_attributes_of_arrays():
    model, given = Affine(), {"x": X, "t": normal(7, 2)}
    tg.check_backward(model.loss, model.backward, **given).assert_ok()
    report = tg.check_backward(model.loss, model.wrong, **given)
    assert_found(report, line(Affine.wrong, "self.c.g"))


class Part:
    def __init__(self, w):
        self.params, self.grads = {"w": w}, {}

    def forward(self, x):
        self.x = x
        return x @ self.params["w"]

    def backward(self, g):
        self.grads["w"] = self.x.T @ g
        return g @ self.params["w"].T


class Chain:
    """Every layer has a dict of parameters and one of gradients."""

    def __init__(self):
        self.parts = [Part(normal(3, 4)), Part(normal(4, 2))]

    def loss(self, x, t):
        for part in self.parts:
            x = part.forward(x)
        self.e = x - t
        return 0.5 * np.sum(self.e**2)

    def backward(self):
        g = self.e
        for part in reversed(self.parts):
            g = part.backward(g)

    def wrong(self):
        first, last = self.parts
        first.backward(last.backward(self.e))
        first.grads["w"] *= 3


def test_a_dict_of_gradients_beside_a_dict_of_parameters():
    model, given = Chain(), {"x": X, "t": normal(7, 2)}
    report = tg.check_backward(model.loss, model.backward, **given)
    assert report.ok and not report.missing, str(report)
    report = tg.check_backward(model.loss, model.wrong, **given)
    assert_found(report, line(Chain.wrong, "*= 3"))


class Neuron:
    """Parameters that are plain numbers."""

    def __init__(self):
        self.w1, self.w2, self.b, self.rate = 0.4, -0.7, 0.2, 0.05

    def loss(self, x, t):
        return (np.tanh(self.w1 * x[0] + self.w2 * x[1] + self.b) - t) ** 2

    def train(self, x, t):
        s = self.w1 * x[0] + self.w2 * x[1] + self.b
        out = np.tanh(s)
        d_out = 2 * (out - t)
        d_w1 = x[0] * (1 - out**2)
        d_w2 = x[1] * (1 - out**2)
        self.w1 -= self.rate * d_out * d_w1
        self.w2 -= self.rate * d_out * d_w2
        self.b -= self.rate * d_out * (1 - out**2)

    def wrong(self, x, t):
        s = self.w1 * x[0] + self.w2 * x[1] + self.b
        out = np.tanh(s)
        d_out = 2 * (out - t)
        d_w1 = x[0] * (1 - out**2)
        d_w2 = x[1] * (1 - s**2)
        self.w1 -= self.rate * d_out * d_w1
        self.w2 -= self.rate * d_out * d_w2
        self.b -= self.rate * d_out * (1 - out**2)


def test_parameters_that_are_numbers():
    neuron, given = Neuron(), {"x": np.array([0.8, -1.1]), "t": 0.3}
    report = tg.check_backward(neuron.loss, neuron.train, **given)
    assert report.ok and report.left_out == ["x", "t"], str(report)
    report = tg.check_backward(neuron.loss, neuron.wrong, **given)
    assert_found(report, line(Neuron.wrong, "s**2"), "s is used where out belongs")


def test_a_number_beside_a_dict_of_parameters_is_a_setting():
    def loss(p, x, strength):
        return 0.5 * np.sum((x @ p["u"]) ** 2) + 0.5 * strength * np.sum(p["u"] ** 2)

    def gradients(p, x, strength):
        return {"u": x.T @ (x @ p["u"]) + strength * p["u"]}

    report = tg.check_backward(loss, gradients, p={"u": normal(3, 2)}, x=X, strength=0.4)
    assert report.ok and report.left_out == ["x", "strength"], str(report)


def test_a_gradient_that_is_nothing_but_rounding():
    """A shift before the mean is taken away has the gradient 0."""

    def forward(x, t, w, b):
        z = x @ w + np.ones((len(x), 1)) @ b.T
        c = z - z.mean(axis=0)
        return np.sum((c - t) ** 3)

    def backward(x, t, c):
        dc = 3 * (c - t) ** 2
        dz = dc - dc.mean(axis=0)
        return {"w": x.T @ dz, "b": dz.T @ np.ones((len(x), 1))}

    given = {"x": X, "t": normal(7, 2), "w": normal(3, 2), "b": normal(2, 1)}
    tg.check_backward(forward, backward, **given).assert_ok()

    def wrong(x, t, c):
        grads = backward(x, t, c)
        return {"w": grads["w"], "b": grads["b"] + 1e-9}

    report = tg.check_backward(forward, wrong, **given)
    assert report.first and report.first.name == "b", str(report)


gain, shift = normal(3), normal(3, seed=1)


def test_the_order_of_global_parameters_is_free():
    def in_order(x, t):
        e = x * gain + shift - t
        return 0.5 * np.sum(e**2), (x * e).sum(axis=0), e.sum(axis=0)

    def reversed_order(x, t):
        e = x * gain + shift - t
        dshift, dgain = e.sum(axis=0), (x * e).sum(axis=0)
        return 0.5 * np.sum(e**2), dshift, dgain

    for function in (in_order, reversed_order):
        tg.check_backward(function, x=X, t=normal(7, 3)).assert_ok()


WIDTHS = normal(3) ** 2 + 0.5


# A loss, a right backward pass that forgets one gradient, its inputs, and what is missing
FORGOTTEN = """
### what is in a dict, as long as the batch | dict(p=dict(enc_Wx=normal(4, 5), out=normal(5, 3)), \
source=normal(4, 4), targets=normal(4, 3)) | enc_Wx
def loss(p, source, targets):
    return 0.5 * np.sum((np.tanh(source @ p["enc_Wx"]) @ p["out"] - targets) ** 2)
def gradients(p, source, targets):
    h = np.tanh(source @ p["enc_Wx"])
    return {"out": h.T @ (h @ p["out"] - targets)}
### an argument beside a dict | dict(p=dict(u=normal(3, 2)), x=X, t=normal(7, 2), \\
gain=normal(2)) | gain
def loss(p, x, t, gain):
    return 0.5 * np.sum((x @ p["u"] * gain - t) ** 2)
def gradients(p, x, t, gain):
    return {"u": x.T @ ((x @ p["u"] * gain - t) * gain)}
### an argument beside a global constant | dict(theta=normal(3, 2), shift=normal(2), x=X, \
t=normal(7, 2)) | shift
def loss(theta, shift, x, t):
    return 0.5 * np.sum((x / WIDTHS @ theta + shift - t) ** 2)
def gradients(theta, shift, x, t):
    s = x / WIDTHS
    return {"theta": s.T @ (s @ theta + shift - t)}
### an element of a list beside a global constant | dict(ws=[normal(3, 4), normal(4, 2)], x=X, \
t=normal(7, 2)) | ws[0]
def loss(ws, x, t):
    return 0.5 * np.sum((np.tanh(x / WIDTHS @ ws[0]) @ ws[1] - t) ** 2)
def gradients(ws, x, t):
    h = np.tanh(x / WIDTHS @ ws[0])
    dws = [None, h.T @ (h @ ws[1] - t)]
    return dws
"""


@pytest.mark.parametrize("text", FORGOTTEN.split("### ")[1:])
def test_a_forgotten_gradient_is_missing(text):
    head, *source = text.replace("\\\n", "").splitlines()
    _, given, missing = head.split(" | ")
    functions = defined("\n".join(source))
    loss, gradients = functions
    loss.__globals__["WIDTHS"] = WIDTHS
    report = tg.check_backward(loss, gradients, **eval(given))
    assert not report.ok and missing in report.missing, str(report)


def test_a_layer_that_returns_no_gradient_of_its_input():
    def forward(a_in, W):
        return np.tanh(a_in @ W)

    def backward(dout, a_in, W):
        dz = dout * (1 - np.tanh(a_in @ W) ** 2)
        return {"W": a_in.T @ dz}

    report = tg.check_backward(forward, backward, a_in=X, W=normal(3, 4))
    assert not report.ok and report.missing == ["a_in"], str(report)


def test_new_weights_are_no_gradients_of_that_name():
    def loss(W, b, x, t):
        return 0.5 * np.sum((x @ W + b - t) ** 2)

    def step(W, b, x, t):
        e = x @ W + b - t
        delta_W, delta_b = -0.1 * x.T @ e, -0.1 * e.sum(axis=0)
        return W + delta_W, b + delta_b

    given = {"W": normal(3, 2), "b": normal(2), "x": X, "t": normal(7, 2)}
    tg.check_backward(loss, step, **given).assert_ok()


class Graph:
    """An object with a dot of its own."""

    def __init__(self, matrix):
        self.matrix = matrix

    def dot(self, other):
        return self.matrix @ other


def test_a_dot_of_the_learners_own_is_left_alone():
    graph = Graph(normal(4, 4))

    def loss(W, x):
        h = graph.dot(x @ W)
        return 0.5 * np.sum(h * h)

    def gradients(W, x):
        dh = graph.dot(x @ W)
        return {"W": x.T @ (graph.matrix.T @ dh)}

    report = tg.check_backward(loss, gradients, W=normal(3, 2), x=normal(4, 3), wrt="W")
    assert report.ok and "could not be marked" not in str(report), str(report)
