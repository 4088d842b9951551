"""The rules of membership once more, as plain dicts: what a diff must find, written from the rules and not from the SQL.

*Told* is what Batch was told of each identifier: the key of its person and its attribute values. A world is a list of
rows, an identity graph and a suppression list; links choose by the number in a column and send one or two attributes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

Values = dict[str, str]
LONGEST = 300


@dataclass(frozen=True)
class Row:
    """One row of the catalogue; every value a text as stored."""

    key: str | None
    uid: str | None
    alt: str | None
    ok: str | None
    n: str | None
    m: str | None
    tier: str | None
    city: str | None


@dataclass(frozen=True)
class World:
    """The sources of one night."""

    rows: tuple[Row, ...]
    graph: tuple[tuple[str | None, str | None], ...] = ()
    """(key, alt)."""
    suppressed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wiring:
    """One link: who (rows whose `chooses` is above zero), and attribute → column."""

    chooses: str
    attributes: Mapping[str, str]
    unset: bool = False


@dataclass(frozen=True)
class Rules:
    """The target."""

    links: tuple[Wiring, ...]
    profiles: bool = False
    delete: bool = True
    extension: bool = False
    email: bool = False
    keyed: bool = False
    """The key is the identifier."""


Sent = tuple[str, Values]
"""The person's key and the values sent."""


@dataclass
class Expected:
    """What the diff must say; `told` is what stands once all of it is accepted."""

    consent: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    told: dict[str, tuple[str, Values]] = field(default_factory=dict)
    shared: int = 0
    rejects: dict[str, int] = field(default_factory=dict)


def number(text: str | None) -> int | None:
    """Raises ValueError for what is not a whole number."""
    return None if text is None or not text.strip() else int(text)


def refusal(identifier: str, *, email: bool) -> str | None:
    """Why Batch would refuse the identifier."""
    if identifier != identifier.strip():
        return "white space around it"
    if email:
        local, _, host = identifier.partition("@")
        return None if local and "." in host.strip(".") and "@" not in host else "not an email address"
    return "reserved word, not an identifier" if identifier.lower() in ("null", "true") else None


def normal(text: str | None, *, email: bool) -> str | None:
    """The identifier as it is compared."""
    if text is None:
        return None
    return (text.strip().lower() if email else text) or None


def value_of(text: str | None) -> tuple[str | None, bool]:
    """(value or None, whether it cannot be used)."""
    if text is None or not text.strip():
        return None, False
    return (None, True) if len(text.encode()) > LONGEST else (text, False)


