"""Files and folders that appear whole, or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE

__all__ = ["written_aside"]


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new name to write a file or folder to, which takes the place of `path` when the block ends well.

    Parent folders are made where they are missing. When the block raises, what was written is removed,
    and so are the parents that were made for it. A file at `path` is replaced and keeps its mode, an empty
    folder is filled, a link is followed, and a pipe or a device is written to directly.
    Raises OSError where the place cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_aside(f"{folder}/new/note.txt") as aside:
    ...         _ = aside.write_text("all of it")
    ...     Path(folder, "new", "note.txt").read_text()
    'all of it'
    """
    given = os.path.expanduser(path)
    if os.path.exists(given) and not os.path.isfile(given) and not os.path.isdir(given):
        yield Path(given)
        return
    path = Path(os.path.realpath(given))
    # Inside a folder that is there, which may be where a disk is mounted or a shell stands.
    beside = path if path.is_dir() else path.parent
    aside = beside / f".{path.name}.{secrets.token_hex(4)}.partial"
    made: list[Path] = []
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        yield aside
        _put(aside, path)
    except BaseException as error:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            with suppress(OSError):
                aside.unlink()
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError) and error.filename == str(aside):
            raise type(error)(error.errno, error.strerror, given) from None
        raise


def _put(aside: Path, path: Path) -> None:
    """Give what was written aside its own place."""
    if aside.is_dir() and path.is_dir():
        if list(path.iterdir()) != [aside]:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
        for part in aside.iterdir():
            part.replace(path / part.name)
        aside.rmdir()
        return
    if path.is_file():
        aside.chmod(S_IMODE(path.stat().st_mode))
    aside.replace(path)
