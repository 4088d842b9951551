"""The run's folder: rows that were not sent, private, kept for the last runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

KEPT = 20


def keep_rejects(
    state_root: Path, files: Sequence[Path], *, now: datetime, what: str, quiet: bool = False
) -> Path | None:
    """Copies reject files into ``<state>/runs/<time>-<what>/``; None where the folder cannot be written and `quiet`."""
    folder = state_root / "runs" / f"{now:%Y%m%dT%H%M%SZ}-{what}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(state_root, 0o700)
        os.chmod(folder, 0o700)
        for number, path in enumerate(files):
            target = folder / f"rejects-{number}.parquet"
            shutil.copyfile(path, target)
            os.chmod(target, 0o600)
        for old in sorted((state_root / "runs").iterdir())[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError:
        if quiet:
            return None
        raise
    return folder


def newest_rejects(state_root: Path) -> tuple[Path | None, list[Path]]:
    """The newest run's folder and its reject files."""
    runs = sorted((state_root / "runs").glob("*-*")) if (state_root / "runs").is_dir() else []
    return (runs[-1], sorted(runs[-1].glob("rejects-*.parquet"))) if runs else (None, [])
