"""Batch's API of a project (CEP): GET reads, POST writes, the project in a header.

https://doc.batch.com/developer/api/cep/audiences/list, https://doc.batch.com/developer/api/cep/profiles/update. Mind
that ``/audiences/remove`` deletes a whole audience (https://doc.batch.com/developer/api/cep/audiences/remove).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import orjson

from reconciler.address import IdType, Space
from reconciler.batch import limits, look, paging, reading
from reconciler.batch.client import Written, checked_items, checked_name
from reconciler.batch.pacing import Bucket, ProfileRoute
from reconciler.batch.request import Attempt, Reply, Request
from reconciler.batch.transport import Transport
from reconciler.errors import Refused4xx
from reconciler.observed import Inventory, Observed

VERSION = "2.11"
"""Newest version shown by a page of https://doc.batch.com/developer/api/cep."""

_PROFILE_ROUTES: dict[str, tuple[str, int, ProfileRoute]] = {
    "profiles_update": ("profiles/update", limits.PROFILES_PER_UPDATE, "profiles_update"),
    "profiles_mass_update": ("profiles/mass-update", limits.PROFILES_PER_MASS_UPDATE, "profiles_mass_update"),
}


def headers(rest_key: str, project_key: str) -> dict[str, str]:
    """Headers of every request (https://doc.batch.com/developer/api/cep/audiences/list)."""
    return {"Authorization": f"Bearer {rest_key}", "X-Batch-Project": project_key}


class CepClient:
    """See `client.Client`."""

    def __init__(
        self,
        transport: Transport,
        *,
        buckets: Mapping[ProfileRoute, Bucket],
        version: str = VERSION,
        listed: threading.Event | None = None,
    ) -> None:
        """`listed` is set once the list was read with these keys."""
        self._transport, self._buckets, self._version = transport, buckets, version
        self._listed = listed or threading.Event()

    @property
    def destination(self) -> str:
        """See `client.Reader`."""
        return self._transport.owner.destination

    @property
    def account(self) -> str:
        """See `client.Reader`."""
        return self._transport.owner.account

    def inventory(self) -> Inventory:
        """See `client.Reader`."""
        items = paging.by_cursor(self._page)
        self._listed.set()
        return Inventory(account=self.account, audiences=reading.collected(items, Space.CEP))

    def view(self, name: str, id_type: IdType, token: str | None = None) -> Observed | None:
        """See `client.Reader`."""
        return self._look(name, id_type).view(token)

    def create(self, name: str, id_type: IdType, text: str = "") -> Written:
        """See `client.Client`."""
        body = {"name": checked_name(name), "type": _known(id_type).value} | ({"display_name": text} if text else {})
        return look.create(
            lambda settled: self._write("audiences/create", orjson.dumps(body), settled=settled),
            self._look(name, id_type),
            id_type,
        )

    def delete(self, name: str, id_type: IdType) -> Written:
        """See `client.Client`. The body is the name alone: the route has nothing to do with members."""
        body = orjson.dumps({"name": checked_name(name)})
        return look.delete(
            lambda settled: self._write("audiences/remove", body, settled=settled), self._look(name, id_type)
        )

    def update(self, name: str, id_type: IdType, items: bytes) -> Written:
        """See `client.Client`."""
        _known(id_type)
        return self._write("audiences/update", _members(name, items))

    def replace(self, name: str, items: bytes) -> Written:
        """See `client.Client`."""
        return self._write("audiences/replace", _members(name, items))

    def write_profiles(self, route: str, ops: bytes, count: int) -> Written:
        """See `client.Client`."""
        if route not in _PROFILE_ROUTES:
            raise ValueError(f"a project has no route {route}")
        path, most, bucket = _PROFILE_ROUTES[route]
        if not 0 < count <= most:
            raise ValueError(f"{count} operations for {path}, which takes 1 to {most}")
        return self._write(path, checked_items(ops), bucket=self._buckets[bucket], count=count)

    def watched(self, saw: Callable[[Attempt], None]) -> CepClient:
        """See `client.Client`."""
        over = self._transport.watched(saw)
        return CepClient(over, buckets=self._buckets, version=self._version, listed=self._listed)

    def close(self) -> None:
        """See `client.Client`."""
        self._transport.close()

    def _look(self, name: str, id_type: IdType) -> look.Look:
        _known(id_type)
        checked_name(name)

        def ask(token: str | None) -> Observed | None:
            query = {"name": name, **({"indexing_token": token} if token else {})}
            return reading.observed(self._get("audiences/view", query).body, Space.CEP)

        return look.Look(
            name=name,
            ask=ask,
            scan=self.inventory,
            listed=self._listed.is_set,
            pause=self._transport.pause,
        )

    def _page(self, cursor: str | None) -> object | None:
        query: dict[str, str | int] = {"limit": limits.PAGE, **({"from": cursor} if cursor else {})}
        try:
            return self._get("audiences/list", query).body
        except Refused4xx as refused:
            if cursor is not None:
                raise
            guess = "unknown version or route" if refused.status == 404 else "the project key may be wrong or missing"
            raise look.misconfigured(refused, self._transport.owner, guess) from None

    def _get(self, path: str, query: Mapping[str, str | int]) -> Reply:
        route = f"/{self._version}/{path}"
        return self._transport.send(Request(method="GET", route=route, path=route, query=query))

    def _write(
        self,
        path: str,
        body: bytes,
        *,
        settled: Callable[[], bool] | None = None,
        bucket: Bucket | None = None,
        count: int | None = None,
    ) -> Written:
        route = f"/{self._version}/{path}"
        units = float(count) if bucket is not None and count is not None else 1.0
        request = Request(method="POST", route=route, path=route, body=body, bucket=bucket, units=units)
        reply = self._transport.send(request, settled=settled)
        return reading.written(reply.body, clean=self._transport.clean.answering(body))


def _members(name: str, items: bytes) -> bytes:
    return b'{"name":"%b","ids":%b}' % (checked_name(name).encode(), checked_items(items))


def _known(id_type: IdType) -> IdType:
    """`id_type`, unless a project has no such audiences: the request itself does not always say it."""
    if id_type is IdType.ADVERTISING:
        raise ValueError("CEP has no audiences of advertising IDs")
    return id_type
