"""Products on cuBLASLt, by the bindings of nvmath-python: planned once, with a bias and a relu in the same pass.

The plain bindings are called, and not nvmath's `Matmul`, which takes longer to call than small products take to run.
What cuBLASLt has no algorithm for runs on cuBLAS, and is not asked for again.
"""

import logging
from collections.abc import Callable
from enum import Enum
from threading import Lock
from typing import Any, Final

from ..backend import Array
from ..host import host
from .launch import Driver, driver
from .layouts import Call
from .number_types import ONE, ZERO, NumberType

__all__ = ["Done", "Plans", "status"]

_log = logging.getLogger("pullback")

_WORKSPACE: Final = 32 << 20
"""The bytes that cuBLASLt may use beside its arrays: what NVIDIA recommends for Hopper."""
_ALIGNED: Final = 16
"""The bytes that the quickest algorithms read at once."""
_WIDE_SUMS: Final = 2  # parts of a sum are added in the type that is computed in, never in halves


class Done(Enum):
    """How much of a product has been done."""

    NOTHING = 0
    PRODUCT = 1
    ALL = 2


class Plans:
    """The plans of one product: for each device, for what follows it, and for how its arrays are aligned."""

    def __init__(self, call: Call, kind: NumberType, compute: int, itemsize: int) -> None:
        self._call, self._kind, self._compute, self._size = call, kind, compute, itemsize
        self._found: dict[Any, _Plan | None] = {}

    def run(self, now: Driver, a: Array, b: Array, out: Array, bias: Array | None, relu: bool) -> Done:
        """Fill `out`; its bias and relu too, where cuBLASLt has an algorithm for that."""
        if now.cublaslt is None:
            return Done.NOTHING
        device, stream = now.place()
        at = now.address(a), now.address(b), now.address(out), 0 if bias is None else now.address(bias)
        aligned = (at[0] | at[1] | at[2] | at[3]) % _ALIGNED == 0
        if bias is not None or relu:
            plan = self._plan(now, device, aligned, bias is not None, relu)
            if plan is not None and plan.run(now, device, stream, *at):
                return Done.ALL
        plan = self._plan(now, device, aligned, False, False)
        return Done.PRODUCT if plan is not None and plan.run(now, device, stream, *at) else Done.NOTHING

    def _plan(self, now: Driver, device: int, aligned: bool, biased: bool, relu: bool) -> "_Plan | None":
        key = now, device, aligned, biased, relu
        if key not in self._found:
            self._found[key] = None
            call = self._call
            if not (biased or relu) or (aligned and min(call.rows, call.columns, call.inner) > 1):
                alignment = _ALIGNED if aligned else self._size
                try:
                    self._found[key] = _Plan(now, device, call, self._kind, self._compute, alignment, biased, relu)
                except now.cublaslt.cuBLASLtError as error:
                    _tell(call, biased, relu, error)
        return self._found[key]


