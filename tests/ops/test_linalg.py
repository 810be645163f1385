"""Linear algebra against PyTorch and closed forms; degenerate matrices; what is refused; the kernels of large ones."""

import inspect
from importlib import import_module
from math import inf

import array_api_strict
import numpy as np
import pytest

import pullback as pb
from pullback.backends import blas_threads, linalg_kernels, open_backend
from pullback.ops import linalg

SQUARE, TALL, WIDE = (3, 3), (2, 5, 3), (3, 5)


def adjoint(xp, x):
    return xp.conj(x).mT


def hermitian(xp, x):
    return (x + adjoint(xp, x)) / 2


def positive(xp, x):
    return xp.matmul(x, adjoint(xp, x)) + 1.0 * xp.asarray(np.eye(x.shape[-1]))


# Vectors are taken together so that neither their signs, nor phases, nor order are of account.


def eigh(xp, x):
    w, v = xp.linalg.eigh(hermitian(xp, x))
    return w, xp.matmul(v * (w * w * w)[..., None, :], adjoint(xp, v))


def eig(xp, x):
    w, v = xp.linalg.eig(x)
    return xp.matmul(v * (w * w)[..., None, :], xp.linalg.inv(v)), xp.matmul(v * w[..., None, :], adjoint(xp, v))


def svd(xp, x):
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    cubes = (s * s * s)[..., None, :]
    return s, xp.matmul(u * cubes, vh), xp.matmul(u * cubes, adjoint(xp, u))


def power(n):
    return lambda xp, x: xp.linalg.matrix_power(x, n)


def with_options(name, **options):
    return lambda xp, *xs: getattr(xp.linalg, name)(*xs, **options)


# A name, what is computed in which namespace, and the shapes of the inputs.
CASES = [
    ("cholesky", lambda xp, x: xp.linalg.cholesky(positive(xp, x)), [SQUARE]),
    ("cholesky-upper", lambda xp, x: xp.linalg.cholesky(positive(xp, x), upper=True), [(2, 3, 3)]),
    ("cross", with_options("cross"), [(2, 3), (4, 1, 3)]),
    ("cross-axis", with_options("cross", axis=-2), [(3, 4), (3, 4)]),
    ("det", with_options("det"), [SQUARE]),
    ("det-stacked", with_options("det"), [(2, 1, 4, 4)]),
    ("diagonal", with_options("diagonal", offset=1), [WIDE]),
    ("diagonal-below", with_options("diagonal", offset=-1), [TALL]),
    ("eig", eig, [SQUARE]),
    ("eig-stacked", eig, [(2, 4, 4)]),
    ("eigh", eigh, [SQUARE]),
    ("eigh-stacked", eigh, [(2, 4, 4)]),
    ("eigvals", lambda xp, x: xp.sum(xp.linalg.eigvals(x) ** 3, axis=-1), [(2, 3, 3)]),
    ("eigvalsh", lambda xp, x: xp.linalg.eigvalsh(hermitian(xp, x)), [(2, 3, 3)]),
    ("inv", with_options("inv"), [(2, 3, 3)]),
    *((f"matrix_norm-{ord}", with_options("matrix_norm", ord=ord), [TALL]) for ord in ("fro", "nuc", 1, -1, 2, -2)),
    *((f"matrix_norm-{ord}", with_options("matrix_norm", ord=ord), [WIDE]) for ord in (inf, -inf)),
    *((f"matrix_power-{n}", power(n), [(2, 3, 3)]) for n in (-3, -1, 0, 1, 2, 5)),
    ("outer", lambda xp, x, y: xp.linalg.outer(x, y), [(3,), (4,)]),
    ("pinv-tall", with_options("pinv"), [TALL]),
    ("pinv-wide", with_options("pinv"), [WIDE]),
    ("pinv-cut", with_options("pinv", rtol=0.4), [WIDE]),
    ("qr-tall", with_options("qr"), [TALL]),
    ("qr-square", with_options("qr", mode="complete"), [SQUARE]),
    ("qr-wide", with_options("qr"), [WIDE]),
    ("slogdet", with_options("slogdet"), [(2, 3, 3)]),
    ("solve", with_options("solve"), [(2, 1, 3, 3), (4, 3, 2)]),
    ("solve-vector", with_options("solve"), [SQUARE, (3,)]),
    ("svd-square", svd, [SQUARE]),
    ("svd-tall", svd, [TALL]),
    ("svd-wide", svd, [WIDE]),
    ("svdvals", with_options("svdvals"), [TALL]),
    ("tensordot", lambda xp, x, y: xp.tensordot(x, y, axes=((0, 2), (2, 0))), [(2, 3, 4), (4, 5, 2)]),
    ("tensordot-number", lambda xp, x, y: xp.tensordot(x, y, axes=1), [(2, 3), (3, 4)]),
    ("trace", with_options("trace", offset=-1), [TALL]),
    ("vecdot", lambda xp, x, y: xp.vecdot(x, y, axis=-2), [(3, 4), (2, 3, 4)]),
    *(
        (f"vector_norm-{ord}", with_options("vector_norm", ord=ord, axis=-1), [(2, 4)])
        for ord in (1, 2, 3, 2.5, 0.5, -1, -2, inf, -inf)
    ),
    ("vector_norm-axes", with_options("vector_norm", axis=(0, 2), keepdims=True), [(2, 3, 4)]),
]


