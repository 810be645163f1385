"""vmap among the other transforms: nested, inside and around gradients, with closures and models."""

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import Tensor, nn
from pullback.backends import Backend

pytestmark = pytest.mark.on_numpy

RNG = np.random.default_rng(0)
A, B, W = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 3)), RNG.standard_normal((3, 3))


def per_row(function: Any, *arrays: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(function(*rows)) for rows in zip(*arrays, strict=True)])


def test_a_nested_vmap_is_a_double_loop() -> None:
    table = pb.vmap(lambda a: pb.vmap(lambda b: pb.exp(a) @ (b + a))(B))(A)
    np.testing.assert_allclose(table, [[np.exp(a) @ (b + a) for b in B] for a in A])


def test_axes_go_in_and_come_out_where_they_are_told() -> None:
    f = pb.vmap(
        lambda tree, c: {"y": tree["a"] * c, "z": tree["b"].sum()}, in_axes=({"a": 1, "b": None}, None), out_axes=-1
    )
    with pytest.raises(ValueError, match="out_axes"):
        pb.vmap(lambda x: x, out_axes=None)(A)
    got = f({"a": A, "b": B}, 2.0)
    np.testing.assert_allclose(got["y"], 2 * A)
    np.testing.assert_allclose(got["z"], np.full(3, B.sum()))


def test_gradients_of_each_sample() -> None:
    def loss(w: Any, x: Any) -> Any:
        return (pb.tanh(w @ x) ** 2).sum()

    got = pb.vmap(pb.grad(loss), in_axes=(None, 0))(W, A)
    np.testing.assert_allclose(got, per_row(lambda x: pb.grad(loss)(W, x), A))


def test_a_gradient_goes_through_vmap_to_what_the_function_reaches() -> None:
    w = pb.tensor(W, requires_grad=True)
    v = pb.tensor(A[0], requires_grad=True)
    y = pb.vmap(lambda x: (pb.sin(w @ x) * v).sum())(A)
    assert y.shape == (4,)
    (y * y).sum().backward()
    w2, v2 = pb.tensor(W, requires_grad=True), pb.tensor(A[0], requires_grad=True)
    loop = pb.stack([(pb.sin(w2 @ x) * v2).sum() for x in map(pb.tensor, A)])
    (loop * loop).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), w2.grad.numpy())
    np.testing.assert_allclose(v.grad.numpy(), v2.grad.numpy())


def test_a_gradient_around_vmap_around_a_gradient() -> None:
    def outer(w: Any, each: Any) -> Any:
        return (each(w) ** 2).sum()

    def batched(w: Any) -> Any:
        return pb.vmap(pb.grad(lambda x: (pb.exp(w @ x)).sum()))(pb.tensor(A))

    def looped(w: Any) -> Any:
        return pb.stack([pb.grad(lambda x: pb.exp(w @ x).sum())(pb.tensor(a)) for a in A])

    got = pb.grad(lambda w: outer(w, batched))(W * 0.1)
    np.testing.assert_allclose(got, pb.grad(lambda w: outer(w, looped))(W * 0.1))
    pb.check_grads(lambda w: outer(w, batched), [W * 0.1], order=2)


def test_a_variable_of_the_outside_is_a_constant_for_the_gradient_inside() -> None:
    v = pb.tensor(A[0], requires_grad=True)
    got = pb.vmap(pb.grad(lambda x: (x * v).sum()))(A)
    assert got.requires_grad
    np.testing.assert_allclose(got.numpy(), np.tile(A[0], (4, 1)))
    got.sum().backward()
    np.testing.assert_allclose(v.grad.numpy(), np.full(3, 4.0))


def test_an_unbatched_variable_made_inside_has_a_gradient_for_each() -> None:
    got = pb.vmap(lambda x: pb.grad(lambda v: (pb.tensor(2.0, dtype="float64") * v * x).sum())(A[0]))(A)
    np.testing.assert_allclose(got, 2 * A)


def test_backward_inside_is_of_each_sample() -> None:
    def slope(x: Any) -> Any:
        x = x.detach().requires_grad_()
        (x * x * x).sum().backward()
        return x.grad

    np.testing.assert_allclose(pb.vmap(slope)(A), 3 * A * A)


