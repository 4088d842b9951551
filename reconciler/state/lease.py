"""The lock of a bucket: one object, created only where none is, kept by a heartbeat, free when its lease runs out.

    create lock, or replace a free or expired one   →  ours       (conditional: one of two contenders gets it)
    every 15 s replace it by itself                 →  60 s more  (conditional: whoever took it over is not disturbed)
    at the end replace it by a free one

A lease counts from before the heartbeat that renewed it was sent, by the longer of two clocks, so that a machine that
slept knows. Others take it over only after they have seen it unchanged for a whole lease, or when the store says that
it was renewed so long ago that no clock it accepts requests from could be wrong by that much.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from reconciler.errors import Locked, StateError
from reconciler.state.holder import UNKNOWN, Holder, decode_holder, holder_fields
from reconciler.state.place import Found, Moved, Place

LOCK = "lock"
LONG_AGO = 16 * 60.0
"""Stores refuse requests whose time is off by more than 15 minutes: a lock renewed longer ago is no clock's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Seconds."""

    lease: float = 60.0
    heartbeat: float = 15.0
    poll: float = 1.0


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the lock object says."""

    id: str
    free: bool
    holder: Holder | None
    lease: float = 60.0


class Lease:
    """A lock that is held."""

    def __init__(self, place: Place, holder: Holder, terms: Terms) -> None:
        self._place, self._holder, self._terms = place, holder, terms
        self._id, self._beat = uuid.uuid4().hex, 0
        self._found: Found | None = None
        self._renewed = _clocks()
        self._lost = ""
        self._mutex = threading.Lock()

    def take(self, before: Found | None) -> bool:
        """Takes the lock if it still is `before`; a write whose answer was lost is looked up."""
        with self._mutex:
            try:
                return self._write(before)
            except StateError:
                self._found = self._place.read(LOCK)
                if _entry(self._found).id != self._id:
                    raise
                return True

    def renew(self) -> None:
        """A heartbeat. Where the store cannot be reached the lease goes on running out."""
        with self._mutex:
            if self._lost or self._expired():
                return
            try:
                self._rewrite()
            except StateError:
                return

    def require(self, seconds: float) -> None:
        """Returns only if a request that takes `seconds` at most would end within the lease; Locked otherwise."""
        if self._left() < seconds and not self._lost:
            self.renew()
        if self._lost or self._left() < seconds:
            with self._mutex:
                self._expired()
                why = self._lost or f"{self._place.show(LOCK)} could not be renewed in time"
            raise Locked(
                "this run does not hold the state's lock any more, so it sends nothing more",
                why=why,
                fix="run batchctl apply again; what was accepted is written down",
            )

    def release(self) -> None:
        """Frees the lock, if it is still ours. A store that cannot be reached lets it run out instead."""
        with self._mutex:
            if self._lost or self._expired():
                return
            try:
                self._rewrite(free=True)
            except StateError:
                return

    def _rewrite(self, *, free: bool = False) -> None:
        """Writes over our own entry, the newest one where the answer to a write was lost; else the lock is lost."""
        while not self._write(self._found, free=free):
            found = self._place.read(LOCK)
            entry = _entry(found)
            if entry.id != self._id or entry.free:
                self._lost = f"{entry.holder} has taken it over" if entry.holder else "somebody freed it"
                return
            self._found = found

    def _write(self, before: Found | None, *, free: bool = False) -> bool:
        begun, self._beat = _clocks(), self._beat + 1
        fields = {"format": 1, "id": self._id, "beat": self._beat, "free": free, "lease": self._terms.lease}
        fields |= holder_fields(self._holder)
        try:
            self._found = self._place.replace(LOCK, orjson.dumps(fields), before=before)
        except Moved:
            return False
        self._renewed = begun
        return True

    def _expired(self) -> bool:
        if self._left() <= 0:
            self._lost = self._lost or f"the lease of {self._terms.lease:.0f} s ran out while this process was paused"
        return bool(self._lost)

    def _left(self) -> float:
        now = _clocks()
        return self._terms.lease - max(a - b for a, b in zip(now, self._renewed, strict=True))


@contextmanager
def acquire(
    place: Place,
    *,
    timeout_seconds: float,
    holder: Holder,
    waiting: Callable[[str], None] | None = None,
    terms: Terms | None = None,
) -> Iterator[Lease]:
    """Holds the lock for the block; waits at most `timeout_seconds` for another holder, then raises Locked."""
    lease = _acquired(place, holder, timeout_seconds, waiting, terms or Terms())
    over = threading.Event()

    def beat() -> None:
        while not over.wait((terms or Terms()).heartbeat):
            lease.renew()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    try:
        thread.start()
        try:
            yield lease
        finally:
            over.set()
            thread.join()
    finally:
        lease.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """When whoever holds the lock was last heard from. Seconds, by this machine's clock and the store's."""

    ago: float
    lease: float

    def __str__(self) -> str:
        if self.ago < self.lease:
            return f"still alive {self.ago:.0f} s ago: its lease of {self.lease:.0f} s has not ended"
        return f"last heard from {self.ago:,.0f} s ago: its lease of {self.lease:.0f} s has ended"


def heard_of(place: Place) -> tuple[Holder, Heard] | None:
    """Who holds the lock, UNKNOWN perhaps, and when it was renewed; None when it is free."""
    found = place.read(LOCK)
    entry = _entry(found)
    if found is None or entry.free:
        return None
    ago = max((datetime.now(UTC) - found.modified).total_seconds(), 0.0)
    return entry.holder or UNKNOWN, Heard(ago=ago, lease=entry.lease)


def holder_of(place: Place) -> Holder | None:
    """Who holds the lock, UNKNOWN perhaps; None when it is free. Whether that process is alive cannot be seen."""
    found = heard_of(place)
    return None if found is None else found[0]


def unlock(place: Place) -> Holder | None:
    """Frees the lock whoever holds it; who did, None when nobody."""
    while (found := place.read(LOCK)) is not None:
        entry = _entry(found)
        if entry.free:
            return None
        try:
            place.replace(LOCK, orjson.dumps({"format": 1, "id": uuid.uuid4().hex, "free": True}), before=found)
        except Moved:
            continue
        return entry.holder or UNKNOWN
    return None


def _acquired(
    place: Place, holder: Holder, timeout: float, waiting: Callable[[str], None] | None, terms: Terms
) -> Lease:
    until = time.monotonic() + timeout
    seen: Found | None = None
    since = time.monotonic()
    while True:
        lease = Lease(place, holder, terms)
        found = place.read(LOCK)
        if seen is None or found is None or found.stamp != seen.stamp:
            seen, since = found, time.monotonic()
        entry = _entry(found)
        if (entry.free or _abandoned(found, entry, time.monotonic() - since)) and lease.take(found):
            return lease
        who = str(entry.holder or "its holder has not said who it is")
        if time.monotonic() >= until:
            raise Locked(
                "another run holds the state",
                why=who,
                fix=f"wait for it, or wait longer with --lock-timeout; if it is dead, its lease ends within "
                f"{entry.lease:.0f} s, or free it at once: batchctl state unlock",
            )
        if waiting is not None:
            waiting(f"waiting for {who}")
        time.sleep(min(terms.poll, max(until - time.monotonic(), 0.01)))


def _abandoned(found: Found | None, entry: _Entry, unchanged: float) -> bool:
    if found is None:
        return True
    return unchanged >= entry.lease or (datetime.now(UTC) - found.modified).total_seconds() > LONG_AGO + entry.lease


def _entry(found: Found | None) -> _Entry:
    if found is None:
        return _Entry("", True, None)
    try:
        fields = orjson.loads(found.data)
        free = bool(fields["free"])
        return _Entry(
            str(fields["id"]), free, None if free else decode_holder(fields), float(fields.get("lease", 60.0))
        )
    except (ValueError, KeyError, TypeError):
        return _Entry("", False, None)


def _clocks() -> tuple[float, float]:
    """Monotonic, which may stand still while the machine sleeps, and wall, which may be set."""
    return time.monotonic(), time.time()
