"""Attributes on their way to Batch: transforms, limits of every kind of target, and what happens when they change."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from reconciler.spec import Spec
from tests.data.kit import Shop, documents, link

ODD = ["İstanbul", "straße", "ÉCOLE ", " a\u00a0b ", "😀 o'clock", "x, y", "", None, "12-34 ٣", "null"]


def catalogue(**fields: str) -> dict[str, Any]:
    """``people.parquet`` with a key ``pid``."""
    return {"source": {"path": "people.parquet"}, "key": "pid", "fields": {"pid": "string", **fields}}


def people(shop: Shop, values: list[str | None], name: str = "x") -> None:
    """One person per text, keyed from 0."""
    rows = ", ".join(f"('{n}', {_text(value)})" for n, value in enumerate(values))
    shop.parquet("people.parquet", f"SELECT pid, CAST({name} AS VARCHAR) AS {name} FROM (VALUES {rows}) t(pid, {name})")


def _text(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.lower().split(" "))


TRANSFORMS: dict[str, tuple[Any, Any]] = {
    "trim": ("trim", str.strip),
    "lower": ("lower", lambda t: t.replace("İ", "i").lower()),
    "upper": ("upper", lambda t: t.replace("ß", "ẞ").upper()),
    "title": ("title", lambda t: title(t.replace("İ", "i"))),
    "sha256": ("sha256", lambda t: hashlib.sha256(t.encode()).hexdigest()),
    "md5": ("md5", lambda t: hashlib.md5(t.encode(), usedforsecurity=False).hexdigest()),
    "digits": ("digits", lambda t: "".join(c for c in t if c in "0123456789")),
    "default": ("default(none)", lambda t: t or "none"),
    "map": ("map({straße: road, 'x, y': \"it's\"})", lambda t: {"straße": "road", "x, y": "it's"}.get(t, t)),
    "replace": ('replace("o\'c", "-")', lambda t: t.replace("o'c", "-")),
    "substring": ("substring(2, 3)", lambda t: t[1:4]),
    "chain": (["trim", "lower", "replace(a, ' ')", "substring(1, 2)"], lambda t: t.strip().replace("İ", "i").lower().replace("a", " ")[:2]),
}  # fmt: skip


def test_every_transform_on_odd_texts(shop: Shop) -> None:
    people(shop, ODD)
    attributes = {name: {"field": "x", "transform": step} for name, (step, _) in TRANSFORMS.items()}
    turn = shop.look(documents(catalogue=catalogue(x="string"), attributes=attributes))
    assert turn.reasons == {}
    sent = turn.of("add")
    for name, (_, python) in TRANSFORMS.items():
        found = [sent[str(n)].get(name) for n in range(len(ODD))]
        nothing = "none" if name == "default" else None
        wanted = [nothing if text is None else python(text) for text in ODD]
        assert (name, found) == (name, [text if text and text.strip() else None for text in wanted])


def test_transforms_of_other_types_work_on_their_text(shop: Shop) -> None:
    shop.parquet("people.parquet", "SELECT '1' AS pid, 7 AS n, DATE '2024-05-06' AS d, '42 EUR' AS price, 'x' AS bad")
    attributes = {
        "n": {"field": "n", "transform": "replace(7, seven)"},
        "d": {"field": "d", "transform": "substring(1, 4)", "type": "integer"},
        "price": {"field": "price", "transform": "digits", "type": "integer"},
        "bad": {"field": "bad", "transform": "upper", "type": "integer"},
    }
    turn = shop.look(
        documents(catalogue=catalogue(n="integer", d="date", price="string", bad="string"), attributes=attributes)
    )
    assert turn.of("add") == {"1": {"n": "seven", "d": 2024, "price": 42}}
    assert turn.reasons == {"bad: not a integer": 1}


IDS: list[tuple[str, str, list[tuple[str, str | None]]]] = [
    ("send_custom_ids", "cep", [
        ("a" * 1024, None), ("é" * 513, "longer than 1024 bytes"), (" a", "white space around it"), ("a\u2003", "white space around it"),
        ("a b", None), ("a\tb", "control character in it"), ("NaN", "reserved word, not an identifier"), ("TRUE", "reserved word, not an identifier"),
        ("[object object]", "reserved word, not an identifier"), ("true-blue", None), ('a"b\\c', None), ("😀", None),
    ]),
    ("send_attributes", "cep", [("b" * 512, None), ("b" * 513, "longer than 512 bytes")]),
    ("send_attributes", "mep", [("b" * 512, None), ("b" * 513, "longer than 512 bytes"), ("nil", "reserved word, not an identifier")]),
    ("send_install_ids", "cep", [("0f9c", None), ("undefined", "reserved word, not an identifier")]),
    ("send_install_ids", "mep", [("0f9c", None), ("(null)", "reserved word, not an identifier")]),
    ("send_advertising_ids", "mep", [
        ("AEBE52E7-03EE-455A-B3C4-E57283966239", None), ("aebe52e7-03ee-455a-b3c4-e57283966238", None),
        ("00000000-0000-0000-0000-000000000000", "all-zero advertising ID"), ("aebe52e703ee455ab3c4e57283966239", "not a UUID"),
        ("{aebe52e7-03ee-455a-b3c4-e57283966239}", "not a UUID"), ("aebe52e7-03ee-455a-b3c4-e57283966239\n", "not a UUID"), ("g", "not a UUID"),
    ]),
    ("send_emails", "cep", [
        ("A.b+c@x.example", None), ("a@b", "not an email address"), ("a@@b.c", "not an email address"), ("a b@c.d", "not an email address"),
        ("a@b.c,d@e.f", "not an email address"), ("@b.c", "not an email address"), ("a" * 122 + "@bc.de", None),
        ("a" * 123 + "@bc.de", "longer than 128 bytes"), ("é@ü.example", None), ("a@b.c.", "not an email address"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("action", "platform", "pairs"), IDS)
def test_identifiers_batch_would_refuse_are_rejects(
    shop: Shop, action: str, platform: str, pairs: list[tuple[str, str | None]]
) -> None:
    people(shop, [text for text, _ in pairs])
    kind = {"send_install_ids": "install_id", "send_advertising_ids": "advertising_id", "send_emails": "email"}
    more: dict[str, Any] = (
        {"attributes": {"x": {"field": "pid"}}, "declared": {"x": "string"}} if action == "send_attributes" else {}
    )
    turn = shop.look(
        documents(catalogue=catalogue(x="string"), action=action, platform=platform,
                  identifier={kind.get(action, "custom_id"): "x"}, **more)
    )  # fmt: skip
    fine = {text.lower() if action == "send_emails" else text for text, reason in pairs if reason is None}
    assert turn.added == fine
    assert {(one.key, one.reason) for one in turn.rejected} == {
        (str(n), why) for n, (_, why) in enumerate(pairs) if why
    }


LIMITS = [
    ("send_custom_ids", "cep", "string", "'" + "x" * 300 + "'", "'" + "x" * 301 + "'", "text longer than 300 bytes"),
    ("send_custom_ids", "cep", "string", "'" + "é" * 150 + "'", "'" + "é" * 151 + "'", "text longer than 300 bytes"),
    ("send_install_ids", "mep", "string", "'" + "x" * 64 + "'", "'" + "x" * 65 + "'", "text longer than 64 bytes"),
    ("send_attributes", "mep", "string", "'" + "x" * 64 + "'", "'" + "x" * 65 + "'", "text longer than 64 bytes"),
    ("send_attributes", "cep", "string", "'" + "x" * 300 + "'", "'" + "x" * 301 + "'", "text longer than 300 bytes"),
    ("send_attributes", "mep", "url", "'https://x/" + "y" * 54 + "'", "'https://x/" + "y" * 55 + "'", "URL longer than 64 bytes"),
    ("send_install_ids", "mep", "url", "'https://x/" + "y" * 54 + "'", "'https:///x'", "not a URL with scheme and host"),
    ("send_custom_ids", "cep", "url", "'https://x/" + "y" * 2038 + "'", "'https://x/" + "y" * 2039 + "'", "URL longer than 2048 bytes"),
    ("send_attributes", "cep", "url", "'app://open/me'", "'www.x.example'", "not a URL with scheme and host"),
    ("send_attributes", "cep", "list<string>", "[x::VARCHAR for x in range(25)]", "[x::VARCHAR for x in range(26)]", "more than 25 items"),
    ("send_attributes", "mep", "list<string>", "[x::VARCHAR for x in range(50)]", "[x::VARCHAR for x in range(51)]", "more than 50 items"),
    ("send_attributes", "mep", "list<string>", "['" + "x" * 64 + "']", "['a', '" + "x" * 65 + "']", "item longer than 64 bytes"),
    ("send_custom_ids", "cep", "list<string>", "[x::VARCHAR for x in range(25)]", "[x::VARCHAR for x in range(26)]", "more than 25 items"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("action", "platform"),
    [("send_custom_ids", "cep"), ("send_install_ids", "mep"), ("send_attributes", "mep"), ("send_attributes", "cep")],
)
def test_values_past_a_limit_are_rejects_and_values_at_it_are_sent(shop: Shop, action: str, platform: str) -> None:
    cases = {f"x{n}": case[2:] for n, case in enumerate(LIMITS) if case[:2] == (action, platform)}
    good = ", ".join(f"{case[1]} AS {name}" for name, case in cases.items())
    bad = ", ".join(f"{case[2]} AS {name}" for name, case in cases.items())
    shop.parquet("people.parquet", f"SELECT '1' AS pid, {good} UNION ALL SELECT '2', {bad}")
    fields = {name: case[0] for name, case in cases.items()}
    identifier = {"install_id": "pid"} if action == "send_install_ids" else {"custom_id": "pid"}
    turn = shop.look(
        documents(catalogue=catalogue(**fields), action=action, platform=platform, identifier=identifier,
                  attributes={name: name for name in fields}, declared=fields)
    )  # fmt: skip
    assert (set(turn.of("add")["1"]), turn.of("add").get("2", {})) == (set(cases), {})
    assert turn.reasons == {f"{name}: {case[3]}": 1 for name, case in cases.items()}


def test_tags_are_lower_case_and_ten_at_most(shop: Shop) -> None:
    shop.parquet(
        "people.parquet",
        "SELECT '1' AS pid, ['B', 'a', 'b', ' ', NULL] AS x UNION ALL SELECT '2', [i::VARCHAR for i in range(11)]",
    )
    made = documents(catalogue=catalogue(x="list<string>"), action="send_install_ids", platform="mep", tags="x",
                     identifier={"install_id": "pid"})  # fmt: skip
    turn = shop.look(made)
    assert turn.of("add") == {"1": {"$tags": ["b", "a"]}, "2": {}}
    assert turn.reasons == {"$tags: more than 10 items": 1}


NATIVE = {
    "$email_address": ("a@b.example", ["a@b", "a b@c.de", "x" * 120 + "@bcdef.gh"]),
    "$phone_number": ("+33612345678", ["0612345678", "+33 6", "+1234567890123456"]),
    "$language": ("fr", ["FR", "fra", "f"]),
    "$region": ("FR", ["fr", "FRA"]),
    "$timezone": ("Europe/Paris", ["UTC+1 ", "Europe/"]),
    "$email_marketing": ("subscribed", ["yes", "Subscribed"]),
    "$sms_marketing": ("unsubscribed", ["true"]),
}


def test_native_attributes_have_their_own_forms(shop: Shop) -> None:
    longest = max(len(wrong) for _, wrong in NATIVE.values())
    rows = []
    for n in range(longest + 1):
        values = [good if n == 0 else (wrong[n - 1] if n <= len(wrong) else "") for good, wrong in NATIVE.values()]
        rows.append(f"('{n}', {', '.join(_text(value) for value in values)})")
    names = [name[1:] for name in NATIVE]
    shop.parquet("people.parquet", f"SELECT * FROM (VALUES {', '.join(rows)}) t(pid, {', '.join(names)})")
    fields = dict.fromkeys(names, "string")
    made = documents(
        catalogue=catalogue(**fields), action="send_attributes", attributes={f"${name}": name for name in names}
    )
    turn = shop.look(made)
    assert turn.of("add") == {"0": {name: good for name, (good, _) in NATIVE.items()}}
    assert sum(turn.reasons.values()) == sum(len(wrong) for _, wrong in NATIVE.values())


def tiers(shop: Shop, *rows: str) -> None:
    shop.write("people.csv", "\n".join(["pid,n,tier,city", *rows]) + "\n")


def profile(where: str = "n > 0", attributes: dict[str, Any] | None = None, **options: Any) -> list[Spec]:
    """Profiles with ``tier`` and ``city``."""
    fields = {"pid": "string", "n": "integer", "tier": "string", "city": "string"}
    return documents(
        catalogue={"source": {"path": "people.csv"}, "key": "pid", "fields": fields},
        action=options.pop("action", "send_attributes"),
        where=where,
        attributes=attributes or {"tier": "tier", "city": "city"},
        declared={"tier": "string", "city": "string", "m": "integer"},
        **options,
    )


@pytest.mark.parametrize("action", ["send_attributes", "send_custom_ids"])
def test_a_bad_value_keeps_the_value_last_told(shop: Shop, action: str) -> None:
    tiers(shop, "1,1,gold,Paris", "2,1,red,")
    shop.apply(profile(action=action))
    tiers(shop, f"1,1,{'x' * 301},Lyon", f"2,1,{'x' * 301},", f"3,1,{'x' * 301},Nice")
    turn = shop.apply(profile(action=action))
    assert turn.of("add", "put") == {"1": {"tier": "gold", "city": "Lyon"}, "3": {"city": "Nice"}}
    assert turn.reasons == {"tier: text longer than 300 bytes": 3}
    assert shop.look(profile(action=action)).rows == []


def test_an_attribute_that_goes_is_dropped_by_remove_and_add_on_audiences(shop: Shop) -> None:
    made = profile(action="send_custom_ids")
    tiers(shop, "1,1,gold,Paris", "2,1,red,")
    shop.apply(made)
    tiers(shop, "1,1,,Paris", "2,1,blue,")
    turn = shop.apply(made)
    assert [(row["id"], row["kind"]) for row in turn.rows] == [("1", "reset"), ("2", "add"), ("1", "put")]
    assert shop.told(made) == {"1": {"city": "Paris"}, "2": {"tier": "blue"}}
    assert (turn.staged.counts.changed, turn.staged.counts.added, turn.staged.counts.removed) == (2, 0, 0)
    less = profile(action="send_custom_ids", attributes={"tier": "tier"})
    turn = shop.apply(less)
    assert {row["id"] for row in turn.rows} == {"1"}  # only who held the dropped attribute
    assert shop.told(less) == {"1": {}, "2": {"tier": "blue"}}


@pytest.mark.parametrize("on_exit", ["keep", "unset"])
def test_on_exit_decides_on_people_who_left_and_on_attributes_that_left_the_mapping(shop: Shop, on_exit: str) -> None:
    made = profile(on_exit=on_exit)
    tiers(shop, "1,1,gold,Paris", "2,1,red,Rome")
    shop.apply(made)
    tiers(shop, "1,0,gold,Paris", "2,1,red,Rome")
    turn = shop.apply(made)
    assert turn.removed == (set() if on_exit == "keep" else {"1"})
    less = profile(on_exit=on_exit, attributes={"tier": "tier"})
    turn = shop.apply(less)
    if on_exit == "keep":
        assert turn.rows == []
        assert shop.told(less) == {"1": {"tier": "gold", "city": "Paris"}, "2": {"tier": "red", "city": "Rome"}}
    else:
        assert [(row["id"], row["kind"], row["held"]) for row in turn.rows] == [("2", "add", ["city"])]
        assert shop.told(less) == {"2": {"tier": "red"}}


def test_an_attribute_is_unset_only_when_no_link_sets_it_any_more(shop: Shop) -> None:
    base = profile("n > 0", on_exit="unset", attributes={"tier": "tier"})
    two = link("two", where="n > 5", action="send_attributes", attributes={"tier": "tier"}, on_exit="unset")
    two = [
        one if one.kind != "Action" else one.model_copy(update={"mapping": "one"})
        for one in two
        if one.kind != "Mapping"
    ]
    made = [*base, *two]
    tiers(shop, "1,9,gold,", "2,1,red,")
    assert shop.apply(made).of("add") == {"1": {"tier": "gold"}, "2": {"tier": "red"}}
    turn = shop.apply([one for one in made if one.name != "two"])
    assert turn.rows == []
    tiers(shop, "1,0,gold,", "2,1,red,")
    assert shop.look(made).removed == {"1"}


@pytest.mark.parametrize("action", ["send_custom_ids", "send_attributes"])
def test_an_attribute_of_another_type_than_ever_sent_stops_no_removal_for_consent(shop: Shop, action: str) -> None:
    """Policy refuses such a change, except for people who may not be sent any more."""
    name = "m" if action == "send_attributes" else "x"
    fields = {"pid": "string", "n": "integer", "tier": "string", "ok": "boolean"}
    source = {"source": {"path": "people.csv"}, "key": "pid", "fields": fields, "consent": "ok"}

    def made(kind: str, declared: str) -> list[Spec]:
        attribute = {"field": "tier", "type": kind, **({} if kind == "string" else {"transform": "trim"})}
        return documents(catalogue=source, action=action, attributes={name: attribute}, declared={name: declared})

    shop.write("people.csv", "pid,n,tier,ok\n1,1,7,true\n2,1,8,true\n")
    shop.apply(made("string", "string"))
    shop.write("people.csv", "pid,n,tier,ok\n1,1,7,true\n2,1,8,false\n")
    for kind in ("integer", "list<string>"):
        turn = shop.look(made(kind, kind))
        assert [(row["id"], row["kind"]) for row in turn.rows if row["kind"] == "consent"] == [("2", "consent")]
        assert action != "send_attributes" or turn.rows[0]["held"] == [name]
