"""Private folders of this process (mode 0700). What a killed process left in its own is removed by the next one.

A folder is locked for as long as its process lives: only that of a dead process can be locked by another. One that
another removes before it is locked is made anew. Where folders cannot be locked none is ever removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType

PREFIX, UNLOCKED = "batchctl-run-", "batchctl-unlocked-"


class Scratch:
    """A private folder in `parent` (default: the temporary folder), removed by `remove` or at the end of a block.

    OSError where it cannot be created.
    """

    def __init__(self, parent: Path | None = None) -> None:
        if parent is None:
            parent = Path(tempfile.gettempdir())
            _sweep_once(parent)
        self.path, self._handle = _made(parent)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()

    def remove(self) -> None:
        """Removes the folder with all that is in it; may be called again."""
        if self._handle >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._handle)
            self._handle = -1


def _made(parent: Path) -> tuple[Path, int]:
    """A folder with the handle that keeps it locked."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if not _locked(handle, fcntl.LOCK_EX):
            return path.rename(parent / path.name.replace(PREFIX, UNLOCKED)), handle
        if _is_at(path, handle):
            return path, handle
        os.close(handle)


def sweep(parent: Path) -> None:
    """Removes the folders below `parent` that processes of ours left when they were killed."""
    for path in parent.glob(f"{PREFIX}*"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone, somebody else's, or no folder
        try:
            if _private(os.fstat(handle)) and _locked(handle) and _is_at(path, handle):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(handle)


@cache
def _sweep_once(parent: Path) -> None:
    sweep(parent)


def _private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700


def _is_at(path: Path, handle: int) -> bool:
    """Whether the folder that is locked is still the one of that name."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(handle))
    except OSError:
        return False


def _locked(handle: int, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> bool:
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True
