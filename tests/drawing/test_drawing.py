"""Pictures say what the graph is: structure, names, numbers, colours, on every machine."""

import ast
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import graphviz
import numpy as np
import pytest

import tinygrad_lr as tg
from examples import gallery
from examples.gallery import MODELS
from tinygrad_lr import drawing
from tinygrad_lr.drawing import render
from tinygrad_lr.drawing.formula import expression, formula
from tinygrad_lr.drawing.theme import DARK, LIGHT
from tinygrad_lr.naming import names
from tinygrad_lr.ops import OPERATIONS

GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"
X = np.array([[1.5, 2.0], [-0.5, 1.0], [0.3, -1.2], [2.0, 0.5]])
y = np.array([[1.0], [0.0], [0.0], [1.0]])


def logistic():
    w = tg.Tensor([[0.8], [-0.5]], requires_grad=True)
    b = tg.Tensor(0.1, requires_grad=True)
    z = X @ w + b
    loss = tg.binary_cross_entropy_with_logits(z, y)
    return loss  # noqa: RET504 - the name is what is looked for


def network(*sizes):
    """Layers with a tanh but for the last."""
    *hidden, last = itertools.pairwise(sizes)
    layers = [tg.nn.Dense(n, m, "tanh", rng=n) for n, m in hidden]
    return tg.nn.Sequential(*layers, tg.nn.Dense(*last, rng=1))


def parts(picture, kind):
    """The groups of an SVG for its nodes or edges, by their ids."""
    root = ET.fromstring(picture.pipe("svg"))
    return {g.get("id"): g for g in root.iter(f"{SVG}g") if g.get("class") == kind}


def texts(group):
    return ["".join(t.itertext()).strip("\u00a0 ") for t in group.iter(f"{SVG}text")]


def numbers(group, role):
    """The numbers of a card in the colours of a role: a scalar's, or those on a table's grounds."""
    shades = {LIGHT[token] for token in LIGHT if re.fullmatch(rf"{role}\d", token)}
    texts, on_ground = [], False
    for part in group:
        text = "".join(part.itertext()).strip("\u00a0 \n").replace("−", "-")
        if part.tag == f"{SVG}polygon":
            on_ground = part.get("fill") in shades
        elif part.tag == f"{SVG}text" and text:
            if on_ground or (part.get("fill") == LIGHT[role] and text[-1].isdigit()):
                texts.append(text)
            on_ground = False
    return texts


# Gradients


def replayed(output, changed):
    """The output computed once more by the operations' own functions, with some values changed."""
    arrays = {}
    for x in names.nodes([output]):
        if id(x) in changed:
            arrays[id(x)] = changed[id(x)]
        elif isinstance(x, tg.Tensor) and x.op:
            arrays[id(x)] = x.op.forward(*(arrays[id(i)] for i in x.inputs), **x.params)
        else:
            arrays[id(x)] = x.data if isinstance(x, tg.Tensor) else x
    return float(np.asarray(arrays[id(output)]).item())


