"""A small project on both platforms, and the command on it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.main import run

KEYS = {"SHOP_IOS_KEY": "livekeyA1B2C3", "SHOP_REST_KEY": "restkeyD4E5F6", "SHOP_CRM_KEY": "project_G7H8I9"}
"""Nothing a command prints may hold one of these values."""
AUDIENCE, CRM = "Loyal_custom_ids", "Everybody_custom_ids"
Rows = Sequence[Mapping[str, object]]

SPECS = """
apiVersion: batchctl/v1
kind: Project
name: shop
state: {url: state}
---
apiVersion: batchctl/v1
kind: Catalogue
name: people
source: {path: data/people.parquet}
key: pid
fields: {pid: string, orders: integer, email: string, ok: boolean}
consent: ok
max_reject_percent: 20
---
apiVersion: batchctl/v1
kind: Destination
name: ios
platform: mep
live_api_key: ${env:SHOP_IOS_KEY}
rest_api_key: ${env:SHOP_REST_KEY}
retry: {base_seconds: 0, attempts: 2}
rate_limits: {requests_per_second: 900}
---
apiVersion: batchctl/v1
kind: Destination
name: crm
platform: cep
project_key: ${env:SHOP_CRM_KEY}
rest_api_key: ${env:SHOP_REST_KEY}
retry: {base_seconds: 0, attempts: 2}
rate_limits: {requests_per_second: 900}
---
apiVersion: batchctl/v1
kind: Mapping
name: ids
catalogue: people
identifier: {custom_id: pid}
---
apiVersion: batchctl/v1
kind: Action
name: ios-ids
destination: ios
type: send_custom_ids
mapping: ids
---
apiVersion: batchctl/v1
kind: Action
name: crm-ids
destination: crm
type: send_custom_ids
mapping: ids
---
apiVersion: batchctl/v1
kind: Segment
name: loyal
title: Loyal
catalogue: people
where: orders >= 3
"""
LOYAL = """
apiVersion: batchctl/v1
kind: SegmentLink
name: loyal-ios
segment: loyal
action: ios-ids
labels: {team: crm}
"""
EVERYBODY = """
apiVersion: batchctl/v1
kind: Segment
name: everybody
title: Everybody
catalogue: people
where: orders >= 0
---
apiVersion: batchctl/v1
kind: SegmentLink
name: everybody-crm
segment: everybody
action: crm-ids
"""
FILES = {"specs.yaml": SPECS, "loyal.yaml": LOYAL, "everybody.yaml": EVERYBODY}


def people(count: int, *, loyal: int | None = None, first: int = 0, malformed: int = 0) -> list[dict[str, object]]:
    """`count` people, the first `loyal` of them (default: all) with three orders; `malformed` more without a good key."""
    enough = count if loyal is None else loyal
    good = [(f"p{n}", 3 if n - first < enough else 1) for n in range(first, first + count)]
    bad = [(f" p{n} ", 5) for n in range(malformed)]
    return [{"pid": p, "orders": n, "email": f"{p.strip()}@example.com", "ok": True} for p, n in good + bad]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


class Typed(io.StringIO):
    """What a person types on a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class Command:
    """Runs batchctl on one project against one Batch."""

    def __init__(self, root: Path, url: str, keys: Mapping[str, str] = KEYS) -> None:
        self.root, self.url, self.secrets = root, url, keys

    def __call__(self, *arguments: str, stdin: str | Typed = "", **environ: str | None) -> Done:
        """A finished command, run in this process. No key may be in its output, and no traceback."""
        done = self.raw(arguments[0], "-C", str(self.root), *arguments[1:], stdin=stdin, **environ)
        checked(done, self.secrets)
        return done

    def raw(self, *arguments: str, stdin: str | Typed = "", **environ: str | None) -> Done:
        """Without ``-C``, unchecked; an environment variable that is None is not set."""
        out, err, given = io.StringIO(), io.StringIO(), io.StringIO(stdin) if isinstance(stdin, str) else stdin
        before = dict(os.environ)
        reader, sys.stdin = sys.stdin, given
        try:
            os.environ.clear()
            os.environ.update(self.environ(before, **environ))
            with redirect_stdout(out), redirect_stderr(err):
                code = run(list(arguments))
        finally:
            sys.stdin = reader
            os.environ.clear()
            os.environ.update(before)
        return Done(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())

    def process(
        self, *arguments: str, wrapped: Sequence[str] = (), faulty: bool = False, **environ: str | None
    ) -> Done:
        """The same in a process of its own, where that is the point; `wrapped` in another command."""
        done = subprocess.run(
            [*wrapped, sys.executable, "-m", "reconciler", arguments[0], "-C", str(self.root), *arguments[1:]],
            env=self.environ(os.environ, **environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        finished = Done(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
        checked(finished, self.secrets, faulty=faulty)
        return finished

    def environ(self, base: Mapping[str, str] = os.environ, **more: str | None) -> dict[str, str]:
        """The environment of a command."""
        wanted = {**base, **self.secrets, "BATCHCTL_API_URL": self.url, **more}
        return {name: value for name, value in wanted.items() if value is not None}

    def ok(self, *arguments: str, **environ: str | None) -> str:
        """Standard output of a command that must succeed."""
        done = self(*arguments, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def members(self, name: str) -> set[str]:
        """Who is in an audience, in truth, once everything accepted is indexed."""
        settle = urllib.request.Request(f"{self.url}/_emulator/settle", method="POST", data=b"{}")
        urllib.request.urlopen(settle, timeout=10).close()
        found = self.ask(f"members?name={name}&limit=100000")
        return {one["id"] for one in found["members"]}

    def audiences(self) -> set[str]:
        """Names of all audiences."""
        return {one["name"] for one in self.ask("audiences")["audiences"]}

    def ask(self, path: str) -> dict[str, Any]:
        """The emulator's control plane."""
        with urllib.request.urlopen(f"{self.url}/_emulator/{path}", timeout=10) as reply:
            found: dict[str, Any] = json.load(reply)
        return found


def checked(done: Done, keys: Mapping[str, str] = KEYS, *, faulty: bool = False) -> None:
    """No key, no traceback, whatever happened."""
    output = done.stdout + done.stderr
    assert not [name for name, key in keys.items() if key in output], output
    assert "Traceback" not in output, output
    assert faulty or "a fault of batchctl itself" not in output, output
