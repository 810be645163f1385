"""Ops that square, or sum many values, give of float16 what float64 gives, to the digits that float16 has."""

import numpy as np
import pytest

import pullback as pb

pytestmark = pytest.mark.on_numpy  # array_api_strict has no float16

RNG = np.random.default_rng(0)


def draw(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype("float16")


X, WEIGHT, BIAS = draw(6, 5, 8, scale=300), draw(8), draw(8)
SCORED = draw(2, 7, 64), draw(2, 9, 64), draw(2, 9, 5)
CASES = {
    "layer_norm": (lambda *xs: pb.layer_norm(*xs, normalized_shape=8), (X, WEIGHT, BIAS)),
    "layer_norm, a long row": (lambda x: pb.layer_norm(x, normalized_shape=5000), (draw(2, 5000) + np.float16(50),)),
    "rms_norm": (lambda *xs: pb.rms_norm(*xs, normalized_shape=8), (X, WEIGHT)),
    "batch_norm": (lambda *xs: pb.batch_norm(*xs)[0], (X, WEIGHT, BIAS)),
    "standardize": (pb.standardize, (X, WEIGHT, np.abs(X[0, 0]), WEIGHT, BIAS)),
    "group_norm": (lambda *xs: pb.group_norm(*xs, num_groups=2), (X, WEIGHT, BIAS)),
    "instance_norm": (pb.instance_norm, (X, WEIGHT, BIAS)),
    "local_response_norm": (lambda x: pb.local_response_norm(x, size=3, alpha=0.01), (X,)),
    "normalize": (pb.normalize, (X,)),
    "vector_norm": (lambda x: pb.linalg.vector_norm(x, axis=-1), (X,)),
    "vector_norm, of order 3": (lambda x: pb.linalg.vector_norm(x, axis=-1, ord=3), (X,)),
    "matrix_norm": (pb.linalg.matrix_norm, (X,)),
    "cosine_similarity": (pb.nn.CosineSimilarity(dim=-1), (X, X[::-1].copy())),
    "cosine_similarity, of short vectors": (pb.nn.CosineSimilarity(dim=-1), (X, draw(6, 5, 8, scale=1e-3))),
    "cosine_embedding_loss": (lambda *xs: pb.cosine_embedding_loss(*xs, pb.asarray([1] * 6)), (X[:, 0], X[::-1, 1])),
    "pairwise_distance": (pb.nn.PairwiseDistance(), (X, X[::-1].copy())),
    "var, of one large among many": (lambda x: pb.var(x, axis=0), ((2000 * np.eye(5000, 1)[:, 0]).astype("float16"),)),
    "std": (lambda x: pb.std(x, axis=-1), (X,)),
    "mean, of many": (pb.mean, (draw(70_000),)),
    "weight_norm": (pb.weight_norm, (X[0], np.abs(draw(5, 1)))),
    "attention": (pb.scaled_dot_product_attention, SCORED),
    "attention, a mask": (pb.scaled_dot_product_attention, (*SCORED, draw(7, 9, scale=2))),
    "attention_weights": (pb.attention_weights, SCORED[:2]),
}


def value_and_gradients(function, arrays):
    variables = [pb.tensor(x, requires_grad=True) for x in arrays]
    y = function(*variables)
    pattern = np.cos(np.arange(y.size)).reshape(y.shape).astype("float16")
    y.backward(pb.asarray(pattern, dtype=y.dtype))
    return [y.numpy(), *(x.grad.numpy() for x in variables)]


@pytest.mark.parametrize("case", CASES)
def test_float16_is_computed_in_float32(case):
    function, arrays = CASES[case]
    expected = value_and_gradients(function, [x.astype("float64") for x in arrays])
    # Gradients of attention are differences from the output, which is float16 when they are computed.
    tolerance = [1e-3, *[4e-3 if "attention" in case else 1e-3] * len(arrays)]
    for got, value, t in zip(value_and_gradients(function, arrays), expected, tolerance, strict=True):
        assert got.dtype == "float16"
        np.testing.assert_allclose(got, value, rtol=t, atol=t * np.abs(value).max())


def test_scores_beyond_the_range_and_the_digits_of_float16_are_known():
    query = np.full((1, 2, 64), 40, dtype="float16")
    assert pb.scaled_dot_product_attention(query, query, query, scale=1.0).tolist() == query.tolist()
    query, key, value = draw(2, 7, 64) + np.float16(4), draw(2, 9, 64, scale=0.3) + np.float16(10), draw(2, 9, 5)
    wide = [x.astype("float64") for x in (query, key, value)]
    for got, expected in (
        (pb.attention_weights(query, key), pb.attention_weights(*wide[:2])),
        (pb.scaled_dot_product_attention(query, key, value), pb.scaled_dot_product_attention(*wide)),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_weights_of_float32_keep_their_precision_and_the_result_that_of_the_input():
    x, weight = pb.tensor(X, requires_grad=True), pb.tensor(WEIGHT.astype("float32"), requires_grad=True)
    y = pb.layer_norm(x, weight, normalized_shape=8)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype, weight.grad.dtype) == (pb.float16, pb.float16, pb.float32)


def test_statistics_of_float16_are_float32_and_second_derivatives_go_through():
    y, mean, var = pb.batch_norm(pb.tensor(X))
    assert (y.dtype, mean.dtype, var.dtype) == (pb.float16, pb.float32, pb.float32)
    np.testing.assert_allclose(var.numpy(), X.astype("float64").var(axis=(0, 1)), rtol=1e-5)
    x = pb.tensor(X / np.float16(300), requires_grad=True)
    (pb.layer_norm(x, normalized_shape=8) ** 3).sum().backward(create_graph=True)
    gradient, x.grad = x.grad, None
    (gradient**2).sum().backward()
    assert x.grad.dtype == pb.float16
    assert np.isfinite(x.grad.numpy()).all()


def test_long_rows_of_a_table_are_shortened():
    table = pb.nn.Embedding.from_pretrained(pb.tensor(X[0]), max_norm=1.0)  # whose squares are beyond float16
    norms = np.linalg.norm(table(pb.asarray([0, 1])).numpy().astype("float64"), axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=2e-3)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_running_statistics_keep_their_dtype(dtype):
    for layer in (pb.nn.BatchNorm1d(8), pb.nn.InstanceNorm1d(8, track_running_stats=True)):
        layer(pb.asarray(X, dtype=dtype))
        assert layer.running_mean.dtype == layer.running_var.dtype == pb.float32
        layer.to(dtype="float16")(pb.asarray(X, dtype=dtype))
        assert layer.running_mean.dtype == layer.running_var.dtype == pb.float16
