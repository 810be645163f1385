"""The command line: what can be asked for, and how bad input ends."""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from .. import __version__
from ..backends import BackendUnavailable
from .architecture import MODELS, OF_ROWS
from .method import OPTIMIZERS, SCHEDULES
from .streams import open_streams, silence

__all__ = ["main"]

_EXAMPLES = """\
examples:
  pullback train digits                          the handwritten digits that come with pullback
  pullback train digits --model lenet            the same with a convolutional network
  pullback train flowers.csv --target species    a table of your own
  pullback train mnist --data-dir ~/data --model lenet
                                                 the images in the IDX files of ~/data/mnist
  pullback predict runs/digits-20260101-120000 new.csv
  pullback explain "x*exp(-x)" x=2              backpropagation through a formula, step by step
  pullback info                                  versions, backends, devices
"""

_EXPLAIN = """\
An expression is made of numbers, names, + - * / ** and brackets, the constants pi and e, and the functions
abs acos acosh asin asinh atan atanh cos cosh exp expm1 ln log log10 log1p log2 relu sigmoid sin sinh softplus
sqrt square tan tanh. Angles are in radians, log and ln are the natural logarithm; all is computed in float64.
"""


class _Misspelt(Exception):
    """Arguments that the parser does not take."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like every other."""

    def error(self, message: str) -> NoReturn:
        raise _Misspelt(f"{message.removeprefix('argument ')} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `pullback` command; returns its exit status.

    argv: the arguments; by default those of the process.
    0: done. 2: refused, with one line on stderr that says why. 130: interrupted.

    >>> main(["train", "digits", "--epochs", "0"])
    2
    """
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another alphabet is no reason to fail
    try:
        arguments = _parser().parse_args(_options_first(sys.argv[1:] if argv is None else argv))
        if arguments.command == "train":
            arguments.data = _only_data(arguments)
        if arguments.command is None:
            _parser().print_help()
            return 0
        run: Callable[[argparse.Namespace], int] = import_module(f".{arguments.command}", __package__).run
        status = run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does: nothing is wrong, and nobody is left to tell.
        silence(sys.stdout)
        return 0
    except KeyboardInterrupt:
        return _refuse("interrupted; nothing was written", 130)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError as error:
        return _refuse(f"there is not enough memory: {error}")
    except (_Misspelt, ArithmeticError, BackendUnavailable, ValueError) as error:
        return _refuse(str(error))


def _refuse(message: str, status: int = 2) -> int:
    try:
        print("pullback:", " ".join(message.split()), file=sys.stderr)
    except OSError:
        silence(sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pullback",
        description="Train neural networks on digits, on images or a table of your own, on NumPy or on a GPU.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pullback {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    _add_train(commands)
    _add_predict(commands)
    _add_explain(commands)
    commands.add_parser("info", help="show versions, backends, devices, BLAS and threads", allow_abbrev=False)
    return parser


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a network on digits, a CSV table, an .npz file or a folder of images",
        description="Train a network, test it on samples it has not seen, and write all of it to a folder.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        nargs="?",
        help="'digits', a CSV file with a header line (may be .gz), an .npz with X and y, or a folder of images in "
        "IDX files (MNIST's format: train-images-idx3-ubyte and so on, may be .gz; names of the classes in "
        "classes.txt, if it is there)",
    )
    add("--data", dest="named", metavar="DATA", help="the same, by name")
    add(
        "--data-dir",
        metavar="DIR",
        help="where DATA is looked for when it is no path; by default what PULLBACK_DATA_DIR says; "
        "nothing is ever downloaded",
    )
    add(
        "--model",
        choices=tuple(MODELS),
        default=next(iter(MODELS)),
        help="; ".join(f"{name}: {model.described}" for name, model in MODELS.items())
        + f"; by default %(default)s. All but {OF_ROWS} take images: digits, IDX files or an .npz",
    )
    add("--target", metavar="COLUMN", help="the column to predict; by default y of an .npz file")
    add("--task", choices=("classification", "regression"), help="by default told from the target")
    add(
        "--drop",
        metavar="COLUMN",
        action="append",
        default=[],
        help="a column to leave out; may be given several times",
    )
    add("--out", metavar="FOLDER", help="where to write the run; by default runs/NAME-TIME")
    _add_backend(parser)
    add(
        "--epochs",
        type=_whole(1),
        metavar="N",
        help="passes over the training samples; by default 5 to 100, the fewer the more samples",
    )
    add(
        "--batch-size",
        type=_whole(1),
        metavar="N",
        help="samples in one update; by default 8 to 256, the more the more samples; for images at most 64",
    )
    add("--lr", type=_positive, metavar="RATE", help="highest learning rate; by default one that suits the optimizer")
    add("--optimizer", choices=tuple(OPTIMIZERS), default="adam", help="by default adam; sgd has momentum 0.9")
    add(
        "--precision",
        choices=("float32", "tf32", "bfloat16", "float16"),
        default="float32",
        help="what products are computed in while training, the rest being float32; bfloat16 on NumPy takes ml_dtypes, "
        "tf32 is for GPUs; by default float32",
    )
    add(
        "--schedule",
        choices=tuple(SCHEDULES),
        default="one-cycle",
        help="how the learning rate changes; by default one-cycle",
    )
    add(
        "--hidden",
        type=_sizes,
        metavar="SIZES",
        help="sizes of the hidden layers of mlp, as in 256,128, or none; by default 128",
    )
    add(
        "--depth",
        type=_whole(1),
        metavar="N",
        help="how deep the network is, for those models that say so above",
    )
    add("--seed", type=_seed, default=0, metavar="N", help="decides everything random; by default 0")
    add("--restarts", type=_whole(1), default=1, metavar="K", help="train from K random starts and keep the best")
    add("--quiet", action="store_true", help="no progress bar, and only the run's folder at the end")


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        help="apply a trained network to a new table or new images",
        description="Write a CSV with a prediction for each row or image, and for classes the probability of each.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("folder", metavar="RUN", type=_name, help="the folder that `pullback train` wrote")
    add(
        "data",
        metavar="FILE",
        type=_name,
        help="a table with the columns trained on (for digits and .npz: as many, in order); for a network trained on a "
        "folder of images an IDX file of images, or a folder, whose test images are taken",
    )
    add("--out", metavar="FILE", help="where the CSV goes; by default to standard output")
    _add_backend(parser)


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser(
        "explain",
        help="show backpropagation through a formula, step by step",
        description="Split a formula into its operations; show the value, the derivatives and the gradient of each.",
        epilog=_EXPLAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("expression", metavar="EXPRESSION", help='such as "1/(1+exp(-(w*x+b)))"')
    add(
        "values", metavar="NAME=NUMBER", nargs="*", default=[], help="the value of each variable, such as x=1 or t=pi/4"
    )
    add("--svg", metavar="FILE", help="draw the graph to an SVG file")
    add("--latex", action="store_true", help="print the chain rule as LaTeX (for amsmath) instead of the table")
    add("--mermaid", action="store_true", help="print the graph as Mermaid text instead of the table")


def _only_data(arguments: argparse.Namespace) -> str:
    """The DATA of `train`, which may be given with --data or without."""
    given = [data for data in (arguments.data, arguments.named) if data]
    if not given:
        raise _Misspelt("the following arguments are required: DATA (see pullback train --help)")
    if len(given) > 1:
        raise _Misspelt(f"DATA is given twice, as {given[0]} and with --data {given[1]}; give one")
    return str(given[0])


def _options_first(argv: Sequence[str]) -> Sequence[str]:
    """The words of `explain` with its options first: a formula may begin with a minus."""
    if list(argv[:1]) != ["explain"]:
        return argv
    options, others, words = ["explain"], [], iter(argv[1:])
    for word in words:
        if word in ("--latex", "--mermaid", "--help", "-h") or word.startswith("--svg="):
            options.append(word)
        elif word == "--svg":
            given = next(words, None)
            if given is None:
                return argv  # whose error it is to say what is missing
            options.append(f"--svg={given}")
        else:
            others.append(f" {word}")  # a space in front, and argparse takes it for no option
    return [*options, *others]


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", metavar="NAME", help="numpy, cupy, ...; by default cupy where a GPU answers, else numpy"
    )
    parser.add_argument("--device", metavar="NAME", help="such as cuda:1; by default the backend's own")


def _whole(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"a whole number of {least} or more is expected, not {text!r}")
        return value

    return convert


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a name is expected, not nothing")
    return text


def _seed(text: str) -> int:
    value = _whole(0)(text)
    if value >= 1 << 64:
        raise argparse.ArgumentTypeError(f"a whole number below 2**64 is expected, not {text!r}")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a positive number is expected, not {text!r}")
    return value


def _sizes(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        return tuple(_whole(1)(size) for size in text.split(","))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"sizes are whole numbers as in 256,128, or none; not {text!r}") from None
