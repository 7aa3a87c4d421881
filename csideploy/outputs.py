"""Writing files and folders so that nothing half-written is ever left behind.

Everything is written aside, under a hidden name in the same folder, and renamed when it is whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from csideploy.errors import OutputError


def reason(error: OSError) -> str:
    """What the system said, in its words, without the number and the path."""
    return (error.strerror or str(error) or type(error).__name__).lower()


@contextmanager
def file_aside(path: Path) -> Iterator[BinaryIO]:
    """Open a hidden sibling of `path` for writing; rename it to `path` when the block ends well.

    A link is followed, so that it stays one.

    Raises:
        OutputError: the folder is missing or not writable, the disk is full, `path` is a folder.
    """
    path = _followed(path)
    if path.exists() and not path.is_file():
        with _device(path) as device:
            yield device
        return
    handle, aside = _sibling(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}; nothing was written") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse a place for a file that cannot be written, before any work is done for it.

    Raises:
        OutputError: as `file_aside`.
    """
    path = _followed(path)
    if path.exists() and not path.is_file():
        if not os.access(path, os.W_OK):
            raise OutputError(f"cannot write {path}: permission denied")
        return
    # Permissions alone do not tell: the superuser has them on a read-only file system too.
    handle, aside = _sibling(path)
    os.close(handle)
    aside.unlink(missing_ok=True)


def _followed(path: Path) -> Path:
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file")
    return path.resolve() if path.is_symlink() else path


def _sibling(path: Path) -> tuple[int, Path]:
    """A new hidden file beside `path`, open."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {reason(error)} in folder {path.parent}"
        ) from error
    return handle, Path(name)


@contextmanager
def _device(path: Path) -> Iterator[BinaryIO]:
    """Write into a device or a pipe: a rename would put a file in the place of /dev/null."""
    try:
        with path.open("wb") as stream:
            yield stream
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error


@contextmanager
def folder_aside(path: Path, *, force: bool = False, holding: str | None = None) -> Iterator[Path]:
    """Make a hidden sibling folder of `path`; rename it to `path` when the block ends well.

    An existing `path` is refused as `check_folder_free` says; one that may be replaced is moved
    away before the rename and deleted after it.

    Raises:
        OutputError: `path` exists and is not empty, its parent cannot be written, the disk is full.
    """
    check_folder_free(path, force=force, holding=holding)
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {reason(error)} in folder {path.parent}"
        ) from error
    try:
        yield aside
        aside.chmod(0o777 & ~_umask())
        if path.is_dir():
            retired = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            try:
                path.replace(retired)
            except OSError:
                retired.rmdir()
                raise
            try:
                aside.replace(path)
            except OSError:
                retired.replace(path)
                raise
            shutil.rmtree(retired, ignore_errors=True)
        else:
            aside.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}; nothing was written") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_folder_free(path: Path, *, force: bool, holding: str | None = None) -> None:
    """Refuse a place for a new folder that is taken, before any work is done for it.

    Args:
        path: the place.
        force: a folder there may be deleted for it.
        holding: but only one that holds a file of this name. A folder that was named by mistake,
            a home say, holds none.

    Raises:
        OutputError: `path` is a file, or a folder that is neither empty nor to be replaced.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write folder {path}: a file of that name exists")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not force:
        raise OutputError(f"folder {path} exists and is not empty: name another, or add --force")
    if holding is not None and not (path / holding).is_file():
        raise OutputError(
            f"folder {path} is not empty and has no {holding}: --force replaces only what an "
            "earlier call made; name another folder"
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
