import gc
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.backends import Backend


def variable(*values: float) -> pb.Tensor:
    return pb.tensor(list(values), dtype="float64", requires_grad=True)


def test_a_value_used_twice_gets_both_gradients() -> None:
    x = variable(3.0)
    y = x * x
    (y * y + y).sum().backward()
    assert x.grad.tolist() == [4 * 27.0 + 6.0]


def test_backward_adds_to_what_is_there() -> None:
    x = variable(2.0)
    for _ in range(3):
        (x * 5.0).sum().backward()
    assert x.grad.tolist() == [15.0]


def test_a_gradient_can_be_given() -> None:
    x = variable(1.0, 2.0)
    (x * x).backward(pb.tensor([1.0, 10.0], dtype="float64"))
    assert x.grad.tolist() == [2.0, 40.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pb.tensor(1.0).backward(), "constant"),
        (lambda: (variable(1.0, 2.0) * 2).backward(), "needs gradient="),
        (lambda: (variable(1.0, 2.0) * 2).backward(pb.tensor([1.0])), "shape"),
        (lambda: pb.tensor([1, 2]).requires_grad_(), "only floating-point"),
    ],
)
def test_what_backward_cannot_do_is_said(call: Any, message: str) -> None:
    with pytest.raises((RuntimeError, ValueError, TypeError), match=message):
        call()


def test_a_graph_is_freed_as_it_is_walked() -> None:
    x = variable(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_a_retained_graph_is_walked_again() -> None:
    x = variable(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]


def test_create_graph_gives_gradients_of_gradients() -> None:
    x = variable(2.0)
    (x**4).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    assert first.tolist() == [32.0]
    assert x.grad.tolist() == [48.0]


def test_only_leaves_have_a_gradient() -> None:
    x = variable(2.0)
    y = x * x
    y.sum().backward()
    assert y.grad is None
    with pytest.raises(ValueError, match="variable"):
        y.grad = x


def test_no_grad_and_detach_stop_the_recording() -> None:
    x = variable(2.0)
    with pb.no_grad():
        assert not (x * x).requires_grad
        with pb.enable_grad():
            assert (x * x).requires_grad
    assert not x.detach().requires_grad
    assert (x * x).requires_grad


def test_recording_is_a_choice_of_each_thread() -> None:
    x = variable(2.0)
    seen: list[bool] = []
    with pb.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_graphs_of_two_threads_do_not_mix() -> None:
    failures: list[Any] = []

    def work(seed: float) -> None:
        for _ in range(200):
            x = variable(seed)
            (x * x * x).sum().backward()
            if x.grad.tolist() != [3 * seed * seed]:
                failures.append(x.grad)

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_nothing_is_left_for_the_garbage_collector() -> None:
    x = variable(1.0, 2.0)
    gc.collect()
    gc.disable()
    try:
        y = pb.exp(x) * pb.unstack(pb.stack([x, x]))[1]
        watched = weakref.ref(y)
        y.sum().backward()
        del y
        assert watched() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_no_vjp_names_is_not_kept_alive() -> None:
    x = variable(*range(10))
    product = x * 2.0
    held = weakref.ref(product.array)
    y = (product + 1.0).sum()
    del product
    assert held() is None
    y.backward()
    assert x.grad.tolist() == [2.0] * 10


@pytest.mark.on_numpy
def test_the_walk_frees_activations_on_its_way() -> None:
    x = pb.ones(100_000, dtype="float64").requires_grad_()
    y = x
    for _ in range(20):
        y = pb.sin(y)
    loss = y.sum()
    del y
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    loss.backward()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 6 * x.array.nbytes
    assert after - before < 2 * x.array.nbytes


def test_a_chain_of_a_hundred_thousand_steps_is_walked_and_freed() -> None:
    x = variable(1.0)
    y = x
    for _ in range(100_000):
        y = y + 0.0
    y.sum().backward()
    assert x.grad.tolist() == [1.0]
    y = x
    for _ in range(100_000):
        y = y + 0.0
    del y  # never walked: the nodes go one after another, without overflowing the stack


def test_broadcasting_is_summed_back(place: Backend) -> None:
    a = pb.random.normal((3, 1, 4), dtype="float64").requires_grad_()
    b = pb.random.normal((2, 1), dtype="float64").requires_grad_()
    c = pb.random.normal((), dtype="float64").requires_grad_()
    (a * b + c).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.full((3, 1, 4), b.numpy().sum()))
    np.testing.assert_allclose(b.grad.numpy(), np.full((2, 1), a.numpy().sum()))
    assert c.grad.item() == 24.0


