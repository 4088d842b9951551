"""Generates a project of N specs and measures `batchctl validate` on it, best of several runs.

    python -m benchmarks.specs 500 10000

Targets (whole process, wall clock): 500 specs under 2 s, 10,000 specs at most 2 s. The bare interpreter and the C
parser alone are measured beside it, so that the ratio can be compared between machines. `--profile` prints where the
time goes, `--keep DIR` leaves the project there.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

CATALOGUES = 20
PER_FILE = 50
REPEATS = 3


def documents(count: int) -> list[str]:
    """`count` documents of about 500 bytes each: a project, catalogues, destinations, then links with their parts."""
    docs = [_document("Project", "bench", "vars: {region: fr}\nguards: {max_remove_percent: 30}")]
    for n in range(min(CATALOGUES, max(1, count // 25))):
        docs += [_catalogue(n), _destination(n), *(_document("Mapping", f"ids-{n}", _mapping(n)),)]
        docs.append(_document("Action", f"send-{n}", f"destination: app-{n}\ntype: send_custom_ids\nmapping: ids-{n}"))
    hosts = sum("kind: Catalogue" in doc for doc in docs)
    n = 0
    while len(docs) < count:
        docs += [_segment(n, n % hosts), _link(n, n % hosts)]
        n += 1
    return docs


def _document(kind: str, name: str, body: str) -> str:
    head = (
        f"apiVersion: batchctl/v1\nkind: {kind}\nname: {name}\ndescription: Written by the benchmark, number {name}.\n"
    )
    return f"{head}labels: {{team: crm, source: benchmark}}\n{body}\n"


def _catalogue(n: int) -> str:
    fields = "\n".join(f"  field_{i}: {kind}" for i, kind in enumerate(["string", "integer", "date", "boolean"] * 3))
    body = f"source: {{path: data/people-{n}.parquet}}\nkey: customer_id\nfields:\n  customer_id: string\n{fields}"
    return _document("Catalogue", f"people-{n}", body)


def _destination(n: int) -> str:
    keys = f"live_api_key: ${{env:APP_{n}_KEY}}\nrest_api_key: ${{env:BATCH_REST_API_KEY}}"
    return _document("Destination", f"app-{n}", f"platform: mep\n{keys}\nrate_limits: {{requests_per_second: 1}}")


def _mapping(n: int) -> str:
    return f"catalogue: people-{n}\nidentifier: {{custom_id: customer_id}}"


def _segment(n: int, home: int) -> str:
    where = f"where: |\n  field_1 > {n}\n  AND field_0 <> 'churned'\n  AND field_3\n  AND field_2 >= DATE '2026-01-01'"
    return _document(
        "Segment", f"segment-{n}", f"title: Segment number {n}\nid: {n}\ncatalogue: people-{home}\n{where}"
    )


def _link(n: int, home: int) -> str:
    more = 'refresh: {every: 1d, at: "06:00", timezone: Europe/Paris}\nguards: {max_remove_percent: 10}'
    body = f"segment: segment-{n}\naction: send-{home}\naudience: {{name: bench_{n}, display_name: Bench {n}}}\n{more}"
    return _document("SegmentLink", f"link-{n}", f"{body}\nlifecycle: {{prevent_destroy: true}}")


def write(folder: Path, count: int) -> Path:
    """The project as files of 50 documents."""
    docs = documents(count)
    for start in range(0, len(docs), PER_FILE):
        path = folder / f"part-{start // PER_FILE % 20:02}" / f"specs-{start // PER_FILE:04}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(docs[start : start + PER_FILE]), encoding="utf-8")
    return folder


def _best(what: Callable[[], object]) -> float:
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        what()
        found.append(time.perf_counter() - started)
    return min(found)


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


_PARSE = (
    "import sys, yaml, pathlib\n"
    "for path in pathlib.Path(sys.argv[1]).rglob('*.yaml'):\n"
    "    for event in yaml.parse(path.read_text(), yaml.CSafeLoader): pass\n"
)


def measure(folder: Path, count: int) -> str:
    """One line of the table."""
    bare = _best(lambda: _run("-c", "pass"))
    events = _best(lambda: _run("-c", _PARSE, str(folder)))
    whole = _best(lambda: _run("-m", "reconciler", "validate", "-C", str(folder)))
    return f"{count:>7,} specs   validate {whole:6.2f} s   bare parser {events:6.2f} s   interpreter {bare:6.3f} s"


def _profile(folder: Path) -> None:
    from reconciler.cli.main import run

    profile = cProfile.Profile()
    profile.enable()
    run(["validate", "-C", str(folder)])
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(35)


def main() -> None:
    """Measures each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[500, 10_000])
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = write((arguments.keep or Path(scratch)) / str(count), count)
            if arguments.profile:
                _profile(folder)
            print(measure(folder, count), flush=True)


if __name__ == "__main__":
    main()
