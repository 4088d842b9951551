"""Strict checks of requests: shapes, unknown fields, audience names, member ids, attribute sets, tags.

Every breach of the contract is noted on the call even when the switches let the request through.
https://doc.batch.com/developer/api/cep/audiences/update, https://doc.batch.com/developer/api/mep/custom-audience/1.1/update
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.emulator import values
from reconciler.emulator.indexing import Entry
from reconciler.emulator.messages import Call, Refusal, malformed, missing
from reconciler.emulator.world import World

MAX_IDS = 10_000
AUDIENCE_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
SDK_REFUSED = frozenset(
    ["undefined", "null", "nil", "(null)", "[object object]", "true", "false", "nan", "infinity", "-infinity"]
)
_MEP11 = {"15_30_64_10": (15, 30, 64, 10), "20_30_64_10": (20, 30, 64, 10), "none": (None, None, None, None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one audience route accepts: item fields, whether items carry an action, limits on attributes and tags."""

    api: str
    fields: frozenset[str]
    acts: bool
    rules: values.Rules
    attributes_max: int | None = 15
    tags_max: int | None = 10


def dialect(world: World, api: str, version: str, *, acts: bool) -> Dialect:
    """The dialect of update (`acts`) and replace on one API version."""
    fields = {"id", "action"} if acts else {"id"}
    if api == "cep":
        rule = values.rules(world.switches, text_max=300, array_max=25, zulu=True)
        return Dialect(api=api, fields=frozenset(fields | {"attributes"}), acts=acts, rules=rule)
    if version == "1.0":
        return Dialect(api=api, fields=frozenset(fields), acts=acts, rules=values.rules(world.switches))
    count, name_max, text_max, tags_max = _MEP11[world.switches["mep11_limits"]]
    rule = values.rules(world.switches, name_max=name_max, text_max=text_max)
    return Dialect(
        api=api, fields=frozenset(fields | {"attributes", "tags"}), acts=acts, rules=rule,
        attributes_max=count, tags_max=tags_max,
    )  # fmt: skip


def mapping(world: World, call: Call, value: Any, allowed: Collection[str], what: str) -> dict[str, Any]:
    """`value` as an object; unknown members are a breach, and refused under `unknown_fields=reject`."""
    if not isinstance(value, dict):
        raise malformed(f"{what} is not an object")
    if not value.keys() <= set(allowed):
        stray(world, call, value.keys() - set(allowed), what)
    return value


def stray(world: World, call: Call, names: Iterable[str], what: str) -> None:
    """Unknown members or query parameters: https://doc.batch.com/ does not say whether they are ignored."""
    listed = ", ".join(sorted(names)[:5])
    call.breach("unknown_field", f"{what} has unknown {listed}")
    if world.on("unknown_fields", "reject"):
        raise malformed(f"{what} has unknown {listed}")


def audience_name(call: Call, value: Any) -> str:
    """A valid audience name, or a Refusal."""
    if value is None:
        raise missing("name")
    if not isinstance(value, str) or not AUDIENCE_NAME.match(value):
        call.breach("bad_name", f"audience name {str(value)[:80]!r}")
        raise malformed("audience names are 1 to 255 letters, digits, underscores and hyphens")
    call.audience = value
    return value


def description(value: Any, field: str) -> str | None:
    """A free text or nothing."""
    if value is not None and not isinstance(value, str):
        raise malformed(f'parameter "{field}" is not a text')
    return value


def listed_ids(world: World, call: Call, body: dict[str, Any], *, switch: str) -> list[Any]:
    """The `ids` array of an update or replace, cut or refused when it is empty or too long."""
    ids = body.get("ids")
    if ids is None:
        raise missing("ids")
    if not isinstance(ids, list):
        raise malformed('parameter "ids" is not a list')
    call.items = len(ids)
    if not ids:
        call.breach("empty_ids", "the call carries no id")
        if world.on(switch, "reject_400"):
            raise malformed('parameter "ids" is empty')
    if len(ids) > MAX_IDS:
        call.breach("over_limit_ids", f"{len(ids)} ids in one call, the limit is {MAX_IDS}")
        if not world.on("over_limit_ids", "truncate"):
            status = 413 if world.on("over_limit_ids", "reject_413") else 400
            raise Refusal(status, "MALFORMED_PARAMETER", f'parameter "ids" has more than {MAX_IDS} elements')
    return ids[:MAX_IDS]


def entries(world: World, call: Call, ids: list[Any], form: Dialect, kind: str) -> list[Entry]:
    """Checked entries with one entry per id, the one that counts; `kind` is the audience type, for normalisation."""
    checked: dict[str, Entry] = {}
    first_wins = form.api == "mep" and world.on("mep_duplicate_in_call", "first_wins")
    duplicates = 0
    for position, item in enumerate(ids):
        entry = _entry(world, call, item, form, position, kind)
        if entry is None:
            continue
        if entry.id in checked:
            duplicates += 1
            if first_wins:
                continue
            del checked[entry.id]
        checked[entry.id] = entry
    if duplicates:
        call.breach("duplicate_ids", f"{duplicates} ids come more than once in the call")
        if form.api == "mep" and world.on("mep_duplicate_in_call", "reject_call"):
            raise malformed("the same id comes more than once")
    return list(checked.values())


