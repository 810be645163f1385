"""Every loss with every reduction and option against PyTorch's: value, and the gradients of input and target.

Our classes are the last axis and PyTorch's the second, so logits are moved on the way.
"""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

pytestmark = pytest.mark.parity

REDUCTIONS = ("mean", "sum", "none")
SHAPES = [(7,), (5, 3), (2, 4, 3)]
CLASS_SHAPES = [(6, 5), (2, 3, 5), (2, 3, 2, 5)]


@pytest.fixture
def same(torch, dtype, agree):
    """Asserts that two losses give the same value and gradients.

    channels: the input, and a target of its shape, are moved to PyTorch's order, with channels second.
    """

    def check(ours, theirs, input, target, channels=False):
        def swap(x):
            return torch.movedim(x, -1, 1).contiguous() if channels and x.ndim == input.ndim else x

        given, differentiable = [], []
        for x in (input, target):
            floating = x.dtype.kind == "f"
            x = x.astype(dtype) if floating else x
            mine = pb.tensor(x, requires_grad=floating)
            other = torch.tensor(x, requires_grad=floating)
            given.append((mine, other))
            if floating:
                differentiable.append((mine, other))
        loss = ours.to(dtype=dtype)(*(mine for mine, _ in given))
        expected = theirs(*(swap(other) for _, other in given))
        agree(loss, expected, "value")
        cotangent = np.random.default_rng(1).uniform(0.5, 2, expected.shape).astype(dtype)
        loss.backward(pb.tensor(cotangent))
        expected.backward(torch.tensor(cotangent))
        for mine, other in differentiable:
            agree(mine.grad, other.grad, "gradient")

    return check


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape) * 2


def probabilities(shape, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), size=shape[:-1])


def classes(shape, seed=0, ignored=None):
    """Integer classes; every third of them ignored, where a class is to be."""
    drawn = np.random.default_rng(seed).integers(0, shape[-1], shape[:-1])
    if ignored is not None:
        drawn.reshape(-1)[::3] = ignored
    return drawn


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("name", "options"),
    [("MSELoss", {}), ("L1Loss", {}), ("HuberLoss", {}), ("HuberLoss", {"delta": 0.3}), ("HuberLoss", {"delta": 4.0})],
)
def test_regression_losses_agree(torch, same, name, options, reduction, shape):
    options = {**options, "reduction": reduction}
    target = draw(shape, seed=1)
    input = draw(shape)
    input.reshape(-1)[0] = target.reshape(-1)[0]  # no error at all, where two of them have a kink
    same(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), input, target)


def weights(torch, dtype, names, shape):
    """The named weights, as ours and as PyTorch's."""
    arrays = {name: np.random.default_rng(i).uniform(0.2, 3, shape) for i, name in enumerate(names)}
    ours = {name: pb.tensor(a) for name, a in arrays.items()}
    return ours, {name: torch.tensor(a.astype(dtype)) for name, a in arrays.items()}


@pytest.mark.parametrize("weight", [[], ["weight"]])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_agrees(torch, same, dtype, reduction, shape, weight):
    ours, theirs = weights(torch, dtype, weight, shape[-1:])
    rng = np.random.default_rng(2)
    input = rng.uniform(0.01, 0.99, shape)
    same(
        nn.BCELoss(reduction=reduction, **ours),
        torch.nn.BCELoss(reduction=reduction, **theirs),
        input,
        rng.uniform(size=shape),
    )


def test_certain_probabilities_cost_as_much(torch, dtype, agree):
    p = np.asarray([0.0, 1.0, 0.0, 1.0, 1e-30, 1e-30], dtype=dtype)
    target = np.asarray([1.0, 0.0, 0.0, 1.0, 1.0, 0.5], dtype=dtype)
    ours = nn.BCELoss(reduction="none")(pb.tensor(p), pb.tensor(target))
    agree(ours, torch.nn.BCELoss(reduction="none")(torch.tensor(p), torch.tensor(target)))


@pytest.mark.parametrize("weight", [[], ["weight"], ["pos_weight"], ["weight", "pos_weight"]])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_with_logits_agrees(torch, same, dtype, reduction, shape, weight):
    ours, theirs = weights(torch, dtype, weight, shape[-1:])
    input = draw(shape) * 10
    input.reshape(-1)[0] = 0.0
    target = np.random.default_rng(2).uniform(size=shape)
    same(
        nn.BCEWithLogitsLoss(reduction=reduction, **ours),
        torch.nn.BCEWithLogitsLoss(reduction=reduction, **theirs),
        input,
        target,
    )


@pytest.mark.parametrize("ignored", [None, -100, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [[], ["weight"]])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASS_SHAPES)
def test_cross_entropy_of_classes_agrees(torch, same, dtype, shape, reduction, weight, smoothing, ignored):
    ours, theirs = weights(torch, dtype, weight, shape[-1:])
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if ignored is not None:
        options["ignore_index"] = ignored
    same(
        nn.CrossEntropyLoss(**ours, **options),
        torch.nn.CrossEntropyLoss(**theirs, **options),
        draw(shape) * 5,
        classes(shape, ignored=ignored),
        channels=True,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [[], ["weight"]])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASS_SHAPES)
def test_cross_entropy_of_probabilities_agrees(torch, same, dtype, shape, reduction, weight, smoothing):
    ours, theirs = weights(torch, dtype, weight, shape[-1:])
    options = {"reduction": reduction, "label_smoothing": smoothing}
    same(
        nn.CrossEntropyLoss(**ours, **options),
        torch.nn.CrossEntropyLoss(**theirs, **options),
        draw(shape) * 5,
        probabilities(shape),
        channels=True,
    )


@pytest.mark.parametrize("ignored", [None, -100, 2])
@pytest.mark.parametrize("weight", [[], ["weight"]])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", CLASS_SHAPES)
def test_negative_log_likelihood_agrees(torch, same, dtype, shape, reduction, weight, ignored):
    ours, theirs = weights(torch, dtype, weight, shape[-1:])
    options = {"reduction": reduction} if ignored is None else {"reduction": reduction, "ignore_index": ignored}
    same(
        nn.NLLLoss(**ours, **options),
        torch.nn.NLLLoss(**theirs, **options),
        np.log(probabilities(shape)),
        classes(shape, ignored=ignored),
        channels=True,
    )
