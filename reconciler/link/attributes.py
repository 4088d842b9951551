"""Attributes and tags of one action: names, fields, types and numbers, as the destination takes them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.address import Space
from reconciler.link.catalogues import near_field
from reconciler.link.matrix import AUDIENCE_ATTRIBUTES, Route, converts
from reconciler.link.report import Report
from reconciler.link.values import LinkAttribute
from reconciler.spec import Action, Catalogue, Destination, Mapping, address_of
from reconciler.spec.common import FieldType
from reconciler.spec.mapping import NATIVE_TYPES, MappedAttribute

TAGS = "$tags"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """One action with every reference followed, and where its people go."""

    action: Action
    mapping: Mapping
    destination: Destination
    catalogue: Catalogue
    route: Route

    def field_type(self, name: str, at: tuple[str, ...], report: Report) -> FieldType | None:
        """The type of a field of the catalogue, else of its identity graph; None, reported, when it cannot be used."""
        found = self.catalogue.fields.get(name)
        if found is not None:
            return found
        graph = self.catalogue.identity_graph
        if graph is not None and name in graph.fields:
            if self.action.id_extension:
                return graph.fields[name]
            what = f"only the identity graph has the field {name}"
            fix = f"write id_extension: true in {address_of(self.action)}, or use a field of the catalogue"
            report.error("graph-only", at, what, fix)
            return None
        known = [*self.catalogue.fields, *(graph.fields if graph is not None and self.action.id_extension else ())]
        what = f"{address_of(self.catalogue)} has no field {name}"
        report.error("unknown-field", at, what, near_field(name, known))
        return None


def attributes_of(wiring: Wiring, report: Report) -> tuple[LinkAttribute, ...]:
    """Attributes an action sends, by name; tags as ``$tags``. Empty where members carry none."""
    mapping, route = wiring.mapping, wiring.route
    if not route.attributes:
        _warn_not_sent(wiring, report)
        return ()
    found = [_attribute(wiring, name, mapped, report) for name, mapped in mapping.attributes.items()]
    if not mapping.attributes and route.profiles:
        what = f"{address_of(mapping)} maps no attributes, send_attributes has nothing to send"
        report.error(
            "no-attributes", (address_of(wiring.action), "mapping"), what, f"add attributes: to {address_of(mapping)}"
        )
    if len(mapping.attributes) > AUDIENCE_ATTRIBUTES and not route.profiles:
        what = f"{len(mapping.attributes)} attributes, an audience takes at most {AUDIENCE_ATTRIBUTES} per member"
        report.error(
            "too-many-attributes", (address_of(mapping), "attributes"), what, "map fewer, or use send_attributes"
        )
    if mapping.tags is not None:
        found.append(_tags(wiring, mapping.tags.field, report))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.name))


def _warn_not_sent(wiring: Wiring, report: Report) -> None:
    carried = [
        word for word, given in (("attributes", wiring.mapping.attributes), ("tags", wiring.mapping.tags)) if given
    ]
    if carried:
        what = f"{' and '.join(carried)} of {address_of(wiring.mapping)} are not sent by {address_of(wiring.action)}"
        why = "MEP 1.0 audiences hold identifiers only"
        fix = "use a mapping without them here, or send them with send_install_ids or send_attributes"
        report.warn("not-sent", (address_of(wiring.action), "mapping"), what, fix, why)


def _tags(wiring: Wiring, field: str, report: Report) -> LinkAttribute | None:
    at = (address_of(wiring.mapping), "tags", "field")
    if not wiring.route.tags:
        what = f"{address_of(wiring.action)} cannot send tags"
        fix = f"map a list<string> attribute instead, or remove tags from {address_of(wiring.mapping)}"
        report.error("tags", at[:2], what, fix, "only MEP 1.1 audiences (send_install_ids) have tags")
        return None
    kind = wiring.field_type(field, at, report)
    if kind is not None and kind != "list<string>":
        report.error(
            "field-type", at, f"tags need a field of type list<string>, {field} is {kind}", "name a list field"
        )
        return None
    return LinkAttribute(name=TAGS, field=field, type="list<string>") if kind else None


def _attribute(wiring: Wiring, name: str, mapped: MappedAttribute, report: Report) -> LinkAttribute | None:
    at = (address_of(wiring.mapping), "attributes", name)
    kind = wiring.field_type(mapped.field, (*at, "field"), report)
    if kind is None:
        return None
    if mapped.transform and kind == "list<string>":
        what = f"transforms change text, {mapped.field} is a list"
        report.error("field-type", (*at, "transform"), what, "remove transform, or change the list in the source")
        return None
    wanted = _wanted(mapped, kind)
    if not mapped.transform and not converts(kind, wanted):
        what = f"{mapped.field} is {kind}, which cannot be sent as {wanted}"
        report.error("field-type", (*at, "type"), what, f"write type: {kind}, or convert it in the source")
        return None
    fault = _refused(wiring, name, wanted)
    if fault is not None:
        rule, what, fix, why = fault
        report.error(rule, at, what, fix, why)
        return None
    return LinkAttribute(name=name, field=mapped.field, type=wanted, transforms=mapped.transform)


def _wanted(mapped: MappedAttribute, kind: FieldType) -> FieldType:
    """The mapping's own type, else the field's; what was transformed is a text unless the mapping says otherwise."""
    if mapped.type is not None:
        return mapped.type
    return "string" if mapped.transform and kind != "url" else kind


def _refused(wiring: Wiring, name: str, wanted: FieldType) -> tuple[str, str, str, str] | None:
    """(rule, what, fix, why) when the destination does not take the attribute."""
    route, destination = wiring.route, wiring.destination
    if name.startswith("$"):
        return _native_refused(wiring, name, wanted)
    if wanted == "list<string>" and route.space is Space.MEP11:
        what = f"{name} is a list, MEP 1.1 audiences take lists as tags only"
        return "list", what, "map it as tags: {field: …}", ""
    declared = destination.attributes.get(name)
    if declared is None and route.profiles:
        close = get_close_matches(name, list(destination.attributes), n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        fix = f"add {name}: {wanted} to its attributes once it exists in Batch{near}"
        return "undeclared", f"{address_of(destination)} does not declare the attribute {name}", fix, ""
    if declared is not None and declared != wanted:
        what = f"{name} is sent as {wanted}, {address_of(destination)} declares {declared}"
        fix = f"write {{field: …, type: {declared}}}"
        return "type-conflict", what, fix, "Batch never converts values: a change of type needs a new name"
    return None


def _native_refused(wiring: Wiring, name: str, wanted: FieldType) -> tuple[str, str, str, str] | None:
    route = wiring.route
    if not (route.profiles and route.space is Space.CEP):
        what = f"{address_of(wiring.action)} cannot send the native attribute {name}"
        return (
            "native",
            what,
            "use send_attributes to a destination with platform: cep",
            "only CEP profiles have native attributes",
        )
    if NATIVE_TYPES[name] != wanted:
        what = f"{name} is sent as {wanted}, it is {NATIVE_TYPES[name]}"
        return "type-conflict", what, f"write {{field: …, type: {NATIVE_TYPES[name]}}}", ""
    return None
