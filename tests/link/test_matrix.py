"""Which action goes where, by which API and kind of identifier; which attributes each place takes."""

from __future__ import annotations

import pytest

from reconciler.address import IdType, Space
from reconciler.link import Resolution
from reconciler.spec.action import ACTION_TYPES
from reconciler.spec.common import FIELD_TYPES
from reconciler.spec.mapping import IDENTIFIER_KINDS
from tests.link.kit import KEYS, resolved, told

NEEDS = {
    "send_advertising_ids": "advertising_id",
    "send_install_ids": "install_id",
    "send_custom_ids": "custom_id",
    "send_emails": "email",
    "send_attributes": "custom_id",
}
# The table of the documentation, cell by cell: space, identifiers, attributes, profiles.
CELLS = {
    ("send_advertising_ids", "ios"): (Space.MEP10, IdType.ADVERTISING, False, False),
    ("send_advertising_ids", "crm"): None,
    ("send_install_ids", "ios"): (Space.MEP11, IdType.INSTALL, True, False),
    ("send_install_ids", "crm"): (Space.CEP, IdType.INSTALL, True, False),
    ("send_custom_ids", "ios"): (Space.MEP10, IdType.CUSTOM, False, False),
    ("send_custom_ids", "crm"): (Space.CEP, IdType.CUSTOM, True, False),
    ("send_emails", "ios"): None,
    ("send_emails", "crm"): (Space.CEP, IdType.EMAIL, True, False),
    ("send_attributes", "ios"): (Space.MEP10, IdType.CUSTOM, True, True),
    ("send_attributes", "crm"): (Space.CEP, IdType.CUSTOM, True, True),
}


def wired(action: str, destination: str, mapping: str, *, more: str = "", declared: str = "") -> Resolution:
    """One link by one action with one mapping."""
    keys = {"ios": "platform: mep, live_api_key: '${env:A}'", "crm": "platform: cep, project_key: '${env:B}'"}
    return resolved(
        f"Mapping m: {{catalogue: people, {mapping}}}\n"
        f"Destination {destination}: {{{keys[destination]}, rest_api_key: '${{env:R}}', attributes: {{{declared}}}}}\n"
        f"Action a: {{destination: {destination}, type: {action}, mapping: m{more}}}\n"
        "SegmentLink l: {segment: some, action: a}"
    )


def identifier(action: str) -> str:
    kind = NEEDS[action]
    return f"identifier: {{{kind}: {KEYS[kind]}}}"


def test_the_table_is_complete() -> None:
    assert set(CELLS) == {(action, name) for action in ACTION_TYPES for name in ("ios", "crm")}
    assert set(NEEDS) == set(ACTION_TYPES)


@pytest.mark.parametrize(("action", "destination"), sorted(CELLS))
def test_every_cell(action: str, destination: str) -> None:
    found = wired(action, destination, identifier(action) + ", attributes: {text: text}", declared="text: string")
    cell = CELLS[action, destination]
    if cell is None:
        assert told(found) == [("matrix", "action/a:type")]
        (problem,) = found.errors
        assert problem.why
        assert "use a destination with platform" in problem.fix
        return
    space, ids, attributes, profiles = cell
    assert told(found) == []
    (target,) = found.targets
    assert (target.key.space, target.id_type, bool(target.attributes), target.key.is_profiles) == (
        space,
        ids,
        attributes,
        profiles,
    )
    assert target.key.audience == ("" if profiles else f"Some_people_{ids}")
    assert told(found, "warning").count(("not-sent", "action/a:mapping")) == (not attributes)


@pytest.mark.parametrize("action", ACTION_TYPES)
@pytest.mark.parametrize("kind", IDENTIFIER_KINDS)
def test_an_action_needs_its_kind_of_identifier(action: str, kind: str) -> None:
    destination = "ios" if action == "send_advertising_ids" else "crm"
    found = wired(
        action,
        destination,
        f"identifier: {{{kind}: {KEYS[kind]}}}, attributes: {{text: text}}",
        declared="text: string",
    )
    assert told(found) == ([] if NEEDS[action] == kind else [("identifier-kind", "action/a:mapping")])


