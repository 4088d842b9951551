"""Exports of profiles and the list of segments.

https://doc.batch.com/developer/api/cep/profiles/export, https://doc.batch.com/developer/api/cep/exports/view,
https://doc.batch.com/developer/api/cep/segments/list
"""

import re
import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any

import orjson

from reconciler.emulator import checks
from reconciler.emulator.cep import cursor, paged, zulu
from reconciler.emulator.mep import checks_query
from reconciler.emulator.messages import Call, Refusal, Reply, malformed, missing
from reconciler.emulator.world import World

ATTRIBUTE = re.compile(r"(\$[a-z_]+|[a-z0-9_]{1,30})\Z")
IDENTIFIERS = ("custom_id", "installation_ids")
STATES = ("CREATED", "PENDING", "RUNNING")
ALL_SEGMENT = "ALL-PROFILES"


def start(world: World, call: Call) -> Reply:
    """POST /profiles/export."""
    body = checks.mapping(world, call, call.json, ("export_type", "attributes", "identifiers", "filter"), "body")
    if body.get("export_type") is None:
        raise missing("export_type")
    if body["export_type"] != "ATTRIBUTES":
        raise malformed("the emulator only exports ATTRIBUTES")
    attributes = _texts(body, "attributes")
    identifiers = _texts(body, "identifiers")
    if attributes is None and identifiers is None:
        raise missing("attributes")
    if not all(ATTRIBUTE.match(name) for name in attributes or []):
        raise malformed('parameter "attributes" names an attribute that cannot exist')
    if not set(identifiers or []) <= set(IDENTIFIERS) or len(set(identifiers or [])) < len(identifiers or []):
        raise malformed('parameter "identifiers" takes custom_id and installation_ids, each once')
    ids = _segment(world, call, body.get("filter"))
    content = _content(world, call, attributes or [], identifiers or [], ids)
    export, file = f"export_{secrets.token_hex(8)}", f"file_{secrets.token_hex(8)}"
    sql = "INSERT INTO exports(id, file, account, requested, due, request, content) VALUES(?,?,?,?,?,?,?)"
    request = orjson.dumps(body).decode()
    world.store.run(sql, export, file, call.account, call.now, call.now + world.delay(), request, content)
    return Reply(status=202, body={"id": export})


def _texts(body: dict[str, Any], field: str) -> list[str] | None:
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise malformed(f'parameter "{field}" is not a list of texts')
    return value


def _segment(world: World, call: Call, chosen: Any) -> list[str] | None:
    """Custom IDs of the segment asked for, or None for every profile."""
    if chosen is None:
        return None
    code = checks.mapping(world, call, chosen, ("segment",), "filter").get("segment")
    if not isinstance(code, str):
        raise missing("filter.segment")
    owner = call.company if world.on("rate_scope", "company") else call.account
    if not world.rates.take("segment_exports", owner, 1, call.now):
        call.breach("pace", "segment exports faster than 5 an hour")
        if world.on("export_segment_rate", "five_per_hour"):
            raise Refusal(429, "TOO_MANY_REQUESTS", "too many exports of a segment")
    found = {row["code"]: row["ids"] for row in segments(world, call.account)}
    if code not in found:
        raise malformed("no such segment")
    return None if found[code] is None else list(orjson.loads(found[code]))


def _content(
    world: World, call: Call, attributes: Sequence[str], identifiers: Sequence[str], ids: list[str] | None
) -> bytes:
    rows = world.store.all("SELECT id, attributes FROM profiles WHERE account=? ORDER BY id", call.account)
    wanted = None if ids is None else set(ids)
    nulls = world.on("export_missing_attribute", "null")
    lines: list[dict[str, Any]] = []
    for row in rows:
        if wanted is not None and row["id"] not in wanted:
            continue
        stored = _unwrapped(orjson.loads(row["attributes"]))
        line: dict[str, Any] = {"identifiers": {}}
        if "custom_id" in identifiers:
            line["identifiers"]["custom_id"] = row["id"]
        if "installation_ids" in identifiers:
            line["identifiers"]["installation_ids"] = []
        if attributes:
            line["attributes"] = {name: stored.get(name) for name in attributes if nulls or name in stored}
        lines.append(line)
    if world.on("export_file_form", "json_array"):
        return orjson.dumps(lines)
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def _unwrapped(stored: dict[str, Any]) -> dict[str, Any]:
    """`date(since)` is asked for as `since`."""
    return {re.sub(r"^(?:date|url)\((.*)\)$", r"\1", key): value for key, value in stored.items()}


