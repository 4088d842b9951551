"""Which operation a method and a path name. Templates, never raw paths, go to the log: paths hold keys and ids.

https://doc.batch.com/api/custom-audience/1.0/create/, https://doc.batch.com/developer/api/cep/audiences/create
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from reconciler.emulator import cep, customdata, exports, mep, profiles
from reconciler.emulator.messages import Call, Reply, malformed, no_route
from reconciler.emulator.world import World

Operation = Callable[[World, Call], Reply]
MEP_VERSION = re.compile(r"1\.[01]\Z")
CEP_VERSION = re.compile(r"2\.\d{1,3}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation; `limit` names its rate bucket, `body` says whether the request carries JSON."""

    template: str
    run: Operation
    writes: bool = False
    body: bool = False
    limit: str = "requests"


def _update(world: World, call: Call) -> Reply:
    return profiles.write(world, call, 200)


def _mass_update(world: World, call: Call) -> Reply:
    return profiles.write(world, call, 10_000)


_CEP: dict[tuple[str, str], tuple[Operation, bool, str]] = {
    ("POST", "audiences/create"): (cep.create, True, "requests"),
    ("POST", "audiences/update"): (cep.update, True, "requests"),
    ("POST", "audiences/replace"): (cep.replace, True, "requests"),
    ("POST", "audiences/remove"): (cep.remove, True, "requests"),
    ("GET", "audiences/list"): (cep.listed, False, "requests"),
    ("GET", "audiences/view"): (cep.view, False, "requests"),
    ("POST", "profiles/update"): (_update, True, "profiles"),
    ("POST", "profiles/mass-update"): (_mass_update, True, "mass_profiles"),
    ("POST", "profiles/export"): (exports.start, True, "requests"),
    ("GET", "exports/view"): (exports.view, False, "requests"),
    ("GET", "exports/list"): (exports.listed, False, "requests"),
    ("GET", "exports/download"): (exports.download, False, "requests"),
    ("GET", "segments/list"): (exports.listed_segments, False, "requests"),
}
_AUDIENCE = {
    "POST": (mep.create, True), "PATCH": (mep.update, True), "PUT": (mep.replace, True),
    "DELETE": (mep.remove, False), "GET": (mep.view, False),
}  # fmt: skip


def api_of(path: str) -> tuple[str, str]:
    """`("mep" or "cep", version)` of a raw path."""
    version = path.lstrip("/").split("/", 1)[0]
    return ("mep" if version.startswith("1.") else "cep"), version


def find(world: World, call: Call) -> Route:
    """The operation called, or 404 ROUTE_NOT_FOUND."""
    parts = call.path.lstrip("/").split("/")
    route = _find_mep(call, parts) if call.api == "mep" else _find_cep(world, call, parts)
    if route is None:
        call.breach("unknown_route", f"{call.method} is not a documented verb of this path, or the path does not exist")
        raise no_route()
    return route


def _find_cep(world: World, call: Call, parts: list[str]) -> Route | None:
    if not CEP_VERSION.match(call.version) or (world.on("cep_versions", "2.11_only") and call.version != "2.11"):
        return None
    found = _CEP.get((call.method, "/".join(parts[1:])))
    if found is None:
        return None
    run, writes, limit = found
    template = f"{call.method} /2.x/{'/'.join(parts[1:])}"
    return Route(template=template, run=run, writes=writes, body=writes, limit=limit)


def _find_mep(call: Call, parts: list[str]) -> Route | None:
    if not MEP_VERSION.match(call.version):
        return None
    prefix = f"{call.method} /{call.version}/{{api_key}}"
    match (call.method, parts[2:]):
        case ("GET", ["custom-audience"]):
            return Route(template=f"{prefix}/custom-audience", run=mep.listed)
        case (method, ["custom-audience", name]) if method in _AUDIENCE and name:
            run, body = _AUDIENCE[method]
            template, decoded = f"{prefix}/custom-audience/{{name}}", unquote(name)
            return Route(template=template, run=lambda w, c: run(w, c, decoded), writes=method != "GET", body=body)
        case ("POST" | "DELETE" as method, ["data", "users"]) if call.version == "1.0":
            many = customdata.set_many if method == "POST" else customdata.delete_many
            return Route(template=f"{prefix}/data/users", run=many, writes=True, body=True)
        case ("POST" | "DELETE" as method, ["data", "users", custom_id]) if call.version == "1.0" and custom_id:
            one = customdata.set_one if method == "POST" else customdata.delete_one
            template = f"{prefix}/data/users/{{custom_id}}"
            run_one = _with_id(one, custom_id)
            return Route(template=template, run=run_one, writes=True, body=method == "POST")
        case _:
            return None


def _with_id(run: Callable[[World, Call, str], Reply], raw: str) -> Operation:
    return lambda world, call: run(world, call, _path_id(world, raw))


def _path_id(world: World, raw: str) -> str:
    """A custom ID that travels in the path."""
    if world.on("path_id_decoding", "literal"):
        return raw
    decoded = unquote(raw)
    if "/" in decoded and world.on("path_id_decoding", "reject_slash"):
        raise malformed("the id in the path holds a slash")
    return decoded
