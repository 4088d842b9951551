"""What an apply says it did, beside what Batch saw of it: outcomes, exit codes, and reports that cannot be written."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reconciler.cli.carrying import Run
from reconciler.errors import StateError
from reconciler.plan import Plan
from tests.batch.between import LOST, Fate, between, writes
from tests.batch.kit import Say, Seen
from tests.cli import kit
from tests.cli.kit import AUDIENCE, CRM, Command
from tests.conftest import MakeProject


@pytest.fixture
def loyal(batchctl: Command) -> Command:
    """One link of 30 people: a creation and an upload."""
    (batchctl.root / "everybody.yaml").unlink()
    return batchctl


def applied(batchctl: Command, fate: Fate) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON report of an apply over a network, which counts what is sent; the text is in a file."""
    with between(batchctl.url, fate) as network:
        there, batchctl.url = batchctl.url, network.url
        done = batchctl("apply", "--auto-approve", "--format", "json", "--format", f"text={batchctl.root / 'text'}")
        batchctl.url = there
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit_code"] == done.returncode
    assert report["writes"]["sent"] == len(writes(network)), report
    return done.returncode, report


def of(method: str, say: Say) -> Fate:
    """What becomes of the writes of a method."""

    def fate(seen: Seen) -> Say | None:
        return say if seen.method == method else None

    return fate


def stopping() -> Fate:
    """SIGTERM, once, while the first creation is under way."""
    todo = [signal.SIGTERM]

    def fate(seen: Seen) -> Say | None:
        if seen.method == "POST" and todo:
            os.kill(os.getpid(), todo.pop())
        return None

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


def requests(batchctl: Command) -> str:
    """What the text report says of them."""
    return next(line for line in (batchctl.root / "text").read_text().splitlines() if line.startswith("requests "))


def test_retries_are_counted(loyal: Command) -> None:
    specs = loyal.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("attempts: 2", "attempts: 4"))
    answers = [Say(503), Say(429), LOST]

    def fate(seen: Seen) -> Say | None:
        return answers.pop() if seen.method != "GET" and answers else None

    code, report = applied(loyal, fate)
    assert (code, report["writes"]) == (0, {"sent": 4, "retries": 2})
    assert requests(loyal) == "requests planned 2, minimum 2, sent 4 = 2 + 2 retries"


