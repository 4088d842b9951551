"""make_plan: what becomes of a course and its rows."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.address import IdType, Space, TargetKey
from reconciler.cost import cost_of
from reconciler.plan import Op, Plan
from reconciler.plan.course import Course
from reconciler.plan.make import digest_of
from reconciler.plan.pace import pace_of
from reconciler.plan.sums import sendable
from reconciler.policy import check
from reconciler.state.state import DataFile, Pending
from tests.plan.kit import NOW, course, known, observed, planned, project, staged, state, target

PEOPLE = target("", attributes={"tier": "string"})


def ordinary(name: str = "vip", **fields: Any) -> tuple[Course, TargetKey]:
    made = target(name, **fields)
    return course(made, seen=observed(made), had=known(made)), made.key


def test_nothing_to_do_is_none() -> None:
    one, key = ordinary()
    (change,) = planned([one], {key: staged()}).changes
    assert (change.op, change.requests, change.rows.planned) == (Op.NONE, 0, 0)


def test_an_empty_creation_is_still_a_creation() -> None:
    one = course(target())
    (change,) = planned([one], {one.key: staged()}).changes
    assert (change.op, change.create, change.requests, change.minimum) == (Op.CREATE, True, 1, 1)


def test_a_first_upload_creates_then_adds() -> None:
    one = course(target())
    (change,) = planned([one], {one.key: staged(add=12_402)}).changes
    assert (change.requests, change.minimum, change.full, change.before) == (3, 3, True, None)
    assert [(b.start, b.stop, b.replace, b.barrier) for b in change.batches] == [
        (0, 10_000, False, False),
        (10_000, 12_402, False, False),
    ]


def test_a_dropped_attribute_key_costs_a_second_call() -> None:
    one, key = ordinary()
    (change,) = planned([one], {key: staged(remove=1, reset=2, add=3, put=2)}).changes
    assert [(b.start, b.stop, b.barrier) for b in change.batches] == [(0, 6, False), (6, 8, True)]
    assert (change.requests, change.minimum) == (2, 1)
    assert change.requests_why == "attribute keys dropped: second call after a barrier"


def test_a_replace_is_never_empty() -> None:
    made = target()
    one = course(made, seen=observed(made), had=known(made, baseline={"trusted": False}))
    (change,) = planned([one], {made.key: staged(remove=30)}).changes
    assert one.replace
    assert [(b.start, b.stop, b.replace) for b in change.batches] == [(0, 30, False)]


def test_a_replace_then_the_rest() -> None:
    made = target()
    one = course(made, seen=observed(made), had=known(made, baseline={"trusted": False}))
    (change,) = planned([one], {made.key: staged(add=25_000)}).changes
    assert [(b.start, b.stop, b.replace, b.barrier) for b in change.batches] == [
        (0, 10_000, True, True),
        (10_000, 20_000, False, True),
        (20_000, 25_000, False, False),
    ]


@pytest.mark.parametrize(
    ("rows", "route", "limit"),
    [(0, "profiles_update", 200), (200, "profiles_update", 200), (201, "profiles_mass_update", 10_000)],
)
def test_the_quicker_profile_route(rows: int, route: str, limit: int) -> None:
    pace = pace_of(course(PEOPLE), staged(add=rows))
    assert (pace.route, pace.limit) == (route, limit)


def test_mep_profiles_are_custom_data() -> None:
    made = target("", space=Space.MEP10, attributes={"tier": "string"})
    assert pace_of(course(made), staged(add=5)).route == "custom_data"


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 2.0), (10.0, 0.2)])
def test_an_orphan_is_deleted_at_the_rate_of_its_account(rate: float, seconds: float) -> None:
    """Its link is gone, its destination mostly is not; where that is gone too, the default stays."""
    made, gone = target(), known(target("gone"))
    limits = made.destination.rate_limits.model_copy(update={"requests_per_second": rate})
    fast = replace(made, destination=made.destination.model_copy(update={"rate_limits": limits}))
    kept = course(fast, seen=observed(made), had=known(made))
    orphan = Course(key=gone.key, op=Op.DELETE, known=gone)
    cost = cost_of(planned([kept, orphan], {fast.key: staged(add=1)}).changes)
    assert (cost.requests, cost.seconds) == (2, seconds)
    assert cost_of(planned([orphan], {}).changes).rate == "1 request/s"


def test_least_time_is_the_slowest_budget() -> None:
    first, people = course(target()), course(PEOPLE)
    plan = planned([first, people], {first.key: staged(add=10), people.key: staged(add=200_000)})
    cost = cost_of(plan.changes)
    assert (cost.requests, cost.minimum) == (22, 22)
    assert (cost.seconds, cost.rate) == (22.0, "1 request/s")
    assert cost.endpoints == {"audience create": 1, "audience update": 1, "profiles mass-update": 20}


def test_settings_alone_are_recorded() -> None:
    made = target(links=({"lifecycle": {"prevent_destroy": True}},))
    one = course(made, seen=observed(made), had=known(made))
    (change,) = planned([one], {made.key: staged()}).changes
    assert (change.op, change.settings, change.requests) == (Op.DELTA, ("prevent_destroy: false → true",), 0)
    assert change.state is not None
    assert change.state.prevent_destroy


def test_a_renamed_link_is_recorded_and_sends_nothing() -> None:
    made = target(links=({"name": "now", "moved_from": "segment-link/former", "refresh": {"every": "once"}},))
    had = known(made, links=("segment-link/former",), once_done=("segment-link/former",))
    one = course(made, seen=observed(made), had=had)
    (change,) = planned([one], {made.key: staged()}).changes
    moved = ("segment-link/former is now segment-link/now",)
    assert (change.op, change.settings, change.requests, change.key) == (Op.DELTA, moved, 0, str(made.key))
    after = change.state
    assert after is not None
    assert (after.links, after.once_done) == (("segment-link/now",), ("segment-link/now",))
    again = course(made, seen=observed(made), had=after)
    assert [one.op for one in planned([again], {made.key: staged()}).changes] == [Op.NONE]


def test_acknowledged_rows_are_committed_even_if_none_are_left() -> None:
    made = target()
    had = known(made, committed=False, count=0, pending=Pending(op="write", plan="p", started=NOW))
    (change,) = planned([course(made, seen=observed(made), had=had)], {made.key: staged()}).changes
    assert (change.op, change.full, change.settings) == (Op.DELTA, False, ("an interrupted run is completed",))
    assert change.state is not None
    assert change.state.committed


def test_what_is_uncertain_without_an_interrupted_run_is_not_called_one() -> None:
    made = target()
    had = known(made, uncertain=(DataFile(path="left.parquet", rows=3, bytes=1, sha256="0"),))
    (change,) = planned([course(made, seen=observed(made), had=had)], {made.key: staged()}).changes
    assert change.settings == ("what was uncertain is settled",)


def test_a_full_upload_of_nobody_makes_nothing_trusted() -> None:
    made = target(links=({"lifecycle": {"prevent_destroy": True}},))
    had = known(made, baseline={"trusted": False}, last_full=None)
    (change,) = planned([course(made, seen=observed(made), had=had)], {made.key: staged()}).changes
    assert (change.op, change.full) == (Op.DELTA, False)
    assert change.state is not None
    assert (change.state.baseline.trusted, change.state.last_full) == (False, None)


def test_keys_are_named_but_never_shown() -> None:
    made = target()
    had = known(made, keys={"rest": "${env:OTHER}", "project": "${env:PROJECT}"})
    (change,) = planned([course(made, seen=observed(made), had=had)], {}).changes
    assert change.settings == ("key references changed",)


def test_what_state_will_say() -> None:
    made = target(attributes={"tier": "string"}, links=({"refresh": {"every": "once"}},))
    one = course(made, seen=observed(made, nb_ids=97), had=known(made, baseline={"attributes": {"age": "integer"}}))
    (change,) = planned([one], {made.key: staged(add=10)}, state(known(made))).changes
    after = change.state
    assert after is not None
    assert after.baseline.attributes == {"age": "integer", "tier": "string"}
    assert (after.known_offset, after.last_full, after.committed, after.pending) == (-3, NOW, True, None)
    assert (after.once_done, after.owned_since) == (("segment-link/vip",), 12)


def test_profiles_remember_what_leavers_keep() -> None:
    made = target("", attributes={"tier": "string"}, action={"on_exit": "unset"})
    (change,) = planned([course(made)], {made.key: staged(add=1)}).changes
    assert change.state is not None
    assert change.state.on_exit == {"tier": "unset"}


def test_the_identifier_digest_moves_with_a_full_upload_only() -> None:
    made = target(id_field="crm_id")
    one = course(made, seen=observed(made), had=known(target()))
    (change,) = planned([one], {made.key: staged(add=1)}).changes
    assert change.state is not None
    assert change.state.baseline.identifier == known(made).baseline.identifier != known(target()).baseline.identifier


def test_the_delta_file_is_named_with_its_digest() -> None:
    one, key = ordinary()
    file = DataFile(path="d.parquet", rows=3, bytes=9, sha256="ab")
    (change,) = planned([one], {key: staged(add=3)}, files={key: file}).changes
    assert change.file == file
    (change,) = planned([one], {key: staged(add=3)}).changes
    assert change.file is not None
    assert change.file.path == "delta.parquet"


def test_the_digest_is_about_the_work() -> None:
    one, key = ordinary()
    plan = planned([one], {key: staged(add=3)})
    assert plan.digest == digest_of(plan)
    assert plan.digest == planned([one], {key: staged(add=3)}, now=NOW.replace(hour=7)).digest
    assert plan.digest != planned([one], {key: staged(add=4)}).digest
    assert plan.digest != planned([one], {key: staged(add=3)}, specs_digest="6" * 64).digest


COUNT = st.integers(0, 30_000)


@given(st.lists(st.tuples(COUNT, COUNT, COUNT), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_sums_add_up_and_order_of_input_is_nothing(rows: list[tuple[int, int, int]], chance: random.Random) -> None:
    courses, diffs = [], {}
    for at, (consent, remove, add) in enumerate(rows):
        one, key = ordinary(f"a{at}")
        courses.append(one)
        diffs[key] = staged(consent=consent, remove=remove, add=add)
    plan = planned(courses, diffs)
    for change, (consent, remove, add) in zip(plan.changes, rows, strict=True):
        assert change.requests == change.minimum == -(-(consent + remove + add) // 10_000)
        assert change.rows.adds_up
        assert change.request_totals.adds_up
    keys = list(diffs)
    chance.shuffle(keys)
    assert planned(courses, {key: diffs[key] for key in keys}) == plan
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@example(12_000, 0, 0, 9_000, 0, "replace", 1)
@given(COUNT, COUNT, COUNT, COUNT, COUNT, st.sampled_from(["delta", "full", "replace"]), st.integers(1, 100))
def test_sums_add_up_whatever_a_guard_lets_through(
    consent: int, remove: int, reset: int, add: int, put: int, kind: str, limit: int
) -> None:
    made = target(links=({"guards": {"max_remove_percent": limit, "max_add_percent": limit}},))
    one = course(made, seen=observed(made, nb_ids=150_000), had=known(made, count=150_000))
    if kind != "delta":
        again = kind == "replace"
        one = replace(one, op=Op.FULL, everybody=True, replace=again, void=again)
    diff = staged(consent=consent, remove=remove, reset=reset, add=add, put=put)
    had = state(known(made, count=150_000))
    plan = check(planned([one], {made.key: diff}, had), [made], project=project(), state=had, now=NOW)
    for change in plan.changes:
        sums = change.request_totals
        assert (change.rows.adds_up, sums.adds_up) == (True, True), change
        assert min(*change.rows.model_dump().values(), *sums.model_dump().values()) >= 0, change
        assert sums.not_attempted == change.requests == len(sendable(change)), change
        refused = {(one.start, one.stop) for one in change.batches} if change.refused else set[tuple[int, int]]()
        assert sums.refused >= len(refused - {(one.start, one.stop) for one in sendable(change)}), change


@pytest.mark.parametrize(("space", "kind"), [(Space.MEP10, IdType.ADVERTISING), (Space.MEP11, IdType.INSTALL)])
def test_addresses(space: Space, kind: IdType) -> None:
    made = target(space=space, id_type=kind)
    plan = planned([course(made), course(PEOPLE)], {})
    assert [change.address for change in plan.changes] == ["segment-link/vip", "destination/cep-main"]
