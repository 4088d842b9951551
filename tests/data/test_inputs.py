"""A target whose source, documents and baseline are as they were is recognised without reading; any doubt computes it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from reconciler.spec import Spec
from tests.data.kit import PEOPLE, Shop, documents

BIG = {**PEOPLE, "fields": {"pid": "string", "n": "integer", "seen": "timestamp"}}
DATA = "pid,n,seen\na,1,2026-11-22\nb,2,2026-11-22\n"


def told(shop: Shop, specs: list[Spec], data: str = DATA) -> None:
    shop.write("people.csv", data)
    shop.apply(specs)


def test_nothing_is_read_while_nothing_changed(shop: Shop) -> None:
    specs = documents(catalogue=BIG)
    told(shop, specs)
    turn = shop.look(specs)
    assert shop.progress == []
    assert not turn.rows
    assert (turn.staged.counts.members, turn.staged.counts.after) == (2, 2)
    assert turn.staged.counts.source_rows > 0


@pytest.mark.parametrize(
    "changed",
    [
        {"catalogue": {**BIG, "max_reject_percent": 5}},
        {"where": "n > 1"},
        {"where": "n > 0"},
        {"delete": False},
        {"attributes": {"n": "n"}, "declared": {"n": "integer"}},
    ],
)
def test_any_edit_computes_again(shop: Shop, changed: dict[str, Any]) -> None:
    told(shop, documents(catalogue=BIG))
    shop.look(documents(**{"catalogue": BIG, **changed}))
    assert shop.progress


def test_a_file_of_the_same_size_and_time_is_another_file(shop: Shop) -> None:
    specs = documents(catalogue=BIG)
    told(shop, specs)
    path = shop.root / "people.csv"
    before = path.stat()
    shop.write("people.csv", DATA.replace("b,2", "c,2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    turn = shop.look(specs)
    assert (turn.added, turn.removed) == ({"c"}, {"b"})


@pytest.mark.parametrize("where", ["seen < now()", "seen < CURRENT_DATE", "seen < today() - INTERVAL 1 DAY"])
def test_who_asks_the_clock_is_always_computed(shop: Shop, where: str) -> None:
    specs = documents(catalogue=BIG, where=where)
    told(shop, specs)
    shop.look(specs)
    assert shop.progress


def test_what_is_dated_by_its_own_rows_or_had_rejects_is_always_computed(shop: Shop) -> None:
    dated = documents(catalogue={**BIG, "freshness": {"max_age": "3650d", "field": "seen"}})
    told(shop, dated)
    shop.look(dated)
    assert shop.progress
    rejecting = documents(catalogue=BIG, where="n > 0")
    told(shop, rejecting, DATA + "c,many,2026-11-22\n")
    assert shop.look(rejecting).reasons == {"n: not a value of type integer": 1}


def test_the_age_of_recognised_files_is_still_known(shop: Shop) -> None:
    specs = documents(catalogue={**BIG, "freshness": "36h"})
    told(shop, specs)
    assert shop.look(specs).staged.oldest.keys() == {"people"}
    assert shop.progress == []


def test_rows_of_an_interrupted_run_are_asserted_again(shop: Shop) -> None:
    specs = documents(catalogue=BIG)
    shop.write("people.csv", DATA)
    shop.apply(specs, accepted=[(0, 1)])
    assert len(shop.look(specs).rows) == 1
