"""The control plane under `/_emulator/`, for tests and demonstrations. Not part of Batch's API."""

from collections.abc import Iterator
from typing import Any

import orjson

from reconciler.emulator.audiences import erase
from reconciler.emulator.exports import file_reply
from reconciler.emulator.indexing import catch_up, pending, state
from reconciler.emulator.messages import Call, Refusal, Reply, malformed, missing
from reconciler.emulator.store import Audience
from reconciler.emulator.world import World

PREFIX = "/_emulator/"
PAGE = 10_000


def answer(world: World, call: Call) -> Reply:
    """Answer a control request; errors are `{"error": text}`."""
    name = call.path.removeprefix(PREFIX)
    try:
        if call.method == "GET" and name.startswith("files/"):
            return _file(world, call, name.removeprefix("files/"))
        operation = {"GET": READS, "POST": WRITES}.get(call.method, {}).get(name)
        if operation is None:
            raise Refusal(404, "ROUTE_NOT_FOUND", "no such control")
        if call.method == "POST":
            call.json = orjson.loads(call.body or b"{}")
            if not isinstance(call.json, dict):
                raise malformed("body is not an object")
        reply = operation(world, call)
        world.store.db.commit()
        return reply
    except Refusal as refusal:
        return Reply(status=refusal.status, body={"error": refusal.text})
    except (ValueError, TypeError) as problem:
        return Reply(status=400, body={"error": str(problem)})


def every_audience(world: World, now: float) -> list[Audience]:
    """Audiences that are not removed, caught up with indexing, newest creation first."""
    found = world.store.audiences("removed_at IS NULL ORDER BY created DESC, id DESC")
    return [catch_up(world, audience, now) for audience in found]


def described(world: World, audience: Audience, now: float) -> dict[str, Any]:
    """One audience as the control plane and the dashboard show it; `nb_ids` is the true number of members."""
    return {
        "name": audience.name, "type": audience.type, "account": audience.account, "space": audience.space,
        "text": audience.text, "nb_ids": audience.stored, "state": state(world, audience, None, now),
        "pending": len(pending(world, audience)), "created": audience.created, "updated": audience.updated,
    }  # fmt: skip


def _audiences(world: World, call: Call) -> Reply:
    found = every_audience(world, call.now)
    wanted = call.asked("account")
    chosen = [one for one in found if wanted in (None, one.account)]
    return Reply(status=200, body={"audiences": [described(world, one, call.now) for one in chosen]})


def _named(world: World, call: Call, values: dict[str, Any]) -> Audience:
    if values.get("name") is None:
        raise missing("name")
    where, given = "removed_at IS NULL AND name=?", [values["name"]]
    for column in ("account", "space"):
        if values.get(column) is not None:
            where, given = f"{where} AND {column}=?", [*given, values[column]]
    found = world.store.audiences(where, *given)
    if len(found) != 1:
        text = "no such audience" if not found else f"{len(found)} audiences have that name: give account and space"
        raise Refusal(404 if not found else 400, "ROUTE_NOT_FOUND", text)
    return catch_up(world, found[0], call.now)


def _limit(call: Call) -> int:
    return max(1, min(int(call.asked("limit") or PAGE), 100_000))


def _members(world: World, call: Call) -> Reply:
    audience = _named(world, call, dict(call.query))
    sql = "SELECT id, attributes, tags FROM members WHERE audience=? AND id>? ORDER BY id LIMIT ?"
    rows = world.store.all(sql, audience.id, call.asked("after") or "", _limit(call))
    members = [
        {
            "id": row["id"],
            "attributes": orjson.loads(row["attributes"] or b"{}"),
            "tags": orjson.loads(row["tags"] or b"[]"),
        }
        for row in rows
    ]
    return _page(call, "members", members, audience.stored)


def _page(call: Call, key: str, items: list[dict[str, Any]], total: int) -> Reply:
    """JSON with a cursor, or one object per line with `format=ndjson`."""
    if call.asked("format") == "ndjson":
        lines = b"".join(orjson.dumps(item) + b"\n" for item in items)
        return Reply(status=200, raw=lines, content_type="application/x-ndjson")
    following = items[-1]["id"] if len(items) == _limit(call) else None
    return Reply(status=200, body={key: items, "total": total, "next_after": following})


def _documents(world: World, call: Call, table: str, key: str) -> Reply:
    account = call.asked("account")
    if account is None:
        raise missing("account")
    sql = f"SELECT * FROM {table} WHERE account=? AND id>? ORDER BY id LIMIT ?"
    rows = world.store.all(sql, account, call.asked("after") or "", _limit(call))
    waits = table == "custom_data"
    items = [
        {"id": row["id"], "attributes": orjson.loads(row["attributes"])}
        | ({"waiting": bool(row["waiting"])} if waits else {})
        for row in rows
    ]
    total = world.store.number(f"SELECT count(*) FROM {table} WHERE account=?", account)
    return _page(call, key, items, total)


def _profiles(world: World, call: Call) -> Reply:
    return _documents(world, call, "profiles", "profiles")


def _custom_data(world: World, call: Call) -> Reply:
    return _documents(world, call, "custom_data", "custom_data")


