"""The life of an audience, common to both APIs: create, update, replace, remove, look up, list.

https://doc.batch.com/developer/api/cep/audiences/create and its siblings.
"""

from collections.abc import Sequence

from reconciler.emulator import observer
from reconciler.emulator.indexing import Entry, accept, catch_up, presence, projected
from reconciler.emulator.messages import Call, Refusal, malformed
from reconciler.emulator.store import Audience
from reconciler.emulator.world import World


def space(world: World, call: Call) -> str:
    """The name space of a call: one per project in CEP; per application key, or per key and version, in MEP."""
    if call.api == "cep":
        return "cep"
    return call.version if world.on("mep_name_space", "per_version") else "mep"


def no_audience(world: World, call: Call) -> Refusal:
    """404 for an unknown audience."""
    name = world.switches["cep_not_found_code"] if call.api == "cep" else "ROUTE_NOT_FOUND"
    return Refusal(404, name, "no such audience")


def create(world: World, call: Call, *, name: str, kind: str, text: str | None) -> str | None:
    """Create an empty audience; its token, or None when an accepted repeat changed nothing."""
    where = (call.account, space(world, call), name)
    known = world.store.living(*where)
    if known is not None:
        call.breach("create_existing", f"audience {name} exists already")
        return _create_again(world, call, catch_up(world, known, call.now), kind=kind, text=text)
    gone = world.store.removed(*where)
    lingering = gone is not None and (gone.gone_at or 0) > call.now
    if lingering and world.on("recreate_after_remove", "reject_until_indexed"):
        raise malformed("the removal of that audience is not indexed yet")
    most = int(world.switches["max_audiences"])
    sql = "SELECT count(*) FROM audiences WHERE account=? AND removed_at IS NULL"
    if most and world.store.number(sql, call.account) >= most:
        raise Refusal(403, "API_MISUSE", f"this account has {most} audiences, the most allowed")
    audience = _insert(world, call, name=name, kind=kind, text=text)
    if gone is not None and world.on("recreate_after_remove", "resurrect_members"):
        _resurrect(world, audience, gone)
    return accept(world, audience, "create", [], call)


def _insert(world: World, call: Call, *, name: str, kind: str, text: str | None) -> Audience:
    visible = call.now + (world.delay() if world.on("create_visibility", "after_indexing") else 0)
    world.store.run(
        "INSERT INTO audiences(account, space, name, type, text, created, updated, visible_from, shown_updated) "
        "VALUES(?,?,?,?,?,?,?,?,?)",
        call.account, space(world, call), name, kind, text, call.now, call.now, visible, call.now,
    )  # fmt: skip
    return world.store.named(call.account, space(world, call), name)


def _resurrect(world: World, audience: Audience, gone: Audience) -> None:
    sql = "INSERT INTO members SELECT ?, id, attributes, tags FROM members WHERE audience=?"
    count = world.store.run(sql, audience.id, gone.id)
    world.store.run("UPDATE audiences SET stored=?, shown=? WHERE id=?", count, count, audience.id)


def _create_again(world: World, call: Call, known: Audience, *, kind: str, text: str | None) -> str | None:
    policy = world.switches["duplicate_create"]
    if policy == "reject_409":
        raise Refusal(409, "MALFORMED_PARAMETER", "audience already exists")
    if policy == "reject_400":
        raise malformed("audience already exists")
    _same_type(world, call, known, kind)
    if policy == "accept_update_text":
        world.store.run("UPDATE audiences SET text=? WHERE id=?", text, known.id)
    if policy == "accept_reset":
        world.store.wipe(known.id)
        world.store.run("UPDATE writes SET applied=1, payload=NULL WHERE audience=?", known.id)
        sql = "UPDATE audiences SET stored=0, shown=0, updated=? WHERE id=?"
        world.store.run(sql, call.now, known.id)
    return accept(world, known, "create", [], call)


def _same_type(world: World, call: Call, known: Audience, kind: str) -> None:
    if kind != known.type:
        call.breach("type_mismatch", f"the audience is of type {known.type}, the request says {kind}")
        if world.on("type_mismatch", "reject_400"):
            raise malformed(f'parameter "type" differs from the type of the audience, {known.type}')


