"""What a call costs on a small array when nothing is recorded, beside NumPy's own call.

    python benchmarks/small_calls.py

The limit is 3 times NumPy's time and 2 microseconds. Quoted is the best of many turns, which other work on the
machine disturbs least.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pullback as pb

X = np.random.default_rng(0).standard_normal(8).astype("float32")
POSITIVE, FLAGS, PLACES = np.abs(X) + 0.1, X > 0, np.asarray([0, 1, 2])
MATRIX = np.eye(8, dtype="float32") * 2 + 0.1

CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    **{
        name: (getattr(np, theirs), getattr(pb, name), (X,))
        for name, theirs in {
            **{name: name for name in ("exp", "sin", "cos", "tanh", "square", "negative", "abs", "sign", "floor")},
            **{name: name for name in ("sum", "mean", "prod", "max", "min", "std", "var", "argmax", "sort", "argsort")},
            **{name: name for name in ("isnan", "isfinite", "flip", "nonzero", "count_nonzero", "unique_values")},
            **{name: name for name in ("zeros_like", "ones_like", "round", "trunc", "conj", "diff")},
            "cumulative_sum": "cumsum",
        }.items()
    },
    **{
        name: (getattr(np, theirs), getattr(pb, name), (X, POSITIVE))
        for name, theirs in {
            **{name: name for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "hypot")},
            **{name: name for name in ("equal", "less", "greater", "logaddexp", "remainder", "vecdot")},
            "atan2": "arctan2",
        }.items()
    },
    **{
        name: (getattr(np.linalg, name), getattr(pb.linalg, name), (MATRIX,))
        for name in ("inv", "det", "svd", "qr", "eigh", "cholesky", "pinv", "slogdet", "trace", "matrix_norm")
    },
    "sqrt": (np.sqrt, pb.sqrt, (POSITIVE,)),
    "log": (np.log, pb.log, (POSITIVE,)),
    "pow": (np.power, pb.pow, (POSITIVE, X)),
    "where": (np.where, pb.where, (FLAGS, X, POSITIVE)),
    "all": (np.all, pb.all, (FLAGS,)),
    "matmul": (np.matmul, pb.matmul, (MATRIX, MATRIX)),
    "solve": (np.linalg.solve, pb.linalg.solve, (MATRIX, MATRIX)),
    "vector_norm": (np.linalg.vector_norm, pb.linalg.vector_norm, (X,)),
    "fft": (np.fft.fft, pb.fft.fft, (X,)),
    "rfft": (np.fft.rfft, pb.fft.rfft, (X,)),
    "tril": (np.tril, pb.tril, (MATRIX,)),
    "matrix_transpose": (np.matrix_transpose, pb.matrix_transpose, (MATRIX,)),
    "clip": (lambda x: np.clip(x, -1.0, 1.0), lambda x: pb.clip(x, -1.0, 1.0), (X,)),
    "reshape": (lambda x: np.reshape(x, (2, 4)), lambda x: pb.reshape(x, (2, 4)), (X,)),
    "permute_dims": (lambda x: np.permute_dims(x, (1, 0)), lambda x: pb.permute_dims(x, (1, 0)), (MATRIX,)),
    "moveaxis": (lambda x: np.moveaxis(x, 0, 1), lambda x: pb.moveaxis(x, 0, 1), (MATRIX,)),
    "expand_dims": (lambda x: np.expand_dims(x, 0), lambda x: pb.expand_dims(x, axis=0), (X,)),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 8)), lambda x: pb.broadcast_to(x, (2, 8)), (X,)),
    "concat": (lambda x: np.concat([x, x]), lambda x: pb.concat([x, x]), (X,)),
    "stack": (lambda x: np.stack([x, x]), lambda x: pb.stack([x, x]), (X,)),
    "roll": (lambda x: np.roll(x, 1), lambda x: pb.roll(x, 1), (X,)),
    "repeat": (lambda x: np.repeat(x, 2), lambda x: pb.repeat(x, 2), (X,)),
    "tile": (lambda x: np.tile(x, (2,)), lambda x: pb.tile(x, (2,)), (X,)),
    "astype": (lambda x: x.astype("float64"), lambda x: pb.astype(x, "float64"), (X,)),
    "take": (lambda x, i: np.take(x, i, axis=0), lambda x, i: pb.take(x, i, axis=0), (X, PLACES)),
    "take_along_axis": (np.take_along_axis, lambda x, i: pb.take_along_axis(x, i), (X, PLACES)),
    "searchsorted": (np.searchsorted, pb.searchsorted, (np.sort(X), POSITIVE)),
    "isin": (np.isin, pb.isin, (PLACES, PLACES)),
    "x[2:5]": (lambda x: x[2:5], lambda x: x[2:5], (X,)),
    "x[0]": (lambda x: x[0], lambda x: x[0], (X,)),
    "x[1, :]": (lambda x: x[1, :], lambda x: x[1, :], (MATRIX,)),
    "x[places]": (lambda x, i: x[i], lambda x, i: x[i], (X, PLACES)),
    "x[mask]": (lambda x, m: x[m], lambda x, m: x[m], (X, FLAGS)),
}


def best(function: Callable[..., Any], inputs: tuple[Any, ...], calls: int = 1000, turns: int = 15) -> float:
    """The microseconds of one call, in the best of the turns."""
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        for _ in range(calls):
            function(*inputs)
        times.append((time.perf_counter() - start) / calls)
    return min(times) * 1e6


def main() -> int:
    print(f"{'call':<18}{'NumPy':>9}{'arrays':>9}{'Tensors':>9}{'limit':>9}   microseconds")
    above = 0
    for name, (theirs, ours, inputs) in CASES.items():
        numpy = best(theirs, inputs)
        arrays, tensors = best(ours, inputs), best(ours, tuple(map(pb.Tensor, inputs)))
        limit = 3 * numpy + 2
        above += max(arrays, tensors) > limit
        mark = "  above" if max(arrays, tensors) > limit else ""
        print(f"{name:<18}{numpy:>9.2f}{arrays:>9.2f}{tensors:>9.2f}{limit:>9.2f}{mark}")
    print(f"{above} of {len(CASES)} above their limit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
