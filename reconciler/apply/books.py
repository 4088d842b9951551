"""The state while a run writes it: one writer, every change an atomic write, from any destination's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from reconciler.address import TargetKey
from reconciler.state.acks import SENDING, Ack
from reconciler.state.reader import StateReader
from reconciler.state.standing import Acked, Standing, merged, stand
from reconciler.state.state import DataFile, State, TargetState
from reconciler.state.store import StateStore, name_of


class Books:
    """Holds the newest state of a run; `change` is the only way to write it."""

    def __init__(self, store: StateStore, state: State) -> None:
        self.store = store
        self.state = state
        self._mutex = threading.Lock()

    def change(self, edit: Callable[[State], State]) -> State:
        """Writes the edited state; what was there before stays where it is if that fails."""
        with self._mutex:
            edited = edit(self.state)
            if edited is not self.state:
                self.state = self.store.write(edited)
            return self.state

    def put(self, target: TargetState) -> None:
        """Writes one target."""
        self.change(lambda state: state.with_target(target))

    def drop(self, key: TargetKey) -> None:
        """Gives one target up."""
        self.change(lambda state: state.without_target(key) if state.target(key) else state)

    def standing(self, key: TargetKey) -> Standing | None:
        """One target with its acknowledgements folded in."""
        known = self.state.target(key)
        return stand(known, acked_of(self.store, known)) if known else None

    def take(self, local: Path, key: TargetKey, stem: str, *, rows: int) -> DataFile:
        """Puts a file beside the target's others, under a name no other version of the state uses."""
        return self.store.put_file(local, name_of(key, stem, self.state, ".parquet"), rows=rows)

    def log(self, key: TargetKey) -> str:
        """Name of a new intent's acknowledgement log."""
        return name_of(key, "acks", self.state, ".jsonl")


def acked_of(store: StateReader, known: TargetState) -> Acked:
    """What the acknowledgement log of a target's pending intent says."""
    if known.pending is None or known.pending.acks is None:
        return Acked()
    return folded(store.read_acks(known.pending.acks))


def folded(lines: tuple[Ack, ...]) -> Acked:
    """The log's lines as one value."""
    accepted = [line for line in lines if line.batch != SENDING and line.stop > line.start]
    last = lines[-1] if lines else None
    in_flight: datetime | None = last.at if last is not None and last.batch == SENDING else None
    return Acked(
        accepted=merged((line.start, line.stop) for line in accepted),
        refused=tuple(pair for line in accepted for pair in line.refused),
        tokens=tuple(line.token for line in accepted if line.token),
        at=accepted[-1].at if accepted else None,
        in_flight=in_flight,
    )
