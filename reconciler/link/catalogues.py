"""What a catalogue says about its own fields must be true of them."""

from __future__ import annotations

from difflib import get_close_matches

from reconciler.link.report import Report
from reconciler.spec import Catalogue, address_of
from reconciler.spec.common import FieldType

KEY_TYPES = ("string", "integer")


def check_catalogue(catalogue: Catalogue, report: Report) -> None:
    """key, consent and freshness name fields of the right types."""
    _check(catalogue, ("key",), catalogue.key, KEY_TYPES, report)
    if catalogue.consent is not None:
        _check(catalogue, ("consent",), catalogue.consent, ("boolean",), report)
    if catalogue.freshness is not None and catalogue.freshness.field is not None:
        _check(catalogue, ("freshness", "field"), catalogue.freshness.field, ("date", "timestamp"), report)
    for name in catalogue.fields:
        if name.startswith(("!", "#")):
            at = (address_of(catalogue), "fields", name)
            report.error("field-name", at, "a field name cannot start with ! or #", "rename the column")


def near_field(name: str, known: list[str]) -> str:
    """``did you mean gaid?`` or the choice."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(known[:20])}"


def _check(catalogue: Catalogue, path: tuple[str, ...], field: str, types: tuple[str, ...], report: Report) -> None:
    at = (address_of(catalogue), *path)
    found: FieldType | None = catalogue.fields.get(field)
    if found is None:
        fix = near_field(field, list(catalogue.fields))
        report.error("unknown-field", at, f"{field} is not one of the catalogue's fields", fix)
    elif found not in types:
        what = f"{'.'.join(path)} must be a field of type {' or '.join(types)}, {field} is {found}"
        report.error("field-type", at, what, f"name another field, or declare {field}: {types[0]}")