@pytest.mark.parametrize("waiting", [False, True])
def test_a_run_that_is_stopped_says_what_went_out(loyal: Command, waiting: bool) -> None:
    """Stopped when the creation was answered; or while the upload waits for its place in the rate."""
    specs = loyal.root / "specs.yaml"
    rate = "requests_per_second: 2" if waiting else "requests_per_second: 900"
    specs.write_text(specs.read_text().replace("requests_per_second: 900", rate))
    asked = list[str]()

    def fate(seen: Seen) -> Say | None:
        asked.append(seen.method)
        if "POST" in asked and len(asked) - asked.index("POST") == (3 if waiting else 1):
            threading.Timer(0.2 if waiting else 0, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return None

    code, report = applied(loyal, fate)
    assert (code, asked.count("PATCH")) == (143, 0)
    assert report["requests"] == {**dict.fromkeys(report["requests"], 0), "planned": 2, "done": 1, "not_attempted": 1}
    assert report["writes"] == {"sent": 1, "retries": 0}
    assert requests(loyal) == "requests planned 2, minimum 2, sent 1, 1 not attempted"
    text = (loyal.root / "text").read_text()
    assert [line.split()[:4] for line in text.splitlines() if AUDIENCE in line] == [
        [".", "audience", AUDIENCE, "stopped"]
    ]
    assert "\nApply: 0 done, 1 stopped.\n" in text
    assert [change["outcome"] for change in report["changes"]] == ["not_attempted"]


def switched(batchctl: Command, name: str, value: str) -> None:
    """Sets a switch of the emulator."""
    post(batchctl, "_emulator/switch", {"name": name, "value": value})


def post(batchctl: Command, path: str, body: dict[str, str]) -> None:
    """A request to the emulator, with the key of the shop."""
    headers = {"Content-Type": "application/json", "X-Authorization": kit.KEYS["SHOP_REST_KEY"]}
    request = urllib.request.Request(f"{batchctl.url}/{path}", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=10).close()


def test_what_is_not_indexed_in_time_needs_no_other_apply(loyal: Command) -> None:
    specs = loyal.root / "specs.yaml"
    loyal.ok("apply", "--auto-approve", "--wait")
    specs.write_text(specs.read_text().replace("attempts: 2", "attempts: 2, deadline: 2s"))
    switched(loyal, "indexing_outcome", "stuck")
    MakeProject(loyal.root).table("data/people.parquet", kit.people(41, loyal=31))
    done = loyal("apply", "--auto-approve", "--wait")
    switched(loyal, "indexing_outcome", "applied")
    assert done.returncode == 7, done.stdout
    assert "What Batch accepted and has not indexed yet needs time, not another apply" in done.stdout
    assert "Nothing is lost" not in done.stdout


def test_a_row_that_batch_refused_needs_a_change_or_retry_rejects(loyal: Command) -> None:
    switched(loyal, "max_id_length", "512")
    rows = [*kit.people(40, loyal=30), {"pid": "p" * 600, "orders": 3, "email": "", "ok": True}]
    MakeProject(loyal.root).table("data/people.parquet", rows)
    done = loyal("apply", "--auto-approve")
    assert done.returncode == 7, done.stdout
    assert f"are sent again when they change, or with `batchctl apply -C {loyal.root} --retry-rejects`." in done.stdout
    assert "Nothing is lost" not in done.stdout
    again = loyal("apply", "--auto-approve")
    switched(loyal, "max_id_length", "1024")
    assert (again.returncode, "No changes." in again.stdout) == (0, True)


def test_one_command_goes_on_after_a_saved_plan_was_stopped(loyal: Command) -> None:
    saved = str(loyal.root / "b2.plan")
    loyal.ok("plan", "--out", saved)

    with between(loyal.url, stopping()) as network:
        there, loyal.url = loyal.url, network.url
        done = loyal("apply", saved)
    loyal.url = there
    assert done.returncode == 143
    assert f"batchctl apply -C {loyal.root} {saved} goes on from here" in done.stderr
    assert f"run `batchctl apply -C {loyal.root} {saved}` again" in done.stdout
    assert (done.stdout + done.stderr).count("batchctl apply") == 2
    assert loyal("apply", saved).returncode == 0


def test_what_goes_on_after_part_of_a_project_was_stopped_is_that_part(loyal: Command) -> None:
    own = ("--target", "segment-link/loyal-ios", "--auto-approve", "--no-delete", "--wait", "--strict")
    with between(loyal.url, stopping()) as network:
        there, loyal.url = loyal.url, network.url
        done = loyal("apply", *own)
    loyal.url = there
    assert done.returncode == 143
    command = f"batchctl apply -C {loyal.root} {' '.join(own)}"
    assert f"{command} goes on from here" in done.stderr
    assert f"run `{command}` again" in done.stdout
    assert loyal.raw(*command.split()[1:]).returncode == 0, "nobody need be there to be asked"


def test_a_report_names_the_state_that_it_left(batchctl: Command) -> None:
    for loyal in (30, 29, 29):
        MakeProject(batchctl.root).table("data/people.parquet", kit.people(40, loyal=loyal))
        report = json.loads(batchctl.ok("apply", "--auto-approve", "--format", "json"))
        state = json.loads((batchctl.root / "state" / "state.json").read_text())
        assert report["state"] == {name: state[name] for name in ("lineage", "serial")}


def test_suggested_commands_can_be_pasted(batchctl: Command) -> None:
    """With the folder, the environment and the variables of the command that suggests them."""
    specs = batchctl.root / "specs.yaml"
    more = "state: {url: state}\nvars: {least: '3'}\nenvironments: {prod: {audience_prefix: prod_}}"
    specs.write_text(specs.read_text().replace("state: {url: state}", more))
    given = ("--env", "prod", "--var", "least=a b")
    options = f"-C {batchctl.root} --env prod --var 'least=a b'"
    saved = batchctl.root / "crm.plan"
    assert f"saved as {saved}: batchctl apply {options} {saved}" in batchctl("plan", *given, "--out", str(saved)).stderr
    post(batchctl, f"1.0/{kit.KEYS['SHOP_IOS_KEY']}/custom-audience/prod_{AUDIENCE}", {"type": "custom_ids"})
    command = f"batchctl import {options} segment-link/loyal-ios prod_{AUDIENCE}"
    assert command in batchctl.ok("plan", *given)
    refused = [one["refused"] for one in json.loads(batchctl.ok("plan", *given, "--format", "json"))["changes"]]
    assert [one["override"] for one in refused if one] == [command]
    specs.write_text(specs.read_text().replace("orders >= 3", "orders >= 2"))
    assert f"make a new plan: batchctl plan {options} --out FILE" in batchctl("apply", str(saved), *given).stderr
    assert f"Start with: batchctl plan {options}" in batchctl.ok("status", *given)


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_signal_stops_is_stopped_not_failed(batchctl: Command, form: str) -> None:
    with between(batchctl.url, stopping()) as network:
        batchctl.url = network.url
        done = batchctl("apply", "--auto-approve", "--log-format", form)
    assert done.returncode == 143
    assert "failed" not in done.stderr
    if form == "text":
        assert "custom_ids  stopped" in done.stderr
        return
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert "stopped" in [one["step"] for one in events if one["event"] == "progress"]
    assert [one["event"] for one in events if one["event"] not in ("stage", "progress")] == ["stopping", "stopped"]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("plan", "--log-format", "json", "--frobnicate"), 64, "No such option"),
        (("plan", "--log-format=json", "--env", "nowhere"), 3, "1 error in the specs"),
        (("apply", "--log-format", "json", "none.plan"), 1, "none.plan"),
        (("apply", "--auto-approve", "--log-format", "json", "--format", "json=/dev/full"), 7, "/dev/full"),
    ],
)
def test_errors_are_json_lines_among_json_lines(
    batchctl: Command, arguments: tuple[str, ...], code: int, what: str
) -> None:
    done = batchctl(*arguments)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    (error,) = [one for one in events if one["event"] == "error"]
    assert (done.returncode, what in error["what"]) == (code, True), done.stderr
    assert (code == 3) == bool(error.get("problems"))


