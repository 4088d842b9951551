"""The screens, word for word, and what must never be on them."""

import re
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from reconciler.address import Space
from reconciler.data.staged import RejectCount
from reconciler.errors import Location, Problem
from reconciler.plan import Change, Outcome, Plan, Totals, Writes
from reconciler.render.fit import visible
from reconciler.render.problems import problems_json, problems_text
from reconciler.render.report import report
from reconciler.render.text import summary, text
from reconciler.render.words import duration, percent, plain, size
from tests.plan.kit import known, staged, target
from tests.render.world import plan_of, rich, sample

PROBLEMS = (
    Problem(severity="warning", where=Location("b.yaml", 1, 1), what="nothing uses mapping/old", fix="remove it"),
    Problem(
        where=Location("a.yaml", 3, 9),
        what="unknown key",
        why="SegmentLink has no key audiance",
        fix="write audience",
        excerpt="audiance: {}\n^^^^^^^^",
        rule="unknown-key",
    ),
    Problem(where=Location("a.yaml", 2, 1), what="evil \x1b[2J", why="first\nsecond"),
)


def applied(plan: Plan) -> Plan:
    """As an apply might leave it: one done with a retry, one failed halfway, the rest as it comes."""
    outcomes = [Outcome.DONE, Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED]
    changes = []
    for change in plan.changes:
        outcome = change.outcome if change.outcome is not Outcome.PLANNED else outcomes.pop(0)
        changes.append(_applied(change, outcome))
    return plan.model_copy(update={"changes": tuple(changes), "exit_code": 7})


def _applied(change: Change, outcome: Outcome) -> Change:
    share = {outcome.value: change.rows.not_attempted} if outcome not in (Outcome.NONE, Outcome.REFUSED) else {}
    rows = Totals(planned=change.rows.planned, refused=change.rows.refused, **share)
    requests = Totals(
        planned=change.request_totals.planned,
        refused=change.request_totals.refused,
        **{outcome.value: change.requests} if share else {},
    )
    done = outcome is Outcome.DONE
    return change.model_copy(
        update={
            "outcome": outcome,
            "rows": rows,
            "request_totals": requests,
            "writes": Writes()
            if outcome is Outcome.NOT_ATTEMPTED or not share
            else Writes(sent=change.requests + int(done), begun=change.requests),
            "sent": rows.done,
            "accepted": rows.done,
            "error": "Batch answered 403: API_MISUSE" if outcome is Outcome.FAILED else "",
        }
    )


def test_the_example_of_the_product(snapshot: SnapshotAssertion) -> None:
    assert text(sample()) == snapshot


def test_everything_a_plan_can_say(snapshot: SnapshotAssertion) -> None:
    assert text(rich()) == snapshot


def test_the_report(snapshot: SnapshotAssertion) -> None:
    assert report(applied(sample())) == snapshot


def test_warnings_of_a_report_stand_apart_from_its_sums() -> None:
    shown = report(applied(sample()).model_copy(update={"warnings": ("a", "b")}))
    assert "\n\nwarning  a\nwarning  b\n\nrows     " in shown


def test_colours_change_nothing_else() -> None:
    coloured = text(rich(), colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(rich())
    assert "\x1b" not in text(rich())


def test_no_changes() -> None:
    made = target()
    plan = plan_of([made], {made.key: staged()}, [known(made)])
    assert text(plan).endswith("\n\nNo changes. 1 target told what the specs say.\n")


def test_a_thousand_targets_stay_readable() -> None:
    many = [target(f"quiet_{n:04}") for n in range(1000)]
    moving = target("moving")
    screen = text(plan_of([*many, moving], {moving.key: staged(add=1)}, [known(one) for one in [*many, moving]]))
    assert len(screen.splitlines()) < 12
    assert "1,000 more without changes" in screen


@pytest.mark.parametrize("evil", ["\x1b[31m", "\u202e", "\n", "\r", "\x9b", "\u2066", "\u200b", "\u2028"])
def test_foreign_text_is_escaped(evil: str) -> None:
    plan = sample().model_copy(update={"project": f"a{evil}b", "environment": evil, "warnings": (evil,)})
    shown = text(plan) + report(plan)
    assert evil == "\n" or evil[0] not in shown
    assert plain(evil) not in ("", evil)
    assert "\n" not in plain(evil)


def test_problems(snapshot: SnapshotAssertion) -> None:
    assert problems_text(PROBLEMS) == snapshot
    assert problems_json(PROBLEMS) == snapshot
    assert problems_text(()) == "0 errors.\n"
    assert problems_text(reversed(PROBLEMS)) == problems_text(PROBLEMS)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (size(812), "812 B"),
        (size(12_400), "12.4 kB"),
        (size(999_999), "1.0 MB"),
        (duration(5.2), "6 s"),
        (duration(700), "12 min"),
        (duration(12_240), "3.4 h"),
        (percent(0.0001), "<0.1 %"),
        (percent(0.461), "46.1 %"),
        (percent(0), "0.0 %"),
    ],
)
def test_numbers(got: str, expected: str) -> None:
    assert got == expected


