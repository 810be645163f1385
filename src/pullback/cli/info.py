"""`pullback info`: what is installed, and what can be trained on."""

import argparse
import os
import platform
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from .. import __version__
from ..backends import backends, open_backend
from ..backends.host import host

__all__ = ["run"]

_PACKAGES = ("numpy", "array-api-compat", "safetensors", "tqdm")
_OPTIONAL = (
    *("cupy-cuda12x", "cupy-cuda13x", "nvmath-python", "nvidia-cudnn-frontend", "ml-dtypes"),
    *("numba", "matplotlib", "torch", "array-api-strict", "threadpoolctl"),
)


def run(arguments: argparse.Namespace) -> int:
    """Print versions, backends with their devices, BLAS, threads and cores. Never fails."""
    print(f"pullback {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
    sections = {
        "packages": {name: _version(name) for name in _PACKAGES},
        "optional packages": {name: _version(name) for name in _OPTIONAL},
        "backends": _backends(),
        "this machine": {"BLAS": _told(_blas), "threads": _told(_threads), "CPU cores": _told(_cores)},
    }
    width = max(len(name) for lines in sections.values() for name in lines)
    for title, lines in sections.items():
        print(title, *(f"  {name:<{width}}  {text}" for name, text in lines.items()), "", sep="\n")
    return 0


def _told(tell: Callable[[], str]) -> str:
    """What a function tells; what went wrong, where it cannot."""
    try:
        return tell()
    except Exception as error:
        return f"unknown ({type(error).__name__}: {' '.join(str(error).split())})"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _backend(name: str) -> str:
    usable, reason = backends()[name]
    if not usable:
        return f"not usable: {reason}"
    backend = open_backend(name)
    with warnings.catch_warnings(action="ignore"):
        devices = [device for device in backend.namespace.__array_namespace_info__().devices() if device is not None]
    return f"usable on {', '.join(map(backend.device_name, devices))}"


def _backends() -> dict[str, str]:
    """A line for each backend, and below it what there is to know of the devices of one that can be used."""
    lines = {}
    for name, (usable, _) in backends().items():
        lines[name] = _told(partial(_backend, name))
        facts: dict[str, str] = {}
        if usable:
            try:
                facts = open_backend(name).facts()
            except Exception as error:
                facts = {"": f"unknown ({type(error).__name__}: {' '.join(str(error).split())})"}
        lines.update({f"  {fact}": text for fact, text in facts.items()})
    return lines


def _blas() -> str:
    if find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_info

        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        if pools:
            return ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in pools)
    built = host.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{built['name']} {built['version']}"


def _threads() -> str:
    if find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_info

        return ", ".join(f"{pool['num_threads']} ({pool['internal_api']})" for pool in threadpool_info()) or "1"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    return ", ".join(limits) or "as many as cores"


def _cores() -> str:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{allowed} of {os.cpu_count()}"
