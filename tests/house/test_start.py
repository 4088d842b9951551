"""What a run without anything to compute never imports: it is imported in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from reconciler import __version__

CODE = """
import sys

from reconciler import __version__
from datetime import UTC, datetime
from reconciler.batch.http import Http
from reconciler.cli import pipeline, planning
from reconciler.data.engine import Engine
with Engine(now=datetime(2026, 1, 1, tzinfo=UTC)) as engine:
    Http("http://127.0.0.1:9", headers={}, timeout=1, destination="shop").close()
    heavy = ("duckdb", "sqlglot", "anyio", "rich", "pygments", "deepdiff", "jsonschema", "reconciler.apply", "reconciler.evaluate")
    print(sorted(name for name in heavy if name in sys.modules))
    engine.run("SELECT 1")
    print("duckdb" in sys.modules)
import anyio
print(anyio.__name__)
"""


def test_duckdb_comes_with_the_first_query_and_no_half_of_httpx_that_nobody_asks() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "True", "anyio"]


def test_the_version_is_told_without_an_import() -> None:
    code = "import sys; from reconciler.cli import main; main(); print('click' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"batchctl, version {__version__}\nFalse\n"
