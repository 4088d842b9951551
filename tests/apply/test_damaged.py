"""A file of the state that is damaged is named with the commands that start its target anew, and those do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.apply.shop import Done, Shop
from tests.apply.test_cut_off import everybody, joined
from tests.apply.test_rules import DATA, MEP10, MEP11, shop_of
from tests.apply.test_set_back import LATE


def damage(shop: Shop, part: str, *, cut: bool) -> Path:
    """Cuts the newest delta file of the target, or writes other bytes over all of its rows."""
    path = max((shop.root / ".batchctl/targets").glob(f"*{part}*/delta-*"), key=lambda path: path.stat().st_mtime_ns)
    whole = path.read_bytes()
    path.write_bytes(whole[:300] if cut else whole[:4] + b"\xaa" * (len(whole) // 3) + whole[4 + len(whole) // 3 :])
    return path


def pasted(shop: Shop, done: Done, start: str) -> list[Done]:
    """The commands of the error that begin like this, run as they stand there; a question is answered in advance."""
    here = f" -C {shop.root}"
    found = re.findall(rf"batchctl {start}{re.escape(here)}([^,;\n]*)", done.err)
    assert found, done
    more = ("--auto-approve",) if start == "state rm" else ()
    return [shop.command(*start.split(), *shlex.split(rest), *more) for rest in found]


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize(("link", "audience"), [("l2", MEP11), ("l3", MEP10)])
def test_a_damaged_file_is_named_with_the_commands_that_help(
    tmp_path: Path, link: str, audience: str, cut: bool
) -> None:
    with shop_of(tmp_path, everybody(link), count=30) as shop:
        shop.turn()
        joined(shop, *LATE)
        shop.turn()
        path = damage(shop, audience, cut=cut)
        joined(shop, "p950")
        refused = shop.apply()
        assert (refused.code, path.name in refused.err) == (1, True), refused
        assert [done.code for done in pasted(shop, refused, "state rm")] == [0]
        (imported,) = pasted(shop, refused, "import")
        assert (imported.code, f"{path.name} is damaged" in imported.err) == (0, True), imported
        shop.turn()
        assert shop.command("state", "verify").code == 0


def test_damaged_profiles_are_sent_again(tmp_path: Path) -> None:
    with shop_of(tmp_path, everybody("l4"), count=30) as shop:
        shop.turn()
        damage(shop, "profiles", cut=True)
        joined(shop, *LATE)
        refused = shop.apply()
        assert (refused.code, "batchctl import" in refused.err) == (1, False), refused
        assert [done.code for done in pasted(shop, refused, "state rm")] == [0]
        shop.turn()
        assert set(LATE) <= set(shop.held(DATA))


@pytest.mark.parametrize("encrypted", [False, True])
def test_where_the_document_is_gone_too_a_damaged_file_is_named_until_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    monkeypatch.setenv("STATE_KEY", "a-key-of-the-tests-0001")
    with shop_of(tmp_path, everybody("l3"), count=30) as shop:
        if encrypted:
            shop.project += '\nstate: {encryption: {key: "${env:STATE_KEY}", enforced: true}}'
        shop.turn()
        joined(shop, *LATE)
        shop.turn()
        (shop.root / ".batchctl/state.json").unlink()
        for version in sorted((shop.root / ".batchctl/previous").iterdir(), key=lambda path: path.stat().st_mtime)[3:]:
            version.unlink()
        path = damage(shop, MEP10, cut=True)
        refused = shop.apply()
        assert refused.code == 1, refused
        assert (f"{path.name} is damaged" in refused.err, "or remove it" in refused.err) == (True, True), refused
        path.unlink()
        assert shop.apply().code == 0
        shop.converged()
