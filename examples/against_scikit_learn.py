"""Three small tables, and the same perceptron by scikit-learn: who does better on the same splits?

Two classifications (which tumours are malignant, where a wine grew) and one regression (how far a disease got). Each
table is dealt out to five folds, three times over; both libraries train on the same rows, standardized alike, a
network of the same size with the same optimizer, and are judged on the same rows that they have not seen.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from figures import BLUE, ORANGE, picture
from goals import Goal, report

import pullback as pb
from pullback import data, models, nn, optim, train

try:
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold
    from sklearn.neural_network import MLPClassifier, MLPRegressor
except ImportError as error:
    raise SystemExit("this example compares with scikit-learn: pip install '.[examples]'") from error

TABLES = {
    "breast cancer": ("breast_cancer.csv", "diagnosis"),
    "wine": ("wine.csv", "cultivar"),
    "diabetes": ("diabetes.csv", "progression"),
}
HIDDEN, BATCH, RATE, DECAY, EPOCHS = 32, 32, 1e-3, 1.0, 100


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the pictures")
    parser.add_argument("--quick", action="store_true", help="one round of folds in place of three")
    options = parser.parse_args(argv)
    with pb.use("numpy"):
        return run(options.out, options.quick)


def run(out, quick):
    scores = {}
    for name, (file, target) in TABLES.items():
        X, y, classes = read(file, target)
        kind = RepeatedKFold if classes is None else RepeatedStratifiedKFold
        folds = kind(n_splits=5, n_repeats=1 if quick else 3, random_state=0)
        scores[name] = np.asarray([judge(X, y, classes, *rows, seed) for seed, rows in enumerate(folds.split(X, y))])
        ours, theirs = scores[name].mean(axis=0)
        print(
            f"{name:14} {'R²' if classes is None else 'accuracy'}: pullback {ours:.4f}, scikit-learn {theirs:.4f}",
            flush=True,
        )
    draw(scores, out / "against_scikit_learn.png")
    goals = [
        Goal(f"{name}, pullback less scikit-learn", float(np.diff(found.mean(axis=0)[::-1])[0]), at_least=-0.01)
        for name, found in scores.items()
    ]
    report(goals, out / "against_scikit_learn.json", quick)
    return {"scores": scores, "goals": goals}


def read(file, target):
    """A table as numbers: X, y, and the number of classes, or None where y is a quantity."""
    table = data.read_table(Path(__file__).parent / "data" / file)
    X = np.stack([table.numbers(name) for name in table.columns if name != target], axis=1).astype("float32")
    if not table.is_text(target):
        return X, table.numbers(target).astype("float32")[:, None], None
    names, y = np.unique(list(table.columns[target]), return_inverse=True)
    return X, y, len(names)


def judge(X, y, classes, learnt, held_back, seed):
    """The scores of pullback and of scikit-learn on the rows that were held back."""
    inputs = data.Standardizer().fit(X[learnt])
    X_train, X_test = inputs.transform(X[learnt]), inputs.transform(X[held_back])

    mean, scale = (0.0, 1.0) if classes else (y[learnt].mean(), y[learnt].std())
    y_train = y[learnt] if classes else (y[learnt] - mean) / scale

    pb.manual_seed(seed)
    model = models.MLP((X.shape[1], HIDDEN, classes or 1))
    optimizer = optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY / BATCH)
    # scikit-learn's loss of a regression is half the squared error, and its decay that of a batch's samples.
    loss = nn.CrossEntropyLoss() if classes else lambda outputs, truth: 0.5 * pb.mse_loss(outputs, truth)
    trainer = train.Trainer(model, loss, optimizer, restore_best_weights=False, progress=False)
    trainer.fit(data.DataLoader(X_train, y_train, batch_size=BATCH, shuffle=True, seed=seed), epochs=EPOCHS)
    ours = trainer.predict(X_test).numpy()

    kind = MLPClassifier if classes else MLPRegressor
    other = kind(
        hidden_layer_sizes=(HIDDEN,),
        alpha=DECAY,
        batch_size=BATCH,
        learning_rate_init=RATE,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that all its epochs were used, as was asked for
        other.fit(X_train, y_train if classes else y_train[:, 0])
    theirs = other.predict(X_test)
    if classes:
        return np.mean(ours.argmax(axis=-1) == y[held_back]), np.mean(theirs == y[held_back])
    truth = (y[held_back, 0] - mean) / scale
    return tuple(1 - np.mean((p - truth) ** 2) / np.var(truth) for p in (ours[:, 0], theirs))


def draw(scores, path):
    """Draw both scores of every fold, with a line between them."""
    with picture(path, columns=len(scores), width=3.8, height=4.0, title="The same splits, the same networks") as axes:
        for ax, (name, found) in zip(axes, scores.items(), strict=True):
            ax.plot([0, 1], found.T, color="#BBBBBB", linewidth=0.8)
            for place, colour in ((0, BLUE), (1, ORANGE)):
                ax.plot(np.full(len(found), place), found[:, place], "o", color=colour, alpha=0.5)
                ax.plot([place - 0.2, place + 0.2], [found[:, place].mean()] * 2, color=colour, linewidth=3)
            ax.set_xticks([0, 1], ["pullback", "scikit-learn"])
            ax.set(xlim=(-0.5, 1.5), title=name, ylabel="R²" if name == "diabetes" else "accuracy")
            ax.grid(axis="y")


if __name__ == "__main__":
    main()