def _log(world: World, call: Call) -> Reply:
    sql = "SELECT * FROM log WHERE seq>? ORDER BY seq LIMIT ?"
    rows = [dict(row) for row in world.store.all(sql, int(call.asked("after") or 0), _limit(call))]
    counts = world.store.all("SELECT route, count(*) FROM log GROUP BY route ORDER BY route")
    statuses = world.store.all("SELECT status, count(*) FROM log GROUP BY status ORDER BY status")
    total = world.store.number("SELECT count(*) FROM log")
    body = {"requests": rows, "counts": {row[0]: row[1] for row in counts}, "total": total,
            "statuses": {str(row[0]): row[1] for row in statuses}}  # fmt: skip
    return Reply(status=200, body=body)


def _breaches(world: World, call: Call) -> Reply:
    wanted = call.asked("account")
    sql = "SELECT * FROM breaches WHERE ? IS NULL OR account=? ORDER BY seq LIMIT ?"
    rows = [dict(row) for row in world.store.all(sql, wanted, wanted, _limit(call))]
    counts = world.store.all(
        "SELECT kind, count(*) FROM breaches WHERE ? IS NULL OR account=? GROUP BY kind", wanted, wanted
    )
    return Reply(status=200, body={"breaches": rows, "counts": {row[0]: row[1] for row in counts}})


def _settings(world: World, _call: Call) -> Reply:
    options = world.options
    body = {"preset": options.preset, "switches": world.switches, "faults": world.faults,
            "indexing_delay": options.indexing_delay, "rate_scale": options.rate_scale}  # fmt: skip
    return Reply(status=200, body=body)


def _switch(world: World, call: Call) -> Reply:
    world.set_switch(str(call.json.get("name")), str(call.json.get("value")))
    return Reply(status=200, body={"switches": world.switches})


def _faults(world: World, call: Call) -> Reply:
    world.set_faults(call.json)
    return Reply(status=200, body={"faults": world.faults})


def _settle(world: World, call: Call) -> Reply:
    """Everything accepted so far is due now; writes that are stuck stay so."""
    store, now = world.store, call.now
    store.run("UPDATE writes SET due=? WHERE applied=0 AND due IS NOT NULL", now)
    store.run("UPDATE audiences SET visible_from=min(visible_from, ?), gone_at=min(gone_at, ?)", now, now)
    store.run("UPDATE exports SET due=min(due, ?)", now)
    for audience in _ids(world):
        catch_up(world, audience, now)
    store.run("UPDATE audiences SET moves_at=min(moves_at, ?)", now)
    return Reply(status=200, body={"pending": store.number("SELECT count(*) FROM writes WHERE applied=0")})


def _ids(world: World) -> Iterator[Audience]:
    yield from world.store.audiences("id IN (SELECT audience FROM writes WHERE applied=0)")


def _delete_audience(world: World, call: Call) -> Reply:
    erase(world, _named(world, call, call.json), at=call.now, gone_at=call.now)
    return Reply(status=200, body={"deleted": call.json["name"]})


def _reset_log(world: World, _call: Call) -> Reply:
    world.store.run("DELETE FROM log")
    world.store.run("DELETE FROM breaches")
    return Reply(status=200, body={})


def _reset(world: World, _call: Call) -> Reply:
    world.reset()
    return Reply(status=200, body={})


def _segments(world: World, call: Call) -> Reply:
    """Define a segment: the dashboard's work in the real product."""
    given = call.json
    for field in ("account", "code"):
        if not isinstance(given.get(field), str):
            raise missing(field)
    ids = None if given.get("ids") is None else orjson.dumps(list(given["ids"])).decode()
    sql = "INSERT OR REPLACE INTO segments(account, code, display_name, created, ids) VALUES(?,?,?,?,?)"
    world.store.run(sql, given["account"], given["code"], given.get("display_name") or given["code"], call.now, ids)
    return Reply(status=200, body={"code": given["code"]})


def _declare(world: World, call: Call) -> Reply:
    """Declare an attribute of a project, as somebody would in the dashboard."""
    for field in ("account", "name", "type"):
        if not isinstance(call.json.get(field), str):
            raise missing(field)
    sql = "INSERT OR REPLACE INTO attribute_types(account, name, type) VALUES(?,?,?)"
    world.store.run(sql, call.json["account"], call.json["name"], call.json["type"])
    return Reply(status=200, body={"name": call.json["name"]})


def _file(world: World, call: Call, file: str) -> Reply:
    row = world.store.one("SELECT content FROM exports WHERE file=?", file)
    if row is None or int(call.asked("until") or 0) < call.now:
        return Reply(status=403, raw=b"link expired", content_type="text/plain")
    return file_reply(row["content"])


READS = {"audiences": _audiences, "members": _members, "profiles": _profiles, "custom-data": _custom_data, "log": _log,
         "breaches": _breaches, "settings": _settings}  # fmt: skip
WRITES = {"switch": _switch, "faults": _faults, "settle": _settle, "delete-audience": _delete_audience,
          "reset": _reset, "reset-log": _reset_log, "segments": _segments, "declare-attribute": _declare}  # fmt: skip
