"""Faults do what they say on a real socket, and the same seed draws the same faults."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from reconciler.emulator import Options, running

CEP = {"Authorization": "Bearer k", "X-Batch-Project": "project_faults"}
BODY = {"name": "a", "type": "custom_ids"}


@contextmanager
def emulator(**options: object) -> Iterator[httpx.Client]:
    chosen = Options(rate_scale=0, slow_seconds=0.05, **options)  # type: ignore[arg-type]
    with running(chosen) as url, httpx.Client(base_url=url, headers=CEP) as client:
        yield client


def audiences(http: httpx.Client) -> list[str]:
    return [one["name"] for one in http.get("/_emulator/audiences").json()["audiences"]]


@pytest.mark.parametrize(("fault", "processed"), [("reset_before", False), ("reset_after", True), ("lost_reply", True)])
def test_connections_really_break(fault: str, processed: bool) -> None:
    with emulator(faults={fault: 1.0}) as http:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            http.post("/2.11/audiences/create", json=BODY)
        assert audiences(http) == (["a"] if processed else [])
        assert http.get("/_emulator/log").json()["requests"][0]["fault"] == fault
        http.post("/_emulator/faults", json={fault: 0})
        assert http.get("/2.11/audiences/list").status_code == 200  # a new connection works


def test_a_profile_may_be_written_again_where_the_answer_was_lost_but_not_else() -> None:
    body = [{"identifiers": {"custom_id": "x"}, "attributes": {"a": 1}}]

    def breaches(http: httpx.Client) -> object:
        return http.get("/_emulator/breaches").json()["counts"]

    with emulator(faults={"reset_after": 1.0}, indexing_delay=60) as http:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            http.post("/2.11/profiles/update", json=body)
        http.post("/_emulator/faults", json={"reset_after": 0})
        assert http.post("/2.11/profiles/update", json=body).status_code == 202
        assert breaches(http) == {}
        assert http.post("/2.11/profiles/update", json=body).status_code == 202
        assert breaches(http) == {"profile_in_flight": 1}


@pytest.mark.parametrize(
    ("fault", "status"), [("429", 429), ("500", 500), ("503", 503), ("html", 502), ("sign_in", 200)]
)
def test_refusals(fault: str, status: int) -> None:
    with emulator(faults={fault: 1.0}) as http:
        reply = http.post("/2.11/audiences/create", json=BODY)
        assert reply.status_code == status
        assert ("html" in reply.headers["content-type"]) == (fault in ("html", "sign_in"))
        assert audiences(http) == []


def test_slow_replies_still_arrive() -> None:
    with emulator(faults={"slow": 1.0}) as http:
        assert http.post("/2.11/audiences/create", json=BODY).status_code == 202
        assert http.get("/_emulator/log").json()["requests"][0]["fault"] == "slow"


def test_partial() -> None:
    with emulator(faults={"partial": 1.0}) as http:
        body = [{"identifiers": {"custom_id": "x"}, "attributes": {"a": 1}}]
        reply = http.post("/2.11/profiles/update", json=body).json()
        assert reply["errors"] == [
            {"category": "attribute", "bulk_index": 0, "reason": "injected fault", "attribute": "a"}
        ]


def test_first_write_of_each_route_is_dropped() -> None:
    with emulator(switches={"drop_response_after_write": "first_write_of_each_route"}) as http:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            http.post("/2.11/audiences/create", json=BODY)
        assert http.get("/2.11/audiences/view", params={"name": "a"}).status_code == 200
        assert http.post("/2.11/audiences/create", json=BODY | {"name": "b"}).status_code == 202


def test_a_seed_repeats_itself() -> None:
    def statuses(seed: int) -> list[int]:
        with emulator(faults={"500": 0.3, "429": 0.3}, seed=seed) as http:
            return [http.get("/2.11/audiences/list").status_code for _ in range(30)]

    assert statuses(1) == statuses(1) != statuses(2)
    assert set(statuses(1)) == {200, 429, 500}
