"""JSON Schema (draft 2020-12) of the plan document. Open: names may be added without raising `format`, none may go."""

from __future__ import annotations

import json

from reconciler.errors import ExitCode
from reconciler.plan import FORMAT, Op, Outcome
from reconciler.render.json import Value

Schema = dict[str, Value]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
SUMS = ("planned", "done", "failed", "not_attempted", "refused", "unknown")


def schema_text() -> str:
    """The file ``schemas/plan.schema.json``, ending in a newline."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


def plan_schema() -> Schema:
    """What `plan`, `show` and `apply` print with ``--format json``: a plan or a report, or why there is none."""
    either: list[Value] = [{"required": [*_plan()]}, {"required": ["problems"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "batchctl plan",
        "description": "What a run would do, or did, or why not. `format` changes when a name or its meaning does.",
        "type": "object",
        "properties": {**_ends(), **_plan(), "problems": {"type": "array", "minItems": 1, "items": _problem()}},
        "required": [*_ends()],
        "oneOf": either,
        "$defs": {"change": _change(), "refusal": _refusal(), "sum": _sum(), "writes": _writes()},
    }


def _ends() -> Schema:
    """In every document."""
    return {
        "format": {"const": FORMAT},
        "tool": _text("Version of batchctl."),
        "outcome": {"enum": [*sorted({code.word for code in ExitCode})]},
        "exit_code": {"enum": [code.value for code in ExitCode]},
    }


def _plan() -> Schema:
    """In a plan or a report."""
    return {
        "project": TEXT,
        "environment": _text("Empty without environments."),
        "state": {
            **_object({"lineage": _text("Empty when there is no state yet."), "serial": COUNT}),
            "description": "What the plan was made from; in a report what apply left.",
        },
        "changes": {"type": "array", "items": {"$ref": "#/$defs/change"}},
        "rejects": {"type": "array", "items": _object({"link": TEXT, "reason": TEXT, "count": COUNT})},
        "cost": _cost(),
        "totals": {"$ref": "#/$defs/sum", "description": "Rows."},
        "requests": {"$ref": "#/$defs/sum", "description": "Requests that write."},
        "writes": {"$ref": "#/$defs/writes"},
        "unmanaged": _map("Destination → audiences of its account that are not managed here."),
        "digest": _text("Identity of the plan."),
        "partial": _flag("A subset was asked for; nothing outside it is read as deleted."),
        "warnings": TEXTS,
    }


def _problem() -> Schema:
    """As `validate` lists them."""
    place = _object({"path": TEXT, "line": _count("From 1; 0 where it is not known."), "column": COUNT})
    return _object(
        {
            "severity": {"enum": ["error", "warning"]},
            "rule": _text("Identity of the check; may be empty."),
            "where": {
                "anyOf": [place, {"type": "null"}],
                "description": "Place in the specs; null where there is none.",
            },
            "what": TEXT,
            "why": TEXT,
            "fix": _text("What to do, commands to paste included; may be empty."),
            "excerpt": _text("Lines of the specs; of Destination documents keys only, never values."),
        }
    )


def _object(properties: dict[str, Value]) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _map(description: str) -> Schema:
    return {"type": "object", "additionalProperties": dict(COUNT), "description": description}


def _optional(kind: str, description: str) -> Schema:
    return {"type": [kind, "null"], "description": description}


def _change() -> Schema:
    held = "Told before and not trusted this time (a data fault is not an exit): nothing is sent."
    return _object(
        {
            "address": _text("The link; `destination/<name>` for profiles; `audience/<name>` for an orphan."),
            "links": {**TEXTS, "description": "Links that feed the target."},
            "destination": TEXT,
            "account": {"type": "string", "description": "First 8 hex digits of sha256 of the account's key."},
            "target": {"enum": ["audience", "profiles"]},
            "audience": _optional("string", "Null for profiles."),
            "op": {"enum": [op.value for op in Op]},
            "reason": TEXT,
            "outcome": {"enum": [outcome.value for outcome in Outcome]},
            "before": _object({"count": _optional("integer", "Members at the last commit; null when there was none.")}),
            "added": COUNT,
            "removed": _count("Without removals for consent."),
            "changed": COUNT,
            "held": _count(held),
            "shared": _count("Identifiers of more than one person."),
            "refused": _nullable("refusal"),
            **_beyond(),
        }
    )


def _beyond() -> Schema:
    return {
        "consent": _object({"removed": COUNT, "refused": _nullable("refusal")}),
        "consent_only": _flag("Refused, but removals for consent are sent."),
        "members": _count("Identifiers, or people for profiles, that belong to the target now."),
        "cleared": _count("Profiles: people who lose at least one value."),
        "unverified": _count("Members or people who lose a value; Batch cannot be asked whether it is gone."),
        "reasserted": _count("Rows sent again of which nobody knows whether Batch has them; no changes for guards."),
        "removed_again": _count("Removals beyond `removed`: of whom Batch may hold without being known to."),
        "refused_before": _count("Wishes that Batch refused in an earlier run and that have not changed."),
        "forget": _flag("Emptied, then given up."),
        "settings": {**TEXTS, "description": "What changes in state besides members."},
        "first_uses": {**TEXTS, "description": "Attributes sent for the first time: enable them in Batch's dashboard."},
        "warnings": TEXTS,
        "rows": {"$ref": "#/$defs/sum"},
        "requests": {"$ref": "#/$defs/sum"},
        "writes": {"$ref": "#/$defs/writes"},
        "sent": _count("Rows sent."),
        "accepted": _count("Rows Batch accepted."),
        "indexed": _optional("integer", "Rows or members Batch reports as indexed; null when not known."),
        "error": _optional("string", "Why it failed."),
    }


def _nullable(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}


def _refusal() -> Schema:
    return _object(
        {
            "rule": TEXT,
            "limit": _optional("number", "Percent or a number, as the rule counts."),
            "actual": _optional("number", "What was found."),
            "override": _text("YAML to write on `where`, or a command; empty when nothing allows it."),
            "where": _text("Address of the document that takes the override."),
            "detail": _text("What is wrong, in words."),
        }
    )


def _cost() -> Schema:
    return _object(
        {
            "requests": _count("What will be sent; refused changes cost nothing."),
            "minimum": _count("⌈rows ÷ limit⌉ of each target, and its creations and deletions."),
            "bytes": _count("Bytes of all request bodies."),
            "seconds": {"type": "number", "minimum": 0, "description": "Least time at the rate limit."},
            "why": _text("Why `requests` is above `minimum`."),
            "endpoints": _map("Requests per endpoint."),
        }
    )


def _writes() -> Schema:
    return _object(
        {
            "sent": _count("Requests that write which went out, whatever the answer."),
            "retries": _count("Those beyond the first of a planned one: repetitions, halves of what was refused."),
        }
    )


def _sum() -> Schema:
    return {
        **_object({name: dict(COUNT) for name in SUMS}),
        "description": "planned = done + failed + not_attempted + refused + unknown.",
    }
