"""Acknowledgement log of one intent: lines (see `ack`), each on disk before the next request starts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from reconciler.crashpoint import point
from reconciler.errors import Damaged, Unopened
from reconciler.state import durable
from reconciler.state.ack import Line, decode, encode
from reconciler.state.seal import KEY_OF_BEFORE, Lines, Plain, is_sealed_line, refused_plain

AGAIN = "restore the log from a backup, or delete it: all rows of that upload are then sent again"


class AckLog:
    """Appends to the log at `path`, which is created when the first line is written. For any number of threads.

    A torn last line, left by a crash in the middle of an append, is cut off first: that batch was not acknowledged.
    """

    def __init__(self, path: Path, *, lines: Lines | None = None, appended: Callable[[], None] | None = None) -> None:
        """`lines` says how they are kept; `appended` is called after every line, by the thread that wrote it."""
        self.path = path
        self._lines, self._appended = lines or Plain(), appended
        self._handle: int | None = None
        self._end = 0
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def append(self, line: Line) -> None:
        """On disk when it returns: one write, one fdatasync. StateError when it is not; the log is then as before."""
        text = self._lines.close(encode(line))
        with self._mutex, durable.explained(f"write the acknowledgement log {self.path}"):
            handle = self._handle if self._handle is not None else self._open()
            point("ack: begin")
            try:
                durable.write_all(handle, text)
                point("ack: written")
                os.fdatasync(handle)
            except OSError:
                os.ftruncate(handle, self._end)
                raise
            self._end += len(text)
            point("ack: end")
        if self._appended is not None:
            self._appended()

    def close(self) -> None:
        """Gives the file back; a later append opens it again."""
        with self._mutex:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _open(self) -> int:
        durable.private_folder(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            durable.sync_folder(self.path.parent)
            text = self.path.read_bytes()
            self._end = len(_whole(text, self._lines))
            if self._end < len(text):
                os.ftruncate(handle, self._end)
                os.fsync(handle)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return handle


def read_acks(path: Path, *, lines: Lines | None = None) -> tuple[Line, ...]:
    """What was acknowledged, oldest first; nothing when there is no log yet.

    A torn last line is left out: its batch is *uncertain*, which is always safe. Any other line that cannot be read is
    Unopened, because something else than a crash damaged the log, or its key is missing.
    """
    with durable.explained(f"read the acknowledgement log {path}"):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return ()
    return decoded(text, where=str(path), lines=lines)


def encoded(said: Iterable[Line], *, lines: Lines | None = None) -> bytes:
    """The bytes of a log that says this."""
    kept = lines or Plain()
    return b"".join(kept.close(encode(line)) for line in said)


def decoded(text: bytes, *, where: str, lines: Lines | None = None) -> tuple[Line, ...]:
    """Inverse of `encoded`, less a torn last line."""
    said, kept = list[Line](), lines or Plain()
    for number, line in enumerate(_whole(text, kept).splitlines(), 1):
        found = decode(kept.open(line))
        if found is None:
            raise _unopened(line, f"line {number} of the acknowledgement log {where}")
        said.append(found)
    return tuple(said)


def _unopened(line: bytes, where: str) -> Unopened:
    if decode(line) is not None:
        return refused_plain(where)
    if is_sealed_line(line):
        what = f"{where} is encrypted with another key, or was changed after it was written"
        return Unopened(what, fix=f"{KEY_OF_BEFORE}; else {AGAIN}")
    return Damaged(f"{where} is damaged", fix=AGAIN)


def _whole(text: bytes, lines: Lines) -> bytes:
    """The log without a torn last line: one without its line end, or whose blocks did not all reach the disk."""
    text = text[: text.rfind(b"\n") + 1]
    before = text.rfind(b"\n", 0, -1) + 1
    last = text[before:].rstrip(b"\n")
    return text if decode(lines.open(last)) or decode(last) or is_sealed_line(last) else text[:before]
