"""The two keys a client is opened with; apart from the clients, which validating specs needs none of."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The two keys of a destination."""

    rest: SecretStr
    live_or_project: SecretStr
