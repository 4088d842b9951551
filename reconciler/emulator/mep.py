"""The per-application API: Custom Audience 1.0 and 1.1.

https://doc.batch.com/api/custom-audience/1.0/create/, https://doc.batch.com/developer/api/mep/custom-audience/1.1/update
"""

import time
from typing import Any

from reconciler.emulator import audiences, checks
from reconciler.emulator.indexing import shown, state
from reconciler.emulator.messages import Call, Reply, malformed, missing, no_route
from reconciler.emulator.store import Audience
from reconciler.emulator.world import World

TYPES = {"1.0": ("custom_ids", "advertising_ids"), "1.1": ("install_ids",)}


def create(world: World, call: Call, name: str) -> Reply:
    """POST custom-audience/{name}."""
    checks.audience_name(call, name)
    body = checks.mapping(world, call, call.json, ("type", "description"), "body")
    kind = _kind(world, call, body)
    text = checks.description(body.get("description"), "description")
    token = audiences.create(world, call, name=name, kind=kind, text=text)
    match world.switches["mep_create_success"]:
        case "200_no_body":
            return Reply(status=200, raw=b"")
        case "202_token":
            return Reply(status=202, body={"indexing_token": token})
        case _:
            return Reply(status=200, body={})


def _kind(world: World, call: Call, body: dict[str, Any]) -> str:
    kind = body.get("type")
    policy = world.switches["mep11_create_type"] if call.version == "1.1" else "required"
    if kind is None and policy == "optional":
        return "install_ids"
    if kind is None:
        raise missing("type")
    allowed = TYPES["1.0"] + TYPES["1.1"] if policy == "any_type" else TYPES[call.version]
    if kind not in allowed:
        raise malformed(f'parameter "type" is not one of {", ".join(allowed)}')
    return str(kind)


def update(world: World, call: Call, name: str) -> Reply:
    """PATCH custom-audience/{name}."""
    checks.audience_name(call, name)
    kind = _write_type(world, call, required=True)
    ids = checks.listed_ids(world, call, call.json, switch="empty_update")
    audience = audiences.target(world, call, name, switch="update_unknown_audience", kind=kind)
    return _write(world, call, audience, "update", ids)


def replace(world: World, call: Call, name: str) -> Reply:
    """PUT custom-audience/{name}; on 1.0 the route is not documented."""
    if call.version == "1.0":
        call.breach("put_on_1_0", "PUT is not a documented verb of version 1.0")
        if world.on("mep10_put", "route_not_found"):
            raise no_route()
    checks.audience_name(call, name)
    kind = _write_type(world, call, required=False)
    ids = checks.listed_ids(world, call, call.json, switch="empty_replace")
    audience = audiences.target(world, call, name, switch="replace_unknown_audience", kind=kind)
    if not ids and world.on("empty_replace", "accept_ignored"):
        return _accepted(world, None)
    return _write(world, call, audience, "replace", ids)


def _write_type(world: World, call: Call, *, required: bool) -> str | None:
    """The `type` member of PATCH and PUT: required by 1.0 PATCH, not part of 1.1."""
    body = checks.mapping(world, call, call.json, ("type", "ids"), "body")
    kind = body.get("type")
    if call.version == "1.1":
        if kind is not None:
            call.breach("type_in_1_1_write", "version 1.1 has no type in PATCH and PUT")
            if world.on("mep11_write_type", "rejected"):
                raise malformed('parameter "type" is unknown')
        return None if world.on("mep11_create_type", "any_type") else "install_ids"
    if kind is None and required:
        raise missing("type")
    if kind is not None and kind not in TYPES["1.0"]:
        raise malformed('parameter "type" is not one of custom_ids, advertising_ids')
    return kind


def _write(world: World, call: Call, audience: Audience | None, kind: str, ids: list[Any]) -> Reply:
    form = checks.dialect(world, "mep", call.version, acts=kind == "update")
    entries = checks.entries(world, call, ids, form, audience.type if audience else "")
    return _accepted(world, audiences.write(world, call, audience, kind, entries) if audience else None)


def _accepted(world: World, token: str | None) -> Reply:
    status = 200 if world.on("mep_write_success", "200_token") else 202
    if world.on("mep_write_success", "202_no_token"):
        return Reply(status=status, raw=b"")
    return Reply(status=status, body={"indexing_token": token or "0" * 32})


def remove(world: World, call: Call, name: str) -> Reply:
    """DELETE custom-audience/{name}."""
    checks.audience_name(call, name)
    audiences.remove(world, call, name)
    return Reply(status=200, body={})


def view(world: World, call: Call, name: str) -> Reply:
    """GET custom-audience/{name}."""
    checks.audience_name(call, name)
    checks_query(world, call, {"indexing_token"})
    audience = audiences.visible(world, call, name)
    if audience is None:
        return _unknown(world, call)
    foreign = audience.type not in TYPES[call.version] and not world.on("mep11_create_type", "any_type")
    if foreign and world.on("type_mismatch", "reject_400"):
        raise malformed(f"an audience of type {audience.type} is not viewed with version {call.version}")
    indexing = state(world, audience, call.asked("indexing_token"), call.now)
    return Reply(status=200, body=_summary(world, call, audience) | {"indexing_state": indexing})


def _unknown(world: World, call: Call) -> Reply:
    match world.switches["mep_view_unknown"]:
        case "200_empty":
            return Reply(status=200, body={})
        case "400":
            raise malformed("no such audience")
        case _:
            raise audiences.no_audience(world, call)


def listed(world: World, call: Call) -> Reply:
    """GET custom-audience?from=&limit=, where `from` is an offset."""
    checks_query(world, call, {"from", "limit"})
    limit, start = audiences.page_size(call), call.asked("from") or "0"
    if not (start.isascii() and start.isdigit() and len(start) < 19):
        raise malformed('parameter "from" is not an offset')
    found = audiences.listing(world, call)
    page = [_summary(world, call, audience) for audience in found[int(start) : int(start) + limit]]
    total = {"count": len(found)} if world.on("mep_list_total", "count") else {}
    return Reply(status=200, body={"custom_audiences": page} | total)


def checks_query(world: World, call: Call, allowed: set[str]) -> None:
    """Unknown query parameters are unknown fields."""
    names = {name for name, _ in call.query}
    if not names <= allowed:
        checks.stray(world, call, names - allowed, "query")


def _summary(world: World, call: Call, audience: Audience) -> dict[str, Any]:
    count, updated = shown(world, audience, call.now)
    body = {"name": audience.name, "type": audience.type, "nb_ids": count, "created": _local(audience.created),
            "updated": _local(updated)}  # fmt: skip
    return body | text_field(world, "description", audience.text)


def text_field(world: World, field: str, value: str | None) -> dict[str, str | None]:
    """The free text of an audience, in the form for a text that was not given when there is none."""
    if value is not None:
        return {field: value}
    match world.switches["absent_text_field"]:
        case "null":
            return {field: None}
        case "empty":
            return {field: ""}
        case _:
            return {}


def _local(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
