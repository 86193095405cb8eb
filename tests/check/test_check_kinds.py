"""check_backward on kinds of failure that were found on programs of others: a program for each."""

import ast

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.helpers import defined, line, normal

X, T, BITS = normal(7, 3), normal(7, 2), np.array([[1.0, 0, 0, 1, 1, 0, 1]]).T


def arrays(**shapes):
    return {name: normal(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}


def check(source, **given):
    functions = list(defined(source))
    functions[0].__globals__.update({f.__name__: f for f in functions})
    return tg.check_backward(*functions[-2:], **given)


def same(code, other):
    return ast.dump(ast.parse(code)) == ast.dump(ast.parse(other))


def assert_found(report, at, says=""):
    assert not report.ok and report.first is not None, str(report)
    assert report.first.line == at, str(report)
    assert says in report.first.diagnosis, str(report)
    assert not any(noise in str(report) for noise in ("or it is", "--", "- 1 + 1")), str(report)


def assert_marked(source, right, wrong, says, **given):
    assert source.count(right) == 1, right
    rows, at = source.replace(right, wrong).splitlines(), source[: source.index(right)].count("\n")
    report = check("\n".join(rows), **given)
    assert_found(report, at + 1, says)
    around = [row[4 : row.index("(")] for row in rows if row.startswith("def ")]
    within = [row[4 : row.index("(")] for row in rows[:at] if row.startswith("def ")][-1]
    assert report.first.function == (within if within != around[-1] else ""), str(report)
    assert report.first.diagnosis not in ("", "unknown"), str(report)
    assert report.first.correction, f"should be {source.splitlines()[at].strip()}\n{report}"
    indent = rows[at][: len(rows[at]) - len(rows[at].lstrip())]
    rows[at] = indent + report.first.correction
    assert check("\n".join(rows), **given).ok, str(report)
    return report


def assert_corrected(programs, title, right, wrong, says):
    source, given = programs[title]
    report = assert_marked(source, right, wrong, "" if says == "=" else says, **given)
    if says == "=":
        rows = source.splitlines()
        assert same(report.first.correction, rows[report.first.line - 1].strip()), str(report)


SOFTPLUS = """
def forward(X, T, V, a, U):
    S = X @ V + a
    H = np.log(1 + np.exp(S))
    out = H @ U
    return 0.5 * np.sum((out - T) ** 2) / len(X)
def backward(X, T, V, a, U, S, H, out):
    err = (out - T) / len(X)
    back = err @ U.T / (1 + np.exp(-S))
"""
GIVEN = {"X": X, "T": T, **arrays(V=(3, 5), a=(5,), U=(5, 2))}
COUNTS = {"X": X, "y": np.array([0.0, 2, 1, 4, 0, 3, 1]), "w": normal(3) / 2, "c": 0.1}

# Right programs, each with its inputs and mistakes: right => wrong | words of the diagnosis, or "="
# if the correction has to be the right line

TEXT = """
### updates | dict(X=X, T=T, **arrays(W=(3, 2), c=(2,)))
def forward(X, T, W, c):
    return np.mean(np.sqrt(1 + (X @ W + c - T) ** 2))
def step(X, T, W, c):
    n, off = len(X), X @ W + c - T
    g = off / np.sqrt(1 + off**2) / T.size
    c -= 0.1 * g.sum(axis=0)
    W -= 0.1 * X.T @ g
W -= 0.1 => W += 0.1 | =
X.T @ g => X.T @ g / n | =
### one returned with the wrong sign | GIVEN
SOFTPLUS
    dU = H.T @ err
    return X.T @ back, back.sum(axis=0), dU
, back => , -back | =
dU = H.T => dU = -H.T | =
### errors and deltas that point downhill | \
dict(data=X, wanted=BITS, **arrays(w0=(3, 4), w1=(4, 1)))
def forward(data, wanted, w0, w1):
    inner = 1 / (1 + np.exp(-(data @ w0)))
    outer = 1 / (1 + np.exp(-(inner @ w1)))
    return np.sum((wanted - outer) ** 2) / 2
def backward(data, wanted, w1, inner, outer):
    outer_error = wanted - outer
    outer_delta = outer_error * outer * (1 - outer)
    inner_error = outer_delta @ w1.T
    inner_delta = inner_error * inner * (1 - inner)
    return -(data.T @ inner_delta), -(inner.T @ outer_delta)
inner * (1 - inner) => (1 - inner) | inner
### deltas numbered by layers, not by weights | \
dict(x=X, labels=np.array([0, 3, 1, 2, 2, 0, 1]), **arrays(K1=(3, 5), K2=(5, 6), K3=(6, 4)))
def forward(x, labels, K1, K2, K3):
    z1 = x @ K1
    u1 = np.sin(z1)
    z2 = u1 @ K2
    u2 = np.sin(z2)
    z3 = u2 @ K3
    return np.sum(np.log(np.sum(np.exp(z3), axis=1)) - z3[np.arange(len(x)), labels])
def backward(x, labels, K2, K3, z1, z2, z3, u1, u2):
    delta4 = np.exp(z3) / np.sum(np.exp(z3), axis=1, keepdims=True)
    delta4[np.arange(len(x)), labels] -= 1
    delta3 = delta4 @ K3.T * np.cos(z2)
    delta2 = delta3 @ K2.T * np.cos(z1)
    return {"K1": x.T @ delta2, "K2": u1.T @ delta3, "K3": u2.T @ delta4}
np.cos(z1) => np.cos(u1) | u1 is used where z1
### a delta that is an update with momentum | GIVEN
SOFTPLUS
    rate, beta = 0.2, 0.9
    dU, dV, da = H.T @ err, X.T @ back, back.sum(axis=0)
    delta_U, delta_V, delta_a = (beta * 0 * g - rate * g for g in (dU, dV, da))
    U += delta_U
    V += delta_V
    a += delta_a
### local derivatives and unsummed values named as gradients | GIVEN
SOFTPLUS
    dU = H.T @ err
    dH = 1 / (1 + np.exp(-S))
    da = err @ U.T * dH
    dV = X.T @ da
    da = da.sum(axis=0)
    return dV, da, dU
### a name of the family | dict(X=X, T=T, **arrays(K1=(3, 5), K2=(5, 2)))
def forward(X, T, K1, K2):
    A1 = np.cos(X @ K1)
    return np.mean((A1 @ K2 - T) ** 2)
def backward(X, T, K1, K2, A1):
    g = 2 * (A1 @ K2 - T) / T.size
    dK2 = A1.T @ g
    dK = X.T @ (g @ K2.T * -np.sin(X @ K1))
    return dK, dK2
### a loop over samples | \
{"X": X, "y": np.where(BITS[:, 0] > 0, 1.0, -1.0), "w": normal(3), "c": 0.2}
def forward(X, y, w, c):
    total = 0
    for i in range(len(X)):
        total += np.log(1 + np.exp(-y[i] * (np.dot(X[i], w) + c)))
    return total / len(X)
def backward(X, y, w, c):
    n = len(X)
    dw, dc = np.zeros(len(w)), 0
    for i in range(n):
        margin = y[i] * (np.dot(X[i], w) + c)
        pull = -y[i] / (1 + np.exp(margin))
        dw += pull * X[i]
        dc += pull
    return dw / n, dc / n
dw += pull => dw = pull
dc += pull => dc -= pull | sign
pull = -y => pull = y | sign
dw / n => dw | not divided
### a term that is not divided | arrays(x=(4, 6), dout=(4, 6))
def forward(x, dout):
    centre = x.mean(axis=1, keepdims=True)
    spread = x.var(axis=1, keepdims=True)
    z = (x - centre) / np.sqrt(spread + 1e-3)
    return np.sum(z * dout), (x, centre, spread)
def backward(dout, cache):
    x, centre, spread = cache
    D = x.shape[1]
    r = (spread + 1e-3) ** -0.5
    by_spread = np.sum(dout * (x - centre), axis=1, keepdims=True) * -0.5 * r**3
    by_centre = -r * np.sum(dout, axis=1, keepdims=True)
    dx = dout * r + by_spread * 2 / D * (x - centre) + by_centre / D
    return dx
by_centre / D => by_centre | =
### a delta without a name | dict(X=X, Y=BITS, **arrays(R=(3, 4), Q=(4, 1)))
def forward(X, Y, R, Q):
    h = np.tanh(X @ R)
    q = 1 / (1 + np.exp(-(h @ Q)))
    return -np.mean(Y * np.log(q) + (1 - Y) * np.log(1 - q))
def backward(X, Y, Q, h, q):
    e2 = (q - Y)
    e1 = e2 @ Q.T * (1 - h**2)
    R_grad = X.T @ e1 / len(X)
    Q_grad = h.T @ e2 / len(X)
    return R_grad, Q_grad
(1 - h**2) => (1 - h)
### a loop over layers with a list that grows in front | \
{"X": X, "T": T, "ws": [normal(3, 4), normal(4, 5), normal(5, 2)]}
def forward(X, T, ws):
    a, outs = X, [X]
    for w in ws:
        a = a @ w
        a = a / (1 + np.exp(-a))
        outs.append(a)
    return np.mean((a - T) ** 2)
def backward(X, T, ws, outs):
    dws = []
    da = 2 * (outs[-1] - T) / T.size
    for k in reversed(range(len(ws))):
        z = outs[k] @ ws[k]
        s = 1 / (1 + np.exp(-z))
        dz = da * (s + z * s * (1 - s))
        dws.insert(0, outs[k].T @ dz)
        da = dz @ ws[k].T
    return dws
s + z * s => z * s
s + z * s => s + s
outs[k].T @ dz => outs[k].T @ da
outs[k].T @ dz => outs[k].T @ dz / len(T)
dz @ ws[k].T => da @ ws[k].T
/ T.size => / len(T)
(outs[-1] - T) => (T - outs[-1])
### a penalty that is added after the samples | {"X": X, "y": normal(len(X)), "w": normal(3)}
def forward(X, y, w):
    total = 0.0
    for i in range(len(X)):
        total += (np.dot(X[i], w) - y[i]) ** 2 / len(X)
    return total + 0.3 * np.sum(w**2) + np.sum(np.cos(w))
def backward(X, y, w):
    g = np.zeros_like(w)
    for i in range(len(X)):
        e = 2 * (np.dot(X[i], w) - y[i]) / len(X)
        g += e * X[i]
    g -= np.sin(w)
    g += 0.6 * w
    return g
g += e * X[i] => g += e * np.roll(X[i], 1)
np.sin(w) => np.cos(w)
0.6 * w => 0.6 * X[0]
### values that are converted to arrays | {"X": X, "T": T, "W": normal(3, 2)}
def forward(X, T, W):
    scores = np.asarray(X @ W, dtype=float)
    waves = np.array([np.sin(scores[:, 0]), np.sin(scores[:, 1])]).T
    return np.mean((waves - T) ** 2), (scores, waves)
def backward(X, T, cache):
    scores, waves = cache
    dwaves = 2 * (waves - T) / T.size
    dscores = dwaves * np.cos(scores)
    dW = X.T @ dscores
    return dW
(waves - T) / T.size => (waves - T) / len(T) | T.size
dwaves * np.cos(scores) => np.cos(scores) | dwaves
X.T @ dscores => X.T @ dwaves | dwaves is used where dscores belongs
### samples that are read as indices | \
{"x": normal(7, 4) * np.tile(BITS, 4), "y": normal(7), "w": normal(4), "c": 0.4}
def forward(x, y, w, c):
    total = 0.0
    for row, label in zip(x, y):
        active = np.nonzero(row)[0]
        total += (np.sum(w[active] * row[active]) + c * len(active) - label) ** 2
    return total / len(y)
def backward(x, y, w, c):
    dw, dc = np.zeros_like(w), 0.0
    for row, label in zip(x, y):
        active = np.nonzero(row)[0]
        e = np.sum(w[active] * row[active]) + c * len(active) - label
        de = 2 * e / len(y)
        dw[active] += de * row[active]
        dc += de * len(active)
    return dw, dc
de * row[active] => de * w[active] | w
dc += de * len(active) => dc = de * len(active) | =
### a loss of which all gradients are multiples | COUNTS
def forward(X, y, w, c):
    rate = np.exp(X @ w + c)
    return np.mean(rate - y * np.log(rate)), (rate, w)
def backward(X, y, cache):
    rate, w = cache
    n = len(y)
    g = (rate - y) / n
    dw = X.T @ g
    dc = g.sum()
    return {"dw": dw, "dc": dc}
g = (rate - y) / n => g = rate - y | not divided by the number of samples
X.T @ g => 1 * X.T @ g * 5 | factor 5
### another value is used | \
dict(X=X, T=T, keep=1.5 * (normal(7, 5) > -0.5), **arrays(A1=(3, 5), c1=(5,), A2=(5, 2)))
def forward(X, T, A1, c1, keep, A2):
    pre = X @ A1 + c1
    act = np.maximum(0.1 * pre, pre)
    kept = act * keep
    out = kept @ A2
    return np.sum((out - T) ** 2)
def backward(X, T, A1, keep, A2, pre, act, kept, out):
    dout = 2 * (out - T)
    dA2 = kept.T @ dout
    dkept = dout @ A2.T
    dact = dkept * keep
    dpre = dact * np.where(pre > 0, 1, 0.1)
    dA1 = X.T @ dpre
    dc1 = dpre.sum(axis=0)
    return dA1, dc1, dA2
dact = dkept * keep => dact = dkept | keep
X.T @ dpre => X.T @ dact | dact is used where dpre belongs
dpre.sum(axis=0) => dact.sum(axis=0) | dact is used where dpre belongs
(pre > 0 => (dact > 0 | dact is used where pre belongs
kept.T @ => act.T @ | act is used where kept belongs
dact * np.where => dkept * np.where | dkept is used where dact belongs
2 * (out - T) => out - T | 2
### a recurrent loop in reverse | arrays(xs=(4, 2), P=(3, 2), R=(3, 3), s0=(3,))
def forward(xs, P, R, s0):
    s, states, loss = s0, [s0], 0
    for t in range(len(xs)):
        s = np.tanh(P @ xs[t] + R @ s)
        states.append(s)
        loss = loss + (t + 1) / 2 * np.sum(s * s)
    return loss
def backward(xs, P, R, s0, states):
    dP, dR, ds = np.zeros_like(P), np.zeros_like(R), np.zeros_like(s0)
    for t in reversed(range(len(xs))):
        ds = ds + (t + 1) * states[t + 1]
        du = ds * (1 - states[t + 1] ** 2)
        dP += np.outer(du, xs[t])
        dR += np.outer(du, states[t])
        ds = R.T @ du
    ds0 = ds
    return dP, dR, ds0
R.T @ du => R @ du
np.outer(du, states[t]) => np.outer(du, states[t + 1])
dP += np.outer => dP = np.outer
states[t + 1] ** 2 => states[t] ** 2
ds = ds + (t + 1) => ds = (t + 1)
### probabilities that stand for logits | \
dict(x=X, t=np.eye(4)[[0, 3, 1, 2, 2, 0, 1]], **arrays(M=(3, 4), c=(4,)))
def forward(x, t, M, c):
    logits = x @ M + c
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.mean(np.sum(t * np.log(p), axis=1))
def backward(x, t, p):
    dp = (p - t) / len(x)
    return {"M": x.T @ dp, "c": dp.sum(axis=0)}
(p - t) / len(x) => p - t | not divided by the number of samples
### zeros filled in parts by a helper | arrays(x=(5, 6), s=(6,), dout=(5, 3))
def pooled(x):
    out = np.zeros((len(x), x.shape[1] // 2))
    for j in range(out.shape[1]):
        out[:, j] = x[:, 2 * j : 2 * j + 2].max(axis=1)
    return out
def forward(x, s, dout):
    return np.sum(pooled(x * s) * dout)
def backward(x, s, dout):
    dmul = np.zeros_like(x)
    for j in range(dout.shape[1]):
        window = (x * s)[:, 2 * j : 2 * j + 2]
        first = window == window.max(axis=1, keepdims=True)
        dmul[:, 2 * j : 2 * j + 2] = first * dout[:, j : j + 1]
    return dmul * s, np.sum(dmul * x, axis=0)
return dmul * s => return dmul * x | x is used where s belongs
### a helper of forward that writes by a mask | arrays(x=(7, 3), dout=(7, 3))
def leaky(x):
    out = x.copy()
    out[out < 0] *= 0.1
    return out, x
def forward(x, dout):
    out, cache = leaky(x)
    return np.sum(out * dout), cache
def backward(dout, cache):
    dx = np.where(cache < 0, 0.1, 1.0) * dout
    return dx
(cache < 0 => (dout < 0 | dout is used where cache belongs
### a helper of backward | dict(X=X, T=T, **arrays(w1=(3, 4), c1=(4,), w2=(4, 2), c2=(2,)))
def unit_backward(g, x, w):
    gw = x.T @ g
    gc = g.sum(axis=0)
    return g @ w.T, gw, gc
def forward(X, T, w1, c1, w2, c2):
    h = np.exp(-((X @ w1 + c1) ** 2))
    e = h @ w2 + c2 - T
    return np.sum(e**2)
def backward(X, w1, c1, w2, h, e):
    dh, dw2, dc2 = unit_backward(2 * e, h, w2)
    dpre = dh * h * -2 * (X @ w1 + c1)
    _, dw1, dc1 = unit_backward(dpre, X, w1)
    return dw1, dc1, dw2, dc2
g.sum(axis=0) => g.mean(axis=0) | divided once too often by 7
gw = x.T @ g => gw = -x.T @ g | =
### a gradient that is reshaped twice | arrays(img=(2, 3, 5), scale=(3,), dout=(2, 3, 5))
def rows_backward(g, scale):
    d = g * scale
    return d
def forward(img, scale, dout):
    rows = img.transpose(0, 2, 1).reshape(-1, img.shape[1])
    out = (rows * scale).reshape(2, 5, 3).transpose(0, 2, 1)
    return np.sum(out * dout)
def backward(img, scale, dout):
    g = dout.transpose(0, 2, 1).reshape(-1, img.shape[1])
    dscale = np.sum(g * img.transpose(0, 2, 1).reshape(-1, 3), axis=0)
    dimg = rows_backward(g, scale)
    dimg = dimg.reshape(2, 5, 3)
    dimg = dimg.transpose(0, 2, 1)
    return dimg, dscale
d = g * scale => d = 4 * g * scale | =
### a layer with a made-up upstream gradient | arrays(x=(7, 3), w=(3, 3), c=(3,))
def layer(x, w, c):
    gate = 1 / (1 + np.exp(-(x @ w + c)))
    return gate * x
def layer_backward(dout, x, w, gate):
    dgate = dout * x * gate * (1 - gate)
    return dout * gate + dgate @ w.T, x.T @ dgate, dgate.sum(axis=0)
dout * gate + dgate => dgate | the term dout * gate is missing
@ w.T => @ w | transposed
### a layer that returns the gradient of its input alone | dict(x=X)
def swish(x):
    return x / (1 + np.exp(-x))
def swish_backward(dout, x):
    s = 1 / (1 + np.exp(-x))
    return dout * (s + x * s * (1 - s))
s + x * s => s + s | x
### a regulariser | dict(reg=0.4, **COUNTS)
def forward(X, y, w, c, reg):
    rate = np.exp(X @ w + c)
    return np.mean(rate - y * np.log(rate)) + reg * np.sum(w * w), (rate, w)
def backward(X, y, reg, cache):
    rate, w = cache
    n = len(y)
    g = (rate - y) / n
    dw = X.T @ g + 2 * reg * w
    dc = g.sum()
    return {"dw": dw, "dc": dc}
X.T @ g + 2 * reg * w => X.T @ g | the term 2 * reg * w is missing
+ 2 * reg * w => - 2 * reg * w | wrong sign
+ 2 * reg * w => + 2 * reg * w / n | divided once too often
+ 2 * reg * w => + reg * w | reg * w
### an eps in a denominator | dict(X=X, Y=BITS, w=normal(3, 1))
def forward(X, Y, w):
    q = 1 / (1 + np.exp(-(X @ w)))
    return -np.sum(Y * np.log(q) + (1 - Y) * np.log(1 - q))
def backward(X, Y, q):
    dq = -Y / (q + 1e-7) + (1 - Y) / (1 - q + 1e-7)
    dw = X.T @ (dq * q * (1 - q))
    return dw
"""


def parsed(text, **names):
    """The programs in a text, by title, and the mistakes."""
    programs, mistakes = {}, {}
    for part in text.replace("SOFTPLUS\n", SOFTPLUS.lstrip()).split("### ")[1:]:
        head, *rows = part.rstrip().splitlines()
        title, given = head.split(" | ")
        programs[title] = (
            "\n".join(r for r in rows if " => " not in r),
            eval(given, globals(), names),
        )
        for row in rows:
            if " => " in row:
                mistake, _, says = row.partition(" | ")
                mistakes[f"{title}: {mistake}"] = title, *mistake.split(" => "), says
    return programs, mistakes


PROGRAMS, MISTAKES = parsed(TEXT)


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_right_program_is_ok(title):
    source, given = PROGRAMS[title]
    check(source, **given).assert_ok()


@pytest.mark.parametrize("title", MISTAKES)
def test_a_mistake_is_placed_explained_and_corrected(title):
    assert_corrected(PROGRAMS, *MISTAKES[title])


@pytest.mark.parametrize(
    ("ending", "right", "wrong"),
    [
        ("return X.T @ back, back.sum(axis=0), H.T @ err", "H.T @", "3 * H.T @"),
        ("return [X.T @ back, back.sum(axis=0), H.T @ err]", "H.T @", "3 * H.T @"),
        ("found = [X.T @ back, back.sum(0), H.T @ err]; return found", "H.T @", "3 * H.T @"),
        ("o = {}; o['U'] = H.T @ err; o['V'] = X.T @ back; o['a'] = back.sum(0); return o",
         "back.sum(0)", "back.mean(0)"),
        ("U -= 0.3 * H.T @ err; V -= 0.3 * X.T @ back; a -= 0.3 * back.sum(0)", "a -=", "a +="),
        ("V[:] = V - X.T @ back; a[:] = a - back.sum(0); U[:] = U - H.T @ err", "a - b", "a + b"),
    ],
)  # fmt: skip
def test_wrong_gradients_are_seen_wherever_they_are(ending, right, wrong):
    check(f"{SOFTPLUS}    {ending}", **GIVEN).assert_ok()
    report = check(f"{SOFTPLUS}    {ending.replace(right, wrong)}", **GIVEN)
    assert_found(report, SOFTPLUS.count("\n") + 1)


def test_new_weights_that_are_returned():
    ending = "    return V - 0.3 * X.T @ back, a - 0.3 * back.sum(0), U - 0.3 * H.T @ err"
    check(SOFTPLUS + ending, **GIVEN).assert_ok()
    assert not check(SOFTPLUS + ending.replace("a - ", "a + "), **GIVEN).ok


class Scale:
    def __init__(self):
        self.gain, self.shift = normal(3), normal(3, seed=1)

    def forward(self, x):
        self.x = x
        return x * self.gain + self.shift

    def backward(self, dout):
        self.dgain = np.sum(dout * self.x, axis=0)
        self.dshift = np.sum(dout, axis=0)
        return dout * self.gain

    def wrong_backward(self, dout):
        self.dgain = np.sum(dout, axis=0)  # self.x is missing
        self.dshift = np.sum(dout, axis=0)
        return dout * self.gain


def test_gradients_in_attributes_by_bound_methods():
    layer = Scale()
    tg.check_backward(layer.forward, layer.backward, x=X).assert_ok()
    report = tg.check_backward(layer.forward, layer.wrong_backward, x=X)
    assert_found(report, line(Scale.wrong_backward, "self.dgain ="))
    assert np.array_equal(layer.gain, normal(3))
    assert "wrong axis" not in str(report), str(report)


def test_a_mistyped_key_of_names_is_told():
    source = SOFTPLUS + "    change = 5 * H.T @ err\n    return X.T @ back, back.sum(0), change"
    report = check(source, names={"chnage": "U"}, **GIVEN)
    assert not report.ok and "'chnage'" in report.problem and "'change'" in report.problem


def test_an_input_without_a_claim_is_missing():
    source = SOFTPLUS + "    dU = H.T @ err\n    return dU"
    report = check(source, **GIVEN)
    assert report.missing == ["V", "a"] and not report.ok
    with pytest.raises(AssertionError, match="not checked: V, a"):
        report.assert_ok()
    report = check(source, wrt="U", **GIVEN)
    assert report.ok and report.missing == []
    report = check(source, wrt=["U", "a"], **GIVEN)
    assert report.missing == ["a"] and not report.ok


def test_returned_in_another_order():
    report = check(SOFTPLUS + "    return H.T @ err, X.T @ back, back.sum(axis=0)", **GIVEN)
    assert not report.ok and "order" in report.problem, str(report)


def test_the_order_is_that_of_forwards_signature():
    source = SOFTPLUS + "    return X.T @ back, back.sum(axis=0), H.T @ err"
    check(source, **dict(reversed(GIVEN.items()))).assert_ok()


def test_nothing_or_not_all_is_returned():
    source = SOFTPLUS + "    dU = H.T @ err\n    dV, da = X.T @ back, back.sum(axis=0)\n"
    report = check(source, **GIVEN)
    assert not report.ok and "returns nothing" in report.problem, str(report)
    report = check(source + "    return dV, dU", **GIVEN)
    assert not report.ok and "not returned: da" in str(report), str(report)


def test_an_eps_in_a_denominator_is_recognised():
    source, given = PROGRAMS["an eps in a denominator"]
    digits = [x for x in check(source, **given).cautions if x.startswith("right to ")]
    assert digits and "line 5" in digits[0]


@pytest.mark.parametrize("penalty", ["np.dot(w, w)", "np.sum(w**2)"])
def test_a_regulariser_that_is_written_otherwise(penalty):
    source, given = PROGRAMS["a regulariser"]
    source = source.replace("np.sum(w * w)", penalty)
    check(source, **given).assert_ok()
    for title, *mistake in MISTAKES.values():
        if title == "a regulariser":
            assert_marked(source, *mistake, **given)


@pytest.mark.parametrize("penalty", ["", " + 0.1 * float(np.sum(np.abs(M) ** 3))"])
def test_float_in_forward_and_in_its_helper(penalty):
    source = f"""
def forward(X, T, M):
    loss = np.mean((np.tanh(X @ M) - T) ** 2)
    return float(np.squeeze(loss)){penalty}
def backward(X, T, M):
    out = np.tanh(X @ M)
    dM = X.T @ ((1 - out**2) * (out - T)) * 2 / T.size{" + 0.3 * M * np.abs(M)" if penalty else ""}
    return dM
"""
    report = check(source, X=X, T=T, M=normal(3, 2))
    report.assert_ok()
    assert ("finite differences" in str(report)) == bool(penalty)
    wrong = source.replace("* 2 / T.size", "* 2 / len(T)")
    assert_found(
        check(wrong, X=X, T=T, M=normal(3, 2)), source[: source.index("dM =")].count("\n") + 1
    )


def test_an_error_in_a_helper_of_forward_is_told_at_its_line():
    def affine(x, w):
        shifted = x + 1
        return shifted @ w.T

    with pytest.raises(ValueError, match=f"line {line(affine, 'shifted @')}\\b"):
        tg.check_backward(lambda x, w: np.sum(affine(x, w)), lambda x: x, x=X, w=np.ones((3, 2)))


def test_the_loss_is_not_blamed_for_the_same_mistake_twice():
    source, given = PROGRAMS["a loss of which all gradients are multiples"]
    wrong = source.replace("dw = X.T", "dw = 3 * X.T").replace("dc = g", "dc = 3 * g")
    report = check(wrong, **given)
    assert_found(report, wrong[: wrong.index("dw =")].count("\n") + 1, "factor 3 is too much")
    assert [row.name for row in report.rows if row.verdict == "wrong here"] == ["dw", "dc"]


def test_float32_is_compared_as_float32():
    ending = "return tuple(v.astype(np.float32) for v in (X.T @ back, back.sum(0), F * H.T @ err))"
    source = f"{SOFTPLUS}    F = 1.0\n    {ending}"
    check(source, **GIVEN).assert_ok()
    assert not check(source.replace("F = 1.0", "F = 1.001"), **GIVEN).ok
    in_double = source.replace("np.float32", "np.float64")
    assert not check(in_double.replace("F = 1.0", "F = 1.000001"), **GIVEN).ok


@pytest.mark.parametrize("backward", [(), (None,)])
def test_one_function_for_loss_and_gradients(backward):
    source = """
def ridge(X, T, M):
    rest = X @ M - T
    loss = np.sum(rest**2) / 2 + 0.7 * np.sum(M**2)
    dM = X.T @ rest + 1.4 * M
    return loss, {"M": dM}
"""
    given = {"X": X, "T": T, "M": normal(3, 2)}
    tg.check_backward(*defined(source), *backward, **given).assert_ok()
    wrong = source.replace("1.4 * M", "0.7 * M")
    assert_found(tg.check_backward(*defined(wrong), *backward, **given), 5)


def test_an_upstream_array_that_is_changed_in_place():
    source = """
def forward(x, w, dout):
    return np.sum((np.maximum(x @ w, 0) + x) * dout), x @ w
def backward(x, w, dout, cache):
    dz = dout
    dz[cache < 0] = 0
    dw = x.T @ dz
    dx = dz @ w.T + dout
    return dx, dw
"""
    given = arrays(x=(7, 3), w=(3, 3), dout=(7, 3))
    report = check(source, **given)
    assert not report.ok and report.first and report.first.line in (5, 6, 8), str(report)
    assert "dout in place" in str(report), str(report)
    assert np.array_equal(given["dout"], normal(7, 3, seed=2))
    check(source.replace("= dout\n", "= dout.copy()\n"), **given).assert_ok()


def test_weights_that_are_used_after_their_update():
    first, back = SOFTPLUS.rsplit("    back", 1)
    first += "    U -= 0.3 * H.T @ err\n"
    report = check(
        first + f"    back{back}    V -= 0.3 * X.T @ back\n    a -= 0.3 * back.sum(0)", **GIVEN
    )
    assert_found(report, first.count("\n") + 1)
    assert report.first.diagnosis not in ("", "unknown"), str(report)


class Weighted:
    def __init__(self, shares, many):
        self.shares = shares
        self.W, self.b = normal(3, many), normal(many)

    def loss(self, X, T):
        self.out = X @ self.W + self.b
        return np.sum(self.shares * (self.out - T) ** 2) / len(X)

    def gradients(self, X, T):
        dout = 2 * self.shares * (self.out - T) / len(X)
        return {"W": X.T @ dout, "b": dout.sum(axis=0)}

    def forgets(self, X, T):
        return {"W": self.gradients(X, T)["W"]}


def test_what_an_object_was_given_and_has_not_made_may_be_left_out():
    model = Weighted(np.array([0.4, 1.6]), 2)
    report = tg.check_backward(model.loss, model.gradients, X=X, T=T)
    assert report.ok and "shares" in report.left_out, str(report)
    report = tg.check_backward(model.loss, model.forgets, X=X, T=T)
    assert not report.ok and report.missing == ["b"], str(report)


class Film:
    def __init__(self, gain, shift):
        self.gain = gain
        self.shift = shift

    def loss(self, X, T):
        return np.sum((X * self.gain + self.shift - T) ** 2)

    def forgets(self, X, T):
        return {"gain": (2 * X * (X * self.gain + self.shift - T)).sum(axis=0)}


def test_a_parameter_that_an_object_was_given_is_not_left_out_silently():
    model = Film(normal(3), normal(3))
    report = tg.check_backward(model.loss, model.forgets, X=X, T=normal(len(X), 3))
    assert not report.ok and report.missing == ["shift"], str(report)


def test_a_tuple_of_indices_and_a_rating_is_no_array():
    def loss(samples, P, Q):
        return sum((r - P[i] @ Q[j]) ** 2 for i, j, r in samples)

    def gradients(samples, P, Q):
        dP, dQ = np.zeros_like(P), np.zeros_like(Q)
        for i, j, r in samples:
            dP[i] -= 2 * (r - P[i] @ Q[j]) * Q[j]
            dQ[j] -= 2 * (r - P[i] @ Q[j]) * P[i]
        return dP, dQ

    given = {
        "samples": [(0, 1, 3.5), (1, 0, 2.0), (2, 1, 4.5)],
        "P": normal(3, 2),
        "Q": normal(4, 2),
    }
    tg.check_backward(loss, gradients, **given).assert_ok()
