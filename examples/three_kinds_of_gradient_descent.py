"""The three kinds of gradient descent, drawn as paths on one cost surface.

A straight line is fitted to points: theta[0] + theta[1] * x should come close to y. Gradient descent
starts somewhere and steps downhill. How many points it looks at before each step is all that tells the
three kinds apart:

    BGD, batch gradient descent         every point     few steps, each straight downhill
    SGD, stochastic gradient descent    one point       many steps, each downhill for that point alone
    MBGD, mini-batch gradient descent   a handful       in between

All get the same points, start, learning rate, and budget: 8 epochs, that is, 8 looks at every point.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREEN, INK, ORANGE, draw_cost_surface, make_logarithmic, picture

from pullback import data, optim

EPOCHS, ALPHA = 8, 0.15
START = np.array([-1.5, 1.6])
KINDS = {"BGD": None, "MBGD": 8, "SGD": 1}  # the batch size: the one difference
COLOURS = {"BGD": BLUE, "MBGD": GREEN, "SGD": ORANGE}


def make_points(count=40):
    """Points around the line 1 + 2 x. The column of ones in X is what theta[0] is multiplied by."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 2, count)
    return np.stack([np.ones(count), x], axis=1), 1 + 2 * x + random.normal(0, 0.6, count)


def cost(theta, X, y):
    """J(theta), half the mean squared error over all points. theta: (..., 2); gives (...)."""
    return np.mean((theta @ X.T - y) ** 2, axis=-1) / 2


def descend(X, y, batch_size):
    """theta at the start and after each iteration, (iterations + 1, 2)."""
    path = []
    plan = data.BatchPlan(samples=len(X), batch_size=batch_size or len(X), epochs=EPOCHS)
    theta, _ = optim.gradient_descent(
        X, y, START, ALPHA, plan.iterations, batch_size, seed=1, callback=lambda _, theta, J: path.append(theta)
    )
    return np.stack([*path, theta])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    options = parser.parse_args(argv)

    X, y = make_points()
    best = np.linalg.lstsq(X, y)[0]
    lowest = cost(best, X, y)
    paths = {kind: descend(X, y, batch_size) for kind, batch_size in KINDS.items()}
    costs = {kind: cost(path, X, y) for kind, path in paths.items()}

    print(f"{EPOCHS} epochs over {len(X)} points, learning rate {ALPHA}. The least possible cost is {lowest:.4f}.\n")
    print(f"{'kind':6}{'batch':>6}{'iterations':>12}{'uphill':>9}{'cost at the end':>17}{'theta':>18}")
    for kind, path in paths.items():
        # A step of BGD always goes downhill. The others step downhill for their batch: for all, perhaps uphill.
        uphill = np.mean(np.diff(costs[kind]) > 0)
        print(
            f"{kind:6}{KINDS[kind] or len(X):6}{len(path) - 1:12}{uphill:9.0%}{costs[kind][-1]:17.4f}"
            f"{path[-1][0]:10.3f}{path[-1][1]:8.3f}"
        )
    print(f"{'least squares':43}{lowest:7.4f}{best[0]:10.3f}{best[1]:8.3f}")
    print("\nEvery step of BGD goes downhill, but its budget lasts for a few only. SGD is there before the first epoch")
    print("ends, and then wanders about: each point pulls the line its own way. MBGD has steps enough to arrive and")
    print("batches large enough to stay: that is why networks are trained with mini-batches.")

    draw(X, y, best, paths, costs, options.out / "three_kinds_of_gradient_descent.png")
    return {"paths": paths, "costs": costs, "best": best, "lowest": lowest}


def draw(X, y, best, paths, costs, path):
    title = f"Three kinds of gradient descent: {len(X)} points, {EPOCHS} epochs, learning rate {ALPHA}"
    with picture(path, columns=2, width=6, height=5.2, title=title) as (surface, curves):
        draw_cost_surface(surface, lambda theta: cost(theta, X, y), across=(-1.8, 2.2), up=(0.2, 3.4))
        for kind in ("SGD", "MBGD", "BGD"):  # the noisiest lies lowest
            steps, size = paths[kind], {"BGD": 6, "MBGD": 3.5, "SGD": 2}[kind]
            style = {"color": COLOURS[kind], "linewidth": {"BGD": 2, "MBGD": 1.6, "SGD": 0.8}[kind]}
            label = f"{kind}: {len(steps) - 1} steps, batches of {KINDS[kind] or len(X)}"
            surface.plot(*steps.T, "o-", markersize=size, label=label, **style)
            curves.plot(np.linspace(0, EPOCHS, len(steps)), costs[kind], label=kind, **style)
        surface.plot(*START, "s", color=INK, markersize=7, zorder=5)
        surface.annotate("start", START, (-8, -16), textcoords="offset points")
        surface.plot(*best, "*", color=INK, markersize=14, zorder=5, label="least squares")
        surface.set(title="Paths on the cost surface", xlabel=r"$\theta_0$, intercept", ylabel=r"$\theta_1$, slope")
        surface.legend(loc="lower left", reverse=True)
        curves.axhline(cost(best, X, y), color=INK, linewidth=1, linestyle=(0, (4, 3)), label="least possible")
        curves.set(title="Cost over all points", xlabel="epoch", ylabel="cost $J$ (logarithmic)")
        make_logarithmic(curves)
        curves.legend(reverse=True)


if __name__ == "__main__":
    main()
