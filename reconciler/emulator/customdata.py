"""Custom Data 1.0 of the per-application API: attributes and tag collections of users.

https://doc.batch.com/api/custom-data-api/set-update/ and https://doc.batch.com/api/custom-data-api/delete/
The emulator takes every user for known, except custom IDs that begin with `unknown`.
"""

import re
import uuid
from typing import Any

import orjson

from reconciler.emulator import checks, values
from reconciler.emulator.messages import Call, Refusal, Reply, malformed, missing
from reconciler.emulator.world import World

MOST_USERS, MOST_ATTRIBUTES, MOST_COLLECTIONS, MOST_TAGS = 10_000, 50, 15, 50
KEY = re.compile(r"(?:(date|url)\((u)\.([^)]*)\)|(u|ut)\.(.*))\Z", re.DOTALL)


def set_one(world: World, call: Call, custom_id: str) -> Reply:
    """POST data/users/{custom_id}."""
    return _set(world, call, [{"id": custom_id, "update": call.json}])


def set_many(world: World, call: Call) -> Reply:
    """POST data/users with an array of rows."""
    return _set(world, call, _rows(call))


def _rows(call: Call) -> list[Any]:
    if not isinstance(call.json, list):
        raise malformed("body is not an array")
    call.items = len(call.json)
    if not call.json:
        call.breach("empty_ids", "the call carries no user")
        raise malformed("body is an empty array")
    if len(call.json) > MOST_USERS:
        call.breach("over_limit_ids", f"{len(call.json)} users in one call, the limit is {MOST_USERS}")
        raise malformed(f"more than {MOST_USERS} users")
    return call.json


def _set(world: World, call: Call, rows: list[Any]) -> Reply:
    call.items = len(rows)
    rule = values.rules(world.switches)
    changes: list[tuple[str, bool, dict[str, Any]]] = []
    for position, row in enumerate(rows):
        try:
            changes.append(_row(world, call, rule, row, position))
        except values.Bad as bad:
            call.breach("bad_item", f"[{position}]: {bad}")
            if world.on("custom_data_bad_row", "reject_call"):
                raise malformed(f"[{position}]: {bad}") from None
    if len({one for one, _, _ in changes}) < len(changes):
        call.breach("duplicate_ids", "the same custom id comes more than once in the call")
    _store(world, call, changes)
    return _success(world)


def _success(world: World) -> Reply:
    switch = world.switches["custom_data_success"]
    body = {} if switch == "200_empty" else {"token": str(uuid.uuid4())}
    return Reply(status=int(switch[:3]), body=body)


def _row(world: World, call: Call, rule: values.Rules, row: Any, position: int) -> tuple[str, bool, dict[str, Any]]:
    row = checks.mapping(world, call, row, ("id", "update"), f"[{position}]")
    custom_id = _user(world, call, row.get("id"))
    update = row.get("update")
    if not isinstance(update, dict):
        raise values.Bad("update is missing or not an object")
    checks.mapping(world, call, update, ("overwrite", "values"), f"[{position}].update")
    overwrite = update.get("overwrite")
    if overwrite is None:
        call.breach("missing_overwrite", f"[{position}]: overwrite is not given and its default is not documented")
        overwrite = world.on("custom_data_overwrite_default", "true")
    if not isinstance(overwrite, bool):
        raise values.Bad("overwrite is not a boolean")
    given = update.get("values")
    if given is None:
        raise missing("values")
    if not isinstance(given, dict) or not given:
        raise values.Bad("values is not an object or is empty")
    return custom_id, overwrite, _values(world, call, rule, given)


