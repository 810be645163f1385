"""Convolution, padding and windows where the registry and the parity table do not look: corners, shapes, messages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

pytestmark = pytest.mark.on_numpy


@st.composite
def geometries(draw):
    """Shapes and arguments of a convolution over one to three axes that has at least one position."""
    axes = draw(st.integers(1, 3))

    def each(least, most):
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    kernel, stride, dilation = each(1, 3), each(1, 4), each(1, 2)
    padding = tuple((draw(st.integers(-1, 4)), draw(st.integers(-1, 4))) for _ in range(axes))
    groups = draw(st.integers(1, 3))
    ins, out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    lengths = [
        max(n - a - b, 1, -a - b + 1) + draw(st.integers(0, 3)) for n, (a, b) in zip(spans, padding, strict=True)
    ]
    lengths = [max(n, max(-a, 0) + max(-b, 0)) for n, (a, b) in zip(lengths, padding, strict=True)]
    batch = draw(st.integers(0, 2))
    return (batch, *lengths, ins), (out, *kernel, ins // groups), {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip


def by_definition(x, weight, *, stride, padding, dilation, groups):
    """The sum as it is written: one product for each position, channel and element of the kernel."""
    for axis, (before, after) in enumerate(padding, 1):
        x = np.moveaxis(x, axis, 0)
        x = x[max(-before, 0) : x.shape[0] + min(after, 0)]
        x = np.pad(x, [(max(before, 0), max(after, 0)), *[(0, 0)] * (x.ndim - 1)])
        x = np.moveaxis(x, 0, axis)
    kernel, axes = weight.shape[1:-1], x.ndim - 2
    positions = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], kernel, stride, dilation, strict=True)
    ]
    y = np.zeros((x.shape[0], *positions, weight.shape[0]))
    part, out = weight.shape[-1], weight.shape[0] // groups
    for at in np.ndindex(*positions):
        for o in range(weight.shape[0]):
            group = o // out
            for offset in np.ndindex(*kernel):
                place = tuple(at[i] * stride[i] + offset[i] * dilation[i] for i in range(axes))
                values = x[(slice(None), *place, slice(group * part, (group + 1) * part))]
                y[(slice(None), *at, o)] += values @ weight[(o, *offset)]
    return y


@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(0, 2**32))
def test_a_convolution_is_its_definition_and_the_three_are_transposes_of_each_other(shapes, seed):
    x_shape, weight_shape, options = shapes
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(weight_shape)
    y = pb.conv(x, weight, **options)
    np.testing.assert_allclose(y, by_definition(x, weight, **options), rtol=1e-10, atol=1e-10)
    v = rng.standard_normal(y.shape)
    inner = float(np.sum(y * v))
    towards_weight = pb.conv_weight(x, v, weight_shape[1:-1], **options)
    variable = pb.tensor(x, requires_grad=True)
    pb.conv(variable, weight, **options).backward(pb.tensor(v))
    towards_x = variable.grad.numpy()
    np.testing.assert_allclose(np.sum(towards_weight * weight), inner, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.sum(towards_x * x), inner, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "channels"),
    [((3, 3), 1, 1, (5, 20)), ((3, 3), 2, 1, (20, 5)), ((1, 1), 1, 0, (4, 8)), ((5, 5), 1, 0, (1, 6))],
)
def test_many_blocks_give_what_one_gives(monkeypatch, kernel, stride, padding, channels):
    """Large images are convolved in parts of one image, many small ones several at a time; in threads too."""
    from pullback.backends.numpy_kernels import convolution, parallel

    rng = np.random.default_rng(0)
    ins, out = channels
    x = rng.standard_normal((7, 23, 19, ins))
    weight, bias = rng.standard_normal((out, *kernel, ins)), rng.standard_normal(out)

    def results():
        variables = [pb.tensor(a, requires_grad=True) for a in (x, weight, bias)]
        y = pb.conv(*variables, stride=stride, padding=padding)
        y.backward(pb.cos(y.detach()))
        return [y.numpy(), *(v.grad.numpy() for v in variables)]

    monkeypatch.setattr(parallel, "WORTHWHILE", 10**12)
    expected = results()
    monkeypatch.setattr(parallel, "WORTHWHILE", 1)
    for block in (1, 3000, 30_000):
        monkeypatch.setattr(convolution, "BLOCK", block)
        for got, want in zip(results(), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def test_blas_has_its_threads_back_afterwards():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = [found["num_threads"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"]
    pb.conv(np.ones((8, 32, 32, 16)), np.ones((16, 3, 3, 16)))
    after = [found["num_threads"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"]
    assert after == before


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_sample_needs_no_batch(axes):
    rng = np.random.default_rng(axes)
    lengths = (6, 5, 4)[:axes]
    x, weight = rng.standard_normal((*lengths, 4)), rng.standard_normal((6, *(3,) * axes, 2))
    turned = rng.standard_normal((4, *(3,) * axes, 3))
    np.testing.assert_array_equal(
        pb.conv(x, weight, groups=2, padding=1), pb.conv(x[None], weight, groups=2, padding=1)[0]
    )
    np.testing.assert_array_equal(
        pb.conv_transpose(x, turned, stride=2), pb.conv_transpose(x[None], turned, stride=2)[0]
    )
    np.testing.assert_array_equal(pb.unfold(x, (2,) * axes), pb.unfold(x[None], (2,) * axes)[0])


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_keeps_the_lengths_and_puts_the_odd_zero_behind(kernel, dilation):
    x = np.random.default_rng(0).standard_normal((1, 9, 1))
    weight = np.ones((1, kernel, 1))
    total = dilation * (kernel - 1)
    padded = np.pad(x, [(0, 0), (total // 2, total - total // 2), (0, 0)])
    y = pb.conv(x, weight, padding="same", dilation=dilation)
    assert y.shape == x.shape
    np.testing.assert_allclose(y, pb.conv(padded, weight, dilation=dilation))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_padding_agrees_with_numpy(data):
    lengths = data.draw(st.lists(st.integers(2, 5), min_size=1, max_size=3))
    mode = data.draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    most = {"constant": 6, "reflect": min(lengths) - 1, "replicate": 6, "circular": min(lengths)}[mode]
    padding = [tuple(data.draw(st.integers(0, most)) for _ in range(2)) for _ in lengths]
    x = np.random.default_rng(0).standard_normal(lengths)
    numpys = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    np.testing.assert_array_equal(pb.pad(x, padding, mode=mode), np.pad(x, padding, mode=numpys))


def test_fold_counts_the_windows_over_each_element():
    x = np.random.default_rng(0).standard_normal((2, 7, 6, 3))
    options = {"kernel_size": (3, 2), "dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)}
    counts = pb.fold(pb.unfold(np.ones_like(x), **options), (7, 6), **options)
    np.testing.assert_allclose(pb.fold(pb.unfold(x, **options), (7, 6), **options), counts * x)


X, W = np.ones((2, 8, 8, 3)), np.ones((4, 3, 3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pb.conv(np.ones((2, 3, 8, 8)), W), r"conv takes \(N, H, W, 3\), channels last"),
        (lambda: pb.conv(np.ones((8, 3)), W), r"\(H, W, 3\) of one sample; got shape \(8, 3\)"),
        (lambda: pb.conv(np.ones(()), W), r"got shape \(\)"),
        (lambda: pb.conv(X, W, np.ones(3)), r"takes a bias \(4,\)"),
        (lambda: pb.conv(X, np.ones((4, 9, 3, 3))), "reaches over"),
        (lambda: pb.conv(X, W, padding="same", stride=2), "needs a stride of 1"),
        (lambda: pb.conv(X, W, padding="full"), "'same', 'valid' or whole numbers"),
        (lambda: pb.conv(X, W, padding=((1, 1),)), "in pairs"),
        (lambda: pb.conv(X, W, padding=-1), "padding is 0 or more"),
        (lambda: pb.conv(X, W, stride=(1, 1, 1)), "for each of the 2 spatial axes"),
        (lambda: pb.conv(X, W, stride=0), "stride is 1 or more"),
        (lambda: pb.conv(X, W, groups=3), "groups=3"),
        (lambda: pb.conv(X, W, groups=0), "conv: groups is a whole number of 1 or more; got 0"),
        (lambda: pb.conv(X[..., :0], W[..., :0]), "none of them 0"),
        (lambda: pb.conv_transpose(X, np.ones((3, 3, 3, 2)), groups=2), "groups=2 .* first axis they divide"),
        (lambda: pb.conv_weight(X, np.ones((2, 6, 6, 4)), 3, groups=0), "conv_weight: groups is a whole number"),
        (lambda: pb.conv_weight(X, np.ones((2, 6, 6, 4)), 3, groups=2), "multiples of groups=2"),
        (lambda: pb.conv_weight(np.ones(3), np.ones(3), 3), "and a size; got shape"),
        (lambda: pb.conv_weight(X, np.ones(()), 3), r"conv_weight takes \(N, H, W, C\)"),
        (lambda: pb.conv(X, np.ones((4, 3))), r"takes a weight \(channels, \*kernel, channels\)"),
        (lambda: pb.conv_transpose(X, W), r"conv_transpose takes \(N, H, W, 4\)"),
        (lambda: pb.conv_transpose(X, np.ones((3, 3, 3, 2)), output_padding=1), "less than the stride"),
        (lambda: pb.conv_transpose(X, np.ones((3, 1, 1, 2)), padding=4), "make the padding smaller"),
        (lambda: pb.conv_weight(X, np.ones((2, 5, 5, 4)), 3), "takes a cotangent of shape"),
        (lambda: pb.pad(X, ((1, 1),)), "a pair .* for each of the 4 axes"),
        (lambda: pb.pad(X, ((0, 0), (8, 0), (0, 0), (0, 0)), mode="reflect"), "adds at most 7 to axis 1"),
        (lambda: pb.pad(X, ((0, 0), (0, 0), (-5, -4), (0, 0))), "cuts at most 8 off axis 2"),
        (lambda: pb.pad(X, ((0, 0),) * 4, mode="mirror"), "knows the modes"),
        (lambda: pb.pad(np.ones(()), ((1, 1),)), "a pair .* for each of the 0 axes"),
        (lambda: pb.pad(np.ones(()), 1), "a pair .* for each of the 0 axes"),
        (lambda: pb.pad(X, None), "a pair .* for each of the 4 axes"),
        (lambda: pb.pad(np.ones(0), ((1, 0),), mode="reflect"), "adds at most 0 to axis 0"),
        (lambda: pb.pad(np.ones(3), ((4, 0),), mode="circular"), "adds at most 3 to axis 0"),
        (lambda: pb.unfold(np.ones(4), 2), "unfold takes"),
        (lambda: pb.unfold(X, 9), "reaches over"),
        (lambda: pb.fold(np.ones((2, 5, 8)), (4, 4), 2), "takes windows"),
        (lambda: pb.fold(np.ones((2, 4, 8)), (-3, -3), 2), "output_size is 1 or more"),
    ],
)
def test_what_does_not_fit_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("dtype", "value"), [("int64", np.nan), ("int64", 1.5), ("float32", 1j), ("float32", "0"), ("float32", None)]
)
def test_an_array_is_padded_with_what_it_holds(dtype, value):
    with pytest.raises(TypeError, match=f"pad of {dtype} takes a value"):
        pb.pad(np.ones(3, dtype), ((1, 1),), value=value)


def test_a_weights_gradient_of_one_sample_is_that_of_a_batch_of_one():
    g = np.random.default_rng(0).standard_normal((6, 6, 4))
    np.testing.assert_array_equal(pb.conv_weight(X[0], g, (3, 3)), pb.conv_weight(X[:1], g[None], 3))
