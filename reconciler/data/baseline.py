"""What Batch has been told about a target, as SQL over its base and delta files: newest wins, nothing else.

*told* has columns ``id``, ``cased`` and ``k`` (as in delta files) and ``a:<name>``; *uncertain* has ``id``, ``names``
(attribute names the identifier may hold in Batch because of a request whose fate is unknown, or of which Batch took a part)
and ``cut`` (the fate of such a request is unknown); *asserted* has the columns of *told* for those that the newest such
request adds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.data.engine import Engine
from reconciler.data.groups import group_of
from reconciler.data.sql import ADD, DUCK_TYPES, ident, kind_of, lit, lit_list
from reconciler.state.standing import Ranges, merged, size, subtract
from reconciler.state.state import DataFile

PRESENT = "kind IN ('add', 'put')"
_CARRIED = ("cased", "k")
_LARGE = 100_000
"""Rows from which on a look at a file's footer costs less than it saves."""
_LISTED = 20
"""Spans of rows from which on they are listed."""
_FEW = 10
"""Delta files below a tenth of the base are few rows: each is looked at exactly rather than the base without them."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """The baseline of one target in an engine: SQL of its relations, None where there is nothing."""

    told: str | None
    uncertain: str | None
    asserted: str | None
    attributes: dict[str, str]
    """Logical type of every attribute that any told row may hold."""
    base: str | None = None
    """*told* of the base file alone, when `later` is given."""
    later: str | None = None
    """A small table of *told* with ``kind``: the newest row of each identifier that a delta file has; it supersedes `base`."""


def told(
    engine: Engine,
    layers: Sequence[DataFile],
    unsure: Sequence[DataFile],
    *,
    attributes: dict[str, str],
    path_of: Callable[[DataFile], Path],
) -> Told:
    """The relations over `layers` (base first, newest last) and over the rows of `unsure`."""
    layers, unsure = counting(layers), counting(unsure)
    stacked = _stacked(engine, layers, attributes, path_of) if layers else None
    few = stacked is not None and stacked.later is not None and stacked.rows * _FEW <= layers[0].rows
    return Told(
        told=stacked.told if stacked else None,
        base=stacked.base if stacked and few else None,
        later=stacked.later if stacked and few else None,
        uncertain=_uncertain(engine, unsure, path_of) if unsure else None,
        asserted=_stacked(engine, unsure, attributes, path_of).told if unsure else None,
        attributes=attributes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stacked:
    told: str
    base: str
    later: str | None = None
    rows: int = 0


def _stacked(
    engine: Engine, layers: Sequence[DataFile], attributes: dict[str, str], path_of: Callable[[DataFile], Path]
) -> _Stacked:
    values = [ident(f"a:{name}") for name in attributes]
    picked = ", ".join(["id", "cased", "k", *values])
    placed = [Placed(path=path_of(layer), layer=n, file=layer) for n, layer in enumerate(layers)]
    base = f"({stacked(engine, placed[:1], attributes, carried=_CARRIED)})"
    alone = f"(SELECT {picked} FROM {base} WHERE {PRESENT})"
    if len(layers) == 1:
        return _Stacked(told=alone, base=alone)
    newest = ident(engine.table("newest"))
    engine.run(f"CREATE TEMP TABLE {newest} AS {newest_of(stacked(engine, placed[1:], attributes, carried=_CARRIED))}")
    kept = f"SELECT {picked} FROM {base} AS base ANTI JOIN {newest} AS later ON later.id = base.id WHERE {PRESENT}"
    told = f"({kept} UNION ALL SELECT {picked} FROM {newest} WHERE {PRESENT})"
    return _Stacked(told=told, base=alone, later=newest, rows=engine.count(f"SELECT count(*) FROM {newest}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A file and whose layer it is: the target's number, and the layer's, the base being 0."""

    path: Path
    file: DataFile
    layer: int
    target: int = 0


