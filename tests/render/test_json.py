"""The JSON contract: names, shapes, bytes."""

import json
from typing import Any

from jsonschema import Draft202012Validator

from reconciler.plan import Plan
from reconciler.render.json import plan_json
from reconciler.render.planschema import plan_schema, schema_text
from tests.render.world import rich, sample

TOP = [
    "format",
    "tool",
    "project",
    "environment",
    "state",
    "outcome",
    "exit_code",
    "changes",
    "rejects",
    "cost",
    "totals",
    "unmanaged",
]
CHANGE = [
    "address",
    "links",
    "destination",
    "account",
    "target",
    "audience",
    "op",
    "reason",
    "outcome",
    "before",
    "added",
    "removed",
    "changed",
    "held",
    "shared",
    "refused",
]
SUM = {"planned", "done", "failed", "not_attempted", "refused", "unknown"}


def closed(schema: Any) -> Any:
    """The same schema without room for names it does not describe."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {name: closed(one) for name, one in schema.items()}
    return {"additionalProperties": False, **inside} if "properties" in schema and "type" in schema else inside


def test_plans_are_what_the_schema_says() -> None:
    Draft202012Validator.check_schema(plan_schema())
    validator = Draft202012Validator(closed(plan_schema()))
    for plan in (sample(), rich()):
        assert [error.message for error in validator.iter_errors(json.loads(plan_json(plan)))] == []
    assert json.loads(schema_text()) == plan_schema()


def test_the_names_of_the_contract() -> None:
    got = json.loads(plan_json(sample()))
    assert list(got)[: len(TOP)] == TOP
    assert all(list(change)[: len(CHANGE)] == CHANGE for change in got["changes"])
    assert set(got["totals"]) == SUM
    assert set(got["cost"]) >= {"requests", "minimum", "bytes", "seconds"}
    assert got["state"] == {"lineage": "0b1c", "serial": 41}
    assert (got["outcome"], got["exit_code"]) == ("ok", 0)
    assert got["unmanaged"] == {"cep-main": 12, "shop-ios": 0}
    assert {"link", "reason", "count"} == set(got["rejects"][0])


def test_profiles_have_no_audience() -> None:
    changes = json.loads(plan_json(sample()))["changes"]
    people = [change for change in changes if change["target"] == "profiles"]
    assert [(change["audience"], change["address"]) for change in people] == [(None, "destination/cep-main")]
    assert all(change["audience"] for change in changes if change["target"] == "audience")


def test_a_refusal_names_its_override() -> None:
    (refused,) = [one["refused"] for one in json.loads(plan_json(sample()))["changes"] if one["refused"]]
    assert refused["rule"] == "max_remove_percent"
    assert (refused["limit"], round(refused["actual"], 1)) == (30, 46.1)
    assert refused["override"] == "allow: {remove_percent: 47, until: 2026-11-30, reason: …}"


def test_totals_add_up() -> None:
    for plan in (sample(), rich()):
        got = json.loads(plan_json(plan))
        for sums in (got["totals"], got["requests"], *(change["rows"] for change in got["changes"])):
            assert sums["planned"] == sum(number for name, number in sums.items() if name != "planned")
        assert got["requests"]["planned"] - got["requests"]["refused"] == got["cost"]["requests"]


def test_no_key_reference_and_no_file_is_shown() -> None:
    assert "${env:" not in plan_json(rich())
    assert "parquet" not in plan_json(rich())


def test_a_plan_survives_its_file() -> None:
    for plan in (sample(), rich()):
        again = Plan.model_validate_json(plan.model_dump_json())
        assert again == plan
        assert plan_json(again) == plan_json(plan)
