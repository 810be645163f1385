"""Pictures of a training run. They need matplotlib, which the extra `viz` installs."""

import unicodedata
import warnings
from collections.abc import Sequence
from math import isfinite, log10
from os import PathLike
from pathlib import Path
from typing import Any

from ..backends.host import host
from .aside import written_aside
from .history import History
from .metrics import r2_score

__all__ = ["plot_confusion", "plot_curves", "plot_predictions"]

# Okabe and Ito's palette: told apart with every kind of colour vision.
_TRAIN, _VALIDATION, _RATE = "#0072B2", "#D55E00", "#009E73"
_INK, _FAINT = "#222222", "#8A8A8A"
_NAMES = {"loss": "Loss", "accuracy": "Accuracy", "r2": "Coefficient of determination"}
_LABELS = {"loss": "loss, mean of the samples", "accuracy": "accuracy, share of the samples", "r2": "R²"}
# For names that DejaVu Sans has no letters for; those that are installed are asked in turn.
_FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "SimHei", "Arial Unicode MS",
)  # fmt: skip
_LONGEST_NAME = 24
_STYLE: dict[str, Any] = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 10.5,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": "#E3E3E3",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "figure.titlesize": 14,
}
_MANY_CLASSES = 40


def plot_curves(history: History, path: str | PathLike[str]) -> None:
    """Draw the losses, the metrics and, where it changes, the learning rate over the epochs.

    path: where the picture goes; its suffix (.png, .pdf, .svg) says of what kind.
    Raises ImportError when matplotlib is not installed, ValueError for a history of no epochs.
    """
    matplotlib = _matplotlib()
    if not len(history):
        raise ValueError("the history has no finished epoch to draw")
    own = {"epoch", "iterations", "lr", "seconds"}
    names = [name for name in history.columns if name not in own and not name.startswith("val_")]
    rates = [row["lr"] for row in history if "lr" in row]
    panels = len(names) + (len(set(rates)) > 1)
    with matplotlib.rc_context(_style(matplotlib)):
        figure = matplotlib.figure.Figure(figsize=(5.0 * panels, 4.2), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        for ax, name in zip(axes, names, strict=False):
            _draw_measure(matplotlib, ax, history, name)
        if panels > len(names):
            axes[-1].step(history["epoch"], rates, where="mid", color=_RATE, linewidth=2)
            axes[-1].set(title="Learning rate", ylabel="learning rate", ylim=(0, None))
        for ax in axes:
            _draw_epochs(ax, len(history))
        figure.suptitle(_summary(history), x=0.012, horizontalalignment="left", fontweight="bold")
        _save(figure, path)


def plot_confusion(matrix: Any, classes: Sequence[Any] | None, path: str | PathLike[str]) -> None:
    """Draw a confusion matrix: counts in the cells, coloured by the share of their true class.

    matrix: (C, C) counts on the host, true classes along the rows, as `metrics.confusion_matrix` gives.
    classes: the C names; None numbers them.
    path: where the picture goes; its suffix (.png, .pdf, .svg) says of what kind.
    Raises ImportError when matplotlib is not installed, ValueError when shapes do not fit.
    """
    matplotlib = _matplotlib()
    counts = host.asarray(matrix)
    names = [_shortened(str(name)) for name in (range(len(counts)) if classes is None else classes)]
    if counts.ndim != 2 or counts.shape != (len(names), len(names)) or not names:
        raise ValueError(f"a confusion matrix of {len(names)} classes is square, of that side; got {counts.shape}")
    of_true = host.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares, total = counts / of_true, int(counts.sum())
    right = int(host.trace(counts))
    side = min(max(0.52 * len(names), 3.4), 16.0)
    room = 0.08 * max(map(_width, names))  # inches that the names take beside the cells
    with matplotlib.rc_context({**_style(matplotlib), "axes.spines.left": False, "axes.spines.bottom": False}):
        size = (side + 2.1 + room, side + 1.3 + room)
        figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
        ax = figure.subplots()
        # The root brings out small shares: they are the mistakes.
        image = ax.imshow(shares, cmap="Blues", norm=matplotlib.colors.PowerNorm(0.5, 0.0, 1.0))
        _name_classes(ax, names, side)
        if len(names) <= _MANY_CLASSES:
            _write_counts(ax, counts, shares)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.set_title(f"{right:,} of {total:,} samples right ({right / max(total, 1):.1%})")
        percent = matplotlib.ticker.PercentFormatter(1.0)
        bar = figure.colorbar(image, ax=ax, fraction=0.046, pad=0.03, format=percent)
        bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1])
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        figure.suptitle("Confusion matrix", x=0.02, horizontalalignment="left", fontweight="bold")
        _save(figure, path)


