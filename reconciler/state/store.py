"""A state: one small JSON document replaced whole, its previous versions, and the files it names.

    state.json                 the document; with its own checksum, so that an edit by hand is seen
    previous/state-<n>.json    the version with serial n, the last 30
    targets/<slug>/…           baselines, deltas and acknowledgement logs; immutable once named by a version
    lock                       see `lock` and `lease`
    verified                   files this machine has found whole, see `proven`; never in a bucket

The same names in a folder and in a bucket; `place` says which.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from reconciler.errors import StateError, Unopened, Unreached
from reconciler.state.acklogs import AckLogs
from reconciler.state.acks import AckLog
from reconciler.state.document import decode, encode, files_of, rows_of
from reconciler.state.lock import Permit
from reconciler.state.names import LOG, PREVIOUS, STATE, TARGETS, checked_name, kind_of, number_of, serial_of, slug_of
from reconciler.state.place import Found, Moved, Place
from reconciler.state.reader import StateReader, measure
from reconciler.state.sealed import Sealed
from reconciler.state.state import DataFile, State

PREVIOUS_VERSIONS = 30
HISTORY = ("delta", LOG)
"""Kinds of files that say what was sent."""
UNREADABLE = f"{PREVIOUS}unreadable.json"
"""The document that `restore` replaced last although nobody could read it."""
VERSIONS_WITH_FILES = 5
"""Previous versions that can be gone back to with all their files."""


def new_state(*, project: str, environment: str) -> State:
    """A state that owns nothing, with a lineage of its own."""
    return State(lineage=str(uuid.uuid4()), project=project, environment=environment)


Edit = Callable[[State, State | None], State]


def _is_version(name: str) -> bool:
    return serial_of(name) >= 0 or name == UNREADABLE


class StateStore(StateReader):
    """The state of a run that holds its lock. One thread at a time may call `write`."""

    def __init__(
        self,
        place: Place | Path,
        *,
        project: str | None = None,
        environment: str | None = None,
        permit: Permit | None = None,
    ) -> None:
        """`permit` is asked before each write, and raises Locked when the lock is lost."""
        super().__init__(place, project=project, environment=environment)
        self._permit = permit
        self._logs = AckLogs(self.place, permit=permit)
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        self._logs.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._logs.stop(needed=files_of(self._newest) if self._newest else set())
        except StateError:
            if kind is None:
                raise

    def new(self) -> State:
        """A state that owns nothing, to be written as the first one; no file that is left of another has its serial."""
        new = new_state(project=self._project or "", environment=self._environment or "")
        begun = max(map(number_of, self.files()), default=0)
        return new.model_copy(update={"serial": begun, "begun": begun})

    def write(self, state: State) -> State:
        """Replaces the document by `state` with the next serial, which is returned; the version before is kept.

        Whatever happens meanwhile, the previous or the next version is there, whole. StateError when the document in
        the store is not the version `state` was made from, or cannot be written.
        """
        with self._mutex:
            before = self._made_from(state)
            written = state.model_copy(update={"serial": state.serial + 1})
            keep = f"{PREVIOUS}state-{state.serial}.json"
            self._permitted()
            self._last = None
            try:
                found = self.place.replace(STATE, encode(written), before=before, keep=keep)
            except Moved:
                self._made_from(state)
                raise self._other("something else", "what this run read") from None
            self._last, self._newest = (written, found), written
            if not self.place.remote:
                with suppress(StateError):  # the version is there; a sweep says what is in the way
                    self._prune()
            return written

    def restore(self, text: bytes, *, where: str, force: bool, edit: Edit = lambda state, _: state) -> State:
        """Makes a document, edited, the newest version, whatever is there now with `force`; else only one it came from.

        `edit` is also given what is there now, None where it cannot be trusted. The serial becomes higher than any
        other. StateError when the document cannot be trusted, names files that are gone, or what is there is Unreached.
        """
        state = decode(text, where=where, way_out=lambda: "pull it again: batchctl state pull")
        self._pinned(where, state)
        try:
            newest = self.read()
        except StateError as error:
            if not force or isinstance(error, Unreached):
                raise
            newest = None
        if newest and not force and (newest.lineage != state.lineage or newest.serial > state.serial):
            raise StateError(
                f"{where} is not a successor of the state",
                why=f"it has serial {state.serial} of lineage {state.lineage}, the state serial {newest.serial} of "
                f"{newest.lineage}",
                fix="pull the state again, or add --force to go back",
            )
        missing = files_of(state) - set(self.place.names(TARGETS))
        logs = {one.pending.acks for one in state.targets.values() if one.pending and one.pending.acks}
        if missing - logs:
            raise StateError(
                f"{where} names {len(missing - logs):,} files that are not there any more",
                fix="push a newer version; batchctl state rm forgets a target whose files are lost",
            )
        with self._mutex:
            written = self._above_all(edit(state, newest), newest)
            before = self._last[1] if self._last else self.place.raw(STATE)
            keep = f"{PREVIOUS}state-{newest.serial}.json" if newest else UNREADABLE
            if newest is None:
                self.place.remove(keep)
            self._last = written, self._replaced(encode(written), before, keep)
            self._newest = written
            return written

    def put_file(self, local: Path, name: str, *, rows: int) -> DataFile:
        """Takes a staged file as `name` (``targets/<slug>/…``), private and safely there when it returns.

        `local` must not be written to afterwards. A name the state already uses for other bytes is refused.
        """
        checked_name(name)
        with self._mutex:
            used = self._last is not None and name in files_of(self._last[0])
            self._put.add(name)
        there = self.place.fetch(name) if used else None
        if there is not None:
            if (same := measure(there[0], name, rows=rows)) == measure(local, name, rows=rows):
                return same
            raise StateError(
                f"{self.place.show(name)} is in use and holds something else",
                fix="this is a fault of batchctl: report it",
            )
        size = local.stat().st_size
        file = DataFile(path=name, rows=rows, bytes=size, sha256=self.place.take(local, name))
        self._proven.wrote(file, self.place.folder / name)
        return file

    def acks(self, name: str) -> AckLog:
        """The acknowledgement log of an intent, to be appended to; what is there already stays."""
        return self._logs.open(checked_name(name))

    def sweep(self, state: State, *, since: datetime | None = None) -> tuple[str, ...]:
        """Deletes files of targets that nothing needs any more; their names. Not while another thread puts files.

        Needed is what `state`, the version in the store or one of the last 5 before it names, pending intents
        included, and what was put since this store was opened; delta files and acknowledgement logs written after
        `since` stay as history, and what a lost state left until its target is ours again. Where a version cannot be
        read nothing is deleted, and nothing without the lock: who holds it may be about to name what nothing names yet.
        """
        self._permitted()
        self._prune()
        try:
            known = [state, self.read(), *map(self.read_previous, self.previous()[:VERSIONS_WITH_FILES])]
        except StateError:
            return ()
        with self._mutex:
            needed = self._put.union(*(files_of(version) for version in known if version))
        found = self.files()
        past = {name for name in found if kind_of(name) in HISTORY}
        kept = {name for name in past if since is not None and found[name] > since}
        ours = {slug_of(target.key) for target in state.targets.values()}
        left = {name for name in found if 0 < number_of(name) <= state.begun and name.split("/")[1] not in ours}
        gone = sorted(found.keys() - needed - kept - left)
        for name in gone:
            self._permitted()
            self.place.remove(name)
        self.place.tidy(needed.__contains__)
        self._proven.tidy(needed.__contains__)
        return tuple(gone)

    def aged(self, state: State, *, since: datetime) -> bool:
        """Whether there is history from before `since` that `state` does not need. Nothing is read but names."""
        found, needed = self.files(), files_of(state)
        return any(kind_of(name) in HISTORY and found[name] <= since for name in found.keys() - needed)

    def reseal(self) -> tuple[int, tuple[str, ...]]:
        """Seals all that is kept, whichever version names it, with the newest key of the place; how many files were,
        and what is wrong with those that stay as they are: they cannot be opened, or are not what a version says.

        No version changes by it: what a file holds is what it held. Unopened where it is one that the newest version
        needs, before anything it does not need is touched. Nothing where the place has no key.
        """
        place, changed, wrong = self.place, 0, list[str]()
        if not isinstance(place, Sealed):
            return changed, ()
        versions = self._versions()
        if self._last is not None and place.outdated(STATE):
            self._permitted()
            state, found = self._last
            self._last, changed = (state, self._replaced(found.data, found)), 1
        files = {path: file for version in reversed(versions) for path, file in rows_of(version).items()}
        needed = files_of(self._last[0]) if self._last is not None else set()
        names = [*filter(_is_version, place.names(PREVIOUS)), *self.files()]
        for name in sorted(names, key=lambda name: (name not in needed, name)):
            self._permitted()
            try:
                changed += self._resealed(place, name, files.get(name))
            except Unopened as error:
                if name in needed:
                    raise
                wrong.append(error.what)
        place.drop_copies()
        self._proven.tidy(lambda _: False)
        return changed, tuple(wrong)

    def _versions(self) -> list[State]:
        """The newest version and the previous ones that can be read, newest first."""
        newest = self.read()
        found = [newest] if newest is not None else []
        return [*found, *self.readable()]

    def _resealed(self, place: Sealed, name: str, file: DataFile | None) -> bool:
        log = kind_of(name) == LOG
        done = log and self._logs.reseal(name)
        if (log and not place.remote) or not place.outdated(name):
            return done
        if not log:
            place.discard(name)  # what this machine has of it may be damaged
        if file is not None:
            self.path_of(file)
        place.reseal(name)
        return True

    def _above_all(self, state: State, newest: State | None) -> State:
        """The state with a serial that no version has, the one nobody can read included where there is no `newest`."""
        known = [state.serial, *map(serial_of, self.previous()), *map(number_of, self.files())]
        known.append(newest.serial if newest else max(known) + 1)
        before = newest or next(self.readable(), state)
        over = before.lineage if before.lineage != state.lineage else ""
        return state.by_hand().model_copy(update={"serial": max(known) + 1, "pushed_over": over})

    def _replaced(self, text: bytes, before: Found | None, keep: str | None = None) -> Found:
        try:
            return self.place.replace(STATE, text, before=before, keep=keep)
        except Moved:
            raise self._other("something else", "what this run read") from None

    def _permitted(self) -> None:
        if self._permit is not None:
            self._permit(0.0)

    def _made_from(self, state: State) -> Found | None:
        """The document to replace, None where there is none; StateError unless `state` was made from it."""
        if self._last is None:
            self.read()
        if self._last is None:
            return None
        before, found = self._last
        self._pinned(self.place.show(STATE), state)
        for what in ("lineage", "project", "environment", "serial"):
            if getattr(state, what) != getattr(before, what):
                raise self._other(
                    f"its {what} is {getattr(before, what) or '(none)'}",
                    f"this run's is {getattr(state, what) or '(none)'}",
                )
        return found

    def _other(self, there: str, ours: str) -> StateError:
        return StateError(
            f"the state {self.place.show(STATE)} is not the one this run started from",
            why=f"{there}, {ours}",
            fix="run again; nothing was overwritten",
        )

    def _prune(self) -> None:
        for name in self.previous()[PREVIOUS_VERSIONS:]:
            self.place.remove(name)
