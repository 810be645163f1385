"""custom_op: a user's own pair, and the checks that find what is wrong with one."""

import gc
from typing import Any
from weakref import ref

import numpy as np
import pytest

import pullback as pb
from pullback.autodiff.custom_op import CustomOp, custom_op
from pullback.autodiff.op import registry
from pullback.backends import Backend


def hypotenuse(xp: Any, a: Any, b: Any) -> Any:
    return xp.sqrt(a * a + b * b)


def hypotenuse_backward(xp: Any, g: Any, a: Any, b: Any, y: Any) -> Any:
    return g * a / y, g * b / y


def normal(*shape: int, dtype: str = "float64") -> pb.Tensor:
    return pb.random.normal(shape, dtype=dtype)


def test_a_pair_is_differentiable_to_any_order(place: Backend) -> None:
    op = custom_op(hypotenuse, hypotenuse_backward)
    pb.check_grads(op, [normal(3), normal(2, 1)], order=3)
    op.check(normal(3), normal(2, 1))


def test_it_is_no_op_of_the_package() -> None:
    before = dict(registry)
    for _ in range(2):  # a notebook's cell that runs twice

        @custom_op
        def relu(xp: Any, x: Any) -> Any:
            return x * 2.0

    assert registry == before
    np.testing.assert_array_equal(relu(np.asarray([-1.0, 1.0])), [-2.0, 2.0])  # no kernel of the name is run
    assert repr(relu) == "<op custom_op relu(x: Any, /) -> Any>"
    assert relu.__name__ == "relu"


def test_as_a_decorator_with_a_backward() -> None:
    @custom_op(backward=lambda xp, g, x, *, power: power * g * x ** (power - 1))
    def raised(xp: Any, x: Any, *, power: int = 2) -> Any:
        """x to a power."""
        return x**power

    assert isinstance(raised, CustomOp)
    assert raised.__doc__ == "x to a power."
    x = normal(4).requires_grad_()
    raised(x, power=3).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * x.numpy() ** 2)
    raised.check(x, power=3)


def test_as_a_decorator_with_rules_or_with_none() -> None:
    @custom_op
    def product(xp: Any, x1: Any, x2: Any, /) -> Any:
        return x1 * x2

    product.check(normal(2), normal(3, 2))
    seen = []

    @product.vjp("x1")
    def _(xp: Any, g: Any, x2: Any) -> Any:
        seen.append("x1")
        return g * x2

    product.vjp("x2")(lambda xp, g, x1: g * x1)
    product.check(normal(2), normal(3, 2))
    assert seen


def test_several_outputs_and_the_output_itself() -> None:
    def both(xp: Any, x: Any) -> Any:
        return xp.exp(x), xp.sin(x)

    custom_op(both, lambda xp, g, x, y: g[0] * y[0] + g[1] * xp.cos(x)).check(normal(3))


def test_any_number_of_inputs() -> None:
    def total(xp: Any, *xs: Any) -> Any:
        return sum(x * x for x in xs)

    custom_op(total, lambda xp, g, xs: tuple(2 * g * x for x in xs)).check(normal(3), normal(3), normal(3))
    short = custom_op(total, lambda xp, g, xs: (g,))
    with pytest.raises(TypeError, match="gave 1 gradients for 2 inputs"):
        pb.grad(lambda x: short(x, x).sum())(normal(3))


def test_complex_numbers() -> None:
    custom_op(lambda xp, z: z * z, lambda xp, g, z: 2 * g * z).check(normal(3).astype("complex128") * (1 + 2j))


def test_only_some_inputs_have_gradients() -> None:
    def picked(xp: Any, x: Any, rows: Any) -> Any:
        return xp.take(x, rows, axis=0)

    def backward(xp: Any, g: Any, x_shape: tuple[int, ...], rows: Any) -> Any:
        return pb.scatter_add(g, rows, size=x_shape[0], axis=0)

    op = custom_op(picked, backward, inputs=["x"])
    op.check(normal(4, 2), np.asarray([0, 3, 0]))
    gated = custom_op(lambda xp, x, gate: x * gate, lambda xp, g, gate: g * gate, inputs=["x"])
    with pytest.raises(TypeError, match="custom_op <lambda> has no vjp for 'gate'"):
        gated(normal(2), normal(2).requires_grad_())


def test_a_straight_through_estimator() -> None:
    def quantized(xp: Any, x: Any) -> Any:
        return xp.round(x * 4) / 4

    estimator = custom_op(quantized, lambda xp, g: g, surrogate=True)
    estimator.check(normal(5))
    x = normal(5).requires_grad_()
    (estimator(x) * 3).sum().backward()
    assert x.grad.tolist() == [3.0] * 5
    with pytest.raises(AssertionError, match="derivative of order 1"):
        custom_op(quantized, lambda xp, g: g).check(normal(5))


