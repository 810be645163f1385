from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.backends import Backend


def rosenbrock(x: Any) -> Any:
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def test_gradient_and_hessian_are_those_of_scipy() -> None:
    from scipy.optimize import rosen_der, rosen_hess

    x = np.random.default_rng(0).standard_normal(5)
    np.testing.assert_allclose(pb.grad(rosenbrock)(x), rosen_der(x), rtol=1e-12)
    np.testing.assert_allclose(pb.hessian(rosenbrock)(x), rosen_hess(x), rtol=1e-12)


def test_hvp_is_the_hessian_times_the_vector() -> None:
    from scipy.optimize import rosen_der, rosen_hess_prod

    x, v = np.random.default_rng(0).standard_normal((2, 5))
    slopes, product = pb.hvp(rosenbrock, [x], [v])
    np.testing.assert_allclose(slopes[0], rosen_der(x), rtol=1e-12)
    np.testing.assert_allclose(product[0], rosen_hess_prod(x, v), rtol=1e-12)


def test_jvp_and_vjp_are_transposes_of_one_jacobian() -> None:
    generator = np.random.default_rng(0)
    weight, x, v, u = (generator.standard_normal(s) for s in ((4, 3), (3,), (3,), (4,)))
    function = lambda x: pb.tanh(weight @ x) * pb.sum(x)
    matrix = pb.jacobian(function)(x)
    y, pullback = pb.vjp(function, x)
    np.testing.assert_allclose(pullback(u)[0], matrix.T @ u, rtol=1e-12)
    np.testing.assert_allclose(pb.jvp(function, [x], [v])[1], matrix @ v, rtol=1e-12)
    np.testing.assert_allclose(y, np.tanh(weight @ x) * x.sum(), rtol=1e-12)


def test_transforms_nest_to_any_order() -> None:
    derivative = pb.sin
    for _ in range(5):
        derivative = pb.grad(derivative)
    x = np.asarray(0.7)
    np.testing.assert_allclose(derivative(x), np.cos(x), rtol=1e-12)


def test_inner_and_outer_variables_are_not_confused() -> None:
    # d/dx (x * d/dy (x + y)) is 1; an engine that mixes the two walks says 2.
    confused = pb.grad(lambda x: x * pb.grad(lambda y: x + y)(x))
    assert float(confused(np.asarray(3.0))) == 1.0


def test_an_inner_gradient_at_a_constant_still_depends_on_the_outer_variable() -> None:
    inner = lambda x: pb.grad(lambda y: x * y * y)(np.asarray(2.0))
    assert float(pb.grad(inner)(np.asarray(5.0))) == 4.0


def test_arguments_may_be_nested_and_chosen() -> None:
    def loss(p: Any, x: Any) -> Any:
        return ((x @ p["w"] + p["b"][0]) ** 2).sum()

    p = {"w": np.ones(3), "b": (np.zeros(()), np.zeros(2))}
    value, (gradient, slope) = pb.value_and_grad(loss, argnums=(0, 1))(p, np.ones((2, 3)))
    assert float(value) == 18.0
    np.testing.assert_allclose(gradient["w"], [12.0] * 3)
    np.testing.assert_allclose(gradient["b"][0], 12.0)
    np.testing.assert_allclose(gradient["b"][1], [0.0, 0.0])
    np.testing.assert_allclose(slope, np.full((2, 3), 6.0))


def test_auxiliary_results_come_along() -> None:
    gradient, aux = pb.grad(lambda x: ((x * x).sum(), {"kept": 7}), has_aux=True)(np.ones(2))
    np.testing.assert_allclose(gradient, [2.0, 2.0])
    assert aux == {"kept": 7}


def test_arrays_give_arrays_and_tensors_tensors() -> None:
    square = pb.grad(lambda x: (x * x).sum())
    assert isinstance(square(np.ones(2)), np.ndarray)
    plain = square(pb.ones(2))
    assert isinstance(plain, pb.Tensor)
    assert not plain.requires_grad
    assert square(pb.ones(2).requires_grad_()).requires_grad


def test_transforms_leave_the_gradients_of_variables_alone() -> None:
    w = pb.ones(2).requires_grad_()
    pb.grad(lambda x: (x * w).sum())(pb.ones(2))
    assert w.grad is None


def test_what_does_not_depend_on_an_argument_has_a_gradient_of_zero() -> None:
    np.testing.assert_allclose(pb.grad(lambda x, y: (y * y).sum())(np.ones(3), np.ones(2)), np.zeros(3))


def test_a_gradient_of_several_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        pb.grad(lambda x: x * x)(np.ones(2))


def test_transforms_record_inside_no_grad() -> None:
    with pb.no_grad():
        np.testing.assert_allclose(pb.grad(lambda x: (x * x).sum())(np.ones(2)), [2.0, 2.0])


