"""The lock of a state folder: the operating system's, so that it is free the moment its holder dies."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import orjson

from reconciler.errors import Locked, StateError
from reconciler.state import durable, lease
from reconciler.state.holder import UNKNOWN, Holder, decode_holder, holder_fields
from reconciler.state.names import LOCK
from reconciler.state.place import Place

_PAUSE = 0.05
_PATIENT = 10
"""Attempts after which whoever waits is told why."""
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


Permit = Callable[[float], None]
"""Asked before each request to Batch how long it may take; raises Locked where the lock would not last."""


@contextmanager
def hold(
    place: Place, *, timeout_seconds: float, holder: Holder, waiting: Callable[[str], None] | None = None
) -> Iterator[Permit]:
    """Holds the lock of wherever the state lies; see `acquire`, and `lease` for buckets."""
    if place.remote:
        with lease.acquire(place, timeout_seconds=timeout_seconds, holder=holder, waiting=waiting) as held:
            yield held.require
    else:
        with acquire(place.folder, timeout_seconds=timeout_seconds, holder=holder, waiting=waiting) as permit:
            yield permit


def held_at(place: Place) -> tuple[Holder | None, lease.Heard | None]:
    """Who holds the lock of wherever the state lies, UNKNOWN perhaps, None when nobody does; and when a bucket's holder
    was last heard from. Of a folder it is a process that lives."""
    if not place.remote:
        return holder_of(place.folder), None
    heard = lease.heard_of(place)
    return (heard.holder if heard else None), heard


@contextmanager
def acquire(
    root: Path, *, timeout_seconds: float, holder: Holder, waiting: Callable[[str], None] | None = None
) -> Iterator[Permit]:
    """Holds the lock of the state folder `root` for the block; waits at most `timeout_seconds` for another holder.

    Raises Locked, which names the holder, or StateError where the folder cannot be written or cannot lock. It lasts as
    long as the process, unless somebody removes its file: who comes next locks another one.
    """
    until = time.monotonic() + timeout_seconds
    for attempt in itertools.count():
        with _opened(root) as handle:
            with durable.explained(f"lock the state folder {root}"):
                ours = _taken(handle, fcntl.LOCK_EX) and _is_there(handle, root)
            if ours:
                with durable.explained(f"write the lock file {root / LOCK}"):
                    _write(handle, orjson.dumps(holder_fields(holder), option=orjson.OPT_APPEND_NEWLINE))
                try:
                    yield partial(_permit, handle, root)
                finally:
                    with suppress(OSError):  # it is free all the same once the file is closed
                        os.ftruncate(handle, 0)
                return
            other = _read(handle)
        if attempt and time.monotonic() >= until:  # twice at least: somebody may only be asking who holds it
            raise Locked(
                "another run holds the state",
                why=f"{other or 'its holder has not said who it is'}",
                fix="wait for it, or wait longer with --lock-timeout; "
                f"{root / LOCK} is free the moment that process ends",
            )
        if waiting is not None and attempt >= _PATIENT:
            waiting(f"waiting for {other or 'another run'}")
        time.sleep(_PAUSE)


def holder_of(root: Path) -> Holder | None:
    """Who holds the lock now, UNKNOWN perhaps; None when nobody does."""
    try:
        handle = os.open(root / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why, fix = error.strerror or "", "run as the user it belongs to"
        raise StateError(f"{root / LOCK} cannot be read", why=why, fix=fix) from error
    try:
        if _taken(handle, fcntl.LOCK_SH):
            return None
        return _read(handle) or UNKNOWN
    finally:
        os.close(handle)


@contextmanager
def _opened(root: Path) -> Iterator[int]:
    """The lock's file, made where there is none."""
    with durable.explained(f"lock the state folder {root}"):
        durable.private_folder(root)
        handle = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield handle
    finally:
        with suppress(OSError):
            os.close(handle)


def _permit(handle: int, root: Path, _seconds: float) -> None:
    if not _is_there(handle, root):
        raise lease.lost(f"{root / LOCK} was removed, which it never need be: it is free the moment its process ends")


def _is_there(handle: int, root: Path) -> bool:
    """Whether the open file still is the lock of the folder."""
    try:
        return os.path.samestat(os.fstat(handle), (root / LOCK).lstat())
    except OSError:
        return False


def _taken(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _write(handle: int, text: bytes) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    durable.write_all(handle, text)
    os.fsync(handle)


def _read(handle: int) -> Holder | None:
    try:
        return decode_holder(orjson.loads(os.pread(handle, 1 << 16, 0)))
    except (ValueError, KeyError, TypeError):
        return None
