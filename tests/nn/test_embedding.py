"""Embeddings: what the parity table cannot say."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

INDICES = [[1, 1, 3], [0, 1, 3]]


def test_an_index_that_is_out_of_range_is_refused_in_one_line(place):
    layer = nn.Embedding(4, 2)
    for index in (4, -1) if place.in_host_memory(pb.ones(1).array) else ():  # on a device nobody looks
        with pytest.raises(IndexError, match=r"outside \[0, 4\): its table has 4 rows"):
            layer(pb.asarray([0, index]))
    with pytest.raises(TypeError, match="integers; got float32"):
        layer(pb.asarray([0.0]))
    with pytest.raises(TypeError, match="integers; got list"):
        layer([0, 1])


@pytest.mark.parametrize(
    ("offsets", "ended"),
    [
        ([1, 3], False),
        ([-1, 2], False),
        ([0, 3, 2], False),
        ([0, -1, 2], False),
        ([0, 6], False),
        ([0, 2, 6], True),
        ([0, 3, 1], True),
        ([[0, 2]], False),
        ([], True),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_offsets_that_part_nothing_are_refused(offsets, ended, mode, place):
    bags = nn.EmbeddingBag(4, 2, mode=mode, include_last_offset=ended)
    with pytest.raises(ValueError, match=r"^offsets "):
        bags(pb.asarray([0, 1, 2, 3, 1]), pb.asarray(offsets, dtype="int64"))
    with pytest.raises(TypeError, match="offsets in an array of integers; got float32"):
        bags(pb.asarray([0, 1]), pb.asarray([0.0]))


@pytest.mark.parametrize("padding_idx", [None, 1])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("offsets", [[0, 2, 3], [0, 0, 2, 2], [0, 0], [0], [0, 2, 5]], ids=str)
def test_what_comes_behind_the_last_offset_is_in_no_bag(offsets, mode, padding_idx, place):
    bags = nn.EmbeddingBag(4, 3, mode=mode, include_last_offset=True, padding_idx=padding_idx)
    indices, end = pb.asarray([0, 1, 2, 3, 1]), offsets[-1]
    y = bags(indices, pb.asarray(offsets))
    assert y.shape == (len(offsets) - 1, 3)
    y.sum().backward()
    gradient, bags.weight.grad = bags.weight.grad, None
    expected = bags(indices[:end], pb.asarray(offsets))  # whose last offset is the number of indices
    np.testing.assert_array_equal(y.numpy(), expected.numpy())
    expected.sum().backward()
    np.testing.assert_array_equal(gradient.numpy(), bags.weight.grad.numpy())


def test_no_bags_give_no_rows(place):
    assert nn.EmbeddingBag(4, 3)(pb.asarray([1]), pb.asarray([], dtype="int64")).shape == (0, 3)


def test_sizes_are_whole_numbers_of_python_or_numpy():
    layer = nn.Embedding(np.int64(4), np.int32(2), padding_idx=np.int64(-1))
    assert layer.weight.shape == (4, 2)
    assert repr(layer) == "Embedding(4, 2, padding_idx=3)  # 8 parameters"
    with pytest.raises(TypeError, match=r"num_embeddings is a whole number of 0 or more; got 4\.0"):
        nn.Embedding(4.0, 2)
    with pytest.raises(ValueError, match="embedding_dim is a whole number of 0 or more; got -1"):
        nn.Embedding(4, -1)


def test_rows_start_normal_and_the_padding_as_zeros(place):
    values = nn.Embedding(300, 40, padding_idx=-1).weight.numpy()
    assert not values[299].any()
    assert values[:299].mean() == pytest.approx(0, abs=0.03)
    assert values[:299].std() == pytest.approx(1, rel=0.03)


def test_a_pretrained_table_is_shared_and_frozen():
    table = pb.asarray(np.arange(6.0).reshape(3, 2))
    layer = nn.Embedding.from_pretrained(table)
    assert layer.weight.array is table.array
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    bags = nn.EmbeddingBag.from_pretrained(table, mode="sum")
    assert bags(pb.asarray([[0, 2]])).tolist() == [[4.0, 6.0]]
    assert not bags.weight.requires_grad


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_are_divided_by_how_often_a_row_is_named(mode):
    layer = nn.EmbeddingBag(4, 2, mode=mode, scale_grad_by_freq=True)
    layer(pb.asarray(INDICES)).sum().backward()
    share = 1 if mode == "sum" else 1 / 3
    expected = np.asarray([[1], [1], [0], [1]]) * share * np.ones(2)  # each as often as it is named, divided by that
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, rtol=1e-6)


def test_an_optimizer_goes_on_after_rows_were_shortened():
    layer = nn.Embedding(4, 3, max_norm=0.5)
    optimizer = pb.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(pb.asarray(INDICES)).sum().backward()
        optimizer.step()
    layer(pb.asarray(INDICES))
    norms = np.linalg.norm(layer.weight.numpy(), axis=1)
    assert np.all(norms[[0, 1, 3]] <= 0.5)


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="no sparse gradients"):
        nn.Embedding(4, 2, sparse=True)
    with pytest.raises(ValueError, match="one of 4 rows; got 4"):
        nn.Embedding(4, 2, padding_idx=4)
    with pytest.raises(ValueError, match="'sum', 'mean' or 'max'; got 'median'"):
        nn.EmbeddingBag(4, 2, mode="median")
    with pytest.raises(ValueError, match="go with mode='sum'"):
        nn.EmbeddingBag(4, 2)(pb.asarray(INDICES), None, pb.ones((2, 3)))
    with pytest.raises(ValueError, match="with offsets"):
        nn.EmbeddingBag(4, 2)(pb.asarray([1, 2]))
