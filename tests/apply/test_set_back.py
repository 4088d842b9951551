"""A state document that is set back alone, by a backup or a copy, leads to a plan that says so and forgets nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.apply.shop import Shop
from tests.apply.test_anew import withdraw
from tests.apply.test_cut_off import everybody, joined
from tests.apply.test_rules import MEP10, PROFILES, shop_of

LATE = ("p901", "p902", "p903")


@contextmanager
def kept(folder: Path, monkeypatch: pytest.MonkeyPatch, *, encrypted: bool) -> Iterator[Shop]:
    """A shop after its first night, whose state is encrypted perhaps."""
    monkeypatch.setenv("STATE_KEY", "a-key-of-the-tests-0001")
    with shop_of(folder, everybody("l3"), everybody("l8"), count=30) as shop:
        if encrypted:
            shop.project += '\nstate: {encryption: {key: "${env:STATE_KEY}", enforced: true}}'
        shop.turn()
        yield shop


@pytest.mark.parametrize(("nights", "encrypted"), [(1, False), (3, True)])
def test_who_joined_since_leaves_when_they_withdraw_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nights: int, encrypted: bool
) -> None:
    with kept(tmp_path, monkeypatch, encrypted=encrypted) as shop:
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


@pytest.mark.parametrize("encrypted", [False, True])
def test_where_the_document_is_gone_the_newest_version_that_is_kept_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    with kept(tmp_path, monkeypatch, encrypted=encrypted) as shop:
        joined(shop, *LATE)
        shop.turn()
        document = shop.root / ".batchctl/state.json"
        document.unlink()
        withdraw(shop, *LATE)
        shop.write()
        planned = shop.plan()
        assert planned.code == 2, planned
        assert "goes on from the newest version that is kept" in planned.plan["warnings"][0]
        assert not document.exists(), "a plan writes nothing"
        assert shop.apply().code == 0
        shop.converged()
        assert not set(LATE) & (set(shop.held(MEP10)) | set(shop.held(PROFILES)))
        assert shop.command("state", "verify").code == 0
        assert shop.plan().plan["warnings"] == []


def test_where_every_version_is_gone_nothing_is_changed_that_is_not_imported(tmp_path: Path) -> None:
    with shop_of(tmp_path / "shop", everybody("l3"), everybody("l8"), count=30) as shop:
        shop.turn()
        joined(shop, *LATE)
        shop.turn()
        before, folder = shop.held(MEP10), shop.root / ".batchctl"
        (folder / "state.json").unlink()
        for version in (folder / "previous").iterdir():
            version.unlink()
        withdraw(shop, *LATE)
        shop.write()
        planned = shop.plan()
        assert (planned.code, planned.plan["state"]["serial"]) == (2, 0), planned
        assert "as if nothing had ever been sent" in planned.plan["warnings"][0]
        found = {change["target"]: change for change in planned.plan["changes"]}
        assert found["audience"]["refused"]["override"].endswith("segment-link/l3 l3_custom_ids")
        assert (found["profiles"]["op"], found["profiles"]["removed"]) == ("full", 0)
        saved = str(tmp_path / "plan")
        assert shop.command("plan", "--out", saved).code == 0
        assert shop.command("apply", saved).code == 4
        assert shop.held(MEP10) == before
        assert shop.command("import", "segment-link/l3", "l3_custom_ids").code == 0
        assert shop.apply().code == 0
        shop.world.applied()
        wrong = shop.differences()
        assert {line.split(":")[0] for line in wrong} == {f"crm {late}" for late in LATE}, "attributes of who left stay"
        assert shop.command("state", "verify").code == 0
        assert (after := shop.plan()).plan["warnings"] == []
        assert (after.code, not [one for one in after.plan["changes"] if one["op"] != "none"]) == (0, True)


def test_an_import_begins_a_state_anew_too(tmp_path: Path) -> None:
    with shop_of(tmp_path, everybody("l3"), count=30) as shop:
        shop.turn()
        folder = shop.root / ".batchctl"
        (folder / "state.json").unlink()
        for version in (folder / "previous").iterdir():
            version.unlink()
        done = shop.command("import", "segment-link/l3", "l3_custom_ids")
        assert (done.code, "as if nothing had ever been sent" in done.err) == (0, True), done
        assert shop.plan().plan["warnings"] == []
        shop.turn()
        shop.converged()


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
