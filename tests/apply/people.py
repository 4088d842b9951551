"""A shop's people, links and mappings as plain Python values, which move from night to night; and what Batch must hold."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Person:
    """One row of the catalogue. None and [] are written as nothing."""

    pid: str
    email: str | None
    gaid: str | None
    idfa: str | None
    inst: str | None
    tier: str | None
    pts: int
    spent: float | None
    since: str | None
    """``YYYY-MM-DD HH:MM:SS``."""
    tags: tuple[str, ...]
    ok: bool


@dataclass(frozen=True, kw_only=True)
class Link:
    """One segment, mapping, action and segment link, all of one name."""

    name: str
    destination: str
    kind: str
    where: str
    test: Callable[[Person], bool]
    attributes: tuple[str, ...] = ()
    delete: bool = True
    unset: bool = True
    extension: bool = False
    delta: bool = True
    on_destroy: str = "delete"
    more: str = ""
    """Further YAML of the segment link."""

    @property
    def audience(self) -> str:
        return f"{self.name}_{self.kind.removeprefix('send_')}"

    @property
    def profiles(self) -> bool:
        return self.kind == "send_attributes"


CEP = ("tier", "pts", "spent", "since", "tags", "ok")
MEP = ("tier", "pts", "since")
LINKS = (
    Link(name="l1", destination="ios", kind="send_advertising_ids", where="pts > 20", test=lambda p: p.pts > 20, extension=True),
    Link(name="l2", destination="ios", kind="send_install_ids", where="tier ILIKE '%gold%'", test=lambda p: "gold" in (p.tier or "").lower(), attributes=(*MEP, "tags")),
    Link(name="l3", destination="ios", kind="send_custom_ids", where="spent < 80", test=lambda p: p.spent is not None and p.spent < 80),
    Link(name="l4", destination="ios", kind="send_attributes", where="pts BETWEEN 10 AND 70", test=lambda p: 10 <= p.pts <= 70, attributes=(*MEP, "tags")),
    Link(name="l5", destination="crm", kind="send_install_ids", where="1 = 1", test=lambda p: True, attributes=CEP),
    Link(name="l6", destination="crm", kind="send_custom_ids", where="length(pid) > 2", test=lambda p: len(p.pid) > 2, attributes=CEP),
    Link(name="l7", destination="crm", kind="send_emails", where="pts % 2 = 0", test=lambda p: p.pts % 2 == 0, attributes=("tier", "pts")),
    Link(name="l8", destination="crm", kind="send_attributes", where="pts % 3 = 0", test=lambda p: p.pts % 3 == 0, attributes=CEP[:3]),
    Link(name="l9", destination="crm", kind="send_attributes", where="pts % 5 < 3", test=lambda p: p.pts % 5 < 3, attributes=CEP[3:]),
)  # fmt: skip


@dataclass
class World:
    """Everything at one moment. `people` are the rows, `graph` more advertising IDs, `links` what is declared."""

    people: dict[str, Person] = field(default_factory=dict)
    graph: dict[str, tuple[str, ...]] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    suppressed: set[str] = field(default_factory=set)
    truth: dict[str, dict[str, Values]] = field(default_factory=dict)
    """Audience name, or ``ios`` and ``crm`` for profiles → identifier → attributes as they travel."""

    def believed(self) -> dict[str, dict[str, Values]]:
        """What Batch must hold once everything is applied, given what it held before."""
        found: dict[str, dict[str, Values]] = {}
        for link in self.links.values():
            if not link.profiles:
                found[link.audience] = self._audience(link)
        for destination in {link.destination for link in self.links.values() if link.profiles}:
            found[destination] = self._profiles(destination)
        return found

    def applied(self) -> None:
        """Everything declared has been applied."""
        self.truth = self.believed()

    def barred(self, person: Person) -> bool:
        """No consent, or suppressed."""
        return not person.ok or person.pid in self.suppressed

    def _audience(self, link: Link) -> dict[str, Values]:
        now: dict[str, Values] = {}
        for person in sorted(self.people.values(), key=lambda one: one.pid, reverse=True):
            if not self.barred(person) and link.test(person):
                for one in self.ids(link, person):
                    now[one] = wire(link, person)
        withheld = {one for person in self.people.values() if self.barred(person) for one in self.ids(link, person)}
        if not link.delete:
            kept = {one: values for one, values in self.truth.get(link.audience, {}).items() if one not in now}
            now = {**kept, **now}
        return {one: values for one, values in now.items() if one not in withheld}

    def _profiles(self, destination: str) -> dict[str, Values]:
        now: dict[str, Values] = {}
        links = [link for link in self.links.values() if link.profiles and link.destination == destination]
        for link in links:
            if not link.unset:
                for pid, values in self.truth.get(destination, {}).items():
                    names = {key_of(link, name) for name in link.attributes}
                    now.setdefault(pid, {}).update({k: v for k, v in values.items() if k in names})
        for link in links:
            for person in self.people.values():
                if link.test(person):
                    names = {key_of(link, name) for name in link.attributes}
                    kept = {k: v for k, v in now.get(person.pid, {}).items() if k not in names}
                    now[person.pid] = {**kept, **wire(link, person)}
        gone = {person.pid for person in self.people.values() if self.barred(person)} | self.suppressed
        return {pid: values for pid, values in now.items() if values and pid not in gone}

    def ids(self, link: Link, person: Person) -> list[str]:
        """The identifiers a link sends for a person, as they are compared."""
        match link.kind:
            case "send_advertising_ids":
                graph = self.graph.get(person.pid, ()) if link.extension else ()
                return [one for one in (person.gaid, person.idfa, *graph) if one]
            case "send_install_ids":
                return [person.inst] if person.inst else []
            case "send_emails":
                return [person.email.strip().lower()] if person.email else []
        return [person.pid]


def key_of(link: Link, name: str) -> str:
    """The key an attribute travels under."""
    if link.profiles and link.destination == "ios":
        return {"since": "date(u.since)", "tags": "ut.tags"}.get(name, f"u.{name}")
    return "date(since)" if name == "since" else name


def wire(link: Link, person: Person) -> Values:
    """A person's attributes as a link sends them; what has no value is not there. Tags of MEP members: key ``tags``."""
    cep = link.destination == "crm"
    tags = list(dict.fromkeys(person.tags))
    if not cep and not link.profiles:  # a set: where adds merge their order is Batch's
        tags = sorted(tags, key=str.lower)
    since = person.since.replace(" ", "T") if person.since else None
    values: Values = {
        "tier": (person.tier or "").strip().lower() or None,
        "pts": person.pts,
        "spent": person.spent,
        "since": None if since is None else f"{since}Z" if cep else f"{since[:10]}T00:00:00",
        "tags": (tags if cep else [tag.lower() for tag in tags]) or None,
        "ok": person.ok if link.profiles else str(person.ok).lower(),
    }
    return {key_of(link, name): values[name] for name in link.attributes if values[name] is not None}


