"""What losses make of other data types, of weights of other shapes, and of nothing at all."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback as pb
from pullback import nn

FLOATS, COUNTS, ANY = ("float32", "float64"), ("float32", "float64", "int64"), ("float32", "float64", "int64", "bool")
CLASSES = ("int8", "int64", "uint8")


class Loss(NamedTuple):
    """A loss of a prediction, a target and perhaps a weight, and what these may be."""

    call: Callable[..., Any]
    targets: tuple[str, ...] = ANY
    """The data types that the target may have."""
    target: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda shape: shape
    """The target's shape."""
    weight: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
    """The weight's shape, where there is one."""


def each(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


def samples(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1]


def features(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[-1:]


LOSSES = {
    "mse": Loss(lambda x, t, **kw: pb.mse_loss(x, t, **kw)),
    "l1": Loss(lambda x, t, **kw: pb.l1_loss(x, t, **kw)),
    "huber": Loss(lambda x, t, **kw: pb.huber_loss(x, t, **kw)),
    "smooth_l1": Loss(lambda x, t, **kw: pb.smooth_l1_loss(x, t, **kw)),
    "poisson_nll": Loss(lambda x, t, **kw: pb.poisson_nll_loss(x, t, full=True, **kw)),
    "gaussian_nll": Loss(lambda x, t, w, **kw: pb.gaussian_nll_loss(x, t, w, full=True, **kw), weight=each),
    "bce": Loss(lambda x, t, w, **kw: pb.binary_cross_entropy(x, t, w, **kw), weight=features),
    "bce_with_logits": Loss(
        lambda x, t, w, **kw: pb.binary_cross_entropy_with_logits(x, t, w, w, **kw), weight=features
    ),
    "soft_margin": Loss(lambda x, t, **kw: pb.soft_margin_loss(x, t, **kw)),
    "multilabel_soft_margin": Loss(
        lambda x, t, w, **kw: pb.multilabel_soft_margin_loss(x, t, w, **kw), weight=features
    ),
    "cross_entropy": Loss(
        lambda x, t, w, **kw: pb.cross_entropy(x, t, w, **kw), targets=CLASSES, target=samples, weight=features
    ),
    "cross_entropy of shares": Loss(lambda x, t, w, **kw: pb.cross_entropy(x, t, w, **kw), weight=features),
    "linear_cross_entropy": Loss(
        lambda x, t, w, **kw: pb.linear_cross_entropy(x, pb.eye(3), t, None, w, **kw),
        targets=CLASSES,
        target=samples,
        weight=features,
    ),
    "nll": Loss(lambda x, t, w, **kw: pb.nll_loss(x, t, w, **kw), targets=CLASSES, target=samples, weight=features),
    "kl_div": Loss(lambda x, t, **kw: pb.kl_div(x, t, **kw)),
    "kl_div of logarithms": Loss(lambda x, t, **kw: pb.kl_div(x, t, log_target=True, **kw)),
    "multi_margin": Loss(
        lambda x, t, w, **kw: pb.multi_margin_loss(x, t, w, **kw), targets=CLASSES, target=samples, weight=features
    ),
    "multilabel_margin": Loss(lambda x, t, **kw: pb.multilabel_margin_loss(x, t, **kw), targets=("int8", "int64")),
    "margin_ranking": Loss(lambda x, t, **kw: pb.margin_ranking_loss(x, 2 * x, t, **kw)),
    "hinge_embedding": Loss(lambda x, t, **kw: pb.hinge_embedding_loss(x, t, **kw)),
    "cosine_embedding": Loss(lambda x, t, **kw: pb.cosine_embedding_loss(x, 2 * x, t, **kw), target=samples),
    "triplet_margin": Loss(lambda x, t, **kw: pb.triplet_margin_loss(x, 2 * x, -x, **kw), targets=FLOATS),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def inputs(loss: Loss, shape: tuple[int, ...], target: str, weight: str) -> tuple[Any, list[Any]]:
    """A prediction that learns, and what stands beside it: ones, which are targets and weights of any kind."""
    x = pb.random.uniform(shape, 0.1, 0.9, generator=pb.random.Generator(0)).requires_grad_()
    beside = [pb.ones(loss.target(shape), dtype=target)]
    return x, beside if loss.weight is None else [*beside, pb.ones(loss.weight(shape), dtype=weight)]


KINDS = [
    pytest.param(loss, target, weight, id=f"{name}-{target}-{weight}")
    for name, loss in LOSSES.items()
    for target, weight in dict.fromkeys(
        [(t, "float32") for t in loss.targets] + [(loss.targets[0], w) for w in ANY if loss.weight]
    )
]


@pytest.mark.parametrize(("loss", "target", "weight"), KINDS)
def test_a_loss_and_its_gradient_keep_the_dtype_of_the_prediction(loss, target, weight, place):
    x, beside = inputs(loss, (4, 3), target, weight)
    y = loss.call(x, *beside)
    y.backward()
    plain, plain_beside = inputs(loss, (4, 3), loss.targets[0], "float32")
    expected = loss.call(plain, *plain_beside)
    expected.backward()
    assert y.dtype == x.grad.dtype == pb.float32
    assert y.item() == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("target", FLOATS)
def test_targets_and_weights_that_learn_keep_their_own_dtype(target, place):
    weight = pb.full((3,), 0.5, dtype="float64").requires_grad_()
    for name in ("mse_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"):
        x, t = pb.full((4, 3), 0.3), pb.full((4, 3), 0.6, dtype=target).requires_grad_()
        getattr(pb, name)(x, t, *[weight] * (name == "binary_cross_entropy")).backward()
        assert t.grad.dtype == getattr(pb, target)
    assert weight.grad.dtype == pb.float64


def test_complex_targets_of_real_predictions_lose_nothing():
    assert pb.l1_loss(pb.ones(3), pb.full(3, 1 + 2j)).item() == 2


@each_loss
def test_predictions_that_are_not_floating_are_refused(loss, place):
    x, beside = inputs(loss, (4, 3), loss.targets[0], "float32")
    with pytest.raises(TypeError, match=r"takes a floating array; got int64\. Cast it"):
        loss.call(pb.astype(x, "int64"), *beside)


@each_loss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_of_no_samples_the_mean_is_nan_and_the_sum_0(loss, reduction, place):
    x, beside = inputs(loss, (0, 3), loss.targets[0], "float32")
    y = loss.call(x, *beside, reduction=reduction)
    y.backward(pb.ones_like(y.detach()))
    assert x.grad.shape == (0, 3)
    if reduction == "none":
        assert y.shape[0] == 0
    else:
        np.testing.assert_array_equal(y.item(), np.nan if reduction == "mean" else 0)


def test_of_no_samples_the_others_are_nan_too(place):
    x = pb.zeros((0, 3)).requires_grad_()
    losses = [
        pb.kl_div(x, x, reduction="batchmean"),
        nn.AdaptiveLogSoftmaxWithLoss(3, 9, [5])(x, pb.zeros(0, dtype="int64")).loss,
        pb.ctc_loss(pb.zeros((4, 0, 3)).requires_grad_(), pb.zeros((0, 2), dtype="int64"), [], []),
    ]
    for loss in losses:
        loss.backward()
        assert np.isnan(loss.item())


@pytest.mark.parametrize("shape", [(2,), (4,), (2, 3), (5, 4, 3), (1, 1, 1)])
@pytest.mark.parametrize("name", ["weight", "pos_weight", "weight of probabilities"])
def test_weights_that_do_not_broadcast_to_the_losses_are_named(name, shape):
    x, weight = pb.full((4, 3), 0.5), pb.ones(shape)
    calls = {
        "weight": lambda: pb.binary_cross_entropy_with_logits(x, x, weight),
        "pos_weight": lambda: nn.BCEWithLogitsLoss(pos_weight=weight)(x, x),
        "weight of probabilities": lambda: nn.BCELoss(weight)(x, x),
    }
    what = name.split()[0]
    with pytest.raises(ValueError, match=rf"^{what} broadcasts to the input's shape \(4, 3\); got \({shape[0]},"):
        calls[name]()


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1), (1, 3), (4, 3)])
def test_weights_that_broadcast_count(shape, place):
    x, weight = pb.full((4, 3), 0.25), pb.full(shape, 2.0)
    for loss in (pb.binary_cross_entropy, pb.binary_cross_entropy_with_logits):
        assert loss(x, x, weight).item() == pytest.approx(2 * loss(x, x).item())
        assert loss(x, x, 2.0).item() == pytest.approx(2 * loss(x, x).item())


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (4, 3)])
def test_there_is_a_weight_for_each_class(shape):
    x, classes, weight = pb.full((4, 3), 0.5), pb.zeros(4, dtype="int64"), pb.ones(shape)
    for loss in (pb.cross_entropy, pb.nll_loss, pb.multi_margin_loss):
        with pytest.raises(ValueError, match=r"one number for each of 3 classes; got shape \("):
            loss(x, classes, weight)
    with pytest.raises(ValueError, match="one number for each of 3 classes"):
        pb.multilabel_soft_margin_loss(x, x, weight)


