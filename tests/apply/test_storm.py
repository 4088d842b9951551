"""kill -9 night after night: of the resume of a killed run, with people moving or not, the disk of the machine kept or lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from reconciler.state.bucket import open_bucket
from tests.apply.people import LINKS, night, opened
from tests.apply.shop import Shop, environment
from tests.apply.soak import SOAK, count
from tests.apply.test_kill import converge, killed
from tests.apply.warm import Warm
from tests.stores import servers
from tests.stores.test_lease import free

WORLDS, KILLS = (30, 30) if SOAK else (1, 3)


@contextmanager
def keeping(where: str, root: Path, chance: random.Random) -> Iterator[tuple[str, Callable[[], None]]]:
    """The Project's `state` and what an operator does after a kill. In a bucket: the lock is freed, most disks are lost."""
    if where == "disk":
        yield "", lambda: None
        return
    with servers.s3() as environ, environment(environ):
        url = f"s3://{servers.BUCKET}/{uuid.uuid4().hex}"

        def mend() -> None:
            free(open_bucket(url, cache=root.parent / "operator", environ=os.environ))
            if chance.random() < 0.7:
                shutil.rmtree(root / ".batchctl", ignore_errors=True)

        yield f"\nstate: {{url: {url}}}", mend


@pytest.mark.parametrize("seed", range(WORLDS))
@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_killed_again_and_again(tmp_path: Path, where: str, seed: int) -> None:
    chance = random.Random(f"{where} {seed}")
    links = tuple(chance.sample(LINKS, 3)) if SOAK else tuple(link for link in LINKS if link.name in ("l2", "l4"))
    root = tmp_path / "shop"
    with (
        running(Options(rate_scale=0, indexing_delay=0.02)) as url,
        keeping(where, root, chance) as (state, mend),
        Warm(tmp_path) as warm,
    ):
        shop = Shop(root, url, opened(24, chance, links))
        shop.project += state
        for number in range(KILLS):
            if number and chance.random() < 0.6:
                night(shop.world, chance)
            shop.write()
            code = killed(shop, warm, chance.randrange(1, 60))
            assert code in (-signal.SIGKILL, 0), (number, warm.said)
            count(kills_in_storms=int(code != 0))
            mend()
            if chance.random() < 0.12 or number == KILLS - 1:
                converge(shop, None, f"after {number + 1}")
                count(times_storms_converged=1)
        count(worlds_with_storms=1)
