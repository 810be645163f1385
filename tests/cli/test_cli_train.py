"""`pullback train` and `pullback predict`, used as they are meant to be."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from pullback.cli import main
from pullback.cli.method import OPTIMIZERS, SCHEDULES
from pullback.data import load_digits, split
from pullback.interop import load_safetensors

TABLES = Path(__file__).parents[1] / "tables"
FILES = {"weights.safetensors", "model.json", "history.csv", "summary.json", "curves.png", "confusion.png"}
SUMMARY = {
    "backend", "device", "dataset", "parameters", "epochs", "iterations", "seconds", "test_accuracy", "test_loss",
    "seed", "restarts", "pullback", "interrupted",
}  # fmt: skip


def train(*arguments):
    assert main(["train", *map(str, arguments), "--quiet", "--out", "run"]) == 0
    return json.loads(Path("run", "summary.json").read_text())


def predict(run, table, *options):
    assert main(["predict", str(run), str(table), *options, "--out", "predictions.csv"]) == 0
    with Path("predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path, X, header):
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([header, *X.tolist()])


def test_digits_are_learnt_to_97_percent_and_leave_a_run_with_pictures(capsys):
    assert main(["train", "digits"]) == 0
    (run,) = Path("runs").iterdir()
    out, err = capsys.readouterr()
    assert run.name.startswith("digits-")
    assert {path.name for path in run.iterdir()} == FILES
    summary = json.loads((run / "summary.json").read_text())
    assert summary.keys() >= SUMMARY
    assert summary["test_accuracy"] >= 0.97
    assert (summary["backend"], summary["device"], summary["dataset"]) == ("numpy", "cpu", "digits")
    with (run / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert len(history) == summary["epochs"]
    assert int(history[-1]["iterations"]) == summary["iterations"]
    weights = load_safetensors(run / "weights.safetensors")
    assert sum(w.size for w in weights.values()) == summary["parameters"]
    assert f"pullback predict {run} FILE.csv" in out
    assert "epoch" in err
    assert "samples/s" in err
    for picture in ("curves.png", "confusion.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG")


def test_digits_are_learnt_from_another_seed_too():
    assert train("digits", "--seed", 3)["test_accuracy"] >= 0.97


def test_a_run_of_digits_reads_any_64_columns_in_order():
    summary = train("digits", "--epochs", 8)
    images, labels = load_digits().arrays
    write_csv("named.csv", images, [f"x{i}" for i in range(64)])
    write_csv("other.csv", images, [f"pixel {i}" for i in range(64)])
    rows = predict("run", "named.csv")
    assert rows == predict("run", "other.csv")
    assert len(rows) == 1797
    right = np.asarray([int(row["prediction"]) for row in rows]) == labels
    test = split(np.arange(1797), fractions=(0.7, 0.1, 0.2), seed=0, stratify=labels)[2][0]
    assert right[test].mean() == summary["test_accuracy"]


@pytest.mark.parametrize(
    ("name", "target", "least"),
    [("iris", "species", 0.86), ("wine", "cultivar", 0.94), ("breast_cancer", "diagnosis", 0.93)],
)
def test_classes_of_real_tables_are_learnt_and_predicted(name, target, least):
    summary = train(TABLES / f"{name}.csv", "--target", target)
    assert summary["task"] == "classification"
    assert summary["test_accuracy"] >= least
    rows = predict("run", TABLES / f"{name}.csv")
    with (TABLES / f"{name}.csv").open() as file:
        truth = [row[target] for row in csv.DictReader(file)]
    assert np.mean([row["prediction"] == label for row, label in zip(rows, truth, strict=True)]) >= least
    for row in rows:
        p = {label: float(row[f"probability_{label}"]) for label in sorted(set(truth))}
        assert math.isclose(sum(p.values()), 1, abs_tol=1e-5)
        assert row["prediction"] == max(p, key=p.get)


def test_numbers_of_a_real_table_are_learnt_and_predicted_in_their_own_units():
    summary = train(TABLES / "diabetes.csv", "--target", "progression")
    assert summary["task"] == "regression"
    assert "test_accuracy" not in summary
    assert not Path("run", "confusion.png").exists()
    rows = predict("run", TABLES / "diabetes.csv")
    assert list(rows[0]) == ["prediction"]
    with (TABLES / "diabetes.csv").open() as file:
        truth = np.asarray([float(row["progression"]) for row in csv.DictReader(file)])
    error = np.asarray([float(row["prediction"]) for row in rows]) - truth
    test = split(np.arange(442), fractions=(0.7, 0.1, 0.2), seed=0)[2][0]
    assert math.isclose(summary["test_rmse"], np.sqrt((error[test] ** 2).mean()), rel_tol=1e-4)
    assert math.isclose(summary["test_r2"], 1 - (error[test] ** 2).mean() / truth[test].var(), rel_tol=1e-4)
    assert summary["test_r2"] > 0.35


def test_one_seed_gives_one_network_and_another_gives_another():
    weights = []
    for run, seed in (("a", 7), ("b", 7), ("c", 8)):
        assert (
            main(
                [
                    "train",
                    str(TABLES / "iris.csv"),
                    "--target",
                    "species",
                    "--epochs",
                    "2",
                    "--seed",
                    str(seed),
                    "--quiet",
                    "--out",
                    run,
                ]
            )
            == 0
        )
        weights.append(load_safetensors(f"{run}/weights.safetensors")["0.weight"].numpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_restarts_keep_the_best_and_report_all():
    summary = train(TABLES / "iris.csv", "--target", "species", "--epochs", 5, "--restarts", 3, "--seed", 4)
    losses = {attempt["seed"]: attempt["val_loss"] for attempt in summary["restarts"]}
    assert list(losses) == [4, 5, 6]
    assert summary["seed"] == min(losses, key=losses.get)


def test_npz_is_trained_on_and_predicted_from_a_csv():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2, 2))
    y = np.where(X[:, 0, 0] * X[:, 1, 1] > 0, "same", "other")
    np.savez("data.npz", X=X, y=y)
    assert train("data.npz", "--hidden", "32,16")["test_accuracy"] > 0.85
    write_csv("data.csv", X.reshape(300, 4), list("abcd"))
    rows = predict("run", "data.csv")
    assert rows == predict("run", "data.npz")
    assert np.mean([row["prediction"] for row in rows] == y) > 0.9


def test_words_gaps_and_extra_columns_are_taken_care_of(capsys):
    rng = np.random.default_rng(0)
    rows = [[rng.normal(), rng.choice(["red", "blue", ""]), f"name {i}"] for i in range(120)]
    cells = [
        [f"{a:.4f}" if i % 9 else "NA", c, n, f"{2 * a + 5 * (c == 'red'):.4f}"] for i, (a, c, n) in enumerate(rows)
    ]
    with Path("table.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["size", "colour", "name", "price"], *cells])
    assert main(["train", "table.csv", "--target", "price", "--drop", "name", "--out", "run"]) == 0
    assert (
        "note     missing cells, filled with the training median or as no category: size (14)"
        in capsys.readouterr().out
    )
    assert json.loads(Path("run", "summary.json").read_text())["test_r2"] > 0.7
    Path("new.csv").write_text("colour,size,shape\nred,0.0,round\n,1.5,round\n")
    assert main(["predict", "run", "new.csv"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err.splitlines()[0] == "note     new.csv: not used: shape"


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_with_every_schedule(optimizer, schedule):
    options = ["--optimizer", optimizer, "--schedule", schedule, "--epochs", 3, "--hidden", "8", "--lr", "0.01"]
    summary = train(TABLES / "iris.csv", "--target", "species", *options)
    assert (summary["optimizer"], summary["schedule"], summary["epochs"]) == (optimizer, schedule, 3)


def test_a_regression_can_be_asked_for():
    assert train("digits", "--task", "regression", "--epochs", 2, "--hidden", "none")["task"] == "regression"


def test_the_backend_can_be_chosen_and_runs_are_portable(monkeypatch):
    summary = train(
        TABLES / "iris.csv",
        "--target",
        "species",
        "--epochs",
        2,
        "--backend",
        "array_api_strict",
        "--device",
        "device1",
    )
    assert (summary["backend"], summary["device"]) == ("array_api_strict", "device1")
    rows = predict("run", TABLES / "iris.csv", "--backend", "numpy")
    monkeypatch.setenv("PULLBACK_BACKEND", "array_api_strict:device2")
    again = predict("run", TABLES / "iris.csv")
    for row, other in zip(rows, again, strict=True):
        assert row["prediction"] == other["prediction"]


def test_without_matplotlib_the_rest_is_written():
    train(TABLES / "iris.csv", "--target", "species", "--epochs", 2)
    assert {path.name for path in Path("run").iterdir()} == {name for name in FILES if not name.endswith("png")}


@pytest.mark.parametrize(("out", "target"), [("link", "empty"), ("dangling", "new"), (".", ".")])
def test_a_run_goes_where_a_link_leads_and_into_an_empty_folder(out, target):
    if out != ".":
        Path(out).symlink_to(target)
    if out == "link":
        Path(target).mkdir()
    options = ["--target", "species", "--epochs", "1", "--quiet", "--out", out]
    assert main(["train", str(TABLES / "iris.csv"), *options]) == 0
    assert Path(target, "weights.safetensors").exists()
    assert out == "." or Path(out).is_symlink()


def test_a_picture_that_fails_is_a_note_and_loses_nothing(monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError("no\nink")

    monkeypatch.setattr("pullback.cli.train.plot_curves", broken)
    train(TABLES / "iris.csv", "--target", "species", "--epochs", 1)
    assert {path.name for path in Path("run").iterdir()} == FILES - {"curves.png"}
    assert capsys.readouterr().err == "note     curves.png could not be drawn (RuntimeError: no ink)\n"


def test_a_column_that_never_changed_cannot_destroy_predictions(capsys):
    rows = TABLES.joinpath("iris.csv").read_text().splitlines()
    for name, value in (("table.csv", 7), ("new.csv", 7000)):
        Path(name).write_text("\n".join([f"sensor,{rows[0]}", *(f"{value},{row}" for row in rows[1:])]))
    assert main(["train", "table.csv", "--target", "species", "--epochs", "1", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "note     table.csv: left out, with one value in all rows to learn from: sensor" in out
    assert "1 epoch in batches" in out
    assert predict("run", "table.csv") == predict("run", "new.csv")
