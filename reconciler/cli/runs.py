"""The run's folder: rows that were not sent, private, kept for the last runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from reconciler.errors import Damaged, Unopened
from reconciler.scratch import Scratch, sweep
from reconciler.state import durable
from reconciler.state.seal import HEADER, Seal, is_sealed, refused_without_key, through

KEPT = 20
FILES = "rejects-*.parquet"
FORMER = "rejects"
"""The name all of them were sealed under by versions before."""


def keep_rejects(state_root: Path, files: Sequence[Path], *, now: datetime, what: str, seal: Seal | None) -> Path:
    """Copies reject files into ``<state>/runs/<time>-<what>/``, encrypted where there is a `seal`: all of them or none.

    StateError where they cannot be written; those of the run before are then the newest still.
    """
    runs = state_root / "runs"
    folder = runs / f"{now:%Y%m%dT%H%M%SZ}-{what}"
    with durable.explained("keep the rejected rows"):
        durable.private_folder(runs)
        sweep(runs)
        with Scratch(runs) as made:
            for number, path in enumerate(files):
                name = FILES.replace("*", str(number))
                through(path, made / name, _closing(f"runs/{folder.name}/{name}", seal))
            if folder.exists():  # another run within the same second
                shutil.rmtree(folder)
            made.rename(folder)
        for old in sorted(_kept(state_root), key=lambda one: one.name)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def newest_rejects(state_root: Path, *, seal: Seal | None, scratch: Path) -> tuple[Path | None, list[Path]]:
    """The newest run's folder and its reject files; encrypted ones are opened into `scratch`."""
    runs = _kept(state_root)
    newest = max(runs, key=lambda one: (one.name.partition("-")[0], one.stat().st_mtime_ns), default=None)
    if newest is None:
        return None, []
    return newest, [_opened(path, seal, scratch) for path in sorted(newest.glob(FILES))]


def _kept(state_root: Path) -> list[Path]:
    """Folders of runs, those that are being written left out."""
    return [*(state_root / "runs").glob("[0-9]*-*")]


def reseal_rejects(state_root: Path, *, seal: Seal) -> tuple[int, tuple[str, ...]]:
    """Encrypts the reject files that are plain or under the fallback key with the newest one; how many those are, and
    what is wrong with others, which cannot be opened."""
    changed, wrong = 0, list[str]()
    with Scratch() as scratch, durable.explained("encrypt the rejects of former runs"):
        for folder in _kept(state_root):
            with suppress(FileNotFoundError):  # a plan has just removed it
                written = folder.stat()
                for path in sorted(folder.glob(FILES)):
                    try:
                        changed += _resealed(path, seal, scratch)
                    except Unopened as error:
                        wrong.append(error.what)
                os.utime(folder, ns=(written.st_atime_ns, written.st_mtime_ns))  # which tells the newest run
    return changed, tuple(wrong)


def _resealed(path: Path, seal: Seal, scratch: Path) -> bool:
    with path.open("rb") as file:
        if not seal.outdated(file.read(HEADER)):
            return False
    plain = _opened(path, seal, scratch)
    with plain.open("rb") as source, durable.replacing(path, name="rejects") as target:
        _closing(_meant(path), seal)(source, target)
    plain.unlink()
    return True


def _closing(name: str, seal: Seal | None) -> Callable[[IO[bytes], IO[bytes]], object]:
    """How a reject file is written that is sealed under `name`."""
    if seal is None:
        return shutil.copyfileobj
    return lambda source, target: seal.seal(name, source, target)


def _meant(path: Path) -> str:
    """The name a reject file is sealed under: that of its run is part of it."""
    return f"runs/{path.parent.name}/{path.name}"


def _opened(path: Path, seal: Seal | None, scratch: Path) -> Path:
    if seal is None:
        with path.open("rb") as file:
            if is_sealed(file.read(HEADER)):
                raise refused_without_key(str(path))
        return path
    to = scratch / path.name
    try:
        _open(path, to, seal, _meant(path))
    except Damaged as error:
        try:
            _open(path, to, seal, FORMER)
        except Damaged:
            raise Damaged(error.what, why=error.why, fix="batchctl plan lists the rejects anew") from None
    return to


def _open(path: Path, to: Path, seal: Seal, name: str) -> None:
    through(path, to, lambda source, target: seal.open(name, source, target, where=str(path)))
