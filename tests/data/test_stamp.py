"""A source that is replaced while a plan reads it: never rows of two versions, and one message that says what happened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.data.catalogue import find, open_catalogue
from reconciler.data.engine import Engine
from reconciler.data.membership import members_of
from reconciler.data.preview import preview
from reconciler.data.stamp import stamps, unmoved
from reconciler.errors import SourceError
from tests.data.kit import NOW, PEOPLE, Shop, documents, resolution

PARQUET = documents(catalogue={**PEOPLE, "source": {"path": "people.parquet"}})
CHANGED = "changed while it was read"


class Meanwhile(list[str]):
    """Progress during which something else happens as soon as targets are evaluated."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act = act

    def append(self, text: str) -> None:
        super().append(text)
        if text.startswith("evaluating"):
            self.act()


def _swapped(path: Path, other: Path) -> None:
    """Another file under the same name, of the same time."""
    at = path.stat().st_mtime_ns
    other.replace(path)
    os.utime(path, ns=(at, at))


@pytest.mark.parametrize("told", [False, True])
def test_a_file_that_is_replaced_meanwhile_stops_the_plan(shop: Shop, *, told: bool) -> None:
    path = shop.parquet("people.parquet", "SELECT 'a' AS pid")
    if told:
        shop.apply(PARQUET)
        shop.parquet("people.parquet", "SELECT 'c' AS pid")
    other = shop.parquet("other.parquet", "SELECT 'b' AS pid")
    assert other.stat().st_size == path.stat().st_size
    shop.progress = Meanwhile(lambda: _swapped(path, other))
    with pytest.raises(SourceError, match=f"people.parquet {CHANGED}") as caught:
        shop.look(PARQUET)
    assert "nothing was sent" in caught.value.why
    assert "rename it" in caught.value.fix


def test_a_preview_counts_one_version_only(shop: Shop) -> None:
    path = shop.parquet("people.parquet", "SELECT 'a' AS pid")
    (only,) = resolution(PARQUET).links
    with Engine(now=NOW, scratch=shop.root) as engine:
        opened = open_catalogue(engine, find(engine, only.catalogue, root=shop.root, roots=()))
        members = members_of([only], {only.catalogue.name: opened})[only.address]
        assert preview(engine, members).sendable == 1
        _swapped(path, shop.parquet("other.parquet", "SELECT 'b' AS pid"))
        with pytest.raises(SourceError, match=f"people.parquet {CHANGED}"):
            preview(engine, members)


def test_a_column_that_goes_meanwhile_is_told_as_the_change(shop: Shop) -> None:
    path = shop.parquet("people.parquet", "SELECT 'a' AS pid")
    other = shop.parquet("other.parquet", "SELECT 'a' AS someone_else")
    shop.progress = Meanwhile(lambda: _swapped(path, other))
    with pytest.raises(SourceError, match=CHANGED):
        shop.look(PARQUET)


def test_text_is_read_once_and_may_change_afterwards(shop: Shop) -> None:
    path = shop.write("people.csv", "pid\na\n")
    shop.progress = Meanwhile(lambda: path.write_text("pid\na\nb\n"))
    assert shop.look(documents()).added == {"a"}


def test_a_file_that_goes_meanwhile_is_told_before_what_came_of_it(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("pid\n1\n")
    with unmoved([stamps([path])]):
        pass

    def read() -> None:
        with unmoved([stamps([path])]):
            path.unlink()
            raise SourceError("a row that is no row")

    with pytest.raises(SourceError, match=CHANGED):
        read()
