"""Which version of a source file it is: taken before the first read and compared after the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reconciler.errors import BatchctlError, SourceError


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells a file from the one that replaces it. Saved plans hold its text, without the inode: it is another elsewhere."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Of the file as it is now; OSError where it is gone."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    def __str__(self) -> str:
        return f"{self.size}:{self.mtime_ns}"


Stamps = Mapping[Path, Stamp]


def stamps(files: Iterable[Path]) -> Stamps:
    """Of every file."""
    return {path: Stamp.of(path) for path in files}


@contextmanager
def unmoved(before: Iterable[Stamps]) -> Iterator[None]:
    """Raises SourceError where a file was not the same all along the block, whatever else was wrong with it meanwhile."""
    before = tuple(before)
    try:
        yield
    except BatchctlError:
        _compared(before)
        raise
    _compared(before)


def _compared(before: tuple[Stamps, ...]) -> None:
    changed = sorted({path for some in before for path, stamp in some.items() if _now(path) != stamp})
    if changed:
        more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
        raise SourceError(
            f"{changed[0]}{more} changed while it was read",
            why="rows of two versions would have been compared as if they were one; nothing was sent",
            fix="write a source under another name and rename it, before the run begins; then run again",
        ) from None


def _now(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path)
    except OSError:
        return None
