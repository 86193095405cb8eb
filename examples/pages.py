"""The pages of docs/explorer: three of the documents' models, to be played in a browser."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import tinygrad_lr as tg
from examples.models import EXPLORED, Model


def page(model: Model) -> Callable[[Path], Path]:
    """The function that writes the page of a model to a path."""
    return lambda path: model(partial(tg.explore, path=path))


PAGES = {name: page(model) for name, model in EXPLORED.items()}
