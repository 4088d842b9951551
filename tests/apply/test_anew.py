"""A full upload that starts an audience anew loses nobody who was told, and removals for consent never wait for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.apply.people import Link
from tests.apply.shop import KEYS, Shop
from tests.apply.test_rules import CEP, MEP10, L, cep, rules, shop_of

STRICT = "guards: {max_remove_percent: 10}\nallow: {add_percent: 100, until: 2999-01-01, reason: tests}\n"
BRIEF = "attempts: 3, deadline: 1s"
"""A count that differs is looked at again until the deadline."""
RECREATED = STRICT.replace("add_percent: 100,", "add_percent: 100, recreate: true,")


def stranger(shop: Shop, name: str = CEP) -> None:
    """Somebody else puts somebody into the audience: its count differs."""
    cep(shop, "audiences/update", name=name, ids=[{"action": "add", "id": "stranger"}])
    shop.post("settle")
    shop.retry = BRIEF


def mep(shop: Shop, name: str, *pids: str, action: str = "add") -> None:
    """The same in an application."""
    url = f"{shop.url}/1.0/{KEYS['IOS_KEY']}/custom-audience/{name}"
    body = {"type": "custom_ids", "ids": [{"action": action, "id": pid} for pid in pids]}
    assert httpx.patch(url, json=body, headers={"X-Authorization": KEYS["REST_KEY"]}).is_success
    shop.post("settle")
    shop.retry = BRIEF


def withdraw(shop: Shop, *pids: str) -> None:
    for pid in pids:
        shop.world.people[pid] = replace(shop.world.people[pid], ok=False)


def leave(shop: Shop, *pids: str) -> None:
    for pid in pids:
        del shop.world.people[pid]


def swap(shop: Shop, pid: str) -> None:
    """Somebody leaves and somebody else, alike in all but the name, joins."""
    name = f"p{1000 + int(pid[1:])}"
    shop.world.people[name] = replace(shop.world.people.pop(pid), pid=name)


def test_removals_for_consent_go_out_when_a_replace_is_refused(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l6"], more=STRICT), count=60) as shop:
        shop.turn()
        told = list(shop.held(CEP))
        stranger(shop)
        withdraw(shop, *told[:3])
        leave(shop, *told[3:15])
        shop.post("reset-log")
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, rules(done), change["op"]) == (4, {"max_remove_percent"}, "full"), done
        assert (change["consent_only"], change["consent"]["removed"]) == (True, 3)
        assert done.plan["totals"]["done"] == 3
        shop.post("settle")
        assert set(shop.held(CEP)) == {"stranger", *told[3:]}
        assert [one["route"].rpartition("/")[2] for one in shop.log() if one["method"] != "GET"] == ["update"]
        again = shop.apply()
        assert (again.code, again.plan["totals"]["done"]) == (4, 0), again
        shop.world.links["l6"] = L["l6"]
        assert shop.apply().code == 0
        shop.converged()


def test_removals_for_consent_beyond_their_limit_are_refused_by_themselves(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l6"], more=STRICT), count=60) as shop:
        shop.turn()
        told = list(shop.held(CEP))
        stranger(shop)
        withdraw(shop, *told[:20])
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, rules(done), change["consent_only"]) == (4, {"max_consent_percent"}, False), done
        shop.post("settle")
        assert set(shop.held(CEP)) == {"stranger", *told}


def test_removals_for_consent_that_are_refused_are_planned_again_from_the_same_files(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l3"], more=STRICT), count=60) as shop:
        shop.turn()
        told = list(shop.held(MEP10))
        shop.world.people["p901"] = replace(shop.world.people[told[0]], pid="p901")
        withdraw(shop, *told[:20])
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, change["rows"]["done"], change["consent"]["refused"]["rule"]) == (
            4,
            1,
            "max_consent_percent",
        )
        again = shop.plan()
        assert (again.code, rules(again), again.plan["totals"]["planned"]) == (2, {"max_consent_percent"}, 20), again


def test_a_replace_that_is_not_refused_sends_no_removal(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l6"], more=STRICT), count=60) as shop:
        shop.turn()
        told = list(shop.held(CEP))
        stranger(shop)
        withdraw(shop, *told[:2])
        leave(shop, told[2])
        shop.post("reset-log")
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, change["op"]) == (0, "full"), done
        assert done.plan["totals"]["planned"] == len(told) - 3
        assert [one["route"].rpartition("/")[2] for one in shop.log() if one["method"] != "GET"] == ["replace"]
        shop.converged()


def test_a_replace_that_swaps_people_is_refused_although_the_audience_keeps_its_size(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l6"], more=STRICT), count=60) as shop:
        shop.turn()
        told = list(shop.held(CEP))
        stranger(shop)
        for pid in told[:15]:
            swap(shop, pid)
        shop.post("reset-log")
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, rules(done), change["op"]) == (4, {"max_remove_percent"}, "full"), done
        assert (change["added"], change["removed"], change["changed"]) == (15, 15, 0)
        assert not [one for one in shop.log() if one["method"] != "GET"]


def test_the_plan_of_a_replace_counts_who_joins_and_leaves(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l6"], more=STRICT), count=60) as shop:
        shop.turn()
        told = list(shop.held(CEP))
        stranger(shop)
        withdraw(shop, told[0])
        leave(shop, told[1])
        swap(shop, told[2])
        shop.write()
        assert "full       +1 −3" in (text := shop.command("plan").out), text
        (change,) = shop.apply().plan["changes"]
        assert (change["op"], change["added"], change["removed"], change["consent"]["removed"]) == ("full", 1, 2, 1)
        shop.converged()


@pytest.mark.parametrize("link", [L["l6"], replace(L["l6"], delete=False)], ids=["held", "held and kept"])
def test_who_is_held_or_kept_is_part_of_a_replace(tmp_path: Path, link: Link) -> None:
    with shop_of(tmp_path, link, count=30) as shop:
        shop.turn()
        before = shop.held(CEP)
        doubtful, gone, *_ = before
        stranger(shop)
        shop.world.people["again"] = shop.world.people[doubtful]
        leave(shop, gone)
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["op"]) == (0, "full"), done
        shop.post("settle")
        expected = before if not link.delete else {pid: values for pid, values in before.items() if pid != gone}
        assert shop.held(CEP) == expected
        assert shop.plan().code == 0


@pytest.mark.parametrize("link", [L["l3"], replace(L["l3"], delete=False)], ids=["held", "held and kept"])
def test_who_is_held_or_kept_is_part_of_a_full_upload_that_repairs_a_count(tmp_path: Path, link: Link) -> None:
    with shop_of(tmp_path, link, count=30) as shop:
        shop.turn()
        before = shop.held(MEP10)
        doubtful, gone, *_ = before
        mep(shop, MEP10, doubtful, gone, action="remove")
        shop.world.people["again"] = shop.world.people[doubtful]
        leave(shop, gone)
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["op"]) == (0, "full"), done
        shop.post("settle")
        assert set(shop.held(MEP10)) == set(before) - ({gone} if link.delete else set())


def test_everybody_told_leaves_when_nobody_is_left_to_replace_them(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], count=20) as shop:
        shop.turn()
        stranger(shop)
        shop.world.people = {pid: one for pid, one in shop.world.people.items() if len(pid) == 2}
        done = shop.apply()
        assert done.code == 0, done
        shop.post("settle")
        assert set(shop.held(CEP)) == {"stranger"}


def test_removals_for_consent_go_out_when_a_recreation_is_refused(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l3"], more=RECREATED), count=60) as shop:
        shop.turn()
        told = list(shop.held(MEP10))
        mep(shop, MEP10, "stranger")
        withdraw(shop, *told[:2])
        leave(shop, *told[2:12])
        shop.post("reset-log")
        done = shop.apply()
        assert (done.code, rules(done)) == (4, {"max_remove_percent"}), done
        shop.post("settle")
        assert set(told) - set(shop.held(MEP10)) == set(told[:2])
        assert "DELETE" not in [one["method"] for one in shop.log()]


def test_no_delete_keeps_an_audience_from_being_recreated_but_not_who_withdraws_consent(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l3"], more=RECREATED), count=60) as shop:
        shop.turn()
        gone = next(iter(shop.held(MEP10)))
        mep(shop, MEP10, "stranger")
        withdraw(shop, gone)
        shop.post("reset-log")
        done = shop.apply("--no-delete")
        assert (done.code, rules(done)) == (4, {"no_delete"}), done
        assert "DELETE" not in {one["method"] for one in shop.log()}
        shop.post("settle")
        assert {gone, "stranger"} & set(shop.held(MEP10)) == {"stranger"}
        assert shop.apply().code == 0
        shop.converged()
