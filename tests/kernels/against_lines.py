"""A kernel of CuPy's, run on the processor and compared with the op's own lines in double precision."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from emulated_gpu import emulated_gpu

from pullback.autodiff.op import registry
from pullback.autodiff.tree import flatten, tree_map
from pullback.backends import is_floating, open_backend
from pullback.backends.cupy_kernels import kernels

__all__ = ["against_lines", "check_gradients", "check_values", "run"]


def run(name: str, /, *arrays: Any, backwards: bool = False, **metadata: Any) -> Any:
    """What a kernel gives, which must not decline. backwards: run blocks and threads from the last to the first."""
    with emulated_gpu(backwards) as driver:
        got = kernels[name](*arrays, **metadata)
        assert got is not NotImplemented
        assert driver.launched
    return got


def against_lines(name: str, /, *arrays: Any, tolerance: float, **metadata: Any) -> Any:
    """What a kernel gives, which must be what the lines give for the same numbers as float64, to the tolerance.

    The tolerance is of each number, and of the largest of its array. Gradients of what was broadcast may be summed; it
    is then of the sum of what they are made of, without its signs.
    """
    got = run(name, *arrays, **metadata)
    op = registry[name.partition(".")[0]]
    function: Any = op if op.name == name else next(rule for rule in op.rules if rule.name == name)
    wide = tree_map(lambda x: x.astype(np.float64) if isinstance(x, np.ndarray) and is_floating(x.dtype) else x, arrays)
    expected = function.function(open_backend("numpy").namespace, *wide, **metadata)
    for a, b in zip(flatten(got)[0], flatten(expected)[0], strict=True):
        b = np.asarray(b)
        axes = tuple(range(b.ndim - a.ndim))
        sizes, b = np.abs(b).sum(axis=axes), b.sum(axis=axes)
        assert a.shape == b.shape
        scale = np.max(sizes, initial=0.0, where=np.isfinite(sizes))
        np.testing.assert_allclose(a.astype(b.dtype), b, rtol=tolerance, atol=tolerance * max(scale, 0.1))
    return got


def check_values(got: Sequence[Any], expected: Sequence[Any], tolerance: float) -> None:
    """What a kernel gives is what the lines give of the same numbers: types, shapes, and values to the tolerance."""
    for a, b in zip(got, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=tolerance, atol=tolerance)


def check_gradients(got: Sequence[Any], expected: Sequence[Any], inputs: Sequence[Any], tolerance: float) -> None:
    """A kernel's gradients, of the inputs' types, are those of the lines; it may have summed what was broadcast.

    The tolerance is of each number, and of the largest of its array where that is above 1.
    """
    for a, b, x in zip(got, expected, inputs, strict=True):
        assert a.dtype == x.dtype
        axes = tuple(i for i, (n, m) in enumerate(zip(a.shape, b.shape, strict=True)) if n != m)
        b = b.astype(np.float64).sum(axis=axes, keepdims=True)
        atol = tolerance * max(1.0, np.abs(b).max())
        np.testing.assert_allclose(a.astype(np.float64), b, rtol=tolerance, atol=atol)
