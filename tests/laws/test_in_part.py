"""Rows of profiles that Batch refuses in part: whoever leaves and is kept has what it took, and nobody without consent has."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.data.refusals import IN_PART
from tests.data.kit import Shop, resolution
from tests.laws.model import Night, Row, Rules, Wiring, World, expect
from tests.laws.worlds import Batch, profiles, sound, specs, wish_of, worlds, write

FEW = settings(max_examples=settings.default.max_examples // 20)
PARTS = st.sets(st.sampled_from(["t", "c"]), min_size=1)
Held = Mapping[str, Mapping[str, object]]


def _one(n: str, m: str, tier: str | None, city: str | None) -> World:
    """One person."""
    return World((Row("1", "a", None, "true", n, m, tier, city),), suppressed=frozenset({"0"}))


TWO = Rules((Wiring("n", {"t": "tier"}), Wiring("m", {"c": "city"})), profiles=True)


@FEW
@given(
    rules=profiles(),
    nights=st.lists(st.tuples(worlds(), st.dictionaries(st.integers(0, 8), PARTS, max_size=4)), min_size=1, max_size=3),
    last=sound(),
)
@example(rules=TWO, nights=[(_one("1", "1", "gold", "Rome"), {0: {"c"}})], last=_one("0", "0", None, None))
@example(rules=TWO, nights=[(_one("1", "1", "gold", "Rome"), {0: {"c"}})], last=_one("1", "0", "red", None))
def test_whoever_leaves_and_is_kept_has_what_batch_took_although_it_refused_a_part(
    rules: Rules, nights: list[tuple[World, dict[int, set[str]]]], last: World
) -> None:
    with tempfile.TemporaryDirectory() as root:
        shop, made, batch = Shop(Path(root)), specs(rules), Batch(profiles=True)
        (target,) = resolution(made).targets
        refused: dict[str, dict[str, object]] = {}
        for world, parts in [*nights, (last, {})]:
            write(shop, world)
            turn, before = shop.look(made), {one: dict(values) for one, values in batch.held.items()}
            wished = dict(refused)
            words = {n: f"t{IN_PART}no" for n in parts if n < len(turn.rows) and turn.rows[n]["kind"] == "add"}
            shop.tell(target, turn, refused=words)
            for n, row in enumerate(turn.rows):
                batch.receive(row, without=parts[n] if n in words else ())
                refused.pop(row["id"], None)
                if n in words:
                    refused[row["id"]] = wish_of(row)
            assert shop.look(made).rows == []
        after = _AfterTheNight(before, wished, batch.held, set(turn.of("consent")), set(refused))
        _as_they_should_be(rules, last, after)


@dataclass(frozen=True)
class _AfterTheNight:
    before: Held
    wished: Held
    """What was refused before it, with names as in files."""
    held: Held
    consent: set[str]
    refused: set[str]


def _as_they_should_be(rules: Rules, last: World, after: _AfterTheNight) -> None:
    """Every attribute in Batch is the member's, gone, or what it was before, or was wished where a part was refused; of
    rows that are refused still it may lack some."""
    night, members = Night(last, rules), expect(last, rules, {}).told
    covered: dict[str, set[str]] = {}
    for at, one, _, _, _ in night.candidates():
        covered.setdefault(one or "", set()).update(rules.links[at].attributes)
    for one in {*after.before, *after.held, *members}:
        held, before, ours = (
            after.held.get(one, {}),
            after.before.get(one, {}),
            covered.get(one, set()) if one not in night.withheld else set(),
        )
        if one in after.consent or one in night.withheld:
            assert not held
            continue
        for link in rules.links:
            for name in link.attributes:
                kept = {before.get(name), after.wished.get(one, {}).get(f"a:{name}", before.get(name))}
                if name not in ours:
                    assert held.get(name) in ({None} if link.unset else kept), (one, name)
                elif one not in after.refused:
                    assert held.get(name) == members.get(one, ("", {}))[1].get(name), (one, name)
