"""One test per line of the tables in reconciler.course.named and reconciler.course.steady."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.address import IdType, Space
from reconciler.course.due import fraction
from reconciler.plan import Op
from reconciler.state.state import Pending
from tests.plan.kit import NOW, course, known, observed, target

CREATE = Pending(op="write", plan="p", started=NOW, create=True)
WRITE = Pending(op="write", plan="p", started=NOW)
DELETE = Pending(op="delete", plan="p", started=NOW)
ADOPT: Any = {"audience": {"adopt": True}}
UNTRUSTED = {"trusted": False}


def test_absent_and_unknown_is_created() -> None:
    got = course(target())
    assert (got.op, got.create, got.everybody, got.void, got.known) == (Op.CREATE, True, True, True, None)


def test_absent_with_a_pending_create_is_created_again() -> None:
    made = target()
    got = course(made, had=known(made, created=None, committed=False, pending=CREATE, count=0))
    assert (got.op, got.create, got.everybody, got.void) == (Op.CREATE, True, True, True)
    assert "cut off" in got.reason


@pytest.mark.parametrize(
    ("pending", "reason"),
    [(None, "vanished from Batch"), (DELETE, "deleted by an earlier run")],
    ids=["gone", "deleted"],
)
def test_absent_but_ours_is_created_and_keeps_its_last_count(pending: Pending | None, reason: str) -> None:
    made = target()
    got = course(made, had=known(made, count=70, pending=pending))
    assert (got.op, got.create, got.everybody, got.void) == (Op.CREATE, True, True, True)
    assert got.known is not None
    assert (got.known.baseline.count, got.reason) == (70, reason)


@pytest.mark.parametrize("owned", [True, False])
def test_another_type_is_refused(owned: bool) -> None:
    made = target()
    got = course(made, seen=observed(made, id_type=IdType.EMAIL), had=known(made) if owned else None)
    assert got.refused is not None
    assert got.refused.rule == "type"


def test_an_unrecognised_type_is_a_warning() -> None:
    made = target()
    got = course(made, seen=observed(made, id_type=None), had=known(made))
    assert (got.op, got.refused) == (Op.DELTA, None)
    assert got.warnings[0].startswith("type:")


def test_the_space_of_an_unrecognised_type_counts() -> None:
    made = target(space=Space.MEP10)
    got = course(made, seen=observed(made, id_type=None, space=Space.MEP11), had=known(made))
    assert got.refused is not None
    assert got.refused.rule == "type"


def test_unclaimed_is_refused_with_the_import_command() -> None:
    made = target("vip_fr")
    got = course(made, seen=observed(made))
    assert got.refused is not None
    assert (got.refused.rule, got.refused.override) == ("exists", "batchctl import segment-link/vip-fr vip_fr")


@pytest.mark.parametrize(("space", "replace"), [(Space.CEP, True), (Space.MEP11, True), (Space.MEP10, False)])
def test_unclaimed_is_adopted_when_the_link_says_so(space: Space, replace: bool) -> None:
    kind = IdType.INSTALL if space is Space.MEP11 else IdType.CUSTOM
    made = target(space=space, id_type=kind, links=(ADOPT,))
    got = course(made, seen=observed(made))
    assert (got.op, got.replace, got.everybody, got.void) == (Op.ADOPT, replace, True, True)
    assert bool(got.warnings) is not replace


@pytest.mark.parametrize(("links", "op"), [(({},), Op.DELTA), ((ADOPT,), Op.ADOPT)])
def test_recreated_by_somebody_else(links: Any, op: Op) -> None:
    made = target(links=links)
    got = course(made, seen=observed(made, created="2026-09-09T00:00:00Z"), had=known(made))
    assert got.op is op
    assert (got.refused.rule if got.refused else "") == ("" if op is Op.ADOPT else "recreated")


def test_a_create_of_ours_that_nobody_entered_is_resumed() -> None:
    made = target()
    had = known(made, created=None, committed=False, pending=CREATE, count=0)
    got = course(made, seen=observed(made, nb_ids=0), had=had)
    assert (got.op, got.create, got.void, got.everybody) == (Op.CREATE, False, False, False)


def test_a_create_that_met_members_is_not_ours() -> None:
    made = target()
    got = course(made, seen=observed(made), had=known(made, created=None, committed=False, pending=CREATE, count=0))
    assert got.refused is not None
    assert got.refused.rule == "exists"


def test_a_first_upload_cut_off_resumes_from_its_acknowledgements() -> None:
    made = target()
    got = course(made, seen=observed(made, nb_ids=40), had=known(made, committed=False, pending=WRITE, count=0))
    assert (got.op, got.create, got.void, got.reason) == (Op.CREATE, False, False, "first upload, continued")


def test_ours_is_a_delta() -> None:
    made = target()
    got = course(made, seen=observed(made), had=known(made))
    assert (got.op, got.everybody, got.void, got.warnings) == (Op.DELTA, False, False, ())


@pytest.mark.parametrize(
    ("space", "kind", "replace"),
    [(Space.CEP, IdType.CUSTOM, True), (Space.MEP11, IdType.INSTALL, True), (Space.MEP10, IdType.CUSTOM, False)],
)
def test_an_untrusted_baseline_is_replaced_where_that_exists(space: Space, kind: IdType, replace: bool) -> None:
    made = target(space=space, id_type=kind)
    got = course(made, seen=observed(made), had=known(made, baseline=UNTRUSTED, committed=False))
    assert (got.op, got.replace, got.everybody, got.void) == (Op.FULL, replace, True, replace)


@pytest.mark.parametrize(("until", "recreate"), [("2026-11-23", True), ("2026-11-22", False)])
def test_mep_1_0_is_recreated_only_with_a_valid_allow(until: str, recreate: bool) -> None:
    allow = {"allow": {"recreate": True, "until": until, "reason": "agreed"}}
    made = target(space=Space.MEP10, links=(allow,))
    got = course(made, seen=observed(made), had=known(made, baseline=UNTRUSTED))
    assert (got.op, got.recreate, got.create, got.void) == (Op.FULL, recreate, recreate, recreate)


def test_a_count_that_differs_is_repaired_once_then_known() -> None:
    made = target()
    first = course(made, seen=observed(made, nb_ids=97), had=known(made))
    assert (first.op, first.replace, first.repairs) == (Op.FULL, True, -3)
    again = course(made, seen=observed(made, nb_ids=97), had=known(made, known_offset=-3))
    assert (again.op, again.repairs) == (Op.DELTA, None)
    assert again.warnings[0].startswith("count:")
    changed = course(made, seen=observed(made, nb_ids=96), had=known(made, known_offset=-3))
    assert (changed.op, changed.repairs) == (Op.FULL, -4)
    healed = course(made, seen=observed(made), had=known(made, known_offset=-3))
    assert (healed.op, healed.warnings) == (Op.DELTA, ())


@pytest.mark.parametrize("fields", [{"indexing": "IN_PROGRESS"}, {"indexing": "UNKNOWN"}, {"nb_ids": None}])
def test_a_count_is_only_compared_when_it_can_be(fields: Any) -> None:
    made = target()
    assert course(made, seen=observed(made, **{"nb_ids": 3, **fields}), had=known(made)).op is Op.DELTA


def test_a_count_with_uncertain_rows_is_not_compared() -> None:
    made = target()
    assert course(made, seen=observed(made, nb_ids=3), had=known(made, pending=WRITE)).op is Op.DELTA


def test_another_identifier_field_sends_everybody_without_replace() -> None:
    had = known(target())
    got = course(target(id_field="crm_id"), seen=observed(target()), had=had)
    assert (got.op, got.everybody, got.replace, got.void, got.reason) == (
        Op.FULL,
        True,
        False,
        False,
        "identifier changed",
    )


def test_a_span_expires_up_to_a_tenth_early_by_target() -> None:
    made = target(links=({"full_refresh_every": "90d"},))
    span = timedelta(days=90) * (1 - 0.1 * fraction(str(made.key)))
    before = course(made, seen=observed(made), had=known(made, last_full=NOW - span + timedelta(seconds=1)))
    after = course(made, seen=observed(made), had=known(made, last_full=NOW - span - timedelta(seconds=1)))
    assert (before.op, after.op, after.replace) == (Op.DELTA, Op.FULL, False)
    assert timedelta(days=81) <= span <= timedelta(days=90)


@pytest.mark.parametrize(
    ("link", "hours", "op"),
    [
        ({}, 23, Op.FULL),
        ({}, 22, Op.DELTA),
        ({"refresh": {"every": "6h"}}, 6, Op.FULL),
        ({"refresh": {"every": "1mo"}}, 300, Op.DELTA),
        ({"refresh": {"every": "once"}}, 9999, Op.DELTA),
    ],
)
def test_without_delta_upload_everybody_is_sent_when_due(link: Any, hours: int, op: Op) -> None:
    made = target(links=(link,), action={"delta_upload": False})
    got = course(made, seen=observed(made), had=known(made, last_full=NOW - timedelta(hours=hours)))
    assert got.op is op


def test_a_one_time_push_is_not_repeated() -> None:
    made = target(links=({"refresh": {"every": "once"}},))
    done, other = known(made, once_done=("segment-link/vip",)), {"created": "2020-01-01T00:00:00Z"}
    assert course(made, seen=observed(made), had=done).made
    for seen in (None, observed(made, **other)):
        got = course(made, seen=seen, had=done)
        assert (got.op, got.made) == (Op.NONE, False), "nobody is in it for whom it was made"
    moved = target(links=({"refresh": {"every": "once"}, "moved_from": "segment-link/former"},))
    assert course(moved, seen=observed(moved), had=known(moved, once_done=("segment-link/former",))).made
    for got in (
        course(moved, seen=observed(moved), had=known(moved, once_done=("segment-link/another",))),
        course(made, seen=observed(made), had=known(made)),
    ):
        assert (got.op, got.made) == (Op.DELTA, False)


def test_an_attribute_never_changes_its_type() -> None:
    had = known(target(attributes={"tier": "string"}))
    got = course(target(attributes={"tier": "integer"}), seen=observed(target()), had=had)
    assert got.refused is not None
    assert (got.refused.rule, got.refused.override) == (
        "attribute_type",
        "attributes: {tier_integer: {field: tier, type: integer}}",
    )
    assert got.staged


def test_profiles_start_with_everybody_and_never_create() -> None:
    got = course(target("", attributes={"tier": "string"}))
    assert (got.op, got.create, got.everybody, got.void) == (Op.FULL, False, True, True)


def test_profiles_continue_as_deltas() -> None:
    made = target("", attributes={"tier": "string"})
    assert course(made, had=known(made)).op is Op.DELTA
    cut = course(made, had=known(made, committed=False, pending=WRITE, count=0))
    assert (cut.op, cut.void, cut.reason) == (Op.FULL, False, "first upload, continued")


def test_profiles_of_an_untrusted_baseline_are_not_replaced() -> None:
    made = target("", attributes={"tier": "string"})
    got = course(made, had=known(made, baseline=UNTRUSTED))
    assert (got.op, got.replace, got.everybody, got.void) == (Op.FULL, False, True, False)
