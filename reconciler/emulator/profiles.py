"""Profile writes of the per-project API: partial errors, native attributes, types, quotas.

https://doc.batch.com/developer/api/cep/profiles/update and
https://doc.batch.com/developer/api/cep/profiles/mass-update-profile
"""

import re
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import available_timezones

import orjson

from reconciler.emulator import checks, values
from reconciler.emulator.messages import Call, Refusal, Reply, malformed
from reconciler.emulator.world import World

MOST_ATTRIBUTES = 50
ID_MAX = 512
TOPIC = re.compile(r"[a-z0-9_]{1,300}\Z")
NATIVE = {
    "$email_address": re.compile(r"(?=.{1,256}\Z)[^@\r\n\t]+@[A-Za-z0-9.-]+\.[A-Za-z0-9]+\Z"),
    "$email_marketing": re.compile(r"(un)?subscribed\Z"),
    "$sms_marketing": re.compile(r"(un)?subscribed\Z"),
    "$phone_number": re.compile(r"\+[0-9]{1,15}\Z"),
    "$language": re.compile(r"[a-z]{2}\Z"),
    "$region": re.compile(r"[A-Z]{2}\Z"),
}
ZONES = frozenset(available_timezones())


@dataclass(slots=True)
class Operation:
    """One checked operation: position in the request, custom ID, attributes to merge."""

    position: int
    id: str
    attributes: dict[str, Any]


@dataclass(slots=True)
class Work:
    """What a call needs while its operations are checked: rules, known types, problems to report."""

    rules: values.Rules
    types: dict[str, str]
    errors: list[dict[str, Any]] = field(default_factory=list)

    def report(self, category: str, position: int, reason: str, attribute: str | None = None) -> None:
        """One partial error, zero-based."""
        named = {} if attribute is None else {"attribute": attribute}
        self.errors.append({"category": category, "bulk_index": position, "reason": reason} | named)


def write(world: World, call: Call, most: int) -> Reply:
    """Accept up to `most` operations; 202 with the partial errors."""
    operations = _operations(call, most)
    rule = values.rules(world.switches, text_max=300, array_max=25, zulu=True)
    rows = world.store.all("SELECT name, type FROM attribute_types WHERE account=?", call.account)
    work = Work(rule, {row["name"]: row["type"] for row in rows})
    known = dict(work.types)
    checked = [one for position, raw in enumerate(operations) if (one := _operation(world, call, work, position, raw))]
    checked = _unique(world, call, checked)
    _store(world, call, work, _spoiled(world, work, checked))
    fresh = [(call.account, name, kind) for name, kind in work.types.items() if known.get(name) != kind]
    world.store.db.executemany("INSERT OR REPLACE INTO attribute_types VALUES(?,?,?)", fresh)
    if work.errors:
        return Reply(status=202, body={"code": "SUCCESS_WITH_PARTIAL_ERRORS", "errors": work.errors})
    return Reply(status=202, body={"code": "SUCCESS"})


def _operations(call: Call, most: int) -> list[Any]:
    if not isinstance(call.json, list):
        raise malformed("body is not an array of operations")
    call.items = len(call.json)
    if not call.json:
        call.breach("empty_ids", "the call carries no operation")
        raise malformed("body is an empty array")
    if len(call.json) > most:
        call.breach("over_limit_ids", f"{len(call.json)} operations in one call, the limit is {most}")
        raise malformed(f"more than {most} operations")
    return call.json


def _operation(world: World, call: Call, work: Work, position: int, raw: Any) -> Operation | None:
    try:
        if not isinstance(raw, dict):
            raise values.Bad("operation is not an object")
        if not raw.keys() <= {"identifiers", "attributes", "events"}:
            checks.stray(world, call, raw.keys() - {"identifiers", "attributes", "events"}, f"[{position}]")
        identifier = _custom_id(world, call, raw.get("identifiers"), position)
    except values.Bad as bad:
        call.breach("bad_item", f"[{position}]: {bad}")
        if world.on("profile_bad_identifier", "reject_call"):
            raise malformed(f"[{position}]: {bad}") from None
        if world.on("profile_bad_identifier", "drop_reported"):
            work.report("identifier", position, str(bad))
        return None
    return Operation(position, identifier, _attributes(world, call, work, position, raw.get("attributes")))


