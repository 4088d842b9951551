"""Breaches of the contract are recorded whatever the answer is; limits and pace hold."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.emulator.kit import APP, Batch

Act = Callable[[Batch], Any]


def two_updates(b: Batch) -> None:
    b.made().update("x", settle=False)
    b.update("x", "y")


def row(**update: Any) -> list[dict[str, Any]]:
    return [{"id": "x", "update": update}]


BREACHES: list[tuple[str, Act]] = [
    ("same_id_in_flight", two_updates),
    ("replace_without_barrier", lambda b: (b.made().update("x", settle=False), b.replace("y"))),
    ("replace_without_barrier", lambda b: (b.made().replace("x", settle=False), b.update("y"))),
    ("remove_in_flight", lambda b: (b.made().update("x", settle=False), b.cep("audiences/remove", {"name": "a"}))),
    ("missing_header", lambda b: b.cep("audiences/list", x_batch_project="")),
    ("missing_header", lambda b: b.cep("audiences/list", authorization="k")),
    ("missing_header", lambda b: b.mep("GET", "custom-audience", x_authorization="")),
    ("wrong_header", lambda b: b.cep("audiences/remove", {"name": "a"}, content_type="text/plain")),
    ("wrong_header", lambda b: b.cep("audiences/remove", {"name": "a"}, content_encoding="gzip")),
    ("bad_json", lambda b: b.cep("audiences/remove", b"{")),
    ("over_limit_ids", lambda b: b.made().update(*map(str, range(10_001)))),
    ("empty_ids", lambda b: b.made().update()),
    ("duplicate_ids", lambda b: b.made().update("x", "x")),
    ("unknown_field", lambda b: b.cep("audiences/create", {"name": "a", "type": "emails", "x": 1})),
    ("remove_with_ids", lambda b: b.made().cep("audiences/remove", {"name": "a", "ids": [{"id": "x"}]})),
    ("create_existing", lambda b: b.made().cep("audiences/create", {"name": "a", "type": "custom_ids"})),
    ("put_on_1_0", lambda b: b.made_mep().mep("PUT", "custom-audience/a", {"ids": [{"id": "x"}]})),
    ("missing_overwrite", lambda b: b.mep("POST", "data/users", row(values={"u.a": 1}))),
    ("suspicious_id", lambda b: b.made().update(" x")),
    ("suspicious_id", lambda b: b.made().update("Null")),
    ("bad_item", lambda b: b.made().update({"action": "set", "id": "x"})),
    ("bad_attribute", lambda b: b.made().update({"action": "add", "id": "x", "attributes": {"a": "x" * 301}})),
    ("attributes_on_remove", lambda b: b.made().update({"action": "remove", "id": "x", "attributes": {"a": 1}})),
    ("bad_name", lambda b: b.cep("audiences/create", {"name": "a b", "type": "custom_ids"})),
    ("unknown_route", lambda b: b.send("PATCH", "/2.11/audiences/update", {})),
    ("unknown_route", lambda b: b.mep("POST", "data/users", [], version="1.1")),
    ("unexpected_body", lambda b: b.send("GET", "/2.11/audiences/list", {"x": 1})),
    (
        "type_mismatch",
        lambda b: b.made_mep().mep("PATCH", "custom-audience/a", {"type": "advertising_ids", "ids": ["x"]}),
    ),
    ("type_in_1_1_write", lambda b: b.mep("PATCH", "custom-audience/a", {"type": "x", "ids": ["x"]}, version="1.1")),
    (
        "profile_in_flight",
        lambda b: [b.cep("profiles/update", [{"identifiers": {"custom_id": "x"}}]) for _ in range(2)],
    ),
]


@pytest.mark.parametrize(("kind", "act"), BREACHES, ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(BREACHES)])
def test_breach(kind: str, act: Act) -> None:
    b = Batch()
    act(b)
    assert kind in b.breaches()


def test_a_careful_client_commits_no_breach() -> None:
    b = Batch().made()
    b.update("x", {"action": "add", "id": "y", "attributes": {"tier": "gold"}}, settle=False)
    b.update("z")  # other ids need no barrier
    b.replace("x")
    b.cep("profiles/update", [{"identifiers": {"custom_id": "x"}, "attributes": {"tier": "gold"}}])
    b.mep("POST", "data/users", row(overwrite=False, values={"u.a": 1}))
    b.cep("audiences/remove", {"name": "a"})
    assert b.breaches() == {}


def test_a_repeat_after_a_lost_reply_is_no_breach() -> None:
    b = Batch().made()
    b.update("x", settle=False)
    b.world.store.run("UPDATE writes SET lost=1")
    b.update("x")
    assert b.breaches() == {}


@pytest.mark.parametrize("limit", ["200", "10000"])
def test_operations_above_the_limit_are_refused_as_a_whole(limit: str) -> None:
    b, route = Batch(), "profiles/update" if limit == "200" else "profiles/mass-update"
    operations = [{"identifiers": {"custom_id": f"u{n}"}} for n in range(int(limit) + 1)]
    assert b.cep(route, operations).status == 400
    assert b.stored() == {}
    assert b.cep(route, operations[:-1]).status == 202


def test_pace_of_profiles_counts_custom_ids() -> None:
    b = Batch()
    b.world.rates.scale = 1
    operations = [{"identifiers": {"custom_id": f"u{n}"}} for n in range(200)]
    assert [b.cep("profiles/update", operations).status for _ in range(6)] == [202] * 5 + [429]
    b.later(1)
    assert [b.cep("profiles/update", operations).status for _ in range(2)] == [202, 429]
    assert b.breaches()["pace"] == 2


def test_pace_of_mass_updates_has_no_burst() -> None:
    b = Batch()
    b.world.rates.scale = 1
    operations = [{"identifiers": {"custom_id": f"u{n}"}} for n in range(6000)]
    assert [b.cep("profiles/mass-update", operations).status for _ in range(2)] == [202, 429]


def test_rate_scale() -> None:
    b = Batch()
    b.world.rates.scale = 10
    assert b.cep("audiences/list").status == 200
    b.later(0.1)
    assert b.cep("audiences/list").status == 200
    assert b.cep("audiences/list").status == 429


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda b: b.cep("audiences/list", authorization="Bearer wrong"), 401),
        (lambda b: b.cep("audiences/list", x_batch_project="alpha"), 401),
        (lambda b: b.mep("GET", "custom-audience", x_authorization="wrongkey"), 401),
        (lambda b: b.send("GET", f"/1.2/{APP}/custom-audience"), 404),
        (lambda b: b.send("GET", "/3.0/audiences/list"), 404),
        (lambda b: b.send("GET", "/2.11/audiences/list/"), 404),
        (lambda b: b.send("GET", "/"), 404),
    ],
)
def test_credentials_and_routes(send: Act, status: int) -> None:
    assert send(Batch()).status == status


def test_no_key_is_ever_stored() -> None:
    b = Batch().made().made_mep("m")
    b.send("GET", f"/1.0/{APP}/nowhere")
    dump = "\n".join(b.world.store.db.iterdump())
    assert not any(key in dump for key in ("rest0key", "project_alpha", APP))
