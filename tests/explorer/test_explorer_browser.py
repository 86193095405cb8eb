"""The explorer's page in a real browser: headless Chromium, driven by playwright.

`pip install -e '.[browser]'` and `apt-get install chromium`; with REQUIRE_BROWSER set in the
environment these tests fail where they cannot run, and are skipped otherwise.
"""

import os
import re
import shutil
from collections import namedtuple

import numpy as np
import pytest

import tinygrad_lr as tg
from examples.pages import PAGES
from tinygrad_lr import Tensor

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
Opened = namedtuple("Opened", "page requests errors")


def unable(why):
    (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(why)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unable("no playwright: pip install -e '.[browser]'")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if not program:
        unable("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {name: write(folder / f"{name}.html") for name, write in PAGES.items()}


@pytest.fixture
def look(browser):
    """Opens a page, offline; at the end nothing may have gone wrong in any."""
    contexts, all_opened = [], []

    def opened(path, step=1, width=1360, height=800, theme="light", **how):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme, reduced_motion="reduce", offline=True, **how,
        )  # fmt: skip
        contexts.append(context)
        seen = Opened(context.new_page(), [], [])
        all_opened.append(seen)
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda message: seen.errors.append(message.text))
        seen.page.goto(f"{path.as_uri()}#step={step}")
        return seen.page

    yield opened
    for seen in all_opened:
        assert seen.errors == []
        assert all(url.startswith(("file:", "data:", "about:")) for url in seen.requests)
        assert len([url for url in seen.requests if url.startswith("file:")]) == 1
    for context in contexts:
        context.close()


def shown(page, card):
    """The texts of a card that can be seen."""
    return page.eval_on_selector_all(
        f"#{card} text",
        "found => found.filter(t => getComputedStyle(t).visibility === 'visible')"
        ".map(t => t.textContent.trim())",
    )


def card(page, name):
    """The id of the card with a name."""
    return page.evaluate("name => view.nodes.find(n => n.name === name).id", name)


def slide(page, name, to):
    page.evaluate(
        """([name, to]) => {
            const slider = document.getElementById(name);
            slider.value = to;
            slider.oninput({target: slider});
        }""",
        [name, to],
    )


def count(page):
    return page.inner_text("#count")


def test_values_come_before_gradients(pages, look):
    page = look(pages["logistic_regression"])
    z = card(page, "z")
    assert "0.30" not in shown(page, z) and "value" not in shown(page, z)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert {"value", "0.30", "1.45"} <= set(shown(page, z)) and "grad" not in shown(page, z)
    page.keyboard.press("End")
    assert {"grad", "−0.11", "0.18"} <= set(shown(page, z))


def test_a_sum_is_partial_and_then_full(pages, look):
    page = look(pages["logistic_regression"], 16)
    w = card(page, "w")
    assert {"0.16", "−0.10"} <= set(shown(page, w))
    page.keyboard.press("End")
    assert {"−0.08", "−0.47"} <= set(shown(page, w))
    assert "0.16" not in shown(page, w)


def test_every_step_shows_its_words_and_its_formulas(pages, look):
    for path in pages.values():
        page = look(path)
        steps = page.evaluate("view.steps.length")
        for n in range(steps):
            assert count(page) == f"{n + 1} / {steps}"
            assert page.inner_text("aside h2")
            for height in page.eval_on_selector_all(
                "aside math", "found => found.map(m => m.getBoundingClientRect().height)"
            ):
                assert height > 14
            page.keyboard.press("ArrowRight")


def test_fractions_are_laid_out_as_fractions(pages, look):
    page = look(pages["logistic_regression"], 18)
    above, below = page.eval_on_selector(
        "aside mfrac", "f => [...f.children].map(c => c.getBoundingClientRect().top)"
    )
    assert below > above + 8


def test_moving_about(pages, look):
    page = look(pages["logistic_regression"], 14)
    assert count(page) == "14 / 21"
    for key, at in [("Home", 1), ("b", 11), ("f", 2), ("ArrowLeft", 1), ("End", 21)]:
        page.keyboard.press(key)
        assert count(page) == f"{at} / 21" and page.url.endswith(f"#step={at}")
    page.click("#first")
    page.click("#next")
    assert count(page) == "2 / 21"
    page.click("#back1")
    assert page.is_disabled("#back1")
    slide(page, "slider", 17)
    assert count(page) == "18 / 21"
    assert page.get_attribute("#slider", "aria-valuetext") == "18 of 21: through ŷ = σ(z)"
    page.evaluate("location.hash = '#step=3'")
    page.wait_for_function("document.getElementById('count').textContent === '3 / 21'")


