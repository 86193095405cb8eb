"""A tensor class whose operations leave closures for the way back."""

import numpy as np

class Tensor:

    def __init__(self, data, _children=(), _op=''):
        self.data = np.array(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self._backward = lambda: None
        self._prev = tuple(_children)
        self._op = _op

    def __add__(self, other):
        out = Tensor(self.data + other.data, (self, other), '+')
        def _backward():
            self.grad += out.grad
            if other.data.ndim < out.data.ndim:
                other.grad += out.grad.sum(axis=0)
            else:
                other.grad += out.grad
        out._backward = _backward
        return out

    def __matmul__(self, other):
        out = Tensor(self.data @ other.data, (self, other), '@')
        def _backward():
            self.grad += out.grad @ other.data.T
            other.grad += self.data.T @ out.grad
        out._backward = _backward
        return out

    def tanh(self):
        t = np.tanh(self.data)
        out = Tensor(t, (self,), 'tanh')
        def _backward():
            self.grad += (1 - t**2) * out.grad
        out._backward = _backward
        return out

    def mse(self, target):
        diff = self.data - target
        out = Tensor((diff**2).mean(), (self,), 'mse')
        def _backward():
            self.grad += 2 * diff / diff.size * out.grad
        out._backward = _backward
        return out

    def backward(self):
        topo, visited = [], set()
        def build_topo(v):
            if id(v) not in visited:
                visited.add(id(v))
                for child in v._prev:
                    build_topo(child)
                topo.append(v)
        build_topo(self)
        self.grad = np.ones_like(self.data)
        for v in reversed(topo):
            v._backward()


class Net:
    def __init__(self, nin, nhid, nout):
        rng = np.random.default_rng(4)
        self.w1 = Tensor(rng.normal(size=(nin, nhid)) * 0.6)
        self.b1 = Tensor(rng.normal(size=nhid) * 0.1)
        self.w2 = Tensor(rng.normal(size=(nhid, nhid)) * 0.6)
        self.w3 = Tensor(rng.normal(size=(nhid, nout)) * 0.6)

    def parameters(self):
        return [self.w1, self.b1, self.w2, self.w3]

    def forward(self, X, Y):
        for p in self.parameters():
            p.grad = np.zeros_like(p.data)
        h = (Tensor(X) @ self.w1 + self.b1).tanh()
        h = h + (h @ self.w2).tanh()
        self.loss = (h @ self.w3).mse(Y)
        return float(self.loss.data)

    def backward(self):
        self.loss.backward()
        return [p.grad for p in self.parameters()]


net = Net(3, 4, 2)
rng = np.random.default_rng(40)
X = rng.normal(size=(6, 3))
Y = rng.normal(size=(6, 2))


CHECK = "check(net.forward, net.backward, X=X, Y=Y)"

MISTAKES = [
    ("self.grad += out.grad @ other.data.T",
     "self.grad = out.grad @ other.data.T",
     "= for +=: the gradient of a tensor used twice is overwritten"),
    ("self.grad += (1 - t**2) * out.grad",
     "self.grad += (1 - self.data**2) * out.grad",
     "tanh derivative taken at the input instead of the output"),
    ("self.grad += 2 * diff / diff.size * out.grad",
     "self.grad += 2 * diff / len(diff) * out.grad",
     "divided by rows only, the mean was over all elements"),
    ("for v in reversed(topo):",
     "for v in topo:",
     "graph walked from the leaves to the loss"),
]
