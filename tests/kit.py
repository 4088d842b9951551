"""Files and folders that the operating system refuses to whoever asks, root included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def too_deep(folder: Path, *, file: Path | None = None) -> None:
    """Makes the folder and so many below it that the path of the last is too long to be listed; `file` moves there."""
    folder.mkdir()
    at, name = os.open(folder, os.O_RDONLY), "x" * 250
    for _ in range(os.pathconf(folder, "PC_PATH_MAX") // len(name) + 1):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    if file is not None:
        os.rename(file, file.name, dst_dir_fd=at)
    os.close(at)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root, whom nothing is refused, is nobody for the block; anybody else stays who they are."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
