"""A stand-in for CuPy that compiles CUDA sources with the machine's C++ compiler and runs them on NumPy's arrays."""

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cublas import EmulatedCublas

from pullback.autodiff.op import registry
from pullback.backends import cupy_kernels, open_backend
from pullback.backends.cupy_kernels import launch

COMPILER = next(filter(None, map(shutil.which, ("g++", "clang++"))), None)
HEADER = Path(__file__).with_name("emulated_cuda.h")
GUARD = 64
"""Bytes before and after an array that no kernel may write to."""
_FOLDER = Path(os.environ.get("PULLBACK_EMULATED", Path(tempfile.gettempdir()) / f"pullback-emulated-{os.getuid()}"))


class EmulatedNumpy:
    """NumPy, whose new arrays hold what nobody has written, between bytes that are watched."""

    def __init__(self) -> None:
        self.watched: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = np.float32) -> Any:
        """An array full of NaN or of the largest numbers: what is left of it shows in any result."""
        dtype = np.dtype(dtype)
        count = int(np.prod(shape))
        block = np.full(count * dtype.itemsize + 3 * GUARD, 0xFF, np.uint8)
        start = GUARD + -block.ctypes.data % GUARD
        array = block[start : start + count * dtype.itemsize].view(dtype).reshape(shape)
        self.watched.append((block, start, start + count * dtype.itemsize))
        return array

    def empty_like(self, x: Any, dtype: Any = None) -> Any:
        """As `empty`, in another array's shape."""
        return self.empty(x.shape, dtype or x.dtype)

    def check(self) -> None:
        """Raise AssertionError where something was written beside an array."""
        watched, self.watched = self.watched, []
        for block, start, stop in watched:
            assert (block[:start] == 0xFF).all(), "a kernel wrote before an array"
            assert (block[stop:] == 0xFF).all(), "a kernel wrote behind an array"


