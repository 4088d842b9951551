"""A world with a clock that only moves when a test says so, and short verbs to call it without a socket."""

from typing import Any
from urllib.parse import parse_qsl

import orjson

from reconciler.emulator import Options, control
from reconciler.emulator.gate import answer
from reconciler.emulator.messages import Call, Reply
from reconciler.emulator.world import World, digest

KEY, PROJECT, APP = "rest0key", "project_alpha", "DEV0ALPHA"


class Frozen(World):
    """A World whose time is `moment`."""

    moment = 1_700_000_000.0

    def now(self) -> float:
        return self.moment


class Batch:
    """Calls to one frozen world. Verbs return the Reply; `members` and its kin return the truth."""

    def __init__(self, **switches: str) -> None:
        self.world = Frozen(Options(switches=switches, indexing_delay=10, rate_scale=0))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request with good headers, completed or overridden by `headers` (`_` for `-`)."""
        path, _, query = path.partition("?")
        given = {"content-type": "application/json"}
        mep = path.startswith("/1.")
        given |= {"x-authorization": KEY} if mep else {"authorization": f"Bearer {KEY}", "x-batch-project": PROJECT}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        call = Call(
            method=method, path=path, query=parse_qsl(query, keep_blank_values=True), headers=given, body=raw,
            now=self.world.now(), base_url="http://127.0.0.1",
        )  # fmt: skip
        if path.startswith("/_emulator"):
            return control.answer(self.world, call)
        reply = answer(self.world, call)
        self.world.record(call, reply)
        return reply

    def cep(self, route: str, body: Any = None, **headers: str) -> Reply:
        """A CEP call: GET without a body, POST with one."""
        return self.send("GET" if body is None else "POST", f"/2.11/{route}", body, **headers)

    def mep(self, method: str, route: str, body: Any = None, *, version: str = "1.0", **headers: str) -> Reply:
        """A MEP call."""
        return self.send(method, f"/{version}/{APP}/{route}", body, **headers)

    def later(self, seconds: float) -> None:
        """Move the clock."""
        self.world.moment += seconds

    def made(self, name: str = "a", kind: str = "custom_ids", **more: str) -> "Batch":
        """A CEP audience, created and indexed."""
        assert self.cep("audiences/create", {"name": name, "type": kind, **more}).status == 202
        self.later(30)
        return self

    def made_mep(self, name: str = "a", *, version: str = "1.0") -> "Batch":
        """A MEP audience, created and indexed."""
        kind = "custom_ids" if version == "1.0" else "install_ids"
        assert self.mep("POST", f"custom-audience/{name}", {"type": kind}, version=version).status < 300
        self.later(30)
        return self

    def update(self, *ids: Any, name: str = "a", settle: bool = True) -> Reply:
        """Add ids (texts, or whole items); then let them be indexed."""
        items = [{"action": "add", "id": one} if isinstance(one, str) else one for one in ids]
        reply = self.cep("audiences/update", {"name": name, "ids": items})
        if settle:
            self.later(100)
        return reply

    def replace(self, *ids: str, settle: bool = True) -> Reply:
        """Replace the members of `a`."""
        reply = self.cep("audiences/replace", {"name": "a", "ids": [{"id": one} for one in ids]})
        if settle:
            self.later(100)
        return reply

    def view(self, query: str = "name=a") -> dict[str, Any]:
        """The body of a CEP view, with its HTTP status."""
        reply = self.cep(f"audiences/view?{query}")
        assert isinstance(reply.body, dict)
        return {"status": reply.status, **reply.body}

    def members(self, name: str = "a") -> dict[str, Any]:
        """The truth: id → attributes, with tags under `tags` when there are some."""
        body = self.send("GET", f"/_emulator/members?name={name}").body
        assert isinstance(body, dict)
        return {m["id"]: m["attributes"] | ({"tags": m["tags"]} if m["tags"] else {}) for m in body["members"]}

    def stored(self, what: str = "profiles") -> dict[str, Any]:
        """The truth: profiles (CEP) or custom data (MEP) by id."""
        account = digest(PROJECT if what == "profiles" else APP)
        body = self.send("GET", f"/_emulator/{what}?account={account}").body
        assert isinstance(body, dict)
        return {one["id"]: one["attributes"] for one in body[what.replace("-", "_")]}

    def breaches(self) -> dict[str, int]:
        """Kinds of breaches with their numbers."""
        body = self.send("GET", "/_emulator/breaches").body
        assert isinstance(body, dict)
        return dict(body["counts"])
