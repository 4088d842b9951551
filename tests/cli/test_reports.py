"""What an apply says it did, beside what Batch saw of it: outcomes, exit codes, and reports that cannot be written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.batch.kit import Say, Seen
from tests.cli.between import LOST, Fate, between
from tests.cli.kit import AUDIENCE, Command


@pytest.fixture
def loyal(batchctl: Command) -> Command:
    """One link of 30 people: a creation and an upload."""
    (batchctl.root / "everybody.yaml").unlink()
    return batchctl


def applied(batchctl: Command, fate: Fate) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON report of an apply over a network."""
    with between(batchctl.url, fate) as network:
        there, batchctl.url = batchctl.url, network.url
        done = batchctl("apply", "--auto-approve", "--format", "json")
        batchctl.url = there
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit_code"] == done.returncode
    return done.returncode, report


def of(method: str, say: Say) -> Fate:
    """What becomes of the writes of a method."""

    def fate(seen: Seen) -> Say | None:
        return say if seen.method == method else None

    return fate


@pytest.mark.parametrize(
    ("method", "fate", "code", "outcome", "requests"),
    [
        ("PATCH", LOST, 7, "unknown", {"done": 1, "unknown": 1}),
        ("PATCH", Say(403, {"error_message": "no"}), 7, "failed", {"done": 1, "failed": 1}),
        ("PATCH", Say(503), 7, "unknown", {"done": 1, "unknown": 1}),
        ("POST", Say(403, {"error_message": "no"}), 1, "failed", {"failed": 1, "not_attempted": 1}),
        ("POST", Say(503), 7, "unknown", {"unknown": 1, "not_attempted": 1}),
    ],
)
def test_done_in_part_is_whatever_batch_has_or_may_have(
    loyal: Command, method: str, fate: Say, code: int, outcome: str, requests: dict[str, int]
) -> None:
    got, report = applied(loyal, of(method, fate))
    assert (got, report["outcome"]) == (code, "partial" if code == 7 else "error")
    assert report["changes"][0]["outcome"] == outcome
    assert {name: number for name, number in report["requests"].items() if number} == {"planned": 2, **requests}
    assert (AUDIENCE in loyal.audiences()) == ("done" in requests)
    assert loyal("apply", "--auto-approve").returncode == 0
    assert loyal.members(AUDIENCE) == {f"p{n}" for n in range(30)}


def test_a_deletion_whose_answer_was_lost_may_be_done(loyal: Command) -> None:
    loyal.ok("apply", "--auto-approve")
    (loyal.root / "loyal.yaml").unlink()

    def fate(seen: Seen) -> Say | None:
        return Say(503) if seen.method == "DELETE" else None

    code, report = applied(loyal, fate)
    assert (code, report["changes"][0]["outcome"], report["requests"]["unknown"]) == (7, "unknown", 1)


@pytest.mark.parametrize("more", [(), ("--format", "text")])
def test_a_report_that_cannot_be_written_is_7_and_text_remains(batchctl: Command, more: tuple[str, ...]) -> None:
    done = batchctl("apply", "--auto-approve", "--format", "json=/dev/full", *more)
    assert done.returncode == 7, done.stderr
    assert done.stderr.count("error: /dev/full could not be written\n  No space left on device") == 1
    assert done.stdout.count("Apply: 2 done.") == 1
    assert "accepted 30" in done.stdout
    assert batchctl("apply", "--auto-approve", "--format", "json=/dev/full").returncode == 1, "nothing was to be done"


def test_the_report_that_can_be_written_carries_the_exit_code(batchctl: Command) -> None:
    file = batchctl.root / "report.json"
    done = batchctl("apply", "--auto-approve", "--format", "text=/dev/full", "--format", f"json={file}")
    assert (done.returncode, json.loads(file.read_text())["exit_code"]) == (7, 7)


def test_standard_output_that_is_full_after_everything_was_sent(batchctl: Command) -> None:
    done = batchctl.process(
        "apply", "--auto-approve", "--format", "json", wrapped=("bash", "-c", 'exec "$0" "$@" >/dev/full')
    )
    assert done.returncode == 7, done.stderr
    assert "the report could not be written to standard output" in done.stderr
    assert batchctl("plan", "--detailed-exitcode").returncode == 0
