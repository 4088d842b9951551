"""kill -9 of the real process before and after every write to state, every request and every reply.

The next run converges without a full upload, and sends again at most the rows that were not acknowledged.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.cli.pipeline import standings_of
from reconciler.emulator import Options, running
from reconciler.state.standing import size as size_of
from reconciler.state.store import StateReader
from tests.apply.people import LINKS, Link, World, night, opened
from tests.apply.shop import ACCOUNTS, KEYS, Shop
from tests.apply.soak import SOAK, count
from tests.apply.warm import Warm

LARGER = tuple(link for link in LINKS if SOAK or link.name in ("l1", "l3", "l5", "l8", "l9"))
SMALL = tuple(link for link in LINKS if link.name in (("l2", "l3", "l4") if SOAK else ("l2", "l4")))


@contextmanager
def resumed(folder: Path, prepared: Path, world: World) -> Iterator[Shop]:
    """A copy of a prepared project and of its Batch."""
    shutil.copytree(prepared, folder)
    options = Options(rate_scale=0, indexing_delay=0.02, db=str(folder / "batch.db"))
    with running(options) as url:
        yield Shop(folder / "shop", url, world)


def prepare(folder: Path, *, first: bool, size: int = 24, links: tuple[Link, ...] = LINKS) -> World:
    """A project that is about to apply its first upload, or a night's delta."""
    chance = random.Random(7)
    folder.mkdir()
    with running(Options(rate_scale=0, indexing_delay=0.02, db=str(folder / "batch.db"))) as url:
        shop = Shop(folder / "shop", url, opened(size, chance, links))
        if not first:
            shop.turn()
            night(shop.world, chance)
        shop.write()
        shop.post("reset-log")
        return shop.world


def killed(shop: Shop, warm: Warm, at: int, log: Path | None = None) -> int:
    """Exit code of an apply that is killed at its n-th point."""
    more = {"BATCHCTL_CRASH_LOG": str(log)} if log else {}
    environ = {**KEYS, "BATCHCTL_API_URL": shop.url, "BATCHCTL_CRASH_AT": str(at), **more}
    return warm.run("apply", "-C", str(shop.root), "--auto-approve", **environ)


def open_rows(shop: Shop) -> dict[str | None, int]:
    """Per target with a pending delta, its rows that were not acknowledged."""
    store = StateReader(shop.root / ".batchctl")
    standings = standings_of(store, store.read())
    return {
        one.known.audience or None: sum(size_of(layer.ranges or ((0, layer.rows),)) for layer in one.unsure)
        for one in standings.values()
        if one.known.pending is not None and one.known.account == ACCOUNTS["ios"]
    }


def points(folder: Path, prepared: Path, world: World, warm: Warm) -> list[str]:
    """The names of all points an apply passes that is not killed."""
    log = folder / "points"
    with resumed(folder / "whole", prepared, world) as shop:
        assert killed(shop, warm, 0, log) == 0, warm.said
    return log.read_text().splitlines()


def chosen(names: list[str]) -> list[int]:
    """All points under soak; else every tenth."""
    return list(range(1 if SOAK else 4, len(names) + 1, 1 if SOAK else 10))


def died(shop: Shop, warm: Warm, at: int, names: list[str]) -> bool:
    """Killed at its n-th point; False where it ended before: how many writes are one write differs from run to run."""
    code = killed(shop, warm, at)
    assert code == -signal.SIGKILL or (code == 0 and at > len(names) // 2), (at, names[at - 1], warm.said)
    return code != 0


@pytest.mark.parametrize("first", [True, False], ids=["first-upload", "delta"])
def test_a_killed_apply_converges_from_every_point(tmp_path: Path, first: bool) -> None:
    world = prepare(tmp_path / "prepared", first=first, links=SMALL)
    with Warm(tmp_path) as warm:
        names = points(tmp_path, tmp_path / "prepared", world, warm)
        for at in chosen(names):
            with resumed(tmp_path / f"kill{at}", tmp_path / "prepared", world) as shop:
                if not died(shop, warm, at, names):
                    continue
                people = dict(world.people)
                moved = at % 2 == 0
                expected = None if moved else open_rows(shop)
                if moved:
                    night(world, random.Random(at))
                converge(shop, expected, f"{at} {names[at - 1]}")
                count(kills_at_every_point_of_a_small_apply=1)
                world.people = people


@pytest.mark.parametrize("first", [True, False], ids=["first-upload", "delta"])
def test_a_larger_apply_killed_at_random_points(tmp_path: Path, first: bool) -> None:
    world = prepare(tmp_path / "prepared", first=first, size=3_000 if SOAK else 300, links=LARGER)
    people, chance = dict(world.people), random.Random(3)
    with Warm(tmp_path) as warm:
        names = points(tmp_path, tmp_path / "prepared", world, warm)
        for at in sorted(chance.sample(range(1, len(names) + 1), 20 if SOAK else 15)):
            with resumed(tmp_path / f"kill{at}", tmp_path / "prepared", world) as shop:
                if not died(shop, warm, at, names):
                    continue
                night(world, random.Random(at))
                converge(shop, None, f"{at} {names[at - 1]}")
                count(kills_at_random_points_of_a_larger_apply=1)
            shutil.rmtree(tmp_path / f"kill{at}")
            world.people = dict(people)


def converge(shop: Shop, unacknowledged: dict[str | None, int] | None, where: str) -> None:
    """One more apply reaches the truth."""
    done = shop.apply()
    assert done.code == 0, f"{where}: {done}"
    changes = done.plan["changes"]
    assert not [one for one in changes if one["op"] == "full" and one["target"] == "audience"], f"{where}: {done}"
    if unacknowledged is not None:
        sent = sum(one["rows"]["planned"] for one in changes if one["audience"] in unacknowledged)
        assert sent <= sum(unacknowledged.values()), f"{where}: {sent} rows, {unacknowledged}"
    shop.converged()
    assert not {"create_existing", "replace_without_barrier"} & set(shop.breaches()), (where, shop.breaches())
