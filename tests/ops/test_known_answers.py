"""Closed forms and edge cases that the registry's examples cannot say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import special

import pullback as pb
from pullback.backends import Backend

FINITE = st.floats(-1e3, 1e3, width=64)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, array_shapes(max_dims=3), elements=st.floats(-30, 30)))
def test_activations_are_scipys(x: np.ndarray) -> None:
    np.testing.assert_allclose(pb.special.erf(x), special.erf(x), rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(pb.sigmoid(x), special.expit(x), rtol=1e-14)
    np.testing.assert_allclose(pb.softmax(x, axis=-1), special.softmax(x, axis=-1), rtol=1e-13)
    np.testing.assert_allclose(pb.log_softmax(x, axis=0), special.log_softmax(x, axis=0), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(pb.gelu(x), x * special.ndtr(x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(pb.softplus(x, threshold=np.inf), np.logaddexp(0, x), rtol=1e-13)


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "log_softmax", "softplus", "silu", "gelu", "elu", "tanh"])
def test_activations_neither_overflow_nor_warn_far_out(name: str) -> None:
    x = pb.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], requires_grad=True)
    y = getattr(pb, name)(x)
    y.sum().backward()
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize(
    ("name", "at_zero"), [("relu", 0.0), ("abs", 0.0), ("leaky_relu", 0.01), ("elu", 1.0), ("softplus", 0.5)]
)
def test_derivatives_at_the_kink_are_as_documented(name: str, at_zero: float) -> None:
    x = pb.tensor([0.0], requires_grad=True)
    getattr(pb, name)(x).sum().backward()
    assert x.grad.tolist() == pytest.approx([at_zero])


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_ties_share_the_gradient_of_a_maximum(axis: int | None, place: Backend) -> None:
    x = pb.tensor([[1.0, 3.0, 3.0], [3.0, 3.0, 3.0]], requires_grad=True)
    pb.max(x, axis=axis).sum().backward()
    share = {None: 1 / 5, 0: 1 / 2, 1: 1 / 2, -1: 1 / 2}[axis]
    assert x.grad.numpy()[0, 1] == pytest.approx(share)
    assert x.grad.numpy().sum() == pytest.approx(pb.max(x, axis=axis).size)


def test_equal_elements_of_two_arrays_share_the_gradient() -> None:
    a, b = pb.tensor([1.0, 2.0], requires_grad=True), pb.tensor([1.0, 0.0], requires_grad=True)
    pb.maximum(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([0.5, 1.0], [0.5, 0.0])


def test_powers_of_zero_have_finite_gradients() -> None:
    x = pb.tensor([0.0, 0.0, 2.0], requires_grad=True)
    (x ** pb.tensor([0.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 12.0]
    x.grad = None
    (x**0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(-6, 5), min_size=0, max_size=12))
def test_scatter_add_is_the_transpose_of_take(size: int, raw: list[int]) -> None:
    indices = np.asarray([i % size if i >= 0 else -1 - (-1 - i) % size for i in raw], dtype=np.int64)
    generator = np.random.default_rng(0)
    updates, x = generator.standard_normal((len(raw), 2)), generator.standard_normal((size, 2))
    expected = np.zeros((size, 2))
    np.add.at(expected, indices, updates)
    np.testing.assert_allclose(pb.scatter_add(updates, indices, size=size), expected, atol=1e-12)
    with pb.use("array_api_strict") as strict:
        own = pb.scatter_add(strict.asarray(updates), strict.asarray(indices), size=size)
        np.testing.assert_allclose(strict.to_host(own), expected, atol=1e-12)
    assert np.sum(pb.take(x, indices, axis=0) * updates) == pytest.approx(np.sum(x * expected))


def test_reading_a_part_sends_its_gradient_back_there(place: Backend) -> None:
    x = pb.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    (x[1:, ::2].sum() + x[-1, 0] + x[0].sum() + x[pb.tensor([0, 0, 2])].sum()).backward()
    assert x.grad.tolist() == [[3.0, 3.0, 3.0, 3.0], [1.0, 0.0, 1.0, 0.0], [3.0, 1.0, 2.0, 1.0]]


@pytest.mark.parametrize("kind", [list, np.asarray, pb.tensor], ids=["list", "array", "Tensor"])
@pytest.mark.on_numpy
def test_places_that_repeat_add_their_gradients(kind: Any) -> None:
    x = pb.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[kind([0, 0, 1])].sum().backward()
    assert x.grad.tolist() == [2.0, 1.0, 0.0]
    assert pb.tensor(np.arange(6.0).reshape(3, 2))[pb.tensor([[0, 1], [2, 2]])].shape == (2, 2, 2)


@pytest.mark.parametrize("key", [1.0, "a", (slice(None), "a"), np.asarray([0.0]), [0.5]])
def test_keys_that_are_not_understood_are_refused(key: Any) -> None:
    with pytest.raises(IndexError, match=r"an index (holds|is of) integers"):
        pb.ones((3, 3))[key]


class TestCrossEntropy:
    logits = np.random.default_rng(0).standard_normal((5, 4))
    target = np.asarray([0, 3, 1, 1, 2])

    def expected(self, weight: np.ndarray | None = None) -> np.ndarray:
        losses = special.logsumexp(self.logits, axis=1) - self.logits[np.arange(5), self.target]
        return losses if weight is None else losses * weight[self.target]

    def test_it_is_logsumexp_less_the_class(self) -> None:
        losses = pb.cross_entropy(self.logits, self.target, reduction="none")
        np.testing.assert_allclose(losses, self.expected(), rtol=1e-12)

    def test_probabilities_that_are_certain_equal_classes(self) -> None:
        certain = np.eye(4)[self.target]
        np.testing.assert_allclose(
            pb.cross_entropy(self.logits, certain), pb.cross_entropy(self.logits, self.target), rtol=1e-12
        )

    def test_the_mean_is_weighted_by_the_classes_weights(self) -> None:
        weight = np.asarray([1.0, 2.0, 0.5, 3.0])
        mean = pb.cross_entropy(self.logits, self.target, weight)
        assert float(mean) == pytest.approx(self.expected(weight).sum() / weight[self.target].sum())

    def test_ignored_classes_cost_nothing(self) -> None:
        ignored = np.where(self.target == 1, -100, self.target)
        kept = self.expected()[self.target != 1]
        assert float(pb.cross_entropy(self.logits, ignored)) == pytest.approx(kept.mean())

    def test_an_impossible_class_may_have_a_logit_of_minus_infinity(self) -> None:
        logits = pb.tensor(self.logits, requires_grad=True)
        masked = pb.where(pb.tensor([True, True, True, True]), logits, 0.0) + pb.tensor([0.0, 0.0, 0.0, -np.inf])
        loss = pb.cross_entropy(masked, pb.tensor([0, 1, 2, 1, 0]))
        loss.backward()
        assert np.isfinite(loss.item())
        assert np.isfinite(logits.grad.numpy()).all()

    def test_a_batch_of_which_nothing_counts_moves_nothing(self, place: Backend) -> None:
        logits = pb.tensor(self.logits, requires_grad=True)
        loss = pb.cross_entropy(logits, pb.tensor([-100] * 5))
        loss.backward()
        assert np.isnan(loss.item())
        assert not logits.grad.numpy().any()

    @pytest.mark.parametrize("dtype", ["bool", "float32"])
    def test_classes_that_are_no_integers_are_refused(self, dtype: str, place: Backend) -> None:
        with pytest.raises(TypeError, match=rf"classes are integers; got {dtype}"):
            pb.cross_entropy(pb.tensor(self.logits), pb.tensor([1, 0, 1, 0, 1]).astype(dtype))

    def test_what_makes_no_sense_is_refused(self) -> None:
        with pytest.raises(ValueError, match="label_smoothing"):
            pb.cross_entropy(self.logits, self.target, label_smoothing=2.0)
        with pytest.raises(ValueError, match="weight has one number for each of 4 classes"):
            pb.cross_entropy(self.logits, self.target, np.ones(1))
        with pytest.raises(ValueError, match="takes probabilities"):
            pb.binary_cross_entropy(np.asarray([1.5]), np.ones(1))

    @pytest.mark.parametrize("target", [[0, 1, 2, 3, 4], [0, 1, -1, 2, 3]])
    def test_a_class_that_there_is_not_is_refused(self, target: list[int], place: Backend) -> None:
        classes = pb.tensor(target)
        if not place.in_host_memory(classes.array):
            pytest.skip("classes on a device are not looked at, which would be a wait for it")
        with pytest.raises(ValueError, match=r"class outside \[0, 4\)"):
            pb.cross_entropy(pb.tensor(self.logits), classes)

    def test_a_target_of_another_shape_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"classes have shape \(5,\); got \(4,\)"):
            pb.cross_entropy(self.logits, self.target[:4])


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (4, 3), elements=st.floats(-500, 500)))
def test_cross_entropy_with_logits_is_that_of_their_sigmoid(x: np.ndarray) -> None:
    target = np.linspace(0, 1, 12).reshape(4, 3)
    expected = -(target * special.log_expit(x) + (1 - target) * special.log_expit(-x))
    losses = pb.binary_cross_entropy_with_logits(x, target, reduction="none")
    np.testing.assert_allclose(losses, expected, rtol=1e-12, atol=1e-12)


def test_losses_of_unequal_shapes_are_refused_rather_than_broadcast() -> None:
    for loss in (pb.mse_loss, pb.l1_loss, pb.huber_loss, pb.binary_cross_entropy):
        with pytest.raises(ValueError, match=r"target of the input's shape \(4, 1\); got \(4,\)"):
            loss(pb.ones((4, 1)) * 0.5, pb.ones(4) * 0.5)


@pytest.mark.parametrize("name", ["mse_loss", "cross_entropy"])
def test_an_unknown_reduction_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="reduction is 'mean', 'sum' or 'none'; got 'average'"):
        getattr(pb, name)(pb.ones((2, 2)), pb.ones((2, 2)), reduction="average")
