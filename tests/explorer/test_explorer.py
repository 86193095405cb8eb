"""The explorer's data: every rule's line and numbers, the page as a file, words for mistakes."""

import ast
import html
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tinygrad_lr as tg
from tests import samples
from tests.samples import SAMPLES
from tinygrad_lr import Tensor
from tinygrad_lr.check.derivation.diagnosis import diagnose
from tinygrad_lr.drawing.formatting import table
from tinygrad_lr.drawing.trace import graph
from tinygrad_lr.explorer import predict, words
from tinygrad_lr.explorer.mathml import math, mathml
from tinygrad_lr.explorer.page import Arrays, render
from tinygrad_lr.explorer.replay import Replay
from tinygrad_lr.explorer.view import View
from tinygrad_lr.explorer.vjps import vjp_call, vjp_calls
from tinygrad_lr.naming import names
from tinygrad_lr.ops import FUNCTIONS, OPERATIONS, operation

HOSTILE = "</script><script>window.hurt=1</script>"


def data_of(page):
    """The data in a page, from where the browser has it."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(match[1])


def explored(loss, tmp_path, **how):
    page = tg.explore(loss, tmp_path / "page.html", **how).read_text(encoding="utf-8")
    return page, data_of(page)


# Every operation


def differentiated(args, kwargs):
    """A sample's arguments with Tensors for its float arrays, and these Tensors."""
    leaves = []

    def leaf(x):
        if isinstance(x, list) and any(isinstance(part, np.ndarray) for part in x):
            return [leaf(part) for part in x]
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            leaves.append(Tensor(x, requires_grad=True))
            return leaves[-1]
        return x

    return [leaf(x) for x in args], {k: leaf(x) for k, x in kwargs.items()}, leaves


def uses_of_rules(name):
    """(node, input, rule) for every rule that the samples of a function reach."""
    function = samples.function(name)
    for sample in SAMPLES[name]:
        args, kwargs, leaves = differentiated(*sample)
        result = function(*args, **kwargs) if leaves else None
        for output in result if isinstance(result, (list, tuple)) else [result]:
            if isinstance(output, Tensor) and output.requires_grad:
                for node in names.nodes([output]):
                    for i, x in enumerate(getattr(node, "inputs", ())):
                        rule = next((r for k, r in enumerate(node.op.rules) if k == i), None)
                        if rule and isinstance(x, Tensor) and x.requires_grad:
                            yield node, i, rule


def arrays_of(node):
    return [x._array if isinstance(x, Tensor) else x for x in node.inputs]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_line_of_numpy_computes_what_is_sent(name):
    for node, i, rule in uses_of_rules(name):
        rng = np.random.default_rng(1)
        g, inputs = rng.normal(size=node.shape), arrays_of(node)
        arguments = {"g": g, "y": node._array}
        arguments |= {f"x{k}": np.asarray(x) for k, x in enumerate(inputs)}
        named = {key: ast.Name(key) for key in arguments}
        with np.errstate(all="ignore"):
            p = vjp_call(node, i, rule, g, inputs, named)
            computed = eval(ast.unparse(p.text), {"np": np} | FUNCTIONS | arguments)
            fresh = [Tensor(x, requires_grad=k == i) if k == i else x for k, x in enumerate(inputs)]
            expected = tg.grad(fresh[i].apply(node.op, tuple(fresh), node.params), fresh[i], g)[0]
        assert_allclose(computed, expected, rtol=1e-12, atol=1e-12)
        assert_allclose(p.gradient, expected, rtol=1e-12, atol=1e-12)
        if p.local:
            assert_allclose(g * p.local.array, p.raw, rtol=1e-12, atol=1e-300)
        elif p.sign == "@":
            assert_allclose(p.factors[0].array @ p.factors[1].array, p.raw, rtol=1e-12)
        ET.fromstring(math(mathml(p.text, "<mi>L</mi>")))


def test_every_operation_has_a_sample():
    assert OPERATIONS.keys() - {"gaussian"} <= SAMPLES.keys() | {"copy"}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_operation_has_steps_with_all_their_parts(name):
    for node, *_ in uses_of_rules(name):
        if node.size and len(names.nodes([node])) < 9:
            cards = graph((node * np.cos(np.arange(node.size)).reshape(node.shape)).sum())
            steps = View(cards, vjp_calls(cards), Arrays()).steps()
            assert [steps[0]["phase"], steps[-1]["phase"]] == ["start", "done"]
            boxes = [
                b for s in steps if s["phase"] == "backward" for b in s["boxes"] if "target" in b
            ]
            assert boxes and all(
                b["formula"] and b["row"] and b["notes"] and b["code"] for b in boxes
            )
            forward = [s for s in steps if s["phase"] == "forward"]
            assert all(s["formula"] and s["row"] and s["notes"] and s["line"] for s in forward)


