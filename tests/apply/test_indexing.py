"""Indexing that never ends: everybody who looks is told since when, and after a day what it is; nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.plan.indexing import when
from reconciler.state.store import StateStore
from tests.apply.people import LINKS
from tests.apply.shop import Shop
from tests.apply.test_rules import outcomes, shop_of

MEP, CEP = "l3_custom_ids", "l6_custom_ids"
NOW = datetime(2026, 11, 29, 6, 0, tzinfo=UTC)


def earlier(shop: Shop, by: timedelta) -> None:
    """All writes of the state were sent so much earlier."""
    store = StateStore(shop.root / ".batchctl")
    state = store.read()
    assert state is not None
    for one in state.targets.values():
        last = one.last_write
        assert last is not None
        moved = last.model_copy(update={"sent_at": last.sent_at - by})
        state = state.with_target(one.model_copy(update={"last_write": moved}))
    store.write(state)


def warnings(shop: Shop) -> list[str]:
    """What a plan warns of, per target."""
    return [text for change in shop.plan().plan["changes"] for text in change["warnings"]]


def test_a_write_that_is_never_indexed_is_named_with_its_time_and_after_a_day_with_what_to_do(tmp_path: Path) -> None:
    links = [one for one in LINKS if one.name in ("l3", "l6")]
    with shop_of(tmp_path, *links, switches=("indexing_outcome=stuck",)) as shop:
        shop.retry = "attempts: 2, deadline: 1s"
        assert shop.apply().code == 0
        assert warnings(shop) == [], "nobody waits for it yet"
        assert "accepted 20" in shop.command("status").out
        earlier(shop, timedelta(hours=5))
        shop.world.people = {pid: replace(one, ok=pid != "p12") for pid, one in shop.world.people.items()}
        shop.post("reset-log")
        first = shop.apply()
        assert (first.code, outcomes(first)) == (1, {MEP: "failed", CEP: "failed"}), first
        for name in (MEP, CEP):
            assert f"audience {name}: Batch has not indexed an earlier write yet" in first.said(name)
            assert "UTC, 5 hours ago; it did not report APPLIED within 1 s" in first.said(name)
        assert [("UTC, 5 hours ago; apply waits for it first" in one) for one in warnings(shop)] == [True, True]
        assert shop.command("status").out.count("UTC, 5 hours ago\n") == 2
        earlier(shop, timedelta(days=2))
        later = shop.apply()
        assert (later.code, outcomes(later)) == (1, outcomes(first)), later
        for name in (MEP, CEP):
            assert f"audience {name}: Batch does not index what it accepted at 20" in later.said(name)
            assert "UTC, 2 days ago" in later.said(name)
            assert "nothing more is sent to this audience" in later.said(name)
            assert "ask Batch's support" in later.said(name)
        assert [one.startswith("indexing: Batch does not index what it accepted at") for one in warnings(shop)] == [
            True,
            True,
        ]
        assert shop.command("status").out.count("ask Batch's support") == 2
        assert shop.writes() == (0, 0), "nobody is touched whom the barrier protects"


def test_times_are_utc_and_rounded_down() -> None:
    for ago, words in (
        (timedelta(minutes=-5), "0 minutes"),
        (timedelta(seconds=61), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(days=3), "3 days"),
    ):
        assert when(NOW - ago, NOW) == f"{NOW - ago:%Y-%m-%d %H:%M} UTC, {words} ago"
