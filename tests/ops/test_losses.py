"""Losses: what is refused, and answers known from their definitions."""

from itertools import groupby, product

import numpy as np
import pytest

import pullback as pb
from pullback import nn


def rows(*shape, seed=0):
    return pb.asarray(np.random.default_rng(seed).standard_normal(shape))


def by_all_ways(log_probs, target, blank):
    """CTC's likelihood from its definition: the sum over every sequence of classes that collapses to the target."""
    total = 0.0
    for way in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if [c for c, _ in groupby(way) if c != blank] == list(target):
            total += np.exp(sum(log_probs[t, c] for t, c in enumerate(way)))
    return total


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("labels", [(), (0,), (0, 0), (0, 1), (0, 1, 0)])
def test_ctc_sums_over_every_way_to_say_it(place, labels, blank):
    target = [c + (c >= blank) for c in labels]
    logits = pb.asarray(np.random.default_rng(len(labels)).standard_normal((5, 3)).tolist(), dtype="float64")
    log_probs = pb.log_softmax(logits)
    loss = pb.ctc_loss(log_probs, pb.asarray(target, dtype="int64"), 5, len(target), blank=blank, reduction="none")
    assert loss.shape == ()
    assert pb.exp(-loss).item() == pytest.approx(by_all_ways(log_probs.numpy(), target, blank), rel=1e-6)


def test_ctc_of_a_batch_is_that_of_each_sequence_alone():
    log_probs = pb.log_softmax(rows(7, 4, 5))
    targets, times, counts = np.asarray([[1, 1, 2], [3, 9, -7], [4, 3, 1], [0, 0, 0]]), [7, 2, 6, 3], [3, 1, 3, 0]
    together = pb.ctc_loss(log_probs, pb.asarray(targets), times, counts, reduction="none").numpy()
    joined = pb.asarray([1, 1, 2, 3, 4, 3, 1])
    np.testing.assert_array_equal(pb.ctc_loss(log_probs, joined, times, counts, reduction="none").numpy(), together)
    for i, (n, m) in enumerate(zip(times, counts, strict=True)):
        alone = pb.ctc_loss(log_probs[:n, i], pb.asarray(targets[i, :m]), n, m, reduction="none")
        assert alone.item() == pytest.approx(together[i], rel=1e-12)


def test_ctc_stays_finite_over_thousands_of_times_and_impossible_classes():
    logits = pb.tensor(20 * rows(3000, 2, 6).numpy().astype("float32"), requires_grad=True)
    log_probs = pb.log_softmax(logits)
    log_probs = pb.where(pb.arange(6) == 5, float("-inf"), log_probs)
    loss = pb.ctc_loss(log_probs, pb.tensor([[1, 2, 3], [4, 4, 4]]), [3000, 2999], [3, 3])
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(logits.grad.numpy()).all()


def test_ctc_of_half_precision_counts_in_single():
    x = rows(30, 2, 4).numpy()
    narrow = pb.tensor(x.astype("float16"), requires_grad=True)
    wide = pb.tensor(x.astype("float16").astype("float32"), requires_grad=True)
    losses = [pb.ctc_loss(pb.log_softmax(v), pb.tensor([[1, 2], [3, 3]]), [30, 20], [2, 2]) for v in (narrow, wide)]
    for loss in losses:
        loss.backward()
    assert losses[0].dtype == narrow.grad.dtype == pb.float16
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=5e-3)
    np.testing.assert_allclose(narrow.grad.numpy(), wide.grad.numpy(), atol=5e-3)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_of_what_cannot_be_said(zero_infinity):
    x = pb.tensor(np.log(np.full((2, 2, 2), 0.5)), requires_grad=True)
    losses = pb.ctc_loss(x, pb.tensor([[1, 1], [1, 0]]), [2, 2], [2, 1], reduction="none", zero_infinity=zero_infinity)
    assert losses.tolist() == [0.0 if zero_infinity else float("inf"), pytest.approx(-np.log(0.75))]
    losses.backward(pb.ones_like(losses.detach()))
    grad = x.grad.numpy()
    assert np.isfinite(grad[:, 1]).all()
    assert (grad[:, 0] == 0).all() if zero_infinity else np.isnan(grad[:, 0]).all()


