"""Every document's model as the NumPy program of its loss and gradients."""

from functools import partial

import tinygrad_lr as tg
from examples.models import EXPORTED, title
from examples.report import OUTPUT

MODELS = {name: partial(model, tg.to_numpy) for name, model in EXPORTED.items()}


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    for name, export in MODELS.items():
        export().save(OUTPUT / f"{name}.py")
        print(f"saved {OUTPUT / name}.py: {title(EXPORTED[name])}")


if __name__ == "__main__":
    main()