# Whole pages, against derivations by hand

X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
LABELS = np.array([[1.0], [0.0], [0.0], [1.0]])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def logistic():
    w = Tensor([[0.8], [-0.5]], requires_grad=True)
    b = Tensor(0.1, requires_grad=True)
    u = X @ w
    z = u + b
    p = tg.sigmoid(z)
    E = tg.binary_cross_entropy(p, LABELS)
    s = (w**2).sum()
    L = E + 0.1 * s
    P = sigmoid(X @ w.data + b.data)
    dz = (P - LABELS) / 4
    return L, {
        "p": (P - LABELS) / (P * (1 - P)) / 4, "z": dz, "u": dz, "b": dz.sum(),
        "w": X.T @ dz + 0.2 * w.data, "w ** 2": np.full((2, 1), 0.1), "s": 0.1, "E": 1.0,
    }  # fmt: skip


def softmax_regression():
    labels = np.array([0, 1, 2, 1])
    W = Tensor([[0.2, 0.1, -0.3], [0.5, -0.4, 0.0]], requires_grad=True)
    b = Tensor(np.zeros(3), requires_grad=True)
    Z = X @ W + b
    P = tg.softmax(Z)
    picked = P[np.arange(4), labels]
    loss = -np.mean(np.log(picked))
    E = np.exp(X @ W.data + b.data)
    soft, hot = E / E.sum(1, keepdims=True), np.eye(3)[labels]
    dZ = (soft - hot) / 4
    dP = -hot / soft / 4
    gradients = {
        "Z": dZ,
        "W": X.T @ dZ,
        "b": dZ.sum(0),
        "P": dP,
        "picked": dP[hot == 1],
        "loss": 1.0,
    }
    return loss, gradients


def xor_network():
    inputs, target = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([[0], [1], [1], [0.0]])
    rng = np.random.default_rng(0)
    V, c = Tensor(rng.normal(size=(2, 2)), requires_grad=True), Tensor(np.zeros(2), True)
    w, d = Tensor(rng.normal(size=(2, 1)), requires_grad=True), Tensor(0.5, True)
    h = tg.sigmoid(inputs @ V + c)
    z = h @ w + d
    loss = tg.binary_cross_entropy_with_logits(z, target)
    H = sigmoid(inputs @ V.data + c.data)
    dz = (sigmoid(H @ w.data + d.data) - target) / 4
    dh = dz @ w.data.T
    da = dh * H * (1 - H)
    return loss, {
        "w": H.T @ dz, "d": dz.sum(), "h": dh, "V": inputs.T @ da, "c": da.sum(0), "z": dz,
        "loss": 1.0,
    }  # fmt: skip


MODELS = [logistic, softmax_regression, xor_network]


@pytest.mark.parametrize("model", MODELS)
def test_every_number_is_the_one_that_numpy_gives(model, tmp_path):
    loss, expected = model()
    _, data = explored(loss, tmp_path)
    view, arrays = data["views"][""], data["arrays"]
    by_name = {node["name"]: node for node in view["nodes"]}
    final = {k: a for step in view["steps"] for k, a in step.get("sums", [])}
    for name, g in expected.items():
        node, texts = by_name[name], Arrays()
        texts.add(g)
        assert arrays[node["gradient"]["array"]] == texts.entries[0], name
        assert final[node["index"]] == node["gradient"]["array"], name
        if "check" in node:
            near = arrays[node["check"]["row"][2]["array"]]["text"]
            assert [[float(t.replace("−", "-")) for t in row] for row in near] == [
                [float(t.replace("−", "-")) for t in row]
                for row in arrays[node["gradient"]["array"]]["text"]
            ]
    products = {}
    for step in view["steps"]:
        for box in step.get("boxes", []):
            if "right" in box:
                products.setdefault(box["target"], []).append(np.array(box["right"]["values"]))
    for name, g in expected.items():
        if (k := by_name[name]["index"]) in products:
            assert_allclose(sum(products[k]), np.ravel(g), rtol=1e-8, atol=1e-12)


