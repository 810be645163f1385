"""XOR: the smallest problem that one straight line cannot solve, and why to start more than once.

XOR is 1 where exactly one of its two inputs is. No line has the ones on one side and the zeros on the
other, so a network without a hidden layer must fail. Two hidden units are enough: each draws a line,
and the output unit says "between the two".

Enough, that is, if training finds them. Gradient descent only ever walks downhill, so where it starts
decides in which valley it ends, and some of XOR's valleys hold two points wrong for ever. The remedy
is plain: start from several random points, and keep the best.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, INK, ORANGE, make_logarithmic, picture
from matplotlib.colors import LinearSegmentedColormap

import pullback as pb
from pullback import nn, optim, train

INPUTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
TARGETS = [[0.0], [1.0], [1.0], [0.0]]
SEEDS, EPOCHS = range(8), 300


def build(seed):
    """A network with random weights, ready to be trained. `restart` has put the seed into place before."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    # The network gives logits: any number, positive for "one". The loss takes the sigmoid itself, stably.
    return train.Trainer(model, nn.BCEWithLogitsLoss(), optimizer, progress=False)


def count_right(model):
    """How many of the four points fall on the right side."""
    return sum((logit > 0) == (target == 1) for [logit], [target] in zip(model(pb.tensor(INPUTS)).tolist(), TARGETS))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, auto, ... (%(default)s)")
    options = parser.parse_args(argv)

    histories = []

    def fit(trainer):
        histories.append(trainer.fit((INPUTS, TARGETS), epochs=EPOCHS))
        return histories[-1]

    with pb.use(options.backend):
        result = train.restart(build, fit, SEEDS)
        model = result.best.model
        right = count_right(model)
        surface = draw_surface...
