"""A generative adversarial network on the handwritten digits: a forger and a judge that teach each other.

The judge learns to tell real digits from forged ones; the forger learns from the judge's gradient, which says of every
pixel how to make it more convincing. Neither ever wins: they circle around each other, and an average of the forger's
weights is steadier than the forger is. No loss tells how well it does; a kernel two-sample distance does, which
compares forged digits with real ones that neither has seen.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, picture
from goals import Goal, report

import pullback as pb
from pullback import data, models, optim

BATCH, LATENT = 64, 32


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the pictures")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a short run")
    options = parser.parse_args(argv)
    with pb.use(options.backend):
        return run(options.out, options.quick)


def run(out, quick):
    images, labels = data.load_digits().arrays
    training, held_out = data.split(2 * images.reshape(-1, 8, 8, 1) - 1, fractions=(0.75, 0.25), stratify=labels)
    (training,), (held_out,) = training, held_out
    epochs = 2 if quick else 200
    shown = sorted({0, 1, epochs // 20, epochs // 4, epochs})

    pb.manual_seed(0)
    forger = models.Generator(LATENT, channels=1, width=64, image_size=8)
    judge = models.Discriminator(channels=1, width=64, image_size=8)
    optimizers = [
        optim.Adam(m.parameters(), lr=rate, betas=(0.5, 0.999)) for m, rate in ((forger, 4e-4), (judge, 2e-4))
    ]
    steady = optim.AveragedModel(forger, multi_avg_fn=optim.get_ema_multi_avg_fn(0.99), use_buffers=True)
    noise = pb.random.normal((len(held_out), LATENT), generator=pb.random.Generator(1))
    samples, distances = {}, []
    for epoch in range(epochs + 1):
        forged = forge(steady, noise)
        distances.append(distance(forged, held_out))
        if epoch in shown:
            samples[epoch] = forged[:12]
            print(f"epoch {epoch:3}: distance to held-out digits {distances[-1]:.4f}", flush=True)
        if epoch < epochs:
            for (real,) in data.DataLoader(training, batch_size=BATCH, shuffle=True, drop_last=True, seed=epoch):
                learn(forger, judge, optimizers, real)
                steady.update_parameters(forger)
    share = distances[-1] / distances[0]
    draw(samples, distances, held_out, out / "digits_gan.png")
    goals = [Goal("distance to real digits over the untrained generator's", share, at_most=0.25)]
    report(goals, out / "digits_gan.json", quick)
    return {"distances": distances, "samples": samples, "goals": goals}


def learn(forger, judge, optimizers, real):
    """One update of the judge, then one of the forger."""
    of_forger, of_judge = optimizers
    forged = forger(pb.random.normal((len(real), LATENT)))
    of_judge.zero_grad()
    # Certainty is not asked of the judge: 0.9 in place of 1 keeps its gradient alive (Salimans et al., 2016).
    loss = against(judge(real), 0.9) + against(judge(forged.detach()), 0.0)
    loss.backward()
    of_judge.step()
    of_forger.zero_grad()
    against(judge(forged), 1.0).backward()
    of_forger.step()


def against(logits, truth):
    return pb.binary_cross_entropy_with_logits(logits, pb.full_like(logits, truth))


def forge(forger, noise):
    forger.eval()
    with pb.no_grad():
        images = forger(noise).numpy()
    forger.train()
    return images


def distance(a, b):
    """The squared maximum mean discrepancy of two samples, unbiased (Gretton et al., 2012).

    Zero where both come from one distribution. The kernel is a Gaussian as wide as real digits lie apart.
    """
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)

    def squares(x, y):
        return np.maximum(np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1) - 2 * x @ y.T, 0)

    width = np.median(squares(b, b))
    within = sum((np.exp(-squares(x, x) / width).sum() - len(x)) / (len(x) * (len(x) - 1)) for x in (a, b))
    return float(within - 2 * np.exp(-squares(a, b) / width).mean())


def draw(samples, distances, real, path):
    """Draw samples of some epochs below each other, real digits last, and the distance over the epochs."""
    rows = {f"epoch {epoch}": images for epoch, images in samples.items()} | {"real": real[:: len(real) // 12][:12]}
    with picture(path, columns=2, width=5.5, height=4.2, width_ratios=[1.25, 1]) as (left, right):
        tiles = np.stack(
            [np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=-1) for images in rows.values()]
        )
        left.imshow(tiles.transpose(0, 2, 1, 3).reshape(10 * len(rows), -1), cmap="gray_r", vmin=-1, vmax=1)
        left.set(xticks=[], title="The same noise, seen by the forger as it learns")
        left.set_yticks(10 * np.arange(len(rows)) + 4.5, list(rows))
        right.plot(distances, color=BLUE)
        right.axhline(distances[0] / 4, color=GREY, linestyle="--", label="a quarter of the beginning")
        right.set(xlabel="epoch", title="Distance to digits that neither has seen", ylim=(0, None))
        right.legend()


if __name__ == "__main__":
    main()
