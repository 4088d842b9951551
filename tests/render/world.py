"""One rich plan: everything the screen can say, at least once."""

from __future__ import annotations

from typing import Any

from reconciler.address import IdType, Space, TargetKey
from reconciler.course import decide, unmanaged
from reconciler.data.staged import RejectCount, Staged
from reconciler.link import Target
from reconciler.observed import Inventory
from reconciler.plan import Plan
from reconciler.policy import check
from reconciler.state.state import TargetState
from tests.plan.kit import (
    CEP_ACCOUNT,
    MEP_ACCOUNT,
    NOW,
    inventories,
    known,
    observed,
    planned,
    project,
    staged,
    state,
    target,
)

MEP = Space.MEP10
NAMED: Any = {"name": "onboarding"}


def sample() -> Plan:
    """The plan of the product's own example."""
    vip = target("vip_fr_custom_ids", space=MEP)
    lapsed = target("lapsed_buyers_ios", space=MEP, id_type=IdType.ADVERTISING)
    onboarding = target("onboarding_custom_ids", space=MEP, links=(NAMED,))
    quiet = [target(f"quiet_{n}", space=Space.CEP) for n in range(4)]
    people = target(
        "",
        links=({"name": "crm-profile"}, {"name": "loyalty"}),
        attributes={"tier": "string", "last_order": "date", "points": "integer"},
    )
    summer = known(target("summer_2024_custom_ids", space=MEP), count=5_000)
    diffs = {
        vip.key: staged(add=12_402, members=12_402),
        lapsed.key: staged(
            remove=845,
            add=1_300,
            added=1_210,
            changed=90,
            rejects=(
                RejectCount(link="segment-link/lapsed", reason="all-zero advertising ID", count=9),
                RejectCount(link="segment-link/lapsed", reason="not a UUID", count=8),
            ),
            rows_read=120_000,
        ),
        onboarding.key: staged(remove=46_100),
        people.key: staged(add=2_203, added=0, changed=2_203),
    }
    had = [
        known(lapsed, count=120_331),
        known(onboarding, count=100_000),
        known(people, count=300_000),
        summer,
        *map(known, quiet),
    ]
    return plan_of([vip, lapsed, onboarding, people, *quiet], diffs, had, orphans=(summer,), strangers=12)


def rich() -> Plan:
    """Adoption, full uploads, settings, consent, orphans, first uses, hostile names and every note below a line."""
    adopted = target("adopted", space=MEP, links=({"audience": {"adopt": True}},))
    refused = target("exists_already", space=MEP)
    counted = target("count_differs", attributes={"tier": "string"})
    moved = target("moved_identifier", id_field="crm_id")
    strict = target("protected_now", links=({"lifecycle": {"prevent_destroy": True, "on_destroy": "keep"}},))
    consent = target("consent_wave")
    guarded = target("shrunk_with_consent")
    dropping = target("drops_a_key", attributes={"tier": "string"})
    hostile = target("a" * 70, links=({"name": "long-name"},))
    people = target("", attributes={"tier": "string", "points": "integer"})
    retyped = target("retyped", attributes={"tier": "string"})
    diffs = {
        adopted.key: staged(add=15_000, members=15_000),
        counted.key: staged(add=20_000, members=20_000, added=0, held=3, shared=12),
        moved.key: staged(remove=30, add=130, added=0, removed=0, reasserted=5),
        consent.key: staged(consent=40, add=5, removed=0),
        guarded.key: staged(consent=4, remove=80),
        dropping.key: staged(reset=20, put=20, changed=20),
        hostile.key: staged(add=1),
        people.key: Staged(**{**_fields(staged(add=50, cleared=7)), "first_uses": ("points", "tier\x1b[31m")}),
        retyped.key: staged(consent=2, removed=0),
    }
    empty = known(target("empty_me"), count=60, on_destroy="empty")
    diffs[empty.key] = staged(remove=60, removed=60)
    had = [
        known(counted, count=20_003),
        known(moved).model_copy(update={"baseline": known(target("x")).baseline}),
        known(strict),
        known(consent, count=200),
        known(guarded, count=100),
        known(dropping),
        known(hostile),
        known(people, count=1_000),
        known(retyped).model_copy(
            update={"baseline": known(retyped).baseline.model_copy(update={"attributes": {"tier": "integer"}})}
        ),
        empty,
    ]
    orphans = (empty, *(known(target(f"old_{n}"), prevent_destroy=n == 0, owned_since=n) for n in range(3)))
    gone = known(target("gone_from_batch"))
    named = [adopted, refused, counted, moved, strict, consent, guarded, dropping, hostile, people, retyped]
    return plan_of(named, diffs, [*had, *orphans[1:], gone], orphans=orphans, seen=(adopted, refused))


def plan_of(
    targets: list[Target],
    diffs: dict[TargetKey, Staged],
    had: list[TargetState],
    *,
    orphans: tuple[TargetState, ...] = (),
    seen: tuple[Target, ...] = (),
    strangers: int = 0,
) -> Plan:
    """Decided, made and checked; what the state knows is in Batch with the count it knows."""
    states = {one.key: one for one in had} | {one.key: one for one in orphans}
    by_key = {one.key: one for one in targets}
    audiences = [(one.key.account, observed(one)) for one in seen]
    for key, one in states.items():
        if not key.is_profiles and one.audience != "gone_from_batch":
            made = by_key.get(key) or target(key.audience, space=key.space)
            audiences.append(
                (key.account, observed(made, nb_ids=one.baseline.count - (one.audience == "count_differs") * 3))
            )
    found = inventories(*audiences)
    others = {f"other_{n}": observed(target(f"other_{n}")) for n in range(strangers)}
    merged = {**found[CEP_ACCOUNT].audiences, **others}
    found = {MEP_ACCOUNT: found[MEP_ACCOUNT], CEP_ACCOUNT: Inventory(account=CEP_ACCOUNT, audiences=merged)}
    now_state = state(*states.values())
    courses = decide(targets, inventories=found, state=now_state, project=project(), now=NOW)
    plan = planned(courses, diffs, now_state, unmanaged=unmanaged(targets, inventories=found, state=now_state))
    return check(plan, targets, project=project(), state=now_state, now=NOW)


def _fields(one: Staged) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Staged.__slots__}
