"""SIGTERM and SIGINT of real processes: the request in flight is recorded, the lock is free, the next run goes on."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from tests.apply.people import LINKS, opened
from tests.apply.shop import KEYS, Shop
from tests.apply.warm import Warm

OURS = tuple(link for link in LINKS if link.name in ("l2", "l3", "l6"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_request_in_flight_is_the_last(tmp_path: Path, number: int, code: int) -> None:
    with running(Options(rate_scale=0, indexing_delay=0.02, slow_seconds=1.0)) as url, Warm(tmp_path) as warm:
        shop = Shop(tmp_path / "shop", url, opened(24, random.Random(1), OURS))
        shop.write()
        shop.post("faults", slow=1)
        pid = warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=url)
        while not (seen := shop.writes()[1]):
            pass
        os.kill(pid, number)
        assert warm.wait() == code, warm.said
        assert "goes on from here" in warm.said
        assert "Traceback" not in warm.said
        stopped = shop.writes()[1]
        assert stopped <= seen + len(OURS)
        shop.post("faults", slow=0)
        done = shop.apply("--lock-timeout", "0")
        assert done.code == 0, done
        assert shop.writes()[1] == 2 * len(OURS), "a create and an upload for each audience, none of them twice"
        shop.converged()
        assert shop.breaches() == {}


def test_nothing_is_sent_when_it_stops_while_planning(tmp_path: Path) -> None:
    with running(Options(rate_scale=0, indexing_delay=0.02, slow_seconds=1.0)) as url, Warm(tmp_path) as warm:
        shop = Shop(tmp_path / "shop", url, opened(24, random.Random(1), OURS))
        shop.write()
        shop.post("faults", slow=1)
        pid = warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=url)
        while not shop.log():
            pass
        os.kill(pid, signal.SIGTERM)
        assert warm.wait() == 143, warm.said
        assert "interrupted" in warm.said
        assert "nothing was sent" in warm.said
        assert shop.writes()[1] == 0
