"""What Batch has been told about a target, as SQL over its base and delta files: newest wins, nothing else.

*told* has columns ``id``, ``k`` and ``a:<name>``; *uncertain* has ``id`` and ``names`` (attribute names the identifier
may hold in Batch because of a request whose fate is unknown); *asserted* has the columns of *told* for those that the newest
such request adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.data.engine import Engine
from reconciler.data.sql import DUCK_TYPES, ident, lit
from reconciler.state.standing import merged
from reconciler.state.state import DataFile

PRESENT = "kind IN ('add', 'put')"


@dataclass(frozen=True, kw_only=True)
class Told:
    """The baseline of one target in an engine: SQL of its relations, None where there is nothing."""

    told: str | None
    uncertain: str | None
    asserted: str | None
    attributes: dict[str, str]
    """Logical type of every attribute that any told row may hold."""
    files: tuple[Path, ...] = ()


def told(
    engine: Engine,
    layers: Sequence[DataFile],
    unsure: Sequence[DataFile],
    *,
    attributes: dict[str, str],
    path_of: Callable[[DataFile], Path],
) -> Told:
    """The relations over `layers` (base first, newest last) and over the rows of `unsure`."""
    layers = [layer for layer in layers if layer.ranges is None or layer.ranges]
    unsure = [layer for layer in unsure if layer.ranges is None or layer.ranges]
    return Told(
        told=_told(engine, layers, attributes, path_of) if layers else None,
        uncertain=_uncertain(engine, unsure, path_of) if unsure else None,
        asserted=_told(engine, unsure, attributes, path_of) if unsure else None,
        attributes=attributes,
        files=tuple(path_of(layer) for layer in (*layers, *unsure)),
    )


def _told(
    engine: Engine, layers: Sequence[DataFile], attributes: dict[str, str], path_of: Callable[[DataFile], Path]
) -> str:
    names = [f"a:{name}" for name in attributes]
    base = _layer(engine, layers[0], names, attributes, path_of)
    picked = ", ".join(["id", "k", *map(ident, names)])
    if len(layers) == 1:
        return f"(SELECT {picked} FROM {base} WHERE {PRESENT})"
    stacked = " UNION ALL ".join(
        f"SELECT *, {n} AS n FROM {_layer(engine, layer, names, attributes, path_of)}"
        for n, layer in enumerate(layers[1:], 1)
    )
    newest = ident(engine.table("newest"))
    engine.run(
        f"CREATE TEMP TABLE {newest} AS SELECT * FROM ({stacked}) "
        "QUALIFY row_number() OVER (PARTITION BY id ORDER BY n DESC, file_row_number DESC) = 1"
    )
    kept = f"SELECT {picked} FROM {base} AS base ANTI JOIN {newest} AS later ON later.id = base.id WHERE {PRESENT}"
    return f"({kept} UNION ALL SELECT {picked} FROM {newest} WHERE {PRESENT})"


def _layer(
    engine: Engine,
    layer: DataFile,
    names: Sequence[str],
    attributes: dict[str, str],
    path_of: Callable[[DataFile], Path],
) -> str:
    read = f"read_parquet({lit(str(path_of(layer)))}, file_row_number = true)"
    path = str(path_of(layer))
    have = engine.parquet_columns([path])[path]
    picked = ["id", "kind", "k", "held", "file_row_number"]
    for name in names:
        kind = DUCK_TYPES[attributes[name.removeprefix("a:")]]
        picked.append(ident(name) if name in have else f"CAST(NULL AS {kind}) AS {ident(name)}")
    return f"(SELECT {', '.join(picked)} FROM {read} WHERE {counted(layer)})"


def counted(layer: DataFile) -> str:
    """SQL condition over ``file_row_number``: the rows of a file that count."""
    if layer.ranges is None:
        return "TRUE"
    spans = [f"file_row_number >= {start} AND file_row_number < {stop}" for start, stop in merged(layer.ranges)]
    return "(" + " OR ".join(spans) + ")" if spans else "FALSE"


def _uncertain(engine: Engine, layers: Sequence[DataFile], path_of: Callable[[DataFile], Path]) -> str:
    parts = []
    for layer in layers:
        read = f"read_parquet({lit(str(path_of(layer)))}, file_row_number = true)"
        path = str(path_of(layer))
        names = sorted(name for name in engine.parquet_columns([path])[path] if name.startswith("a:"))
        own = [f"CASE WHEN {PRESENT} AND {ident(name)} IS NOT NULL THEN {lit(name[2:])} END" for name in names]
        listed = f"list_filter([{', '.join(own)}], lambda x: x IS NOT NULL)" if own else "CAST([] AS VARCHAR[])"
        # What a put leaves out went with its reset, which is a row of its own and APPLIED before the put is sent.
        left = "CASE WHEN kind <> 'put' THEN coalesce(held, []) ELSE [] END"
        parts.append(f"SELECT id, list_concat({listed}, {left}) AS names FROM {read} WHERE {counted(layer)}")
    table = ident(engine.table("uncertain"))
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT id, list_sort(list_distinct(flatten(list(names)))) AS names "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY id"
    )
    return table


def fold(
    engine: Engine,
    layers: Sequence[DataFile],
    *,
    attributes: dict[str, str],
    path_of: Callable[[DataFile], Path],
    to: Path,
) -> int:
    """Compaction: writes everything told as one new base file; rows written."""
    known = told(engine, layers, (), attributes=attributes, path_of=path_of)
    if known.told is None:
        raise ValueError("nothing to fold")
    values = "".join(f", {ident(f'a:{name}')}" for name in sorted(attributes))
    return engine.copy(
        f"SELECT id, 'add' AS kind, k, CAST([] AS VARCHAR[]) AS held{values} FROM {known.told} ORDER BY id",
        to,
        ordered=True,
    )
