"""States and processes for the tests of the state room."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from reconciler.address import IdType, Space
from reconciler.state.state import Baseline, DataFile, Pending, State, TargetState

NOW = datetime(2026, 11, 3, 12, 30, tzinfo=UTC)


def state(serial: int = 0, **changes: object) -> State:
    """A state of project ``shop`` that owns nothing."""
    return State(lineage="l-1", project="shop", environment="prod", serial=serial).model_copy(update=changes)


def target(*files: DataFile, audience: str = "lapsed", pending: Pending | None = None) -> TargetState:
    """An owned audience with a baseline of `files`."""
    return TargetState(
        account="3fa29c01",
        space=Space.MEP10,
        audience=audience,
        destination="shop-ios",
        api_url=None,
        api_version=None,
        keys={"rest": "${env:BATCH_REST_API_KEY}"},
        id_type=IdType.CUSTOM,
        baseline=Baseline(files=files, count=sum(file.rows for file in files)),
        pending=pending,
    )


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a process of its own, with `arguments` in ``sys.argv[1:]``."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=root, check=False)
