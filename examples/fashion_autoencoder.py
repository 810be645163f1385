"""An autoencoder and a variational one on Fashion-MNIST: images through the eye of a needle.

An autoencoder makes 32 numbers of the 784 pixels of an image and an image of these again; what it learns is what
clothes have in common. A variational one makes of each image not a point but a small cloud, and holds all clouds
together near 0: then every point between two clothes is one too. This one has only 2 numbers, so its map can be drawn.
"""

import argparse
from pathlib import Path

import numpy as np
from fashion_lenet import FOLDER, KINDS
from figures import picture
from goals import Goal, report

import pullback as pb
from pullback import data, models, nn, optim

BATCH = 128


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the pictures")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a short run on a part of the images")
    options = parser.parse_args(argv)
    with pb.use(options.backend):
        return run(options.out, options.quick)


def run(out, quick):
    images, _ = data.load_idx(FOLDER).arrays
    test, labels = data.load_idx(FOLDER, train=False).arrays
    if quick:
        images, test, labels = images[:4000], test[:1000], labels[:1000]
    epochs = 1 if quick else 8

    pb.manual_seed(0)
    plain = models.Autoencoder((28, 28, 1), latent=32, hidden=(512, 128))
    error = nn.MSELoss()
    fit(plain, images, epochs, lambda x: error(pb.sigmoid(plain(x)), x))

    pb.manual_seed(0)
    variational = models.VAE((28, 28, 1), latent=2, hidden=(512, 128))
    fit(variational, images, epochs, lambda x: negative_bound(variational, x))

    plain.eval(), variational.eval()
    with pb.no_grad():
        x = pb.asarray(test)
        mistake = float(pb.mean((pb.sigmoid(plain(x)) - x) ** 2))
        by_components = principal_components(images, test, 32)
        variational.train()  # the bound is that of codes which are drawn
        bound = float(negative_bound(variational, x))
        variational.eval()
        draw_reconstructions(plain, variational, test, labels, out / "fashion_autoencoder_reconstructions.png")
        draw_map(variational, test, labels, out / "fashion_autoencoder_map.png")
        draw_walk(plain, variational, test, labels, out / "fashion_autoencoder_walk.png")
    print(f"\nMean squared error of a pixel: {mistake:.4f}; with 32 principal components {by_components:.4f}.")
    goals = [
        Goal(
            "the autoencoder's squared error over that of as many principal components",
            mistake / by_components,
            at_most=0.8,
        ),
        Goal("the variational one's bound on -log p(image)", bound, at_most=270, unit=" nats"),
    ]
    report(goals, out / "fashion_autoencoder.json", quick)
    return {"mistake": mistake, "by_components": by_components, "bound": bound, "goals": goals}


def negative_bound(model, x):
    """Kingma and Welling's bound: what the image costs given its code, and what the code costs; in nats an image."""
    logits, mean, log_variance = model(x)
    pixels = pb.binary_cross_entropy_with_logits(logits, x, reduction="sum") / x.shape[0]
    return pixels + model.divergence(mean, log_variance)


def fit(model, images, epochs, loss):
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        total = 0.0
        for (x,) in data.DataLoader(images, batch_size=BATCH, shuffle=True, seed=epoch):
            optimizer.zero_grad()
            value = loss(x)
            value.backward()
            optimizer.step()
            total += value.item() * len(x)
        print(f"{type(model).__name__}, epoch {epoch + 1}: loss {total / len(images):.4f}", flush=True)


def principal_components(images, test, count):
    """The mean squared error of a pixel when images are rebuilt from so many principal components."""
    flat, new = images.reshape(len(images), -1), test.reshape(len(test), -1)
    mean = flat.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov((flat - mean).T))
    kept = directions[:, -count:].astype("float32")
    return float(np.mean((mean + (new - mean) @ kept @ kept.T - new) ** 2))


def seen(model, codes):
    return pb.sigmoid(model.decode(codes)).numpy()[..., 0]


def draw_reconstructions(plain, variational, test, labels, path):
    """Draw one image of each kind above what the two make of it."""
    x = pb.asarray(np.stack([test[np.flatnonzero(labels == kind)[0]] for kind in range(10)]))
    rows = [x.numpy()[..., 0], seen(plain, plain.encode(x)), seen(variational, variational.encode(x))]
    with picture(
        path, columns=10, rows=3, width=1.1, height=1.25, title="Images, and what 32 and 2 numbers keep of them"
    ) as axes:
        for name, images, line in zip(["image", "32 numbers", "2 numbers"], rows, axes, strict=True):
            for kind, (image, ax) in enumerate(zip(images, line, strict=True)):
                ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
                if images is rows[0]:
                    ax.set_title(KINDS[kind], fontsize=9)
            line[0].set_ylabel(name)


def draw_map(model, test, labels, path):
    """Draw where the test images lie on the map of 2 numbers, and what the decoder sees at each place of it."""
    codes = model.encode(pb.asarray(test)).numpy()
    steps = np.linspace(-2.5, 2.5, 16).astype("float32")
    grid = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
    images = seen(model, pb.asarray(grid)).reshape(16, 16, 28, 28).transpose(0, 2, 1, 3).reshape(448, 448)
    with picture(path, columns=2, width=6, height=5.6, title="The map that the variational autoencoder made") as (
        left,
        right,
    ):
        points = left.scatter(*codes[:5000].T, c=labels[:5000], cmap="tab10", s=4, alpha=0.6, vmin=-0.5, vmax=9.5)
        left.set(title="Test images by their two numbers", aspect="equal")
        bar = left.figure.colorbar(points, ax=left, ticks=range(10), shrink=0.8)
        bar.ax.set_yticklabels(KINDS, fontsize=8)
        right.imshow(images, cmap="gray_r", extent=(-2.5, 2.5, -2.5, 2.5))
        right.set(title="What is seen at each place")


def draw_walk(plain, variational, test, labels, path, steps=10):
    """Draw the images on the straight line between the codes of two."""
    ends = pb.asarray(np.stack([test[np.flatnonzero(labels == kind)[1]] for kind in (9, 1)]))
    share = np.linspace(0, 1, steps, dtype="float32")[:, None]
    with picture(
        path, columns=steps, rows=2, width=1.5, height=1.95, title="A walk from a boot to trousers, code by code"
    ) as axes:
        for name, model, line in zip(["32 numbers", "2 numbers"], [plain, variational], axes, strict=True):
            first, last = model.encode(ends).numpy()
            for image, ax in zip(seen(model, pb.asarray((1 - share) * first + share * last)), line, strict=True):
                ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            line[0].set_ylabel(name)


if __name__ == "__main__":
    main()
