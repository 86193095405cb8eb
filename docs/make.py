"""Writes the pages of this folder that are generated: `python -m docs.make`."""

import hashlib
import re
import textwrap
from pathlib import Path

import numpy as np

import tinygrad_lr as tg
from docs.stub import PATH, stub
from examples.check_documents import CASES, mark
from examples.gallery import MODELS
from examples.models import DRAWN, EXPLORED, title
from examples.pages import PAGES
from examples.programs import MODELS as PROGRAMS
from examples.programs import TEXTBOOK
from examples.wild import HOMEWORK, report, source
from tinygrad_lr.array.protocols import WITHOUT_DERIVATIVE, supported
from tinygrad_lr.check.derivation.report import WRONG, Report
from tinygrad_lr.drawing import Picture

DOCS = Path(__file__).parent


def dispatched() -> list[str]:
    """The functions in NumPy's main namespace that dispatch on their arguments' type."""
    functions = {name: getattr(np, name) for name in dir(np) if not name.startswith("_")}
    return [
        name
        for name, function in functions.items()
        if isinstance(function, np.ufunc) or hasattr(function, "_implementation")
    ]


def numpy_table() -> str:
    """docs/numpy.md: which of NumPy's functions run on Tensors."""
    names = dispatched()
    ours = [name for name in names if supported(getattr(np, name))]
    plain = [name for name in names if getattr(np, name) in WITHOUT_DERIVATIVE]
    refused = [name for name in names if name not in ours and name not in plain]
    same = {supported(getattr(np, name)).__name__ for name in ours}
    more = [name for name in sorted(tg.ops.FUNCTIONS) if name not in same and hasattr(tg, name)]
    rows = [
        ("a Tensor, through which gradients flow", ours),
        ("a plain array: comparisons, indices, shapes", plain),
        ("TypeError, by name and with a way out", refused),
    ]
    lines = [
        "# NumPy's functions on Tensors",
        "",
        "`np.f(t)` for a Tensor `t`, with NumPy's own signatures. Arguments that would be lost are",
        "refused: `out=`, `where=`, `dtype=` (there is `.astype`). Operators, indexing and the",
        "ndarray methods follow the same table.",
        "",
        f"Made by `python -m docs.make` from the table of operations, with NumPy {np.__version__}.",
        "",
        "| result | functions |",
        "|---|---|",
        *(f"| {result} | {' '.join(f'`{name}`' for name in names)} |" for result, names in rows),
        "",
        "Not in NumPy's main namespace, but operations here: "
        + ", ".join(f"`tg.{name}`" for name in more)
        + ".",
        "",
    ]
    return "\n".join(lines)


def verdict(report: Report) -> str:
    """The line that is wrong, the report's summary, and its cautions."""
    wrong = [row.source for row in report.rows if row.verdict == WRONG][:1]
    cautions = [f"caution: {caution}" for caution in report.cautions]
    return "\n".join([*wrong, report.summary, *cautions])


def errata() -> str:
    """docs/errata.md with current reports of check_backward in the blocks that quote them."""
    cases = {case.title: case for case in CASES}

    def quoted(block: re.Match[str]) -> str:
        return f"{block[1]}{verdict(mark(cases[block[2]]).report)}\n{block[3]}"

    page = (DOCS / "errata.md").read_text(encoding="utf-8")
    return re.sub(r"(?ms)(<!-- check: ([^\n]*) -->\n```\n).*?(^```\n)", quoted, page)


def wild() -> str:
    """docs/wild.md: backward passes in the styles of those who wrote them, and their reports."""
    lines = [
        "# Backward passes as people write them",
        "",
        "A backward pass need not be written for `tg.check_backward`: it takes yours as it is,",
        "runs it statement by statement, and compares all that turns out to be the gradient of",
        "something: variables, attributes, entries of dicts and lists, arrays that a loop",
        "fills, what is returned, and what weights are changed by. It follows the calls into",
        "your helpers, methods and layers. If a gradient is wrong, the pass is run again with",
        "true values in the place of what a statement computed; the first statement for which",
        "all comes right is to blame.",
        "",
        "Each program below is a file in [`examples/homework`](../examples/homework) with one",
        "mistake. What follows it is the report of `python -m tinygrad_lr.check`. Without the",
        "mistake each of them passes.",
        "",
        "Made by `python -m docs.make`.",
        "",
    ]
    for name, homework in HOMEWORK.items():
        lines += [f"## {homework.title}", "", textwrap.fill(homework.text, 100), ""]
        lines += ["```python", f"{source(name)}```", "", "```", f"{report(name)}", "```", ""]
    return "\n".join(lines)


