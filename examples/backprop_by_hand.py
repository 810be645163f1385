"""Backpropagation by hand, step by step, and then the same by `loss.backward()`.

The network is so small that every number fits on the screen: two inputs, two hidden units with a
sigmoid, one output, and half the squared error as the loss.

    z = W1 x + b1           what goes into the hidden units
    h = sigmoid(z)          what comes out of them
    p = W2 h + b2           the prediction
    L = (p - t)**2 / 2      the loss: how far the prediction is from the target t

To learn is to know how L changes with every weight. The chain rule tells them all in one walk from the
loss back to the input: each line above hands back what it was handed, times its own derivative.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, INK, ORANGE, picture

import pullback as pb

x = np.array([1.0, 2.0])
t = 1.0
START = {
    "W1": np.array([[0.5, -0.4], [0.2, 0.6]]),
    "b1": np.array([0.1, -0.5]),
    "W2": np.array([0.7, -0.6]),
    "b2": np.array(0.3),
}


def forward(W1, b1, W2, b2):
    """The four lines above, in NumPy."""
    z = W1 @ x + b1
    h = 1 / (1 + np.exp(-z))
    p = W2 @ h + b2
    L = (p - t) ** 2 / 2
    return z, h, p, L


def gradients_by_hand(W1, b1, W2, b2):
    """The derivative of the loss by every parameter: the same four lines, in reverse."""
    z, h, p, L = forward(W1, b1, W2, b2)
    print("Forward, from the input to the loss\n")
    show("x", x)
    show("z = W1 x + b1", z)
    show("h = sigmoid(z)", h)
    show("p = W2 h + b2", p)
    show("L = (p - t)**2 / 2", L)

    print("\nBackward, from the loss to the input\n")
    # L = (p - t)**2 / 2: its derivative by p is the error itself. The 2 is there to cancel.
    dL_dp = show("dL/dp = p - t", p - t)
    # p = W2 h + b2 changes with W2 as h does, with b2 one to one ...
    dL_dW2 = show("dL/dW2 = dL/dp * h", dL_dp * h)
    dL_db2 = show("dL/db2 = dL/dp", dL_dp)
    # ... and with h as W2 does: each hidden unit is handed the error by the weight it had in it.
    dL_dh = show("dL/dh = dL/dp * W2", dL_dp * W2)
    # The sigmoid's derivative is h (1 - h). It is never above 1/4, so every sigmoid shrinks what passes.
    dL_dz = show("dL/dz = dL/dh * h * (1 - h)", dL_dh * h * (1 - h))
    # z = W1 x + b1 again: row i of W1 goes into z[i] and nowhere else, and is multiplied by x there.
    dL_dW1 = show("dL/dW1 = outer(dL/dz, x)", np.outer(dL_dz, x))
    dL_db1 = show("dL/db1 = dL/dz", dL_dz)
    return {"W1": dL_dW1, "b1": dL_db1, "W2": dL_dW2, "b2": dL_db2}


def gradients_by_pullback():
    """The same derivatives. Each operation notes itself on a tape; `backward` walks the tape in reverse."""
    parameters = {name: pb.tensor(value, requires_grad=True) for name, value in START.items()}
    W1, b1, W2, b2 = parameters.values()
    h = pb.sigmoid(W1 @ pb.tensor(x) + b1)
    loss = (W2 @ h + b2 - t) ** 2 / 2
    loss.backward()
    return {name: parameter.grad.numpy() for name, parameter in parameters.items()}


def show(rule, value):
    text = np.array2string(np.asarray(value), precision=6, floatmode="fixed", sign=" ")
    print(f"    {rule:30}{text}".replace("\n", "\n" + " " * 34))
    return value


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    options = parser.parse_args(argv)

    by_hand = gradients_by_hand(**START)
    by_pullback = gradients_by_pullback()

    print("\nSide by side\n")
    print(f"    {'':10}{'by hand':>18}{'loss.backward()':>20}{'difference':>13}")
    for name, gradient in by_hand.items():
        for place, hand in np.ndenumerate(gradient):
            label, auto = name + str(list(place) or ""), by_pullback[name][place]
            print(f"    {label:10}{hand:18.14f}{auto:20.14f}{abs(hand - auto):13.0e}")

    # What gradients are for: a small step against them makes the loss smaller.
    moved = {name: START[name] - 0.1 * by_hand[name] for name in START}
    before, after = forward(**START)[-1], forward(**moved)[-1]
    print(f"\nA step of 0.1 times the gradients takes the loss from {before:.6f} to {after:.6f}.")

    draw(by_hand, options.out / "backprop_by_hand.png")
    return {"by_hand": by_hand, "by_pullback": by_pullback, "loss_before": before, "loss_after": after}


def draw(gradients, path):
    """Draw the network: every number in it and, underneath, the derivative of the loss by that number."""
    _, h, p, L = forward(**START)
    dL_dp, dL_dh = p - t, (p - t) * START["W2"]
    places = {"x": [(0, 1.5), (0, -1.5)], "h": [(2.6, 1.5), (2.6, -1.5)], "p": (4.8, 0), "L": (6.3, 0)}
    edges = [("W1", (i, j), places["x"][j], places["h"][i]) for i in (0, 1) for j in (0, 1)]
    edges += [("W2", (i,), places["h"][i], places["p"]) for i in (0, 1)]
    edges += [("b1", (0,), (2.6, 3.3), places["h"][0]), ("b1", (1,), (2.6, -3.3), places["h"][1])]
    edges += [("b2", (), (4.8, 1.8), places["p"])]

    with picture(path, width=9.6, height=5.6, title="Numbers go forward, derivatives come back") as ax:

        def write(place, name, value, gradient=None, **mark):
            lines = [(name, INK), (f"{value:.3f}", BLUE)]
            lines += [] if gradient is None else [(f"{gradient:+.3f}", ORANGE)]
            for number, (line, colour) in enumerate(lines):
                text = "\n" * number + line + "\n" * (len(lines) - 1 - number)
                ax.text(*place, text, color=colour, fontsize=9.5, ha="center", va="center", zorder=4)
            ax.plot(*place, zorder=3, **mark)

        ax.plot(*zip(places["p"], places["L"], strict=True), color=GREY, linewidth=1.2, zorder=1)
        for name, index, start, end in edges:
            ax.plot(*zip(start, end, strict=True), color=GREY, linewidth=1.2, zorder=1)
            share = 0.0 if name[0] == "b" else 0.5 if start[1] == end[1] else 0.3 if name == "W1" else 0.45
            place = np.add(start, share * np.subtract(end, start))
            label = name + str(list(index) or "").replace(" ", "")
            write(place, label, START[name][index], gradients[name][index], marker="s", color="white", ms=38)
        circle = {"marker": "o", "ms": 52, "mfc": "white", "mec": INK, "mew": 1.2}
        for i in (0, 1):
            write(places["x"][i], f"x[{i}]", x[i], **circle)
            write(places["h"][i], f"h[{i}]", h[i], dL_dh[i], **circle)
        write(places["p"], "p", p, dL_dp, **circle)
        write(places["L"], "L", L, 1.0, **circle)
        ax.text(3.7, 3.4, "blue: the number", color=BLUE)
        ax.text(3.7, 2.95, "orange: the derivative of the loss by it", color=ORANGE)
        ax.set(xlim=(-0.6, 6.9), ylim=(-3.9, 3.9))
        ax.set_axis_off()


if __name__ == "__main__":
    main()
