"""Breaches that concern several requests: writes in flight together, replaces without a barrier.

The order of two accepted writes is not documented (https://doc.batch.com/developer/api/cep/audiences/view), so a
careful client waits for APPLIED before it touches an id again, and around every replace.
"""

from collections.abc import Sequence

from reconciler.emulator.indexing import Entry, flying_ids, pending
from reconciler.emulator.messages import Call
from reconciler.emulator.store import Audience
from reconciler.emulator.world import World


def watch_write(world: World, call: Call, audience: Audience, kind: str, entries: Sequence[Entry]) -> None:
    """Note a write that overlaps one which is not indexed yet. A repeat after a lost reply is no breach."""
    waiting = pending(world, audience)
    if not waiting:
        return
    ids = frozenset(entry.id for entry in entries)
    for write in waiting:
        if write["lost"]:
            continue
        if kind == "replace" or write["kind"] == "replace":
            call.breach("replace_without_barrier", f"{kind} while an earlier {write['kind']} is not APPLIED")
        elif common := ids & flying_ids(world, write):
            example = min(common)
            call.breach("same_id_in_flight", f"{len(common)} ids of an earlier update not APPLIED, as {example[:80]!r}")


def watch_removal(world: World, call: Call, audience: Audience) -> None:
    """Note the removal of an audience whose writes are not indexed yet."""
    if any(not write["lost"] for write in pending(world, audience)):
        call.breach("remove_in_flight", "the audience is removed while a write is not APPLIED")


def mark_lost(world: World, call: Call) -> None:
    """Remember that the client never saw the answer to this write."""
    if call.token is not None:
        world.store.run("UPDATE writes SET lost=1 WHERE token=?", call.token)
    world.store.run("UPDATE profiles SET written=0 WHERE account=? AND written=?", call.account, call.now)
