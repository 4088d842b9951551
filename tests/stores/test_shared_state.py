"""The real command with its state in S3: other machines go on where one stopped, whatever was lost with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from reconciler.state.reader import StateReader
from tests.cli.kit import AUDIENCE, FILES, Command, people
from tests.conftest import MakeProject
from tests.stores.conftest import Somewhere
from tests.stores.test_lease import free


@pytest.fixture
def batch() -> Iterator[str]:
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        yield url


@pytest.fixture
def batchctl(project: MakeProject, batch: str, s3: Somewhere) -> Command:
    """40 people, 30 of them loyal; the state is in S3."""
    specs = FILES["specs.yaml"].replace("{url: state}", f"{{url: {s3.url}}}")
    return Command(project(FILES | {"specs.yaml": specs}, {"data/people.parquet": people(40, loyal=30)}), batch)


def lose_the_disk(batchctl: Command) -> None:
    shutil.rmtree(batchctl.root / ".batchctl", ignore_errors=True)


def test_every_run_on_a_machine_of_its_own(batchctl: Command, project: MakeProject, s3: Somewhere) -> None:
    for turn in range(2):
        lose_the_disk(batchctl)
        project.table("data/people.parquet", people(40 + turn, loyal=30 + turn))
        batchctl.ok("apply", "--auto-approve")
        assert batchctl.members(AUDIENCE) == {f"p{n}" for n in range(30 + turn)}
        lose_the_disk(batchctl)
        assert "No changes." in batchctl.ok("plan", "--detailed-exitcode")
    state = StateReader(s3.place()).read()
    assert state is not None
    delta = [file for known in state.targets.values() for file in known.baseline.files]
    assert delta
    assert "held by" not in batchctl.ok("status")
    assert "secret-C3D4" not in json.dumps(batchctl.ok("status", "--format", "json"))


def test_two_at_once_one_works_and_one_exits_5(batchctl: Command, s3: Somewhere) -> None:
    command = [sys.executable, "-m", "reconciler", "apply", "-C", str(batchctl.root)]
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, s3.url, str(s3.root / "holder")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"held\n"
        done = batchctl("apply", "--auto-approve", "--lock-timeout", "0")
        assert done.returncode == 5, done.stdout + done.stderr
        assert f"process {held.pid} on " in done.stderr
        assert "https://ci.example/7" in done.stderr
        assert re.search(
            r"held by apply .*\n +still alive \d+ s ago: its lease of 60 s has not ended", batchctl.ok("status")
        )
        shown = json.loads(batchctl.ok("status", "--format", "json"))["lock"]
        assert (shown["pid"], shown["lease_seconds"], shown["heard_seconds_ago"] < 60) == (held.pid, 60, True)
        waits = subprocess.Popen(
            [*command, "--auto-approve"], env=batchctl.environ(), stderr=subprocess.PIPE, text=True
        )
        with waits:
            assert waits.stderr is not None
            assert "waiting for apply" in waits.stderr.readline()
            held.communicate(b"\n", timeout=30)
            waits.communicate(timeout=60)
    assert waits.returncode == 0
    assert len(batchctl.members(AUDIENCE)) == 30


HOLD = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.state.bucket import open_bucket
from reconciler.state.holder import Holder
from reconciler.state.lease import acquire
place = open_bucket(sys.argv[1], cache=Path(sys.argv[2]), environ=os.environ)
with acquire(place, timeout_seconds=0, holder=Holder(text="apply", started=datetime.now(UTC), run="https://ci.example/7")):
    print("held", flush=True)
    sys.stdin.readline()
"""


def points_of(batchctl: Command, log: Path) -> list[str]:
    """Every point an apply passes."""
    done = batchctl.process("apply", "--auto-approve", BATCHCTL_CRASH_AT="0", BATCHCTL_CRASH_LOG=str(log))
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


@pytest.mark.parametrize("disk", ["kept", "lost"])
def test_killed_anywhere_the_next_run_converges_without_a_full_upload(
    batchctl: Command, project: MakeProject, s3: Somewhere, tmp_path: Path, disk: str
) -> None:
    batchctl.ok("apply", "--auto-approve")
    project.table("data/people.parquet", people(41, loyal=31))
    points = points_of(batchctl, tmp_path / "points")
    step = 1 if os.environ.get("BATCHCTL_EVERY_POINT") else max(len(points) // 2, 1)
    for turn, at in enumerate(range(len(points) // 4, len(points) + 1, step)):
        project.table("data/people.parquet", people(42 + turn, loyal=32 + turn))
        killed = batchctl.process("apply", "--auto-approve", BATCHCTL_CRASH_AT=str(at))
        assert killed.returncode == -signal.SIGKILL, (points[at - 1], killed.stderr)
        free(s3.place("operator"))
        if disk == "lost":
            lose_the_disk(batchctl)
        resumed = json.loads(batchctl.ok("apply", "--auto-approve", "--format", "json"))
        assert resumed["totals"]["planned"] <= 2, (points[at - 1], "only what was not acknowledged is sent again")
        assert batchctl.members(AUDIENCE) == {f"p{n}" for n in range(32 + turn)}, points[at - 1]
        assert "No changes." in batchctl.ok("plan", "--detailed-exitcode")


def test_a_bucket_that_is_not_there_is_one_clear_error(batchctl: Command) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("s3://crm-state/", "s3://no-such-bucket/"))
    for command in (("plan",), ("apply", "--auto-approve"), ("status",)):
        done = batchctl(*command)
        assert (done.returncode, "bucket" in done.stderr) == (1, True), done.stderr
        assert "does not exist" in done.stderr
    assert batchctl.audiences() == set()


def test_an_endpoint_on_another_machine_needs_tls(batchctl: Command) -> None:
    done = batchctl("plan", AWS_ENDPOINT_URL="http://store.example:9000")
    said = " ".join(done.stderr.split())
    assert (done.returncode, "AWS_ENDPOINT_URL begins with http://" in said, "https://" in said) == (1, True, True), (
        done
    )


def test_wrong_credentials_are_one_clear_error(batchctl: Command) -> None:
    done = batchctl("plan", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    assert "secret-C3D4" not in done.stderr
