"""A convolution by columns of patches."""

import numpy as np

STRIDE, PAD = 1, 1

def get_im2col_indices(x_shape, kh, kw):
    N, C, H, W = x_shape
    out_h = (H + 2 * PAD - kh) // STRIDE + 1
    out_w = (W + 2 * PAD - kw) // STRIDE + 1
    i0 = np.tile(np.repeat(np.arange(kh), kw), C)
    j0 = np.tile(np.arange(kw), kh * C)
    i1 = STRIDE * np.repeat(np.arange(out_h), out_w)
    j1 = STRIDE * np.tile(np.arange(out_w), out_h)
    i = i0.reshape(-1, 1) + i1.reshape(1, -1)
    j = j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), kh * kw).reshape(-1, 1)
    return k, i, j

def im2col(x, kh, kw):
    x_padded = np.pad(x, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)))
    k, i, j = get_im2col_indices(x.shape, kh, kw)
    cols = x_padded[:, k, i, j]                       # (N, C*kh*kw, out_h*out_w)
    return cols.transpose(1, 2, 0).reshape(kh * kw * x.shape[1], -1)

def conv_forward(X, W, b):
    n_filters, _, kh, kw = W.shape
    n_x, _, h_x, w_x = X.shape
    h_out = (h_x - kh + 2 * PAD) // STRIDE + 1
    w_out = (w_x - kw + 2 * PAD) // STRIDE + 1
    X_col = im2col(X, kh, kw)
    W_col = W.reshape(n_filters, -1)
    out = W_col @ X_col + b.reshape(-1, 1)
    out = out.reshape(n_filters, h_out, w_out, n_x).transpose(3, 0, 1, 2)
    return out, (X, W, X_col)

def conv_backward(dout, cache):
    X, W, X_col = cache
    N, C, H, Wd = X.shape
    n_filter, _, kh, kw = W.shape

    db = np.sum(dout, axis=(0, 2, 3))

    dout_reshaped = dout.transpose(1, 2, 3, 0).reshape(n_filter, -1)
    dW = dout_reshaped @ X_col.T
    dW = dW.reshape(W.shape)

    W_reshape = W.reshape(n_filter, -1)
    dX_col = W_reshape.T @ dout_reshaped

    # col2im
    dX_padded = np.zeros((N, C, H + 2 * PAD, Wd + 2 * PAD))
    k, i, j = get_im2col_indices(X.shape, kh, kw)
    cols = dX_col.reshape(C * kh * kw, -1, N).transpose(2, 0, 1)
    np.add.at(dX_padded, (slice(None), k, i, j), cols)
    dX = dX_padded[:, :, PAD:-PAD, PAD:-PAD]
    return dX, dW, db

rng = np.random.default_rng(14)
X = rng.normal(size=(2, 3, 5, 6))
W = rng.normal(size=(4, 3, 3, 3)) * 0.3
b = rng.normal(size=4)


CHECK = "check(conv_forward, conv_backward, X=X, W=W, b=b)"

MISTAKES = [
    ("dout_reshaped = dout.transpose(1, 2, 3, 0).reshape(n_filter, -1)",
     "dout_reshaped = dout.reshape(n_filter, -1)",
     "reshape without the transposition: filters and samples mixed"),
    ("np.add.at(dX_padded, (slice(None), k, i, j), cols)",
     "dX_padded[:, k, i, j] += cols",
     "fancy += counts every overlapping pixel once only"),
    ("dX = dX_padded[:, :, PAD:-PAD, PAD:-PAD]",
     "dX = dX_padded[:, :, :H, :Wd]",
     "padding cut off at the wrong side"),
    ("dX_col = W_reshape.T @ dout_reshaped",
     "dX_col = W_reshape @ dout_reshaped",
     "transposition missing, shapes do not fit"),
]
