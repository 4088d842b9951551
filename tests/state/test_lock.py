"""The lock between real processes: one holder, named to who waits, and free the moment it dies."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.errors import Locked, StateError
from reconciler.state.holder import Holder
from reconciler.state.lock import acquire, holder_of
from tests.state.kit import NOW, python
from tests.stores.test_lease import wait_for

HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.state.holder import Holder
from reconciler.state.lock import acquire
holder = Holder(text="apply", started=datetime(2026, 11, 3, 12, 30, tzinfo=UTC), run="https://ci.example/7")
with acquire(Path(sys.argv[1]), timeout_seconds=0, holder=holder):
    print("held", flush=True)
    sys.stdin.read()
"""
ME = Holder(text="destroy", started=NOW)


@contextmanager
def another_process(root: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_who_waits_is_told_who_holds(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        with pytest.raises(Locked) as caught, acquire(tmp_path, timeout_seconds=0.2, holder=ME):
            pass
        text = str(caught.value)
        assert "apply" in text
        assert f"process {process.pid} on " in text
        assert "since 2026-11-03 12:30:00 UTC, https://ci.example/7" in text
        assert (held := holder_of(tmp_path)) is not None
        assert held.pid == process.pid


def test_it_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.kill()
        process.wait()
        with acquire(tmp_path, timeout_seconds=0, holder=ME):
            assert holder_of(tmp_path) == ME
    assert holder_of(tmp_path) is None


def test_it_waits_for_the_holder_to_end(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        assert process.stdin is not None
        started = time.monotonic()
        process.stdin.close()
        with acquire(tmp_path, timeout_seconds=20, holder=ME):
            assert time.monotonic() - started < 20


def test_it_is_released_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), acquire(tmp_path / "new", timeout_seconds=0, holder=ME):
        raise ValueError("x")
    assert holder_of(tmp_path / "new") is None
    assert stat.S_IMODE((tmp_path / "new" / "lock").stat().st_mode) == 0o600


def test_a_disk_that_fails_when_it_is_freed_fails_nothing(tmp_path: Path) -> None:
    with acquire(tmp_path, timeout_seconds=0, holder=ME):
        for handle in map(int, os.listdir("/proc/self/fd")):
            if os.path.lexists(link := f"/proc/self/fd/{handle}") and os.readlink(link) == str(tmp_path / "lock"):
                broken = os.open(os.devnull, os.O_RDONLY)
                os.dup2(broken, handle)
                os.close(broken)
    with acquire(tmp_path, timeout_seconds=0, holder=ME):
        pass


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "none") is None


def test_a_garbled_lock_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff\x1b[31m{")
    with acquire(tmp_path, timeout_seconds=0, holder=ME):
        assert holder_of(tmp_path) == ME


def test_control_characters_of_a_holder_are_not_shown(tmp_path: Path) -> None:
    with acquire(tmp_path, timeout_seconds=0, holder=Holder(text="a\x1b[31mb\n", started=NOW)):
        assert (held := holder_of(tmp_path)) is not None
        assert held.text == "a[31mb"


NOT_ALLOWED = """
import os, sys
from pathlib import Path
from reconciler.state.holder import Holder
from reconciler.state.lock import acquire
from tests.state.kit import NOW
if os.geteuid() == 0:
    os.setuid(65534)
with acquire(Path(sys.argv[1]), timeout_seconds=0, holder=Holder(text="apply", started=NOW)):
    pass
"""


def test_who_holds_a_file_that_was_removed_holds_nothing(tmp_path: Path) -> None:
    with acquire(tmp_path, timeout_seconds=0, holder=ME) as permit:
        permit(30.0)
        (tmp_path / "lock").unlink()
        with pytest.raises(Locked, match="lock was removed"):
            permit(30.0)
        with acquire(tmp_path, timeout_seconds=0, holder=ME) as other:
            other(30.0)
            with pytest.raises(Locked, match="sends nothing more"):
                permit(0.0)
        with pytest.raises(Locked, match="sends nothing more"):
            permit(0.0)


def test_who_waits_at_a_file_that_is_removed_waits_for_the_next_holder(tmp_path: Path) -> None:
    first, second = (Holder(text=text, started=NOW) for text in ("apply", "import"))
    said, inside = set[str](), threading.Event()

    def wait() -> None:
        with acquire(tmp_path, timeout_seconds=60, holder=ME, waiting=said.add):
            inside.set()

    thread = threading.Thread(target=wait)
    with acquire(tmp_path, timeout_seconds=0, holder=first):
        thread.start()
        wait_for(lambda: f"waiting for {first}" in said)
        (tmp_path / "lock").unlink()
        other = acquire(tmp_path, timeout_seconds=0, holder=second)
        other.__enter__()
    wait_for(lambda: f"waiting for {second}" in said)
    assert not inside.is_set()
    other.__exit__(None, None, None)
    thread.join(20)
    assert inside.is_set()


def test_a_folder_that_may_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    done = python(NOT_ALLOWED, closed)
    assert "Unreached: could not lock the state folder" in done.stderr
    assert "make the folder writable" in done.stderr


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match="could not lock"), acquire(tmp_path / "state", timeout_seconds=0, holder=ME):
        pass