def stable(n: int, salt: str) -> str:
    """A UUID that depends on its arguments alone."""
    return str(uuid.UUID(hashlib.md5(f"{n}-{salt}".encode(), usedforsecurity=False).hexdigest()))


def born(n: int, chance: random.Random) -> Person:
    """A person with identifiers of their own and random values."""
    return Person(
        pid=f"p{n}",
        email=f" User{n}@Example.com " if n % 11 else None,
        gaid=stable(n, "g") if n % 5 else None,
        idfa=stable(n, "i") if n % 2 else None,
        inst=f"inst-{n}" if n % 9 else None,
        tier=chance.choice([" Gold", "silver", "gold ", None]),
        pts=chance.randrange(100),
        spent=chance.choice([1.5, 50.0, 100.25, None]),
        since=chance.choice(["2024-01-02 03:04:05", "2025-06-07 08:09:10", None]),
        tags=tuple(chance.sample(["Ab", "c", 'd"q'], chance.randrange(3))),
        ok=chance.random() > 0.04,
    )


def opened(count: int, chance: random.Random, links: tuple[Link, ...] = LINKS) -> World:
    """A world with `count` people."""
    people = {f"p{n}": born(n, chance) for n in range(count)}
    graph = {f"p{n}": (stable(n, "x"),) for n in range(0, count, 5)}
    return World(people=people, graph=graph, links={link.name: link for link in links})


def moved(person: Person, chance: random.Random) -> Person:
    """The same person another night: values change, are dropped, or stay."""
    fresh = born(int(person.pid[1:]), chance)
    names = ["tier", "pts", "spent", "since", "tags"]
    taken = {name: getattr(fresh, name) for name in names if chance.random() < 0.25}
    dropped = {name: value for name, value in (("tier", None), ("since", None), ("tags", ())) if chance.random() < 0.1}
    ids = {"gaid": stable(chance.randrange(1000), "new")} if chance.random() < 0.05 else {}
    ok = {"ok": not person.ok} if chance.random() < 0.03 else {}
    return replace(person, **{**taken, **dropped, **ids, **ok})


def night(world: World, chance: random.Random, *, newcomers: int = 3) -> None:
    """Some leave, some join, some change, some share an identifier from now on."""
    numbers = [int(pid[1:]) for pid in world.people]
    people = {pid: moved(one, chance) for pid, one in world.people.items() if chance.random() > 0.08}
    first = max(numbers, default=-1) + 1
    for n in range(first, first + newcomers):
        people[f"p{n}"] = born(n, chance)
    if len(people) > 4:
        a, b = chance.sample(sorted(people), 2)
        people[a] = replace(people[a], gaid=people[b].gaid, inst=people[b].inst)
    world.people = people