NOT_ARRAYS = {
    "a number": (lambda: pb.mse_loss(pb.ones(2), 1.0), ValueError, r"shape \(2,\); got \(\)"),
    "a number as the prediction": (lambda: pb.l1_loss(1.0, pb.ones(())), TypeError, "floating array; got float"),
    "a list": (lambda: pb.gaussian_nll_loss(pb.ones(2), [1.0, 2.0], 1.0), TypeError, "takes arrays; got list"),
    "variances in a list": (lambda: pb.gaussian_nll_loss(pb.ones(2), pb.ones(2), [1, 1]), TypeError, "got list"),
    "a triplet with a list": (
        lambda: pb.triplet_margin_with_distance_loss(pb.ones(2), [1, 2], [3, 4]),
        TypeError,
        "takes arrays; got list",
    ),
    "classes in a list": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 9, [5])(pb.ones((1, 3)), [1]),
        TypeError,
        "takes arrays; got list",
    ),
    "scores of no class": (
        lambda: pb.cross_entropy(pb.tensor(1.0), pb.tensor(0)),
        ValueError,
        "classes along the last axis; got one number",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), NOT_ARRAYS.values(), ids=NOT_ARRAYS.keys())
def test_what_is_no_array_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((2, 3), (5, 4), (2,)), {}, r"shapes \(2, 3\), \(5, 4\) and None"),
        (((2, 4), (4,), (2,)), {}, r"shapes \(2, 4\), \(4,\) and None"),
        (((2, 4), (5, 3, 4), (2, 3)), {"linear_bias": pb.ones(5)}, r"\(5, 3, 4\) and \(5,\)"),
        (((2, 4), (5, 4), (2, 5)), {"ignore_index": -100}, "ignore_index=-100 is a class, but the target has prob"),
        (((2, 4), (5, 3, 4), (2,)), {}, r"classes have shape \(2, 3\); got \(2,\)"),
    ],
)
def test_what_does_not_fit_a_linear_map_into_classes_is_told(shapes, options, message):
    input, weight, target = map(pb.zeros, shapes)
    with pytest.raises(ValueError, match=message):
        pb.linear_cross_entropy(input, weight, target, **options)


