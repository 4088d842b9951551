"""SIGTERM and SIGINT of real processes while a bucket's lock is taken, used and let go of: it is never left held."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from reconciler.state.bucket import open_bucket
from reconciler.state.lease import acquire, holder_of
from reconciler.state.store import StateStore
from tests.apply.warm import Warm
from tests.cli.kit import FILES, KEYS, Command, people
from tests.conftest import MakeProject
from tests.stores import servers
from tests.stores.google import Storage
from tests.stores.test_lease import ME, wait_for

URL = "gs://crm-state/prod"


class Held:
    """A project whose state is in a bucket that holds back the n-th request of a kind until a signal was sent."""

    def __init__(self, batchctl: Command, kept: Storage, environ: dict[str, str], folder: Path) -> None:
        self.batchctl, self.kept, self.environ, self.folder = batchctl, kept, environ, folder
        self.place = open_bucket(URL, cache=folder / "operator", environ=environ)

    def interrupted(self, number: int, *command: str, at: str, nth: int = 1) -> tuple[int, str]:
        """Exit code and words of a command that gets the signal while it waits for its n-th write of `at`."""
        came, sent, seen = threading.Event(), threading.Event(), list[str]()

        def wait(method: str, name: str) -> None:
            if method == "PUT" and name.startswith(f"prod/{at}"):
                seen.append(name)
                if len(seen) == nth:
                    came.set()
                    sent.wait(30)

        self.kept.waits = wait
        with Warm(self.folder) as warm:
            environ = {**KEYS, **self.environ, "BATCHCTL_API_URL": self.batchctl.url}
            pid = warm.start(*command, "-C", str(self.batchctl.root), **environ)
            assert came.wait(60), warm.said
            os.kill(pid, number)
            sent.set()
            return warm.wait(), warm.said


@pytest.fixture
def held(project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Two applies were made: every target has a base and a delta file."""
    specs = FILES["specs.yaml"].replace("{url: state}", f"{{url: {URL}}}")
    root = project(FILES | {"specs.yaml": specs}, {"data/people.parquet": people(400, loyal=300)})
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url, servers.google() as (kept, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        batchctl = Command(root, url)
        batchctl.ok("apply", "--auto-approve")
        project.table("data/people.parquet", people(401, loyal=301))
        batchctl.ok("apply", "--auto-approve")
        yield Held(batchctl, kept, environ, tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_lock_is_taken_leaves_it_free(held: Held, number: int, code: int) -> None:
    ended, said = held.interrupted(number, "apply", "--auto-approve", at="lock")
    assert (ended, "nothing was sent" in said) == (code, True), said
    assert holder_of(held.place) is None, said
    held.batchctl.ok("apply", "--auto-approve", "--lock-timeout", "0")


def test_a_signal_while_the_lock_is_let_go_of_leaves_it_free(held: Held) -> None:
    ended, said = held.interrupted(signal.SIGTERM, "state", "compact", at="lock", nth=2)
    assert (ended, "2 targets folded" in said) == (0, True), said
    assert holder_of(held.place) is None, said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["compact", "rm", "mv", "push"])
def test_a_state_command_that_gets_a_signal_frees_the_lock_and_leaves_the_state_whole(
    held: Held, tmp_path: Path, name: str, number: int
) -> None:
    before = StateStore(held.place).read()
    assert before is not None
    key = min(before.targets)
    pulled = tmp_path / "pulled.json"
    batchctl = held.batchctl
    assert batchctl.raw("state", "pull", "--out", str(pulled), "-C", str(batchctl.root)).returncode == 0
    arguments = {
        "compact": [],
        "rm": [key, "--auto-approve"],
        "mv": [key, f"00c0ffee/{key.partition('/')[2]}"],
        "push": [str(pulled), "--auto-approve"],
    }[name]
    at = "targets/" if name == "compact" else "state.json"
    ended, said = held.interrupted(number, "state", name, *arguments, at=at)
    assert ended == (143 if number == signal.SIGTERM else 130), said
    assert "interrupted" in said
    assert "the state is whole" in said
    assert holder_of(held.place) is None
    assert "0 wrong" in batchctl.raw("state", "verify", "-C", str(batchctl.root)).stdout
    after = StateStore(held.place).read()
    assert after is not None
    assert after.serial - before.serial in (0, 1)


def test_a_signal_ends_the_waiting_for_another_run(held: Held) -> None:
    with acquire(held.place, timeout_seconds=0, holder=ME), Warm(held.folder) as warm:
        environ = {**KEYS, **held.environ, "BATCHCTL_API_URL": held.batchctl.url}
        pid = warm.start("apply", "--auto-approve", "-C", str(held.batchctl.root), **environ)
        wait_for(lambda: warm.err.exists() and "waiting for apply" in warm.said, seconds=30)
        os.kill(pid, signal.SIGTERM)
        assert warm.wait() == 143, warm.said
        assert holder_of(held.place) == ME


def test_who_may_not_delete_in_a_bucket_applies_all_the_same(held: Held, project: MakeProject) -> None:
    held.kept.append_only, said = True, ""
    for night in range(6):
        project.table("data/people.parquet", people(402 + night, loyal=302 + night))
        said = held.batchctl.ok("apply", "--auto-approve")
    assert "files of the state that nobody needs any more were not deleted" in said
    assert holder_of(held.place) is None
    specs = held.batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("name: shop\n", "name: shop\nhistory: {keep: 1d}\n", 1))
    later = {"BATCHCTL_NOW": (datetime.now(UTC) + timedelta(days=3)).isoformat()}
    quiet = held.batchctl("apply", "--auto-approve", **later)
    assert (quiet.returncode, "No changes." in quiet.stdout) == (0, True), quiet
    assert "warning: files of the state that nobody needs any more were not deleted" in quiet.stderr
