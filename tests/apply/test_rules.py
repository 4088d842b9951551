"""The rules by which nobody is lost, one by one, against a Batch on loopback."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.emulator import Options, parse_switches, running
from tests.apply.people import LINKS, Link, night, opened
from tests.apply.shop import KEYS, Shop
from tests.apply.warm import Warm
from tests.batch.between import between
from tests.batch.kit import Seen

L = {link.name: link for link in LINKS}
RECREATE = "allow: {recreate: true, remove_percent: 100, until: 2999-01-01, reason: tests}\n"
CEP, MEP10, MEP11, PROFILES, DATA = "l6_custom_ids", "l3_custom_ids", "l2_install_ids", "crm", "ios"
HEADERS = {"Authorization": f"Bearer {KEYS['REST_KEY']}", "X-Batch-Project": KEYS["CRM_KEY"]}


@contextmanager
def shop_of(
    root: Path, *links: Link, switches: tuple[str, ...] = (), delay: float = 0.02, count: int = 20
) -> Iterator[Shop]:
    options = Options(rate_scale=0, indexing_delay=delay, **parse_switches("likely", switches))
    with running(options) as url:
        yield Shop(root, url, opened(count, random.Random(4), links), retry="attempts: 3, deadline: 5s")


def outcomes(done: Any) -> dict[str, str]:
    return {one["audience"] or one["destination"]: one["outcome"] for one in done.plan["changes"]}


def rules(done: Any) -> set[str]:
    return {one["refused"]["rule"] for one in done.plan["changes"] if one["refused"]}


def in_part(shop: Shop, share: float) -> dict[str, Any]:
    """A night in which Batch refuses a part of this share of profiles; what it holds of all after it."""
    shop.post("faults", partial=share)
    assert shop.apply().code == 7
    shop.post("faults", partial=0)
    shop.post("settle")
    held = dict(shop.held(PROFILES))
    assert held
    return held


def cep(shop: Shop, route: str, **body: Any) -> None:
    """What somebody else does to the project."""
    with httpx.Client(base_url=shop.url, headers=HEADERS) as client:
        assert client.post(f"/2.11/{route}", json=body).status_code == 202


def test_a_deletion_of_what_is_gone_already_is_done(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l3"], L["l6"]) as shop:
        shop.turn()
        del shop.world.links["l6"]
        shop.post("delete-audience", name=CEP)
        done = shop.apply()
        assert (done.code, outcomes(done)[CEP]) == (0, "done"), done
        shop.converged()
        assert "audiences/remove" not in " ".join(one["route"] for one in shop.log())


def test_a_changed_display_name_is_said_once_per_plan_and_never_forces_a_write(tmp_path: Path) -> None:
    def titled(text: str) -> dict[str, Link]:
        more = 'audience: {display_name: "' + text + '"}\n'
        return {name: replace(L[name], more=more) for name in ("l2", "l3", "l6")}

    with shop_of(tmp_path) as shop:
        shop.world.links = titled("Loyal")
        shop.turn()
        assert not [text for text in shop.plan().plan["warnings"] if "display_name" in text]
        shop.world.links = titled("Very loyal")
        shop.write()
        planned = shop.plan()
        (said,) = planned.plan["warnings"]
        assert (planned.code, said.count("'Loyal' instead of 'Very loyal'")) == (0, 3), planned
        assert said.startswith("display_name: not updatable"), said


def test_the_barrier_spans_runs(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l2"], L["l6"], delay=0.3) as shop:
        for _ in range(2):
            assert shop.apply().code == 0
            night(shop.world, random.Random(1))
        shop.world.links["l6"] = replace(shop.world.links["l6"], attributes=("pts",))
        assert shop.apply().code == 0
        shop.converged()
        assert shop.breaches() == {}


def test_a_saved_plan_killed_midway_resumes_when_it_is_applied_again(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", L["l2"], L["l6"]) as shop, Warm(tmp_path) as warm:
        shop.write()
        saved = str(tmp_path / "plan")
        assert shop.command("plan", "--out", saved).code == 0
        environ = {**KEYS, "BATCHCTL_API_URL": shop.url}
        for at in (20, 25):
            assert warm.run("apply", saved, "-C", str(shop.root), **environ, BATCHCTL_CRASH_AT=str(at)) == -9, warm.said
        done = shop.command("apply", saved)
        assert done.code == 0, done
        shop.converged()
        assert "create_existing" not in shop.breaches()
        assert shop.command("apply", saved).code == 6


def test_a_vanished_audience_whose_source_halved_is_refused(tmp_path: Path) -> None:
    with shop_of(
        tmp_path,
        replace(
            L["l6"],
            more="allow: {add_percent: 100, until: 2999-01-01, reason: tests}\nguards: {max_remove_percent: 30}\n",
        ),
        count=40,
    ) as shop:
        shop.turn()
        shop.post("delete-audience", name=CEP)
        shop.world.people = {pid: one for pid, one in shop.world.people.items() if int(pid[1:]) < 22}
        refused = shop.apply()
        assert (refused.code, rules(refused)) == (4, {"max_remove_percent"}), refused
        assert shop.ask("audiences")["audiences"] == []
        shop.world.links["l6"] = L["l6"]
        assert shop.apply().code == 0
        shop.converged()


def created(shop: Shop) -> str:
    """When the audience came to be, as Batch says it."""
    with httpx.Client(base_url=shop.url, headers=HEADERS) as client:
        return str(client.get("/2.11/audiences/view", params={"name": CEP}).json()["created"])


def test_a_recreated_audience_is_not_ours_until_it_is_adopted(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"]) as shop:
        shop.turn()
        born = created(shop)
        while created(shop) == born:  # Batch says it in whole seconds
            shop.post("delete-audience", name=CEP)
            cep(shop, "audiences/create", name=CEP, type="custom_ids")
        cep(shop, "audiences/update", name=CEP, ids=[{"action": "add", "id": "stranger"}])
        shop.post("settle")
        refused = shop.apply()
        assert (refused.code, rules(refused)) == (4, {"recreated"}), refused
        assert shop.held(CEP) == {"stranger": {}}
        shop.world.links["l6"] = replace(L["l6"], more="audience: {adopt: true}\n")
        assert shop.apply().code == 0
        shop.converged()


def test_another_account_behind_a_destination_voids_baselines_and_deletes_nothing(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l3"], L["l4"]) as shop:
        shop.turn()
        before = shop.held(MEP10)
        done = shop.apply(IOS_KEY="livekey2")
        assert done.code == 0, done
        held = {(one["account"], one["name"]) for one in shop.ask("audiences")["audiences"]}
        assert len(held) == 2
        mine = next(one["account"] for one in shop.ask("audiences")["audiences"] if one["account"] != "a88f9c4b")
        members = shop.ask(f"members?name={MEP10}&account={mine}")["members"]
        assert {one["id"] for one in members} == set(before)
        del shop.world.links["l3"]
        shop.apply(IOS_KEY="livekey2")
        assert {one["account"] for one in shop.ask("audiences")["audiences"]} == {"a88f9c4b"}


@pytest.mark.parametrize("on_destroy", ["delete", "empty", "keep"])
def test_on_destroy(tmp_path: Path, on_destroy: str) -> None:
    with shop_of(tmp_path, L["l3"], replace(L["l6"], on_destroy=on_destroy)) as shop:
        shop.turn()
        before = shop.held(CEP)
        del shop.world.links["l6"]
        assert shop.apply().code == 0
        shop.post("settle")
        names = {one["name"] for one in shop.ask("audiences")["audiences"]}
        assert names == ({MEP10} if on_destroy == "delete" else {MEP10, CEP})
        if on_destroy != "delete":
            assert shop.held(CEP) == ({} if on_destroy == "empty" else before)
        assert shop.plan().code == 0


def test_consent_beats_refusals_and_additive_links(tmp_path: Path) -> None:
    strict = "guards: {max_remove_percent: 10}\nallow: {add_percent: 100, until: 2999-01-01, reason: tests}\n"
    with shop_of(
        tmp_path, replace(L["l6"], more=strict), replace(L["l3"], delete=False), replace(L["l8"], unset=False), count=60
    ) as shop:
        shop.turn()
        people = shop.world.people
        gone = list(shop.held(CEP))[:12]
        withdrawn = list(shop.held(CEP))[12:15]
        for pid in gone:
            del people[pid]
        for pid in withdrawn:
            people[pid] = replace(people[pid], ok=False)
        told = shop.held(CEP)
        done = shop.apply()
        assert (done.code, rules(done)) == (4, {"max_remove_percent"}), done
        shop.post("settle")
        assert set(told) - set(shop.held(CEP)) == set(withdrawn)
        shop.world.links["l6"] = L["l6"]
        shop.turn()
        assert set(gone) & set(shop.held(MEP10)), "additive: who left stays"
        assert not set(withdrawn) & {*shop.held(MEP10), *shop.held(PROFILES)}


def test_mep_1_0_is_recreated_only_when_it_is_allowed(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l3"]) as shop:
        shop.turn()
        forget_members(shop)
        shop.world.people.pop(next(iter(shop.held(MEP10))))
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["op"]) == (0, "full"), done
        assert "DELETE" not in [one["method"] for one in shop.log()]
        forget_members(shop)
        shop.world.links["l3"] = replace(L["l3"], more=RECREATE)
        shop.write()
        assert "deleted and created again, full upload: " in (text := shop.command("plan").out), text
        done = shop.apply()
        assert done.code == 0, done
        assert [one["method"] for one in shop.log() if one["method"] != "GET"][-3:] == ["DELETE", "POST", "PATCH"]
        shop.converged()


def forget_members(shop: Shop) -> None:
    """State is lost, and the audience imported: who is in it is not known."""
    for one in (shop.root / ".batchctl").rglob("*"):
        if one.is_file():
            one.unlink()
    taken = shop.command("import", "segment-link/l3", MEP10)
    assert taken.code == 0, taken


def test_somebody_elses_replace_is_noticed_and_repaired(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"]) as shop:
        assert shop.apply().code == 0
        shop.post("settle")
        cep(shop, "audiences/replace", name=CEP, ids=[{"id": one} for one in [*list(shop.held(CEP))[1:], "stranger"]])
        shop.post("settle")
        night(shop.world, random.Random(3))
        done = shop.apply()
        assert done.code == 1, done
        assert "somebody else replaced its members" in done.said(CEP)
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["op"]) == (0, "full"), done
        shop.converged()


def test_a_count_that_stays_wrong_is_answered_once(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], switches=("indexing_outcome=silently_lost",), count=12) as shop:
        assert shop.apply().code == 0
        shop.post("settle")
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["op"]) == (0, "full"), done
        shop.post("settle")
        again = shop.plan()
        assert again.code == 0, again
        assert "fewer identifiers than it was told, known since the last full upload" in again.said(CEP)


def test_a_tag_that_is_gone_does_not_come_back_where_adds_merge(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l2"], switches=("readd_attributes=merge",)) as shop:
        for tags in (("a", "b"), ("b",), ("b", "c"), ("c",)):
            shop.world.people = {
                pid: replace(one, tags=tags, tier="gold", ok=True) for pid, one in shop.world.people.items()
            }
            plan = shop.turn()
            assert plan["cost"]["requests"] == plan["cost"]["minimum"] + (len(tags) == 1)


def theirs(shop: Shop) -> None:
    """Somebody else creates an audience by our name, with somebody in it."""
    cep(shop, "audiences/create", name=CEP, display_name="theirs", type="custom_ids")
    cep(shop, "audiences/update", name=CEP, ids=[{"action": "add", "id": "stranger"}])
    shop.post("settle")


def test_an_audience_that_somebody_else_creates_first_is_not_ours(tmp_path: Path) -> None:
    def fate(seen: Seen) -> None:
        if seen.path.endswith("audiences/create"):
            theirs(shop)

    with shop_of(tmp_path, L["l6"]) as shop:
        with between(shop.url, fate) as network:
            done = shop.apply(BATCHCTL_API_URL=network.url)
        assert (done.code, outcomes(done)[CEP], list(shop.held(CEP))) == (1, "failed", ["stranger"]), done
        done = shop.apply()
        assert (done.code, rules(done), list(shop.held(CEP))) == (4, {"exists"}, ["stranger"]), done


@pytest.mark.parametrize("link", ["l2", "l3", "l6"])
def test_an_audience_that_comes_back_with_its_members_is_ours(tmp_path: Path, link: str) -> None:
    with shop_of(tmp_path, L[link], switches=("recreate_after_remove=resurrect_members",)) as shop:
        shop.turn()
        shop.post("delete-audience", name={"l2": MEP11, "l3": MEP10, "l6": CEP}[link])
        night(shop.world, random.Random(3))
        done = shop.apply()
        assert done.code == (7 if link == "l3" else 0), done
        for _ in range(2):
            done = shop.apply()
            shop.post("settle")
        shop.converged()


def test_an_audience_that_vanished_is_not_ours_where_somebody_else_created_it_again(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", L["l6"]) as shop, Warm(tmp_path) as warm:
        shop.turn()
        shop.post("delete-audience", name=CEP)
        shop.write()
        environ = {**KEYS, "BATCHCTL_API_URL": shop.url, "BATCHCTL_CRASH_AT": "2,state: end"}
        assert warm.run("apply", "-C", str(shop.root), "--auto-approve", **environ) < 0, warm.said
        theirs(shop)
        done = shop.apply()
        assert (done.code, rules(done), list(shop.held(CEP))) == (4, {"exists"}, ["stranger"]), done
