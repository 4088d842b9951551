"""Rates and times left: true at the moment they are shown, and silent where nobody can know."""

from __future__ import annotations

import pytest

from reconciler.apply import Progress
from reconciler.cli.watched import Line, lasting


def line(step: str, done: int, total: int = 60_000) -> Line:
    """A target begun at second 100."""
    return Line(label="shop-ios  audience vips", begun=100.0, started=100.0, step=step, done=done, total=total)


def test_rate_and_time_left() -> None:
    sending = line("sending", 20_000)
    assert sending.numbers(102.0) == "20,000 of 60,000  10,000 rows/s, 4 s left"
    assert sending.numbers(110.0) == "20,000 of 60,000  2,000 rows/s, 20 s left", "waiting makes it slower"
    assert sending.text == "shop-ios  audience vips  sending"
    assert line("committing", 60_000).text == "shop-ios  audience vips  writing the state"


@pytest.mark.parametrize(
    ("step", "done"), [("sending", 0), ("creating", 0), ("indexing", 60_000), ("committing", 60_000)]
)
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


def test_while_refused_rows_are_found_it_is_said_and_nothing_is_guessed_from_the_time_it_took() -> None:
    seen = line("indexing", 0)

    def step(name: str, done: int, now: float, refused: int = 0) -> tuple[str, str]:
        told = Progress(address="a", destination="shop-ios", step=name, done=done, total=60_000, refused=refused)
        seen.took(told, now)
        return seen.text.removeprefix("shop-ios  audience vips  "), seen.numbers(now)

    assert step("sending", 20_000, 102.0) == ("sending", "20,000 of 60,000  10,000 rows/s, 4 s left")
    found = "finding the rows that Batch refuses, {} so far"
    assert step("halving", 20_000, 110.0) == (found.format(0), "20,000 of 60,000")
    assert step("indexing", 0, 120.0) == (found.format(0), "20,000 of 60,000")
    assert step("halving", 28_000, 4_000.0, 1_200) == (found.format("1,200"), "28,000 of 60,000")
    assert step("sending", 30_000, 5_000.0, 1_201) == ("sending", "30,000 of 60,000")
    assert step("sending", 40_000, 5_001.0, 1_201) == ("sending", "40,000 of 60,000  10,000 rows/s, 2 s left")
    assert step("indexing", 0, 5_002.0)[0] == "waiting for Batch to index it"
