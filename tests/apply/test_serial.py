"""Links of one segment, one after another: what waits for the one before, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.render.planschema import SUMS
from tests.apply.shop import Done, Shop, document
from tests.apply.test_anew import leave, stranger, withdraw
from tests.apply.test_cut_off import everybody, joined
from tests.apply.test_rules import CEP, MEP10, shop_of
from tests.batch.between import between
from tests.batch.kit import Say, Seen

FIRST = "first"
"""The audience that is activated first; MEP10 is the second."""


def one_after_another(shop: Shop, more: str = "", segment: str = "l3") -> None:
    """The segment is activated in another audience before."""
    shop.retry = "attempts: 2, deadline: 1s"
    shop.extra = [
        document("Mapping", "first", "catalogue: people\nidentifier: {custom_id: pid}"),
        document("Action", "first", "destination: crm\ntype: send_custom_ids\nmapping: first"),
        document("SegmentLink", "first", f"segment: {segment}\naction: first\naudience: {{name: {FIRST}}}\n{more}"),
    ]
    shop.activation = "serial"


def both(done: Done) -> list[str]:
    """What became of the first, and of the second."""
    found = {one["audience"]: one["outcome"] for one in done.plan["changes"]}
    return [found[FIRST], found[MEP10]]


def held(shop: Shop, *pids: str) -> list[set[str]]:
    """Who of these is in the first, and in the second."""
    return [set(shop.held(name)) & set(pids) for name in (FIRST, MEP10)]


def one_more(requests: dict[str, int]) -> bool:
    """Beside the one that was planned, and not attempted, one with the removals for consent went out."""
    return (requests["planned"], requests["done"], requests["not_attempted"]) == (2, 1, 1)


@pytest.mark.parametrize(("indexing", "ends"), [("applied", "done done"), ("stuck", "failed not_attempted")])
def test_the_second_waits_until_the_first_is_indexed(tmp_path: Path, indexing: str, ends: str) -> None:
    with shop_of(tmp_path, everybody("l3"), switches=(f"indexing_outcome={indexing}",), count=12) as shop:
        shop.project = "max_delete_audiences: 20"
        one_after_another(shop)
        done = shop.apply()
        assert both(done) == ends.split(), done


@pytest.mark.parametrize("refused", ["whole", "but for consent"])
def test_a_refusal_is_not_waited_for(tmp_path: Path, refused: str) -> None:
    with shop_of(tmp_path, everybody("l3"), count=60) as shop:
        one_after_another(shop, "guards: {max_remove_percent: 1}")
        assert shop.apply().code == 0
        withdrawn, *left = sorted(shop.held(MEP10))[:4]
        leave(shop, *left)
        if refused != "whole":
            withdraw(shop, withdrawn)
        done = shop.apply()
        assert (done.code, both(done)) == (4, ["refused", "done"]), done
        shop.post("settle")
        stays = {withdrawn} if refused == "whole" else set[str]()
        assert held(shop, withdrawn, *left) == [{*left, *stays}, stays]


@pytest.mark.parametrize("saved", [False, True], ids=["fresh", "saved"])
def test_who_withdraws_consent_does_not_wait_for_one_that_fails(tmp_path: Path, saved: bool) -> None:
    def fate(seen: Seen) -> Say | None:
        return Say(503, b"") if "audiences/update" in seen.path else None

    with shop_of(tmp_path / "shop", everybody("l3"), count=30) as shop:
        one_after_another(shop)
        assert shop.apply().code == 0
        withdrawn, left = sorted(shop.held(MEP10))[:2]
        people = {withdrawn, left, "p901"}
        joined(shop, "p901")
        withdraw(shop, withdrawn)
        leave(shop, left)
        shop.write()
        plan = str(tmp_path / "plan")
        assert shop.command("plan", "--out", plan).code == 0
        with between(shop.url, fate) as network:
            given = ("apply", plan) if saved else ("apply", "--auto-approve")
            done = shop.command(*given, "--format", "json", BATCHCTL_API_URL=network.url)
        second = next(one for one in done.plan["changes"] if one["audience"] == MEP10)
        assert (done.code, both(done)) == (7, ["unknown", "not_attempted"]), done
        rows = second["rows"]
        assert "waits for first, which is not done" in second["error"]
        assert (rows["planned"], rows["done"], rows["not_attempted"]) == (3, 1, 2), done
        assert one_more(second["requests"]), "its own request is still to be made"
        for sums in (rows, second["requests"], done.plan["totals"]):
            assert sum(sums[name] for name in SUMS if name != "planned") == sums["planned"], done
        shop.post("settle")
        assert held(shop, *people) == [{withdrawn, left}, {left}]
        done = shop.command("apply", plan, "--format", "json") if saved else shop.apply()
        assert (done.code, both(done)) == (0, ["done", "done"]), done
        shop.post("settle")
        assert held(shop, *people) == [{"p901"}, {"p901"}]
        assert shop.plan().code == 0


def test_before_a_replace_too(tmp_path: Path) -> None:
    def fate(seen: Seen) -> Say | None:
        return Say(503, b"") if seen.body and seen.json.get("name") == FIRST else None

    with shop_of(tmp_path, everybody("l6"), count=60) as shop:
        one_after_another(shop, segment="l6")
        assert shop.apply().code == 0
        shop.post("settle")
        withdrawn = sorted(told := shop.held(CEP))[:3]
        stranger(shop)
        stranger(shop, FIRST)
        withdraw(shop, *withdrawn)
        shop.write()
        with between(shop.url, fate) as network:
            done = shop.apply(BATCHCTL_API_URL=network.url)
        second = next(one for one in done.plan["changes"] if one["audience"] == CEP)
        assert (done.code, second["op"], second["outcome"]) == (7, "full", "not_attempted"), done
        for sums in (second["rows"], second["requests"], done.plan["totals"]):
            assert sum(sums[name] for name in SUMS if name != "planned") == sums["planned"], done
        assert (second["rows"]["done"], second["rows"]["planned"]) == (3, len(told)), done
        assert one_more(second["requests"]), done
        shop.post("settle")
        assert not set(withdrawn) & set(shop.held(CEP))
        assert shop.apply().code == 0
        shop.post("settle")
        assert shop.plan().code == 0
