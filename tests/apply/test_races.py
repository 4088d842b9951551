"""Runs that meet, that outlive their lock, and that find a state older than Batch."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from reconciler.state.ack import Ack
from reconciler.state.acks import decoded
from reconciler.state.bucket import open_bucket
from reconciler.state.lease import holder_of
from reconciler.state.place import Place
from tests.apply.people import LINKS, Link, night, opened
from tests.apply.shop import KEYS, Shop
from tests.apply.test_storm import keeping
from tests.apply.warm import ROOT, Warm
from tests.stores.test_lease import free, wait_for

PROFILES = tuple(link for link in LINKS if link.name == "l8")
"""Hundreds of operations, 200 to a request."""
OURS = tuple(link for link in LINKS if link.name in ("l2", "l6"))


@contextmanager
def slow(
    tmp_path: Path, where: str, links: tuple[Link, ...] = OURS, count: int = 24, seconds: float = 0.5
) -> Iterator[Shop]:
    """A shop whose Batch takes its time for each answer, about to apply its first upload."""
    root = tmp_path / "shop"
    options = Options(rate_scale=0, indexing_delay=0.02, slow_seconds=seconds)
    with running(options) as url, keeping(where, root, random.Random(1)) as (state, _):
        shop = Shop(root, url, opened(count, random.Random(1), links))
        shop.project += state
        shop.write()
        shop.post("faults", slow=1)
        yield shop


def wait_for_a_write(shop: Shop) -> int:
    """How many there are, once there is one."""
    wait_for(lambda: shop.writes()[1] > 0, seconds=60)
    return shop.writes()[1]


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_of_two_at_once_one_works_and_the_other_finds_nothing_left_to_do(tmp_path: Path, where: str) -> None:
    with slow(tmp_path, where) as shop, Warm(tmp_path) as warm:
        warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=shop.url)
        wait_for_a_write(shop)
        shop.post("faults", slow=0)
        refused = shop.command("apply", "--auto-approve", "--lock-timeout", "0")
        assert (refused.code, "another run holds the state" in refused.err) == (5, True), refused
        waited = shop.apply()
        assert (warm.wait(), waited.code, waited.plan["totals"]["planned"]) == (0, 0, 0), warm.said + str(waited)
        assert shop.writes()[1] == 2 * len(OURS), "a create and an upload for each audience, none of them twice"
        shop.converged()


def test_a_run_that_is_interrupted_frees_the_lease(tmp_path: Path) -> None:
    with slow(tmp_path, "bucket") as shop, Warm(tmp_path) as warm:
        place = open_bucket(shop.project.split()[-1].rstrip("}"), cache=tmp_path / "operator", environ=os.environ)
        pid = warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=shop.url)
        wait_for_a_write(shop)
        assert holder_of(place) is not None
        os.kill(pid, signal.SIGTERM)
        assert warm.wait() == 143, warm.said
        assert holder_of(place) is None
        shop.post("faults", slow=0)
        done = shop.apply("--lock-timeout", "0")
        assert done.code == 0, done
        shop.converged()


SLEEPING = """
import os, sys, time
clock = time.time
time.time = lambda: clock() + (3600 if os.path.exists(sys.argv[1]) else 0)
from reconciler.cli.main import run
sys.exit(run(sys.argv[2:]))
"""
"""The command on a machine that slept for an hour if a file is there."""
OTHERS = "targets/a/delta-9-0000000a.parquet"


def test_a_run_that_slept_longer_than_its_lease_sends_nothing_more(tmp_path: Path) -> None:
    slept = tmp_path / "slept"
    with slow(tmp_path, "bucket", PROFILES, count=2_000) as shop:
        place = open_bucket(shop.project.split()[-1].rstrip("}"), cache=tmp_path / "operator", environ=os.environ)
        command = [sys.executable, "-c", SLEEPING, str(slept), "apply", "-C", str(shop.root), "--auto-approve"]
        environ = {**os.environ, **KEYS, "BATCHCTL_API_URL": shop.url, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            seen = wait_for_a_write(shop)
            slept.touch()
            place.put(OTHERS, b"put by whoever holds the lock now, who is about to name it")
            said = process.communicate(timeout=60)[0]
        assert process.returncode == 5, said
        assert "sends nothing more" in said
        assert "Traceback" not in said
        assert "rows     planned 660 = done 200 + not attempted 460" in said
        assert "requests planned 4, minimum 4, sent 1, 3 not attempted" in said
        assert (seen, shop.writes()[1]) == (1, 1), "the request in flight was the last"
        assert place.read(OTHERS) is not None
        shop.post("faults", slow=0)
        done = shop.command("state", "unlock", "--auto-approve")
        assert done.code == 0, done
        assert shop.apply().code == 0
        assert shop.writes()[1] > 3
        shop.converged()


def test_a_machine_lost_midway_has_said_what_batch_took(tmp_path: Path) -> None:
    with slow(tmp_path, "bucket", PROFILES, count=2_400, seconds=1) as shop, Warm(tmp_path) as warm:
        place = open_bucket(shop.project.split()[-1].rstrip("}"), cache=tmp_path / "operator", environ=os.environ)
        pid = warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=shop.url)
        wait_for(lambda: rows_taken(place) > 0, seconds=30)
        os.kill(pid, signal.SIGKILL)
        assert warm.wait() == -signal.SIGKILL, warm.said
        taken = rows_taken(place)
        seen = shop.writes()[1]
        shutil.rmtree(shop.root / ".batchctl")
        free(place)
        shop.post("faults", slow=0)
        done = shop.apply()
        assert done.code == 0, done
        requests = shop.writes()[1] - seen
        shop.converged()
        (everybody,) = shop.world.truth.values()
        assert done.plan["totals"]["planned"] == len(everybody) - taken, (
            "what the bucket knows was taken is not sent again"
        )
        assert requests < -(-len(everybody) // 200), "fewer requests than a full upload"


def rows_taken(place: Place) -> int:
    """Rows that the bucket knows Batch took."""
    found = [place.read(name) for name in place.names("targets/") if "acks-" in name]
    lines = [line for one in found if one for line in decoded(one.data, where="the log")]
    return sum(line.stop - line.start for line in lines if isinstance(line, Ack))


def test_an_older_state_put_back_leads_to_a_visible_plan_and_to_the_truth(tmp_path: Path) -> None:
    chance = random.Random(5)
    links = tuple(link for link in LINKS if link.name in ("l2", "l5", "l6"))
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        shop = Shop(tmp_path / "shop", url, opened(24, chance, links))
        shop.turn()
        night(shop.world, chance)
        shop.turn()
        serial = json.loads(shop.command("state", "list", "--format", "json").out)["serial"]
        file = str(tmp_path / "older.json")
        assert shop.command("state", "pull", "--serial", str(serial - 5), "--out", file).code == 0
        refused = shop.command("state", "push", file, "--auto-approve")
        assert (refused.code, "is not a successor of the state" in refused.err) == (1, True), refused
        assert shop.command("state", "push", file, "--auto-approve", "--force").code == 0
        assert shop.plan().code == 2, "Batch is ahead of what the state says"
        done = shop.apply()
        assert done.code == 0, done
        shop.converged()


@pytest.mark.parametrize("damaged", [False, True], ids=["readable", "damaged"])
@pytest.mark.parametrize("name", ["l3", "l8"])
def test_who_came_and_left_since_an_older_state_is_known_to_it(tmp_path: Path, name: str, damaged: bool) -> None:
    link = replace(next(one for one in LINKS if one.name == name), where="pts >= 0", test=lambda p: p.pts >= 0)
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        shop = Shop(tmp_path / "shop", url, opened(24, random.Random(5), (link,)))
        shop.turn()
        file, people = tmp_path / "older.json", shop.world.people
        file.write_text(shop.command("state", "pull").out)
        gone, stays = sorted(pid for pid, one in people.items() if not shop.world.barred(one))[:2]
        shop.world.people = {pid: one for pid, one in people.items() if pid != gone}
        shop.world.people["p901"] = replace(people[stays], pid="p901")
        shop.turn()
        if damaged:
            (shop.root / ".batchctl/state.json").write_text("{}")
        assert shop.command("state", "push", str(file), "--auto-approve", "--force").code == 0
        shop.world.people = people
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["op"], done.plan["totals"]["done"]) == (0, "delta", 2), done
        shop.converged()
        assert shop.command("state", "verify").code == 0


@pytest.mark.parametrize("damaged", [False, True], ids=["readable", "damaged"])
@pytest.mark.parametrize("name", ["l6", "l8"])
def test_what_became_ours_since_an_older_state_is_not_forgotten(tmp_path: Path, name: str, damaged: bool) -> None:
    first, second = (next(one for one in LINKS if one.name == link) for link in ("l3", name))
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        shop = Shop(tmp_path / "shop", url, opened(24, random.Random(5), (first,)))
        shop.turn()
        file, people = tmp_path / "older.json", shop.world.people
        file.write_text(shop.command("state", "pull").out)
        shop.world.links[name] = replace(second, where="pts >= 0", test=lambda p: p.pts >= 0)
        shop.turn()
        if damaged:
            (shop.root / ".batchctl/state.json").write_text("{}")
        assert shop.command("state", "push", str(file), "--auto-approve", "--force").code == 0
        gone = min(pid for pid, one in people.items() if not shop.world.barred(one))
        people[gone] = replace(people[gone], ok=False)
        done = shop.apply()
        assert (done.code, {one["op"] for one in done.plan["changes"]} - {"none"}) == (0, {"delta"}), done
        shop.converged()
        assert shop.command("state", "verify").code == 0
