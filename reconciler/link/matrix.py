"""What goes where: action × platform → API space and kind of identifier, and which attribute types each takes.

    action               MEP                       CEP
    send_advertising_ids audience 1.0              -
    send_install_ids     audience 1.1, attributes  audience, attributes
    send_custom_ids      audience 1.0              audience, attributes
    send_emails          -                         audience, attributes
    send_attributes      Custom Data 1.0           profiles

Sources: https://doc.batch.com/api/custom-audience/1.0/create/, https://doc.batch.com/api/custom-audience/1.1/update/,
https://doc.batch.com/developer/api/cep/audiences/create, https://doc.batch.com/developer/api/cep/profiles/update.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reconciler.address import IdType, Space
from reconciler.spec.action import ActionType
from reconciler.spec.common import FieldType
from reconciler.spec.mapping import IdentifierKind

AUDIENCE_ATTRIBUTES = 15
"""Attributes per member (https://doc.batch.com/developer/api/cep/audiences/update; 1.1 is held to the same)."""
PROFILE_ATTRIBUTES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an action's people go."""

    space: Space
    id_type: IdType
    profiles: bool = False
    attributes: bool = False
    """Whether members carry attributes."""

    @property
    def tags(self) -> bool:
        """One unnamed list of tags per member: MEP 1.1 only."""
        return self.space is Space.MEP11


NEEDS: dict[ActionType, IdentifierKind] = {
    "send_advertising_ids": "advertising_id",
    "send_install_ids": "install_id",
    "send_custom_ids": "custom_id",
    "send_emails": "email",
    "send_attributes": "custom_id",
}
_TYPES = {
    "advertising_id": IdType.ADVERTISING,
    "install_id": IdType.INSTALL,
    "custom_id": IdType.CUSTOM,
    "email": IdType.EMAIL,
}
_IMPOSSIBLE: dict[tuple[str, str], tuple[str, str]] = {
    ("send_advertising_ids", "cep"): (
        "CEP has no audiences of advertising IDs",
        "send custom IDs, install IDs or emails, or use a destination with platform: mep",
    ),
    ("send_emails", "mep"): (
        "MEP has no audiences of emails",
        "send custom IDs, install IDs or advertising IDs, or use a destination with platform: cep",
    ),
}


def route(action: ActionType, platform: Literal["mep", "cep"]) -> Route | tuple[str, str]:
    """The cell of the matrix, or why it is empty and what to do."""
    impossible = _IMPOSSIBLE.get((action, platform))
    if impossible is not None:
        return impossible
    id_type = _TYPES[NEEDS[action]]
    if action == "send_attributes":
        space = Space.MEP10 if platform == "mep" else Space.CEP
        return Route(space=space, id_type=id_type, profiles=True, attributes=True)
    if platform == "cep":
        return Route(space=Space.CEP, id_type=id_type, attributes=True)
    if action == "send_install_ids":
        return Route(space=Space.MEP11, id_type=id_type, attributes=True)
    return Route(space=Space.MEP10, id_type=id_type)


_TEXTS = ("string", "url")
_PAIRS = {("timestamp", "date"), ("date", "timestamp"), ("integer", "float"), ("float", "integer")}


def converts(field: FieldType, wanted: FieldType) -> bool:
    """Whether values of a field can be sent as another type."""
    if field == wanted:
        return True
    if "list<string>" in (field, wanted):
        return False
    return field in _TEXTS or wanted == "string" or (field, wanted) in _PAIRS
