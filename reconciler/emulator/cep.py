"""The per-project API: audiences. https://doc.batch.com/developer/api/cep/audiences/create and its siblings."""

import base64
import binascii
import random
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson

from reconciler.emulator import audiences, checks
from reconciler.emulator.indexing import shown, state
from reconciler.emulator.mep import checks_query, text_field
from reconciler.emulator.messages import Call, Reply, malformed, missing
from reconciler.emulator.store import Audience
from reconciler.emulator.world import World

T = TypeVar("T")
FAMILIES = {"custom_ids": "CUSTOM_ID", "emails": "EMAIL", "install_ids": "INSTALL_ID", "installation_ids": "INSTALL_ID"}


def _accepted(token: str | None) -> Reply:
    return Reply(status=202, body={"indexing_token": token or "0" * 32})


def create(world: World, call: Call) -> Reply:
    """POST /audiences/create."""
    body = checks.mapping(world, call, call.json, ("name", "type", "display_name"), "body")
    name = checks.audience_name(call, body.get("name"))
    kind = body.get("type")
    if kind is None:
        raise missing("type")
    allowed = ["custom_ids"]
    allowed += ["emails"] if world.on("cep_email_type", "emails") else []
    allowed += [] if world.on("cep_install_type", "not_supported") else [world.switches["cep_install_type"]]
    if kind not in allowed:
        raise malformed(f'parameter "type" is not one of {", ".join(allowed)}')
    text = checks.description(body.get("display_name"), "display_name")
    return _accepted(audiences.create(world, call, name=name, kind=kind, text=text))


def update(world: World, call: Call) -> Reply:
    """POST /audiences/update."""
    return _write(world, call, "update")


def replace(world: World, call: Call) -> Reply:
    """POST /audiences/replace."""
    return _write(world, call, "replace")


def _write(world: World, call: Call, kind: str) -> Reply:
    body = checks.mapping(world, call, call.json, ("name", "ids"), "body")
    name = checks.audience_name(call, body.get("name"))
    ids = checks.listed_ids(world, call, body, switch=f"empty_{kind}")
    audience = audiences.target(world, call, name, switch=f"{kind}_unknown_audience", kind=None)
    if kind == "replace" and not ids and world.on("empty_replace", "accept_ignored"):
        return _accepted(None)
    form = checks.dialect(world, "cep", call.version, acts=kind == "update")
    entries = checks.entries(world, call, ids, form, audience.type if audience else "")
    return _accepted(audiences.write(world, call, audience, kind, entries) if audience else None)


def remove(world: World, call: Call) -> Reply:
    """POST /audiences/remove: deletes the whole audience, whatever else the body says."""
    if isinstance(call.json, dict) and "ids" in call.json:
        call.breach("remove_with_ids", "this route deletes the audience; members are removed with update")
    body = checks.mapping(world, call, call.json, ("name",), "body")
    return _accepted(audiences.remove(world, call, checks.audience_name(call, body.get("name"))))


def view(world: World, call: Call) -> Reply:
    """GET /audiences/view?name=&indexing_token=."""
    checks_query(world, call, {"name", "indexing_token"})
    name = checks.audience_name(call, call.asked("name"))
    audience = audiences.visible(world, call, name)
    if audience is None:
        raise audiences.no_audience(world, call)
    return Reply(status=200, body=_audience(world, call, audience, call.asked("indexing_token")))


def _audience(world: World, call: Call, audience: Audience, token: str | None) -> dict[str, Any]:
    count, updated = shown(world, audience, call.now)
    upper = world.on("cep_response_type_form", "upper_singular")
    body = {
        "name": audience.name,
        "type": FAMILIES[audience.type] if upper else audience.type,
        "nb_ids": count,
        "indexing_state": state(world, audience, token, call.now),
        "created": zulu(audience.created),
        "updated": zulu(updated),
    }
    return body | text_field(world, "display_name", audience.text)


def zulu(moment: float) -> str:
    """Unix seconds → `2023-08-12T22:30:05Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def listed(world: World, call: Call) -> Reply:
    """GET /audiences/list?from=&limit=, where `from` is a cursor."""
    checks_query(world, call, {"from", "limit"})
    found = audiences.listing(world, call)
    order = world.switches["cep_list_order"]
    if order == "name_asc":
        found.sort(key=lambda audience: audience.name)
    start, draw = cursor(world, call)
    if order == "unstable":
        found.sort(key=lambda audience: audience.name)
        random.Random(draw).shuffle(found)
    page, paging = paged(world, call, found, start, draw, moves=order == "unstable")
    return Reply(status=200, body={"audiences": [_audience(world, call, one, None) for one in page]} | paging)


def cursor(world: World, call: Call) -> tuple[int, int]:
    """Offset and draw (the number of this walk through the list) held by the opaque cursor `from`."""
    text = call.asked("from")
    if text is None:
        world.lists += 1
        return 0, world.lists
    try:
        start, draw = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(start), int(draw)
    except (ValueError, TypeError, binascii.Error):
        raise malformed('parameter "from" is not a cursor of this list') from None


def paged(
    world: World, call: Call, found: Sequence[T], start: int, draw: int, *, moves: bool = False
) -> tuple[Sequence[T], dict[str, Any]]:
    """One page and its paging members. With `moves` a page repeats the last object of the page before."""
    limit = audiences.page_size(call)
    end = start + limit
    page = found[max(0, start - (1 if moves and start and limit > 1 else 0)) :][:limit]
    end -= 1 if moves and start and limit > 1 else 0
    more = end < len(found)
    paging: dict[str, Any] = {"has_more": more}
    if call.asked("from") is None:
        paging["count"] = len(found)
    following = base64.urlsafe_b64encode(orjson.dumps([end, draw])).decode().rstrip("=")
    if more:
        paging["next_from"] = following
    elif world.on("last_page_cursor", "null"):
        paging["next_from"] = None
    elif world.on("last_page_cursor", "stale_text"):
        paging["next_from"] = call.asked("from") or following
    return page, paging
