"""Random worlds under every fault a network and a server can have: once they stop, Batch equals the truth.

Whatever happened in between, sums add up, exit codes are true, and no request breaches the contract.
"""

from __future__ import annotations

import random
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.emulator import FAULTS, Options, parse_switches, running
from tests.apply.people import LINKS, night, opened
from tests.apply.shop import KEYS, Shop
from tests.apply.soak import SOAK, count
from tests.apply.test_switches import WITHIN

QUIET = dict.fromkeys(FAULTS, 0.0)
HEADERS = {"Authorization": f"Bearer {KEYS['REST_KEY']}", "X-Batch-Project": KEYS["CRM_KEY"]}
OURS = [link for link in LINKS if link.name in ("l2", "l3", "l6", "l8")]


class Weather(RuleBasedStateMachine):
    """Nights in any order: people move, faults come and go, somebody else meddles; now and then the sun shines."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()

    @initialize(
        seed=st.integers(0, 1 << 32),
        links=st.sets(st.sampled_from(OURS), min_size=1, max_size=2) if not SOAK else st.just(set(OURS)),
        switches=st.lists(st.sampled_from(WITHIN), max_size=4, unique_by=lambda one: one.partition("=")[0]),
    )
    def open(self, seed: int, links: set, switches: list[str]) -> None:  # type: ignore[type-arg]
        self.chance = random.Random(seed)
        chosen = parse_switches("likely", [one for one in switches if one != "custom_data_null=reject_call"])
        options = Options(rate_scale=0, indexing_delay=0.02, slow_seconds=0.05, seed=seed, **chosen)
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        world = opened(16, self.chance, tuple(sorted(links, key=lambda one: one.name)))
        url = self.stack.enter_context(running(options))
        self.shop = Shop(folder, url, world, retry="attempts: 4, deadline: 5s")
        self.foreign = False
        self.ours = False
        """Our creation was answered; one that was not is ours only while nobody is in it."""

    @rule()
    def people_move(self) -> None:
        night(self.shop.world, self.chance)

    @rule(faults=st.dictionaries(st.sampled_from(FAULTS), st.sampled_from([0.1, 0.3, 0.6]), min_size=1, max_size=3))
    def stormy_night(self, faults: dict[str, float]) -> None:
        self.shop.post("faults", **{**QUIET, **faults})
        done = self.shop.apply()
        self.shop.post("faults", **QUIET)
        count(nights_with_faults=1)
        assert done.code in (0, 1, 4, 7), done
        if done.out and done.plan["exit_code"] == 0:
            totals = done.plan["totals"]
            assert totals["planned"] == totals["done"] + totals["refused"], done

    @precondition(lambda self: any(name not in ("crm", "ios") for name in self.shop.world.truth))
    @rule()
    def an_audience_is_deleted_behind_our_back(self) -> None:
        held = [one["name"] for one in self.shop.ask("audiences")["audiences"]]
        if held:
            self.shop.post("settle")
            self.shop.post("delete-audience", name=self.chance.choice(held))
            self.ours = False

    @precondition(lambda self: self.ours)
    @rule()
    def somebody_else_adds_a_member(self) -> None:
        self.shop.post("settle")
        with httpx.Client(base_url=self.shop.url, headers=HEADERS) as client:
            body = {"name": "l6_custom_ids", "ids": [{"action": "add", "id": "stranger"}]}
            if "l6_custom_ids" in [one["name"] for one in self.shop.ask("audiences")["audiences"]]:
                client.post("/2.11/audiences/update", json=body)
                self.shop.post("settle")
                self.foreign = True

    @rule()
    def sunny_night(self) -> None:
        shop = self.shop
        for _ in range(3):
            done = shop.apply("--retry-rejects")
            shop.post("settle")
            if done.code == 0:
                break
        assert done.code == 0, done
        if self.foreign:  # seen once Batch has indexed it: by this run or the next
            done = shop.apply("--retry-rejects")
            assert done.code == 0, done
            self.foreign = False
        shop.converged()
        self.ours = True

    @invariant()
    def nothing_breaches_the_contract(self) -> None:
        if hasattr(self, "shop"):
            assert self.shop.breaches() == {}, self.shop.ask("breaches")["breaches"]

    def teardown(self) -> None:
        try:
            if hasattr(self, "shop"):
                self.sunny_night()
                self.nothing_breaches_the_contract()
                count(worlds_with_faults=1, faults=sum(bool(one["fault"]) for one in self.shop.log()))
        finally:
            self.stack.close()


TestWeather = Weather.TestCase
TestWeather.settings = settings(
    max_examples=80 if SOAK else 3,
    stateful_step_count=10 if SOAK else 4,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
)