class _Plan:
    """Descriptors and an algorithm of cuBLASLt. Raises its error where there is none."""

    def __init__(
        self,
        now: Driver,
        device: int,
        call: Call,
        kind: NumberType,
        compute: int,
        alignment: int,
        biased: bool,
        relu: bool,
    ) -> None:
        self._made: list[tuple[Callable[[int], None], int]] = []
        lt = self._lt = now.cublaslt
        self._handle = _handle(now, device)
        self._lock = Lock()
        self._call, self._biased, self._relu = call, biased, relu
        self._one, self._zero = ONE[kind.wide], ZERO[kind.wide]
        self._broken = False
        self._descriptor = self._keep(lt.matmul_desc_destroy, lt.matmul_desc_create(compute, kind.scale))
        self._bias = host.full(1, _ALIGNED, dtype="uint64")  # an address that cuBLASLt takes while it plans
        attributes = lt.MatmulDescAttribute
        self._describe(attributes.TRANSA, "int32", call.b.transposed)
        self._describe(attributes.TRANSB, "int32", call.a.transposed)
        epilogue = lt.Epilogue["_".join(["RELU"] * relu + ["BIAS"] * biased) or "DEFAULT"]
        self._describe(attributes.EPILOGUE, "uint32", int(epilogue))
        if biased:
            self._point_to(self._bias)
        rows, columns, inner, batch, steps = call.rows, call.columns, call.inner, call.batch, call.steps
        self._layouts = [
            self._layout(kind, columns, inner, call.b.transposed, call.b.line, batch, steps[1]),
            self._layout(kind, inner, rows, call.a.transposed, call.a.line, batch, steps[0]),
            self._layout(kind, columns, rows, False, call.line, batch, steps[2]),
        ]
        self._algorithm = self._search(alignment)
        self._algorithm_at = self._algorithm.ctypes.data

    def _keep(self, destroy: Callable[[int], None], made: int) -> int:
        self._made.append((destroy, made))
        return made

    def _describe(self, attribute: int, dtype: str, value: int) -> None:
        given = host.asarray([value], dtype=dtype)
        self._lt.matmul_desc_set_attribute(self._descriptor, int(attribute), given.ctypes.data, given.nbytes)

    def _point_to(self, bias: Any) -> None:
        attribute = int(self._lt.MatmulDescAttribute.BIAS_POINTER)
        self._lt.matmul_desc_set_attribute(self._descriptor, attribute, bias.ctypes.data, bias.nbytes)

    def _layout(
        self, kind: NumberType, rows: int, columns: int, transposed: bool, line: int, batch: int, step: int
    ) -> int:
        """Of a matrix (rows, columns), counted along columns first, or of what lies as its transpose."""
        lt = self._lt
        shape = (columns, rows) if transposed else (rows, columns)
        made = self._keep(lt.matrix_layout_destroy, lt.matrix_layout_create(kind.data, *shape, line))
        if batch > 1:
            names = lt.MatrixLayoutAttribute
            stack = ((names.BATCH_COUNT, "int32", batch), (names.STRIDED_BATCH_OFFSET, "int64", step))
            for attribute, dtype, value in stack:
                given = host.asarray([value], dtype=dtype)
                lt.matrix_layout_set_attribute(made, int(attribute), given.ctypes.data, given.nbytes)
        return int(made)

    def _search(self, alignment: int) -> Any:
        """The algorithm that cuBLASLt thinks the quickest."""
        lt, names = self._lt, self._lt.MatmulPreferenceAttribute
        preference = lt.matmul_preference_create()
        try:
            wishes = [
                (names.MAX_WORKSPACE_BYTES, "uint64", _WORKSPACE),
                (names.REDUCTION_SCHEME_MASK, "uint32", _WIDE_SUMS),
                *((names[f"MIN_ALIGNMENT_{operand}_BYTES"], "uint32", alignment) for operand in "ABCD"),
            ]
            for attribute, dtype, value in wishes:
                given = host.asarray([value], dtype=dtype)
                lt.matmul_preference_set_attribute(preference, int(attribute), given.ctypes.data, given.nbytes)
            first, second, result = self._layouts
            found, count = host.zeros(1, dtype=lt.matmul_heuristic_result_dtype), host.zeros(1, dtype="int32")
            lt.matmul_algo_get_heuristic(
                self._handle, self._descriptor, first, second, result, result, preference, 1,
                found.ctypes.data, count.ctypes.data,
            )  # fmt: skip
        finally:
            lt.matmul_preference_destroy(preference)
        if not count[0] or found["state"][0]:
            raise lt.cuBLASLtError(_NOT_SUPPORTED)
        self._workspace_size = int(found["workspace_size"][0])
        return found

    def run(self, now: Driver, device: int, stream: int, a: int, b: int, out: int, bias: int) -> bool:
        """Fill `out`; False where cuBLASLt turns out to be unable to."""
        if self._broken:
            return False
        first, second, result = self._layouts
        workspace = _workspace(now, device, stream) if self._workspace_size else None
        with self._lock:  # the descriptor is one for all threads
            if self._biased and self._bias[0] != bias:
                self._bias[0] = bias
                self._point_to(self._bias)
            try:
                self._lt.matmul(
                    self._handle, self._descriptor, self._one, b, first, a, second, self._zero, out, result,
                    out, result, self._algorithm_at, 0 if workspace is None else now.address(workspace),
                    0 if workspace is None else _WORKSPACE, stream,
                )  # fmt: skip
            except self._lt.cuBLASLtError as error:
                self._broken = True
                _tell(self._call, self._biased, self._relu, error)
        return not self._broken

    def __del__(self) -> None:
        for destroy, made in self._made:
            destroy(made)


_NOT_SUPPORTED: Final = 15
_handles: dict[tuple[Driver, int], int] = {}
_workspaces: dict[tuple[Driver, int, int], Array] = {}


def _handle(now: Driver, device: int) -> int:
    """A device's handle, which all its threads share and which stays."""
    key = now, device
    if key not in _handles:
        _handles[key] = now.cublaslt.create()
    return _handles[key]


def _workspace(now: Driver, device: int, stream: int) -> Array:
    """A stream's scratch memory, which stays: products on one stream follow each other, and graphs keep its address."""
    key = now, device, stream
    found = _workspaces.get(key)
    if found is None:
        found = _workspaces[key] = now.xp.empty((_WORKSPACE + 256,), "uint8")
    return found


def _tell(call: Call, biased: bool, relu: bool, error: Exception) -> None:
    follows = f"{' + bias' if biased else ''}{' + relu' if relu else ''}"
    shape = f"({call.rows}, {call.inner}) times ({call.inner}, {call.columns})"
    _log.info("cuBLASLt has no %s%s, of which there are %d; cuBLAS takes it: %s", shape, follows, call.batch, error)


def status() -> str:
    """`cuBLASLt 13.1.0`, as its library says."""
    number = driver().cublaslt.get_version()
    return f"cuBLASLt {number // 10000}.{number % 10000 // 100}.{number % 100}"
