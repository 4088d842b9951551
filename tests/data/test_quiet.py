"""The engine never draws: standard output belongs to the report, however long a query takes."""

from __future__ import annotations

import subprocess
import sys

CODE = """
from datetime import UTC, datetime
from reconciler.data.engine import Engine
with Engine(now=datetime(2026, 1, 1, tzinfo=UTC)) as engine:
    print(engine.connection.execute("SELECT current_setting('enable_progress_bar')").fetchone())
"""


def test_no_progress_bar_where_duckdb_believes_to_be_interactive() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["(False,)"]
