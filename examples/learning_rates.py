"""A learning rate that is too small, one that is right, and one that is too large.

Batch gradient descent fits a straight line, three times from the same start. The cost of such a fit is
a bowl, and along each axis of the bowl every step multiplies the distance from the bottom by

    1 - alpha * lambda

where lambda is how strongly the bowl curves along that axis. That one factor tells the whole story:

    close to 1          alpha is too small: it takes forever
    between -1 and 1    the distance shrinks
    below -1            alpha is too large: each step overshoots by more than it gains, and the cost explodes

The steepest axis decides: alpha must stay below 2 / lambda_max. The flattest decides how long it takes.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREEN, INK, ORANGE, draw_cost_surface, make_logarithmic, picture

from pullback import optim

ITERATIONS = 80
START = np.array([-1.2, 1.0])
COLOURS = {"too small": BLUE, "right": GREEN, "too large": ORANGE}


def make_points(count=40):
    """Points around the line 1 + 2 x. The column of ones in X is what theta[0] is multiplied by."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 3, count)
    return np.stack([np.ones(count), x], axis=1), 1 + 2 * x + random.normal(0, 0.6, count)


def cost(theta, X, y):
    """J(theta), half the mean squared error over all points. theta: (..., 2); gives (...)."""
    return np.mean((theta @ X.T - y) ** 2, axis=-1) / 2


def descend(X, y, alpha):
    """theta at the start and after each iteration; and the exception that ended the descent, or None."""
    path = []
    try:
        theta, _ = optim.gradient_descent(
            X, y, START, alpha, ITERATIONS, callback=lambda _, theta, J: path.append(theta)
        )
    except optim.Diverged as error:
        return np.stack(path), error
    return np.stack([*path, theta]), None


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    options = parser.parse_args(argv)

    X, y = make_points()
    flattest, steepest = np.linalg.eigvalsh(X.T @ X / len(X))
    limit = 2 / steepest
    rates = {"too small": 0.02 * limit, "right": 0.5 * limit, "too large": 1.05 * limit}
    print(f"The bowl curves by {flattest:.3f} along its flattest axis and by {steepest:.3f} along its steepest,")
    print(f"so the learning rate must stay below 2 / {steepest:.3f} = {limit:.3f}.\n")

    print(f"{'learning rate':20}{'factors of one step':>22}{'cost at the start':>20}{'and the end':>14}")
    paths, costs, errors = {}, {}, {}
    for name, alpha in rates.items():
        paths[name], errors[name] = descend(X, y, alpha)
        costs[name] = cost(paths[name], X, y)
        factors = f"{1 - alpha * flattest:.2f} and {1 - alpha * steepest:.2f}"
        print(f"{name + f', {alpha:.3f}':20}{factors:>22}{costs[name][0]:20.4f}{costs[name][-1]:14.4g}")

    diverged = errors["too large"]
    print(f"\nThe last one did not make its {ITERATIONS} iterations: gradient_descent raised Diverged, which says\n")
    print(f"    {diverged}\n")
    print("and keeps the parameters of the last good cost (.theta) and all costs until then (.history).")

    draw(X, y, rates, paths, costs, options.out / "learning_rates.png")
    return {"limit": limit, "rates": rates, "costs": costs, "paths": paths, "diverged": diverged}


def draw(X, y, rates, paths, costs, path):
    best = np.linalg.lstsq(X, y)[0]
    steps = {"too small": ITERATIONS, "right": ITERATIONS, "too large": 9}  # what fits into the picture
    with picture(path, columns=2, rows=2, width=5.6, title="One valley, three learning rates") as axes:
        curves = axes[1, 1]
        for ax, (name, alpha) in zip(axes.flat, rates.items(), strict=False):
            draw_cost_surface(ax, lambda theta: cost(theta, X, y), across=(-4.2, 6.3), up=(-1.6, 5.4))
            ax.plot(*paths[name][: steps[name] + 1].T, "o-", color=COLOURS[name], markersize=4.5, linewidth=1.5)
            ax.plot(*START, "s", color=INK, markersize=7)
            ax.plot(*best, "*", color=INK, markersize=13)
            ax.set_title(f"{name.capitalize()}: learning rate {alpha:.3f}, {steps[name]} steps")
            ax.set(xlabel=r"$\theta_0$, intercept", ylabel=r"$\theta_1$, slope")
            curves.plot(costs[name], color=COLOURS[name], label=f"{name}, {alpha:.3f}")
        axes[0, 0].annotate("start", START, (-30, -14), textcoords="offset points")
        axes[0, 0].annotate("least squares", best, (10, 6), textcoords="offset points")
        curves.axhline(cost(best, X, y), color=INK, linewidth=1, linestyle=(0, (4, 3)), label="least possible")
        last = len(costs["too large"]) - 1
        curves.plot(last, costs["too large"][-1], "X", color=ORANGE, markersize=10)
        curves.annotate("Diverged", (last, costs["too large"][-1]), (-68, -4), textcoords="offset points")
        curves.set(title="Cost over all points", xlabel="iteration", ylabel="cost $J$ (logarithmic)")
        make_logarithmic(curves)
        curves.legend(loc="upper left")


if __name__ == "__main__":
    main()
