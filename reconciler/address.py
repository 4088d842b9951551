"""Names for what receives rows: accounts, API spaces and targets. Pure values, shared by specs, state and plans."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Space(StrEnum):
    """An API space of Batch. MEP 1.0 and 1.1 share one name space of audiences as far as batchctl is concerned."""

    MEP10 = "mep-1.0"
    MEP11 = "mep-1.1"
    CEP = "cep"


class IdType(StrEnum):
    """What identifies a member, as Batch's `type` says it (https://doc.batch.com/api/custom-audience/1.0/create/)."""

    ADVERTISING = "advertising_ids"
    INSTALL = "install_ids"
    CUSTOM = "custom_ids"
    EMAIL = "emails"


PROFILES = "$profiles"
"""Stands for the name in the key of profiles: no audience can be called that."""


def account_of(key: str) -> str:
    """First 8 hex digits of sha256 of a Live API key or project key: what people and state see instead of the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def is_account(text: str) -> bool:
    """Whether it looks like what `account_of` says."""
    return len(text) == 8 and set(text) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True, order=True)
class TargetKey:
    """What receives rows: an audience of an account, or (audience "") the account's profiles.

    Never a link's address: renaming a link moves nothing.
    """

    account: str
    space: Space
    audience: str = ""

    @property
    def is_profiles(self) -> bool:
        """True for the profiles (CEP) or custom data (MEP) of the account."""
        return not self.audience

    def __str__(self) -> str:
        return f"{self.account}/{self.space}/{self.audience or PROFILES}"

    @classmethod
    def parse(cls, text: str) -> TargetKey:
        """Inverse of `str()`."""
        account, space, audience = text.split("/", 2)
        return cls(account, Space(space), "" if audience == PROFILES else audience)
