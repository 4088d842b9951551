"""Acknowledgement log of one intent: a JSON line per request Batch accepted, on disk before the next one starts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from reconciler.crashpoint import point
from reconciler.errors import Damaged, Unopened
from reconciler.state import durable
from reconciler.state.seal import KEY_OF_BEFORE, Lines, Plain, is_sealed_line, refused_plain
from reconciler.state.standing import Acked, merged

SENDING = -1
"""`Ack.batch` of the line that says a request is about to start: without an answer after it, it may be in flight.

A line without rows is an answer that accepted nothing."""
AGAIN = "restore the log from a backup, or delete it: all rows of that upload are then sent again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Rows [start, stop) of the delta file which Batch accepted, those in `refused` excepted.

    Of refused rows that it may hold something of the log says nothing.
    """

    batch: int
    start: int
    stop: int
    token: str | None
    """Indexing token of the request, where Batch gave one."""
    at: datetime
    refused: tuple[tuple[int, str], ...] = ()
    """(row of the delta file, Batch's words)."""


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

    def append(self, ack: Ack) -> None:
        """On disk when it returns: one write, one fdatasync. StateError when it is not; the log is then as before."""
        line = self._lines.close(_encode(ack))
        with self._mutex, durable.explained(f"write the acknowledgement log {self.path}"):
            handle = self._handle if self._handle is not None else self._open()
            point("ack: begin")
            try:
                durable.write_all(handle, line)
                point("ack: written")
                os.fdatasync(handle)
            except OSError:
                os.ftruncate(handle, self._end)
                raise
            self._end += len(line)
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


def read_acks(path: Path, *, lines: Lines | None = None) -> tuple[Ack, ...]:
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


def encoded(acks: Iterable[Ack], *, lines: Lines | None = None) -> bytes:
    """The bytes of a log with these lines."""
    kept = lines or Plain()
    return b"".join(kept.close(_encode(ack)) for ack in acks)


def decoded(text: bytes, *, where: str, lines: Lines | None = None) -> tuple[Ack, ...]:
    """Inverse of `encoded`, less a torn last line."""
    acks, kept = [], lines or Plain()
    for number, line in enumerate(_whole(text, kept).splitlines(), 1):
        ack = _decode(kept.open(line))
        if ack is None:
            raise _unopened(line, f"line {number} of the acknowledgement log {where}")
        acks.append(ack)
    return tuple(acks)


def _unopened(line: bytes, where: str) -> Unopened:
    if _decode(line) is not None:
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
    return text if _decode(lines.open(last)) or _decode(last) or is_sealed_line(last) else text[:before]


def _encode(ack: Ack) -> bytes:
    line = {
        "batch": ack.batch,
        "start": ack.start,
        "stop": ack.stop,
        "token": ack.token,
        "at": ack.at,
        "refused": ack.refused,
    }
    return orjson.dumps(line)


def _decode(line: bytes | None) -> Ack | None:
    if line is None:
        return None
    try:
        found = orjson.loads(line)
        refused = tuple((int(row), str(reason)) for row, reason in found["refused"])
        numbers = {name: int(found[name]) for name in ("batch", "start", "stop")}
        token = None if found["token"] is None else str(found["token"])
        return Ack(**numbers, token=token, at=datetime.fromisoformat(found["at"]), refused=refused)
    except (ValueError, KeyError, TypeError):
        return None


def folded(lines: tuple[Ack, ...]) -> Acked:
    """The log's lines as one value."""
    accepted = [line for line in lines if line.batch != SENDING and (line.stop > line.start or line.token)]
    last = lines[-1] if lines else None
    in_flight: datetime | None = last.at if last is not None and last.batch == SENDING else None
    return Acked(
        accepted=merged((line.start, line.stop) for line in accepted),
        refused=tuple(pair for line in accepted for pair in line.refused),
        tokens=tuple(line.token for line in accepted if line.token),
        at=accepted[-1].at if accepted else None,
        in_flight=in_flight,
    )
