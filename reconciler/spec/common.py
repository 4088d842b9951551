"""What every kind shares: the document head, small validated types, and how a rule of several fields refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

API_VERSION = "batchctl/v1"
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]*$"
DURATION_PATTERN = r"^[1-9][0-9]*[smhdw]$"
VAR_PATTERN = r"\$\{var:[A-Za-z_][A-Za-z0-9_-]*\}"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36_500)

FieldType = Literal["string", "integer", "float", "boolean", "date", "timestamp", "url", "list<string>"]
FIELD_TYPES: tuple[FieldType, ...] = (
    "string",
    "integer",
    "float",
    "boolean",
    "date",
    "timestamp",
    "url",
    "list<string>",
)


class Fault(NamedTuple):
    """One thing wrong inside a document: where (path below the model), a stable rule, what, and what to write."""

    at: tuple[str | int, ...]
    rule: str
    what: str
    fix: str = ""
    why: str = ""


def refuse(*faults: Fault) -> None:
    """Raises one validation error that carries all the faults; nothing when there are none."""
    if faults:
        text = "; ".join(fault.what for fault in faults)
        raise PydanticCustomError("faults", "{text}", {"text": text, "faults": [tuple(fault) for fault in faults]})


def unsupported(at: tuple[str | int, ...], what: str, fix: str = "") -> Fault:
    """A field of the format that this version refuses instead of ignoring."""
    return Fault(at, "not-supported", f"{what} is not supported in this version", fix)


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.match(DURATION_PATTERN, value, re.ASCII):
        refuse(Fault((), "duration", "not a duration", "write a whole number and a unit: 15m, 36h, 90d, 2w"))
    text = str(value)
    span = timedelta(**{_UNITS[text[-1]]: int(text[:-1])}) if len(text) < 10 else timedelta.max
    if span > _LONGEST:
        refuse(Fault((), "duration", "the duration is too long", "write at most 36500d"))
    return span


def _date(value: object) -> object:
    if isinstance(value, datetime):
        refuse(Fault((), "date", "a date without a time is needed", "write it as 2026-12-01"))
    if isinstance(value, str):
        try:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
                raise ValueError
            return date.fromisoformat(value)
        except ValueError:
            refuse(Fault((), "date", "not a date", "write it as 2026-12-01"))
    return value


def _listed(value: object) -> object:
    """One word stands for a list of one."""
    return (value,) if isinstance(value, str) else value


Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
Day = Annotated[
    date, BeforeValidator(_date), WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
]
FieldName = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
Percent = Annotated[float, Field(ge=0, allow_inf_nan=False)]
OneOrMore = Annotated[
    tuple[FieldName, ...],
    BeforeValidator(_listed),
    Field(strict=False, min_length=1, json_schema_extra={"one_or_more": True}),
]


class Model(BaseModel):
    """A part of a document: immutable, strict, unknown keys refused; inputs never appear in error texts."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
        ser_json_timedelta="float",
    )


class Document(Model):
    """The head of every document."""

    version: Literal["batchctl/v1"] = Field(
        alias="apiVersion", description="Version of the document format. Always `batchctl/v1`."
    )
    name: Name = Field(
        description="Name of the object, unique among its kind: lower-case letters, digits and dashes, at most 63 "
        "characters. Other documents refer to it by this name.",
        examples=["lapsed-buyers"],
    )
    description: str = Field(
        default="",
        description="Free text for readers of the specs; never sent to Batch.",
        examples=["People who bought once and never came back."],
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels, text to text, to select objects on the command line with `-l label=value`. Never sent to "
        "Batch; changing a label never changes an audience.",
        examples=[{"team": "crm"}],
    )


def only_set(model: Model, names: Sequence[str]) -> list[str]:
    """Those of `names` that the document writes."""
    return [name for name in names if name in model.model_fields_set]
