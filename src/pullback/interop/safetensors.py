"""Tensors in safetensors files, which hold numbers and text and can run nothing when they are read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..autodiff.tensor import Tensor, array_of
from ..backends import backend, backend_of, dtype_name
from ..backends.host import host
from ..train.aside import written_aside

__all__ = ["load_safetensors", "safetensors_metadata", "save_safetensors"]

_DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8",
    "U16": "uint16", "U32": "uint32", "U64": "uint64", "F16": "float16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip


def save_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named Tensors (or arrays of any backend) to a file, whole or not at all.

    tensors: such as `module.state_dict()`; any shape, of a dtype the format and NumPy share.
    metadata: text by name, kept in the file's header.
    Raises TypeError for a dtype that cannot be written, bfloat16 among them, and for metadata that is
    not text; OSError where the file cannot be written.

    >>> import tempfile
    >>> import pullback as pb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_safetensors(f"{folder}/w.safetensors", {"weight": pb.ones((2, 3))})
    ...     load_safetensors(f"{folder}/w.safetensors")["weight"].shape
    (2, 3)
    """
    from safetensors.numpy import save_file

    for key, text in (metadata or {}).items():
        if not (isinstance(key, str) and isinstance(text, str)):
            raise TypeError(f"metadata is text by name; {key!r} is not: write it with str() or json.dumps()")
    arrays = {name: _host_copy(name, value) for name, value in tensors.items()}
    with written_aside(path) as aside:
        aside.touch(exist_ok=False)  # an unwritable place raises OSError here, not an error of the format's
        mode = aside.stat().st_mode
        save_file(arrays, aside, None if metadata is None else dict(metadata))
        aside.chmod(mode)  # the writer leaves the file to its owner alone


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The Tensors of a file by name, on the current backend and its device; none is a variable.

    Raises FileNotFoundError; ValueError for a file that is damaged or no safetensors file; TypeError for
    a dtype that NumPy does not have, bfloat16 among them.
    """
    with _opened(path) as file:
        stored = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  (no mapping)
        for name, dtype in stored.items():
            if dtype not in _DTYPES:
                raise TypeError(f"{path}: tensor {name!r} is {_spelt(dtype)}; {_mend(dtype)}")
        return {name: Tensor(backend().asarray(file.get_tensor(name), copy=True)) for name in stored}


def safetensors_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text kept in a file's header, by name; empty where there is none. Raises as `load_safetensors`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def _opened(path: str | os.PathLike[str]) -> Any:
    from safetensors import SafetensorError, safe_open

    with Path(path).open("rb"):  # the plain error for a file that is missing, a folder or not readable
        pass
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no safetensors file ({error})") from None


def _host_copy(name: str, value: Any) -> Any:
    """A contiguous little-endian copy: the format's writer takes memory as it lies, whatever the strides."""
    array = array_of(value)
    owner = backend_of(array)
    if dtype_name(array.dtype) == "bfloat16":
        raise TypeError(f"tensor {name!r} is bfloat16; {_mend('BF16')}")
    copy = host.array(owner.to_host(array), order="C", copy=True)
    if copy.dtype.name not in _DTYPES.values():
        raise TypeError(f"tensor {name!r} is {copy.dtype.name}; a safetensors file cannot hold that: cast it")
    return copy.astype(copy.dtype.newbyteorder("<"), copy=False)


def _spelt(dtype: str) -> str:
    return {"BF16": "bfloat16"}.get(dtype, dtype)


def _mend(dtype: str) -> str:
    if dtype == "BF16":
        return "NumPy has no such dtype, so it is neither read nor written: store it as float32"
    return f"only {', '.join(_DTYPES.values())} can be read"