def _custom_id(world: World, call: Call, identifiers: Any, position: int) -> str:
    if not isinstance(identifiers, dict):
        raise values.Bad("identifiers is missing or not an object")
    if identifiers.keys() - {"custom_id"}:
        checks.stray(world, call, identifiers.keys() - {"custom_id"}, f"[{position}].identifiers")
    custom_id = identifiers.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        raise values.Bad("custom_id is missing, empty or not a text")
    switch = int(world.switches["max_id_length"])
    if switch and values.UNITS[world.switches["length_unit"]](custom_id) > min(switch, ID_MAX):
        raise values.Bad(f"custom_id is longer than {min(switch, ID_MAX)}")
    checks.suspect(call, custom_id)
    return custom_id


def _attributes(world: World, call: Call, work: Work, position: int, raw: Any) -> dict[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        _attribute_error(world, call, work, position, "attributes", "attributes is not an object")
        return {}
    if not raw:
        call.breach("bad_attribute", f"[{position}]: attributes is empty")
    kept: dict[str, Any] = {}
    for key, value in raw.items():
        try:
            stored, good, kind, name = _value(work, key, value)
            if len(kept) >= MOST_ATTRIBUTES:
                raise values.Bad(f"more than {MOST_ATTRIBUTES} attributes in one operation")
            if kind and not _typed(world, work, position, name, kind):
                continue
            kept[stored] = good
        except values.Bad as bad:
            _attribute_error(world, call, work, position, key, str(bad))
    return kept


def _attribute_error(world: World, call: Call, work: Work, position: int, key: str, reason: str) -> None:
    call.breach("bad_attribute", f"[{position}] {key[:60]}: {reason}")
    if world.on("profile_bad_attribute", "reject_call"):
        raise malformed(f"[{position}] attribute {key[:60]!r}: {reason}")
    work.report("attribute", position, reason, key)


def _value(work: Work, key: str, value: Any) -> tuple[str, Any, str, str]:
    """Key to store, value, logical type ("" when a custom type does not apply), plain name."""
    if key.startswith("$"):
        return key, _native(key, value), "", key
    if value is None:
        _, name, stored = values.name_of(work.rules, key)
        return stored, None, "", name
    if isinstance(value, dict):
        wrapper, name, stored = values.name_of(work.rules, key)
        if wrapper:
            raise values.Bad("a list edit needs a plain name")
        return stored, _edit(work.rules, value), "array", name
    name, stored, good, kind = values.read(work.rules, key, value)
    return stored, good, kind, name


def _native(key: str, value: Any) -> Any:
    if key == "$topic_preferences":
        return value if value is None else _topics(value)
    if key != "$timezone" and key not in NATIVE:
        raise values.Bad("no such native attribute")
    if value is None:
        return None
    if not isinstance(value, str):
        raise values.Bad("value is not a text")
    if not (value in ZONES if key == "$timezone" else NATIVE[key].match(value)):
        raise values.Bad("value is not valid for this native attribute")
    return value


def _topics(value: Any) -> Any:
    lists = list(value.values()) if isinstance(value, dict) else [value]
    if not lists or (isinstance(value, dict) and not value.keys() <= {"$add", "$remove"}):
        raise values.Bad("a list edit holds $add, $remove or both")
    for items in lists:
        if not isinstance(items, list) or not 1 <= len(items) <= 25:
            raise values.Bad("topics are a list of 1 to 25 texts")
        if not all(isinstance(item, str) and TOPIC.match(item) for item in items):
            raise values.Bad("topics are texts of a-z, 0-9 and underscore")
    return value


def _edit(rule: values.Rules, value: dict[str, Any]) -> dict[str, list[str]]:
    if not value or not value.keys() <= {"$add", "$remove"}:
        raise values.Bad("a list edit holds $add, $remove or both")
    return {verb: values.array(rule, items, rule.array_max) for verb, items in value.items()}


def _typed(world: World, work: Work, position: int, name: str, kind: str) -> bool:
    """Compare with the type the attribute had before; False when the value is to be dropped."""
    known = work.types.get(name)
    if known is None:
        if world.on("undeclared_attribute", "reject"):
            raise values.Bad("attribute is not declared in the dashboard")
    elif known != kind and not world.on("type_flip", "new_type_wins"):
        if world.on("type_flip", "drop_reported"):
            work.report("attribute", position, f"attribute is of type {known}", name)
        return False
    work.types[name] = kind
    return True


def _unique(world: World, call: Call, operations: list[Operation]) -> list[Operation]:
    last = {operation.id: operation for operation in operations}
    if len(last) == len(operations):
        return operations
    call.breach("duplicate_ids", f"{len(operations) - len(last)} custom ids come more than once in the call")
    if world.on("profile_duplicate_in_call", "reject_call"):
        raise malformed("the same custom_id comes more than once")
    return list(last.values()) if world.on("profile_duplicate_in_call", "last_wins") else operations


def _spoiled(world: World, work: Work, operations: list[Operation]) -> list[Operation]:
    """The fault `partial`: one random attribute of some operations is dropped and reported."""
    probability = world.faults.get("partial", 0.0)
    if probability:
        for operation in operations:
            if operation.attributes and world.random.random() < probability:
                key = world.random.choice(sorted(operation.attributes))
                del operation.attributes[key]
                work.report("attribute", operation.position, "injected fault", key)
    return operations


def _store(world: World, call: Call, work: Work, operations: list[Operation]) -> None:
    """Merge the operations into the stored profiles; an unknown custom ID creates one."""
    stored = world.store.documents("profiles", call.account, {operation.id for operation in operations})
    profiles = {one: orjson.loads(row["attributes"]) for one, row in stored.items()}
    hasty = [one for one, row in stored.items() if call.now - row["written"] < world.delay()]
    if hasty:
        call.breach(
            "profile_in_flight", f"{len(hasty)} profiles written again before they settle, as {hasty[0][:80]!r}"
        )
    for operation in operations:
        merge(world, call, work, operation, profiles.setdefault(operation.id, {}))
    sql = "INSERT OR REPLACE INTO profiles(account, id, attributes, written) VALUES(?,?,?,?)"
    rows = [(call.account, one, orjson.dumps(profiles[one]).decode(), call.now) for one in {o.id for o in operations}]
    world.store.db.executemany(sql, rows)


def merge(world: World, call: Call, work: Work, operation: Operation, profile: dict[str, Any]) -> None:
    """Apply one operation: null deletes, a list edit adds and removes, the rest overwrites."""
    per_profile = world.on("profile_attribute_quota", "per_profile")
    for key, value in operation.attributes.items():
        if value is None:
            profile.pop(key, None)
            continue
        if per_profile and key not in profile and len(profile) >= MOST_ATTRIBUTES:
            _attribute_error(world, call, work, operation.position, key, f"profile has {MOST_ATTRIBUTES} attributes")
            continue
        profile[key] = _edited(profile.get(key), value) if isinstance(value, dict) else value


def _edited(before: Any, edit: dict[str, list[str]]) -> list[str]:
    gone = set(edit.get("$remove", []))
    items = dict.fromkeys([*(before if isinstance(before, list) else []), *edit.get("$add", [])])
    return [item for item in items if item not in gone]


def refuse_pace(call: Call) -> Refusal:
    """429, and a breach: the client is faster than the documented pace."""
    call.breach("pace", f"{call.route} faster than the documented limit")
    return Refusal(429, "TOO_MANY_REQUESTS", "too many requests")
