"""Type checkers see every public name: right programs pass, and mistakes are found.

The package is installed as `pip install -e .` does it, and as a wheel, if WHEEL is the path of one;
`make types` builds it.
"""

import ast
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import tinygrad_lr as tg
from docs import stub
from tinygrad_lr.array.protocols import ArrayMethods
from tinygrad_lr.ops import FUNCTIONS

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
RIGHT = [PROGRAMS / f"{name}.py" for name in ("from_scratch", "network", "training")]
MISTAKES = PROGRAMS / "mistakes.py"


@pytest.fixture(scope="module", params=["editable", "wheel"])
def python(request, tmp_path_factory):
    """A Python in which the package is installed in one way or the other, and NumPy."""
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    libraries = [sysconfig.get_paths()["purelib"]]
    if request.param == "editable":
        libraries.append(str(ROOT))
    elif "WHEEL" in os.environ:
        zipfile.ZipFile(os.environ["WHEEL"]).extractall(packages)
    else:
        pytest.skip("WHEEL is not the path of one: `make types`")
    (packages / "libraries.pth").write_text("\n".join(libraries))
    return folder / "bin" / "python"


def mypy(python, *files):
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"]
    return command + [f"--python-executable={python}", f"--cache-dir={python.parent}", *files]


def pyright(python, *files):
    return ["pyright", f"--pythonpath={python}", *files]


@pytest.fixture(scope="module", params=[mypy, pyright])
def errors(request, python):
    """The {(file, line): message} of what a checker finds in all programs."""
    name = request.param.__name__
    if not (shutil.which(name) if name == "pyright" else importlib.util.find_spec(name)):
        pytest.skip(f"{name} is in the extra 'types'")
    folder = shutil.copytree(PROGRAMS, python.parent / name)  # not in the package
    command = request.param(python, *(path.name for path in [*RIGHT, MISTAKES]))
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found = re.findall(r"(\w+\.py):(\d+):.*?error: (.*)", answer.stdout)
    assert found, answer.stdout + answer.stderr
    return {(file, int(line)): message for file, line, message in found}


def test_right_programs_pass(errors):
    assert {place: text for place, text in errors.items() if place[0] != MISTAKES.name} == {}


def test_mistakes_are_found_and_nothing_else(errors):
    lines = MISTAKES.read_text().splitlines()
    wrong = {n for n, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 30
    assert {line for file, line in errors if file == MISTAKES.name} == wrong


@pytest.mark.parametrize("program", RIGHT, ids=lambda path: path.stem)
def test_right_programs_run(program, tmp_path, capsys):
    space = {"__name__": "program"}
    exec(compile(program.read_text(), str(program), "exec"), space)
    space["main"](tmp_path)


def test_the_stub_is_current():
    assert stub.PATH.read_text(encoding="utf-8") == stub.stub(), "python -m docs.stub"


def test_the_stub_has_every_public_name():
    tree = ast.parse(stub.PATH.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    names |= {
        a.asname for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names
    }
    assert {*tg.__all__} == names - {None, *stub.MODULES} | {"nn", "optim"}


def test_the_types_of_methods_are_those_of_the_functions():
    path = stub.PACKAGE / "array" / "protocols.pyi"
    (tree,) = (
        x for x in ast.parse(path.read_text()).body if getattr(x, "name", "") == "ArrayMethods"
    )
    methods = {x.name: x.args for x in tree.body if isinstance(x, ast.FunctionDef)}
    public = {name for name in dir(ArrayMethods) if not name.startswith("_")}
    assert {name for name in methods if not name.startswith("_")} == public - {"apply", "shape"}
    for name in methods.keys() & FUNCTIONS.keys() - {"clip", "reshape", "transpose"}:
        expected = list(inspect.signature(FUNCTIONS[name]).parameters.values())[1:]
        written = methods[name].args[1:] + methods[name].kwonlyargs
        assert [p.name for p in expected] == [a.arg for a in written], name
        defaults = [d for d in methods[name].defaults + methods[name].kw_defaults if d]
        assert [p.default for p in expected if p.default is not p.empty] == [
            ast.literal_eval(d) for d in defaults
        ], name
