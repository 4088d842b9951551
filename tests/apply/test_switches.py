"""Whatever Batch's undocumented behaviour is, the declared state is reached; out of reach, everything else is."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.emulator import Options, parse_switches, running
from reconciler.emulator.switches import SWITCHES
from tests.apply.people import LINKS, Link, night, opened
from tests.apply.shop import Shop
from tests.apply.soak import SOAK, count

BEYOND = {
    "cep_email_type=not_supported", "cep_install_type=installation_ids", "cep_install_type=not_supported",
    "max_audiences=2", "max_audience_ids=25000", "attributes_after_removal=restored", "max_id_length=512",
    "indexing_outcome=stuck", "indexing_outcome=silently_lost", "undeclared_attribute=reject",
    "custom_data_unknown_user=reject_call", "custom_data_null=ignore",
}  # fmt: skip
"""Values under which no client can reach the declared state in every case."""
EVERY = [f"{one.name}={value}" for one in SWITCHES.values() for value in one.values if value != one.likely]
WITHIN = [switch for switch in EVERY if switch not in BEYOND]
QUICK = ["drop_response_after_write=first_write_of_each_route", "remove_absent_member=reject_call"]


def options(preset: str, *switches: str) -> Options:
    return Options(rate_scale=0, indexing_delay=0.02, **parse_switches(preset, switches))


def concerned(switch: str) -> tuple[Link, ...]:
    """The links whose requests a switch can touch."""
    name = switch.partition("=")[0]
    number = int(SWITCHES[name].question[1:])
    if name.startswith(("custom_data", "path_id")):
        chosen = ("l4",)
    elif name.startswith("mep"):
        chosen = ("l1", "l2", "l4")
    elif number == 24:
        chosen = ("l5", "l6", "l7")
    elif 52 <= number <= 57:
        chosen = ("l8", "l9", "l4")
    elif 68 <= number <= 70 or number == 73:
        chosen = ("l6",)
    elif number in (71, 72):
        chosen = ("l2", "l4", "l6")
    else:
        chosen = ("l2", "l3", "l6")
    return tuple(link for link in LINKS if link.name in chosen)


def nights(shop: Shop, chance: random.Random) -> None:
    """Create; people move; people move, an attribute is dropped from a mapping, a link goes away, a life span is over."""
    shop.turn(BATCHCTL_NOW="2026-01-01T00:00:00Z")
    night(shop.world, chance)
    shop.turn(BATCHCTL_NOW="2026-01-02T00:00:00Z")
    night(shop.world, chance)
    links = shop.world.links
    if len(links) > 1:
        del links[min(links)]
    name = max(links)
    if not links[name].profiles:
        links[name] = replace(links[name], attributes=links[name].attributes[1:], more="full_refresh_every: 2d\n")
    shop.turn(BATCHCTL_NOW="2026-01-04T00:00:00Z")


@pytest.mark.parametrize("switch", WITHIN if SOAK else QUICK)
def test_one_switch(tmp_path: Path, switch: str) -> None:
    chance = random.Random(switch)
    with running(options("likely", switch)) as url:
        shop = Shop(tmp_path, url, opened(24, chance, concerned(switch)))
        shop.refusing = {"ios"} if switch == "custom_data_null=reject_call" else set()
        nights(shop, chance)
        assert shop.breaches() == {}
    count(values_of_switches=1)


@pytest.mark.parametrize("preset", ["likely", "harsh"])
@pytest.mark.parametrize("seed", range(8 if SOAK else 1))
def test_all_targets_under_a_preset(tmp_path: Path, preset: str, seed: int) -> None:
    chance = random.Random(seed)
    with running(options(preset)) as url:
        shop = Shop(tmp_path, url, opened(24, chance))
        shop.refusing = {"ios"} if preset == "harsh" else set()  # values of Custom Data cannot be removed: U62
        nights(shop, chance)
        assert shop.breaches() == {}
    count(worlds_with_all_targets=1)


@pytest.mark.parametrize("seed", range(60 if SOAK else 0))
def test_random_combinations(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    switches = chance.sample(WITHIN, 12)
    with running(options("likely", *switches)) as url:
        shop = Shop(tmp_path, url, opened(24, chance, tuple(chance.sample(LINKS, 4))))
        shop.refusing = {"ios"} if "custom_data_null=reject_call" in switches else set()
        nights(shop, chance)
        assert shop.breaches() == {}
    count(random_combinations_of_12_switches=1)
