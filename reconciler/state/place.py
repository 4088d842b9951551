"""Where a state lies: names with slashes below a folder of this machine, or below a prefix of a bucket (`bucket`).

A name is replaced whole or not at all, and only while it still is what the writer saw: `stamp` says what it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from reconciler.errors import StateError, Unreached
from reconciler.state import durable
from reconciler.state.names import PREVIOUS, TARGETS
from reconciler.state.seal import HEADER, Lines, Plain

Stamp = tuple[object, ...]
LEFT_OVER = f".*{durable.TEMPORARY}"


class Moved(Exception):
    """The name is not what the writer saw any more; nothing was written."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a name holds; `stamp` is another one as soon as somebody replaces it."""

    data: bytes
    stamp: Stamp
    modified: datetime
    """By the clock of whoever keeps it."""
    raw: bool = False
    """As it is kept, encrypted perhaps."""


class Place(Protocol):
    """What `StateReader` and `StateStore` need; every method raises Unreached when the place cannot be reached."""

    @property
    def folder(self) -> Path:
        """The folder itself, or a private folder of this machine for a bucket's files and what is not shared."""
        ...

    @property
    def remote(self) -> bool:
        """Whether other machines see it."""
        ...

    def show(self, name: str = "") -> str:
        """The name as a person would look for it."""
        ...

    def read(self, name: str) -> Found | None:
        """The whole of a small file."""
        ...

    def raw(self, name: str) -> Found | None:
        """The bytes as they are kept, where `read` cannot make sense of them."""
        ...

    def head(self, name: str) -> bytes | None:
        """The first bytes of a file as they are kept, as many as HEADER or all; None where there is none."""
        ...

    def lines(self, name: str) -> Lines:
        """How the lines of a log are kept on this machine."""
        ...

    def replace(self, name: str, data: bytes, *, before: Found | None, keep: str | None = None) -> Found:
        """Writes `name`, which must still be `before` (None: not there) or Moved is raised.

        `before` is also kept as `keep`, where nothing is kept under that name yet.
        """
        ...

    def put(self, name: str, data: bytes) -> None:
        """Writes a small file that has one writer at a time."""
        ...

    def take(self, local: Path, name: str) -> str:
        """Takes a finished file of this machine, not to be written to afterwards; the sha256 of its bytes."""
        ...

    def fetch(self, name: str) -> tuple[Path, bool] | None:
        """A file on this machine with the bytes of `name`, and whether it must be hashed to be believed.

        It must where it has just come from elsewhere, or was found plain in a place that is sealed.
        """
        ...

    def discard(self, name: str) -> bool:
        """Forgets this machine's copy of a file that is kept elsewhere; False where there is no other."""
        ...

    def names(self, prefix: str) -> dict[str, datetime]:
        """Every name below a prefix that ends in a slash, with the time it was written."""
        ...

    def remove(self, name: str) -> None:
        """Removes a name, whether or not it is there."""
        ...

    def tidy(self, needed: Callable[[str], bool]) -> None:
        """Removes left-overs and copies of what is not needed from this machine."""
        ...


