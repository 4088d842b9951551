"""Each documented exit code by real processes against a strict Batch, with the message that goes with it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.state.holder import Holder
from reconciler.state.lock import acquire
from tests.cli.kit import AUDIENCE, CRM, EVERYBODY, SPECS, Command, people
from tests.conftest import MakeProject


def test_ok_then_changes_then_none(batchctl: Command) -> None:
    assert batchctl.process("plan", "--detailed-exitcode").returncode == 2
    assert batchctl("plan").returncode == 0
    applied = batchctl.process("apply", "--auto-approve", "--wait")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert "leak" not in applied.stderr, "what a library says at the end of the process is nobody's business"
    assert "accepted 30, indexed (30 in Batch)" in applied.stdout
    assert batchctl.members(AUDIENCE) == {f"p{n}" for n in range(30)}
    again = batchctl("plan", "--detailed-exitcode")
    assert (again.returncode, "No changes." in again.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "--frobnicate"), "No such option"),
        (("frobnicate",), "No such command"),
        (("plan", "--format", "html"), "not supported in this version"),
        (("plan", "--target", "segment-link/nobody"), "no such address\n  use one of segment-link/everybody-crm"),
        (("plan", "--target", "segment-link/loyal-isos"), "did you mean segment-link/loyal-ios?"),
        (("plan", "-l", "team=cmr"), "no segment link has this label\n  did you mean team=crm?"),
        (("apply", "--auto-approve", "-l", "team=crm", "-l", "stage=1"), "-l stage=1: no segment link has this label"),
        (("apply", "--auto-approve", "--target", "destination/crm", "-l", "team=x"), "no segment link has this label"),
        (("plan", "--var", "regoin=fr"), "--var regoin: no such variable"),
        (("validate", "--var", "regoin=fr"), "the project has no variables: leave it out"),
        (("plan", "-l", "team"), "NAME=VALUE"),
        (("apply", "--auto-approve", "--lock-timeout", "nan"), "takes a number of seconds, 0 or more, not nan"),
        (("apply", "--auto-approve", "--lock-timeout", "inf"), "takes a number of seconds, 0 or more, not inf"),
        (("import", "segment-link/loyal-ios", "a", "--lock-timeout", "-1"), "--lock-timeout takes a number of seconds"),
        (("apply",), "no terminal to ask on: add --auto-approve"),
        (("preview", "nobody"), "no such segment link"),
        (("import", "segment-link/nobody", "a"), "no such segment link"),
    ],
)
def test_usage_is_64(batchctl: Command, arguments: tuple[str, ...], says: str) -> None:
    done = batchctl(*arguments) if arguments != ("frobnicate",) else batchctl.raw(*arguments)
    assert done.returncode == 64, done.stderr
    assert says in done.stderr
    assert not batchctl.audiences()


def test_invalid_specs_are_3_and_say_where(batchctl: Command) -> None:
    (batchctl.root / "loyal.yaml").write_text("apiVersion: batchctl/v1\nkind: SegmentLink\nname: x\nsegmant: loyal\n")
    for command in ("validate", "plan"):
        done = batchctl(command)
        assert done.returncode == 3
        assert "loyal.yaml:4:1: error:" in done.stdout + done.stderr


def test_wrong_sql_is_3_at_its_line(batchctl: Command) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("orders >= 3", "ordres >= 3"))
    for arguments in (("validate",), ("plan",), ("preview", "loyal-ios")):
        done = batchctl(*arguments)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "specs.yaml:" in done.stdout + done.stderr
        assert "ordres" in done.stdout + done.stderr


def test_a_refused_target_is_4_and_the_rest_is_done(batchctl: Command, project: MakeProject) -> None:
    batchctl.ok("apply", "--auto-approve")
    project.table("data/people.parquet", people(40, loyal=10))
    planned = batchctl("plan")
    assert planned.returncode == 0
    assert "removes 66.7 %, limit 30 %" in planned.stdout
    assert "allow: {remove_percent: 67" in planned.stdout
    project.table("data/people.parquet", [*people(40, loyal=10), *people(5, loyal=0, first=40)])
    done = batchctl("apply", "--auto-approve")
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr.endswith("exit code 4: a guard or rule held back 1 target, or a part of it\n")
    assert len(batchctl.members(AUDIENCE)) == 30
    assert len(batchctl.members(CRM)) == 45


def test_a_held_lock_is_5_and_names_its_holder(batchctl: Command) -> None:
    holder = Holder(text="apply", started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    with acquire(batchctl.root / "state", timeout_seconds=1, holder=holder):
        done = batchctl("apply", "--auto-approve", "--lock-timeout", "0")
        assert done.returncode == 5
        assert f"apply (process {os.getpid()}" in done.stderr
        planned = batchctl("plan")
        assert (planned.returncode, f"warning: apply (process {os.getpid()}" in planned.stderr) == (0, True), planned
        assert "plan again when it has ended" in planned.stderr
        shown = batchctl.ok("status")
        assert f"held by apply (process {os.getpid()}" in shown
    assert "lock     free" in batchctl.ok("status")
    assert "plan again" not in batchctl("plan").stderr


def test_rejects_are_8_with_strict_only(batchctl: Command, project: MakeProject) -> None:
    project.table("data/people.parquet", people(40, malformed=2))
    for form in ("text", "json"):
        done = batchctl("apply", "--auto-approve", "--strict", "--log-format", form)
        assert done.returncode == 8
        last, why = done.stderr.splitlines()[-1], "exit code 8: 4 rows rejected, and --strict was given"
        assert last == (why if form == "text" else json.dumps({"event": "ended", "text": why}))
    done = batchctl("apply", "--auto-approve")
    assert (done.returncode, "exit code" in done.stderr) == (0, False)


def test_a_wrong_key_is_1_before_anything_is_written(batchctl: Command) -> None:
    done = batchctl("apply", "--auto-approve", SHOP_IOS_KEY="wrongkeyZ9")
    assert done.returncode == 1
    assert "wrongkeyZ9" not in done.stdout + done.stderr
    assert "destination ios" in done.stderr or "ios" in done.stderr
    assert not batchctl.audiences()


def test_a_missing_key_stops_before_the_first_request_and_is_only_a_warning_for_validate(batchctl: Command) -> None:
    done = batchctl("plan", SHOP_REST_KEY=None)
    assert done.returncode == 1
    assert "SHOP_REST_KEY" in done.stderr
    checked = batchctl("validate", SHOP_REST_KEY=None)
    assert checked.returncode == 0
    assert "SHOP_REST_KEY" in checked.stdout + checked.stderr
    assert batchctl("preview", "loyal-ios", SHOP_REST_KEY=None).returncode == 0


def test_a_literal_key_is_an_error_that_does_not_echo_it(batchctl: Command) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("${env:SHOP_IOS_KEY}", "livekeyA1B2C3"))
    assert batchctl("plan").returncode == 3


def test_a_dead_server_is_1(batchctl: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        batchctl.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for command in (("plan",), ("apply", "--auto-approve")):
            done = batchctl(*command)
            assert done.returncode == 1
            assert "127.0.0.1" in done.stderr
            assert "refused" in done.stderr.lower()


def test_another_host_is_refused(batchctl: Command) -> None:
    done = batchctl("plan", BATCHCTL_API_URL="https://batch.example")
    assert done.returncode == 1
    assert "BATCHCTL_ALLOWED_HOSTS" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_state_folder_is_1_but_plan_works(batchctl: Command) -> None:
    state = batchctl.root / "state"
    state.mkdir(mode=0o500)
    try:
        done = batchctl("apply", "--auto-approve")
        assert done.returncode == 1
        assert str(state) in done.stderr
        assert not batchctl.audiences()
        assert batchctl("plan").returncode == 0
    finally:
        state.chmod(0o700)


def test_a_state_folder_that_is_a_file_is_1(batchctl: Command) -> None:
    (batchctl.root / "state").write_text("")
    for command in (("plan",), ("apply", "--auto-approve"), ("status",)):
        done = batchctl(*command)
        assert done.returncode == 1, done.stdout + done.stderr
        assert str(batchctl.root / "state") in done.stderr


def test_an_edited_state_is_1_and_says_the_way_back(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    file = batchctl.root / "state" / "state.json"
    file.write_text(file.read_text().replace('"shop"', '"shot"'))
    for command in ("plan", "status"):
        done = batchctl(command)
        assert done.returncode == 1
        assert "previous versions" in done.stderr


def test_no_traceback_when_the_reader_of_the_output_goes_away(batchctl: Command) -> None:
    command = [sys.executable, "-m", "reconciler", "plan", "-C", str(batchctl.root)]
    with subprocess.Popen(
        command, env=batchctl.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert "Traceback" not in running.stderr.read()


def test_the_json_report_adds_up_and_carries_the_exit_code(batchctl: Command) -> None:
    done = batchctl("apply", "--auto-approve", "--format", "json")
    report = json.loads(done.stdout)
    totals = report["totals"]
    parts = ("done", "failed", "not_attempted", "refused", "unknown")
    assert totals["planned"] == sum(totals[name] for name in parts) > 0
    assert (report["exit_code"], report["outcome"], done.returncode) == (0, "ok", 0)


def test_a_project_without_a_project_document_is_3(project: MakeProject, batch: str) -> None:
    root = project({"a.yaml": EVERYBODY})
    assert Command(root, batch)("plan").returncode == 3
    assert Command(Path(root), batch)("status").returncode == 3


def test_all_specs_in_one_file_do_as_well(project: MakeProject, batch: str) -> None:
    root = project(SPECS + "---" + EVERYBODY, {"data/people.parquet": people(3)})
    assert "1 to create" in Command(root, batch).ok("plan")
