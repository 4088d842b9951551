"""A baseline of one base file and many delta files: reading it against reading the base alone, and folding it into one.

    python -m benchmarks.layers --rows 10m --counts 5,30,100 --times 3

Each delta file says 0.1 % of the members anew. Reading is the query that every plan begins with, newest wins; folding is
`batchctl state compact`. Targets: reading at most 2 × the base alone with 30 files, 3.2 × with 100; folding at most 3.5 ×
a bare scan of both id columns.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks import delta, people
from benchmarks.kit import Run, batchctl, measured, module, number, script, table


def read(folder: Path, layers: int) -> None:
    """Reads the first `layers` delta files on top of the base, as a plan does."""
    from datetime import UTC, datetime

    from reconciler.data.baseline import told
    from reconciler.data.engine import Engine
    from reconciler.state.reader import StateReader

    reader = StateReader(folder / ".batchctl")
    state = reader.read()
    assert state is not None
    (known,) = state.targets.values()
    with Engine(now=datetime.now(UTC)) as engine:
        found = told(engine, known.baseline.files[: layers + 1], (), attributes={}, path_of=reader.path_of)
        print(engine.row(f"SELECT count(*), sum(strlen(id)) FROM {found.told}"))


def fold(folder: Path, times: int) -> Run:
    """The best of `times`, each on a state of its own whose files this machine has hashed before, as it has those that
    it wrote."""
    runs = []
    for at in range(times):
        own = folder.with_name(f"fold-{at}")
        shutil.copytree(folder, own)
        measured(batchctl("state", "verify", "-C", own), env=people.KEYS)
        runs.append(measured(batchctl("state", "compact", "-C", own), env=people.KEYS))
        shutil.rmtree(own)
    return Run(wall=min(one.wall for one in runs), cpu=min(one.cpu for one in runs), rss=max(one.rss for one in runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=number, default="1m")
    parser.add_argument("--counts", default="5,30,100", help="numbers of delta files")
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    if asked.read is not None:
        read(asked.folder, asked.read)
        return
    counts = [int(one) for one in asked.counts.split(",")]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = people.project(Path(name) / "project", rows=asked.rows, layers=max(counts))
        (base,) = (folder / ".batchctl").glob("targets/*/base-0.parquet")
        scan = measured(script(delta.SCAN, folder / "customers.parquet", base), times=asked.times)
        ways = {0: "base alone", **{count: f"base and {count} delta files" for count in counts}}
        runs = [
            (text, measured(module("layers", folder, "--read", count), times=asked.times))
            for count, text in ways.items()
        ]
        targets = {"base and 30 delta files": "≤ 2 ×", "base and 100 delta files": "≤ 3.2 ×"}
        table(f"{asked.rows:,} members: reading what was told", runs, unit=runs[0][1], target=targets)
        folding = f"state compact, {max(counts)} delta files"
        rows = [("bare scan of both id columns", scan), (folding, fold(folder, asked.times))]
        table(f"{asked.rows:,} members: folding", rows, unit=scan, target={folding: "≤ 3.5 ×"})


if __name__ == "__main__":
    main()
