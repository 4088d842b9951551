"""Who joined and who left: `plan` and its delta step against a bare scan, and against what people write by hand.

    python -m benchmarks.delta --rows 10m --attributes 0 --times 3 --rivals sort,sets,pandas,polars --python RIVALS
    python -m benchmarks.delta --rows 5m --attributes 5 --rivals sets
    python -m benchmarks.delta --rows 50m --times 1 --rivals ""

The unit is a process in which DuckDB reads the two identifier columns. Every rival reads the same two Parquet files and
writes the identifiers that joined and left to a file (with attributes: also those that changed); none of them checks,
deduplicates, knows consent or delta files, or proves anything, as `plan` does. RIVALS is the interpreter of an environment
of their own: python -m venv /tmp/rivals && /tmp/rivals/bin/pip install -r benchmarks/requirements.txt

Targets: in the table, and with 5 attributes 25 × faster than Python dicts. 50 million take about 8 GB of disk in the
temporary folder (TMPDIR), and must stay below 1,229 MiB of memory by spilling.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import people, sink
from benchmarks.kit import Run, batchctl, measured, module, number, script, table

SCAN = """
import sys, duckdb
con = duckdb.connect(config={"threads": 2, "memory_limit": "400MB"})
for column, file in (("customer_id", sys.argv[1]), ("id", sys.argv[2])):
    print(con.execute(f"SELECT sum(strlen({column})) FROM read_parquet('{file}')").fetchone())
"""

SORT = """
import subprocess, sys, duckdb
members, told, out = sys.argv[1:4]
con = duckdb.connect(config={"threads": 2, "memory_limit": "400MB"})
con.execute(f"COPY (SELECT customer_id FROM read_parquet('{members}') WHERE consent) TO '{out}.m' (FORMAT csv, HEADER false)")
con.execute(f"COPY (SELECT id FROM read_parquet('{told}')) TO '{out}.t' (FORMAT csv, HEADER false)")
con.close()
line = "LC_ALL=C sort --parallel=2 -S 300M -T {d} {a} -o {a}.s; LC_ALL=C sort --parallel=2 -S 300M -T {d} {b} -o {b}.s; LC_ALL=C comm -3 {a}.s {b}.s > {o}"
subprocess.run(line.format(a=out + ".m", b=out + ".t", o=out, d=out.rpartition("/")[0]), shell=True, check=True)
"""

SETS = """
import sys, duckdb
members, told, out, *names = sys.argv[1:]
con = duckdb.connect(config={"threads": 2})
picked = "".join(f", {name}" for name in names)
kept = "".join(f', "a:{name}"' for name in names)
now = con.execute(f"SELECT customer_id{picked} FROM read_parquet('{members}') WHERE consent").fetchall()
was = con.execute(f"SELECT id{kept} FROM read_parquet('{told}')").fetchall()
if names:
    now, was = {row[0]: row[1:] for row in now}, {row[0]: row[1:] for row in was}
    changed = [one for one, values in now.items() if one in was and was[one] != values]
else:
    now, was, changed = {one for (one,) in now}, {one for (one,) in was}, []
joined = [one for one in now if one not in was]
left = [one for one in was if one not in now]
with open(out, "w") as file:
    file.writelines(f"{one}\\n" for group in (joined, left, changed) for one in group)
"""

PANDAS = """
import sys, pandas
members, told, out, *names = sys.argv[1:]
now = pandas.read_parquet(members, columns=["customer_id", "consent", *names])
now = now[now.consent].drop(columns="consent").rename(columns={"customer_id": "id"})
was = pandas.read_parquet(told, columns=["id", *(f"a:{name}" for name in names)])
both = now.merge(was, on="id", how="outer", indicator=True)
odd = both._merge != "both"
for name in names:
    odd |= both[name].ne(both[f"a:{name}"])
both[odd].id.to_csv(out)
"""

POLARS = """
import sys, polars as pl
members, told, out, *names = sys.argv[1:]
now = pl.scan_parquet(members).filter("consent").select(pl.col("customer_id").alias("id"), pl.lit(1).alias("m"), *names)
was = pl.scan_parquet(told).select("id", pl.lit(1).alias("t"), *(f"a:{name}" for name in names))
odd = pl.col("m").is_null() | pl.col("t").is_null()
for name in names:
    odd = odd | pl.col(name).ne_missing(pl.col(f"a:{name}"))
now.join(was, on="id", how="full", coalesce=True).filter(odd).select("id").sink_parquet(out)
"""

RIVALS = {"sort": ("sort | comm", SORT), "sets": ("Python sets, dicts with attributes", SETS)}
RIVALS |= {"pandas": ("pandas merge", PANDAS), "polars": ("Polars full join", POLARS)}
STEP, PLAN = "batchctl: delta step", "batchctl plan: whole process"
TARGETS = {0: {STEP: "≤ 5 ×, ≤ 650 MiB", PLAN: "≤ 7 ×, ≤ 650 MiB"}, 2: {PLAN: "≤ 10 ×, ≤ 650 MiB"}}
HUGE = {STEP: "≤ 8 ×, ≤ 1229 MiB"}


def plan(folder: Path, times: int) -> Run:
    with sink.serving("everybody") as url:
        env = {**people.KEYS, "BATCHCTL_API_URL": url}
        run = measured(batchctl("plan", "-C", folder), env=env, times=times)
    if "1 to update" not in run.out:
        raise SystemExit(f"the plan is not the one expected:\n{run.out}")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=number, default="1m")
    parser.add_argument("--attributes", type=int, default=0)
    parser.add_argument("--layers", type=int, default=5, help="delta files on top of the base")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--rivals", default="sort,sets", help="comma-separated: sort,sets,pandas,polars")
    parser.add_argument("--python", type=Path, help="interpreter that has pandas, Polars and pyarrow")
    parser.add_argument("--folder", type=Path, help="keep the data here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = people.project(
            asked.folder or Path(name), rows=asked.rows, attributes=asked.attributes, layers=asked.layers
        )
        members = folder / "customers.parquet"
        (told,) = (folder / ".batchctl").glob("targets/*/base-0.parquet")
        scan = measured(script(SCAN, members, told), times=asked.times)
        rows = [
            ("bare scan of both id columns", scan),
            (STEP, measured(module("step", folder), env=people.KEYS, times=asked.times)),
            (PLAN, plan(folder, asked.times)),
        ]
        names = list(people.ATTRIBUTES)[: asked.attributes]
        for key in filter(None, asked.rivals.split(",")):
            title, text = RIVALS[key]
            if not (names and key == "sort"):
                command = script(text, members, told, folder / f"out-{key}", *names)
                if asked.python and key in ("pandas", "polars"):
                    command[0] = asked.python
                rows.append((title, measured(command)))
        targets = HUGE if asked.rows > 10_000_000 else TARGETS.get(asked.attributes, {})
        table(f"delta of {asked.rows:,} members, {asked.attributes} attributes", rows, unit=scan, target=targets)
        step = rows[1][1]
        for title, run in rows[3:]:
            print(
                f"the delta step against {title}: {run.cpu / step.cpu:.1f} × faster, {run.rss / step.rss:.1f} × less memory"
            )


if __name__ == "__main__":
    main()
