"""How long commands take to start, and a `plan` of a small project in which nothing changes: best of several runs.

    python -m benchmarks.startup

Whole processes, taken in turns. Targets: `--version` at most 40 ms, `--help` 100 ms and 3 times the bare import of click; the
imports of the plan at most 250 ms of processor time over a bare interpreter, measured by importing in one process what the
plan had imported.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import people, sink
from benchmarks.kit import Run, batchctl, measured, script

TARGET = 3.0
ALONE = {"batchctl --version": 0.040, "batchctl --help": 0.100}
IMPORTS = 0.250
COMMANDS = ("--help", "--version", "apply --help", "plan --nonsense")
LISTING = """
import sys
had = set(sys.modules)
from reconciler.cli.main import run
code = run(["plan", "-C", sys.argv[1]])
print("\\nimported", *(name for name in sys.modules if name not in had))
sys.exit(code)
"""
IMPORTING = """
import gc, importlib, os, sys
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # this and all about gc as the command line does
gc.set_threshold(200_000, 20, 50)
for name in sys.argv[1:]:
    try:
        if name.partition(".")[0] in ("httpx", "httpcore"):  # as a client does: it leaves parts of them out
            importlib.import_module("reconciler.batch.http").import_httpx()
        importlib.import_module(name)
    except ImportError:
        pass
gc.freeze()
"""


def small(folder: Path) -> tuple[dict[str, str], list[str | Path]]:
    """A project of a thousand people, all of them told; its environment and its plan."""
    people.specs(folder, attributes=0)
    people.members(folder, rows=1_000, attributes=0, before=True).rename(folder / "customers.parquet")
    return people.KEYS, batchctl("plan", "-C", folder)


def main() -> int:
    """Prints one line per command; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="bench-") as name, sink.serving() as url:
        keys, plan = small(Path(name))
        env = {**keys, "BATCHCTL_API_URL": url}
        measured(batchctl("apply", "-C", name, "--auto-approve"), env=env)
        imported = measured(script(LISTING, name), env=env).out.rpartition("imported ")[2].split()
        commands = {"bare interpreter": script("pass"), "import click": script("import click")}
        commands |= {f"batchctl {one}": batchctl(*one.split()) for one in COMMANDS}
        commands |= {"batchctl plan, nothing changes": plan, "imports of that plan": script(IMPORTING, *imported)}
        best: dict[str, Run] = {}
        for _ in range(repeats):
            for title, command in commands.items():
                run = measured(command, env=env, codes=(0, 64))
                best[title] = min(best.get(title, run), run, key=lambda one: one.cpu)
    return _told(best)


def _told(best: dict[str, Run]) -> int:
    bare, click = best["bare interpreter"].cpu, best["import click"].cpu
    for name, run in best.items():
        print(
            f"{name:32} {run.wall * 1000:7.0f} ms, {run.cpu * 1000:5.0f} ms of processor time   {run.cpu / click:.2f} × import click"
        )
    imports = best["imports of that plan"].cpu - bare
    print(f"imports of a plan: {imports * 1000:.0f} ms over a bare interpreter (target {IMPORTS * 1000:.0f})")
    late = any(best[command].cpu > most for command, most in ALONE.items())
    return int(late or best["batchctl --help"].cpu > TARGET * click or imports > IMPORTS)


if __name__ == "__main__":
    sys.exit(main())