def test_it_plays_and_pauses(pages, look):
    page = look(pages["logistic_regression"])
    page.clock.install()
    page.keyboard.press(" ")
    assert "pause" in page.inner_text("#play")
    page.clock.run_for(5000)
    assert count(page) == "4 / 21"
    page.click("#play")
    page.clock.run_for(5000)
    assert count(page) == "4 / 21"


def test_a_card_tells_its_numbers(pages, look):
    page = look(pages["logistic_regression"], 5)
    page.focus(f"#{card(page, 'w')}")
    page.keyboard.press("Enter")
    text = page.inner_text("aside")
    assert "parameter" in text and "where the gradient comes from" in text
    page.click("summary")
    assert "finite differences" in page.inner_text("aside details")
    page.keyboard.press("Escape")
    assert "ŷ" in page.inner_text("aside h2") or count(page) == "5 / 21"
    assert page.evaluate("document.activeElement.id") == card(page, "w")
    page.click(f"#{card(page, 'X')}")
    assert page.inner_text("aside h2") == "X"


def test_a_card_is_a_button_that_says_what_it_knows(pages, look):
    page = look(pages["logistic_regression"], 2)
    u, z = card(page, "u"), card(page, "z")
    assert page.get_attribute(f"#{u}", "role") == "button"
    assert page.get_attribute(f"#{u}", "aria-label").startswith("u, operation, value 0.20; −0.90")
    assert page.get_attribute(f"#{z}", "aria-label") == "z, operation"
    assert page.get_attribute("aside", "aria-live") == "polite"


def test_wires_and_rings_show_where_things_go(pages, look):
    page = look(pages["logistic_regression"], 20)
    back = page.eval_on_selector_all(".edge.bw", "found => found.map(e => e.id)")
    u, w = card(page, "u"), card(page, "w")
    assert back == [f"e{w[1:]}_{u[1:]}_1"]
    assert page.eval_on_selector_all(".to", "found => found.map(e => e.id)") == [w]
    assert page.eval_on_selector_all(".here", "found => found.map(e => e.id)") == [u]
    page.keyboard.press("f")
    assert len(page.query_selector_all(".edge.fw")) == 2


# Predictions


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        ("-0.24; -0.37", "right"),
        ("−0.24\n−0.37", "right"),
        ("[[-0.239], [-0.3704]]", None),
        ("0.24; 0.37", "the sign is flipped"),
        ("-0.96; -1.48", "4 times too large: not divided by the number of samples"),
        ("-1.2; -1.84", "it is 4.94 times what it should be"),
        ("0; 0", "zero"),
        ("-0.24 -0.37 0.1", "The shape is (2, 1)."),
        ("-0.24; 0.11", "not right; the mistake is unknown"),
        ("two", "Numbers, please: a row a line, or rows with ; between them."),
    ],
)
def test_an_entry_is_judged(pages, look, entry, verdict):
    page = look(pages["logistic_regression"], 20)
    w = card(page, "w")
    page.click("#predict")
    assert "−0.37" not in page.inner_text("aside") and "−0.47" not in shown(page, w)
    page.fill("textarea", entry)
    page.click("text=check")
    if verdict:
        assert page.inner_text(".verdict") == verdict
    page.click("text=reveal")
    assert "−0.37" in page.inner_text("aside") and "−0.47" in shown(page, w)
    assert not page.query_selector("textarea")


def test_a_transposed_entry_and_a_forgotten_sum_are_known(pages, look, tmp_path):
    A = Tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    b = Tensor([0.5, -0.5], requires_grad=True)
    out = (A + b) ** 2
    page = look(tg.explore(out.sum(), tmp_path / "page.html"), 8)
    assert page.inner_text("aside h2") == "through A + b"
    page.click("#predict")
    first, second = page.query_selector_all(".guess")
    first.query_selector("textarea").fill("3 7; 3 9")
    first.query_selector("button").click()
    assert first.query_selector(".verdict").inner_text() == "transposed"
    second.query_selector("textarea").fill("3 3; 7 9")
    second.query_selector("button").click()
    verdict = second.query_selector(".verdict").inner_text()
    assert verdict == "not summed over the batch: this is the gradient of A + b"
    second.query_selector("textarea").fill("10 12")
    second.query_selector("button").click()
    assert second.query_selector(".verdict").inner_text() == "right"


def test_the_answer_to_a_prediction_is_told_nowhere(pages, look):
    page = look(pages["logistic_regression"], 20)
    page.click("#predict")
    w = card(page, "w")
    assert "−0.47" not in page.get_attribute(f"#{w}", "aria-label")
    assert not page.query_selector("aside details")
    assert "accumulated" not in page.inner_text("aside")


# The film, layers


