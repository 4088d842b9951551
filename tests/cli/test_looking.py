"""status, rejects, preview and import: what they say, and what they never say."""

from __future__ import annotations

import csv
import io
import json
import shutil
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.runs import keep_rejects
from reconciler.errors import StateError
from tests.cli.kit import AUDIENCE, CRM, KEYS, Command, people
from tests.conftest import MakeProject

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_status_before_and_after(batchctl: Command) -> None:
    assert "no state yet" in batchctl.ok("status")
    batchctl.ok("apply", "--auto-approve", "--wait")
    shown = batchctl.ok("status")
    assert "2 targets, nothing unfinished" in shown
    (row,) = [line for line in shown.splitlines() if AUDIENCE in line]
    assert row.split()[1] == "30"
    assert row.endswith("indexed")
    document = json.loads(batchctl.ok("status", "--format", "json"))
    assert [(one["audience"], one["members"], one["pending"]) for one in document["targets"]] == [
        (CRM, 40, None),
        (AUDIENCE, 30, None),
    ]
    assert document["lock"] is None


def test_status_never_asks_batch_and_needs_no_keys(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    batchctl.url = "http://127.0.0.1:9"
    assert AUDIENCE in batchctl.ok("status", SHOP_REST_KEY=None, SHOP_IOS_KEY=None)


def test_status_after_a_kill_says_what_is_uncertain(batchctl: Command) -> None:
    batchctl.process("apply", "--auto-approve", "--target", "destination/ios", BATCHCTL_CRASH_AT="25")
    shown = batchctl.ok("status")
    assert "unfinished: create begun" in shown
    assert f"run batchctl apply -C {batchctl.root}" in shown
    batchctl.ok("apply", "--auto-approve")
    assert "nothing unfinished" in batchctl.ok("status")


def test_rejects_of_the_newest_run(batchctl: Command, project: MakeProject) -> None:
    assert "No run yet on this machine" in batchctl.ok("rejects")
    listed = batchctl("rejects", "--format", "csv")
    assert (listed.stdout, "No run yet on this machine" in listed.stderr) == ("link,reason,key,id,row\n", True)
    project.table("data/people.parquet", people(40, malformed=3))
    batchctl.ok("plan")
    shown = batchctl.ok("rejects")
    assert "6 rows rejected by the plan of" in shown
    assert (
        'segment-link/loyal-ios: white space around it, 3 rows\n  row  key     identifier\n   41  " p0 "  " p0 "'
        in shown
    )
    assert "segment-link/everybody-crm" not in batchctl.ok("rejects", "--link", "loyal-ios")
    assert "4 more" in batchctl.ok("rejects", "--limit", "2")
    document = json.loads(batchctl.ok("rejects", "--format", "json", "--limit", "1"))
    assert (document["total"], len(document["rejects"])) == (6, 1)
    rows = list(csv.DictReader(io.StringIO(batchctl.ok("rejects", "--format", "csv"))))
    assert {row["reason"] for row in rows} == {"white space around it"}
    assert rows[0]["id"] == " p0 ", "a file holds values as they are"


def test_rejects_of_nothing_that_exists_and_of_nothing_that_was_rejected(
    batchctl: Command, project: MakeProject
) -> None:
    unknown = batchctl("rejects", "--link", "loyal-iso")
    assert (unknown.returncode, unknown.stdout) == (64, "")
    assert "--link loyal-iso: no such segment link" in unknown.stderr
    assert "did you mean loyal-ios?" in unknown.stderr
    assert "use one of everybody-crm, loyal-ios" in batchctl("rejects", "--link", "x").stderr
    batchctl.ok("plan")
    assert "No rows rejected by the plan of" in batchctl.ok("rejects", "--reason", "all-zero")
    project.table("data/people.parquet", people(40, malformed=3))
    batchctl.ok("plan", "--target", "segment-link/loyal-ios")
    for narrowed in (("--reason", "all-zero"), ("--link", "everybody-crm")):
        assert "None of the 3 rows rejected by the plan of" in batchctl.ok("rejects", *narrowed)
        table = batchctl("rejects", "--format", "csv", *narrowed)
        assert (table.stdout, "None of the 3 rows" in table.stderr) == ("link,reason,key,id,row\n", True), table
        document = json.loads(batchctl.ok("rejects", "--format", "json", *narrowed))
        assert (document["total"], document["of"], document["rejects"]) == (0, 3, [])
    assert "3 rows rejected" in batchctl.ok("rejects", "--reason", "WHITE space")
    (batchctl.root / "loyal.yaml").unlink()
    assert "3 rows rejected" in batchctl.ok("rejects", "--link", "segment-link/loyal-ios"), "it was there at that plan"


def test_rejects_that_cannot_be_kept_are_said_so_and_those_kept_before_stay(
    batchctl: Command, project: MakeProject, tmp_path: Path
) -> None:
    project.table("data/people.parquet", people(40, malformed=3))
    batchctl.ok("plan")
    before = batchctl.ok("rejects")
    runs = batchctl.root / "state" / "runs"
    (first,) = runs.iterdir()
    with pytest.raises(StateError, match="could not keep the rejected rows") as caught:
        keep_rejects(runs.parent, [first / "rejects-0.parquet", tmp_path / "gone"], now=NOW, what="plan", seal=None)
    assert str(tmp_path / "gone") in caught.value.why
    assert list(runs.iterdir()) == [first]
    assert batchctl.ok("rejects") == before

    runs.rename(tmp_path / "runs")
    runs.write_text("no folder")
    said = f"could not keep the rejected rows: File exists: {runs}; batchctl rejects"
    assert said in batchctl.ok("plan")
    stopped = batchctl("apply", "--auto-approve")
    assert (stopped.returncode, str(runs) in stopped.stderr) == (1, True), stopped
    project.table("data/people.parquet", people(40))
    assert said not in batchctl.ok("plan"), "nothing was to be kept"


def test_rejects_are_harmless_to_a_terminal(batchctl: Command, project: MakeProject) -> None:
    evil = [*people(40), {"pid": "a\x1b[2Jb", "orders": 3, "email": "e", "ok": True}]
    project.table("data/people.parquet", evil)
    batchctl.ok("plan")
    shown = batchctl.ok("rejects")
    assert "\x1b" not in shown
    assert "a\\x1b[2Jb" in shown
    assert "a\x1b[2Jb" in batchctl.ok("rejects", "--format", "csv"), "in a file values are what they are"


def test_preview_counts_and_shows_nobody(batchctl: Command, project: MakeProject) -> None:
    rows = [*people(40, loyal=30, malformed=3), *({**row, "ok": None} for row in people(7, first=100))]
    project.table("data/people.parquet", [{**row, "pid": f"customer-{row['pid']}"} for row in rows[:40]] + rows[40:])
    batchctl.url = "http://127.0.0.1:9"
    shown = batchctl.ok("preview", "segment-link/loyal-ios")
    counted = json.loads(batchctl.ok("preview", "loyal-ios", "--format", "json"))
    assert (counted["read"], counted["with_consent"], counted["in_segment"]) == (50, 43, 33)
    assert (counted["coverage"], counted["sendable"]) == ({"pid": 33}, 30)
    assert counted["rejects"] == {"white space around it": 3}
    assert len(counted["sample"]) == 5
    assert "customer-p" not in shown + json.dumps(counted)
    assert "sendable" in shown
    assert not (batchctl.root / "state").exists()


def test_import_then_a_full_upload(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve", "--wait")
    batchctl.ok("plan")
    (batchctl.root / "state" / "state.json").unlink()
    for path in (batchctl.root / "state" / "previous").iterdir():
        path.unlink()
    assert "the state" in (asked := batchctl("status")).stderr
    assert asked.returncode == 1
    refused = batchctl("apply", "--auto-approve")
    assert (refused.returncode, "as if nothing had ever been sent" in refused.stdout) == (4, True)
    assert f"batchctl import -C {batchctl.root} segment-link/loyal-ios {AUDIENCE}" in refused.stdout
    assert "every member of the link is added" in batchctl.ok("import", "segment-link/loyal-ios", AUDIENCE)
    assert "replaced" in batchctl.ok("import", "segment-link/everybody-crm", CRM)
    assert "members unknown" in batchctl.ok("status")
    twice = batchctl("import", "segment-link/everybody-crm", CRM)
    assert twice.returncode == 1
    assert "ours already" in twice.stderr
    assert "full upload" in batchctl.ok("plan")
    batchctl.ok("apply", "--auto-approve")
    assert "No changes." in batchctl.ok("plan")
    assert len(batchctl.members(AUDIENCE)) == 30


@pytest.mark.parametrize("adopt", [False, True], ids=["import", "adopt"])
def test_strangers_of_an_audience_taken_over_stay_and_are_counted_once(batchctl: Command, adopt: bool) -> None:
    """MEP 1.0 has no replace: https://doc.batch.com/api/custom-audience/1.0/update/"""
    batchctl.ok("apply", "--auto-approve", "--wait")
    shutil.rmtree(batchctl.root / "state")
    body = {"type": "custom_ids", "ids": [{"action": "add", "id": f"stranger{n}"} for n in range(2)]}
    request = urllib.request.Request(
        f"{batchctl.url}/1.0/{KEYS['SHOP_IOS_KEY']}/custom-audience/{AUDIENCE}",
        method="PATCH",
        data=json.dumps(body).encode(),
        headers={"X-Authorization": KEYS["SHOP_REST_KEY"], "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()
    if adopt:
        loyal = batchctl.root / "loyal.yaml"
        loyal.write_text(loyal.read_text() + "audience: {adopt: true}\n")
    else:
        batchctl.ok("import", "segment-link/loyal-ios", AUDIENCE)
    applied = batchctl("apply", "--auto-approve", "--target", "segment-link/loyal-ios")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert len(batchctl.members(AUDIENCE)) == 32
    again = batchctl("plan", "--detailed-exitcode", "--target", "segment-link/loyal-ios")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 more identifiers" in again.stdout


def test_import_says_what_does_not_fit(batchctl: Command) -> None:
    other = batchctl("import", "segment-link/loyal-ios", "other")
    assert other.returncode == 64
    assert "audience: {name: other}" in other.stderr
    absent = batchctl("import", "segment-link/loyal-ios", AUDIENCE)
    assert absent.returncode == 1
    assert "does not exist in Batch" in absent.stderr


def test_progress_is_json_lines_when_asked(batchctl: Command) -> None:
    done = batchctl("apply", "--auto-approve", "--log-format", "json", "--format", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {event["event"] for event in events} == {"stage", "progress"}
    finals = [event for event in events if event.get("step") == "done"]
    assert {(event["done"], event["total"]) for event in finals} == {(30, 30), (40, 40)}
    for final in finals:
        steps = [event["step"] for event in events if event.get("address") == final["address"]]
        assert steps[-2:] == ["committing", "done"], "a store that hangs is not called sending"
    assert json.loads(done.stdout)["exit_code"] == 0


def test_progress_without_a_terminal_ends_with_one_line_per_target(batchctl: Command) -> None:
    done = batchctl("apply", "--auto-approve")
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    assert sorted(line[5:] for line in done.stderr.splitlines()) == [
        "  crm  audience Everybody_custom_ids  done  40 rows",
        "  ios  audience Loyal_custom_ids  done  30 rows",
    ]


def test_a_state_folder_keeps_its_permissions_and_what_is_created_is_private(batchctl: Command) -> None:
    folder = batchctl.root / "state"
    folder.mkdir()
    folder.chmod(0o2775)
    batchctl.ok("plan")
    (run,) = (folder / "runs").iterdir()
    modes = [path.stat().st_mode & 0o777 for path in (folder, folder / "runs", run)]
    assert modes == [0o775, 0o700, 0o700]
    shutil.rmtree(folder)
    batchctl.ok("plan")
    assert folder.stat().st_mode & 0o777 == 0o700