CTC = pb.full((4, 2, 3), -1.0)
PAIRS = pb.tensor([[1], [2]])
NOT_WHOLE = {
    "half a time": (lambda: pb.ctc_loss(CTC, PAIRS, [3.5, 4], [1, 1]), "each of input_lengths is a whole number"),
    "floats that are whole": (lambda: pb.ctc_loss(CTC, PAIRS, [4, 4], [1.0, 1.0]), "each of target_lengths is a whole"),
    "an array of floats": (
        lambda: pb.ctc_loss(CTC, PAIRS, pb.tensor([4.0, 4.0]), [1, 1]),
        "input_lengths are whole numbers; got float32",
    ),
    "truth values": (lambda: pb.ctc_loss(CTC, PAIRS, [4, 4], [True, True]), "whole number; got True"),
    "targets in a list": (lambda: pb.ctc_loss(CTC, [[1], [2]], [4, 4], [1, 1]), "ctc_loss takes arrays; got list"),
    "targets that are floats": (
        lambda: pb.ctc_loss(CTC, pb.tensor([[1.0], [2.0]]), [4, 4], [1, 1]),
        "classes are integers; got float32",
    ),
    "integers for logarithms": (
        lambda: pb.ctc_loss(pb.astype(CTC, "int64"), PAIRS, [4, 4], [1, 1]),
        "ctc_loss takes a floating array; got int64",
    ),
}


