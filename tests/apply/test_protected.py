"""An audience that prevent_destroy protects and no link names any more: who it still obeys, and how it is let go."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.apply.shop import KEYS, Done, Shop
from tests.apply.test_anew import STRICT
from tests.apply.test_rules import CEP, PROFILES, L, outcomes, rules, shop_of
from tests.apply.warm import Warm

PROTECTED = "lifecycle: {prevent_destroy: true}\n"
LINK = replace(L["l6"], more=PROTECTED)
RENAMED = "audience: {name: renamed}\n"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The link's audience was renamed: the former one is protected, with everybody in it."""
    with shop_of(tmp_path, L["l3"], LINK, count=40) as shop:
        shop.turn()
        link(shop, RENAMED + PROTECTED)
        done = shop.apply()
        assert (done.code, rules(done), names(shop)) == (4, {"prevent_destroy"}, {"l3_custom_ids", CEP, "renamed"}), (
            done
        )
        yield shop


def link(shop: Shop, more: str) -> None:
    shop.world.links["l6"] = replace(L["l6"], more=more)


def names(shop: Shop) -> set[str]:
    return {one["name"] for one in shop.ask("audiences")["audiences"]}


def refusal(done: Done) -> dict[str, Any]:
    (found,) = [one["refused"] for one in done.plan["changes"] if one["audience"] == CEP]
    return dict(found)


def withdraw(shop: Shop, number: int) -> set[str]:
    """That many members of the former audience take their consent back."""
    people, gone = shop.world.people, sorted(shop.held(CEP))[:number]
    for pid in gone:
        people[pid] = replace(people[pid], ok=False)
    return set(gone)


def test_a_protection_holds_from_the_day_it_is_declared_though_a_guard_refuses_the_rest(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], count=40) as shop:
        shop.turn()
        for pid in sorted(shop.held(CEP))[:30]:
            del shop.world.people[pid]
        link(shop, PROTECTED + STRICT)
        done = shop.apply()
        assert (done.code, rules(done)) == (4, {"max_remove_percent"}), done
        del shop.world.links["l6"]
        done = shop.apply()
        assert (done.code, rules(done), names(shop)) == (4, {"prevent_destroy"}, {CEP}), done


def test_the_override_of_a_link_that_is_left_lets_its_former_audience_go(shop: Shop) -> None:
    said = refusal(shop.plan())
    assert said["where"] == "segment-link/l6"
    link(shop, f"{RENAMED}{said['override']}\n")
    done = shop.apply()
    assert (done.code, outcomes(done)[CEP]) == (0, "done"), done
    assert names(shop) == {"l3_custom_ids", "renamed"}
    link(shop, RENAMED + PROTECTED)
    assert shop.apply().code == 0
    assert shop.plan().code == 0


def test_a_link_that_was_renamed_too_decides_for_its_former_audience(shop: Shop) -> None:
    shop.world.links["l9x"] = replace(L["l6"], name="l9x", more=f"moved_from: segment-link/l6\n{RENAMED}{PROTECTED}")
    del shop.world.links["l6"]
    done = shop.apply()
    assert refusal(done)["where"] == "segment-link/l9x", done
    shop.world.links["l9x"] = replace(shop.world.links["l9x"], more=f"moved_from: segment-link/l6\n{RENAMED}")
    done = shop.apply()
    assert (done.code, refusal(done)["where"]) == (4, "segment-link/l9x"), "protection is not lost with its line"
    more = f"moved_from: segment-link/l6\n{RENAMED}lifecycle: {{prevent_destroy: false}}\n"
    shop.world.links["l9x"] = replace(shop.world.links["l9x"], more=more)
    assert shop.apply().code == 0
    assert CEP not in names(shop)


def test_what_its_link_says_of_the_end_decides_for_a_former_audience(shop: Shop) -> None:
    held = shop.held(CEP)
    link(shop, RENAMED + "lifecycle: {on_destroy: keep, prevent_destroy: true}\n")
    said = refusal(shop.apply())
    link(shop, f"{RENAMED}{said['override']}\n")
    assert shop.apply().code == 0
    assert (shop.held(CEP), shop.plan().code) == (held, 0)


def test_who_withdraws_consent_leaves_a_former_audience_that_is_kept(shop: Shop, tmp_path: Path) -> None:
    before, gone = set(shop.held(CEP)), withdraw(shop, 2)
    shop.write()
    assert "2 removals for consent go out all the same" in shop.command("plan").out
    done = shop.apply("--wait")
    assert (done.code, rules(done), outcomes(done)[CEP]) == (4, {"prevent_destroy"}, "refused"), done
    assert not done.said(CEP), "all is as it should be"
    assert set(shop.held(CEP)) == before - gone
    again = shop.apply()
    assert (again.code, again.plan["totals"]["planned"]) == (4, 0), again
    gone |= withdraw(shop, 1)
    shop.write()
    saved = str(tmp_path / "saved")
    assert shop.command("plan", "--out", saved).code == 0
    assert shop.command("apply", saved).code == 4
    shop.post("settle")
    assert set(shop.held(CEP)) == before - gone


