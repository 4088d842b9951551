"""Guards, protections and overrides; a filter that hides nothing and adds nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.address import Space
from reconciler.course import decide
from reconciler.data.staged import RejectCount, Staged
from reconciler.link import Target
from reconciler.plan import Change, Op, Outcome, Plan
from reconciler.policy import check
from reconciler.state.state import State, TargetState
from tests.plan.kit import CEP_ACCOUNT, NOW, inventories, known, observed, planned, project, staged, state, target


def checked(
    made: Target,
    diff: Staged,
    *,
    had: TargetState | None = None,
    exists: bool = True,
    fields: Any = None,
    suppressed: dict[str, int] | None = None,
) -> Plan:
    """One target through decide, make_plan and check; `had` defaults to 100 members after an ordinary life."""
    before = had or known(made)
    shop = project(**(fields or {}))
    whole = state(before, suppressed=suppressed or {})
    seen = [(made.key.account, observed(made, nb_ids=before.baseline.count))] if exists else []
    courses = decide([made], inventories=inventories(*seen), state=whole, project=shop, now=NOW)
    plan = planned(courses, {made.key: diff}, whole, project=shop)
    return check(plan, [made], project=shop, state=whole, now=NOW)


def only(plan: Plan) -> Change:
    (change,) = plan.changes
    return change


def rule(plan: Plan) -> str:
    refused = only(plan).refused
    return refused.rule if refused else ""


def with_fields(one: Staged, **fields: Any) -> Staged:
    return Staged(**{**{name: getattr(one, name) for name in Staged.__slots__}, **fields})


@pytest.mark.parametrize(("removed", "expected"), [(30, ""), (31, "max_remove_percent")])
def test_removals(removed: int, expected: str) -> None:
    plan = checked(target(), staged(remove=removed))
    assert rule(plan) == expected
    change = only(plan)
    if expected:
        assert change.refused is not None
        assert change.refused.override == "allow: {remove_percent: 31, until: 2026-11-30, reason: …}"
        assert (change.refused.where, change.refused.limit, change.refused.actual) == ("segment-link/vip", 30, 31)
        assert (change.outcome, plan.cost.requests, change.rows.refused) == (Outcome.REFUSED, 0, 31)
        assert change.batches


@pytest.mark.parametrize(("added", "expected"), [(300, ""), (301, "max_add_percent")])
def test_additions(added: int, expected: str) -> None:
    assert rule(checked(target(), staged(add=added))) == expected


def test_additions_to_what_was_never_committed_are_free() -> None:
    made = target()
    assert rule(checked(made, staged(add=9_999), had=known(made, count=0, committed=False))) == ""


@pytest.mark.parametrize(("count", "expected"), [(9, ""), (10, "max_remove_percent")])
def test_percentages_need_a_minimum(count: int, expected: str) -> None:
    made = target()
    assert rule(checked(made, staged(remove=count), had=known(made, count=count))) == expected


def test_an_empty_source_is_refused_whatever_the_size() -> None:
    made = target()
    assert rule(checked(made, staged(remove=2, source_rows=0), had=known(made, count=2))) == "empty_source"
    assert rule(checked(made, staged(source_rows=0))) == ""


@pytest.mark.parametrize(("members", "expected"), [(70, ""), (69, "max_remove_percent"), (401, "max_add_percent")])
def test_a_vanished_audience_is_measured_against_its_last_count(members: int, expected: str) -> None:
    plan = checked(target(), staged(add=members, members=members), exists=False)
    assert only(plan).op is Op.CREATE
    assert rule(plan) == expected


def test_reasserted_rows_are_no_changes() -> None:
    assert rule(checked(target(), staged(remove=90, removed=0, reasserted=90))) == ""


@pytest.mark.parametrize(("link", "limits", "expected"), [(10, {}, 10), (None, {"max_remove_percent": 20}, 20)])
def test_a_link_overrides_its_project(link: int | None, limits: Any, expected: int) -> None:
    guards = {"max_remove_percent": float(link)} if link else {}
    made = target(links=({"guards": guards},))
    limits = {name: float(value) for name, value in limits.items()}
    refused = only(checked(made, staged(remove=99), fields={"guards": limits})).refused
    assert refused is not None
    assert refused.limit == expected


def test_of_several_links_the_strictest_counts() -> None:
    made = target(
        "",
        attributes={"tier": "string"},
        links=({"name": "lax"}, {"name": "strict", "guards": {"max_remove_percent": 5.0}}),
    )
    refused = only(checked(made, staged(add=6, cleared=6))).refused
    assert refused is not None
    assert (refused.limit, refused.where, refused.detail) == (5, "segment-link/strict", "clears 6.0 %, limit 5 %")


@pytest.mark.parametrize(("until", "expected"), [("2026-11-23", ""), ("2026-11-22", "max_remove_percent")])
def test_an_override_holds_until_its_last_day(until: str, expected: str) -> None:
    made = target(links=({"allow": {"remove_percent": 50.0, "until": until, "reason": "agreed"}},))
    plan = checked(made, staged(remove=50))
    assert rule(plan) == expected
    assert any("ended on 2026-11-22" in warning for warning in plan.warnings) is bool(expected)
    assert rule(checked(made, staged(remove=51))) == "max_remove_percent"


@pytest.mark.parametrize(
    ("age", "expected", "proposed"),
    [(36.0, "", ""), (36.1, "freshness", "42h"), (43.9, "freshness", "3d"), (90.0, "freshness", "5d")],
)
def test_old_data(age: float, expected: str, proposed: str) -> None:
    made = target(catalogue={"freshness": "36h"})
    diff = with_fields(staged(add=1), oldest={"customers": age * 3600})
    assert rule(checked(made, diff)) == expected
    if expected:
        refused = only(checked(made, diff)).refused
        assert refused is not None
        assert (refused.where, refused.override) == ("catalogue/customers", f"freshness: {proposed}")
        quiet = checked(made, with_fields(staged(), oldest={"customers": age * 3600}))
        assert (rule(quiet), quiet.warnings[0][:10]) == ("", "freshness:")


@pytest.mark.parametrize(("rejects", "expected"), [(10, ""), (11, "max_reject_percent")])
def test_rejects(rejects: int, expected: str) -> None:
    counts = (RejectCount(link="segment-link/vip", reason="not a UUID", count=rejects),)
    assert rule(checked(target(), staged(add=1, rejects=counts))) == expected


@pytest.mark.parametrize(
    ("most", "others", "expected"),
    [
        (1_000, 5, ""),
        (1_001, 5, "1,001 of 100,000 rows of the source rejected, 1.0 %, limit 1 %"),
        (1_000, 11, "11 of 1,000 rows rejected, 1.1 %, limit 1 %"),
    ],
)
def test_rows_of_nobody_are_measured_by_the_source(most: int, others: int, expected: str) -> None:
    """Half of a small segment, were they its rows."""
    counts = (
        RejectCount(link="segment-link/vip", reason="malformed CSV row", count=most),
        RejectCount(link="segment-link/vip", reason="not a UUID", count=others),
    )
    diff = staged(add=1, rejects=counts)
    sizes = {"rows_read": 1_000, "broken": most, "broken_most": most, "broken_of": 100_000}
    refused = only(checked(target(), with_fields(diff, counts=replace(diff.counts, **sizes)))).refused
    assert (refused.detail if refused else "") == expected


def test_rejects_that_are_no_rows_of_the_segment_are_counted_among_all() -> None:
    counts = (RejectCount(link="segment-link/vip", reason="no consent to be read", count=2),)
    diff = staged(add=1, rejects=counts)
    refused = only(checked(target(), with_fields(diff, counts=replace(diff.counts, rows_read=0)))).refused
    assert refused is not None
    assert refused.detail == "2 of 2 rows rejected, 100.0 %, limit 1 %"


def test_rows_that_batch_refused_once_do_not_block_the_others() -> None:
    counts = (
        RejectCount(link="segment-link/vip", reason="refused by Batch: no", count=500),
        RejectCount(link="segment-link/vip", reason="not a UUID", count=10),
    )
    assert rule(checked(target(), staged(add=1, rejects=counts, refused_before=500))) == ""


@pytest.mark.parametrize(
    ("before", "rows", "expected"),
    [(0, 0, "suppression"), (0, 5, ""), (100, 90, ""), (100, 89, "suppression"), (100, 0, "suppression")],
)
def test_a_shrunken_suppression_list_stops_everything(before: int, rows: int, expected: str) -> None:
    diff = with_fields(staged(add=1, consent=3), suppressed={"customers": rows})
    plan = checked(target(), diff, suppressed={"customers": before})
    assert rule(plan) == expected
    assert only(plan).consent_only is False
    assert plan.cost.requests == (0 if expected else 1)


def test_a_refused_target_still_lets_go_of_people_without_consent() -> None:
    change = only(checked(target(), staged(consent=10, remove=50)))
    assert (change.refused is not None, change.consent_only, change.requests) == (True, True, 1)
    assert (change.rows.planned, change.rows.not_attempted, change.rows.refused) == (60, 10, 50)
    assert [(batch.start, batch.stop) for batch in change.consent_batches] == [(0, 10)]


def test_too_many_removals_for_consent_are_refused_by_themselves() -> None:
    change = only(checked(target(), staged(consent=11, add=5)))
    assert (change.refused, change.consent_refused, change.consent_only) == (None, True, False)
    assert change.consent_refusal is not None
    assert change.consent_refusal.rule == "max_consent_percent"
    assert [(batch.start, batch.stop) for batch in change.batches] == [(11, 16)]
    assert (change.rows.planned, change.rows.not_attempted, change.rows.refused) == (16, 5, 11)
    both = only(checked(target(), staged(consent=11, remove=50)))
    assert (both.refused is not None, both.consent_only, both.requests) == (True, False, 0)


def test_an_attribute_of_another_type_holds_back_all_but_consent() -> None:
    had = known(target(attributes={"tier": "integer"}))
    change = only(checked(target(attributes={"tier": "string"}), staged(consent=2, removed=0), had=had))
    assert (change.refused.rule if change.refused else "", change.consent_only) == ("attribute_type", True)


def deletions(owned: int, orphans: int, *, no_delete: bool = False, **fields: Any) -> Plan:
    every = [known(target(f"a{n:02}"), prevent_destroy=False) for n in range(owned)]
    named = [target(f"a{n:02}") for n in range(orphans, owned)]
    seen = inventories(*((CEP_ACCOUNT, observed(target(one.audience))) for one in every))
    whole: State = state(*every)
    courses = decide(named, inventories=seen, state=whole, project=project(), now=NOW)
    shop = project(**fields)
    return check(planned(courses, {}, whole), named, project=shop, state=whole, now=NOW, no_delete=no_delete)


@pytest.mark.parametrize(
    ("owned", "orphans", "limit", "deleted"), [(3, 3, 1, 1), (8, 3, 1, 2), (40, 10, 1, 10), (3, 3, 2, 2), (5, 1, 1, 1)]
)
def test_deletions_have_a_limit(owned: int, orphans: int, limit: int, deleted: int) -> None:
    plan = deletions(owned, orphans, max_delete_audiences=limit)
    gone = [change for change in plan.changes if change.op is Op.DELETE]
    through = [change.target_key.audience for change in gone if change.refused is None]
    assert through == [f"a{n:02}" for n in range(deleted)]
    refused = [change.refused for change in gone if change.refused]
    assert {(one.rule, one.override) for one in refused} <= {
        ("max_delete_audiences", f"max_delete_audiences: {orphans}")
    }


def test_deletions_that_go_on_are_judged_as_they_were_at_first() -> None:
    every = [known(target(f"a{n:02}"), prevent_destroy=False) for n in range(40)]
    named = [target(f"a{n:02}") for n in range(12, 40)]
    seen = inventories(*((CEP_ACCOUNT, observed(target(one.audience))) for one in every))
    whole: State = state(*every)
    plan = planned(decide(named, inventories=seen, state=whole, project=project(), now=NOW), {}, whole)
    first = check(plan, named, project=project(), state=whole, now=NOW)
    later = whole.with_targets([known(target(f"b{n:02}"), owned_since=whole.serial + 1) for n in range(8)])
    for one in every[:7]:
        later = later.without_target(one.key)
    again = check(plan, named, project=project(), state=later, now=NOW)
    assert sum(change.refused is not None for change in first.changes) == 2
    assert [change.refused for change in again.changes] == [change.refused for change in first.changes]


def test_no_delete() -> None:
    plan = deletions(3, 1, no_delete=True)
    assert [change.refused.rule for change in plan.changes if change.refused] == ["no_delete"]


ROWS = st.integers(0, 120)


@given(ROWS, ROWS, ROWS, st.integers(0, 200), st.sampled_from([Space.CEP, Space.MEP10]))
def test_policy_never_adds_work_and_hides_nothing(
    consent: int, remove: int, add: int, count: int, space: Space
) -> None:
    made = target(space=space)
    had = known(made, count=count)
    diff = staged(consent=consent, remove=remove, add=add)
    seen = inventories((made.key.account, observed(made, nb_ids=count)))
    whole = state(had)
    plan = planned(decide([made], inventories=seen, state=whole, project=project(), now=NOW), {made.key: diff}, whole)
    after = check(plan, [made], project=project(), state=whole, now=NOW)
    first, then = only(plan), only(after)
    assert (then.op, then.counts, then.kinds, then.key) == (first.op, first.counts, first.kinds, first.key)
    assert then.requests <= first.requests
    assert then.rows.adds_up
    assert then.request_totals.adds_up
    assert after.digest == plan.digest
    assert check(after, [made], project=project(), state=whole, now=NOW) == after
    assert check(after, [made], project=project(), state=whole, now=NOW + timedelta(days=0)) == after
