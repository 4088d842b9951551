"""Batch's API of an application (MEP): Custom Audience 1.0 (custom, advertising IDs), 1.1 (install IDs), Custom Data.

https://doc.batch.com/api/custom-audience/1.0/list/, https://doc.batch.com/developer/api/mep/custom-audience/1.1/update,
https://doc.batch.com/api/custom-data-api/set-update/. The Live API key travels in the path: no path is ever shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from urllib.parse import quote

import orjson

from reconciler.address import IdType, Space
from reconciler.batch import limits, look, paging, reading
from reconciler.batch.client import Written, checked_items, checked_name
from reconciler.batch.request import Attempt, Request
from reconciler.batch.transport import Transport
from reconciler.errors import Refused4xx
from reconciler.observed import Inventory, Observed

_VERSIONS = {Space.MEP10: "1.0", Space.MEP11: "1.1"}


def headers(rest_key: str) -> dict[str, str]:
    """Headers of every request (https://doc.batch.com/api/custom-audience/1.0/create/)."""
    return {"X-Authorization": rest_key}


class MepClient:
    """See `client.Client`."""

    def __init__(self, transport: Transport, *, application_key: str, listed: threading.Event | None = None) -> None:
        """`listed` is set once the list was read with these keys."""
        self._transport, self._application_key = transport, application_key
        self._key = quote(application_key, safe="")
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
        """See `client.Reader`. Whether 1.0 and 1.1 share one list is not documented: both are read, names merged."""
        audiences: dict[str, Observed] = {}
        for space in _VERSIONS:
            for name, one in self._list(space).items():
                audiences.setdefault(name, one)
        self._listed.set()
        return Inventory(account=self.account, audiences=audiences)

    def view(self, name: str, id_type: IdType, token: str | None = None) -> Observed | None:
        """See `client.Reader`; `id_type` chooses the version."""
        return self._look(name, id_type).view(token)

    def create(self, name: str, id_type: IdType, text: str = "") -> Written:
        """See `client.Client`."""
        if id_type is IdType.EMAIL:
            raise ValueError("MEP has no audiences of e-mail addresses")
        body = {"type": id_type.value} | ({"description": text} if text else {})
        return look.create(
            lambda settled: self._write("POST", name, id_type, orjson.dumps(body), settled=settled),
            self._look(name, id_type),
            id_type,
        )

    def delete(self, name: str, id_type: IdType) -> Written:
        """See `client.Client`."""
        return look.delete(
            lambda settled: self._write("DELETE", name, id_type, None, settled=settled), self._look(name, id_type)
        )

    def update(self, name: str, id_type: IdType, items: bytes) -> Written:
        """See `client.Client`; 1.0 requires the type, 1.1 does not have it."""
        stated = b'"type":"%b",' % id_type.value.encode() if reading.space_of(id_type) is Space.MEP10 else b""
        return self._write("PATCH", name, id_type, b'{%b"ids":%b}' % (stated, checked_items(items)))

    def replace(self, name: str, items: bytes) -> Written:
        """See `client.Client`; install IDs only (https://doc.batch.com/api/custom-audience/1.1/replace/)."""
        return self._write("PUT", name, IdType.INSTALL, b'{"ids":%b}' % checked_items(items))

    def write_profiles(self, route: str, ops: bytes, count: int) -> Written:
        """See `client.Client`; the bulk route even for one user, so that IDs never travel in a path."""
        if route != "custom_data":
            raise ValueError(f"an application has no route {route}")
        if not 0 < count <= limits.USERS_PER_CUSTOM_DATA_CALL:
            raise ValueError(f"{count} users in a call that takes 1 to {limits.USERS_PER_CUSTOM_DATA_CALL}")
        return self._send("POST", "1.0", "data/users", "data/users", checked_items(ops))

    def watched(self, saw: Callable[[Attempt], None]) -> MepClient:
        """See `client.Client`."""
        return MepClient(self._transport.watched(saw), application_key=self._application_key, listed=self._listed)

    def close(self) -> None:
        """See `client.Client`."""
        self._transport.close()

    def _list(self, space: Space) -> dict[str, Observed]:
        route = f"/{_VERSIONS[space]}/{{}}/custom-audience"

        def page(offset: int) -> object | None:
            try:
                return self._get(route, {"from": offset, "limit": limits.PAGE})
            except Refused4xx as refused:
                if offset:
                    raise
                guess = "unknown application key or route" if refused.status == 404 else "a key may be wrong"
                raise look.misconfigured(refused, self._transport.owner, guess) from None

        return reading.collected(paging.by_offset(page), space)

    def _look(self, name: str, id_type: IdType) -> look.Look:
        space = reading.space_of(id_type)
        path = f"/{_VERSIONS[space]}/{{}}/custom-audience/{checked_name(name)}"

        def ask(token: str | None) -> Observed | None:
            return reading.observed(self._get(path, {"indexing_token": token} if token else {}, "{name}"), space)

        return look.Look(
            name=name,
            ask=ask,
            scan=self.inventory,
            listed=self._listed.is_set,
            pause=self._transport.pause,
        )

    def _get(self, path: str, query: Mapping[str, str | int], shown: str = "") -> object | None:
        """`path` has ``{}`` in the place of the key; `shown` replaces its last part in messages."""
        route = f"{path.rpartition('/')[0]}/{shown}" if shown else path
        request = Request(
            method="GET", route=route.replace("{}", self.account), path=path.replace("{}", self._key), query=query
        )
        return self._transport.send(request).body

    def _write(
        self,
        method: str,
        name: str,
        id_type: IdType,
        body: bytes | None,
        *,
        settled: Callable[[], bool] | None = None,
    ) -> Written:
        version, path = _VERSIONS[reading.space_of(id_type)], f"custom-audience/{checked_name(name)}"
        return self._send(method, version, path, "custom-audience/{name}", body, settled=settled)

    def _send(
        self,
        method: str,
        version: str,
        path: str,
        shown: str,
        body: bytes | None,
        *,
        settled: Callable[[], bool] | None = None,
    ) -> Written:
        request = Request(
            method=method,
            route=f"/{version}/{self.account}/{shown}",
            path=f"/{version}/{self._key}/{path}",
            body=body,
        )
        reply = self._transport.send(request, settled=settled)
        return reading.written(reply.body, clean=self._transport.clean.answering(body or b""))
