"""Writes of two requests that a kill divides: a creation is still ours, of a replace only what was acknowledged is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli.pipeline import standings_of
from reconciler.emulator import Options, running
from reconciler.state.standing import Standing, size
from reconciler.state.store import StateReader
from tests.apply.people import Link, World
from tests.apply.shop import Shop
from tests.apply.test_anew import STRICT
from tests.apply.test_kill import killed, points, prepare, resumed
from tests.apply.test_rules import CEP, L, cep
from tests.apply.warm import Warm

PLAIN = replace(L["l6"], attributes=(), more="audience: {adopt: true}\n")
SOME = 10_600
"""More than one *replace* takes."""


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[Warm]:
    with Warm(tmp_path) as one:
        yield one


def standing(shop: Shop) -> Standing:
    """What the state and its acknowledgements say of the only target."""
    reader = StateReader(shop.root / ".batchctl")
    (found,) = standings_of(reader, reader.read()).values()
    return found


def requests(shop: Shop, route: str) -> int:
    return sum(one["route"].endswith(route) for one in shop.log())


def rows(standing: Standing) -> tuple[int, int]:
    """How many rows are told, and how many are uncertain."""
    told, unsure = (
        sum(size(layer.ranges or ((0, layer.rows),)) for layer in layers)
        for layers in (standing.layers, standing.unsure)
    )
    return told, unsure


def test_a_creation_that_was_not_written_down_is_still_ours(tmp_path: Path, warm: Warm) -> None:
    world = prepare(tmp_path / "prepared", first=True, size=24, links=(PLAIN,))
    names = points(tmp_path, tmp_path / "prepared", world, warm)
    states = [number for number, name in enumerate(names, 1) if name == "state: begin"]
    ends = [number for number, name in enumerate(names, 1) if name == "state: end"]
    for at, asked in ((ends[1], 0), (states[2], 1), (ends[2], 1)):  # the intent; before and after what Batch said
        with resumed(tmp_path / f"kill{at}", tmp_path / "prepared", world) as shop:
            assert killed(shop, warm, at) == -9
            assert requests(shop, "audiences/create") == asked, names[at - 1]
            pending = standing(shop).known.pending
            assert pending is not None
            assert (pending.create, rows(standing(shop))[0]) == (True, 0)
            shop.world.links = {"l6": replace(PLAIN, more="")}  # no adoption: it is ours by its intent alone
            done = shop.apply()
            assert done.code == 0, done
            assert requests(shop, "audiences/create") == 1
            shop.converged()
            assert shop.breaches() == {}
            shop.world.links = {"l6": PLAIN}


def divided(folder: Path) -> World:
    """An audience with a stranger in it, taken over, about to be replaced by more people than one request takes."""
    world = prepare(folder, first=True, size=SOME, links=(PLAIN,))
    with running(Options(rate_scale=0, indexing_delay=0.02, db=str(folder / "batch.db"))) as url:
        shop = Shop(folder / "shop", url, world)
        cep(shop, "audiences/create", name=CEP, type="custom_ids")
        cep(shop, "audiences/update", name=CEP, ids=[{"action": "add", "id": "stranger"}])
        shop.post("settle")
        assert shop.command("import", "segment-link/l6", CEP).code == 0
        shop.post("reset-log")
    return world


def repaired(folder: Path, link: Link) -> World:
    """An audience of ours with a stranger in it, about to be replaced."""
    world = prepare(folder, first=True, size=60, links=(link,))
    with running(Options(rate_scale=0, indexing_delay=0.02, db=str(folder / "batch.db"))) as url:
        shop = Shop(folder / "shop", url, world)
        shop.turn()
        cep(shop, "audiences/update", name=CEP, ids=[{"action": "add", "id": "stranger"}])
        shop.post("settle")
        shop.post("reset-log")
    return world


@pytest.mark.parametrize("delete", [True, False], ids=["held", "held and kept"])
def test_who_is_held_or_kept_outlives_a_replace_that_was_cut_off(tmp_path: Path, warm: Warm, delete: bool) -> None:
    world = repaired(tmp_path / "prepared", replace(L["l6"], delete=delete))
    before = world.believed()[CEP]
    doubtful, gone = sorted(before)[:2]
    names = points(tmp_path, tmp_path / "prepared", world, warm)
    with resumed(tmp_path / "killed", tmp_path / "prepared", world) as shop:
        assert killed(shop, warm, names.index("ack: begin") + 1) == -9
        shop.world.people["again"] = shop.world.people[doubtful]
        del shop.world.people[gone]
        done = shop.apply()
        assert done.code == 0, done
        assert done.plan["changes"][0]["held"] == 1
        shop.post("settle")
        assert shop.held(CEP) == {pid: values for pid, values in before.items() if pid != gone or not delete}
        assert shop.plan().code == 0


def test_guards_keep_their_measure_after_a_replace_that_was_cut_off(tmp_path: Path, warm: Warm) -> None:
    world = repaired(tmp_path / "prepared", replace(L["l6"], more=STRICT))
    told = sorted(world.believed()[CEP])
    names = points(tmp_path, tmp_path / "prepared", world, warm)
    sent = names.index("ack: begin") + 1
    with resumed(tmp_path / "killed", tmp_path / "prepared", world) as shop:
        assert killed(shop, warm, sent) == -9
        assert not standing(shop).known.baseline.trusted
        for pid in told[:30]:
            del shop.world.people[pid]
        shop.world.people[told[30]] = replace(shop.world.people[told[30]], ok=False)
        for _ in range(2):
            done = shop.apply()
            (change,) = done.plan["changes"]
            assert (done.code, change["refused"]["rule"]) == (4, "max_remove_percent"), done
        shop.post("settle")
        assert set(shop.held(CEP)) - {"stranger"} == {*told} - {told[30]}


def test_of_a_replace_only_what_was_acknowledged_is_told(tmp_path: Path, warm: Warm) -> None:
    world = divided(tmp_path / "prepared")
    members = len(world.believed()[CEP])
    assert members > 10_000
    names = points(tmp_path, tmp_path / "prepared", world, warm)
    shutil.rmtree(tmp_path / "whole")
    acks = [number for number, name in enumerate(names, 1) if name == "ack: end"]
    for at, told, sent in ((acks[0], 0, members), (acks[1], 10_000, members - 10_000)):
        with resumed(tmp_path / f"kill{at}", tmp_path / "prepared", world) as shop:
            assert killed(shop, warm, at) == -9
            assert rows(standing(shop)) == (told, members - told), names[at - 1]
            assert not standing(shop).known.baseline.trusted or told
            done = shop.apply()
            assert done.code == 0, done
            assert done.plan["changes"][0]["rows"]["done"] == sent
            shop.converged()
            assert shop.breaches() == {}
        shutil.rmtree(tmp_path / f"kill{at}")
