"""Reading every page of a list, or failing: a list that was not read to its end is never taken for the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reconciler.batch import limits
from reconciler.errors import BatchError

MOST_PAGES = 10_000


def by_offset(
    fetch: Callable[[int], object | None], *, size: int = limits.PAGE, most: int = MOST_PAGES
) -> list[object]:
    """MEP: `from` is an offset, a page shorter than `size` is the last (https://doc.batch.com/api/custom-audience/1.0/list/)."""
    items: list[object] = []
    seen: set[object] = set()
    for _ in range(most):
        page = array_of(fetch(len(items)), "custom_audiences")
        names = _names(page)
        if len(page) >= size and names <= seen:
            raise _unreadable("a page repeats what the pages before it held")
        items += page
        seen |= names
        if len(page) < size:
            return items
    raise _unreadable(f"it has more than {most} pages")


def by_cursor(
    fetch: Callable[[str | None], object | None], *, key: str = "audiences", most: int = MOST_PAGES
) -> list[object]:
    """CEP: `from` is the `next_from` of the page before, until `has_more` is false.

    https://doc.batch.com/developer/api/cep/audiences/list; what `next_from` is on the last page is not documented, so
    it is not looked at there.
    """
    items: list[object] = []
    cursor: str | None = None
    used: set[str] = set()
    for _ in range(most):
        body = fetch(cursor)
        items += array_of(body, key)
        cursor = _following(body)
        if cursor is None:
            return items
        if cursor in used:
            raise _unreadable("a cursor comes twice")
        used.add(cursor)
    raise _unreadable(f"it has more than {most} pages")


def array_of(body: object | None, key: str) -> list[object]:
    """The list's array: the only array-valued member, whatever its name; `key` decides between several."""
    if not isinstance(body, Mapping):
        raise _unreadable("the answer is not a JSON object")
    arrays = [value for value in body.values() if isinstance(value, list)]
    if len(arrays) == 1:
        return arrays[0]
    named = body.get(key)
    if isinstance(named, list):
        return named
    raise _unreadable("the answer holds no array" if not arrays else "the answer holds several arrays")


def _following(body: object | None) -> str | None:
    if not isinstance(body, Mapping):
        raise TypeError("array_of lets objects through only")
    more, following = body.get("has_more"), body.get("next_from")
    if more is False:
        return None
    if isinstance(following, str) and following:
        return following
    if more is None and following in (None, ""):
        return None
    raise _unreadable("it says that there is more but not where")


def _names(page: Iterable[object]) -> set[object]:
    return {item.get("name") for item in page if isinstance(item, Mapping)}


def _unreadable(why: str) -> BatchError:
    return BatchError(
        "Batch's list of audiences cannot be read",
        why=why,
        fix="check that nothing between here and Batch answers in its place (a proxy, a login page)",
    )
