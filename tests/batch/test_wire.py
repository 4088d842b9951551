"""The SQL text builds exactly the JSON that a plain reference builds, for any row."""

import datetime as dt
import math
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.address import Space
from reconciler.batch.wire import audience_item_sql, profile_item_sql, replace_item_sql

DUCK = {
    "string": "VARCHAR", "url": "VARCHAR", "integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN",
    "date": "DATE", "timestamp": "TIMESTAMP", "list<string>": "VARCHAR[]",
}  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "url": TEXT,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "date": st.dates(dt.date(1, 1, 1)),
    "timestamp": st.datetimes(dt.datetime(1, 1, 1)),  # noqa: DTZ001
    "list<string>": st.lists(TEXT, min_size=1, max_size=4),
}
NAMES = ["a", "b_2", "c", "d", "e"]
KINDS = ["consent", "remove", "reset", "add", "put"]


@st.composite
def rows(draw: st.DrawFn, types: list[str]) -> dict[str, Any]:
    columns = {name: draw(st.sampled_from(types)) for name in draw(st.lists(st.sampled_from(NAMES), unique=True))}
    held = draw(st.none() | st.lists(st.sampled_from([*NAMES, "never"]), unique=True))
    values = {name: draw(st.none() | VALUES[kind]) for name, kind in columns.items()}
    return {"id": draw(TEXT), "kind": draw(st.sampled_from(KINDS)), "held": held, "types": columns, "values": values}


CONNECTION = duckdb.connect()


def built(item: str, row: dict[str, Any]) -> Any:
    """What the engine makes of one row."""
    columns = ["? ::VARCHAR AS id", "?::VARCHAR AS kind", "?::VARCHAR[] AS held"]
    columns += [f'?::{DUCK[kind]} AS "a:{name}"' for name, kind in row["types"].items()]
    given_values = [row["id"], row["kind"], row["held"], *row["values"].values()]
    result = CONNECTION.execute(f"SELECT {item} FROM (SELECT {', '.join(columns)})", given_values).fetchone()
    assert result is not None
    return result[0]


def exactly(left: Any, right: Any) -> bool:
    """Equal, types and signs of zero included."""
    return orjson.dumps(left) == orjson.dumps(right) and repr(left) == repr(right)


def moment(value: dt.date, *, zulu: bool) -> str:
    time = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return time.replace(microsecond=0).isoformat() + ("Z" if zulu else "")


def in_audience(name: str, kind: str, value: Any, *, zulu: bool) -> tuple[str, Any]:
    match kind:
        case "boolean":
            return name, "true" if value else "false"
        case "date" | "timestamp":
            return f"date({name})", moment(value, zulu=zulu)
        case "url":
            return f"url({name})", value
        case _:
            return name, value


def in_profile(name: str, kind: str, value: Any, *, cep: bool) -> tuple[str, Any]:
    inner = name if cep else f"ut.{name}" if kind == "list<string>" else f"u.{name}"
    match kind:
        case "date" | "timestamp":
            return f"date({inner})", None if value is None else moment(value, zulu=cep)
        case "url" if cep:
            return f"url({inner})", value
        case _:
            return inner, value


def member(row: dict[str, Any], space: Space) -> dict[str, Any]:
    zulu = space is Space.CEP
    present = [
        (n, k, row["values"][n]) for n, k in row["types"].items() if n != "$tags" and row["values"][n] is not None
    ]
    pairs = dict(in_audience(name, kind, value, zulu=zulu) for name, kind, value in present)
    item: dict[str, Any] = {"id": row["id"]} | ({"attributes": pairs} if pairs else {})
    tags = row["values"].get("$tags")
    return item if tags is None else item | {"tags": tags}


def operation(row: dict[str, Any], *, cep: bool) -> dict[str, Any]:
    held, pairs = row["held"] or [], {}
    for name, kind in row["types"].items():
        value = None if row["kind"] in ("consent", "remove") else row["values"][name]
        if value is not None or name in held:
            key, said = in_profile(name, kind, value, cep=cep)
            pairs[key] = said
    if cep:
        return {"identifiers": {"custom_id": row["id"]}} | ({"attributes": pairs} if pairs else {})
    return {"id": row["id"], "update": {"overwrite": False, "values": pairs}}


