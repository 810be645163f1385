"""Matrix products: the one entry that CuPy's kernels take them from.

They run on cuBLASLt where nvmath-python is installed, and elsewhere on cuBLAS by way of CuPy. `cupy.matmul` would copy
what is transposed in a stack, take stacks of float16 in float32 and none of bfloat16, and let the environment decide on
TF32. Here products of float16 and bfloat16 are summed in float32, and float32 is rounded to TF32 where `autocast` asks
for that and nowhere else.

cuBLAS counts along columns first: rows of C's order are columns to it, and an array its own transpose. So it is asked
for the transposed result, the factors change places, and nothing is moved.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from ..backend import Array
from ..host import host
from ..precision import products_in_tf32
from . import cublaslt
from .columns import add_bias
from .launch import Driver, driver
from .layouts import calls_for
from .number_types import ONE, ZERO, number_type

__all__ = ["are_multiplied", "has_epilogues", "product", "product_with", "status"]

_AUTOMATIC: Final = -1  # cuBLAS chooses the algorithm
_ANY_SUMS, _WIDE_SUMS = 0, 16
"""How cuBLAS may add the parts of a sum that it has split: in halves too, or in the type that is computed in alone."""
_KEPT: Final = 4096
"""Plans that are kept at most."""


class _Plan:
    """How a product of arrays that lie in a certain way is taken."""

    def __init__(self, a: Array, b: Array, out: Array, tf32: bool) -> None:
        type_ = number_type(a.dtype)
        if type_ is None:
            raise TypeError(f"products are of floating types; got {a.dtype}")
        self.type = type_
        self.compute = type_.tf32 if tf32 else type_.compute
        calls = calls_for(a, b, out)
        self.call = calls.call
        size = a.dtype.itemsize
        self.sums = _WIDE_SUMS if size == 2 else _ANY_SUMS
        self.offsets = [(i * size, j * size, k * size) for i, j, k in calls.offsets]
        self.copies_a, self.copies_b = calls.copied
        self.on_cublaslt: cublaslt.Plans | None = None
        if len(self.offsets) == 1 and not type_.is_complex:
            self.on_cublaslt = cublaslt.Plans(self.call, type_, self.compute, size)

    def run(self, now: Driver, a: Array, b: Array, out: Array) -> None:
        """Fill `out`, on cuBLAS."""
        rows, columns, inner, (a_turned, a_line), (b_turned, b_line), line, batch, (of_a, of_b, of_out) = self.call
        kind, one, zero = self.type.data, ONE[self.type.wide], ZERO[self.type.wide]
        handle, blas = now.cublas_handle(), now.cublas
        a_at, b_at, out_at = now.address(a), now.address(b), now.address(out)
        if self.sums:
            blas.setMathMode(handle, self.sums)
        try:
            for i, j, k in self.offsets:
                if batch == 1:
                    blas.gemmEx(
                        handle, b_turned, a_turned, columns, rows, inner,
                        one, b_at + j, kind, b_line, a_at + i, kind, a_line,
                        zero, out_at + k, kind, line, self.compute, _AUTOMATIC,
                    )  # fmt: skip
                else:
                    blas.gemmStridedBatchedEx(
                        handle, b_turned, a_turned, columns, rows, inner,
                        one, b_at + j, kind, b_line, of_b, a_at + i, kind, a_line, of_a,
                        zero, out_at + k, kind, line, of_out, batch, self.compute, _AUTOMATIC,
                    )  # fmt: skip
        finally:
            if self.sums:
                blas.setMathMode(handle, _ANY_SUMS)  # the handle is CuPy's too


_plans: dict[Any, _Plan] = {}


def are_multiplied(*arrays: Array | None) -> bool:
    """Whether `product` takes arrays: all of one floating or complex type."""
    given = [x for x in arrays if x is not None]
    return number_type(given[0].dtype) is not None and all(x.dtype == given[0].dtype for x in given)


def product(a: Array, b: Array, *, bias: Array | None = None, relu: bool = False, out: Array | None = None) -> Array:
    """The matrix product of the last two axes, the others broadcast; plus a bias, and its negative values 0.

    a: (..., M, K). b: (..., K, N). bias: (N,), contiguous. All of one floating or complex type, on the current device.
        Transposed matrices, and stacks that lie in equal steps, are read where they are.
    out: where the result goes, (..., M, N) with contiguous rows, and contiguous as a whole where something is added; a
        new array without it.

    cuBLASLt's own relu makes 0 of what is not a number, and so hides it from whoever looks for it: it is not used.
    """
    now = driver()
    if out is None:
        out = _empty(now, a, b)
    if not out.size:
        return out
    if not a.shape[-1]:
        out.fill(0)
    else:
        plan, a, b = _planned(now, a, b, out)
        on_cublaslt = plan.on_cublaslt
        if on_cublaslt is not None and bias is not None and on_cublaslt.run(now, a, b, out, "BIAS", bias):
            bias = None
        elif on_cublaslt is None or not on_cublaslt.run(now, a, b, out):
            plan.run(now, a, b, out)
    if bias is not None or relu:
        add_bias(out, bias, relu)
    return out


def has_epilogues() -> bool:
    """Whether there is cuBLASLt, and with it epilogues."""
    return driver().cublaslt is not None


def product_with(
    epilogue: str, a: Array, b: Array, vector: Array | None = None, aux: Callable[[], Array] | None = None
) -> Array | None:
    """The matrix product with one of cuBLASLt's epilogues; None, and nothing done, where it has none.

    a: (..., M, K). b: (K, N). vector, aux: what the epilogue reads or writes, as `cublaslt.Plans` says.
    """
    if not a.size or not b.size:
        return None
    now = driver()
    out = _empty(now, a, b)
    plan, a, b = _planned(now, a, b, out)
    on_cublaslt = plan.on_cublaslt
    return out if on_cublaslt is not None and on_cublaslt.run(now, a, b, out, epilogue, vector, aux) else None


def _empty(now: Driver, a: Array, b: Array) -> Array:
    """An array for the product."""
    batch = a.shape[:-2]
    if b.ndim > 2 and b.shape[:-2] != batch:
        batch = host.broadcast_shapes(batch, b.shape[:-2])
    return now.xp.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)


def _planned(now: Driver, a: Array, b: Array, out: Array) -> tuple[_Plan, Array, Array]:
    """How a product is taken, and its factors as they are then read."""
    tf32 = products_in_tf32()
    key = now, tf32, a.dtype, a.shape, a.strides, b.shape, b.strides, out.strides
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _KEPT:
            _plans.clear()
        plan = _plans[key] = _Plan(a, b, out, tf32)
    if plan.copies_a:
        a = now.xp.ascontiguousarray(a)
    if plan.copies_b:
        b = now.xp.ascontiguousarray(b)
    return plan, a, b


def status() -> str:
    """What products run on: the library and its version, for people to read."""
    if has_epilogues():
        return f"{cublaslt.status()} through nvmath-python {version('nvmath-python')}"
    return f"cuBLAS through CuPy {driver().xp.__version__}"
