"""Waiting until Batch has done what it accepted. Indexing is asynchronous, has no time limit and no failure state.

https://doc.batch.com/developer/api/cep/audiences/view; every wait is bounded and says what was seen last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from reconciler.address import IdType
from reconciler.batch.client import Reader
from reconciler.batch.clock import Clock, SystemClock
from reconciler.batch.transport import Cancelled
from reconciler.observed import Observed

SETTLE = 5.0
"""Seconds a count may lag behind APPLIED before a difference is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Pauses between two looks: `first` seconds, doubling up to `most`; each look is paced like any other request."""

    first: float = 0.05
    most: float = 10.0
    clock: Clock = field(default_factory=SystemClock)


def wait_applied(
    client: Reader,
    name: str,
    id_type: IdType,
    token: str | None,
    *,
    deadline: float,
    cancel: threading.Event,
    poll: Poll | None = None,
) -> Observed | None:
    """Wait at most `deadline` seconds until the write of `token` (None: the last write) is APPLIED or REPLACED.

    The audience as seen last, in any other state at the deadline; None as soon as it is gone. A token Batch does not
    know is done without. REPLACED is a good end only when a later replace of ours explains it.
    """
    return _until(
        lambda: client.view(name, id_type, token),
        lambda seen: seen is None or seen.indexing in ("APPLIED", "REPLACED"),
        deadline=deadline,
        cancel=cancel,
        poll=poll or Poll(),
    )


def wait_present(
    client: Reader, name: str, id_type: IdType, *, deadline: float, cancel: threading.Event, poll: Poll | None = None
) -> Observed | None:
    """After an accepted create: the audience, or None when it was not visible within `deadline` seconds."""
    return _until(
        lambda: client.view(name, id_type),
        lambda seen: seen is not None,
        deadline=deadline,
        cancel=cancel,
        poll=poll or Poll(),
    )


def wait_absent(
    client: Reader, name: str, id_type: IdType, *, deadline: float, cancel: threading.Event, poll: Poll | None = None
) -> bool:
    """After an accepted deletion: whether the audience was gone within `deadline` seconds."""
    seen = _until(
        lambda: client.view(name, id_type),
        lambda seen: seen is None,
        deadline=deadline,
        cancel=cancel,
        poll=poll or Poll(),
    )
    return seen is None


def settled_count(
    client: Reader,
    name: str,
    id_type: IdType,
    *,
    expected: Collection[int],
    deadline: float,
    cancel: threading.Event,
    poll: Poll | None = None,
) -> Observed | None:
    """The audience, looked at again until `nb_ids` is one of `expected` or `deadline` seconds are over.

    When `nb_ids` moves is not documented (https://doc.batch.com/developer/api/cep/audiences/view): it may lag behind
    APPLIED, so one different number proves nothing. None when the audience is gone.
    """
    return _until(
        lambda: client.view(name, id_type),
        lambda seen: seen is None or seen.nb_ids in expected,
        deadline=deadline,
        cancel=cancel,
        poll=poll or Poll(),
    )


def _until(
    look: Callable[[], Observed | None],
    done: Callable[[Observed | None], bool],
    *,
    deadline: float,
    cancel: threading.Event,
    poll: Poll,
) -> Observed | None:
    """Look at once, then after growing pauses, and a last time at the deadline; what was seen last."""
    end = poll.clock.monotonic() + deadline
    pause = poll.first
    while True:
        seen = look()
        left = end - poll.clock.monotonic()
        if done(seen) or left <= 0:
            return seen
        if poll.clock.wait(min(pause, left), cancel):
            raise Cancelled
        pause = min(pause * 2, poll.most)
