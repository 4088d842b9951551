"""What Batch says exists: one value for both APIs, read back as the thing that would have made it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reconciler.address import IdType, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One audience as Batch reports it (https://doc.batch.com/developer/api/cep/audiences/view)."""

    name: str
    space: Space
    id_type: IdType | None
    """None when the spelling is not recognised: a warning, never a difference."""
    nb_ids: int | None
    created: str | None
    updated: str | None
    text: str = ""
    """Description or display name; absent, null and empty are equal."""
    indexing: Literal["APPLIED", "IN_PROGRESS", "REPLACED", "UNKNOWN"] = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Audiences of one account, from all pages of its list routes. A failed read is an error, never an empty one."""

    account: str
    audiences: dict[str, Observed] = field(default_factory=dict)
    """By name, MEP 1.0 and 1.1 together."""
