"""Bodies of Batch's answers → values. Pure. Two spellings of one thing become one value here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from reconciler.address import IdType, Space
from reconciler.batch.client import ItemError, Written
from reconciler.errors import BatchError
from reconciler.observed import Observed

Indexing = Literal["APPLIED", "IN_PROGRESS", "REPLACED", "UNKNOWN"]

_TYPES = {"custom": IdType.CUSTOM, "email": IdType.EMAIL, "install": IdType.INSTALL, "advertising": IdType.ADVERTISING}
_STATES: dict[str, Indexing] = {
    "APPLIED": "APPLIED",
    "IN_PROGRESS": "IN_PROGRESS",
    "IN_PROCESS": "IN_PROGRESS",
    "REPLACED": "REPLACED",
}


def id_type_of(text: object) -> IdType | None:
    """`custom_ids` and `CUSTOM_ID` are one type; None when it is not recognised.

    Only ``CUSTOM_ID`` is documented as an answer (https://doc.batch.com/developer/api/cep/audiences/view).
    """
    if not isinstance(text, str):
        return None
    word = text.lower().removesuffix("s").removesuffix("_id").replace("installation", "install")
    return _TYPES.get(word)


def space_of(id_type: IdType) -> Space:
    """The MEP version that an audience of this type lives in (https://doc.batch.com/api/custom-audience/1.1/create)."""
    return Space.MEP11 if id_type is IdType.INSTALL else Space.MEP10


def observed(item: object, space: Space) -> Observed | None:
    """One audience of a list or view; None when the body names none. `space` is that of the route."""
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        return None
    id_type, count = id_type_of(item.get("type")), item.get("nb_ids")
    if space is not Space.CEP and id_type is not None:
        space = space_of(id_type)  # the lists of both versions may show the audiences of both
    return Observed(
        name=item["name"],
        space=space,
        id_type=id_type,
        nb_ids=count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None,
        created=_text(item.get("created")),
        updated=_text(item.get("updated")),
        text=_text(item.get("description")) or _text(item.get("display_name")) or "",
        indexing=_STATES.get(str(item.get("indexing_state")).upper(), "UNKNOWN"),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def collected(items: list[object], space: Space) -> dict[str, Observed]:
    """Audiences by name, the first of a name counting. An entry without a name makes the list unreadable."""
    audiences: dict[str, Observed] = {}
    for item in items:
        one = observed(item, space)
        if one is None:
            raise BatchError("Batch's list of audiences cannot be read", why="an entry has no name")
        audiences.setdefault(one.name, one)
    return audiences


def written(body: object | None, *, clean: Callable[[str], str] = str) -> Written:
    """Token and partial errors of a 2xx.

    A profile write answers 202 with ``SUCCESS_WITH_PARTIAL_ERRORS`` and ``errors``, each with the zero-based
    ``bulk_index`` of its operation (https://github.com/segmentio/action-destinations, destination ``batch``).
    """
    if not isinstance(body, Mapping):
        return Written()
    listed = body.get("errors")
    errors = [_error(one, clean) for one in listed] if isinstance(listed, list) else []
    code = body.get("code")
    if not errors and isinstance(code, str) and code != "SUCCESS":
        errors.append(ItemError(index=-1, attribute=None, reason=clean(code), category="unspecified"))
    return Written(token=_text(body.get("indexing_token")) or _text(body.get("token")), errors=tuple(errors))


def _error(item: object, clean: Callable[[str], str]) -> ItemError:
    entry: Mapping[str, object] = item if isinstance(item, Mapping) else {"reason": str(item)}
    index = entry.get("bulk_index")
    attribute = _text(entry.get("attribute"))
    return ItemError(
        index=index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else -1,
        attribute=clean(attribute) if attribute else None,
        reason=clean(_text(entry.get("reason")) or "no reason given"),
        category=clean(_text(entry.get("category")) or "unspecified"),
    )
