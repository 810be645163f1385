"""LeNet on Fashion-MNIST: the first convolutional network, on 60,000 photographs of clothes.

A convolution looks at every place of an image with the same few weights; pooling keeps the strongest answer of each
neighbourhood. Two rounds of that, then a perceptron: LeCun's network of 1998, with today's ReLU and Adam.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from figures import BLUE, GREY, ORANGE, picture
from goals import Goal, report

import pullback as pb
from pullback import data, models, nn, optim, train

FOLDER = Path(__file__).parent / "data" / "fashion-mnist"
KINDS = (FOLDER / "classes.txt").read_text().split()


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
        images, labels, test = images[:2000], labels[:2000], data.ArrayDataset(*test[:1000])
    epochs = 2 if quick else 6
    began = perf_counter()
    pb.manual_seed(0)
    model = models.LeNet()
    optimizer = optim.Adam(model.parameters())
    loader = data.DataLoader(images, labels, batch_size=64, shuffle=True)
    trainer = train.Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        metrics=[train.metrics.Accuracy()],
        schedule=optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * len(loader)),
        schedule_every="iteration",
        restore_best_weights=False,  # the test images are looked at once, when all is done
    )
    print(model, "\n")
    trainer.fit(loader, epochs=epochs)
    images, labels = test.arrays
    probabilities = pb.softmax(trainer.predict(images)).numpy()
    minutes = (perf_counter() - began) / 60
    predicted = probabilities.argmax(axis=-1)
    accuracy = train.metrics.accuracy(predicted, labels)
    matrix = train.metrics.confusion_matrix(predicted, labels, classes=10)
    print(f"\nTest: {accuracy:.2%} of {len(test):,} new images are recognized, after {minutes:.1f} minutes.")
    out.mkdir(parents=True, exist_ok=True)
    train.report.plot_confusion(matrix, KINDS, out / "fashion_lenet_confusion.png")
    draw_worst(images, labels, probabilities, out / "fashion_lenet_worst.png")
    goals = [
        Goal("test accuracy", 100 * accuracy, at_least=89, unit="%"),
        Goal("training and test", minutes, at_most=5, unit=" minutes"),
    ]
    report(goals, out / "fashion_lenet.json", quick)
    return {"accuracy": accuracy, "confusion": matrix, "goals": goals}


def draw_worst(images, labels, probabilities, path, count=8):
    """Draw the mistaken images whose true kind was given the least probability, the worst first."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(probabilities.argmax(axis=-1) != labels)
    worst = wrong[np.argsort(of_truth[wrong])][:count]
    title = "The worst mistakes: the true kind in blue, what was seen instead in orange"
    grid = {"rows": 2, "columns": len(worst), "height_ratios": [1.3, 1], "sharey": "row", "squeeze": False}
    with picture(path, width=1.9, height=2.3, title=title, **grid) as axes:
        for number, (top, bottom) in zip(worst, axes.T, strict=True):
            label, probability = labels[number], probabilities[number]
            guess = probability.argmax()
            top.imshow(images[number, ..., 0], cmap="gray_r", vmin=0, vmax=1)
            top.set_title(f"{KINDS[label]},\nseen as {KINDS[guess]}")
            top.set(xticks=[], yticks=[])
            top.spines[:].set_visible(True)
            bottom.bar(
                range(10),
                probability,
                color=[BLUE if k == label else ORANGE if k == guess else GREY for k in range(10)],
            )
            bottom.set(ylim=(0, 1))
            bottom.set_xticks(range(10), KINDS, rotation=90, fontsize=7)
        axes[1, 0].set_ylabel("probability")


if __name__ == "__main__":
    main()
