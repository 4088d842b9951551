"""Asynchronous indexing: accepted writes are applied lazily, when somebody looks, as if at the time they were due.

States and tokens: https://doc.batch.com/developer/api/cep/audiences/view
"""

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from reconciler.emulator.messages import Call, Refusal, malformed
from reconciler.emulator.store import Audience, Member
from reconciler.emulator.world import World

IN_PROGRESS, APPLIED, REPLACED = "IN_PROGRESS", "APPLIED", "REPLACED"
Attributes = dict[str, Any] | None


class Entry(NamedTuple):
    """One id of a write, checked: `adds` or removes it, with its attributes and tags (None = not given)."""

    id: str
    adds: bool
    attributes: Attributes = None
    tags: list[str] | None = None


def accept(world: World, audience: Audience, kind: str, entries: Sequence[Entry], call: Call) -> str:
    """Queue one write (create, update, replace or remove) of an audience and return its token."""
    member_write = kind in ("update", "replace")
    due: float | None = call.now + world.delay()
    payload: bytes | None = None
    if member_write:
        payload = orjson.dumps([tuple(entry) for entry in entries])
        due = None if world.on("indexing_outcome", "stuck") else due
        payload = None if world.on("indexing_outcome", "silently_lost") else payload
    appends = (
        kind == "replace" and world.on("replace_sequence", "append_while_indexing") and _replacing(world, audience)
    )
    token = secrets.token_hex(16)
    sql = "INSERT INTO writes(token, audience, kind, accepted, due, appends, payload) VALUES(?,?,?,?,?,?,?)"
    cursor = world.store.db.execute(sql, (token, audience.id, kind, call.now, due, int(appends), payload))
    call.token = token
    if member_write and cursor.lastrowid is not None:
        world.flights[cursor.lastrowid] = frozenset(e.id for e in entries)
    if kind == "replace" and not appends:
        _supersede(world, audience, token, api=call.api)
    return token


def _replacing(world: World, audience: Audience) -> bool:
    return any(write["kind"] == "replace" for write in pending(world, audience))


def _supersede(world: World, audience: Audience, token: str, *, api: str) -> None:
    state = world.switches["cep_replaced_state" if api == "cep" else "mep_replaced_state"]
    if state == "never":
        return
    only = " AND applied=0" if state == "in_progress_only" else ""
    world.store.run(f"UPDATE writes SET replaced=1 WHERE audience=? AND token<>?{only}", audience.id, token)


def pending(world: World, audience: Audience) -> list[sqlite3.Row]:
    """Accepted member writes that are not indexed, in order of acceptance."""
    sql = "SELECT * FROM writes WHERE audience=? AND applied=0 AND kind IN ('update', 'replace') ORDER BY seq"
    return world.store.all(sql, audience.id)


def flying_ids(world: World, write: sqlite3.Row) -> frozenset[str]:
    """The ids a pending write touches."""
    seq = int(write["seq"])
    if seq not in world.flights:
        world.flights[seq] = frozenset(entry.id for entry in _entries(write))
    return world.flights[seq]


def catch_up(world: World, audience: Audience, now: float) -> Audience:
    """Apply every write of the audience that is due, and return the audience as it is then."""
    store = world.store
    sql = "UPDATE writes SET applied=1 WHERE audience=? AND applied=0 AND kind IN ('create', 'remove') AND due<=?"
    store.run(sql, audience.id, now)
    changed = False
    while waiting := [write for write in pending(world, audience) if write["due"] is not None]:
        first = waiting[0]
        if first["due"] > now:
            break
        in_order = world.on("write_ordering", "in_order")
        group = [first] if in_order else [write for write in waiting if write["accepted"] <= first["due"]]
        for write in reversed(group):
            _apply(world, store.reload(audience), write, at=first["due"])
        changed = True
    return store.reload(audience) if changed else audience


def _entries(write: sqlite3.Row) -> list[Entry]:
    return [Entry._make(fields) for fields in orjson.loads(write["payload"])] if write["payload"] else []


def _apply(world: World, audience: Audience, write: sqlite3.Row, *, at: float) -> None:
    store, stored = world.store, audience.stored
    if write["payload"] is not None:
        if write["kind"] == "replace" and not write["appends"]:
            store.wipe(audience.id)
            stored = 0
        stored += _change(world, audience.id, _entries(write))
    # After a move that is complete, what was shown so far is the count before this write.
    complete = at >= audience.moves_at
    shown, shown_updated = (audience.stored, audience.updated) if complete else (audience.shown, audience.shown_updated)
    store.run(
        "UPDATE audiences SET stored=?, updated=?, shown=?, shown_updated=?, moves_at=? WHERE id=?",
        stored, at, shown, shown_updated, at + world.delay(), audience.id,
    )  # fmt: skip
    store.run("UPDATE writes SET applied=1, payload=NULL WHERE seq=?", write["seq"])
    world.flights.pop(int(write["seq"]), None)


