"""kill -9 of the real process at points spread over a whole apply: it converges, without a full upload."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from tests.e2e.test_turns import ask_settled
from tests.e2e.world import ask, differences, run, write_data, write_specs

POINTS = 5


@pytest.mark.parametrize("first", [True, False], ids=["first-upload", "delta"])
def test_a_killed_apply_converges(tmp_path: Path, first: bool) -> None:
    log = tmp_path / "points"
    count = _passed(tmp_path / "count", log, first=first)
    for step in range(POINTS):
        root = tmp_path / f"kill{step}"
        write_specs(root)
        with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
            if not first:
                write_data(root, 1)
                assert run(root, url, "apply", "--auto-approve").returncode == 0
            write_data(root, 2)
            at = 1 + step * (count - 1) // (POINTS - 1)
            killed = run(root, url, "apply", "--auto-approve", BATCHCTL_CRASH_AT=str(at))
            assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
            resumed = run(root, url, "apply", "--auto-approve")
            assert resumed.returncode == 0, resumed.stdout + resumed.stderr
            ask_settled(url)
            assert differences(root, url) == []
            again = run(root, url, "plan", "--detailed-exitcode")
            assert again.returncode == 0, again.stdout + again.stderr
            assert not {"create_existing", "replace_without_barrier"} & set(ask(url, "breaches")["counts"])


def _passed(root: Path, log: Path, *, first: bool) -> int:
    """How many points an apply that is not killed passes."""
    write_specs(root)
    with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
        if not first:
            write_data(root, 1)
            assert run(root, url, "apply", "--auto-approve").returncode == 0
        write_data(root, 2)
        done = run(root, url, "apply", "--auto-approve", BATCHCTL_CRASH_AT="0", BATCHCTL_CRASH_LOG=str(log))
        assert done.returncode == 0, done.stdout + done.stderr
    return len(log.read_text().splitlines())
