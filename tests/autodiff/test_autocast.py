"""Mixed precision: what is cast, what is not, and that gradients come back in their variables' own types."""

import asyncio
import threading

import numpy as np
import pytest

import pullback as pb
from pullback.autodiff.op import Op, registry
from pullback.backends import open_backend, products_in_tf32

pytestmark = pytest.mark.on_numpy

ml_dtypes = pytest.importorskip("ml_dtypes")
RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def variable(*shape):
    return pb.tensor(draw(*shape), requires_grad=True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_products_are_low_and_sums_are_float32_of_arrays_and_tensors(dtype):
    for kind in (np.asarray, pb.tensor):
        x, w = kind(draw(5, 3)), kind(draw(4, 3))
        with pb.autocast(dtype):
            y = pb.linear(x, w)
            assert y.dtype == dtype
            assert (x @ w.T).dtype == (dtype if kind is pb.tensor else "float32")  # NumPy's own operator
            assert pb.matmul(x, pb.matrix_transpose(w)).dtype == dtype
            assert pb.einsum("ij,kj->ik", x, w).dtype == dtype
            assert pb.relu(y).dtype == (y + y).dtype == pb.multiply(y, 0.5).dtype == dtype
            assert (y + x[:, :1]).dtype == "float32"  # as everywhere: of two types, the wider
            for wide in (pb.sum(y), pb.mean(y), pb.softmax(y), pb.exp(y), pb.var(y), pb.linalg.vector_norm(y)):
                assert wide.dtype == "float32"
        assert pb.linear(x, w).dtype == "float32"


def test_a_product_is_that_of_rounded_factors_rounded_once():
    x, w, b = draw(6, 50), draw(4, 50), draw(4)
    with pb.autocast("bfloat16"):
        got = pb.linear(x, w, b)
    x, w, b = (a.astype(ml_dtypes.bfloat16).astype("float64") for a in (x, w, b))
    expected = (x @ w.T + b).astype("float32").astype(ml_dtypes.bfloat16)
    assert np.mean(got != expected) < 0.05  # but for sums that float32 rounds across the middle of two
    np.testing.assert_allclose(got.astype("float64"), expected.astype("float64"), rtol=2**-7)


def test_parameters_keep_their_type_and_so_do_their_gradients():
    x, w, b = draw(6, 3), variable(4, 3), variable(4)
    with pb.autocast("bfloat16"):
        loss = pb.cross_entropy(pb.relu(pb.linear(x, w, b)), np.arange(6) % 4)
    assert loss.dtype == "float32"
    loss.backward()
    assert {w.dtype.name, b.dtype.name, w.grad.dtype.name, b.grad.dtype.name} == {"float32"}
    mixed = w.grad.numpy()
    w.grad = None
    pb.cross_entropy(pb.relu(pb.linear(x, w, b)), np.arange(6) % 4).backward()
    np.testing.assert_allclose(mixed, w.grad.numpy(), atol=2**-7 * np.abs(mixed).max())
    assert not np.array_equal(mixed, w.grad.numpy())


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("create_graph", [True, False])
def test_gradients_are_computed_in_the_types_of_the_forward(inside, create_graph):

    w, x = variable(4, 4), variable(4, 4)
    with pb.autocast("bfloat16"):
        inner = pb.matmul(x, w)
        y = inner.sum()
        if inside:
            y.backward(create_graph=create_graph)
    if not inside:
        y.backward(create_graph=create_graph)
    found = w.grad.numpy()
    ones = np.ones((4, 4), ml_dtypes.bfloat16)
    expected = pb.matmul(np.ascontiguousarray(x.numpy().astype(ml_dtypes.bfloat16).T), ones).astype("float32")
    np.testing.assert_array_equal(found, expected)


def test_a_walk_back_inside_of_the_block_casts_nothing():
    x, w = variable(5, 3), variable(4, 3)
    y = (pb.linear(x, w) ** 2).sum()
    y.backward(retain_graph=True)
    expected, w.grad = w.grad.numpy(), None
    with pb.autocast("bfloat16"):
        y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), expected)


def test_gradients_of_gradients_go_through_casts():
    x = pb.tensor([0.5, 1.5], requires_grad=True)
    with pb.autocast("bfloat16"):
        (slope,) = pb.grad(lambda x: pb.vecdot(x * x, x), argnums=(0,))(x)
        (pb.vecdot(slope, pb.ones(2))).backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.numpy(), rtol=2**-6)


