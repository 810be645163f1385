"""What the registry cannot say of attention: tiles, memory, dropout, groups, and what is refused."""

import tracemalloc

import numpy as np
import pytest

import pullback as pb
from pullback.backends.numpy_kernels import attention as kernels
from pullback.ops import attention as reference

RNG = np.random.default_rng(0)


def draw(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


def value_and_gradients(inputs, mask=None, **options):
    variables = [pb.tensor(x, requires_grad=True) for x in inputs]
    if mask is not None and mask.dtype != bool:
        mask = pb.tensor(mask, requires_grad=True)
        variables.append(mask)
    y = pb.scaled_dot_product_attention(*variables[:3], mask, **options)
    (y * pb.asarray(np.cos(np.arange(y.size)).reshape(y.shape))).sum().backward()
    return [y.numpy(), *(x.grad.numpy() for x in variables)]


@pytest.fixture(params=["kernels", "own lines"])
def lines(request, monkeypatch):
    """Both ways to compute it; the own lines where the kernels decline."""
    if request.param == "own lines":
        monkeypatch.setattr(kernels, "_call", lambda *_: None)
    return request.param


MASKS = {
    "none": None,
    "added": draw(7, 9),
    "of heads": draw(3, 1, 9),
    "of keys": draw(2, 1, 1, 9) < 0.5,
    "nothing in row 2": np.arange(7)[:, None] + np.zeros(9) != 2,
}


@pytest.mark.on_numpy
@pytest.mark.parametrize("at_once", [1, 20, 200])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"is_causal": True, "query_start": 2}], ids=str)
@pytest.mark.parametrize("mask", MASKS)
def test_in_how_many_blocks_rows_are_taken_changes_nothing(lines, monkeypatch, at_once, options, mask):
    inputs = draw(2, 3, 7, 4), draw(2, 3, 9, 4), draw(2, 3, 9, 5)
    whole = value_and_gradients(inputs, MASKS[mask], **options)
    monkeypatch.setattr(reference, "_AT_ONCE", at_once)
    monkeypatch.setattr(kernels, "_AT_ONCE", at_once)
    for got, expected in zip(value_and_gradients(inputs, MASKS[mask], **options), whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.on_numpy
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", MASKS)
def test_compiled_rows_give_what_numpy_gives(monkeypatch, mask, dtype):
    pytest.importorskip("numba", reason="numba is not installed: pip install 'pullback[cpu]'")
    from pullback.backends.numba_kernels import compiling

    inputs = [draw(2, 3, 7, 4, dtype=dtype), draw(2, 3, 9, 4, dtype=dtype), draw(2, 3, 9, 5, dtype=dtype)]
    given = MASKS[mask]
    given = given.astype(dtype) if given is not None and given.dtype != bool else given
    expected = value_and_gradients(inputs, given, is_causal=True, scale=20.0)
    monkeypatch.setattr(compiling, "WORTHWHILE", 1)
    got = value_and_gradients(inputs, given, is_causal=True, scale=20.0)
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def peak(length):
    """Bytes that a causal forward and backward of so many tokens had at most, beyond what was there before."""
    variables = [pb.tensor(draw(2, length, 8, dtype="float32"), requires_grad=True) for _ in range(3)]
    tracemalloc.start()
    try:
        pb.scaled_dot_product_attention(*variables, is_causal=True).sum().backward()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.on_numpy
def test_memory_grows_with_the_length_and_not_with_its_square(lines, monkeypatch):
    for module in (reference, kernels):
        monkeypatch.setattr(module, "_AT_ONCE", 1 << 12)
    peak(64)
    one, two = peak(1024), peak(2048)
    assert two < 2.3 * one
    assert two < 2048 * 2048 * 4 / 2  # half of one matrix of weights; there would be several


@pytest.mark.on_numpy
def test_dropout_drops_the_same_weights_in_both_passes_and_in_any_blocks(monkeypatch):
    inputs = draw(2, 3, 7, 4), draw(2, 3, 9, 4), draw(2, 3, 9, 5)

    def run():
        generator = pb.random.Generator(3)
        results = value_and_gradients(inputs, dropout_p=0.4, is_causal=True, generator=generator)
        return [*results, np.asarray(generator.offset)]

    whole = run()
    for at_once in (1, 50):
        monkeypatch.setattr(reference, "_AT_ONCE", at_once)
        for got, expected in zip(run(), whole, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)

    def f(*xs):
        return pb.scaled_dot_product_attention(*xs, dropout_p=0.4, generator=pb.random.Generator(3))

    pb.check_grads(f, inputs, order=2)


def test_dropout_drops_its_share_and_keeps_the_mean():
    keys, p = 5000, 0.3
    value = np.eye(2)[np.arange(keys) % 2]
    y = pb.scaled_dot_product_attention(
        pb.zeros((20, 1, 4)), pb.zeros((20, keys, 4)), pb.asarray(value.astype("float32")), dropout_p=p
    )
    kept = y.numpy() * (1 - p) * 2  # of the keys that count for each feature, the share that was kept
    assert abs(kept.mean() - (1 - p)) < 4 * np.sqrt(p * (1 - p) / (20 * keys))
    assert 0.5 < kept.std() / np.sqrt(p * (1 - p) / (keys / 2)) < 1.5
    assert len(np.unique(kept)) > 20
    assert not pb.scaled_dot_product_attention(*[pb.ones((1, 3, 2))] * 3, dropout_p=1.0).numpy().any()


def test_grouped_queries_are_keys_and_values_repeated():
    query, key, value = draw(2, 6, 4, 3), draw(2, 2, 5, 3), draw(2, 2, 5, 3)
    for mask in (None, draw(4, 5), draw(2, 6, 1, 5), draw(2, 1, 4, 5) > 0):
        got = pb.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)
        repeated = [np.repeat(x, 3, axis=1) for x in (key, value)]
        np.testing.assert_allclose(got, pb.scaled_dot_product_attention(query, *repeated, mask), rtol=1e-12)


