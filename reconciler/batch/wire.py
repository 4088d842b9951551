"""Rows of a delta file → JSON items of Batch's requests, as SQL text for DuckDB. Pure: no engine, no HTTP.

Key and value forms: https://doc.batch.com/developer/api/cep/audiences/update,
https://doc.batch.com/developer/api/mep/custom-audience/1.1/update, https://doc.batch.com/developer/api/cep/profiles/update
and https://doc.batch.com/api/custom-data-api/set-update/.

    logical type │ MEP custom data     MEP 1.1 audience   CEP audience     CEP profile
    ─────────────┼─────────────────────────────────────────────────────────────────────
    text, number │ u.n                 n                  n                n
    boolean      │ u.n: true           n: "true"          n: "true"        n: true
    date(-time)  │ date(u.n), no zone  date(n), no zone   date(n), Z       date(n), Z
    url          │ u.n                 url(n)             url(n)           url(n)
    list of texts│ ut.n                tags ($tags)       n                n

Columns: ``id``, ``kind``, ``held`` and ``a:<name>`` as in `reconciler.data.staged`; values are already normalised
(blank texts and empty lists are NULL).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, assert_never

from reconciler.address import Space

Platform = Literal["mep", "cep"]
TAGS = "$tags"

_ADDS = "kind IN ('add', 'put')"
_SECONDS = "%Y-%m-%dT%H:%M:%S"


def audience_item_sql(space: Space, attributes: Mapping[str, str]) -> str:
    """SQL of one member of an *update*: ``{"action":"add","id":…,"attributes":{…},"tags":[…]}``.

    `attributes` maps names to logical types. NULL values are left out, and so is an empty ``attributes``; rows of kinds
    consent, remove and reset give ``{"action":"remove","id":…}``. MEP 1.0 carries no attributes: they are a ValueError.
    """
    members = _audience_members(space, attributes)
    added = f"""concat('{{"action":"add","id":', to_json(id){members}, '}}')"""
    return f"""CASE WHEN {_ADDS} THEN {added} ELSE concat('{{"action":"remove","id":', to_json(id), '}}') END"""


def replace_item_sql(space: Space, attributes: Mapping[str, str]) -> str:
    """SQL of one member of a *replace*: as `audience_item_sql`, without ``action``; every row is a member.

    https://doc.batch.com/developer/api/cep/audiences/replace; MEP 1.0 has no such route.
    """
    if space is Space.MEP10:
        raise ValueError("MEP 1.0 has no replace")
    return f"""concat('{{"id":', to_json(id){_audience_members(space, attributes)}, '}}')"""


def profile_item_sql(platform: Platform, attributes: Mapping[str, str], *, nulls: bool = True) -> str:
    """SQL of one profile operation (CEP) or one user of a Custom Data call (MEP).

    `attributes` maps every name a row may carry *or hold* to its logical type. A NULL value is sent as null, which
    deletes it, when the row's ``held`` lists its name, and left out otherwise. Kinds consent and remove send null for
    every name in ``held`` and nothing else. A row with nothing to say should not be staged: in CEP its item has
    identifiers only, which creates the profile if there is none; in MEP its ``values`` is empty, which is refused.
    """
    keys = {name: _profile_key(platform, name, logical) for name, logical in attributes.items()}
    unset = {name: _null(name, key) if nulls else "NULL" for name, key in keys.items()}
    values = [f"coalesce({_pair(key, _profile_value(platform, name, attributes[name]))}, {unset[name]})"
              for name, key in keys.items()]  # fmt: skip
    joined = f"CASE WHEN kind IN ('consent', 'remove') THEN {_joined(list(unset.values()))} ELSE {_joined(values)} END"
    match platform:
        case "cep":
            attributed = f"coalesce(',\"attributes\":{{' || {joined} || '}}', '')"
            return f"""'{{"identifiers":{{"custom_id":' || to_json(id) || '}}' || {attributed} || '}}'"""
        case "mep":
            opening = """'{"id":' || to_json(id) || ',"update":{"overwrite":false,"values":{'"""
            return f"{opening} || coalesce({joined}, '') || '}}}}}}'"
        case _:
            assert_never(platform)


def _audience_members(space: Space, attributes: Mapping[str, str]) -> str:
    """``, …`` arguments of a concat() that add ``attributes`` and ``tags``; NULL arguments are skipped there.

    One flat concat() of everything: each || or concat() inside copies a text once more, which took half of the time.
    """
    if space is Space.MEP10 and attributes:
        raise ValueError("MEP 1.0 audiences carry no attributes")
    if TAGS in attributes and space is not Space.MEP11:
        raise ValueError("only MEP 1.1 members carry tags")
    shown = {name: logical for name, logical in attributes.items() if name != TAGS}
    parts = _attribute_parts(space, shown) if shown else []
    if TAGS in attributes:
        parts.append(f"""',"tags":' || to_json({_column(TAGS)})""")
    return "".join(f", {part}" for part in parts)


def _attribute_parts(space: Space, shown: Mapping[str, str]) -> list[str]:
    """Key and value of each attribute, NULL together; the first with a value opens the object, others add a comma."""
    parts: list[str] = []
    absent: list[str] = []
    for name, logical in shown.items():
        key, value = _audience_pair(space, name, logical)
        text = json.dumps(key) + ":"
        opening, following = _text(',"attributes":{' + text), _text("," + text)
        first = f"WHEN {' AND '.join(absent)} THEN {opening} ELSE {following}" if absent else f"ELSE {opening}"
        absent.append(f"{_column(name)} IS NULL")
        parts += [f"CASE WHEN {absent[-1]} THEN NULL {first} END", value]
    return [*parts, f"CASE WHEN NOT ({' AND '.join(absent)}) THEN '}}' END"]


def _audience_pair(space: Space, name: str, logical: str) -> tuple[str, str]:
    """Key, and SQL of the JSON text of the value, which is NULL exactly when the column is."""
    column = _column(name)
    match logical:
        case "string" | "integer" | "float":
            return name, f"to_json({column})"
        case "boolean":  # the documented kinds are text, number, float, date, URL and array
            return name, f"""CASE {column} WHEN TRUE THEN '"true"' WHEN FALSE THEN '"false"' END"""
        case "date" | "timestamp":
            return f"date({name})", _moment(column, logical, zulu=space is Space.CEP)
        case "url":
            return f"url({name})", f"to_json({column})"
        case "list<string>" if space is Space.CEP:
            return name, f"to_json({column})"
        case _:
            raise ValueError(f"{space} members carry no {logical}")


def _profile_key(platform: Platform, name: str, logical: str) -> str:
    if name.startswith("$"):
        if platform == "mep":
            raise ValueError("Custom Data has no native attributes")
        return name
    wrapped = {"date": "date", "timestamp": "date"} | ({"url": "url"} if platform == "cep" else {})
    match platform:
        case "cep":
            inner = name
        case "mep":
            inner = f"ut.{name}" if logical == "list<string>" else f"u.{name}"
        case _:
            assert_never(platform)
    return f"{wrapped[logical]}({inner})" if logical in wrapped else inner


def _profile_value(platform: Platform, name: str, logical: str) -> str:
    match logical:
        case "date" | "timestamp":
            return _moment(_column(name), logical, zulu=platform == "cep")
        case "string" | "url" | "integer" | "float" | "boolean" | "list<string>":
            return f"to_json({_column(name)})"
        case _:
            raise ValueError(f"no logical type {logical!r}")


def _moment(column: str, logical: str, *, zulu: bool) -> str:
    """UTC to the second; CEP writes the letter Z, MEP no zone. A DATE is cast: a tenth of the work of formatting it."""
    zone = "Z" if zulu else ""
    if logical == "date":
        return f"""'"' || CAST({column} AS VARCHAR) || 'T00:00:00{zone}"'"""
    return f"""strftime({column}, '"{_SECONDS}{zone}"')"""


def _pair(key: str, value: str) -> str:
    """``"key":value``; NULL when the value is NULL."""
    return f"{_text(json.dumps(key) + ':')} || {value}"


def _null(name: str, key: str) -> str:
    return f"CASE WHEN list_contains(held, {_text(name)}) THEN {_text(json.dumps(key) + ':null')} END"


def _joined(pairs: list[str]) -> str:
    """Pairs separated by commas; NULL when there is none."""
    if not pairs:
        return "CAST(NULL AS VARCHAR)"
    return f"nullif(concat_ws(',', {', '.join(pairs)}), '')"


def _column(name: str) -> str:
    return '"a:' + name.replace('"', '""') + '"'


def _text(literal: str) -> str:
    return "'" + literal.replace("'", "''") + "'"
