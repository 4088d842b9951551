"""A small project with every action on both platforms, its data at turn n, and what Batch must then hold."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import textwrap
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEYS = {"IOS_KEY": "livekey1", "REST_KEY": "rest1", "PROJ_KEY": "project_1"}
FIELDS = "tier: {field: tier, transform: [trim, lower]}, pts: pts"
MEP = f"attributes: {{{FIELDS}, since: {{field: since, type: date}}}}"
CEP = f"attributes: {{{FIELDS}, spent: spent, since: since, tags: tags, ok: ok}}"
WHERE = [
    "pts > 20",
    "tier ILIKE '%gold%'",
    "spent < 80",
    "pts BETWEEN 10 AND 70",
    "1 = 1",
    "length(pid) > 2",
    "pts % 2 = 0",
    "pts % 3 = 0",
]
ACTIONS = [
    ("ios", "send_advertising_ids", "ads", "id_extension: true"),
    ("ios", "send_install_ids", "inst", ""),
    ("ios", "send_custom_ids", "plain", ""),
    ("ios", "send_attributes", "cust", "on_exit: unset"),
    ("crm", "send_install_ids", "instcep", ""),
    ("crm", "send_custom_ids", "custcep", ""),
    ("crm", "send_emails", "mail", ""),
    ("crm", "send_attributes", "custcep", "on_exit: unset"),
]
Row = dict[str, str]


def write_specs(root: Path) -> None:
    """The project's only YAML file."""
    docs: list[str] = []

    def add(kind: str, name: str, body: str) -> None:
        docs.append(f"apiVersion: batchctl/v1\nkind: {kind}\nname: {name}\n{textwrap.dedent(body).strip()}\n")

    add("Project", "shop", "")
    add(
        "Catalogue",
        "people",
        """
        source: {path: data/people.csv}
        key: pid
        fields: {pid: string, email: string, gaid: string, idfa: string, inst: string, tier: string, pts: integer,
                 spent: float, since: timestamp, tags: list<string>, ok: boolean}
        consent: ok
        identity_graph: {source: {path: data/graph.csv}, key: pid, fields: {gaid: string}}
        """,
    )
    common = "rest_api_key: ${env:REST_KEY}\nretry: {base_seconds: 0.05, attempts: 6, deadline: 60s}\nrate_limits: {requests_per_second: 900}"
    add(
        "Destination",
        "ios",
        f"platform: mep\nlive_api_key: ${{env:IOS_KEY}}\n{common}\nattributes: {{tier: string, pts: integer, since: date}}",
    )
    add(
        "Destination",
        "crm",
        f"platform: cep\nproject_key: ${{env:PROJ_KEY}}\n{common}\n"
        "attributes: {tier: string, pts: integer, spent: float, since: timestamp, tags: list<string>, ok: boolean}",
    )
    for name, identifier, more in [
        ("ads", "advertising_id: [gaid, idfa]", ""),
        ("inst", "install_id: inst", f"{MEP}\ntags: {{field: tags}}"),
        ("instcep", "install_id: inst", CEP),
        ("cust", "custom_id: pid", MEP),
        ("custcep", "custom_id: pid", CEP),
        ("mail", "email: email", CEP),
        ("plain", "custom_id: pid", ""),
    ]:
        add("Mapping", name, f"catalogue: people\nidentifier: {{{identifier}}}\n{more}")
    for n, (where, (destination, kind, mapping, more)) in enumerate(zip(WHERE, ACTIONS, strict=True), 1):
        add("Segment", f"s{n}", f"catalogue: people\nwhere: {where}")
        add("Action", f"a{n}", f"destination: {destination}\ntype: {kind}\nmapping: {mapping}\n{more}")
        guards = "guards: {max_remove_percent: 100, max_add_percent: 100000}"
        add("SegmentLink", f"l{n}", f"segment: s{n}\naction: a{n}\n{guards}")
    root.mkdir(parents=True, exist_ok=True)
    (root / "specs.yaml").write_text("\n---\n".join(docs))


def write_data(root: Path, turn: int, people: int = 120) -> None:
    """People at one turn: a tenth is away, a few have no consent, values move."""
    chance = random.Random(turn)
    rows: list[Row] = []
    for n in range(people):
        if chance.random() < 0.1:
            continue
        fixed = random.Random(n)
        rows.append(
            {
                "pid": f"p{n}",
                "email": f" User{n}@Example.com ",
                "gaid": _uuid(n, "g") if fixed.random() < 0.8 else "",
                "idfa": _uuid(n, "i").upper() if fixed.random() < 0.5 else "",
                "inst": f"inst-{n}" if fixed.random() < 0.9 else "",
                "tier": chance.choice([" Gold", "silver", "gold ", ""]),
                "pts": str(chance.randrange(100)),
                "spent": chance.choice(["1.5", "50", "100.25", ""]),
                "since": chance.choice(["2024-01-02 03:04:05", "2025-06-07T08:09:10Z", ""]),
                "tags": json.dumps(chance.sample(["Ab", "c", 'd"q'], chance.randrange(3))),
                "ok": "true" if (n * 7 + turn) % 40 else "false",
            }
        )
    (root / "data").mkdir(exist_ok=True)
    _csv(root / "data" / "people.csv", list(rows[0]), [list(row.values()) for row in rows])
    graph = [[f"p{n}", _uuid(n, "x")] for n in range(0, people, 5)]
    _csv(root / "data" / "graph.csv", ["pid", "gaid"], graph)


