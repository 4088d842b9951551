"""Acknowledgement logs of a state: appended to on this machine at once, and sent to a bucket every other second.

What is sent in the middle of a run ends with a mark that more may have happened. Who reads it takes the log of this
machine instead where that one goes on from what was sent, so that a run killed here loses nothing, and a run killed
elsewhere loses two seconds: its rows are uncertain, which is always safe, and its last request is waited out. So does a
run killed here whose log cannot be opened any more, because another machine has changed the key meanwhile.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from reconciler.errors import Damaged, Locked, StateError, Unopened
from reconciler.state import durable
from reconciler.state.ack import Line, Unfinished
from reconciler.state.acks import AGAIN, AckLog, decoded, encoded, read_acks
from reconciler.state.lock import Permit
from reconciler.state.place import Place

EVERY = 2.0
"""Seconds between two uploads of a log that has grown."""


class AckLogs:
    """The logs of one place. `open` may be called by any thread between `start` and `stop`."""

    def __init__(self, place: Place, *, every: float = EVERY, permit: Permit | None = None) -> None:
        """`permit` is asked before a log is put: whoever holds the lock now may be going on with it."""
        self._place, self._every, self._permit = place, every, permit
        self._grown: set[str] = set()
        self._opened: set[str] = set()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def read(self, name: str) -> tuple[Line, ...]:
        """All that is known to be acknowledged, oldest first; a mark that more may have happened counts as a line."""
        try:
            sent = self._place.read(name) if self._place.remote else None
        except Damaged as error:
            raise Damaged(error.what, why=error.why, fix=AGAIN) from None
        if sent is None:
            return self._own(name)
        return joined(decoded(sent.data, where=self._place.show(name)), self._copy(name) or ())

    def open(self, name: str) -> AckLog:
        """The log, ready to go on from what is known; a bucket knows that it was opened when this returns."""
        path = self._path(name)
        if not self._place.remote:
            return AckLog(path, lines=self._place.lines(name))
        known = tuple(line for line in self.read(name) if not isinstance(line, Unfinished))
        if known != self._copy(name):
            with durable.explained(f"write the acknowledgement log {path}"):
                durable.private_folder(path.parent)
                with durable.replacing(path, name="acks") as file:
                    file.write(encoded(known, lines=self._place.lines(name)))
        self._opened.add(name)
        self._send(name, finished=False)
        return AckLog(path, lines=self._place.lines(name), appended=lambda: self._grown.add(name))

    def reseal(self, name: str) -> bool:
        """Seals the lines of this machine's log anew; False where all are sealed with the newest key already."""
        path, lines = self._path(name), self._place.lines(name)
        with durable.explained(f"encrypt the acknowledgement log {path}"):
            try:
                text = path.read_bytes()
            except FileNotFoundError:
                return False
            if not any(map(lines.outdated, text.splitlines())):
                return False
            known, written = self._copy(name) if self._place.remote else self._own(name), path.stat()
            if known is None:
                path.unlink()
                return False
            with durable.replacing(path, name="acks") as file:
                file.write(encoded(known, lines=lines))
            os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
        return True

    def start(self) -> None:
        """Logs that grow are sent from now on, by a thread of their own."""
        if self._place.remote:
            self._thread = threading.Thread(target=self._run, name="acknowledgements", daemon=True)
            self._thread.start()

    def stop(self, *, needed: set[str]) -> None:
        """Sends what `needed` names for the last time, unless the lock is lost. StateError when that fails."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(Locked):
            for name in sorted(self._opened & needed):
                self._send(name, finished=True)

    def _run(self) -> None:
        while not self._over.wait(self._every):
            for name in tuple(self._grown):
                self._grown.discard(name)
                try:
                    self._send(name, finished=False)
                except StateError:
                    self._grown.add(name)
                except Locked:
                    return

    def _send(self, name: str, *, finished: bool) -> None:
        """Once `finished` there is no mark: nothing happened since the last line."""
        lines = self._own(name)
        if self._permit is not None:
            self._permit(0.0)
        mark = () if finished else (Unfinished(at=datetime.now(UTC)),)
        self._place.put(name, encoded((*lines, *mark)))

    def _copy(self, name: str) -> tuple[Line, ...] | None:
        """This machine's copy of a log that a bucket has; None where it is not opened, of a key before perhaps.

        What only it knows is then uncertain, as on any other machine.
        """
        try:
            return self._own(name)
        except Unopened:
            return None

    def _own(self, name: str) -> tuple[Line, ...]:
        return read_acks(self._path(name), lines=self._place.lines(name))

    def _path(self, name: str) -> Path:
        return self._place.folder / name


def joined(sent: tuple[Line, ...], own: tuple[Line, ...]) -> tuple[Line, ...]:
    """What a bucket knows and what this machine knows of one log, as one; the mark stays if it is the newest line."""
    lines = tuple(line for line in sent if not isinstance(line, Unfinished))
    known = own if own[: len(lines)] == lines else lines
    marks = [line for line in sent if isinstance(line, Unfinished)]
    if marks and (not known or marks[-1].at > known[-1].at):
        return (*known, marks[-1])
    return known
