"""Typed values of attributes: names, texts, numbers, dates, URLs, lists, in the dialect of each resource.

Limits: https://doc.batch.com/api/trigger-events-api/parameters, https://doc.batch.com/developer/api/cep/profiles/update
and Batch's public SDKs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_]+\Z")
WRAPPED = re.compile(r"(date|url)\((.*)\)\Z", re.DOTALL)
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+[^\s]*\Z")
URL_MAX = 2048
UTC_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,6})?Z\Z")
LOCAL_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\Z")
INT64 = range(-(2**63), 2**63)
UNITS: Mapping[str, Callable[[str], int]] = {
    "characters": len,
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf8_bytes": lambda text: len(text.encode()),
}


class Bad(Exception):
    """One value breaks a rule; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one dialect under the switches in force. `None` = no limit; `array_max` 0 = no arrays."""

    name_max: int | None = 30
    text_max: int | None = 64
    array_max: int | None = 0
    zulu: bool = False
    lenient_dates: bool = False
    empty_values: bool = False
    uppercase: str = "reject"
    double_only: bool = False
    measure: Callable[[str], int] = len
    names: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # key → wrapper, name, key to store


def rules(switches: Mapping[str, str], **dialect: Any) -> Rules:
    """Rules of a dialect, completed from the switches."""
    return Rules(
        lenient_dates=switches["date_forms"] == "lenient", empty_values=switches["empty_values"] == "accept",
        uppercase=switches["uppercase_key"], double_only=switches["number_range"] == "double_only",
        measure=UNITS[switches["length_unit"]], **dialect,
    )  # fmt: skip


def name_of(rule: Rules, key: str) -> tuple[str, str, str]:
    """`date(since)` → `("date", "since", "date(since)")`; Bad when the name breaks the rules."""
    found = rule.names.get(key)
    if found is None:
        wrapped = WRAPPED.match(key)
        wrapper, name = (wrapped.group(1), wrapped.group(2)) if wrapped else ("", key)
        name = plain_name(rule, name)
        found = rule.names[key] = (wrapper, name, f"{wrapper}({name})" if wrapper else name)
    return found


def plain_name(rule: Rules, name: str) -> str:
    """A checked attribute name, lower-cased when the switch says so."""
    if not NAME.match(name):
        raise Bad("attribute name may hold letters, digits and underscore only")
    if rule.name_max is not None and len(name) > rule.name_max:
        raise Bad(f"attribute name is longer than {rule.name_max} characters")
    if name != name.lower():
        if rule.uppercase == "reject":
            raise Bad("attribute name has upper-case letters")
        if rule.uppercase == "lowercase":
            return name.lower()
    return name


def read(rule: Rules, key: str, value: Any) -> tuple[str, str, Any, str]:
    """A typed attribute → (name, key to store, value to store, logical type); Bad when it breaks a rule."""
    wrapper, name, stored = name_of(rule, key)
    if wrapper == "date":
        return name, stored, date(rule, value), "date"
    if wrapper == "url":
        return name, stored, url(value), "url"
    if isinstance(value, str):
        return name, stored, text(rule, value), "text"
    if isinstance(value, bool):
        return name, stored, value, "boolean"
    if isinstance(value, int | float):
        return name, stored, number(rule, value), "number"
    if isinstance(value, list) and rule.array_max != 0:
        return name, stored, array(rule, value, rule.array_max), "array"
    raise Bad("value is of a kind that is not accepted here")


def text(rule: Rules, value: Any) -> str:
    """A text within its limits."""
    if not isinstance(value, str):
        raise Bad("value is not a text")
    if not value.strip() and not rule.empty_values:
        raise Bad("text is empty or blank")
    if rule.text_max is not None and len(value) * 4 > rule.text_max and rule.measure(value) > rule.text_max:
        raise Bad(f"text is longer than {rule.text_max}")
    return value


def number(rule: Rules, value: float) -> int | float:
    """A number in the signed 64-bit range; whole numbers lose precision under `number_range=double_only`."""
    if isinstance(value, int):
        if value not in INT64:
            raise Bad("integer is outside the signed 64-bit range")
        return int(float(value)) if rule.double_only and abs(value) > 2**53 else value
    if not -9223372036854775808 <= value <= 9223372036854775807:
        raise Bad("number is outside the accepted range")
    return value


def url(value: Any) -> str:
    """A URL with scheme and authority, 2,048 characters at most."""
    if not isinstance(value, str) or len(value) > URL_MAX or not URL.match(value):
        raise Bad("value is not a URL with scheme and authority of at most 2048 characters")
    return value


def array(rule: Rules, value: Any, most: int | None) -> list[str]:
    """A list of texts within its limits."""
    if not isinstance(value, list):
        raise Bad("value is not a list")
    if not value and not rule.empty_values:
        raise Bad("list is empty")
    if most is not None and len(value) > most:
        raise Bad(f"list has more than {most} items")
    return [text(rule, item) for item in value]


def date(rule: Rules, value: Any) -> str:
    """A date-time in the form of the API (UTC; `Z` in CEP, no suffix in MEP)."""
    if rule.lenient_dates:
        return _lenient(rule, value)
    pattern = UTC_DATE if rule.zulu else LOCAL_DATE
    if not isinstance(value, str) or not pattern.match(value):
        raise Bad("date is not of the form " + ("2024-09-01T00:00:00Z" if rule.zulu else "2024-09-01T00:00:00"))
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise Bad("date does not exist in the calendar") from None
    return value


def _lenient(rule: Rules, value: Any) -> str:
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        else:
            moment = datetime.fromisoformat(value)
    except (ValueError, TypeError, OverflowError, OSError):
        raise Bad("value is not a date") from None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + ("Z" if rule.zulu else "")
