"""Clipping by norm and by value."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import pullback as pb
from pullback import nn
from pullback.optim import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

GRADIENTS = st.lists(arrays("float64", st.integers(1, 4), elements=st.floats(-1e3, 1e3)), min_size=1, max_size=4)


def parameters(gradients, dtype="float64"):
    made = []
    for g in gradients:
        made.append(pb.zeros(np.shape(g), dtype=dtype).requires_grad_())
        made[-1].grad = pb.tensor(np.asarray(g), dtype=dtype)
    return made


@given(GRADIENTS, st.floats(0.1, 100), st.sampled_from([1.0, 2.0, 3.5, inf]))
def test_the_norm_is_held_and_the_direction_kept(gradients, bound, order):
    made = parameters(gradients)
    before = np.concatenate(gradients)
    total = clip_grad_norm_(iter(made), bound, order).item()
    after = np.concatenate([p.grad.numpy() for p in made])
    assert total == pytest.approx(np.linalg.norm(before, order), rel=1e-12, abs=1e-12)
    assert np.linalg.norm(after, order) <= bound * (1 + 1e-12)
    np.testing.assert_allclose(after, before * min(1, bound / (total + 1e-6)), rtol=1e-12, atol=1e-12)


@given(GRADIENTS, st.floats(0.1, 100))
def test_every_value_is_held(gradients, bound):
    made = parameters(gradients)
    clip_grad_value_(made, bound)
    for p, g in zip(made, gradients, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), np.clip(g, -bound, bound))


def test_it_works_where_the_gradients_are(place):
    made = parameters([[3.0, 0.0], [[4.0]]], dtype="float32")
    total = clip_grad_norm_(made, 1.0)
    assert total.item() == 5
    for p in (*made, total):
        assert p.device == pb.zeros(1).device
        assert p.dtype == pb.float32
    clip_grad_value_(made, 0.7)
    np.testing.assert_allclose(np.concatenate([p.grad.numpy().reshape(-1) for p in made]), [0.6, 0, 0.7], rtol=1e-6)


def test_gradients_keep_their_dtypes_when_clipped_together():
    made = parameters([[3.0]], "float32") + parameters([[4.0]], "float64")
    clip_grad_norm_(made, 1.0)
    assert [p.grad.dtype for p in made] == [pb.float32, pb.float64]


def test_norms_of_half_precision_are_taken_in_single():
    made = parameters([[300.0, 400.0], [0.0] * 100], "float16")  # whose squares are beyond float16
    norm = clip_grad_norm_(made, 5.0)
    assert (norm.dtype, norm.item()) == (pb.float32, 500)
    assert made[0].grad.dtype == pb.float16
    np.testing.assert_allclose(made[0].grad.numpy(), [3, 4], rtol=1e-3)


def test_gradients_on_two_devices_are_clipped_together():
    with pb.use("array_api_strict"):
        here = parameters([[3.0]])
    with pb.use("array_api_strict", "device1"):
        there = parameters([[4.0]])
    assert clip_grad_norm_(here + there, 1.0).item() == 5
    assert there[0].grad.device == there[0].device
    assert there[0].grad.item() == pytest.approx(0.8, rel=1e-6)


def test_what_has_no_gradient_is_passed_over():
    bare = pb.ones(2).requires_grad_()
    assert clip_grad_norm_([bare], 1.0).item() == 0
    assert clip_grad_norm_([], 1.0).item() == 0
    clip_grad_value_([bare, pb.ones(2)], 1.0)
    assert bare.grad is None


def test_a_norm_that_is_not_finite_is_an_error_only_when_asked():
    made = parameters([[inf, 1.0]])
    with pytest.raises(RuntimeError, match=r"norm of order 2.0 is inf"):
        clip_grad_norm_(made, 1.0, error_if_nonfinite=True)
    assert made[0].grad.tolist() == [inf, 1.0]
    assert clip_grad_norm_(made, 1.0).item() == inf
    np.testing.assert_array_equal(made[0].grad.numpy(), [nan, 0.0])
    made = parameters([[2.0], [1.0]])
    assert clip_grad_norm_(made, 1.0, error_if_nonfinite=True).item() == pytest.approx(5**0.5)


def test_gradients_that_share_memory_are_scaled_once():
    shared = pb.tensor([3.0, 4.0])
    made = [pb.zeros(2).requires_grad_() for _ in range(2)]
    for p in made:
        p.grad = shared
    clip_grad_norm_(made, 1.0)
    np.testing.assert_allclose(made[0].grad.numpy(), np.asarray([3, 4]) / 50**0.5, rtol=1e-6)
    assert shared.tolist() == [3, 4]


@pytest.mark.parity
@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, inf])
@pytest.mark.parametrize("values", [[inf, 1.0], [nan, 1.0], [1e30, 1e30], [-inf, inf]])
def test_gradients_that_are_not_finite_are_passed_on_without_a_warning(place, order, values):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    made = parameters([values], "float32")
    norm = clip_grad_norm_(made, 1.0, order).item()
    theirs = torch.zeros(2, requires_grad=True)
    theirs.grad = torch.tensor(values)
    np.testing.assert_allclose(norm, torch.nn.utils.clip_grad_norm_([theirs], 1.0, order).item(), rtol=1e-6)
    np.testing.assert_allclose(made[0].grad.numpy(), theirs.grad.numpy(), rtol=1e-6)


def test_orders_that_are_no_norm_are_refused():
    with pytest.raises(ValueError, match="norm_type is positive, or inf; got 0"):
        clip_grad_norm_(parameters([[1.0]]), 1.0, norm_type=0)


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_a_model_is_no_list_of_parameters(clip):
    with pytest.raises(TypeError, match=r"clipping takes parameters; for a Linear, pass its parameters\(\)"):
        clip(nn.Linear(1, 1), 1.0)
    clip(nn.ParameterList([nn.Parameter(pb.ones(1))]), 1.0)


@given(GRADIENTS, st.floats(0.1, 100), st.sampled_from([1.0, 2.0, inf]))
def test_a_norm_that_is_known_clips_as_one_that_is_found(gradients, bound, order):
    one, other = parameters(gradients), parameters(gradients)
    total = get_total_norm([p.grad for p in one], order)
    clip_grads_with_norm_(one, bound, total)
    assert clip_grad_norm_(other, bound, order) == total
    for p, q in zip(one, other, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())
