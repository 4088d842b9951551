"""Values of switches under which no client can reach the declared state: all else is done, and what is missing is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.apply.shop import Done, Shop
from tests.apply.test_anew import withdraw
from tests.apply.test_refused import STOPPED
from tests.apply.test_rules import CEP, DATA, MEP10, RECREATE, L, forget_members, shop_of
from tests.apply.test_switches import BEYOND


def listed(shop: Shop) -> list[dict[str, Any]]:
    """What ``batchctl rejects`` lists."""
    found: list[dict[str, Any]] = json.loads(shop.command("rejects", "--format", "json").out)["rejects"]
    return found


def by_batch(rejects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in rejects if one["reason"].startswith("refused by Batch: ")]


def of(done: Done, address: str) -> dict[str, Any]:
    """One change of a report."""
    (found,) = (one for one in done.plan["changes"] if address in (one["audience"], one["address"]))
    change: dict[str, Any] = found
    return change


def pause(shop: Shop, *pids: str) -> None:
    """These people lose their tier."""
    for pid in pids:
        shop.world.people[pid] = replace(shop.world.people[pid], tier=None)


@pytest.mark.parametrize("link", ["l2", "l6"])
def test_attributes_that_come_back_with_their_member(tmp_path: Path, link: str) -> None:
    """U35: Batch restores what a member had before; the report says that nobody can tell."""
    name = L[link].audience
    with shop_of(tmp_path, L[link], switches=("attributes_after_removal=restored",), count=30) as shop:
        assert of(shop.apply(), name)["unverified"] == 0
        shop.world.applied()
        tiered = sorted(one for one, values in shop.held(name).items() if "tier" in values)
        losing = [one for one in shop.world.people.values() if one.tier and {one.pid, one.inst} & set(tiered)][:3]
        shop.world.people |= {one.pid: replace(one, since=None) for one in losing if one.since}
        lost = sum(one.since is not None for one in losing)
        assert lost
        done = shop.apply()
        assert done.code == 0, done
        change = of(done, name)
        assert (change["unverified"], change["rows"]["done"]) == (lost, 2 * lost), done
        shop.world.applied()
        shop.post("settle")
        wrong = shop.differences()
        assert len(wrong) == lost, wrong
        assert all("date(since)" in line for line in wrong), wrong
        assert shop.plan().code == 0


def test_nulls_that_custom_data_ignores(tmp_path: Path) -> None:
    """U62: the value stays, and the report says that nobody can tell."""
    with shop_of(tmp_path, L["l4"], switches=("custom_data_null=ignore",), count=30) as shop:
        assert shop.apply().code == 0
        shop.world.applied()
        (pid, *_) = (one for one, values in shop.held(DATA).items() if "u.tier" in values)
        pause(shop, pid)
        shop.write()
        assert "1 person loses a value (Batch cannot be asked whether it is gone)" in shop.command("plan").out
        done = shop.command("apply", "--auto-approve")
        assert done.code == 0, done
        assert done.out.count("1 person loses a value (Batch cannot be asked whether it is gone)") == 2
        shop.world.applied()
        (wrong,) = shop.differences()
        assert f"ios {pid}:" in wrong
        assert shop.plan().code == 0


def test_whoever_withdraws_consent_and_has_values_in_custom_data_is_unverified_too(tmp_path: Path) -> None:
    """U62: nobody can tell whether their values are gone either."""
    with shop_of(tmp_path, L["l4"], count=30) as shop:
        shop.turn()
        pid, other, *_ = sorted(one for one, values in shop.held(DATA).items() if "u.tier" in values)
        withdraw(shop, pid)
        pause(shop, other)
        shop.write()
        assert "2 people lose a value (Batch cannot be asked whether it is gone)" in shop.command("plan").out
        done = shop.apply()
        change = of(done, "destination/ios")
        assert (done.code, change["unverified"], change["consent"]["removed"]) == (0, 2, 1), done


def test_nulls_that_custom_data_refuses_are_rejects(tmp_path: Path) -> None:
    """U62: the other values of the row go out, the removal is a reject, every other row is done."""
    with shop_of(tmp_path, L["l4"], switches=("custom_data_null=reject_call",), count=30) as shop:
        shop.refusing = {DATA}
        assert shop.apply().code == 0
        shop.world.applied()
        pid, other, *_ = (one for one, values in shop.held(DATA).items() if "u.tier" in values)
        shop.world.people[pid] = replace(shop.world.people[pid], tier=None, pts=33)
        shop.world.people[other] = replace(shop.world.people[other], tier="silver", pts=34)
        done = shop.apply()
        assert done.code == 7, done
        assert (done.plan["totals"]["refused"], done.plan["totals"]["done"]) == (1, 1)
        (reject,) = by_batch(done.plan["rejects"])
        assert (reject["link"], reject["count"]) == ("segment-link/l4", 1)
        assert reject["reason"].startswith("refused by Batch: removing values was refused, the others were sent: ")
        (row,) = by_batch(listed(shop))
        assert (row["id"], row["reason"], row["link"]) == (pid, reject["reason"], reject["link"])
        shop.world.applied()
        assert shop.differences() == []
        assert shop.held(DATA)[pid]["u.pts"] == 33
        assert "u.tier" in shop.held(DATA)[pid]
        planned = shop.plan()
        assert planned.code == 0
        assert by_batch(planned.plan["rejects"]) == [reject], "a plan says of the same row what the report said"


def test_a_removal_for_consent_that_is_refused_is_asked_for_every_night(tmp_path: Path) -> None:
    """Other rows wait until they change; whoever withdrew consent is not left to that."""
    with shop_of(tmp_path, L["l4"], switches=("custom_data_null=reject_call",), count=30) as shop:
        shop.refusing = {DATA}
        assert shop.apply().code == 0
        shop.world.applied()
        pid, other, *_ = sorted(one for one, values in shop.held(DATA).items() if "u.tier" in values)
        shop.world.people[pid] = replace(shop.world.people[pid], ok=False)
        pause(shop, other)
        for refused in (2, 1, 1):
            done = shop.apply()
            assert (done.code, done.plan["totals"]["planned"], done.plan["totals"]["refused"]) == (7, refused, refused)
            assert of(done, "destination/ios")["consent"]["removed"] == 1
            assert sum(reject["count"] for reject in by_batch(done.plan["rejects"])) == 2
        shop.post("switch", name="custom_data_null", value="delete_key")
        assert shop.apply().code == 0
        assert pid not in shop.held(DATA)


def test_users_that_custom_data_does_not_know_are_rejects(tmp_path: Path) -> None:
    """U59: they are found by halving and named; everybody else gets their values."""
    with shop_of(tmp_path, L["l4"], switches=("custom_data_unknown_user=reject_call",), count=30) as shop:
        people, unknown = shop.world.people, ["unknown-1", "unknown-2"]
        one = next(person for person in people.values() if L["l4"].test(person) and person.ok)
        people |= {pid: replace(one, pid=pid, gaid=None, idfa=None) for pid in unknown}
        done = shop.apply()
        assert done.code == 7, done
        assert sum(reject["count"] for reject in by_batch(done.plan["rejects"])) == done.plan["totals"]["refused"] == 2
        assert sorted(row["id"] for row in by_batch(listed(shop))) == unknown
        assert not [pid for pid in unknown if pid in done.out + done.err], "a report names nobody"
        shop.world.applied()
        assert sorted(line.split()[1].rstrip(":") for line in shop.differences()) == unknown
        assert shop.plan().code == 0
        shop.post("switch", name="custom_data_unknown_user", value="accept_ignored")
        again = shop.apply("--retry-rejects")
        assert (again.code, again.plan["totals"]["done"], by_batch(listed(shop))) == (0, 2, []), again
        assert shop.plan().code == 0


def test_the_text_report_names_what_batch_refused(tmp_path: Path) -> None:
    long = "p" + "9" * 600
    with shop_of(tmp_path, L["l6"], switches=("max_id_length=512",), count=20) as shop:
        shop.world.people[long] = replace(shop.world.people["p12"], pid=long, ok=True)
        shop.write()
        done = shop.command("apply", "--auto-approve")
        assert done.code == 7, done
        report = done.out[done.out.rindex(CEP) :]
        assert "rejected 1 row: 1 refused by Batch: " in report
        assert long not in done.out + done.err
        assert [row["id"] for row in by_batch(listed(shop))] == [long]


def test_members_that_come_back_with_the_name_of_their_audience(tmp_path: Path) -> None:
    """U20: MEP 1.0 has no *replace*, so nothing is sent to it, and another name is proposed."""
    with shop_of(tmp_path, L["l3"], switches=("recreate_after_remove=resurrect_members",)) as shop:
        shop.turn()
        forget_members(shop)
        shop.world.links["l3"] = replace(L["l3"], more=RECREATE)
        shop.post("reset-log")
        done = shop.apply()
        assert (done.code, "another name" in done.said(MEP10)) == (7, True), done
        done = shop.apply()
        assert (done.code, of(done, MEP10)["outcome"]) == (4, "refused"), done
        assert "PATCH" not in [one["method"] for one in shop.log()], "nobody is added to them"


def test_every_value_beyond_reach_is_tried() -> None:
    here = {"attributes_after_removal=restored", "custom_data_unknown_user=reject_call", "custom_data_null=ignore"}
    named = {"indexing_outcome=stuck", "indexing_outcome=silently_lost", "max_id_length=512"}
    named |= {"undeclared_attribute=reject", "max_audience_ids=25000"}
    assert {*here, *named, *STOPPED} >= BEYOND
