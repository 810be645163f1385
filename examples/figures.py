"""How the pictures of these examples look: one style, one palette, one way to save."""

from contextlib import contextmanager

import numpy as np

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator
except ImportError as error:
    raise SystemExit("the examples draw with matplotlib; install it with: pip install '.[viz]'") from error

# Okabe and Ito's palette: told apart with every kind of colour vision.
BLUE, ORANGE, GREEN, SKY, PINK = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7"
INK, GREY, PALE = "#222222", "#8A8A8A", "#E3E3E3"

STYLE = {
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": PALE,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "figure.titlesize": 13.5,
    "lines.linewidth": 1.8,
}


@contextmanager
def picture(path, columns=1, rows=1, width=5.0, height=4.2, title=None, **grid):
    """The axes of a new picture, which is written to `path` when the block ends.

    width, height: of one panel, in inches. grid: handed on to matplotlib's `Figure.subplots`.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1, wspace=0.03)
        axes = figure.subplots(rows, columns, **grid)
        if title:
            figure.suptitle(title, x=0.012, horizontalalignment="left", fontweight="bold")
        yield axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160, facecolor="white")
        print(f"\nPicture: {path}")


def draw_cost_surface(ax, cost, across, up, levels=14):
    """Draw the contour lines of a cost of two parameters, closer together the lower it is.

    cost: takes parameters (..., 2), gives (...). across, up: the range of the first and the second one.
    """
    grid = np.meshgrid(np.linspace(*across, 201), np.linspace(*up, 201))
    heights = cost(np.stack(grid, axis=-1))
    lowest, highest = heights.min(), heights.max()
    at = lowest + (highest - lowest) * np.linspace(0, 1, levels + 1)[1:] ** 2
    ax.contourf(*grid, heights, levels=[lowest, *at], cmap="Greys", alpha=0.3)
    ax.contour(*grid, heights, levels=at, colors=GREY, linewidths=0.6)
    ax.set(xlim=across, ylim=up, aspect="equal")  # so that straight downhill is at right angles to a contour


def make_logarithmic(ax):
    """Make the upright axis logarithmic; where it spans a few decades only, its numbers are written out."""
    ax.set_yscale("log")
    ax.grid(axis="y")
    ax.yaxis.set_minor_locator(NullLocator())
    bottom, top = ax.get_ylim()
    if top < 1000 * bottom:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
