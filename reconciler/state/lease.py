"""The lock of a bucket: one object, created only where none is, kept by a heartbeat, free when its lease runs out.

    create lock, or replace a free or expired one   →  ours       (conditional: one of two contenders gets it)
    every 15 s replace it by itself                 →  60 s more  (conditional: whoever took it over is not disturbed)
    at the end replace it by a free one

A lease counts from before the heartbeat that renewed it was sent, by the longer of two clocks, so that a machine that
slept knows. Others take it over only after they have seen it unchanged for a whole lease themselves: what another clock
says of it counts for nothing.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from reconciler.errors import Locked, StateError
from reconciler.state.holder import UNKNOWN, Holder, decode_holder, holder_fields
from reconciler.state.names import LOCK
from reconciler.state.place import Found, Moved, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Seconds."""

    lease: float = 60.0
    heartbeat: float = 15.0
    poll: float = 1.0
    """Between two looks at somebody else's lock, and after a renewal that failed."""


TERMS = Terms()


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
        self._lost = self._failed = ""
        """Why the lock is not ours any more, and why the newest renewal failed; both stay empty while all is well."""
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

    def renew(self) -> bool:
        """A heartbeat; whether the lease is as long as ever. Where the store does not answer it goes on running out."""
        with self._mutex:
            if self._lost or self._expired():
                return False
            try:
                self._rewrite()
            except StateError as error:
                self._failed = ", ".join(part for part in (error.what, error.why) if part)
                return False
            return not self._lost

    def require(self, seconds: float) -> None:
        """Returns only if a request that takes `seconds` at most would end within the lease; else Locked, for good.

        Renews it first where it runs short, again and again as long as it lasts where the store does not answer.
        """
        while not self._lost and self._left() < seconds and not self.renew():
            time.sleep(self._terms.poll)
        if not self._lost and self._left() >= seconds:
            return
        with self._mutex:
            if not self._expired():
                self._lost = f"the lease of {self._terms.lease:.0f} s could not be renewed in time"
        raise lost(self._lost)

    def release(self) -> None:
        """Frees the lock, if it is still ours. A store that cannot be reached lets it run out instead."""
        with self._mutex, suppress(StateError):
            self._rewrite(free=True)

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
        self._renewed, self._failed = begun, ""
        return True

    def _expired(self) -> bool:
        if self._left() <= 0 and not self._lost:
            why = f"and was not renewed: {self._failed}" if self._failed else "while this process was paused"
            self._lost = f"the lease of {self._terms.lease:.0f} s ran out {why}"
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
    terms = terms or TERMS
    lease = _acquired(place, holder, timeout_seconds, waiting, terms)
    over = threading.Event()

    def beat() -> None:
        renewed = True
        while not over.wait(terms.heartbeat if renewed else min(terms.heartbeat, terms.poll)):
            renewed = lease.renew()

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
    """Who holds the lock, UNKNOWN perhaps, and when that was last heard from. Seconds, by this machine's clock."""

    holder: Holder
    id: str
    """Another one for each time the lock is taken."""
    ago: float
    lease: float

    @property
    def over(self) -> bool:
        """By this machine's clock its lease has ended: it is dead, or was paused for too long."""
        return self.ago >= self.lease

    def __str__(self) -> str:
        if not self.over:
            return f"still alive {self.ago:.0f} s ago: its lease of {self.lease:.0f} s has not ended"
        clock = "by this machine's clock its lease"
        return f"last heard from {self.ago:,.0f} s ago: {clock} of {self.lease:.0f} s has ended"


def heard_of(place: Place) -> Heard | None:
    """Who holds the lock, and when it was renewed; None when it is free."""
    found = place.read(LOCK)
    return None if found is None or _entry(found).free else _heard(found)


def _heard(found: Found) -> Heard:
    entry = _entry(found)
    ago = max((datetime.now(UTC) - found.modified).total_seconds(), 0.0)
    return Heard(holder=entry.holder or UNKNOWN, id=entry.id, ago=ago, lease=entry.lease)


def holder_of(place: Place) -> Holder | None:
    """Who holds the lock, UNKNOWN perhaps; None when it is free. Whether that process is alive cannot be seen."""
    found = heard_of(place)
    return None if found is None else found.holder


def unlock(place: Place, heard: Heard) -> bool:
    """Frees the lock if it is held as it was heard of; whether it was held. Locked where somebody else has taken it."""
    while (found := place.read(LOCK)) is not None:
        entry = _entry(found)
        if entry.free:
            return False
        if entry.id != heard.id:
            raise Locked(
                "another run has taken the lock meanwhile, so nothing was freed",
                why=str(entry.holder or UNKNOWN),
                fix="run batchctl state unlock again if that one is dead",
            )
        with suppress(Moved):
            place.replace(LOCK, orjson.dumps({"format": 1, "id": uuid.uuid4().hex, "free": True}), before=found)
            return True
    return False


def _acquired(
    place: Place, holder: Holder, timeout: float, waiting: Callable[[str], None] | None, terms: Terms
) -> Lease:
    until = time.monotonic() + timeout
    seen: Found | None = None
    since, alive = time.monotonic(), False
    while True:
        lease = Lease(place, holder, terms)
        found = place.read(LOCK)
        if seen is None or found is None or found.stamp != seen.stamp:
            alive = seen is not None
            seen, since = found, time.monotonic()
        entry = _entry(found)
        if (entry.free or time.monotonic() - since >= entry.lease) and lease.take(found):
            return lease
        who = str(entry.holder or "its holder has not said who it is")
        if found is not None and time.monotonic() >= until:
            raise _held(who, _heard(found), alive=alive)
        if waiting is not None:
            waiting(f"waiting for {who}")
        time.sleep(min(terms.poll, max(until - time.monotonic(), 0.01)))


def _held(who: str, heard: Heard, *, alive: bool) -> Locked:
    """What is told who has waited in vain for a holder, which was seen `alive` or may be dead."""
    fix = "it was alive while this one waited: wait for it, longer with --lock-timeout SECONDS"
    if not alive:
        over = (
            f"run this again with --lock-timeout {1.5 * heard.lease:.0f}, which takes over a lock that was not renewed"
        )
        fix = f"wait for it; if it is dead, {over} for {heard.lease:.0f} s, or free it at once: batchctl state unlock"
    return Locked("another run holds the state", why=f"{who}\n{heard}", fix=fix)


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
        return _Entry(found.data.hex(), False, None)


def lost(why: str) -> Locked:
    """What whoever asks is told once a lock is not ours any more."""
    return Locked(
        "this run does not hold the state's lock any more, so it sends nothing more",
        why=why,
        fix="what was accepted is written down; the next apply goes on from there",
    )


def _clocks() -> tuple[float, float]:
    """Monotonic, which may stand still while the machine sleeps, and wall, which may be set."""
    return time.monotonic(), time.time()
