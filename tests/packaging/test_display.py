"""What a prompt and a notebook show of models, optimizers, steps, films and programs."""

import html
import keyword
import re

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.messages import notebook

X = np.linspace(-1, 1, 8).reshape(4, 2)


class Network(tg.nn.Module):
    def __init__(self):
        self.body = tg.nn.Sequential(tg.nn.Dense(2, 3, activation="tanh"), tg.relu)
        self.heads = {"mean": tg.nn.Dense(3, 1), "rest": [tg.Tensor([1.0, 2.0])]}
        self.scale = tg.Tensor(1.0, requires_grad=True)
        self.units = 3

    def forward(self, x):
        return self.heads["mean"](self.body(x)) * self.scale


class Empty(tg.nn.Module):
    pass


def loss(x):
    return (network(x) ** 2).mean()


network = Network()


def plain(markup):
    """The text of HTML."""
    return html.unescape(re.sub("<[^>]*>", "", markup))


def test_a_model_shows_its_parts_nested():
    assert repr(network) == (
        "Network(\n"
        "  body=Sequential(Dense(2, 3, activation=tanh), relu),\n"
        "  heads={'mean': Dense(3, 1, activation=None), 'rest': [Tensor (2,)]},\n"
        "  scale=Tensor (),\n"
        ")"
    )
    assert repr(Empty()) == "Empty()"


def test_a_long_model_has_a_line_for_each_layer():
    text = repr(tg.nn.Sequential(tg.nn.Sequential(*[tg.nn.Dense(2, 2)] * 4), np.tanh))
    assert text.count("\n    Dense(2, 2, activation=None),") == 4
    assert text.splitlines()[1] == "  Sequential(" and text.endswith("\n  tanh,\n)")


def test_a_notebook_shows_the_layers_and_their_parameters():
    table = network._repr_html_()
    cells = [re.findall("<t[hd]>([^<]*)", row) for row in table.split("<tr>")[1:]]
    assert cells[0] == ["path", "layer", "parameters"]
    assert ["body.layers.0", "Dense 2 → 3, tanh", "9"] in cells
    assert cells[-1] == ["total", "", str(network.parameter_count())] == ["total", "", "14"]


def test_an_optimizer_shows_its_rates():
    sgd = tg.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    assert repr(sgd).startswith("SGD(5 parameters, lr=0.1, momentum=0.9")
    sgd.lr = 0.01
    assert "lr=0.01" in repr(sgd)
    assert "betas=(0.9, 0.999)" in repr(tg.optim.Adam(network.parameters()))


def test_a_step_shows_what_it_runs():
    step = tg.compile(loss, tg.optim.SGD(network.parameters()))
    assert repr(step).startswith("<compiled step of loss, SGD(5 parameters")
    assert "the first call records it" in plain(step._repr_html_())
    step(X)
    assert plain(step._repr_html_()) == step.source


def test_a_program_is_shown_in_colour():
    program = tg.to_numpy(loss, X)
    assert plain(program._repr_html_()) == program.source
    words = re.findall(f'{notebook.COLOURS["keyword"]}">(\\w+)', program._repr_html_())
    assert {"import", "def", "return"} <= {*words} and all(map(keyword.iskeyword, words))


@pytest.mark.parametrize(
    "source",
    ['a = "<b>" + f"{x!r:>{n}}"  # <c>\n', "if x:\n\ty = '''é\n\n&'''\n", "λ = 1\r\nz = 2", ""],
)
def test_colours_change_no_character(source):
    assert plain(notebook.highlight(source)) == source


def test_a_film_shows_how_the_loss_fell():
    film = tg.Film()
    assert repr(film) == "<film of no steps>" and 'points=""' in film._repr_html_()
    w = tg.Tensor(2.0, requires_grad=True)
    for scale in (1.0, np.inf, 0.25):
        film(w * scale)
    assert repr(film) == "<film of 3 steps, loss 2 to 0.5>"
    assert 'points="0.0,0.0 240.0,48.0"' in film._repr_html_()


def test_texts_of_layers_schedules_and_models_in_models():
    rng = np.random.default_rng(0)
    assert repr(nn.Dropout(0.2, rng=rng)) == "Dropout(0.2)"
    assert repr([nn.LayerNorm((2, 3)), nn.BatchNorm(4)]) == "[LayerNorm((2, 3)), BatchNorm(4)]"
    assert repr(nn.Embedding(5, 2)) == "Embedding(5, 2)"
    model = nn.Sequential(nn.Dense(2, 3, rng=rng), nn.Dense(3, 1, rng=rng))
    assert repr(model[:1]) == "Sequential(Dense(2, 3, activation=None))"
    sgd = tg.optim.SGD([model.layers[0].W], lr=0.5)
    assert repr(tg.optim.StepLR(sgd, 2)) == "StepLR(lr=0.5, last_epoch=0)"
    assert "SGD(1 parameter, lr=0.5" in repr(sgd)
    assert repr(tg.EarlyStopping(model)) == "EarlyStopping(val_loss=inf, 0 of 10)"
    network = Network()
    network.heads["whole"] = network
    assert "'whole': ..." in repr(network)
