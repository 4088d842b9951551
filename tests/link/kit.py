"""Specs from short texts, resolved: one catalogue, one destination per platform, whatever a test adds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import yaml

from reconciler.errors import Location
from reconciler.link import Resolution, resolve
from reconciler.spec import MODELS, Spec, address_of

FIELDS = {
    **dict.fromkeys(("pid", "email", "gaid", "inst", "text"), "string"),
    "whole": "integer",
    "real": "float",
    "flag": "boolean",
    "day": "date",
    "moment": "timestamp",
    "site": "url",
    "words": "list<string>",
}
KEYS = {"custom_id": "pid", "email": "email", "advertising_id": "gaid", "install_id": "inst"}
BASE = """
Catalogue people: {source: {path: p.csv}, key: pid, fields: $FIELDS, consent: flag,
  identity_graph: {source: {path: g.csv}, key: pid, fields: {gaid: string, idfa: string}}}
Destination ios: {platform: mep, live_api_key: "${env:A}", rest_api_key: "${env:R}"}
Destination crm: {platform: cep, project_key: "${env:B}", rest_api_key: "${env:R}"}
Mapping custom_id: {catalogue: people, identifier: {custom_id: pid}}
Mapping email: {catalogue: people, identifier: {email: email}}
Mapping advertising_id: {catalogue: people, identifier: {advertising_id: gaid}}
Mapping install_id: {catalogue: people, identifier: {install_id: inst}}
Segment some: {catalogue: people, where: flag, title: Some people}
"""


def parsed(text: str) -> dict[str, Spec]:
    """``Kind name: {…}`` lines as specs by address; underscores in names become dashes."""
    found: dict[str, Spec] = {}
    for head, body in yaml.safe_load(text.replace("$FIELDS", str(FIELDS))).items():
        kind, name = head.split(" ")
        document: dict[str, Any] = {"apiVersion": "batchctl/v1", "kind": kind, "name": name.replace("_", "-")}
        for reference in ("mapping", "action", "segment", "destination", "catalogue"):
            if isinstance(body.get(reference), str):
                body[reference] = body[reference].replace("_", "-")
        spec = MODELS[kind].model_validate({**document, **body})
        found[address_of(spec)] = spec  # type: ignore[arg-type, assignment]  # one of the seven kinds
    return found


def resolved(text: str, *, accounts: Mapping[str, str] | None = None, base: str = BASE, **options: Any) -> Resolution:
    """Links and targets of the base and `text`; a problem's path is ``address:path``."""
    specs = {**parsed(base), **(parsed(text) if text.strip() else {})}
    names = [spec.name for spec in specs.values() if spec.kind == "Destination"]
    return resolve(
        specs,
        accounts={name: name for name in names} | dict(accounts or {}),
        where=lambda address, *path: Location(":".join([address, ".".join(map(str, path))])),
        **options,
    )


def told(resolution: Resolution, severity: str = "error") -> list[tuple[str, str]]:
    """(rule, address:path) of every problem."""
    return [(p.rule, p.where.path if p.where else "") for p in resolution.problems if p.severity == severity]


TODAY = date(2026, 6, 1)
