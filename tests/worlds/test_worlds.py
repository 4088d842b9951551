"""Golden worlds: each folder is a project, what was applied before, and what happened in Batch; plan.txt and plan.json
say what `batchctl plan` makes of it. `make snapshots` rewrites them.

    specs/ data/   the project as it is planned
    before/1/ …    turns applied before, as overlays: what such a folder does not have is as it is planned
    remote.json    then, in order: create an audience by hand (`later`: not in the same second), delete one, or run a command
    turn.json      applied (as it is planned, once), arguments of plan, age_hours of the data, unset keys
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.data import SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation

from tests.cli.kit import Command

HERE = Path(__file__).parent
WORLDS = sorted(path.parent.parent.name for path in HERE.glob("*/specs/shop.yaml"))
KEYS = {"IOS_KEY": "livekeyI0S", "CRM_KEY": "project_CRM", "REST_KEY": "restkeyR3ST"}
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


class PlanText(SingleFileSnapshotExtension):
    """plan.txt in the world's own folder."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(HERE / str(test_location.snapshot_name).partition("[")[2].rstrip("]"))

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: Any = None
    ) -> SnapshotCollections:
        return SnapshotCollections()  # nothing is unused: whatever is discovered and unknown is deleted by updates

    @classmethod
    def matches_test_location(cls, *, test_location: PyTestLocation, snapshot_location: str) -> bool:
        return True

    @classmethod
    def get_file_basename(cls, *, test_location: PyTestLocation, index: int | str) -> str:
        return "plan"


class PlanJson(PlanText):
    """plan.json beside it."""

    file_extension = "json"


@pytest.mark.parametrize("name", WORLDS)
def test_world(name: str, batch: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    world, root = HERE / name, tmp_path / "shop"
    turn = read(world / "turn.json", {})
    command = Command(root, batch, keys=KEYS)
    overlays = sorted((world / "before").glob("*")) + ([world] if turn.get("applied") else [])
    for ago, overlay in zip(range(len(overlays), 0, -1), overlays, strict=True):
        now = NOW - timedelta(days=ago)
        lay(world, overlay, root, at=now)
        command.ok("apply", "--auto-approve", "--wait", BATCHCTL_NOW=now.isoformat())
    lay(world, world, root, at=NOW - timedelta(hours=turn.get("age_hours", 1)))
    for step in read(world / "remote.json", []):
        happen(step, command, batch)
    arguments = ("plan", *turn.get("arguments", ()))
    environ = {"BATCHCTL_NOW": NOW.isoformat(), **dict.fromkeys(turn.get("unset", ()))}
    file = tmp_path / "plan.json"
    shown = command.ok(*arguments, "--format", "text", "--format", f"json={file}", **environ)
    assert snapshot.use_extension(PlanText) == settled(shown, root)
    assert snapshot.use_extension(PlanJson) == settled(file.read_text(), root)


def read(path: Path, otherwise: Any) -> Any:
    """A JSON file of a world, which may be missing."""
    return json.loads(path.read_text()) if path.exists() else otherwise


def lay(world: Path, overlay: Path, root: Path, *, at: datetime) -> None:
    """The project as `overlay` has it, the rest as the world has it; files are as old as `at` says."""
    for part in ("specs", "data"):
        shutil.rmtree(root / part, ignore_errors=True)
        shutil.copytree(world / part, root / part)
        if (overlay / part).is_dir():
            shutil.copytree(overlay / part, root / part, dirs_exist_ok=True)
    for path in root.glob("data/*"):
        os.utime(path, (at.timestamp(), at.timestamp()))


def happen(step: dict[str, Any], command: Command, batch: str) -> None:
    """What somebody did in Batch, or with batchctl, between the turns."""
    if "run" in step:
        command.ok(*step["run"], BATCHCTL_NOW=NOW.isoformat())
    elif "delete" in step:
        post(f"{batch}/_emulator/delete-audience", {"name": step["delete"]})
    else:
        name, kind = step["create"], step["type"]
        second = int(time.time())
        while step.get("later") and int(time.time()) == second:  # Batch tells creations apart by the second
            threading.Event().wait(0.05)
        ids = [{"action": "add", "id": one} for one in step["ids"]]
        if step["account"] == "crm":
            post(f"{batch}/2.11/audiences/create", {"name": name, "type": kind})
            post(f"{batch}/2.11/audiences/update", {"name": name, "ids": ids})
        else:
            route = f"{batch}/1.0/{KEYS['IOS_KEY']}/custom-audience/{name}"
            post(route, {"type": kind})
            post(f"{batch}/_emulator/settle", {})
            post(route, {"type": kind, "ids": ids}, method="PATCH")
        post(f"{batch}/_emulator/settle", {})


def post(url: str, body: dict[str, Any], *, method: str = "POST") -> None:
    headers = {"Content-Type": "application/json", "X-Authorization": KEYS["REST_KEY"]}
    headers |= {"Authorization": f"Bearer {KEYS['REST_KEY']}", "X-Batch-Project": KEYS["CRM_KEY"]}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=10):
        pass


def settled(plan: str, root: Path) -> str:
    """Without what differs from run to run: the state's identity, what is derived from it, Batch's clock and the folder.

    Serials as well: changes asked for at one time are one write.
    """
    plan = plan.replace(f" -C {root}", "")
    plan = re.sub(r'("(?:lineage|digest)": ")[0-9a-f-]+"', r'\1…"', plan)
    plan = re.sub(r'(serial"?:? )\d+', r"\1…", plan)
    return re.sub(r"\(\d{4}-\d\d-\d\dT[\d:]+\)", "(…)", plan)
