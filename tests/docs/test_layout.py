"""The package is laid out as docs/design.md draws it."""

import re
from pathlib import Path

import pytest

from docs import layout

DOCS = Path(layout.__file__).parent


def test_imports_point_one_way():
    assert {part for pair in layout.arrows() for part in pair} <= set(layout.PARTS)
    assert layout.upward() == []


def test_an_arrow_that_points_up_is_seen(monkeypatch):
    monkeypatch.setattr(layout, "PARTS", layout.PARTS[::-1])
    assert ("tensor", "ops") in layout.upward()


def test_the_engine_imports_nothing_above_it():
    parts = {name.partition(".")[0] for name in layout.closure("tensor")}
    assert parts == {"ops", "messages", "array", "recording", "tensor"}


def test_what_is_to_be_read_is_short():
    lengths = {name: n for n, name in layout.functions()}
    assert sum(layout.closure("tensor").values()) <= 1400
    assert lengths["Tensor.apply"] <= 20
    assert layout.backward_loop() <= 16


def test_no_function_is_too_complex():
    radon = pytest.importorskip("radon.complexity", reason="radon is in the extra 'lint'")
    for path in layout.modules().values():
        for block in radon.cc_visit(path.read_text(encoding="utf-8")):
            assert radon.cc_rank(block.complexity) <= "D", f"{block.name} in {path.name}"


def test_every_part_is_drawn_in_its_layer():
    picture = (DOCS / "layout.svg").read_text(encoding="utf-8")
    names = re.findall(r'class="name" x="\d+" y="(\d+)">(\w+)', picture)
    layers = {name: int(y) for y, name in names}
    assert layers.keys() == set(layout.PARTS)
    assert all(layers[a] <= layers[b] for a, b in layout.arrows())