def plot_predictions(prediction: Any, target: Any, name: str, path: str | PathLike[str]) -> None:
    """Draw a regression's predictions over the true values; a perfect one lies on the diagonal.

    prediction, target: host arrays of one shape, in the target's own units. name: what they are of.
    path: where the picture goes; its suffix (.png, .pdf, .svg) says of what kind.
    Raises ImportError when matplotlib is not installed, ValueError when shapes do not fit.
    """
    matplotlib = _matplotlib()
    predicted, true = host.asarray(prediction), host.asarray(target)
    if predicted.shape != true.shape:
        raise ValueError(f"predictions of shape {predicted.shape} do not fit targets of shape {true.shape}")
    name = _shortened(name)
    with matplotlib.rc_context(_style(matplotlib)):
        figure = matplotlib.figure.Figure(figsize=(5.4, 5.6), layout="constrained")
        ax = figure.subplots()
        ax.axline((float(true.mean()),) * 2, slope=1, color=_FAINT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        ax.scatter(true, predicted, s=28, color=_TRAIN, alpha=0.5, linewidths=0)
        ax.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
        ax.set_title(f"R² = {r2_score(predicted, true):.3f} on {true.size:,} samples")
        ax.set_aspect("equal", adjustable="datalim")
        ax.grid()
        ax.set_axisbelow(True)
        figure.suptitle("Predictions", x=0.02, horizontalalignment="left", fontweight="bold")
        _save(figure, path)


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.colors
        import matplotlib.figure
        import matplotlib.font_manager
        import matplotlib.ticker
    except ImportError as error:
        raise ImportError("pictures need matplotlib, which is not installed: pip install 'pullback[viz]'") from error
    return matplotlib


def _style(matplotlib: Any) -> dict[str, Any]:
    installed = set(matplotlib.font_manager.fontManager.get_font_names())
    return {**_STYLE, "font.family": ["DejaVu Sans", *(font for font in _FALLBACK_FONTS if font in installed)]}


def _shortened(name: str) -> str:
    """The name; with an ellipsis for its end where it is wider than 24 letters."""
    if _width(name) <= _LONGEST_NAME:
        return name
    while _width(name) >= _LONGEST_NAME:
        name = name[:-1]
    return name + "…"


def _width(name: str) -> int:
    """How many letters wide a name is; Chinese, Japanese and Korean ones are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name)


def _summary(history: History) -> str:
    counts = {"epoch": len(history), "iteration": int(history["iterations"][-1])}
    counted = [f"{n:,} {noun}{'' if n == 1 else 's'}" for noun, n in counts.items()]
    text = f"{', '.join(counted)}, {sum(history['seconds']):.3g} s"
    return text + ", interrupted" * history.interrupted + ", stopped early" * history.stopped_early


def _draw_measure(matplotlib: Any, ax: Any, history: History, name: str) -> None:
    """One measure on the training and the validation data, with the best epoch marked."""
    epochs, marker = history["epoch"], "o" if len(history) <= 12 else None
    drawn: list[float] = []
    for column, label, colour in ((name, "training", _TRAIN), (f"val_{name}", "validation", _VALIDATION)):
        if column in history:
            values = history[column]
            ax.plot(epochs, values, color=colour, linewidth=2, marker=marker, markersize=5, label=label)
            drawn.extend(values)
    if history.best_epoch is not None and len(history) > 1:
        best, value = history.best_epoch, values[history.best_epoch - 1]
        shown = f"{value:.2%}" if name == "accuracy" else f"{value:.4g}"
        ax.axvline(best, color=_FAINT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        ax.plot(best, value, "o", color=_INK, markersize=6.5, zorder=3, label=f"best epoch {best}: {shown}")
    ax.set(title=_NAMES.get(name, name.replace("_", " ").capitalize()), ylabel=_LABELS.get(name, name))
    if name == "accuracy":
        ax.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    elif name != "r2":
        _choose_scale(matplotlib, ax, drawn)
    ax.legend()


def _draw_epochs(ax: Any, epochs: int) -> None:
    """The axis of the epochs, and the grid."""
    margin = max(0.03 * (epochs - 1), 0.3)
    ax.set(xlabel="epoch", xlim=(1 - margin, epochs + margin))
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.grid(axis="y")
    ax.set_axisbelow(True)


def _choose_scale(matplotlib: Any, ax: Any, values: Sequence[float]) -> None:
    """A logarithmic axis where positive values span more than a factor of 10."""
    finite = [value for value in values if isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > 10 * min(finite):
        decades = log10(max(finite) / min(finite))
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if decades < 4 else (1,)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        ax.set_ylabel(f"{ax.get_ylabel()} (logarithmic)")


def _name_classes(ax: Any, names: Sequence[str], side: float) -> None:
    """The names along both axes; slanted where a cell, of a `side` in inches for all, is too narrow for them."""
    slanted = max(map(_width, names)) > 10 * side / len(names)
    size = 10.5 if len(names) <= 30 else max(4.0, 320 / len(names))
    ax.set_xticks(range(len(names)), names, fontsize=size, rotation=45 if slanted else 0)
    if slanted:
        for label in ax.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names, fontsize=size)


def _write_counts(ax: Any, counts: Any, shares: Any) -> None:
    """The counts, dark on light and light on dark; cells of nothing stay quiet."""
    digits = max(len(str(int(counts.max()))), 5)
    size = (10.5 if len(counts) <= 20 else 210 / len(counts)) * 5 / digits
    for row, column in host.ndindex(*counts.shape):
        n, share = int(counts[row, column]), float(shares[row, column])
        colour = "#C4C4C4" if n == 0 else "white" if share > 0.35 else _INK
        weight = "bold" if row == column and n else "normal"
        ax.text(column, row, str(n), color=colour, fontsize=size, fontweight=weight, ha="center", va="center")


def _save(figure: Any, path: str | PathLike[str]) -> None:
    kind = Path(path).suffix.lstrip(".") or "png"
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1, wspace=0.03)
    with written_aside(path) as aside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as an empty box
        figure.savefig(aside, format=kind, dpi=160, facecolor="white")
