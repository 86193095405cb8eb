"""Matrix factorisation in scalar loops, updated with momentum."""

import numpy as np

R = np.array([[5, 3, 0, 1, 4, 0],
              [4, 0, 0, 1, 2, 3],
              [1, 1, 0, 5, 0, 2],
              [0, 1, 5, 4, 3, 0]], dtype=float)

class MF():
    def __init__(self, R, K, alpha, beta, mu=0.9):
        rng = np.random.default_rng(19)
        self.num_users, self.num_items = R.shape
        self.K = K
        self.alpha = alpha      # learning rate
        self.beta = beta        # regularisation
        self.mu = mu            # momentum
        self.P = rng.normal(scale=0.6, size=(self.num_users, K))
        self.Q = rng.normal(scale=0.6, size=(self.num_items, K))
        self.b_u = rng.normal(scale=0.2, size=self.num_users)
        self.b_i = rng.normal(scale=0.2, size=self.num_items)
        self.b = np.mean(R[R > 0])
        self.velocity = {name: 0.0 for name in ('P', 'Q', 'b_u', 'b_i')}

    def get_rating(self, i, j):
        return self.b + self.b_u[i] + self.b_i[j] + self.P[i, :].dot(self.Q[j, :].T)

    def error(self, R):
        total = 0
        for i in range(self.num_users):
            for j in range(self.num_items):
                if R[i, j] > 0:
                    total += (R[i, j] - self.get_rating(i, j)) ** 2
        total += self.beta / 2 * (np.sum(self.P ** 2) + np.sum(self.Q ** 2))
        return total

    def step(self, R):
        gP = self.beta * self.P
        gQ = self.beta * self.Q
        gbu = np.zeros(self.num_users)
        gbi = np.zeros(self.num_items)
        for i in range(self.num_users):
            for j in range(self.num_items):
                if R[i, j] > 0:
                    e = R[i, j] - self.get_rating(i, j)
                    gbu[i] -= 2 * e
                    gbi[j] -= 2 * e
                    for k in range(self.K):
                        gP[i, k] -= 2 * e * self.Q[j, k]
                        gQ[j, k] -= 2 * e * self.P[i, k]
        self.velocity['P'] = self.mu * self.velocity['P'] - self.alpha * gP
        self.velocity['Q'] = self.mu * self.velocity['Q'] - self.alpha * gQ
        self.velocity['b_u'] = self.mu * self.velocity['b_u'] - self.alpha * gbu
        self.velocity['b_i'] = self.mu * self.velocity['b_i'] - self.alpha * gbi
        self.P += self.velocity['P']
        self.Q += self.velocity['Q']
        self.b_u += self.velocity['b_u']
        self.b_i += self.velocity['b_i']

mf = MF(R, K=2, alpha=0.01, beta=0.3)


CHECK = "check(mf.error, mf.step, R=R)"

MISTAKES = [
    ("gQ[j, k] -= 2 * e * self.P[i, k]",
     "gQ[j, k] -= 2 * e * self.Q[j, k]",
     "Q in its own gradient instead of P"),
    ("gbi[j] -= 2 * e",
     "gbi[j] += 2 * e",
     "sign of the item bias"),
    ("self.Q += self.velocity['Q']",
     "self.Q -= self.velocity['Q']",
     "velocity subtracted, it is already negative"),
    ("e = R[i, j] - self.get_rating(i, j)",
     "e = R[i, j] - self.P[i].dot(self.Q[j])",
     "mean and biases forgotten in the prediction"),
]
