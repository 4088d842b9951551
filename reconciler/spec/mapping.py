"""Mapping: which catalogue fields become the identifier, the attributes and the tags."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, model_validator

from reconciler.spec.common import Document, Fault, FieldName, FieldType, Model, Name, OneOrMore, refuse
from reconciler.spec.transform import Transform, parse_transforms

IdentifierKind = Literal["advertising_id", "install_id", "custom_id", "email"]
IDENTIFIER_KINDS: tuple[IdentifierKind, ...] = ("advertising_id", "install_id", "custom_id", "email")
NATIVE_TYPES: dict[str, FieldType] = {
    "$email_address": "string",
    "$email_marketing": "string",
    "$sms_marketing": "string",
    "$phone_number": "string",
    "$language": "string",
    "$region": "string",
    "$timezone": "string",
    "$topic_preferences": "list<string>",
}
"""Native attributes of CEP profiles (https://doc.batch.com/developer/api/cep/profiles/update)."""
MAPPED_NAME = rf"^([a-z0-9_]{{1,30}}|\$({'|'.join(name[1:] for name in NATIVE_TYPES)}))$"
MappedName = Annotated[str, Field(pattern=MAPPED_NAME)]


def _as_lists(steps: tuple[Transform, ...]) -> list[list[object]]:
    """A short form that was already written out as lists stays as it is."""
    return [[name, list(arguments)] for name, arguments in steps]


class Identifier(Model):
    """What identifies a member: one kind, with one field or several whose non-null values are all sent."""

    advertising_id: OneOrMore | None = Field(
        default=None,
        description="Field, or list of fields, with advertising IDs (IDFA, GAID). For `send_advertising_ids`, MEP "
        "only.",
        examples=["gaid", ["gaid", "idfa"]],
    )
    install_id: OneOrMore | None = Field(
        default=None,
        description="Field, or list of fields, with Batch installation IDs. For `send_install_ids`.",
        examples=["install_id"],
    )
    custom_id: OneOrMore | None = Field(
        default=None,
        description="Field, or list of fields, with the custom user ID your app gives to Batch; case sensitive. For "
        "`send_custom_ids` and `send_attributes`.",
        examples=["customer_id"],
    )
    email: OneOrMore | None = Field(
        default=None,
        description="Field, or list of fields, with email addresses; trimmed and lower-cased before they are sent. For "
        "`send_emails`, CEP only.",
        examples=["email"],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Identifier:
        kinds = [kind for kind in IDENTIFIER_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            if not kinds:
                fix = f"write one of {', '.join(IDENTIFIER_KINDS)}, e.g. custom_id: customer_id"
                refuse(Fault((), "identifier-kind", "the identifier names no field", fix))
            what, why = f"one kind of identifier is needed, this has {' and '.join(kinds)}", "an audience has one kind"
            refuse(Fault((kinds[1],), "identifier-kind", what, "keep one, and write another mapping", why))
        if len(set(self.fields)) < len(self.fields):
            refuse(Fault((kinds[0],), "identifier-twice", "the same field is listed twice", "list each field once"))
        return self

    @property
    def kind(self) -> IdentifierKind:
        """The kind given."""
        return next(kind for kind in IDENTIFIER_KINDS if getattr(self, kind) is not None)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of that kind, in the order written."""
        found: tuple[str, ...] = getattr(self, self.kind)
        return found


def _short(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


class MappedAttribute(Model):
    """Where an attribute's value comes from, and how it is changed on the way."""

    field: FieldName = Field(
        description="Field of the catalogue, or of its identity graph when the action says `id_extension: true`.",
        examples=["loyalty_tier"],
    )
    type: FieldType | None = Field(
        default=None,
        description="Type at the destination, e.g. `date` for a timestamp field. Default: the type of the field, or of "
        "the attribute as the destination declares it.",
        examples=["date"],
    )
    transform: Annotated[tuple[Transform, ...], PlainValidator(parse_transforms), PlainSerializer(_as_lists)] = Field(
        default=(),
        description="Changes to the text, in order: `trim lower upper title sha256 md5 digits default(value) map({…}) "
        "replace(a, b) substring(from, length)`.",
        examples=[["trim", "lower"], ["map({fr: France})", {"default": "unknown"}]],
    )


class Tags(Model):
    """The member's one list of tags (MEP 1.1 audiences)."""

    field: FieldName = Field(
        description="Field of type list<string>; at most 10 tags are sent.", examples=["interests"]
    )


class Mapping(Document):
    """Which fields become the identifier, the attributes and the tags."""

    kind: Literal["Mapping"] = Field(description="This document is a mapping: which fields become what.")
    catalogue: Name = Field(description="Name of the catalogue whose fields are mapped.", examples=["customers"])
    identifier: Identifier = Field(
        description="What identifies a member: `advertising_id`, `install_id`, `custom_id` or `email`, with one field "
        "or a list; all values that are not null are sent.",
        examples=[{"advertising_id": ["gaid", "idfa"]}, {"custom_id": "customer_id"}],
    )
    attributes: dict[MappedName, Annotated[MappedAttribute, BeforeValidator(_short)]] = Field(
        default_factory=dict,
        description="Attribute at the destination to catalogue field, or to `{field, type, transform}`. Names: "
        "lower-case letters, digits and `_`, at most 30, or a native one such as `$language`.",
        examples=[{"loyalty_tier": {"field": "loyalty_tier", "transform": ["trim", "lower"]}}],
        json_schema_extra={"short_form": "field"},
    )
    tags: Tags | None = Field(
        default=None,
        description="MEP 1.1 audiences only: the member's one list of tags, from a field of type list<string>.",
        examples=[{"field": "interests"}],
    )