@pytest.fixture
def torch_namespace():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pullback[parity]'")
    return import_module("array_api_compat.torch")


def draw(shape, dtype, seed):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape)
    return np.asarray(x + 1j * generator.standard_normal(shape) if dtype == "complex128" else x)


def listed(y):
    return list(y) if isinstance(y, tuple) else [y]


def value_and_gradients(function, inputs):
    variables = [pb.tensor(x, requires_grad=True) for x in inputs]
    outputs = listed(function(pb, *variables))
    for y, w in zip(outputs, weights(outputs), strict=True):
        if y.requires_grad:
            y.backward(pb.tensor(w), retain_graph=True)
    return [y.numpy() for y in outputs], [x.grad.numpy() for x in variables]


def weights(outputs):
    return [draw(tuple(y.shape), str(y.dtype).rpartition(".")[2], 10 + i) for i, y in enumerate(outputs)]


def torch_value_and_gradients(xp, function, inputs):
    torch = import_module("torch")
    variables = [torch.from_numpy(x.copy()).requires_grad_() for x in inputs]
    outputs = listed(function(xp, *variables))
    for y, w in zip(outputs, weights(outputs), strict=True):
        if y.requires_grad:
            y.backward(torch.from_numpy(w), retain_graph=True)
    return [y.detach().resolve_conj().numpy() for y in outputs], [x.grad.resolve_conj().numpy() for x in variables]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parity