def test_nothing_to_attend_to_gives_zeros_and_no_gradient():
    mask = np.array([[True, False], [False, False]])
    results = value_and_gradients((draw(2, 3), draw(2, 3), draw(2, 3)), mask)
    assert not results[0][1].any()
    assert not results[1][1].any()
    assert np.isfinite(np.concatenate([x.ravel() for x in results])).all()
    assert not pb.scaled_dot_product_attention(draw(2, 3), draw(0, 3), draw(0, 4)).any()
    assert pb.scaled_dot_product_attention(draw(0, 3), draw(2, 3), draw(2, 4)).shape == (0, 4)


def test_weights_are_those_of_the_average():
    query, key, value, mask = draw(2, 4, 3), draw(2, 5, 3), draw(2, 5, 6), draw(4, 5)
    weights = pb.attention_weights(query, key, mask, is_causal=True, query_start=1)
    expected = pb.scaled_dot_product_attention(query, key, value, mask, is_causal=True, query_start=1)
    np.testing.assert_allclose(weights @ value, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "options", "said"),
    [
        (((2, 3), (2, 4), (2, 4)), {}, "got shapes"),
        (((2, 3), (5, 3), (4, 3)), {}, "got shapes"),
        (((6, 2, 3), (4, 2, 3), (4, 2, 3)), {"enable_gqa": True}, "a multiple of those"),
        (((2, 3), (4, 3), (4, 3), (3, 4)), {}, "attn_mask broadcasts"),
        (((2, 3), (4, 3), (4, 3), (4,)), {}, r"attn_mask broadcasts to .* \(2, 4\); got \(4,\)"),
        (((5, 2, 3), (5, 4, 3), (5, 4, 3), (6, 2, 4)), {}, r"\(5, 2, 4\); got \(6, 2, 4\)"),
        (((5, 2, 3), (6, 4, 3), (6, 4, 3)), {}, "whose axes before the last two broadcast; got shapes"),
        (((6, 2, 3), (3, 4, 3), (3, 4, 3), (4, 2, 4)), {"enable_gqa": True}, r"\(6, 2, 4\); got \(4, 2, 4\)"),
        (((2, 3), (4, 3), (4, 3)), {"dropout_p": 1.5}, "between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, options, said):
    with pytest.raises(ValueError, match=said):
        pb.scaled_dot_product_attention(*(draw(*shape) for shape in shapes), **options)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (6, 2, 4), (2, 5)], ids=str)
def test_weights_know_a_mask_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"which is \(5, 2, 4\); got \("):
        pb.attention_weights(draw(5, 2, 3), draw(5, 4, 3), draw(*shape))


def test_a_mask_and_is_causal_both_hold():
    query, key, value, mask = draw(4, 3), draw(4, 3), draw(4, 5), draw(4, 4) < 0.5
    both = pb.scaled_dot_product_attention(query, key, value, mask, is_causal=True)
    np.testing.assert_array_equal(both, pb.scaled_dot_product_attention(query, key, value, np.tril(mask)))


