"""One request to Batch, what came back, and what is told of each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.batch.pacing import Bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request that was tried, for logs, counts and progress."""

    destination: str
    account: str
    method: str
    route: str
    """Template without keys or names, e.g. ``/1.0/{account}/custom-audience/{name}``."""
    status: int | None
    """None when no answer came."""
    error: str
    """Why there is no answer, in a word: ``connect timeout broken page``; empty otherwise."""
    seconds: float
    retry_wait: float | None
    """Seconds until the same request is sent again; None when it is not."""

    @property
    def write(self) -> bool:
        """It went out, and it was no question."""
        return self.method != "GET" and self.error != "connect"


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx. `body` is None when there was none or it was not JSON."""

    status: int
    body: object | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `path` may hold a key, `route` may not."""

    method: str
    route: str
    path: str
    query: Mapping[str, str | int] | None = None
    body: bytes | None = None
    bucket: Bucket | None = None
    """Takes the place of the request bucket: profile writes have their own."""
    units: float = 1.0
