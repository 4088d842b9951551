"""Row checks: which identifiers and attribute values Batch would refuse, decided before anything is sent (rule R10).

Bounds are the narrowest ones documented or seen (https://doc.batch.com/api/custom-audience/1.0/update/,
https://doc.batch.com/developer/api/cep/audiences/update, https://github.com/BatchLabs/Batch-Android-SDK);
lengths are counted in UTF-8 bytes, the strictest unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.address import IdType, Space
from reconciler.data.sql import disjunction, lit
from reconciler.data.transforms import trimmed
from reconciler.data.values import typed
from reconciler.link import LinkAttribute

RULES = "2"
"""Version of everything below and of who is withheld: baselines checked by another version are checked row by row again."""

_UUID = "'[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}'"
_EMAIL = r"'[^\s@,;<>()\[\]\\\x00-\x1f\x7f\"]+@[^\s@,;<>()\[\]\\\x00-\x1f\x7f\"]+\.[^\s@,;<>()\[\]\\\x00-\x1f\x7f\".]+'"
_EDGE = r"'^[\s\p{Z}]|[\s\p{Z}]$'"
_CONTROL = r"'[\x00-\x1f\x7f-\x9f]'"
_PLAIN = "'[!-~]+'"
"""Letters that nothing can be wrong with: printable ASCII without blanks. Found first, because most identifiers are so."""
_URL = r"'[A-Za-z][A-Za-z0-9+.-]*://[^/\s?#]+[^\s]*'"
_RESERVED = (
    "undefined", "null", "nil", "(null)", "[object object]", "true", "false", "nan", "infinity", "-infinity",
)  # fmt: skip


def identifier(text: str, id_type: IdType) -> str:
    """The identifier as it is compared and sent: emails trimmed and lower-cased, all others exactly as given."""
    value = f"lower({trimmed(text)})" if id_type is IdType.EMAIL else text
    return f"nullif({value}, '')"


def is_uuid(text: str) -> str:
    """SQL condition: written as a UUID, in whatever case."""
    return f"regexp_full_match({text}, {_UUID})"


def identifier_reason(column: str, id_type: IdType, *, profiles: bool) -> str:
    """SQL text: why the identifier is refused, NULL when it is fine."""
    longest = {IdType.EMAIL: 128}.get(id_type, 512 if profiles else 1024)
    whole = "FALSE"
    rules = [
        (f"regexp_matches({column}, {_EDGE})", "white space around it"),
        (f"regexp_matches({column}, {_CONTROL})", "control character in it"),
        (f"strlen({column}) > {longest}", f"longer than {longest} bytes"),
    ]
    match id_type:
        case IdType.ADVERTISING:
            zero = f"regexp_full_match({column}, '[0-]+')"
            rules = [
                (f"NOT {is_uuid(column)}", "not a UUID"),
                (zero, "all-zero advertising ID"),
            ]
        case IdType.EMAIL:
            rules.append((f"NOT regexp_full_match({column}, {_EMAIL})", "not an email address"))
        case IdType.CUSTOM | IdType.INSTALL:
            words = ", ".join(lit(word) for word in _RESERVED)
            shortest = max(map(len, _RESERVED)) + 1
            whole = f"strlen({column}) BETWEEN {shortest} AND {longest} AND regexp_full_match({column}, {_PLAIN})"
            rules.append((f"lower({column}) IN ({words})", "reserved word, not an identifier"))
    whens = " ".join(f"WHEN {test} THEN {lit(reason)}" for test, reason in rules)
    return f"CASE WHEN {whole} THEN NULL {whens} END"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of attribute values for one kind of target; bytes of UTF-8 and numbers of items.

    `folded`: lists are tags, which Batch's SDKs send in lower case (https://github.com/BatchLabs/Batch-Android-SDK).
    """

    text: int
    url: int
    items: int
    item: int
    folded: bool = True


def limits_of(space: Space, *, profiles: bool, tags: bool = False) -> Limits:
    """Bounds by target (https://doc.batch.com/guides/message-personalization/basics, Batch SDK sources)."""
    if space is Space.CEP:
        return Limits(text=300, url=2048, items=25, item=300, folded=False)
    if tags:
        return Limits(text=64, url=2048, items=10, item=64)
    return Limits(text=64, url=64 if profiles else 2048, items=50, item=64)


@dataclass(frozen=True, slots=True)
class Value:
    """SQL of one attribute: the value sent (NULL = no value) and why the stored one is not usable (NULL = it is)."""

    value: str
    reason: str
    checked: bool


