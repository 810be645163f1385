"""CUDA sources, and how their functions run.

A source is a file of function templates, `softmax.cu` beside the `softmax.py` that launches them. It is compiled when
one of them first runs, for the types it then runs with. What every source may use stands in `numbers.cuh`.

What compiles and launches is a `Driver`: CuPy, or in tests a stand-in that runs the same source on the processor. The
kernels ask it for memory too, so that nothing here imports CuPy.
"""

import logging
import re
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from ..backend import Array, Namespace

__all__ = ["FLOATING", "Driver", "Source", "driver", "sources", "type_of", "use_driver", "vector_length"]

_log = logging.getLogger("pullback")

FLOATING: Final = ("float", "double", "float16", "bfloat16")
"""The floating types as sources write them."""

_C_TYPES: Final = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long", "bool": "bool"}
_INCLUDE: Final = re.compile(r'^#include "([\w.]+)"\n', re.MULTILINE)
_VECTOR: Final = 16
"""The bytes that a thread reads at once, when it can."""

Grid = tuple[int, ...]
Launch = Callable[..., None]
"""`run(grid, block, arguments, shared_mem=bytes)`."""

sources: "list[Source]" = []
"""Every source there is: what is in here is compiled in tests."""


class Driver(Protocol):
    """What kernels need of a CUDA library."""

    @property
    def xp(self) -> Namespace:
        """Its arrays."""
        ...

    @property
    def processors(self) -> int:
        """How many multiprocessors the device has."""
        ...

    def load(self, code: str, functions: Sequence[str], options: tuple[str, ...]) -> dict[str, Launch]:
        """Compile a text for the instances of its functions, `softmax<float, 4>`, that are named."""
        ...

    def address(self, array: Array) -> int:
        """Where an array's memory begins."""
        ...

    @property
    def cublas(self) -> Any:
        """cuBLAS as CuPy binds it: `gemmEx` and `gemmStridedBatchedEx`."""
        ...

    @property
    def cublaslt(self) -> Any:
        """cuBLASLt as nvmath-python binds it; None where that is not installed."""
        ...

    @property
    def cudnn(self) -> Any:
        """cuDNN's graphs as nvidia-cudnn-frontend binds them; None where that is not installed."""
        ...

    def cublas_handle(self) -> int:
        """What cuBLAS is called with on the current device."""
        ...

    def place(self) -> tuple[int, int]:
        """The current device, and the current stream on it."""
        ...


class Source:
    """A file of CUDA function templates.

    name: of the file, without its `.cu`. functions: all `__global__` templates in it.
    types: the template arguments that it is ever compiled with, as one writes them: `"float, 4"`. All functions take
        the same ones.
    options: for the compiler, such as `-fmad=false` where results must be the same to the bit everywhere; but for
        subnormal float32, which CuPy's own `-ftz=true` makes 0.

    Arrays are passed as pointers, None as a null pointer; whole numbers must be `long long` there and others `double`.
    """

    def __init__(self, name: str, functions: Sequence[str], types: Sequence[str], options: Sequence[str] = ()) -> None:
        self.name = name
        self.functions = tuple(functions)
        self.types = tuple(types)
        self.options = ("-std=c++17", *options)
        self._loaded: dict[tuple[Driver, str], dict[str, Launch]] = {}
        sources.append(self)

    @property
    def code(self) -> str:
        """The text, with what it includes."""
        return read(f"{self.name}.cu")

    def instances(self, types: str) -> list[str]:
        """The names of its functions for some types, as the compiler wants them."""
        return [f"{function}<{types}>" for function in self.functions]

    def launch(
        self,
        function: str,
        types: str,
        blocks: int | Grid,
        threads: int | Grid,
        *arguments: Any,
        shared: int = 0,
    ) -> None:
        """Run one of the functions, in so many blocks of so many threads, with `shared` bytes of memory for each block.

        Nothing is run where there are no blocks.
        """
        grid = (blocks,) if isinstance(blocks, int) else blocks
        if 0 in grid:
            return
        key = _driver, types
        loaded = self._loaded.get(key)
        if loaded is None:
            loaded = self._loaded[key] = _driver.load(self.code, self.instances(types), self.options)
        block = (threads,) if isinstance(threads, int) else threads
        loaded[f"{function}<{types}>"](grid, block, arguments, shared_mem=shared)


