"""Connections that outlive one use: to open one costs 30 ms of processor time, as much as a small target's whole commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from reconciler.data.engine import Engine


class Engines:
    """Engines of one thread each, lent to any number of threads; as many are open as were ever lent at once."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now
        self._idle: list[Engine] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes those that are not lent."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def lent(self, megabytes: int) -> Iterator[Engine]:
        """An engine that uses no more memory than this; its tables and files are gone afterwards. One that failed is not
        lent again."""
        with self._lock:
            engine = self._idle.pop() if self._idle else None
        engine = engine or Engine(now=self._now, threads=1)
        try:
            engine.limit(megabytes)
            with engine.passing():
                yield engine
            for left in engine.folder.glob("*.parquet"):
                left.unlink()
            engine.run("SET preserve_insertion_order = false")  # a result that was not read to its end goes with it
        except BaseException:
            engine.close()
            raise
        with self._lock:
            self._idle.append(engine)