@pytest.mark.on_numpy
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(("function", "shapes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_values_and_gradients_are_those_of_pytorch(function, shapes, dtype, torch_namespace):
    inputs = [draw(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    values, gradients = value_and_gradients(function, inputs)
    expected, their_gradients = torch_value_and_gradients(torch_namespace, function, inputs)
    assert_same(values, expected)
    assert_same(gradients, their_gradients)


def test_every_function_of_the_standard_is_there_with_its_signature():
    for name in [*array_api_strict.linalg.__all__, "eig", "eigvals"]:
        ours = inspect.signature(getattr(linalg, name)).parameters
        theirs = inspect.signature(getattr(array_api_strict.linalg, name)).parameters
        assert {n: (p.kind, p.default) for n, p in ours.items()} == {
            n: (p.kind, p.default) for n, p in theirs.items()
        }, name


EQUAL_VALUES = {
    "identity": np.eye(3),
    "zeros": np.zeros((3, 3)),
    "rank one": np.ones((3, 3)),
    "two equal": np.diag([2.0, 2.0, 1.0]),
    "signs": np.diag([1.0, -1.0, 1.0]),
}
OF_VALUES = {
    "svdvals": lambda xp, x: xp.linalg.svdvals(x),
    "svd": lambda xp, x: xp.linalg.svd(x)[1],
    "eigvalsh": lambda xp, x: xp.linalg.eigvalsh(x),
    "eigh": lambda xp, x: xp.linalg.eigh(x)[0],
    **{f"norm {ord}": lambda xp, x, ord=ord: xp.linalg.matrix_norm(x, ord=ord) for ord in ("nuc", 2, -2, "fro", 1)},
    "pinv": lambda xp, x: xp.linalg.pinv(x),
}


@pytest.mark.parity
@pytest.mark.on_numpy
@pytest.mark.parametrize("matrix", EQUAL_VALUES)
@pytest.mark.parametrize("name", OF_VALUES)
def test_equal_and_zero_singular_values_give_finite_gradients(name, matrix, torch_namespace):
    def total(xp, x):  # all alike, so that the choice among equal vectors is of no account
        return xp.sum(OF_VALUES[name](xp, x))

    (value,), (gradient,) = value_and_gradients(total, [EQUAL_VALUES[matrix]])
    (expected,), (theirs,) = torch_value_and_gradients(torch_namespace, total, [EQUAL_VALUES[matrix]])
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(value, expected, atol=1e-12)
    singular = np.linalg.matrix_rank(EQUAL_VALUES[matrix]) < 3
    if not (singular and name in ("svdvals", "svd", "norm nuc", "norm 2", "norm -2")):  # there it is one of many
        np.testing.assert_allclose(gradient, (theirs + theirs.T) / 2 if "eig" in name else theirs, atol=1e-12)


@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_what_spans_the_same_space_has_a_gradient_where_eigenvalues_are_equal(kind, place):
    q, _ = np.linalg.qr(draw((4, 4), kind, 0))
    x = pb.tensor((q * [1.0, 1.0, 2.0, 3.0]) @ np.conj(q.T), requires_grad=True)
    v = pb.linalg.eigh(x).eigenvectors[:, :2]
    projector = pb.matmul(v, pb.conj(v).mT)
    weight = pb.tensor(draw((4, 4), kind, 1))
    pb.real(pb.sum(projector * weight)).backward()
    # Closed form: the projector on the rest takes part by 1 / (1 - w).
    w = weight.numpy()
    rest = sum(np.outer(q[:, i], q[:, i].conj()) / (1 - value) for i, value in ((2, 2.0), (3, 3.0)))
    own = q[:, :2] @ q[:, :2].conj().T
    change = rest.T @ w @ own.T + own.T @ w @ rest.T
    expected = np.conj(change + np.conj(change.T)) / 2
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-6)


def test_the_determinant_has_a_third_derivative_where_singular_values_are_equal(place):
    pb.check_grads(linalg.det, [pb.asarray(np.eye(3))], order=3)


def test_the_gradient_of_a_singular_determinant_is_its_cofactors(place):
    x = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
    minors = [
        [np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) * (-1) ** (i + j) for j in range(3)] for i in range(3)
    ]
    np.testing.assert_allclose(pb.grad(linalg.det)(pb.tensor(x)).numpy(), minors, atol=1e-12)
    assert not pb.grad(linalg.det)(pb.tensor(np.zeros((3, 3)))).numpy().any()


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("ord", [0, 0.5, 1, 1.5, 2, 3, inf])
def test_the_gradient_of_a_norm_at_zero_is_zero(ord, dtype, place):
    x = pb.tensor(np.zeros((2, 3), dtype=dtype), requires_grad=True)
    linalg.vector_norm(x, axis=1, ord=ord).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((2, 3)))


def test_elements_that_tie_for_the_largest_share_the_gradient(place):
    x = pb.tensor([2.0, -2.0, 1.0], requires_grad=True)
    linalg.vector_norm(x, ord=inf).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0.5, -0.5, 0.0])


def test_a_gradient_that_reaches_vectors_without_singular_values_is_refused(place):
    for shape, which in (((4, 2), "U"), ((2, 4), "Vh")):
        x = pb.tensor(draw(shape, "float64", 0), requires_grad=True)
        with pytest.raises(ValueError, match="use full_matrices=False"):
            getattr(linalg.svd(x), which).sum().backward()
    x = pb.tensor(draw((4, 2), "float64", 0), requires_grad=True)
    with pytest.raises(ValueError, match='use mode="reduced"'):
        linalg.qr(x, mode="complete").Q.sum().backward()


def test_what_a_complete_decomposition_has_in_common_with_the_reduced_has_its_gradient(place):
    x = draw((2, 4, 2), "complex128", 0)

    def of_svd(full):
        return lambda xp, x: (lambda u, s, vh: (s, xp.abs(u[..., :2])))(*xp.linalg.svd(x, full_matrices=full))

    def of_qr(mode):
        return lambda xp, x: (lambda q, r: (q[..., :2], r[..., :2, :]))(*xp.linalg.qr(x, mode=mode))

    for complete, reduced in ((of_svd(True), of_svd(False)), (of_qr("complete"), of_qr("reduced"))):
        assert_same(value_and_gradients(complete, [x])[1], value_and_gradients(reduced, [x])[1])


