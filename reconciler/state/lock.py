"""The lock of a state folder: the operating system's, so that it is free the moment its holder dies."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from reconciler.errors import Locked
from reconciler.state import durable

FILE = "lock"
_PAUSE = 0.05
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock, for whoever has to wait. Names a process, never a person."""

    text: str
    """What it does, e.g. ``apply``."""
    started: datetime
    run: str = ""
    """Address of the CI run, when there is one."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)

    def __str__(self) -> str:
        run = f", {self.run}" if self.run else ""
        return f"{self.text} (process {self.pid} on {self.host}, since {self.started:%Y-%m-%d %H:%M:%S}{run})"


@contextmanager
def acquire(root: Path, *, timeout_seconds: float, holder: Holder) -> Iterator[None]:
    """Holds the lock of the state folder `root` for the block; waits at most `timeout_seconds` for another holder.

    Raises Locked, which names the holder, or StateError where the folder cannot be written or cannot lock.
    """
    with durable.explained(f"lock the state folder {root}"):
        durable.private_folder(root)
        handle = os.open(root / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _wait(handle, root, timeout_seconds)
        with durable.explained(f"write the lock file {root / FILE}"):
            _write(handle, orjson.dumps(asdict(holder), option=orjson.OPT_APPEND_NEWLINE))
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder_of(root: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does."""
    try:
        handle = os.open(root / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if _taken(handle, fcntl.LOCK_SH):
            return None
        return _read(handle)
    finally:
        os.close(handle)


def _wait(handle: int, root: Path, timeout_seconds: float) -> None:
    until = time.monotonic() + timeout_seconds
    with durable.explained(f"lock the state folder {root}"):
        for attempt in itertools.count():
            if _taken(handle, fcntl.LOCK_EX):
                return
            if attempt and time.monotonic() >= until:  # twice at least: somebody may only be asking who holds it
                break
            time.sleep(_PAUSE)
    raise Locked(
        "another run holds the state",
        why=f"{_read(handle) or 'its holder has not said who it is'}",
        fix=f"wait for it, or wait longer with --lock-timeout; {root / FILE} is free the moment that process ends",
    )


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
        found = orjson.loads(os.pread(handle, 1 << 16, 0))
        words = {name: _plain(str(found[name])) for name in ("text", "run", "host")}
        return Holder(**words, pid=int(found["pid"]), started=datetime.fromisoformat(found["started"]))
    except (ValueError, KeyError, TypeError):
        return None


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:300]