def _uuid(n: int, salt: str) -> str:
    return str(uuid.UUID(hashlib.md5(f"{n}-{salt}".encode(), usedforsecurity=False).hexdigest()))


def _csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def run(root: Path, url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    environ = {**os.environ, **KEYS, "BATCHCTL_API_URL": url, **more}
    code = "from reconciler.cli import main; main()"
    command = [sys.executable, "-c", code, arguments[0], "-C", str(root), *arguments[1:]]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def differences(root: Path, url: str) -> list[str]:
    """What Batch holds and should not, or lacks; computed from the CSV files alone."""
    people = _people(root)
    out = []
    chosen: dict[int, list[dict[str, Any]]] = {
        n: [r for r in people if r["ok"] == "true" and rule(r)] for n, rule in RULES.items()
    }
    names = {1: "advertising_ids", 2: "install_ids", 3: "custom_ids", 5: "install_ids", 6: "custom_ids", 7: "emails"}
    for n, kind in names.items():
        want = {i for row in chosen[n] for i in row["ids"][kind]}
        got = {m["id"] for m in ask(url, f"members?name=s{n}_{kind}&limit=100000")["members"]}
        out += [f"s{n}_{kind} {i}" for i in sorted(want ^ got)]
    for n, cep, path, key in ((8, True, "profiles", "profiles"), (4, False, "custom-data", "custom_data")):
        account = hashlib.sha256(KEYS["PROJ_KEY" if cep else "IOS_KEY"].encode()).hexdigest()[:8]
        want_values = {row["pid"]: _values(row, cep=cep) for row in chosen[n]}
        held = {
            p["id"]: p["attributes"] for p in ask(url, f"{path}?account={account}&limit=100000")[key] if p["attributes"]
        }
        out += [f"{path} {i}" for i in sorted({*want_values, *held}) if want_values.get(i) != held.get(i)]
    return out


RULES: dict[int, Callable[[dict[str, Any]], bool]] = {
    1: lambda r: r["p"] > 20,
    2: lambda r: "gold" in r["tier"].lower(),
    3: lambda r: r["spent"] != "" and float(r["spent"]) < 80,
    4: lambda r: 10 <= r["p"] <= 70,
    5: lambda _: True,
    6: lambda r: len(r["pid"]) > 2,
    7: lambda r: r["p"] % 2 == 0,
    8: lambda r: r["p"] % 3 == 0,
}


def _people(root: Path) -> list[dict[str, Any]]:
    graph = defaultdict(list)
    with (root / "data" / "graph.csv").open() as file:
        for row in csv.DictReader(file):
            graph[row["pid"]].append(row["gaid"])
    people: list[dict[str, Any]] = []
    with (root / "data" / "people.csv").open() as file:
        for row in csv.DictReader(file):
            ids = {
                "advertising_ids": [i for i in (row["gaid"], row["idfa"], *graph[row["pid"]]) if i],
                "install_ids": [row["inst"]] if row["inst"] else [],
                "custom_ids": [row["pid"]],
                "emails": [row["email"].strip().lower()],
            }
            people.append({**row, "p": int(row["pts"]), "ids": ids})
    return people


def _values(row: dict[str, Any], *, cep: bool) -> dict[str, object]:
    mark = "" if cep else "u."
    values: dict[str, object] = {f"{mark}pts": row["p"]}
    if tier := row["tier"].strip().lower():
        values[f"{mark}tier"] = tier
    if row["since"]:
        since = row["since"].replace(" ", "T").rstrip("Z")
        values[f"date({mark}since)"] = f"{since}Z" if cep else f"{since[:10]}T00:00:00"
    if cep:
        values["ok"] = True
        if row["spent"]:
            values["spent"] = float(row["spent"])
        if tags := json.loads(row["tags"]):
            values["tags"] = tags
    return values


def ask(url: str, path: str) -> dict[str, Any]:
    """The emulator's control plane."""
    with urllib.request.urlopen(f"{url}/_emulator/{path}", timeout=10) as reply:
        found: dict[str, Any] = json.load(reply)
    return found