def visible(world: World, call: Call, name: str) -> Audience | None:
    """The audience a view or a write finds at this moment, caught up with indexing."""
    where = (call.account, space(world, call), name)
    known = world.store.living(*where)
    if known is not None:
        return catch_up(world, known, call.now) if known.visible_from <= call.now else None
    gone = world.store.removed(*where)
    if gone is None or not world.on("remove_visibility", "after_indexing") or (gone.gone_at or 0) <= call.now:
        return None
    return gone


def target(world: World, call: Call, name: str, *, switch: str, kind: str | None) -> Audience | None:
    """The audience an update or replace writes to; None when the write is accepted and forgotten."""
    known = visible(world, call, name)
    if known is not None and known.removed_at is None:
        if kind is not None:
            _same_type(world, call, known, kind)
        return known
    match world.switches[switch]:
        case "reject_404":
            raise no_audience(world, call)
        case "reject_400":
            raise malformed("no such audience")
        case "accept_ignored":
            return None
    hidden = world.store.living(call.account, space(world, call), name)
    if hidden is None:
        default = "install_ids" if call.version == "1.1" else "custom_ids"
        create(world, call, name=name, kind=kind or default, text=None)
        hidden = world.store.named(call.account, space(world, call), name)
    return catch_up(world, hidden, call.now)


def write(world: World, call: Call, audience: Audience, kind: str, entries: Sequence[Entry]) -> str:
    """Accept an update or a replace, after the checks that need the stored members."""
    observer.watch_write(world, call, audience, kind, entries)
    removed = {entry.id for entry in entries if not entry.adds}
    if removed and world.on("remove_absent_member", "reject_call"):
        absent = removed - presence(world, audience, removed)
        if absent:
            raise malformed(f"{len(absent)} ids to remove are not members")
    most = int(world.switches["max_audience_ids"])
    if most and projected(world, audience, entries, replaces=kind == "replace") > most:
        raise Refusal(403, "API_MISUSE", f"an audience holds {most} ids at most")
    return accept(world, audience, kind, entries, call)


def remove(world: World, call: Call, name: str) -> str | None:
    """Delete the whole audience; the token, or None when there was nothing to delete."""
    known = world.store.living(call.account, space(world, call), name)
    if known is None or known.visible_from > call.now:
        if world.on("remove_unknown_audience", "accept_noop"):
            return None
        if world.on("remove_unknown_audience", "reject_400"):
            raise malformed("no such audience")
        raise no_audience(world, call)
    known = catch_up(world, known, call.now)
    observer.watch_removal(world, call, known)
    token = accept(world, known, "remove", [], call)
    erase(world, known, at=call.now, gone_at=call.now + world.delay())
    return token


def erase(world: World, audience: Audience, *, at: float, gone_at: float) -> None:
    """Mark an audience removed; its members stay only where a new creation may bring them back."""
    world.store.run("UPDATE audiences SET removed_at=?, gone_at=?, updated=? WHERE id=?", at, gone_at, at, audience.id)
    sql = "UPDATE writes SET applied=1, payload=NULL WHERE audience=? AND kind<>'remove'"
    world.store.run(sql, audience.id)
    if not world.on("recreate_after_remove", "resurrect_members"):
        world.store.wipe(audience.id)


def listing(world: World, call: Call) -> list[Audience]:
    """Every audience the list route shows at this moment, newest creation first, caught up with indexing."""
    where = (call.account, space(world, call))
    shown = world.store.audiences(
        "account=? AND space=? AND removed_at IS NULL AND visible_from<=? ORDER BY created DESC, id DESC",
        *where,
        call.now,
    )
    shown = [catch_up(world, audience, call.now) for audience in shown]
    if not world.on("remove_visibility", "immediate"):
        taken = {audience.name for audience in shown}
        gone = world.store.audiences("account=? AND space=? AND gone_at>? ORDER BY id DESC", *where, call.now)
        shown += [audience for audience in gone if audience.name not in taken]
        shown.sort(key=lambda audience: (audience.created, audience.id), reverse=True)
    return shown


def page_size(call: Call) -> int:
    """The `limit` of a list, 1 to 100, default 10: https://doc.batch.com/developer/api/cep/audiences/list."""
    text = call.asked("limit")
    if text is None:
        return 10
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= 100):
        raise malformed('parameter "limit" is not a whole number from 1 to 100')
    return int(text)
