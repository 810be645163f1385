"""What metrics take, what they refuse, and how a Trainer finds them by name."""

import math

import numpy as np
import pytest

import pullback as pb
from pullback import nn, optim
from pullback.train import Trainer, metrics
from pullback.train.early_stopping import improvement

EVERY = {
    "f1": lambda: metrics.F1("macro"),
    "top_k": lambda: metrics.TopKAccuracy(1),
    "roc_auc": lambda: metrics.ROCAUC(logits=True),
    "average_precision": lambda: metrics.AveragePrecision(logits=True),
    "perplexity": metrics.Perplexity,
}


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())
def test_scores_may_live_anywhere_and_have_more_axes(place, make):
    scores = np.random.default_rng(0).normal(size=(4, 3, 3)).astype("float32")
    target = np.arange(12).reshape(4, 3) % 3
    there, here = make(), make()
    there.update(pb.asarray(scores), pb.asarray(target))
    here.update(scores.reshape(12, 3), target.reshape(-1).tolist())
    assert there.compute() == pytest.approx(here.compute())


def test_rare_events_need_no_scores_at_all():
    for make in (*EVERY.values(), metrics.Accuracy, metrics.MAE, metrics.RMSE):
        assert math.isnan(make().compute())
    assert metrics.perplexity(np.asarray([[0.0, -np.inf]]), [1]) == math.inf
    assert metrics.perplexity(np.asarray([[0.0, 5000.0]]), [0]) == math.inf


def test_a_missing_class_has_no_ranking():
    p = np.asarray([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    assert np.isnan(metrics.roc_auc(p, [0, 0, 1], average=None)).tolist() == [False, False, True]
    assert math.isnan(metrics.roc_auc(p, [0, 0, 1]))
    assert math.isnan(metrics.roc_auc([0.3, 0.4], [1, 1]))


def test_a_score_that_is_no_number_hits_nothing():
    assert metrics.top_k_accuracy([[math.nan, 1.0, 2.0]], [0], k=2) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.f1([0, 2], [0, 1]), "met class 2; of more than two classes, say which average"),
        (lambda: metrics.f1([0, 2], [0, 1], average="macro", classes=2), "met class 2 of 2"),
        (lambda: metrics.recall([0, 1], [0, -1], average="macro"), "met class -1"),
        (lambda: metrics.precision([0.1, 0.9], [0, 1]), "threshold="),
        (lambda: metrics.Precision("samples"), "average is 'binary'"),
        (lambda: metrics.roc_auc([[1.0, 2.0, 3.0]], [0]), "logits=True"),
        (lambda: metrics.roc_auc([0.1, math.nan], [0, 1]), "infinite or NaN"),
        (lambda: metrics.roc_auc([0.1, 0.2], [0, 2]), "scores of 2 classes; met class 2"),
        (lambda: metrics.roc_auc([[0.1, 0.2]], [[0, 1], [0, 1]]), "expects scores"),
        (lambda: metrics.average_precision([0.1], [1], average="micro"), "average is 'macro'"),
        (lambda: metrics.top_k_accuracy([[0.1, 0.2]], [2]), "met class 2"),
        (lambda: metrics.top_k_accuracy([0.1, 0.2], [1, 1]), "expected scores"),
        (lambda: metrics.TopKAccuracy(0), "at least 1"),
        (lambda: metrics.perplexity([[0.1, 0.2]], [2]), "met class 2"),
        (lambda: metrics.perplexity([[0.1, 0.2]], [[0]]), "expects logits"),
        (lambda: metrics.mean_absolute_error([1.0], [[1.0]]), r"target's shape \(1, 1\); got \(1,\)"),
        (lambda: metrics.by_name("acuracy"), "there is no metric 'acuracy'; there are accuracy"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_scores_of_another_number_of_classes_are_refused():
    metric = metrics.ROCAUC()
    metric.update([0.1, 0.2], [0, 1])
    with pytest.raises(ValueError, match="had scores of 1 classes; now 3"):
        metric.update([[0.2, 0.3, 0.5]], [1])


def test_a_trainer_takes_metrics_by_name():
    x = pb.random.normal((60, 2))
    y = (x[:, 0] > x[:, 1]).astype("int64")
    model = nn.Linear(2, 2)
    names = ["accuracy", "f1_macro", "perplexity", metrics.ROCAUC(logits=True)]
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.5), metrics=names, progress=False
    )
    history = trainer.fit((x, y), validation=(x, y), epochs=5)
    for name in ("accuracy", "f1_macro", "perplexity", "roc_auc", "val_roc_auc"):
        assert name in history.columns
    assert history["val_roc_auc"][-1] > 0.95
    loss = history["val_loss"][-1]
    assert history["val_perplexity"][-1] == pytest.approx(math.exp(loss), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("val_top_5_accuracy", "max"),
        ("f1_macro", "max"),
        ("val_average_precision", "max"),
        ("roc_auc", "max"),
        ("rmse", "min"),
        ("val_perplexity", "min"),
        ("layer_r2_loss", "min"),
    ],
)
def test_whether_more_is_better_is_told_from_the_name(name, mode):
    assert improvement(name) == mode
