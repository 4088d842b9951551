"""One test per line of the table in reconciler.course.orphan, and the order of everything."""

import random
from typing import Any

import pytest

from reconciler.address import Space
from reconciler.course import Course, decide, unmanaged
from reconciler.link import Target
from reconciler.observed import Inventory, Observed
from reconciler.plan import Op
from reconciler.state.state import Pending, TargetState
from tests.plan.kit import CEP_ACCOUNT, MEP_ACCOUNT, NOW, inventories, known, observed, project, state, target

GONE = target("summer")
PEOPLE = target("", attributes={"tier": "string"})
CREATE = Pending(op="write", plan="p", started=NOW, create=True)


def orphan(had: TargetState, seen: Observed | None = None, *, keys: bool = True) -> Course:
    found = inventories(*([(CEP_ACCOUNT, seen)] if seen else [])) if keys else {}
    (one,) = decide([], inventories=found, state=state(had), project=project(), now=NOW)
    return one


def test_an_account_without_keys_is_kept_and_reported() -> None:
    got = orphan(known(GONE), keys=False)
    assert (got.op, got.refused) == (Op.NONE, None)
    assert got.warnings[0].startswith("nobody has the keys of account")


@pytest.mark.parametrize("fields", [{}, {"prevent_destroy": True}, {"pending": CREATE, "created": None}])
def test_absent_is_forgotten(fields: Any) -> None:
    assert orphan(known(GONE, **fields)).op is Op.FORGET


def test_recreated_is_not_ours_to_delete() -> None:
    assert orphan(known(GONE), observed(GONE, created="2026-09-09T00:00:00Z")).op is Op.FORGET
    unsure = known(GONE, created=None, committed=False, pending=CREATE)
    assert orphan(unsure, observed(GONE)).op is Op.FORGET


@pytest.mark.parametrize("on_destroy", ["delete", "empty", "keep"])
def test_protection_outlives_its_document(on_destroy: Any) -> None:
    got = orphan(known(GONE, prevent_destroy=True, on_destroy=on_destroy), observed(GONE))
    assert got.refused is not None
    assert got.refused.rule == "prevent_destroy"


@pytest.mark.parametrize(
    ("on_destroy", "op", "forget"),
    [("delete", Op.DELETE, False), ("empty", Op.DELTA, True), ("keep", Op.FORGET, False)],
)
def test_on_destroy(on_destroy: Any, op: Op, forget: bool) -> None:
    got = orphan(known(GONE, on_destroy=on_destroy), observed(GONE))
    assert (got.op, got.forget, got.refused) == (op, forget, None)


@pytest.mark.parametrize("protects", [True, False])
def test_a_link_that_is_left_decides_for_what_it_fed_whatever_the_state_says(protects: bool) -> None:
    lifecycle = {"prevent_destroy": protects, "on_destroy": "empty"}
    moved = target("winter", links=({"name": "renamed", "moved_from": "segment-link/summer", "lifecycle": lifecycle},))
    had = known(GONE, prevent_destroy=not protects, on_destroy="keep")
    seen = inventories((CEP_ACCOUNT, observed(GONE)))
    _, got = decide([moved], inventories=seen, state=state(had), project=project(), now=NOW)
    assert (got.forget, got.refused is not None, got.consent) == (True, protects, protects)
    assert (got.refused.where if got.refused else "segment-link/renamed") == "segment-link/renamed"


def test_what_is_proposed_for_an_orphan_without_links_names_it_as_a_document_would() -> None:
    seen = inventories((CEP_ACCOUNT, observed(GONE)))
    for prefix, proposed in (("sum", "audience: {name: mer}"), ("other", "")):
        shop = project(environments={"prod": {"audience_prefix": prefix}})
        (got,) = decide([], inventories=seen, state=state(known(GONE, prevent_destroy=True)), project=shop, now=NOW)
        assert got.refused is not None
        assert proposed in got.refused.detail
        assert bool(proposed) == ("bring back" in got.refused.detail)
        assert (got.refused.where, got.refused.override) == ("", f"batchctl state rm {GONE.key}")


def test_an_empty_audience_is_not_emptied() -> None:
    had = known(GONE, on_destroy="empty", baseline={"files": (), "count": 0})
    assert orphan(had, observed(GONE, nb_ids=0)).op is Op.FORGET


@pytest.mark.parametrize(("on_exit", "op"), [("unset", Op.DELTA), ("keep", Op.FORGET)])
def test_profiles_nobody_feeds(on_exit: Any, op: Op) -> None:
    assert orphan(known(PEOPLE, on_exit={"tier": on_exit})).op is op


def test_an_audience_that_a_link_names_is_never_an_orphan() -> None:
    seen = inventories((CEP_ACCOUNT, observed(GONE)))
    renamed = target("summer", links=({"name": "another-link"},))
    (one,) = decide([renamed], inventories=seen, state=state(known(GONE)), project=project(), now=NOW)
    assert one.op is Op.DELTA


def test_a_subset_is_never_a_deletion() -> None:
    other = target("other")
    seen = inventories((CEP_ACCOUNT, observed(GONE)), (CEP_ACCOUNT, observed(other)))
    had = state(known(GONE), known(other))
    got = decide([other], inventories=seen, state=had, project=project(), now=NOW, subset={other.key})
    assert [one.key for one in got] == [other.key]
    assert decide([other], inventories=seen, state=had, project=project(), now=NOW, subset=()) == ()


def test_lost_state_is_planned_as_new() -> None:
    (one,) = decide(
        [GONE], inventories=inventories((CEP_ACCOUNT, observed(GONE))), state=None, project=project(), now=NOW
    )
    assert one.refused is not None
    assert one.refused.rule == "exists"


def test_order_does_not_depend_on_the_input() -> None:
    named: list[Target] = [target("b"), PEOPLE, target("a"), target("z", space=Space.MEP10), target("c")]
    had = state(known(GONE), known(target("old", space=Space.MEP10)))
    seen = inventories((CEP_ACCOUNT, observed(GONE)), (MEP_ACCOUNT, observed(target("old", space=Space.MEP10))))
    expected = ["a", "b", "c", "", "z", "summer", "old"]
    for seed in range(5):
        shuffled = random.Random(seed).sample(named, k=len(named))
        got = decide(shuffled, inventories=seen, state=had, project=project(), now=NOW)
        assert [one.key.audience for one in got] == expected


def test_other_audiences_are_only_counted() -> None:
    strangers = {f"other_{n}": observed(target(f"other_{n}")) for n in range(12)}
    ours = {"summer": observed(GONE), "vip": observed(target())}
    found = {CEP_ACCOUNT: Inventory(account=CEP_ACCOUNT, audiences={**strangers, **ours})}
    assert unmanaged([target()], inventories=found, state=state(known(GONE))) == {"cep-main": 12}