def _user(world: World, call: Call, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise values.Bad("id is missing, empty or not a text")
    most = int(world.switches["max_id_length"])
    if most and values.UNITS[world.switches["length_unit"]](value) > most:
        raise values.Bad(f"id is longer than {most}")
    checks.suspect(call, value)
    if value.startswith("unknown") and world.on("custom_data_unknown_user", "reject_call"):
        raise malformed(f"no user {value[:80]!r}")
    return value


def _values(world: World, call: Call, rule: values.Rules, given: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in given.items():
        found = KEY.match(key)
        if not found:
            raise values.Bad(f"key {key[:60]!r} is none of u.name, date(u.name), ut.name")
        wrapper, _, wrapped, prefix, plain = found.groups()
        name = values.plain_name(rule, wrapped if wrapper else plain)
        stored = f"{wrapper}(u.{name})" if wrapper else f"{prefix}.{name}"
        if wrapper == "url" and world.on("custom_data_url_key", "reject_call"):
            call.breach("bad_attribute", "url(u.name) is not documented for custom data")
            raise malformed(f"key {key[:60]!r} is not accepted")
        if value is not None:
            kept[stored] = _typed(world, call, rule, wrapper or prefix, value)
        elif world.on("custom_data_null", "reject_call"):
            raise malformed(f"key {key[:60]!r} is null")
        elif world.on("custom_data_null", "delete_key"):
            kept[stored] = None
    present = [key for key, value in kept.items() if value is not None]
    collections = sum(key.startswith("ut.") for key in present)
    if collections > MOST_COLLECTIONS or len(present) - collections > MOST_ATTRIBUTES:
        raise values.Bad(f"more than {MOST_ATTRIBUTES} attributes or {MOST_COLLECTIONS} tag collections")
    return kept


def _typed(world: World, call: Call, rule: values.Rules, form: str, value: Any) -> Any:
    match form:
        case "date":
            return value if isinstance(value, int) and not isinstance(value, bool) else values.date(rule, value)
        case "url":
            return values.url(value)
        case "ut":
            return _collection(world, call, rule, value)
        case _:
            if isinstance(value, list | dict):
                raise values.Bad("u.name takes a text, a number or a boolean")
            return values.read(rule, "x", value)[2]


def _collection(world: World, call: Call, rule: values.Rules, value: Any) -> Any:
    if isinstance(value, dict):
        allowed = {"add_and_remove": {"$add", "$remove"}, "add_only": {"$add"}, "none": set[str]()}
        if not value or not value.keys() <= allowed[world.switches["custom_data_tag_edit"]]:
            raise values.Bad("this edit of a tag collection is not accepted")
        return {verb: _cased(world, values.array(rule, tags, MOST_TAGS)) for verb, tags in value.items()}
    if value == []:
        call.breach("bad_attribute", "an empty tag collection")
        if world.on("custom_data_empty_tags", "reject_call"):
            raise malformed("a tag collection is empty")
        return None
    return _cased(world, values.array(rule, value, MOST_TAGS))


def _cased(world: World, tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tag.lower() if world.on("tag_case", "lowercase") else tag for tag in tags))


def _store(world: World, call: Call, changes: list[tuple[str, bool, dict[str, Any]]]) -> None:
    stored = world.store.documents("custom_data", call.account, {one for one, _, _ in changes})
    users = {one: orjson.loads(row["attributes"]) for one, row in stored.items()}
    rows = world.store.all("SELECT name, type FROM attribute_types WHERE account=?", call.account)
    types = {row["name"]: row["type"] for row in rows}
    keeps = world.on("custom_data_unknown_user", "store_for_later")
    touched: set[str] = set()
    for one, overwrite, update in changes:
        if one.startswith("unknown") and not keeps:
            continue
        users[one] = _merged({} if overwrite else users.get(one, {}), _flipped(world, types, update))
        touched.add(one)
    sql = "INSERT OR REPLACE INTO custom_data(account, id, attributes, waiting, written) VALUES(?,?,?,?,?)"
    world.store.db.executemany(
        sql,
        [
            (call.account, one, orjson.dumps(users[one]).decode(), one.startswith("unknown"), call.now)
            for one in touched
        ],
    )
    fresh = [(call.account, name, kind) for name, kind in types.items()]
    world.store.db.executemany("INSERT OR REPLACE INTO attribute_types VALUES(?,?,?)", fresh)


def _flipped(world: World, types: dict[str, str], update: dict[str, Any]) -> dict[str, Any]:
    """The update without the values whose type changed, unless the type that comes last wins; `types` is completed."""
    kept: dict[str, Any] = {}
    for key, value in update.items():
        if value is not None:
            name = key[key.index(".") + 1 :].rstrip(")") if not key.startswith("ut.") else key
            kind = _kind(key, value)
            if types.get(name, kind) != kind and not world.on("type_flip", "new_type_wins"):
                continue
            types[name] = kind
        kept[key] = value
    return kept


def _kind(key: str, value: Any) -> str:
    if key.startswith(("date(", "url(")):
        return key[: key.index("(")]
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "array"


def _merged(user: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    merged = dict(user)
    for key, value in update.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            gone = set(value.get("$remove", []))
            tags = dict.fromkeys([*merged.get(key, []), *value.get("$add", [])])
            merged[key] = [tag for tag in tags if tag not in gone]
        else:
            merged[key] = value
    return merged


def delete_one(world: World, call: Call, custom_id: str) -> Reply:
    """DELETE data/users/{custom_id}."""
    return _delete(world, call, [custom_id])


def delete_many(world: World, call: Call) -> Reply:
    """DELETE data/users, whose body is an array of ids."""
    return _delete(world, call, _rows(call))


def _delete(world: World, call: Call, ids: list[Any]) -> Reply:
    call.items = len(ids)
    if not all(isinstance(one, str) and one for one in ids):
        call.breach("bad_item", "an id to delete is empty or not a text")
        raise malformed("ids are texts that are not empty")
    known = world.store.documents("custom_data", call.account, ids)
    if len(known) < len(set(ids)) and world.on("custom_data_delete_unknown", "reject_404"):
        raise Refusal(404, "ROUTE_NOT_FOUND", f"{len(set(ids)) - len(known)} users have no custom data")
    sql = "DELETE FROM custom_data WHERE account=? AND id=?"
    world.store.db.executemany(sql, [(call.account, one) for one in ids])
    return Reply(status=200, body={"token": str(uuid.uuid4())})