def test_jacobians_compose_with_everything() -> None:
    def f(x: Any) -> Any:
        return pb.tanh(W @ x) * x[0]

    expected = per_row(lambda x: pb.jacobian(f)(x), A)
    np.testing.assert_allclose(pb.vmap(pb.jacobian(f))(A), expected)
    third = pb.jacobian(pb.hessian(lambda x: (f(x) ** 2).sum()))(A[0])
    loop = np.stack(
        [
            pb.grad(lambda x, i=i, j=j: pb.hessian(lambda z: (f(z) ** 2).sum())(x)[i, j])(A[0])
            for i in range(3)
            for j in range(3)
        ]
    )
    np.testing.assert_allclose(third, loop.reshape(3, 3, 3), atol=1e-12)
    product = pb.vmap(lambda x, t: pb.jvp(f, [x], [t])[1])(A, A[::-1].copy())
    np.testing.assert_allclose(product, np.einsum("bij,bj->bi", expected, A[::-1]))


def test_gradients_of_each_sample_of_a_model(place: Backend) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))
    xs, ys = pb.tensor(A, dtype="float32"), pb.tensor([0, 1, 1, 0])
    parameters = dict(model.named_parameters())

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        return pb.cross_entropy(nn.functional_call(model, parameters, x[None, :]), y[None])

    got = pb.vmap(pb.grad(loss), in_axes=(None, 0, 0))({k: p.detach() for k, p in parameters.items()}, xs, ys)
    for i in range(4):
        model.zero_grad()
        pb.cross_entropy(model(xs[i : i + 1, :]), ys[i : i + 1]).backward()
        for name, parameter in parameters.items():
            np.testing.assert_allclose(got[name].numpy()[i], parameter.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_arrays_in_give_arrays_out_and_tensors_tensors() -> None:
    assert isinstance(pb.vmap(pb.exp)(A), np.ndarray)
    assert isinstance(pb.vmap(pb.exp)(pb.tensor(A)), pb.Tensor)
    with pb.no_grad():
        assert not pb.vmap(pb.exp)(pb.tensor(A, requires_grad=True)).requires_grad


def test_a_shared_array_meets_the_batch_as_a_tensor(place: Backend) -> None:
    w, xs = place.from_host(W), place.from_host(A)
    got = pb.vmap(lambda w, x: (w @ x) * w[0, ...], in_axes=(None, 0))(w, xs)
    np.testing.assert_allclose(place.to_host(got), (A @ W.T) * W[0])


def test_results_are_arrays_of_their_own_that_can_be_written_to() -> None:
    xs = A.copy()
    same = pb.vmap(lambda x: x)(xs)
    slopes = pb.vmap(pb.grad(lambda x: x.sum()))(xs)
    constants = pb.vmap(lambda x: B)(xs)
    rows = pb.jacobian(lambda x: x.sum())(xs)
    doubled = pb.vmap(lambda x: [x * 2.0] * 2)(xs)
    results = [same, slopes, constants, rows, *doubled]
    for number, result in enumerate(results):
        result[...] = number
    np.testing.assert_array_equal(xs, A)
    for number, result in enumerate(results):
        np.testing.assert_array_equal(result, np.full(result.shape, number))


def test_a_constant_result_is_repeated() -> None:
    np.testing.assert_array_equal(pb.vmap(lambda x: 1.5)(A), np.full(4, 1.5))
    np.testing.assert_array_equal(pb.vmap(lambda x: B)(A), np.broadcast_to(B, (4, 5, 3)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: pb.vmap(lambda x: x if x.sum() > 0 else -x)(A), TypeError, "pb.where"),
        (lambda: pb.vmap(lambda x: x[x > 0])(A), TypeError, "pb.where"),
        (lambda: pb.vmap(lambda x: x.item())(A), TypeError, "no single value"),
        (lambda: pb.vmap(lambda x, y: x)(A, B), ValueError, "one length; got 4, 5"),
        (lambda: pb.vmap(lambda x: x, in_axes=3)(A), ValueError, "has no axis 3"),
        (lambda: pb.vmap(lambda x: x, in_axes=None)(A), ValueError, "got none"),
        (lambda: pb.vmap(lambda x, y: x, in_axes=(0,))(A, B), ValueError, "nested as its values"),
        (lambda: pb.vmap(lambda x: x)(2.0), TypeError, "got float"),
        (lambda: pb.vmap(lambda x: pb.dropout(x))(A), TypeError, "random numbers"),
        (lambda: pb.vmap(lambda x: x)(np.zeros((0, 2))), ValueError, "nothing to map over"),
    ],
)
def test_what_cannot_be_mapped_says_so(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_one_of_a_batch_can_be_printed() -> None:
    seen: list[str] = []
    pb.vmap(lambda x: seen.append(repr(x)) or x)(A)
    assert "one of a batch" in seen[0]


def test_the_jacobian_of_a_holomorphic_function_is_its_complex_derivative() -> None:
    z = A[0] + 1j * B[0]
    np.testing.assert_allclose(pb.jacobian(lambda z: z * z)(z), np.diag(2 * z))
    np.testing.assert_allclose(pb.jacobian(lambda z: pb.real(z * pb.conj(z)))(z), np.diag(2 * z))


def test_the_jacobian_by_a_real_argument_of_a_complex_value_is_complex(place: Backend) -> None:
    x = Tensor(place.from_host(A[0]))
    got = pb.jacobian(lambda x: x * x * (1 + 2j))(x)
    assert got.device == x.device
    np.testing.assert_allclose(got.numpy(), np.diag(2 * A[0] * (1 + 2j)))
    z = A[1] + 1j * B[1]
    by_x, by_z = pb.jacobian(lambda x, z: x * z * 1j, argnums=(0, 1))(A[0], z)
    np.testing.assert_allclose(by_x, np.diag(1j * z))
    np.testing.assert_allclose(by_z, np.diag(1j * A[0]))
    spectrum = pb.vmap(pb.jacobian(pb.fft.rfft))(A)
    np.testing.assert_allclose(spectrum, np.broadcast_to(np.fft.rfft(np.eye(3), axis=0), (4, 2, 3)), atol=1e-12)


def test_jacobians_and_hessians_are_nested_as_values_and_arguments_are() -> None:
    given = {"a": A[0], "b": A[1]}
    got = pb.jacobian(lambda d: (d["a"] * d["b"], {"total": d["a"].sum() * 2.0}))(given)
    np.testing.assert_allclose(got[0]["a"], np.diag(A[1]))
    np.testing.assert_allclose(got[0]["b"], np.diag(A[0]))
    np.testing.assert_allclose(got[1]["total"]["a"], np.full(3, 2.0))
    np.testing.assert_array_equal(got[1]["total"]["b"], np.zeros(3))
    second = pb.hessian(lambda d: (d["a"] * d["b"] ** 2).sum())(given)
    np.testing.assert_allclose(second["a"]["b"], np.diag(2 * A[1]))
    np.testing.assert_allclose(second["b"]["b"], np.diag(2 * A[0]))
    pairs = pb.hessian(lambda x, y: (x * y).sum(), argnums=(0, 1))(A[0], A[1])
    np.testing.assert_allclose(pairs[0][1], np.eye(3))


def test_the_jacobian_of_a_value_without_elements_has_no_rows(place: Backend) -> None:
    x = Tensor(place.from_host(A))
    assert pb.jacobian(lambda x: x[:0, :])(x).shape == (0, 3, 4, 3)
    assert pb.vmap(pb.jacobian(lambda x: x[:0]))(x).shape == (4, 0, 3)


def test_each_of_a_batch_is_indexed_by_an_integer_of_its_own() -> None:
    labels = np.asarray([0, 2, -1, 1])
    np.testing.assert_array_equal(pb.vmap(lambda x, i: x[i])(A, labels), A[np.arange(4), labels])
    np.testing.assert_array_equal(pb.vmap(lambda i: pb.tensor(A)[:, i])(labels), A.T[labels])
    slopes = pb.vmap(pb.grad(lambda x, i: x[i] ** 2))(A, labels)
    np.testing.assert_array_equal(slopes, 2 * A * np.eye(3)[labels])
