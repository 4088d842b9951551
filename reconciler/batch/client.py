"""What the rest of the product may ask of one destination's account, whichever of Batch's two APIs is behind it.

Two implementations: `mep.MepClient` (one application, https://doc.batch.com/api/custom-audience/1.0/list/) and
`cep.CepClient` (one project, https://doc.batch.com/developer/api/cep/audiences/list).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.address import IdType
from reconciler.batch.request import Attempt
from reconciler.observed import Inventory, Observed

AUDIENCE_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
"""https://doc.batch.com/developer/api/cep/audiences/create"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """One item of an accepted request that Batch refused. Only the named attribute is lost, unless it is None."""

    index: int
    """Zero-based position in the request; -1 when Batch did not say which: any item may be meant."""
    attribute: str | None
    reason: str
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An accepted write. *Accepted* is not *indexed*."""

    token: str | None = None
    """Indexing token of an audience write; support token of a Custom Data write."""
    errors: tuple[ItemError, ...] = ()


class Reader(Protocol):
    """What planning may ask. Every method raises ConfigurationError, BatchError or Cancelled; none answers falsely."""

    @property
    def destination(self) -> str:
        """Name of the destination."""
        ...

    @property
    def account(self) -> str:
        """First 8 hex digits of sha256 of the Live API or project key."""
        ...

    def inventory(self) -> Inventory:
        """All audiences, from all pages. Any 4xx on the first page is a ConfigurationError."""
        ...

    def view(self, name: str, id_type: IdType, token: str | None = None) -> Observed | None:
        """One audience and the state of the write of `token` (None: of the last write); None when it does not exist."""
        ...


class Client(Reader, Protocol):
    """What apply may ask. Refused4xx is final for a request; Unreachable says whether it may have been processed."""

    def create(self, name: str, id_type: IdType, text: str = "") -> Written:
        """Create an empty audience. `text` is its description or display name, fixed for good."""
        ...

    def delete(self, name: str, id_type: IdType) -> Written:
        """Delete the audience; it being gone already is a success."""
        ...

    def update(self, name: str, id_type: IdType, items: bytes) -> Written:
        """Add and remove members: a JSON array of `wire.audience_item_sql` items, 1 to 10,000."""
        ...

    def replace(self, name: str, items: bytes) -> Written:
        """Replace all members: a JSON array of `wire.replace_item_sql` items, 1 to 10,000. Not in MEP 1.0."""
        ...

    def write_profiles(self, route: str, ops: bytes, count: int) -> Written:
        """Write user data: a JSON array of `count` `wire.profile_item_sql` items.

        `route` is ``custom_data`` (MEP, 10,000 users), ``profiles_update`` (CEP, 200) or ``profiles_mass_update``
        (CEP, 10,000).
        """
        ...

    def watched(self, saw: Callable[[Attempt], None]) -> Client:
        """The same client, which tells `saw` of every attempt as well; closing the first one closes both."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def checked_name(name: str) -> str:
    """`name`, which travels in a path; ValueError when it breaks Batch's rule."""
    if not AUDIENCE_NAME.match(name):
        raise ValueError("not an audience name")
    return name


def checked_items(items: bytes) -> bytes:
    """A JSON array with something in it: what Batch does with an empty one is not documented."""
    inner = items.strip()
    if not (inner.startswith(b"[") and inner.endswith(b"]")) or not inner[1:-1].strip():
        raise ValueError("a write needs a JSON array of at least one item")
    return inner