def test_transforms_stay_where_the_data_is(place: Backend) -> None:
    x = pb.random.normal((3,), dtype="float64")
    matrix = pb.hessian(lambda x: pb.sum(pb.exp(x) * x))(x)
    assert matrix.device == x.device
    np.testing.assert_allclose(matrix.numpy(), np.diag(np.exp(x.numpy()) * (2 + x.numpy())), rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_jacobians_of_linear_maps_are_their_matrices(rows: int, columns: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix, x = generator.standard_normal((rows, columns)), generator.standard_normal(columns)
    np.testing.assert_allclose(pb.jacobian(lambda x: matrix @ x)(x), matrix, rtol=1e-12)


def test_check_grads_passes_what_is_right_and_names_what_is_wrong() -> None:
    @pb.op
    def third_power(xp: Any, x: Any, /) -> Any:
        return x * x * x

    third_power.vjp("x")(lambda xp, g, x: g * 3.001 * x * x)
    try:
        with pytest.raises(AssertionError, match=r"order 1, argument 0.*ratio 1\.0003"):
            pb.check_grads(third_power, [np.ones(3)])
    finally:
        del pb.autodiff.registry["third_power"]
    pb.check_grads(lambda x, n: (x**3) * n, [np.ones(3), 2], order=3)
    with pytest.raises(ValueError, match="at least one real or complex floating argument"):
        pb.check_grads(lambda n: n, [1])


def test_check_grads_sees_a_wrong_second_derivative() -> None:
    @pb.op
    def squared(xp: Any, x: Any, /) -> Any:
        return x * x

    squared.vjp("x")(lambda xp, g, x_shape, x: g * 2 * (x if isinstance(x, np.ndarray) else x.detach()))
    try:
        pb.check_grads(squared, [np.ones(3)], order=1)
        with pytest.raises(AssertionError, match="order 2"):
            pb.check_grads(squared, [np.ones(3)], order=2)
    finally:
        del pb.autodiff.registry["squared"]


def test_variables_reached_through_a_closure_get_their_gradients() -> None:
    w = pb.tensor([2.0, 3.0], requires_grad=True)
    penalty = pb.grad(lambda x: (x * x * w).sum())(pb.ones(2))
    (penalty * penalty).sum().backward()
    assert w.grad.tolist() == [16.0, 24.0]  # of sum((2 * x * w) ** 2)
    with pb.no_grad():
        assert not pb.grad(lambda x: (x * x * w).sum())(pb.ones(2)).requires_grad


def test_what_is_no_number_among_the_arguments_is_a_constant() -> None:
    gradient = pb.grad(lambda p: (p["w"] * 2.0).sum())({"w": np.ones(2), "bias": None, "name": "layer", "on": True})
    np.testing.assert_allclose(gradient.pop("w"), [2.0, 2.0])
    assert gradient == {"bias": None, "name": None, "on": None}


def test_jacobians_of_numbers_nest() -> None:
    x = np.asarray(2.0)
    assert float(pb.jacobian(pb.jacobian(lambda x: x**3))(x)) == 12.0
    assert float(pb.grad(pb.jacobian(lambda x: x**3))(x)) == 12.0


def test_the_jacobian_of_what_passes_its_argument_on_is_the_identity() -> None:
    x = np.asarray([1.0, 2.0])
    for f in (lambda x: x, lambda x: x + 1.0, lambda x: pb.reshape(x, (2,))):
        np.testing.assert_array_equal(pb.jacobian(f)(x), np.eye(2))
    np.testing.assert_array_equal(pb.vmap(pb.vjp(lambda x, y: x + y, x, x)[1])(np.eye(2)), [np.eye(2)] * 2)


def test_an_outer_gradient_goes_through_what_an_inner_one_gives_besides() -> None:
    inner = pb.grad(lambda x: ((x * x).sum(), {"cubes": (x * x * x).sum()}), has_aux=True)
    x = np.asarray([1.0, 2.0])
    np.testing.assert_allclose(pb.grad(lambda x: inner(x)[1]["cubes"])(x), 3 * x * x)
    assert isinstance(inner(x)[1]["cubes"], np.ndarray)
    assert not inner(pb.tensor(x))[1]["cubes"].requires_grad


def test_of_constants_transforms_inside_one_another_give_constants() -> None:
    x = pb.tensor([1.0, 2.0])
    cubes = lambda x: x * x * x
    assert not pb.jvp(cubes, [x], [x])[1].requires_grad
    through = lambda x: pb.vjp(cubes, x)[1](x)[0]
    assert not pb.grad(lambda v: (through(v) * through(x)).sum())(x * 2.0).requires_grad


@pytest.mark.parametrize("argnums", [2, (0, 0), (0, -2)])
def test_argnums_name_each_argument_once(argnums: Any) -> None:
    with pytest.raises(ValueError, match="each once"):
        pb.grad(lambda x, y: (x * y).sum(), argnums=argnums)(np.ones(2), np.ones(2))


def test_a_gradient_of_a_complex_number_is_refused() -> None:
    with pytest.raises(ValueError, match="one real number, not complex128"):
        pb.grad(lambda z: (z * z).sum())(np.asarray([1.0 + 2.0j]))


def test_inside_vmap_a_variable_from_outside_is_not_written_to() -> None:
    w = pb.tensor([1.0, 2.0], requires_grad=True)

    def step(x: Any) -> Any:
        with pb.no_grad():
            w.__isub__(x)
        return x

    y = w * w
    for function in (lambda g: y.backward(g, retain_graph=True), step):
        with pytest.raises(TypeError, match="inside vmap a variable"):
            pb.vmap(function)(pb.ones((3, 2)))
    assert w.grad is None
    assert w.shape == (2,)
