"""Everybody is sent, then what changed: `apply` against drt and against a script written by hand, on one server.

    python -m venv /tmp/rivals && /tmp/rivals/bin/pip install -r benchmarks/requirements-rivals.txt
    python -m benchmarks.rivals --python /tmp/rivals/bin/python --rows 1m

All read the same Parquet files with DuckDB and send bodies of 10,000 rows without a rate limit. Second run: 1 % joined,
1 % left, 2 % have other attributes. *drt* is DuckDB → its REST destination, `body_mode: batch`, the second time incremental
on a column updated_at, which the others do not need; it has no way to see who left (its snapshot strategy exists for
other warehouses than DuckDB). The *script* scans, lets DuckDB write the JSON, and posts with httpx; the second time a pair of
anti-joins against a snapshot that it writes anew. It checks, records and resumes nothing. The table says what the server saw.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tempfile
import urllib.request
from dataclasses import replace
from pathlib import Path

from benchmarks import people, sink
from benchmarks.kit import Run, batchctl, machine, measured, number, script

FULL = """
import shutil, sys, duckdb, httpx
url, file, snapshot, names = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")
con = duckdb.connect(config={"threads": 2, "memory_limit": "400MB"})
pairs = ", ',', ".join(f''''"{n}":', to_json({n})''' for n in names if n)
item = f'''concat('{{"action":"add","id":', to_json(customer_id), ',"attributes":{{', {pairs}, '}}}}')'''
con.execute(f"SELECT {item} FROM read_parquet('{file}') WHERE consent")
with httpx.Client(headers={"Content-Type": "application/json"}) as client:
    while rows := con.fetchmany(10_000):
        body = '{"name":"everybody","ids":[' + ",".join([text for (text,) in rows]) + "]}"
        client.post(f"{url}/2.11/audiences/update", content=body.encode()).raise_for_status()