def digest(picture: Picture) -> str:
    """The comment in an SVG that identifies the DOT text it was drawn from."""
    return f"<!-- of the DOT text {hashlib.sha256(picture.source.encode()).hexdigest()} -->"


def gallery() -> str:
    """docs/gallery.md: every document's model as a picture."""
    lines = [
        "# Gallery",
        "",
        "Each is what `tg.draw(loss)` makes of the model's own code: nothing was named, placed or",
        "coloured by hand, and no `backward()` was called. Blue is computed forward, orange",
        "backward; [`examples/models.py`](../examples/models.py) has the code, and",
        "`python -m docs.make` draws them again.",
        "",
    ]
    for name, model in DRAWN.items():
        lines += [f"{model.__doc__}", "", f"![{model.__doc__}](gallery/{name}.svg)", ""]
    lines += [
        "## To be played",
        "",
        "Pages of `tg.explore(loss, path)`, each one file for a browser, which needs no network;",
        "[`examples/models.py`](../examples/models.py) has the code.",
        "",
        *(f"- [{model.__doc__}](explorer/{name}.html)" for name, model in EXPLORED.items()),
        "",
    ]
    return "\n".join(lines)


def programs() -> str:
    """docs/programs.md: every document's model as a NumPy program."""
    lines = [
        "# Programs",
        "",
        "Each is what `print(tg.to_numpy(loss, X, y))` prints for a function of",
        "[`examples/programs.py`](../examples/programs.py): NumPy alone, forward and backward,",
        "with the names of that code; below it is the backward pass as textbooks have it.",
        "Operations of this library are written as the NumPy that defines them. Where algebra made",
        "a line shorter, `# because` gives the steps; each was compared numerically with what it",
        "replaces, and `simplify=False` leaves all of them out. A line that begins `# as` states",
        "an assumption about the data. `comments=True` adds the shape and the rule to every line.",
        "",
        "A program takes any number of samples, `program(X=X_test, Y=Y_test)`, and",
        "`program.save(path)` writes the module. With `import dask.array as np` in place of NumPy",
        "the same lines run on data larger than memory",
        "([`examples/dask_rows.py`](../examples/dask_rows.py)), with `import jax.numpy as np` on",
        "JAX, if they change no array in place; CuPy has NumPy's names, too.",
        "",
        "Made by `python -m docs.make`.",
        "",
    ]
    for name, export in PROGRAMS.items():
        textbook = ["A textbook:", "", "```python", TEXTBOOK[name], "```", ""]
        lines += [f"## {title(export)}", "", "```python", f"{export()}```", "", *textbook]
    return "\n".join(lines)


if __name__ == "__main__":
    for name, draw in MODELS.items():
        picture, path = draw(), DOCS / "gallery" / f"{name}.svg"
        end = digest(picture) + "\n"
        if not path.exists() or not path.read_text(encoding="utf-8").endswith(end):
            path.write_text(picture.pipe("svg", encoding="utf-8") + end, encoding="utf-8")
    for name, write in PAGES.items():
        write(DOCS / "explorer" / f"{name}.html")
    (DOCS / "gallery.md").write_text(gallery(), encoding="utf-8")
    (DOCS / "programs.md").write_text(programs(), encoding="utf-8")
    (DOCS / "errata.md").write_text(errata(), encoding="utf-8")
    (DOCS / "wild.md").write_text(wild(), encoding="utf-8")
    (DOCS / "numpy.md").write_text(numpy_table())
    PATH.write_text(stub(), encoding="utf-8")
