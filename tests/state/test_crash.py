"""A process killed at any point of a write leaves the previous or the next version, and what follows works."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from reconciler.state.acks import AckLog, read_acks
from reconciler.state.store import StateStore
from tests.state.kit import python, state, target
from tests.state.test_acks import ack

STEP = """
import sys
from pathlib import Path
from reconciler import crashpoint
from reconciler.state.acks import AckLog
from reconciler.state.store import StateStore
from tests.state.kit import state, target
from tests.state.test_acks import ack
root, local, n, log = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
store = StateStore(root)
now = store.read()
crashpoint.arm(n, log)
file = store.put_file(local, "targets/a/delta-2.parquet", rows=5)
now = store.write(now.with_target(target(file)))
AckLog(root / "targets/a/acks").append(ack(1))
"""
POINTS = 16


@pytest.mark.parametrize("n", range(POINTS + 1))
def test_killed_at_every_point(tmp_path: Path, n: int) -> None:
    root, local, log = tmp_path / "state", tmp_path / "delta", tmp_path / "points"
    local.write_text("rows")
    store = StateStore(root)
    first = store.put_file(local, "targets/a/base.parquet", rows=1)
    before = store.write(store.write(state()).with_target(target(first)))
    AckLog(root / "targets/a/acks").append(ack(0))
    done = python(STEP, root, local, n, log)
    if n == 0:
        assert done.returncode == 0, done.stderr
        assert len(log.read_text().splitlines()) == POINTS, "a crash point was added or removed: say so in POINTS"
    else:
        assert done.returncode == -signal.SIGKILL, done.stderr

    found = StateStore(root).read()
    assert found is not None
    assert found.serial in (before.serial, before.serial + 1)
    files = [file for owned in found.targets.values() for file in owned.baseline.files]
    assert files
    assert all(store.path_of(file, verify=True) for file in files)
    assert read_acks(root / "targets/a/acks") in ((ack(0),), (ack(0), ack(1)))

    again = StateStore(root)
    file = again.put_file(local, "targets/a/delta-2.parquet", rows=5)
    last = again.write(found.with_target(target(file)))
    assert StateStore(root).read() == last
    AckLog(root / "targets/a/acks").append(ack(2))
    assert read_acks(root / "targets/a/acks")[-1] == ack(2)
    again.sweep(last)
    assert not list(root.rglob("*.tmp"))


FIRST = """
import sys
from pathlib import Path
from reconciler import crashpoint
from reconciler.state.store import StateStore
from tests.state.kit import state
crashpoint.arm(int(sys.argv[2]))
StateStore(Path(sys.argv[1])).write(state())
"""


@pytest.mark.parametrize("n", range(1, 7))
def test_killed_at_every_point_of_the_very_first_write(tmp_path: Path, n: int) -> None:
    root = tmp_path / "state"
    assert python(FIRST, root, n).returncode == -signal.SIGKILL
    found = StateStore(root).read()
    assert StateStore(root).write(found or state()).serial == (2 if found else 1)
