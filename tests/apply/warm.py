"""Real processes of the command, forked from one that has imported everything: a kill costs a fraction of a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conftest import SETTLE

ROOT = Path(__file__).resolve().parents[2]


class Warm:
    """Forks the command on request. `start` returns its process id, `wait` its exit code (negative: the signal)."""

    def __init__(self, folder: Path) -> None:
        self.out, self.err = folder / "out", folder / "err"
        code = "from tests.apply.warm import serve; serve()"
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def start(self, *arguments: str, **environ: str) -> int:
        """The process id of the command, which has begun."""
        assert self._process.stdin is not None
        job = {"arguments": arguments, "environ": environ, "out": str(self.out), "err": str(self.err)}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._read()

    def wait(self) -> int:
        """The exit code of the command started last."""
        return self._read()

    def run(self, *arguments: str, **environ: str) -> int:
        """`start` and `wait`."""
        self.start(*arguments, **environ)
        return self.wait()

    @property
    def said(self) -> str:
        """What the last command printed, standard error included."""
        return self.out.read_text() + self.err.read_text()

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def serve() -> None:
    """Forks a command for every line on standard input."""
    for name in (
        "duckdb",
        "httpx",
        *(f"reconciler.cli.{one}" for one in ("applying", "pipeline", "planning", "opening")),
    ):
        import_module(name)
    vars(import_module("reconciler.batch.barrier"))["SETTLE"] = SETTLE
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _command(json.loads(line))
        os.write(1, f"{pid}\n".encode())
        os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())


def _command(job: dict[str, Any]) -> None:
    from reconciler.cli.main import run

    os.environ.update(job["environ"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = run(job["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
