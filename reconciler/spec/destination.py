"""Destination: one Batch account with references to its keys, limits, and the attributes created there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.spec.common import Document, Duration, Fault, FieldType, Model, only_set, refuse

ATTRIBUTE_NAME = r"^[a-z0-9_]{1,30}$"
KEY_PATTERN = r"^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:[^${}]+)\}$"
DEFAULT_API_VERSION = "2.11"
"""Newest CEP version with public pages (https://doc.batch.com/developer/api/cep)."""
MAX_PROFILE_ATTRIBUTES = 50
_REFERENCE = re.compile(KEY_PATTERN)


class KeyRef(NamedTuple):
    """Where a key is, never the key: ``${env:NAME}`` or ``${file:PATH}``."""

    kind: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}}}"


def _reference(value: object) -> object:
    if isinstance(value, KeyRef):
        return value
    if isinstance(value, str) and (found := _REFERENCE.match(value)) and "\n" not in value:
        kind, name = found[1].split(":", 1)
        return KeyRef("env" if kind == "env" else "file", name)
    partial = isinstance(value, str) and "${" in value
    what = "this is not a reference to a key" if partial else "a key must not be written in a spec"
    why = "keys are references; this file is read by everybody who reads the repository"
    fix = "write ${env:NAME}, with letters, digits and _, or ${file:PATH}, alone, as the value"
    refuse(Fault((), "literal-key", what, fix, why))
    return value


Key = Annotated[KeyRef, BeforeValidator(_reference), WithJsonSchema({"type": "string", "pattern": KEY_PATTERN})]
AttributeName = Annotated[str, Field(pattern=ATTRIBUTE_NAME)]


class RateLimits(Model):
    """How fast Batch may be asked."""

    requests_per_second: float = Field(
        default=1,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        description="Requests per second to this account. Default 1.",
        examples=[1],
    )
    profile_updates_per_second: float = Field(
        default=300,
        gt=0,
        le=100_000,
        allow_inf_nan=False,
        description="Custom IDs per second in profile updates (CEP). Default 300, Batch's own limit.",
        examples=[300],
    )


class Retry(Model):
    """What happens when Batch is busy or unreachable."""

    base_seconds: float = Field(
        default=5,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds before the first repetition; doubled each time. Default 5.",
        examples=[5],
    )
    attempts: int = Field(
        default=6, ge=1, le=100, description="Most times one request is sent. Default 6.", examples=[6]
    )
    deadline: Duration = Field(
        default=timedelta(minutes=15),
        description="When to give up on one request, however many attempts are left. Default `15m`.",
        examples=["15m"],
    )


class Destination(Document):
    """A Batch account: an app (MEP) or a project (CEP), references to its keys, and its declared attributes."""

    kind: Literal["Destination"] = Field(description="This document is a destination: which Batch account.")
    platform: Literal["mep", "cep"] = Field(
        description="`mep`: Mobile Engagement Platform, one app, needs `live_api_key`. `cep`: Customer Engagement "
        "Platform, one project, needs `project_key`.",
        examples=["mep"],
    )
    live_api_key: Key | None = Field(
        default=None,
        description="MEP: reference to the app's Live API key, `${env:NAME}` or `${file:PATH}`. Never the key itself.",
        examples=["${env:SHOP_IOS_LIVE_API_KEY}"],
    )
    project_key: Key | None = Field(
        default=None,
        description="CEP: reference to the project key, `${env:NAME}` or `${file:PATH}`. Never the key itself.",
        examples=["${env:BATCH_PROJECT_KEY}"],
    )
    rest_api_key: Key = Field(
        description="Reference to the REST API key of the account, `${env:NAME}` or `${file:PATH}`. Never the key "
        "itself.",
        examples=["${env:BATCH_REST_API_KEY}"],
    )
    api_url: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Another host than `https://api.batch.com`: loopback, or one listed in the environment variable "
        "`BATCHCTL_ALLOWED_HOSTS`. https, except on loopback.",
        examples=["http://127.0.0.1:8080"],
    )
    api_version: str = Field(
        default=DEFAULT_API_VERSION,
        pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$",
        description='CEP only: version of Batch\'s API, quoted so that YAML does not read a number. Default `"2.11"`.',
        examples=["2.11"],
    )
    rate_limits: RateLimits = Field(
        default_factory=RateLimits,
        description="How fast Batch may be asked. Defaults: 1 request and 300 profile updates per second.",
        examples=[{"requests_per_second": 1}],
    )
    retry: Retry = Field(
        default_factory=Retry,
        description="What happens when Batch is busy or unreachable.",
        examples=[{"base_seconds": 5, "attempts": 6, "deadline": "15m"}],
    )
    attributes: dict[AttributeName, FieldType] = Field(
        default_factory=dict,
        max_length=MAX_PROFILE_ATTRIBUTES,
        description="Attributes created in Batch, with their types: sending any other is an error. Names: lower-case "
        "letters, digits and `_`, at most 30. Native ones (`$email_address`, `$language`, …) need no declaration.",
        examples=[{"loyalty_tier": "string", "last_order": "date"}],
    )

    @model_validator(mode="after")
    def _keys_of_platform(self) -> Destination:
        own, other = ("live_api_key", "project_key") if self.platform == "mep" else ("project_key", "live_api_key")
        found = [
            Fault((name,), "platform-field", f"{name} does not go with platform {self.platform}", f"remove {name}")
            for name in only_set(self, (other, *(("api_version",) if self.platform == "mep" else ())))
        ]
        if getattr(self, own) is None:
            fix = f"add {own}: ${{env:NAME}}"
            found.append(Fault(("platform",), "missing-key", f"platform {self.platform} needs {own}", fix))
        refuse(*found)
        return self

    @property
    def account_key(self) -> KeyRef:
        """Reference to the key that names the account: the Live API key (MEP) or the project key (CEP)."""
        key = self.live_api_key if self.platform == "mep" else self.project_key
        if key is None:
            raise ValueError("a destination without its account key is never built")
        return key
