"""What every request goes through before its operation: credentials, pace, size, content type, JSON.

https://doc.batch.com/developer/api/cep/audiences/list, https://doc.batch.com/api/custom-audience/1.0/list/
"""

import re

import orjson

from reconciler.emulator import routes
from reconciler.emulator.messages import Call, Refusal, Reply, no_route, refuse
from reconciler.emulator.profiles import refuse_pace
from reconciler.emulator.routes import Route
from reconciler.emulator.world import World, digest

APPLICATION_KEY = re.compile(r"[A-Za-z0-9]+\Z")
PROJECT_KEY = re.compile(r"project_[A-Za-z0-9]+\Z")


def answer(world: World, call: Call, *, fault: str = "") -> Reply:
    """The Reply to one call. `fault` is a refusal injected in its place once the route is known: 429, 500 or 503."""
    call.api, call.version = routes.api_of(call.path)
    try:
        _authenticate(world, call)
        world.meet(call)
        route = routes.find(world, call)
        call.route, call.writes = route.template, route.writes
        if fault:
            raise _injected(fault)
        if route.limit == "requests":
            _pace(world, call, route, 1)
        _body(world, call, route)
        if route.limit != "requests":
            _pace(world, call, route, max(1, len(call.json) if isinstance(call.json, list) else 1))
        return route.run(world, call)
    except Refusal as refusal:
        return refuse(call, refusal, world.switches)


def _injected(fault: str) -> Refusal:
    if fault == "429":
        return Refusal(429, "TOO_MANY_REQUESTS", "too many requests (injected fault)")
    if fault == "503":
        return Refusal(503, "MAINTENANCE_ERROR", "under maintenance (injected fault)")
    return Refusal(500, "SERVER_ERROR", "unexpected error (injected fault)")


def _denied(text: str, status: int = 401) -> Refusal:
    names = {401: "AUTHENTICATION_INVALID", 403: "API_MISUSE", 404: "ROUTE_NOT_FOUND", 400: "MISSING_PARAMETER"}
    return Refusal(status, names[status], text)


def _authenticate(world: World, call: Call) -> None:
    if call.api == "mep":
        _authenticate_mep(world, call)
    else:
        _authenticate_cep(world, call)


def _authenticate_mep(world: World, call: Call) -> None:
    """`X-Authorization: <REST key>`, and the application key in the path."""
    parts = call.path.lstrip("/").split("/")
    if len(parts) < 3:
        raise no_route()
    key, rest = parts[1], call.headers.get("x-authorization", "").strip()
    if not rest:
        call.breach("missing_header", "X-Authorization is missing")
        raise _denied("the REST key is missing")
    status = int(world.switches["mep_bad_app_key_status"])
    if not APPLICATION_KEY.match(key) or key.lower().startswith("wrong"):
        raise _denied("no such application key", status)
    _known_pair(world, call, key, rest, unknown=_denied("no such application key", status))


def _authenticate_cep(world: World, call: Call) -> None:
    """`Authorization: Bearer <REST key>` and `X-Batch-Project: <project key>`."""
    scheme, _, rest = call.headers.get("authorization", "").partition(" ")
    project = call.headers.get("x-batch-project", "").strip()
    if scheme != "Bearer" or not rest.strip():
        call.breach("missing_header", "Authorization: Bearer is missing")
        raise _denied("the REST key is missing")
    if not project:
        call.breach("missing_header", "X-Batch-Project is missing")
        raise _denied("the project key is missing", int(world.switches["cep_missing_project_status"]))
    if not PROJECT_KEY.match(project) or project.removeprefix("project_").lower().startswith("wrong"):
        raise _denied("key not valid for this project")
    _known_pair(world, call, project, rest.strip(), unknown=_denied("key not valid for this project"))


def _known_pair(world: World, call: Call, key: str, rest: str, *, unknown: Refusal) -> None:
    """Accept any pair but a REST key beginning `wrong`, or only the pairs given with --account."""
    if rest.lower().startswith("wrong"):
        raise _denied("invalid REST key")
    account, company = digest(key), digest(rest)
    if world.accounts:
        if account not in world.accounts:
            raise unknown
        if world.accounts[account] != company:
            raise _denied("invalid REST key")
    call.account, call.company = account, company


def _pace(world: World, call: Call, route: Route, cost: int) -> None:
    """One request a second for CEP (none visible for MEP), custom IDs a second for profile writes."""
    owner = call.company if world.on("rate_scope", "company") else call.account
    switch = world.switches[f"{call.api}_default_rate"]
    bucket = route.limit
    if bucket == "requests":
        if call.api == "mep" and switch == "none":
            return
        owner = f"{owner}/{call.api}"
    if cost > 10_000 or (bucket == "profiles" and cost > 200):
        return  # refused as a whole later, by its number of operations
    if world.rates.take(bucket, owner, cost, call.now):
        return
    refusal = refuse_pace(call)
    if bucket != "requests" or switch == "one_per_second":
        raise refusal


def _body(world: World, call: Call, route: Route) -> None:
    """Size, content type and JSON of the body."""
    most = int(world.switches["max_body_bytes"])
    if most and len(call.body) > most:
        raise Refusal(413, "MALFORMED_PARAMETER", f"the body is larger than {most} bytes")
    if not route.body:
        if call.body.strip() not in (b"", b"{}"):
            call.breach("unexpected_body", "this operation carries no body")
        return
    if call.headers.get("content-encoding", "identity") != "identity":
        call.breach("wrong_header", "no compression of requests is documented")
        raise Refusal(400, "MALFORMED_JSON_BODY", "the body is compressed")
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        call.breach("wrong_header", f"Content-Type is {content_type!r}, not application/json")
        raise Refusal(400, "MALFORMED_JSON_BODY", "Content-Type is not application/json")
    try:
        call.json = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        call.breach("bad_json", "the body is not JSON")
        raise Refusal(400, "MALFORMED_JSON_BODY", "body is not valid JSON") from None
