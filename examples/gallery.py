"""Every document's model as a picture: what is computed forward, and every gradient."""

from functools import partial

import tinygrad_lr as tg
from examples.models import DRAWN
from examples.report import OUTPUT

MODELS = {name: partial(model, tg.draw) for name, model in DRAWN.items()}


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    for name, draw in MODELS.items():
        picture = draw()
        for format in ("svg", "png"):
            (OUTPUT / f"{name}.{format}").write_bytes(picture.pipe(format))
        print(f"saved {OUTPUT / name}.svg and .png: {DRAWN[name].__doc__}")


if __name__ == "__main__":
    main()
