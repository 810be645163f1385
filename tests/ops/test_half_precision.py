"""Ops give of float16 and bfloat16 what wider types give, to the digits that those have; also where values are many."""

import numpy as np
import pytest

import pullback as pb
from pullback.autodiff import verify
from pullback.autodiff.op import registry
from pullback.autodiff.tree import flatten
from pullback.backends import find_backend_of

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


def halves(arrays, dtype):
    return [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in arrays]


def outputs_and_gradients(op, example, inputs):
    """What an op gives, and the gradients of its inputs for a gradient like cosines; as lists of host arrays."""
    chosen = [i for i in verify.inputs_with_gradients(op, inputs) if example.inputs[i].differentiable]
    chosen = chosen if op.differentiable else []
    given = [pb.Tensor(x).requires_grad_(i in chosen) if find_backend_of(x) else x for i, x in enumerate(inputs)]
    outputs = flatten(example.seen(pb, op(*given, **example.metadata)))[0]
    for y in outputs:
        if y.requires_grad:
            pattern = np.round(16 * np.cos(np.arange(y.size))).reshape(y.shape) / 16  # exact in every type
            y.backward(pb.asarray(pattern, dtype=y.dtype), retain_graph=True)
    gradients = [given[i].grad for i in chosen]
    return [y.numpy() for y in outputs], [None if g is None else g.numpy() for g in gradients]


# LAPACK has no half precision, and NumPy raises for float16; of bfloat16 it takes what ml_dtypes makes of it.
_WITH_LAPACK = ("linalg",)
# Gradients that are made of the result, which has few digits where it is large: exp(x - y) of a y about 1000.
_OF_THE_RESULT = {("logaddexp", 2), ("logsumexp", 7)}
REAL = [
    pytest.param(op, number, id=f"{op.name}-{number}")
    for op in registry.values()
    for number, example in enumerate(op.examples)
    if op.function.__module__.startswith("pullback.ops.")
    and not any(part in op.function.__module__ for part in _WITH_LAPACK)
    and any(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in example.draw())
]


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize(("op", "number"), REAL)
def test_every_op_gives_of_bfloat16_what_it_gives_of_float32(op, number):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    example = op.examples[number]
    inputs = halves(example.draw(), ml_dtypes.bfloat16)
    exact = outputs_and_gradients(op, example, halves_widened(inputs))
    in_float16 = outputs_and_gradients(op, example, halves(halves_widened(inputs), "float16"))
    got = outputs_and_gradients(op, example, inputs)
    digits = 6 if "recurrent" in op.function.__module__ else 7  # where each step rounds what the next one starts from
    for part, values in enumerate(got):
        known = [b[np.isfinite(b)] for b in exact[part] if b is not None and b.dtype.kind == "f"]
        greatest = max((np.abs(b).max(initial=0) for b in known), default=0.0)
        for a, b, like in zip(values, exact[part], in_float16[part], strict=True):
            if a is None:
                continue
            assert a.dtype == ("bfloat16" if like.dtype == "float16" else like.dtype)
            if b.dtype.kind == "f" and (part == 0 or (op.name, number) not in _OF_THE_RESULT):
                np.testing.assert_allclose(a.astype("float64"), b, rtol=2**-6, atol=2.0**-digits * greatest)


def halves_widened(inputs):
    return [x.astype("float32") if getattr(x, "dtype", None) == "bfloat16" else x for x in inputs]
