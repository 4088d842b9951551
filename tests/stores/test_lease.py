"""The lock of a bucket: one holder, who says who it is, and who stops when it may not be one any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from reconciler.errors import Locked, StateError
from reconciler.state.bucket import open_bucket
from reconciler.state.holder import UNKNOWN, Holder
from reconciler.state.lease import Heard, Terms, acquire, heard_of, holder_of, unlock
from reconciler.state.names import LOCK
from reconciler.state.place import Folder, Found, Place
from reconciler.state.store import StateStore
from tests.apply.shop import environment
from tests.state.kit import NOW, state
from tests.stores import servers
from tests.stores.conftest import Somewhere

ME = Holder(text="apply", started=NOW, run="https://ci.example/runs/7", pid=4711, host="runner-1")
SHORT = Terms(lease=0.4, heartbeat=60.0, poll=0.02)
STILL = Terms(lease=60.0, heartbeat=60.0, poll=0.02)


def wait_for(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until `true()`, which asks the store each time; a failure says that it never was."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until


def free(place: Place) -> None:
    """What an operator does who knows that the holder of the lock is dead."""
    heard = heard_of(place)
    if heard is not None:
        unlock(place, heard)


def test_a_second_run_is_told_who_holds_it(bucket: Somewhere) -> None:
    assert holder_of(bucket.place()) is None
    with acquire(bucket.place(), timeout_seconds=0, holder=ME) as lease:
        assert holder_of(bucket.place("two")) == ME
        said: list[str] = []
        with (
            pytest.raises(Locked, match=r"apply \(process 4711 on runner-1, .*https://ci.example/runs/7") as caught,
            acquire(bucket.place("two"), timeout_seconds=1, holder=ME, waiting=said.append, terms=STILL),
        ):
            pytest.fail("two hold it")
        assert "if it is dead, run this again with --lock-timeout 90, which takes over a lock" in caught.value.fix
        assert "not renewed for 60 s, or free it at once: batchctl state unlock" in caught.value.fix
        assert "still alive" in caught.value.why
        assert said
        lease.require(30.0)
    assert holder_of(bucket.place("two")) is None
    with acquire(bucket.place("two"), timeout_seconds=0, holder=ME):
        pass


def test_nobody_is_told_to_free_the_lock_of_a_run_that_is_alive(bucket: Somewhere) -> None:
    beating = Terms(lease=60.0, heartbeat=0.05, poll=0.02)
    with (
        acquire(bucket.place(), timeout_seconds=0, holder=ME, terms=beating) as lease,
        pytest.raises(Locked) as caught,
        acquire(bucket.place("two"), timeout_seconds=3, holder=ME, terms=STILL),
    ):
        pytest.fail(f"two hold it: {lease}")
    assert "it was alive while this one waited" in caught.value.fix
    assert "unlock" not in caught.value.fix


def test_one_of_many_holds_it(bucket: Somewhere) -> None:
    inside = threading.Semaphore(1)
    worked: list[int] = []

    def work(number: int) -> None:
        with acquire(bucket.place(str(number)), timeout_seconds=30, holder=ME, terms=STILL):
            assert inside.acquire(blocking=False), "two hold it"
            worked.append(number)
            inside.release()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert sorted(worked) == list(range(6))


def test_an_expired_lease_is_taken_over_and_its_holder_stops(bucket: Somewhere) -> None:
    with acquire(bucket.place(), timeout_seconds=0, holder=ME, terms=SHORT) as lease:
        with (
            acquire(bucket.place("two"), timeout_seconds=20, holder=ME, terms=STILL),
            pytest.raises(Locked, match="sends nothing more"),
        ):
            lease.require(0.0)
        with pytest.raises(Locked):
            lease.require(0.0)


def test_whoever_lost_it_does_not_write_the_state(s3: Somewhere) -> None:
    with acquire(s3.place("two"), timeout_seconds=0, holder=ME, terms=SHORT) as lost:
        store = StateStore(s3.place("two"), permit=lost.require)
        first = store.write(state())
        with acquire(s3.place(), timeout_seconds=20, holder=ME, terms=STILL) as held:
            with pytest.raises(Locked):
                store.write(first)
            assert StateStore(s3.place(), permit=held.require).write(first).serial == 2


def test_whoever_lost_it_does_not_free_it(bucket: Somewhere) -> None:
    other = Holder(text="import", started=NOW)
    with acquire(bucket.place("two"), timeout_seconds=0, holder=ME, terms=SHORT) as lost:
        successor = acquire(bucket.place(), timeout_seconds=20, holder=other, terms=STILL)
        successor.__enter__()
        lost.renew()
    assert holder_of(bucket.place()) == other
    successor.__exit__(None, None, None)
    assert holder_of(bucket.place()) is None


def test_no_request_starts_that_could_outlast_the_lease(s3: Somewhere) -> None:
    terms = Terms(lease=20.0, heartbeat=60.0)
    with acquire(s3.place(), timeout_seconds=0, holder=ME, terms=terms) as lease:
        lease.require(15.0)
        with pytest.raises(Locked, match="could not be renewed in time"):
            lease.require(20.5)


def test_a_lease_that_runs_short_is_renewed_before_a_request(s3: Somewhere) -> None:
    terms = Terms(lease=30.0, heartbeat=60.0)
    with acquire(s3.place(), timeout_seconds=0, holder=ME, terms=terms) as lease:
        before = beat(s3.place("two"))
        wait_for(lambda: lease.require(29.0) is None and beat(s3.place("two")) > before)


def test_a_heartbeat_keeps_it(bucket: Somewhere) -> None:
    with acquire(bucket.place(), timeout_seconds=0, holder=ME, terms=Terms(heartbeat=0.02)) as lease:
        wait_for(lambda: beat(bucket.place("two")) > 3)
        lease.require(30.0)


class Mumbling(Folder):
    """A place whose answer to a write is lost once, after the write took effect; or which is gone."""

    silent, gone = False, False

    def replace(self, name: str, data: bytes, *, before: Found | None, keep: str | None = None) -> Found:
        if self.gone:
            raise StateError("could not write the lock", why="no answer from the store")
        found = super().replace(name, data, before=before, keep=keep)
        if self.silent:
            self.silent = False
            raise StateError("could not write the lock", why="no answer from the store")
        return found


def test_a_heartbeat_whose_answer_was_lost_loses_nothing(tmp_path: Path) -> None:
    place = Mumbling(tmp_path)
    with acquire(place, timeout_seconds=0, holder=ME, terms=STILL) as lease:
        place.silent = True
        lease.renew()
        lease.renew()
        lease.require(30.0)
        place.silent = True
        lease.renew()
    assert holder_of(place) is None


def test_why_a_lease_ran_out_is_said_and_that_it_did_is_final(tmp_path: Path) -> None:
    place = Mumbling(tmp_path)
    with acquire(place, timeout_seconds=0, holder=ME, terms=Terms(lease=1.0, heartbeat=60.0, poll=0.02)) as lease:
        place.gone = True
        with pytest.raises(Locked, match=r"ran out and was not renewed: could not write the lock, no answer"):
            lease.require(1.0)
        place.gone = False
        with pytest.raises(Locked, match="was not renewed"):
            lease.require(0.0)
    assert holder_of(place) is None, "it was still its own, and is free"


def test_a_heartbeat_whose_connection_hangs_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.state.bucket.LOCK_TIMEOUT", timedelta(seconds=0.5))
    hangs, over = threading.Event(), threading.Event()

    def one(method: str, name: str) -> None:
        if (method, name) == ("PUT", "prod/lock") and not hangs.is_set():
            hangs.set()
            over.wait(60)

    with servers.google() as (kept, environ), environment(environ):
        place = open_bucket("gs://crm-state/prod", cache=tmp_path, environ=environ)
        with acquire(place, timeout_seconds=0, holder=ME, terms=Terms(heartbeat=0.02, poll=0.02)) as lease:
            kept.waits = one
            assert hangs.wait(20)
            before = beat(place)
            wait_for(lambda: beat(place) > before)
            lease.require(30.0)
            over.set()
            wait_for(lambda: beat(place) > before + 2)
            lease.require(30.0)
        assert holder_of(place) is None


@pytest.mark.parametrize("before", ["nobody", "somebody"])
def test_a_lock_whose_first_answer_was_lost_is_held(tmp_path: Path, before: str) -> None:
    place = Mumbling(tmp_path)
    if before == "somebody":
        with acquire(place, timeout_seconds=0, holder=ME, terms=STILL):
            pass
    place.silent = True
    with acquire(place, timeout_seconds=0, holder=ME, terms=STILL) as lease:
        lease.require(30.0)
        assert holder_of(place) == ME
    assert holder_of(place) is None


def heard(place: Place) -> Heard:
    """Of a lock that is held."""
    found = heard_of(place)
    assert found is not None
    return found


def test_unlock_frees_it_and_its_holder_notices(bucket: Somewhere) -> None:
    with acquire(bucket.place(), timeout_seconds=0, holder=ME, terms=STILL) as lease:
        shown = heard(bucket.place("two"))
        assert shown.holder == ME
        lease.renew()
        assert unlock(bucket.place("two"), shown), "renewed or not, it is that run's"
        assert not unlock(bucket.place("two"), shown)
        lease.renew()
        with pytest.raises(Locked, match="somebody freed it"):
            lease.require(1.0)


def test_unlock_does_not_free_what_another_run_took_meanwhile(bucket: Somewhere) -> None:
    with acquire(bucket.place(), timeout_seconds=0, holder=ME, terms=STILL):
        shown = heard(bucket.place("two"))
    other = Holder(text="import", started=NOW)
    with acquire(bucket.place(), timeout_seconds=0, holder=other, terms=STILL) as lease:
        with pytest.raises(Locked, match=r"nothing was freed\nimport \(process"):
            unlock(bucket.place("two"), shown)
        lease.renew()
        lease.require(30.0)


def test_a_clock_that_is_ahead_takes_over_no_lock_that_lives(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    with acquire(place, timeout_seconds=0, holder=ME, terms=STILL) as lease:
        os.utime(tmp_path / LOCK, (time.time() - 3600,) * 2)
        with (
            pytest.raises(Locked, match="another run holds the state"),
            acquire(place, timeout_seconds=0.1, holder=ME, terms=STILL),
        ):
            pytest.fail("two hold it")
        lease.require(30.0)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (-5, "still alive 0 s ago: its lease of 60 s has not ended"),
        (50, "still alive 50 s ago: its lease of 60 s has not ended"),
        (3700, "last heard from 3,700 s ago: by this machine's clock its lease of 60 s has ended"),
    ],
)
def test_whether_a_holder_was_heard_from_within_its_lease_is_said(tmp_path: Path, ago: int, said: str) -> None:
    place = Folder(tmp_path)
    assert heard_of(place) is None
    with acquire(place, timeout_seconds=0, holder=ME, terms=STILL):
        os.utime(tmp_path / LOCK, (time.time() - ago,) * 2)
        found = heard(place)
    assert (found.holder, str(found)) == (ME, said)
    assert heard_of(place) is None


def test_a_lock_that_cannot_be_read_is_held_by_somebody(s3: Somewhere) -> None:
    s3.place().put(LOCK, b"{")
    assert holder_of(s3.place()) == UNKNOWN
    with (
        pytest.raises(Locked, match="has not said who it is"),
        acquire(s3.place(), timeout_seconds=0.1, holder=ME, terms=STILL),
    ):
        pytest.fail("it is held")
    shown = heard(s3.place())
    s3.place().put(LOCK, b"[")
    with pytest.raises(Locked, match="nothing was freed"):
        unlock(s3.place(), shown)
    free(s3.place())
    assert holder_of(s3.place()) is None


PAUSED = """
import os, sys
from pathlib import Path
from reconciler.errors import Locked, StateError
from reconciler.state.bucket import open_bucket
from reconciler.state.lease import Terms, acquire
from tests.stores.test_lease import ME
place = open_bucket(sys.argv[1], cache=Path(sys.argv[2]), environ=os.environ)
with acquire(place, timeout_seconds=0, holder=ME, terms=Terms(lease=1.0, heartbeat=0.2)) as lease:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        lease.require(0.1)
        print("sent", flush=True)
    except Locked as error:
        print(error.why, flush=True)
"""


def test_a_process_paused_longer_than_its_lease_sends_nothing_more(s3: Somewhere, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PAUSED, s3.url, str(tmp_path / "paused")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        with acquire(s3.place(), timeout_seconds=30, holder=ME, terms=Terms(lease=1.0, poll=0.05)):
            process.stdin.write("\n")
            process.send_signal(signal.SIGCONT)
            assert "ran out" in process.communicate(timeout=30)[0]


def beat(place: Place) -> int:
    """Heartbeats so far."""
    found = place.read(LOCK)
    assert found is not None
    return int(orjson.loads(found.data)["beat"])
