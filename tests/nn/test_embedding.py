"""Embeddings: what the parity table cannot say."""

import numpy as np
import pytest

import pullback as pb
from pullback import nn

INDICES = [[1, 1, 3], [0, 1, 3]]


def test_an_index_that_is_out_of_range_is_refused_in_one_line(place):
    layer = nn.Embedding(4, 2)
    for index in (4, -1):
        with pytest.raises(IndexError, match=r"outside \[0, 4\): its table has 4 rows"):
            layer(pb.asarray([0, index]))
    with pytest.raises(TypeError, match="integers; got float32"):
        layer(pb.asarray([0.0]))


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
