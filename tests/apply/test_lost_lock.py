"""A lock that is lost in the middle of an apply: the request in flight is the last, and the exit code is 5."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.state.bucket import open_bucket
from reconciler.state.lease import Terms, acquire
from tests.apply.shop import KEYS, Shop, sums_add_up
from tests.apply.test_races import PROFILES, slow, wait_for_a_write
from tests.apply.warm import ROOT
from tests.stores.test_lease import ME, free

HASTY = """
import sys
from reconciler.batch import transport
transport.REQUEST_TIMEOUT = 3.0
from reconciler.state import lease
lease.TERMS = lease.Terms(lease=6.0, heartbeat=0.2, poll=0.1)
from reconciler.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
"""The command with a lease of 6 s."""
Lose = Callable[["subprocess.Popen[str]", Shop, Path], None]


def paused(process: subprocess.Popen[str], shop: Shop, folder: Path) -> None:
    """Longer than its lease, which another run takes over."""
    place = open_bucket(shop.project.split()[-1].rstrip("}"), cache=folder, environ=os.environ)
    process.send_signal(signal.SIGSTOP)
    with acquire(place, timeout_seconds=60, holder=ME, terms=Terms(poll=0.05)):
        process.send_signal(signal.SIGCONT)
        process.wait(60)


def freed(_process: subprocess.Popen[str], shop: Shop, folder: Path) -> None:
    """By an operator."""
    free(open_bucket(shop.project.split()[-1].rstrip("}"), cache=folder, environ=os.environ))


def removed(_process: subprocess.Popen[str], shop: Shop, _folder: Path) -> None:
    """Its file, by hand."""
    (shop.root / ".batchctl/lock").unlink()


@pytest.mark.parametrize(
    ("where", "lose", "why"),
    [
        ("bucket", paused, "the lease of 6 s ran out"),
        ("bucket", freed, "somebody freed it"),
        ("disk", removed, "lock was removed"),
    ],
)
def test_a_run_whose_lock_is_lost_midway_sends_nothing_more_and_exits_5(
    tmp_path: Path, where: str, lose: Lose, why: str
) -> None:
    with slow(tmp_path, where, PROFILES, count=2_000, seconds=1.0) as shop:
        text = tmp_path / "report"
        command = [sys.executable, "-c", HASTY, "apply", "-C", str(shop.root), "--auto-approve", "--format", "json"]
        command += ["--format", f"text={text}"]
        environ = {**os.environ, **KEYS, "BATCHCTL_API_URL": shop.url, "PYTHONPATH": str(ROOT)}
        with (
            (tmp_path / "out").open("w") as out,
            (tmp_path / "err").open("w") as err,
            subprocess.Popen(command, env=environ, stdout=out, stderr=err, text=True) as process,
        ):
            wait_for_a_write(shop)
            lose(process, shop, tmp_path / "operator")
            process.wait(60)
        said = (tmp_path / "err").read_text()
        assert process.returncode == 5, said
        assert "sends nothing more" in said
        assert why in said
        assert f"run batchctl apply -C {shop.root} --auto-approve again" in said
        proposed = [line for line in text.read_text().splitlines() if "batchctl apply" in line]
        assert [f"run `batchctl apply -C {shop.root} --auto-approve` again" in line for line in proposed] == [True]
        assert "Traceback" not in said
        plan = json.loads((tmp_path / "out").read_text())
        sums_add_up(plan)
        assert (plan["exit_code"], plan["outcome"]) == (5, "locked")
        assert plan["totals"]["not_attempted"] > 0
        assert plan["totals"]["done"] + plan["totals"]["unknown"] == 200, "the request in flight was the last"
        assert shop.writes()[1] == 1
        shop.post("faults", slow=0)
        assert shop.apply("--lock-timeout", "20").code == 0
        shop.converged()