def newest_of(rows: str) -> str:
    """SQL of the newest row of every identifier of every target. Who has but one, as their hash tells, is not sorted."""
    order = "PARTITION BY target, id ORDER BY layer DESC, file_row_number DESC"
    repeated = "SELECT * FROM rows WHERE hash(target, id) IN (FROM repeated)"
    return (
        f"WITH rows AS MATERIALIZED ({rows}), repeated AS MATERIALIZED "
        "(SELECT h FROM (SELECT hash(target, id) AS h FROM rows) GROUP BY h HAVING count(*) > 1) "
        "SELECT * FROM rows WHERE hash(target, id) NOT IN (FROM repeated) "
        f"UNION ALL SELECT * FROM ({repeated}) QUALIFY row_number() OVER ({order}) = 1"
    )


def stacked(
    engine: Engine, placed: Sequence[Placed], attributes: Mapping[str, str], *, carried: Sequence[str] = ()
) -> str:
    """SQL of the rows that count of many files, read as one: ``target``, ``layer``, ``id``, ``kind`` and the attributes."""
    files = list(dict.fromkeys(str(one.path) for one in placed))
    have = engine.parquet_columns(files)
    different = len({have[file] for file in files}) > 1
    named = {name for file in files for name in have[file]}
    cased = "coalesce(cased, TRUE) AS cased" if "cased" in named else "TRUE AS cased"
    picked = ["id", "kind", *(cased if name == "cased" else name for name in carried), "file_row_number"]
    for name, kind in attributes.items():
        column = ident(f"a:{name}")
        picked.append(column if f"a:{name}" in named else f"CAST(NULL AS {DUCK_TYPES[kind]}) AS {column}")
    listed = ", ".join(picked)
    if len(placed) == 1:
        (one,) = placed
        read = f"read_parquet({lit(files[0])}, file_row_number = true)"
        if one.file.rows >= _LARGE:
            listed = ", ".join(_constant(picked, engine.constants(files[0])))
        return f"SELECT {one.target} AS target, {one.layer} AS layer, {listed} FROM {read} WHERE {counted(one.file)}"
    table = ident(engine.table("layers"))
    rows = ", ".join(f"({lit(str(one.path))}, {one.target}, {one.layer})" for one in placed)
    engine.run(f"CREATE TEMP TABLE {table} (file VARCHAR, target INTEGER, layer INTEGER)")
    engine.run(f"INSERT INTO {table} VALUES {rows}")
    parts = {str(one.path): one.file for one in placed if one.file.ranges is not None}
    spans = " ".join(f"WHEN {lit(path)} THEN {counted(file)}" for path, file in parts.items())
    where = f" WHERE CASE filename {spans} ELSE TRUE END" if spans else ""
    read = f"read_parquet({lit_list(files)}, filename = true, file_row_number = true, union_by_name = {different})"
    return f"SELECT target, layer, {listed} FROM {read} AS f JOIN {table} AS l ON l.file = f.filename{where}"


def _constant(picked: Sequence[str], known: Mapping[str, str | None]) -> list[str]:
    """Columns that need not be read are named by their value: of most bases nearly all are the same for everybody."""
    types = {"kind": "VARCHAR", "cased": "BOOLEAN", "k": "UUID"}
    texts = {name: "NULL" if value is None else lit(value) for name, value in known.items() if name in types}
    out = {name: f"CAST({text} AS {types[name]}) AS {name}" for name, text in texts.items()}
    return [out.get(one.rpartition(" AS ")[2], one) for one in picked]


def counting(layers: Iterable[DataFile]) -> tuple[DataFile, ...]:
    """Those of which at least one row counts: Batch may have refused all rows of a file."""
    return tuple(layer for layer in layers if layer.ranges is None or layer.ranges)


