"""Queries, keys and values that come from one array, and their gradients that go back into one."""

import numpy as np
import pytest

import pullback as pb
from pullback.ops.heads import split_heads


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_gradient_through_heads_and_attention_is_that_of_pytorch(batch_first):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((3, 4, 24))
    ours, theirs = pb.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    parts = split_heads(ours, heads=(2, 2, 2), batch_first=batch_first)
    (pb.scaled_dot_product_attention(*parts, is_causal=True) ** 2).sum().backward()
    order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)
    parts = theirs.reshape(3, 4, 3, 2, 4).permute(order)
    (torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True) ** 2).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-10, atol=1e-12)
