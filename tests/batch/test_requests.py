"""The exact requests of both APIs: verbs, paths, headers, and bodies that their OpenAPI documents accept."""

import json
from typing import Any

import duckdb
import pytest

from reconciler.address import IdType, Space
from reconciler.batch.pacing import MARGIN
from reconciler.batch.wire import audience_item_sql, profile_item_sql, replace_item_sql
from tests.batch.kit import APP, PROJECT, REST, Say, Seen, audience, world
from tests.batch.schemas import check_query, check_request

TYPES = {"tier": "string", "n": "integer", "x": "float", "vip": "boolean", "d": "date", "t": "timestamp", "u": "url"}
ROW = (
    "SELECT 'c-1' AS id, 'add' AS kind, ['tier', 'l']::VARCHAR[] AS held, 'gold' AS \"a:tier\", 3::BIGINT AS \"a:n\", "
    '0.5::DOUBLE AS "a:x", true AS "a:vip", DATE \'2024-01-02\' AS "a:d", TIMESTAMP \'2024-01-02 03:04:05.9\' AS "a:t", '
    "'https://example.com/1' AS \"a:u\", ['a', 'b'] AS \"a:l\", ['trail'] AS \"a:$tags\""
)
GONE = ROW.replace("'add' AS kind", "'remove' AS kind")


def items(item: str, *rows: str) -> bytes:
    connection = duckdb.connect()
    texts = [connection.execute(f"SELECT {item} FROM ({row})").fetchone() for row in rows]
    return b"[" + b",".join(text[0].encode() for text in texts if text) + b"]"


def is_valid(api: str, seen: Seen) -> None:
    path = seen.path.removeprefix("/2.11") if api == "cep" else seen.path
    check_request(api, seen.method, path, seen.json if seen.body else None)
    check_query(api, seen.method, path, seen.query)
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept"] == "application/json"
    if api == "cep":
        assert seen.headers["authorization"] == f"Bearer {REST}"
        assert seen.headers["x-batch-project"] == PROJECT
    else:
        assert seen.headers["x-authorization"] == REST
        assert seen.path.split("/")[2] == APP
        assert "authorization" not in seen.headers


def test_cep() -> None:
    types = {**TYPES, "l": "list<string>"}
    members = items(audience_item_sql(Space.CEP, types), ROW, GONE.replace("c-1", "c-2"))
    replaced = items(replace_item_sql(Space.CEP, types), ROW)
    profiles = items(profile_item_sql("cep", types), ROW, GONE.replace("c-1", "c-2"))

    def answer(seen: Seen) -> Say:
        if seen.path.endswith("list"):
            return Say(200, {"audiences": [audience("vip")], "has_more": False})
        return (
            Say(200, audience("vip")) if seen.method == "GET" else Say(202, {"indexing_token": "t", "code": "SUCCESS"})
        )

    with world(by=answer) as (one, script):
        client = one.client
        client.inventory()
        client.view("vip", IdType.CUSTOM, "token")
        client.view("vip", IdType.CUSTOM)
        assert client.create("vip", IdType.EMAIL, "VIP").token == "t"
        client.create("vip", IdType.INSTALL)
        client.update("vip", IdType.CUSTOM, members)
        client.replace("vip", replaced)
        client.delete("vip", IdType.CUSTOM)
        client.write_profiles("profiles_update", profiles, 2)
        client.write_profiles("profiles_mass_update", profiles, 2)
        for seen in script.seen:
            is_valid("cep", seen)
        assert [f"{seen.method} {seen.path}" for seen in script.seen] == [
            "GET /2.11/audiences/list", "GET /2.11/audiences/view", "GET /2.11/audiences/view",
            "POST /2.11/audiences/create", "POST /2.11/audiences/create", "POST /2.11/audiences/update",
            "POST /2.11/audiences/replace", "POST /2.11/audiences/remove", "POST /2.11/profiles/update",
            "POST /2.11/profiles/mass-update",
        ]  # fmt: skip
        assert script.seen[0].query == {"limit": "100"}
        assert script.seen[1].query == {"name": "vip", "indexing_token": "token"}
        assert script.seen[3].json == {"name": "vip", "type": "emails", "display_name": "VIP"}
        assert script.seen[5].body == b'{"name":"vip","ids":' + members + b"}"
        assert script.seen[7].json == {"name": "vip"}
        assert script.seen[8].body == profiles


