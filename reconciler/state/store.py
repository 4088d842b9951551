"""A state: one small JSON document replaced whole, its previous versions, and the files it names.

    state.json                 the document; with its own checksum, so that an edit by hand is seen
    previous/state-<n>.json    the version with serial n, the last 30
    targets/<slug>/…           baselines, deltas and acknowledgement logs; immutable once named by a version
    lock                       see `lock` and `lease`

The same names in a folder and in a bucket; `place` says which.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import uuid
from pathlib import Path, PurePosixPath
from typing import Self

from reconciler.address import TargetKey
from reconciler.errors import StateError
from reconciler.state import durable
from reconciler.state.acklogs import AckLogs
from reconciler.state.acks import Ack, AckLog
from reconciler.state.document import decode, encode, files_of
from reconciler.state.place import PREVIOUS, STATE, TARGETS, Folder, Found, Moved, Place
from reconciler.state.state import DataFile, State

PREVIOUS_VERSIONS = 30
VERSIONS_WITH_FILES = 5
"""Previous versions that can be gone back to with all their files."""


def new_state(*, project: str, environment: str, tool: str) -> State:
    """A state that owns nothing, with a lineage of its own."""
    return State(lineage=str(uuid.uuid4()), project=project, environment=environment, tool=tool)


def slug_of(key: TargetKey) -> str:
    """Folder name of a target: readable, and different for names that differ by case only."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", key.audience or "profiles")[:80]
    return f"{key.account}-{name}-{hashlib.sha256(str(key).encode()).hexdigest()[:8]}"


def name_of(key: TargetKey, stem: str, state: State, suffix: str) -> str:
    """A name for a new file of a target which no version of any state has used."""
    return f"{TARGETS}{slug_of(key)}/{stem}-{state.serial + 1}-{uuid.uuid4().hex[:8]}{suffix}"


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

    def read(self) -> State | None:
        """The state, or None where none was ever written. StateError when it cannot be trusted, with the way out."""
        self._last = None
        found = self.place.read(STATE)
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
        found = ((_serial(name), name) for name in self.place.names(PREVIOUS))
        return tuple(name for _, name in sorted((pair for pair in found if pair[0] >= 0), reverse=True))

    def read_previous(self, name: str) -> State:
        """One of the previous versions, as strictly checked as the newest one."""
        found = self.place.read(name)
        if found is None:
            raise StateError(f"{self.place.show(name)} is missing")
        return self._checked(name, found)

    def read_acks(self, name: str) -> tuple[Ack, ...]:
        """What the acknowledgement log of an intent says, oldest first; nothing when there is none yet."""
        return self._logs.read(_checked_name(name))

    def locate(self, name: str) -> Path:
        """A file of this machine with what the state names as `name`."""
        there = self.place.fetch(_checked_name(name))
        if there is None:
            raise self._broken(name, "is missing")
        return there[0]

    def path_of(self, file: DataFile, *, verify: bool = False) -> Path:
        """A baseline or delta file on this machine; StateError unless it is of its size and, where it has just come
        from elsewhere or with `verify`, of its digest."""
        wrong = ""
        for _ in range(2):
            there = self.place.fetch(_checked_name(file.path))
            wrong = "is missing" if there is None else self._wrong(file, there[0], verify=verify or there[1])
            if there is not None and not wrong:
                return there[0]
            if not self.place.discard(file.path):
                break
        raise self._broken(file.path, wrong)

    def _wrong(self, file: DataFile, path: Path, *, verify: bool) -> str:
        size = path.stat().st_size
        if size != file.bytes:
            return f"has {size:,} bytes, the state says {file.bytes:,}"
        if verify and measure(path, file.path, rows=file.rows).sha256 != file.sha256:
            return "is not what was written: its sha256 differs from the one in the state"
        return ""

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

    def _broken(self, name: str, what: str) -> StateError:
        return StateError(
            f"{self.place.show(name)} {what}", fix="restore it from a backup; batchctl state verify checks every file"
        )

    def _way_out(self) -> str:
        found = self.previous()
        document = self.place.show(STATE)
        if not found:
            return f"no previous version is kept in {self.place.show(PREVIOUS)}: restore {document} from a backup"
        kept = ", ".join(map(self.place.show, found[:3]))
        more = f" and {len(found) - 3} older" if len(found) > 3 else ""
        back = f"copy {self.place.show(found[0])} over {document}"
        if not self.place.remote:
            back = f"cp {self.place.show(found[0])} {document}"
        return f"previous versions: {kept}{more}; to go back: {back}"


class StateStore(StateReader):
    """The state of a run that holds its lock. One thread at a time may call `write`."""

    def __init__(self, place: Place | Path, *, project: str | None = None, environment: str | None = None) -> None:
        super().__init__(place, project=project, environment=environment)
        self._put: set[str] = set()
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

    def write(self, state: State) -> State:
        """Replaces the document by `state` with the next serial, which is returned; the version before is kept.

        Whatever happens meanwhile, the previous or the next version is there, whole. StateError when the document in
        the store is not the version `state` was made from, or cannot be written.
        """
        with self._mutex:
            before = self._made_from(state)
            written = state.model_copy(update={"serial": state.serial + 1})
            keep = f"{PREVIOUS}state-{state.serial}.json"
            self._last = None
            try:
                found = self.place.replace(STATE, encode(written), before=before, keep=keep)
            except Moved:
                self._made_from(state)
                raise self._other("something else", "what this run read") from None
            self._last, self._newest = (written, found), written
            if not self.place.remote:
                self._prune()
            return written

    def put_file(self, local: Path, name: str, *, rows: int) -> DataFile:
        """Takes a staged file as `name` (``targets/<slug>/…``), private and safely there when it returns.

        `local` must not be written to afterwards. A name the state already uses for other bytes is refused.
        """
        _checked_name(name)
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
        return DataFile(path=name, rows=rows, bytes=size, sha256=self.place.take(local, name))

    def acks(self, name: str) -> AckLog:
        """The acknowledgement log of an intent, to be appended to; what is there already stays."""
        return self._logs.open(_checked_name(name))

    def sweep(self, state: State) -> tuple[str, ...]:
        """Deletes files below targets/ that nothing needs any more; their names. Not while another thread puts files.

        Needed is what `state`, the version in the store or one of the last 5 before it names, pending intents
        included, and what was put since this store was opened. Where a version cannot be read nothing is deleted.
        """
        try:
            known = [state, self.read(), *map(self.read_previous, self.previous()[:VERSIONS_WITH_FILES])]
        except StateError:
            return ()
        with self._mutex:
            needed = self._put.union(*(files_of(version) for version in known if version))
        gone = sorted(name for name in self.place.names(TARGETS) if name not in needed)
        for name in gone:
            self.place.remove(name)
        self._prune()
        self.place.tidy(needed.__contains__)
        return tuple(gone)

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


def _checked_name(name: str) -> str:
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or f"{parts[0]}/" != TARGETS or ".." in parts or "\\" in name or "\0" in name:
        raise StateError(f"{name!r} is not a name of a file below targets/")
    return name


def _serial(name: str) -> int:
    digits = name.removeprefix(f"{PREVIOUS}state-").removesuffix(".json")
    return int(digits) if digits.isdecimal() else -1
