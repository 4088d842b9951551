"""Answers that are none of Batch's, or say nothing of the request before: nobody counts as told, or as untouched, by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.apply import sending
from tests.apply.test_cut_off import everybody, joined
from tests.apply.test_rules import MEP10, PROFILES, outcomes, shop_of
from tests.batch.between import LOST, between
from tests.batch.kit import Say, Seen

QUICK = "attempts: 2, deadline: 60s"


def test_a_sign_in_page_is_no_success(tmp_path: Path) -> None:
    with shop_of(tmp_path, everybody("l8"), count=12) as shop:
        shop.retry = QUICK
        with between(
            shop.url, lambda seen: Say(200, b"<html>Please sign in") if "profiles" in seen.path else None
        ) as net:
            done = shop.apply(BATCHCTL_API_URL=net.url)
        assert (done.code, done.plan["totals"]["done"], shop.held(PROFILES)) == (7, 0, {}), done
        assert shop.apply().code == 0
        shop.converged()


@pytest.mark.parametrize("status", [401, 403])
def test_a_request_whose_answer_was_lost_may_be_done_whatever_its_repetition_is_told(
    tmp_path: Path, status: int
) -> None:
    with shop_of(tmp_path, everybody("l3"), count=12) as shop:
        shop.turn()
        shop.retry = QUICK
        joined(shop, "p901", "p902")
        fates = [Say(status), LOST]

        def fate(seen: Seen) -> Say | None:
            return fates.pop() if seen.method == "PATCH" and fates else None

        with between(shop.url, fate) as net:
            done = shop.apply(BATCHCTL_API_URL=net.url)
        assert (done.code, outcomes(done)[MEP10], done.plan["totals"]["unknown"]) == (7, "unknown", 2), done
        shop.post("settle")
        assert {"p901", "p902"} <= set(shop.held(MEP10))
        del shop.world.people["p901"]
        assert shop.apply().code == 0
        shop.converged()


@pytest.mark.parametrize("index", [15_000, "0"])
def test_a_refusal_of_no_row_of_the_request_is_nobodys(tmp_path: Path, index: object) -> None:
    odd = Say(202, {"code": "SUCCESS_WITH_PARTIAL_ERRORS", "errors": [{"bulk_index": index, "reason": "odd"}]})
    with shop_of(tmp_path, everybody("l3"), count=12) as shop:
        shop.turn()
        joined(shop, "p901", "p902")
        fates = [odd]
        with between(shop.url, lambda seen: fates.pop() if seen.method == "PATCH" and fates else None) as net:
            done = shop.apply(BATCHCTL_API_URL=net.url)
        assert (done.code, done.plan["totals"]["refused"]) == (0, 0), done
        shop.converged()


def test_rows_that_are_given_up_stop_nobody_in_other_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "REFUSALS_AT_MOST", 40)
    bad, good = [f"a{n:05}" for n in range(10_000)], [f"z{n}" for n in range(50)]
    with shop_of(tmp_path, everybody("l3"), count=12) as shop:
        shop.turn()
        joined(shop, *bad, *good)
        odd = Say(400, {"error_message": "odd"})
        with between(shop.url, lambda seen: odd if seen.method == "PATCH" and b'"id":"a' in seen.body else None) as net:
            done = shop.apply(BATCHCTL_API_URL=net.url)
        shop.post("settle")
        assert (done.code, done.plan["totals"]["done"]) == (7, len(good)), done
        assert set(good) <= set(shop.held(MEP10))
        again = shop.apply()
        assert (again.code, 0 < again.plan["changes"][0]["refused_before"] < 40) == (0, True), again
        assert shop.apply("--retry-rejects").code == 0
        shop.converged()
