"""Regression on a real table: a neural network against plain least squares.

The table has 442 people with diabetes, ten measures of each, and a number for how far the disease had
got a year later. How much of that number can be predicted? Three ways are tried:

    closed form         the straight-line model (least squares), solved at one stroke
    gradient descent    the same model, found step by step: it must come to the same
    network             32 hidden units, which can bend

The rows are dealt out to five folds. Each fold is held back once while the other four teach, so that in
the end there is one prediction for everybody, by a model that has never seen them.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, ORANGE, picture

import pullback as pb
from pullback import data, nn, optim, train
from pullback.train.metrics import r2_score

TABLE = Path(__file__).parent / "data" / "diabetes.csv"
FOLDS = 5


def with_ones(X):
    """X and a column of ones, which is what the intercept is multiplied by."""
    return np.column_stack([np.ones(len(X)), X])


def closed_form(X, y, X_new):
    theta = np.linalg.lstsq(with_ones(X), y)[0]
    return with_ones(X_new) @ theta


def by_gradient_descent(X, y, X_new):
    # The blood values of a person go together, so the valley is narrow: its flattest axis takes many steps.
    theta, _ = optim.gradient_descent(with_ones(X), y, np.zeros((11, 1)), alpha=0.4, num_iters=3000)
    return with_ones(X_new) @ theta


def network(X, y, X_new):
    X, y, X_new = (a.astype(np.float32) for a in (X, y, X_new))
    training, validation = data.split(X, y, fractions=(0.8, 0.2))
    pb.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 1))
    trainer = train.Trainer(
        model,
        nn.MSELoss(),
        optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1),
        # 280 people are soon learnt by heart: stop when the predictions for the other 70 get no better.
        early_stopping=train.EarlyStopping(patience=20),
        progress=False,
    )
    trainer.fit(training, validation, epochs=200)
    return trainer.predict(X_new).numpy()


MODELS = {"closed form": closed_form, "gradient descent": by_gradient_descent, "network": network}


def predict(model, teach, held_back):
    """What a model, taught by some rows, predicts for others, in the units of the table."""
    (X, y), (X_new, _) = teach, held_back
    # Mean and scale are learnt from the rows that teach: the held-back ones must not leak into the model.
    columns, target = data.Standardizer().fit(X), data.Standardizer().fit(y)
    prediction = model(columns.transform(X), target.transform(y), columns.transform(X_new))
    return target.inverse_transform(prediction)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the picture")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    options = parser.parse_args(argv)

    table = np.loadtxt(TABLE, delimiter=",", skiprows=1)
    folds = data.split(table[:, :-1], table[:, -1:], fractions=[1 / FOLDS] * FOLDS, seed=0)
    predicted = {name: [] for name in MODELS}
    with pb.use(options.backend):
        for number, held_back in enumerate(folds):
            others = folds[:number] + folds[number + 1 :]
            teach = [np.concatenate(parts) for parts in zip(*others, strict=True)]
            for name, model in MODELS.items():
                predicted[name].append(predict(model, teach, held_back))

    true = [y for _, y in folds]
    r2 = {name: [r2_score(*pair) for pair in zip(predicted[name], true, strict=True)] for name in MODELS}
    predicted = {name: np.concatenate(parts) for name, parts in predicted.items()}
    true = np.concatenate(true)
    overall = {name: r2_score(predicted[name], true) for name in MODELS}

    print("R² on the rows held back: 1 is perfect, 0 no better than to predict the mean for everybody\n")
    print(f"{'':18}" + "".join(f"{f'fold {number}':>9}" for number in range(1, FOLDS + 1)) + f"{'all':>9}")
    for name in MODELS:
        print(f"{name:18}" + "".join(f"{value:9.3f}" for value in [*r2[name], overall[name]]))
    wins = sum(a > b for a, b in zip(r2["network"], r2["closed form"], strict=True))
    print(f"\nThe network beats the straight line on {wins} of {FOLDS} folds: now one is ahead, now the other, and")
    print("the folds differ by far more than the two models do. Nobody has won. Of two equals prefer the simpler,")
    print("which has nothing to tune; and fit a straight line first, or you cannot tell what your network is worth.")

    draw(true, predicted, r2, overall, options.out / "regression_on_a_table.png")
    return {"r2": r2, "overall": overall, "predicted": predicted, "true": true}


def draw(true, predicted, r2, overall, path):
    title = f"How far the disease got in a year: {len(true)} people, each predicted by a model that never saw them"
    with picture(path, columns=3, width=4.6, height=4.5, title=title) as axes:
        for ax, name, colour in zip(axes, ("closed form", "network"), (BLUE, ORANGE), strict=False):
            ax.plot([0, 360], [0, 360], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
            ax.plot(true, predicted[name], "o", color=colour, markersize=5, alpha=0.45, markeredgewidth=0)
            ax.set(title=f"{name.capitalize()}: R² = {overall[name]:.3f}", xlim=(0, 360), ylim=(0, 360), aspect="equal")
            ax.set(xlabel="true progression", ylabel="predicted progression")
        for number, (line, bent) in enumerate(zip(r2["closed form"], r2["network"], strict=True), start=1):
            axes[2].plot([number, number], [line, bent], color=GREY, linewidth=1.5, zorder=1)
        for name, colour, mark in (("closed form", BLUE, "o"), ("network", ORANGE, "D")):
            axes[2].plot(range(1, FOLDS + 1), r2[name], mark, color=colour, markersize=9, label=name)
        axes[2].set(title="R² on each fold", xlabel="fold held back", ylabel="R²", ylim=(0, 0.8))
        axes[2].set_xticks(range(1, FOLDS + 1))
        axes[2].grid(axis="y")
        axes[2].legend(loc="lower left")


if __name__ == "__main__":
    main()
