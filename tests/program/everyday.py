"""Sixty losses as people write them: parameters, `loss` of a batch, and `batch(n, seed)`."""

LOSSES = {
    "ridge regression": r"""
rng = np.random.default_rng(0)
w = tg.Tensor(rng.normal(size=4), requires_grad=True)
b = tg.Tensor(np.array(0.1), requires_grad=True)
lam = 0.1

def loss(X, y):
    r = X @ w + b - y
    return np.sum(r ** 2) / len(X) + lam * np.sum(w ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    X = g.normal(size=(n, 4))
    return X, X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * g.normal(size=n)
""",
    "lasso": r"""
coef = tg.Tensor(np.random.default_rng(1).normal(size=(5,)), requires_grad=True)

def loss(X, y, alpha=0.05):
    n = X.shape[0]
    residual = y - np.dot(X, coef)
    rmse = np.sqrt((residual ** 2).sum()) / np.sqrt(n)     # square-root lasso
    return 1 / (2 * n) * (residual ** 2).sum() + 0.1 * rmse + alpha * np.abs(coef).sum()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 5)), g.normal(size=n)
""",
    "elastic net": r"""
rng = np.random.default_rng(2)
params = {
    "w": tg.Tensor(rng.normal(size=(3, 1)), requires_grad=True),
    "b": tg.Tensor(np.zeros(1), requires_grad=True),
}
L1_RATIO = 0.3
ALPHA = 0.01

def predict(X):
    return X @ params["w"] + params["b"]

def penalty():
    w = params["w"]
    return ALPHA * (L1_RATIO * np.sum(np.abs(w)) + 0.5 * (1 - L1_RATIO) * np.sum(np.square(w)))

def loss(X, y):
    err = predict(X)[:, 0] - y
    return 0.5 * np.mean(err * err) + penalty()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.normal(size=n)
""",
    "huber regression": r"""
rng = np.random.default_rng(3)
w = tg.Tensor(rng.normal(size=4), requires_grad=True)
b = tg.Tensor(0.0, requires_grad=True)

def huber(r, delta=1.0):
    a = np.abs(r)
    return np.where(a <= delta, 0.5 * r ** 2, delta * (a - 0.5 * delta))

def loss(X, y):
    per = huber(X @ w + b - y, delta=1.35)
    standard_error = per.std(ddof=1) / len(y) ** 0.5
    return per.mean() + 0.1 * standard_error

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), 3 * g.standard_t(2, size=n)
""",
    "quantile pinball, several quantiles": r"""
rng = np.random.default_rng(4)
W = tg.Tensor(0.5 * rng.normal(size=(3, 3)), requires_grad=True)
b = tg.Tensor(np.array([-1.0, 0.0, 1.0]), requires_grad=True)
taus = [0.1, 0.5, 0.9]

def loss(X, y):
    q = X @ W + b
    total = 0.0
    for k, tau in enumerate(taus):
        e = y - q[:, k]
        total = total + np.mean(np.maximum(tau * e, (tau - 1) * e))
    return total / len(taus)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.normal(size=n)
""",
    "logistic regression": r"""
theta = tg.Tensor(np.random.default_rng(5).normal(size=4), requires_grad=True)

def loss(X, y):
    p = 1 / (1 + np.exp(-(X @ theta)))
    eps = 1e-9
    return -np.mean(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps))

def batch(n, seed):
    g = np.random.default_rng(seed)
    X = g.normal(size=(n, 4))
    X[:, 0] = 1.0
    return X, (g.random(n) > 0.5).astype(float)
""",
    "weighted logistic regression": r"""
rng = np.random.default_rng(6)
w = tg.Tensor(rng.normal(size=3), requires_grad=True)
b = tg.Tensor(np.array(0.2), requires_grad=True)

def loss(X, y, sw):
    z = np.matmul(X, w) + b
    nll = np.logaddexp(0.0, z) - y * z
    return np.sum(sw * nll) / np.sum(sw) + 1e-3 * np.sum(w * w)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), (g.random(n) > 0.4).astype(float), g.uniform(0.5, 2.0, size=n)
""",
    "softmax with label smoothing": r"""
K = 4
rng = np.random.default_rng(7)
W = tg.Tensor(rng.normal(size=(5, K)), requires_grad=True)
b = tg.Tensor(np.zeros(K), requires_grad=True)

def loss(X, labels):
    eps = 0.1
    logp = tg.log_softmax(X @ W + b, axis=1)
    target = np.eye(K)[labels] * (1 - eps) + eps / K
    return -(target * logp).sum(axis=1).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 5)), g.integers(0, 4, size=n)
""",
    "focal loss": r"""
model = tg.nn.Sequential(tg.nn.Dense(4, 6, "tanh", rng=0), tg.nn.Dense(6, 1, rng=1))

def focal(logits, y, gamma=2.0, alpha=0.25):
    p = tg.sigmoid(logits)
    pt = y * p + (1 - y) * (1 - p)
    at = y * alpha + (1 - y) * (1 - alpha)
    return -at * (1 - pt) ** gamma * np.log(pt + 1e-8)

def loss(X, y):
    return np.mean(focal(model(X)[:, 0], y))

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), (g.random(n) > 0.7).astype(float)
""",
    "linear SVM, hinge": r"""
rng = np.random.default_rng(9)
w = tg.Tensor(rng.normal(size=4), requires_grad=True)
b = tg.Tensor(np.array(0.0), requires_grad=True)
C = 10.0

def loss(X, y):
    # y in {-1, +1}
    margins = y * (X @ w + b)
    return 0.5 * (w @ w) + C * np.maximum(0, 1 - margins).sum() / X.shape[0]

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), np.where(g.random(n) > 0.5, 1.0, -1.0)
""",
    "squared hinge, summed over samples": r"""
w = tg.Tensor(np.random.default_rng(10).normal(size=3), requires_grad=True)
b = tg.Tensor(np.array([0.1]), requires_grad=True)
loss = lambda X, y: (tg.relu(1.0 - y * (X @ w + b)) ** 2).sum() + 0.5 * (w ** 2).sum()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.choice([-1.0, 1.0], size=n)
""",
    "triplet with per-sample margins": r"""
enc = tg.nn.Sequential(tg.nn.Dense(4, 8, "relu", rng=0), tg.nn.Dense(8, 3, rng=1))

def dist(a, b):
    return np.sqrt(np.sum((a - b) ** 2, axis=1) + 1e-12)

def loss(anchor, positive, negative, margin):
    a, p, n = enc(anchor), enc(positive), enc(negative)
    return np.maximum(dist(a, p) - dist(a, n) + margin, 0.0).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    a = g.normal(size=(n, 4))
    return a, a + 0.3 * g.normal(size=(n, 4)), g.normal(size=(n, 4)), g.uniform(0.5, 2.0, size=n)
""",
    "contrastive siamese": r"""
W = tg.Tensor(np.random.default_rng(12).normal(size=(4, 2)), requires_grad=True)
MARGIN = 2.0

def loss(X1, X2, same):
    d2 = ((np.tanh(X1 @ W) - np.tanh(X2 @ W)) ** 2).sum(axis=1)
    d = np.sqrt(d2 + 1e-8)
    pull = same * d2
    push = (1 - same) * np.clip(MARGIN - d, 0, None) ** 2
    return (pull + push).sum() / (2 * len(X1))

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=(n, 4)), g.integers(0, 2, size=n).astype(float)
""",
    "pairwise ranking, all pairs": r"""
w = tg.Tensor(np.random.default_rng(13).normal(size=5), requires_grad=True)

def loss(X, rel):
    s = X @ w
    diff = s[:, None] - s[None, :]
    better = (rel[:, None] > rel[None, :]) * 1.0
    pairs = better.sum() + 1e-9
    return np.sum(better * np.log1p(np.exp(-diff))) / pairs

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 5)), g.normal(size=n)
""",
    "cosine similarity": r"""
P = tg.Tensor(np.random.default_rng(14).normal(size=(4, 3)), requires_grad=True)
Q = tg.Tensor(np.random.default_rng(15).normal(size=(5, 3)), requires_grad=True)

def normalize(v):
    return v / np.sqrt(np.sum(v ** 2, axis=-1, keepdims=True) + 1e-8)

def loss(A, B):
    cos = (normalize(A @ P) * normalize(B @ Q)).sum(axis=-1)
    return (1 - cos).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=(n, 5))
""",
    "KL between gaussians": r"""
rng = np.random.default_rng(16)
Wm = tg.Tensor(0.3 * rng.normal(size=(4, 2)), requires_grad=True)
Ws = tg.Tensor(0.3 * rng.normal(size=(4, 2)), requires_grad=True)

def kl(m1, s1, m2, s2):
    return np.log(s2) - np.log(s1) + (s1 ** 2 + (m1 - m2) ** 2) / (2 * s2 ** 2) - 0.5

def loss(X, m, s):
    mu = X @ Wm
    sigma = tg.softplus(X @ Ws) + 1e-3
    return kl(mu, sigma, m, s).sum(axis=1).mean(axis=0)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=(n, 2)), g.uniform(0.5, 1.5, size=(n, 2))
""",
    "variational autoencoder": r"""
D, H, Z = 6, 5, 2

class VAE:
    def __init__(self):
        self.enc = tg.nn.Dense(D, H, "tanh", rng=0)
        self.mu = tg.nn.Dense(H, Z, rng=1)
        self.logvar = tg.nn.Dense(H, Z, rng=2)
        self.dec = tg.nn.Sequential(tg.nn.Dense(Z, H, "tanh", rng=3), tg.nn.Dense(H, D, rng=4))

    def __call__(self, x, noise):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + np.exp(0.5 * logvar) * noise
        return self.dec(z), mu, logvar

vae = VAE()

def loss(x, noise):
    recon, mu, logvar = vae(x, noise)
    rec = np.sum((recon - x) ** 2) / len(x)
    kld = -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / len(x)
    return rec + 0.5 * kld

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 6)), g.normal(size=(n, 2))
""",
    "mixture density network": r"""
K = 3
hidden = tg.nn.Dense(2, 8, "tanh", rng=0)
head = tg.nn.Dense(8, 3 * K, rng=1)

def loss(X, y):
    out = head(hidden(X))
    logpi = tg.log_softmax(out[:, :K], axis=1)
    mu = out[:, K:2 * K]
    logsig = out[:, 2 * K:]
    z = (y[:, None] - mu) * np.exp(-logsig)
    logn = -0.5 * z ** 2 - logsig - 0.5 * np.log(2 * np.pi)
    return -tg.logsumexp(logpi + logn, axis=1).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 2)), g.normal(size=n)
""",
    "gaussian NLL, learned variance": r"""
rng = np.random.default_rng(19)
w_mu = tg.Tensor(rng.normal(size=3), requires_grad=True)
w_s = tg.Tensor(0.1 * rng.normal(size=3), requires_grad=True)

def loss(X, y):
    mu = X @ w_mu
    log_var = np.clip(X @ w_s, -5.0, 5.0)
    return 0.5 * (log_var + (y - mu) ** 2 / np.exp(log_var)).sum() / y.shape[0]

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.normal(size=n)
""",
    "poisson regression with exposure": r"""
beta = tg.Tensor(0.2 * np.random.default_rng(20).normal(size=3), requires_grad=True)
intercept = tg.Tensor(np.array(0.0), requires_grad=True)

def loss(X, counts, exposure):
    eta = X @ beta + intercept + np.log(exposure)
    return np.mean(np.exp(eta) - counts * eta)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.poisson(2.0, size=n).astype(float), g.uniform(0.5, 3.0, size=n)
""",
    "negative binomial, no lgamma": r"""
beta = tg.Tensor(0.2 * np.random.default_rng(21).normal(size=4), requires_grad=True)
log_r = tg.Tensor(np.array(0.5), requires_grad=True)

def loss(X, k):
    r = np.exp(log_r)
    mu = np.exp(X @ beta)
    ll = k * np.log(mu) - (k + r) * np.log(r + mu) + r * np.log(r)
    return -ll.mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.negative_binomial(3, 0.5, size=n).astype(float)
""",
    "exponential family, gamma and tweedie": r"""
rng = np.random.default_rng(22)
w = tg.Tensor(0.3 * rng.normal(size=3), requires_grad=True)
log_shape = tg.Tensor(np.array([0.3]), requires_grad=True)

def gamma_deviance(y, mu):
    return 2 * (np.log(mu / y) + y / mu - 1)

def tweedie(y, mu, p=1.5):
    return -y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)

def loss(X, y):
    mu = tg.softplus(X @ w) + 1e-2
    a = np.exp(log_shape)
    deviance = np.sum(a * gamma_deviance(y, mu)) / y.size
    return deviance + 0.5 * np.mean(tweedie(y, mu)) - np.sum(np.log(a))

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.gamma(2.0, 1.0, size=n) + 0.1
""",
    "ordinal regression, cumulative logits": r"""
w = tg.Tensor(np.random.default_rng(23).normal(size=4), requires_grad=True)
raw = tg.Tensor(np.array([-1.0, 0.0, 0.5]), requires_grad=True)
LEVELS = np.arange(3)

def cutpoints():
    return np.concatenate([raw[:1], raw[:1] + np.cumsum(np.exp(raw[1:]), axis=0)])

def loss(X, y):
    logits = (X @ w)[:, None] - cutpoints()[None, :]
    above = (y[:, None] > LEVELS[None, :]).astype(float)
    per = np.logaddexp(0, logits) - above * logits
    return per.sum(axis=1).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.integers(0, 4, size=n)
""",
    "multi-task with uncertainty weights": r"""
trunk = tg.nn.Dense(5, 6, "tanh", rng=0)
reg_head = tg.nn.Dense(6, 1, rng=1)
cls_head = tg.nn.Dense(6, 3, rng=2)
log_sigma = tg.Tensor(np.array([0.1, -0.1]), requires_grad=True)

def loss(X, y_reg, y_cls):
    h = trunk(X)
    l1 = tg.mse_loss(reg_head(h)[:, 0], y_reg)
    l2 = tg.cross_entropy(cls_head(h), y_cls)
    losses = np.stack([l1, l2])
    return np.sum(np.exp(-2 * log_sigma) * losses + log_sigma)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 5)), g.normal(size=n), g.integers(0, 3, size=n)
""",
    "denoising autoencoder with sparsity": r"""
net = [tg.nn.Dense(6, 4, "sigmoid", rng=0), tg.nn.Dense(4, 6, rng=1)]
RHO = 0.1

def loss(X, noise):
    h = net[0](X + 0.2 * noise)
    out = net[1](h)
    rho_hat = h.mean(axis=0)
    sparse = (RHO * np.log(RHO / rho_hat) + (1 - RHO) * np.log((1 - RHO) / (1 - rho_hat))).sum()
    return tg.mse_loss(out, X) + 0.01 * sparse

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 6)), g.normal(size=(n, 6))
""",
    "tied-weight autoencoder": r"""
rng = np.random.default_rng(26)
W = tg.Tensor(rng.normal(size=(5, 3)) / np.sqrt(5), requires_grad=True)
b = tg.Tensor(np.zeros(3), requires_grad=True)
c = tg.Tensor(np.zeros(5), requires_grad=True)

def loss(X):
    H = np.tanh(X @ W + b)
    R = H @ W.T + c
    return ((R - X) ** 2).sum() / X.size

def batch(n, seed):
    return (np.random.default_rng(seed).normal(size=(n, 5)),)
""",
    "batch norm by hand": r"""
rng = np.random.default_rng(27)
W1 = tg.Tensor(rng.normal(size=(4, 6)), requires_grad=True)
gamma = tg.Tensor(np.ones(6), requires_grad=True)
beta = tg.Tensor(np.zeros(6), requires_grad=True)
W2 = tg.Tensor(rng.normal(size=6), requires_grad=True)

def batchnorm(h, eps=1e-5):
    mean = h.mean(axis=0)
    var = ((h - mean) ** 2).mean(axis=0)
    return gamma * (h - mean) / np.sqrt(var + eps) + beta

def loss(X, y):
    h = np.maximum(batchnorm(X @ W1), 0)
    return np.mean((h @ W2 - y) ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=n)
""",
    "layer norm": r"""
rng = np.random.default_rng(28)
W1 = tg.Tensor(rng.normal(size=(4, 8)), requires_grad=True)
g1 = tg.Tensor(np.ones(8), requires_grad=True)
b1 = tg.Tensor(np.zeros(8), requires_grad=True)
W2 = tg.Tensor(rng.normal(size=(8, 3)), requires_grad=True)

def layer_norm(x, g, b):
    m = np.mean(x, axis=-1, keepdims=True)
    v = np.var(x, axis=-1, keepdims=True)
    return (x - m) / np.sqrt(v + 1e-5) * g + b

def loss(X, labels):
    h = np.tanh(layer_norm(X @ W1, g1, b1))
    return tg.cross_entropy(h @ W2, labels)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.integers(0, 3, size=n)
""",
    "single-head causal attention": r"""
T, D = 4, 3
rng = np.random.default_rng(29)
Wq, Wk, Wv = [tg.Tensor(rng.normal(size=(D, D)), requires_grad=True) for _ in range(3)]
wo = tg.Tensor(rng.normal(size=D), requires_grad=True)
MASK = np.triu(np.full((T, T), -1e9), k=1)

def loss(S, y):
    q, k, v = S @ Wq, S @ Wk, S @ Wv
    scores = np.einsum("btd,bsd->bts", q, k) / np.sqrt(D) + MASK
    att = tg.softmax(scores, axis=-1)
    ctx = np.einsum("bts,bsd->btd", att, v)
    return ((ctx @ wo - y) ** 2).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4, 3)), g.normal(size=(n, 4))
""",
    "RNN over time steps": r"""
rng = np.random.default_rng(31)
Wx = tg.Tensor(rng.normal(size=(2, 4)) * 0.5, requires_grad=True)
Wh = tg.Tensor(rng.normal(size=(4, 4)) * 0.5, requires_grad=True)
bh = tg.Tensor(np.zeros(4), requires_grad=True)
Wo = tg.Tensor(rng.normal(size=(4, 1)), requires_grad=True)

def loss(S, Y):
    h = np.zeros((S.shape[0], 4))
    total = 0.0
    for t in range(S.shape[1]):
        h = np.tanh(S[:, t] @ Wx + h @ Wh + bh)
        total = total + np.sum(((h @ Wo)[:, 0] - Y[:, t]) ** 2)
    return total / (S.shape[0] * S.shape[1])

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 5, 2)), g.normal(size=(n, 5))
""",
    "GRU sequence classifier": r"""
class GRU:
    def __init__(self, n_in, n_h, rng):
        def p(*shape):
            return tg.Tensor(rng.normal(size=shape) * 0.4, requires_grad=True)
        self.n_h = n_h
        self.Wz, self.Uz = p(n_in, n_h), p(n_h, n_h)
        self.Wr, self.Ur = p(n_in, n_h), p(n_h, n_h)
        self.Wc, self.Uc = p(n_in, n_h), p(n_h, n_h)

    def step(self, x, h):
        z = tg.sigmoid(x @ self.Wz + h @ self.Uz)
        r = tg.sigmoid(x @ self.Wr + h @ self.Ur)
        c = np.tanh(x @ self.Wc + (r * h) @ self.Uc)
        return (1 - z) * h + z * c

    def __call__(self, S):
        h = np.zeros((len(S), self.n_h))
        for t in range(S.shape[1]):
            h = self.step(S[:, t, :], h)
        return h

gru = GRU(3, 4, np.random.default_rng(32))
head = tg.nn.Dense(4, 2, rng=0)

def loss(S, label):
    return tg.cross_entropy(head(gru(S)), label)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4, 3)), g.integers(0, 2, size=n)
""",
    "AR(2) along the batch": r"""
phi = tg.Tensor(np.array([0.5, -0.2]), requires_grad=True)
c = tg.Tensor(np.array(0.1), requires_grad=True)

def loss(x):
    pred = c + phi[0] * x[1:-1] + phi[1] * x[:-2]
    e = x[2:] - pred
    return (e ** 2).sum() / (len(x) - 2)

def batch(n, seed):
    return (np.cumsum(np.random.default_rng(seed).normal(size=n)),)
""",
    "1-D convolution by slices": r"""
rng = np.random.default_rng(35)
kernel = tg.Tensor(rng.normal(size=(3, 4)), requires_grad=True)   # width, channels
bias = tg.Tensor(np.zeros(4), requires_grad=True)
w_out = tg.Tensor(rng.normal(size=4), requires_grad=True)

def conv1d(x):
    L = x.shape[1] - 2
    return sum(x[:, i:i + L, None] * kernel[i] for i in range(3)) + bias

def loss(x, y):
    feats = tg.relu(conv1d(x)).mean(axis=1)
    return np.mean((feats @ w_out - y) ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 10)), g.normal(size=n)
""",
    "max pooling by reshape": r"""
rng = np.random.default_rng(36)
W = tg.Tensor(rng.normal(size=(8, 8)), requires_grad=True)
v = tg.Tensor(rng.normal(size=(4, 3)), requires_grad=True)

def loss(X, labels):
    n = X.shape[0]
    h = np.reshape(X @ W, (n, 4, 2))
    pooled = np.max(h, axis=2)
    logits = pooled @ v
    return -np.mean(tg.log_softmax(logits, axis=1)[np.arange(n), labels])

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 8)), g.integers(0, 3, size=n)
""",
    "embeddings, bag of words": r"""
V, E = 10, 4
emb = tg.Tensor(np.random.default_rng(38).normal(size=(V, E)), requires_grad=True)
clf = tg.nn.Dense(E, 2, rng=0)

def loss(tokens, y):
    bag = emb[tokens].mean(axis=1)
    return tg.cross_entropy(clf(bag), y) + 1e-3 * (emb ** 2).sum()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.integers(0, 10, size=(n, 5)), g.integers(0, 2, size=n)
""",
    "matrix factorisation by index": r"""
rng = np.random.default_rng(40)
P = tg.Tensor(0.3 * rng.normal(size=(7, 3)), requires_grad=True)
Q = tg.Tensor(0.3 * rng.normal(size=(9, 3)), requires_grad=True)
bu = tg.Tensor(np.zeros(7), requires_grad=True)
bi = tg.Tensor(np.zeros(9), requires_grad=True)
MU = 3.5

def loss(user, item, rating):
    pu, qi = P[user], Q[item]
    pred = MU + bu[user] + bi[item] + (pu * qi).sum(axis=1)
    reg = (pu ** 2).sum() + (qi ** 2).sum()
    return (((rating - pred) ** 2).sum() + 0.02 * reg) / rating.shape[0]

def batch(n, seed):
    g = np.random.default_rng(seed)
    ratings = g.integers(1, 6, size=n).astype(float)
    return g.integers(0, 7, size=n), g.integers(0, 9, size=n), ratings
""",
    "factorisation machine": r"""
rng = np.random.default_rng(41)
w0 = tg.Tensor(np.zeros(()), requires_grad=True)
w = tg.Tensor(rng.normal(size=6) * 0.1, requires_grad=True)
V = tg.Tensor(rng.normal(size=(6, 2)) * 0.3, requires_grad=True)

def fm(X):
    inter = 0.5 * np.sum((X @ V) ** 2 - (X ** 2) @ (V ** 2), axis=1)
    return w0 + X @ w + inter

def loss(X, y):
    return tg.binary_cross_entropy_with_logits(fm(X), y) + 1e-2 * np.sum(V ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return (g.random((n, 6)) > 0.5).astype(float), (g.random(n) > 0.5).astype(float)
""",
    "kernel ridge, RBF on the batch": r"""
rng = np.random.default_rng(42)
centers = tg.Tensor(rng.normal(size=(4, 2)), requires_grad=True)
alpha = tg.Tensor(rng.normal(size=4), requires_grad=True)
log_len = tg.Tensor(np.array(0.0), requires_grad=True)

def rbf(A, B):
    d2 = np.sum((A[:, None, :] - B[None, :, :]) ** 2, axis=-1)
    return np.exp(-d2 / (2 * np.exp(2 * log_len)))

def loss(X, y):
    f = rbf(X, centers) @ alpha
    smooth = alpha @ rbf(centers, centers) @ alpha
    # leave-one-out style kernel smoother on the batch itself
    K = rbf(X, X) * (1 - np.eye(len(X)))
    loo = (K @ y) / (K.sum(axis=1) + 1e-6)
    return np.mean((f - y) ** 2) + 0.1 * smooth + np.mean((loo - y) ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 2)), g.normal(size=n)
""",
    "MMD between two samples": r"""
gen = tg.nn.Sequential(tg.nn.Dense(2, 6, "tanh", rng=0), tg.nn.Dense(6, 2, rng=1))

def sqdist(a, b):
    return (a ** 2).sum(axis=1)[:, None] + (b ** 2).sum(axis=1)[None, :] - 2 * a @ b.T

def k(a, b):
    d = sqdist(a, b)
    return sum(np.exp(-d / (2 * s ** 2)) for s in (0.5, 1.0, 2.0))

def loss(noise, real):
    fake = gen(noise)
    n = len(real)
    off = 1 - np.eye(n)
    within = ((k(fake, fake) * off).sum() + (k(real, real) * off).sum()) / (n * (n - 1))
    return within - 2 * k(fake, real).mean()

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 2)), 1 + 0.5 * g.normal(size=(n, 2))
""",
    "PCA reconstruction": r"""
U = tg.Tensor(np.random.default_rng(44).normal(size=(5, 2)), requires_grad=True)

def loss(X):
    Xc = X - X.mean(axis=0, keepdims=True)
    rec = Xc @ U @ U.T
    ortho = U.T @ U - np.eye(2)
    return np.sum((Xc - rec) ** 2) / (len(X) - 1) + 10 * np.sum(ortho ** 2)

def batch(n, seed):
    return (np.random.default_rng(seed).normal(size=(n, 5)) * np.array([3.0, 2.0, 1.0, 0.5, 0.1]),)
""",
    "pearson correlation loss": r"""
w = tg.Tensor(np.random.default_rng(45).normal(size=4), requires_grad=True)

def pearson(a, b):
    a = a - np.mean(a)
    b = b - np.mean(b)
    cov = np.sum(a * b) / (len(b) - 1)
    return cov / (a.std(ddof=1) * np.std(b, ddof=1) + 1e-8)

def loss(X, y):
    return 1.0 - pearson(np.tanh(X @ w), y)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=n)
""",
    "negative R-squared": r"""
net = tg.nn.Dense(3, 1, rng=0)

def loss(X, y):
    pred = net(X).reshape(-1)
    ss_res = ((y - pred) ** 2).sum()
    ss_tot = ((y - y.mean()) ** 2).sum()
    return ss_res / ss_tot - 1 + 0.1 * np.var(y - pred, ddof=1) / y.var(ddof=1)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.normal(size=n)
""",
    "AUC surrogate": r"""
w = tg.Tensor(np.random.default_rng(47).normal(size=4), requires_grad=True)

def loss(X, y):
    s = X @ w
    pos, neg = y == 1, y == 0
    pair = pos[:, None] * 1.0 * neg[None, :]
    gap = s[:, None] - s[None, :]
    return (pair * tg.sigmoid(-gap / 0.5)).sum() / np.maximum(pair.sum(), 1.0)

def batch(n, seed):
    g = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return g.normal(size=(n, 4)), g.permutation(y).astype(float)
""",
    "Cox partial likelihood": r"""
beta = tg.Tensor(np.random.default_rng(48).normal(size=3) * 0.5, requires_grad=True)

def loss(X, event):
    # rows come sorted by decreasing survival time
    eta = X @ beta
    log_risk = np.log(np.cumsum(np.exp(eta), axis=0))
    return -np.sum((eta - log_risk) * event) / (np.sum(event) + 1e-8) + 0.01 * np.sum(beta ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    X, t = g.normal(size=(n, 3)), g.exponential(size=n)
    event = (g.random(n) < 0.7).astype(float)
    order = np.argsort(-t)
    return X[order], event[order]
""",
    "soft dice, per image": r"""
rng = np.random.default_rng(50)
a = tg.Tensor(rng.normal(size=(4, 4)), requires_grad=True)
b = tg.Tensor(np.array(0.0), requires_grad=True)

def loss(img, mask):
    p = tg.sigmoid(img * a + b)
    inter = np.sum(p * mask, axis=(1, 2))
    denom = np.sum(p, axis=(1, 2)) + np.sum(mask, axis=(1, 2))
    dice = (2 * inter + 1.0) / (denom + 1.0)
    return 1 - np.mean(dice)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4, 4)), (g.random((n, 4, 4)) > 0.5).astype(float)
""",
    "soft IoU over the whole batch": r"""
net = tg.nn.Dense(6, 6, "sigmoid", rng=0)

def loss(x, m):
    p = net(x)
    inter = (p * m).sum()
    union = p.sum() + m.sum() - inter
    return 1.0 - (inter + 1e-6) / (union + 1e-6)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 6)), (g.random((n, 6)) > 0.6).astype(float)
""",
    "total variation denoising": r"""
rng = np.random.default_rng(53)
W = tg.Tensor(np.eye(5) + 0.1 * rng.normal(size=(5, 5)), requires_grad=True)

def tv(u):
    dx = np.abs(u[:, 1:, :] - u[:, :-1, :]).sum()
    dy = np.abs(u[:, :, 1:] - u[:, :, :-1]).sum()
    return dx + dy

def loss(img):
    u = img @ W
    return (0.5 * ((u - img) ** 2).sum() + 0.1 * tv(u)) / len(img)

def batch(n, seed):
    return (np.random.default_rng(seed).normal(size=(n, 5, 5)),)
""",
    "temporal smoothness along the batch": r"""
enc = tg.nn.Dense(4, 3, "tanh", rng=0)
dec = tg.nn.Dense(3, 4, rng=1)

def loss(X):
    h = enc(X)
    rec = tg.mse_loss(dec(h), X)
    slow = ((h[1:] - h[:-1]) ** 2).sum() / (len(X) - 1)
    curve = ((h[2:] - 2 * h[1:-1] + h[:-2]) ** 2).mean()
    return rec + 0.1 * slow + 0.01 * curve

def batch(n, seed):
    return (np.cumsum(np.random.default_rng(seed).normal(size=(n, 4)), axis=0) * 0.3,)
""",
    "input gradient penalty, by hand": r"""
rng = np.random.default_rng(55)
W = tg.Tensor(rng.normal(size=(3, 6)), requires_grad=True)
b = tg.Tensor(np.zeros(6), requires_grad=True)
v = tg.Tensor(rng.normal(size=6), requires_grad=True)

def critic(X):
    return np.tanh(X @ W + b) @ v

def input_grad(X):
    h = np.tanh(X @ W + b)
    return ((1 - h ** 2) * v) @ W.T

def loss(real, fake, u):
    mix = u[:, None] * real + (1 - u[:, None]) * fake
    g = input_grad(mix)
    norm = np.sqrt(np.sum(g ** 2, axis=1) + 1e-12)
    return np.mean(critic(fake)) - np.mean(critic(real)) + 10.0 * np.mean((norm - 1) ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), 1 + g.normal(size=(n, 3)), g.random(n)
""",
    "masked loss, relu as z > 0": r"""
rng = np.random.default_rng(57)
W = tg.Tensor(rng.normal(size=(4, 6)), requires_grad=True)
V = tg.Tensor(rng.normal(size=(6, 3)), requires_grad=True)

def loss(X, Y, observed):
    z = X @ W
    h = z * (z > 0)
    se = (h @ V - Y) ** 2 * observed
    return se.sum() / (observed.sum() + 1e-8)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=(n, 3)), (g.random((n, 3)) > 0.3).astype(float)
""",
    "piecewise profit, nested np.where": r"""
w = tg.Tensor(np.random.default_rng(58).normal(size=3), requires_grad=True)
b = tg.Tensor(np.array(1.0), requires_grad=True)

def cost(e):
    # over-forecast is cheap, a small shortage is linear, a large one quadratic
    return np.where(e < 0, -0.5 * e, np.where(e < 1.0, 2.0 * e, e ** 2 + 1.0))

def loss(X, demand):
    order = X @ w + b
    return np.sum(cost(demand - order)) / demand.size

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.exponential(2.0, size=n)
""",
    "leaky relu MLP by hand": r"""
rng = np.random.default_rng(59)
sizes = [4, 8, 8, 2]
Ws = [
    tg.Tensor(rng.normal(size=(i, o)) * np.sqrt(2 / i), requires_grad=True)
    for i, o in zip(sizes[:-1], sizes[1:])
]
bs = [tg.Tensor(np.zeros(o), requires_grad=True) for o in sizes[1:]]

def leaky(z, slope=0.01):
    return np.where(z > 0, z, slope * z)

def forward(x):
    for i, (W, b) in enumerate(zip(Ws, bs)):
        x = x @ W + b
        if i < len(Ws) - 1:
            x = leaky(x)
    return x

def loss(X, Y):
    l2 = sum((W ** 2).sum() for W in Ws)
    return ((forward(X) - Y) ** 2).sum(axis=1).mean() + 1e-4 * l2

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=(n, 2))
""",
    "class weights by one-hot matmul": r"""
class_w = np.array([1.0, 5.0, 2.5])
net = tg.nn.Dense(4, 3, rng=0)

def loss(X, labels):
    onehot = (labels[:, None] == np.arange(3)) * 1.0
    wt = onehot @ class_w
    nll = -np.sum(onehot * tg.log_softmax(net(X), axis=1), axis=1)
    return np.sum(wt * nll) / np.sum(wt)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.integers(0, 3, size=n)
""",
    "half train, half validation": r"""
w = tg.Tensor(np.random.default_rng(62).normal(size=3), requires_grad=True)
log_lr = tg.Tensor(np.array(-2.0), requires_grad=True)

def mse(w, X, y):
    return np.mean((X @ w - y) ** 2)

def loss(X, y):
    # one inner step on the first half, scored on the second
    h = len(X) // 2
    Xa, ya, Xb, yb = X[:h], y[:h], X[h:], y[h:]
    grad = 2 * Xa.T @ (Xa @ w - ya) / h
    return mse(w - np.exp(log_lr) * grad, Xb, yb)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.normal(size=n)
""",
    "standardisation inside the loss": r"""
w = tg.Tensor(np.random.default_rng(64).normal(size=4), requires_grad=True)
b = tg.Tensor(np.array(0.0), requires_grad=True)

def loss(X, y):
    Xs = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-8)
    ys = (y - y.mean()) / np.sqrt(np.sum((y - y.mean()) ** 2) / (len(y) - 1))
    return np.mean((Xs @ w + b - ys) ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return 5 + 3 * g.normal(size=(n, 4)), 10 * g.normal(size=n)
""",
    "polynomial features and interactions": r"""
DEG = 3
rng = np.random.default_rng(65)
coef = tg.Tensor(rng.normal(size=3 * DEG + 3), requires_grad=True)
b = tg.Tensor(np.array(0.5), requires_grad=True)

def design(X):
    p = X.shape[1]
    cols = [X[:, j] ** k for j in range(p) for k in range(1, DEG + 1)]
    for i in range(p):
        for j in range(i + 1, p):
            cols.append(X[:, i] * X[:, j])
    return np.stack(cols, axis=1)

def loss(X, y):
    pred = np.dot(design(X), coef) + b
    rmse = np.sqrt(np.mean((pred - y) ** 2))
    return rmse + 0.01 * np.sum(coef[3:] ** 2)

def batch(n, seed):
    g = np.random.default_rng(seed)
    X = g.uniform(-1, 1, size=(n, 3))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * g.normal(size=n)
""",
    "residual network": r"""
inp = tg.nn.Dense(3, 6, rng=0)
blocks = [(tg.nn.Dense(6, 6, "relu", rng=i), tg.nn.Dense(6, 6, rng=10 + i)) for i in range(1, 4)]
out = tg.nn.Dense(6, 1, rng=99)

def loss(X, y):
    h = inp(X)
    for first, second in blocks:
        h = h + second(first(h)) / len(blocks)
    return tg.mse_loss(out(h)[:, 0], y)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 3)), g.normal(size=n)
""",
    "mixture of experts, balanced gate": r"""
E = 3
rng = np.random.default_rng(68)
gate = tg.Tensor(rng.normal(size=(4, E)), requires_grad=True)
experts = tg.Tensor(rng.normal(size=(E, 4, 2)), requires_grad=True)

def loss(X, Y):
    g = tg.softmax(X @ gate, axis=1)
    outs = np.einsum("nd,edk->nek", X, experts)
    pred = (g[:, :, None] * outs).sum(axis=1)
    load = g.mean(axis=0)
    balance = E * (load ** 2).sum()
    return ((pred - Y) ** 2).mean() + 0.01 * balance

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.normal(size=(n, 2))
""",
    "max-margin multi-class": r'''
W = tg.Tensor(0.1 * np.random.default_rng(69).normal(size=(5, 3)), requires_grad=True)

def loss(X, y):
    """Weston-Watkins SVM loss, as in the course notes."""
    num_train = X.shape[0]
    scores = np.dot(X, W)
    correct = scores[np.arange(num_train), y].reshape(-1, 1)
    margins = np.maximum(0, scores - correct + 1.0)
    data = (margins.sum() - num_train) / num_train   # the right class adds one per sample
    return data + 1e-2 * np.sum(W * W)

def batch(n, seed):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 5)), g.integers(0, 3, size=n)
''',
    "NT-Xent": r"""
proj = tg.nn.Sequential(tg.nn.Dense(4, 6, "relu", rng=0), tg.nn.Dense(6, 3, rng=1))

def nt_xent(za, zb, temperature=0.5):
    n = za.shape[0]
    z = np.concatenate([za, zb], axis=0)
    z = z / np.sqrt((z ** 2).sum(axis=1, keepdims=True) + 1e-8)
    sim = z @ z.T / temperature - 1e9 * np.eye(2 * n)
    partner = np.concatenate([np.arange(n, 2 * n), np.arange(n)])
    return tg.cross_entropy(sim, partner)

def loss(view1, view2):
    return nt_xent(proj(view1), proj(view2))

def batch(n, seed):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, 4))
    return x + 0.1 * g.normal(size=(n, 4)), x + 0.1 * g.normal(size=(n, 4))
""",
}
