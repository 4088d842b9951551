"""`state rm`: it says for how long an import still knows who was told."""

from __future__ import annotations

import re
from pathlib import Path

from tests.apply.shop import Shop
from tests.apply.test_anew import swap, withdraw
from tests.apply.test_rules import CEP, MEP10, L, outcomes, shop_of


def _forgotten(shop: Shop, key: str) -> str:
    done = shop.command("state", "rm", key, "--auto-approve")
    assert done.code == 0, done
    return done.out


def test_an_import_removes_whoever_withdrew_consent_up_to_the_version_that_is_named_and_no_longer(
    tmp_path: Path,
) -> None:
    for late in (False, True):
        with shop_of(tmp_path / str(late), L["l3"], L["l6"]) as shop:
            shop.turn()
            found = re.search(r"kept up to state serial (\d+)", _forgotten(shop, MEP10))
            assert found
            pid, *_ = sorted(shop.held(MEP10))
            withdraw(shop, pid)
            serial = 0
            while late and serial <= int(found[1]):
                swap(shop, min(shop.held(CEP)))
                assert outcomes(shop.apply())[MEP10] == "refused"
                serial = shop.command("state", "list", "--format", "json").plan["serial"]
            shop.write()
            assert shop.command("import", "segment-link/l3", MEP10).code == 0
            assert shop.apply().code == 0
            assert (pid in shop.held(MEP10)) == late


def test_of_profiles_nobody_is_known_any_more(tmp_path: Path) -> None:
    with shop_of(tmp_path, L["l8"]) as shop:
        shop.turn()
        assert "who leaves or withdraws consent from now on keeps attributes" in _forgotten(shop, "profiles")
