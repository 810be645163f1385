"""Matrix products: the one entry that CuPy's kernels take them from.

They run on cuBLASLt where nvmath-python is installed, and elsewhere on cuBLAS by way of CuPy. `cupy.matmul` would copy
what is transposed in a stack, take stacks of float16 in float32 and none of bfloat16, and let the environment decide on
TF32. Here products of float16 and bfloat16 are summed in float32, and float32 is rounded to TF32 where `autocast` asks
for that and nowhere else.

cuBLAS counts along columns first: rows of C's order are columns to it, and an array its own transpose. So it is asked
for the transposed result, the factors change places, and nothing is moved.
"""

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

__all__ = ["are_multiplied", "product", "status"]

_AUTOMATIC: Final = -1  # cuBLAS chooses the algorithm
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
    """
    now = driver()
    if out is None:
        batch = a.shape[:-2]
        if b.ndim > 2 and b.shape[:-2] != batch:
            batch = host.broadcast_shapes(batch, b.shape[:-2])
        out = now.xp.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    if not out.size:
        return out
    if not a.shape[-1]:
        out.fill(0)
    else:
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
        done = cublaslt.Done.NOTHING if plan.on_cublaslt is None else plan.on_cublaslt.run(now, a, b, out, bias, relu)
        if done is cublaslt.Done.ALL:
            return out
        if done is cublaslt.Done.NOTHING:
            plan.run(now, a, b, out)
    if bias is not None or relu:
        add_bias(out, bias, relu)
    return out


def status() -> str:
    """What products run on: the library and its version, for people to read."""
    if driver().cublaslt is not None:
        return f"{cublaslt.status()} through nvmath-python {version('nvmath-python')}"
    return f"cuBLAS through CuPy {driver().xp.__version__}"