def test_hermitian_matrices_get_hermitian_gradients(place):
    x = hermitian(np, draw((3, 3), "complex128", 0)) + 5 * np.eye(3)
    for function in (linalg.cholesky, linalg.eigvalsh, lambda x: linalg.eigh(x).eigenvalues):
        grad = pb.grad(lambda x, f=function: pb.real(pb.sum(f(x) ** 2)))(pb.tensor(x)).numpy()
        np.testing.assert_allclose(grad, grad.conj().T, atol=1e-12)


BAD = [
    (
        lambda x: linalg.det(x),
        (2, 3),
        r"det expected square matrices, .* got the shape \(2, 3\)",
    ),
    *(
        (lambda x, name=name: getattr(linalg, name)(x), (4, 2, 3), f"{name} expected square matrices")
        for name in ("cholesky", "eig", "eigh", "eigvals", "eigvalsh", "inv", "slogdet")
    ),
    (lambda x: linalg.matrix_power(x, 2), (3,), "matrix_power expected square matrices"),
    (lambda x: linalg.solve(x, x), (2, 3), "solve expected square matrices"),
    (lambda x: linalg.cross(x, x), (2,), "cross takes vectors of 3 elements"),
    (lambda x: linalg.outer(x, x), (2, 2), "outer takes two vectors"),
    (lambda x: linalg.vecdot(x, x[:1]), (3,), "vecdot takes vectors of one length"),
    (lambda x: linalg.tensordot(x, x, axes=1), (2, 3), "axes of equal lengths"),
    (lambda x: linalg.tensordot(x, x, axes=3), (2, 2), "axes of equal lengths"),
    (lambda x: linalg.qr(x, mode="r"), (2, 2), "'reduced' and 'complete'; got 'r'"),
    (lambda x: linalg.matrix_norm(x, ord=3), (2, 2), "matrix_norm knows ord"),
]


@pytest.mark.parametrize(("call", "shape", "message"), BAD)
def test_bad_arguments_are_told_in_a_line(call, shape, message, place):
    for x in (pb.tensor(np.ones(shape)), pb.tensor(np.ones(shape), requires_grad=True)):
        with pytest.raises(ValueError, match=message):
            call(x)


def test_a_singular_matrix_raises_the_librarys_own_error(place):
    for call in (linalg.inv, lambda x: linalg.solve(x, x)):
        with pytest.raises(Exception, match=r"(?i)singular"):
            call(pb.tensor(np.ones((2, 2))))


def test_ranks_count_what_is_above_the_tolerance(place):
    x = pb.tensor(np.stack([np.diag([1.0, 0.1, 0.0]), np.diag([2.0, 0.0, 0.0])]))
    assert linalg.matrix_rank(x).tolist() == [2, 1]
    assert linalg.matrix_rank(x, rtol=0.5).tolist() == [1, 1]
    assert linalg.matrix_rank(x, rtol=pb.tensor([0.01, 0.2], dtype=pb.float64)).tolist() == [2, 1]
    assert linalg.matrix_rank(pb.tensor(np.zeros((2, 0, 3)))).tolist() == [0, 0]
    assert linalg.matrix_rank(x).dtype == pb.int64


def test_a_pseudo_inverse_takes_a_tolerance_for_each_matrix(place):
    x = pb.tensor(np.stack([np.diag([1.0, 0.1]), np.diag([1.0, 0.1])]), requires_grad=True)
    y = linalg.pinv(x, rtol=pb.tensor([0.01, 0.5], dtype=pb.float64))
    np.testing.assert_allclose(y.numpy(), [np.diag([1.0, 10.0]), np.diag([1.0, 0.0])], atol=1e-12)


def test_a_trace_is_summed_in_the_data_type_asked_for(place):
    x = pb.tensor([[100, 1], [1, 100]], dtype=pb.int8)
    assert (linalg.trace(x).item(), linalg.trace(x).dtype) == (200, pb.int64)
    assert linalg.trace(x, dtype=pb.float32).dtype == pb.float32
    whole = linalg.trace(pb.tensor([[1.5, 0.0], [0.0, 1.5]], requires_grad=True), dtype=pb.int64)
    assert (whole.item(), whole.requires_grad) == (2, False)


LARGE = [(64, 1), (100, 16), (100, 17), (130, 70), (256, 256)]


@pytest.fixture
def reference():
    pytest.importorskip("scipy")
    return open_backend("numpy").namespace


def tolerance(dtype):
    return {"float32": 2e-3, "float64": 1e-9}[dtype]


