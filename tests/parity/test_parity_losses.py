"""Losses against PyTorch's where the parity table cannot go: at kinks, in corners, and what they have besides."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

pytestmark = pytest.mark.parity


@pytest.fixture
def same(torch, dtype, agree):
    """Asserts that two functions give the same value, and the same gradients of their floating inputs."""

    def check(ours, theirs, *inputs):
        inputs = [np.asarray(x) for x in inputs]
        inputs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs]
        mine = [pb.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        others = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        y, expected = ours(*mine), theirs(*others)
        agree(y, expected, "value")
        y.backward(pb.ones_like(y.detach()))
        expected.backward(torch.ones_like(expected))
        for place, (x, other) in enumerate(zip(mine, others, strict=True)):
            if x.requires_grad:
                agree(x.grad, other.grad, f"gradient of input {place}")

    return check


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_certain_probabilities_cost_as_much(torch, dtype, agree):
    p = np.asarray([0.0, 1.0, 0.0, 1.0, 1e-30, 1e-30], dtype=dtype)
    target = np.asarray([1.0, 0.0, 0.0, 1.0, 1.0, 0.5], dtype=dtype)
    ours = nn.BCELoss(reduction="none")(pb.tensor(p), pb.tensor(target))
    agree(ours, torch.nn.BCELoss(reduction="none")(torch.tensor(p), torch.tensor(target)))


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("L1Loss", {}, 0.0),
        ("SmoothL1Loss", {"beta": 0.0}, 0.0),
        ("SmoothL1Loss", {"beta": 0.5}, 0.5),
        ("HuberLoss", {"delta": 0.5}, -0.5),
    ],
)
def test_slopes_at_the_kinks_of_regression(same, torch, name, options, error):
    target = np.asarray([1.0, -2.0, 0.25])
    same(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), target + error, target)


@pytest.mark.parametrize(
    ("name", "options", "inputs"),
    [
        ("MarginRankingLoss", {"margin": 0.5}, ([1.0, 2.0], [0.5, 2.5], [1.0, -1.0])),
        ("HingeEmbeddingLoss", {"margin": 0.5}, ([0.5, 0.5], [1, -1])),
        ("CosineEmbeddingLoss", {"margin": 0.0}, ([[1.0, 0.0]], [[0.0, 2.0]], [-1])),
        ("MultiMarginLoss", {"margin": 0.5}, ([[1.0, 0.5, 0.75]], [0])),
        ("MultiLabelMarginLoss", {}, ([[1.0, 0.0, 2.0, 0.5]], [[0, 2, -1, 1]])),
        ("TripletMarginLoss", {"p": 1.0, "eps": 0.0}, ([[0.0, 0.0]], [[1.0, 1.0]], [[3.0, 0.0]])),
        ("TripletMarginLoss", {"swap": True, "eps": 0.0}, ([[0.0, 0.0]], [[0.0, 2.0]], [[2.0, 0.0]])),
    ],
)
def test_slopes_where_a_margin_is_just_met(same, torch, name, options, inputs):
    same(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), *inputs)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, float("inf")])
def test_distances_of_equal_and_of_tied_vectors(same, torch, p):
    x1, x2 = [[1.0, -2.0, 3.0], [0.0, 1.0, 2.0]], [[1.0, -2.0, 3.0], [1.0, 2.0, 1.0]]
    same(nn.PairwiseDistance(p=p), torch.nn.PairwiseDistance(p=p), x1, x2)


def test_cosine_of_vectors_of_no_length(same, torch):
    same(nn.CosineSimilarity(), torch.nn.CosineSimilarity(), [[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [3.0, 1.0]])


def test_small_variances_learn_to_rise(same, torch):
    same(
        lambda x, t, v: nn.GaussianNLLLoss(eps=0.5)(x, t, v),
        lambda x, t, v: torch.nn.GaussianNLLLoss(eps=0.5)(x, t, v),
        draw(4),
        draw(4, seed=1),
        [0.0, 0.1, 0.5, 2.0],
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_what_no_time_suffices_for_is_infinite(torch, dtype, reduction):
    logits = draw(3, 3, 4).astype(dtype)
    targets, times, counts = [[1, 1, 0], [1, 2, 3], [0, 0, 0]], [2, 3, 0], [2, 3, 0]
    x, other = pb.tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    y = nn.CTCLoss(reduction=reduction)(pb.log_softmax(x), pb.tensor(targets), times, counts)
    expected = torch.nn.CTCLoss(reduction=reduction)(
        torch.log_softmax(other, -1), torch.tensor(targets), torch.tensor(times), torch.tensor(counts)
    )
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-5)
    y.backward(pb.ones_like(y.detach()))
    expected.backward(torch.ones_like(expected))
    np.testing.assert_allclose(x.grad.numpy(), other.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("head_bias", [False, True])
def test_all_log_probabilities_and_the_most_probable_class(torch, dtype, agree, head_bias):
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], div_value=2.0, head_bias=head_bias)
    ours = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], div_value=2.0, head_bias=head_bias)
    theirs.to(getattr(torch, dtype))
    ours.to(dtype=dtype).load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = (3 * draw(20, 8)).astype(dtype)
    agree(ours.log_prob(pb.tensor(x)), theirs.log_prob(torch.tensor(x)))
    assert ours.predict(pb.tensor(x)).tolist() == theirs.predict(torch.tensor(x)).tolist()


def test_fresh_parameters_of_adaptive_softmax_spread_as_far(torch):
    ours, theirs = (
        cls(64, 2000, [100, 1000]) for cls in (nn.AdaptiveLogSoftmaxWithLoss, torch.nn.AdaptiveLogSoftmaxWithLoss)
    )
    others = dict(theirs.named_parameters())
    for name, value in ours.named_parameters():
        assert tuple(value.shape) == tuple(others[name].shape)
        assert value.numpy().std() == pytest.approx(others[name].std().item(), rel=0.1)
