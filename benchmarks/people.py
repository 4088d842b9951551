"""A project of any size: customers in Parquet, and a state that says what Batch has been told, 1 % ago.

    python -m benchmarks.people FOLDER --rows 10m --attributes 2 --layers 5

Identifiers are 36 characters. 1 % of the members joined since, 1 % left, 2 % changed when there are attributes; 1 % more
are in the source without consent. The baseline is one base file and `layers` delta files of 0.1 % each.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.kit import number

if TYPE_CHECKING:
    import duckdb

    from reconciler.address import TargetKey
    from reconciler.link import Target

ATTRIBUTES = {
    "tier": ("string", "['none', 'silver', 'gold', 'platinum'][(1 + hash({i}) % 4)::BIGINT]"),
    "orders": ("integer", "(hash({i}, 1) % 200)::BIGINT"),
    "score": ("float", "round((hash({i}, 2) % 100000) / 1000, 2)::DOUBLE"),
    "last_order": ("date", "DATE '2024-01-01' + (hash({i}, 3) % 700)::INTEGER"),
    "city": ("string", "'City of ' || (hash({i}, 4) % 3000)::VARCHAR"),
}
"""Name → logical type and SQL of the value of person `i`."""

SPECS = """\
apiVersion: batchctl/v1
kind: Project
name: bench
---
apiVersion: batchctl/v1
kind: Catalogue
name: customers
source: {path: customers.parquet}
key: customer_id
fields: {customer_id: string, consent: boolean%(fields)s}
consent: consent
---
apiVersion: batchctl/v1
kind: Segment
name: everybody
catalogue: customers
where: customer_id IS NOT NULL
---
apiVersion: batchctl/v1
kind: Destination
name: shop
platform: cep
project_key: ${env:BENCH_PROJECT_KEY}
rest_api_key: ${env:BENCH_REST_KEY}
rate_limits: {requests_per_second: %(rate)s}
attributes: {%(declared)s}
---
apiVersion: batchctl/v1
kind: Mapping
name: ids
catalogue: customers
identifier: {custom_id: customer_id}
attributes: {%(mapped)s}
---
apiVersion: batchctl/v1
kind: Action
name: custom-ids
destination: shop
type: send_custom_ids
mapping: ids
---
apiVersion: batchctl/v1
kind: SegmentLink
name: everybody-shop
segment: everybody
action: custom-ids
audience: {name: everybody}
"""

KEYS = {"BENCH_PROJECT_KEY": "project", "BENCH_REST_KEY": "rest"}
CREATED = "2026-01-01T00:00:00Z"


def specs(folder: Path, *, attributes: int, rate: float = 1000) -> None:
    """Writes the project's documents."""
    chosen = list(ATTRIBUTES.items())[:attributes]
    kinds = "".join(f", {name}: {kind}" for name, (kind, _) in chosen)
    text = SPECS % {
        "fields": kinds,
        "declared": kinds.removeprefix(", "),
        "mapped": ", ".join(f"{name}: {name}" for name, _ in chosen),
        "rate": f"{rate:.3f}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "specs.yaml").write_text(text)


def members(folder: Path, *, rows: int, attributes: int, before: bool = False) -> Path:
    """Writes customers.parquet: persons 1 % … 101 %, or (`before`) 0 … 100 % with the values they had then."""
    path = folder / ("before.parquet" if before else "customers.parquet")
    start = 0 if before else rows // 100
    values = _values(attributes, changed=not before)
    stop = start + rows
    copied(
        f"SELECT {identifier('i')} AS customer_id, i < {stop} AS consent{values} FROM range({start}, {stop + rows // 100}) AS r(i)",
        path,
    )
    return path


def state(folder: Path, *, rows: int, attributes: int, layers: int) -> None:
    """Writes a state that was told persons 0 … 100 %: a base file and `layers` small delta files."""
    each = rows // 1000
    spans = [(0, rows), *((n * each, (n + 1) * each) for n in range(1, layers + 1))]
    kinds = {name: kind for name, (kind, _) in list(ATTRIBUTES.items())[:attributes]}
    keep(
        folder,
        {"everybody": [delta_rows(start, stop, attributes) for start, stop in spans]},
        attributes=kinds,
        full=rows,
    )


def keep(
    folder: Path,
    told: Mapping[str, Sequence[str]],
    *,
    attributes: dict[str, str],
    full: int | None = None,
    recognised: bool = False,
) -> None:
    """Writes a state whose audiences were told these SELECTs, oldest first; each counts what its base has, or `full`.

    `recognised`: as after a commit of the same documents and files.
    """
    from reconciler.address import IdType, account_of
    from reconciler.data.checks import RULES
    from reconciler.data.inputs import Inputs
    from reconciler.plan.identifier import identifier_digest
    from reconciler.state.names import slug_of
    from reconciler.state.state import Baseline, TargetState
    from reconciler.state.store import StateStore, new_state

    shutil.rmtree(folder / ".batchctl", ignore_errors=True)
    store = StateStore(folder / ".batchctl", project="bench", environment="")
    now = datetime.now(UTC)
    state = new_state(project="bench", environment="")
    inputs = Inputs(folder, ())
    for key, target in targets_of(folder).items():
        assert key.audience is not None
        files = []
        for n, query in enumerate(told[key.audience]):
            local = folder / f"layer-{n}.parquet"
            written = copied(query, local)
            name = f"targets/{slug_of(key)}/{'delta' if n else 'base'}-{n}.parquet"
            files.append(store.put_file(local, name, rows=written))
            local.unlink()
        state = state.with_target(
            TargetState(
                account=account_of(KEYS["BENCH_PROJECT_KEY"]), space=key.space, audience=key.audience,
                destination="shop", api_url=None, api_version="2.11", id_type=IdType.CUSTOM,
                keys={"rest": "${env:BENCH_REST_KEY}", "project": "${env:BENCH_PROJECT_KEY}"},
                links=tuple(link.address for link in target.links), created=CREATED, committed=True,
                last_full=now, last_commit=now, inputs=inputs.digest(target) if recognised else "",
                baseline=Baseline(
                    files=tuple(files), count=full or files[0].rows, rules=RULES, identifier=identifier_digest(target),
                    attributes=attributes,
                ),
            )
        )  # fmt: skip
    store.write(state)


def project(folder: Path, *, rows: int, attributes: int = 0, layers: int = 5) -> Path:
    """A whole project; made once per folder and size."""
    mark = folder / f"made-{rows}-{attributes}-{layers}"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        specs(folder, attributes=attributes)
        members(folder, rows=rows, attributes=attributes)
        state(folder, rows=rows, attributes=attributes, layers=layers)
        mark.touch()
    return folder


def targets_of(folder: Path) -> dict[TargetKey, Target]:
    """All targets of the project's documents."""
    from reconciler.address import account_of
    from reconciler.link import resolve
    from reconciler.loader import load

    specs = load(folder).specs
    accounts = {"shop": account_of(KEYS["BENCH_PROJECT_KEY"])}
    return {target.key: target for target in resolve(specs, accounts=accounts, today=datetime.now(UTC).date()).targets}


def identifier(i: str) -> str:
    return f"CAST(CAST(md5('person' || {i}) AS UUID) AS VARCHAR)"


def _values(attributes: int, *, changed: bool, prefix: str = "") -> str:
    seed = "CASE WHEN i % 50 = 7 THEN i + 1000000007 ELSE i END" if changed else "i"
    chosen = list(ATTRIBUTES.items())[:attributes]
    return "".join(f', {sql.format(i=seed)} AS "{prefix}{name}"' for name, (_, sql) in chosen)


def delta_rows(start: int, stop: int, attributes: int) -> str:
    values = _values(min(attributes, len(ATTRIBUTES)), changed=False, prefix="a:")
    return (
        f"SELECT {identifier('i')} AS id, FALSE AS cased, 'add' AS kind, CAST(NULL AS UUID) AS k, CAST([] AS VARCHAR[]) AS held{values} "
        f"FROM range({start}, {stop}) AS r(i)"
    )


def copied(query: str, to: Path) -> int:
    """Writes a query as Parquet; its rows."""
    found = (
        _writer()
        .execute(f"COPY ({query}) TO '{to}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
        .fetchone()
    )
    assert found is not None
    return int(found[0])


@cache
def _writer() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"memory_limit": "1GB", "threads": 2, "preserve_insertion_order": False})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=number, default="1m")
    parser.add_argument("--attributes", type=int, default=0)
    parser.add_argument("--layers", type=int, default=5)
    asked = parser.parse_args()
    project(asked.folder, rows=asked.rows, attributes=asked.attributes, layers=asked.layers)


if __name__ == "__main__":
    main()