def counted(layer: DataFile) -> str:
    """SQL condition over ``file_row_number``: the rows of a file that count.

    Of many spans rows are listed, those that count or those between them, whichever are fewer: a comparison each would
    take 20 KB of memory.
    """
    if layer.ranges is None:
        return "TRUE"
    spans = merged(layer.ranges)
    if len(spans) <= _LISTED:
        found = [f"file_row_number >= {start} AND file_row_number < {stop}" for start, stop in spans]
        return "(" + " OR ".join(found) + ")" if found else "FALSE"
    whole = ((spans[0][0], spans[-1][1]),)
    between = subtract(whole, spans)
    if size(spans) <= size(between):
        return f"file_row_number IN ({_listed(spans)})"
    ((start, stop),) = whole
    return f"(file_row_number >= {start} AND file_row_number < {stop} AND file_row_number NOT IN ({_listed(between)}))"


def _listed(spans: Ranges) -> str:
    """SQL of all rows of spans, read from two texts: a literal for each number is dear to parse."""
    starts, stops = (lit(str([span[end] for span in spans])) for end in (0, 1))
    pairs = f"SELECT unnest(CAST({starts} AS BIGINT[])) AS start, unnest(CAST({stops} AS BIGINT[])) AS stop"
    return f"SELECT unnest(range(start, stop)) FROM ({pairs})"


def _uncertain(engine: Engine, layers: Sequence[DataFile], path_of: Callable[[DataFile], Path]) -> str:
    """A flag per name rather than lists of names: everybody may be uncertain, and flags are grouped within the memory.

    Rows with a reason are refusals: Batch has answered them.
    """
    paths = [str(path_of(layer)) for layer in layers]
    have = engine.parquet_columns(paths)
    reads = [f"read_parquet({lit(path)}, file_row_number = true)" for path in paths]
    held = [f"SELECT unnest(held) FROM {read}" for path, read in zip(paths, reads, strict=True) if "held" in have[path]]
    named = {column[2:] for path in paths for column in have[path] if column.startswith("a:")}
    names = sorted(named | {str(name) for (name,) in (engine.rows(" UNION ".join(held)) if held else ())})
    parts = []
    for layer, path, read in zip(layers, paths, reads, strict=True):
        flags = "".join(f", {_may_hold(name, have[path])} AS {ident(f'n:{name}')}" for name in names)
        cut = "FALSE" if "reason" in have[path] else "TRUE"
        parts.append(f"SELECT id, {cut} AS cut{flags} FROM {read} WHERE {counted(layer)}")
    listed = ", ".join(f"CASE WHEN bool_or({ident(f'n:{name}')}) THEN {lit(name)} END" for name in names)
    found = f"list_filter([{listed}], lambda x: x IS NOT NULL)" if names else "CAST([] AS VARCHAR[])"
    table = ident(engine.table("uncertain"))
    rows = " UNION ALL ".join(parts)
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT id, bool_or(cut) AS cut, {found} AS names FROM ({rows}) GROUP BY id"
    )
    return table


def _may_hold(name: str, columns: Collection[str]) -> str:
    """SQL that is true for rows of a delta file after which Batch may hold the attribute."""
    told = f"{PRESENT} AND {ident(f'a:{name}')} IS NOT NULL" if f"a:{name}" in columns else "FALSE"
    # What a put leaves out went with its reset, which is a row of its own and APPLIED before the put is sent.
    held = f"coalesce(list_contains(held, {lit(name)}), FALSE)" if "held" in columns else "FALSE"
    return f"({told} OR kind <> 'put' AND {held})"


def fold(
    engine: Engine,
    layers: Sequence[DataFile],
    *,
    attributes: dict[str, str],
    path_of: Callable[[DataFile], Path],
    to: Path,
) -> int:
    """Compaction: writes everything told as one new base file; rows written, and no file where no row counts.

    It has no ``held``: nothing of it is uncertain but its own values, and to write empty lists takes an eighth of the time.
    """
    known = told(engine, layers, (), attributes=attributes, path_of=path_of)
    if known.told is None:
        return 0
    values = "".join(f", {ident(f'a:{name}')}" for name in sorted(attributes))
    return engine.copy(
        f"SELECT id, CASE WHEN cased THEN id <> lower(id) ELSE FALSE END AS cased, {kind_of(ADD)}, k{values} "
        f"FROM {known.told}",
        to,
        group=group_of(engine, known.told, attributes),
    )
