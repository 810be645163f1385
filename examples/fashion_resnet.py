"""A residual network on Fashion-MNIST: eight layers, each block adding to what it was given.

What a block learns is a correction: its input passes by unchanged, and so does the gradient on its way back, which
is why such networks can be a hundred layers deep. This one is the smallest of He's for small images.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from fashion_lenet import FOLDER, KINDS
from figures import BLUE, ORANGE, picture
from goals import Goal, report

import pullback as pb
from pullback import data, models, nn, optim, train


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the pictures")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a short run on a part of the images")
    options = parser.parse_args(argv)
    with pb.use(options.backend):
        return run(options.out, options.quick)


def run(out, quick):
    (images, labels), test = data.load_idx(FOLDER).arrays, data.load_idx(FOLDER, train=False)
    if quick:
        images, labels = images[:2000], labels[:2000]
        test = data.ArrayDataset(*test[:500])
    epochs = 1 if quick else 3
    began = perf_counter()
    pb.manual_seed(0)
    model = models.cifar_resnet(8, in_channels=1)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    loader = data.DataLoader(images, labels, batch_size=64, shuffle=True)
    schedule = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.2, total_steps=epochs * len(loader), cycle_momentum=False, pct_start=0.2
    )
    trainer = train.Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        metrics=[train.metrics.Accuracy()],
        schedule=schedule,
        schedule_every="iteration",
        restore_best_weights=False,
    )
    print(f"A ResNet of 8 layers, {model.parameter_count():,} parameters.\n")
    history = trainer.fit(loader, epochs=epochs)
    images, labels = test.arrays
    predicted = trainer.predict(images).numpy().argmax(axis=-1)
    minutes = (perf_counter() - began) / 60
    accuracy = train.metrics.accuracy(predicted, labels)
    of_kind = [float(np.mean(predicted[labels == kind] == kind)) for kind in range(10)]
    print(f"\nTest: {accuracy:.2%} of {len(test):,} new images are recognized, after {minutes:.1f} minutes.")
    draw(model, of_kind, accuracy, out / "fashion_resnet.png")
    goals = [Goal("test accuracy", 100 * accuracy, at_least=90, unit="%")]
    report(goals, out / "fashion_resnet.json", quick)
    return {"accuracy": accuracy, "history": history, "goals": goals}


def draw(model, of_kind, accuracy, path):
    """Draw how many of each kind were recognized, and the filters that the first layer has learnt."""
    filters = model.conv1.weight.numpy()[..., 0]
    bound = np.abs(filters).max()
    with picture(path, columns=2, width=6, height=4.2, width_ratios=[1.2, 1]) as (left, right):
        order = np.argsort(of_kind)
        left.barh([KINDS[kind] for kind in order], [100 * of_kind[kind] for kind in order], color=BLUE)
        left.axvline(100 * accuracy, color=ORANGE)
        left.set(xlabel="recognized, %", xlim=(0, 100), title=f"{accuracy:.1%} of all test images are recognized")
        rows = np.pad(filters.reshape(4, 4, 3, 3), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
        right.imshow(rows.transpose(0, 2, 1, 3).reshape(16, 16)[:-1, :-1], cmap="RdBu", vmin=-bound, vmax=bound)
        right.set(xticks=[], yticks=[], title="The 16 filters of the first layer")
        right.spines[:].set_visible(False)


if __name__ == "__main__":
    main()
