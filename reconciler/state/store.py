"""The state folder: one small JSON document replaced whole, its previous versions, and the files it names.

    <state>/state.json                 the document; with its own checksum, so that an edit by hand is seen
    <state>/previous/state-<n>.json    the version with serial n, the last 30
    <state>/targets/<slug>/…           baselines, deltas and acknowledgement logs; immutable once named by a version
    <state>/lock                       see `lock`

Today a folder only. An object store is to be a second class with these methods, not a parameter of this one.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import uuid
from pathlib import Path, PurePosixPath

from reconciler.address import TargetKey
from reconciler.errors import ConfigurationError, StateError
from reconciler.state import durable
from reconciler.state.document import decode, encode, files_of
from reconciler.state.state import DataFile, State

PREVIOUS_VERSIONS = 30
LEFT_OVER = f".*{durable.TEMPORARY}"
VERSIONS_WITH_FILES = 5
"""Previous versions that can be gone back to with all their files."""


def folder_of(url: str, *, base: Path) -> Path:
    """The folder a Project's `state.url` means, relative to the project; ConfigurationError for object stores."""
    if "://" in url:
        raise ConfigurationError(
            f"state in {url.partition('://')[0]}:// is not supported in this version",
            fix="name a folder in the Project's state.url, e.g. .batchctl",
        )
    return base / url


def new_state(*, project: str, environment: str, tool: str) -> State:
    """A state that owns nothing, with a lineage of its own."""
    return State(lineage=str(uuid.uuid4()), project=project, environment=environment, tool=tool)


