"""Writes tinygrad_lr/__init__.pyi: what type checkers and editors know of the public names.

An operation returns a Tensor if one of its operands is one: every function that takes arrays gets
two overloads, from its own signature. All other names are imported as they are.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tinygrad_lr as tg

PACKAGE = Path(tg.__file__).parent
PATH = PACKAGE / "__init__.pyi"
MODULES = ("losses", "nn", "ops", "optim", "tensor")  # that are there after `import tinygrad_lr`
HEAD = """\
# Made by `python -m docs.make` from the names and signatures of the package.

from collections.abc import Iterable
from typing import Any, overload

from numpy.typing import ArrayLike

{imports}
from tinygrad_lr.losses import Reduction
from tinygrad_lr.ops import Axis

__all__ = [
{names}]
__version__: str
"""
OVERLOADS = '''
@overload
def {name}({arrays}) -> Any:
    """{doc}"""
@overload
def {name}({operands}) -> Tensor: ...
'''
ARRAYS, OPERANDS = "ArrayLike", "Tensor | ArrayLike"


def origins() -> dict[str, str]:
    """The module that each public name is imported from; of operations the one that has it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules = {alias.name: str(node.module) for node in imported for alias in node.names}
    modules |= {name: f"tinygrad_lr.{module}" for name, module in tg.ON_DEMAND.items()}
    return {name: modules[name] for name in tg.__all__ if name in modules}


def annotation(parameter: inspect.Parameter) -> str:
    """As the source has it; a parameter of a ufunc is an array."""
    return "Array" if parameter.annotation is parameter.empty else str(parameter.annotation)


def takes_arrays(function: Any) -> bool:
    """Whether a function is one of operands, as operations and losses are."""
    if not inspect.isfunction(function):
        return False
    parameters = inspect.signature(function).parameters.values()
    return any(annotation(p).startswith("Array") for p in parameters)


class Verbatim(str):
    """An annotation that a signature shows without quotes."""

    def __repr__(self) -> str:
        return str(self)


def typed(function: Callable[..., Any], operand: str) -> str:
    """The parameters of a function, with a type for those that are arrays."""
    parameters = []
    for p in inspect.signature(function).parameters.values():
        text = re.sub(r"\bArrays\b", f"Iterable[{operand}]", annotation(p))
        text = re.sub(r"\bArray\b", operand, text)
        optional = p.default is None and "None" not in text and text != "Axis"
        parameters.append(p.replace(annotation=Verbatim(f"{text} | None" if optional else text)))
    return str(inspect.Signature(parameters))[1:-1].replace("'", '"')


def stub() -> str:
    """The text of the file."""
    functions = {name: f for name in tg.__all__ if takes_arrays(f := getattr(tg, name))}
    others = {name: module for name, module in origins().items() if name not in functions}
    others |= dict.fromkeys(MODULES, "tinygrad_lr")
    imports = [f"from {module} import {name} as {name}" for name, module in others.items()]
    names = "".join(f'    "{name}",\n' for name in sorted(tg.__all__))
    text = HEAD.format(imports="\n".join(sorted(imports)), names=names)
    for name, function in functions.items():
        text += OVERLOADS.format(
            name=name,
            arrays=typed(function, ARRAYS),
            operands=typed(function, OPERANDS),
            doc=str(function.__doc__).partition("\n")[0],
        )
    return text


if __name__ == "__main__":
    PATH.write_text(stub(), encoding="utf-8")
