"""XOR: the smallest problem that one straight line cannot solve, and why to start more than once.

XOR is 1 where exactly one of its two inputs is. No line has the ones on one side and the zeros on the
other, so a network without a hidden layer must fail. Two hidden units are enough: each draws a line,
and the output unit puts the two together.

Enough, that is, if training finds them. Gradient descent only ever walks downhill, so where it starts
decides in which valley it ends, and some of XOR's valleys are dead ends: a network there tells two of
the points apart from the rest, and tosses a coin between the other two. The remedy is plain: start from
several random points, and keep the best.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, INK, ORANGE, SKY, make_logarithmic, picture
from matplotlib.colors import LinearSegmentedColormap

import pullback as pb
from pullback import nn, optim, train

INPUTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
TARGETS = [[0.0], [1.0], [1.0], [0.0]]
SEEDS, EPOCHS = range(8), 300


def build(seed):
    """A network with random weights, and what trains it. `restart` has seeded the random numbers already."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    # The network gives logits: any number, positive for "one". This loss takes the sigmoid itself, stably.
    loss = nn.BCEWithLogitsLoss()
    return train.Trainer(model, loss, optim.Adam(model.parameters(), lr=0.05), progress=False)


def probability_of_one(trainer, points):
    """What the network makes of points (N, 2): a NumPy array (N,)."""
    return pb.sigmoid(trainer.predict(np.asarray(points, dtype=np.float32))).numpy()[:, 0]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    options = parser.parse_args(argv)

    right, losses = [], []

    def fit(trainer):
        history = trainer.fit((INPUTS, TARGETS), epochs=EPOCHS)
        answers = probability_of_one(trainer, INPUTS) > 0.5
        right.append(int(np.sum(answers == np.ravel(TARGETS))))
        losses.append(history["loss"])
        print(f"start {len(losses) - 1}: loss {losses[-1][0]:.3f} -> {losses[-1][-1]:.3f}, {right[-1]} of 4 right")
        return history

    with pb.use(options.backend):
        result = train.restart(build, fit, SEEDS)
        print(f"\nThe best is start {result.seed}. Its network:\n")
        for (a, b), p in zip(INPUTS, probability_of_one(result.best, INPUTS), strict=True):
            print(f"    {a:g} xor {b:g} = {p > 0.5:d}   (probability of a one: {p:.3f})")
        draw(result, losses, right, options.out / "xor.png")
    return {"best": result.seed, "right": right, "losses": losses}


def draw(result, losses, right, path):
    side = np.linspace(-0.5, 1.5, 201)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    p = probability_of_one(result.best, grid.reshape(-1, 2)).reshape(201, 201)
    colours = LinearSegmentedColormap.from_list("zero to one", [BLUE, "white", ORANGE])

    title = f"XOR, from {len(losses)} random starting points"
    with picture(path, columns=2, width=5.8, height=4.9, title=title) as (curves, plane):
        for seed, values in enumerate(losses):
            colour = INK if seed == result.seed else SKY if right[seed] == 4 else GREY
            curves.plot(values, color=colour, linewidth=3 if seed == result.seed else 1.5)
        for label, colour in {"the best": INK, "solved too": SKY, "stuck": GREY}.items():
            curves.plot([], color=colour, label=label)
        curves.set(title="Loss of each start", xlabel="epoch", ylabel="binary cross-entropy (logarithmic)")
        make_logarithmic(curves)
        curves.legend(loc="lower left")

        image = plane.pcolormesh(side, side, p, cmap=colours, vmin=0, vmax=1, alpha=0.75, rasterized=True)
        plane.contour(side, side, p, levels=[0.5], colors=INK, linewidths=1.5)
        for (a, b), [target] in zip(INPUTS, TARGETS, strict=True):
            plane.plot(a, b, "o", markersize=20, mfc=ORANGE if target else BLUE, mec="white", mew=2)
            plane.text(a, b, f"{target:.0f}", color="white", fontweight="bold", ha="center", va="center_baseline")
        plane.set(title="Decision surface of the best", xlabel="first input", ylabel="second input", aspect="equal")
        plane.set(xticks=[0, 1], yticks=[0, 1])
        plane.figure.colorbar(image, ax=plane, fraction=0.046, label="probability of a one").outline.set_visible(False)


if __name__ == "__main__":
    main()