CTC = rows(4, 2, 3)
REFUSED = {
    "a target that is the blank": (
        lambda: pb.ctc_loss(CTC, pb.tensor([[1], [0]]), [4, 4], [1, 1]),
        "or one that is the blank, 0",
    ),
    "a target that is no class": (lambda: pb.ctc_loss(CTC, pb.tensor([[1], [3]]), [4, 4], [1, 1]), r"outside \[0, 3\)"),
    "a blank that is no class": (
        lambda: pb.ctc_loss(CTC, pb.tensor([[1], [1]]), [4, 4], [1, 1], blank=3),
        "blank is one of",
    ),
    "too long an input": (
        lambda: pb.ctc_loss(CTC, pb.tensor([[1], [1]]), [4, 5], [1, 1]),
        r"input length outside \[0, 4\]",
    ),
    "too long a target": (
        lambda: pb.ctc_loss(CTC, pb.tensor([[1], [1]]), [4, 4], [1, 2]),
        r"target length outside \[0, 1\]",
    ),
    "too few lengths": (
        lambda: pb.ctc_loss(CTC, pb.tensor([[1], [1]]), [4], [1, 1]),
        "input_lengths has one number for each of 2",
    ),
    "too few targets": (lambda: pb.ctc_loss(CTC, pb.tensor([1, 1]), [4, 4], [2, 1]), "add up to 3, but there are 2"),
    "targets of another batch": (lambda: pb.ctc_loss(CTC, pb.tensor([[1]]), [4, 4], [1, 1]), r"targets are \(N, S\)"),
    "log-probabilities of one axis": (
        lambda: pb.ctc_loss(CTC[0, 0], pb.tensor([1]), 1, 1),
        r"log_probs are \(T, N, C\)",
    ),
    "a negative variance": (
        lambda: pb.gaussian_nll_loss(rows(2), rows(2), pb.tensor([1.0, -1.0])),
        "variances of 0 or more",
    ),
    "variances of another shape": (
        lambda: pb.gaussian_nll_loss(rows(2, 3), rows(2, 3), rows(3)),
        "var has the input's shape",
    ),
    "means of another shape": (
        lambda: pb.gaussian_nll_loss(rows(2, 3), rows(3), 1.0),
        r"expects a target of the input's shape \(2, 3\)",
    ),
    "a negative beta": (lambda: pb.smooth_l1_loss(rows(2), rows(2), beta=-1), "beta"),
    "counts of another shape": (
        lambda: pb.poisson_nll_loss(rows(2), rows(3)),
        r"poisson_nll_loss expects .* \(2,\); got \(3,\)",
    ),
    "distributions of another shape": (lambda: pb.kl_div(rows(2, 3), rows(3)), "kl_div expects a target"),
    "a power of three": (lambda: pb.multi_margin_loss(rows(2, 3), pb.tensor([0, 1]), p=3), "p=1 or p=2"),
    "a class too many": (lambda: pb.multi_margin_loss(rows(2, 3), pb.tensor([0, 3])), r"class outside \[0, 3\)$"),
    "a label too many": (lambda: pb.multilabel_margin_loss(rows(1, 2), pb.tensor([[0, 2]])), r"class outside \[0, 2\)"),
    "weights of other classes": (
        lambda: pb.multilabel_soft_margin_loss(rows(2, 3), rows(2, 3), rows(2)),
        "one number for each of 3",
    ),
    "pairs of two lengths": (lambda: pb.margin_ranking_loss(rows(3), rows(2), rows(3)), "margin_ranking_loss expects"),
    "signs of another shape": (
        lambda: pb.cosine_embedding_loss(rows(2, 3), rows(2, 3), rows(2, 3)),
        r"targets have shape \(2,\)",
    ),
    "a margin of nothing": (lambda: pb.triplet_margin_loss(rows(2), rows(2), rows(2), margin=0), "margin"),
    "triplets of two shapes": (lambda: pb.triplet_margin_loss(rows(2, 3), rows(2, 3), rows(3)), "have one shape"),
    "vectors of two lengths": (lambda: pb.cdist(rows(2, 3), rows(2, 2)), r"cdist takes \(\.\.\., P, D\)"),
    "a row of vectors": (lambda: pb.pdist(rows(3)), r"pdist takes \(N, D\)"),
    "another reduction": (lambda: pb.kl_div(rows(2), rows(2), log_target=True, reduction="batch"), "reduction is"),
    "no such reduction of CTC": (
        lambda: pb.ctc_loss(CTC, pb.tensor([1, 1]), [4, 4], [1, 1], reduction="batch"),
        "reduction is",
    ),
    "a module's margin": (lambda: nn.TripletMarginLoss(margin=-1), "margin"),
    "a module's power": (lambda: nn.MultiMarginLoss(p=3), "p is 1 or 2"),
    "a module's beta": (lambda: nn.SmoothL1Loss(beta=-1), "beta"),
    "a module's reduction": (lambda: nn.SoftMarginLoss(reduction="batchmean"), "reduction is"),
    "cutoffs that descend": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5, 3]),
        "cutoffs are whole numbers that ascend",
    ),
    "cutoffs past the classes": (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5, 9]), "cutoffs are"),
    "a class past the last cutoff": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5])(rows(2, 4).astype("float32"), pb.tensor([0, 9])),
        r"class outside \[0, 9\)",
    ),
    "one input and two targets": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5])(rows(1, 4).astype("float32"), pb.tensor([0, 1])),
        r"takes inputs \(N, D\)",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("loss", [pb.nll_loss, pb.multi_margin_loss, pb.multilabel_margin_loss])
def test_classes_are_integers(loss):
    target = pb.tensor([[0.0, 1.0]]) if loss is pb.multilabel_margin_loss else pb.tensor([0.0])
    with pytest.raises(TypeError, match="classes are integers; got float32"):
        loss(rows(1, 2), target)


def test_labels_may_be_integers_or_floats():
    x, y = rows(6), rows(6, seed=1)
    signs = pb.asarray([1, -1, 1, 1, -1, -1])
    for loss in (pb.soft_margin_loss, pb.hinge_embedding_loss):
        assert loss(x, signs).item() == loss(x, signs.astype("float64")).item()
    assert pb.margin_ranking_loss(x, y, signs).item() == pb.margin_ranking_loss(x, y, signs.astype("float64")).item()


def test_adaptive_softmax_is_a_distribution_and_its_loss_reads_it(place):
    model = nn.AdaptiveLogSoftmaxWithLoss(6, 11, [3, 5, 8], div_value=1.5)
    x = pb.random.normal((9, 6))
    target = pb.asarray([0, 10, 4, 3, 8, 2, 5, 7, 1])
    log_prob = model.log_prob(x)
    np.testing.assert_allclose(np.exp(log_prob.numpy()).sum(axis=1), 1, rtol=1e-5)
    output, loss = model(x, target)
    np.testing.assert_allclose(output.numpy(), log_prob.numpy()[np.arange(9), target.numpy()], rtol=1e-5)
    assert loss.item() == pytest.approx(-output.numpy().mean(), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.predict(x).numpy().tolist() == log_prob.numpy().argmax(axis=1).tolist()
    assert model(x[1], target[1]).output.item() == pytest.approx(output[1].item(), rel=1e-5)
