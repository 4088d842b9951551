"""`on_exit: keep` and pushes made once, for profiles of which Batch refused a part: they keep what it took, as all others do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.apply.people import Link
from tests.apply.shop import Shop
from tests.apply.test_anew import leave, withdraw
from tests.apply.test_cut_off import everybody
from tests.apply.test_rules import PROFILES, in_part, shop_of

KEPT = replace(everybody("l8"), unset=False)
ONCE = replace(everybody("l8"), more="refresh: {every: once}\n")


def _fewer(shop: Shop) -> None:
    """The mapping drops what Batch may hold of everybody."""
    link = shop.world.links["l8"]
    shop.world.links["l8"] = replace(link, attributes=("tier",))


def _another(shop: Shop) -> None:
    """The mapping names people otherwise: nobody has an identifier they had."""
    shop.world.people = {
        f"other-{pid}": replace(one, pid=f"other-{pid}") for pid, one in sorted(shop.world.people.items())
    }


def _gone(shop: Shop) -> None:
    leave(shop, *shop.world.people)


def _outside(shop: Shop) -> None:
    shop.world.links["l8"] = replace(shop.world.links["l8"], where="pts > 1000000", test=lambda p: False)


@pytest.mark.parametrize(
    ("link", "moves"),
    [
        (KEPT, _gone),
        (KEPT, _outside),
        (KEPT, _fewer),
        (ONCE, _gone),
        (ONCE, _outside),
        (ONCE, _fewer),
        (ONCE, _another),
    ],
)
def test_whom_batch_refused_in_part_keep_what_it_took_as_others_do(
    tmp_path: Path, link: Link, moves: Callable[[Shop], None]
) -> None:
    with shop_of(tmp_path, link, count=30) as shop:
        took = in_part(shop, 0.5)
        moves(shop)
        done = shop.apply()
        assert done.code == 0, done
        shop.post("settle")
        assert shop.held(PROFILES) == took
        assert shop.plan().code == 0
        fewest = min(took, key=lambda pid: len(took[pid]))
        if fewest in shop.world.people:
            withdraw(shop, fewest)
            assert shop.apply().code == 0
            shop.post("settle")
            assert set(shop.held(PROFILES)) == set(took) - {fewest}
