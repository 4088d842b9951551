"""Target → relations of who belongs to it, and whose row cannot be trusted. SQL text only.

Relation *rows* of one link has the columns ``key``, ``id`` (as compared and sent), ``fault`` (why the row cannot be
trusted, NULL when it can), ``faulty`` (whether it has one), ``row``, and per attribute ``a:<name>`` and ``r:<name>`` as in `mapped`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from reconciler.address import IdType
from reconciler.data.catalogue import Opened
from reconciler.data.mapped import Mapped
from reconciler.data.plainsql import plain_fields, plain_query
from reconciler.data.sql import Person, disjunction, ident, lit
from reconciler.data.sqlguard import Checked, Rejected, check_expression, check_select
from reconciler.data.values import typed
from reconciler.errors import SourceError
from reconciler.link import Link

DOUBLED = "key on more than one row"
Test = Callable[[str], str]
"""SQL of an identifier → SQL that is true for those wanted."""


@dataclass(frozen=True, kw_only=True)
class Members:
    """One link, ready to be evaluated on its opened catalogue."""

    link: Link
    opened: Opened
    mapped: Mapped

    @property
    def engine_table(self) -> str:
        """The name users' SQL knows the rows by."""
        return ident(self.opened.table)

    @cached_property
    def condition(self) -> str | None:
        """The segment as a condition over the catalogue's rows; None when only a query says who is in it."""
        segment, opened = self.link.segment, self.opened
        if segment.where is not None:
            return segment.where
        plain = plain_query(segment.query or "", opened.table, opened.spec.key)
        if plain is None or plain_fields(plain, opened.spec.fields) is None or opened.doubles or opened.unreadable:
            return None
        return plain

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
        if self.condition is not None:
            return f"coalesce(({self.condition}\n), FALSE)"
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
        if self.condition is not None:
            return None
        rows = f"SELECT 1 FROM {self.opened.rows.view} AS c WHERE c.{self.opened.key} = asked.key"
        return f"SELECT key FROM {self.asked} AS asked WHERE NOT EXISTS ({rows})"

    @property
    def rows(self) -> str:
        """The *rows* relation."""
        return self._rows(doubled=self.opened.doubles > 0)

    @property
    def unpaired(self) -> str:
        """The *rows* relation without a look at keys on more than one row; only for links whose people are not shared."""
        return self._rows(doubled=False)

    @property
    def everyone(self) -> str:
        """The *unpaired* relation with ``outside``, and the catalogue's other rows (key, id), for which that is true."""
        return self._rows(doubled=False, everyone=True)

    @property
    def keyed(self) -> bool:
        """Whether the key is the identifier: then whoever compares identifiers meets every key on more than one row."""
        mapped = self.mapped
        own = mapped.fields is None and mapped.own_fields == (self.opened.spec.key,) and not mapped.graph_fields
        return own and self.link.id_type is not IdType.EMAIL

    @property
    def outside(self) -> str:
        """Relation (key, id) of the catalogue's rows with a key that are not in *rows*, for links that are `keyed`."""
        return self.mapped.own(f"NOT ({self.opened.eligible(self.engine_table)} AND {self.chosen})")

    def barred(self, *, keyed: bool) -> str | None:
        """Relation (key, id): whoever has one of these identifiers has to be looked at exactly, besides those `outside`
        where links are compared as `keyed`."""
        return self.withheld if not keyed or self.mapped.spelled else None

    def compared(self, *, keyed: bool, test: Test | None = None) -> str:
        """What is compared with what was told: *everyone* where links are compared as `keyed`, else *rows*; only those
        whose identifier passes the `test`."""
        return self._rows(doubled=not keyed and self.opened.doubles > 0, everyone=keyed, test=test)

    def _rows(self, *, doubled: bool, everyone: bool = False, test: Test | None = None) -> str:
        mapped, chosen = self.mapped, self.chosen
        source = mapped.shared if mapped.fields is not None else ""
        early = test if not source and mapped.plain else None
        source = source or mapped.people(self.deciding, chosen, doubled=doubled, everyone=everyone, test=early)
        values = "".join(f", {ident(f'{mark}:{a.name}')}" for a in self.link.attributes for mark in "ar")
        where = f" WHERE {chosen}" if mapped.fields is not None else ""
        fault, faulty = self.fault(doubled=doubled), self._faulty(doubled=doubled)
        if everyone:
            fault, values = f'CASE WHEN NOT "#outside" THEN {fault} END', f'{values}, "#outside" AS outside'
            faulty = f'NOT "#outside" AND {faulty}'
        named = f'{self.opened.key} AS key, {fault} AS fault, {faulty} AS faulty, "#row" AS "row", "#id" AS id{values}'
        found = f"SELECT {named} FROM {source} AS {self.engine_table}{where}"
        late = f" AND {test('id')}" if test and not early else ""
        return f"(SELECT * FROM ({found}) WHERE (id IS NOT NULL OR faulty){late})"

    @cached_property
    def _flagged(self) -> list[str]:
        return [name for name in self.deciding if name in self.opened.rows.flags]

    def fault(self, *, doubled: bool) -> str:
        """SQL over *people*: why the row cannot be trusted."""
        whens = " ".join(f"WHEN {test} THEN {lit(why)}" for test, why in self._faults(doubled=doubled))
        return f'CASE {whens} ELSE {self.engine_table}."#wrong" END'

    def _faulty(self, *, doubled: bool) -> str:
        """SQL over *people*: whether there is a fault; it is asked of everybody, and text is costly."""
        tests = [test for test, _ in self._faults(doubled=doubled)]
        return f"""coalesce({disjunction([*tests, f'{self.engine_table}."#wrong" IS NOT NULL'])}, FALSE)"""

    def _faults(self, *, doubled: bool) -> list[tuple[str, str]]:
        alias = self.engine_table
        kinds = self.opened.spec.fields
        faults = [(f"{alias}.{ident(f'!{n}')}", f"{n}: not a value of type {kinds[n]}") for n in self._flagged]
        faults.append((f"{alias}.{self.opened.key} IS NULL", f"{self.opened.spec.key}: no key"))
        if doubled:
            faults.append((f'{alias}."#doubled"', DOUBLED))
        return faults

    @cached_property
    def chosen(self) -> str:
        """SQL condition over the rows: in the segment, or nobody can say whether it is."""
        flagged = disjunction(f"{self.engine_table}.{ident(f'!{name}')}" for name in self._flagged)
        return self.selected if flagged == "FALSE" else f"({self.selected} OR {flagged})"

    @cached_property
    def deciding(self) -> tuple[str, ...]:
        """Fields a person's membership or identifiers depend on: a bad value there makes the row untrusted."""
        fields = list(self.opened.spec.fields)
        plain = plain_fields(self.condition, fields) if self.condition is not None else None
        if plain is not None:
            chosen = set(plain)
        else:
            chosen = set(fields) if self.checked.everything else set(self.checked.fields)
        return tuple(name for name in fields if name in chosen | set(self.mapped.own_fields) | {self.opened.spec.key})

    @property
    def consent_unread(self) -> str | None:
        """SQL of (key, row) of people of the segment whose consent cannot be read: they have none, and it is said."""
        if not self.opened.consent_unread:
            return None
        alias, name = self.engine_table, self.opened.spec.consent
        return (
            f'SELECT {alias}.{self.opened.key} AS key, {alias}."#row" AS "row" FROM {self.opened.rows.view} AS {alias} '
            f"WHERE {alias}.{ident(f'!{name}')} AND {self.selected}"
        )

    @property
    def broken(self) -> tuple[tuple[int, int], ...]:
        """Of each source that is read: rows of which nobody can say whose they are, and how many rows it has."""
        return (self.opened.broken, self.opened.graph_broken) if self.mapped.graph_fields else (self.opened.broken,)

    def extended_keys(self, person: Person) -> str | None:
        """SQL of the segment's people when rows of the identity graph cannot be read: what the graph no
        longer lists of them may stand on one of those rows."""
        if not self.mapped.graph_fields or not self.opened.graph_unreadable:
            return None
        alias = self.engine_table
        chosen = f"{self.opened.eligible(alias)} AND {self.selected}"
        return f"SELECT {person(f'{alias}.{self.opened.key}')} FROM {self.opened.rows.view} AS {alias} WHERE {chosen}"

    @property
    def withheld(self) -> str | None:
        """Relation (key, id) of people without consent or suppressed, whichever segment they are in."""
        return self.mapped.withheld


def members_of(links: Iterable[Link], opened: Mapping[str, Opened]) -> dict[str, Members]:
    """Every link by its address; those that map alike share their people."""
    found: dict[tuple[str, ...], list[Members]] = {}
    for link in links:
        catalogue = opened[link.catalogue.name]
        mapped = Mapped(link=link, opened=catalogue)
        found.setdefault(mapped.alike, []).append(Members(link=link, opened=catalogue, mapped=mapped))
    out = {}
    for alike in found.values():
        mapped = alike[0].mapped
        if len(alike) > 1:
            mapped = replace(mapped, fields=frozenset().union(*(one.deciding for one in alike)))
        out.update({one.link.address: replace(one, mapped=mapped) for one in alike})
    return out
