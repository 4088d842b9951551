"""Each action once: its references, its cell of the matrix, its identifiers and its attributes."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.link.attributes import Wiring, attributes_of
from reconciler.link.follow import Follower
from reconciler.link.matrix import NEEDS, route
from reconciler.link.report import Report
from reconciler.link.values import LinkAttribute
from reconciler.spec import Action, Catalogue, Destination, Mapping, address_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """An action that is ready to be linked."""

    wiring: Wiring
    id_fields: tuple[str, ...]
    attributes: tuple[LinkAttribute, ...]


def wire(action: Action, follower: Follower) -> Wired | None:
    """The action with its references followed; None, with everything reported, when something is wrong."""
    report, at = follower.report, address_of(action)
    before = len([problem for problem in report.found if problem.severity == "error"])
    destination = follower.find(Destination, action.destination, (at, "destination"))
    mapping = follower.find(Mapping, action.mapping, (at, "mapping"))
    catalogue = follower.find(Catalogue, mapping.catalogue, (address_of(mapping), "catalogue")) if mapping else None
    if destination is None or mapping is None or catalogue is None:
        return None
    cell = route(action.type, destination.platform)
    if isinstance(cell, tuple):
        why, fix = cell
        what = f"{action.type} is not possible on {address_of(destination)} ({destination.platform})"
        report.error("matrix", (at, "type"), what, fix, why)
        return None
    wiring = Wiring(action=action, mapping=mapping, destination=destination, catalogue=catalogue, route=cell)
    _check_extension(wiring, report)
    fields = _identifiers(wiring, report)
    attributes = attributes_of(wiring, report)
    errors = len([problem for problem in report.found if problem.severity == "error"])
    return Wired(wiring=wiring, id_fields=fields, attributes=attributes) if errors == before else None


def _check_extension(wiring: Wiring, report: Report) -> None:
    action, graph = wiring.action, wiring.catalogue.identity_graph
    at = (address_of(action), "id_extension")
    if action.id_extension and graph is None:
        what = f"id_extension needs an identity graph, {address_of(wiring.catalogue)} has none"
        report.error("id-extension", at, what, "add identity_graph: to the catalogue, or remove id_extension")
    elif action.id_extension and graph is not None and not set(wiring.mapping.identifier.fields) & set(graph.fields):
        what = (
            f"the identity graph has none of {', '.join(wiring.mapping.identifier.fields)}: id_extension adds nothing"
        )
        report.warn("id-extension", at, what, "add the field to identity_graph.fields, or remove id_extension")


def _identifiers(wiring: Wiring, report: Report) -> tuple[str, ...]:
    """Identifier fields; they must be of the kind the action sends, and texts."""
    identifier, action = wiring.mapping.identifier, wiring.action
    needed = NEEDS[action.type]
    if identifier.kind != needed:
        what = f"{action.type} needs identifier: {{{needed}: …}}, {address_of(wiring.mapping)} has {identifier.kind}"
        report.error("identifier-kind", (address_of(action), "mapping"), what, f"name a mapping with {needed}")
        return ()
    at = (address_of(wiring.mapping), "identifier", identifier.kind)
    graph = wiring.catalogue.identity_graph
    for name in identifier.fields:
        kinds = {wiring.field_type(name, at, report)}
        if action.id_extension and graph is not None and name in graph.fields:
            kinds.add(graph.fields[name])
        for kind in sorted(kind for kind in kinds if kind not in (None, "string")):
            fix = f"declare {name}: string in the catalogue; its values are then read as they are written"
            why = "numbers lose leading zeros: 007 and 7 are two people" if kind in ("integer", "float") else ""
            report.error("identifier-type", at, f"an identifier must be a string, {name} is {kind}", fix, why)
    return identifier.fields
