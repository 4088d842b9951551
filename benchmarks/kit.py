"""What every benchmark needs: whole processes measured by the operating system, and ratios printed as a table.

A measurement is a process that does everything (imports, reading, computing, writing). Wall time suffers from whoever
else uses the machine, so processor time (user + system) stands beside it; of several repetitions the best counts.
Modules are compiled once, as an installation compiles them, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process, or the best of several."""

    wall: float
    cpu: float
    """User and system seconds of the process and its children."""
    rss: float
    """Peak resident memory in MiB."""
    out: str = ""


class Failed(Exception):
    """A measured process did not exit with 0."""


def measured(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, times: int = 1, codes: Sequence[int] = (0,)
) -> Run:
    """The best of `times` runs of a command; raises Failed when it exits with another code than `codes`."""
    runs = [
        _once(command, {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(ROOT), **(env or {})}, codes)
        for _ in range(times)
    ]
    return Run(
        wall=min(run.wall for run in runs),
        cpu=min(run.cpu for run in runs),
        rss=min(run.rss for run in runs),
        out=runs[-1].out,
    )


_LAUNCH = """
import json, os, sys, time
report, *command = sys.argv[1:]
begun = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
wall = time.perf_counter() - begun
with open(report, "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
"""
"""A process small enough: the peak memory of a child begins with that of who started it."""


def _once(command: Sequence[str | Path], env: Mapping[str, str], codes: Sequence[int]) -> Run:
    parts = [str(part) for part in command]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        report = Path(folder) / "report"
        launch = [PYTHON, "-I", "-S", "-c", _LAUNCH, str(report), *parts]
        subprocess.run(launch, stdout=out, stderr=subprocess.STDOUT, env=env, check=True)
        code, wall, cpu, rss = json.loads(report.read_text())
        out.seek(0)
        text = out.read().decode(errors="replace")
    if code not in codes:
        raise Failed(f"{' '.join(parts)[:300]}\nexited with {code}:\n{text[-3000:]}")
    return Run(wall=wall, cpu=cpu, rss=rss / (1 << 20 if sys.platform == "darwin" else 1 << 10), out=text)


def batchctl(*arguments: str | Path) -> list[str | Path]:
    """The command line of batchctl, as a process."""
    return [PYTHON, "-m", "reconciler", *arguments]


def module(name: str, *arguments: str | int | Path) -> list[str | Path]:
    """A module of this folder, as a process."""
    return [PYTHON, "-m", f"benchmarks.{name}", *map(str, arguments)]


def script(text: str, *arguments: str | int | Path) -> list[str | Path]:
    """A few lines of Python, as a process."""
    return [PYTHON, "-c", text, *map(str, arguments)]


def number(text: str) -> int:
    """``10m`` is 10,000,000."""
    unit = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    return int(float(text.rstrip("kKmM")) * unit)


def table(title: str, rows: Sequence[tuple[str, Run]], *, unit: Run, target: Mapping[str, str] | None = None) -> None:
    """Prints every run as multiples of `unit`."""
    print(f"\n{title}\n{machine()}")
    print(f"| {'what':44} |  wall s | ÷ unit |   cpu s | ÷ unit | peak MiB | target")
    print(f"|{'-' * 46}|--------:|-------:|--------:|-------:|---------:|-------")
    for name, run in rows:
        wished = (target or {}).get(name, "")
        print(
            f"| {name:44} | {run.wall:7.2f} | {run.wall / unit.wall:6.2f} | {run.cpu:7.2f} | {run.cpu / unit.cpu:6.2f} "
            f"| {run.rss:8.0f} | {wished}",
            flush=True,
        )


def machine() -> str:
    """What the figures were measured on, and how busy it was."""
    import duckdb

    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, DuckDB {duckdb.__version__}"
