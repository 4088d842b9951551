"""Request bodies checked against the two OpenAPI documents that describe Batch's APIs."""

import functools
import re
from pathlib import Path
from typing import Any

import yaml
from openapi_schema_validator import OAS31Validator

HERE = Path(__file__).parent.parent / "emulator"


@functools.cache
def document(api: str) -> Any:
    return yaml.safe_load((HERE / f"batch-{api}.openapi.yaml").read_text())


def _operation(api: str, method: str, path: str) -> Any:
    for template, operations in document(api)["paths"].items():
        pattern = re.sub(r"\\{[^/]*?\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return operations[method.lower()]
    raise AssertionError(f"no {method} {path} in {api}")


def check_request(api: str, method: str, path: str, body: Any) -> None:
    """Raises when the document has no such operation, or its schema does not accept the body."""
    operation = _operation(api, method, path)
    if "requestBody" not in operation:
        assert body is None, f"{method} {path} carries no body"
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    OAS31Validator({**schema, "components": document(api)["components"]}).validate(body)


def check_query(api: str, method: str, path: str, query: dict[str, str]) -> None:
    """Every query parameter is one of the document's."""
    known = document(api)["components"]["parameters"]
    listed = [
        one if "name" in one else known[one["$ref"].rsplit("/", 1)[-1]]
        for one in _operation(api, method, path).get("parameters", [])
    ]
    assert set(query) <= {one["name"] for one in listed if one["in"] == "query"}
