"""A state document that is set back alone, by a backup or a copy, leads to a plan that says so and forgets nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.apply.test_anew import withdraw
from tests.apply.test_cut_off import everybody, joined
from tests.apply.test_rules import MEP10, PROFILES, shop_of

LATE = ("p901", "p902", "p903")


@pytest.mark.parametrize(("nights", "encrypted"), [(1, False), (3, True)])
def test_who_joined_since_leaves_when_they_withdraw_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nights: int, encrypted: bool
) -> None:
    monkeypatch.setenv("STATE_KEY", "a-key-of-the-tests-0001")
    with shop_of(tmp_path, everybody("l3"), everybody("l8"), count=30) as shop:
        if encrypted:
            shop.project += '\nstate: {encryption: {key: "${env:STATE_KEY}", enforced: true}}'
        shop.turn()
        document = shop.root / ".batchctl/state.json"
        before = document.read_bytes()
        joined(shop, *LATE)
        for night in range(nights):
            joined(shop, f"p95{night}")
            shop.turn()
        assert set(LATE) <= set(shop.held(MEP10)) & set(shop.held(PROFILES))
        document.write_bytes(before)
        withdraw(shop, *LATE)
        shop.write()
        planned = shop.plan()
        assert planned.code == 2, planned
        assert "was set back" in planned.plan["warnings"][0]
        assert document.read_bytes() == before, "a plan writes nothing"
        done = shop.apply()
        assert (done.code, "was set back" in done.plan["warnings"][0]) == (0, True), done
        shop.converged()
        assert not set(LATE) & (set(shop.held(MEP10)) | set(shop.held(PROFILES)))
        assert shop.command("state", "verify").code == 0
        assert shop.plan().plan["warnings"] == []


def test_a_saved_plan_of_before_is_stale(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", everybody("l3"), count=30) as shop:
        shop.turn()
        document = shop.root / ".batchctl/state.json"
        before = document.read_bytes()
        joined(shop, *LATE)
        shop.write()
        plan = str(tmp_path / "plan")
        assert shop.command("plan", "--out", plan).code == 0
        shop.turn()
        document.write_bytes(before)
        assert shop.command("apply", plan).code in (1, 6)
        assert shop.apply().code == 0
        shop.converged()
