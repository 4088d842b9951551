"""What a plan says to write or to run is right when it is pasted."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.cli.kit import Command

PROFILES = """
apiVersion: batchctl/v1
kind: Mapping
name: values
catalogue: people
identifier: {{custom_id: pid}}
{attributes}
---
apiVersion: batchctl/v1
kind: Action
name: crm-values
destination: crm
type: send_attributes
mapping: values
---
apiVersion: batchctl/v1
kind: SegmentLink
name: values-crm
segment: loyal
action: crm-values
"""


def declaring(batchctl: Command, attributes: str, declared: str) -> None:
    """Profiles with these attributes, at a destination that declares those."""
    (batchctl.root / "loyal.yaml").unlink(missing_ok=True)
    (batchctl.root / "values.yaml").write_text(PROFILES.format(attributes=attributes))
    specs = batchctl.root / "specs.yaml"
    lines = [line for line in specs.read_text().splitlines() if not line.startswith("attributes: ")]
    at = lines.index("platform: cep")
    specs.write_text("\n".join([*lines[:at], f"attributes: {{{declared}}}", *lines[at:]]) + "\n")


@pytest.mark.parametrize(
    ("mapped", "kind", "name"),
    [
        ("{field: orders, type: float}", "float", "orders_float"),
        (
            "{field: orders, transform: [trim, 'substring(1, 2)', 'map({3: \"a: b\"})', {replace: [a, '#,']}]}",
            "string",
            "orders_string",
        ),
    ],
)
def test_the_entry_for_an_attribute_of_another_type_is_valid_where_it_is_to_be_written(
    mapped: str, kind: str, name: str, batchctl: Command
) -> None:
    declaring(batchctl, "attributes: {orders: orders}", "orders: integer")
    batchctl.ok("apply", "--auto-approve")
    declaring(batchctl, f"attributes: {{orders: {mapped}}}", f"orders: {kind}")
    plan = json.loads(batchctl.ok("plan", "--format", "json"))
    (refused,) = [change["refused"] for change in plan["changes"] if change["refused"]]
    assert refused["where"] == "mapping/values"
    assert f"destination/crm has to declare {name}: {kind}" in refused["detail"]
    declaring(batchctl, refused["override"], f"orders: integer, {name}: {kind}")
    batchctl.ok("validate")
    plan = json.loads(batchctl.ok("plan", "--format", "json"))
    (profiles,) = [change for change in plan["changes"] if change["op"] == "delta"]
    assert (profiles["refused"], profiles["rows"]["planned"]) == (None, 30)


def suggested(batchctl: Command, **environ: str) -> dict[str, list[list[str]]]:
    """Every command that the warnings of a plan name, as its words, by its verb."""
    warned = [line for line in batchctl.ok("plan", **environ).splitlines() if line.startswith("warning")]
    found = [shlex.split(one) for line in warned for one in re.findall(r"batchctl (state .*?)(?=; |$)", line)]
    return {verb: [words for words in found if words[1] == verb] for verb in {words[1] for words in found}}


def told(batchctl: Command) -> dict[str, int]:
    """Members of every target of the state, by key."""
    listed = batchctl.raw("state", "list", "-C", str(batchctl.root), "--format", "json").stdout
    return {one["key"]: one["members"] for one in json.loads(listed)["targets"]}


@pytest.mark.parametrize("profiles", [False, True])
def test_an_account_whose_key_is_another_has_both_ways_out_and_they_work(profiles: bool, batchctl: Command) -> None:
    if profiles:
        declaring(batchctl, "attributes: {orders: orders}", "orders: integer")
    batchctl.ok("apply", "--auto-approve")
    former, environ = told(batchctl), {"SHOP_CRM_KEY": "project_another", "SHOP_IOS_KEY": "another"}
    found = suggested(batchctl, **environ)
    assert {words[4] for words in found["mv"]} == {words[4] for words in found["rm"]} == set(former)
    gone, (*_, before, after) = found["rm"][0], found["mv"][1]
    assert batchctl.raw(*gone, "--auto-approve", **environ).returncode == 0
    assert batchctl.raw(*found["mv"][1], **environ).returncode == 0
    assert suggested(batchctl, **environ) == {}
    assert told(batchctl) == {after: former[before]}


def test_an_account_without_keys_is_given_up_where_nothing_takes_its_place(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    (batchctl.root / "loyal.yaml").unlink()
    (gone,) = suggested(batchctl, SHOP_IOS_KEY="another")["rm"]
    assert batchctl.raw(*gone, "--auto-approve").returncode == 0
    assert suggested(batchctl, SHOP_IOS_KEY="another") == {}


KEY = "encryption: {key: '${env:PLAN_KEY}'}"
SET = {"PLAN_KEY": "ab" * 32}


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("enforced", [False, True])
@pytest.mark.parametrize("damage", ["emptied", "cut", "changed"])
def test_a_saved_plan_that_is_damaged_is_named_and_made_anew(
    damage: str, enforced: bool, sealed: bool, batchctl: Command
) -> None:
    specs, saved = batchctl.root / "specs.yaml", batchctl.root / "b.plan"
    if sealed:
        state = f"state: {{url: state, {KEY.removesuffix('}')}, enforced: {str(enforced).lower()}}}}}"
        specs.write_text(specs.read_text().replace("state: {url: state}", state))
    batchctl.ok("plan", "--out", str(saved), **SET)
    whole = saved.read_bytes()
    middle = len(whole) // 2
    changed = bytes([whole[middle] ^ 1])
    damaged = {"emptied": b"", "cut": whole[:-9], "changed": whole[:middle] + changed + whole[middle + 1 :]}
    saved.write_bytes(damaged[damage])
    for command in ("show", "apply"):
        done = batchctl(command, str(saved), **SET)
        assert done.returncode in ((6,) if damage == "changed" else (1, 6)), done.stderr
        assert f"plan again: batchctl plan -C {batchctl.root} --out FILE" in done.stderr
        assert damage == "changed" or str(saved) in done.stderr
        assert "plan.zip" not in done.stderr


def test_an_attribute_that_is_not_sent_any_more_and_stays_is_said_once(batchctl: Command) -> None:
    declaring(batchctl, "attributes: {orders: orders, email: email}", "orders: integer, email: string")
    batchctl.ok("apply", "--auto-approve")
    declaring(batchctl, "attributes: {orders: orders}", "orders: integer, email: string")
    said = "state only email is not sent any more; it stays on the profiles (on_exit: keep)"
    assert said in " ".join(batchctl.ok("plan").split())
    done = batchctl.ok("apply", "--auto-approve", "--format", "json")
    assert json.loads(done)["writes"]["sent"] == 0
    assert "No changes." in batchctl.ok("plan")
    declaring(batchctl, "attributes: {orders: orders, email: email}", "orders: integer, email: string")
    assert "on_exit.email: (none) → keep" in batchctl.ok("plan")


def test_attributes_that_replace_others_are_each_said(batchctl: Command) -> None:
    declaring(batchctl, "attributes: {orders: orders}", "orders: integer, email: string")
    batchctl.ok("apply", "--auto-approve")
    declaring(batchctl, "attributes: {email: email}", "orders: integer, email: string")
    stays = "orders is not sent any more; it stays on the profiles (on_exit: keep)"
    assert f"in state: on_exit.email: (none) → keep; {stays}" in batchctl.ok("plan")


@pytest.mark.parametrize(
    ("query", "place", "advice"),
    [
        ("SELECT email FROM people", "segment/loyal", "query: SELECT pid FROM …"),
        ("SELECT pid FROM people UNION SELECT email FROM people", "catalogue/people", "max_reject_percent: 100"),
    ],
)
def test_a_query_of_another_column_is_to_select_the_key(query: str, place: str, advice: str, batchctl: Command) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("where: orders >= 3", f"query: {query}"))
    assert f"to allow it, write on {place}:  {advice}" in batchctl.ok("plan")
