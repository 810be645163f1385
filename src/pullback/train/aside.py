"""Files and folders that appear whole, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["written_aside"]


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new name beside `path`, to write a file or folder to; renamed to `path` when the block ends well.

    Parent folders are made where they are missing. When the block raises, what was written is removed,
    and so are the parents that were made for it. A file or an empty folder at `path` is replaced.
    Raises OSError where the place cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_aside(f"{folder}/new/note.txt") as aside:
    ...         _ = aside.write_text("all of it")
    ...     Path(folder, "new", "note.txt").read_text()
    'all of it'
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    made: list[Path] = []
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        yield aside
        if aside.is_dir() and path.is_dir():
            path.rmdir()  # not every system renames over an empty folder
        aside.replace(path)
    except BaseException:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise
