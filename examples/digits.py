"""Handwritten digits: the whole of a training run, from the data to the worst mistakes.

The 1797 images of 8 x 8 pixels come with pullback. They are dealt out in three parts, each with its
share of every digit:

    training      70%   the weights are fitted to these
    validation    10%   decides which epoch's weights are kept
    test          20%   looked at once, at the very end: an honest answer to "how good is it on new digits?"
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, ORANGE, picture

import pullback as pb
from pullback import data, nn, optim, train

EPOCHS = 30


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the pictures")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    options = parser.parse_args(argv)
    with pb.use(options.backend) as backend:
        print(f"Training on {backend.name}.")
        return run(options.out)


def run(out):
    digits = data.load_digits()
    _, labels = digits.arrays
    training, validation, test = data.split(digits, fractions=(0.7, 0.1, 0.2), stratify=labels, seed=0)

    pb.manual_seed(0)  # decides the weights at the start, the order of the samples, and what is dropped
    model = nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(0.3),  # each unit learns not to rely on any one other: less is learnt by heart
        nn.Linear(128, 10),  # ten logits, one for each digit; the loss makes them probabilities
    )
    optimizer = optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    trainer = train.Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        metrics=[train.metrics.Accuracy()],
        schedule=optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS),  # big steps first, small ones last
    )
    print(model, "\n")
    history = trainer.fit(data.DataLoader(training, batch_size=32, shuffle=True), validation, EPOCHS)

    images, labels = test.arrays
    probabilities = pb.softmax(trainer.predict(images)).numpy()
    predicted = np.argmax(probabilities, axis=-1)
    accuracy = train.metrics.accuracy(predicted, labels)
    wrong = int(np.sum(predicted != labels))
    print(f"\nKept: the weights of epoch {history.best_epoch}, the best on the validation digits.")
    print(f"Test: {accuracy:.2%} of {len(test)} new digits are read correctly; {wrong} are not.")

    out.mkdir(parents=True, exist_ok=True)
    matrix = train.metrics.confusion_matrix(predicted, labels, classes=10)
    train.report.plot_curves(history, out / "digits_curves.png")
    train.report.plot_confusion(matrix, None, out / "digits_confusion.png")
    print(f"\nPictures: {out / 'digits_curves.png'} and {out / 'digits_confusion.png'}")
    draw_worst(images, labels, probabilities, out / "digits_worst.png")
    return {"accuracy": accuracy, "confusion": matrix, "history": history, "wrong": wrong}


def draw_worst(images, labels, probabilities, path, count=6):
    """Draw the misread images whose true digit was given the least probability, the worst first."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    misread = np.flatnonzero(np.argmax(probabilities, axis=-1) != labels)
    worst = misread[np.argsort(of_truth[misread])][:count]
    title = "The worst mistakes: probability of the true digit in blue, of what was read in orange"
    grid = {"rows": 2, "columns": len(worst), "height_ratios": [1.25, 1], "sharey": "row", "squeeze": False}
    with picture(path, width=1.9, height=2.1, title=title, **grid) as axes:
        for number, (top, bottom) in zip(worst, axes.T, strict=True):
            label, probability = labels[number], probabilities[number]
            guess = np.argmax(probability)
            top.imshow(images[number].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            top.set_title(f"{label}, read as {guess}")
            top.set(xticks=[], yticks=[])
            top.spines[:].set_visible(True)
            colours = [BLUE if d == label else ORANGE if d == guess else GREY for d in range(10)]
            bottom.bar(range(10), probability, color=colours)
            bottom.set(xticks=range(10), ylim=(0, 1), xlabel="digit")
            bottom.tick_params(axis="x", labelsize=8)
        axes[1, 0].set_ylabel("probability")


if __name__ == "__main__":
    main()
