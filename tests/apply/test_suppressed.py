"""A suppression list that is cut short sends nobody it protected, tonight or any night after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.apply.shop import Shop
from tests.apply.test_cut_off import die, everybody
from tests.apply.test_rules import CEP, L, rules, shop_of
from tests.apply.warm import Warm

NOBODY = replace(L["l3"], where="pts < 0", test=lambda p: False)


class Listed(Shop):
    """A shop with a suppression list, of whoever is suppressed in its world."""

    def write(self) -> None:
        super().write()
        listed = "".join(f"{pid}\n" for pid in sorted(self.world.suppressed))
        (self.root / "data" / "list.csv").write_text(f"pid\n{listed}")

    def _documents(self) -> Iterator[str]:
        more = "consent: ok\nsuppress: {path: data/list.csv, key: pid}\n"
        yield from (text.replace("consent: ok\n", more) for text in super()._documents())


@pytest.mark.parametrize("beside", ["a setting", "a deletion", "a kill"])
def test_one_that_shrank_is_refused_every_night_whatever_else_is_done(tmp_path: Path, beside: str) -> None:
    with shop_of(tmp_path / "shop", everybody("l6"), NOBODY, count=40) as plain, Warm(tmp_path) as warm:
        shop = Listed(plain.root, plain.url, plain.world, retry=plain.retry)
        listed = {f"p{number}" for number in range(10, 20)}
        shop.world.suppressed = set(listed)
        if beside == "a kill":
            die(shop, warm, "1,ack: end")
        else:
            assert shop.apply().code == 0
        shop.world.suppressed = {"p10", "p11", "p12"}
        if beside == "a setting":
            shop.world.links["l3"] = replace(NOBODY, on_destroy="keep")
        elif beside == "a deletion":
            del shop.world.links["l3"]
        for _ in range(2):
            done = shop.apply()
            assert (done.code, rules(done)) == (4, {"suppression"}), done
        assert not listed & set(shop.held(CEP))