def test_what_found_no_connection_was_not_sent(batchctl: Command) -> None:
    saved = str(batchctl.root / "saved.plan")
    batchctl.ok("plan", "--out", saved)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        batchctl.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = batchctl("apply", saved)
    assert done.returncode == 1
    assert "requests planned 4, minimum 4, sent 0, 4 not attempted" in done.stdout


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


@pytest.mark.parametrize("unreachable", [StateError("the bucket cannot be reached"), OSError(5, "cannot be reached")])
def test_a_report_is_owed_although_the_state_could_not_be_let_go_of(unreachable: Exception) -> None:
    done = Plan.model_construct()

    class Sent(Run):
        def fresh(self, store: object, engine: object) -> Plan:
            return done

    @contextmanager
    def opened() -> Iterator[Any]:
        yield None, None
        raise unreachable

    shared: Any = {"session": None, "wish": None, "reporter": None, "cancel": threading.Event(), "formats": {}}
    run = Sent(**shared, wait=False, ask=False)
    assert run.result(opened(), None, None) == done
    assert run.late is not None
    assert run.late.what.endswith("cannot be reached")


def test_a_saved_plan_without_the_keys_it_was_made_with_fails_where_they_are_needed(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    (batchctl.root / "everybody.yaml").unlink()
    saved = str(batchctl.root / "b2.plan")
    batchctl.ok("plan", "--out", saved)
    done = batchctl("apply", saved, SHOP_CRM_KEY=None)
    assert (done.returncode, "nobody has the keys of account" in done.stdout) == (1, True), done
    assert batchctl.members(CRM)
    batchctl.ok("apply", saved)
    assert CRM not in batchctl.audiences()
