"""membership × baseline (× uncertain rows) → the staged delta: one keyed diff, written once.

Everything happens in the engine; Python only sees counts. The file written here is at once what is sent, the journal
of what was sent, and the next layer of the baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.address import IdType
from reconciler.data import checks, people, verdict
from reconciler.data.baseline import PRESENT, Told
from reconciler.data.candidates import Part, Search
from reconciler.data.engine import Engine
from reconciler.data.gather import Gathered, by_key, everybody, narrowed, newcomers
from reconciler.data.groups import group_of
from reconciler.data.membership import Members
from reconciler.data.rejects import collect
from reconciler.data.sql import CASED, Digest, Person, digest, ident, key_hash, key_text, kind_of, lit
from reconciler.data.staged import Counts, Staged
from reconciler.data.verdict import Inputs, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to compare for one target."""

    links: Sequence[Members]
    """Empty for an orphan that is to be emptied; of one that is kept those that fed it once."""
    told: Told
    rules: Rules
    id_type: IdType
    same_rules: bool
    """The baseline was checked by the row rules of today: unchanged rows need not be checked again."""
    refusals: Path | None
    item: str
    """Wire item of a row as SQL text, to count bytes."""


def diff(engine: Engine, request: Request, *, digest: Digest = digest) -> Staged:
    """Stages the delta of one target. Raises SourceError when a source cannot be read."""
    told = request.told
    gathered = _gathered(engine, request, digest)
    wanted = _desired(engine, request, gathered)
    if request.rules.anew and not engine.count(f"SELECT count(*) FROM {wanted.table}"):
        request = replace(request, rules=replace(request.rules, anew=False))  # nobody can be sent by a replace
    compared = gathered.told if gathered else told.told
    person = _person(engine, compared, told.asserted)
    inputs = Inputs(
        desired=wanted,
        told=compared,
        uncertain=told.uncertain,
        asserted=told.asserted,
        person=person,
        held_keys=_held_keys(request, gathered, wanted, person),
        hold_missing=_hold_missing(request, person),
        withheld_keys=_union(m.opened.withheld_keys(person) for m in request.links),
        refusals=f"read_parquet({lit(str(request.refusals))})" if request.refusals else None,
    )
    decided = verdict.decide(engine, inputs, request.rules)
    staged = _write(engine, decided, request, gathered)
    counts = _counts(engine, request, gathered, wanted, decided, staged)
    rejects, path = collect(engine, request.links if gathered else (), wanted, decided)
    return replace(
        _with_sources(staged, request.links, request.rules.sent, told.attributes),
        counts=counts,
        rejects=rejects,
        rejects_file=path,
    )


def unchanged(members: Members, number: int, sent: Collection[str], told: Collection[str]) -> Staged:
    """What comparing finds when the link's `number` of members are exactly those told, and nothing is to be reported."""
    counts = Counts(members=number, rows_read=number, source_rows=members.opened.source_rows, after=number)
    return _with_sources(Staged(counts=counts), [members], sent, told)


def _with_sources(staged: Staged, links: Sequence[Members], sent: Collection[str], told: Collection[str]) -> Staged:
    return replace(
        staged,
        suppressed={m.opened.spec.name: m.opened.suppressed_rows for m in links if m.opened.suppressed},
        oldest={m.opened.spec.name: age for m in links if (age := m.opened.age) is not None},
        first_uses=tuple(sorted(set(sent) - set(told) - {"$tags"})),
    )


