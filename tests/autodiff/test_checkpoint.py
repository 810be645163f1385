"""checkpoint: the same gradients to the bit, with less kept."""

import gc
import math
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import nn
from pullback.autodiff.checkpoint import checkpoint, repeatable
from pullback.autodiff.tape import Node
from pullback.autodiff.tree import flatten
from pullback.backends import Backend


def normal(*shape: int, dtype: str = "float32") -> pb.Tensor:
    return pb.random.normal(shape, dtype=dtype)


def bits(tree: Any) -> list[np.ndarray]:
    return [x.numpy() if isinstance(x, pb.Tensor) else np.asarray(x) for x in flatten(tree)[0]]


def assert_same(a: Any, b: Any) -> None:
    for x, y in zip(bits(a), bits(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def both(run: Callable[[Callable[..., Any]], Any]) -> tuple[Any, Any]:
    """What `run` gives with plain calls, and with checkpointed ones; from one seed each."""
    results = []
    for call in (lambda function, *args: function(*args), checkpoint):
        pb.manual_seed(5)
        results.append(run(call))
    return results[0], results[1]


def blocks() -> list[nn.Module]:
    pb.manual_seed(3)
    return [nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.3), nn.Linear(6, 6), nn.ReLU()) for _ in range(4)]


def test_a_network_has_the_same_gradients_to_the_bit(place: Backend) -> None:
    layers, x = blocks(), normal(5, 6)
    shared = layers[0]

    def run(call: Callable[..., Any]) -> Any:
        variable = pb.Tensor(x.array).requires_grad_()
        h = variable
        for layer in (*layers, shared, shared):  # the first one thrice: the order of sums shows
            h = call(layer, h)
        loss = (h * h).mean()
        for parameter in (p for layer in layers for p in layer.parameters()):
            parameter.grad = None
        loss.backward()
        return loss, variable.grad, [p.grad for layer in layers for p in layer.parameters()]

    assert_same(*both(run))


def test_variables_of_a_closure_get_their_gradients() -> None:
    w, x = normal(3, 3).requires_grad_(), normal(3)

    def run(call: Callable[..., Any]) -> Any:
        w.grad = None
        scaled = w * 2
        call(lambda x: pb.exp(pb.matmul(scaled, x)) * w[0], x).sum().backward()
        return w.grad

    assert_same(*both(run))


def test_random_numbers_are_drawn_once(place: Backend) -> None:
    own, x = pb.random.Generator(7), normal(50)

    def noisy(x: pb.Tensor) -> pb.Tensor:
        return pb.dropout(x * x, generator=own) + pb.dropout(x) * pb.random.uniform((50,))

    def run(call: Callable[..., Any]) -> Any:
        own.load_state_dict({"seed": 7, "offset": 0})
        variable = pb.Tensor(x.array).requires_grad_()
        y = call(noisy, variable)
        after = own.offset, pb.random.default_generator().offset, pb.random.uniform((2,))
        y.sum().backward()
        assert after[:2] == (own.offset, pb.random.default_generator().offset - 1)
        return y, variable.grad, after

    assert_same(*both(run))


def test_a_new_seed_in_between_changes_nothing() -> None:
    x = normal(50).requires_grad_()
    y = checkpoint(pb.dropout, x)
    pb.manual_seed(99)
    y.sum().backward()
    assert_same(x.grad, y.detach() / x.detach())


def test_what_is_repeatable_is_drawn_again_only_for_plain_calls() -> None:
    drawn = iter([2.0, 3.0, 4.0])
    x = pb.tensor([1.0], requires_grad=True)
    y = checkpoint(lambda x: pb.exp(x * repeatable(lambda: next(drawn))), x)
    y.sum().backward()
    assert repeatable(lambda: next(drawn)) == 3.0
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2.0), rtol=1e-6)


def test_checkpoints_nest() -> None:
    w, x = normal(4, 4).requires_grad_(), normal(4)

    def layer(x: pb.Tensor) -> pb.Tensor:
        return pb.dropout(pb.tanh(pb.matmul(w, x)), p=0.2)

    def run(call: Callable[..., Any]) -> Any:
        def four(x: pb.Tensor) -> pb.Tensor:
            for _ in range(4):
                x = pb.dropout(call(layer, x), p=0.1)
            return x

        w.grad = None
        variable = pb.Tensor(x.array).requires_grad_()
        y = call(lambda x: call(four, call(four, x)), variable)
        (y * y).sum().backward()
        return y, variable.grad, w.grad

    assert_same(*both(run))


@pytest.mark.on_numpy
def test_trees_of_arguments_and_results() -> None:
    x, w = normal(3), normal(3)
    table = np.asarray([2, 0, 0])

    def function(inputs: dict[str, Any], count: int, nothing: None, rows: Any) -> Any:
        y = pb.take(inputs["x"] * inputs["w"][0], rows, axis=0)
        return {"y": y, "twice": (y, y * count), "x": inputs["x"], "kept": [nothing, count, rows, pb.ones(2)]}

    def run(call: Callable[..., Any]) -> Any:
        variable, weight = pb.Tensor(x.array).requires_grad_(), pb.Tensor(w.array).requires_grad_()
        result = call(function, {"x": variable, "w": [weight]}, 3, None, table)
        assert result["x"] is variable
        assert result["kept"][:2] == [None, 3]
        assert result["kept"][2] is table
        assert not result["kept"][3].requires_grad
        (result["y"] + result["twice"][0] * result["twice"][1] + result["x"]).sum().backward()
        return result["y"], variable.grad, weight.grad

    assert_same(*both(run))


