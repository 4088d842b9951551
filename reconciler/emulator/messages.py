"""What travels inside the emulator: a Call, the Reply to it, and the Refusal raised when Batch would say no.

The two error envelopes and the error names come from https://doc.batch.com/ (Custom Audience, Audiences, Profiles).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import orjson

NUMBERS = {
    "SERVER_ERROR": 0, "MAINTENANCE_ERROR": 2, "AUTHENTICATION_INVALID": 10, "API_MISUSE": 12, "ROUTE_NOT_FOUND": 20,
    "TARGET_NOT_FOUND": 20, "AUDIENCE_NOT_FOUND": 20, "MISSING_PARAMETER": 30, "MALFORMED_PARAMETER": 31,
    "MALFORMED_JSON_BODY": 32, "TOO_MANY_REQUESTS": 60,
}  # fmt: skip
RETRY_SECONDS = 5


@dataclass(slots=True, kw_only=True)
class Call:
    """One request as received, then what routing learned about it. `account` and `company` are digests, never keys."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    now: float
    base_url: str = ""
    api: str = "cep"
    version: str = ""
    account: str = ""
    company: str = ""
    route: str = "unknown"
    audience: str = ""
    items: int = 0
    writes: bool = False
    json: Any = None
    token: str | None = None
    breaches: list[tuple[str, str]] = field(default_factory=list)

    def breach(self, kind: str, detail: str) -> None:
        """Note one way in which the client broke the contract, whatever the answer will be."""
        if len(self.breaches) < 20:
            self.breaches.append((kind, detail[:300]))

    def asked(self, name: str) -> str | None:
        """First value of a query parameter, or None."""
        return next((value for key, value in self.query if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `body` is sent as JSON unless `raw` is given."""

    status: int
    body: object = None
    raw: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    def content(self) -> bytes:
        """The bytes of the body."""
        return self.raw if self.raw is not None else orjson.dumps(self.body)


class Refusal(Exception):
    """Batch says no: HTTP status, name of the error, text for a person."""

    def __init__(self, status: int, name: str, text: str) -> None:
        super().__init__(text)
        self.status, self.name, self.text = status, name, text


def malformed(text: str) -> Refusal:
    """400 MALFORMED_PARAMETER."""
    return Refusal(400, "MALFORMED_PARAMETER", text)


def missing(name: str) -> Refusal:
    """400 MISSING_PARAMETER."""
    return Refusal(400, "MISSING_PARAMETER", f'parameter "{name}" is missing')


def no_route(text: str = "no such route") -> Refusal:
    """404 ROUTE_NOT_FOUND."""
    return Refusal(404, "ROUTE_NOT_FOUND", text)


def refuse(call: Call, refusal: Refusal, switches: Mapping[str, str]) -> Reply:
    """The Reply for a Refusal, in the envelope of the API that was called."""
    headers = _retry_headers(call, refusal, switches["retry_after"])
    body = _mep_error(refusal, switches) if call.api == "mep" else _cep_error(refusal, switches)
    error = f"{refusal.name}: {refusal.text}"
    if isinstance(body, str):
        raw = body.encode()
        return Reply(status=refusal.status, raw=raw, content_type="text/plain", headers=headers, error=error)
    return Reply(status=refusal.status, body=body, headers=headers, error=error)


def _retry_headers(call: Call, refusal: Refusal, form: str) -> dict[str, str]:
    if refusal.status not in (429, 503) or form == "absent":
        return {}
    if form == "seconds":
        return {"Retry-After": str(RETRY_SECONDS)}
    return {"Retry-After": formatdate(call.now + RETRY_SECONDS, usegmt=True)}


def _mep_error(refusal: Refusal, switches: Mapping[str, str]) -> object:
    code = NUMBERS[refusal.name]
    if refusal.name == "SERVER_ERROR":
        code = int(switches["mep_server_error_number"])
    match switches["mep_error_envelope"]:
        case "plain_text":
            return f"error {code}: {refusal.text}"
        case "cep_style":
            return {"error_code": refusal.name, "error_message": refusal.text}
        case "code_message":
            return {"code": code, "message": refusal.text}
        case _:
            return {"code": code, "type": refusal.name, "message": refusal.text}


def _cep_error(refusal: Refusal, switches: Mapping[str, str]) -> object:
    number = NUMBERS[refusal.name]
    forms: dict[str, object] = {"name": refusal.name, "numeric_text": str(number), "number": number}
    return {"error_code": forms[switches["cep_error_code_form"]], "error_message": refusal.text}