def test_the_columns_of_a_product_are_what_arrived_times_the_local_derivative(tmp_path):
    _, data = explored(logistic()[0], tmp_path)
    through = {s["title"]: s for s in data["views"][""]["steps"] if s["phase"] == "backward"}
    box = through["through p = σ(z)"]["boxes"][0]
    arrived, times, local, equals, sent = box["row"]
    p = sigmoid(X @ [[0.8], [-0.5]] + 0.1)
    assert (times, equals, local["label"], local["role"]) == ("×", "=", "p * (1 - p)", "local")
    assert data["arrays"][local["array"]]["text"] == table(p * (1 - p))
    assert data["arrays"][arrived["array"]]["text"] == table((p - LABELS) / (p * (1 - p)) / 4)
    assert data["arrays"][sent["array"]]["text"] == table((p - LABELS) / 4)
    assert box["code"] == "z.grad = p.grad * p * (1 - p)"


def test_a_value_used_twice_has_its_contributions_and_their_sum(tmp_path):
    _, data = explored(logistic()[0], tmp_path)
    boxes = [b for s in data["views"][""]["steps"] for b in s.get("boxes", [])]
    first, second, *_ = [b for b in boxes if b["heading"] == "to w"]
    assert "The first of two contributions to w." in first["notes"]
    assert second["code"].startswith("w.grad += X.T @ u.grad")
    total = next(b for b in boxes if b["heading"] == "accumulated in w")
    assert [part if isinstance(part, str) else part["label"] for part in total["row"]] == [
        "from w ** 2", "+", "from u", "=", "grad of w"
    ]  # fmt: skip


def test_broadcasting_is_undone_in_words_and_numbers(tmp_path):
    _, data = explored(logistic()[0], tmp_path)
    box = next(
        b for s in data["views"][""]["steps"] for b in s.get("boxes", []) if b["heading"] == "to b"
    )
    assert any("was repeated to (4, 1) by broadcasting" in note for note in box["notes"])
    assert box["row"][-2] == "Σ →"


def test_a_wrong_rule_is_seen_in_the_finite_differences(tmp_path):
    @operation("wrong(x)", lambda g, y, x: 3 * g * x)
    def wrong(x):
        return np.square(x)

    try:
        w = Tensor([1.0, 2.0], requires_grad=True)
        _, data = explored(wrong(w).sum(), tmp_path)
    finally:
        del OPERATIONS["wrong"], FUNCTIONS["wrong"]
    node = next(n for n in data["views"][""]["nodes"] if n["name"] == "w")
    assert "by less than 10." in node["check"]["notes"][0]
    right = explored((Tensor([1.0, 2.0], requires_grad=True) ** 2).sum(), tmp_path)[1]
    note = next(
        n["check"]["notes"][0] for n in right["views"][""]["nodes"] if n["kind"] == "parameter"
    )
    assert re.search(r"by less than 1e−[89]\.", note)


def test_finite_differences_stop_at_their_budget():
    w = Tensor(np.ones(50), requires_grad=True)
    replay = Replay((w**2).sum())
    replay.budget = 50
    assert replay.differences(w) is None


# Predictions


def test_wrong_products_are_told_in_the_words_of_the_diagnosis():
    verdicts = predict.verdicts(graph(logistic()[0]))
    right, sizes = (
        np.array([0.3, -0.2, 0.7]),
        {4: "the number of samples", 2: "the number of features"},
    )
    for factor, text in verdicts["factors"]:
        assert text == diagnose(factor * right, right, sizes)
    texts = [text for _, text in verdicts["factors"]]
    assert "4 times too large: not divided by the number of samples" in texts
    assert verdicts["times"][0].replace("{}", "3.7") == diagnose(3.7 * right, right, sizes)
    assert verdicts["times"][1].replace("{}", "-3.7") == diagnose(-3.7 * right, right, sizes)


def test_mistakes_in_a_rule_are_known_by_their_numbers(tmp_path):
    _, data = explored(logistic()[0], tmp_path)
    through = {s["title"]: s for s in data["views"][""]["steps"] if s["phase"] == "backward"}
    wrong = dict(through["through p = σ(z)"]["boxes"][0]["wrong"])
    z = X @ [[0.8], [-0.5]] + 0.1
    p = sigmoid(z)
    dp = (p - LABELS) / (p * (1 - p)) / 4
    assert_allclose(wrong["the derivative of sigmoid is missing"], dp.ravel())
    text = "the derivative of sigmoid is taken at its input, not its output"
    assert_allclose(wrong[text], (dp * z * (1 - z)).ravel())
    to_b = through["through z = u + b"]["boxes"][1]
    assert_allclose(
        dict(to_b["wrong"])["not summed over the batch: this is the gradient of z"],
        ((p - LABELS) / 4).ravel(),
    )


# The page as a file