@pytest.mark.parametrize(
    ("field", "accepted"),
    [("pid", True), *((name, False) for name in ("whole", "real", "flag", "day", "moment", "site", "words"))],
)
def test_identifiers_are_strings(field: str, accepted: bool) -> None:
    found = wired("send_custom_ids", "crm", f"identifier: {{custom_id: {field}}}")
    assert told(found) == ([] if accepted else [("identifier-type", "mapping/m:identifier.custom_id")])


def test_all_fields_of_an_identifier() -> None:
    found = wired(
        "send_advertising_ids", "ios", "identifier: {advertising_id: [gaid, idfa]}", more=", id_extension: true"
    )
    assert told(found) == []
    assert found.links[0].id_fields == ("gaid", "idfa")


def test_a_field_only_the_graph_has_needs_the_extension() -> None:
    found = wired("send_advertising_ids", "ios", "identifier: {advertising_id: idfa}")
    assert told(found) == [("graph-only", "mapping/m:identifier.advertising_id")]
    assert "write id_extension: true in action/a" in found.errors[0].fix
    text = "identifier: {custom_id: pid}, attributes: {text: idfa}"
    assert told(wired("send_custom_ids", "crm", text)) == [("graph-only", "mapping/m:attributes.text.field")]


def test_an_extension_without_a_graph_or_without_effect() -> None:
    found = wired("send_custom_ids", "crm", "identifier: {custom_id: pid}", more=", id_extension: true")
    assert told(found, "warning").count(("id-extension", "action/a:id_extension")) == 1
    bare = "Catalogue people: {source: {path: p.csv}, key: pid, fields: $FIELDS}\n"
    found = resolved(
        bare + "Action a: {destination: crm, type: send_custom_ids, mapping: custom_id, id_extension: true}"
    )
    assert told(found) == [("id-extension", "action/a:id_extension")]


@pytest.mark.parametrize("wanted", FIELD_TYPES)
@pytest.mark.parametrize("field", ["text", "whole", "real", "flag", "day", "moment", "site", "words"])
def test_which_types_convert(field: str, wanted: str) -> None:
    kinds = {"text": "string", "whole": "integer", "real": "float", "flag": "boolean", "day": "date"}
    kind = {**kinds, "moment": "timestamp", "site": "url", "words": "list<string>"}[field]
    pairs = {("date", "timestamp"), ("timestamp", "date"), ("integer", "float"), ("float", "integer")}
    listed = "list<string>" in (kind, wanted)
    converts = kind == wanted or (
        not listed and (kind in ("string", "url") or wanted == "string" or (kind, wanted) in pairs)
    )
    found = wired(
        "send_attributes",
        "crm",
        f"identifier: {{custom_id: pid}}, attributes: {{x: {{field: {field}, type: '{wanted}'}}}}",
        declared=f"x: '{wanted}'",
    )
    assert told(found) == ([] if converts else [("field-type", "mapping/m:attributes.x.type")])
    if converts:
        (attribute,) = found.targets[0].attributes
        assert (attribute.name, attribute.field, attribute.type) == ("x", field, wanted)