def _gathered(engine: Engine, request: Request, digest: Digest) -> Gathered | None:
    told, rules = request.told, request.rules
    if not request.links or rules.consent_only:
        return None
    nothing = told.told is None and told.uncertain is None and request.refusals is None
    if nothing and len(request.links) == 1 and not (rules.anew or rules.made):
        refused = checks.identifier_reason("id", request.id_type, profiles=rules.profiles)
        return newcomers(
            engine, request.links[0], rules.attributes, sent=rules.sent, refused=refused, valued=rules.profiles
        )
    if told.told is None or rules.everybody or not request.same_rules:
        return everybody(engine, request.links, told.told)
    keyed = by_key(request.links)
    barred = _union(f"SELECT id FROM {found}" for m in request.links if (found := m.barred(keyed=keyed)))
    search = Search(
        parts=[_part(members, keyed=keyed, sent=rules.sent) for members in request.links],
        told=told.base or told.told,
        later=told.later,
        barred=f"({barred})" if barred else None,
        uncertain=told.uncertain,
        told_attributes=told.attributes,
        digest=digest,
    )
    return narrowed(engine, request.links, search, told.told)


def _part(members: Members, *, keyed: bool, sent: Collection[str]) -> Part:
    return Part(
        rows=members.compared(keyed=keyed),
        outside="outside" if keyed else "FALSE",
        attributes={a.name: a.type for a in members.link.attributes if a.name in sent},
        reasons=[f"r:{a.name}" for a in members.link.attributes],
    )


def _desired(engine: Engine, request: Request, gathered: Gathered | None) -> people.Desired:
    if gathered is None:
        empty = ident(engine.table("nobody"))
        engine.run(f"CREATE TEMP TABLE {empty} (id VARCHAR, k UUID)")
        barred = _union(f"SELECT id FROM {found}" for m in request.links if (found := m.withheld))
        return people.Desired(table=empty, checked="", clash=None, withheld=f"({barred})" if barred else None, shared=0)
    return people.desired(engine, request.links, gathered, id_type=request.id_type, profiles=request.rules.profiles)


def _union(parts: Iterable[str | None]) -> str | None:
    found = list(dict.fromkeys(part for part in parts if part))
    return " UNION ALL ".join(found) or None


def _person(engine: Engine, *told: str | None) -> Person:
    """By what people of these rows are compared: to hash is by far dearer than to compare text."""
    some = [f"(SELECT count(*) FROM {rows} WHERE k IS NOT NULL)" for rows in told if rows]
    return key_hash if some and engine.count(f"SELECT {' + '.join(some)}") else key_text


def _held_keys(request: Request, gathered: Gathered | None, wanted: people.Desired, person: Person) -> str | None:
    if gathered is None:
        return None
    faulty = [f"SELECT {person('key')} FROM {wanted.checked} WHERE reason IS NOT NULL AND key IS NOT NULL"]
    if wanted.clash:
        faulty.append(f"SELECT {person('key')} FROM {wanted.checked} WHERE id IN (SELECT id FROM {wanted.clash})")
    opened = {id(m.opened): m.opened for m in request.links}.values()
    doubled = [gathered.doubled] if gathered.doubled else [one.doubled for one in opened if one.doubles]
    faulty += [f"SELECT {person('key')} FROM {table}" for table in doubled]
    faulty += [keys for m in request.links if (keys := m.extended_keys(person))]
    return " UNION ALL ".join(faulty)


def _hold_missing(request: Request, person: Person) -> str | None:
    """Rows without a readable key may belong to anybody who seems to be missing: those people are held."""
    opened = {id(m.opened): m.opened for m in request.links}.values()
    if not any(o.unreadable for o in opened):
        return None
    return " UNION ALL ".join(one.keys(person) for one in opened)