def test_the_page_is_small_and_asks_for_nothing(tmp_path):
    page, data = explored(logistic()[0], tmp_path)
    folder = tg.explorer.page.HERE
    files = sum((folder / name).stat().st_size for name in ("template.html", "player.js"))
    assert files <= 24 * 1024
    assert len(page.encode()) <= 64 * 1024 + len(data["views"][""]["svg"].encode())
    assert "default-src 'none'" in page
    assert not re.search(r"\b(src|href)=(?![\"']data:,)", page)
    assert set(re.findall(r"https?://[^\s\"\\]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


@pytest.mark.parametrize(
    "name", [HOSTILE, '"><img src=x onerror=alert(1)>', "@data@", "\u2028'`${a}"]
)
def test_hostile_names_stay_texts(name, tmp_path):
    w = Tensor([1.0, 2.0], requires_grad=True, name=name)
    page, data = explored((w * w).sum(), tmp_path, title=name)
    assert page.count("<script") == 2 and "<img" not in page
    shown = next(n["name"] for n in data["views"][""]["nodes"] if n["kind"] == "parameter")
    assert shown == " ".join(name.split())
    for step in data["views"][""]["steps"]:
        for formula in [step.get("formula"), *(b.get("formula") for b in step.get("boxes", []))]:
            assert not formula or ET.fromstring(formula).tag == "math"


def test_the_same_graph_gives_the_same_page(tmp_path):
    assert explored(logistic()[0], tmp_path)[0] == explored(logistic()[0], tmp_path)[0]


def test_nothing_of_the_graph_is_changed(tmp_path):
    loss, _ = logistic()
    leaves = [x for x in names.nodes([loss]) if isinstance(x, Tensor)]
    explored(loss, tmp_path)
    assert all(x.grad is None for x in leaves)
    loss.backward()


def test_arrays_that_are_not_finite_are_told(tmp_path):
    w = Tensor([0.0, 1.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        _, data = explored(tg.log(w).sum(), tmp_path)
    assert any("inf" in a.get("nonfinite", "") for a in data["arrays"])


def test_a_large_array_is_shown_in_part(tmp_path):
    w = Tensor(np.arange(300.0).reshape(30, 10), requires_grad=True)
    _, data = explored((w * w).sum(), tmp_path)
    excerpts = [a["excerpt"] for a in data["arrays"] if "excerpt" in a]
    assert excerpts[0].startswith("64 of 300 numbers, which go from ")


# Large graphs, models, notebooks, films


def deep(layers):
    first = [tg.nn.Dense(2, 4, activation="tanh", rng=0)]
    more = [tg.nn.Dense(4, 4, activation="tanh", rng=i) for i in range(layers)]
    return tg.nn.Sequential([*first, *more, tg.nn.Dense(4, 1, rng=1)])


def test_a_large_model_is_shown_by_layer_and_each_layer_can_be_opened(tmp_path):
    model = deep(8)
    path = tg.explore(model, X, LABELS, tg.binary_cross_entropy_with_logits, tmp_path / "a.html")
    data = data_of(path.read_text(encoding="utf-8"))
    whole = data["views"][""]
    layers = [n for n in whole["nodes"] if n["kind"] == "layer"]
    assert [n["name"] for n in layers] == ["layers.0", "layers.1 … layers.8", "layers.9"]
    assert {n["opens"] for n in layers} <= set(data["views"])
    assert set(data["views"]) == {"", *(f"layers.{i}" for i in range(10))}
    opened = data["views"]["layers.5"]
    assert [n["name"] for n in opened["nodes"] if n["kind"] == "parameter"] == [
        "layers.5.W",
        "layers.5.b",
    ]
    assert "layers.1 … layers.4" in [n["name"] for n in opened["nodes"]]


def test_what_a_layer_sends_is_what_its_operations_send(tmp_path):
    model = deep(8)
    out = model(X)
    loss = tg.binary_cross_entropy_with_logits(out, LABELS)
    data = data_of(tg.explore(loss, tmp_path / "a.html").read_text(encoding="utf-8"))
    arrays = data["arrays"]
    step = next(s for s in data["views"][""]["steps"] if s.get("title") == "through layers.9")
    operations = [x for x in names.nodes([loss]) if isinstance(x, Tensor) and x.op]
    *_, h = [x for x in operations if x.op.name == "tanh"]
    sent = next(b["row"][-1] for b in step["boxes"] if b.get("target") is not None)
    assert arrays[sent["array"]]["text"] == table(tg.grad(loss, [h])[0])


def test_layers_that_take_turns_are_explored(tmp_path):
    class Turns(tg.nn.Module):
        def __init__(self):
            self.there, self.back = (tg.nn.Dense(2, 2, "tanh", rng=i) for i in range(2))

        def forward(self, x):
            for _ in range(6):
                x = self.back(self.there(x))
            return x

    path = tg.explore(Turns(), X, X, tg.mse_loss, tmp_path / "a.html")
    nodes = data_of(path.read_text(encoding="utf-8"))["views"][""]["nodes"]
    assert [n["name"] for n in nodes if n["kind"] == "layer"] == ["there", "back"]


def test_a_model_is_explored_with_its_data(tmp_path):
    model = tg.nn.Sequential(tg.nn.Dense(2, 1, rng=0))
    path = tg.explore(model, X, LABELS, tg.binary_cross_entropy_with_logits, tmp_path / "a.html")
    loss = tg.binary_cross_entropy_with_logits(model(X), LABELS)
    pages = data_of(path.read_text(encoding="utf-8")), explored(loss, tmp_path)[1]
    first, second = (page["views"][""]["nodes"] for page in pages)
    gradients = [n["gradient"]["array"] for n in first if "gradient" in n]
    assert gradients == [n["gradient"]["array"] for n in second if "gradient" in n]
    assert first[-1]["name"] == "loss"


def test_a_script_gets_a_file_and_a_notebook_a_frame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tg.explore(logistic()[0]).name == "explorer.html"
    monkeypatch.setattr(tg.explorer, "_in_a_notebook", lambda: True)
    page = tg.explore(logistic()[0])
    bundle = page._repr_mimebundle_()
    frame = re.fullmatch(
        r'<iframe sandbox="allow-scripts" srcdoc="([^"]*)" style="[^"]*"></iframe>',
        bundle["text/html"],
    )
    assert html.unescape(frame[1]) == page.html
    assert bundle["image/svg+xml"].count("<svg") == 1
    assert bundle["text/plain"] == repr(page) and "w (2, 1)  [parameter]" in repr(page)


def test_a_film_keeps_what_was_then(tmp_path):
    w, film, losses = Tensor([3.0], requires_grad=True), tg.Film(), []
    for _ in range(60):
        loss = ((w - 1) ** 2).sum()
        film(loss)
        losses.append((loss.item(), w.data.copy()))
        w.grad = None
        loss.backward()
        w.data -= 0.1 * w.grad
    assert [f.step for f in film.frames] == [*range(0, 60, 4), 59]
    for frame in film.frames:
        assert (frame.loss, frame.arrays["w"][0]) == losses[frame.step]
    _, data = explored(((w - 1) ** 2).sum(), tmp_path, history=film)
    history, at = data["film"], data["film"]["names"].index("w")
    texts = [data["arrays"][frame["values"][at]]["text"][0][0] for frame in history["frames"]]
    assert texts[:2] == ["3", "1.82"]
    assert history["points"][0] == [0.0, 0.0] and history["points"][-1] == [1.0, 1.0]


def test_a_film_of_another_model_is_refused(tmp_path):
    w, v = Tensor([3.0, 1.0], requires_grad=True), Tensor([3.0], requires_grad=True)
    film, path = tg.Film(), tmp_path / "other.html"
    film(((w - 1) ** 2).sum())
    explored(((w - 2) ** 4).sum(), tmp_path, history=film)
    with pytest.raises(ValueError, match=r"another model: v, here of shape \(1,\), is not there"):
        tg.explore((v**2).sum(), path, history=film)
    w = Tensor([3.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"another model: w, .* \(1,\), has the shape \(2,\)"):
        tg.explore((w**2).sum(), path, history=film)
    assert not path.exists()


# Errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tg.explore(np.ones(3)), tg.GradientError, "has none"),
        (lambda: tg.explore(Tensor(1.0, requires_grad=True)), tg.GradientError, "has none"),
        (lambda: tg.explore(Tensor([1.0, 2], True) * 2), tg.GradientError, r"\.sum\(\) or \.mean"),
        (lambda: tg.explore(deep(1), X), TypeError, "data, target and loss"),
        (lambda: tg.explore(logistic()[0], "a", "b"), TypeError, "one path"),
        (lambda: tg.explore(logistic()[0], 3), TypeError, "one path"),
    ],
)
def test_errors_tell_what_would_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_graph_of_too_many_cards_is_refused():
    w = Tensor(1.0, requires_grad=True)
    total = w
    for _ in range(400):
        total = total * w
    with pytest.raises(ValueError, match=r"401 cards, and up to 300"):
        tg.explore(total)


def test_the_template_is_filled_in_one_pass():
    assert "@title@" not in render("@data@", {}) and render("@data@", {}).count("@data@") == 2
    assert words.PAGE["keys"]
