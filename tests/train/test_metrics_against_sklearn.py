"""Metrics gathered batch by batch against scikit-learn's of all samples at once."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

import pullback as pb
from pullback.train import metrics
from pullback.train.metrics import (
    F1,
    MAE,
    MSE,
    RMSE,
    ROCAUC,
    AveragePrecision,
    Perplexity,
    Precision,
    Recall,
    TopKAccuracy,
)

sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed: pip install 'pullback[test]'")
SEEDS = st.integers(0, 10_000)
drawn = settings(deadline=None, max_examples=60)


def gathered(make, prediction, target, generator):
    """A metric of batches of random sizes, as Tensors, arrays and lists; half of it from another process."""
    cuts = np.sort(generator.integers(0, len(target) + 1, generator.integers(0, 4)))
    parts = zip(np.split(prediction, cuts), np.split(target, cuts), strict=True)
    here, there = make(), make()
    for number, (p, t) in enumerate(parts):
        form = (pb.asarray, np.asarray, lambda x: x.tolist() if x.size or x.ndim == 1 else x)[number % 3]
        (here, there)[number % 2].update(form(p), form(t))
    here.merge(there)
    value = here.compute()
    once = make()
    once.update(prediction, target)
    np.testing.assert_allclose(once.compute(), value, rtol=1e-12)
    here.reset()
    assert np.all(np.isnan(here.compute()))
    return value


def quietly(function, *arguments, **options):
    """What scikit-learn gives, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@drawn
@given(SEEDS, st.sampled_from(["binary", "micro", "macro", "weighted", None]), st.sampled_from([0.0, 1.0]))
def test_precision_recall_and_f1(seed, average, zero_division):
    generator = np.random.default_rng(seed)
    classes = 2 if average == "binary" else int(generator.integers(1, 6))
    samples, labels = int(generator.integers(1, 15)), range(classes)
    known = classes if average is None else generator.choice([None, classes])
    true, predicted = generator.integers(0, classes, (2, samples))
    for cls, name in ((Precision, "precision_score"), (Recall, "recall_score"), (F1, "f1_score")):
        expected = quietly(
            getattr(sklearn, name),
            true,
            predicted,
            average=average,
            labels=None if known is None or average == "binary" else labels,
            zero_division=zero_division,
        )
        if average == "binary" and not (true.any() or predicted.any()):
            expected = zero_division  # to scikit-learn these are samples of one class
        got = gathered(
            lambda cls=cls: cls(average, classes=known, zero_division=zero_division), predicted, true, generator
        )
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@drawn
@given(SEEDS, st.integers(1, 4))
def test_top_k_accuracy(seed, k):
    generator = np.random.default_rng(seed)
    samples, classes = int(generator.integers(1, 20)), int(generator.integers(3, 6))
    scores, target = np.round(generator.normal(size=(samples, classes))), generator.integers(0, classes, samples)
    # Of those that tie scikit-learn takes the last, and here the first is taken, as argmax does.
    expected = quietly(sklearn.top_k_accuracy_score, classes - 1 - target, scores[:, ::-1], k=k, labels=range(classes))
    assert gathered(lambda: TopKAccuracy(k), scores, target, generator) == pytest.approx(expected)
    assert metrics.top_k_accuracy(scores, target, k=1) == metrics.accuracy(scores, target)


@drawn
@given(SEEDS, st.booleans())
def test_ranking_of_two_classes(seed, ties):
    generator = np.random.default_rng(seed)
    samples = int(generator.integers(1, 30))
    scores, target = generator.normal(size=samples), generator.integers(0, 2, samples)
    scores = np.round(scores) if ties else scores
    both = 0 < target.sum() < samples
    auc = gathered(ROCAUC, scores, target, generator)
    precision = gathered(AveragePrecision, scores[:, None], target, generator)
    if both:
        assert auc == pytest.approx(sklearn.roc_auc_score(target, scores))
    else:
        assert math.isnan(auc)
    if target.any():
        assert precision == pytest.approx(sklearn.average_precision_score(target, scores))
    else:
        assert math.isnan(precision)