_NATIVE = {
    "$email_address": (f"regexp_full_match({{0}}, {_EMAIL}) AND strlen({{0}}) <= 128", "not an email address"),
    "$phone_number": (r"regexp_full_match({0}, '\+[0-9]{{1,15}}')", "not a phone number like +33612345678"),
    "$language": ("regexp_full_match({0}, '[a-z]{{2}}')", "not a language of two lower-case letters"),
    "$region": ("regexp_full_match({0}, '[A-Z]{{2}}')", "not a region of two upper-case letters"),
    "$timezone": (r"regexp_full_match({0}, '[A-Za-z_]+(/[A-Za-z0-9_+-]+)*')", "not an IANA time zone"),
    "$email_marketing": ("{0} IN ('subscribed', 'unsubscribed')", "neither subscribed nor unsubscribed"),
    "$sms_marketing": ("{0} IN ('subscribed', 'unsubscribed')", "neither subscribed nor unsubscribed"),
}


def attribute(
    column: str, bad: str, field_type: str, wanted: LinkAttribute, limits: Limits, steps: str | None
) -> Value:
    """One attribute from its typed catalogue column.

    `bad` is SQL that is true when the stored value is not of the field's type; `steps` is the transformed text when
    the mapping transforms the value. Blank texts and empty lists are no value; a value past a limit is refused.
    """
    if steps is not None:
        parsed = typed(f"({steps})", "VARCHAR", wanted.type)
        value, bads = parsed.value, [bad, parsed.bad]
    else:
        value, lossy = _converted(column, field_type, wanted.type)
        bads = [bad, lossy]
    not_typed = disjunction(b for b in bads if b != "FALSE")
    value, tests = _bounded(value, wanted, limits)
    whens = [(not_typed, f"{wanted.name}: not a {wanted.type}")] if not_typed != "FALSE" else []
    whens += [(test, f"{wanted.name}: {reason}") for test, reason in tests]
    if not whens:
        return Value(value, "NULL", checked=False)
    reason = "CASE " + " ".join(f"WHEN {test} THEN {lit(text)}" for test, text in whens) + " END"
    usable = f"CASE WHEN NOT coalesce({disjunction(test for test, _ in whens)}, FALSE) THEN {value} END"
    return Value(usable, reason, checked=True)


def _converted(column: str, field_type: str, wanted: str) -> tuple[str, str]:
    """Value and "cannot be converted" for the conversions a mapping may ask for with `type:`."""
    if field_type == wanted or {field_type, wanted} == {"string", "url"}:
        return column, "FALSE"
    match field_type, wanted:
        case (("string" | "url"), _):
            parsed = typed(column, "VARCHAR", wanted)
            return parsed.value, parsed.bad
        case _, ("string" | "url"):
            return f"CAST({column} AS VARCHAR)", "FALSE"
        case ("timestamp", "date") | ("date", "timestamp") | ("integer", "float"):
            kind = {"date": "DATE", "timestamp": "TIMESTAMP", "float": "DOUBLE"}[wanted]
            return f"CAST({column} AS {kind})", "FALSE"
        case "float", "integer":
            parsed = typed(column, "DOUBLE", "integer")
            return parsed.value, parsed.bad
    return "NULL", f"{column} IS NOT NULL"


def _not_blank(text: str) -> str:
    """SQL of a text that is not blank, else NULL. What begins with printable ASCII is not: most texts need no look inside."""
    return f"CASE WHEN {text} >= '!' AND {text} < chr(127) THEN {text} WHEN {trimmed(text)} <> '' THEN {text} END"


def _bounded(value: str, wanted: LinkAttribute, limits: Limits) -> tuple[str, list[tuple[str, str]]]:
    match wanted.type:
        case "string":
            text = _not_blank(value)
            if wanted.name in _NATIVE:
                test, reason = _NATIVE[wanted.name]
                return text, [(f"NOT ({test.format(f'({text})')})", reason)]
            return text, [(f"strlen({value}) > {limits.text}", f"text longer than {limits.text} bytes")]
        case "url":
            text = _not_blank(value)
            return text, [
                (f"NOT regexp_full_match({text}, {_URL})", "not a URL with scheme and host"),
                (f"strlen({value}) > {limits.url}", f"URL longer than {limits.url} bytes"),
            ]
        case "timestamp":
            return f"date_trunc('second', {value})", []
        case "list<string>":
            item = "lower(x)" if limits.folded else "x"
            kept = f"list_transform(list_filter({value}, lambda x: x IS NOT NULL AND trim(x) <> ''), lambda x: {item})"
            unique = f"list_filter({kept}, lambda x, i: list_position({kept}, x) = i)"
            return f"CASE WHEN len({kept}) > 0 THEN {unique} END", [
                (f"len({unique}) > {limits.items}", f"more than {limits.items} items"),
                (f"list_bool_or(list_transform({kept}, lambda x: strlen(x) > {limits.item}))",
                 f"item longer than {limits.item} bytes"),
            ]  # fmt: skip
        case _:
            return value, []
