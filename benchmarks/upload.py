"""Everybody is sent: the whole `apply` of a new audience against the bare pipeline, and the least time at a rate limit.

    python -m benchmarks.upload --rows 10m --attributes 0 --times 3
    python -m benchmarks.upload --rows 1m --rate 1 --times 1

The bare pipeline scans the same file, lets DuckDB write the JSON text of each row, and sends bodies of 10,000 rows with
httpx to the same server. It writes nothing down: no acknowledgement, no baseline, no checks. Target: at most 3 × it and
300 MiB; at a rate limit at most 1.02 × requests ÷ rate, where requests are all that the server saw: the list, the creation
and what shows that it is there are paced as well. A run should take a minute or more, or starting it is what is measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import urllib.request
from pathlib import Path

from benchmarks import people, sink
from benchmarks.kit import Run, batchctl, measured, number, script, table

BARE = """
import sys, duckdb, httpx
url, file, attributes = sys.argv[1], sys.argv[2], [name for name in sys.argv[3].split(",") if name]
con = duckdb.connect(config={"threads": 2, "memory_limit": "120MB"})
pairs = "".join(f''', ',"{name}":', to_json({name})''' for name in attributes)
item = "concat('{\\"action\\":\\"add\\",\\"id\\":', to_json(customer_id)" + pairs + ", '}')"
con.execute(f"SELECT {item} FROM read_parquet('{file}') WHERE consent")
with httpx.Client(headers={"Content-Type": "application/json"}) as client:
    while rows := con.fetchmany(10_000):
        body = '{"name":"everybody","ids":[' + ",".join([text for (text,) in rows]) + "]}"
        client.post(f"{url}/2.11/audiences/update", content=body.encode()).raise_for_status()
"""


def bare(folder: Path, url: str, attributes: int, times: int) -> Run:
    names = ",".join(list(people.ATTRIBUTES)[:attributes])
    return measured(script(BARE, url, folder / "customers.parquet", names), times=times)


def ours(folder: Path, url: str, times: int) -> Run:
    """`apply` on an empty state each time; the audience is new each time, too."""
    runs = []
    for _ in range(times):
        shutil.rmtree(folder / ".batchctl", ignore_errors=True)
        urllib.request.urlopen(f"{url}/forget").read()
        env = {**people.KEYS, "BATCHCTL_API_URL": url}
        runs.append(measured(batchctl("apply", "-C", folder, "--auto-approve"), env=env))
    return Run(
        wall=min(run.wall for run in runs), cpu=min(run.cpu for run in runs), rss=max(run.rss for run in runs),
        out=runs[-1].out,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=number, default="1m")
    parser.add_argument("--attributes", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1000.0, help="requests per second")
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, sink.serving() as url:
        folder = Path(name)
        people.specs(folder, attributes=asked.attributes, rate=asked.rate)
        people.members(folder, rows=asked.rows, attributes=asked.attributes)
        plain = bare(folder, url, asked.attributes, asked.times)
        whole = ours(folder, url, asked.times)
        stats = json.load(urllib.request.urlopen(f"{url}/stats"))
        table(
            f"full upload of {asked.rows:,} rows, {asked.attributes} attributes, {asked.rate:g} requests/s",
            [("bare pipeline", plain), ("batchctl apply", whole)],
            unit=plain,
            target={"batchctl apply": "≤ 3 ×, ≤ 300 MiB"},
        )
        if asked.rate < 1000:
            writes = -(-asked.rows // 10_000)
            every = sum(count for path, count in stats["paths"].items() if path != "/forget")
            for what, requests in (("all", every), ("with rows", writes)):
                least = requests / asked.rate
                print(
                    f"{requests} requests {what}, {least:.1f} s at {asked.rate:g}/s; apply took {whole.wall / least:.3f} × that"
                )
            print("target: 1.02 × of all requests")
        print(f"the server saw {stats['paths']}")


if __name__ == "__main__":
    main()
