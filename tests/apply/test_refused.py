"""What Batch refuses: found, kept out and named, in whatever form it says so; everything else goes through."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.apply.people import opened
from tests.apply.shop import Shop
from tests.apply.test_anew import BRIEF, STRICT, leave, mep, withdraw
from tests.apply.test_cut_off import everybody, joined
from tests.apply.test_rules import CEP, DATA, MEP10, PROFILES, L, in_part, outcomes, shop_of
from tests.apply.test_switches import SOAK
from tests.batch.kit import Answer, Say, Seen, serving

EMAILS, INSTALLS = "l7_emails", "l5_install_ids"
STOPPED = {
    "cep_email_type=not_supported": (("l7", "l6"), EMAILS, "type"),
    "cep_install_type=installation_ids": (("l5", "l6"), INSTALLS, "type"),
    "cep_install_type=not_supported": (("l5", "l6"), INSTALLS, "type"),
    "max_audiences=2": (("l5", "l6", "l7"), EMAILS, "the most allowed"),
    "max_audience_ids=5": (("l6", "l8"), CEP, "holds 5 ids at most"),
}


@pytest.mark.parametrize("switch", STOPPED if SOAK else list(STOPPED)[-2:])
def test_what_batch_does_not_take_stops_one_target_and_is_named(tmp_path: Path, switch: str) -> None:
    links, unreached, words = STOPPED[switch]
    with shop_of(tmp_path, *(L[name] for name in links), switches=(switch,)) as shop:
        done = shop.apply()
        assert done.code == 7, done
        ends = outcomes(done)
        missing = [name for name, end in ends.items() if end != "done"]
        assert len(missing) == 1, done
        assert switch == "max_audiences=2" or missing == [unreached], done
        assert words in done.said(missing[0]), done
        shop.world.applied()
        shop.post("settle")
        wrong = shop.differences()
        assert wrong
        assert not [line for line in wrong if missing[0] not in line], wrong


def test_wait_waits_for_what_no_run_before_has_seen_indexed(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], L["l8"], switches=("indexing_outcome=stuck",)) as shop:
        shop.retry = "attempts: 2, deadline: 1s"
        for _ in range(2):
            done = shop.apply("--wait")
            assert (done.code, "not reported as indexed within 1 s" in done.said(CEP)) == (7, True), done
        assert done.plan["totals"]["planned"] == 0
        assert "Batch accepted and has not indexed yet" in shop.command("apply", "--auto-approve", "--wait").out


def test_wait_asks_no_more_about_what_was_seen_indexed(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], L["l8"]) as shop:
        assert shop.apply().code == 0
        shop.post("settle")
        done = shop.apply("--wait")
        assert (done.code, done.plan["changes"][0]["indexed"]) == (0, len(shop.held(CEP))), done
        shop.post("reset-log")
        assert shop.apply("--wait").code == 0
        assert not [one for one in shop.log() if one["route"].endswith("/view")]


def test_wait_looks_at_a_write_made_without_it_although_a_guard_keeps_the_rest_back(tmp_path: Path) -> None:
    with shop_of(tmp_path, replace(L["l6"], more=STRICT.replace("10}", "10, min_existing: 1}"))) as shop:
        assert shop.apply().code == 0
        shop.post("settle")
        leave(shop, *list(shop.world.people)[:15])
        done = shop.apply("--wait")
        (change,) = done.plan["changes"]
        assert (done.code, change["outcome"], change["indexed"]) == (4, "refused", len(shop.held(CEP))), done


def test_indexing_that_never_ends_is_said_and_stops_only_its_target(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], L["l8"], switches=("indexing_outcome=stuck",)) as shop:
        shop.retry = "attempts: 2, deadline: 1s"
        done = shop.apply("--wait")
        assert done.code == 7, done
        assert "not reported as indexed within 1 s" in done.said(CEP)
        shop.world.people = {pid: replace(one, tags=(), tier="x") for pid, one in shop.world.people.items()}
        done = shop.apply()
        assert done.code == 7, done
        assert "has not indexed an earlier write yet" in done.said(CEP)
        assert outcomes(done)["crm"] == "done"


def test_who_watches_is_told_that_refused_rows_are_being_found(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], switches=("max_id_length=512",), count=40) as shop:
        for name in ("p" + "9" * 600, "p" + "9" * 601):
            shop.world.people[name] = replace(shop.world.people["p12"], pid=name, ok=True)
        done = shop.apply("--log-format", "json")
        assert done.code == 7, done
        events = [json.loads(line) for line in done.err.splitlines()]
        steps = [(one["step"], one.get("refused", 0)) for one in events if one["event"] == "progress"]
        first = next(at for at, (step, _) in enumerate(steps) if step == "halving")
        rest = [step for step, _ in steps[first + 1 :] if step != "halving"]
        assert "indexing" not in rest[: rest.index("sending")], steps
        assert steps[-1] == ("done", 2), steps


def test_rows_refused_before_are_counted_beside_the_summary(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], switches=("max_id_length=512",), count=40) as shop:
        people = shop.world.people
        people["p" + "9" * 600] = replace(people["p12"], pid="p" + "9" * 600, ok=True)
        assert shop.apply().code == 7
        quiet = shop.command("plan").out
        assert "\nNo changes. 1 target told what the specs say, but for 1 row refused by Batch.\n" in quiet, quiet
        people["p777"] = replace(people["p12"], pid="p777", ok=True)
        shop.write()
        moving = shop.command("plan").out
        assert moving.endswith("0 unchanged. Left out: 1 row refused by Batch before.\n"), moving


def test_rows_refused_alone_are_rejects_until_they_change_or_are_asked_for(tmp_path: Path) -> None:
    long = "p" + "9" * 600
    with shop_of(tmp_path, L["l6"], switches=("max_id_length=512",), count=40) as shop:
        people = shop.world.people
        for name in (long, long + "1"):
            people[name] = replace(people["p12"], pid=name, ok=True)
        done = shop.apply()
        assert done.code == 7, done
        assert done.plan["changes"][0]["rows"]["refused"] == 2
        assert "refused by Batch so far: 2 rows" in shop.command("status").out
        for name in (long, long + "1"):
            del people[name]
        shop.world.applied()
        for name in (long, long + "1"):
            people[name] = replace(people["p12"], pid=name, ok=True)
        shop.post("settle")
        assert not shop.differences()
        again = shop.plan()
        assert (again.code, again.plan["changes"][0]["refused_before"]) == (0, 2), again
        shop.post("switch", name="max_id_length", value="1024")
        assert shop.apply().plan["totals"]["planned"] == 0
        assert shop.apply("--retry-rejects").code == 0
        shop.converged()


@pytest.mark.parametrize("refused", ["a", "z"])
def test_many_rows_refused_one_after_another_hold_up_no_others(tmp_path: Path, refused: str) -> None:
    with shop_of(tmp_path, L["l3"], switches=("max_id_length=512",)) as shop:
        one = replace(next(iter(shop.world.people.values())), ok=True, spent=1.0)
        bad = [f"{refused}{n:0600}" for n in range(160)]
        shop.world.people = {name: replace(one, pid=name) for name in (*bad, *(f"p{n}" for n in range(600)))}
        done = shop.apply()
        assert (done.code, done.plan["totals"]["refused"], done.plan["totals"]["done"]) == (7, 160, 600), done
        again = shop.plan()
        assert (again.code, again.plan["changes"][0]["refused_before"]) == (0, 160), again


def test_an_audience_of_which_batch_refuses_everybody_every_night_is_one_of_nobody(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l3"], switches=("max_id_length=512",), count=20) as shop:
        one = next(iter(shop.world.people.values()))
        for n in range(3):
            name = str(n) * 600
            shop.world.people = {name: replace(one, pid=name, ok=True, spent=1.0)}
            done = shop.apply()
            assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, 1), done
            assert not list((shop.root / ".batchctl").rglob("base-*.parquet"))
        shop.world.people = {"p1": replace(one, pid="p1", ok=True, spent=1.0)}
        assert shop.apply().code == 0
        shop.converged()


@pytest.mark.parametrize("how", ["leaves", "withdraws"])
@pytest.mark.parametrize("link", ["l3", "l6"])
def test_a_removal_that_batch_refuses_is_a_reject_and_they_stay_in_the_books(
    tmp_path: Path, link: str, how: str
) -> None:
    long = "p" + "9" * 600
    with shop_of(tmp_path, L[link], count=20) as shop:
        people = shop.world.people
        people[long] = replace(people["p12"], pid=long, ok=True, spent=1.0)
        shop.turn()
        shop.post("switch", name="max_id_length", value="512")
        people["p1"] = replace(people["p1"], ok=False)
        people[long] = replace(people[long], ok=how == "leaves")
        if how == "leaves":
            del people[long]
        for _ in range(2 if how == "withdraws" else 1):  # who withdrew is removed as soon as Batch lets them be
            done = shop.apply()
            assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, 1), done
            assert long in shop.held(L[link].audience)
        again = shop.plan().plan["changes"][0]
        assert (again["rows"]["planned"], again["refused_before"]) == ((0, 1) if how == "leaves" else (1, 0))
        shop.post("switch", name="max_id_length", value="1024")
        assert shop.apply("--retry-rejects").code == 0
        shop.converged()


@pytest.mark.parametrize(
    ("link", "name", "switch", "value", "before"),
    [("l3", MEP10, "max_id_length", "512", "1024"), ("l4", DATA, "custom_data_null", "reject_call", "delete_key")],
)
def test_a_target_is_not_given_up_before_everybody_is_removed(
    tmp_path: Path, link: str, name: str, switch: str, value: str, before: str
) -> None:
    with shop_of(tmp_path, replace(L[link], on_destroy="empty"), count=10) as shop:
        people, long = shop.world.people, "p" + "9" * (600 if link == "l3" else 6)
        people[long] = replace(people["p2"], pid=long, ok=True, spent=1.0, pts=20)
        shop.turn()
        shop.post("switch", name=switch, value=value)
        shop.world.links = {}
        done = shop.apply()
        shop.post("settle")
        left = shop.held(name)
        assert long in left
        assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, len(left)), done
        done = shop.apply()
        assert (done.code, done.plan["totals"]["planned"]) == (0, 0), done
        again = shop.plan()
        assert (again.code, again.plan["changes"][0]["refused_before"]) == (2, len(left)), again
        shop.post("switch", name=switch, value=before)
        assert shop.apply("--retry-rejects").code == 0
        shop.post("settle")
        assert not shop.held(name)
        assert shop.plan().plan["changes"] == []


def test_who_is_gone_already_is_gone_although_batch_refuses_to_remove_them(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l3"], switches=("remove_absent_member=reject_call",), count=30) as shop:
        shop.turn()
        gone = sorted(shop.held(MEP10))[:3]
        mep(shop, MEP10, *gone, action="remove")
        one = shop.world.people[gone[0]]
        shop.world.people |= {name: replace(one, pid=name) for name in ("p901", "p902")}
        leave(shop, *gone)
        assert shop.apply().code == 0
        shop.converged()


@pytest.mark.parametrize("link", ["l2", "l6", "l8"])
def test_bodies_that_are_too_large_are_halved(tmp_path: Path, link: str) -> None:
    with shop_of(tmp_path, L[link], switches=("max_body_bytes=700",), count=40) as shop:
        done = shop.apply()
        assert done.code == 0, done
        assert done.plan["totals"]["planned"] == done.plan["totals"]["done"]
        assert {413, 202} & {one["status"] for one in shop.log()} == {413, 202}
        shop.converged()
        assert shop.breaches() == {}


def test_a_replace_that_is_too_large_begins_with_what_fits(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l6"], count=40) as shop:
        shop.turn()
        shop.post("switch", name="max_body_bytes", value="700")
        for one in (shop.root / ".batchctl").rglob("*"):
            if one.is_file():
                one.unlink()
        assert shop.command("import", "segment-link/l6", CEP).code == 0
        done = shop.apply()
        assert done.code == 0, done
        shop.converged()
        assert shop.breaches() == {}


def test_a_row_refused_in_a_replace_holds_up_no_other(tmp_path: Path) -> None:
    long = "p" + "9" * 600
    with shop_of(tmp_path, L["l6"], count=30) as shop:
        shop.turn()
        shop.post("switch", name="max_id_length", value="512")
        for one in (shop.root / ".batchctl").rglob("*"):
            if one.is_file():
                one.unlink()
        assert shop.command("import", "segment-link/l6", CEP).code == 0
        shop.world.applied()
        shop.world.people[long] = replace(shop.world.people["p12"], pid=long, ok=True)
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, 1), done
        shop.post("settle")
        assert not shop.differences()
        assert set(shop.breaches()) == {"bad_item"}
        assert shop.plan().code == 0


def test_partial_errors_of_profiles_are_rejects(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l8"], count=40) as shop:
        shop.post("faults", partial=0.4)
        done = shop.apply()
        shop.post("faults", partial=0)
        refused = done.plan["changes"][0]["rows"]["refused"]
        assert (done.code, refused > 0) == (7, True), done
        assert shop.plan().code == 0
        assert shop.apply("--retry-rejects").code == 0
        shop.converged()


@pytest.mark.parametrize("how", ["leaves", "withdraws", "is back", "compacted"])
def test_what_batch_stored_of_a_row_it_refused_in_part_is_not_forgotten(tmp_path: Path, how: str) -> None:
    with shop_of(tmp_path, L["l8"], count=30) as shop:
        people = shop.world.people
        if how == "is back":
            shop.turn()
        before = dict(people)
        for pid, one in people.items():
            people[pid] = replace(one, tier="silver" if one.tier != "silver" else "gold", spent=7.25)
        in_part(shop, 1)
        if how == "is back":
            people.update(before)
        elif how == "withdraws":
            people.update({pid: replace(one, ok=False) for pid, one in people.items()})
        else:
            people.update({pid: replace(one, pts=1) for pid, one in people.items()})
        if how == "compacted":
            assert shop.command("state", "compact").code == 0
        assert shop.apply().code == 0
        shop.converged()
        assert bool(shop.held(PROFILES)) == (how == "is back")


@pytest.mark.parametrize("kept_back", ["consent", "the rest"])
def test_what_batch_stored_in_part_is_not_forgotten_where_a_guard_keeps_its_row_back(
    tmp_path: Path, kept_back: str
) -> None:
    with shop_of(tmp_path, replace(everybody("l8"), more=STRICT), count=20) as shop:
        shop.turn()
        withdrawn, *others = shop.held(PROFILES)
        joined(shop, "p901", "p902")
        shop.post("faults", partial=1)
        assert shop.apply().code == 7
        shop.post("faults", partial=0)
        assert {"p901", "p902"} <= set(shop.held(PROFILES))
        if kept_back == "consent":
            joined(shop, "p903")
            withdraw(shop, "p901", "p902", withdrawn, *others[:5])
            expected = "max_consent_percent"
        else:
            people = shop.world.people
            people.update({pid: replace(people[pid], tier="changed") for pid in ("p901", "p902")})
            people.update({f"{pid} again": people[pid] for pid in others})
            withdraw(shop, withdrawn)
            expected = "max_reject_percent"
        done = shop.apply()
        (change,) = done.plan["changes"]
        refused = change["refused"] or change["consent"]["refused"]
        assert (done.code, refused["rule"], change["rows"]["done"]) == (4, expected, 1), done
        shop.world.links["l8"] = everybody("l8")
        leave(shop, *(name for name in shop.world.people if name in ("p901", "p902") or " again" in name))
        assert shop.apply().code == 0
        shop.converged()


def test_profiles_that_were_all_refused_in_part_are_unset_when_their_link_goes(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l8"], count=20) as shop:
        shop.post("faults", partial=1)
        assert shop.apply().code == 7
        shop.post("faults", partial=0)
        shop.post("settle")
        assert shop.held(PROFILES)
        shop.world.links = {}
        assert shop.apply().code == 0
        shop.post("settle")
        assert not shop.held(PROFILES)


def test_a_partial_error_that_names_no_row_is_searched_for(tmp_path: Path) -> None:
    world = opened(40, random.Random(4), (L["l8"],))
    meant = sorted(world.believed()[PROFILES])[3]

    def answer(seen: Seen) -> Say:
        if seen.method == "GET":
            return Say(200, {"audiences": [], "count": 0, "has_more": False})
        bad = any(one["identifiers"]["custom_id"] == meant for one in seen.json)
        return Say(202, {"code": "SUCCESS_WITH_PARTIAL_ERRORS" if bad else "SUCCESS"})

    with serving(by=answer) as script:
        shop = Shop(tmp_path, script.url, world)
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, 1), done
        assert shop.plan().code == 0


def taken_in_part(order: list[str], meant: str, *, indexed: bool = True) -> Answer:
    """A Batch that creates an audience, takes requests less `meant` without naming them, and indexes or never does."""

    def answer(seen: Seen) -> Say:
        route = seen.path.rpartition("/")[2]
        order.append(f"{route} {seen.query.get('indexing_token', '')}".strip())
        audience = {"name": CEP, "type": "CUSTOM_ID", "created": "2026-01-01T00:00:00Z", "nb_ids": 0}
        match route:
            case "list":
                return Say(200, {"audiences": [], "count": 0, "has_more": False})
            case "view" if "create" not in order:
                return Say(404, {"error_code": "ROUTE_NOT_FOUND", "error_message": "no"})
            case "view":
                done = indexed or seen.query.get("indexing_token") == "t0"
                return Say(200, {**audience, "indexing_state": "APPLIED" if done else "PENDING"})
        bad = "update" in order and any(one["id"] == meant for one in seen.json.get("ids", []))
        code = "SUCCESS_WITH_PARTIAL_ERRORS" if bad else "SUCCESS"
        return Say(202, {"code": code, "indexing_token": f"t{order.count('update')}"})

    return answer


def test_the_halves_of_what_batch_took_in_part_wait_until_it_is_indexed(tmp_path: Path) -> None:
    world = opened(20, random.Random(4), (L["l6"],))
    meant = sorted(world.believed()[CEP])[3]
    order: list[str] = []
    with serving(by=taken_in_part(order, meant)) as script:
        done = Shop(tmp_path, script.url, world).apply()
    assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, 1), done
    first = order.index("update")
    assert order[first + 1] == "view t1", order


def test_what_batch_took_in_part_is_unknown_while_it_is_not_indexed(tmp_path: Path) -> None:
    world = opened(20, random.Random(4), (L["l6"],))
    everybody = sorted(world.believed()[CEP])
    with serving(by=taken_in_part([], everybody[3], indexed=False)) as script:
        done = Shop(tmp_path, script.url, world, retry=BRIEF).apply()
    (change,) = done.plan["changes"]
    assert (done.code, change["outcome"], change["rows"]["unknown"]) == (7, "unknown", len(everybody)), done


def test_who_was_removed_by_a_request_taken_in_part_is_no_member_any_more(tmp_path: Path) -> None:
    world = opened(20, random.Random(4), (replace(L["l6"], attributes=()),))
    held: set[str] = set()
    bad = ""

    def answer(seen: Seen) -> Say:
        if seen.method == "GET":  # without a count, which would prove who is gone
            audience = {
                "name": CEP,
                "type": "CUSTOM_ID",
                "created": "2026-01-01T00:00:00Z",
                "indexing_state": "APPLIED",
            }
            listed = {"audiences": [audience] if held else [], "count": 1, "has_more": False}
            return Say(200, listed if seen.path.endswith("list") else audience)
        items = {one["id"]: one.get("action", "add") for one in seen.json.get("ids", [])}
        if any(action == "remove" and one not in held for one, action in items.items()):
            return Say(400, {"error_code": "MALFORMED_PARAMETER", "error_message": "not a member"})
        for one, action in items.items():
            if one != bad:
                (held.add if action == "add" else held.discard)(one)
        return Say(202, {"code": "SUCCESS_WITH_PARTIAL_ERRORS" if bad in items else "SUCCESS", "indexing_token": "t"})

    with serving(by=answer) as script:
        shop = Shop(tmp_path, script.url, world, retry=BRIEF)
        shop.world.links["l6"] = replace(shop.world.links["l6"], more="audience: {adopt: true}\n")
        held.add("p1")
        assert shop.apply().code == 0
        gone = sorted(held)[2]
        person, bad = world.people.pop(gone), "p901"
        world.people |= {name: replace(person, pid=name) for name in (bad, "p902")}
        done = shop.apply()
        assert (done.code, done.plan["changes"][0]["rows"]["refused"]) == (7, 1), done
        assert gone not in held
        world.people[gone] = person
        assert shop.apply().code == 0
        assert gone in held


def test_attributes_batch_does_not_know_are_named_and_the_rest_is_sent(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l8"], L["l6"], switches=("undeclared_attribute=reject",)) as shop:
        done = shop.apply()
        assert done.code == 7, done
        assert outcomes(done)[CEP] == "done"
        assert "Traceback" not in done.err


@pytest.mark.parametrize("damage", ["edited", "cut"])
def test_what_was_refused_is_believed_only_as_it_was_written(tmp_path: Path, damage: str) -> None:
    long = "p" + "9" * 600
    with shop_of(tmp_path, L["l6"], switches=("max_id_length=512",), count=20) as shop:
        shop.world.people[long] = replace(shop.world.people["p12"], pid=long, ok=True)
        assert shop.apply().code == 7
        (file,) = (shop.root / ".batchctl" / "targets").rglob("refusals-*.parquet")
        whole = file.read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        file.write_bytes(flipped if damage == "edited" else whole[:-1])
        shop.world.people["p12"] = replace(shop.world.people["p12"], pts=99)
        for done in (shop.apply(), shop.command("plan")):
            assert done.code == 1, done
            assert f"{file.name} " in done.err, done
            assert long not in done.err
        checked = shop.command("state", "verify")
        assert (checked.code, file.name in checked.out) == (1, True), checked
        file.write_bytes(whole)
        assert shop.apply().code == 0
        assert shop.plan().plan["changes"][0]["refused_before"] == 1
