"""Stand-ins for cuBLAS and cuBLASLt as they are bound to Python: they read their arguments as the libraries do.

Matrices are addresses, counted along columns first; what is asked for is looked up there and computed by NumPy.
"""

import ctypes
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = ["EmulatedCublas", "EmulatedCublasLt"]

HALF, SINGLE, DOUBLE, COMPLEX_SINGLE, COMPLEX_DOUBLE, BFLOAT16 = 2, 0, 1, 4, 5, 14
COMPUTE_SINGLE, COMPUTE_DOUBLE, COMPUTE_TF32 = 68, 70, 77
_ALLOWED = {
    HALF: (COMPUTE_SINGLE,),
    BFLOAT16: (COMPUTE_SINGLE,),
    SINGLE: (COMPUTE_SINGLE, COMPUTE_TF32),
    COMPLEX_SINGLE: (COMPUTE_SINGLE, COMPUTE_TF32),
    DOUBLE: (COMPUTE_DOUBLE,),
    COMPLEX_DOUBLE: (COMPUTE_DOUBLE,),
}


def dtype_of(kind: int) -> Any:
    if kind == BFLOAT16:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    names = {HALF: "f2", SINGLE: "f4", DOUBLE: "f8", COMPLEX_SINGLE: "c8", COMPLEX_DOUBLE: "c16"}
    return np.dtype(names[kind])


def at(address: int, dtype: Any, *shape_and_steps: tuple[int, int]) -> Any:
    """The numbers at an address, so many along each axis, so many apart."""
    dtype = np.dtype(dtype)
    assert address % dtype.itemsize == 0, "a matrix begins in the middle of a number"
    reach = sum((n - 1) * step for n, step in shape_and_steps) + 1
    memory = np.frombuffer((ctypes.c_char * (reach * dtype.itemsize)).from_address(address), dtype)
    return as_strided(memory, [n for n, _ in shape_and_steps], [s * dtype.itemsize for _, s in shape_and_steps])


def in_tf32(x: Any) -> Any:
    """float32, rounded to the 10 binary places of TF32."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(x.dtype)


def multiplied(a: Any, b: Any, compute: int) -> Any:
    """The product of stacks (..., rows, columns), in the type that is computed in."""
    if a.dtype.itemsize == 2:
        a, b = a.astype(np.float32), b.astype(np.float32)
    if compute == COMPUTE_TF32:
        a, b = in_tf32(a), in_tf32(b)
    return np.matmul(a, b)


class EmulatedCublas:
    """`cupy_backends.cuda.libs.cublas`. What it was called for is kept in `called`."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.mode = 0

    def setMathMode(self, handle: int, mode: int) -> None:
        """How sums that are split may be added: 16 forbids that in halves."""
        assert handle == 7, "the handle is not the device's"
        self.mode = mode

    def gemmEx(self, *given: Any) -> None:
        """One product."""
        (handle, turned_a, turned_b, m, n, k, alpha, a, a_kind, lda, b, b_kind, ldb, beta, c, c_kind, ldc, *how) = given
        self.called.append("gemmEx")
        self._multiply(
            handle, turned_a, turned_b, m, n, k, alpha, a, a_kind, lda, 0, b, b_kind, ldb, 0, beta, c, c_kind, ldc,
            m * n, 1, *how,
        )  # fmt: skip

    def gemmStridedBatchedEx(self, *given: Any) -> None:
        """A stack of them."""
        self.called.append("gemmStridedBatchedEx")
        self._multiply(*given)

    def _multiply(
        self, handle: int, turned_a: int, turned_b: int, m: int, n: int, k: int, alpha: int,
        a: int, a_kind: int, lda: int, a_step: int, b: int, b_kind: int, ldb: int, b_step: int,
        beta: int, c: int, c_kind: int, ldc: int, c_step: int, batch: int, compute: int, algorithm: int,
    ) -> None:  # fmt: skip
        assert handle == 7, "the handle is not the device's"
        assert a_kind == b_kind == c_kind
        assert self.mode == (16 if a_kind in (HALF, BFLOAT16) else 0)
        assert compute in _ALLOWED[a_kind], f"there is no product of type {a_kind} computed in {compute}"
        assert algorithm == -1
        assert lda >= max(1, k if turned_a else m)
        assert ldb >= max(1, n if turned_b else k)
        assert ldc >= max(1, m)
        assert min(a_step, b_step) >= 0
        assert batch == 1 or c_step >= ldc * (n - 1) + m or c_step * batch <= ldc, "results would overlap"
        dtype = dtype_of(a_kind)
        scale = dtype if dtype.itemsize > 2 else np.dtype("f4")
        assert (at(alpha, scale, (1, 1))[0], at(beta, scale, (1, 1))[0]) == (1, 0)
        first = at(a, dtype, (batch, a_step), *([(m, lda), (k, 1)] if turned_a else [(m, 1), (k, lda)]))
        second = at(b, dtype, (batch, b_step), *([(k, ldb), (n, 1)] if turned_b else [(k, 1), (n, ldb)]))
        result = at(c, dtype, (batch, c_step), (m, 1), (n, ldc))
        result[...] = multiplied(first, second, compute)


