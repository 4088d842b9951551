"""With --format json there is exactly one document, however a command ends, and the published schema describes it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reconciler.render.planschema import plan_schema
from reconciler.state.holder import Holder
from reconciler.state.lock import acquire
from tests.cli.kit import Command, Typed
from tests.cli.test_ended import STRUCK
from tests.render.test_json import closed

SCHEMA = Draft202012Validator(closed(plan_schema()))
APPLY = ("apply", "--auto-approve")


def document(text: str, code: int) -> dict[str, Any]:
    """The only one in a text; valid, and of the exit code."""
    found: dict[str, Any] = json.loads(text)
    assert [error.message for error in SCHEMA.iter_errors(found)] == []
    assert (found["format"], found["exit_code"]) == (1, code)
    return found


def problem(found: dict[str, Any]) -> dict[str, Any]:
    """The one that a document lists."""
    (one,) = found["problems"]
    return dict(one)


@dataclass(frozen=True)
class End:
    """How a command ends without a plan or a report."""

    code: int
    word: str
    arguments: tuple[str, ...]
    what: str
    prepared: Callable[[Command], object] = lambda _: None
    keys: tuple[str, ...] = ()


def misspelt(batchctl: Command) -> None:
    (batchctl.root / "loyal.yaml").write_text("apiVersion: batchctl/v1\nkind: SegmentLink\nname: x\nsegmant: loyal\n")


def outdated(batchctl: Command) -> None:
    batchctl.ok("plan", "--out", str(batchctl.root / "saved.plan"))
    batchctl.ok(*APPLY)


ENDS = {
    "key": End(1, "error", ("plan",), "SHOP_REST_KEY", keys=("SHOP_REST_KEY",)),
    "plan-file": End(1, "error", ("apply", "{root}/none.plan"), "none.plan"),
    "show": End(1, "error", ("show", "{root}/none.plan"), "none.plan"),
    "specs": End(3, "invalid", ("plan",), "segmant", prepared=misspelt),
    "specs-apply": End(3, "invalid", APPLY, "segmant", prepared=misspelt),
    "environment": End(3, "invalid", ("plan", "--env", "nowhere"), "nowhere"),
    "stale": End(6, "stale", ("apply", "{root}/saved.plan"), "has changed since the plan was saved", prepared=outdated),
    "usage": End(64, "usage", ("plan", "--frobnicate"), "No such option"),
    "no-terminal": End(64, "usage", ("apply",), "no terminal to ask on"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("form", ["--format json", "--format=json", "--format json={root}/out.json"])
def test_a_document_says_why_there_is_no_plan(batchctl: Command, form: str, end: End) -> None:
    end.prepared(batchctl)
    words = [word.format(root=batchctl.root) for word in (*end.arguments, *form.split())]
    done = batchctl(*words, **dict.fromkeys(end.keys))
    file = batchctl.root / "out.json"
    assert done.returncode == end.code, done
    assert file.exists() == (not done.stdout)
    found = document(done.stdout or file.read_text(), end.code)
    said = [f"{one['what']} {one['why']}" for one in found["problems"]]
    assert (found["outcome"], any(end.what in one for one in said)) == (end.word, True), found
    assert "error: " in done.stderr, "what a person reads stays where it was"


def test_problems_have_their_place_their_reason_and_their_fix(batchctl: Command) -> None:
    misspelt(batchctl)
    found = document(batchctl("plan", "--format", "json").stdout, 3)
    first = next(one for one in found["problems"] if "segmant" in one["what"])
    assert first["where"] == {"path": "loyal.yaml", "line": 4, "column": 1}
    assert (first["severity"], "segment" in first["fix"]) == ("error", True)
    assert first in json.loads(batchctl("validate", "--format", "json").stdout)["problems"], "in the same words"


def test_a_held_lock_is_a_document_too(batchctl: Command) -> None:
    holder = Holder(text="apply", started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    with acquire(batchctl.root / "state", timeout_seconds=1, holder=holder):
        done = batchctl(*APPLY, "--lock-timeout", "0", "--format", "json")
    found = document(done.stdout, 5)
    assert (found["outcome"], problem(found)["where"]) == ("locked", None)


def test_who_says_no_gets_a_document(batchctl: Command) -> None:
    done = batchctl("apply", "--format", "json", stdin=Typed("no\n"))
    assert problem(document(done.stdout, 1))["what"] == "not applied: nothing was sent"
    assert done.stderr.endswith("Not applied: nothing was sent.\n")


def test_a_plan_is_not_followed_by_what_is_wrong(batchctl: Command) -> None:
    both = batchctl("plan", "--format", "json", "--format", "text=/dev/full")
    assert problem(document(both.stdout, 1))["what"] == "/dev/full could not be written"
    file = batchctl.root / "plan.json"
    batchctl("plan", "--format", "text=/dev/full", "--format", f"json={file}")
    document(file.read_text(), 1)
    assert document(batchctl.ok("plan", "--format", "json"), 0)["changes"]
    assert document(batchctl.ok(*APPLY, "--format", "json"), 0)["changes"]


@pytest.mark.parametrize("module", ["reconciler.spec.mapping", "reconciler.cli.planning", "reconciler.evaluate"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_a_document(batchctl: Command, module: str, number: int, code: int) -> None:
    arguments = ["plan", "-C", str(batchctl.root), "--format", "json"]
    command = [sys.executable, "-c", STRUCK, module, str(int(number)), *arguments]
    done = subprocess.run(command, env=batchctl.environ(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done
    found = document(done.stdout, code)
    assert (found["outcome"], problem(found)["what"]) == ("interrupted", "interrupted")


def test_other_commands_and_forms_print_none(batchctl: Command) -> None:
    misspelt(batchctl)
    assert batchctl("status", "--env", "nowhere", "--format", "json").stdout == ""
    assert batchctl("plan").stdout == ""
    assert not list(Path(batchctl.root).glob("*.json"))