@pytest.mark.on_numpy
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "k"), LARGE)
def test_large_systems_are_solved_as_by_the_reference(n, k, dtype, reference):
    a, b, g = (draw(shape, "float64", i).astype(dtype) for i, shape in enumerate([(n, n), (n, k), (n, k)]))
    rule = next(rule for rule in linalg.solve.rules)
    for x1, x2, grad in ((a, b, g), (a.T, b, g), (a, b[:, 0], g[:, 0])):
        expected = linalg.solve.function(reference, x1, x2)
        got = linalg_kernels.solve(x1, x2)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(got, expected, atol=tolerance(dtype) * abs(expected).max())
        saved = grad, x1, x2.shape, expected
        for piece, right in zip(linalg_kernels.solve_vjp(*saved), rule.function(reference, *saved), strict=True):
            assert (piece.shape, piece.dtype) == (right.shape, right.dtype)
            np.testing.assert_allclose(piece, right, atol=tolerance(dtype) * abs(right).max())


@pytest.mark.on_numpy
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(64, 64), (100, 70), (70, 100)])
@pytest.mark.parametrize("full", [True, False])
def test_large_matrices_are_decomposed_as_by_the_reference(shape, full, dtype, reference):
    x = draw(shape, "float64", 0).astype(dtype)
    got = linalg_kernels.svd(x, full_matrices=full)
    expected = reference.linalg.svd(x, full_matrices=full)
    assert [(y.shape, y.dtype) for y in got] == [(y.shape, y.dtype) for y in expected]
    (u, s, vh), k = got, min(shape)
    np.testing.assert_allclose(s, expected[1], rtol=tolerance(dtype))
    np.testing.assert_allclose((u[:, :k] * s) @ vh[:k], x, atol=tolerance(dtype))
    np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=tolerance(dtype))
    if shape[0] == shape[1]:
        w, v = linalg_kernels.eigh(x)
        np.testing.assert_allclose((v * w) @ v.T, (x + x.T) / 2, atol=tolerance(dtype))
        assert w.dtype == v.dtype == x.dtype


@pytest.mark.on_numpy
def test_factors_at_hand_are_used_for_the_same_elements_only(reference):
    a, b = draw((80, 80), "float64", 0), draw((80, 3), "float64", 1)
    linalg_kernels.solve(a, b)
    a[0, 0] += 1.0
    np.testing.assert_allclose(a @ linalg_kernels.solve(a, b), b, atol=1e-10)


@pytest.mark.on_numpy
def test_kernels_leave_stacks_small_complex_mixed_and_singular_matrices_alone(reference):
    large, thin = np.ones((80, 80)), np.ones((80, 2))
    for x1, x2 in ((np.eye(3), np.ones(3)), (large[None], thin[None]), (large + 0j, thin), (large, thin)):
        assert linalg_kernels.solve(x1, x2) is NotImplemented
    assert linalg_kernels.solve(np.eye(80), thin.astype("float32")) is NotImplemented
    assert linalg_kernels.solve(np.eye(80), np.ones((70, 2))) is NotImplemented
    for kernel in (linalg_kernels.svd, linalg_kernels.eigh):
        assert kernel(np.eye(3)) is kernel(large[None]) is kernel(large + 0j) is NotImplemented


@pytest.mark.on_numpy
def test_threads_are_given_back_when_the_last_of_several_decompositions_is_through(reference):
    controller = pytest.importorskip("threadpoolctl").ThreadpoolController().select(internal_api="openblas")
    before = [library["num_threads"] for library in controller.info()]
    one = blas_threads.OneThread(controller.lib_controllers)
    with one:
        one.__enter__()
        assert {library["num_threads"] for library in controller.info()} <= {1}
    assert {library["num_threads"] for library in controller.info()} <= {1}
    one.__exit__()
    assert [library["num_threads"] for library in controller.info()] == before


def test_under_vmap_each_matrix_can_have_a_tolerance_of_its_own() -> None:
    x, tolerances = np.random.default_rng(0).standard_normal((4, 3, 3)), np.asarray([1e-9, 0.3, 0.5, 0.9])
    got = pb.vmap(lambda x, rtol: pb.linalg.pinv(x, rtol=rtol))(x, tolerances)
    np.testing.assert_allclose(got, [np.linalg.pinv(a, rtol=rtol) for a, rtol in zip(x, tolerances, strict=True)])