def view(world: World, call: Call) -> Reply:
    """GET /exports/view?id=."""
    checks_query(world, call, {"id"})
    return Reply(status=200, body=_export(call, _row(world, call, "id")))


def _row(world: World, call: Call, column: str) -> sqlite3.Row:
    asked = call.asked("id")
    if asked is None:
        raise missing("id")
    row = world.store.one(f"SELECT * FROM exports WHERE account=? AND {column}=?", call.account, asked)
    if row is None:
        if world.on("export_unknown_id", "400"):
            raise malformed("no such export")
        raise Refusal(404, "ROUTE_NOT_FOUND", "no such export")
    return row


def _export(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    span = max(row["due"] - row["requested"], 1e-9)
    done = call.now >= row["due"]
    step = min(2, max(0, int(3 * (call.now - row["requested"]) / span)))
    link = f"{call.base_url}/{call.version}/exports/download?id={row['file']}"
    files = [{"id": row["file"], "part": 1, "size": len(row["content"]), "url": link}] if done else []
    return {
        "id": row["id"],
        "request_date": zulu(row["requested"]),
        "start_date": zulu(row["requested"]) if done or step else None,
        "completion_date": zulu(row["due"]) if done else None,
        "scope": "PROFILE_ATTRIBUTES",
        "status": "SUCCESS" if done else STATES[step],
        "files": files,
        "request": orjson.loads(row["request"]),
    }


def listed(world: World, call: Call) -> Reply:
    """GET /exports/list."""
    rows = world.store.all("SELECT * FROM exports WHERE account=? ORDER BY seq DESC", call.account)
    return _page(world, call, "exports", [_export(call, row) for row in rows])


def _page(world: World, call: Call, resource: str, found: list[dict[str, Any]]) -> Reply:
    checks_query(world, call, {"from", "limit"})
    begin, draw = cursor(world, call)
    page, paging = paged(world, call, found, begin, draw)
    key = resource if world.on("list_array_key", "plural_of_resource") else world.switches["list_array_key"]
    return Reply(status=200, body={key: page} | paging)


def download(world: World, call: Call) -> Reply:
    """GET /exports/download?id=: a redirection to a link valid 20 minutes, or the file itself."""
    checks_query(world, call, {"id"})
    row = _row(world, call, "file")
    if call.now < row["due"]:
        raise Refusal(404, "ROUTE_NOT_FOUND", "the file is not ready")
    if world.on("export_download", "body_200"):
        return file_reply(row["content"])
    location = f"{call.base_url}/_emulator/files/{row['file']}?until={int(call.now) + 20 * 60}"
    return Reply(status=307, raw=b"", headers={"Location": location})


def file_reply(content: bytes) -> Reply:
    """The bytes of an export file, in the type of its form."""
    kind = "application/json" if content.startswith(b"[") else "application/x-ndjson"
    return Reply(status=200, raw=content, content_type=kind)


def segments(world: World, account: str) -> list[sqlite3.Row]:
    """Segments of a project; every project has one of all its profiles."""
    sql = "INSERT OR IGNORE INTO segments(account, code, display_name, created, ids) VALUES(?,?,?,?,NULL)"
    world.store.run(sql, account, ALL_SEGMENT, "All profiles", world.now())
    return world.store.all("SELECT * FROM segments WHERE account=? ORDER BY code", account)


def listed_segments(world: World, call: Call) -> Reply:
    """GET /segments/list."""
    found = [
        {"code": row["code"], "display_name": row["display_name"], "created_at": zulu(row["created"]),
         "updated_at": zulu(row["created"])}
        for row in segments(world, call.account)
    ]  # fmt: skip
    return _page(world, call, "segments", found)