def _change(world: World, audience: int, entries: Sequence[Entry]) -> int:
    store = world.store
    removed = [entry.id for entry in entries if not entry.adds]
    added = [entry for entry in entries if entry.adds]
    if removed and world.on("attributes_after_removal", "restored"):
        kept = store.fetch("members", audience, removed)
        store.put("ghosts", audience, [(one, *parts) for one, parts in kept.items()])
    gone = store.drop(audience, removed) if removed else 0
    if not added:
        return -gone
    before = len(store.present(audience, [entry.id for entry in added]))
    store.put("members", audience, _settled(world, audience, added))
    return len(added) - before - gone


def _settled(world: World, audience: int, added: Sequence[Entry]) -> list[Member]:
    merges = world.on("readd_attributes", "merge")
    keeps = world.on("readd_without_attributes", "keep")
    restores = world.on("attributes_after_removal", "restored")
    ids = [entry.id for entry in added]
    members = world.store.fetch("members", audience, ids) if merges or keeps else {}
    ghosts = world.store.fetch("ghosts", audience, ids) if restores else {}
    settled: list[Member] = []
    for entry in added:
        bare = entry.attributes is None and entry.tags is None
        stored = members.get(entry.id) if (keeps if bare else merges) else None
        base = stored or (ghosts.get(entry.id) if entry.id not in members else None)
        settled.append(_merged(entry, base or (None, None)))
    if ghosts:
        sql = "DELETE FROM ghosts WHERE audience=? AND id=?"
        world.store.db.executemany(sql, [(audience, one) for one in ghosts])
    return settled


def _merged(entry: Entry, base: tuple[str | None, str | None]) -> Member:
    if base == (None, None) and None not in (entry.attributes or {}).values():
        attributes_text = orjson.dumps(entry.attributes).decode() if entry.attributes else None
        return entry.id, attributes_text, orjson.dumps(entry.tags).decode() if entry.tags else None
    attributes = (orjson.loads(base[0]) if base[0] else {}) | (entry.attributes or {})
    attributes = {key: value for key, value in attributes.items() if value is not None}
    tags = list(dict.fromkeys([*(orjson.loads(base[1]) if base[1] else []), *(entry.tags or [])]))
    return (
        entry.id,
        orjson.dumps(attributes).decode() if attributes else None,
        orjson.dumps(tags).decode() if tags else None,
    )


def presence(world: World, audience: Audience, ids: set[str]) -> set[str]:
    """Which of `ids` are members once every accepted write is indexed in order."""
    present = world.store.present(audience.id, ids)
    for write in pending(world, audience):
        if write["kind"] == "replace" and not write["appends"]:
            present = set()
        for entry in _entries(write):
            if entry.id in ids:
                (present.add if entry.adds else present.discard)(entry.id)
    return present


def projected(world: World, audience: Audience, more: Sequence[Entry] = (), *, replaces: bool = False) -> int:
    """Number of members once every accepted write, then `more`, is indexed in order."""
    writes = [(bool(w["kind"] == "replace" and not w["appends"]), _entries(w)) for w in pending(world, audience)]
    writes.append((replaces, list(more)))
    touched = {entry.id for _, entries in writes for entry in entries}
    present = world.store.present(audience.id, touched)
    others = audience.stored - len(present)
    for wipes, entries in writes:
        if wipes:
            present, others = set(), 0
        for entry in entries:
            (present.add if entry.adds else present.discard)(entry.id)
    return others + len(present)


def shown(world: World, audience: Audience, now: float) -> tuple[int, float]:
    """`nb_ids` and `updated` as the API shows them at this moment."""
    match world.switches["nb_ids_timing"]:
        case "on_accept":
            accepted = [float(write["accepted"]) for write in pending(world, audience)]
            return projected(world, audience), max([audience.updated, *accepted])
        case "after_applied" if now < audience.moves_at:
            return audience.shown, audience.shown_updated
        case _:
            return audience.stored, audience.updated


def state(world: World, audience: Audience, token: str | None, now: float) -> str:
    """State of the write with that token, or of the last write; Refusal when the token is not usable."""
    write = None
    if token is not None:
        write = world.store.one("SELECT * FROM writes WHERE token=? AND audience=?", token, audience.id)
        lifetime = float(world.switches["token_ttl_seconds"])
        if write is not None and lifetime and now - write["accepted"] > lifetime:
            write = None
        if write is None and not world.on("unknown_token", "last_state"):
            _no_token(world)
    if write is None:
        write = world.store.one("SELECT * FROM writes WHERE audience=? ORDER BY seq DESC LIMIT 1", audience.id)
    if write is None:
        return APPLIED
    if write["replaced"]:
        return REPLACED
    return APPLIED if write["applied"] else IN_PROGRESS


def _no_token(world: World) -> None:
    if world.on("unknown_token", "bad_request_400"):
        raise malformed("unknown indexing_token")
    raise Refusal(404, "ROUTE_NOT_FOUND", "unknown indexing_token")