def difference_quotients(output, x, h=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        up, down = (replayed(output, {id(x): x.data + s}) for s in (step, -step))
        gradient[index] = (up - down) / (2 * h)
    return gradient


def misprinted(output):
    """The cards whose printed gradient is not the difference quotient, read from the SVG."""
    graph, shown = drawing.graph(output), parts(tg.draw(output), "node")
    wrong, read = [], 0
    for card in graph.cards:
        printed = numbers(shown[card.id], "gradient")
        if card.gradient is None:
            assert not printed, card
            continue
        expected = difference_quotients(output, card.node).ravel()
        assert len(printed) == expected.size, card
        decimals = [len(p.partition(".")[2]) if "e" not in p else 9 for p in printed]
        for p, e, d in zip(printed, expected, decimals, strict=True):
            read += 1
            if abs(float(p) - e) > 0.500001 * 10.0**-d + 1e-7:
                wrong.append((card.name, p, e))
    assert read
    return wrong


def scalars():
    w, b = tg.Tensor(0.8, requires_grad=True), tg.Tensor(0.1, requires_grad=True)
    z = w * 1.5 + b
    return -np.log(tg.sigmoid(z)) + 0.1 * w**2


def hidden_layer():
    model = network(2, 3, 1)
    return tg.mse_loss(model(X), y)


@pytest.mark.parametrize("make", [logistic, scalars, hidden_layer])
def test_the_gradient_printed_on_every_card_is_the_difference_quotient(make):
    assert misprinted(make()) == []


def test_a_wrong_rule_is_seen_in_the_picture(temporary):
    cube = temporary("cube(x)", lambda g, y, x: g * 3 * x, forward=lambda x: x**3)
    w = tg.Tensor([2.0, -1.5], requires_grad=True)
    loss = np.sum(cube(w))
    assert [name for name, *_ in misprinted(loss)] == ["w", "w"]


def test_a_gradient_is_the_sum_of_gradient_times_chip_over_the_wires_that_leave():
    graph = drawing.graph(scalars())
    leaving = {card: [w for w in graph.wires if w.source is card] for card in graph.cards}
    checked = 0
    for card in graph.cards[:-1]:
        if card.gradient is not None:
            sent = [w.target.gradient * w.local for w in leaving[card]]
            assert np.isclose(card.gradient, np.sum(sent), rtol=1e-12)
            checked += 1
    assert checked >= 6
    chips = {key for key in parts(tg.draw(scalars()), "node") if key.startswith("d")}
    assert chips == {f"d{w.key}" for w in graph.wires if w.local is not None}
    assert not any(w.local for w in drawing.graph(logistic()).wires)
    assert not any(w.local for w in drawing.graph(scalars(), derivatives=False).wires)


def test_drawing_changes_no_grad_and_needs_none():
    loss = logistic()
    tg.draw(loss)
    leaves = [x for x in names.nodes([loss]) if isinstance(x, tg.Tensor)]
    assert all(x.grad is None for x in leaves)
    loss.backward()
    before = {id(x): x.grad.copy() for x in leaves if x.grad is not None}
    tg.draw(loss)
    assert all(np.array_equal(x.grad, before[id(x)]) for x in leaves if x.grad is not None)


def test_only_what_leads_from_wrt_has_gradients():
    u, v = tg.Tensor(2.0, requires_grad=True), tg.Tensor(3.0, requires_grad=True)
    a, b = u * 5.0, v * 7.0
    loss = a + b
    cards = {card.name: card for card in drawing.graph(loss, wrt=[u]).cards}
    assert {name for name, c in cards.items() if c.gradient is not None} == {"u", "a", "loss"}


def test_without_a_scalar_there_are_no_gradients():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    doubled = w * 2.0
    assert all(card.gradient is None for card in drawing.graph(doubled).cards)
    assert "grad" not in tg.draw(doubled).source


# Structure


def test_every_card_and_wire_is_in_the_svg_under_its_id():
    loss = logistic()
    graph, picture = drawing.graph(loss), tg.draw(loss)
    assert set(parts(picture, "node")) == {f"n{k}" for k in range(len(graph.cards))}
    wires = {f"e{w.source.index}_{w.target.index}_{w.argument}" for w in graph.wires}
    assert set(parts(picture, "edge")) == wires
    uses = [(c, i) for c in graph.cards for i, _ in enumerate(getattr(c.node, "inputs", ()))]
    assert {(w.target, w.argument) for w in graph.wires} == set(uses)


def test_cards_say_name_shape_formula_kind_and_value():
    loss = logistic()
    cards = {texts(g)[0]: texts(g) for g in parts(tg.draw(loss), "node").values()}
    assert set(cards) == {"X", "w", "X @ w", "b", "z", "y", "logistic_loss(z, y)", "loss"}
    assert {"(4, 2)", "data", "value", "−1.2"} <= set(cards["X"])
    assert {"(2, 1)", "parameter", "0.8", "−0.5", "grad"} <= set(cards["w"])
    assert {"(4, 1)", "X @ w + b"} <= set(cards["z"])
    assert {"mean(logistic_loss(z, y))", "0.601", "1"} <= set(cards["loss"])
    assert "grad" not in cards["X"] and "()" not in cards["loss"]


def test_pointing_at_a_card_tells_it_in_words():
    loss = logistic()
    picture = tg.draw(loss)
    titles = [t.text for t in ET.fromstring(picture.pipe("svg")).iter(f"{SVG}title")]
    words = [" ".join(line.split()) for line in picture.text.splitlines()]
    assert titles[0] == "the computation of loss" and sorted(titles[1:]) == sorted(words)
    assert "<title" not in picture.copy().pipe("svg", encoding="utf-8")


def test_the_same_value_used_twice_has_two_wires():
    x = tg.Tensor(3.0, requires_grad=True)
    assert [w.key for w in drawing.graph(x * x).wires] == ["0_1_0", "0_1_1"]


def test_the_backward_pass_is_a_graph_with_its_own_formulas():
    w = tg.Tensor([[0.8], [-0.5]], requires_grad=True)
    z = X @ w
    loss = tg.binary_cross_entropy_with_logits(z, y)
    (dw,) = tg.grad(loss, [w], create_graph=True)
    cards = {card.name: card for card in drawing.graph(dw).cards}
    assert cards["dw"].formula == "X.T @ (0.25 * (σ(z) - y))"
    assert np.allclose(cards["dw"].value, X.T @ (1 / (1 + np.exp(-X @ w.data)) - y) / 4)


@pytest.mark.parametrize(
    "text, compute",
    [
        ("concatenate([w, 2 * w], 0)", lambda w: np.concatenate([w, 2.0 * w])),
        ("w[1:, None]", lambda w: w[1:, None]),
        ("softmax(w)", lambda w: tg.softmax(w)),
        ("sum(w, axis=0)", lambda w: w.sum(axis=0)),
        ("-(w + 1)", lambda w: -(w + 1.0)),
        ("(w + 1) * 2", lambda w: (w + 1.0) * 2.0),
        ("reshape(w, (3, 1))", lambda w: w.reshape(3, 1)),
        ("w @ w", lambda w: w @ w),
        ("w ** 2", lambda w: w**2),
    ],
)
def test_formulas(text, compute):
    w = tg.Tensor([1.0, -2.0, 3.0], requires_grad=True, name="w")
    card = drawing.graph(compute(w)).cards[-1]
    assert (card.formula or card.title) == text


def test_subscripts_are_part_of_a_name():
    tree = expression("h₁ @ W′")
    assert isinstance(tree, ast.BinOp)
    assert ast.unparse(ast.Attribute(tree, "grad")) == "(h₁ @ W′).grad"


def test_every_operation_of_the_table_has_a_formula_that_can_be_filled():
    for op in OPERATIONS.values():
        arguments = [ast.Name(f"argument{i}") for i in range(2 if op.variadic else len(op.arrays))]
        params = dict.fromkeys(op.params, 7) | op.defaults
        text = ast.unparse(formula(op, arguments, params))
        words = set(re.findall(r"[a-z]\w*", text))
        assert {argument.id for argument in arguments} <= words, op
        assert not words & {*op.arrays, *(op.params if "=" not in text else ())}, (op, text)


def test_a_long_formula_gets_a_name_of_its_own():
    w = tg.Tensor([0.1, 0.2], requires_grad=True)
    out = np.exp(np.sin(np.cos(np.tanh(w * 0.25)))) * 2.0
    cards = drawing.graph(out).cards
    assert [(card.title, card.formula) for card in cards[-2:]] == [
        ("v₁", "exp(sin(cos(tanh(w * 0.25))))"),
        ("out", "v₁ * 2"),
    ]


# Layers


def test_layers_are_frames_with_short_names_inside():
    model = network(2, 3, 1)
    loss = tg.mse_loss(model(X), y)
    picture = tg.draw(loss)
    frames = [texts(g)[0] for g in parts(picture, "cluster").values()]
    assert frames == ["layers.0 · Dense 2 → 3, tanh", "layers.1 · Dense 3 → 1"]
    assert {c.layer for c in drawing.graph(loss).cards} == {None, "layers.0", "layers.1"}
    titles = [c.title for c in drawing.graph(loss).cards]
    assert titles.count("W") == 2 and "layers.0.W" not in titles


def test_a_large_model_is_collapsed_and_equal_layers_folded():
    model = network(5, *[8] * 10, 3)
    loss = tg.mse_loss(model(np.ones((6, 5))), np.zeros((6, 3)))
    grads = tg.grad(loss, model.parameters())
    picture = tg.draw(loss)
    layers = [line for line in picture.text.splitlines() if "parameters" in line]
    groups = (grads[:2], grads[2:20], grads[20:])
    norms = [np.linalg.norm(np.concatenate([g.ravel() for g in group])) for group in groups]
    assert layers == [
        f"layers.0 (6, 8) = Dense 5 → 8, tanh  48 parameters  ‖grad‖ {norms[0]:.3g}",
        "layers.1 … layers.9 (6, 8) = 9 × (Dense 8 → 8, tanh)  648 parameters  "
        f"‖grad‖ {norms[1]:.3g}",
        f"layers.10 (6, 3) = Dense 8 → 3  27 parameters  ‖grad‖ {norms[2]:.3g}",
    ]
    assert model.parameter_count() == 48 + 648 + 27
    ids = set(parts(picture, "node"))
    assert ids == {f"n{k}" for k in range(len(ids))}


def test_depth_chooses_what_is_one_card():
    model = network(2, 3, 1)
    loss = tg.mse_loss(model(X), y)
    whole = tg.draw(loss, depth=0).text.splitlines()
    assert [line for line in whole if "13 parameters" in line]
    assert len(tg.draw(loss, depth=1).text.splitlines()) == len(whole) + 1


class Residual(tg.nn.Module):
    """Operations without parameters lie between the layers."""

    def __init__(self):
        self.first, self.last = tg.nn.Dense(2, 2, rng=0), tg.nn.Dense(2, 1, rng=1)

    def forward(self, x):
        return self.last(x + np.maximum(self.first(x), 0))


def test_what_a_module_computes_between_its_layers_belongs_to_its_card():
    model = Residual()
    assert tg.draw(model, X, depth=0).text.splitlines() == [
        "X (4, 2)  [data]  value −1.2 … 2",
        "Residual (4, 1)  9 parameters",
    ]
    loss = tg.mse_loss(model(X), y)
    first, card, *rest = tg.draw(loss, depth=0).text.splitlines()
    assert first.startswith("X ") and card.startswith("Residual (4, 1)  9 parameters")
    assert rest[-1].startswith("loss = ")
    assert len(tg.draw(model, X).text.splitlines()) == 5


def test_layers_that_take_turns_are_drawn_in_a_circle():
    class Turns(Residual):
        def forward(self, x):
            return self.first(self.last(self.first(x)) * x)

    picture = tg.draw(Turns(), X)
    assert [line.split()[0] for line in picture.text.splitlines()] == ["X", "last", "first"]
    assert re.findall(r"n\d -> n\d", picture.source) == ["n2 -> n1", "n0 -> n2", "n1 -> n2"]


def test_a_model_and_an_input_show_the_layers(capsys):
    model = network(2, 3, 1)
    assert tg.draw(model, X).text.splitlines() == [
        "X (4, 2)  [data]  value −1.2 … 2",
        "layers.0 (4, 3) = Dense 2 → 3, tanh  9 parameters",
        "layers.1 (4, 1) = Dense 3 → 1  4 parameters",
    ]
    model.summary(X)
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["9", "4", "13"]


def test_a_summary_leaves_the_model_as_it_was(capsys):
    model = network(2, 3, 1)
    before = {path: dict(vars(module)) for path, module in model.named_modules()}
    model[0].forward = model[1].forward = lambda x: x
    model.summary(X)
    assert "(4, 2)" in capsys.readouterr().out
    for layer in model:
        del vars(layer)["forward"]
    assert {path: dict(vars(module)) for path, module in model.named_modules()} == before
    assert list(before) == ["", "layers.0", "layers.1"]
    with pytest.raises(ValueError, match="takes"):
        model.summary(np.ones((4, 7)))
    assert {path: dict(vars(module)) for path, module in model.named_modules()} == before


def test_shapes_are_those_of_the_results_while_nothing_is_changed():
    class Twice(tg.nn.Module):
        def __init__(self):
            self.inner, self.unused = network(2, 3), tg.nn.Dense(1, 1)

        def forward(self, x):
            assert all("forward" not in vars(module) for _, module in self.named_modules())
            assert self.inner.output_shapes(x[:1]) == {"": (1, 3), "layers.0": (1, 3)}
            return self.inner(x)

    model = Twice()
    expected = {"": (4, 3), "inner": (4, 3), "inner.layers.0": (4, 3)}
    assert model.output_shapes(X) == expected
    with pytest.raises(ValueError, match="takes"):
        model.output_shapes(np.ones((4, 7)))
    assert not tg.nn.WATCHED


def test_one_layer_used_many_times_is_one_card_without_recursion():
    class Deep(tg.nn.Module):
        def __init__(self):
            self.cell = tg.nn.Dense(2, 2, activation="tanh", rng=0)

        def forward(self, x):
            for _ in range(3400):
                x = self.cell(x)
            return x

    model = Deep()
    loss = model(X).sum()
    assert [line for line in tg.draw(loss).text.splitlines() if "6 parameters" in line]


def test_ten_thousand_operations_without_layers_are_refused_with_advice():
    w = tg.Tensor(1.0, requires_grad=True)
    out = w
    for _ in range(10_000):
        out = out * 1.0001
    with pytest.raises(ValueError, match=r"10001 cards.*depth=1"):
        tg.draw(out)


# Names and numbers that are odd


HOSTILE = [
    *('"];', "<script>alert(1)</script>", "a\nb\x00\x1b", "🐧", "x" * 500, "\\N", "&amp;"),
    *("a -> b", "\ud800", "n0 [label=evil]", "]]>", "%s{0}", "\u202eabc", "--", "' onload='x"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_neither_break_nor_inject(name):
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name=name)
    loss = (w * 3.0).sum()
    loss.name = name
    picture = tg.draw(loss, theme="auto")
    groups = parts(picture, "node")
    assert set(groups) == {"n0", "n1", "n2"}
    root = ET.fromstring(picture.pipe("svg"))
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "g", "title", "polygon", "path", "text", "style", "polyline"}
    assert not {a for e in root.iter() for a in e.attrib if a.startswith("on")}
    if name.isprintable() and len(name) < 40 and name.isascii():
        assert texts(groups["n0"])[0] == name
    assert max(len(t) for t in texts(groups["n0"])) <= 48
    assert len(picture.text.splitlines()) == 3


def test_nan_and_inf_are_flagged_in_words():
    x = tg.Tensor([1.0, 0.0, -1.0], requires_grad=True)
    with np.errstate(all="ignore"):
        loss = np.log(x).sum()
    picture = tg.draw(loss)
    groups = parts(picture, "node")
    assert "value: 1 nan, 1 inf of 3" in texts(groups["n1"])
    assert "grad: 1 inf of 3" in texts(groups["n0"])
    bad = [t for t in groups["n2"].iter(f"{SVG}text") if t.get("fill") == LIGHT["nonfinite"]]
    assert "".join(bad[0].itertext()).strip("\u00a0") == "nan"
    assert LIGHT["nonfinite"] not in tg.draw(logistic()).source


def test_what_has_no_graph_is_refused():
    with pytest.raises(TypeError, match=r"not ndarray; \.data, .* cut off"):
        tg.draw(logistic().data)
    with pytest.raises(TypeError, match="a Module and what it is called with"):
        tg.draw(logistic(), X)
    for path in ("a.svg", Path("a.svg")):
        with pytest.raises(TypeError, match=r"\.render\(outfile='a\.svg'\)"):
            tg.draw(logistic(), path)


def test_leaves_alone_and_results_without_gradient_are_pictures_too():
    w = tg.Tensor(2.0, requires_grad=True)
    assert tg.draw(w).text == "w  [parameter]  value 2  grad 1"
    data = tg.Tensor([1.0, 2.0])
    assert tg.draw(data).text == "data (2,)  [data]  value 1 … 2"
    assert set(parts(tg.draw(w), "node")) == {"n0"}


def test_the_examples_save_drawings(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gallery, "OUTPUT", tmp_path)
    monkeypatch.setattr(gallery, "MODELS", {"one_sample": MODELS["one_sample"]})
    gallery.main()
    assert {path.name for path in tmp_path.iterdir()} == {"one_sample.svg", "one_sample.png"}
    assert "Document 004, one sample" in capsys.readouterr().out


def test_empty_and_large_arrays_have_their_own_words():
    w = tg.Tensor(np.zeros((0, 3)), requires_grad=True)
    assert "empty" in tg.draw((w * 2.0).sum()).text
    large = tg.Tensor(np.linspace(-2.56, 2, 99), requires_grad=True)
    assert "−2.6 … 2" in texts(parts(tg.draw(large.sum()), "node")["n0"])


# Colours


def luminance(colour):
    channels = [c / 255 for c in bytes.fromhex(colour[1:])]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_all_texts_can_be_read(theme):
    def contrast(a, b):
        low, high = sorted((luminance(theme[a]), luminance(theme[b])))
        return (high + 0.05) / (low + 0.05)

    grounds = ["paper", "parameter", "data", "constant", "operation", "loss", "layer"]
    pairs = [(t, g) for t in ("ink", "soft", "value", "gradient", "nonfinite") for g in grounds]
    pairs += [("ink", f"{role}{i}") for role in ("value", "gradient") for i in range(8)]
    pairs += [("local", "chip")]
    assert {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5} == {}


def test_every_colour_is_a_token_and_tokens_are_told_apart():
    colours = set(re.findall(r'"(#\w{6})"', tg.draw(hidden_layer()).pipe("svg", encoding="utf-8")))
    assert colours <= set(LIGHT.values())
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_themes():
    loss = logistic()
    light, dark, auto = (tg.draw(loss, theme=t) for t in ("light", "dark", "auto"))
    assert light.source == auto.source != dark.source
    assert set(re.findall(r"#[0-9a-f]{6}", dark.source)) <= set(DARK.values())
    assert "prefers-color-scheme:dark" in auto.pipe("svg", encoding="utf-8")
    assert "prefers-color-scheme" not in light.pipe("svg", encoding="utf-8")
    with pytest.raises(ValueError, match="theme is 'light', 'dark' or 'auto', not 'pink'"):
        tg.draw(loss, theme="pink")
    with pytest.raises(ValueError, match="direction is 'LR' or 'TB'"):
        tg.draw(loss, direction="up")


def test_switches():
    loss = logistic()
    assert ">value<" not in tg.draw(loss, values=False, legend=False).source
    assert ">grad<" not in tg.draw(loss, gradients=False).source
    assert "computed forward" not in tg.draw(loss, legend=False).source
    assert "rankdir=TB" in tg.draw(loss, direction="TB").source
    assert "rankdir=LR" in tg.draw(loss).source


# The same picture everywhere


@pytest.mark.parametrize("name", ["logistic_regression", "one_sample", "xor_network"])
def test_the_dot_text_is_the_golden_one(name):
    """After a change that is meant: `python -m tests.drawing.test_drawing` writes them anew."""
    assert MODELS[name]().source == (GOLDEN / f"{name}.gv").read_text(encoding="utf-8")


def test_the_dot_text_does_not_depend_on_hashes_or_addresses():
    program = """if True:
        import numpy as np, tinygrad_lr as tg
        model = tg.nn.Sequential(tg.nn.Dense(2, 2, "tanh", rng=0), tg.nn.Dense(2, 1, rng=1))
        print(tg.draw(tg.mse_loss(model(np.eye(2)), np.ones((2, 1)))).source)
    """
    texts = set()
    for seed in "12":
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-c", program]
        texts.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(texts) == 1 and b"digraph" in texts.pop()


def test_importing_the_package_does_not_import_the_drawing():
    program = "import sys, tinygrad_lr; print([m for m in sys.modules if 'graphviz' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


@pytest.mark.parametrize(
    "format, beginning", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_it_draws_without_dot_on_the_path(monkeypatch, tmp_path, format, beginning):
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = tg.draw(logistic())
    assert isinstance(picture, graphviz.Digraph)
    assert picture.pipe(format).startswith(beginning)
    written = picture.render(outfile=str(tmp_path / f"loss.{format}"), cleanup=True)
    assert Path(written).read_bytes().startswith(beginning)
    assert [path.name for path in tmp_path.iterdir()] == [f"loss.{format}"]


def test_the_parent_draws_where_there_is_a_dot(monkeypatch, tmp_path):
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\ncat > /dev/null\necho '<svg >from dot</svg>'\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "from dot" in tg.draw(logistic()).pipe("svg", encoding="utf-8")


def test_without_any_renderer_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    nothing = [
        [sys.executable, "-c", "raise ModuleNotFoundError(\"No module named 'pygraphviz'\")"]
    ]
    monkeypatch.setattr(render, "renderers", lambda *_: nothing)
    picture = tg.draw(logistic())
    with pytest.raises(graphviz.ExecutableNotFound, match=r"pip install 'tinygrad_lr\[draw\]'"):
        picture.pipe("svg")
    bundle = picture._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "apt-get install graphviz" in bundle["text/plain"]
    assert "loss = mean(logistic_loss(z, y))" in bundle["text/plain"]
    assert picture.source.startswith("digraph")


def test_a_library_that_does_not_load_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    broken = [[sys.executable, "-c", "raise ImportError('libX11.so.6: cannot open')"]]
    monkeypatch.setattr(render, "renderers", lambda *_: broken)
    with pytest.raises(drawing.RendererNotFound, match=r"does not load here: .*libX11"):
        tg.draw(logistic()).pipe("svg")


def test_a_label_that_graphviz_cannot_read_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = tg.draw(logistic())
    picture.node("bad", label="<<TABLE><TR>oops</TABLE>>")
    with pytest.raises(graphviz.CalledProcessError):
        picture.pipe("svg")


def test_jupyter_gets_a_picture_and_text():
    bundle = tg.draw(logistic())._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert bundle["image/svg+xml"].startswith("<?xml")
    assert bundle["text/plain"].splitlines()[-1].startswith("loss = mean(")


if __name__ == "__main__":
    for name in ("logistic_regression", "one_sample", "xor_network"):
        (GOLDEN / f"{name}.gv").write_text(MODELS[name]().source, encoding="utf-8")
