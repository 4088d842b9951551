"""A world on disk, its Batch on loopback, and the command run inside this process: fast enough for thousands of nights."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import textwrap
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.main import run
from tests.apply.people import Link, Values, World

KEYS = {"IOS_KEY": "livekey1", "REST_KEY": "rest1", "CRM_KEY": "project_1"}
ACCOUNTS = {
    "ios": hashlib.sha256(KEYS["IOS_KEY"].encode()).hexdigest()[:8],
    "crm": hashlib.sha256(KEYS["CRM_KEY"].encode()).hexdigest()[:8],
}
FIELDS = {
    **dict.fromkeys(("pid", "email", "gaid", "idfa", "inst", "tier"), "string"),
    "pts": "integer",
    "spent": "float",
    "since": "timestamp",
    "tags": "list<string>",
    "ok": "boolean",
}
TYPES = {name: FIELDS[name] for name in ("tier", "pts", "spent", "since", "tags", "ok")}
IDENTIFIERS = {
    "send_advertising_ids": "advertising_id: [gaid, idfa]",
    "send_install_ids": "install_id: inst",
    "send_emails": "email: email",
    "send_custom_ids": "custom_id: pid",
    "send_attributes": "custom_id: pid",
}


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def plan(self) -> dict[str, Any]:
        """The JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def __str__(self) -> str:
        if not self.out.startswith("{") or "changes" not in self.plan:
            return f"exit {self.code}\n{self.out}\n{self.err}"
        shown = ("address", "audience", "op", "outcome", "error", "refused", "warnings", "rows")
        changes = [{name: one[name] for name in shown} for one in self.plan["changes"] if one["outcome"] != "none"]
        return "\n".join([f"exit {self.code}", *map(str, changes), self.err])

    def said(self, what: str) -> str:
        """All errors and warnings of one audience, or of the profiles of a destination."""
        mine = [one for one in self.plan["changes"] if what in (one["audience"], one["destination"])]
        mine = [one for one in mine if one["audience"] in (what, None)]
        return "\n".join(text for one in mine for text in (one["error"] or "", *one["warnings"]))


