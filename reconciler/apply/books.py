"""The state while a run writes it: changes from any thread, each part of one atomic write when its call returns.

Changes that are asked for while a write is under way share the next one: the document is written whole, and a thousand
targets must not write it a thousand times over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.address import TargetKey
from reconciler.errors import BatchctlError, StateError
from reconciler.state.names import name_of
from reconciler.state.standing import Standing, stand
from reconciler.state.state import DataFile, State, TargetState
from reconciler.state.store import StateStore


@dataclass(slots=True, eq=False)
class _Asked:
    """A change somebody waits for."""

    edit: Callable[[State], State]
    done: bool = False
    error: BatchctlError | None = None


class Books:
    """Holds the newest state of a run; `change` is the only way to write it."""

    def __init__(self, store: StateStore, state: State) -> None:
        self.store = store
        self.state = state
        self._turn = threading.Condition()
        self._asked: list[_Asked] = []
        self._writing = False

    def change(self, edit: Callable[[State], State]) -> State:
        """Writes the edited state, on disk when it returns; what was there before stays where it is if that fails."""
        mine = _Asked(edit)
        with self._turn:
            self._asked.append(mine)
            self._turn.wait_for(lambda: mine.done or not self._writing)
            if mine.done:
                return self._written(mine)
            self._writing = True
            together, self._asked = self._asked, []
        try:
            self._write(together)
        finally:
            with self._turn:
                self._writing = False
                self._turn.notify_all()
        return self._written(mine)

    def _write(self, together: list[_Asked]) -> None:
        error: BatchctlError | None = StateError("the state was not written", fix="run again; nothing is lost")
        try:
            edited = self.state
            for asked in together:
                edited = asked.edit(edited)
            if edited is not self.state:
                self.state = self.store.write(edited)
            error = None
        except BatchctlError as stopped:
            error = stopped
        finally:
            for asked in together:
                asked.done, asked.error = True, error

    def _written(self, mine: _Asked) -> State:
        if mine.error is not None:
            raise mine.error
        return self.state

    def put(self, target: TargetState) -> None:
        """Writes one target."""
        self.change(lambda state: state.with_target(target))

    def begin(self, target: TargetState) -> TargetState:
        """Writes one target with its intent, whose log is named after the very version that names it first."""

        def edit(state: State) -> State:
            pending = target.pending
            if pending is None or pending.file is None:
                return state.with_target(target)
            name = name_of(target.key, "acks", state, ".jsonl")
            return state.with_target(target.model_copy(update={"pending": pending.model_copy(update={"acks": name})}))

        return self.change(edit).targets[str(target.key)]

    def drop(self, key: TargetKey) -> None:
        """Gives one target up."""
        self.change(lambda state: state.without_target(key) if state.target(key) else state)

    def standing(self, key: TargetKey) -> Standing | None:
        """One target with its acknowledgements folded in."""
        known = self.state.target(key)
        return stand(known, self.store.acked(known)) if known else None

    def take(self, local: Path, key: TargetKey, stem: str, *, rows: int) -> DataFile:
        """Puts a file beside the target's others, under a name no other version of the state uses."""
        return self.store.put_file(local, name_of(key, stem, self.state, ".parquet"), rows=rows)
