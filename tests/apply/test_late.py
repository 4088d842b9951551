"""Requests that outlive the run that sent them: the next run writes about the same people only when they are over."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.state.ack import Sending
from reconciler.state.acks import read_acks
from tests.apply.shop import KEYS, Done, Shop
from tests.apply.test_anew import leave
from tests.apply.test_cut_off import die, dying, everybody, joined
from tests.apply.test_rules import DATA, MEP10, shop_of
from tests.batch.between import between
from tests.batch.kit import Say, Seen
from tests.stores.test_lease import wait_for


@pytest.mark.parametrize(("name", "vanished"), [("l3", False), ("l3", True), ("l8", False)])
def test_a_request_that_was_repeated_late_is_waited_out(tmp_path: Path, name: str, vanished: bool) -> None:
    """Refused for longer than a request may take, then cut off: Batch processes it after the next run has begun."""
    written, held = list[float](), threading.Event()

    def fate(seen: Seen) -> Say | None:
        if b"p901" not in seen.body or held.is_set():
            return None
        written.append(time.monotonic())
        if written[-1] - written[0] < 2.5:
            return Say(503)
        assert held.wait(30)
        return None

    with dying(tmp_path, everybody(name)) as (shop, warm), between(shop.url, fate) as slow:
        shop.retry = "attempts: 20, deadline: 60s"
        joined(shop, "p901")
        shop.write()
        specs = shop.root / "specs.yaml"
        specs.write_text(specs.read_text().replace("base_seconds: 0.01", "base_seconds: 0.5"))
        pid = warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=slow.url)
        wait_for(lambda: bool(written) and written[-1] - written[0] >= 2.5, seconds=60)
        os.kill(pid, signal.SIGKILL)
        assert warm.wait() == -signal.SIGKILL, warm.said
        if vanished:
            shop.post("delete-audience", name=MEP10)
        threading.Timer(1.5, held.set).start()
        leave(shop, "p901")
        before, done = shop.writes()[1], shop.apply()
        assert done.code == 0, done
        late = before + done.plan["writes"]["sent"] + 1
        wait_for(lambda: shop.writes()[1] == late, seconds=10)
        shop.converged()


def test_a_clock_that_was_set_back_makes_nobody_wait_longer(tmp_path: Path) -> None:
    with dying(tmp_path, everybody("l8")) as (shop, warm):
        joined(shop, "p901")
        die(shop, warm, "1,ack: end")
        log = max((shop.root / ".batchctl").rglob("acks-*.jsonl"), key=lambda one: one.stat().st_mtime_ns)
        (line,) = map(json.loads, log.read_text().splitlines())
        line["at"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        log.write_text(json.dumps(line) + "\n")
        pid = warm.start("apply", "-C", str(shop.root), "--auto-approve", **KEYS, BATCHCTL_API_URL=shop.url)
        given_up = threading.Timer(60, os.kill, (pid, signal.SIGKILL))
        given_up.start()
        assert warm.wait() == 0, warm.said
        given_up.cancel()
        shop.converged()


def test_values_sent_alone_after_nulls_were_refused_are_unknown_where_nobody_answers(tmp_path: Path) -> None:
    with nulls_refused(tmp_path, Say(500)) as (shop, done):
        (change,) = done.plan["changes"]
        assert (change["outcome"], change["rows"]["unknown"]) == ("unknown", 1), done
        log = max((shop.root / ".batchctl").rglob("acks-*.jsonl"), key=lambda one: one.stat().st_mtime_ns)
        assert isinstance(read_acks(log)[-1], Sending), "it may be in flight"


def test_values_sent_alone_after_nulls_were_refused_are_no_reject_where_nothing_may_be_sent(tmp_path: Path) -> None:
    with nulls_refused(tmp_path, Say(403)) as (shop, done):
        (change,) = done.plan["changes"]
        assert (change["outcome"], change["rows"]["failed"], change["rows"]["refused"]) == ("failed", 1, 0), done
        assert shop.apply().code == 7, "Batch still refuses the removal"
        assert shop.held(DATA)["p901"]["u.pts"] == 31, "the values went out"


@contextmanager
def nulls_refused(tmp_path: Path, said: Say) -> Iterator[tuple[Shop, Done]]:
    """An apply whose only row has a null, which is refused, and then is told `said` of its values alone."""

    def fate(seen: Seen) -> Say | None:
        return said if seen.body.startswith(b"[") and b"p901" in seen.body and b"null" not in seen.body else None

    with shop_of(tmp_path, everybody("l4"), switches=("custom_data_null=reject_call",)) as shop:
        joined(shop, "p901")
        shop.world.people["p901"] = replace(shop.world.people["p901"], tier="gold", pts=30, ok=True)
        assert shop.apply().code == 0
        shop.world.people["p901"] = replace(shop.world.people["p901"], tier=None, pts=31)
        with between(shop.url, fate) as broken:
            yield shop, shop.apply(BATCHCTL_API_URL=broken.url)
