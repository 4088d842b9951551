"""Books: every change is on disk when its call returns, and changes asked for together are one write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.apply.books import Books
from reconciler.errors import StateError
from reconciler.state.place import Folder
from reconciler.state.reader import StateReader
from reconciler.state.state import State
from reconciler.state.store import StateStore
from tests.state.kit import state, target


class Slow(StateStore):
    """The real store; a write waits until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(Folder(root), project="shop", environment="prod")
        self.go, self.begun, self.writes = threading.Event(), threading.Event(), 0

    def write(self, state: State) -> State:
        self.writes += 1
        self.begun.set()
        assert self.go.wait(30)
        return super().write(state)


def _changes(books: Books, names: list[str], pool: ThreadPoolExecutor) -> list[object]:
    return [pool.submit(books.put, target(audience=name)) for name in names]


def _while_one_is_written(books: Books, store: Slow, pool: ThreadPoolExecutor) -> list[object]:
    first = pool.submit(books.put, target(audience="a"))
    assert store.begun.wait(30)
    others = _changes(books, ["b", "c", "d"], pool)
    while len(books._asked) < 3:
        threading.Event().wait(0.001)
    return [first, *others]


def test_changes_asked_for_during_a_write_share_the_next(tmp_path: Path) -> None:
    store = Slow(tmp_path)
    books = Books(store, state())
    with ThreadPoolExecutor(4) as pool:
        futures = _while_one_is_written(books, store, pool)
        store.go.set()
        for future in futures:
            future.result(30)
    assert store.writes == 2
    found = StateReader(Folder(tmp_path), project="shop", environment="prod").read()
    assert found == books.state
    assert {known.audience for known in books.state.targets.values()} == {"a", "b", "c", "d"}


def test_a_write_that_fails_fails_for_everybody_in_it_and_for_nobody_after(tmp_path: Path) -> None:
    store = Slow(tmp_path / "state")
    books = Books(store, state())
    with ThreadPoolExecutor(4) as pool:
        futures = _while_one_is_written(books, store, pool)
        (tmp_path / "state").write_text("a file where the folder should be")
        store.go.set()
        for future in futures:
            with pytest.raises(StateError):
                future.result(30)
    assert not books.state.targets
    (tmp_path / "state").unlink()
    books.put(target(audience="e"))
    assert [known.audience for known in books.state.targets.values()] == ["e"]
