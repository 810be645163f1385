"""The layer of a perceptron as one op, beside the two that it stands for."""

import numpy as np
import pytest

import pullback as pb


def inputs(x_needs_gradient):
    drawn = np.random.default_rng(0)
    shapes = (6, 5), (4, 5), (4,)
    return [
        pb.tensor(drawn.standard_normal(shape)).requires_grad_(i > 0 or x_needs_gradient)
        for i, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize("x_needs_gradient", [False, True])
def test_gradients_of_both_orders_are_those_of_the_two_ops(x_needs_gradient):
    found = []
    for layer in (pb.linear_relu, lambda *given: pb.relu(pb.linear(*given))):
        x, weight, bias = inputs(x_needs_gradient)
        variables = [v for v in (x, weight, bias) if v.requires_grad]
        loss = (layer(x, weight, bias) ** 3).sum()
        loss.backward(create_graph=True)
        first = [v.grad for v in variables]
        for v in variables:
            v.grad = None
        sum((g * g).sum() for g in first).backward()
        found.append([a.numpy() for a in (*first, *(v.grad for v in variables))])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)


@pytest.mark.parametrize("x_needs_gradient", [False, True])
def test_the_gradient_of_an_input_that_needs_none_is_not_computed(x_needs_gradient):
    y = pb.linear_relu(*inputs(x_needs_gradient))
    assert y.node.metadata["pull_x"] is x_needs_gradient
