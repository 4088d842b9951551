"""Any split into pages gives the same inventory; a list that cannot be read to its end is an error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.batch.paging import by_cursor, by_offset
from reconciler.errors import BatchError
from tests.batch.kit import audience

NAMES = st.lists(st.text("abcXYZ09_-", min_size=1, max_size=6), unique=True, max_size=40)


@given(names=NAMES, size=st.integers(1, 12), data=st.data())
def test_any_split_by_cursor(names: list[str], size: int, data: st.DataObject) -> None:
    items = [audience(name) for name in names]
    ends = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=10))) + [len(items)]
    key = data.draw(st.sampled_from(["audiences", "data", "items"]))
    stale = data.draw(st.sampled_from([{}, {"next_from": None}, {"next_from": "stale"}]))
    pages = list(zip([0, *ends], ends, strict=False))

    def fetch(cursor: str | None) -> object:
        number = 0 if cursor is None else int(cursor.removeprefix("c"))
        start, stop = pages[number]
        following: dict[str, Any] = {"has_more": True, "next_from": f"c{number + 1}"}
        return {key: items[start:stop], **(following if number + 1 < len(pages) else {"has_more": False, **stale})}

    assert by_cursor(fetch) == items


@given(names=NAMES, size=st.integers(1, 12))
def test_any_page_size_by_offset(names: list[str], size: int) -> None:
    items = [audience(name) for name in names]
    asked: list[int] = []

    def fetch(offset: int) -> object:
        asked.append(offset)
        return {"custom_audiences": items[offset : offset + size], "count": len(items)}

    assert by_offset(fetch, size=size) == items
    assert asked == list(range(0, len(items) + 1, size))


def test_a_cursor_that_repeats_is_an_error() -> None:
    with pytest.raises(BatchError, match="comes twice"):
        by_cursor(lambda _: {"audiences": [], "has_more": True, "next_from": "same"})


def test_an_offset_that_is_ignored_is_an_error() -> None:
    with pytest.raises(BatchError, match="repeats"):
        by_offset(lambda _: {"custom_audiences": [audience("a"), audience("b")]}, size=2)


def test_a_list_without_end_is_an_error() -> None:
    with pytest.raises(BatchError, match="more than 20 pages"):
        by_cursor(lambda cursor: {"audiences": [], "has_more": True, "next_from": f"{cursor}x"}, most=20)
    with pytest.raises(BatchError, match="more than 20 pages"):
        by_offset(lambda offset: {"custom_audiences": [audience(f"a{offset}")]}, size=1, most=20)


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"error": "x"}, {"a": [], "b": []}, {"audiences": {}, "has_more": False}]
)
def test_unreadable_answers_are_never_an_empty_list(body: object) -> None:
    with pytest.raises(BatchError, match="cannot be read"):
        by_cursor(lambda _: body)
    with pytest.raises(BatchError, match="cannot be read"):
        by_offset(lambda _: body)


@pytest.mark.parametrize(
    "more", [{"has_more": True}, {"has_more": True, "next_from": None}, {"has_more": "yes"}, {"next_from": 3}]
)
def test_more_without_where_is_an_error(more: dict[str, Any]) -> None:
    with pytest.raises(BatchError, match="not where"):
        by_cursor(lambda _: {"audiences": [], **more})


def test_the_named_array_counts_among_several() -> None:
    assert by_cursor(lambda _: {"audiences": ["x"], "warnings": ["y"], "has_more": False}) == ["x"]
