"""Reading a state: the document, its previous versions and the files it names, each checked before it is believed."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import datetime
from pathlib import Path, PurePosixPath

from reconciler.errors import Damaged, StateError
from reconciler.state import durable
from reconciler.state.acklogs import AckLogs
from reconciler.state.acks import Ack, folded
from reconciler.state.document import decode
from reconciler.state.place import PREVIOUS, STATE, TARGETS, Folder, Found, Place
from reconciler.state.proven import Proven
from reconciler.state.standing import Acked
from reconciler.state.state import DataFile, State, TargetState

OURS = re.compile(rf"{TARGETS}[^/]+/(?:base|delta|acks|refusals)-[^/]+")
"""Names of a target's files: nothing else that lies below targets/ is touched."""


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
        self._logs = AckLogs(self.place)
        self._proven = Proven(self.place.folder)

    def read(self) -> State | None:
        """The state, or None where none was ever written. StateError when it cannot be trusted, with the way out."""
        self._last = None
        found = self._found(STATE)
        if found is None:
            if self.previous():
                raise StateError(
                    f"the state {self.place.show(STATE)} is missing, but previous versions of it are there",
                    fix=self._way_out(),
                )
            return None
        state = self._checked(STATE, found)
        self._last, self._newest = (state, found), state
        return state

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

    def read_acks(self, name: str) -> tuple[Ack, ...]:
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
                raise _broken(error.what) from None
            wrong = "is missing" if there is None else self._wrong(file, there[0], verify=verify or there[1])
            if there is not None and not wrong:
                return there[0]
            if not self.place.discard(file.path):
                break
        raise self._overtaken() or _broken(f"{self.place.show(file.path)} {wrong}")

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


def _broken(what: str) -> Damaged:
    """What to say of a file with rows that cannot be believed."""
    fix = (
        "restore it from a backup, or start its target anew: batchctl state rm KEY, then batchctl import; "
        "batchctl state verify checks every file"
    )
    return Damaged(what, why="what Batch was told is in it", fix=fix)


def checked_name(name: str) -> str:
    """The name, which must be one below targets/."""
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or f"{parts[0]}/" != TARGETS or ".." in parts or "\\" in name or "\0" in name:
        raise StateError(f"{name!r} is not a name of a file below targets/")
    return name


def serial_of(name: str) -> int:
    """Serial of a previous version by its name; -1 when it is none."""
    found = re.fullmatch(rf"{PREVIOUS}state-([0-9]+)\.json", name)
    return int(found[1]) if found else -1
