"""SIGTERM and SIGINT of real processes: the request in flight is recorded, the lock is free, the next run goes on."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from tests.apply.people import LINKS, opened
from tests.apply.shop import KEYS, Shop
from tests.apply.warm import Warm
from tests.stores.test_lease import wait_for

OURS = tuple(link for link in LINKS if link.name in ("l2", "l3", "l6"))


@contextmanager
def applying(tmp_path: Path, *, seconds: float = 1.0) -> Iterator[tuple[Shop, Warm, int]]:
    """A first apply under way, and its process; Batch takes so long for each answer."""
    with running(Options(rate_scale=0, indexing_delay=0.02, slow_seconds=seconds)) as url, Warm(tmp_path) as warm:
        shop = Shop(tmp_path / "shop", url, opened(24, random.Random(1), OURS))
        shop.write()
        shop.post("faults", slow=1)
        yield shop, warm, warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=url)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_request_in_flight_is_the_last(tmp_path: Path, number: int, code: int) -> None:
    with applying(tmp_path) as (shop, warm, pid):
        while not (seen := shop.writes()[1]):
            pass
        os.kill(pid, number)
        assert warm.wait() == code, warm.said
        assert "goes on from here" in warm.said
        assert f"{'press' if number == signal.SIGINT else 'send the signal'} again to stop at once" in warm.said
        assert "Traceback" not in warm.said
        stopped = shop.writes()[1]
        assert stopped <= seen + len(OURS)
        shop.post("faults", slow=0)
        done = shop.apply("--lock-timeout", "0")
        assert done.code == 0, done
        assert shop.writes()[1] == 2 * len(OURS), "a create and an upload for each audience, none of them twice"
        shop.converged()
        assert shop.breaches() == {}


def test_the_second_ctrl_c_says_what_it_leaves(tmp_path: Path) -> None:
    with applying(tmp_path, seconds=3.0) as (shop, warm, pid):
        while not shop.writes()[1]:
            pass
        os.kill(pid, signal.SIGINT)
        wait_for(lambda: "press again to stop at once" in warm.said, seconds=10)
        os.kill(pid, signal.SIGINT)
        assert warm.wait() == 130, warm.said
        said = "stopped at once: the request in flight may have reached Batch; batchctl apply"
        (last,) = [line for line in warm.said.splitlines() if line.startswith(said)]
        assert last.endswith(" goes on from here")
        shop.post("faults", slow=0)
        assert shop.apply("--lock-timeout", "20").code == 0
        shop.converged()


def test_nothing_is_sent_when_it_stops_while_planning(tmp_path: Path) -> None:
    with applying(tmp_path) as (shop, warm, pid):
        while not shop.log():
            pass
        os.kill(pid, signal.SIGTERM)
        assert warm.wait() == 143, warm.said
        assert "interrupted" in warm.said
        assert "nothing was sent" in warm.said
        assert shop.writes()[1] == 0
