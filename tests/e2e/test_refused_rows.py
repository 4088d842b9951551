"""Rows that Batch refuses, whatever place they have in a request, and the barrier after a creation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.emulator import Options, running
from tests.e2e.world import ask, run

SPECS = """
apiVersion: batchctl/v1
kind: Project
name: press
---
apiVersion: batchctl/v1
kind: Catalogue
name: readers
source: {path: readers.csv}
key: reader
fields: {reader: string, login: string}
---
apiVersion: batchctl/v1
kind: Segment
name: all
catalogue: readers
where: "TRUE"
---
apiVersion: batchctl/v1
kind: Destination
name: app
platform: mep
live_api_key: ${env:IOS_KEY}
rest_api_key: ${env:REST_KEY}
retry: {base_seconds: 0.05}
rate_limits: {requests_per_second: 900}
---
apiVersion: batchctl/v1
kind: Mapping
name: logins
catalogue: readers
identifier: {custom_id: login}
---
apiVersion: batchctl/v1
kind: Action
name: logins
destination: app
type: send_custom_ids
mapping: logins
---
apiVersion: batchctl/v1
kind: SegmentLink
name: all
segment: all
action: logins
"""


def _project(root: Path, logins: list[str]) -> None:
    (root / "specs.yaml").write_text(SPECS)
    (root / "readers.csv").write_text("reader,login\n" + "".join(f"r{n},{login}\n" for n, login in enumerate(logins)))


@pytest.mark.parametrize("places", [(0,), (1, 5, 8)])
def test_refused_rows_never_block_the_others(tmp_path: Path, places: tuple[int, ...]) -> None:
    logins = [("L" * 600 + str(n)) if n in places else f"login-{n}" for n in range(10)]
    _project(tmp_path, logins)
    with running(Options(rate_scale=0, indexing_delay=0.01, switches={"max_id_length": "512"})) as url:
        done = run(tmp_path, url, "apply", "--auto-approve", "--format", "json")
        report = json.loads(done.stdout)
        assert done.returncode == report["exit_code"] == 7, done.stderr
        held = {m["id"] for m in ask(url, "members?name=all_custom_ids&limit=100")["members"]}
        assert held == {login for login in logins if len(login) < 512}
        rows = report["totals"]
        assert (rows["planned"], rows["done"], rows["refused"]) == (10, 10 - len(places), len(places))
        again = run(tmp_path, url, "plan", "--detailed-exitcode")
        assert again.returncode == 0, again.stdout + again.stderr


def test_members_wait_for_a_creation_whose_answer_was_lost(tmp_path: Path) -> None:
    _project(tmp_path, ["a", "b"])
    specs = tmp_path / "specs.yaml"
    cep = SPECS.replace("platform: mep", "platform: cep").replace(
        "live_api_key: ${env:IOS_KEY}", "project_key: ${env:PROJ_KEY}"
    )
    specs.write_text(cep.replace("base_seconds: 0.05", "base_seconds: 0.05, attempts: 1"))
    delay = 4.0
    switches = {"drop_response_after_write": "first_write_of_each_route"}
    with running(Options(rate_scale=0, indexing_delay=delay, slow_seconds=0.01, switches=switches)) as url:
        assert run(tmp_path, url, "apply", "--auto-approve").returncode == 7  # created, and not acknowledged
        run(tmp_path, url, "apply", "--auto-approve")
        at = {entry["route"].rpartition("/")[2]: entry["at"] for entry in ask(url, "log?limit=1000")["requests"]}
    assert at["update"] - at["create"] >= delay


def test_refused_removals_for_consent_stay_in_the_books(tmp_path: Path) -> None:
    (tmp_path / "specs.yaml").write_text(SPECS.replace("login: string}", "login: string, ok: boolean}\nconsent: ok"))
    without: tuple[int, ...] = ()
    with running(Options(rate_scale=0, indexing_delay=0.01)) as url:
        for people, code, before, sent in ((40, 0, None, 40), (41, 4, 40, 1), (41, 4, 41, 0)):
            rows = [f"r{n},login-{n},{str(n not in without).lower()}\n" for n in range(people)]
            (tmp_path / "readers.csv").write_text("reader,login,ok\n" + "".join(rows))
            done = run(tmp_path, url, "apply", "--auto-approve", "--format", "json")
            assert done.returncode == code, done.stdout + done.stderr
            (change,) = json.loads(done.stdout)["changes"]
            assert (change["before"]["count"], change["sent"], change["op"]) == (
                before,
                sent,
                "delta" if before else "create",
            )
            without = (1, 3, 5, 7, 9)
        assert "1 refused, 0 unchanged" in run(tmp_path, url, "plan").stdout