class EmulatedDriver:
    """Runs every launch block by block, thread by thread; `backwards` from the last to the first."""

    processors = 2

    def __init__(self, backwards: bool = False) -> None:
        self.backwards = backwards
        self.xp = EmulatedNumpy()
        self.launched: list[str] = []
        self.cublas = EmulatedCublas()
        self.cublaslt: Any = None
        self.cudnn: Any = None

    def cublas_handle(self) -> int:
        """The one that the stand-in for cuBLAS knows."""
        return 7

    def place(self) -> tuple[int, int]:
        """A device, and a stream that the stand-in for cuBLASLt knows."""
        return 0, 23

    def load(self, code: str, functions: Sequence[str], options: tuple[str, ...]) -> dict[str, Callable[..., None]]:
        """Compile a text, or take what was compiled of it before."""
        everything = _all_functions(code, functions)
        library = _compiled(code, everything)
        return {name: self._launcher(library, name, everything.index(name)) for name in functions}

    def address(self, array: Any) -> int:
        """Where an array's memory begins."""
        return int(array.ctypes.data)

    def _launcher(self, library: Any, name: str, number: int) -> Callable[..., None]:
        run, kinds_of = getattr(library, f"run_{number}"), getattr(library, f"kinds_{number}")
        run.restype = kinds_of.restype = ctypes.c_char_p
        kinds = kinds_of().decode()

        def launch_it(grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any], shared_mem: int) -> None:
            assert len(arguments) == len(kinds), f"{name} takes {len(kinds)} arguments; got {len(arguments)}"
            pairs = zip(arguments, kinds, strict=True)
            passed = [_passed(x, kind, f"{name}, argument {i}") for i, (x, kind) in enumerate(pairs)]
            pointers = (ctypes.c_void_p * len(passed))(*(ctypes.addressof(x) for x in passed))
            shape = (ctypes.c_int * 6)(*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
            assert shape[3] * shape[4] * shape[5] <= 1024, f"{name}: a block has at most 1024 threads; got {block}"
            assert shape[1] < 65536, f"{name}: a grid is below 65536 in its other axes; got {grid}"
            assert shape[2] < 65536, f"{name}: a grid is below 65536 in its other axes; got {grid}"
            assert shared_mem <= 227 << 10, f"{name}: a block has at most 227 KiB of memory; asked for {shared_mem}"
            wrong = run(pointers, len(passed), shape, ctypes.c_long(shared_mem), ctypes.c_bool(self.backwards))
            assert not wrong, f"{name}: {wrong.decode()}"
            self.launched.append(name)

        return launch_it


def _passed(x: Any, kind: str, what: str) -> Any:
    if x is None or isinstance(x, np.ndarray):
        assert kind == "p", f"{what} is an array, which the kernel does not take as a pointer"
        return ctypes.c_void_p(0 if x is None else x.ctypes.data)
    if isinstance(x, float):
        assert kind == "d", f"{what} is a number with a point, which the kernel must take as double"
        return ctypes.c_double(x)
    assert isinstance(x, int), f"{what}: arrays, int and float are passed; got {type(x).__name__}"
    assert kind == "i", f"{what} is a whole number, which the kernel must take as long long"
    return ctypes.c_longlong(x)


def _key(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


def _run_compiler(*arguments: Any) -> None:
    how = ("-std=c++17", "-O1", "-ffp-contract=off", "-w", "-fPIC", "-U_FORTIFY_SOURCE")  # which forbids fibers to jump
    command = [COMPILER, *how, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)  # type: ignore[arg-type]
    assert done.returncode == 0, f"the processor's compiler refuses the source:\n{done.stderr[:4000]}"


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One process after the other makes a file; when it dies, the next one's turn comes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def _header() -> Path:
    """The header beside a compiled form of it, which the compiler takes instead: it saves half a second."""
    text = HEADER.read_text("utf-8")
    header = _FOLDER / f"{_key(text)}.h"
    with _alone(header):
        if not header.exists():
            written = header.with_name(f"{header.stem}-{os.getpid()}.h")
            written.write_text(text, "utf-8")
            compiled = written.with_suffix(".h.gch")
            _run_compiler("-x", "c++-header", written, "-o", compiled)
            compiled.replace(header.with_suffix(".h.gch"))
            written.replace(header)
    return header


def _all_functions(code: str, functions: Sequence[str]) -> tuple[str, ...]:
    """All that sources of this text are ever compiled for: together they take a third of their time one by one."""
    known = (source for source in launch.sources if source.code == code)
    names = (name for source in known for types in source.types for name in source.instances(types))
    return tuple(dict.fromkeys([*names, *functions]))


@cache
def _compiled(code: str, functions: tuple[str, ...]) -> Any:
    entries = "\n".join(
        f'extern "C" const char* run_{i}(void** given, int count, const int* shape, long shared, bool backwards) '
        f"{{ return emulated::launch({name}, given, count, shape, shared, backwards); }}\n"
        f'extern "C" const char* kinds_{i}() {{ return emulated::kinds({name}); }}'
        for i, name in enumerate(functions)
    )
    text = f"{code}\n{entries}\n"
    library = _FOLDER / f"{_key(text, HEADER.read_text('utf-8'))}.so"
    with _alone(library):
        if not library.exists():
            source = library.with_name(f"{library.stem}-{os.getpid()}.cpp")
            source.write_text(f'#include "{_header()}"\n{text}', "utf-8")
            made = source.with_suffix(".so")
            _run_compiler("-shared", source, "-o", made)
            made.replace(library)
            source.unlink()
    return ctypes.CDLL(str(library))


@contextmanager
def emulated_gpu(backwards: bool = False) -> Iterator[EmulatedDriver]:
    """Inside, CuPy's kernels take NumPy's arrays and run on the processor."""
    driver = EmulatedDriver(backwards)
    former = launch.use_driver(driver)
    try:
        yield driver
        driver.xp.check()
    finally:
        launch.use_driver(former)


@contextmanager
def numpy_with_cupys_kernels() -> Iterator[EmulatedDriver]:
    """Inside, all that is done with NumPy's arrays runs as it would with CuPy's: by CuPy's kernels, emulated."""
    numpy = open_backend("numpy")
    with pytest.MonkeyPatch.context() as patch, emulated_gpu() as driver:
        patch.setattr(type(numpy), "kernels", cupy_kernels.kernels)
        patch.setattr(type(numpy), "flat_alignment", cupy_kernels.parts.ALIGNED)
        patch.setattr(numpy, "implementations", {})
        for op in registry.values():
            patch.setattr(op, "_runs", {})
        yield driver
