"""Products on cuBLASLt, by the bindings of nvmath-python: planned once, with what follows them in the same pass.

That is an *epilogue*, which cuBLASLt names: `BIAS` adds a vector to each row, `GELU_AUX_BIAS` then takes the activation
too, `DGELU_BGRAD` pulls a gradient back through it and sums its rows.

The plain bindings are called, and not nvmath's `Matmul`, which takes longer to call than small products take to run.
What cuBLASLt has no algorithm for runs on cuBLAS, and is not asked for again.
"""

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from ..backend import Array
from ..host import host
from .launch import Driver, driver
from .layouts import Call
from .number_types import ONE, ZERO, NumberType

__all__ = ["Plans", "bits_of_row", "status"]

_log = logging.getLogger("pullback")

_WORKSPACE: Final = 32 << 20
"""The bytes that cuBLASLt may use beside its arrays: what NVIDIA recommends for Hopper."""
_ALIGNED: Final = 16
"""The bytes that the quickest algorithms read at once."""
_STEP_OF_GELU: Final = 8
"""The numbers of which rows beside a product with GELU are a multiple."""
_STEP_OF_BITS: Final = 128
"""The bits of which rows of a mask are a multiple."""
_WIDE_SUMS: Final = 2  # parts of a sum are added in the type that is computed in, never in halves


class Plans:
    """The plans of one product: for each device, for each epilogue, and for how its arrays are aligned."""

    def __init__(self, call: Call, kind: NumberType, compute: int, itemsize: int) -> None:
        self._call, self._kind, self._compute, self._size = call, kind, compute, itemsize
        self._found: dict[Any, _Plan | None] = {}

    def run(
        self,
        now: Driver,
        a: Array,
        b: Array,
        out: Array,
        epilogue: str = "DEFAULT",
        vector: Array | None = None,
        aux: Callable[[], Array] | None = None,
    ) -> bool:
        """Fill `out`, and what an epilogue writes; False, and nothing filled, where cuBLASLt is unable to.

        vector: the bias that is added, or where the gradient of one goes; contiguous. aux: gives what an activation was
            taken of, which `GELU_AUX` writes and `DGELU` reads, as `out` lies; for `DRELU` the bits of where it was
            positive. It is called where it is needed alone.
        """
        if now.cublaslt is None:
            return False
        device, stream = now.place()
        at = now.address(a), now.address(b), now.address(out), 0 if vector is None else now.address(vector)
        aligned = (at[0] | at[1] | at[2] | at[3]) % _ALIGNED == 0
        key = now, device, aligned, epilogue
        if key not in self._found:
            self._found[key] = self._made(now, device, aligned, epilogue, vector is not None, aux is not None)
        plan = self._found[key]
        if plan is None:
            return False
        beside = None if aux is None else aux()  # which is kept until the product is queued
        aux_at = 0 if beside is None else now.address(beside)
        return aux_at % _ALIGNED == 0 and plan.run(now, device, stream, *at, aux_at)

    def _made(self, now: Driver, device: int, aligned: bool, epilogue: str, vector: bool, aux: bool) -> "_Plan | None":
        call = self._call
        if epilogue != "DEFAULT" and not (aligned and min(call.rows, call.columns, call.inner) > 1):
            return None
        if aux and (call.batch > 1 or ("GELU" in epilogue and call.columns % _STEP_OF_GELU)):
            return None
        alignment = _ALIGNED if aligned else self._size
        try:
            return _Plan(now, device, call, self._kind, self._compute, alignment, epilogue, vector, aux)
        except now.cublaslt.cuBLASLtError as error:
            _tell(call, epilogue, error)
            return None


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
        epilogue: str,
        vector: bool,
        aux: bool,
    ) -> None:
        self._made: list[tuple[Callable[[int], None], int]] = []
        lt = self._lt = now.cublaslt
        self._handle = _handle(now, device)
        self._lock = Lock()
        self._call, self._epilogue = call, epilogue
        self._one, self._zero = ONE[kind.wide], ZERO[kind.wide]
        self._broken = False
        self._descriptor = self._keep(lt.matmul_desc_destroy, lt.matmul_desc_create(compute, kind.scale))
        attributes = lt.MatmulDescAttribute
        self._describe(attributes.TRANSA, "int32", call.b.transposed)
        self._describe(attributes.TRANSB, "int32", call.a.transposed)
        self._describe(attributes.EPILOGUE, "uint32", int(lt.Epilogue[epilogue]))
        self._beside = attributes.BIAS_POINTER, attributes.EPILOGUE_AUX_POINTER
        self._pointed = [0, 0]
        self._point_to(_ALIGNED * vector, _ALIGNED * aux)  # while it plans, any address will do
        if aux:
            line = bits_of_row(call.columns) if "RELU" in epilogue else call.columns
            self._describe(attributes.EPILOGUE_AUX_LD, "int64", line)
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

    def _point_to(self, *addresses: int) -> None:
        for place, address in enumerate(addresses):
            if address != self._pointed[place]:
                self._pointed[place] = address
                self._describe(self._beside[place], "uint64", address)

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

    def run(self, now: Driver, device: int, stream: int, a: int, b: int, out: int, vector: int, aux: int) -> bool:
        """Fill `out`; False where cuBLASLt turns out to be unable to."""
        if self._broken:
            return False
        first, second, result = self._layouts
        workspace = _workspace(now, device, stream) if self._workspace_size else None
        with self._lock:  # the descriptor is one for all threads
            self._point_to(vector, aux)
            try:
                self._lt.matmul(
                    self._handle, self._descriptor, self._one, b, first, a, second, self._zero, out, result,
                    out, result, self._algorithm_at, 0 if workspace is None else now.address(workspace),
                    0 if workspace is None else _WORKSPACE, stream,
                )  # fmt: skip
            except self._lt.cuBLASLtError as error:
                self._broken = True
                _tell(self._call, self._epilogue, error)
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


def bits_of_row(columns: int) -> int:
    """How many bits one row of a mask has for `DRELU`: one for each column, and as many behind as cuBLASLt wants."""
    return -(-columns // _STEP_OF_BITS) * _STEP_OF_BITS


def _tell(call: Call, epilogue: str, error: Exception) -> None:
    shape = f"({call.rows}, {call.inner}) times ({call.inner}, {call.columns})"
    _log.info("cuBLASLt has no %s with %s, of which there are %d: %s", shape, epilogue, call.batch, error)


def status() -> str:
    """`cuBLASLt 13.1.0`, as its library says."""
    number = driver().cublaslt.get_version()
    return f"cuBLASLt {number // 10000}.{number % 10000 // 100}.{number % 100}"
