"""The backend and the device that the command line asks for."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..backends import use

__all__ = ["chosen_backend"]


@contextmanager
def chosen_backend(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Makes current the backend of `--backend` and `--device`, else of PULLBACK_BACKEND, else the best.

    Gives its name and its device's. Raises BackendUnavailable, and ValueError for one there is not.
    """
    name, device = arguments.backend, arguments.device
    if name is None:
        name, _, own = os.environ.get("PULLBACK_BACKEND", "").partition(":")
        device = device or own or None
    with use(name or "auto", device) as backend:
        try:
            place = backend.device_of(backend.asarray([0.0]))
        except Exception as error:  # each library has its own for a device there is not
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"the {backend.name} backend has no device {device!r} ({reason})") from None
        yield backend.name, backend.device_name(place)
