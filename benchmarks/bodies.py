"""Request bodies from a delta file: JSON text written by the engine, against Python objects for every row.

    python -m benchmarks.bodies --rows 2m --times 3

Every contender reads the same Parquet file in slices of 10,000 rows and gives the bytes of one array per slice, member by
member the same JSON. Times are those of the loop, without imports. Targets: at least 6 × the rows/s of json, 12 × with 5
attributes. Memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import people
from benchmarks.kit import machine, measured, module, number

SLICE = 10_000
TARGETS = {0: 6, 5: 12}


def engine(file: Path, rows: int, attributes: int) -> Iterator[bytes]:
    """What `apply` does."""
    from reconciler.address import Space, TargetKey
    from reconciler.batch.items import item_of
    from reconciler.data.bodies import MEMORY, Bodies
    from reconciler.data.engine import Engine

    types = {name: kind for name, (kind, _) in list(people.ATTRIBUTES.items())[:attributes]}
    opened = Engine(now=datetime.now(UTC), threads=1)
    opened.limit(MEMORY)

    def slices() -> Iterator[bytes]:
        with opened:
            bodies = Bodies(opened, file, item_of(TargetKey("0" * 8, Space.CEP, "everybody"), types))
            for start in range(0, rows, SLICE):
                yield bodies.take(start, min(start + SLICE, rows))

    return slices()


def objects(file: Path, attributes: int, dumps: Callable[[Any], bytes]) -> Iterator[bytes]:
    """A dictionary per row, encoded."""
    import duckdb

    names = list(people.ATTRIBUTES)[:attributes]
    picked = "".join(f', "a:{name}"' for name in names)
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"SELECT id{picked} FROM read_parquet('{file}')")
    slices = iter(lambda: connection.fetchmany(SLICE), [])
    return (b"[" + b",".join([dumps(_member(row, names)) for row in rows]) + b"]" for rows in slices)


def _member(row: tuple[Any, ...], names: list[str]) -> dict[str, object]:
    item: dict[str, object] = {"action": "add", "id": row[0]}
    if names:
        item["attributes"] = {
            f"date({name})" if name == "last_order" else name: f"{value:%Y-%m-%dT00:00:00Z}" if name == "last_order" else value
            for name, value in zip(names, row[1:], strict=True)
            if value is not None
        }  # fmt: skip
    return item


def by_json(file: Path, _: int, attributes: int) -> Iterator[bytes]:
    return objects(file, attributes, lambda item: json.dumps(item, separators=(",", ":")).encode())


def by_orjson(file: Path, _: int, attributes: int) -> Iterator[bytes]:
    import orjson

    return objects(file, attributes, orjson.dumps)


WAYS = {"batchctl": engine, "orjson": by_orjson, "json": by_json}


def build(way: str, file: Path, rows: int, attributes: int) -> None:
    """The loop, in a process of its own; prints its wall and processor seconds, and what the bodies sum up to."""
    bodies = WAYS[way](file, rows, attributes)
    total, began, used = 0, time.perf_counter(), time.process_time()
    for body in bodies:
        total += len(body)
    print(json.dumps([time.perf_counter() - began, time.process_time() - used, total]))


def compare(folder: Path, rows: int, attributes: int, times: int) -> None:
    """One table."""
    file = folder / f"delta-{attributes}.parquet"
    people.copied(people.delta_rows(0, rows, attributes), file)
    found = {}
    for way in WAYS:
        runs = [
            measured(module("bodies", "--way", way, file, "--rows", rows, "--attributes", attributes))
            for _ in range(times)
        ]
        loops = [json.loads(run.out) for run in runs]
        found[way] = (
            min(one[0] for one in loops),
            min(one[1] for one in loops),
            max(run.rss for run in runs),
            loops[0][2],
        )
    print(f"\nbodies of {rows:,} rows, {attributes} attributes\n{machine()}")
    print("| what     |   rows/s |  cpu s | × json | peak MiB | bytes         | target")
    print("|----------|---------:|-------:|-------:|---------:|--------------:|-------")
    for way, (wall, cpu, rss, size) in found.items():
        target = f"≥ {TARGETS.get(attributes, 6)} × json" if way == "batchctl" else ""
        print(
            f"| {way:8} | {rows / wall / 1e6:6.2f} M | {cpu:6.2f} | {found['json'][1] / cpu:6.1f} | {rss:8.0f} | {size:13,} | {target}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=number, default="2m")
    parser.add_argument("--attributes", type=int, help="default: a table without, and one with 5")
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    if asked.way:
        build(asked.way, asked.file, asked.rows, asked.attributes)
        sys.stdout.flush()
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for attributes in (0, 5) if asked.attributes is None else (asked.attributes,):
            compare(Path(name), asked.rows, attributes, asked.times)


if __name__ == "__main__":
    main()