def test_columns_never_touch() -> None:
    made, stopped = target("ordinary"), target("stopped")
    moves = {
        made.key: staged(add=1546, remove=1542, changed=1844),
        stopped.key: staged(remove=31_542, changed=1_844_500),
    }
    shown = text(plan_of([made, stopped], moves, [known(one, count=49_946) for one in (made, stopped)]))
    details = [line.rpartition("~")[2].split(" ")[:3] for line in shown.splitlines() if "delta" in line]
    assert details == [["1,844", "", "of"], ["1,844,500", "", "refused:"]]


def test_a_sixth_reason_is_named_and_long_words_are_cut() -> None:
    made = target()

    def rejected(*reasons: str) -> str:
        found = tuple(RejectCount(link="segment-link/vip", reason=reason, count=1) for reason in reasons)
        shown = text(plan_of([made], {made.key: staged(rejects=found)}, [known(made)]))
        return next(line for line in shown.splitlines() if line.startswith("rejected"))

    assert rejected(*"abcdef").startswith("rejected 6 rows: 1 a, 1 b, 1 c, 1 d, 1 e, 1 f  ")
    assert rejected(*"abcdefg").startswith("rejected 7 rows: 1 a, 1 b, 1 c, 1 d, 1 e, 2 for other reasons  ")
    words = "refused by Batch: 31 MALFORMED_PARAMETER: " + "a value is wrong " * 20
    said = "rejected 2 rows: 2 refused by Batch: 31 MALFORMED_PARAMETER: a value is wrong a value is …  "
    assert rejected(f"{words}1", f"{words}2").startswith(said)


def test_a_refused_plan_is_shown_in_full() -> None:
    made: Any = target("shrunk", space=Space.MEP10)
    plan = plan_of([made], {made.key: staged(remove=90)}, [known(made)])
    assert "−90" in text(plan)
    assert summary(plan) == "Plan: 0 to create, 0 to update, 0 to delete, 1 refused, 0 unchanged."


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_never_breaks_a_line(columns: int) -> None:
    for colour in (False, True):
        shown = text(rich(), colour=colour, columns=columns) + report(applied(sample()), colour=colour, columns=columns)
        long = [line for line in shown.splitlines() if visible(line) > columns]
        assert all(len(line.split()) < 4 for line in long), "only a name that is wider than the screen"
        assert "".join(shown.split()) == "".join(
            (text(rich(), colour=colour) + report(applied(sample()), colour=colour)).split()
        ), "nothing is left out"


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_columns_of_a_terminal_are_straight_whatever_stands_in_them(columns: int) -> None:
    """A name as long as Batch allows, and counts longer than usual."""
    long = target("winter_" * 17 + "1", links=({"name": "long"},))
    busy, quiet = target("busy"), target("quiet")
    moves = {
        long.key: staged(add=12, remove=3),
        busy.key: staged(add=2_395, remove=1_989, changed=3_215),
        quiet.key: staged(add=1),
    }
    shown = text(
        plan_of([long, busy, quiet], moves, [known(one, count=49_946) for one in (long, busy, quiet)]), columns=columns
    )
    rows = [line for line in shown.splitlines() if "delta" in line]
    assert len({line.index("delta") for line in rows}) == 1
    assert len({line.index("of 49,946") for line in rows if "of 49,946" in line}) == 1
    assert [line for line in shown.splitlines() if len(line) > columns and long.key.audience not in line] == []
    alone = text(plan_of([long], {long.key: staged(add=9)}, [known(long, count=10**9)]), columns=columns)
    assert not [line for line in alone.splitlines() if "delta" in line and line.index("delta") < 6], alone


def test_eighty_columns(snapshot: SnapshotAssertion) -> None:
    assert text(sample(), columns=80) == snapshot
