"""Batch → what exists: all audiences of every account, and a closer look at those of ours whose count differs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from reconciler.batch import barrier
from reconciler.batch.client import Reader
from reconciler.observed import Inventory, Observed
from reconciler.state.standing import Standing
from reconciler.state.state import TargetState


def refresh(
    clients: Iterable[Reader],
    standings: Mapping[str, Standing],
    *,
    cancel: threading.Event,
    progress: Callable[[str], None],
) -> dict[str, Inventory]:
    """Inventories by account, read side by side. A failed read is an error, never an empty inventory.

    An audience of ours that the list lacks is looked at by name before it counts as gone; one whose count differs from
    the books is looked at until Batch has indexed the last write and the difference stays; one that a run has begun to
    write to, where the list does not say whether the write before is indexed.
    """
    by_account = {client.account: client for client in clients}
    with ThreadPoolExecutor(max_workers=max(len(by_account), 1), thread_name_prefix="refresh") as pool:
        futures = {
            account: pool.submit(_account, client, _ours(account, standings), cancel, progress)
            for account, client in by_account.items()
        }
        return {account: future.result() for account, future in futures.items()}


def _ours(account: str, standings: Mapping[str, Standing]) -> list[Standing]:
    return [one for one in standings.values() if one.known.account == account and not one.known.key.is_profiles]


def _account(
    client: Reader,
    ours: list[Standing],
    cancel: threading.Event,
    progress: Callable[[str], None],
) -> Inventory:
    progress(client.destination)
    inventory = client.inventory()
    found = dict(inventory.audiences)
    for standing in ours:
        known = standing.known
        seen = found.get(known.audience)
        if seen is None:
            seen = client.view(known.audience, known.id_type)
        elif known.pending is None and _differs(seen, standing):
            seen = _counted(client, standing, cancel)
        elif seen.indexing == "UNKNOWN" and _awaited(known):
            seen = client.view(known.audience, known.id_type)
        if seen is not None:
            found[known.audience] = seen
        else:
            found.pop(known.audience, None)
    return replace(inventory, audiences=found)


def _awaited(known: TargetState) -> bool:
    return known.pending is not None and known.last_write is not None and not known.last_write.applied


def _differs(seen: Observed, standing: Standing) -> bool:
    known = standing.known
    return known.committed and seen.nb_ids is not None and seen.nb_ids - known.baseline.count != 0


def _counted(client: Reader, standing: Standing, cancel: threading.Event) -> Observed | None:
    known = standing.known
    seen = client.view(known.audience, known.id_type)
    if seen is None or seen.indexing != "APPLIED":
        return seen
    expected = {known.baseline.count, known.baseline.count + known.known_offset}
    if seen.nb_ids is None or seen.nb_ids in expected:
        return seen
    return barrier.settled_count(
        client, known.audience, known.id_type, expected=expected, deadline=barrier.SETTLE, cancel=cancel
    )
