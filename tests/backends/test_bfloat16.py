"""bfloat16 on NumPy: what ml_dtypes leaves undone."""

import sys

import numpy as np
import pytest

import pullback as pb
from pullback.backends import bfloat16 as through_ml_dtypes
from pullback.backends import open_backend

pytestmark = pytest.mark.on_numpy

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = ml_dtypes.bfloat16
RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype(BF16)


def exact(x):
    return x.astype("float64")


MANY = np.ones((3000, 3), BF16)
SUMS = {
    "sum": lambda x: pb.sum(x, axis=0),
    "mean": lambda x: pb.mean(x, axis=0),
    "var": lambda x: pb.var(x, axis=0),
    "cumulative_sum": lambda x: pb.cumulative_sum(x, axis=0),
    "cumulative_prod": lambda x: pb.cumulative_prod(x, axis=0),
    "softmax": lambda x: pb.softmax(x, axis=0),
    "log_softmax": lambda x: pb.log_softmax(x, axis=0),
    "logsumexp": lambda x: pb.special.logsumexp(x, axis=0),
    "matmul": lambda x: pb.matmul(pb.matrix_transpose(x), x),
    "linear": lambda x: pb.linear(pb.matrix_transpose(x), pb.matrix_transpose(x)),
    "vecdot": lambda x: pb.vecdot(x, x, axis=0),
    "einsum": lambda x: pb.einsum("ij,ij->j", x, x),
    "vector_norm": lambda x: pb.linalg.vector_norm(x, axis=0),
    "layer_norm": lambda x: pb.layer_norm(x, normalized_shape=(3000, 3)),
    "batch_norm": lambda x: pb.batch_norm(x + draw(3000, 3))[1],
    "scatter_add": lambda x: pb.scatter_add(x, np.zeros(3000, "int64"), size=2),
    "scatter_add of numbers": lambda x: pb.scatter_add(x[:, 0], np.zeros(3000, "int64"), size=2),
    "cross_entropy": lambda x: pb.cross_entropy(x, np.zeros(3000, "int64"), reduction="sum"),
    "mse_loss": lambda x: pb.mse_loss(x, 0 * x, reduction="sum"),
}


@pytest.mark.parametrize("name", SUMS)
def test_long_sums_do_not_get_stuck(name):
    if name == "batch_norm":
        got = SUMS[name](MANY)
        np.testing.assert_allclose(exact(got), 1.0, atol=0.1)
        return
    got, expected = SUMS[name](MANY), SUMS[name](MANY.astype("float64"))
    assert got.dtype == "bfloat16"
    np.testing.assert_allclose(exact(got), expected, rtol=2**-8, atol=1e-7)


def test_gradients_of_what_was_repeated_are_summed_in_float32():
    bias = pb.tensor(np.zeros(3, BF16), requires_grad=True)
    (bias + pb.asarray(MANY)).sum().backward()
    assert bias.grad.tolist() == [3008.0, 3008.0, 3008.0]  # 3000, rounded
    weight = pb.tensor(np.ones((2, 3), BF16), requires_grad=True)
    pb.linear(pb.asarray(MANY), weight).sum().backward()
    assert weight.grad.tolist() == [[3008.0] * 3] * 2


def test_products_are_rounded_once():
    x, w = draw(40, 300), draw(300, 20)
    for got in (pb.matmul(x, w), pb.linear(x, np.ascontiguousarray(w.T))):
        once = (exact(x) @ exact(w)).astype("float32").astype(BF16)
        assert np.mean(got != once) < 0.02
    with_float16 = pb.matmul(x.astype("float16"), w.astype("float16"))
    np.testing.assert_allclose(exact(with_float16), exact(x) @ exact(w), rtol=2**-10, atol=1e-2)
    assert pb.matmul(x, w.astype("float32")).dtype == "float32"


def test_a_number_beside_an_array_promotes_nothing():
    x = pb.asarray(draw(4))
    for y in (x * 0.1, 2 * x, x + 1.5, 1 - x, x / 3, 1 / x, x**2, pb.maximum(x, 0.5), pb.where(x > 0, x, -1.0)):
        assert y.dtype == "bfloat16"
    np.testing.assert_array_equal((x * 0.1).numpy(), (exact(x.numpy()) * 0.1).astype("float32").astype(BF16))
    assert (x > 0.5).dtype == "bool"
    assert (x * pb.asarray(np.float32(0.1))).dtype == "float32"


def test_the_namespace_knows_the_type():
    xp = open_backend("numpy").namespace
    assert xp.bfloat16 is BF16
    assert xp.isdtype(xp.bfloat16, "real floating")
    assert xp.isdtype(xp.bfloat16, ("integral", xp.bfloat16))
    assert not xp.isdtype(xp.bfloat16, ("integral", "bool"))
    assert (xp.finfo(xp.bfloat16).bits, xp.finfo(xp.float32).bits) == (16, 32)
    assert pb.ones(2, dtype=pb.bfloat16).dtype == pb.asarray([1.0]).astype("bfloat16").dtype == pb.bfloat16
    assert pb.result_type(pb.bfloat16, pb.float32) == pb.float32


@pytest.mark.parametrize("bounds", [(-0.5, 0.5), (None, 0.25), (np.asarray(-0.5, BF16), None)])
def test_clipping_keeps_the_type(bounds):
    x = draw(9)
    got = pb.clip(x, *bounds)
    assert got.dtype == "bfloat16"
    limits = [None if b is None else float(b) for b in bounds]
    np.testing.assert_array_equal(exact(got), exact(x).clip(*limits))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # ml_dtypes of NaN
def test_max_pool_finds_nan():
    x = draw(1, 4, 4, 2)
    x[0, 1, 1, 0] = np.nan
    y = pb.nn.MaxPool2d(2)(pb.asarray(x)).numpy()
    assert np.isnan(exact(y)).sum() == 1


def test_without_ml_dtypes_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    through_ml_dtypes._bfloat16.cache_clear()
    try:
        for call in (lambda: pb.ones(2, dtype="bfloat16"), lambda: pb.ones(2).astype(pb.bfloat16)):
            with pytest.raises(TypeError, match=r"no data type 'bfloat16'; .* pip install ml-dtypes$"):
                call()
        with pb.autocast("bfloat16"), pytest.raises(TypeError, match="pip install ml-dtypes"):
            pb.matmul(pb.ones((2, 2)), pb.ones((2, 2)))
        assert not hasattr(open_backend("numpy").namespace, "bfloat16")
    finally:
        through_ml_dtypes._bfloat16.cache_clear()
