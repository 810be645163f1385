import sys

import numpy as np
import pytest

from pullback.train import History
from pullback.train.report import plot_confusion, plot_curves, plot_predictions


@pytest.fixture
def history():
    history = History("val_loss")
    for epoch in range(1, 16):
        losses = {"loss": 2.0 / epoch**2, "val_loss": 2.5 / epoch + 0.01 * epoch}
        scores = {"accuracy": 1 - 0.9 / epoch, "val_accuracy": float("nan") if epoch == 3 else 0.9 - 0.8 / epoch}
        history.append(
            {"epoch": epoch, "iterations": 10 * epoch, **losses, **scores, "lr": 0.1 / epoch, "seconds": 0.5}
        )
    history.best_epoch = 15
    return history


def written(path):
    """The words of an SVG picture: matplotlib notes them beside the outlines of their letters."""
    return [line.strip()[5:-4] for line in path.read_text().splitlines() if line.strip().startswith("<!-- ")]


def test_the_curves_name_what_they_show(history, tmp_path):
    history.stopped_early = True
    plot_curves(history, tmp_path / "curves.svg")
    words = written(tmp_path / "curves.svg")
    for text in ("15 epochs, 150 iterations, 7.5 s, stopped early", "Loss", "Accuracy", "Learning rate", "epoch",
                 "training", "validation", "best epoch 15: 0.3167", "best epoch 15: 84.67%"):  # fmt: skip
        assert text in words
    assert words.count("epoch") == 3


def test_one_epoch_without_validation_can_be_drawn(tmp_path):
    history = History()
    history.append({"epoch": 1, "iterations": 1, "loss": 0.5, "lr": 0.1, "seconds": 0.1})
    plot_curves(history, tmp_path / "curves.svg")
    words = written(tmp_path / "curves.svg")
    assert "1 epoch, 1 iteration, 0.1 s" in words
    assert "validation" not in words
    with pytest.raises(ValueError, match="no finished epoch"):
        plot_curves(History(), tmp_path / "none.png")


def test_the_confusion_matrix_names_its_classes_and_counts(tmp_path):
    matrix = np.asarray([[61, 2, 0], [3, 70, 4], [0, 5, 88]])
    plot_confusion(matrix, ["setosa", "versicolor", "virginica"], tmp_path / "confusion.svg")
    words = written(tmp_path / "confusion.svg")
    for text in ("Confusion matrix", "219 of 233 samples right (94.0%)", "predicted class", "true class"):
        assert text in words
    for name in ("setosa", "versicolor", "virginica"):
        assert words.count(name) == 2
    for count in matrix.flatten():
        assert str(count) in words


@pytest.mark.parametrize("classes", [1, 2, 41])
def test_pictures_of_any_number_of_classes_are_written_whole(classes, tmp_path):
    plot_confusion(np.zeros((classes, classes), dtype=int), None, tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["confusion.png"]


def test_a_matrix_that_does_not_fit_its_classes_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"2 classes is square, of that side; got \(3, 3\)"):
        plot_confusion(np.zeros((3, 3)), ["a", "b"], tmp_path / "confusion.png")


def test_without_matplotlib_the_mend_is_named(history, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'pullback\[viz\]'"):
        plot_curves(history, tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []


def test_predictions_are_drawn_over_the_true_values(tmp_path):
    true = np.linspace(-3.0, 40.0, 50)[:, None]
    plot_predictions(true + np.sin(true), true, "height in m", tmp_path / "predictions.png")
    assert (tmp_path / "predictions.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="do not fit"):
        plot_predictions(true[:-1], true, "height", tmp_path / "none.png")
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.png"]


def test_names_are_drawn_as_they_are_written_and_long_ones_shortened(tmp_path):
    names = ["$5 _a^", r"a $\frac{ b", "姓名", "姓名" * 20, "a name that is far too long to be drawn in full"]
    plot_confusion(np.eye(5, dtype=int), names, tmp_path / "confusion.svg")
    words = written(tmp_path / "confusion.svg")
    for name in (*names[:2], "a name that is far too …"):
        assert words.count(name) == 2
    plot_predictions(np.ones(3), np.arange(3.0), "price in $ a^{", tmp_path / "predictions.svg")
    assert "true price in $ a^{" in written(tmp_path / "predictions.svg")
