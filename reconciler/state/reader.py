"""Reading a state: the document, its previous versions and the files it names, each checked before it is believed."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from reconciler.errors import Damaged, Lost, SetBack, StateError, Unopened, Unreached
from reconciler.state import durable
from reconciler.state.ack import Line, folded
from reconciler.state.acklogs import AckLogs
from reconciler.state.document import decode
from reconciler.state.names import (
    LOG,
    OURS,
    PREVIOUS,
    STATE,
    TARGETS,
    checked_name,
    kind_of,
    number_of,
    serial_of,
    slug_of,
)
from reconciler.state.place import Folder, Found, Place
from reconciler.state.proven import Proven
from reconciler.state.seal import HEADER, is_sealed, refused_without_key
from reconciler.state.standing import Acked
from reconciler.state.state import DataFile, State, TargetState


def measure(local: Path, name: str, *, rows: int) -> DataFile:
    """What the state will say of a staged file once it is put as `name`."""
    with durable.explained(f"read {local.name}"), local.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return DataFile(path=name, rows=rows, bytes=file.seek(0, os.SEEK_END), sha256=digest)


class StateReader:
    """What planning receives: the state of one project and environment, with no way to change it."""

    def __init__(self, place: Place | Path, *, project: str | None = None, environment: str | None = None) -> None:
        """A state of another `project` or `environment` is refused; None takes any."""
        self.place: Place = Folder(place) if isinstance(place, Path) else place
        self._project, self._environment = project, environment
        self._last: tuple[State, Found] | None = None
        self._newest: State | None = None
        self._put: set[str] = set()
        """Files that nobody but this process has put."""
        self._anew = False
        self._logs = AckLogs(self.place)
        self._proven = Proven(self.place.folder)

    def read(self) -> State | None:
        """The state, or None where none was ever written. StateError when it cannot be trusted, with the way out.

        It must be what came of the versions that are kept: a document that was set back would forget what was sent.
        """
        self._last = None
        kept = self.previous()  # first: whoever writes meanwhile only makes the document newer than those
        found = self._found(STATE)
        state = self._checked(STATE, found) if found else None
        wrong = self._set_back(state, kept) if state else self._lost(kept)
        if wrong is not None:
            again = self.place.read(STATE)
            if (again and again.data) != (found and found.data):
                return self.read()
            raise wrong
        if state is not None and found is not None:
            self._last, self._newest = (state, found), state
        return state

    def begin_anew(self) -> None:
        """From now on a state that is Lost is none at all."""
        self._anew = True

    def document(self) -> State | None:
        """The document as it is, set back or not: nothing to plan with."""
        found = self._found(STATE)
        return self._checked(STATE, found) if found else None

    def previous(self) -> tuple[str, ...]:
        """Names of the previous versions, newest first."""
        found = ((serial_of(name), name) for name in self.place.names(PREVIOUS))
        return tuple(name for _, name in sorted((pair for pair in found if pair[0] >= 0), reverse=True))

    def files(self) -> dict[str, datetime]:
        """Names of all files of targets, whichever version needs them, with the time each was written."""
        return {name: written for name, written in self.place.names(TARGETS).items() if OURS.fullmatch(name)}

    def read_previous(self, name: str) -> State:
        """One of the previous versions, as strictly checked as the newest one."""
        found = self._found(name)
        if found is None:
            raise StateError(f"{self.place.show(name)} is missing")
        state = self._checked(name, found)
        if state.serial != serial_of(name):
            raise StateError(
                f"{self.place.show(name)} holds another version",
                why=f"its serial is {state.serial}",
                fix="restore it from a backup, or use another version",
            )
        return state

    def readable(self, names: tuple[str, ...] | None = None) -> Iterator[State]:
        """The previous versions (default: all), newest first, less those that cannot be trusted."""
        for name in self.previous() if names is None else names:
            try:
                yield self.read_previous(name)
            except Unreached:
                raise
            except StateError:
                continue

    def read_acks(self, name: str) -> tuple[Line, ...]:
        """What the acknowledgement log of an intent says, oldest first; nothing when there is none yet."""
        return self._logs.read(checked_name(name))

    def acked(self, known: TargetState) -> Acked:
        """What the acknowledgement log of a target's pending intent says."""
        if known.pending is None or known.pending.acks is None:
            return Acked()
        return folded(self.read_acks(known.pending.acks))

    def path_of(self, file: DataFile, *, verify: bool = False) -> Path:
        """A baseline or delta file on this machine; StateError unless it is of its size and its digest.

        It is hashed where it is not known to be what it was when somebody last hashed it, and always with `verify`.
        """
        wrong = ""
        for _ in range(2):
            try:
                there = self.place.fetch(checked_name(file.path))
            except Damaged as error:
                raise self.broken(error.what, file.path) from None
            wrong = "is missing" if there is None else self._wrong(file, there[0], verify=verify or there[1])
            if there is not None and not wrong:
                return there[0]
            if not self.place.discard(file.path):
                break
        raise self._overtaken() or self.broken(f"{self.place.show(file.path)} {wrong}", file.path)

    def broken(self, what: str, name: str) -> Damaged:
        """What to say of a file with rows that cannot be believed, and how its target starts anew."""
        slug, targets = name.split("/")[1], self._last[0].targets.values() if self._last else ()
        known = next((one for one in targets if slug_of(one.key) == slug), None)
        anew = f"batchctl state rm {shlex.quote(str(known.key)) if known else 'KEY'}"
        if known is None or known.audience:
            which = [*known.links[:1], known.audience] if known and known.links else ["LINK", "AUDIENCE"]
            anew += f", then batchctl import {shlex.join(which)}"
        else:
            anew += "; then everybody is sent again, and attributes of people who left meanwhile stay"
        fix = f"restore it from a backup, or start its target anew: {anew}; batchctl state verify checks every file"
        return Damaged(what, why="what Batch was told is in it", fix=fix)

    def _overtaken(self) -> StateError | None:
        """What is wrong where somebody has written the state since it was read: files that it named may be gone."""
        newest = self.place.read(STATE) if self._last else None
        if self._last is None or newest is None or newest.data == self._last[1].data:
            return None
        why = "another run goes on, and deletes files that its own versions no longer name"
        return StateError(
            "the state was written while it was read", why=why, fix="run the command again when that run ends"
        )

    def _wrong(self, file: DataFile, path: Path, *, verify: bool) -> str:
        stat = path.stat()
        if stat.st_size != file.bytes:
            return f"has {stat.st_size:,} bytes, the state says {file.bytes:,}"
        kept = path == self.place.folder / file.path  # else it was opened by a seal, which proves it
        if not verify and (not kept or self._proven.holds(file, stat)):
            return ""
        if measure(path, file.path, rows=file.rows).sha256 != file.sha256:
            return "is not what was written: its sha256 differs from the one in the state"
        if kept:
            self._proven.found(file, stat)
        return ""

    def _found(self, name: str) -> Found | None:
        try:
            return self.place.read(name)
        except Damaged as error:
            raise Damaged(error.what, why=error.why, fix=self._way_out()) from None

    def _set_back(self, state: State, kept: tuple[str, ...]) -> StateError | None:
        """What is wrong where `state` did not come of the versions `kept`, or of what it does not know was sent.

        A run that was killed has kept its version under its own serial and written no other: then they are the same.
        """
        newest = serial_of(kept[0]) if kept else -1
        before = None if newest > state.serial else next(self.readable(kept), None)
        logs = self.files() if newest in (-1, state.serial) else {}
        same = True
        later = sorted(name for name in logs if kind_of(name) == LOG and number_of(name) > state.serial)
        if newest > state.serial or later:
            why = f"its serial is {state.serial}, and {self.place.show((*later, *kept)[0])} is of a later version"
        elif before is not None and before.serial == state.serial and before != state:
            why = f"its serial is {state.serial}, and {self.place.show(kept[0])} is another version with that serial"
        elif before is not None and before.lineage not in (state.lineage, state.pushed_over):
            same = False
            why = f"its lineage is {state.lineage}, that of version {before.serial} is {before.lineage}"
        else:
            return None
        serial = f"--serial {newest} " if kept else ""
        return (SetBack if same else StateError)(
            f"the state {self.place.show(STATE)} was set back, or copied from elsewhere",
            why=f"{why}; what was sent since would be forgotten",
            fix=("batchctl plan shows what the next apply sends again; or " if same else "")
            + "put the newest version back; or go on from an older one, and what may have been sent since is sent "
            f"again: batchctl state pull {serial}--out FILE, then batchctl state push --force FILE",
        )

    def _lost(self, kept: tuple[str, ...]) -> StateError | None:
        """What is wrong where there is no document, but something else of a state."""
        missing = f"the state {self.place.show(STATE)} is missing"
        if kept:
            what, shut = f"{missing}, but previous versions of it are there", self._shut(kept)
            if shut is not None:
                return StateError(what, why=shut.what, fix=shut.fix)
            fix = f"batchctl plan shows what the next apply sends again; {self._way_out()}"
            return SetBack(what, why="the newest version is lost, and what was sent since", fix=fix)
        files = set[str]() if self._anew else self.files().keys() - self._put
        if files:
            what, shut = f"{missing}, but files of its targets are there", self._locked(files)
            if shut is not None:
                return StateError(what, why=shut.what, fix=shut.fix)
            return Lost(
                what,
                why=f"Batch was sent what is in {self.place.show(min(files))}",
                fix="restore it from a backup: batchctl state push --force FILE; or start anew: see batchctl plan",
            )
        return None

    def _shut(self, kept: tuple[str, ...]) -> StateError | None:
        """What is wrong with the newest of the versions `kept` where none of them can be read."""
        if any(self.readable(kept)):
            return None
        try:
            self.read_previous(kept[0])
        except StateError as error:
            return error
        return None

    def _locked(self, files: set[str]) -> StateError | None:
        """What is wrong where the newest of `files` with rows, rather a delta, needs a key that is not there."""
        rows = (name for name in files if kind_of(name) != LOG)
        name = max(rows, key=lambda name: (kind_of(name) == "delta", number_of(name)), default=None)
        try:
            there = self.place.fetch(name) if name is not None else None
        except Damaged:
            return None
        except Unopened as error:
            return error
        if there is None or name is None:
            return None
        with durable.explained(f"read {there[0]}"), there[0].open("rb") as file:
            return refused_without_key(self.place.show(name)) if is_sealed(file.read(HEADER)) else None

    def _checked(self, name: str, found: Found) -> State:
        where = self.place.show(name)
        state = decode(found.data, where=where, way_out=self._way_out)
        self._pinned(where, state)
        return state

    def _pinned(self, where: str, state: State) -> None:
        pins = (("project", self._project, state.project), ("environment", self._environment, state.environment))
        for what, wanted, found in pins:
            if wanted is not None and wanted != found:
                raise StateError(
                    f"the state {where} belongs to {what} {found or '(none)'}, not {wanted or '(none)'}",
                    fix=f"check -C, --env and the Project's state.url: every {what} has a state of its own",
                )

    def _way_out(self) -> str:
        found = self.previous()
        if not found:
            where, document = self.place.show(PREVIOUS), self.place.show(STATE)
            return f"no previous version is kept in {where}: restore {document} from a backup"
        kept = ", ".join(map(self.place.show, found[:3]))
        more = f" and {len(found) - 3} older" if len(found) > 3 else ""
        back = f"batchctl state pull --serial {serial_of(found[0])} --out FILE, then batchctl state push --force FILE"
        return f"previous versions: {kept}{more}; to go back: {back}"