class cuBLASLtError(Exception):
    """Its error, by number."""


INVALID, NOT_SUPPORTED = 7, 15
_GELU_SLOPE, _GELU_CUBE = 0.7978845608028654, 0.044715


def gelu(x: Any) -> Any:
    return x / 2 * (1 + np.tanh(_GELU_SLOPE * (x + _GELU_CUBE * x**3)))


def gelu_slope(x: Any) -> Any:
    t = np.tanh(_GELU_SLOPE * (x + _GELU_CUBE * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * _GELU_SLOPE * (1 + 3 * _GELU_CUBE * x**2)


_DESCRIPTOR_WIDTHS = {3: "i4", 4: "i4", 7: "u4", 8: "u8", 11: "u8", 12: "i8"}
_LAYOUT_WIDTHS = {5: "i4", 6: "i8"}
_WISH_WIDTHS = {1: "u8", 3: "u4", 5: "u4", 6: "u4", 7: "u4", 8: "u4"}


def _enumeration(name: str, **members: int) -> Any:
    return IntEnum(name, members)


class EmulatedCublasLt:
    """`nvmath.bindings.cublasLt`. Its descriptors hold the bytes they were given; `called` the epilogues run."""

    cuBLASLtError = cuBLASLtError
    Epilogue = _enumeration(
        "Epilogue", DEFAULT=1, RELU=2, BIAS=4, RELU_BIAS=6, DRELU=136, DRELU_BGRAD=152, GELU_AUX=160,
        GELU_AUX_BIAS=164, DGELU=192, DGELU_BGRAD=208, BGRADB=512,
    )  # fmt: skip
    MatmulDescAttribute = _enumeration(
        "MatmulDescAttribute", TRANSA=3, TRANSB=4, EPILOGUE=7, BIAS_POINTER=8, EPILOGUE_AUX_POINTER=11,
        EPILOGUE_AUX_LD=12,
    )  # fmt: skip
    MatrixLayoutAttribute = _enumeration("MatrixLayoutAttribute", BATCH_COUNT=5, STRIDED_BATCH_OFFSET=6)
    MatmulPreferenceAttribute = _enumeration(
        "MatmulPreferenceAttribute", MAX_WORKSPACE_BYTES=1, REDUCTION_SCHEME_MASK=3,
        **{f"MIN_ALIGNMENT_{operand}_BYTES": 5 + i for i, operand in enumerate("ABCD")},
    )  # fmt: skip
    matmul_heuristic_result_dtype = np.dtype(
        [("algo", [("data_", "<u8", (8,))]), ("workspace_size", "<u8"), ("state", "<i4"), ("rest", "<i4", (5,))]
    )

    def __init__(self, refused: tuple[str, ...] = (), fails: bool = False) -> None:
        self.refused, self.fails = refused, fails
        self.called: list[str] = []
        self.searched = 0
        self.alive: dict[int, dict[Any, Any]] = {}
        self._next = 1000

    def get_version(self) -> int:
        return 130100

    def create(self) -> int:
        return 11

    def _make(self, **facts: Any) -> int:
        self._next += 1
        self.alive[self._next] = facts
        return self._next

    def matmul_desc_create(self, compute: int, scale: int) -> int:
        return self._make(compute=compute, scale=scale, **{"3": 0, "4": 0, "7": 1, "8": 0, "11": 0, "12": 0})

    def matrix_layout_create(self, kind: int, rows: int, columns: int, line: int) -> int:
        assert line >= rows
        return self._make(kind=kind, rows=rows, columns=columns, line=line, **{"5": 1, "6": 0})

    def matmul_preference_create(self) -> int:
        return self._make()

    def _destroy(self, made: int) -> None:
        del self.alive[made]

    matmul_desc_destroy = matrix_layout_destroy = matmul_preference_destroy = _destroy

    def _set(self, widths: dict[int, str], made: int, attribute: int, address: int, size: int) -> None:
        width = np.dtype(widths[attribute])
        assert size == width.itemsize, f"attribute {attribute} has {width.itemsize} bytes; got {size}"
        self.alive[made][str(attribute)] = int(np.frombuffer(ctypes.string_at(address, size), width)[0])

    def matmul_desc_set_attribute(self, *given: int) -> None:
        self._set(_DESCRIPTOR_WIDTHS, *given)

    def matrix_layout_set_attribute(self, *given: int) -> None:
        self._set(_LAYOUT_WIDTHS, *given)

    def matmul_preference_set_attribute(self, *given: int) -> None:
        self._set(_WISH_WIDTHS, *given)

    def matmul_algo_get_heuristic(
        self, handle: int, desc: int, a: int, b: int, c: int, d: int, preference: int, wanted: int, found: int,
        count: int,
    ) -> None:  # fmt: skip
        self.searched += 1
        assert handle == 11
        assert wanted == 1
        assert self.alive[preference]["1"] == 32 << 20
        if self.Epilogue(self.alive[desc]["7"]).name in self.refused:
            raise cuBLASLtError(NOT_SUPPORTED)
        self._check(self.alive[desc], self.alive[a], self.alive[d])
        result = np.zeros(1, self.matmul_heuristic_result_dtype)
        result["algo"]["data_"][0, 0] = self.alive[preference]["5"]
        result["workspace_size"] = 1024
        ctypes.memmove(found, result.ctypes.data, result.nbytes)
        ctypes.memmove(count, np.ones(1, np.int32).ctypes.data, 4)

    def _check(self, facts: dict[str, Any], a: dict[str, Any], d: dict[str, Any]) -> None:
        """Refuse, as it does, what an epilogue lacks or cannot do."""
        name = self.Epilogue(facts["7"]).name
        if ("BIAS" in name or "GRAD" in name) and not facts["8"]:
            raise cuBLASLtError(INVALID)
        if "AUX" in name or name[:5] in ("DRELU", "DGELU"):
            if not facts["11"] or facts["12"] < d["rows"] or facts["12"] % (128 if "RELU" in name else 8):
                raise cuBLASLtError(INVALID)
            assert d["5"] == 1, "a stack has a step from one mask to the next"
        if name[:5] in ("DRELU", "DGELU") and (a["rows"] if facts["3"] else a["columns"]) == 1:
            raise cuBLASLtError(NOT_SUPPORTED)
        if name == "BGRADB" and not facts["4"]:
            raise cuBLASLtError(NOT_SUPPORTED)

    def matmul(
        self, handle: int, desc: int, alpha: int, a: int, a_layout: int, b: int, b_layout: int, beta: int,
        c: int, c_layout: int, d: int, d_layout: int, algorithm: int, workspace: int, size: int, stream: int,
    ) -> None:  # fmt: skip
        if self.fails:
            raise cuBLASLtError(NOT_SUPPORTED)
        assert handle == 11
        assert stream == 23
        assert workspace % 16 == 0
        assert size == 32 << 20
        assert (c, c_layout) == (d, d_layout)
        facts = self.alive[desc]
        alignment = int(at(algorithm, np.uint64, (1, 1))[0])
        assert all(x % alignment == 0 for x in (a, b, d)), "arrays are less aligned than was promised"
        first = self._matrix(a, self.alive[a_layout], facts["3"])
        second = self._matrix(b, self.alive[b_layout], facts["4"])
        result = self._matrix(d, self.alive[d_layout], 0)
        scale = np.dtype("f8" if facts["scale"] == DOUBLE else "f4")
        assert (at(alpha, scale, (1, 1))[0], at(beta, scale, (1, 1))[0]) == (1, 0)
        assert facts["compute"] in _ALLOWED[self.alive[a_layout]["kind"]]
        assert first.shape[-1] == second.shape[-2]
        value = multiplied(first, second, facts["compute"])
        assert value.shape == result.shape
        name = self.Epilogue(facts["7"]).name
        value = self._followed(name, value, second, facts, self.alive[d_layout])
        result[...] = value
        self.called.append(name)

    def _followed(self, name: str, value: Any, second: Any, facts: dict[str, Any], layout: dict[str, Any]) -> Any:
        """A product with what its epilogue adds; what that writes besides is written."""
        dtype, rows, columns = dtype_of(layout["kind"]), layout["rows"], layout["columns"]
        if name != "DEFAULT":
            assert facts["8"] % 16 == facts["11"] % 16 == 0
        if "BIAS" in name:
            value = value + at(facts["8"], dtype, (rows, 1)).astype(value.dtype)[:, None]
        if name in ("RELU", "RELU_BIAS"):
            value = np.fmax(value, 0)  # which hides what is not a number, as it does
        if "GELU" in name:
            aux = at(facts["11"], dtype, (rows, 1), (columns, facts["12"]))
            if name[0] == "D":
                value = value * gelu_slope(aux.astype(value.dtype))
            else:
                aux[...] = value
                value = gelu(value)
        if "DRELU" in name:
            flags = at(facts["11"], np.uint8, (facts["12"] // 8, 1), (columns, facts["12"] // 8))
            value = value * np.unpackbits(flags, axis=0, count=rows, bitorder="little")
        if "GRAD" in name:
            sums = value.sum((0, 2)) if name != "BGRADB" else second.astype(value.dtype).sum((0, 1))
            at(facts["8"], dtype, (sums.size, 1))[...] = sums
        return value

    def _matrix(self, address: int, layout: dict[str, Any], turned: int) -> Any:
        matrix = at(
            address, dtype_of(layout["kind"]), (layout["5"], layout["6"]), (layout["rows"], 1),
            (layout["columns"], layout["line"]),
        )  # fmt: skip
        return matrix.swapaxes(-1, -2) if turned else matrix
