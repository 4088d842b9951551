"""Acknowledgements survive the machine they were written on, up to the last two seconds; nothing is claimed twice."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from reconciler.errors import Locked, StateError
from reconciler.state.ack import Ack, Line, Unfinished
from reconciler.state.acklogs import AckLogs, joined
from reconciler.state.place import Folder
from reconciler.state.seal import Seal
from reconciler.state.sealed import Sealed
from reconciler.state.state import Pending
from reconciler.state.store import StateStore
from tests.state.kit import NOW, state, target
from tests.state.test_acks import ack
from tests.stores.conftest import Somewhere
from tests.stores.test_encryption import KEY, OTHER
from tests.stores.test_lease import wait_for

NAME = "targets/a/acks-1.jsonl"
MARK = Unfinished(at=NOW.replace(hour=20))


def test_a_log_is_known_to_be_open_before_its_first_line(bucket: Somewhere) -> None:
    assert AckLogs(bucket.place()).read(NAME) == ()
    AckLogs(bucket.place()).open(NAME)
    (mark,) = AckLogs(bucket.place("two")).read(NAME)
    assert isinstance(mark, Unfinished)


def test_lines_reach_the_bucket_while_the_run_goes_on(bucket: Somewhere) -> None:
    logs = AckLogs(bucket.place(), every=0.02)
    logs.start()
    log = logs.open(NAME)
    log.append(ack(0))
    elsewhere = AckLogs(bucket.place("two"))
    wait_for(lambda: elsewhere.read(NAME)[:-1] == (ack(0),))
    assert isinstance(elsewhere.read(NAME)[-1], Unfinished)
    log.append(ack(1))
    logs.stop(needed={NAME})
    assert elsewhere.read(NAME) == (ack(0), ack(1))


def test_this_machine_knows_more_than_the_bucket(anywhere: Somewhere) -> None:
    log = AckLogs(anywhere.place()).open(NAME)
    log.append(ack(0))
    log.append(ack(1))
    assert [one for one in AckLogs(anywhere.place()).read(NAME) if isinstance(one, Ack)] == [ack(0), ack(1)]


def test_a_machine_that_lost_its_disk_goes_on_from_the_bucket(bucket: Somewhere) -> None:
    logs = AckLogs(bucket.place())
    logs.open(NAME).append(ack(0))
    logs.stop(needed={NAME})
    shutil.rmtree(bucket.place().folder)
    logs = AckLogs(bucket.place())
    logs.open(NAME).append(ack(1))
    logs.stop(needed={NAME})
    assert AckLogs(bucket.place("two")).read(NAME) == (ack(0), ack(1))


def test_a_log_another_machine_went_on_with_is_not_taken_back(bucket: Somewhere) -> None:
    one = AckLogs(bucket.place())
    one.open(NAME).append(ack(0))
    two = AckLogs(bucket.place("two"))
    two.open(NAME).append(ack(1))
    two.stop(needed={NAME})
    assert AckLogs(bucket.place()).read(NAME) == (ack(1),)


def test_whoever_lost_the_lock_does_not_put_its_log_over_the_one_that_goes_on(s3: Somewhere) -> None:
    lost = threading.Event()

    def permit(_: float) -> None:
        if lost.is_set():
            raise Locked("this run does not hold the state's lock any more")

    intent = Pending(op="write", plan="p", started=NOW, acks=NAME)
    with StateStore(s3.place(), permit=permit) as store:
        store.write(state().with_target(target(pending=intent)))
        store.acks(NAME).append(ack(0))
        lost.set()
        AckLogs(s3.place("two")).open(NAME).append(ack(1))
        with pytest.raises(Locked):
            store.acks(NAME)
    assert isinstance(AckLogs(s3.place("three")).read(NAME)[-1], Unfinished), "a request may be in flight"
    assert ack(1) in AckLogs(s3.place("two")).read(NAME)


@pytest.mark.parametrize(
    ("sent", "own", "known"),
    [
        ((), (), ()),
        ((MARK,), (), (MARK,)),
        ((ack(0), MARK), (), (ack(0), MARK)),
        ((ack(0),), (ack(0), ack(1)), (ack(0), ack(1))),
        ((ack(0), ack(2)), (ack(0), ack(1)), (ack(0), ack(2))),
        ((ack(0), MARK), (ack(0), ack(1)), (ack(0), ack(1), MARK)),
    ],
)
def test_joining(sent: tuple[Line, ...], own: tuple[Line, ...], known: tuple[Line, ...]) -> None:
    assert joined(sent, own) == known


@pytest.mark.parametrize("enforced", [False, True], ids=["", "enforced"])
@pytest.mark.parametrize("before", [None, Seal(OTHER)], ids=["plain", "another key"])
def test_a_log_of_a_key_before_is_set_aside_for_the_one_in_the_bucket(
    s3: Somewhere, before: Seal | None, enforced: bool
) -> None:
    """Another machine has changed the key, or encrypted what was plain, since a run was killed on this one."""
    there = s3.place() if before is None else Sealed(s3.place(), before)
    StateStore(there).write(state())
    logs = AckLogs(there)
    logs.open(NAME).append(ack(0))
    logs.stop(needed={NAME})
    AckLogs(there).open(NAME).append(ack(1))
    StateStore(Sealed(s3.place("two"), Seal(KEY, fallback=OTHER))).reseal()
    here = Sealed(s3.place(), Seal(KEY, enforced=enforced))
    knows_more = before is None and not enforced
    assert AckLogs(here).read(NAME)[:-1] == ((ack(0), ack(1)) if knows_more else (ack(0),))
    assert isinstance(AckLogs(here).read(NAME)[-1], Unfinished), "what it lacks may be in flight"
    logs = AckLogs(here)
    with logs.open(NAME) as log:
        log.append(ack(2))
    logs.stop(needed={NAME})
    assert AckLogs(Sealed(s3.place("three"), Seal(KEY))).read(NAME)[-1] == ack(2)
    assert AckLogs(here).read(NAME)[-1] == ack(2)


def test_a_copy_that_stays_plain_where_all_is_encrypted_goes(s3: Somewhere) -> None:
    StateStore(s3.place()).write(state())
    AckLogs(s3.place()).open(NAME).append(ack(0, (3, "a-person@example.com")))
    StateStore(Sealed(s3.place("two"), Seal(KEY))).reseal()
    here = Sealed(s3.place(), Seal(KEY, enforced=True))
    StateStore(here).reseal()
    assert b"person" not in b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    assert [type(one) for one in AckLogs(here).read(NAME)] == [Unfinished]


@pytest.mark.parametrize("count", [1, 2])
def test_where_there_is_no_other_copy_the_key_that_is_missing_is_told(tmp_path: Path, count: int) -> None:
    for number in range(count):
        AckLogs(Sealed(Folder(tmp_path), Seal(OTHER))).open(NAME).append(ack(number))
    with pytest.raises(StateError, match="line 1 .* encrypted with another key") as caught:
        AckLogs(Sealed(Folder(tmp_path), Seal(KEY))).read(NAME)
    assert "put the one before in fallback" in caught.value.fix
    both = AckLogs(Sealed(Folder(tmp_path), Seal(KEY, fallback=OTHER)))
    assert len(both.read(NAME)) == count
