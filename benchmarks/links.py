"""A thousand links over twenty catalogues in whose data nothing changed: the delta step against reading each source once.

    python -m benchmarks.links --links 1000 --catalogues 20 --rows 5k --layers 1

Each catalogue has `--rows` people; each link takes every tenth of them, with two attributes, and was told exactly these.
*Touched* links are computed because their files may have changed, *recognised* ones are as they were at their last
commit. Target: at most 3 s beyond a process that reads all columns of every source once.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import sink
from benchmarks.kit import Run, batchctl, measured, module, number, script, table
from benchmarks.people import KEYS, copied, identifier, keep

PER_FILE = 50

SCAN = """
import sys, glob, duckdb
con = duckdb.connect(config={"threads": 2, "memory_limit": "400MB"})
for file in sorted(glob.glob(sys.argv[1] + "/c*.parquet")):
    print(con.execute(f"SELECT sum(strlen(customer_id)), sum(n), sum(strlen(tier)), sum(orders), count(*) FILTER (consent) FROM read_parquet('{file}')").fetchone())
"""

CATALOGUE = """\
---
apiVersion: batchctl/v1
kind: Catalogue
name: c%(at)d
source: {path: c%(at)d.parquet}
key: customer_id
fields: {customer_id: string, consent: boolean, n: integer, tier: string, orders: integer}
consent: consent
---
apiVersion: batchctl/v1
kind: Mapping
name: ids%(at)d
catalogue: c%(at)d
identifier: {custom_id: customer_id}
attributes: {tier: tier, orders: orders}
---
apiVersion: batchctl/v1
kind: Action
name: custom-ids%(at)d
destination: shop
type: send_custom_ids
mapping: ids%(at)d
"""

LINK = """\
---
apiVersion: batchctl/v1
kind: Segment
name: s%(at)d
catalogue: c%(of)d
where: n >= %(low)d AND n < %(high)d
---
apiVersion: batchctl/v1
kind: SegmentLink
name: l%(at)d
segment: s%(at)d
action: custom-ids%(of)d
audience: {name: a%(at)d}
"""

HEAD = """\
apiVersion: batchctl/v1
kind: Project
name: bench
---
apiVersion: batchctl/v1
kind: Destination
name: shop
platform: cep
project_key: ${env:BENCH_PROJECT_KEY}
rest_api_key: ${env:BENCH_REST_KEY}
rate_limits: {requests_per_second: 1000}
attributes: {tier: string, orders: integer}
"""


def spread(links: int, catalogues: int, rows: int) -> Iterator[dict[str, int]]:
    """Number, catalogue and bounds of each link."""
    for at in range(links):
        low = (at // catalogues) * 37 % max(1, rows - rows // 10)
        yield {"at": at, "of": at % catalogues, "low": low, "high": low + rows // 10}


def project(folder: Path, *, links: int, catalogues: int, rows: int, layers: int, recognised: bool = False) -> Path:
    """Documents, data, and a state that was told what the data says; made once per folder and size.

    `recognised`: the state is that of a commit of the same documents and files.
    """
    mark = folder / f"made-{links}-{catalogues}-{rows}-{layers}"
    if mark.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    every = list(spread(links, catalogues, rows))
    text = HEAD + "".join(CATALOGUE % {"at": at} for at in range(catalogues)) + "".join(LINK % one for one in every)
    documents = text.split("---\n")
    for start in range(0, len(documents), PER_FILE):
        (folder / f"specs-{start:05}.yaml").write_text("---\n".join(documents[start : start + PER_FILE]))
    for at in range(catalogues):
        values = f"i AS n, ['gold', 'silver', 'none'][(1 + hash(i, {at}) % 3)::BIGINT] AS tier, (hash(i) % 90)::BIGINT AS orders"
        copied(
            f"SELECT {identifier(f'(i + {at * rows})')} AS customer_id, hash(i) % 50 <> 7 AS consent, {values} FROM range({rows}) r(i)",
            folder / f"c{at}.parquet",
        )
    told = {f"a{one['at']}": list(_layers(folder, one, layers)) for one in every}
    keep(folder, told, attributes={"tier": "string", "orders": "integer"}, recognised=recognised)
    mark.touch()
    return folder


def _layers(folder: Path, one: dict[str, int], layers: int) -> Iterator[str]:
    """SQL of the base, and of delta files that say again what it said of a few."""
    key = "CAST(md5(customer_id) AS UUID)"
    picked = f'customer_id AS id, \'add\' AS kind, {key} AS k, CAST([] AS VARCHAR[]) AS held, tier AS "a:tier", orders AS "a:orders"'
    members = (
        f"FROM read_parquet('{folder}/c{one['of']}.parquet') WHERE consent AND n >= {one['low']} AND n < {one['high']}"
    )
    yield f"SELECT {picked} {members}"
    for layer in range(1, layers + 1):
        yield f"SELECT {picked} {members} AND n % 100 = {layer}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=number, default="1000")
    parser.add_argument("--catalogues", type=int, default=20)
    parser.add_argument("--rows", type=number, default="5k", help="people per catalogue")
    parser.add_argument("--layers", type=int, default=1, help="delta files on top of each base")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the data here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = project(
            asked.folder or Path(name), links=asked.links, catalogues=asked.catalogues, rows=asked.rows, layers=asked.layers
        )  # fmt: skip
        scan = measured(script(SCAN, folder), times=asked.times)
        loaded = measured(module("step", folder, "--nothing"), env=KEYS, times=asked.times)
        touched = measured(module("step", folder), env=KEYS, times=asked.times)
        recognised = measured(module("step", folder, "--recognised"), env=KEYS, times=asked.times)
        rows = [
            ("reading every source once", scan),
            ("documents and state, no data", loaded),
            ("the same and the delta step, touched", touched),
            ("the same and the delta step, recognised", recognised),
            ("batchctl plan: whole process, touched", plan(folder, asked.links, asked.times)),
        ]
        title = f"{asked.links:,} links over {asked.catalogues} catalogues of {asked.rows:,}, a base and {asked.layers} delta files each"
        table(title, rows, unit=scan)
        for what, run in (("touched", touched), ("recognised", recognised)):
            beyond = run.cpu - loaded.cpu - scan.cpu
            print(f"{what}: {beyond:.2f} s of processor time beyond reading and loading (target 3 s)")


def plan(folder: Path, links: int, times: int) -> Run:
    """The whole process against a server that has every audience."""
    with sink.serving(*(f"a{at}" for at in range(links))) as url:
        run = measured(batchctl("plan", "-C", folder), env={**KEYS, "BATCHCTL_API_URL": url}, times=times)
    if "o changes" not in run.out:
        raise SystemExit(f"the plan is not the one expected:\n{run.out[-2000:]}")
    return run


if __name__ == "__main__":
    main()
