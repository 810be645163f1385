"""Feed-forward networks for kernels to run, and what the op's own lines make of them in double precision."""

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.autodiff.op import registry

__all__ = ["OP", "RULE", "TOLERANCE", "compare", "drawn"]

OP = registry["feed_forward"]
RULE = OP.rules[0]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 2e-2}
NAMES = ("x", "weight1", "bias1", "weight2", "bias2")


def drawn(dtype: str, rows: tuple[int, ...] = (20,), hidden: int = 24, biases: bool = True, of_y: int = 8) -> list[Any]:
    """The inputs of a feed-forward network, and the gradient of its output, in a dtype."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes, which makes bfloat16, is not installed")
    generator = np.random.default_rng(0)
    shapes = [(*rows, 16), (hidden, 16), (hidden,), (of_y, hidden), (of_y,), (*rows, of_y)]
    arrays = [generator.standard_normal(shape).astype(dtype) for shape in shapes]
    return [a if biases or len(a.shape) > 1 or i in (0, 5) else None for i, a in enumerate(arrays)]


def compare(table: Any, given: list[Any], approximate: str | None, frozen: tuple[str, ...] = ()) -> None:
    """A table's kernels of it beside the op's own lines in double precision."""
    *inputs, g = given
    y, hidden, kept = table[OP.name](*inputs, approximate=approximate, frozen=frozen)
    x, weight1, _, weight2, _ = inputs
    got = table[RULE.name]((g, None, None), x, weight1, weight2, hidden, kept, approximate=approximate, frozen=frozen)
    wide = [None if a is None else pb.tensor(a.astype("float64")).requires_grad_() for a in inputs]
    expected = OP(*wide, approximate=approximate)
    expected[0].backward(pb.tensor(g.astype("float64")))
    tolerance = TOLERANCE[str(x.dtype)]
    pairs = [*zip((y, hidden, kept), (e.detach().numpy() for e in expected), strict=True)]
    for name, value, variable in zip(NAMES, got, wide, strict=True):
        if name in frozen:
            assert value is None
        elif variable is not None:
            pairs.append((value, variable.grad.numpy()))
    for value, exact in pairs:
        assert (value.shape, value.dtype) == (exact.shape, x.dtype)
        np.testing.assert_allclose(
            value.astype("float64"), exact, rtol=0, atol=tolerance * np.max(np.abs(exact), initial=0)
        )