def slug_of(key: TargetKey) -> str:
    """Folder name of a target: readable, and different for names that differ by case only."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", key.audience or "profiles")[:80]
    return f"{key.account}-{name}-{hashlib.sha256(str(key).encode()).hexdigest()[:8]}"


def measure(local: Path, name: str, *, rows: int) -> DataFile:
    """What the state will say of a staged file once it is put as `name`."""
    with durable.explained(f"read {local.name}"), local.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return DataFile(path=name, rows=rows, bytes=file.seek(0, os.SEEK_END), sha256=digest)


class StateReader:
    """What planning receives: the state of one project and environment, with no way to change it."""

    def __init__(self, root: Path, *, project: str | None = None, environment: str | None = None) -> None:
        """A state of another `project` or `environment` is refused; None takes any."""
        self.root = root
        self._project, self._environment = project, environment
        self._last: State | None = None
        self._stamp: tuple[int, ...] = ()

    @property
    def file(self) -> Path:
        """The state document."""
        return self.root / "state.json"

    def read(self) -> State | None:
        """The state, or None where none was ever written. StateError when it cannot be trusted, with the way out."""
        try:
            with self.file.open("rb") as file:
                stamp, text = _stamp(os.fstat(file.fileno())), file.read()
        except (FileNotFoundError, NotADirectoryError):
            self._check_absent()
            return None
        except OSError as error:
            raise StateError(f"the state {self.file} cannot be read", why=error.strerror or "") from error
        state = self._checked(self.file, text)
        self._last, self._stamp = state, stamp
        return state

    def previous(self) -> tuple[Path, ...]:
        """Previous versions, newest first."""
        found = ((_serial(path), path) for path in (self.root / "previous").glob("state-*.json"))
        return tuple(path for _, path in sorted((pair for pair in found if pair[0] >= 0), reverse=True))

    def read_previous(self, path: Path) -> State:
        """One of the previous versions, as strictly checked as the current one."""
        with durable.explained(f"read {path}"):
            return self._checked(path, path.read_bytes())

    def locate(self, name: str) -> Path:
        """Where a file lies that the state names, e.g. an acknowledgement log; it may not exist yet."""
        parts = PurePosixPath(name).parts
        if not parts or parts[0] != "targets" or len(parts) < 2 or ".." in parts or "\\" in name or "\0" in name:
            raise StateError(f"{name!r} is not a name of a file below targets/")
        return self.root.joinpath(*parts)

    def path_of(self, file: DataFile, *, verify: bool = False) -> Path:
        """Where a baseline or delta file lies; StateError unless it is there, of its size and (`verify`) its digest."""
        path = self.locate(file.path)
        if not path.is_file():
            raise self._broken(path, "is missing")
        size = path.stat().st_size
        if size != file.bytes:
            raise self._broken(path, f"has {size:,} bytes, the state says {file.bytes:,}")
        if verify and measure(path, file.path, rows=file.rows).sha256 != file.sha256:
            raise self._broken(path, "is not what was written: its sha256 differs from the one in the state")
        return path

    def _check_absent(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise StateError(f"the state folder {self.root} is a file", fix="name a folder in the Project's state.url")
        if self.previous():
            raise StateError(
                f"the state {self.file} is missing, but previous versions of it are there", fix=self._way_out()
            )

    def _checked(self, path: Path, text: bytes) -> State:
        state = decode(text, path=path, way_out=self._way_out())
        self._pinned(path, state)
        return state

    def _pinned(self, path: Path, state: State) -> None:
        pins = (("project", self._project, state.project), ("environment", self._environment, state.environment))
        for what, wanted, found in pins:
            if wanted is not None and wanted != found:
                raise StateError(
                    f"the state {path} belongs to {what} {found or '(none)'}, not {wanted or '(none)'}",
                    fix=f"check -C, --env and the Project's state.url: every {what} has a state of its own",
                )

    def _broken(self, path: Path, what: str) -> StateError:
        return StateError(f"{path} {what}", fix="restore it from a backup; batchctl state verify checks every file")

    def _way_out(self) -> str:
        found = self.previous()
        if not found:
            return f"no previous version is kept in {self.root / 'previous'}: restore {self.file} from a backup"
        kept = ", ".join(map(str, found[:3]))
        more = f" and {len(found) - 3} older" if len(found) > 3 else ""
        return f"previous versions: {kept}{more}; to go back: cp {found[0]} {self.file}"


class LocalStore(StateReader):
    """The state folder of a run that holds its lock. One thread at a time may call `write`."""

    def __init__(self, root: Path, *, project: str | None = None, environment: str | None = None) -> None:
        super().__init__(root, project=project, environment=environment)
        self._put: set[str] = set()
        self._mutex = threading.Lock()

    def write(self, state: State) -> State:
        """Replaces the document by `state` with the next serial, which is returned; the version before is kept.

        Whatever happens meanwhile, the previous or the next version is there, whole. StateError when the document on
        disk is not the version `state` was made from, or cannot be written.
        """
        with self._mutex:
            replaced = self._made_from(state)
            written = state.model_copy(update={"serial": state.serial + 1})
            with durable.explained(f"write the state {self.file}"):
                durable.private_folder(self.root)
                if replaced:
                    self._keep(state.serial)
                self._last = None
                with durable.replacing(self.file, name="state") as file:
                    file.write(encode(written))
                self._last, self._stamp = written, _stamp(self.file.stat())
            return written

    def put_file(self, local: Path, name: str, *, rows: int) -> DataFile:
        """Takes a staged file into the folder as `name` (``targets/<slug>/…``), private and on disk when it returns.

        `local` must not be written to afterwards. A name the state already uses for other bytes is refused.
        """
        path = self.locate(name)
        with self._mutex:
            used = self._last is not None and name in files_of(self._last)
            self._put.add(name)
        with durable.explained(f"put {local.name} into the state folder"):
            if used and path.is_file():
                there = measure(path, name, rows=rows)
                if there == measure(local, name, rows=rows):
                    return there
                raise StateError(
                    f"{path} is in use and holds something else", fix="this is a fault of batchctl: report it"
                )
            durable.private_folder(path.parent)
            digest = durable.link_or_copy(local, path, name="file")
            return DataFile(path=name, rows=rows, bytes=path.stat().st_size, sha256=digest)

    def sweep(self, state: State) -> tuple[str, ...]:
        """Deletes files below targets/ that nothing needs any more; their names. Not while another thread puts files.

        Needed is what `state`, the version on disk or one of the last 5 before it names, pending intents included, and
        what was put since this store was opened. Where a version cannot be read nothing is deleted.
        """
        try:
            known = [state, self.read(), *map(self.read_previous, self.previous()[:VERSIONS_WITH_FILES])]
        except StateError:
            return ()
        with self._mutex:
            needed = self._put.union(*(files_of(version) for version in known if version))
        gone = []
        with durable.explained("remove files that are not needed any more"):
            for path in (*self.root.glob(LEFT_OVER), *self.root.glob(f"previous/{LEFT_OVER}")):
                path.unlink(missing_ok=True)
            for path in sorted((self.root / "targets").rglob("*"), reverse=True):
                name = path.relative_to(self.root).as_posix()
                if path.is_dir() and not path.is_symlink():
                    _remove_empty(path)
                elif name not in needed:
                    path.unlink(missing_ok=True)
                    gone.append(name)
        return tuple(sorted(gone))

    def _made_from(self, state: State) -> bool:
        """Whether there is a document to replace; StateError unless `state` was made from it."""
        if not (self._last and self._stamp == self._now()):
            self.read()
        before = self._last if self.file.exists() else None
        if before is None:
            return False
        self._pinned(self.file, state)
        for what, wanted, found in (
            ("lineage", state.lineage, before.lineage),
            ("project", state.project, before.project),
            ("environment", state.environment, before.environment),
            ("serial", state.serial, before.serial),
        ):
            if wanted != found:
                raise StateError(
                    f"the state {self.file} is not the one this run started from",
                    why=f"its {what} is {found or '(none)'}, this run's is {wanted or '(none)'}",
                    fix="run again; nothing was overwritten",
                )
        return True

    def _now(self) -> tuple[int, ...]:
        try:
            return _stamp(self.file.stat())
        except OSError:
            return ()

    def _keep(self, serial: int) -> None:
        folder = self.root / "previous"
        durable.private_folder(folder)
        durable.second_name(self.file, folder / f"state-{serial}.json", name="previous")
        for path in self.previous()[PREVIOUS_VERSIONS:]:
            path.unlink(missing_ok=True)


def _stamp(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _serial(path: Path) -> int:
    digits = path.stem.removeprefix("state-")
    return int(digits) if digits.isdecimal() else -1


def _remove_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
