"""How a mapping sends the people of a catalogue: identifiers, attributes, who is withheld. SQL text, and tables to share.

Relation *people* has the catalogue's `fields` with their ``!field`` flags under their own names, and ``#row``, ``#id``
(as compared and sent), ``#doubled``, ``#wrong`` (why the identity graph's row cannot be trusted) and per attribute
``a:<name>`` (value, NULL = none) and ``r:<name>`` (why the stored value is not usable); only people with consent who are
not suppressed. Relation *withheld* has ``key`` and ``id`` of all others. Links that map alike share both, made once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from reconciler.address import IdType
from reconciler.data import checks
from reconciler.data.catalogue import Opened
from reconciler.data.sql import ident, lit
from reconciler.data.transforms import transformed
from reconciler.link import Link, LinkAttribute


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """One mapping on one opened catalogue, as `link` and all links that map alike use it."""

    link: Link
    opened: Opened
    fields: frozenset[str] | None = None
    """Fields that the links sharing it decide by; None while only one link maps so: nothing is written for it."""

    @property
    def engine_table(self) -> str:
        """The name users' SQL knows the rows by."""
        return ident(self.opened.table)

    @property
    def alike(self) -> tuple[str, ...]:
        """What two links must have in common to share it."""
        target, listed = self.link.target, [repr(a) for a in self.link.attributes]
        how = [self.opened.spec.name, self.link.id_type, str(target.space), str(target.is_profiles)]
        return (*how, *self.own_fields, "#", *self.graph_fields, "#", *listed)

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
    def shared(self) -> str:
        """The *people* relation made once, with ``#barred``: somebody who is withheld has the identifier too."""
        assert self.fields is not None
        withheld = self.withheld
        barred = f'coalesce("#id" IN (SELECT id FROM {withheld}), FALSE)' if withheld else "FALSE"
        file = self.opened.engine.path("people")
        people = self.people(self.fields, "TRUE", doubled=self.opened.doubles > 0)
        self.opened.engine.copy(f'SELECT *, {barred} AS "#barred" FROM {people}', file)
        return f"read_parquet({lit(str(file))})"

    @cached_property
    def withheld(self) -> str | None:
        """The *withheld* relation, None when nobody can be withheld."""
        found = self._withheld()
        if found is None or self.fields is None:
            return found
        name = ident(self.opened.engine.table("withheld", lasting=True))
        self.opened.engine.run(f"CREATE TEMP TABLE {name} AS SELECT DISTINCT * FROM {found}")
        return name

    def own(self, condition: str) -> str:
        """Relation (key, id) of the identifiers on the rows, with a key, that meet a condition; whoever they are."""
        alias, key = self.engine_table, self.opened.key
        ids = _ids([f"{alias}.{ident(name)}" for name in self.own_fields], self.link.id_type)
        rows = f"{self.opened.rows.view} AS {alias} WHERE {alias}.{key} IS NOT NULL AND {condition}"
        return f"(SELECT {alias}.{key} AS key, {ids} AS id FROM {rows})"

    @property
    def plain(self) -> bool:
        """Whether everybody has one identifier, on their own row."""
        return len(self.own_fields) == 1 and not self.graph_fields

    def people(
        self,
        fields: Collection[str],
        condition: str,
        *,
        doubled: bool,
        everyone: bool = False,
        test: Callable[[str], str] | None = None,
    ) -> str:
        """The *people* relation of the rows that meet a condition over the catalogue's table; `doubled`: with ``#doubled``.

        `everyone`: all other rows too, without attributes; ``#outside`` tells them. `test`: only those whose identifier
        passes it, where links are `plain`; nothing is computed of the others.
        """
        base, names = self._base(fields, condition, doubled=doubled, everyone=everyone)
        if test is not None:
            ids = _ids([f"{self.engine_table}.{ident(self.own_fields[0])}"], self.link.id_type)
            base += f" {'WHERE' if everyone else 'AND'} {test(ids)}"
        carried = ", ".join(f"base.{name}" for name in names)
        ids = _ids([f'base."#i{n}"' for n in range(len(self.own_fields))], self.link.id_type)
        parts = [f'SELECT {carried}, CAST(NULL AS VARCHAR) AS "#wrong", {ids} AS "#id" FROM base']
        if not self.own_fields:
            parts = []
        graph = self.opened.spec.identity_graph
        if self.graph_fields and self.opened.graph and graph:
            ids = _ids([f"graph.{ident(name)}" for name in self.graph_fields], self.link.id_type)
            joined = (
                f"FROM base JOIN {self.opened.graph.view} AS graph ON graph.{ident(graph.key)} = base.{self.opened.key}"
            )
            bad = [name for name in self.graph_fields if name in self.opened.graph.flags]
            whens = [f"WHEN graph.{ident(f'!{n}')} THEN {lit(f'{n}: not a value of type string')}" for n in bad]
            wrong = f"CASE {' '.join(whens)} END" if whens else "CAST(NULL AS VARCHAR)"
            parts.append(f'SELECT {carried}, {wrong} AS "#wrong", {ids} AS "#id" {joined}')
        return f"(WITH base AS ({base}) {' UNION ALL '.join(parts)})"

    def _base(self, fields: Collection[str], condition: str, *, doubled: bool, everyone: bool) -> tuple[str, list[str]]:
        """SQL of one row per row of the catalogue, and the columns to be carried on."""
        alias, rows = self.engine_table, self.opened.rows
        named = [name for name in self.opened.spec.fields if name in {*fields, self.opened.spec.key}]
        picked = [(f"{alias}.{ident(name)}", ident(name)) for name in named]
        picked += [(f"{alias}.{ident(f'!{name}')}", ident(f"!{name}")) for name in named if name in rows.flags]
        picked.append((f'{alias}."#row"', '"#row"'))
        if doubled:
            repeated = f"coalesce({alias}.{self.opened.key} IN (SELECT key FROM {self.opened.doubled}), FALSE)"
            picked.append((repeated, '"#doubled"'))
        for one in self.link.attributes:
            value = self._value(one)
            for text, column in ((value.value, f"a:{one.name}"), (value.reason, f"r:{one.name}")):
                guarded = f'CASE WHEN NOT {alias}."#outside" THEN {text} END' if everyone else text
                picked.append((guarded, ident(column)))
        if everyone:
            picked.append((f'{alias}."#outside"', '"#outside"'))
        names = [name for _, name in picked]
        picked += [(f"{alias}.{ident(name)}", f'"#i{n}"') for n, name in enumerate(self.own_fields)]
        listed = ", ".join(f"{value} AS {name}" for value, name in picked)
        chosen = f"{self.opened.eligible(alias)} AND ({condition})"
        if everyone:
            flagged = f'SELECT *, NOT coalesce({chosen}, FALSE) AS "#outside" FROM {rows.view} AS {alias}'
            return f"SELECT {listed} FROM ({flagged}) AS {alias}{self._graph_values()}", names
        return f"SELECT {listed} FROM {rows.view} AS {alias}{self._graph_values()} WHERE {chosen}", names

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

    def _withheld(self) -> str | None:
        if not self.opened.withholds:
            return None
        key, rows = self.opened.key, f"{self.opened.rows.view} AS c"
        barred = f"NOT ({self.opened.eligible('c')})"
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
        return self._spelled(f"(SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE id IS NOT NULL)")

    @property
    def spelled(self) -> bool:
        """Whether one identifier may be written in several ways."""
        return self.link.id_type in (IdType.ADVERTISING, IdType.INSTALL)

    def _spelled(self, withheld: str) -> str:
        """The relation in every spelling of its UUIDs that anybody has: lower case, upper case, and mixtures on the rows.

        Devices show one advertising or install ID in either case: who withholds it in one withholds it in all.
        """
        if not self.spelled:
            return withheld
        uuid = checks.is_uuid("id")
        spelled = f"SELECT key, unnest(CASE WHEN {uuid} THEN [id, lower(id), upper(id)] ELSE [id] END) AS id FROM w"
        places = [(self.opened.rows, self.own_fields)]
        places += [(self.opened.graph, self.graph_fields)] if self.opened.graph else []
        for sheet, fields in places:
            if not fields:
                continue
            ids = _ids([ident(name) for name in fields], self.link.id_type)
            mixed = f"id <> lower(id) AND id <> upper(id) AND {uuid} AND lower(id) IN (SELECT lower(id) FROM w)"
            spelled += f" UNION ALL SELECT NULL, id FROM (SELECT {ids} AS id FROM {sheet.view}) WHERE {mixed}"
        return f"(WITH w AS MATERIALIZED {withheld} {spelled})"


def _ids(columns: list[str], id_type: IdType) -> str:
    values = [checks.identifier(column, id_type) for column in columns]
    return values[0] if len(values) == 1 else f"unnest([{', '.join(values)}])"