def test_blocks_nest_and_can_be_left_out():
    x = draw(2, 2)

    def kind():
        return pb.matmul(x, x).dtype.name

    with pb.autocast("bfloat16"):
        assert kind() == "bfloat16"
        with pb.autocast(enabled=False):
            assert kind() == "float32"
            with pb.autocast(pb.float16):
                assert kind() == "float16"
        assert kind() == "bfloat16"
    with pytest.raises(ZeroDivisionError), pb.autocast("float16"):
        raise ZeroDivisionError
    assert kind() == "float32"


def test_a_function_is_decorated_and_one_block_entered_again():
    block = pb.autocast("float16")

    @block
    def product(x, /, depth=0):
        """A product."""
        return product(x, depth=depth - 1) if depth else pb.matmul(x, x)

    assert product.__doc__ == "A product."
    assert product(draw(2, 2), depth=2).dtype == "float16"
    assert pb.matmul(draw(2, 2), draw(2, 2)).dtype == "float32"
    assert repr(block) == "autocast('float16')"


def test_a_block_is_of_one_thread_and_of_one_task():
    x, found = draw(2, 2), []
    block = pb.autocast("bfloat16")

    def elsewhere():
        found.append(pb.matmul(x, x).dtype.name)
        with block:
            found.append(pb.matmul(x, x).dtype.name)

    with block:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert found == ["float32", "bfloat16"]

    async def task(kind, turns):
        with pb.autocast(kind):
            for _ in range(turns):
                await asyncio.sleep(0)
                assert pb.matmul(x, x).dtype == kind
        return pb.matmul(x, x).dtype.name

    async def both():
        return await asyncio.gather(task("bfloat16", 3), task("float16", 5))

    assert asyncio.run(both()) == ["float32", "float32"]


def test_float64_is_left_alone_and_so_is_what_meets_it():
    x, wide = draw(3, 3), RNG.standard_normal((3, 3))
    with pb.autocast("bfloat16"):
        np.testing.assert_array_equal(pb.matmul(wide, wide), wide @ wide)
        np.testing.assert_array_equal(pb.matmul(x, wide), x @ wide)
        assert pb.exp(wide).dtype == "float64"
        assert pb.matmul(x + 0j, x).dtype == "complex64"
        assert pb.matmul(np.eye(2, dtype="int64"), np.eye(2, dtype="int64")).dtype == "int64"


def test_what_a_cast_op_calls_is_cast_no_more():
    x = draw(4, 4) + 4 * np.eye(4, dtype="float32")
    with pb.autocast("bfloat16"):
        np.testing.assert_array_equal(pb.linalg.matrix_power(x, 3), x @ x @ x)
        np.testing.assert_array_equal(pb.linalg.inv(x), np.linalg.inv(x))


