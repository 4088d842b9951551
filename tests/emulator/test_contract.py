"""Under the preset `likely` every answer validates against the two OpenAPI documents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from reconciler.emulator import Options, running

HERE = Path(__file__).parent
DOCUMENTS = {api: yaml.safe_load((HERE / f"batch-{api}.openapi.yaml").read_text()) for api in ("mep", "cep")}
REGISTRY: Registry[Any] = Registry().with_resources(
    [(f"urn:{api}", Resource.from_contents(document, DRAFT202012)) for api, document in DOCUMENTS.items()]
)
CEP = {"Authorization": "Bearer k", "X-Batch-Project": "project_contract"}
MEP = {"X-Authorization": "k"}
SEEN: set[tuple[str, str, str]] = set()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with running(Options(indexing_delay=0.02, rate_scale=0)) as url, httpx.Client(base_url=url) as client:
        yield client


def settle(http: httpx.Client) -> None:
    assert http.post("/_emulator/settle").json() == {"pending": 0}


def conforms(api: str, template: str, reply: httpx.Response) -> None:
    """The status is documented for the operation and the body validates."""
    method = reply.request.method.lower()
    responses = DOCUMENTS[api]["paths"][template][method]["responses"]
    status = str(reply.status_code)
    key = status if status in responses else f"{status[0]}XX"
    assert key in responses, f"{method} {template} does not document {status}: {reply.text[:200]}"
    found = responses[key]
    if "$ref" in found:
        found = DOCUMENTS[api]["components"]["responses"][found["$ref"].rsplit("/", 1)[1]]
    SEEN.add((api, template, method))
    if "content" not in found:
        assert reply.content == b""
        return
    kind = reply.headers["content-type"].partition(";")[0]
    schema = rebased(found["content"][kind]["schema"], f"urn:{api}")
    body = reply.json() if kind == "application/json" else reply.text
    OAS31Validator(schema, registry=REGISTRY).validate(body)


def rebased(node: Any, base: str) -> Any:
    """The same schema with absolute references."""
    if isinstance(node, dict):
        return {k: base + v if k == "$ref" and v.startswith("#") else rebased(v, base) for k, v in node.items()}
    return [rebased(item, base) for item in node] if isinstance(node, list) else node


def cep(http: httpx.Client, route: str, body: Any = None, **query: Any) -> httpx.Response:
    method = "GET" if body is None else "POST"
    reply = http.request(method, f"/2.11/{route}", headers=CEP, params=query, json=body)
    conforms("cep", f"/{route}", reply)
    return reply


def mep(http: httpx.Client, method: str, route: str, body: Any = None, *, version: str = "1.0") -> httpx.Response:
    reply = http.request(method, f"/{version}/DEV01/{route}", headers=MEP, json=body)
    parts = route.partition("?")[0].split("/")
    template = {"custom-audience": "custom-audience/{audience_name}", "data": "data/users/{custom_id}"}[parts[0]]
    depth = len(parts)
    conforms("mep", f"/{version}/{{api_key}}/" + "/".join(template.split("/")[:depth]), reply)
    return reply


def test_cep_audiences(http: httpx.Client) -> None:
    for kind in ("custom_ids", "emails", "install_ids"):
        assert cep(http, "audiences/create", {"name": f"c_{kind}", "type": kind}).status_code == 202
    assert cep(http, "audiences/create", {"name": "c_emails", "type": "emails"}).status_code == 400
    attributes = {
        "tier": "gold",
        "score": 3,
        "date(since)": "2024-01-02T00:00:00Z",
        "url(card)": "https://e.com/1",
        "l": ["a"],
    }
    add = {"action": "add", "id": "c-1", "attributes": attributes}
    token = cep(http, "audiences/update", {"name": "c_custom_ids", "ids": [add]}).json()["indexing_token"]
    seen = cep(http, "audiences/view", name="c_custom_ids", indexing_token=token).json()["indexing_state"]
    assert seen in ("IN_PROGRESS", "APPLIED")
    settle(http)
    assert cep(http, "audiences/view", name="c_custom_ids", indexing_token=token).json()["nb_ids"] == 1
    assert cep(http, "audiences/replace", {"name": "c_custom_ids", "ids": [{"id": "c-2"}]}).status_code == 202
    assert cep(http, "audiences/view", name="c_custom_ids", indexing_token=token).json()["indexing_state"] == "REPLACED"
    settle(http)
    members = http.get("/_emulator/members", params={"name": "c_custom_ids"}).json()["members"]
    assert members == [{"id": "c-2", "attributes": {}, "tags": []}]
    assert cep(http, "audiences/view", name="none").status_code == 404
    assert cep(http, "audiences/view").status_code == 400


def test_cep_list_pages(http: httpx.Client) -> None:
    for n in range(12):
        cep(http, "audiences/create", {"name": f"page_{n}", "type": "custom_ids"})
    first = cep(http, "audiences/list").json()
    assert len(first["audiences"]) == 10
    assert first["has_more"]
    names, query = [one["name"] for one in first["audiences"]], first
    while query["has_more"]:
        query = cep(http, "audiences/list", **{"from": query["next_from"], "limit": 3}).json()
        assert "count" not in query
        names += [one["name"] for one in query["audiences"]]
    assert len(names) == len(set(names)) == first["count"]
    assert cep(http, "audiences/list", limit=101).status_code == 400
    assert cep(http, "audiences/remove", {"name": "page_0"}).status_code == 202
    assert cep(http, "audiences/remove", {"name": "page_0"}).status_code == 404


def test_cep_profiles(http: httpx.Client) -> None:
    good = {"$email_address": "jane@example.com", "$language": "fr", "tier": "gold", "vip": True, "l": {"$add": ["a"]}}
    body = [{"identifiers": {"custom_id": "c-1"}, "attributes": good}]
    for route in ("profiles/update", "profiles/mass-update"):
        assert cep(http, route, body).json() == {"code": "SUCCESS"}
    bad = [{"identifiers": {"custom_id": "c-2"}, "attributes": {"Bad": 1, "$region": "france", "tier": None, "ok": 1}}]
    reply = cep(http, "profiles/update", bad).json()
    assert {error["attribute"] for error in reply["errors"]} == {"Bad", "$region"}
    assert cep(http, "profiles/update", body * 201).status_code == 400
    assert cep(http, "profiles/mass-update", {}).status_code == 400


def test_cep_exports_and_segments(http: httpx.Client) -> None:
    segment = cep(http, "segments/list").json()["segments"][0]["code"]
    body = {
        "export_type": "ATTRIBUTES",
        "attributes": ["tier"],
        "identifiers": ["custom_id"],
        "filter": {"segment": segment},
    }
    export = cep(http, "profiles/export", body).json()["id"]
    cep(http, "exports/view", id=export)
    http.post("/_emulator/settle")
    done = cep(http, "exports/view", id=export).json()
    assert done["status"] == "SUCCESS"
    link = cep(http, "exports/download", id=done["files"][0]["id"])
    assert link.status_code == 307
    assert '"custom_id"' in http.get(link.headers["location"]).text
    assert cep(http, "exports/list").json()["count"] == 1
    assert cep(http, "exports/view", id="none").status_code == 404
    assert cep(http, "exports/download", id="none").status_code == 404


@pytest.mark.parametrize(
    ("version", "kind"), [("1.0", "custom_ids"), ("1.0", "advertising_ids"), ("1.1", "install_ids")]
)
def test_mep_audiences(http: httpx.Client, version: str, kind: str) -> None:
    route = f"custom-audience/m_{kind}"
    assert mep(http, "POST", route, {"type": kind, "description": "d"}, version=version).content == b"{}"
    more = {"attributes": {"a": 1, "date(d)": "2024-09-01T00:00:00"}, "tags": ["t"]} if version == "1.1" else {}
    typed = {"type": kind} if version == "1.0" else {}
    body = typed | {"ids": [{"action": "add", "id": "x"} | more]}
    assert mep(http, "PATCH", route, body, version=version).status_code == 202
    settle(http)
    if version == "1.1":
        assert mep(http, "PUT", route, {"ids": [{"id": "y"} | more]}, version=version).status_code == 202
    assert mep(http, "GET", route, version=version).json()["type"] == kind
    assert mep(http, "GET", "custom-audience?from=0&limit=2", version=version).status_code == 200
    assert mep(http, "DELETE", route, version=version).json() == {}
    assert mep(http, "GET", route, version=version).status_code == 404
    assert mep(http, "PATCH", route, body, version=version).status_code == 404
    assert mep(http, "POST", route, {"type": "emails"}, version=version).status_code == 400


def test_mep_custom_data(http: httpx.Client) -> None:
    values = {
        "u.tier": "gold",
        "u.n": 1,
        "u.vip": True,
        "date(u.d)": "2024-09-01T00:00:00",
        "ut.b": ["x"],
        "u.old": None,
    }
    one = {"overwrite": False, "values": values}
    assert "token" in mep(http, "POST", "data/users/u-1", one).json()
    assert "token" in mep(http, "POST", "data/users", [{"id": "u-2", "update": one}]).json()
    assert mep(http, "POST", "data/users", []).status_code == 400
    assert "token" in mep(http, "DELETE", "data/users/u-1").json()
    assert "token" in mep(http, "DELETE", "data/users", ["u-2"]).json()


def test_errors_of_every_kind(http: httpx.Client) -> None:
    """401, 429, 500 and 503 on every operation validate too."""
    for fault, status in ((None, 401), ("429", 429), ("500", 500), ("503", 503)):
        http.post("/_emulator/faults", json={fault: 1.0} if fault else {})
        for api, template, method in sorted(operations()):
            path = template.format(api_key="DEV01", audience_name="x", custom_id="x")
            headers = (CEP if api == "cep" else MEP) if fault else {}
            url = f"/2.11{path}" if api == "cep" else path
            reply = http.request(method, url, headers=headers)
            assert reply.status_code == status, (method, url, reply.text)
            conforms(api, template, reply)
        http.post("/_emulator/faults", json={fault: 0.0} if fault else {})


def operations() -> set[tuple[str, str, str]]:
    verbs = ("get", "post", "put", "patch", "delete")
    return {
        (api, template, method)
        for api, document in DOCUMENTS.items()
        for template, item in document["paths"].items()
        for method in item
        if method in verbs
    }


def test_every_operation_was_driven(http: httpx.Client) -> None:
    assert operations() <= SEEN


def test_documents_hold_no_machine_path() -> None:
    for api in DOCUMENTS:
        text = (HERE / f"batch-{api}.openapi.yaml").read_text()
        assert not any(word in text for word in ("/home/", "/root/", "/tmp/", "/Users/"))


def counter_examples() -> list[tuple[str, str, Any]]:
    routes = {
        "CreateAudience": "audiences/create", "UpdateAudience": "audiences/update",
        "RemoveAudience": "audiences/remove", "ReplaceAudience": "audiences/replace",
        "UpdateProfiles": "profiles/update", "ExportRequest": "profiles/export",
        "MassUpdateProfiles": "profiles/mass-update",
    }  # fmt: skip
    schemas = DOCUMENTS["cep"]["components"]["schemas"]
    wrapped = [
        ("audiences/update", {"name": "strict", "ids": [{"action": "add", "id": "x", "attributes": one}]})
        for one in schemas["AudienceAttributes"]["x-counter-examples"]
    ]
    wrapped += [
        ("profiles/update", [{"identifiers": {"custom_id": "x"}, "attributes": one}])
        for one in schemas["ProfileAttributes"]["x-counter-examples"]
    ]
    listed = [(route, one) for name, route in routes.items() for one in schemas[name]["x-counter-examples"]]
    return [(route, repr(body)[:60], body) for route, body in listed + wrapped]


@pytest.mark.parametrize(
    ("route", "body"), [(r, b) for r, _, b in counter_examples()], ids=[i for _, i, _ in counter_examples()]
)
def test_counter_examples_never_pass_unnoticed(http: httpx.Client, route: str, body: Any) -> None:
    """What the contract forbids is refused, reported as a partial error, or at least recorded as a breach."""
    cep(http, "audiences/create", {"name": "strict", "type": "custom_ids"})
    settle(http)
    http.post("/_emulator/reset-log")
    reply = http.post(f"/2.11/{route}", headers=CEP, json=body)
    noticed = http.get("/_emulator/breaches").json()["counts"]
    assert reply.status_code >= 400 or "errors" in reply.json() or noticed