@pytest.mark.parametrize(("call", "message"), NOT_WHOLE.values(), ids=NOT_WHOLE.keys())
def test_ctc_takes_whole_numbers_and_arrays(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(("times", "counts"), [([4, -1], [1, 1]), ([4, 4], [1, -1])])
def test_ctc_refuses_lengths_below_0(times, counts, place):
    logits = pb.full((4, 2, 3), -1.0)
    with pytest.raises(ValueError, match=r"found an? (input|target) length outside \[0,"):
        pb.ctc_loss(logits, pb.tensor([[1], [2]]), times, counts)


@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_ctc_takes_lengths_of_any_integers(kind, place):
    x, targets = pb.log_softmax(pb.random.normal((300, 1, 3))), pb.ones((1, 140), dtype=kind)
    expected = pb.ctc_loss(x, targets, [290], [140]).item()
    assert pb.ctc_loss(x, targets, 290, [np.int64(140)]).item() == expected
    assert pb.ctc_loss(x, targets, pb.tensor([290]), pb.asarray([140], dtype=kind)).item() == expected


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64"])
def test_classes_of_small_integers_may_be_many(kind, place):
    x, classes = pb.random.normal((4, 300)), [0, 3, 127, 5]
    for loss in (pb.cross_entropy, pb.nll_loss, pb.multi_margin_loss):
        expected = loss(x, pb.asarray(classes), pb.ones(300)).item()
        assert loss(x, pb.asarray(classes, dtype=kind), pb.ones(300)).item() == expected


OPTIONS = {
    "huber": {"delta": 0.5},
    "smooth_l1": {"beta": 0.5},
    "poisson_nll": {"eps": 0.5, "log_input": False},
    "gaussian_nll": {"eps": 0.5},
    "cross_entropy": {"label_smoothing": 0.25},
    "cross_entropy of shares": {"label_smoothing": 0.25},
    "linear_cross_entropy": {"label_smoothing": 0.25},
    "multi_margin": {"margin": 0.5},
    "margin_ranking": {"margin": 0.5},
    "hinge_embedding": {"margin": 0.5},
    "cosine_embedding": {"margin": 0.5},
    "triplet_margin": {"margin": 0.5, "p": 3.0, "eps": 0.25},
}


@pytest.mark.parametrize(("name", "options"), OPTIONS.items(), ids=OPTIONS.keys())
def test_numpy_numbers_for_options_are_the_numbers_they_are(name, options, place):
    loss = LOSSES[name]
    x, beside = inputs(loss, (4, 3), loss.targets[0], "float32")
    given = {key: np.asarray(value)[()] for key, value in options.items()}
    y = loss.call(x, *beside, **given)
    assert y.dtype == pb.float32
    assert y.item() == loss.call(x, *beside, **options).item()


def test_a_variance_may_be_any_kind_of_number():
    x, target = pb.ones((2, 3)), pb.zeros((2, 3))
    expected = pb.gaussian_nll_loss(x, target, 2.0)
    for var in (2, np.float32(2), np.float64(2), np.int64(2)):
        y = pb.gaussian_nll_loss(x, target, var)
        assert (y.item(), y.dtype) == (expected.item(), pb.float32)
