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
        (lambda: metrics.f1([0, 2], [0, 1]), "f1 met 3 classes, and average 'binary' has 2: say which average"),
        (lambda: metrics.f1([[0.1, 0.9, 0.0]], [1]), "f1 met 3 classes, and average 'binary' has 2"),
        (lambda: metrics.recall([[0.1, 0.9, 0.0]], [1]), "recall met 3 classes, and average 'binary' has 2"),
        (lambda: metrics.F1(classes=3), "average 'binary' has 2 classes; got 3: say which average"),
        (lambda: metrics.F1("macro", classes=0), "at least 1; got 0"),
        (lambda: metrics.f1([0, 2], [0, 1], average="macro", classes=2), "f1_macro of 2 classes met class 2"),
        (lambda: metrics.f1([[0.1, 0.9, 0.0]], [1], average="macro", classes=2), "f1_macro of 2 classes met class 2"),
        (lambda: metrics.recall([0, 1], [0, -1], average="macro"), "met class -1"),
        (lambda: metrics.precision([0.1, 0.9], [0, 1]), "threshold="),
        (lambda: metrics.Precision("samples"), "average is 'binary'"),
        (lambda: metrics.roc_auc([[1.0, 2.0, 3.0]], [0]), "logits=True"),
        (lambda: metrics.roc_auc([0.1, math.nan], [0, 1]), "infinite or NaN"),
        (lambda: metrics.roc_auc([0.1, 0.2], [0, 2]), "roc_auc of 2 classes met class 2"),
        (lambda: metrics.roc_auc([[0.1, 0.2]], [[0, 1], [0, 1]]), "expects scores"),
        (lambda: metrics.average_precision([0.1], [1], average="micro"), "average is 'macro'"),
        (lambda: metrics.top_k_accuracy([[0.1, 0.2]], [2]), "met class 2"),
        (lambda: metrics.top_k_accuracy([0.1, 0.2], [1, 1]), "top_5_accuracy expects scores"),
        (lambda: metrics.TopKAccuracy(0), "at least 1; got 0"),
        (lambda: metrics.TopKAccuracy(2.5), "at least 1; got 2.5"),
        (lambda: metrics.ConfusionMatrix(-1), "at least 1; got -1"),
        (lambda: metrics.confusion_matrix([[0.1, 0.9, 0.0]], [1], classes=2), "of 2 classes got scores of 3"),
        (lambda: metrics.perplexity([[0.1, 0.2]], [2]), "met class 2"),
        (lambda: metrics.perplexity([[0.1, 0.2]], [[0]]), "perplexity expects scores"),
        (lambda: metrics.mean_absolute_error([1.0], [[1.0]]), r"target's shape \(1, 1\); got \(1,\)"),
        (lambda: metrics.by_name("acuracy"), "there is no metric 'acuracy'; there are accuracy"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


TAKERS = {
    "accuracy": metrics.accuracy,
    "confusion matrix": metrics.confusion_matrix,
    "f1": metrics.f1,
    "top k": lambda p, t: metrics.top_k_accuracy(p, t, k=1),
    "roc_auc": lambda p, t: metrics.roc_auc(p, t, logits=True),
    "perplexity": metrics.perplexity,
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())
@pytest.mark.parametrize("wrong", [0.5, math.nan, math.inf, 2, -1])
def test_a_target_that_is_no_class_is_refused(take, wrong):
    scores = [[0.1, 0.9], [0.7, 0.3]]
    assert take(scores, [1.0, 0.0]) == pytest.approx(take(scores, [1, 0]))
    with pytest.raises(ValueError, match=r"no class|classes are whole|2 classes met class"):
        take(scores, [1, wrong])


@pytest.mark.parametrize("wrong", [2, -1, 1.5, math.nan])
@pytest.mark.parametrize("take", [metrics.accuracy, metrics.f1, metrics.confusion_matrix])
def test_a_target_of_one_score_lies_between_0_and_1(take, wrong):
    take([0.9, 0.2], [0.9, 0.1], threshold=0.5)
    with pytest.raises(ValueError, match="targets that are no class, 1 in all"):
        take([0.9, 0.2], [1, wrong], threshold=0.5)


@pytest.mark.parametrize("options", [{}, {"threshold": 0.5}])
def test_a_score_of_nan_is_a_miss_and_of_no_predicted_class(options):
    scores, target = ([math.nan, 0.9] if options else [[math.nan, 0.2], [0.1, 0.9]]), [0, 1]
    assert metrics.accuracy(scores, target, **options) == 0.5
    for take in (metrics.f1, metrics.precision, metrics.recall, metrics.confusion_matrix):
        with pytest.raises(ValueError, match="1 samples have scores of NaN"):
            take(scores, target, **options)


def test_numbers_that_are_none_give_none():
    assert math.isnan(metrics.perplexity([[math.nan, 0.2]], [1]))
    for take in (metrics.mean_absolute_error, metrics.mean_squared_error, metrics.r2_score):
        assert math.isnan(take([math.nan, 1.0], [0.0, 1.0]))


@pytest.mark.parametrize("given", ["ab", ["a", "b"], [1j, 2j], [[1.0], [2.0, 3.0]], None, object()])
@pytest.mark.parametrize("take", [metrics.accuracy, metrics.mean_absolute_error, metrics.roc_auc])
def test_what_holds_no_real_numbers_is_refused(take, given):
    with pytest.raises(TypeError, match="a metric takes"):
        take(given, [0, 1])


def test_a_single_sample_and_no_sample_may_be_given():
    assert metrics.accuracy([0.1, 0.9], 1) == metrics.accuracy(1, 1) == 1
    assert metrics.accuracy(0.9, 1, threshold=0.5) == 1
    assert metrics.mean_absolute_error(1.0, 3.0) == 2
    for take in (metrics.accuracy, metrics.f1, metrics.roc_auc, metrics.mean_absolute_error, metrics.r2_score):
        assert math.isnan(take([], []))


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (metrics.Accuracy(), metrics.Accuracy(0.5)),
        (metrics.TopKAccuracy(1), metrics.TopKAccuracy(5)),
        (metrics.ConfusionMatrix(2), metrics.ConfusionMatrix(3)),
        (metrics.F1("macro", classes=2), metrics.F1("macro", classes=3)),
        (metrics.F1(), metrics.F1("macro")),
        (metrics.Precision(), metrics.Recall()),
        (metrics.ROCAUC(), metrics.ROCAUC(logits=True)),
        (metrics.ROCAUC(), metrics.AveragePrecision()),
        (metrics.Perplexity(), metrics.Perplexity(ignore_index=0)),
        (metrics.MAE(), metrics.MSE()),
        (metrics.R2(), metrics.MAE()),
    ],
)
def test_metrics_that_are_made_otherwise_are_not_merged(here, there):
    with pytest.raises(ValueError, match=r"cannot take in what .* has gathered"):
        here.merge(there)


@pytest.mark.parametrize("make", [metrics.R2, metrics.MAE, metrics.MSE, metrics.RMSE, metrics.ROCAUC])
def test_metrics_of_another_width_are_not_merged_and_take_no_other_batch(make):
    narrow, wide = make(), make()
    narrow.update([0.5, 0.25], [0, 1])
    wide.update([[0.5, 0.25, 0.25]] * 2, [0, 1] if make is metrics.ROCAUC else [[0, 0, 1]] * 2)
    with pytest.raises(ValueError, match="had 1 number for each sample; now 3"):
        narrow.merge(wide)
    with pytest.raises(ValueError, match="had 3 numbers for each sample; now 1"):
        wide.update([0.5, 0.25], [0, 1])
    narrow.merge(make())
    narrow.update([], [])


def test_scores_of_another_number_of_classes_are_refused():
    metric = metrics.ROCAUC()
    metric.update([0.1, 0.2], [0, 1])
    with pytest.raises(ValueError, match="roc_auc had 1 number for each sample; now 3"):
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