def test_the_film_shows_the_numbers_of_its_steps(pages, look):
    page = look(pages["xor_network"])
    film = page.evaluate("FILM.frames.map(f => [f.step, DATA.arrays[f.loss].text[0][0]])")
    W1 = card(page, "W1")
    for i in (0, 5):
        slide(page, "frame", i)
        step, loss = film[i]
        assert page.inner_text("#at") == f"training step {step}, loss {loss}"
        cells = page.eval_on_selector_all("aside .box td", "found => found.map(t => t.innerText)")
        assert set(shown(page, W1)) & set(cells)
    assert "Step" in page.inner_text("aside h2")
    page.keyboard.press("Home")
    assert page.inner_text("aside h2") == "The graph"


def test_a_layer_opens_and_closes(look, tmp_path):
    layers = [tg.nn.Dense(2, 2, activation="tanh", rng=i) for i in range(10)]
    model = tg.nn.Sequential(*layers, tg.nn.Dense(2, 1, rng=1))
    X, y = np.array([[1.0, 2.0], [-1.0, 0.5]]), np.array([[1.0], [0.0]])
    page = look(tg.explore(model, X, y, tg.mse_loss, tmp_path / "page.html"))
    assert page.is_hidden("#whole")
    page.click(f"#{card(page, 'layers.10')}")
    page.click("text=open this layer")
    assert page.evaluate("view.nodes.some(n => n.name === 'layers.10.W')")
    page.click("#whole")
    assert page.is_hidden("#whole")
    assert not page.evaluate("view.nodes.some(n => n.name === 'layers.10.W')")


# Looks


@pytest.mark.parametrize("width", [1360, 1000, 390])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_scrolls_sideways(pages, look, name, width):
    page = look(pages[name], width=width)
    widths = page.evaluate(
        "view.steps.map((_, i) => { go(i); return document.documentElement.scrollWidth })"
    )
    assert max(widths) <= width


@pytest.mark.parametrize("name", PAGES)
def test_no_text_leaves_its_card(pages, look, name):
    page = look(pages[name])
    page.keyboard.press("End")
    if page.is_visible("#frame"):
        slide(page, "frame", 9)
    outside = page.evaluate("""nodes.flatMap(n => {
        const card = n.el.querySelector('.frame').getBoundingClientRect();
        return [...n.el.querySelectorAll('text')].map(t => [t.getBoundingClientRect(), t])
            .filter(([r]) => r.left < card.left - 1 || r.right > card.right + 1)
            .map(([, t]) => t.textContent)
    })""")
    assert outside == []


CONTRAST = """() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgb = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = c => c.slice(0, 3).map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const ground = e => {
        for (; e; e = e.parentElement) {
            const c = rgb(getComputedStyle(e).backgroundColor);
            if (c[3]) return c;
        }
    };
    const says = e => [...e.childNodes].some(c => c.nodeType === 3 && c.textContent.trim());
    const found = [...document.querySelectorAll('aside *, header *')];
    return found.filter(e => !e.disabled && says(e)).map(e => {
        const both = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
        return [(Math.max(...both) + .05) / (Math.min(...both) + .05), e.textContent];
    });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(pages, look, theme):
    page = look(pages["logistic_regression"], theme=theme)
    for step in (1, 4, 11, 18, 20, 21):
        page.evaluate(f"go({step - 1})")
        weak = [(round(c, 2), text) for c, text in page.evaluate(CONTRAST) if c < 4.5]
        assert weak == []


def test_the_theme_follows_the_reader_and_the_switch(pages, look):
    page = look(pages["logistic_regression"], theme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(13, 17, 23)"
    fill = "getComputedStyle(document.querySelector('.frame')).fill"
    dark = page.evaluate(fill)
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.evaluate(fill) != dark


# Safety


HOSTILE = ["</script><script>window.hurt=1</script>", '"><img src=x onerror=window.hurt=1>', "'\\"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_text(look, tmp_path, name):
    w = Tensor([1.0, 2.0], requires_grad=True, name=name)
    page = look(tg.explore((w * w).sum(), tmp_path / "page.html", title=name))
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.click("#n0")
    assert page.evaluate("window.hurt") is None
    assert page.inner_text("aside h2") == name == page.inner_text("h1") == page.title()


def test_it_runs_in_the_frame_of_a_notebook(browser, look, tmp_path, monkeypatch):
    monkeypatch.setattr(tg.explorer, "_in_a_notebook", lambda: True)
    w = Tensor([1.0, 2.0], requires_grad=True)
    cell = tg.explore((w * w).sum())._repr_mimebundle_()["text/html"]
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8>{cell}", encoding="utf-8")
    page = look(path, width=900, height=900)
    frame = page.frames[1]
    frame.wait_for_selector("#count")
    frame.click("#last")
    assert re.fullmatch(r"(\d) / \1", frame.inner_text("#count"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 900
