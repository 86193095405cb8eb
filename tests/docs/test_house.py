"""The house is as docs/design.md draws it."""

import re
from pathlib import Path

import pytest

from docs import house

DOCS = Path(house.__file__).parent


def test_imports_point_one_way():
    assert {room for pair in house.arrows() for room in pair} <= set(house.ROOMS)
    assert house.upward() == []


def test_an_arrow_that_points_up_is_seen(monkeypatch):
    monkeypatch.setattr(house, "ROOMS", house.ROOMS[::-1])
    assert ("tensor", "ops") in house.upward()


def test_the_engine_knows_no_wing():
    rooms = {name.partition(".")[0] for name in house.closure("tensor")}
    assert rooms == {"ops", "messages", "array", "recording", "tensor"}


def test_what_is_to_be_read_is_short():
    lengths = {name: n for n, name in house.functions()}
    assert sum(house.closure("tensor").values()) <= 1400
    assert lengths["Tensor.apply"] <= 20
    assert house.backward_loop() <= 16


def test_no_function_is_too_complex():
    radon = pytest.importorskip("radon.complexity", reason="radon is in the extra 'lint'")
    for path in house.modules().values():
        for block in radon.cc_visit(path.read_text(encoding="utf-8")):
            assert radon.cc_rank(block.complexity) <= "D", f"{block.name} in {path.name}"


def test_every_room_is_drawn_on_its_floor():
    picture = (DOCS / "house.svg").read_text(encoding="utf-8")
    names = re.findall(r'class="name" x="\d+" y="(\d+)">(\w+)', picture)
    floors = {name: int(y) for y, name in names}
    assert floors.keys() == set(house.ROOMS)
    assert all(floors[a] <= floors[b] for a, b in house.arrows())