def test_removals_for_consent_that_were_cut_off_go_on(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "warm").mkdir()
    before, ends = set(shop.held(CEP)), set[int]()
    with Warm(tmp_path / "warm") as warm:
        for at in range(1, 13, 4):
            gone = withdraw(shop, 1)
            shop.write()
            crash = {"BATCHCTL_CRASH_AT": str(at), "BATCHCTL_API_URL": shop.url}
            ends.add(warm.run("apply", "--auto-approve", "-C", str(shop.root), **KEYS, **crash))
            assert shop.apply().code == 4
            shop.post("settle")
            before -= gone
            assert set(shop.held(CEP)) == before, at
    assert -9 in ends
    assert shop.apply().plan["totals"]["planned"] == 0


@pytest.mark.parametrize(("was", "now"), [("send_custom_ids", "send_emails"), ("send_emails", "send_custom_ids")])
def test_consent_counts_where_the_link_sends_another_identifier_now(tmp_path: Path, was: str, now: str) -> None:
    with shop_of(tmp_path, replace(L["l7"], kind=was, more=PROTECTED), count=40) as shop:
        shop.turn()
        (former,) = names(shop)
        shop.world.links["l7"] = replace(L["l7"], kind=now, more=PROTECTED)
        assert rules(shop.apply()) == {"prevent_destroy"}
        shop.post("settle")
        people, before = shop.world.people, set(shop.held(former))
        one = next(one for one in people.values() if before & set(shop.world.ids(L["l7"], one) + [one.pid]))
        people[one.pid] = replace(one, ok=False)
        done = shop.apply()
        assert done.code == 4, done
        shop.post("settle")
        assert len(before - set(shop.held(former))) == 1


def test_profiles_that_are_protected_give_up_what_was_told_of_who_withdraws_consent(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l8"], more=PROTECTED), count=40) as shop:
        shop.turn()
        before = set(shop.held(PROFILES))
        shop.world.links["l8"] = replace(L["l8"], destination="ios", attributes=("tier", "pts"), more=PROTECTED)
        assert rules(shop.apply()) == {"prevent_destroy"}
        gone = min(before)
        shop.world.people[gone] = replace(shop.world.people[gone], ok=False)
        done = shop.apply()
        assert (done.code, rules(done)) == (4, {"prevent_destroy"}), done
        assert set(shop.held(PROFILES)) == before - {gone}


def test_too_many_removals_for_consent_of_a_former_audience_are_refused_by_themselves(shop: Shop) -> None:
    shop.world.links["l6"] = replace(
        LINK, more=f"{RENAMED}{PROTECTED}allow: {{add_percent: 100, until: 2999-01-01, reason: tests}}\n"
    )
    before = withdraw(shop, 8) | set(shop.held(CEP))
    done = shop.apply()
    assert set(shop.held(CEP)) == before, done
    (change,) = [one for one in done.plan["changes"] if one["audience"] == CEP]
    assert change["consent"]["refused"]["rule"] == "max_consent_percent"
    link(shop, RENAMED + PROTECTED)
    shop.apply()
    assert len(shop.held(CEP)) == len(before) - 8


def test_without_any_link_both_ways_out_work_as_they_are_written(shop: Shop) -> None:
    del shop.world.links["l6"]
    shop.apply()
    said = refusal(done := shop.plan())
    assert said["where"] == ""
    assert f"audience: {{name: {CEP}}} and lifecycle: {{prevent_destroy: false}}" in said["detail"]
    assert "people who withdraw consent stay in it until it may be deleted or emptied" in done.said(CEP)
    text = shop.command("plan").out
    assert "to leave it in Batch as it is and give it up:  batchctl state rm" in text
    shop.world.links["back"] = replace(
        L["l6"], name="back", more=f"audience: {{name: {CEP}}}\nlifecycle: {{prevent_destroy: false}}\n"
    )
    assert shop.apply().code == 4, "the renamed one is protected still"
    del shop.world.links["back"]
    assert outcomes(shop.apply())[CEP] == "done"
    assert names(shop) == {"l3_custom_ids", "renamed"}
    (left,) = [one["refused"] for one in shop.plan().plan["changes"] if one["audience"] == "renamed"]
    forgot = shop.command(*shlex.split(left["override"])[1:], "--auto-approve")
    assert forgot.code == 0, forgot
    assert (shop.apply().code, names(shop)) == (0, {"l3_custom_ids", "renamed"})


def test_a_deletion_that_is_refused_warns_that_consent_waits(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l3"], L["l6"]) as shop:
        shop.turn()
        del shop.world.links["l6"]
        done = shop.apply("--no-delete")
        assert (done.code, rules(done)) == (4, {"no_delete"}), done
        assert "people who withdraw consent stay in it until it may be deleted or emptied" in done.said(CEP)


def test_who_withdraws_consent_leaves_an_audience_whose_link_sends_another_type_now(tmp_path: Path) -> None:
    fixed = "audience: {name: fixed}\n"
    with shop_of(tmp_path, replace(L["l6"], more=fixed), count=40) as shop:
        assert shop.apply().code == 0
        gone = sorted(shop.held("fixed"))[:2]
        for pid in gone:
            shop.world.people[pid] = replace(shop.world.people[pid], ok=False)
        shop.world.links["l6"] = replace(L["l6"], kind="send_emails", more=fixed)
        done = shop.apply()
        assert (done.code, rules(done)) == (4, {"type"}), done
        shop.post("settle")
        left = shop.held("fixed")
        assert left
        assert not set(gone) & set(left)
        shop.world.links["l6"] = replace(L["l6"], more=fixed)
        assert shop.apply().code == 0
