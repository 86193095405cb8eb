"""Backward passes as people write them, each with one mistake: the files in homework/."""

from pathlib import Path
from typing import NamedTuple

from tinygrad_lr.check.derivation.grade import check_file
from tinygrad_lr.check.derivation.report import Report

FOLDER = Path(__file__).parent / "homework"


class Homework(NamedTuple):
    """A file: its title, its style and mistake in a line, and the line that is wrong."""

    title: str
    text: str
    wrong: str
    right: str


HOMEWORK = {
    "layer_class": Homework(
        "A layer class",
        "Gradients are attributes, and `backward` is called from layer to layer. The mistake: `db` "
        "is a mean, and the loss is a sum.",
        "self.db = dout.mean(axis=0)",
        "self.db = dout.sum(axis=0)",
    ),
    "layers_in_a_loop": Homework(
        "A loop over layers",
        "A helper does one layer, and the gradients' names are put together from numbers. The "
        "mistake: `m` is the number of features, for the samples are the columns.",
        "m = A.shape[0]",
        "m = A.shape[1]",
    ),
    "updates": Homework(
        "Updates without gradients",
        "The gradients have no names: they are what the weights are changed by. The mistake: `W2` "
        "is changed before the hidden layer's gradient goes through it.",
        "hidden_delta = output_delta @ W2.T",
        "hidden_delta = output_delta @ (W2 + lr * hidden.T @ output_delta).T",
    ),
    "convolution": Homework(
        "A convolution",
        "What it returns is no loss, so the gradient that comes in, `dout`, is made up. The "
        "mistake: windows overlap, and `dx` keeps only the last.",
        "kw] = np.tensordot(d, w",
        "kw] += np.tensordot(d, w",
    ),
    "recurrent_class": Homework(
        "A recurrent net in a class",
        "The states are in a dict by time, and gradients add up as time runs backwards. The "
        "mistake: `dWh` takes the state after the step, not before it.",
        "self.dWh += dz @ self.hs[t].T",
        "self.dWh += dz @ self.hs[t - 1].T",
    ),
    "gradients_in_a_dict": Homework(
        "Gradients in a dict",
        "One function returns the loss and the gradients. The mistake: half of the penalty's "
        "gradient for `W2`.",
        "dscores + reg * W2",
        "dscores + 2 * reg * W2",
    ),
}


def source(name: str) -> str:
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def report(name: str) -> Report:
    return check_file(FOLDER / f"{name}.py")


def main() -> None:
    for name, homework in HOMEWORK.items():
        print(f"{homework.title}\n\n{report(name)}\n")


if __name__ == "__main__":
    main()
