"""Rates and times left: true at the moment they are shown, and silent where nobody can know."""

from __future__ import annotations

import pytest

from reconciler.cli.watched import Line, lasting


def line(step: str, done: int, total: int = 60_000) -> Line:
    """A target begun at second 100."""
    return Line(label="shop-ios  audience vips", begun=100.0, started=100.0, step=step, done=done, total=total)


def test_rate_and_time_left() -> None:
    sending = line("sending", 20_000)
    assert sending.numbers(102.0) == "20,000 of 60,000  10,000 rows/s, 4 s left"
    assert sending.numbers(110.0) == "20,000 of 60,000  2,000 rows/s, 20 s left", "waiting makes it slower"
    assert sending.text == "shop-ios  audience vips  sending"


@pytest.mark.parametrize(("step", "done"), [("sending", 0), ("creating", 0), ("indexing", 60_000)])
def test_nothing_is_guessed(step: str, done: int) -> None:
    assert "rows/s" not in line(step, done).numbers(102.0)


def test_a_final_step_says_only_what_is_missing() -> None:
    assert line("done", 60_000).numbers(110.0) == ""
    assert line("failed", 10_000).numbers(110.0) == "10,000 of 60,000"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (119, "119 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (7322, "2 h 02 min")],
)
def test_lasting(seconds: float, shown: str) -> None:
    assert lasting(seconds) == shown
