"""Intents that are cut off before anything destructive was sent forget nobody Batch may hold."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.apply.people import Link
from tests.apply.shop import KEYS, Shop, document
from tests.apply.test_anew import BRIEF, RECREATED, STRICT, leave, mep, stranger, withdraw
from tests.apply.test_rules import CEP, MEP10, PROFILES, L, rules, shop_of
from tests.apply.warm import Warm

INTENT = "2,state: end"
"""The second state write of an apply (the first says which plan it carries out): what it is about to send is written
down, and nothing of it was sent."""
SENT = "2,ack: begin"
"""The first request was answered, and nobody has written that down."""


@contextmanager
def dying(tmp_path: Path, link: Link, count: int = 30) -> Iterator[tuple[Shop, Warm]]:
    with shop_of(tmp_path / "shop", link, count=count) as shop, Warm(tmp_path) as warm:
        shop.turn()
        shop.retry = BRIEF
        yield shop, warm


def die(shop: Shop, warm: Warm, at: str, *more: str, plan: str = "") -> None:
    """An apply of what the world is now, or of a saved plan, killed."""
    if not plan:
        shop.write()
    more = (*more, plan or "--auto-approve")
    environ = {**KEYS, "BATCHCTL_API_URL": shop.url, "BATCHCTL_CRASH_AT": at}
    assert warm.run("apply", "-C", str(shop.root), *more, **environ) == -signal.SIGKILL, warm.said
    shop.post("settle")


def saved(shop: Shop, file: Path) -> str:
    """A plan of what the world is now, saved."""
    shop.write()
    assert shop.command("plan", "--out", str(file)).code == 0
    shop.post("reset-log")
    return str(file)


def joined(shop: Shop, *names: str) -> None:
    """People like the first one join."""
    one = next(iter(shop.world.people.values()))
    shop.world.people |= {name: replace(one, pid=name) for name in names}


def everybody(name: str) -> Link:
    """The link with all who consent in it."""
    return replace(L[name], where="pts >= 0", test=lambda p: p.pts >= 0)


def test_a_deletion_cut_off_keeps_what_was_uncertain_before(tmp_path: Path) -> None:
    with dying(tmp_path, everybody("l3")) as (shop, warm):
        joined(shop, "p901", "p902")
        die(shop, warm, SENT)
        assert {"p901", "p902"} <= set(shop.held(MEP10))
        links, shop.world.links = shop.world.links, {}
        die(shop, warm, INTENT)
        shop.world.links = links
        withdraw(shop, "p901")
        leave(shop, "p902")
        done = shop.apply()
        assert done.code == 0, done
        shop.converged()


def test_removals_of_who_was_never_told_are_named_by_the_plan(tmp_path: Path) -> None:
    with dying(tmp_path, everybody("l3")) as (shop, warm):
        joined(shop, "p901", "p902", "p903")
        die(shop, warm, SENT)
        leave(shop, "p901")
        leave(shop, "p902")
        shop.write()
        resumed = shop.command("plan").out
        assert "\n      2 uncertain rows asserted again, 2 removals among them\n" in resumed, resumed
        (change,) = shop.plan().plan["changes"]
        assert (change["removed"], change["reasserted"], change["removed_again"]) == (0, 2, 2)
        assert shop.apply().code == 0
        shop.converged()
        assert shop.command("state", "rm", MEP10, "--auto-approve").code == 0
        leave(shop, "p903")
        shop.write()
        assert shop.command("import", "segment-link/l3", MEP10).code == 0
        taken = shop.command("plan").out
        assert "\n      3 uncertain rows removed\n" in taken, taken
        assert "interrupted" not in taken
        assert shop.apply().code == 0
        shop.converged()


def test_a_profile_that_may_have_been_written_is_unset_when_the_person_leaves_whatever_on_exit_says(
    tmp_path: Path,
) -> None:
    with dying(tmp_path, replace(everybody("l8"), unset=False)) as (shop, warm):
        told = next(iter(shop.held(PROFILES)))
        shop.world.people[told] = replace(shop.world.people[told], tier="changed", pts=0)
        joined(shop, "p901", "p902")
        die(shop, warm, SENT)
        assert {"p901", "p902"} <= set(shop.held(PROFILES))
        leave(shop, told)
        leave(shop, "p901")
        assert shop.apply().code == 0
        shop.converged()
        assert told in shop.held(PROFILES), "they keep the values last told"
        assert "p901" not in shop.held(PROFILES), "nobody was told of them"


def test_an_audience_about_to_be_deleted_and_created_again_is_not_forgotten(tmp_path: Path) -> None:
    with dying(tmp_path, replace(everybody("l3"), more=RECREATED)) as (shop, warm):
        withdrawn, gone, *_ = shop.held(MEP10)
        mep(shop, MEP10, "stranger")
        withdraw(shop, withdrawn)
        leave(shop, gone)
        die(shop, warm, INTENT)
        assert {withdrawn, gone} <= set(shop.held(MEP10))
        shop.world.links["l3"] = everybody("l3")
        done = shop.apply()
        assert done.code == 0, done
        shop.post("settle")
        assert not {withdrawn, gone} & set(shop.held(MEP10))
        assert set(shop.held(MEP10)) >= {pid for pid, one in shop.world.people.items() if one.ok}


RECREATION = ["2,state: end", "3,state: begin", "4,state: begin", "1,ack: end"]
"""The deletion is intended; it is done; the creation is done; the first request begins."""


@pytest.mark.parametrize("at", RECREATION)
@pytest.mark.parametrize("saved_plan", [False, True], ids=["plan", "saved plan"])
def test_a_recreation_goes_on_from_wherever_it_was_cut_off(tmp_path: Path, at: str, saved_plan: bool) -> None:
    with dying(tmp_path, replace(everybody("l3"), more=RECREATED)) as (shop, warm):
        withdrawn, gone, *_ = shop.held(MEP10)
        mep(shop, MEP10, "stranger")
        withdraw(shop, withdrawn)
        leave(shop, gone)
        plan = saved(shop, tmp_path / "plan") if saved_plan else ""
        die(shop, warm, at, plan=plan)
        done = shop.command("apply", plan, "--format", "json") if plan else shop.apply()
        assert done.code == 0, done
        if plan:
            sums = done.plan["changes"][0]["requests"]
            assert sums["planned"] == sums["done"] == 3, done
        shop.post("settle")
        assert not {withdrawn, gone} & set(shop.held(MEP10))
        assert shop.apply().code == 0, "a stranger who is left is seen by the count once nothing is uncertain"
        shop.converged()


@pytest.mark.parametrize("at", RECREATION)
def test_guards_keep_their_measure_after_a_recreation_that_was_cut_off(tmp_path: Path, at: str) -> None:
    with dying(tmp_path, replace(everybody("l3"), more=RECREATED)) as (shop, warm):
        told = list(shop.held(MEP10))
        mep(shop, MEP10, "stranger")
        die(shop, warm, at)
        leave(shop, *told[:20])
        shop.world.links["l3"] = replace(everybody("l3"), more=STRICT)
        done = shop.apply()
        assert (done.code, rules(done)) == (4, {"max_remove_percent"}), done


def test_an_audience_taken_over_is_still_ours_after_its_recreation_was_cut_off(tmp_path: Path) -> None:
    with dying(tmp_path, replace(everybody("l3"), more=RECREATED)) as (shop, warm):
        shutil.rmtree(shop.root / ".batchctl")
        assert shop.command("import", "segment-link/l3", MEP10).code == 0
        die(shop, warm, INTENT)
        done = shop.apply()
        assert done.code == 0, done
        shop.converged()


def test_consent_withdrawn_before_a_replace_was_cut_off_is_carried_out(tmp_path: Path) -> None:
    with dying(tmp_path, replace(everybody("l6"), more=STRICT), count=60) as (shop, warm):
        told = list(shop.held(CEP))
        stranger(shop)
        withdraw(shop, *told[:2])
        die(shop, warm, INTENT)
        assert set(told) <= set(shop.held(CEP))
        leave(shop, *told[10:40])
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, rules(done), change["op"], change["consent"]["removed"]) == (
            4,
            {"max_remove_percent"},
            "full",
            2,
        )
        shop.post("settle")
        assert not set(told[:2]) & set(shop.held(CEP))
        shop.world.links["l6"] = everybody("l6")
        assert shop.apply().code == 0
        shop.converged()


def test_a_replace_that_went_through_before_the_cut_sends_only_the_rest_again(tmp_path: Path) -> None:
    with dying(tmp_path, everybody("l6"), count=60) as (shop, warm):
        told = list(shop.held(CEP))
        stranger(shop)
        leave(shop, told[0])
        die(shop, warm, "2,ack: end")
        done = shop.apply()
        assert (done.code, done.plan["totals"]["planned"]) == (0, 0), "everybody is in it, by an acknowledged replace"
        shop.converged()


def test_a_version_in_which_a_replace_went_through_knows_what_was_sent_after_it(tmp_path: Path) -> None:
    with dying(tmp_path, everybody("l6"), count=40) as (shop, warm):
        shop.project += "\nhistory: {keep: 90d}"
        file, told = tmp_path / "older.json", list(shop.held(CEP))
        stranger(shop)
        die(shop, warm, "2,ack: end")
        file.write_text(shop.command("state", "pull").out)
        assert shop.apply().code == 0
        joined(shop, "p901")
        back = shop.world.people.pop(told[0])
        shop.turn()
        assert shop.command("state", "push", str(file), "--auto-approve", "--force").code == 0
        leave(shop, "p901")
        shop.world.people[told[0]] = back
        done = shop.apply()
        assert (done.code, done.plan["totals"]["planned"]) == (0, 2), done
        shop.converged()


def test_what_a_guard_let_through_is_not_judged_again_when_it_is_resumed(tmp_path: Path) -> None:
    with dying(tmp_path, replace(everybody("l6"), more="guards: {max_add_percent: 5}\n"), count=60) as (shop, warm):
        shop.post("delete-audience", name=CEP)
        die(shop, warm, "1,ack: begin")
        assert shop.held(CEP) == {}
        joined(shop, "p901")
        done = shop.apply()
        (change,) = done.plan["changes"]
        assert (done.code, rules(done), change["added"]) == (0, set(), len(shop.held(CEP))), done
        shop.converged()


def both_go(shop: Shop, gone: str, withdrawn: str) -> None:
    """One leaves and one withdraws consent; after one more apply Batch has neither."""
    leave(shop, gone)
    withdraw(shop, withdrawn)
    done = shop.apply()
    assert done.code == 0, done
    shop.post("settle")
    assert not {gone, withdrawn} & set(shop.held(MEP10))


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_identifiers_refused_while_they_were_uncertain_are_not_forgotten(tmp_path: Path, again: bool) -> None:
    gone, withdrawn = "p8" + "9" * 600, "p9" + "9" * 600
    with dying(tmp_path, everybody("l3")) as (shop, warm):
        joined(shop, gone, withdrawn)
        die(shop, warm, SENT)
        assert {gone, withdrawn} <= set(shop.held(MEP10))
        shop.post("switch", name="max_id_length", value="512")
        if again:
            die(shop, warm, "3,state: begin")
        else:
            refused = shop.apply()
            assert (refused.code, refused.plan["totals"]["refused"]) == (7, 2), refused
        shop.post("switch", name="max_id_length", value="1024")
        both_go(shop, gone, withdrawn)


def test_identifiers_refused_before_a_request_that_was_cut_off_are_not_forgotten(tmp_path: Path) -> None:
    gone, withdrawn = "p8" + "9" * 600, "p9" + "9" * 600
    with dying(tmp_path, everybody("l3")) as (shop, warm):
        joined(shop, gone, withdrawn)
        shop.post("switch", name="max_id_length", value="512")
        assert shop.apply().code == 7
        shop.post("switch", name="max_id_length", value="1024")
        die(shop, warm, SENT, "--retry-rejects")
        assert {gone, withdrawn} <= set(shop.held(MEP10))
        done = shop.apply()
        assert (done.code, done.plan["totals"]["planned"]) == (0, 2), "their fate is unknown: they are sent again"
        both_go(shop, gone, withdrawn)


@pytest.mark.parametrize("first", [True, False], ids=["first upload", "delta"])
def test_a_saved_plan_goes_on_without_the_targets_that_are_done(tmp_path: Path, first: bool) -> None:
    with shop_of(tmp_path / "shop", everybody("l3"), count=12) as shop, Warm(tmp_path) as warm:
        shop.activation = "serial"
        shop.extra = [
            document("Mapping", "second", "catalogue: people\nidentifier: {custom_id: pid}"),
            document("Action", "second", "destination: crm\ntype: send_custom_ids\nmapping: second"),
            document("SegmentLink", "second", "segment: l3\naction: second"),
        ]
        if not first:
            assert shop.apply().code == 0
            joined(shop, "p901", "p902")
        plan = saved(shop, tmp_path / "plan")
        die(shop, warm, "3,ack: begin", plan=plan)
        done = shop.command("apply", plan, "--format", "json")
        totals = done.plan["totals"]
        assert (done.code, totals["done"]) == (0, totals["planned"]), done
        writes = [one for one in shop.log() if one["items"]]
        assert len({one["account"] for one in writes}) == 2
        assert sum(one["items"] for one in writes) == totals["planned"], "no row twice"
        assert shop.plan().code == 0


def test_a_saved_plan_that_a_guard_narrows_when_it_goes_on_forgets_nobody(tmp_path: Path) -> None:
    allowed = "guards: {max_remove_percent: 10}\nallow: {remove_percent: 100, until: 2030-01-01, reason: tests}\n"
    with dying(tmp_path, replace(everybody("l3"), more=allowed), count=60) as (shop, warm):
        told = list(shop.held(MEP10))
        joined(shop, "p901", "p902")
        withdraw(shop, told[0])
        leave(shop, *told[1:16])
        plan = saved(shop, tmp_path / "plan")
        die(shop, warm, SENT, plan=plan)
        assert {"p901", "p902"} <= set(shop.held(MEP10))
        done = shop.command("apply", plan, "--format", "json", BATCHCTL_NOW="2030-01-02T00:00:00+00:00")
        assert (done.code, rules(done), done.plan["totals"]["done"]) == (4, {"max_remove_percent"}, 1), done
        shop.world.links["l3"] = everybody("l3")
        leave(shop, "p901")
        assert shop.apply().code == 0
        shop.converged()


def test_a_replace_that_was_cut_off_between_its_halves_goes_on_with_additions(tmp_path: Path) -> None:
    with dying(tmp_path, everybody("l6"), count=40) as (shop, warm):
        stranger(shop)
        shop.post("switch", name="max_body_bytes", value="1500")
        plan = saved(shop, tmp_path / "plan")
        die(shop, warm, "7,ack: begin", plan=plan)
        assert 0 < len(shop.held(CEP)) < 15, "a quarter has replaced everybody"
        done = shop.command("apply", plan)
        assert done.code == 0, done
        shop.converged()


def test_a_first_upload_of_profiles_that_was_cut_off_and_then_refused_forgets_nobody(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", everybody("l8"), count=12) as shop, Warm(tmp_path) as warm:
        die(shop, warm, "2,ack: end")
        withdrawn, gone, *others = shop.held(PROFILES)
        withdraw(shop, withdrawn)
        twice = {f"{pid} again": shop.world.people[pid] for pid in others}
        shop.world.people |= twice
        done = shop.apply()
        assert (done.code, rules(done), done.plan["totals"]["done"]) == (4, {"max_reject_percent"}, 1), done
        leave(shop, gone, *twice)
        done = shop.apply()
        assert done.code == 0, done
        shop.converged()


CREATED = "3,state: begin"
"""The third: the audience was created, and nobody has written down that it was."""


def test_a_creation_that_was_cut_off_is_still_ours_after_a_run_that_was_refused_but_for_consent(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", everybody("l3"), count=12) as shop, Warm(tmp_path) as warm:
        die(shop, warm, CREATED)
        withdrawn, *others = shop.world.people
        withdraw(shop, withdrawn)
        twice = {f"{pid} again": shop.world.people[pid] for pid in others}
        shop.world.people |= twice
        done = shop.apply()
        assert (done.code, rules(done), done.plan["totals"]["done"]) == (4, {"max_reject_percent"}, 1), done
        leave(shop, *twice)
        done = shop.apply()
        assert done.code == 0, done
        shop.converged()


def test_a_creation_that_was_cut_off_is_undone_although_its_deletion_was_cut_off_too(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", everybody("l3"), count=12) as shop, Warm(tmp_path) as warm:
        die(shop, warm, CREATED)
        shop.world.links = {}
        die(shop, warm, INTENT)
        assert shop.apply().code == 0
        shop.converged()
