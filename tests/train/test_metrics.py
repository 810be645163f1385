import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import pullback as pb
from pullback.train.metrics import R2, Accuracy, ConfusionMatrix, accuracy, confusion_matrix, r2_score

SIZES = st.integers(1, 40)


def cut(array, parts):
    return np.array_split(array, parts)


@settings(deadline=None, max_examples=40)
@given(SIZES, st.integers(2, 6), st.integers(1, 4), st.integers(0, 1000))
def test_batch_by_batch_is_as_all_at_once_and_as_counted(samples, classes, parts, seed):
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(samples, classes)).astype("float32")
    target = generator.integers(0, classes, samples)
    hits, matrix = Accuracy(), ConfusionMatrix(classes)
    for p, t in zip(cut(scores, parts), cut(target, parts), strict=True):
        for metric in (hits, matrix):
            metric.update(pb.asarray(p), pb.asarray(t))
    predicted = scores.argmax(axis=1)
    counted = [[sum((target == i) & (predicted == j)) for j in range(classes)] for i in range(classes)]
    assert hits.compute() == accuracy(scores, target) == sum(predicted == target) / samples
    assert matrix.compute().tolist() == confusion_matrix(scores, target, classes=classes).tolist() == counted
    assert accuracy(predicted, target) == hits.compute()
    assert confusion_matrix(predicted, target, classes=classes).tolist() == counted
    hits.reset()
    matrix.reset()
    assert math.isnan(hits.compute())
    assert matrix.compute().sum() == 0


@settings(deadline=None, max_examples=40)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 30), st.integers(1, 3)), elements=st.floats(-100, 100)),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_r2_is_one_minus_the_ratio_of_squared_errors(target, parts, seed):
    prediction = target + np.random.default_rng(seed).normal(size=target.shape)
    spread = np.sum((target - target.mean(axis=0)) ** 2, axis=0)
    target[:, spread < 1e-3] = 7.0  # below that the closed form is all rounding
    metric = R2()
    for p, t in zip(cut(prediction, parts), cut(target, parts), strict=True):
        metric.update(p, t)
    error, spread = np.sum((target - prediction) ** 2, axis=0), np.sum((target - target.mean(axis=0)) ** 2, axis=0)
    expected = np.mean([1 - e / s if s else 0.0 for e, s in zip(error, spread, strict=True)])
    assert metric.compute() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_r2_does_not_cancel_far_from_zero():
    generator = np.random.default_rng(0)
    noise, spread = generator.normal(size=1000), generator.normal(size=1000)
    metric = R2()
    for start in range(0, 1000, 10):
        part = slice(start, start + 10)
        metric.update(1e9 + spread[part] + 0.1 * noise[part], 1e9 + spread[part])
    expected = 1 - np.sum((0.1 * noise) ** 2) / np.sum((spread - spread.mean()) ** 2)
    assert metric.compute() == pytest.approx(expected, rel=1e-5)


def test_r2_of_constant_and_of_too_few_targets():
    assert r2_score([2.0, 2.0], [2.0, 2.0]) == 1
    assert r2_score([2.0, 3.0], [2.0, 2.0]) == 0
    assert math.isnan(r2_score([2.0], [2.0]))
    with pytest.raises(ValueError, match=r"shape \(2,\); got \(2, 1\)"):
        r2_score([[1.0], [2.0]], [1.0, 2.0])


def test_one_score_each_needs_a_threshold():
    logits, target = np.asarray([[-1.0], [0.2], [3.0], [-0.1]]), np.asarray([0, 1, 0, 1])
    assert accuracy(logits, target, threshold=0.0) == 0.5
    assert accuracy(logits, target[:, None].astype("float32"), threshold=0.0) == 0.5
    assert accuracy(logits[:, 0], target, threshold=2.0) == 0.25
    assert confusion_matrix(logits, target, threshold=0.0).tolist() == [[1, 1], [1, 1]]
    for scores in (logits, logits[:, 0]):
        with pytest.raises(ValueError, match="threshold"):
            accuracy(scores, target)


def test_targets_may_be_probabilities_and_classes_lie_last():
    scores = np.random.default_rng(0).normal(size=(5, 4, 3))
    target = np.random.default_rng(1).integers(0, 3, (5, 4))
    assert accuracy(scores, target) == np.mean(scores.argmax(-1) == target)
    assert accuracy(scores, np.eye(3)[target]) == accuracy(scores, target)
    assert confusion_matrix(scores, target).sum() == 20


def test_metrics_take_arrays_wherever_they_live(place):
    scores = pb.asarray([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    target = pb.asarray([1, 0, 0])
    assert accuracy(scores, target) == pytest.approx(2 / 3)
    assert accuracy(scores, target.astype("float32")) == pytest.approx(2 / 3)
    assert accuracy(scores, pb.asarray([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])) == pytest.approx(1 / 3)
    assert accuracy(scores[:, 1], target, threshold=0.5) == pytest.approx(2 / 3)
    assert confusion_matrix(scores.array, target.array).tolist() == [[1, 1], [0, 1]]
    assert r2_score(scores, scores) == 1
    with pytest.raises(ValueError, match="no class, 1 in all"):
        accuracy(scores, pb.asarray([1, 0, 2]))


def test_shapes_and_classes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"shape \(3, 2\) and a target of shape \(4,\)"):
        accuracy(np.ones((3, 2)), np.ones(4, dtype=int))
    with pytest.raises(ValueError, match="2 classes met class 2"):
        confusion_matrix([0, 1], [0, 2], classes=2)
    with pytest.raises(ValueError, match="2 classes met class -1"):
        confusion_matrix([0, 1], [0, -1], classes=2)