def test_outputs_that_nothing_depends_on_count_as_zero() -> None:
    x = normal(3).requires_grad_()
    _, second = checkpoint(lambda x: (pb.exp(x), pb.sin(x)), x)
    second.sum().backward()
    assert_same(x.grad, pb.cos(x.detach()))


def test_where_nothing_is_recorded_it_is_a_plain_call() -> None:
    x = normal(3).requires_grad_()
    with pb.no_grad():
        assert not checkpoint(pb.exp, x).requires_grad
    assert not checkpoint(pb.exp, x.detach()).requires_grad
    assert isinstance(checkpoint(pb.exp, np.ones(2)), np.ndarray)


def test_a_retained_graph_is_walked_twice() -> None:
    x = normal(3).requires_grad_()
    y = checkpoint(lambda x: pb.exp(pb.sin(x)), x).sum()
    y.backward(retain_graph=True)
    once, x.grad = x.grad, None
    y.backward()
    assert_same(x.grad, once)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def curved(x: pb.Tensor, w: pb.Tensor) -> pb.Tensor:
    return pb.tanh(pb.matmul(w, x)) * pb.exp(x)


TRANSFORMS = {
    "grad": lambda f, x, w: pb.grad(lambda x, w: f(x, w).sum(), (0, 1))(x, w),
    "grad of one": lambda f, x, w: pb.grad(lambda x: f(x, w).sum())(x),
    "value_and_grad": lambda f, x, w: pb.value_and_grad(lambda w: f(x, w).sum())(w),
    "vjp": lambda f, x, w: pb.vjp(f, x, w)[1](pb.ones_like(x)),
    "jvp": lambda f, x, w: pb.jvp(lambda x: f(x, w), [x], [pb.ones_like(x)]),
    "jacobian": lambda f, x, w: pb.jacobian(f, (0, 1))(x, w),
    "hvp": lambda f, x, w: pb.hvp(lambda x: f(x, w).sum(), [x], [pb.ones_like(x)]),
    "hessian": lambda f, x, w: pb.hessian(lambda x: f(x, w).sum())(x),
    "grad of grad": lambda f, x, w: pb.grad(lambda x: pb.grad(lambda w: (f(x, w) ** 2).sum())(w).sum())(x),
    "vmap": lambda f, x, w: pb.vmap(f, in_axes=(0, None))(pb.stack([x, 2 * x]), w),
    "grads of samples": lambda f, x, w: pb.vmap(pb.grad(lambda w, x: f(x, w).sum()), (None, 0))(w, pb.stack([x, -x])),
    "grad of a batch": lambda f, x, w: pb.grad(lambda w: pb.vmap(f, (0, None))(pb.stack([x, -x]), w).sum())(w),
    "grad of grads of samples": lambda f, x, w: pb.grad(
        lambda w: (pb.vmap(pb.grad(lambda w, x: f(x, w).sum()), (None, 0))(w, pb.stack([x, -x])) ** 2).sum()
    )(w),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_go_through(name: str, place: Backend) -> None:
    x, w = normal(4, dtype="float64"), normal(4, 4, dtype="float64")
    plain = TRANSFORMS[name](curved, x, w)
    saved = TRANSFORMS[name](lambda x, w: checkpoint(lambda x: checkpoint(curved, x, w) * x / x, x), x, w)
    exactly = TRANSFORMS[name](lambda x, w: checkpoint(curved, x, w), x, w)
    for a, b, c in zip(bits(plain), bits(saved), bits(exactly), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(c, a, rtol=1e-13, atol=1e-13)
        if name in ("grad", "grad of one", "value_and_grad", "vjp", "jacobian", "grads of samples"):
            np.testing.assert_array_equal(c, a)


@pytest.mark.parametrize("transform", ["grad", "hessian"])
def test_a_model_that_is_called_with_other_parameters(transform: str) -> None:
    class Network(nn.Module):
        def __init__(self, call: Callable[..., Any]) -> None:
            super().__init__()
            pb.manual_seed(0)
            self.first, self.second, self.call = nn.Linear(3, 2), nn.Linear(2, 1), call

        def forward(self, x: pb.Tensor) -> pb.Tensor:
            return self.second(self.call(lambda x: pb.tanh(self.first(x)), x))

    x, weight = normal(4, 3), normal(2, 3)

    def run(call: Callable[..., Any]) -> Any:
        model = Network(call)
        loss = lambda w: (nn.functional_call(model, {"first.weight": w}, x) ** 2).sum()
        result = getattr(pb, transform)(loss)(weight)
        assert not np.any(model.first.weight.numpy() == weight.numpy())
        return result

    plain, saved = both(run)
    np.testing.assert_allclose(saved.numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_derivatives_to_the_third_order(dtype: str) -> None:
    x, w = normal(3, dtype="float64").astype(dtype), normal(3, 3, dtype="float64").astype(dtype)
    pb.check_grads(lambda x, w: checkpoint(curved, x, w), [x * 0.5, w * 0.5], order=3)


def test_create_graph_gives_gradients_of_gradients() -> None:
    x = pb.tensor([2.0], dtype="float64", requires_grad=True)
    checkpoint(lambda x: x**4, x).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    assert (first.tolist(), x.grad.tolist()) == ([32.0], [48.0])


def test_a_transform_inside() -> None:
    x, w = normal(3, dtype="float64"), normal(3, dtype="float64").requires_grad_()

    def slope(x: pb.Tensor) -> pb.Tensor:
        return pb.grad(lambda x: (pb.exp(x * w) * x).sum())(x)

    def run(call: Callable[..., Any]) -> Any:
        w.grad = None
        call(slope, x).sum().backward()
        return w.grad

    assert_same(*both(run))


def test_the_backend_of_the_call_is_that_of_the_recomputation(place: Backend) -> None:
    x = normal(3).requires_grad_()
    y = checkpoint(lambda x: pb.exp(x) * pb.ones(3), x)
    with pb.use("numpy"):
        y.backward(pb.Tensor(place.from_host(np.ones(3, "float32"))))
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.numpy()), rtol=1e-6)


def test_variables_are_taken_as_they_were() -> None:
    w, x = pb.tensor([1.0, 2.0], requires_grad=True), pb.tensor([3.0, 4.0])
    y = checkpoint(lambda w: w * w * x, w).sum()
    with pb.no_grad():
        w.array = w.array * 10  # as an optimizer replaces it
    y.backward()
    assert w.grad.tolist() == [6.0, 16.0]


def chain(call: Callable[..., Any], x: pb.Tensor, length: int) -> pb.Tensor:
    def segment(x: pb.Tensor) -> pb.Tensor:
        for _ in range(math.isqrt(length)):
            x = pb.sin(x)
        return x

    for _ in range(math.isqrt(length)):
        x = call(segment, x)
    return x


WALKS = {
    "backward": lambda f, x: f(x.requires_grad_()).sum().backward(),
    "grad": lambda f, x: pb.grad(lambda x: f(x).sum())(x),
    "vjp": lambda f, x: pb.vjp(f, x)[1](x),
}


@pytest.mark.on_numpy
@pytest.mark.parametrize("walk", WALKS)
def test_a_chain_needs_memory_for_the_root_of_its_length(walk: str) -> None:
    length, x = 400, pb.ones(20_000, dtype="float64")
    peaks = []
    gc.collect()
    gc.disable()
    try:
        for call in (lambda function, *args: function(*args), checkpoint):
            tracemalloc.start()
            WALKS[walk](lambda x, call=call: chain(call, x, length), pb.Tensor(x.array))
            peaks.append(tracemalloc.get_traced_memory()[1] / x.array.nbytes)
            tracemalloc.stop()
    finally:
        tracemalloc.stop()
        gc.enable()
    plain, saved = peaks
    assert plain > length
    assert saved < 2 * math.isqrt(length) + 10


def test_nothing_is_left_for_the_garbage_collector() -> None:
    x = normal(3).requires_grad_()
    gc.collect()
    gc.disable()
    try:
        for walk in (
            lambda f: f(x).sum().backward(),
            lambda f: pb.grad(lambda x: f(x).sum())(x),
            lambda f: f(x).sum().backward(retain_graph=True),
        ):
            y = checkpoint(lambda x: chain(checkpoint, x, 9), x)
            held = weakref.ref(y)
            walk(lambda x: checkpoint(lambda x: chain(checkpoint, x, 9), x))
            del y
            assert held() is None
        x.grad = None
        assert gc.collect() == 0
        assert not [o for o in gc.get_objects() if type(o) is Node]
    finally:
        gc.enable()


class TestWhatIsNotTheSameAgain:
    def fails(self, function: Callable[..., Any], message: str) -> None:
        y = checkpoint(function, normal(3).requires_grad_())
        with pytest.raises(RuntimeError, match=f"must do the same when it is called again; this one now {message}"):
            y.sum().backward()

    def test_another_shape(self) -> None:
        lengths = iter([3, 2])
        self.fails(lambda x: pb.exp(x)[: next(lengths)], r"gives Tensor.* where it gave a variable of shape \(3,\)")

    def test_no_variable(self) -> None:
        calls = iter([True, False])
        self.fails(lambda x: pb.exp(x) if next(calls) else pb.ones(3), "gives Tensor")

    def test_more_random_numbers(self) -> None:
        counts = iter([1, 2])
        self.fails(lambda x: pb.exp(x) * sum(pb.random.uniform((3,)) for _ in range(next(counts))), "draws more")

    def test_other_variables(self) -> None:
        weights = iter([normal(3).requires_grad_(), normal(3).requires_grad_()])
        self.fails(lambda x: x * next(weights), "reaches other variables")