def test_gradients_in_float32_stay_float32(place: Backend) -> None:
    x = pb.random.normal((3, 4)).requires_grad_()
    y = pb.softmax(x * 2.0 + 1) / np.float64(3.0)
    (y * y).mean().backward()
    assert y.dtype == pb.float32
    assert x.grad.dtype == pb.float32


def test_outputs_that_nothing_depends_on_count_as_zero() -> None:
    x = pb.random.normal((3, 2), dtype="float64").requires_grad_()
    first, _, third = pb.unstack(x)
    (first * third * third).sum().backward()
    a, _, c = x.numpy()
    np.testing.assert_allclose(x.grad.numpy(), [c * c, [0, 0], 2 * a * c])


def test_an_op_without_a_vjp_for_an_input_says_so() -> None:
    probabilities = pb.random.uniform((4, 3)).requires_grad_()
    with pytest.raises(TypeError, match="binary_cross_entropy_with_logits has no vjp for 'weight'"):
        pb.binary_cross_entropy_with_logits(pb.zeros((4, 3)), pb.zeros((4, 3)), probabilities)


def test_ten_thousand_steps_leave_nothing_behind() -> None:
    weight = pb.random.normal((4, 3)).requires_grad_()
    x = pb.random.normal((5, 3))

    def step() -> None:
        weight.grad = None
        loss = pb.sum(pb.relu(pb.linear(x, weight)))
        loss.backward()

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(6_000):  # the interpreter's free lists fill up first
            step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4_000):
            step()
        assert tracemalloc.get_traced_memory()[0] - before < 4_000  # less than a byte a step
    finally:
        tracemalloc.stop()
        gc.enable()


class TestGradientsAreOnesOwn:
    def test_two_variables_never_share_one(self) -> None:
        a, b = variable(1.0, 2.0), variable(3.0, 4.0)
        ((a + b) * 2.0).sum().backward()
        a.grad[0] = 99.0
        assert b.grad.tolist() == [2.0, 2.0]

    def test_one_of_a_sum_can_be_written_to(self) -> None:
        a = variable(1.0, 2.0)
        a.sum().backward()
        a.grad[0] = 5.0
        assert a.grad.tolist() == [5.0, 1.0]

    @pytest.mark.on_numpy
    def test_the_gradient_that_was_given_stays_the_givers(self) -> None:
        a, given = variable(1.0, 2.0), np.ones(2)
        (a + 0.0).backward(given)
        given[:] = 7.0
        assert a.grad.tolist() == [1.0, 1.0]

    @pytest.mark.on_numpy
    def test_one_of_another_precision_is_brought_to_the_variables(self) -> None:
        a = pb.ones(2).requires_grad_()
        (a + 0.0).backward(np.ones(2))
        assert a.grad.dtype == pb.float32

    @pytest.mark.parametrize("wrong", [np.ones(2), pb.ones(3)])
    def test_a_wrong_one_is_refused(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"a gradient is a Tensor of shape \(2,\)"):
            variable(1.0, 2.0).grad = wrong


def test_a_cast_to_integers_is_a_constant() -> None:
    x = variable(1.5, 2.5)
    assert not x.astype("int64").requires_grad
    assert not x.astype(pb.bool).requires_grad


def test_a_variable_is_changed_in_place_under_no_grad_alone() -> None:
    w = variable(1.0, 2.0)
    same = w
    with pb.no_grad():
        w -= 0.5
    assert w is same
    assert w.requires_grad
    assert w.tolist() == [0.5, 1.5]
    with pytest.raises(RuntimeError, match="no_grad"):
        w += 1.0


def test_create_graph_records_inside_no_grad() -> None:
    x = variable(3.0)
    y = (x * x * x).sum()
    with pb.no_grad():
        y.backward(create_graph=True)
    assert x.grad.requires_grad


def test_an_array_of_a_tensor_is_a_copy_where_one_is_asked_for() -> None:
    x = pb.ones(2)
    np.array(x)[0] = 99.0
    assert x.tolist() == [1.0, 1.0]
    np.asarray(x)[0] = 5.0
    assert x.tolist() == [5.0, 1.0]


def test_variables_are_pickled_and_copied() -> None:
    import copy
    import pickle

    x = variable(1.0, 2.0)
    for other in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        (other * other).sum().backward()
        assert other.grad.tolist() == [2.0, 4.0]
    assert x.grad is None
