"""A fault of batchctl itself in one target: that target's failure, by its name and place; all others go through."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply import lanes, sending, target
from reconciler.batch import barrier
from reconciler.errors import StateError
from reconciler.plan import Change
from reconciler.state.ack import Ack, Line
from reconciler.state.acks import AckLog
from reconciler.state.state import State
from tests.apply.test_rules import CEP, MEP10, L, outcomes, shop_of


def _breaks(function: Any) -> Any:
    """The function, which does not know what to do with one audience."""

    def broken(held: Any, change: Any, *rest: Any) -> Any:
        at = getattr(held, "change", change)
        if at.target_key.audience == MEP10:
            raise ZeroDivisionError("p7@example.com")
        return function(held, change, *rest)

    return broken


@pytest.mark.parametrize(
    ("where", "name", "outcome"),
    [(target, "committed", "failed"), (sending.Sender, "_request", "unknown")],
    ids=["after", "midway"],
)
def test_it_is_one_targets_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, outcome: str
) -> None:
    with shop_of(tmp_path, L["l3"], L["l6"]) as shop:
        with monkeypatch.context() as patched:
            patched.setattr(where, name, _breaks(getattr(where, name)))
            done = shop.apply()
        assert (done.code, outcomes(done)) == (7, {MEP10: outcome, CEP: "done"}), done
        assert "a fault of batchctl itself: ZeroDivisionError in reconciler.apply." in done.said(MEP10)
        assert "p7@example.com" not in done.out + done.err
        assert "Traceback" not in done.err
        assert shop.apply().code == 0
        shop.converged()


def test_one_after_the_target_leaves_sums_that_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = lanes.judged

    def broken(change: Change, *rest: Any) -> Change:
        if change.target_key.audience == MEP10:
            raise ZeroDivisionError
        return judged(change, *rest)

    with shop_of(tmp_path, L["l3"], L["l6"]) as shop:
        with monkeypatch.context() as patched:
            patched.setattr(lanes, "judged", broken)
            done = shop.apply()
        totals = done.plan["totals"]
        assert (done.code, outcomes(done)[MEP10], totals["unknown"] > 0) == (7, "unknown", True), done
        assert shop.apply().code == 0
        shop.converged()


def test_its_traceback_is_shown_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop_of(tmp_path, L["l3"]) as shop:
        monkeypatch.setattr(target, "committed", _breaks(target.committed))
        done = shop.apply(BATCHCTL_DEBUG="1")
        assert done.code == 7, done
        assert "ZeroDivisionError: p7@example.com" in done.err


def test_one_while_batch_indexes_leaves_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with shop_of(tmp_path, L["l3"]) as shop:
        monkeypatch.setattr(barrier, "settled_count", broken)
        done = shop.apply("--wait")
        assert (done.code, outcomes(done)) == (7, {MEP10: "done"}), done
        assert "a fault of batchctl itself: ZeroDivisionError in reconciler.apply.settle:" in done.said(MEP10)


def test_a_state_that_cannot_be_written_when_all_is_sent_is_7_with_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state: State, applied: object) -> State:
        raise StateError("the state cannot be written", why="No space left on device")

    with shop_of(tmp_path, L["l3"]) as shop:
        with monkeypatch.context() as patched:
            patched.setattr("reconciler.apply.settle._seen", full)
            done = shop.apply("--wait")
        totals = done.plan["totals"]
        assert (done.code, totals["done"]) == (7, totals["planned"]), done
        assert "the state cannot be written\n  No space left on device" in done.err
        shop.converged()


def test_what_batch_took_and_nobody_could_write_down_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = AckLog.append

    def full(log: AckLog, line: Line) -> None:
        if isinstance(line, Ack):
            raise StateError("cannot write the acknowledgement log", why="No space left on device")
        append(log, line)

    with shop_of(tmp_path, L["l3"]) as shop:
        with monkeypatch.context() as patched:
            patched.setattr(AckLog, "append", full)
            done = shop.apply()
        totals = done.plan["totals"]
        assert (done.code, totals["unknown"], totals["not_attempted"]) == (7, totals["planned"], 0), done
        assert "No space left on device" in done.said(MEP10)
        assert shop.apply().code == 0
        shop.converged()


@pytest.mark.parametrize("most", [0, 1])
def test_where_no_more_threads_are_started_those_that_there_are_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    start, left = threading.Thread.start, iter(range(most))

    def limited(thread: threading.Thread) -> None:
        if (thread.name.startswith("lane") and next(left, None) is None) or thread.name == "progress":
            raise RuntimeError("can't start new thread")
        start(thread)

    with shop_of(tmp_path, L["l3"], L["l6"]) as shop:
        monkeypatch.setattr(threading.Thread, "start", limited)
        done = shop.apply()
        assert (done.code, outcomes(done)) == (0, {MEP10: "done", CEP: "done"}), done
        shop.converged()


def test_no_thread_before_anything_is_sent_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with shop_of(tmp_path, L["l3"]) as shop, monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", limited)
        done = shop.apply()
        assert (done.code, "the system starts no more threads" in done.err) == (1, True), done
        assert "a fault of batchctl itself" not in done.err
