"""Whole lives of audiences and profiles against the strict local Batch, opened by the factory."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from reconciler.address import IdType, Space, account_of
from reconciler.batch import barrier
from reconciler.batch.barrier import Poll
from reconciler.batch.client import Client
from reconciler.batch.clock import SystemClock
from reconciler.batch.factory import Keys, client_for_state, open_clients
from reconciler.batch.pacing import Pacers
from reconciler.batch.transport import Attempt
from reconciler.emulator import Options, running
from reconciler.errors import ConfigurationError
from reconciler.spec import Destination
from reconciler.state.state import TargetState

KEYS = {"cep": "project_alpha", "mep": "DEV0ALPHA"}
PACE = Poll(first=0.01, most=0.05)


def destination(platform: str, **more: Any) -> Destination:
    return Destination.model_validate(
        {
            "apiVersion": "batchctl/v1", "kind": "Destination", "name": f"shop-{platform}", "platform": platform,
            "rest_api_key": "${env:REST}",
            "project_key" if platform == "cep" else "live_api_key": "${env:ACCOUNT}",
            "rate_limits": {"requests_per_second": 1000.0, "profile_updates_per_second": 100_000.0},
            "retry": {"base_seconds": 0.5, "attempts": 6, "deadline": timedelta(seconds=20)},
            **more,
        }
    )  # fmt: skip


def keys(platform: str, rest: str = "rest0key") -> Keys:
    return Keys(rest=SecretStr(rest), live_or_project=SecretStr(KEYS[platform]))


class QuickClock(SystemClock):
    """Waits a twentieth of what it is told to."""

    def wait(self, seconds: float, cancel: threading.Event) -> bool:
        return super().wait(seconds / 20, cancel)


class Batch:
    def __init__(self, url: str) -> None:
        self.url, self.attempts = url, list[Attempt]()
        self.cancel, self.pacers = threading.Event(), Pacers(QuickClock())

    def open(self, platform: str, rest: str = "rest0key") -> Client:
        spec = destination(platform)
        clients = open_clients(
            [spec], {spec.name: keys(platform, rest)}, pacers=self.pacers, cancel=self.cancel,
            api_url_override=self.url, on_attempt=self.attempts.append, clock=QuickClock(),
        )  # fmt: skip
        return clients[spec.name]

    def control(self, path: str, **query: str) -> Any:
        return httpx.get(f"{self.url}/_emulator/{path}", params=query).json()

    def applied(self, client: Client, name: str, id_type: IdType, token: str | None) -> bool:
        end = barrier.wait_applied(client, name, id_type, token, deadline=10, cancel=self.cancel, poll=PACE)
        return end is not None


@contextlib.contextmanager
def batch(
    *, preset: str = "likely", switches: Mapping[str, str] | None = None, faults: Mapping[str, float] | None = None
) -> Iterator[Batch]:
    options = Options(
        preset=preset, switches=switches or {}, faults=faults or {}, indexing_delay=0.02, rate_scale=0.0, seed=7
    )
    with running(options) as url:
        yield Batch(url)


def adds(*ids: str) -> bytes:
    return b"[" + b",".join(b'{"action":"add","id":"%b"}' % one.encode() for one in ids) + b"]"


def removes(*ids: str) -> bytes:
    return adds(*ids).replace(b'"add"', b'"remove"')


def live(one: Batch, client: Client, id_type: IdType) -> None:
    """Create, fill, shrink, replace where there is a replace, count, delete."""
    cancel = one.cancel
    wait = {"deadline": 10.0, "cancel": cancel, "poll": PACE}
    assert client.view("vip", id_type) is None
    client.create("vip", id_type, "VIP")
    found = barrier.wait_present(client, "vip", id_type, **wait)  # type: ignore[arg-type]
    assert found is not None
    assert found.id_type is id_type
    expected = {"u-2"}
    for write in (adds("u-1", "u-2"), removes("u-1")):
        assert one.applied(client, "vip", id_type, client.update("vip", id_type, write).token)
    if found.space is not Space.MEP10:
        assert one.applied(client, "vip", id_type, client.replace("vip", b'[{"id":"u-3"},{"id":"u-4"}]').token)
        expected = {"u-3", "u-4"}
    settled = barrier.settled_count(client, "vip", id_type, expected=(len(expected),), **wait)  # type: ignore[arg-type]
    assert settled is not None
    assert settled.nb_ids == len(expected)
    assert {member["id"] for member in one.control("members", name="vip")["members"]} == expected
    assert client.inventory().audiences["vip"].text == "VIP"
    client.delete("vip", id_type)
    assert barrier.wait_absent(client, "vip", id_type, **wait)  # type: ignore[arg-type]
    client.delete("vip", id_type)


LIVES = pytest.mark.parametrize(
    ("platform", "id_type"),
    [("cep", IdType.CUSTOM), ("cep", IdType.EMAIL), ("cep", IdType.INSTALL), ("mep", IdType.CUSTOM), ("mep", IdType.ADVERTISING),
     ("mep", IdType.INSTALL)],
)  # fmt: skip


@LIVES
@pytest.mark.parametrize("preset", ["likely", "harsh"])
def test_a_life(platform: str, id_type: IdType, preset: str) -> None:
    with batch(preset=preset) as one, contextlib.closing(one.open(platform)) as client:
        live(one, client, id_type)
        assert one.control("breaches")["breaches"] == []


@pytest.mark.parametrize("platform", ["cep", "mep"])
def test_a_life_in_bad_weather(platform: str) -> None:
    faults = {"429": 0.1, "500": 0.1, "503": 0.05, "html": 0.05, "reset_before": 0.05, "reset_after": 0.1}
    with batch(faults=faults) as one, contextlib.closing(one.open(platform)) as client:
        live(one, client, IdType.INSTALL)
        assert one.control("breaches")["breaches"] == []
        assert {attempt.status for attempt in one.attempts} > {200}


@pytest.mark.parametrize("preset", ["likely", "harsh"])
def test_profiles(preset: str) -> None:
    with batch(preset=preset) as one, contextlib.closing(one.open("cep")) as client:
        ops = b'[{"identifiers":{"custom_id":"u-1"},"attributes":{"tier":"gold"}}]'
        assert client.write_profiles("profiles_update", ops, 1).errors == ()
        assert client.write_profiles("profiles_mass_update", ops.replace(b"u-1", b"u-2"), 1).errors == ()
        found = one.control("profiles", account=one.attempts[0].account)
        assert {row["id"]: row["attributes"] for row in found["profiles"]} == {
            "u-1": {"tier": "gold"},
            "u-2": {"tier": "gold"},
        }


def test_partial_errors() -> None:
    with batch() as one, contextlib.closing(one.open("cep")) as client:
        good = b'{"identifiers":{"custom_id":"u-1"},"attributes":{"tier":"gold"}}'
        bad = b'{"identifiers":{"custom_id":"u-2"},"attributes":{"tier":"gold","Bad":"x"}}'
        (error,) = client.write_profiles("profiles_update", b"[" + good + b"," + bad + b"]", 2).errors
        assert (error.index, error.attribute) == (1, "Bad")


@pytest.mark.parametrize("preset", ["likely", "harsh"])
def test_custom_data(preset: str) -> None:
    with batch(preset=preset) as one, contextlib.closing(one.open("mep")) as client:
        row = b'[{"id":"u-1","update":{"overwrite":false,"values":{"u.tier":"gold","ut.likes":["a"]}}}]'
        assert client.write_profiles("custom_data", row, 1).errors == ()
        (stored,) = one.control("custom-data", account=client.account)["custom_data"]
        assert stored["attributes"] == {"u.tier": "gold", "ut.likes": ["a"]}


@pytest.mark.parametrize("switch", ["cep_versions", "mep_bad_app_key_status", "cep_missing_project_status"])
def test_wrong_keys_stop_at_the_first_list(switch: str) -> None:
    value = {"cep_versions": "2.11_only", "mep_bad_app_key_status": "404", "cep_missing_project_status": "400"}[switch]
    with batch(switches={switch: value}) as one:
        for platform in ("cep", "mep"):
            with contextlib.closing(one.open(platform, rest="wrong-key")) as client:
                with pytest.raises(ConfigurationError, match=r"\$\{env:REST\}") as caught:
                    client.inventory()
                assert "wrong-key" not in str(caught.value)


def test_an_unknown_version_is_named() -> None:
    spec = destination("cep", api_version="2.4")
    with batch(switches={"cep_versions": "2.11_only"}) as one:
        clients = open_clients(
            [spec], {spec.name: keys("cep")}, pacers=one.pacers, cancel=one.cancel, api_url_override=one.url
        )
        with (
            contextlib.closing(clients[spec.name]) as client,
            pytest.raises(ConfigurationError, match="version or route"),
        ):
            client.inventory()


def test_many_audiences_over_pages() -> None:
    for preset in ("likely", "harsh"):
        with (
            batch(preset=preset, switches={"create_visibility": "immediate"}) as one,
            contextlib.closing(one.open("cep")) as client,
        ):
            for number in range(120):
                client.create(f"a{number}", IdType.CUSTOM)
            assert sorted(client.inventory().audiences) == sorted(f"a{number}" for number in range(120))


@pytest.mark.parametrize("space", [Space.CEP, Space.MEP10])
def test_an_orphan_is_reached_from_state_alone(space: Space) -> None:
    platform = "cep" if space is Space.CEP else "mep"
    with batch() as one:
        target = TargetState(
            account=account_of(KEYS[platform]), space=space, audience="old", destination="gone", api_url=one.url,
            api_version=None, keys={"rest": "${env:REST}", "live": "${env:ACCOUNT}"}, id_type=IdType.CUSTOM,
        )  # fmt: skip
        client = client_for_state(target, keys(platform), pacers=one.pacers, cancel=one.cancel)
        with contextlib.closing(client):
            assert client.account == target.account
            assert client.destination == "gone"
            assert client.inventory().audiences == {}


@pytest.mark.parametrize("bad", ["", "a b", "key\n", "clé"])
def test_unusable_keys_are_named_by_reference_never_shown(bad: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\$\{env:REST\}") as caught:
        open_clients(
            [destination("cep")], {"shop-cep": keys("cep", bad)}, pacers=Pacers(SystemClock()), cancel=threading.Event()
        )
    assert "clé" not in str(caught.value)


def test_destinations_of_one_company_share_the_request_bucket() -> None:
    pacers, cancel = Pacers(SystemClock()), threading.Event()
    specs = [destination("cep"), destination("mep")]
    given = {"shop-cep": keys("cep"), "shop-mep": keys("mep")}
    clients = open_clients(specs, given, pacers=pacers, cancel=cancel)
    kinds = sorted(kind for _, _, kind in pacers._buckets)
    assert kinds == ["profiles_mass_update", "profiles_update", "requests"]
    assert {host for host, _, _ in pacers._buckets} == {"api.batch.com"}
    for client in clients.values():
        client.close()