def test_mep() -> None:
    types = {**TYPES, "$tags": "list<string>"}
    plain = items(audience_item_sql(Space.MEP10, {}), ROW, GONE.replace("c-1", "c-2"))
    rich = items(audience_item_sql(Space.MEP11, types), ROW, GONE.replace("c-1", "c-2"))
    replaced = items(replace_item_sql(Space.MEP11, types), ROW)
    users = items(profile_item_sql("mep", {**TYPES, "l": "list<string>"}), ROW, GONE.replace("c-1", "c-2"))

    def answer(seen: Seen) -> Say:
        if seen.path.endswith("/custom-audience"):
            return Say(200, {"custom_audiences": []})
        return Say(200, audience(seen.path.rsplit("/", 1)[-1]) if seen.method == "GET" else {"token": "x"})

    with world(by=answer, platform="mep") as (one, script):
        client = one.client
        client.inventory()
        client.view("vip", IdType.ADVERTISING, "token")
        client.view("app", IdType.INSTALL)
        client.create("vip", IdType.ADVERTISING, "VIP")
        client.create("app", IdType.INSTALL)
        client.update("vip", IdType.CUSTOM, plain)
        client.update("app", IdType.INSTALL, rich)
        client.replace("app", replaced)
        client.delete("vip", IdType.CUSTOM)
        client.delete("app", IdType.INSTALL)
        assert client.write_profiles("custom_data", users, 2).token == "x"
        for seen in script.seen:
            is_valid("mep", seen)
        assert [f"{seen.method} {seen.path.replace(APP, 'K')}" for seen in script.seen] == [
            "GET /1.0/K/custom-audience", "GET /1.1/K/custom-audience", "GET /1.0/K/custom-audience/vip",
            "GET /1.1/K/custom-audience/app", "POST /1.0/K/custom-audience/vip", "POST /1.1/K/custom-audience/app",
            "PATCH /1.0/K/custom-audience/vip", "PATCH /1.1/K/custom-audience/app", "PUT /1.1/K/custom-audience/app",
            "DELETE /1.0/K/custom-audience/vip", "DELETE /1.1/K/custom-audience/app", "POST /1.0/K/data/users",
        ]  # fmt: skip
        assert script.seen[0].query == {"from": "0", "limit": "100"}
        assert script.seen[4].json == {"type": "advertising_ids", "description": "VIP"}
        assert script.seen[6].json["type"] == "custom_ids"
        assert script.seen[7].json.keys() == {"ids"}
        assert all(user["update"]["overwrite"] is False for user in json.loads(users))


@pytest.mark.parametrize("nothing", [b"[]", b" [ ] ", b"", b"{}", b"[1"])
@pytest.mark.parametrize("platform", ["cep", "mep"])
def test_an_empty_write_is_never_sent(platform: str, nothing: bytes) -> None:
    with world(platform=platform) as (one, script):
        calls: list[Any] = [
            lambda: one.client.update("a", IdType.CUSTOM, nothing),
            lambda: one.client.replace("a", nothing),
            lambda: one.client.write_profiles("profiles_update" if platform == "cep" else "custom_data", nothing, 1),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="at least one item"):
                call()
        assert script.seen == []


@pytest.mark.parametrize("platform", ["cep", "mep"])
def test_defects_are_found_before_anything_is_sent(platform: str) -> None:
    with world(platform=platform) as (one, script):
        client = one.client
        calls: list[Any] = [
            lambda: client.view("../x", IdType.CUSTOM),
            lambda: client.create("a b", IdType.CUSTOM),
            lambda: client.delete("", IdType.CUSTOM),
            lambda: client.update("a/b", IdType.CUSTOM, b"[1]"),
            lambda: client.write_profiles("profiles_update", b"[1]", 201),
            lambda: client.write_profiles("custom_data", b"[1]", 10_001),
            lambda: client.write_profiles("audience", b"[1]", 1),
            lambda: client.create("a", IdType.ADVERTISING if platform == "cep" else IdType.EMAIL),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"."):
                call()
        assert script.seen == []


def test_profile_writes_take_nothing_from_the_request_bucket() -> None:
    with world(*[Say(202, {"code": "SUCCESS"})] * 6) as (one, _):
        for _ in range(5):
            one.client.write_profiles("profiles_update", b"[1]", 200)
        assert one.clock.waits == []
        one.client.write_profiles("profiles_update", b"[1]", 200)
        assert one.clock.waits == [pytest.approx(200 / 300 / MARGIN)]
        assert one.bucket.reserve() == 0.0