class Night:
    """One world under the rules of one target."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world, self.rules = world, rules
        counts: dict[str, int] = defaultdict(int)
        for row in world.rows:
            if row.key is not None:
                counts[row.key] += 1
        self.doubled = {key for key, times in counts.items() if times > 1}
        self.keys = set(counts)
        self.keyless = any(row.key is None for row in world.rows)
        barred = [row for row in world.rows if not self.eligible(row)]
        self.withheld_keys = {row.key for row in barred if row.key is not None} | world.suppressed
        self.withheld = {one for row in barred for one in self.own(row)}
        self.withheld |= {one for key in self.withheld_keys for one in self.devices(key)}

    def eligible(self, row: Row) -> bool:
        return row.ok == "true" and row.key not in self.world.suppressed

    def own(self, row: Row) -> list[str]:
        texts = (row.key,) if self.rules.keyed else (row.uid, row.alt)
        found = (normal(text, email=self.rules.email) for text in texts)
        return [one for one in found if one is not None]

    def devices(self, key: str | None) -> list[str]:
        if not self.rules.extension or key is None:
            return []
        found = (normal(alt, email=self.rules.email) for owner, alt in self.world.graph if owner == key)
        return [one for one in found if one is not None]

    def candidates(self) -> list[tuple[int, str | None, str | None, str | None, Row]]:
        """(link, identifier, key, reason, row); a faulty row without identifier is there once."""
        out: list[tuple[int, str | None, str | None, str | None, Row]] = []
        for at, link in enumerate(self.rules.links):
            for row in self.world.rows:
                if not self.eligible(row):
                    continue
                fault = None
                try:
                    chosen = (number(getattr(row, link.chooses)) or 0) > 0
                except ValueError:
                    fault, chosen = f"{link.chooses}: not a value of type integer", True
                if not chosen:
                    continue
                if fault is None and row.key is None:
                    fault = "pid: no key"
                if fault is None and row.key in self.doubled:
                    fault = "key on more than one row"
                found = [*self.own(row), *self.devices(row.key)]
                if not found and fault is not None:
                    out.append((at, None, row.key, fault, row))
                email = self.rules.email
                out += [(at, one, row.key, fault or refusal(one, email=email), row) for one in found]
        return out


def expect(
    world: World, rules: Rules, told: Mapping[str, Sent], uncertain: Mapping[str, Sent | None] | None = None
) -> Expected:
    """The diff of one night against what was told; `uncertain` has what may have been told, None for a removal."""
    perhaps = uncertain or {}
    night = Night(world, rules)
    rows = night.candidates()
    good = [(at, one, key, row) for at, one, key, reason, row in rows if reason is None and one is not None]
    clash = _clash(good, told, rules)
    held_keys = {key for _, one, key, reason, _ in rows if key is not None and (reason is not None or one in clash)}
    held_keys |= night.doubled
    faulty = {one for _, one, _, reason, _ in rows if reason is not None}
    out = Expected()
    desired: dict[str, list[tuple[int, str, Row]]] = defaultdict(list)
    for at, one, key, row in good:
        if one not in night.withheld and one not in clash and key is not None:
            desired[one].append((at, key, row))
    for one in sorted({*desired, *told, *perhaps}):
        sure = told.get(one)
        known = sure or perhaps.get(one)
        held = known is not None and (
            known[0] in held_keys or one in faulty or (night.keyless and known[0] not in night.keys)
        )
        if one in desired:
            _member(out, one, desired[one], rules, sure, held=held, again=one in perhaps)
        else:
            barred = one in night.withheld or (known is not None and known[0] in night.withheld_keys)
            known = known if sure or held or not (rules.profiles or rules.delete) else None
            _gone(out, one, rules, known, barred=barred, held=held, again=one in perhaps)
    out.shared = sum(_is_shared(found, rules) for found in desired.values())
    return out


def _is_shared(found: list[tuple[int, str, Row]], rules: Rules) -> bool:
    return any(len({key for at, key, _ in found if at == link}) > 1 for link in range(len(rules.links)))


def _clash(good: list[tuple[int, str, str | None, Row]], told: Mapping[str, object], rules: Rules) -> set[str]:
    spellings: dict[str, set[str]] = defaultdict(set)
    for _, one, _, _ in good:
        spellings[one.lower()].add(one)
    return {
        one for found in spellings.values() if len(found) > 1 for one in found if one not in told and not rules.email
    }


def _member(
    out: Expected,
    one: str,
    found: list[tuple[int, str, Row]],
    rules: Rules,
    known: tuple[str, Values] | None,
    *,
    held: bool,
    again: bool,
) -> None:
    before = known[1] if known else {}
    values: Values = {}
    covered: set[str] = set()
    for at, link in enumerate(rules.links):
        ours = [(key, row) for n, key, row in found if n == at]
        if not ours:
            continue
        _, row = min(ours, key=lambda pair: pair[0])
        for name, column in link.attributes.items():
            covered.add(name)
            value, bad = value_of(getattr(row, column))
            if bad:
                value = before.get(name)
            if value is not None:
                values[name] = value
    if rules.profiles:
        values |= _kept(before, rules, skip=covered, held=held)
    key = min(key for _, key, _ in found)
    if rules.profiles and not values:
        if known is not None:
            out.removed.add(one)
        return
    if known is None:
        out.added.add(one)
    elif values != before:
        out.changed.add(one)
    elif again:
        out.again.add(one)
    out.told[one] = (key, values) if known is None or values != before or again else known


def _kept(before: Values, rules: Rules, *, skip: set[str], held: bool) -> Values:
    """Attributes of a profile that no link of the person sets: kept, or unset where every… one link says so."""
    unset = {name for link in rules.links if link.unset for name in link.attributes}
    return {name: value for name, value in before.items() if name not in skip and (held or name not in unset)}


def _gone(
    out: Expected, one: str, rules: Rules, known: tuple[str, Values] | None, *, barred: bool, held: bool, again: bool
) -> None:
    if known is None:
        if again:  # nobody knows whether Batch has it, and nobody wants it there
            (out.consent if barred else out.again).add(one)
        return
    if barred:
        out.consent.add(one)
        return
    if held:
        out.held.add(one)
        out.told[one] = known
        return
    if not rules.profiles:
        if rules.delete:
            out.removed.add(one)
        else:
            out.told[one] = known
        return
    values = _kept(known[1], rules, skip=set(), held=False)
    if not values:
        out.removed.add(one)
        return
    if values != known[1]:
        out.changed.add(one)
    out.told[one] = (known[0], values)