@drawn
@given(SEEDS, st.sampled_from(["macro", "weighted", None]))
def test_ranking_of_several_classes(seed, average):
    generator = np.random.default_rng(seed)
    samples, classes = int(generator.integers(10, 40)), int(generator.integers(2, 5))
    target = np.concatenate([np.arange(classes), generator.integers(0, classes, samples - classes)])
    logits = generator.normal(size=(samples, classes))
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    tied = generator.multinomial(8, np.full(classes, 1 / classes), samples) / 8
    for p in (soft, tied):
        if classes == 2:
            expected = sklearn.roc_auc_score(target, p[:, 1]), sklearn.average_precision_score(target, p[:, 1])
        else:
            expected = (
                sklearn.roc_auc_score(target, p, multi_class="ovr", average=average),
                sklearn.average_precision_score(np.eye(classes)[target], p, average=average),
            )
        for cls, value in zip((ROCAUC, AveragePrecision), expected, strict=True):
            got = gathered(lambda cls=cls: cls(average), p, target, generator)
            np.testing.assert_allclose(got, value, rtol=1e-9)
            if p is soft:
                got = gathered(lambda cls=cls: cls(average, logits=True), logits, target, generator)
                np.testing.assert_allclose(got, value, rtol=1e-9)


@drawn
@given(SEEDS, st.sampled_from([1.0, 30.0, 1e3, 1e6]), st.integers(2, 5))
def test_ranking_of_logits_so_sure_that_softmax_ties_them_at_1(seed, scale, classes):
    generator = np.random.default_rng(seed)
    samples = int(generator.integers(10, 60))
    target = np.concatenate([np.arange(classes), generator.integers(0, classes, samples - classes)])
    logits = scale * (generator.normal(size=(samples, classes)) + 2 * np.eye(classes)[target])
    others = [logsumexp(np.delete(logits, i, axis=1), axis=1) for i in range(classes)]
    odds, of_class = logits - np.stack(others, axis=1), np.eye(classes)[target]
    if classes == 2:
        odds, of_class = odds[:, 1], target
    for cls, function in ((ROCAUC, sklearn.roc_auc_score), (AveragePrecision, sklearn.average_precision_score)):
        expected = function(of_class, odds, average=None)
        got = gathered(lambda cls=cls: cls(None, logits=True), logits, target, generator)
        np.testing.assert_allclose(got, expected, rtol=1e-9)


@drawn
@given(SEEDS, st.sampled_from([(), (1,), (3,)]))
def test_errors_of_regression(seed, outputs):
    generator = np.random.default_rng(seed)
    prediction, target = generator.normal(size=(2, int(generator.integers(2, 20)), *outputs))
    pairs = [
        (MAE, sklearn.mean_absolute_error),
        (MSE, sklearn.mean_squared_error),
        (RMSE, sklearn.root_mean_squared_error),
        (metrics.R2, sklearn.r2_score),
    ]
    for cls, function in pairs:
        assert gathered(cls, prediction, target, generator) == pytest.approx(function(target, prediction))


@drawn
@given(SEEDS)
def test_perplexity_is_the_exponential_of_the_log_loss(seed):
    generator = np.random.default_rng(seed)
    samples, classes = int(generator.integers(1, 20)), int(generator.integers(2, 6))
    logits, target = 3 * generator.normal(size=(samples, classes)), generator.integers(0, classes, samples)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = math.exp(sklearn.log_loss(target, p, labels=range(classes)))
    assert gathered(Perplexity, logits, target, generator) == pytest.approx(expected, rel=1e-9)
    assert metrics.perplexity(np.log(p), target) == pytest.approx(expected, rel=1e-9)
    padded = np.concatenate([target, [-100]])
    assert metrics.perplexity(np.vstack([logits, logits[:1]]), padded) == pytest.approx(expected, rel=1e-9)


@drawn
@given(SEEDS)
def test_confusion_matrices_of_two_processes_add_up(seed):
    generator = np.random.default_rng(seed)
    true, predicted = generator.integers(0, 4, (2, 20))
    here, there = metrics.ConfusionMatrix(4), metrics.ConfusionMatrix(4)
    here.update(predicted[:9], true[:9])
    there.update(predicted[9:], true[9:])
    here.merge(there)
    assert here.compute().tolist() == sklearn.confusion_matrix(true, predicted, labels=range(4)).tolist()
    right, others = metrics.Accuracy(), metrics.Accuracy()
    right.update(pb.asarray(predicted[:9]), pb.asarray(true[:9]))
    others.update(predicted[9:], true[9:])
    right.merge(others)
    assert right.compute() == pytest.approx(sklearn.accuracy_score(true, predicted))
