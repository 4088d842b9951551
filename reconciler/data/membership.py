"""Target → relations of who belongs to it, who must never be in it, and whose row cannot be trusted. SQL text only.

Relations of one link (columns):

* *rows*: ``key``, ``id`` (as compared and sent), ``fault`` (why the row cannot be trusted, NULL when it can), ``row``,
  and per attribute ``a:<name>`` (value, NULL = none) and ``r:<name>`` (why the stored value is not usable);
* *withheld*: ``key``, ``id`` of people without consent or suppressed, whichever segment they are in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from reconciler.address import IdType
from reconciler.data import checks
from reconciler.data.catalogue import Opened
from reconciler.data.sql import disjunction, ident, key_hash, lit
from reconciler.data.sqlguard import Checked, Rejected, check_expression, check_select
from reconciler.data.transforms import transformed
from reconciler.data.values import typed
from reconciler.errors import SourceError
from reconciler.link import Link, LinkAttribute

DOUBLED = "key on more than one row"


@dataclass(frozen=True, kw_only=True)
class Members:
    """One link, ready to be evaluated on its opened catalogue."""

    link: Link
    opened: Opened

    @property
    def engine_table(self) -> str:
        """The name users' SQL knows the rows by."""
        return ident(self.opened.table)

    @cached_property
    def checked(self) -> Checked:
        """The segment's SQL after the parser's check; raises SourceError when it may not run."""
        spec, segment = self.opened.spec, self.link.segment
        tables = [self.opened.table, *([f"{self.opened.table}_identities"] if self.opened.graph else [])]
        if segment.where is not None:
            found = check_expression(segment.where, tables=tables, fields=list(spec.fields))
        else:
            found = check_select(segment.query or "", tables=tables, fields=list(spec.fields))
        if isinstance(found, Rejected):
            raise SourceError(f"segment {segment.name}: {found.what}", why=found.why, fix=found.fix)
        return found

    @cached_property
    def selected(self) -> str:
        """SQL condition over the rows: in the segment."""
        if self.link.segment.where is not None:
            return f"coalesce(({self.link.segment.where}\n), FALSE)"
        return f"{self.engine_table}.{self.opened.key} IN (SELECT key FROM {self.asked})"

    @cached_property
    def asked(self) -> str:
        """A table of the distinct keys a `query` segment returned."""
        engine, segment = self.opened.engine, self.link.segment
        columns = dict(engine.columns(f"SELECT * FROM (\n{segment.query}\n)"))
        if self.opened.spec.key in columns:
            column = self.opened.spec.key
        elif len(columns) == 1:
            (column,) = columns
        else:
            raise SourceError(
                f"segment {segment.name}: its query does not return {self.opened.spec.key}",
                why=f"it returns {', '.join(columns)}",
                fix=f"SELECT {self.opened.spec.key} FROM …",
            )
        name = ident(engine.table("asked"))
        key = typed(ident(column), columns[column], str(self.opened.spec.fields[self.opened.spec.key])).value
        engine.run(
            f"CREATE TEMP TABLE {name} AS SELECT DISTINCT {key} AS key "
            f"FROM (\n{segment.query}\n) WHERE {ident(column)} IS NOT NULL"
        )
        return name

    @property
    def unknown_keys(self) -> str | None:
        """SQL of keys a `query` segment returned that are not in the catalogue."""
        if self.link.segment.where is not None:
            return None
        rows = f"SELECT 1 FROM {self.opened.rows.view} AS c WHERE c.{self.opened.key} = asked.key"
        return f"SELECT key FROM {self.asked} AS asked WHERE NOT EXISTS ({rows})"

    @cached_property
    def own_fields(self) -> tuple[str, ...]:
        """Identifier fields on the person's own row."""
        return tuple(name for name in self.link.id_fields if name in self.opened.spec.fields)

    @cached_property
    def graph_fields(self) -> tuple[str, ...]:
        """Identifier fields of the identity graph; empty without `id_extension`."""
        graph = self.opened.spec.identity_graph
        if graph is None or not self.link.action.id_extension:
            return ()
        return tuple(name for name in self.link.id_fields if name in graph.fields)

    @cached_property
    def rows(self) -> str:
        """The *rows* relation."""
        names = [ident(f"{mark}:{a.name}") for a in self.link.attributes for mark in "ar"]
        carried = ", ".join(f"base.{name}" for name in ["key", '"row"', *names])
        ids = _ids([f"i{n}" for n in range(len(self.own_fields))], self.link.id_type)
        parts = [f"SELECT {carried}, base.fault, {ids} AS id FROM base"] if self.own_fields else []
        if self.graph_fields and self.opened.graph:
            graph = self.opened.spec.identity_graph
            assert graph is not None
            ids = _ids([f"graph.{ident(name)}" for name in self.graph_fields], self.link.id_type)
            joined = f"FROM base JOIN {self.opened.graph.view} AS graph ON graph.{ident(graph.key)} = base.key"
            bad = [name for name in self.graph_fields if name in self.opened.graph.flags]
            whens = [f"WHEN graph.{ident(f'!{n}')} THEN {lit(f'{n}: not a value of type string')}" for n in bad]
            fault = f"coalesce(base.fault, CASE {' '.join(whens)} END)" if whens else "base.fault"
            parts.append(f"SELECT {carried}, {fault} AS fault, {ids} AS id {joined}")
        union = " UNION ALL ".join(parts)
        return f"(WITH base AS ({self._base()}) SELECT * FROM ({union}) WHERE id IS NOT NULL OR fault IS NOT NULL)"

    def _base(self) -> str:
        alias = self.engine_table
        faults = [
            (f"{alias}.{ident(f'!{name}')}", f"{name}: not a value of type {self.opened.spec.fields[name]}")
            for name in self.deciding
            if name in self.opened.rows.flags
        ]
        flagged = disjunction(test for test, _ in faults)
        faults.append((f"{alias}.{self.opened.key} IS NULL", f"{self.opened.spec.key}: no key"))
        if self.opened.doubles:
            faults.append((f"{alias}.{self.opened.key} IN (SELECT key FROM {self.opened.doubled})", DOUBLED))
        fault = "CASE " + " ".join(f"WHEN {test} THEN {lit(why)}" for test, why in faults) + " END"
        values = [(a, self._value(a)) for a in self.link.attributes]
        picked = [f"{alias}.{self.opened.key} AS key", f"{fault} AS fault", f'{alias}."#row" AS "row"']
        picked += [f"{alias}.{ident(name)} AS i{n}" for n, name in enumerate(self.own_fields)]
        picked += [f"{value.value} AS {ident(f'a:{a.name}')}" for a, value in values]
        picked += [f"{value.reason} AS {ident(f'r:{a.name}')}" for a, value in values]
        chosen = self.selected if flagged == "FALSE" else f"({self.selected} OR {flagged})"
        return (
            f"SELECT {', '.join(picked)} FROM {self.opened.rows.view} AS {alias}{self._graph_values()} "
            f"WHERE {self.opened.eligible(alias)} AND {chosen}"
        )

    @cached_property
    def deciding(self) -> tuple[str, ...]:
        """Fields a person's membership or identifiers depend on: a bad value there makes the row untrusted."""
        fields = list(self.opened.spec.fields)
        chosen = set(fields) if self.checked.everything else set(self.checked.fields)
        return tuple(name for name in fields if name in chosen | set(self.own_fields) | {self.opened.spec.key})

    def _graph_only(self) -> list[str]:
        return sorted({a.field for a in self.link.attributes if a.field not in self.opened.spec.fields})

    def _graph_values(self) -> str:
        """Attribute values only the identity graph has: the smallest one of a person, joined to the row."""
        only, graph = self._graph_only(), self.opened.spec.identity_graph
        if not only or graph is None or self.opened.graph is None:
            return ""
        smallest = ", ".join(f"min({ident(name)}) AS {ident(name)}" for name in only)
        smallest += "".join(
            f", bool_or({ident(f'!{n}')}) AS {ident(f'!{n}')}" for n in only if n in self.opened.graph.flags
        )
        grouped = f'SELECT {ident(graph.key)} AS "#key", {smallest} FROM {self.opened.graph.view} GROUP BY 1'
        return f' LEFT JOIN ({grouped}) AS extended ON extended."#key" = {self.engine_table}.{self.opened.key}'

    def _value(self, wanted: LinkAttribute) -> checks.Value:
        fields, graph = self.opened.spec.fields, self.opened.spec.identity_graph
        if wanted.field in fields:
            sheet, alias, kind = self.opened.rows, self.engine_table, str(fields[wanted.field])
        else:
            assert graph is not None
            assert self.opened.graph is not None
            sheet, alias, kind = self.opened.graph, "extended", str(graph.fields[wanted.field])
        column = f"{alias}.{ident(wanted.field)}"
        bad = f"{alias}.{ident(f'!{wanted.field}')}" if wanted.field in sheet.flags else "FALSE"
        steps = None
        if wanted.transforms:
            text = column if kind in ("string", "url") else f"CAST({column} AS VARCHAR)"
            steps = transformed(text, wanted.transforms)
        key = self.link.target
        limits = checks.limits_of(key.space, profiles=key.is_profiles, tags=wanted.name == "$tags")
        return checks.attribute(column, bad, kind, wanted, limits, steps)

    @property
    def consent_unread(self) -> str | None:
        """SQL of (key, row) of people of the segment whose consent cannot be read: they have none, and it is said."""
        name = self.opened.spec.consent
        if name is None or name not in self.opened.rows.flags:
            return None
        alias = self.engine_table
        return (
            f'SELECT {alias}.{self.opened.key} AS key, {alias}."#row" AS "row" FROM {self.opened.rows.view} AS {alias} '
            f"WHERE {alias}.{ident(f'!{name}')} AND {self.selected}"
        )

    @property
    def extended_keys(self) -> str | None:
        """SQL of key hashes of the segment's people when rows of the identity graph cannot be read: what the graph no
        longer lists of them may stand on one of those rows."""
        if not self.graph_fields or not self.opened.graph_unreadable:
            return None
        alias = self.engine_table
        chosen = f"{self.opened.eligible(alias)} AND {self.selected}"
        return f"SELECT {key_hash(f'{alias}.{self.opened.key}')} FROM {self.opened.rows.view} AS {alias} WHERE {chosen}"

    @cached_property
    def withheld(self) -> str | None:
        """The *withheld* relation, None when nobody can be withheld."""
        if not self.opened.withholds:
            return None
        c, key = "c", self.opened.key
        barred = f"NOT ({self.opened.eligible(c)})"
        rows = f"{self.opened.rows.view} AS {c}"
        parts = []
        if self.own_fields:
            ids = _ids([f"c.{ident(name)}" for name in self.own_fields], self.link.id_type)
            parts.append(f"SELECT c.{key} AS key, {ids} AS id FROM {rows} WHERE {barred}")
        graph = self.opened.spec.identity_graph
        if self.graph_fields and self.opened.graph and graph:
            ids = _ids([f"graph.{ident(name)}" for name in self.graph_fields], self.link.id_type)
            keys = f"SELECT c.{key} FROM {rows} WHERE {barred}"
            if self.opened.suppressed and self.opened.spec.suppress:
                keys += f" UNION ALL SELECT {ident(self.opened.spec.suppress.key)} FROM {self.opened.suppressed.view}"
            found = f"{self.opened.graph.view} AS graph WHERE graph.{ident(graph.key)} IN ({keys})"
            parts.append(f"SELECT graph.{ident(graph.key)} AS key, {ids} AS id FROM {found}")
        return f"(SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE id IS NOT NULL)"

    @cached_property
    def withheld_keys(self) -> str | None:
        """SQL of the key hashes of withheld people, those on the suppression list included."""
        if not self.opened.withholds:
            return None
        barred = f"NOT ({self.opened.eligible('c')})"
        parts = [f"SELECT {key_hash(f'c.{self.opened.key}')} AS k FROM {self.opened.rows.view} AS c WHERE {barred}"]
        if self.opened.suppressed and self.opened.spec.suppress:
            listed = ident(self.opened.spec.suppress.key)
            parts.append(
                f"SELECT {key_hash(listed)} AS k FROM {self.opened.suppressed.view} WHERE {listed} IS NOT NULL"
            )
        return " UNION ALL ".join(parts)


def _ids(columns: list[str], id_type: IdType) -> str:
    values = [checks.identifier(column, id_type) for column in columns]
    return values[0] if len(values) == 1 else f"unnest([{', '.join(values)}])"
