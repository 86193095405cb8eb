"""A convolution and max pooling in nested loops."""

import numpy as np
# %% [markdown]
# ## Simple CNN : conv 3x3 -> relu -> maxpool 2x2 -> dense -> softmax

# %% [code]
class SimpleCNN:
    def __init__(self, num_filters, num_classes, seed=42):
        rs = np.random.default_rng(seed)
        self.filters = rs.normal(size=(num_filters, 3, 3)) / 3
        self.filter_bias = rs.normal(size=num_filters) * 0.1
        self.weights = rs.normal(size=(num_filters * 2 * 3, num_classes)) / 2
        self.biases = rs.normal(size=num_classes) * 0.1

    def conv(self, img):
        h, w = img.shape
        out = np.zeros((len(self.filters), h - 2, w - 2))
        for f in range(len(self.filters)):
            for i in range(h - 2):
                for j in range(w - 2):
                    out[f, i, j] = np.sum(img[i:i+3, j:j+3] * self.filters[f]) + self.filter_bias[f]
        return out

    def pool(self, fmap):
        nf, h, w = fmap.shape
        out = np.zeros((nf, h // 2, w // 2))
        for f in range(nf):
            for i in range(h // 2):
                for j in range(w // 2):
                    out[f, i, j] = fmap[f, 2*i:2*i+2, 2*j:2*j+2].max()
        return out

    def forward(self, images, labels):
        self.conv_out = np.array([self.conv(im) for im in images])
        self.relu_out = np.maximum(self.conv_out, 0)
        self.pool_out = np.array([self.pool(fm) for fm in self.relu_out])
        self.flat = self.pool_out.reshape(len(images), -1)
        logits = self.flat @ self.weights + self.biases
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.probs[range(len(labels)), labels]).mean()

    def backward(self, images, labels):
        n = len(images)
        d_logits = self.probs.copy()
        d_logits[range(n), labels] -= 1
        d_logits /= n
        self.d_weights = self.flat.T @ d_logits
        self.d_biases = d_logits.sum(axis=0)
        d_pool = (d_logits @ self.weights.T).reshape(self.pool_out.shape)

        d_relu = np.zeros(self.relu_out.shape)
        for s in range(n):
            for f in range(d_pool.shape[1]):
                for i in range(d_pool.shape[2]):
                    for j in range(d_pool.shape[3]):
                        patch = self.relu_out[s, f, 2*i:2*i+2, 2*j:2*j+2]
                        a, b = np.unravel_index(patch.argmax(), patch.shape)
                        d_relu[s, f, 2*i+a, 2*j+b] = d_pool[s, f, i, j]

        d_conv = d_relu * (self.conv_out > 0)
        self.d_filters = np.zeros(self.filters.shape)
        self.d_filter_bias = np.zeros(self.filter_bias.shape)
        for s in range(n):
            for f in range(d_conv.shape[1]):
                for i in range(d_conv.shape[2]):
                    for j in range(d_conv.shape[3]):
                        self.d_filters[f] += d_conv[s, f, i, j] * images[s, i:i+3, j:j+3]
                self.d_filter_bias[f] += d_conv[s, f].sum()

# %% [code]
rs = np.random.default_rng(8)
images = rs.normal(size=(5, 6, 8))
labels = np.array([0, 2, 1, 2, 0])
cnn = SimpleCNN(num_filters=2, num_classes=3)


CHECK = "check(cnn.forward, cnn.backward, images=images, labels=labels)"

MISTAKES = [
    ("d_conv = d_relu * (self.conv_out > 0)",
     "d_conv = d_relu * self.relu_out",
     "activation for the 0/1 mask of the relu"),
    ("d_relu[s, f, 2*i+a, 2*j+b] = d_pool[s, f, i, j]",
     "d_relu[s, f, 2*i:2*i+2, 2*j:2*j+2] = d_pool[s, f, i, j] / 4",
     "average pooling's backward for max pooling"),
    ("self.d_filter_bias[f] += d_conv[s, f].sum()",
     "self.d_filter_bias[f] += d_relu[s, f].sum()",
     "relu mask missing in the filter bias"),
    ("a, b = np.unravel_index(patch.argmax(), patch.shape)",
     "a, b = np.unravel_index(patch.argmin(), patch.shape)",
     "smallest for largest element of the patch"),
]
