"""Which files of a state this machine has found whole, and what the system said of them then.

A file of which the system still says the same is not hashed again: the base of ten million members takes a second. One
JSON line a file, beside the state; whoever deletes the list makes the next run hash every file once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from reconciler.state import durable
from reconciler.state.state import DataFile

FILE = "verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A file when its digest was known to be right."""

    sha256: str
    mtime: int
    inode: int
    ctime: int | None
    """None of a file that was just written: it changes once more when the staged name of the same bytes goes."""


class Proven:
    """The list of one folder. For any number of threads; a list that cannot be read or written proves nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._seen: dict[str, _Seen] | None = None
        self._written: set[str] = set()
        self._mutex = threading.Lock()

    def holds(self, file: DataFile, stat: os.stat_result) -> bool:
        """Whether a file is known to be whole."""
        with self._mutex:
            seen = self._known().get(file.path)
            if seen is None or (seen.sha256, seen.mtime, seen.inode) != (file.sha256, stat.st_mtime_ns, stat.st_ino):
                return False
            if seen.ctime is None and file.path not in self._written:
                self._add(file, stat, ctime=stat.st_ctime_ns)
            return seen.ctime in (None, stat.st_ctime_ns)

    def found(self, file: DataFile, stat: os.stat_result) -> None:
        """A file was hashed and is what it was; `stat` is from before."""
        with self._mutex:
            self._add(file, stat, ctime=stat.st_ctime_ns)

    def wrote(self, file: DataFile, path: Path) -> None:
        """This process has put the file at `path`; not where a seal keeps other bytes there."""
        with self._mutex, suppress(OSError):
            stat = path.stat()
            if stat.st_size == file.bytes:
                self._written.add(file.path)
                self._add(file, stat, ctime=None)

    def tidy(self, needed: Callable[[str], bool]) -> None:
        """Leaves out what is not needed."""
        with self._mutex:
            known = self._known()
            kept = {name: seen for name, seen in known.items() if needed(name)}
            if len(kept) < len(known):
                self._seen = kept
                with suppress(OSError), durable.replacing(self._path, name="verified") as file:
                    file.write(b"".join(_line(name, seen) for name, seen in kept.items()))

    def _add(self, file: DataFile, stat: os.stat_result, *, ctime: int | None) -> None:
        seen = _Seen(sha256=file.sha256, mtime=stat.st_mtime_ns, inode=stat.st_ino, ctime=ctime)
        self._known()[file.path] = seen
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(self._path, flags, 0o600), "ab", buffering=0) as out:
                out.write(_line(file.path, seen))

    def _known(self) -> dict[str, _Seen]:
        if self._seen is None:
            text = b""
            with suppress(OSError):
                text = self._path.read_bytes()
            self._seen = dict(pair for line in text.splitlines() if (pair := _read(line)) is not None)
        return self._seen


def _line(name: str, seen: _Seen) -> bytes:
    return orjson.dumps([name, seen.sha256, seen.mtime, seen.inode, seen.ctime], option=orjson.OPT_APPEND_NEWLINE)


def _read(line: bytes) -> tuple[str, _Seen] | None:
    """None for a line that was cut off, or that nobody of us wrote."""
    try:
        name, sha256, mtime, inode, ctime = orjson.loads(line)
    except (ValueError, TypeError):
        return None
    return str(name), _Seen(sha256=sha256, mtime=mtime, inode=inode, ctime=ctime)
