"""A run that goes on after another ends where that one would have, and says so: pushes made once, saved plans, replaces."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.apply.people import Link
from tests.apply.shop import Shop
from tests.apply.test_anew import STRICT, leave, stranger, withdraw
from tests.apply.test_cut_off import SENT, die, everybody, joined, saved
from tests.apply.test_rules import CEP, MEP10, PROFILES, L, cep, outcomes, shop_of
from tests.apply.warm import Warm
from tests.batch.between import Seen, between
from tests.batch.kit import Say

ONCE = "refresh: {every: once}\n"
PROTECTED = "lifecycle: {prevent_destroy: true}\n"


def target(shop: Shop) -> dict[str, Any]:
    """The only one of the state."""
    (found,) = json.loads((shop.root / ".batchctl/state.json").read_text())["targets"].values()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("link", "held", "at"),
    [
        (everybody("l3"), MEP10, "1,ack: begin"),
        (everybody("l3"), MEP10, "2,state: end"),
        (replace(everybody("l8"), unset=False), PROFILES, "3,ack: end"),
    ],
    ids=["audience", "nothing sent", "profiles"],
)
def test_a_push_made_once_that_was_cut_off_is_made_to_its_end(tmp_path: Path, link: Link, held: str, at: str) -> None:
    with shop_of(tmp_path / "shop", replace(link, more=ONCE), count=500) as shop, Warm(tmp_path) as warm:
        die(shop, warm, at)
        assert target(shop)["once_done"] == []
        assert shop.apply().code == 0
        shop.converged()
        everyone = set(shop.held(held))
        joined(shop, "p901")
        assert shop.apply().code == 0
        assert set(shop.held(held)) == everyone, "it was made"


@pytest.mark.parametrize(("link", "held"), [("l3", MEP10), ("l6", CEP), ("l8", PROFILES)])
def test_of_a_push_made_once_nothing_comes_any_more_but_removals_for_consent(
    tmp_path: Path, link: str, held: str
) -> None:
    with shop_of(tmp_path / "shop", replace(everybody(link), more=ONCE), count=60) as shop, Warm(tmp_path) as warm:
        shop.turn()
        everyone = sorted(shop.held(held))
        withdrawn, gone, moved, doubtful = everyone[:4]
        joined(shop, "p901")
        leave(shop, gone)
        shop.world.people[moved] = replace(shop.world.people[moved], pts=-1, tier="none")
        shop.write()
        assert shop.plan().code == 0, "nobody joins, leaves or changes"
        withdraw(shop, withdrawn)
        shop.write()
        planned = shop.plan()
        assert (planned.code, planned.plan["totals"]["planned"]) == (2, 1), planned
        assert shop.apply().code == 0
        shop.post("settle")
        assert sorted(shop.held(held)) == everyone[1:]
        withdraw(shop, doubtful)
        die(shop, warm, SENT)
        assert shop.apply().code == 0
        shop.post("settle")
        assert sorted(shop.held(held)) == [gone, moved, *everyone[4:]]
        assert shop.plan().code == 0
        assert shop.command("state", "verify").code == 0
        shop.world.links[link] = everybody(link)
        shop.turn()
        shop.converged()


def read(shop: Shop) -> bool:
    """Whether a plan reads the source; nothing is to be done by it."""
    done = shop.command("plan", "--detailed-exitcode", "--log-format", "json")
    assert done.code == 0, done
    return "reading catalogue" in done.err


@pytest.mark.parametrize(("link", "held"), [("l6", CEP), ("l8", PROFILES)])
def test_a_push_made_once_is_recognised_after_removals_for_consent_and_only_as_such(
    tmp_path: Path, link: str, held: str
) -> None:
    with shop_of(tmp_path / "shop", replace(everybody(link), more=ONCE), count=60) as shop:
        shop.turn()
        assert not read(shop), "its files are those that it was made from"
        before = sorted(shop.held(held))
        joined(shop, "p901")
        withdraw(shop, before[0])
        assert (shop.apply().code, sorted(shop.held(held))) == (0, before[1:])
        assert not read(shop), "nobody who is in it has moved"
        shop.write()
        assert read(shop), "somebody may have withdrawn consent"
        withdraw(shop, before[1])
        assert (shop.apply().code, sorted(shop.held(held))) == (0, before[2:])
        assert not read(shop)
        specs = shop.root / "specs.yaml"
        specs.write_text(specs.read_text().replace(ONCE, ""))
        assert shop.command("apply", "--auto-approve").code == 0
        shop.post("settle")
        assert "p901" in shop.held(held), "who joined since comes in, although no file has changed"
        assert not read(shop)


def test_a_push_made_once_is_not_made_while_removals_for_consent_are_refused(tmp_path: Path) -> None:
    with shop_of(tmp_path, everybody("l3"), count=60) as shop:
        shop.turn()
        joined(shop, "p901")
        withdraw(shop, *list(shop.held(MEP10))[:20])
        shop.world.links["l3"] = replace(everybody("l3"), more=ONCE + STRICT)
        assert [shop.apply().code for _ in range(2)] == [4, 4]
        shop.world.links["l3"] = replace(everybody("l3"), more=ONCE)
        assert shop.apply().code == 0
        assert target(shop)["once_done"] == ["segment-link/l3"]
        shop.converged()


def test_settings_of_a_push_made_once_change_without_its_members(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(everybody("l3"), more=ONCE), count=12) as shop:
        shop.turn()
        count = len(shop.held(MEP10))
        shop.world.links["l3"] = replace(everybody("l3"), more=ONCE + PROTECTED)
        done = shop.apply()
        assert done.code == 0, done
        assert (target(shop)["prevent_destroy"], target(shop)["baseline"]["count"]) == (True, count)
        assert shop.command("state", "verify").code == 0


def test_settings_make_nothing_known_of_an_audience_that_was_imported(tmp_path: Path) -> None:
    with shop_of(tmp_path, everybody("l6"), count=12) as shop:
        shop.turn()
        shutil.rmtree(shop.root / ".batchctl")
        nobody = replace(everybody("l6"), where="pts > 100000", test=lambda p: False)
        shop.world.links["l6"] = nobody
        shop.write()
        assert shop.command("import", "segment-link/l6", CEP).code == 0
        shop.world.links["l6"] = replace(nobody, more=PROTECTED)
        assert shop.apply().code == 0
        assert (target(shop)["prevent_destroy"], target(shop)["baseline"]["trusted"]) == (True, False)


def test_a_replace_of_somebody_elses_right_after_ours_is_repaired_by_the_next_run(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], count=20) as shop:
        shop.turn()
        told = list(shop.held(CEP))
        stranger(shop)
        routes: list[str] = []

        def after_ours(seen: Seen) -> None:
            if routes[-1:] == ["replace"] and "audiences/view" in seen.path:
                cep(shop, "audiences/replace", name=CEP, ids=[{"id": f"x{n}"} for n in range(len(told))])
                shop.post("settle")
            routes.append(seen.path.partition("?")[0].rpartition("/")[2])

        with between(shop.url, after_ours) as network:
            done = shop.apply(BATCHCTL_API_URL=network.url)
        assert (done.code, "somebody else replaced its members" in done.said(CEP)) == (7, True), done
        assert set(shop.held(CEP)) == {f"x{n}" for n in range(len(told))}
        assert shop.apply().code == 0
        shop.post("settle")
        assert set(shop.held(CEP)) == set(told)
        shop.converged()


def test_rows_that_batch_refused_are_refused_rows_of_the_plan_that_goes_on(tmp_path: Path) -> None:
    with shop_of(tmp_path, everybody("l3"), everybody("l8"), count=12) as shop:
        assert shop.apply().code == 0
        shop.post("switch", name="max_id_length", value="512")
        joined(shop, "p901", "p8" + "9" * 600)
        plan = saved(shop, tmp_path / "plan")
        with between(shop.url, lambda seen: Say(403) if "profiles" in seen.path else None) as network:
            first = shop.command("apply", plan, "--format", "json", BATCHCTL_API_URL=network.url)
        listed = [str(shop.command("rejects"))]
        again = shop.command("apply", plan, "--format", "json")
        listed.append(str(shop.command("rejects")))
        assert (first.code, again.code, outcomes(again)[MEP10]) == (7, 7, "done"), again
        rows = [one["rows"] for done in (first, again) for one in done.plan["changes"] if one["audience"] == MEP10]
        assert (rows[0]["done"], rows[0]["refused"], rows[1]) == (1, 1, rows[0])
        assert all("segment-link/l3" in one for one in listed), listed


@pytest.mark.parametrize("at", ["3,state: begin", "3,state: end"])
def test_an_audience_that_is_emptied_is_given_up_in_one_write(tmp_path: Path, at: str) -> None:
    with shop_of(tmp_path / "shop", replace(everybody("l6"), on_destroy="empty"), count=12) as shop:
        shop.turn()
        shop.world.links = {}
        plan = saved(shop, tmp_path / "plan")
        with Warm(tmp_path) as warm:
            die(shop, warm, at, plan=plan)
        done = shop.command("apply", plan, "--format", "json")
        assert (done.code, outcomes(done)[CEP]) == (0, "done"), done
        assert json.loads((shop.root / ".batchctl/state.json").read_text())["targets"] == {}
        assert shop.plan().code == 0


@pytest.mark.parametrize("saved_plan", [False, True])
def test_rows_that_batch_refused_before_a_kill_are_not_asked_again(tmp_path: Path, saved_plan: bool) -> None:
    refused = ["p8" + "9" * 600, "p9" + "9" * 600]
    with shop_of(tmp_path / "shop", everybody("l3"), count=12) as shop, Warm(tmp_path) as warm:
        shop.turn()
        shop.post("switch", name="max_id_length", value="512")
        joined(shop, "p901", *refused)
        plan = saved(shop, tmp_path / "plan") if saved_plan else ""
        die(shop, warm, "3,state: begin", plan=plan)
        shop.post("reset-log")
        joined(shop, "p902")
        done = shop.command("apply", plan, "--format", "json") if plan else shop.apply()
        (change,) = done.plan["changes"]
        expected = (7, [1, 2, 0]) if plan else (0, [1, 0, 2])
        assert (done.code, [change["rows"]["done"], change["rows"]["refused"], change["refused_before"]]) == expected, (
            done
        )
        sent = [one for one in shop.log() if one["method"] == "PATCH"]
        assert sum(one["items"] for one in sent) == (0 if plan else 1)
        shop.post("switch", name="max_id_length", value="1024")
        again = shop.apply()
        assert again.plan["changes"][0]["refused_before"] == 2
        assert shop.apply("--retry-rejects").code == 0
        shop.converged()


def test_an_upload_that_was_cut_off_before_anything_was_taken_says_nothing_of_single_rows(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", everybody("l3"), count=12) as shop, Warm(tmp_path) as warm:
        shop.turn()
        shop.post("switch", name="max_id_length", value="512")
        joined(shop, "p8" + "9" * 600, "p9" + "9" * 600)
        die(shop, warm, "3,state: begin")
        shop.post("switch", name="max_id_length", value="1024")
        assert shop.apply().code == 0
        shop.converged()
