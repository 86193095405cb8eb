"""What dir, Tab, help and a star import show: the public names, and nothing else."""

import pydoc
import re
import rlcompleter
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_lr as tg

CORE = "import numpy, sys, tinygrad_lr; print(*{m.partition('.')[0] for m in sys.modules})"


def tab(text, **names):
    """What a Python prompt offers for a text."""
    completer = rlcompleter.Completer(names)
    return {name.rstrip("()") for name in completer.attr_matches(text)}


@pytest.mark.parametrize("module", [tg, tg.nn, tg.optim], ids=lambda module: module.__name__)
def test_dir_is_what_is_public_and_the_docstring_has_a_line_for_each(module):
    lines = re.findall(r"^ *(\w+) {2,}\S", module.__doc__, re.MULTILINE)
    assert sorted(lines) == sorted(module.__all__) == dir(module)
    assert all(getattr(module, name) is not None for name in dir(module))


@pytest.mark.parametrize("module", [tg.nn, tg.optim])
def test_every_class_of_a_module_is_public(module):
    classes = {
        name
        for name, x in vars(module).items()
        if isinstance(x, type) and x.__module__ == module.__name__ and not name.startswith("_")
    }
    assert classes <= {*module.__all__}


def test_all_operations_errors_and_losses_are_public():
    assert {*tg.ops.FUNCTIONS, *tg.ON_DEMAND} <= {*tg.__all__}
    for module in (tg.losses, tg.messages):
        own = {
            name
            for name, x in vars(module).items()
            if getattr(x, "__module__", "") in (module.__name__, "tinygrad_lr")
            and callable(x) and not name.startswith("_")
        }  # fmt: skip
        assert {name for name in own if name in vars(tg) or name.endswith("loss")} <= {*tg.__all__}


def test_a_star_import_gives_the_public_names():
    space = {}
    exec("from tinygrad_lr import *", space)
    assert space.keys() - {"__builtins__"} == {*tg.__all__}


def test_tab_finds_tools_and_no_internals():
    assert tab("tg.dr", tg=tg) == {"tg.draw"}
    assert tab("tg.nn.", nn=tg.nn, tg=tg) == {f"tg.nn.{name}" for name in tg.nn.__all__}
    assert tab("tg.ON_", tg=tg) == tab("tg.imp", tg=tg) == set()


def test_help_explains_every_function():
    text = pydoc.plain(pydoc.render_doc(tg))
    for name in ("draw", "check_backward", "to_numpy", "mse_loss", "softmax"):
        assert re.search(rf"^    {name}(\(| =)", text, re.MULTILINE), name
    assert "ON_DEMAND" not in text and "importlib" not in text


@pytest.mark.parametrize(
    "x",
    [tg.Tensor([[1.0]]), tg.nn.Dense(2, 1), tg.nn.Sequential(tg.nn.Dense(2, 1))],
    ids=["Tensor", "Dense", "Sequential"],
)
def test_no_name_that_is_offered_only_raises(x):
    for name in dir(x):
        getattr(x, name)
    for text in tab("x.", x=x):
        getattr(x, text.removeprefix("x."))
    assert {"parameters", "W"} <= {*dir(x)} or "mean" in dir(x) or "layers" in dir(x)


def test_foreign_names_still_say_what_to_write():
    assert "view" not in dir(tg.Tensor) and "view" not in dir(tg.Tensor(np.ones(2)))
    with pytest.raises(AttributeError, match="reshape"):
        tg.Tensor([1.0]).view(1)


def test_the_package_imports_numpy_and_the_standard_library_alone():
    command = [sys.executable, "-c", CORE]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {*modules} - sys.stdlib_module_names <= {"numpy", "tinygrad_lr", "__main__"} | {
        name for name in modules if name.startswith(("_", "sitecustomize", "mypyc"))
    }
    tools = "print(*(m for m in sys.modules if m.startswith('tinygrad_lr.')))"
    command = [sys.executable, "-c", f"import sys, tinygrad_lr; {tools}"]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not [m for m in modules if m.split(".")[1] in ("drawing", "explorer", "compiled")]


def test_the_docstring_survives_without_docstrings():
    code = "import tinygrad_lr as tg; print(len(tg.__all__), tg.draw)"
    command = [sys.executable, "-OO", "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout
