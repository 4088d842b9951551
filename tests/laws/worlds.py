"""Random worlds for the laws, and a Batch that merges attributes and may have processed what it never acknowledged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from reconciler.spec import Spec
from tests.data.kit import Shop, documents, link
from tests.laws.model import LONGEST, Row, Rules, Wiring, World

KEYS = ["1", "2", "3", "4", "5", "6", "7", "10"]
IDS = ["a", "A", "b", "c", "d", "e", "f", "g", "h", " x", "null", None, None]
EMAILS = ["a@x.io", " A@x.io", "b@x.io", "B@X.io ", "c@x.io", "d@x.io", "no mail", "e@x.io", None]
NUMBERS = ["1", "1", "1", "0", "0", "many", None]
TIERS = ["gold", "red", "blue", " ", None, "z" * (LONGEST + 1)]
COLUMNS = ("pid", "uid", "alt", "ok", "n", "m", "tier", "city")
FIELDS = dict.fromkeys(("pid", "uid", "alt", "tier", "city"), "string") | {
    "ok": "boolean",
    "n": "integer",
    "m": "integer",
}


@st.composite
def worlds(draw: st.DrawFn, *, email: bool = False) -> World:
    """Mostly sound rows; every kind of fault is likely enough to meet every other."""
    ids = st.sampled_from(EMAILS if email else IDS)
    fewest = draw(st.sampled_from([5, 5, 5, 0]))
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=fewest, max_size=8, unique=True))
    keys += draw(st.lists(st.sampled_from([*KEYS, None]), max_size=1))
    consent = st.sampled_from(["true", "true", "true", "true", "true", "false", "maybe", None])
    number, tier = st.sampled_from(NUMBERS), st.sampled_from(TIERS)
    rows = tuple(
        Row(key, draw(ids), draw(ids), draw(consent), draw(number), draw(number), draw(tier), draw(tier))
        for key in keys
    )
    graph = draw(st.lists(st.tuples(st.sampled_from([*KEYS, "99", None]), ids), max_size=4))
    suppressed = draw(st.frozensets(st.sampled_from([*KEYS, "99"]), max_size=2))
    return World(rows, tuple(graph), suppressed | {"0"})


@st.composite
def sound(draw: st.DrawFn) -> World:
    """A world without faults: every key once and readable, every value usable."""
    found = draw(worlds())
    keys = sorted({row.key for row in found.rows if row.key is not None})
    good = {"uid": "m", "alt": None, "ok": "true", "n": "0", "m": "0", "tier": None, "city": None}
    rows = []
    for key in keys:
        row = next(row for row in found.rows if row.key == key)
        bad = {
            "uid": row.uid in (" x", "null", "A"),
            "alt": row.alt in (" x", "null", "A"),
            "ok": row.ok == "maybe",
            "n": row.n == "many",
            "m": row.m == "many",
            "tier": len(row.tier or "") > 300,
            "city": len(row.city or "") > 300,
        }
        rows.append(replace(row, **{name: good[name] for name, wrong in bad.items() if wrong}))
    graph = tuple((who, alt) for who, alt in found.graph if alt not in (" x", "null", "A"))
    return World(tuple(rows), graph, found.suppressed)


KEYED = {"keyed": True}
LINK_ONE = st.builds(Wiring, st.just("n"), st.sampled_from([{"t": "tier"}, {}, {"t": "tier", "c": "city"}]))


@st.composite
def audiences(draw: st.DrawFn) -> Rules:
    """One link that fills an audience."""
    how = draw(st.sampled_from([{}, {"extension": True}, {"email": True}, {"email": True, "extension": True}, KEYED]))
    return Rules((draw(LINK_ONE),), delete=draw(st.booleans()), **how)


@st.composite
def profiles(draw: st.DrawFn) -> Rules:
    """One or two links that feed profiles."""
    one = Wiring("n", {"t": "tier"}, unset=draw(st.booleans()))
    two = Wiring("m", {"c": "city"}, unset=draw(st.booleans()))
    how = draw(st.sampled_from([{}, {"extension": True}, KEYED]))
    return Rules((one, two) if draw(st.booleans()) else (one,), profiles=True, **how)


def sources() -> dict[str, Any]:
    """The catalogue of a world."""
    return {
        "source": {"path": "people.parquet"},
        "key": "pid",
        "fields": FIELDS,
        "consent": "ok",
        "suppress": {"path": "no.parquet", "key": "pid"},
        "identity_graph": {"source": {"path": "graph.parquet"}, "key": "who", "fields": {"alt": "string"}},
    }


def specs(rules: Rules) -> list[Spec]:
    """The documents of the rules."""
    catalogue = sources()
    made: list[Spec] = []
    for at, wiring in enumerate(rules.links):
        options: dict[str, Any] = {
            "where": f"{wiring.chooses} > 0",
            "identifier": {"email" if rules.email else "custom_id": ["pid"] if rules.keyed else ["uid", "alt"]},
            "attributes": dict(wiring.attributes),
            "action": "send_attributes" if rules.profiles else "send_emails" if rules.email else "send_custom_ids",
            "id_extension": rules.extension,
        }
        options |= {"on_exit": "unset" if wiring.unset else "keep"} if rules.profiles else {"delete": rules.delete}
        if at:
            made += link(f"link{at}", **options)
        else:
            made += documents(catalogue=catalogue, declared={"t": "string", "c": "string"}, **options)
    return made


def write(shop: Shop, world: World) -> None:
    """The sources, every value a text."""
    table(shop, "people.parquet", COLUMNS, [(r.key, r.uid, r.alt, r.ok, r.n, r.m, r.tier, r.city) for r in world.rows])
    table(shop, "graph.parquet", ("who", "alt"), world.graph)
    table(shop, "no.parquet", ("pid",), [(key,) for key in sorted(world.suppressed)])


def table(shop: Shop, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Path:
    """A Parquet file of texts."""
    values = [", ".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in row) for row in rows]
    values = values or [", ".join("NULL" for _ in columns)]
    listed = ", ".join(f"({row})" for row in values)
    cast = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in columns)
    return shop.parquet(
        name, f"SELECT {cast} FROM (VALUES {listed}) t({', '.join(columns)}) WHERE {'TRUE' if rows else 'FALSE'}"
    )


class Batch:
    """What Batch would hold: an add merges attributes, a removal forgets the identifier, null takes a value away."""

    def __init__(self, *, profiles: bool) -> None:
        self.profiles = profiles
        self.held: dict[str, dict[str, object]] = {}

    def receive(self, row: Mapping[str, Any], *, without: Collection[str] = ()) -> None:
        """One row of a delta file, `without` the attributes that are refused."""
        one, kind = row["id"], row["kind"]
        values = {name[2:]: value for name, value in row.items() if name.startswith("a:") and value is not None}
        if not self.profiles and kind in ("consent", "remove", "reset"):
            self.held.pop(one, None)
            return
        mine = self.held.setdefault(one, {})
        if self.profiles:
            for name in set(row["held"]) - set(without):
                mine.pop(name, None)
            if kind in ("consent", "remove"):
                values = {}
        mine.update({name: value for name, value in values.items() if name not in without})
        if self.profiles and not mine:
            del self.held[one]


def wish_of(row: Mapping[str, Any]) -> dict[str, object]:
    """What a row of a delta file asks for."""
    values = {name: value for name, value in row.items() if name[:2] == "a:" and value is not None}
    return {"verb": "add" if row["kind"] in ("add", "put") else "remove", **values}
