"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

__all__ = ["written_aside"]


@contextmanager
def written_aside(path: str | PathLike[str]) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to it at the end, or removed when something is raised."""
    target = Path(path)
    aside = target.with_name(f".{target.name}.partial")
    try:
        yield aside
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
