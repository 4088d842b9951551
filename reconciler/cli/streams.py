"""Standard output, which is written whole or is an error, and standard error, which stops nothing."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, TextIO


class _Whole(io.FileIO):
    """Says once that it takes nothing more; what is written afterwards leads nowhere."""

    def write(self, data: Any, /) -> int:
        """OSError that names standard output; BrokenPipeError where whoever read it has gone."""
        try:
            while (done := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise OSError(error.errno, error.strerror, "standard output") from error
        return done


class _Dropped(io.FileIO):
    """What it does not take is dropped: the pipe may be closed, the disk full."""

    def write(self, data: Any, /) -> int:
        """As if all of it were written."""
        view = memoryview(data)
        try:
            return super().write(view) or view.nbytes
        except OSError:
            return view.nbytes


def opened() -> None:
    """Standard streams for a command. Those that were closed lead nowhere, so that no file gets their numbers.

    A new file has the lowest number that is free: going through them in order, it is that of the stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", closefd=False))
    sys.stdout = whole(sys.stdout)
    sys.stderr = _text(sys.stderr, _Dropped, at_once=True)


def whole(stream: TextIO) -> TextIO:
    """The stream as standard output."""
    return _text(stream, _Whole, at_once=stream.isatty())


def _text(stream: TextIO, kind: type[io.FileIO], *, at_once: bool) -> TextIO:
    raw = kind(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=at_once
    )
