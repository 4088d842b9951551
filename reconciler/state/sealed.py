"""A place whose contents are encrypted: what goes in is sealed, what comes out was sealed by who holds the key.

The lock stays readable: it names a process, and whoever frees it may not have the key.
"""

from __future__ import annotations

import io
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from reconciler.errors import StateError
from reconciler.scratch import Scratch
from reconciler.state import durable
from reconciler.state.names import LOCK, PREVIOUS, STATE, TARGETS
from reconciler.state.place import Folder, Found, Place
from reconciler.state.seal import Lines, Seal, through

OPEN_NAMES = (LOCK,)
ROWS = ".parquet"
"""End of the names of files that may be large."""


class Sealed:
    """`place` with everything in it sealed. Files are opened into a private folder, which `close` removes."""

    def __init__(self, place: Place, seal: Seal) -> None:
        self._place, self._seal = place, seal
        self._folder: Scratch | None = None
        self._opened: dict[str, tuple[Path, bool]] = {}
        self._count = itertools.count()
        self._mutex, self._creating = threading.Lock(), threading.Lock()

    def close(self) -> None:
        """Removes everything that was opened."""
        if self._folder is not None:
            self._folder.remove()

    @property
    def folder(self) -> Path:
        """See Place."""
        return self._place.folder

    @property
    def remote(self) -> bool:
        """See Place."""
        return self._place.remote

    def show(self, name: str = "") -> str:
        """See Place."""
        return self._place.show(name)

    def lines(self, name: str) -> Lines:
        """See Place."""
        return self._seal.lines(name)

    def read(self, name: str) -> Found | None:
        """See Place."""
        found = self._place.read(name)
        if found is None or name in OPEN_NAMES:
            return found
        out = io.BytesIO()
        self._seal.open(_meant(name), io.BytesIO(found.data), out, where=self.show(name))
        return Found(out.getvalue(), found.stamp, found.modified)

    def raw(self, name: str) -> Found | None:
        """See Place."""
        found = self._place.raw(name)
        return None if found is None else replace(found, raw=True)

    def head(self, name: str) -> bytes | None:
        """See Place."""
        return self._place.head(name)

    def outdated(self, name: str) -> bool:
        """Whether a file is kept plain, or sealed with the fallback; a log of this machine is sealed by lines."""
        head = self._place.head(name)
        return head is not None and self._seal.outdated(head)

    def reseal(self, name: str) -> None:
        """Seals a file with the newest key, as it was fetched last, in its place and, in a folder, as old as it was."""
        path = self.folder / name
        written = None if self.remote else path.stat()
        if not name.endswith(ROWS):
            found = self.read(name)
            if found is None:
                raise _gone(self.show(name))
            self.put(name, found.data)
        else:
            self._take_again(name)
        if written is not None:
            os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))

    def _take_again(self, name: str) -> None:
        there = self.fetch(name)
        if there is None:
            raise _gone(self.show(name))
        self.take(there[0], name)
        del self._opened[name]
        there[0].unlink()

    def drop_copies(self) -> None:
        """Removes this machine's copies of files that are kept elsewhere, where they are outdated."""
        copies = Folder(self.folder)
        for name in copies.names(TARGETS) if self.remote else ():
            head = copies.head(name) if name.endswith(ROWS) else None
            if head is not None and self._seal.outdated(head):
                self.discard(name)

    def replace(self, name: str, data: bytes, *, before: Found | None, keep: str | None = None) -> Found:
        """See Place; the version before is kept as it is in a folder or where it is raw, else sealed again."""
        if name in OPEN_NAMES:
            return self._place.replace(name, data, before=before, keep=keep)
        if before is not None and keep is not None and self.remote and not before.raw:
            before = Found(self._closed(keep, before.data), before.stamp, before.modified)
        done = self._place.replace(name, self._closed(name, data), before=before, keep=keep)
        return Found(data, done.stamp, done.modified)

    def put(self, name: str, data: bytes) -> None:
        """See Place."""
        self._place.put(name, self._closed(name, data))

    def take(self, local: Path, name: str) -> str:
        """See Place; the digest is that of the plain bytes."""
        with durable.explained(f"encrypt {local.name}"):
            to = self._private()
            digest = through(local, to, lambda source, target: self._seal.seal(_meant(name), source, target))
        self._place.take(to, name)
        to.unlink()
        return digest

    def fetch(self, name: str) -> tuple[Path, bool] | None:
        """See Place; the file is a private copy that is opened once."""
        with self._mutex:
            if name in self._opened:
                return self._opened[name]
            return self._open(name)

    def _open(self, name: str) -> tuple[Path, bool] | None:
        there = self._place.fetch(name)
        if there is None:
            return None
        to, where = self._private(), self.show(name)
        try:
            with durable.explained(f"decrypt {where}"):
                sealed = through(
                    there[0], to, lambda source, target: self._seal.open(_meant(name), source, target, where=where)
                )
        except StateError:
            if there[1] or not self._place.discard(name):
                raise
            return self._open(name)  # this machine's copy was not the file any more
        self._opened[name] = to, not sealed
        return to, there[1] or not sealed

    def discard(self, name: str) -> bool:
        """See Place."""
        self._opened.pop(name, None)
        return self._place.discard(name)

    def names(self, prefix: str) -> dict[str, datetime]:
        """See Place."""
        return self._place.names(prefix)

    def remove(self, name: str) -> None:
        """See Place."""
        self._opened.pop(name, None)
        self._place.remove(name)

    def tidy(self, needed: Callable[[str], bool]) -> None:
        """See Place."""
        self._place.tidy(needed)

    def _closed(self, name: str, data: bytes) -> bytes:
        out = io.BytesIO()
        self._seal.seal(_meant(name), io.BytesIO(data), out)
        return out.getvalue()

    def _private(self) -> Path:
        with self._creating:
            if self._folder is None:
                self._folder = Scratch()
        return self._folder.path / str(next(self._count))


def _gone(where: str) -> StateError:
    return StateError(f"{where} is missing", fix="run the command again")


def _meant(name: str) -> str:
    """The name a file is sealed under: a version of the state stays what it is when it becomes a previous one."""
    return STATE if name.startswith(PREVIOUS) else name