def test_under_vmap_and_jacobian(place: Backend) -> None:
    op = custom_op(hypotenuse, hypotenuse_backward)
    x, y = normal(3), normal(3)
    np.testing.assert_allclose(pb.vmap(op)(x, y).numpy(), np.hypot(x.numpy(), y.numpy()), rtol=1e-12)
    expected = np.diag(x.numpy() / np.hypot(x.numpy(), y.numpy()))
    np.testing.assert_allclose(pb.jacobian(op)(x, y).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_a_gradient_that_nobody_needs_is_not_asked_for() -> None:
    calls = []
    op = custom_op(lambda xp, x, w: x * w, lambda xp, g, x, w: calls.append(1) or (g * w, g * x))
    assert not op(normal(2), normal(2)).requires_grad
    (op(normal(2), normal(2)) * normal(2).requires_grad_()).sum().backward()
    assert calls == []


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (lambda xp, g, x, w: g * w, TypeError, "backward gave 1 gradients; it is for x, w"),
        (lambda xp, g, x, w: (g, g, g), TypeError, "backward gave 3 gradients; it is for x, w"),
        (lambda xp, g, x, w: (g, None), TypeError, "gave NoneType as the gradient of 'w'.*left out of inputs="),
        (lambda xp, g, x, w: (1.0, g), TypeError, "gave float as the gradient of 'x'"),
        (lambda xp, g, x, w: (g[:2], g), ValueError, r"gave a gradient of shape \(2,\), its input is \(3,\)"),
    ],
)
@pytest.mark.parametrize("record", [False, True])
def test_a_wrong_gradient_is_named(backward: Any, error: type[Exception], message: str, record: bool) -> None:
    op = custom_op(lambda xp, x, w: x * w, backward)
    x, y = normal(3).requires_grad_(), normal(3).requires_grad_()
    with pytest.raises(error, match=message):
        op(x, y).sum().backward(create_graph=record)


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: custom_op(lambda xp, x: x, lambda xp, g, z: g), "names 'z', which is no input of it: x"),
        (lambda: custom_op(lambda xp, x: x, lambda xp, x: x), r"starts with \(xp, g, ...\); got \(xp, x\)"),
        (lambda: custom_op(lambda xp, x: x, lambda xp, g, *, axis: g), "takes its metadata"),
        (lambda: custom_op(lambda xp, x: x, lambda xp, g: g, inputs=["w"]), "has the inputs x; got w"),
        (lambda: custom_op(lambda x: x, lambda xp, g: g), r"a forward is written \(xp, x, ..., \*, metadata\)"),
        (lambda: custom_op(lambda xp, *, x: x), "takes no arrays"),
        (lambda: custom_op(lambda xp, x, y: x * y), "knows the output as 'y'"),
        (lambda: custom_op(lambda xp, x: x, inputs=["x"]), "give one"),
        (lambda: custom_op(lambda xp, x: 1.0)(np.ones(2)), "expected an array, got float"),
    ],
)
def test_a_wrong_definition_is_refused(define: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        define()


class TestWhatCheckFinds:
    def finds(self, message: str, forward: Any, backward: Any, *inputs: Any) -> None:
        with pytest.raises(AssertionError, match=message):
            custom_op(forward, backward).check(*(inputs or (normal(3),)))

    def test_a_gradient_off_by_a_thousandth(self) -> None:
        self.finds("derivative of order 1", lambda xp, x: x * x, lambda xp, g, x: 2.002 * g * x)

    @pytest.mark.on_numpy
    def test_a_second_derivative_that_is_missing(self) -> None:
        self.finds("derivative of order 2", lambda xp, x: x * x, lambda xp, g, x: 2 * g * pb.tensor(x).detach())

    @pytest.mark.on_numpy
    def test_calls_that_are_not_the_standards(self) -> None:
        pytest.importorskip("array_api_strict")
        self.finds(
            "does not run on array_api_strict",
            lambda xp, x: xp.cbrt(x),
            lambda xp, g, y: g / (3 * y * y),
            normal(3).array + 5,
        )

    def test_what_tells_tensors_from_arrays(self) -> None:
        ran = []

        def drifting(xp: Any, x: Any) -> Any:
            ran.append(1)
            return x * len(ran)

        self.finds("differ at", drifting, lambda xp, g: g)

    def test_what_mixes_the_samples_of_a_batch(self) -> None:
        def normalized(xp: Any, x: Any) -> Any:
            return x + float(type(x).__name__ == "Batched")

        self.finds("under vmap and in a loop", normalized, lambda xp, g: g)


def test_a_custom_op_that_is_no_longer_used_is_freed() -> None:
    def define() -> Any:
        op = custom_op(lambda xp, x: x * x, lambda xp, g, x: 2 * g * x)
        x = pb.tensor([1.0, 2.0], requires_grad=True)
        op(x).sum().backward()
        pb.vmap(pb.grad(lambda x: op(x)))(pb.tensor([1.0, 2.0]))
        return ref(op)

    gone = define()
    gc.collect()  # an op and its backward know each other
    assert gone() is None
