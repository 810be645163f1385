"""Choosing the backend, from inside a library of your own.

Two rules are all there is to know:

    Computing follows the data. A function written with pullback takes whatever arrays its user has, and
    answers in the same: NumPy's, CuPy's, PyTorch's, those of any library of the array API standard.

    The switch only decides where *new* arrays are made: weights, random numbers, what comes from a list
    or a file. It is `pb.use("cupy")`, from there on or as a `with` block, or the variable PULLBACK_BACKEND.

A library follows the first rule by importing pullback, and leaves the switch to its user.
"""

import argparse
import logging
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from figures import BLUE, GREEN, GREY, ORANGE, PINK, picture

import pullback as pb
from pullback import data, nn, optim

STEPS = 40


def smooth(signal, strength=20.0, steps=300):
    """A curve close to a signal that does not jump about: what your library might offer its users.

    signal: (n,), an array of any library. Returns an array of the same library, on the same device.
    """

    def cost(curve):
        return pb.sum((curve - signal) ** 2) + strength * pb.sum((curve[1:] - curve[:-1]) ** 2)

    gradient = pb.grad(cost)
    rate = 1 / (2 + 8 * strength)  # one over the cost's greatest curvature: never too large
    curve = signal
    for _ in range(steps):
        curve = curve - rate * gradient(curve)
    return curve


def train_a_little(name):
    """The losses of a network's first steps, all of it made and computed on one backend."""
    with pb.use(name):
        pb.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for images, labels in islice(data.DataLoader(data.load_digits(), batch_size=32, shuffle=True), STEPS):
            optimizer.zero_grad()
            value = loss(model(images), labels)
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return losses


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    options = parser.parse_args(argv)

    print("What can be used on this machine, by pb.backends():\n")
    for name, (usable, reason) in pb.backends().items():
        print(f"    {name:18}{'yes' if usable else f'no: {reason}'}")
    names = [name for name, (usable, _) in pb.backends().items() if usable]

    print('\npb.use("auto") takes CuPy where a GPU answers, else NumPy, and tells the log which:\n')
    logging.basicConfig(format="    %(name)s: %(message)s", stream=sys.stdout)
    logging.getLogger("pullback").setLevel(logging.INFO)
    with pb.use("auto") as chosen:
        print(f"    {chosen}")

    print("\nPULLBACK_BACKEND chooses for a whole program, not a line of it changed:\n")
    program = "import pullback as pb; print(pb.backend().name, pb.zeros(2))"
    for name in names[:2]:
        print(f"    PULLBACK_BACKEND={name:18}", end="", flush=True)
        subprocess.run([sys.executable, "-c", program], env=os.environ | {"PULLBACK_BACKEND": name}, check=True)

    print("\nOne function, smooth, and the arrays of each library:\n")
    noisy = np.sin(np.linspace(0, 6, 120)) + np.random.default_rng(0).normal(0, 0.3, 120)
    curves, kinds = {}, {}
    for name in names:
        with pb.use(name):
            signal = pb.asarray(noisy.tolist(), dtype="float64").array  # as a user of that library has it
        curve = smooth(signal)
        kinds[name] = [f"{type(a).__module__.partition('.')[0]}.{type(a).__name__}" for a in (signal, curve)]
        curves[name] = pb.asarray(curve).numpy()
        print(f"    {name:18}takes {kinds[name][0]}, gives {kinds[name][1]}")

    print("\nThe same seed gives the same weights and the same batches everywhere, and so the same losses:\n")
    losses = {name: train_a_little(name) for name in names}
    shown = [0, 1, 2, 9, STEPS - 1]
    print(f"    {'step':18}" + "".join(f"{step + 1:>12}" for step in shown) + f"{'off by at most':>18}")
    for name in names:
        off = max(abs(a - b) for a, b in zip(losses[name], losses[names[0]], strict=True))
        print(f"    {name:18}" + "".join(f"{losses[name][step]:12.6f}" for step in shown) + f"{off:18.0e}")
    print("\n(What is left is rounding: float32 has seven digits, and each library adds up in its own order.)")

    draw(noisy, curves, losses, options.out / "choosing_the_backend.png")
    return {"kinds": kinds, "curves": curves, "losses": losses}


def draw(noisy, curves, losses, path):
    # The lines lie on top of one another; each is drawn thinner than the one beneath it.
    styles = dict(zip(curves, [(BLUE, 8), (ORANGE, 5), (GREEN, 2.5), (PINK, 1)], strict=False))
    with picture(path, columns=2, width=5.6, title="One code, whichever arrays it is given") as (left, right):
        left.plot(noisy, "o", color=GREY, markersize=3.5, label="the signal")
        for name, (colour, width) in styles.items():
            left.plot(curves[name], color=colour, linewidth=width, label=name)
            right.plot(range(1, STEPS + 1), losses[name], color=colour, linewidth=width, label=name)
        left.set(title="smooth(signal)", xlabel="sample", ylabel="value")
        right.set(title="The first steps of a network, same seed", xlabel="step", ylabel="cross-entropy of the batch")
        for ax in (left, right):
            ax.grid(axis="y")
            ax.legend()


if __name__ == "__main__":
    main()