class Folder:
    """A state folder of this machine."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def show(self, name: str = "") -> str:
        """The path."""
        return str(self.path(name)) if name else str(self.folder)

    def path(self, name: str) -> Path:
        """Where a name lies."""
        return self.folder.joinpath(*PurePosixPath(name).parts)

    def read(self, name: str) -> Found | None:
        """See Place."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                return Found(file.read(), _stamp(stat), _modified(stat))
        except (FileNotFoundError, NotADirectoryError):
            self._no_file()
            return None
        except OSError as error:
            fix = "make it readable for this user; nothing was sent"
            raise Unreached(f"{path} cannot be read", why=error.strerror or "", fix=fix) from error

    def raw(self, name: str) -> Found | None:
        """See Place."""
        return self.read(name)

    def head(self, name: str) -> bytes | None:
        """See Place."""
        path = self.path(name)
        with durable.explained(f"read {path}"):
            try:
                with path.open("rb") as file:
                    return file.read(HEADER)
            except FileNotFoundError:
                return None

    def lines(self, name: str) -> Lines:
        """See Place."""
        return Plain()

    def replace(self, name: str, data: bytes, *, before: Found | None, keep: str | None = None) -> Found:
        """See Place; nobody else may write to the folder meanwhile, which its lock is for."""
        path = self.path(name)
        with durable.explained(f"write the state {path}"):
            there = _stat(path)
            if (_stamp(there) if there else None) != (before.stamp if before else None):
                raise Moved
            durable.private_folder(path.parent)
            if before and keep and not self.path(keep).exists():
                durable.private_folder(self.path(keep).parent)
                durable.second_name(path, self.path(keep), name="previous")
            with durable.replacing(path, name="state") as file:
                file.write(data)
            stat = path.stat()
        return Found(data, _stamp(stat), _modified(stat))

    def put(self, name: str, data: bytes) -> None:
        """See Place."""
        path = self.path(name)
        with durable.explained(f"write {path}"):
            durable.private_folder(path.parent)
            with durable.replacing(path, name="put") as file:
                file.write(data)

    def take(self, local: Path, name: str) -> str:
        """See Place; by a second name for the same bytes where the disk can."""
        path = self.path(name)
        with durable.explained(f"put {local.name} into the state folder"):
            durable.private_folder(path.parent)
            return durable.link_or_copy(local, path, name="file")

    def fetch(self, name: str) -> tuple[Path, bool] | None:
        """See Place."""
        path = self.path(name)
        with durable.explained(f"read {path}"):
            return (path, False) if _stat(path) else None

    def discard(self, name: str) -> bool:
        """There is no other copy."""
        return False

    def names(self, prefix: str) -> dict[str, datetime]:
        """See Place; what whoever holds the lock removes meanwhile is not there."""
        found = {}
        with durable.explained(f"list {self.show(prefix)}"):
            for folder, _, names in os.walk(self.path(prefix), onerror=self._unlisted):
                for path in (Path(folder, name) for name in names):
                    if not (path.name.startswith(".") and path.suffix == durable.TEMPORARY):
                        with suppress(FileNotFoundError):
                            found[path.relative_to(self.folder).as_posix()] = _modified(path.lstat())
        return found

    def remove(self, name: str) -> None:
        """See Place; folders that become empty go too."""
        path = self.path(name)
        with durable.explained(f"remove {path}"):
            path.unlink(missing_ok=True)
            while path.parent != self.folder and path.parent.is_dir() and not any(path.parent.iterdir()):
                path = path.parent
                path.rmdir()

    def tidy(self, needed: Callable[[str], bool]) -> None:
        """Files that a crash left half written were never part of anything."""
        with durable.explained("remove files that are not needed any more"):
            for below in ("", PREVIOUS):
                for path in self.path(below).glob(LEFT_OVER):
                    path.unlink(missing_ok=True)
            for path in self.path(TARGETS).glob(f"*/{LEFT_OVER}"):
                path.unlink(missing_ok=True)

    def _unlisted(self, error: OSError) -> None:
        """A folder that cannot be listed is not an empty one, unless it is gone."""
        self._no_file()
        if not isinstance(error, FileNotFoundError) or Path(error.filename).is_symlink():
            raise error

    def _no_file(self) -> None:
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            what = "a link to nothing" if self.folder.is_symlink() else "a file"
            raise StateError(
                f"the state folder {self.folder} is {what}", fix="name a folder in the Project's state.url"
            )


def _stat(path: Path) -> os.stat_result | None:
    """None where nothing has that name; OSError for a link to nothing, as for all else that cannot be looked at."""
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise
        return None


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _modified(stat: os.stat_result) -> datetime:
    return datetime.fromtimestamp(stat.st_mtime, UTC)