def _write(engine: Engine, decided: str, request: Request, gathered: Gathered | None) -> Staged:
    names = [f"a:{name}" for name in sorted(request.rules.attributes)]
    unsure = ["is_u AS unsure"] if request.told.uncertain else []
    columns = ", ".join(["id", CASED, kind_of("kind"), "k", "held", *unsure, *map(ident, names)])
    sent = f"SELECT {columns} FROM {decided} WHERE kind IS NOT NULL AND NOT refused"
    empty = [f"NULL AS {ident(name)}" for name in names]
    nulls = ", ".join(["id", CASED, kind_of("'reset'"), "k", "held", *unsure, *empty])
    if not request.rules.profiles:
        resets = f"SELECT {nulls} FROM {decided} WHERE kind = 'put' AND NOT refused"
        sent = f"{sent} UNION ALL {resets}"
    fresh = gathered.fresh if gathered is not None else None
    # a target that was never told of anybody has only additions, whose order does not matter; to sort costs two thirds more
    ordered = f"SELECT * FROM ({sent}) ORDER BY {verdict.ORDER}, id"
    unordered = f"({sent}) UNION ALL {fresh}" if fresh else sent
    group = group_of(engine, f"({unordered}) WHERE {PRESENT}", request.rules.attributes)
    path = engine.path("delta")
    if not engine.copy(unordered if fresh else ordered, path, ordered=not fresh, group=group):
        path.unlink()
        return Staged()
    read = f"read_parquet({lit(str(path))})"
    found = engine.rows(f"SELECT kind, count(*), sum(strlen({request.item}) + 1) FROM {read} GROUP BY kind")
    number = {str(kind): int(str(n)) for kind, n, _ in found}
    rows, weight = sum(number.values()), sum(int(str(size)) for _, _, size in found)
    return Staged(
        file=path,
        rows=rows,
        consent_rows=number.get("consent", 0),
        remove_rows=number.get("remove", 0),
        reset_rows=number.get("reset", 0),
        add_rows=number.get("add", 0),
        put_rows=number.get("put", 0),
        bytes=weight,
    )


def _counts(
    engine: Engine,
    request: Request,
    gathered: Gathered | None,
    wanted: people.Desired,
    decided: str,
    staged: Staged,
) -> Counts:
    number = _numbers(engine, decided)
    unchanged = gathered.unchanged if gathered else 0
    fresh = staged.rows - number["sent"] if gathered and gathered.fresh else 0
    read = engine.count(f"SELECT count(*) FROM {gathered.rows}") if gathered else 0
    broken = [one for m in request.links for one in m.broken if one[0]] if gathered else []
    most, of = max(broken, key=lambda one: one[0] / max(one[1], 1), default=(0, 0))
    if request.rules.anew:
        after = number["put"]
    else:
        part = gathered.told if gathered else request.told.told
        told = unchanged + (engine.count(f"SELECT count(*) FROM {part}") if part else 0)
        after = told + fresh + number["joins"] - number["leaves"]
    return Counts(
        members=unchanged + fresh + engine.count(f"SELECT count(*) FROM {wanted.table}"),
        rows_read=unchanged + fresh + read,
        broken=sum(rows for rows, _ in broken),
        broken_most=most,
        broken_of=of,
        source_rows=min((m.opened.source_rows for m in request.links), default=1),
        added=number["added"] + fresh,
        resumed=number["resumed"],
        removed=number["removed"],
        changed=number["changed"],
        cleared=number["cleared"],
        consent=number["consent"],
        after=after,
        held=number["held"],
        shared=wanted.shared,
        reasserted=number["again"],
        refused_before=number["refused"],
    )


_PUT = "kind IN ('add', 'put') AND NOT refused"
_NUMBERS = {
    **{
        change: f"change = '{change}' AND NOT refused" for change in ("added", "removed", "changed", "consent", "again")
    },
    "cleared": "cleared AND change <> 'consent' AND NOT refused",
    "resumed": "change = 'added' AND is_u AND NOT refused",
    "held": "held_back",
    "refused": "refused",
    "sent": "kind IS NOT NULL AND NOT refused",
    "put": _PUT,
    "joins": f"{_PUT} AND NOT is_t",
    "leaves": "is_t AND (kind = 'consent' OR change = 'removed' AND NOT refused)",
}
"""Whom guards and reports count, by what is true of a verdict; after the delta Batch holds who was told, joins and does
not leave; of a target that starts anew who is *put*."""


def _numbers(engine: Engine, decided: str) -> dict[str, int]:
    picked = ", ".join(f"count(*) FILTER (WHERE {test})" for test in _NUMBERS.values())
    found = engine.row(f"SELECT {picked} FROM {decided}")
    return {name: int(str(n)) for name, n in zip(_NUMBERS, found, strict=True)}