@pytest.mark.parametrize(
    ("action", "destination", "attributes", "declared", "rule"),
    [
        ("send_attributes", "crm", "x: text", "", "undeclared"),
        ("send_attributes", "ios", "x: text", "", "undeclared"),
        ("send_attributes", "crm", "x: whole", "x: string", "type-conflict"),
        ("send_attributes", "crm", "x: {field: whole, type: string}", "x: string", None),
        ("send_attributes", "crm", "x: {field: whole, transform: trim}", "x: string", None),
        ("send_attributes", "crm", "x: {field: words, transform: trim}", "x: 'list<string>'", "field-type"),
        ("send_attributes", "crm", "x: words", "x: 'list<string>'", None),
        ("send_attributes", "crm", "$language: text", "", None),
        ("send_attributes", "crm", "$language: whole", "", "type-conflict"),
        ("send_attributes", "crm", "$topic_preferences: words", "", None),
        ("send_attributes", "ios", "$language: text", "", "native"),
        ("send_custom_ids", "crm", "$language: text", "", "native"),
        ("send_custom_ids", "crm", "x: text", "", None),
        ("send_custom_ids", "crm", "x: whole", "x: string", "type-conflict"),
        ("send_custom_ids", "crm", "x: nowhere", "", "unknown-field"),
        ("send_install_ids", "ios", "x: words", "", "list"),
        ("send_install_ids", "ios", "x: text", "", None),
    ],
)
def test_attributes(action: str, destination: str, attributes: str, declared: str, rule: str | None) -> None:
    found = wired(action, destination, f"{identifier(action)}, attributes: {{{attributes}}}", declared=declared)
    assert [one for one, _ in told(found)] == ([] if rule is None else [rule])


@pytest.mark.parametrize(
    ("action", "destination", "limit"),
    [("send_custom_ids", "crm", 15), ("send_install_ids", "ios", 15), ("send_emails", "crm", 15)],
)
def test_an_audience_takes_fifteen_attributes(action: str, destination: str, limit: int) -> None:
    for count, expected in ((limit, []), (limit + 1, [("too-many-attributes", "mapping/m:attributes")])):
        listed = ", ".join(f"a{n}: text" for n in range(count))
        assert told(wired(action, destination, f"{identifier(action)}, attributes: {{{listed}}}")) == expected


def test_profiles_take_fifty_attributes_of_all_links_together() -> None:
    def found(count: int) -> Resolution:
        names = [f"a{n}" for n in range(count)]
        half = {0: names[: count // 2], 1: names[count // 2 :]}
        declared = ", ".join(f"{name}: string" for name in names[:50])
        text = f"Destination crm: {{platform: cep, project_key: '${{env:B}}', rest_api_key: '${{env:R}}', attributes: {{{declared}}}}}\n"
        for n, some in half.items():
            mapped = ", ".join(f"{name}: text" for name in some)
            text += f"Mapping m{n}: {{catalogue: people, identifier: {{custom_id: pid}}, attributes: {{{mapped}}}}}\n"
            text += f"Action a{n}: {{destination: crm, type: send_attributes, mapping: m{n}}}\n"
            text += f"SegmentLink l{n}: {{segment: some, action: a{n}}}\n"
        return resolved(text)

    assert told(found(50)) == []
    assert len(found(50).targets) == 1
    assert {rule for rule, _ in told(found(51))} == {"undeclared"}


@pytest.mark.parametrize(
    ("action", "destination", "field", "rule"),
    [
        ("send_install_ids", "ios", "words", None),
        ("send_install_ids", "ios", "text", "field-type"),
        ("send_install_ids", "ios", "nowhere", "unknown-field"),
        ("send_install_ids", "crm", "words", "tags"),
        ("send_custom_ids", "crm", "words", "tags"),
        ("send_attributes", "ios", "words", "tags"),
    ],
)
def test_tags_are_of_mep_11_only(action: str, destination: str, field: str, rule: str | None) -> None:
    mapped = f"{identifier(action)}, attributes: {{text: text}}, tags: {{field: {field}}}"
    found = wired(action, destination, mapped, declared="text: string")
    assert [one for one, _ in told(found)] == ([] if rule is None else [rule])
    if rule is None:
        assert [one.name for one in found.targets[0].attributes] == ["$tags", "text"]


def test_tags_are_not_sent_to_mep_10_and_that_is_said() -> None:
    found = wired("send_custom_ids", "ios", "identifier: {custom_id: pid}, tags: {field: words}")
    assert told(found) == []
    assert ("not-sent", "action/a:mapping") in told(found, "warning")
    assert found.targets[0].attributes == ()


def test_attributes_without_any() -> None:
    found = wired("send_attributes", "crm", "identifier: {custom_id: pid}")
    assert told(found) == [("no-attributes", "action/a:mapping")]
