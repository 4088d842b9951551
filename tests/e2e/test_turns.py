"""Several nights in a row: Batch holds exactly the truth, no breach, and a plan after an apply is empty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.emulator import Options, parse_switches, running
from tests.e2e.world import ask, differences, run, write_data, write_specs


def test_batch_equals_the_truth_after_every_turn(tmp_path: Path) -> None:
    write_specs(tmp_path)
    with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
        for turn in range(3):
            write_data(tmp_path, turn)
            applied = run(tmp_path, url, "apply", "--auto-approve", "--format", "json")
            assert applied.returncode == 0, applied.stdout + applied.stderr
            totals = json.loads(applied.stdout)["totals"]
            assert totals["planned"] == totals["done"] > 0
            again = run(tmp_path, url, "plan", "--detailed-exitcode")
            assert (again.returncode, "No changes." in again.stdout) == (0, True), again.stdout + again.stderr
            ask_settled(url)
            assert differences(tmp_path, url) == []
        assert ask(url, "breaches")["counts"] == {}


def test_a_change_of_few_people_sends_few_rows(tmp_path: Path) -> None:
    write_specs(tmp_path)
    write_data(tmp_path, 1)
    with running(Options(rate_scale=0, indexing_delay=0.05)) as url:
        assert run(tmp_path, url, "apply", "--auto-approve").returncode == 0
        people = tmp_path / "data" / "people.csv"
        lines = people.read_text().splitlines()
        people.write_text("\n".join(lines[:-2]) + "\n")
        planned = json.loads(run(tmp_path, url, "plan", "--format", "json").stdout)
        assert 0 < planned["totals"]["planned"] <= 20
        assert planned["cost"]["requests"] == planned["cost"]["minimum"]


@pytest.mark.parametrize(
    "switch", ["write_ordering=any_order", "readd_attributes=merge", "mep_write_success=202_no_token"]
)
def test_undocumented_behaviour_does_not_change_the_outcome(tmp_path: Path, switch: str) -> None:
    write_specs(tmp_path)
    with running(Options(rate_scale=0, indexing_delay=0.05, **parse_switches("likely", [switch]))) as url:
        for turn in range(2):
            write_data(tmp_path, turn)
            applied = run(tmp_path, url, "apply", "--auto-approve")
            assert applied.returncode == 0, applied.stdout + applied.stderr
        ask_settled(url)
        assert differences(tmp_path, url) == []


def ask_settled(url: str) -> None:
    """Everything accepted is indexed."""
    import urllib.request

    request = urllib.request.Request(
        f"{url}/_emulator/settle", data=b"{}", headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()
