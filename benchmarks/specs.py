"""N specs: `batchctl validate`, and a `plan` in which nothing changes, beside octoDNS for as many records.

    python -m venv /tmp/rivals && /tmp/rivals/bin/pip install -r benchmarks/requirements-rivals.txt
    python -m benchmarks.specs 500 10000 --python /tmp/rivals/bin/python

Targets (whole processes): validate of 10,000 specs at most 2 s; plan at most half of what octoDNS takes for a diff of
10,000 records. The unit is the C parser alone on the same documents. The plan's links are as they were at their last
commit, and the server has every audience. octoDNS reads both sides from YAML, in 20 zones, one record in a hundred differs,
and prints its plan. `--profile` prints where the time of validate goes, `--keep DIR` leaves the projects there.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from pathlib import Path

from benchmarks import links
from benchmarks.kit import Run, batchctl, measured, script, table

CATALOGUES = 20
PER_FILE = 50


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


_PARSE = (
    "import sys, yaml, pathlib\n"
    "for path in pathlib.Path(sys.argv[1]).rglob('*.yaml'):\n"
    "    for event in yaml.parse(path.read_text(), yaml.CSafeLoader): pass\n"
)


OCTODNS = """
import sys
from octodns.cmds.sync import main
sys.path.insert(0, sys.argv.pop(1))
main()
"""

STANDING = """
from octodns.provider.yaml import YamlProvider

class Standing(YamlProvider):
    # what is there already is read, as from a DNS service; the plain provider begins with nothing as a target
    def populate(self, zone, target=False, lenient=False):
        return super().populate(zone, target=False, lenient=lenient)
"""


def zones(folder: Path, count: int) -> Path:
    """octoDNS' two sides: `count` records each in 20 zones; the file to start it with."""
    each = count // CATALOGUES
    for side in ("wanted", "standing"):
        (folder / side).mkdir(parents=True)
        for zone in range(CATALOGUES):
            odd = [side == "standing" and n % 100 == 7 for n in range(each)]
            records = [
                f"r{n}:\n  ttl: 300\n  type: A\n  value: 10.{zone}.{n // 250}.{n % 250 + odd[n]}\n" for n in range(each)
            ]
            (folder / side / f"zone{zone}.example.yaml").write_text("---\n" + "".join(sorted(records)))
    (folder / "standing.py").write_text(STANDING)
    listed = "".join(
        f"  zone{zone}.example.: {{sources: [wanted], targets: [standing]}}\n" for zone in range(CATALOGUES)
    )
    sides = "".join(
        f"  {name}: {{class: {kind}, directory: {folder / name}, enforce_order: false, escaped_semicolons: false}}\n"
        for name, kind in (("wanted", "octodns.provider.yaml.YamlProvider"), ("standing", "standing.Standing"))
    )
    (folder / "config.yaml").write_text(f"manager: {{max_workers: 1}}\nproviders:\n{sides}zones:\n{listed}")
    return folder / "config.yaml"


def octodns(python: Path, folder: Path, count: int, times: int) -> Run:
    config = zones(folder, count)
    command = [python, "-c", OCTODNS, folder, "--config-file", config, "--quiet"]
    run = measured(command, env={"PYTHONPATH": ""}, times=times)
    if "updates" not in run.out.lower() and "update" not in run.out.lower():
        raise SystemExit(f"octoDNS saw no change:\n{run.out[-2000:]}")
    return run


def compare(folder: Path, count: int, times: int, python: Path | None) -> None:
    """One table."""
    folder = folder / str(count)
    write(folder / "validate", count)
    of_links = max(1, (count - 2 - 3 * CATALOGUES) // 2)
    links.project(folder / "plan", links=of_links, catalogues=CATALOGUES, rows=200, layers=0, recognised=True)
    events = measured(script(_PARSE, folder / "validate"), times=times)
    rows = [
        ("bare interpreter", measured(script("pass"), times=times)),
        ("C parser alone", events),
        ("batchctl validate", measured(batchctl("validate", "-C", folder / "validate"), times=times)),
        ("batchctl plan, nothing changed", links.plan(folder / "plan", of_links, times)),
    ]
    if python is not None:
        rows.append(("octoDNS, a diff of as many records", octodns(python, folder / "octodns", count, times)))
    targets = {"batchctl validate": "≤ 2 s for 10,000", "batchctl plan, nothing changed": "≤ 0.5 × octoDNS"}
    table(f"{count:,} specs", rows, unit=events, target=targets)


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
    parser.add_argument("--python", type=Path, help="interpreter of the environment that has octoDNS")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    for count in asked.counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = asked.keep or Path(scratch)
            if asked.profile:
                _profile(write(folder / str(count) / "validate", count))
            else:
                compare(folder, count, asked.times, asked.python)


if __name__ == "__main__":
    main()