@cache
def read(file: str) -> str:
    """A source or header of this folder; what it includes stands in it in full, once."""
    included: set[str] = set()

    def text(name: str) -> str:
        included.add(name)
        written = (Path(__file__).parent / name).read_text("utf-8")
        return _INCLUDE.sub(lambda found: "" if found[1] in included else text(found[1]), written)

    return text(file)


class CupyDriver:
    """CuPy: compiles with NVRTC, keeps what it compiled on disk, and launches on the current device and stream."""

    @cached_property
    def xp(self) -> Namespace:
        """`cupy`."""
        return import_module("cupy")

    @property
    def processors(self) -> int:
        """How many multiprocessors the current device has."""
        runtime = self.xp.cuda.runtime
        found: int = runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, runtime.getDevice())
        return found

    def load(self, code: str, functions: Sequence[str], options: tuple[str, ...]) -> dict[str, Launch]:
        """Raw kernels, compiled when one of them first runs."""
        module = import_module("cupy").RawModule(code=code, options=options, name_expressions=tuple(functions))
        return {name: _Kernel(module.get_function(name)) for name in functions}

    def address(self, array: Array) -> int:
        """Where an array's memory begins."""
        found: int = array.data.ptr
        return found

    @cached_property
    def cublas(self) -> Any:
        """CuPy's bindings of cuBLAS, which refuse to be captured in a CUDA graph."""
        return import_module("cupy_backends.cuda.libs.cublas")

    @cached_property
    def cublaslt(self) -> Any:
        """The bindings of cuBLASLt, where nvmath-python is installed and finds the library."""
        return _optional("nvmath.bindings.cublasLt", "get_version", "nvmath-python", "cuBLASLt")

    @cached_property
    def cudnn(self) -> Any:
        """The bindings of cuDNN's graphs, where nvidia-cudnn-frontend is installed and finds the library."""
        return _optional("cudnn", "backend_version_string", "nvidia-cudnn-frontend", "cuDNN")

    @cached_property
    def cublas_handle(self) -> Callable[[], int]:
        """CuPy's own handle, one for each thread and device."""
        found: Callable[[], int] = import_module("cupy.cuda.device").get_cublas_handle
        return found

    def place(self) -> tuple[int, int]:
        """The current device, and the current stream on it."""
        cuda = self.xp.cuda
        return cuda.runtime.getDevice(), cuda.get_current_stream().ptr


def _optional(module: str, version: str, package: str, library: str) -> Any:
    """Bindings of a library, if they are installed and it can tell its version; else None."""
    if find_spec(module.partition(".")[0]) is None:
        return None
    try:
        found = import_module(module)
        getattr(found, version)()
    except Exception as error:  # a library that is not found is told in many ways
        _log.warning("%s is not used: %s is installed, but does not find it (%s)", library, package, error)
        return None
    return found


_STATIC_SHARED: Final = 48 << 10
"""The bytes of memory that a block has without asking for more."""


class _Kernel:
    """One of CuPy's raw kernels, which is told when it may use more shared memory than is usual."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any], shared_mem: int
    ) -> None:
        if shared_mem > _STATIC_SHARED:  # told every time, as each device has to be
            self._raw.max_dynamic_shared_size_bytes = shared_mem
        self._raw(grid, block, arguments, shared_mem=shared_mem)


_driver: Driver = CupyDriver()


def driver() -> Driver:
    """What compiles and launches now."""
    return _driver


def use_driver(other: Driver) -> Driver:
    """Have another driver compile and launch from now on; returns the one before."""
    global _driver
    former, _driver = _driver, other
    return former


def type_of(dtype: Any) -> str:
    """A data type as sources write it: `float`, `double`, `float16`, `bfloat16`, `int`, `long long`, `bool`."""
    found = _types.get(dtype)
    if found is None:
        found = _types[dtype] = _C_TYPES.get(dtype.name, dtype.name)
    return found


_types: dict[Any, str] = {}  # a data type's own name takes ten microseconds


def vector_length(columns: int, *arrays: Array | None) -> int:
    """How many elements a thread may read at once from contiguous rows of so many columns: 16 bytes' worth, or 1.

    arrays: each begins at a multiple of 16 bytes, for more than 1. The elements are those of the first.
    """
    length = 0
    for x in arrays:
        if x is not None:
            length = length or _VECTOR // x.dtype.itemsize
            if _driver.address(x) % _VECTOR:
                return 1
    return 1 if columns % length else length