con.execute(f"COPY (SELECT * FROM read_parquet('{file}') WHERE consent) TO '{snapshot}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
"""

DELTA = """
import os, sys, duckdb, httpx
url, file, snapshot, names = sys.argv[1], sys.argv[2], sys.argv[3], [n for n in sys.argv[4].split(",") if n]
con = duckdb.connect(config={"threads": 2, "memory_limit": "800MB", "preserve_insertion_order": False})
pairs = ", ',', ".join(f''''"{n}":', to_json({n})''' for n in names)
add = f'''concat('{{"action":"add","id":', to_json(customer_id), ',"attributes":{{', {pairs}, '}}}}')'''
gone = '''concat('{"action":"remove","id":', to_json(customer_id), '}')'''
same = " AND ".join(["m.customer_id = s.customer_id", *(f"m.{n} IS NOT DISTINCT FROM s.{n}" for n in names)])
con.execute(f"CREATE VIEW m AS SELECT * FROM read_parquet('{file}') WHERE consent")
con.execute(f"CREATE VIEW s AS SELECT * FROM read_parquet('{snapshot}')")
con.execute(f"SELECT {add} FROM m ANTI JOIN s ON {same} UNION ALL SELECT {gone} FROM s ANTI JOIN m ON m.customer_id = s.customer_id")
with httpx.Client(headers={"Content-Type": "application/json"}) as client:
    while rows := con.fetchmany(10_000):
        body = '{"name":"everybody","ids":[' + ",".join([text for (text,) in rows]) + "]}"
        client.post(f"{url}/2.11/audiences/update", content=body.encode()).raise_for_status()
con.execute(f"COPY (FROM m) TO '{snapshot}.part' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
os.replace(f"{snapshot}.part", snapshot)
"""

SYNC = """\
name: everybody
model: "SELECT %(row)s%(cursor)s FROM read_parquet('%(file)s') WHERE consent"
destination:
  type: rest_api
  url: %(url)s/2.11/audiences/update
  method: POST
  headers: {Content-Type: application/json}
  body_mode: batch
  max_records_per_request: 10000
  batch_template: '{"name":"everybody","ids":%(ids)s}'
sync: {%(mode)s, batch_size: 10000, rate_limit: {requests_per_second: 0}, on_error: fail}
"""
FLAT = ("'add' AS action, customer_id AS id, %(names)s", "{{ rows | tojson_safe }}")
BY_SQL = (
    "to_json({'action': 'add', 'id': customer_id, 'attributes': {%(pairs)s}})::VARCHAR AS item",
    '[{{ rows | map(attribute="item") | join(",") }}]',
)
"""SQL of a row, and the template of a body's members. Flat rows, the fastest ordinary form, are not what Batch takes: its
nested attributes are three times as slow as Python objects, so the other form writes the JSON in SQL."""
MODES = ("mode: full", "mode: incremental, cursor_field: updated_at, watermark: {default_value: '2026-01-01 12:00:00'}")


def drt_project(folder: Path, url: str, names: list[str], form: tuple[str, str]) -> None:
    """Its documents of both runs, and its profile below a home of its own."""
    row, ids = form
    row %= {"names": ", ".join(names), "pairs": ", ".join(f"'{name}': {name}" for name in names)}
    for at, mode in enumerate(MODES):
        (folder / str(at) / "syncs").mkdir(parents=True)
        (folder / str(at) / "drt_project.yml").write_text('name: bench\nversion: "0.1"\nprofile: local\n')
        cursor = ", updated_at" if at else ""
        text = SYNC % {
            "row": row,
            "cursor": cursor,
            "file": folder / "dated.parquet",
            "url": url,
            "ids": ids,
            "mode": mode,
        }
        (folder / str(at) / "syncs" / "everybody.yml").write_text(text)
    (folder / ".drt").mkdir()
    (folder / ".drt" / "profiles.yml").write_text('local:\n  type: duckdb\n  database: ":memory:"\n')


def dated(before: Path, after: Path, names: list[str], folder: Path) -> tuple[Path, Path]:
    """Both sources with the column that drt needs; who is the same keeps the first day."""
    moved = " OR ".join(["b.customer_id IS NULL", *(f"b.{name} IS DISTINCT FROM n.{name}" for name in names)])
    first, second = folder / "dated-1.parquet", folder / "dated-2.parquet"
    people.copied(f"SELECT *, TIMESTAMP '2026-01-01' AS updated_at FROM read_parquet('{before}')", first)
    day = f"CASE WHEN {moved} THEN TIMESTAMP '2026-01-02' ELSE TIMESTAMP '2026-01-01' END"
    people.copied(
        f"SELECT n.*, {day} AS updated_at FROM read_parquet('{after}') AS n "
        f"LEFT JOIN (FROM read_parquet('{before}') WHERE consent) AS b USING (customer_id)",
        second,
    )
    return first, second


class Server:
    """The sink, and what it counted since it was last asked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, what: str) -> None:
        """``forget`` the audiences, or ``recount`` the rows."""
        urllib.request.urlopen(f"{self.url}/{what}").read()

    def seen(self) -> str:
        """Rows added and removed, and requests."""
        found = json.load(urllib.request.urlopen(f"{self.url}/stats"))
        writes = sum(count for path, count in found["paths"].items() if path.endswith("/update"))
        return f"{found['adds']:,} added, {found['removes']:,} removed, {writes} requests"


def twice(
    server: Server, first: list[str | Path], second: list[str | Path], swap, env: dict[str, str]
) -> list[tuple[Run, str]]:
    """The first run on nothing, the second after the source moved."""
    found = []
    server.ask("forget")
    for command in (first, second):
        server.ask("recount")
        run = measured(command, env=env)
        found.append((run, server.seen()))
        swap()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=number, default="1m")
    parser.add_argument("--attributes", type=int, default=2, choices=(1, 2))
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument(
        "--python", type=Path, help="interpreter of the environment that has drt; without it drt is left out"
    )
    asked = parser.parse_args()
    names = list(people.ATTRIBUTES)[: asked.attributes]
    best: dict[str, list[tuple[Run, str]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, sink.serving(count=True) as url:
        folder, server = Path(name), Server(url)
        before = people.members(folder, rows=asked.rows, attributes=asked.attributes, before=True)
        after = people.members(folder, rows=asked.rows, attributes=asked.attributes).rename(folder / "after.parquet")
        days = dated(before, after, names, folder) if asked.python else None
        for _ in range(asked.times):
            found = {"script": _script(server, folder, before, after, names)}
            if days is not None:
                found["drt"] = _drt(server, folder, days, names, asked.python, FLAT)
                found["drt, JSON in SQL"] = _drt(server, folder, days, names, asked.python, BY_SQL)
            found["batchctl"] = _ours(server, folder, before, after, asked.attributes)
            for who, runs in found.items():
                best[who] = [_better(*pair) for pair in zip(best.get(who, runs), runs, strict=True)]
    _show(best, asked.rows)


def _script(server: Server, folder: Path, before: Path, after: Path, names: list[str]) -> list[tuple[Run, str]]:
    rest = [folder / "snapshot.parquet", ",".join(names)]
    return twice(
        server, script(FULL, server.url, before, *rest), script(DELTA, server.url, after, *rest), lambda: None, {}
    )


def _drt(
    server: Server, folder: Path, days: tuple[Path, Path], names: list[str], python: Path, form: tuple[str, str]
) -> list[tuple[Run, str]]:
    home = folder / "drt"
    shutil.rmtree(home, ignore_errors=True)
    drt_project(home, server.url, names, form)
    source = home / "dated.parquet"
    os.link(days[0], source)

    def swap() -> None:
        source.unlink()
        os.link(days[1], source)

    run = "import os, sys; os.chdir(sys.argv.pop(1)); from drt.cli.main import app; app()"
    first, second = ([python, "-c", run, home / str(at), "run"] for at in (0, 1))
    return twice(server, first, second, swap, {"HOME": str(home), "DO_NOT_TRACK": "1", "PYTHONPATH": ""})


def _ours(server: Server, folder: Path, before: Path, after: Path, attributes: int) -> list[tuple[Run, str]]:
    home = folder / "ours"
    shutil.rmtree(home, ignore_errors=True)
    people.specs(home, attributes=attributes)
    source = home / "customers.parquet"
    os.link(before, source)

    def swap() -> None:
        source.unlink()
        os.link(after, source)

    command = batchctl("apply", "-C", home, "--auto-approve")
    return twice(server, command, command, swap, {**people.KEYS, "BATCHCTL_API_URL": server.url})


def _better(one: tuple[Run, str], other: tuple[Run, str]) -> tuple[Run, str]:
    run = replace(
        one[0],
        wall=min(one[0].wall, other[0].wall),
        cpu=min(one[0].cpu, other[0].cpu),
        rss=max(one[0].rss, other[0].rss),
    )
    return run, other[1]


TARGETS = {0: "1 M: ≤ 1 × drt; 10 M: ≤ 0.5 × drt", 1: "≤ 3 × script"}


def _show(found: dict[str, list[tuple[Run, str]]], rows: int) -> None:
    print(f"\n{rows:,} members\n{machine()}")
    for at, title in enumerate(("first upload", "1 % joined, 1 % left, 2 % changed")):
        unit = found["script"][at][0]
        print(f"\n{title} (target of batchctl: {TARGETS[at]})")
        print("| who              |  wall s | ÷ script |   cpu s | ÷ script | rows/s | peak MiB | the server saw")
        print("|------------------|--------:|---------:|--------:|---------:|-------:|---------:|---------------")
        for who, runs in found.items():
            run, saw = runs[at]
            sent = sum(int(part.replace(",", "")) for part in re.findall(r"([\d,]+) (?:added|removed)", saw))
            print(
                f"| {who:16} | {run.wall:7.2f} | {run.wall / unit.wall:8.2f} | {run.cpu:7.2f} | {run.cpu / unit.cpu:8.2f} "
                f"| {sent / run.wall / 1000:4.0f} k | {run.rss:8.0f} | {saw}",
                flush=True,
            )


if __name__ == "__main__":
    main()
