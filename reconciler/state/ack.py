"""Lines of an acknowledgement log, a JSON object each: a request starts, it was answered, the log is unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

import orjson

from reconciler.state.standing import Acked, merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A request with rows [start, stop) of the delta file is about to start: as the last line, it may be in flight."""

    start: int
    stop: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The answer to it: Batch accepted rows [start, stop), those in `refused` excepted. No rows: nothing for certain.

    Of refused rows that it may hold something of the log says nothing.
    """

    start: int
    stop: int
    token: str | None
    """Indexing token of the request, where Batch gave one."""
    at: datetime
    refused: tuple[tuple[int, str], ...] = ()
    """(row of the delta file, Batch's words)."""

    @property
    def wrote(self) -> bool:
        """Whether Batch took anything of the request."""
        return self.stop > self.start or bool(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """The last line of a log that was put into a bucket in the middle of a run: more may have happened since."""

    at: datetime


Line = Sending | Ack | Unfinished
_ANSWER, _NO_ANSWER = 0, -1
"""The field ``batch`` of a line: any number but -1 is an answer; the other lines differ by having rows."""


def folded(lines: Sequence[Line]) -> Acked:
    """All lines of a log as one value."""
    written = [line for line in lines if isinstance(line, Ack) and line.wrote]
    last = lines[-1] if lines else None
    return Acked(
        accepted=merged((line.start, line.stop) for line in written),
        refused=tuple(pair for line in written for pair in line.refused),
        tokens=tuple(line.token for line in written if line.token),
        at=written[-1].at if written else None,
        in_flight=None if last is None or isinstance(last, Ack) else last.at,
    )


def encode(line: Line) -> bytes:
    """The line's JSON, without a line end."""
    match line:
        case Ack():
            return _json(_ANSWER, line.start, line.stop, line.at, line.token, line.refused)
        case Sending():
            return _json(_NO_ANSWER, line.start, line.stop, line.at)
        case Unfinished():
            return _json(_NO_ANSWER, 0, 0, line.at)
    assert_never(line)


def decode(text: bytes | None) -> Line | None:
    """Inverse of `encode`; None where it is no such line."""
    if text is None:
        return None
    try:
        found = orjson.loads(text)
        refused = tuple((int(row), str(reason)) for row, reason in found["refused"])
        batch, start, stop = (int(found[name]) for name in ("batch", "start", "stop"))
        token, at = found["token"], datetime.fromisoformat(found["at"])
    except (ValueError, KeyError, TypeError):
        return None
    if batch != _NO_ANSWER:
        token = None if token is None else str(token)
        return Ack(start=start, stop=stop, token=token, at=at, refused=refused)
    return Sending(start=start, stop=stop, at=at) if stop else Unfinished(at=at)


def _json(
    batch: int,
    start: int,
    stop: int,
    at: datetime,
    token: str | None = None,
    refused: tuple[tuple[int, str], ...] = (),
) -> bytes:
    return orjson.dumps({"batch": batch, "start": start, "stop": stop, "token": token, "at": at, "refused": refused})
