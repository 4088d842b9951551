"""Files that are there whole or not at all, whatever kills the process or the machine; always private (0600, 0700)."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from reconciler.crashpoint import point
from reconciler.errors import Unreached

TEMPORARY = ".tmp"
"""Suffix of files being written; one that is left over was never part of anything."""

_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def replacing(path: Path, *, name: str) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when the block ends well; else `path` stays as it was.

    `name` is what crash points call it. Raises OSError.
    """
    point(f"{name}: begin")
    temporary = _temporary(path)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "wb+") as file:
            point(f"{name}: opened")
            yield file
            file.flush()
            point(f"{name}: written")
            os.fsync(file.fileno())
        point(f"{name}: synced")
        _swap(temporary, path, name=name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    point(f"{name}: end")


def link_or_copy(local: Path, path: Path, *, name: str) -> str:
    """Puts `local` at `path`, by a second name for the same bytes where the disk can; returns their sha256.

    `local` stays and must not be written to again. Raises OSError.
    """
    point(f"{name}: begin")
    temporary = _temporary(path)
    try:
        _link(local, temporary)
        point(f"{name}: linked")
        os.chmod(temporary, 0o600)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        point(f"{name}: synced")
        _swap(temporary, path, name=name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    temporary.unlink(missing_ok=True)  # rename does nothing when both names are the same file already
    point(f"{name}: end")
    return digest


def second_name(path: Path, other: Path, *, name: str) -> None:
    """`other` becomes what `path` is now, whether or not it was there. Raises OSError."""
    temporary = _temporary(other)
    _link(path, temporary)
    point(f"{name}: linked")
    os.replace(temporary, other)
    temporary.unlink(missing_ok=True)
    point(f"{name}: end")


def private_folder(path: Path) -> None:
    """Creates a folder and what is missing above it, mode 0700; a folder that exists is left as it is."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Makes names created, renamed or removed in a folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """One write; more only where the system takes a part of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns what the system says into one Unreached: `doing` is what could not be done, as a phrase."""
    try:
        yield
    except OSError as error:
        where = error.filename or ""
        why = f"{error.strerror or error}{f': {where}' if where else ''}"
        raise Unreached(f"could not {doing}", why=why, fix=_fix(error.errno)) from error


def _fix(code: int | None) -> str:
    if code in _FULL:
        return "free some disk space and run again; what was written down before is intact"
    if code in _READ_ONLY:
        return (
            "make the folder writable for this user, or name another one in the Project's state.url; nothing was lost"
        )
    return "check the folder named in the Project's state.url; what was written down before is intact"


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")


def _swap(temporary: Path, path: Path, *, name: str) -> None:
    os.replace(temporary, path)
    point(f"{name}: renamed")
    sync_folder(path.parent)


def _link(path: Path, other: Path) -> None:
    other.unlink(missing_ok=True)
    try:
        os.link(path.resolve(), other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with (
            path.open("rb") as source,
            os.fdopen(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
