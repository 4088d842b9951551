"""A catalogue as tables: the typed rows users' SQL sees, and inside it the row numbers and "not of its type" flags.

Two phases, because users' SQL may only run once the engine is locked: `find` registers files and databases, `open`
makes the tables. Work is done once per catalogue however many links read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from reconciler.data.candidates import repeated
from reconciler.data.declared import GRAPH, ROWS, SUPPRESSED, lacking, sources_of
from reconciler.data.engine import Engine
from reconciler.data.source import Relation, SourceMissing, finish_query, open_source
from reconciler.data.sql import Person, ident, lit
from reconciler.data.stamp import Stamps
from reconciler.data.values import typed
from reconciler.errors import SourceError
from reconciler.spec import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Phase one: every source of a catalogue is registered, nothing has been read from databases yet."""

    spec: Catalogue
    rows: Relation
    graph: Relation | None
    suppressed: Relation | None

    @property
    def relations(self) -> tuple[Relation, ...]:
        """All sources."""
        return tuple(r for r in (self.rows, self.graph, self.suppressed) if r is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One source as a view: its typed fields, and per field the flag column that says "not of its type"."""

    view: str
    """Quoted name of the inner view: typed fields, `#row`, and a flag column ``!field`` for each field in `flags`."""
    flags: frozenset[str]
    malformed: str | None
    """A table (row, why) of rows that are not even rows; None when there is none."""

    def broken(self, engine: Engine) -> int:
        """How many rows are not even rows."""
        return engine.count(f"SELECT count(*) FROM {self.malformed}") if self.malformed else 0


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Phase two: a catalogue that can be evaluated."""

    spec: Catalogue
    engine: Engine
    table: str
    rows: Sheet
    graph: Sheet | None
    suppressed: Sheet | None
    files: tuple[Path, ...]
    stamps: Stamps = field(default_factory=dict)
    read_later: Stamps = field(default_factory=dict)
    """Of `stamps`, files that are read again and again, and have to stay what they were."""
    newest: float | None = None
    _made: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key column, quoted."""
        return ident(self.spec.key)

    @cached_property
    def source_rows(self) -> int:
        """Rows of the source, malformed ones included."""
        return self.engine.count(f"SELECT count(*) FROM {self.rows.view}") + self.rows.broken(self.engine)

    @cached_property
    def broken(self) -> tuple[int, int]:
        """How many rows of the source are not even rows, and how many rows it has."""
        return self.rows.broken(self.engine), self.source_rows

    @cached_property
    def graph_broken(self) -> tuple[int, int]:
        """Rows of the identity graph whose person cannot be read, and how many rows it has."""
        if self.graph is None or not self.graph_unreadable:
            return 0, 1
        rows = self.engine.count(f"SELECT count(*) FROM {self.graph.view}")
        return self.graph_unreadable, rows + self.graph.broken(self.engine)

    @cached_property
    def suppressed_rows(self) -> int:
        """Rows of the suppression list."""
        return self.engine.count(f"SELECT count(*) FROM {self.suppressed.view}") if self.suppressed else 0

    @cached_property
    def doubled(self) -> str:
        """A table of the keys that more than one row claims: those people cannot be trusted this time."""
        return repeated(self.engine, self.key, self.rows.view)

    @cached_property
    def doubles(self) -> int:
        """How many people more than one row claims."""
        return self.engine.count(f"SELECT count(*) FROM {self.doubled}")

    def eligible(self, alias: str) -> str:
        """SQL condition over the inner view under `alias`: consent given and not suppressed."""
        terms = [f"{alias}.{ident(self.spec.consent)} IS TRUE"] if self.spec.consent else []
        if self.suppressed and self.spec.suppress:
            listed = f"SELECT {ident(self.spec.suppress.key)} FROM {self.suppressed.view}"
            terms.append(f"coalesce({alias}.{self.key} NOT IN ({listed}), TRUE)")
        return " AND ".join(terms) or "TRUE"

    @cached_property
    def unreadable(self) -> int:
        """Rows whose key cannot be read: they may be anybody's."""
        return self.rows.broken(self.engine) + self.engine.count(
            f"SELECT count(*) FROM {self.rows.view} WHERE {self.key} IS NULL"
        )

    @cached_property
    def consent_unread(self) -> int:
        """Rows whose consent cannot be read."""
        name = self.spec.consent
        if name is None or name not in self.rows.flags:
            return 0
        return self.engine.count(f"SELECT count(*) FROM {self.rows.view} WHERE {ident(f'!{name}')}")

    @cached_property
    def graph_unreadable(self) -> int:
        """Rows of the identity graph whose person cannot be read. A device without a person is no fault."""
        if self.graph is None or self.spec.identity_graph is None:
            return 0
        key = self.spec.identity_graph.key
        wrong = f"SELECT count(*) FROM {self.graph.view} WHERE {ident(f'!{key}')}"
        return self.graph.broken(self.engine) + (self.engine.count(wrong) if key in self.graph.flags else 0)

    def withheld_keys(self, person: Person) -> str | None:
        """SQL of the withheld people, those on the suppression list included; read once."""
        if not self.withholds:
            return None
        parts = [f"SELECT {person(f'c.{self.key}')} AS k FROM {self.rows.view} AS c WHERE NOT ({self.eligible('c')})"]
        if self.suppressed and self.spec.suppress:
            listed = ident(self.spec.suppress.key)
            parts.append(f"SELECT {person(listed)} AS k FROM {self.suppressed.view} WHERE {listed} IS NOT NULL")
        return self._once("withheld", " UNION ALL ".join(parts))

    def keys(self, person: Person) -> str:
        """SQL of all people whose key can be read; read once."""
        return self._once("keys", f"SELECT {person(self.key)} AS k FROM {self.rows.view} WHERE {self.key} IS NOT NULL")

    def _once(self, stem: str, query: str) -> str:
        if query not in self._made:
            self._made[query] = ident(self.engine.table(stem, lasting=True))
            self.engine.run(f"CREATE TEMP TABLE {self._made[query]} AS {query}")
        return f"SELECT k FROM {self._made[query]}"

    @property
    def withholds(self) -> bool:
        """Whether anybody can be withheld at all."""
        return bool(self.spec.consent or self.suppressed)

    @cached_property
    def age(self) -> float | None:
        """Age of the data in seconds at the run's now; None when the catalogue declares no freshness."""
        rule = self.spec.freshness
        if rule is None:
            return None
        now = self.engine.now.timestamp()
        if rule.field is None:
            return None if self.newest is None else max(0.0, now - self.newest)
        newest = self.engine.row(f"SELECT epoch(CAST(max({ident(rule.field)}) AS TIMESTAMP)) FROM {self.rows.view}")[0]
        return float("inf") if newest is None else max(0.0, now - float(str(newest)))


def find(engine: Engine, spec: Catalogue, *, root: Path, roots: Sequence[Path]) -> Found:
    """Registers every source of a catalogue; raises SourceMissing or SourceError."""
    opened = {}
    for at, source in sources_of(spec).items():
        try:
            opened[at] = open_source(engine, source, root=root, roots=roots)
        except SourceMissing as error:
            raise error.below(*at) from None
    return Found(spec=spec, rows=opened[ROWS], graph=opened.get(GRAPH), suppressed=opened.get(SUPPRESSED))


def _ready(engine: Engine, spec: Catalogue, at: tuple[str, ...], relation: Relation) -> Relation:
    """The relation with its query run; raises SourceMissing, at its place, for the first column it lacks."""
    try:
        relation = finish_query(engine, relation)
    except SourceMissing as error:
        raise error.below(*at) from None
    wrong = lacking(spec, at, relation.columns)
    if wrong:
        raise wrong[0]
    return relation


def open_catalogue(engine: Engine, found: Found) -> Opened:
    """Makes the tables of a catalogue; the engine is locked by now."""
    spec = found.spec
    fields = {name: str(kind) for name, kind in spec.fields.items()}
    table = spec.name.replace("-", "_")
    rows = _sheet(engine, _ready(engine, spec, ROWS, found.rows), fields, f"#{table}", key=spec.key)
    engine.run(f"CREATE TEMP VIEW {ident(table)} AS SELECT {', '.join(map(ident, fields))} FROM {rows.view}")
    graph = suppressed = None
    if found.graph is not None and spec.identity_graph is not None:
        kinds = {
            spec.identity_graph.key: fields[spec.key],
            **{n: str(k) for n, k in spec.identity_graph.fields.items()},
        }
        graph = _sheet(
            engine,
            _ready(engine, spec, GRAPH, found.graph),
            kinds,
            f"#{table}_identities",
            key=spec.identity_graph.key,
        )
        view = ident(f"{table}_identities")
        engine.run(f"CREATE TEMP VIEW {view} AS SELECT {', '.join(map(ident, kinds))} FROM {graph.view}")
    if found.suppressed is not None and spec.suppress is not None:
        kinds = {spec.suppress.key: fields[spec.key]}
        suppressed = _sheet(
            engine,
            _ready(engine, spec, SUPPRESSED, found.suppressed),
            kinds,
            f"#{table}_suppressed",
            key=spec.suppress.key,
        )
        _readable(engine, suppressed, spec)
    return Opened(
        spec=spec,
        engine=engine,
        table=table,
        rows=rows,
        graph=graph,
        suppressed=suppressed,
        files=tuple(path for relation in found.relations for path in relation.files),
        stamps={path: stamp for relation in found.relations for path, stamp in relation.stamps.items()},
        read_later={path: stamp for relation in found.relations for path, stamp in relation.read_later.items()},
        newest=found.rows.newest,
    )


def _readable(engine: Engine, sheet: Sheet, spec: Catalogue) -> None:
    """A suppression list with a row that cannot be read would let a suppressed person through: refused."""
    assert spec.suppress is not None
    bad = engine.count(f"SELECT count(*) FROM {sheet.view} WHERE {ident(spec.suppress.key)} IS NULL")
    bad += sheet.broken(engine)
    if bad:
        raise SourceError(
            f"the suppression list of catalogue {spec.name} has {bad} unreadable rows",
            why=f"they are not {spec.fields[spec.key]} keys, so the people they mean cannot be found",
            fix="correct the list; nothing was sent",
        )


def _may_be_blank(engine: Engine, relation: Relation, text: str) -> bool:
    """Whether a text may be blank. Statistics of the file answer for keys that all start with a printable character."""
    low = f"SELECT 1 FROM {relation.sql} WHERE {text} < '!' LIMIT 1"
    return relation.imported or engine.count(f"SELECT count(*) FROM ({low})") > 0


def _sheet(engine: Engine, relation: Relation, fields: dict[str, str], name: str, *, key: str) -> Sheet:
    """The source as a view named `name`; a blank `key` is no key."""
    values = {field: typed(ident(field), relation.columns[field], kind) for field, kind in fields.items()}
    text = values[key].value
    if fields[key] == "string" and _may_be_blank(engine, relation, text):
        values[key] = replace(values[key], value=f"CASE WHEN trim({text}) <> '' THEN {text} END")
    picked = [f"{value.value} AS {ident(field)}" for field, value in values.items()]
    flagged = {field: value for field, value in values.items() if value.checked}
    picked += [f"coalesce({value.bad}, FALSE) AS {ident(f'!{field}')}" for field, value in flagged.items()]
    query = f'SELECT {", ".join(picked)}, {relation.row} AS "#row" FROM {relation.sql}'
    if relation.imported:  # text is parsed once, not once per pass
        target = engine.path("typed")
        engine.copy(query, target)
        query = f"SELECT * FROM read_parquet({lit(str(target))})"
    engine.run(f"CREATE TEMP VIEW {ident(name)} AS {query}")
    return Sheet(view=ident(name), flags=frozenset(flagged), malformed=relation.malformed)
