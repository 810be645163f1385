"""What the registry and the parity table cannot say of pooling and resampling."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_of_a_tie_the_first_has_the_whole_gradient():
    x = pb.tensor(np.full((1, 2, 4, 1), 3.0), requires_grad=True)
    pb.max_pool(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy()[0, ..., 0], [[1, 0, 1, 0], [0, 0, 0, 0]])


def test_of_a_tie_across_rows_the_first_row_counts_before_the_first_column():
    x = np.asarray([[0.0, 7.0], [7.0, 0.0]]).reshape(1, 2, 2, 1)
    assert pb.max_pool(x, 2, return_indices=True)[1].item() == 1


@pytest.mark.parametrize("size", [(1, 4, 6, 2), (4, 64, 64, 8)])
def test_nan_is_greater_than_all_else_also_in_the_gradient(size: tuple[int, ...]) -> None:
    x = image(*size).astype("float32")
    x[0, 1, 2, 0] = np.nan
    v = pb.tensor(x, requires_grad=True)
    y = pb.max_pool(v, 2)
    y.sum().backward()
    assert np.argwhere(np.isnan(y.numpy())).tolist() == [[0, 0, 1, 0]]
    assert v.grad.numpy()[0, 0:2, 2:4, 0].tolist() == [[0, 0], [1, 0]]


def test_a_window_of_minus_infinities_names_an_element_and_not_the_padding():
    y, indices = pb.max_pool(np.full((1, 3, 3, 1), -np.inf), 3, 2, 1, return_indices=True)
    assert np.isneginf(y).all()
    assert indices[0, ..., 0].tolist() == [[0, 1], [3, 4]]


def test_integers_are_pooled_too():
    y = pb.max_pool(np.arange(8).reshape(1, 8, 1), 3, 3, 1)
    assert y.dtype == np.int64
    assert y.reshape(-1).tolist() == [1, 4, 7]


UNBATCHED = [
    (nn.MaxPool1d(2, return_indices=True), (7, 3)),
    (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (6, 7, 2)),
    (nn.MaxPool3d(2), (4, 5, 4, 2)),
    (nn.AvgPool1d(2), (7, 3)),
    (nn.AvgPool2d((2, 3), padding=1), (6, 7, 2)),
    (nn.AdaptiveAvgPool2d((3, None)), (6, 7, 2)),
    (nn.AdaptiveMaxPool2d(2, return_indices=True), (6, 7, 2)),
    (nn.LPPool2d(2, 2), (6, 7, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), UNBATCHED, ids=lambda x: type(x).__name__)
def test_one_sample_without_a_batch_is_pooled_as_in_one(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = image(*shape)
    alone, together = layer(x), layer(x[None])
    for a, b in zip(*(y if isinstance(y, tuple) else (y,) for y in (alone, together)), strict=True):
        np.testing.assert_array_equal(a, b[0])


def test_a_random_pooling_of_one_sample_is_that_of_a_batch_of_one():
    x = image(9, 8, 2)
    pb.manual_seed(3)
    alone = nn.FractionalMaxPool2d(2, output_size=3)(x)
    pb.manual_seed(3)
    np.testing.assert_array_equal(alone, nn.FractionalMaxPool2d(2, output_size=3)(x[None])[0])


def test_unpooling_puts_back_what_pooling_took():
    x = image(2, 6, 8, 3)
    y, indices = pb.max_pool(x, 2, return_indices=True)
    whole = pb.max_unpool(y, indices, 2)
    assert np.count_nonzero(whole) == y.size
    np.testing.assert_array_equal(whole[whole != 0], x[whole != 0])
    np.testing.assert_array_equal(pb.max_pool(np.where(whole == 0, -9.0, whole), 2), y)


def test_of_elements_put_in_one_place_the_last_stays_and_has_the_gradient():
    x = pb.tensor([[[1.0], [2.0], [3.0]]], requires_grad=True)
    y = pb.max_unpool(x, pb.asarray([[[2], [0], [2]]]), 1)
    y.sum().backward()
    assert y.numpy().reshape(-1).tolist() == [2, 0, 3]
    assert x.grad.numpy().reshape(-1).tolist() == [0, 1, 1]


def test_a_length_that_pooling_does_not_determine_is_said_to_unpooling():
    x = image(1, 5, 5, 2)
    y, indices = nn.MaxPool2d(2, return_indices=True)(x)
    for size in (x.shape, (5, 5)):
        whole = nn.MaxUnpool2d(2)(y, indices, output_size=size)
        assert whole.shape == x.shape
        np.testing.assert_array_equal(whole[whole != 0], x[whole != 0])


@pytest.mark.parametrize("keepdims", [True, False])
def test_global_pooling_is_a_reduction_over_space(keepdims: bool) -> None:
    x = image(2, 5, 4, 3)
    for layer, reduce in ((nn.GlobalAvgPool, np.mean), (nn.GlobalMaxPool, np.max)):
        np.testing.assert_allclose(layer(keepdims)(x), reduce(x, axis=(1, 2), keepdims=keepdims), rtol=1e-12)


def test_random_windows_start_at_the_front_end_at_the_end_and_step_by_one_of_two_lengths():
    # x rises along its length, so that each maximum tells where its window ends.
    x = np.broadcast_to(np.arange(25.0)[None, :, None, None], (500, 25, 3, 1))
    pb.manual_seed(0)
    ends = pb.fractional_max_pool(x, 2, (10, 1))[:, :, 0, 0]
    steps = np.diff(ends, axis=1)
    assert (ends[:, 0] == 1).all()
    assert (ends[:, -1] == 24).all()
    assert set(np.unique(steps[:, :-1])) == {2, 3}  # the length less the window's, 23, over 9 steps
    # A step is the longer one as often as the mean of the two asks for.
    assert abs(steps[:, :-1].mean() - 23 / 9) < 0.03
    assert len(np.unique(ends, axis=0)) > 3


def test_random_windows_are_decided_by_the_seed():
    x = image(2, 20, 20, 3)
    layer = nn.FractionalMaxPool2d(3, output_ratio=0.6)
    drawn = []
    for seed in (1, 1, 2):
        pb.manual_seed(seed)
        drawn.append(layer(x))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert drawn[0].shape == (2, 12, 12, 3)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
def test_what_is_made_of_single_pixels_keeps_infinities_apart(mode: str) -> None:
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1, 0] = np.inf
    y = pb.interpolate(x, scale_factor=2, mode=mode)
    assert np.isinf(y).sum() == 4
    assert not np.isnan(y).any()


def test_resampling_is_linear_and_its_gradient_the_transpose():
    x, weights = pb.tensor(image(1, 5, 6, 2), requires_grad=True), image(1, 8, 3, 2, seed=1)
    y = pb.interpolate(x, (8, 3), mode="bicubic")
    (y * weights).sum().backward()
    assert float((x.detach() * x.grad).sum()) == pytest.approx(float((y.detach() * weights).sum()), rel=1e-12)


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_grid_of_the_identity_reads_an_image_as_it_is(align_corners: bool) -> None:
    x = image(2, 4, 5, 3)
    theta = np.tile(np.eye(2, 3), (2, 1, 1))
    grid = pb.affine_grid(theta, x.shape, align_corners=align_corners)
    np.testing.assert_allclose(pb.grid_sample(x, grid, align_corners=align_corners), x, atol=1e-12)


REFUSED = [
    (lambda x: pb.max_pool(x, 9), "does not fit"),
    (lambda x: pb.max_pool(x, 2, padding=2), "at most half"),
    (lambda x: pb.max_pool(x, (2, 2, 2, 2)), "N, .lengths, C"),
    (lambda x: pb.avg_pool(x, 2, divisor_override=0), "and not 0"),
    (lambda x: pb.max_pool(x[:, :2, :2], 2, 1, 1, 3), "wholly in a padding of 1; make it"),
    (lambda x: pb.adaptive_avg_pool(x, 0), "adaptive_avg_pool: output_size is 1 or more"),
    (lambda x: pb.adaptive_avg_pool(x[:, :0], 2), "at least one pixel"),
    (lambda x: nn.AdaptiveAvgPool2d(0), "AdaptiveAvgPool2d: output_size is 1 or more"),
    (lambda x: nn.AdaptiveMaxPool2d((2, 2, 2)), "for each of the 2 spatial axes"),
    *((lambda x, p=p: pb.lp_pool(x, p, 2), f"not 0; got {p}") for p in (0, float("inf"), float("nan"))),
    (lambda x: nn.LPPool2d(float("inf"), 2), "LPPool2d takes a finite norm_type"),
    (lambda x: pb.max_unpool(x, pb.zeros((1, 2, 2, 1), dtype="int64"), 2), "an index for each"),
    (lambda x: pb.max_unpool(x, pb.zeros(x.shape, dtype="int64"), 2, output_size=(3, 3)), "less than a stride"),
    (lambda x: pb.max_unpool(x, pb.zeros(x.shape, dtype="int64"), 2, padding=9), "lengths of 1 or more"),
    (lambda x: nn.MaxPool1d(2)(x), r"takes \(N, L, C\)"),
    (lambda x: nn.FractionalMaxPool2d(2), "output_size or output_ratio"),
    (lambda x: pb.fractional_max_pool(x, 2), "output_size or output_ratio; got None and None"),
    (lambda x: pb.fractional_max_pool(x, 2, 2, output_ratio=0.5), "output_size or output_ratio; got 2"),
    (lambda x: pb.fractional_max_pool(x, 2, output_ratio=(0.5,)), "output_ratio is above 0"),
    (lambda x: pb.fractional_max_pool(x, 2, output_ratio=1.0), "between 0 and 1"),
    (lambda x: pb.fractional_max_pool(x, 2, output_ratio=0.1), "number of windows is 1 or more"),
    (lambda x: pb.fractional_max_pool(x, 9, 1), "do not fit"),
    (lambda x: nn.FractionalMaxPool2d(2, output_size=6)(x), "do not fit"),
    (lambda x: pb.interpolate(x, 3, mode="linear"), "with 1 lengths"),
    (lambda x: pb.interpolate(x, 3, mode="lanczos"), "mode is one of"),
    (lambda x: pb.interpolate(x, 3, 2.0), "either size or scale_factor"),
    (lambda x: pb.interpolate(x, 3, align_corners=True), "align_corners"),
    (lambda x: pb.interpolate(x, 3, mode=["nearest"]), "mode is one of"),
    (lambda x: pb.interpolate(x), "either size or scale_factor; got None and None"),
    (lambda x: pb.interpolate(x, 0), "size is 1 or more"),
    (lambda x: pb.interpolate(x, (3, -1)), "size is 1 or more"),
    (lambda x: pb.interpolate(x, (3, 3, 3)), "each of the 2 spatial axes"),
    *((lambda x, s=s: pb.interpolate(x, scale_factor=s), "above 0, and finite") for s in (0, -1.0, np.inf, np.nan)),
    (lambda x: pb.interpolate(x[0, 0], 3), "with 1 or more lengths"),
    (lambda x: pb.interpolate(x, scale_factor=0.1), "at least one pixel"),
    (lambda x: pb.pixel_shuffle(x, 2), "pixel_shuffle by 2"),
    (lambda x: pb.pixel_unshuffle(x, 3), "pixel_unshuffle by 3"),
    (lambda x: pb.channel_shuffle(x, 2), "multiple of groups"),
    (lambda x: pb.channel_shuffle(x[0, 0, 0, 0], 2), "channel_shuffle takes"),
    (lambda x: pb.grid_sample(x, pb.zeros((1, 2, 2, 3))), "grid_sample takes"),
    (lambda x: pb.grid_sample(x[0, 0, 0], pb.zeros((1, 2, 2, 2))), "grid_sample takes"),
    (lambda x: pb.grid_sample(x[:, :0], pb.zeros((1, 2, 2, 2))), "at least one pixel"),
    (lambda x: pb.affine_grid(pb.ones((1, 2, 3)), 3), "affine_grid takes"),
    (lambda x: pb.affine_grid(pb.ones((1, 2, 3)), (1, 0, 3, 1)), "size is 1 or more"),
]


@pytest.mark.parametrize(
    ("call", "message"), REFUSED, ids=[f"{i}: {message}" for i, (_, message) in enumerate(REFUSED)]
)
def test_what_does_not_go_together_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(pb.asarray(image(1, 4, 5, 3)))


PLACES = [np.nan, np.inf, -np.inf, 0.3, -0.95, 7.0]


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("lengths", [(3, 4), (1, 3)])
def test_points_that_are_nowhere_are_outside(mode, padding_mode, align_corners, lengths):
    """What PyTorch gives too, but for the NaN that it gives where weights are made of such a place."""
    torch = pytest.importorskip("torch")
    x, grid = image(1, *lengths, 1), np.asarray([(a, b) for a in PLACES for b in PLACES]).reshape(1, 6, 6, 2)
    v, points = pb.tensor(x, requires_grad=True), pb.tensor(grid, requires_grad=True)
    y = pb.grid_sample(v, points, mode, padding_mode, align_corners)
    y.sum().backward()
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(v.grad.numpy()).all()
    theirs = torch.nn.functional.grid_sample(
        torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(grid), mode, padding_mode, align_corners
    ).numpy()[0, 0]
    ours, there = y.numpy()[0, ..., 0], np.isfinite(theirs)
    assert there.all() or (mode == "bicubic" or (mode == "bilinear" and padding_mode == "zeros"))
    np.testing.assert_allclose(ours[there], theirs[there], rtol=1e-10, atol=1e-10)
    if padding_mode == "zeros":
        assert (ours[~np.isfinite(grid[0]).all(axis=-1)] == 0).all()
    else:
        first, last = (np.where(np.isnan(grid), -1.0, np.where(np.isinf(grid), s, grid)) for s in (-1.0, 9.0))
        moved = first if padding_mode == "reflection" else np.where(grid == np.inf, last, first)
        if align_corners:  # -1 is the first pixel then
            expected = pb.grid_sample(x, moved, mode, padding_mode, align_corners)[0, ..., 0]
            np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


def test_the_mean_of_integers_is_refused():
    for function in (
        lambda x: pb.avg_pool(x, 2),
        lambda x: pb.adaptive_avg_pool(x, 2),
        lambda x: pb.interpolate(x, 2, mode="bilinear"),
        lambda x: pb.grid_sample(x, pb.zeros((1, 2, 2, 2))),
    ):
        with pytest.raises(TypeError, match="floating"):
            function(np.ones((1, 4, 4, 1), dtype=int))
