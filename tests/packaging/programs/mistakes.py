"""Every line that ends in "# wrong" has a mistake that a type checker finds."""

import numpy as np

import tinygrad_lr as tg

X = np.ones((3, 2))
w = tg.Tensor([1.0, 2.0], requires_grad=True)
model = tg.nn.Dense(2, 1)
loss = tg.mse_loss(X @ w, X[:, 0])

tg.drow(loss)  # wrong
tg.mse_loss(1, 2, redution="x")  # wrong
tg.mse_loss(w)  # wrong
loss.bakward()  # wrong
(X @ w).sum().bakward()  # wrong
tg.exp(w).shap  # wrong
tg.softmax(w, axsi=0)  # wrong
w.sum(axes=0)  # wrong
w.mean(axis="rows")  # wrong
tg.Tensor([1.0], require_grad=True)  # wrong
tg.nn.Dens(2, 1)  # wrong
tg.nn.Dense(2, 1, activation=3)  # wrong
tg.nn.Dense("two", 1)  # wrong
model(X).bakward()  # wrong
model(X, X)  # wrong
model.paramters()  # wrong
tg.optim.Adam(model.parameters, lr=0.1)  # wrong
tg.optim.SGD(model.parameters(), learning_rate=0.1)  # wrong
tg.optim.RMSprop(model.parameters())  # wrong
tg.fit(model, X, X, tg.mse_loss, epochs=3)  # wrong
tg.draw(loss, thema="dark")  # wrong
tg.draw(X)  # wrong
tg.explore(loss, histroy=None)  # wrong
tg.check_backward(3)  # wrong
tg.check_backward(len, names=3)  # wrong
tg.gradcheck(len, [w], tolerance=1e-3)  # wrong
tg.grade(None, [], timeout="long")  # wrong
tg.to_numpy(loss, loops=True)  # wrong
tg.compile(tg.mse_loss)  # wrong
tg.Film()(3)  # wrong
tg.grad(loss, [w], create_graf=True)  # wrong
tg.grad(loss, [w])[0].backward()  # wrong
tg.mse_loss(X @ w, X[:, 0], reduction="meen")  # wrong
tg.nn.Dense(2, 1, activation="rleu")  # wrong
tg.nn.Dense(2, 1, init="glorot")  # wrong
tg.nn.LayerNorm(2)(X).bakward()  # wrong
tg.nn.Flatten(2)  # wrong
tg.optim.StepLR(3, step_size=2)  # wrong
model.predict(X, batchsize=2)  # wrong
