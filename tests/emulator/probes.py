"""For each switch, a probe that shows its effect and what it must observe under each value."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.emulator.kit import APP, Batch

Probe = Callable[[Batch], Any]
PROBES: dict[str, tuple[Probe, Mapping[str, Any]]] = {}
EXTRA: dict[str, dict[str, str]] = {}  # other switches a probe needs


def probe(expected: Mapping[str, Any], **others: str) -> Callable[[Probe], Probe]:
    """Register the probe of the switch it is named after."""

    def register(function: Probe) -> Probe:
        PROBES[function.__name__] = (function, expected)
        EXTRA[function.__name__] = others
        return function

    return register


def add(one: str, **more: Any) -> dict[str, Any]:
    return {"action": "add", "id": one, **more}


def drop(one: str) -> dict[str, Any]:
    return {"action": "remove", "id": one}


def profile(one: str, **attributes: Any) -> dict[str, Any]:
    return {"identifiers": {"custom_id": one}, "attributes": attributes}


def row(one: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"id": one, "update": {"overwrite": False, "values": values}}


def data(b: Batch, *rows: Any) -> int:
    return b.mep("POST", "data/users", list(rows)).status


def attributed(b: Batch, **attributes: Any) -> tuple[int, dict[str, Any]]:
    """Status and members after one good id and one with these attributes."""
    return b.made().update("ok", add("x", attributes=attributes)).status, b.members()


# Transport and errors
@probe({"name": "ROUTE_NOT_FOUND", "numeric_text": "20", "number": 20})
def cep_error_code_form(b: Batch) -> Any:
    return b.view("name=none")["error_code"]


@probe({
    "code_type_message": {"code", "type", "message"}, "code_message": {"code", "message"},
    "cep_style": {"error_code", "error_message"}, "plain_text": "text/plain",
})  # fmt: skip
def mep_error_envelope(b: Batch) -> Any:
    reply = b.mep("GET", "custom-audience/none")
    return set(reply.body) if isinstance(reply.body, dict) else reply.content_type


@probe({"1": 1, "0": 0})
def mep_server_error_number(b: Batch) -> Any:
    from reconciler.emulator.messages import Refusal, refuse

    call = _call()
    return refuse(call, Refusal(500, "SERVER_ERROR", "x"), b.world.switches).body["code"]  # type: ignore[index]


def _call() -> Any:
    from reconciler.emulator.messages import Call

    return Call(method="GET", path="/1.0/x/custom-audience", query=[], headers={}, body=b"", now=0.0, api="mep")


@probe({"absent": None, "seconds": "5", "http_date": "Thu, 01 Jan 1970 00:00:05 GMT"})
def retry_after(b: Batch) -> Any:
    from reconciler.emulator.messages import Refusal, refuse

    return refuse(_call(), Refusal(429, "TOO_MANY_REQUESTS", "x"), b.world.switches).headers.get("Retry-After")


@probe({"401": 401, "403": 403, "404": 404})
def mep_bad_app_key_status(b: Batch) -> Any:
    return b.send("GET", "/1.0/WRONG1/custom-audience").status


@probe({"401": 401, "400": 400})
def cep_missing_project_status(b: Batch) -> Any:
    return b.cep("audiences/list", x_batch_project="").status


def _twice(b: Batch, path: str) -> list[int]:
    b.world.rates.scale = 1
    return [b.send("GET", path).status for _ in range(2)]


@probe({"none": [200, 200], "one_per_second": [200, 429]})
def cep_default_rate(b: Batch) -> Any:
    return _twice(b, "/2.11/audiences/list")


@probe({"none": [200, 200], "one_per_second": [200, 429]})
def mep_default_rate(b: Batch) -> Any:
    return _twice(b, f"/1.0/{APP}/custom-audience")


@probe({"project": 200, "company": 429})
def rate_scope(b: Batch) -> Any:
    b.world.rates.scale = 1
    b.cep("audiences/list", x_batch_project="project_one")
    return b.cep("audiences/list", x_batch_project="project_two").status


@probe({"0": 202, "1048576": 413})
def max_body_bytes(b: Batch) -> Any:
    return b.cep("audiences/create", {"name": "a", "type": "custom_ids", "display_name": "x" * 1_048_576}).status


@probe({"ignore": (202, 200, 202), "reject": (400, 400, 400)})
def unknown_fields(b: Batch) -> Any:
    top = b.cep("audiences/create", {"name": "a", "type": "custom_ids", "note": 1}).status
    query = b.cep("audiences/list?page=2").status
    b.made("b")
    return top, query, b.update(add("x", note=1), name="b").status


@probe({"never": [False, False, False], "first_write_of_each_route": [True, False, True]})
def drop_response_after_write(b: Batch) -> Any:
    from reconciler.emulator.faults import drops_first_write
    from reconciler.emulator.messages import Reply

    call, other = _call(), _call()
    call.writes = other.writes = True
    call.route, other.route = "POST /2.x/audiences/update", "POST /2.x/audiences/create"
    return [drops_first_write(b.world, one, Reply(status=202)) for one in (call, call, other)]


# Life of an audience
@probe({
    "reject_400": (400, "one", {"x"}), "reject_409": (409, "one", {"x"}), "accept_noop": (202, "one", {"x"}),
    "accept_update_text": (202, "two", {"x"}), "accept_reset": (202, "one", set()),
})  # fmt: skip
def duplicate_create(b: Batch) -> Any:
    b.made(display_name="one").update("x")
    status = b.cep("audiences/create", {"name": "a", "type": "custom_ids", "display_name": "two"}).status
    b.later(30)
    return status, b.view()["display_name"], set(b.members())


@probe({"reject_400": 400, "ignore": 202})
def type_mismatch(b: Batch) -> Any:
    return b.made_mep().mep("PATCH", "custom-audience/a", {"type": "advertising_ids", "ids": [add("x")]}).status


@probe({"200_empty_object": (200, b"{}"), "200_no_body": (200, b""), "202_token": (202, "token")})
def mep_create_success(b: Batch) -> Any:
    reply = b.mep("POST", "custom-audience/a", {"type": "custom_ids"})
    return reply.status, "token" if b"indexing_token" in reply.content() else reply.content()


@probe({"202_token": (202, True), "200_token": (200, True), "202_no_token": (202, False)})
def mep_write_success(b: Batch) -> Any:
    reply = b.made_mep().mep("PATCH", "custom-audience/a", {"type": "custom_ids", "ids": [add("x")]})
    return reply.status, b"indexing_token" in reply.content()


UNKNOWN = {
    "reject_404": (404, 404),
    "reject_400": (400, 404),
    "accept_ignored": (202, 404),
    "create_implicitly": (202, 200),
}


@probe(UNKNOWN)
def update_unknown_audience(b: Batch) -> Any:
    return b.update("x").status, b.view()["status"]


@probe(UNKNOWN)
def replace_unknown_audience(b: Batch) -> Any:
    return b.replace("x").status, b.view()["status"]


@probe({"reject_404": 404, "reject_400": 400, "accept_noop": 202})
def remove_unknown_audience(b: Batch) -> Any:
    return b.cep("audiences/remove", {"name": "a"}).status


@probe({"404": 404, "400": 400, "200_empty": 200})
def mep_view_unknown(b: Batch) -> Any:
    return b.mep("GET", "custom-audience/none").status


@probe({name: name for name in ("ROUTE_NOT_FOUND", "TARGET_NOT_FOUND", "AUDIENCE_NOT_FOUND")})
def cep_not_found_code(b: Batch) -> Any:
    return b.view("name=none")["error_code"]


def _listed(b: Batch) -> list[str]:
    return [one["name"] for one in b.cep("audiences/list").body["audiences"]]  # type: ignore[index]


@probe({"immediate": (200, ["a"], 200), "after_indexing": (404, [], 200)})
def create_visibility(b: Batch) -> Any:
    b.cep("audiences/create", {"name": "a", "type": "custom_ids"})
    first, listed = b.view()["status"], _listed(b)
    b.later(10)
    return first, listed, b.view()["status"]


@probe({
    "immediate": (404, [], 404, []), "after_indexing": (200, ["a"], 404, []), "list_lags": (404, ["a"], 404, []),
})  # fmt: skip
def remove_visibility(b: Batch) -> Any:
    b.made().cep("audiences/remove", {"name": "a"})
    first, listed = b.view()["status"], _listed(b)
    b.later(10)
    return first, listed, b.view()["status"], _listed(b)


@probe({"fresh_empty": (202, 0), "reject_until_indexed": (400, 0), "resurrect_members": (202, 1)})
def recreate_after_remove(b: Batch) -> Any:
    b.made().update("x")
    b.cep("audiences/remove", {"name": "a"})
    status = b.cep("audiences/create", {"name": "a", "type": "custom_ids"}).status
    b.later(30)
    if status == 400:
        b.made()
    return status, b.view()["nb_ids"]


@probe({"route_not_found": (404, set()), "supported": (202, {"x"})})
def mep10_put(b: Batch) -> Any:
    status = b.made_mep().mep("PUT", "custom-audience/a", {"ids": [{"id": "x"}]}).status
    b.later(30)
    return status, set(b.members())


@probe({"shared": (400, 1), "per_version": (200, 0)})
def mep_name_space(b: Batch) -> Any:
    body = b.made_mep().mep("GET", "custom-audience", version="1.1").body
    status = b.mep("POST", "custom-audience/a", {"type": "install_ids"}, version="1.1").status
    return status, len(body["custom_audiences"])  # type: ignore[index]


@probe({"required": (400, 400), "optional": (200, 400), "any_type": (400, 200)})
def mep11_create_type(b: Batch) -> Any:
    return tuple(
        b.mep("POST", f"custom-audience/a{n}", body, version="1.1").status
        for n, body in enumerate(({}, {"type": "custom_ids"}))
    )


@probe({"ignored": 202, "rejected": 400})
def mep11_write_type(b: Batch) -> Any:
    body = {"type": "install_ids", "ids": [add("x")]}
    return b.made_mep(version="1.1").mep("PATCH", "custom-audience/a", body, version="1.1").status


@probe({"emails": 202, "not_supported": 400})
def cep_email_type(b: Batch) -> Any:
    return b.cep("audiences/create", {"name": "a", "type": "emails"}).status


@probe({"install_ids": (202, 400), "installation_ids": (400, 202), "not_supported": (400, 400)})
def cep_install_type(b: Batch) -> Any:
    return tuple(
        b.cep("audiences/create", {"name": kind, "type": kind}).status for kind in ("install_ids", "installation_ids")
    )


@probe({"upper_singular": "CUSTOM_ID", "request_value": "custom_ids"})
def cep_response_type_form(b: Batch) -> Any:
    return b.made().view()["type"]


@probe({"omitted": "missing", "null": None, "empty": ""})
def absent_text_field(b: Batch) -> Any:
    return b.made().view().get("display_name", "missing")


@probe({"created_desc": ["b", "c", "a"], "name_asc": ["a", "b", "c"], "unstable": "another order each time"})
def cep_list_order(b: Batch) -> Any:
    for name in ("a", "c", "b"):
        b.made(name)
    first = _listed(b)
    return first if all(_listed(b) == first for _ in range(8)) else "another order each time"


@probe({"absent": "missing", "null": None, "stale_text": "text"})
def last_page_cursor(b: Batch) -> Any:
    found = b.made().cep("audiences/list").body.get("next_from", "missing")  # type: ignore[attr-defined]
    return found if found in (None, "missing") else "text"


@probe({"absent": None, "count": 1})
def mep_list_total(b: Batch) -> Any:
    return b.made_mep().mep("GET", "custom-audience").body.get("count")  # type: ignore[attr-defined]


@probe({"on_applied": [0, 1, 1], "on_accept": [1, 1, 1], "after_applied": [0, 0, 1]})
def nb_ids_timing(b: Batch) -> Any:
    b.made().update("x", settle=False)
    seen = []
    for _ in range(3):
        seen.append(b.view()["nb_ids"])
        b.later(11)
    return seen


@probe({"0": [202, 202, 202], "2": [202, 202, 403]})
def max_audiences(b: Batch) -> Any:
    return [b.cep("audiences/create", {"name": f"a{n}", "type": "custom_ids"}).status for n in range(3)]


@probe({"0": [202, 202, 202], "25000": [202, 202, 403]})
def max_audience_ids(b: Batch) -> Any:
    b.made()
    return [b.update(*(f"{n}-{i}" for i in range(10_000))).status for n in range(3)]


# Writing members
@probe({"reject_400": 400, "accept": 202})
def empty_update(b: Batch) -> Any:
    return b.made().update().status


@probe({"reject_400": (400, 1), "accept_clear": (202, 0), "accept_ignored": (202, 1)})
def empty_replace(b: Batch) -> Any:
    b.made().update("x")
    return b.replace().status, len(b.members())


@probe({"reject_400": (400, 0), "reject_413": (413, 0), "truncate": (202, 10_000)})
def over_limit_ids(b: Batch) -> Any:
    status = b.made().update(*(f"u{i}" for i in range(10_001))).status
    return status, b.view()["nb_ids"]


@probe({"reject_call": (400, set()), "drop_silently": (202, {"x"}), "accept": (202, {"x", "7"})})
def bad_item(b: Batch) -> Any:
    return b.made().update("x", add(7)).status, set(b.members())  # type: ignore[arg-type]


@probe({"noop": 202, "reject_call": 400})
def remove_absent_member(b: Batch) -> Any:
    return b.made().update(drop("x")).status


@probe({"replace": {"x": {"b": 2}}, "merge": {"x": {"a": 1, "b": 2}}})
def readd_attributes(b: Batch) -> Any:
    b.made().update(add("x", attributes={"a": 1}))
    b.update(add("x", attributes={"b": 2}))
    return b.members()


@probe({"clear": {"x": {}}, "keep": {"x": {"a": 1}}})
def readd_without_attributes(b: Batch) -> Any:
    b.made().update(add("x", attributes={"a": 1}))
    b.update("x")
    return b.members()


@probe({"forgotten": {"x": {"b": 2}}, "restored": {"x": {"a": 1, "b": 2}}})
def attributes_after_removal(b: Batch) -> Any:
    b.made().update(add("x", attributes={"a": 1}))
    b.update(drop("x"))
    b.update(add("x", attributes={"b": 2}))
    return b.members()


@probe(
    {"none": {" A ", "A@X"}, "trim": {"A", "A@X"}, "lowercase_emails": {" a ", "a@x"}, "trim_lowercase": {"a", "a@x"}}
)
def id_normalisation(b: Batch) -> Any:
    b.made(kind="emails").update(" A ", "A@X")
    return set(b.members())


@probe({"0": (202, 202), "1024": (202, 400), "512": (400, 400)})
def max_id_length(b: Batch) -> Any:
    return b.made().update("x" * 1000).status, b.update("x" * 1025).status


@probe({"last_wins": (202, set()), "first_wins": (202, {"x"}), "reject_call": (400, set())})
def mep_duplicate_in_call(b: Batch) -> Any:
    reply = b.made_mep().mep("PATCH", "custom-audience/a", {"type": "custom_ids", "ids": [add("x"), drop("x")]})
    b.later(30)
    return reply.status, set(b.members())


@probe({"in_order": {"new"}, "any_order": {"new", "old"}})
def write_ordering(b: Batch) -> Any:
    b.made().update("old", settle=False)
    b.replace("new", settle=False)
    b.later(100)
    return set(b.members())


@probe({"each_wipes": {"two"}, "append_while_indexing": {"one", "two"}})
def replace_sequence(b: Batch) -> Any:
    b.made().replace("one", settle=False)
    b.replace("two", settle=False)
    b.later(100)
    return set(b.members())


# Tokens
@probe({"not_found_404": 404, "bad_request_400": 400, "last_state": 200})
def unknown_token(b: Batch) -> Any:
    return b.made().view("name=a&indexing_token=0000")["status"]


@probe({"0": [200, 200], "60": [200, 404]})
def token_ttl_seconds(b: Batch) -> Any:
    token = b.made().update("x", settle=False).body["indexing_token"]  # type: ignore[index]
    b.later(50)
    early = b.view(f"name=a&indexing_token={token}")["status"]
    b.later(50)
    return [early, b.view(f"name=a&indexing_token={token}")["status"]]


@probe({
    "applied": (["IN_PROGRESS", "APPLIED", "APPLIED"], 1), "stuck": (["IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS"], 0),
    "applied_slowly": (["IN_PROGRESS", "IN_PROGRESS", "APPLIED"], 1),
    "silently_lost": (["IN_PROGRESS", "APPLIED", "APPLIED"], 0),
})  # fmt: skip
def indexing_outcome(b: Batch) -> Any:
    b.made()
    b.later(100)
    b.update("x", settle=False)
    states = []
    for _ in range(3):
        states.append(b.view()["indexing_state"])
        b.later(26)
    return states, len(b.members())


def _older(b: Batch, *, settled: bool) -> str:
    token = b.update("x", settle=settled).body["indexing_token"]  # type: ignore[index]
    b.replace("y")
    return str(b.view(f"name=a&indexing_token={token}")["indexing_state"])


@probe({"older_tokens": ["REPLACED", "REPLACED"], "in_progress_only": ["APPLIED", "REPLACED"]})
def cep_replaced_state(b: Batch) -> Any:
    b.made()
    return [_older(b, settled=True), _older(b, settled=False)]


@probe({"never": "APPLIED", "older_tokens": "REPLACED"})
def mep_replaced_state(b: Batch) -> Any:
    b.made_mep(version="1.1")
    body = b.mep("PATCH", "custom-audience/a", {"ids": [add("x")]}, version="1.1").body
    b.mep("PUT", "custom-audience/a", {"ids": [{"id": "y"}]}, version="1.1")
    b.later(30)
    route = f"custom-audience/a?indexing_token={body['indexing_token']}"  # type: ignore[index]
    return b.mep("GET", route, version="1.1").body["indexing_state"]  # type: ignore[index]


# Attributes of members
@probe({
    "reject_call": (400, {}), "drop_item": (202, {"ok": {}}), "drop_attribute": (202, {"ok": {}, "x": {"good": 1}}),
})  # fmt: skip
def audience_attribute_violation(b: Batch) -> Any:
    return attributed(b, good=1, long="x" * 301)


@probe({"15_30_64_10": [202, 400, 400], "20_30_64_10": [202, 202, 400], "none": [202, 202, 202]})
def mep11_limits(b: Batch) -> Any:
    b.made_mep(version="1.1")
    return [
        b.mep("PATCH", "custom-audience/a", {"ids": [add("x", attributes=attributes)]}, version="1.1").status
        for attributes in ({"a": 1}, {f"a{n}": 1 for n in range(16)}, {"a": "x" * 65})
    ]


@probe({
    "accept": (202, {"ok": {}, "x": {"a": 1, "vip": True}}), "reject_call": (400, {}),
    "drop_attribute": (202, {"ok": {}, "x": {"a": 1}}),
})  # fmt: skip
def audience_boolean(b: Batch) -> Any:
    return attributed(b, a=1, vip=True)


@probe({"reject_call": (400, {"a": 1}), "ignore": (202, {"a": 1, "b": 2}), "delete_key": (202, {"b": 2})},
       readd_attributes="merge")  # fmt: skip
def audience_null(b: Batch) -> Any:
    b.made().update(add("x", attributes={"a": 1}))
    status = b.update(add("x", attributes={"a": None, "b": 2})).status
    return status, b.members()["x"]


@probe({"reject": (400, {}), "accept": (202, {"ok": {}, "x": {"e": "", "l": []}})})
def empty_values(b: Batch) -> Any:
    return attributed(b, e="", l=[])


@probe(
    {"reject": (400, {}), "lowercase": (202, {"ok": {}, "x": {"tier": 1}}), "keep": (202, {"ok": {}, "x": {"Tier": 1}})}
)
def uppercase_key(b: Batch) -> Any:
    return attributed(b, Tier=1)


@probe({"canonical_only": (400, {}), "lenient": (202, {"ok": {}, "x": {"date(d)": "2024-01-01T22:00:00Z"}})})
def date_forms(b: Batch) -> Any:
    return attributed(b, **{"date(d)": "2024-01-02T00:00:00+02:00"})


@probe({"characters": [202, 202], "utf16": [202, 400], "utf8_bytes": [400, 400]})
def length_unit(b: Batch) -> Any:
    b.made()
    return [b.update(add("x", attributes={"a": text * 200})).status for text in ("é", "😀")]


@probe({"keep": ["VIP"], "lowercase": ["vip"]})
def tag_case(b: Batch) -> Any:
    b.made_mep(version="1.1").mep("PATCH", "custom-audience/a", {"ids": [add("x", tags=["VIP"])]}, version="1.1")
    b.later(30)
    return b.members()["x"]["tags"]


# User data
def _profiles(b: Batch, *operations: Any) -> tuple[Any, dict[str, Any]]:
    reply = b.cep("profiles/update", list(operations))
    body: Any = reply.body
    return (body["code"] if reply.status == 202 else reply.status), b.stored()


@probe({
    "drop_reported": ("SUCCESS_WITH_PARTIAL_ERRORS", {"x": {"a": 1}}), "reject_call": (400, {}),
    "drop_silently": ("SUCCESS", {"x": {"a": 1}}),
})  # fmt: skip
def profile_bad_identifier(b: Batch) -> Any:
    return _profiles(b, profile("x", a=1), profile("", a=1))


@probe({"drop_reported": ("SUCCESS_WITH_PARTIAL_ERRORS", {"x": {"a": 1}}), "reject_call": (400, {})})
def profile_bad_attribute(b: Batch) -> Any:
    return _profiles(b, profile("x", a=1, Bad=2))


@probe({
    "in_order": ("SUCCESS", {"x": {"a": 1, "b": 2}}), "last_wins": ("SUCCESS", {"x": {"b": 2}}),
    "reject_call": (400, {}),
})  # fmt: skip
def profile_duplicate_in_call(b: Batch) -> Any:
    return _profiles(b, profile("x", a=1), profile("x", b=2))


@probe({
    "new_type_wins": ("SUCCESS", {"x": {"a": "t"}}), "drop_silently": ("SUCCESS", {"x": {"a": 1}}),
    "drop_reported": ("SUCCESS_WITH_PARTIAL_ERRORS", {"x": {"a": 1}}),
})  # fmt: skip
def type_flip(b: Batch) -> Any:
    _profiles(b, profile("x", a=1))
    b.later(30)
    return _profiles(b, profile("x", a="t"))


@probe({"per_operation": 52, "per_profile": 50})
def profile_attribute_quota(b: Batch) -> Any:
    _profiles(b, profile("x", **{f"a{n}": 1 for n in range(49)}))
    _, stored = _profiles(b, profile("x", b1=1, b2=1, b3=1))
    return len(stored["x"])


@probe({"create_hidden": ("SUCCESS", {"x": {"a": 1}}), "reject": ("SUCCESS_WITH_PARTIAL_ERRORS", {"x": {}})})
def undeclared_attribute(b: Batch) -> Any:
    return _profiles(b, profile("x", a=1))


@probe({"int64_and_double": 2**53 + 1, "double_only": 2**53})
def number_range(b: Batch) -> Any:
    return _profiles(b, profile("x", a=2**53 + 1))[1]["x"]["a"]


@probe({"200_token": (200, True), "201_token": (201, True), "202_token": (202, True), "200_empty": (200, False)})
def custom_data_success(b: Batch) -> Any:
    reply = b.mep("POST", "data/users", [row("x", {"u.a": 1})])
    return reply.status, b"token" in reply.content()


@probe({"accept_ignored": (200, set()), "store_for_later": (200, {"unknown1"}), "reject_call": (400, set())})
def custom_data_unknown_user(b: Batch) -> Any:
    return data(b, row("unknown1", {"u.a": 1})), set(b.stored("custom-data"))


@probe({"reject_call": (400, set()), "drop_silently": (200, {"x"})})
def custom_data_bad_row(b: Batch) -> Any:
    return data(b, row("x", {"u.a": 1}), row("y", {"bad": 1})), set(b.stored("custom-data"))


@probe({"false": {"u.a": 1, "u.b": 2}, "true": {"u.b": 2}})
def custom_data_overwrite_default(b: Batch) -> Any:
    data(b, row("x", {"u.a": 1}))
    data(b, {"id": "x", "update": {"values": {"u.b": 2}}})
    return b.stored("custom-data")["x"]


@probe({"delete_key": (200, {}), "reject_call": (400, {"u.a": 1}), "ignore": (200, {"u.a": 1})})
def custom_data_null(b: Batch) -> Any:
    data(b, row("x", {"u.a": 1}))
    return data(b, row("x", {"u.a": None})), b.stored("custom-data")["x"]


@probe({"add_and_remove": [200, 200], "add_only": [200, 400], "none": [400, 400]})
def custom_data_tag_edit(b: Batch) -> Any:
    return [data(b, row("x", {"ut.t": {verb: ["a"]}})) for verb in ("$add", "$remove")]


@probe({"reject_call": (400, {"ut.t": ["a"]}), "clear": (200, {})})
def custom_data_empty_tags(b: Batch) -> Any:
    data(b, row("x", {"ut.t": ["a"]}))
    return data(b, row("x", {"ut.t": []})), b.stored("custom-data")["x"]


@probe({"accept": 200, "reject_call": 400})
def custom_data_url_key(b: Batch) -> Any:
    return data(b, row("x", {"url(u.site)": "https://example.com/"}))


@probe({"percent_decode": (200, {"a/b"}), "literal": (200, {"a%2Fb"}), "reject_slash": (400, set())})
def path_id_decoding(b: Batch) -> Any:
    reply = b.mep("POST", "data/users/a%2Fb", {"overwrite": False, "values": {"u.a": 1}})
    return reply.status, set(b.stored("custom-data"))


@probe({"accept": 200, "reject_404": 404})
def custom_data_delete_unknown(b: Batch) -> Any:
    return b.mep("DELETE", "data/users", ["nobody"]).status


# Exports, segments, versions
@probe({"plural_of_resource": ("segments", "exports"), "data": ("data", "data"), "items": ("items", "items")})
def list_array_key(b: Batch) -> Any:
    bodies: list[Any] = [b.cep("segments/list").body, b.cep("exports/list").body]
    return tuple(next(key for key, value in body.items() if isinstance(value, list)) for body in bodies)


EXPORT = {"export_type": "ATTRIBUTES", "identifiers": ["custom_id"], "attributes": ["a", "b"]}


@probe({"none": {202}, "five_per_hour": {202, 429}})
def export_segment_rate(b: Batch) -> Any:
    b.world.rates.scale = 1
    statuses = set()
    for _ in range(12):
        b.later(2)
        statuses.add(b.cep("profiles/export", EXPORT | {"filter": {"segment": "ALL-PROFILES"}}).status)
    return statuses


def _file(b: Batch) -> Any:
    _profiles(b, profile("x", a=1))
    export: Any = b.cep("profiles/export", EXPORT).body
    b.later(30)
    body: Any = b.cep(f"exports/view?id={export['id']}").body
    return b.cep(f"exports/download?id={body['files'][0]['id']}")


@probe({"redirect_307": 307, "body_200": 200})
def export_download(b: Batch) -> Any:
    return _file(b).status


@probe({"404": 404, "400": 400})
def export_unknown_id(b: Batch) -> Any:
    return b.cep("exports/view?id=none").status


LINE = b'{"identifiers":{"custom_id":"x"},"attributes":{"a":1}}'


@probe({"ndjson": LINE + b"\n", "json_array": b"[" + LINE + b"]"}, export_download="body_200")
def export_file_form(b: Batch) -> Any:
    return _file(b).content()


@probe({"omitted": False, "null": True}, export_download="body_200")
def export_missing_attribute(b: Batch) -> Any:
    return b'"b":null' in _file(b).content()


@probe({"any_2x": [200, 200], "2.11_only": [200, 404]})
def cep_versions(b: Batch) -> Any:
    return [b.send("GET", f"/{version}/audiences/list").status for version in ("2.11", "2.13")]