LAWS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ODD = "\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029\ufeff😀'é"


@LAWS
@given(row=rows(["string", "url", "integer", "float", "boolean", "date", "timestamp", "list<string>"]))
@example(row={"id": ODD, "kind": "add", "held": None, "types": {"a": "string", "b_2": "list<string>"},
              "values": {"a": ODD, "b_2": [ODD, ODD[::-1]]}})  # fmt: skip
def test_cep_members(row: dict[str, Any]) -> None:
    expected = member(row, Space.CEP)
    assert exactly(orjson.loads(built(replace_item_sql(Space.CEP, row["types"]), row)), expected)
    added = {"action": "add", **expected}
    item = orjson.loads(built(audience_item_sql(Space.CEP, row["types"]), row))
    assert exactly(item, added if row["kind"] in ("add", "put") else {"action": "remove", "id": row["id"]})


@LAWS
@given(row=rows(["string", "url", "integer", "float", "boolean", "date", "timestamp"]), tags=VALUES["list<string>"])
def test_mep_members(row: dict[str, Any], tags: list[str]) -> None:
    tagged = {**row, "types": row["types"] | {"$tags": "list<string>"}, "values": row["values"] | {"$tags": tags}}
    for one in (row, tagged):
        expected = member(one, Space.MEP11)
        assert exactly(orjson.loads(built(replace_item_sql(Space.MEP11, one["types"]), one)), expected)
        item = orjson.loads(built(audience_item_sql(Space.MEP11, one["types"]), one))
        adds = row["kind"] in ("add", "put")
        assert exactly(item, {"action": "add", **expected} if adds else {"action": "remove", "id": row["id"]})


@LAWS
@given(row=rows(["string", "url", "integer", "float", "boolean", "date", "timestamp", "list<string>"]))
def test_profiles(row: dict[str, Any]) -> None:
    for platform in ("cep", "mep"):
        item = orjson.loads(built(profile_item_sql(platform, row["types"]), row))  # type: ignore[arg-type]
        assert exactly(item, operation(row, cep=platform == "cep"))


@pytest.mark.parametrize(
    "number", [1e22, 0.1, 5e-324, -0.0, 1.7976931348623157e308, 1e16, 123456789.123456789, 1e-7, 2**53]
)
def test_numbers_survive(number: float) -> None:
    row = {"id": "x", "kind": "add", "held": None, "types": {"a": "float"}, "values": {"a": float(number)}}
    back = orjson.loads(built(replace_item_sql(Space.CEP, row["types"]), row))["attributes"]["a"]  # type: ignore[arg-type]
    assert back == number
    assert math.copysign(1, back) == math.copysign(1, number)


def test_native_attributes_keep_their_name() -> None:
    types = {"$email_address": "string", "$topic_preferences": "list<string>"}
    row = {"id": "x", "kind": "add", "held": ["$email_address"], "types": types,
           "values": {"$email_address": None, "$topic_preferences": ["a"]}}  # fmt: skip
    item = orjson.loads(built(profile_item_sql("cep", types), row))
    assert item["attributes"] == {"$email_address": None, "$topic_preferences": ["a"]}


def test_what_a_space_does_not_carry_is_refused() -> None:
    for space, types in [
        (Space.MEP10, {"a": "string"}),
        (Space.MEP11, {"a": "list<string>"}),
        (Space.CEP, {"$tags": "list<string>"}),
        (Space.CEP, {"a": "struct"}),
    ]:
        with pytest.raises(ValueError, match="carr|tags"):
            audience_item_sql(space, types)
    with pytest.raises(ValueError, match="no replace"):
        replace_item_sql(Space.MEP10, {})
    with pytest.raises(ValueError, match="native"):
        profile_item_sql("mep", {"$language": "string"})
    with pytest.raises(ValueError, match="logical type"):
        profile_item_sql("cep", {"a": "struct"})


def test_mep_1_0_members_are_ids_only() -> None:
    row = {"id": 'u"1', "kind": "add", "held": None, "types": {}, "values": {}}
    assert built(audience_item_sql(Space.MEP10, {}), row) == '{"action":"add","id":"u\\"1"}'