class Shop:
    """One project folder against one Batch."""

    def __init__(self, root: Path, url: str, world: World, *, retry: str = "attempts: 6, deadline: 60s") -> None:
        self.root, self.url, self.world, self.retry = root, url, world, retry
        self.project = "max_delete_audiences: 20"
        self.extra: list[str] = []
        """Further documents."""
        self.activation = "single"
        self.refusing: set[str] = set()
        """Destinations whose profiles refuse to give up values: those remain, everything else is as it should be."""
        root.mkdir(parents=True, exist_ok=True)

    def write(self) -> None:
        """Puts specs and data on disk as the world has them now."""
        (self.root / "specs.yaml").write_text("\n---\n".join(self._documents()))
        data = self.root / "data"
        data.mkdir(exist_ok=True)
        with (data / "people.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(FIELDS)
            writer.writerows([_cell(getattr(one, name)) for name in FIELDS] for one in self.world.people.values())
        with (data / "graph.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["pid", "gaid"])
            writer.writerows([pid, one] for pid, ids in self.world.graph.items() for one in ids)

    def command(self, *arguments: str, **environ: str) -> Done:
        """The command's own entry point, in this process."""
        out, err = io.StringIO(), io.StringIO()
        values = {**KEYS, "BATCHCTL_API_URL": self.url, **environ}
        with environment(values), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*arguments, "-C", str(self.root)])
        done = Done(code, out.getvalue(), err.getvalue())
        assert "a fault of batchctl itself" not in done.err, done
        assert not [key for key in KEYS.values() if key in done.out + done.err], done
        return done

    def apply(self, *more: str, **environ: str) -> Done:
        """Writes the world down and applies it; the JSON report's sums add up whatever happened."""
        self.write()
        done = self.command("apply", "--auto-approve", "--format", "json", *more, **environ)
        if "changes" in done.plan:
            sums_add_up(done.plan)
        return done

    def plan(self, **environ: str) -> Done:
        """A plan of what is on disk."""
        return self.command("plan", "--format", "json", "--detailed-exitcode", **environ)

    def turn(self, **environ: str) -> dict[str, Any]:
        """One quiet night: everything is applied, Batch equals the truth, a plan afterwards is empty."""
        self.post("reset-log")
        done = self.apply(**environ)
        plan = done.plan
        refused = [one for one in plan["changes"] if one["rows"]["refused"]]
        assert {one["destination"] for one in refused if one["target"] == "profiles"} <= self.refusing, done
        assert done.code == (7 if refused else 0), done
        assert plan["totals"]["planned"] == plan["totals"]["done"] + plan["totals"]["refused"], done
        answered, every = self.writes()
        assert plan["writes"]["sent"] == every, done
        if not refused:
            assert answered <= plan["cost"]["requests"] <= every, (answered, every, plan["cost"])
        assert plan["cost"]["requests"] == plan["cost"]["minimum"] or plan["cost"]["why"], done
        self.converged(**environ)
        return plan

    def converged(self, **environ: str) -> None:
        """Batch equals the truth, and a plan is empty, but for removals for consent that are refused every night."""
        self.world.applied()
        self.post("settle")
        wrong = self.differences()
        assert not wrong, "\n".join(wrong)
        again = self.plan(**environ)
        left = [one for one in again.plan["changes"] if one["op"] != "none"]
        asked = [one for one in left if one["destination"] in self.refusing and one["target"] == "profiles"]
        assert again.code == (2 if asked else 0), again
        assert all(one["rows"]["planned"] == one["consent"]["removed"] for one in asked), again

    def differences(self) -> list[str]:
        """What Batch holds and should not, lacks, or holds with other values."""
        out = []
        held = {one["name"] for one in self.ask("audiences")["audiences"]}
        wanted = {name for name in self.world.truth if name not in ACCOUNTS}
        out += [f"audience {name}" for name in sorted(held ^ wanted)]
        for name, truth in sorted(self.world.truth.items()):
            got = self.held(name) if name in held or name in ACCOUNTS else {}
            out += [
                f"{name} {one}: {got.get(one)} instead of {truth.get(one)}"
                for one in sorted({*truth, *got})
                if truth.get(one) != got.get(one)
                and not (name in self.refusing and truth.get(one, {}).items() <= got.get(one, {}).items())
            ]
        return out

    def held(self, name: str) -> dict[str, Values]:
        """What Batch holds of one audience, or of the profiles of a destination."""
        if name in ACCOUNTS:
            path, key = ("profiles", "profiles") if name == "crm" else ("custom-data", "custom_data")
            found = self.ask(f"{path}?account={ACCOUNTS[name]}&limit=100000")[key]
            return {one["id"]: one["attributes"] for one in found if one["attributes"]}
        found = self.ask(f"members?name={name}&limit=100000")["members"]
        return {m["id"]: m["attributes"] | ({"tags": sorted(m["tags"])} if m["tags"] else {}) for m in found}

    def breaches(self) -> dict[str, int]:
        """Kinds of breaches of the contract with their numbers."""
        found: dict[str, int] = self.ask("breaches")["counts"]
        return found

    def log(self) -> list[dict[str, Any]]:
        """Every request so far."""
        found: list[dict[str, Any]] = self.ask("log?limit=100000")["requests"]
        return found

    def writes(self) -> tuple[int, int]:
        """How many requests that write were answered, and how many arrived."""
        writes = [one for one in self.log() if one["method"] != "GET"]
        return sum(not one["fault"] for one in writes), len(writes)

    def ask(self, path: str) -> dict[str, Any]:
        """The emulator's control plane, reading."""
        with urllib.request.urlopen(f"{self.url}/_emulator/{path}", timeout=10) as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def post(self, path: str, **body: object) -> None:
        """The emulator's control plane, writing."""
        request = urllib.request.Request(
            f"{self.url}/_emulator/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def _documents(self) -> Iterator[str]:
        yield document("Project", "shop", self.project)
        fields = ", ".join(f"{name}: {kind}" for name, kind in FIELDS.items())
        yield document(
            "Catalogue",
            "people",
            f"""
            source: {{path: data/people.csv}}
            key: pid
            fields: {{{fields}}}
            consent: ok
            max_reject_percent: 60
            identity_graph: {{source: {{path: data/graph.csv}}, key: pid, fields: {{gaid: string}}}}
            """,
        )
        for name, platform, role in (("ios", "mep", "live_api_key"), ("crm", "cep", "project_key")):
            types = ", ".join(
                f"{one}: {'date' if one == 'since' and name == 'ios' else kind}" for one, kind in TYPES.items()
            )
            yield document(
                "Destination",
                name,
                f"""
                platform: {platform}
                {role}: ${{env:{name.upper()}_KEY}}
                rest_api_key: ${{env:REST_KEY}}
                retry: {{base_seconds: 0.01, {self.retry}}}
                rate_limits: {{requests_per_second: 1000}}
                attributes: {{{types}}}
                """,
            )
        for link in self.world.links.values():
            yield from _link(link, self.activation)
        yield from self.extra


def document(kind: str, name: str, body: str) -> str:
    """One YAML document."""
    return f"apiVersion: batchctl/v1\nkind: {kind}\nname: {name}\n{textwrap.dedent(body).strip()}\n"


def _link(link: Link, activation: str) -> Iterator[str]:
    attributes = [name for name in link.attributes if name != "tags" or link.destination == "crm" or link.profiles]
    forms = {"tier": "{field: tier, transform: [trim, lower]}"}
    if link.destination == "ios":
        forms["since"] = "{field: since, type: date}"
    listed = ", ".join(f"{name}: {forms.get(name, name)}" for name in attributes)
    body = f"catalogue: people\nidentifier: {{{IDENTIFIERS[link.kind]}}}\n"
    body += f"attributes: {{{listed}}}\n" if listed else ""
    body += "tags: {field: tags}\n" if len(attributes) < len(link.attributes) else ""
    yield document("Mapping", link.name, body)
    yield document("Segment", link.name, f"catalogue: people\nactivation: {activation}\nwhere: {link.where}")
    action = f"destination: {link.destination}\ntype: {link.kind}\nmapping: {link.name}\n"
    action += "" if link.delta else "delta_upload: false\n"
    action += "" if link.delete or link.profiles else "delete: false\n"
    action += f"on_exit: {'unset' if link.unset else 'keep'}\n" if link.profiles else ""
    action += "id_extension: true\n" if link.extension else ""
    yield document("Action", link.name, action)
    body = f"segment: {link.name}\naction: {link.name}\n"
    body += "" if "guards:" in link.more else "guards: {max_remove_percent: 100, max_add_percent: 100000}\n"
    body += "" if "allow:" in link.more else "allow: {remove_percent: 100, until: 2999-01-01, reason: tests}\n"
    body += f"lifecycle: {{on_destroy: {link.on_destroy}}}\n" if link.on_destroy != "delete" else ""
    yield document("SegmentLink", link.name, body + link.more)


def _cell(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def sums_add_up(plan: Mapping[str, Any]) -> None:
    """planned = done + failed + not attempted + refused + unknown, per target and in total, rows and requests."""
    every = [plan["totals"], plan["requests"]]
    every += [change[what] for change in plan["changes"] for what in ("rows", "requests")]
    for sums in every:
        assert sums["planned"] == sum(number for name, number in sums.items() if name != "planned"), plan
        assert min(sums.values()) >= 0, plan


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text