def _entry(world: World, call: Call, item: Any, form: Dialect, position: int, kind: str) -> Entry | None:
    try:
        if not isinstance(item, dict):
            raise values.Bad("item is not an object")
        if not item.keys() <= form.fields:
            stray(world, call, item.keys() - form.fields, f"ids[{position}]")
        adds = _adds(item, form)
        identifier = _identifier(world, call, item.get("id"), kind)
    except values.Bad as bad:
        call.breach("bad_item", f"ids[{position}]: {bad}")
        if world.on("bad_item", "reject_call"):
            raise malformed(f"ids[{position}]: {bad}") from None
        return _as_is(item, form) if world.on("bad_item", "accept") else None
    attributes, tags = item.get("attributes"), item.get("tags")
    if attributes == {}:
        call.breach("bad_attribute", f"ids[{position}]: attributes is empty")
    if not adds and (attributes is not None or tags is not None):
        call.breach("attributes_on_remove", f"ids[{position}]: attributes are only accepted with add")
    if not adds or (attributes is None and tags is None) or "attributes" not in form.fields:
        return Entry(identifier, adds)
    return _attributed(world, call, Entry(identifier, adds, attributes, tags), form, position)


def _adds(item: dict[str, Any], form: Dialect) -> bool:
    if not form.acts:
        return True
    action = item.get("action")
    if action not in ("add", "remove"):
        raise values.Bad('action is neither "add" nor "remove"')
    return bool(action == "add")


def _as_is(item: Any, form: Dialect) -> Entry | None:
    """A bad item stored as it came, when there is anything to store."""
    if not isinstance(item, dict) or item.get("id") is None:
        return None
    identifier = item["id"] if isinstance(item["id"], str) else orjson.dumps(item["id"]).decode()
    return Entry(identifier, not form.acts or item.get("action") != "remove")


def _identifier(world: World, call: Call, value: Any, kind: str) -> str:
    if not isinstance(value, str):
        raise values.Bad("id is missing or not a text")
    most = int(world.switches["max_id_length"])
    if most and len(value) * 4 > most and values.UNITS[world.switches["length_unit"]](value) > most:
        raise values.Bad(f"id is longer than {most}")
    suspect(call, value)
    kept = normalised(world, value, kind)
    if not kept:
        raise values.Bad("id is empty")
    return kept


def suspect(call: Call, value: str) -> None:
    """Note identifiers a careful client refuses (https://github.com/BatchLabs/Batch-Android-SDK); Bad on NUL."""
    if value != value.strip() or CONTROLS.search(value) or value.lower() in SDK_REFUSED:
        call.breach("suspicious_id", f"id {value[:80]!r} has outer white space, a control character or a refused text")
        if "\x00" in value:
            raise values.Bad("id holds a NUL character")


def normalised(world: World, value: str, kind: str) -> str:
    """The id as Batch keeps it under `id_normalisation`."""
    match world.switches["id_normalisation"]:
        case "trim":
            return value.strip()
        case "lowercase_emails":
            return value.lower() if kind == "emails" else value
        case "trim_lowercase":
            return value.strip().lower()
        case _:
            return value


def _attributed(world: World, call: Call, entry: Entry, form: Dialect, position: int) -> Entry | None:
    """The entry with its checked attributes and tags, under `audience_attribute_violation`."""
    problems: list[str] = []
    attributes = _attribute_set(world, call, entry.attributes, form, problems)
    tags = _tags(world, entry.tags, form, problems)
    if not problems:
        return Entry(entry.id, entry.adds, attributes, tags)
    call.breach("bad_attribute", f"ids[{position}]: {'; '.join(problems[:3])}")
    if world.on("audience_attribute_violation", "reject_call"):
        raise malformed(f"ids[{position}]: {problems[0]}")
    if world.on("audience_attribute_violation", "drop_item"):
        return None
    return Entry(entry.id, entry.adds, attributes, tags)


def _attribute_set(world: World, call: Call, raw: Any, form: Dialect, problems: list[str]) -> dict[str, Any] | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        problems.append("attributes is not an object")
        return None
    kept: dict[str, Any] = {}
    for key, value in raw.items():
        if value is None or isinstance(value, bool):
            _unlisted_kind(world, call, key, value, kept)
            continue
        try:
            _, stored, good, _ = values.read(form.rules, key, value)
        except values.Bad as bad:
            problems.append(f"attribute {key[:40]!r}: {bad}")
            continue
        if form.attributes_max is not None and len(kept) >= form.attributes_max:
            problems.append(f"more than {form.attributes_max} attributes")
            break
        kept[stored] = good
    return kept


def _unlisted_kind(world: World, call: Call, key: str, value: object, kept: dict[str, Any]) -> None:
    """null and booleans are not in the documented kinds of audience attributes."""
    what, switch = ("null", "audience_null") if value is None else ("a boolean", "audience_boolean")
    call.breach("bad_attribute", f"attribute {key[:40]!r} is {what}")
    if world.on(switch, "reject_call"):
        raise malformed(f"attribute {key[:40]!r} is {what}")
    if world.switches[switch] in ("accept", "delete_key"):
        kept[key] = value


def _tags(world: World, raw: Any, form: Dialect, problems: list[str]) -> list[str] | None:
    if raw is None or "tags" not in form.fields:
        return None
    try:
        tags = values.array(form.rules, raw, None)
    except values.Bad as bad:
        problems.append(f"tags: {bad}")
        return None
    if world.on("tag_case", "lowercase"):
        tags = [tag.lower() for tag in tags]
    if len(set(tags)) < len(raw):
        problems.append("tags: the same tag comes twice")
    tags = list(dict.fromkeys(tags))
    if form.tags_max is not None and len(tags) > form.tags_max:
        problems.append(f"tags: more than {form.tags_max}")
        tags = tags[: form.tags_max]
    return tags