@pytest.mark.parametrize("shape", [(2, 3, 8), (8,), (1, 2, 3, 9)], ids=str)
def test_features_that_are_not_parted_equally_are_refused(shape):
    with pytest.raises(ValueError, match=r"equally among heads=\(1, 1, 1\); got shape"):
        pb.split_heads(pb.ones(shape), heads=(1, 1, 1))


def test_a_mask_of_integers_is_refused():
    with pytest.raises(TypeError, match="booleans or floats"):
        pb.scaled_dot_product_attention(draw(2, 3), draw(4, 3), draw(4, 3), np.ones((2, 4), dtype="int64"))


def test_rotary_products_depend_on_distances_only():
    x, y = draw(1, 8), draw(1, 8)
    for interleaved in (True, False):

        def product(i, j, interleaved=interleaved):
            a = pb.rotary_embedding(x, interleaved=interleaved, start=i)
            b = pb.rotary_embedding(y, interleaved=interleaved, start=j)
            return np.vecdot(a, b)

        np.testing.assert_allclose(product(3, 1), product(1007, 1005), rtol=1e-9)
        turned = pb.rotary_embedding(x, interleaved=interleaved, start=9)
        np.testing.assert_allclose(pb.rotary_embedding(turned, interleaved=interleaved, start=9, inverse=True), x)


def test_interleaved_rotary_multiplies_complex_numbers():
    x, places = draw(2, 5, 6), np.array([4, 0, 7, 7, 1])
    angles = places[:, None] * 100.0 ** (-np.arange(0, 6, 2) / 6)
    z = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
    got = pb.rotary_embedding(x, places, base=100.0, interleaved=True)
    np.testing.assert_allclose(got, np.stack([z.real, z.imag], axis=-1).reshape(x.shape), rtol=1e-12)
    halves = pb.rotary_embedding(x[..., [0, 2, 4, 1, 3, 5]], places, base=100.0)
    np.testing.assert_allclose(halves, got[..., [0, 2, 4, 1, 3, 5]], rtol=1e-12)


def test_alibi_slopes_are_the_papers():
    assert pb.alibi_slopes(8) == [2.0**-i for i in range(1, 9)]
    assert pb.alibi_slopes(12) == [2.0**-i for i in range(1, 9)] + [2.0 ** -(i + 0.5) for i in range(4)]


def test_alibi_counts_beyond_what_its_dtype_counts():
    bias = pb.alibi_bias(1, 5000, dtype="float16").numpy()[0, 0]
    np.testing.assert_array_equal(bias, ((np.arange(5000) - 4999.0) / 256).astype("float16"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pb.alibi_bias(2, 3, 5), "the last of 3 keys; got query_length=5"),
        (lambda: pb.alibi_bias(2, 3, -1), "the last of 3 keys; got query_length=-1"),
        (lambda: pb.alibi_bias(2, -1), "key_length is a whole number of 0 or more; got -1"),
        (lambda: pb.alibi_bias(0, 3), "num_heads is a whole number of 1 or more; got 0"),
        (lambda: pb.alibi_slopes(-1), "num_heads is a whole number of 1 or more; got -1"),
        (lambda: pb.sinusoidal_positions(-1, 4), "length is a whole number of 0 or more; got -1"),
        (lambda: pb.rotary_embedding(pb.ones(4)), r"takes \(\.\.\., L, E\)"),
        (lambda: pb.rotary_embedding(pb.ones((2, 3))), "E is even"),
    ],
)
def test_positions_that_there_are_not_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize(
    "make", [lambda d: pb.alibi_bias(2, 3, dtype=d), lambda d: pb.sinusoidal_positions(2, 4, dtype=d)]
)
def test_positions_are_not_integers(make):
    with pytest.raises(TypeError, match="floating array; got int64"):
        make("int64")


def test_a_row_of_alibi_is_enough_where_attention_is_causal():
    query, key, value = draw(3, 4, 2), draw(3, 4, 2), draw(3, 4, 2)
    whole, row = (pb.alibi_bias(3, 4, n, dtype="float64").numpy() for n in (4, None))
    assert whole.shape == (3, 4, 4)
    results = [pb.scaled_dot_product_attention(query, key, value, m, is_causal=True) for m in (whole, row)]
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_sinusoids_are_the_papers():
    waves = pb.sinusoidal_positions(7, 6, start=3, dtype="float64").numpy()
    for row, place in enumerate(range(3, 10)):
        for i in range(3):
            angle = place / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(waves[row, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], rtol=1e-12)
