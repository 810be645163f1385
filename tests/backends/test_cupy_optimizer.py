"""Updates on the GPU, emulated: whole optimizers over parameters of many sizes, equal to the bit to those of NumPy."""

from typing import Any

import numpy as np
import pytest
from emulated_gpu import COMPILER, numpy_with_cupys_kernels
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback import optim
from pullback.optim.several import scale_all, sum_of_squares, unscale_all

pytestmark = [
    pytest.mark.on_numpy,
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed, such as g++"),
]

MAKERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD with Nesterov's momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD to maximize": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, maximize=True),
    "Adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "NAdam": lambda p: optim.NAdam(p, lr=0.1),
    "RAdam": lambda p: optim.RAdam(p, lr=0.1),
    "Adamax": lambda p: optim.Adamax(p, lr=0.1),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, centered=True, momentum=0.9),
    "Lion": lambda p: optim.Lion(p, lr=0.1),
}
SHAPES = [(3,), (40, 500), (1,), (7, 4), (16_384,), (2, 3, 5)]
"""Past what one block takes, with ends that are no multiple of what a thread reads at once."""


def steps_of(make: Any, dtype: str) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    parameters = [pb.tensor(generator.standard_normal(s).astype(dtype), requires_grad=True) for s in SHAPES]
    optimizer = make(parameters)
    for _ in range(3):
        for p in parameters:
            g = generator.standard_normal(p.shape).astype(dtype)
            p.grad = pb.tensor(np.asfortranarray(g))
        optimizer.step()
    state = optimizer.state_dict()["state"]
    return [p.numpy() for p in parameters] + [
        s.numpy() for number in state for s in state[number].values() if isinstance(s, pb.Tensor)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAKERS)
def test_an_optimizer_ends_where_it_does_on_numpy(name: str, dtype: str) -> None:
    expected = steps_of(MAKERS[name], dtype)
    with numpy_with_cupys_kernels() as gpu:
        got = steps_of(MAKERS[name], dtype)
    assert [launched.startswith("update<") for launched in gpu.launched].count(True) == 3  # one for a step of all
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


arrays = st.lists(st.integers(0, 40) | st.just(33_000), min_size=1, max_size=5)


@settings(max_examples=20, derandomize=True, database=None)
@given(arrays, st.sampled_from(["float16", "float32", "float64"]))
def test_all_gradients_are_measured_and_scaled_together(sizes: list[int], dtype: str) -> None:
    generator = np.random.default_rng(len(sizes))
    gradients = [generator.standard_normal(n).astype(dtype) for n in sizes]
    with numpy_with_cupys_kernels():
        total = sum_of_squares(*gradients)
        scaled = scale_all(np.asarray(0.25, dtype), *gradients)
        again = scale_all(0.25, *gradients)
        squares, finite, *unscaled = unscale_all(0.25, *gradients)
    assert finite
    np.testing.assert_allclose(squares, total / 16, rtol=1e-6)
    for got, same in zip(scaled, unscaled, strict=True):
        np.testing.assert_array_equal(got, same)
    np.testing.assert_allclose(total, sum(np.sum(g.astype("float64") ** 2) for g in gradients), rtol=1e-6)
    for got, same, g in zip(scaled, again, gradients, strict=True):
        np.testing.assert_array_equal(got, g * g.dtype.type(0.25))
        np.testing.assert_array_equal(same, got)


@pytest.mark.parametrize("what", [np.inf, -np.inf, np.nan])
def test_one_number_that_is_not_finite_shows_in_the_norm(what: float) -> None:
    gradients = [np.ones(33_000, np.float32), np.full(5, 1e30, np.float32)]
    with numpy_with_cupys_kernels():
        assert np.isinf(sum_of_squares(*gradients))  # beyond float32, of finite numbers
        assert unscale_all(1.0, *gradients)[1]
        gradients[0][32_999] = what
        assert not np.isfinite(sum_of_squares(*gradients))
        assert not unscale_all(1e-30, *gradients)[1]