def test_a_checkpoint_computes_again_what_it_computed():
    x, w = variable(5, 3), variable(3, 3)

    def layer(x):
        return pb.relu(pb.matmul(x, w))

    def gradients(call):
        x.grad = w.grad = None
        with pb.autocast("bfloat16"):
            y = call(call(x))
        (y * y).sum().backward()
        return y.dtype, x.grad.numpy(), w.grad.numpy()

    for got, expected in zip(gradients(lambda x: pb.checkpoint(layer, x)), gradients(layer), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_vmap_and_products_with_jacobians_are_cast_alike():
    x, w = draw(5, 3), draw(4, 3)
    with pb.autocast("bfloat16"):
        got = pb.vmap(lambda x: pb.linear(x, w))(x)
        np.testing.assert_array_equal(got, pb.linear(x, w))
        y, pullback = pb.vjp(lambda x: pb.linear(x, w), x)
        assert (y.dtype, pullback(y)[0].dtype) == ("bfloat16", "float32")
        y, tangent = pb.jvp(lambda x: pb.linear(x, w), [x], [x])
        np.testing.assert_array_equal(y, tangent)


@pytest.mark.parametrize("given", ["int8", "float32", "half", None, 3, [1]])
def test_a_type_that_there_is_not_is_refused(given):
    with pytest.raises(ValueError, match=r"autocast is to one of 'bfloat16', 'float16', 'tf32'; got ") as error:
        pb.autocast(given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", ["high", "bfloat16", None, [1]])
def test_an_op_is_cast_low_or_to_float32_and_to_nothing_else(given):
    with pytest.raises(ValueError, match=r"^autocasts_to is 'low' or 'float32'; got "):
        pb.autocasts_to(given)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_a_backend_without_the_type_is_named(kind):
    with pb.use("array_api_strict"), pb.autocast(kind):
        x = pb.ones((2, 2))
        match = rf'^autocast\("{kind}"\): the array_api_strict backend has no data type \'{kind}\'; name one of bool'
        with pytest.raises(TypeError, match=match):
            pb.matmul(x, x)
        assert pb.sum(x).dtype == "float32"


@pytest.fixture
def products(monkeypatch):
    """What `products_in_tf32` said to each matrix product."""
    numpy, said = open_backend("numpy"), []
    kernel = numpy.kernels["matmul"]

    def product(x1, x2):
        said.append(products_in_tf32())
        return kernel(x1, x2)

    monkeypatch.setitem(numpy.kernels, "matmul", product)
    monkeypatch.setattr(numpy, "implementations", {})
    for op in registry.values():
        monkeypatch.setattr(op, "_runs", {})
    return said


@pytest.mark.parametrize("create_graph", [False, True])
def test_tf32_is_remembered_on_the_way_back(products, create_graph):
    x, w = variable(3, 3), variable(3, 3)
    with pb.autocast("tf32"):
        y = pb.matmul(x, w)
        assert y.dtype == "float32"
    z = pb.matmul(y, w)
    assert products == [True, False]
    z.sum().backward(create_graph=create_graph)
    assert products[2:] == [False, False, True, True]  # of the newer product first
    assert not products_in_tf32()
    if create_graph:
        del products[:]
        (x.grad * x.grad).sum().backward()
        assert True in products
        assert False in products


def test_tf32_is_for_what_autocast_takes_low_and_for_nothing_inside_of_others(products):
    x = draw(3, 3) + 3 * np.eye(3, dtype="float32")
    with pb.autocast("tf32"):
        pb.affine_grid(x[None, :2], size=(1, 2, 2, 1))
        pb.einsum("ij,jk->ik", x, x)
        with pb.autocast(enabled=False):
            pb.matmul(x, x)
    assert products == [False, True, False]
    with pb.autocast("bfloat16"):
        pb.matmul(x, x)
    assert products[-1] is False


def test_every_op_that_takes_products_says_what_it_is_cast_to(monkeypatch):
    """Else its inner products would be low, and nothing around them: ops made of others are cast as those are."""
    stack, silent = [], set()
    on_arrays = Op._on_arrays

    def watched(self, inputs, metadata):
        outer = next((name for name in reversed(stack)), None)
        if self.precision == "low" and outer and not any(registry[name].precision for name in stack):
            silent.add(outer)
        stack.append(self.name)
        try:
            return on_arrays(self, inputs, metadata)
        finally:
            stack.pop()

    monkeypatch.setattr(Op, "_on_arrays", watched)
    for op in list(registry.values()):
        if op.function.__module__.startswith("pullback.ops."):
            for example in op.examples:
                op(*example.draw(), **example.metadata)
    composites = {name for name in silent if not registry[name].rules}
    assert silent - composites <= {"cofactor"}  # which only the gradient of a determinant calls
    assert composites <= {"tensordot", "linear_cross_entropy"}


TORCH = {
    # name: ours, PyTorch's; of inputs of float32 where both cast down, of bfloat16 where both cast up
    "matmul": ("low", lambda m, x: m.matmul(x, x)),
    "linear": ("low", lambda m, x: m.linear(x, x) if m is pb else _torch().nn.functional.linear(x, x)),
    "vecdot": ("low", lambda m, x: m.linalg.vecdot(x, x)),
    "einsum": ("low", lambda m, x: m.einsum("ij,jk->ik", x, x)),
    "tensordot": ("low", lambda m, x: m.tensordot(x, x, **{"axes" if m is pb else "dims": 1})),
    "attention": ("low", lambda m, x: _functional(m).scaled_dot_product_attention(x[None], x[None], x[None])),
    "prelu": ("low", lambda m, x: _functional(m).prelu(x, x[0, :1])),
    "conv": (
        "low",
        lambda m, x: m.conv(x[None], x[:, None]) if m is pb else _functional(m).conv1d(x[None], x[..., None]),
    ),
    "mse_loss": ("float32", lambda m, x: _functional(m).mse_loss(x, x)),
    "l1_loss": ("float32", lambda m, x: _functional(m).l1_loss(x, x)),
    "huber_loss": ("float32", lambda m, x: _functional(m).huber_loss(x, x)),
    "smooth_l1_loss": ("float32", lambda m, x: _functional(m).smooth_l1_loss(x, x)),
    "kl_div": ("float32", lambda m, x: _functional(m).kl_div(x, x, reduction="sum")),
    "poisson_nll_loss": ("float32", lambda m, x: _functional(m).poisson_nll_loss(x, x)),
    "binary_cross_entropy_with_logits": (
        "float32",
        lambda m, x: _functional(m).binary_cross_entropy_with_logits(x, x),
    ),
    "prod": ("float32", lambda m, x: m.prod(x)),
    "trace": ("float32", lambda m, x: m.linalg.trace(x) if m is pb else m.trace(x)),
    "cdist": ("float32", lambda m, x: _functional(m).cdist(x, x) if m is pb else m.cdist(x, x)),
    "inv": ("float32", lambda m, x: m.linalg.inv(x)),
    "cholesky": ("float32", lambda m, x: m.linalg.cholesky(x)),
    "solve": ("float32", lambda m, x: m.linalg.solve(x, x)),
    "svdvals": ("float32", lambda m, x: m.linalg.svdvals(x)),
    "eigvalsh": ("float32", lambda m, x: m.linalg.eigvalsh(x)),
    "qr": ("float32", lambda m, x: m.linalg.qr(x)[0]),
    "rfft": ("complex64", lambda m, x: m.fft.rfft(x)),
    # PyTorch's list for CUDA has these too, that for CPU has not: sums and exponentials are float32 here everywhere.
    "softmax": ("float32, on CUDA", lambda m, x: m.softmax(x, **{"axis" if m is pb else "dim": -1})),
    "sum": ("float32, on CUDA", lambda m, x: m.sum(x)),
    "exp": ("float32, on CUDA", lambda m, x: m.exp(x)),
    "pow": ("float32, on CUDA", lambda m, x: m.pow(x, 2.0)),
    "logsumexp": ("float32, on CUDA", lambda m, x: _special(m).logsumexp(x, **{"axis" if m is pb else "dim": -1})),
    "layer_norm": ("float32, on CUDA", lambda m, x: _functional(m).layer_norm(x, normalized_shape=(3,))),
    # In no list of PyTorch's, whose own kernel adds float32 up and rounds: a mean is a sum.
    "mean": ("float32, here alone", lambda m, x: m.mean(x)),
    # What is in no list runs in what it is given.
    "tanh": ("bfloat16", lambda m, x: m.tanh(x)),
    "relu": ("bfloat16", lambda m, x: m.relu(x)),
    "add": ("bfloat16", lambda m, x: m.add(x, x)),
    "concat": ("bfloat16", lambda m, x: m.concat([x, x])),
    "max": ("bfloat16", lambda m, x: m.max(x)),
}


def _torch():
    import torch

    return torch


def _functional(m):
    return m if m is pb else m.nn.functional


def _special(m):
    return pb.special if m is pb else m.special


@pytest.mark.parity
@pytest.mark.parametrize("name", TORCH)
def test_types_are_those_of_pytorchs_autocast(name):
    torch = pytest.importorskip("torch")
    expected, call = TORCH[name]
    x = (4 * np.eye(3) + 0.5).astype("float32")
    low = expected == "low"
    ours, theirs = pb.tensor(x), torch.tensor(x)
    if not low:
        ours, theirs = ours.astype("bfloat16"), theirs.to(torch.bfloat16)
    with pb.autocast("bfloat16"), torch.autocast("cpu", torch.bfloat16):
        mine, its = call(pb, ours).dtype.name, str(call(torch, theirs).dtype).removeprefix("torch.")
    kind, _, where = expected.partition(", ")
    assert mine == ("bfloat16" if low else kind)
    assert its == ("bfloat16" if where else mine)
