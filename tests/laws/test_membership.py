"""The SQL against the model in dicts: every diff, over random worlds, crashes, refusals and both kinds of target."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plan.values import Op
from tests.data.kit import Shop, Turn, resolution
from tests.laws.model import Expected, Rules, Sent, World, expect
from tests.laws.worlds import Batch, audiences, profiles, sound, specs, wish_of, worlds, write

FEW = settings(max_examples=settings.default.max_examples // 20)
"""A night costs a tenth of a second: `make laws` walks through many more of them."""


class Nights:
    """The same target night after night: the product, the model and Batch side by side."""

    def __init__(self, root: str, rules: Rules) -> None:
        self.shop, self.rules, self.specs = Shop(Path(root)), rules, specs(rules)
        self.batch = Batch(profiles=rules.profiles)
        self.told: dict[str, tuple[str, dict[str, str]]] = {}
        self.uncertain: dict[str, Sent | None] = {}

    def diff(self, world: World) -> tuple[Turn, Expected]:
        """One night's delta, compared with the model's."""
        write(self.shop, world)
        turn = self.shop.look(self.specs)
        wanted = expect(world, self.rules, self.told, self.uncertain)
        same(turn, wanted, self.told)
        return turn, wanted

    def night(self, world: World) -> None:
        """Everything is accepted: Batch holds what was told, and a second look finds nothing."""
        turn, wanted = self.diff(world)
        for row in turn.rows:
            self.batch.receive(row)
        self.shop.tell(*resolution(self.specs).targets, turn)
        self.told, self.uncertain = wanted.told, {}
        assert self.shop.told(self.specs) == {one: values for one, (_, values) in wanted.told.items()}
        assert self.batch.held == {one: values for one, (_, values) in wanted.told.items()}

    def killed(self, world: World, acknowledged: int, processed: int) -> None:
        """The run dies: some rows are acknowledged, of the next ones nobody knows, the others never left."""
        turn, _ = self.diff(world)
        cut = min(acknowledged, len(turn.rows))
        for row in turn.rows[: min(cut + processed, len(turn.rows))]:
            self.batch.receive(row)
        self.shop.tell(*resolution(self.specs).targets, turn, accepted=[(0, cut)])
        known = dict(self.told)
        for row in turn.rows[:cut]:
            known.pop(row["id"], None)
            sent = self._sent(row)
            if sent is not None:
                known[row["id"]] = sent
        self.told = known  # the new delta asserts what was uncertain before
        self.uncertain = {row["id"]: self._sent(row) for row in turn.rows[cut:]}

    def _sent(self, row: dict[str, Any]) -> Sent | None:
        """What a row says of a member; None for a removal."""
        if row["kind"] not in ("add", "put"):
            return None
        values = {name[2:]: value for name, value in row.items() if name[:2] == "a:" and value is not None}
        return self._key(row), values

    def _key(self, row: dict[str, object]) -> str:
        """The person a row was told of, by the hash the file carries."""
        hashes = {hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(): key for key in (*"123456789", "10")}
        return hashes[str(row["k"]).replace("-", "")] if row["k"] else str(row["id"])


def same(turn: Turn, wanted: Expected, told: dict[str, tuple[str, dict[str, str]]]) -> None:
    """The rows, the counts and what they add up to."""
    sent = Counter(row["id"] for row in turn.rows if row["kind"] != "reset")
    assert set(sent.values()) <= {1}
    counts = turn.staged.counts
    found = (set(turn.of("consent")), counts.added, counts.removed, counts.changed, counts.held, counts.shared)
    assert found == (
        wanted.consent,
        len(wanted.added),
        len(wanted.removed),
        len(wanted.changed),
        len(wanted.held),
        wanted.shared,
    )
    assert counts.after == len(wanted.told)
    assert wanted.removed <= turn.removed
    assert turn.added >= wanted.added | wanted.changed
    assert set(turn.of("reset")) == set(turn.of("put"))


@FEW
@given(rules=audiences(), nights=st.lists(worlds(), min_size=1, max_size=3))
def test_an_audience_is_what_the_model_says(rules: Rules, nights: list[World]) -> None:
    with tempfile.TemporaryDirectory() as root:
        book = Nights(root, rules)
        for world in nights:
            book.night(world)
        assert book.diff(nights[-1])[0].rows == []


@FEW
@given(rules=profiles(), nights=st.lists(worlds(), min_size=1, max_size=3))
def test_profiles_are_what_the_model_says(rules: Rules, nights: list[World]) -> None:
    with tempfile.TemporaryDirectory() as root:
        book = Nights(root, rules)
        for world in nights:
            book.night(world)
        assert book.diff(nights[-1])[0].rows == []


@FEW
@given(
    rules=st.one_of(audiences(), profiles()),
    first=worlds(),
    deaths=st.lists(st.tuples(worlds(), st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=2),
    last=worlds(),
)
def test_after_any_death_batch_holds_the_truth(
    rules: Rules, first: World, deaths: list[tuple[World, int, int]], last: World
) -> None:
    with tempfile.TemporaryDirectory() as root:
        book = Nights(root, rules)
        book.night(first)
        for world, acknowledged, processed in deaths:
            book.killed(world, acknowledged, processed)
        book.night(last)


@FEW
@given(rules=st.one_of(audiences(), profiles()), before=worlds(), after=worlds())
def test_the_hash_pass_finds_what_the_exact_comparison_finds(rules: Rules, before: World, after: World) -> None:
    with tempfile.TemporaryDirectory() as root:
        book = Nights(root, rules)
        book.night(before)
        fast, _ = book.diff(after)
        exact = book.shop.look(book.specs, exact=True)
        assert [_plain(row) for row in fast.rows] == [_plain(row) for row in exact.rows]
        assert fast.staged.counts == exact.staged.counts
        assert fast.staged.rejects == exact.staged.rejects
        assert fast.rejected == exact.rejected


@FEW
@given(rules=audiences(), before=worlds(), after=worlds())
def test_starting_anew_ends_where_a_delta_ends(rules: Rules, before: World, after: World) -> None:
    with tempfile.TemporaryDirectory() as root:
        book = Nights(root, rules)
        book.night(before)
        delta, wanted = book.diff(after)
        anew = book.shop.look(book.specs, op=Op.FULL, everybody=True, replace=True, void=True)
        assert anew.of("consent") == delta.of("consent")
        assert anew.staged.counts.consent == delta.staged.counts.consent
        assert anew.staged.counts.after == len(wanted.told)
        moves = [(one.added, one.removed) for one in (anew.staged.counts, delta.staged.counts)]
        assert moves[0] == moves[1]
        if anew.staged.counts.members:
            assert anew.of("add") == {one: values for one, (_, values) in wanted.told.items()}
            assert not anew.of("remove", "reset", "put")
        else:
            assert anew.removed == delta.removed


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "file_row_number"}


@FEW
@given(
    rules=st.one_of(audiences(), profiles()),
    nights=st.lists(st.tuples(worlds(), st.sets(st.integers(0, 8), max_size=3)), min_size=1, max_size=2),
    last=worlds(),
)
def test_what_batch_refuses_is_sent_again_only_when_the_wish_changes(
    rules: Rules, nights: list[tuple[World, set[int]]], last: World
) -> None:
    with tempfile.TemporaryDirectory() as root:
        shop, made, batch = Shop(Path(root)), specs(rules), Batch(profiles=rules.profiles)
        (target,) = resolution(made).targets
        refused: dict[str, dict[str, object]] = {}
        for world, rows in nights:
            write(shop, world)
            turn = shop.look(made)
            words = {n: "no" for n in rows if n < len(turn.rows) and turn.rows[n]["kind"] in ("add", "put", "remove")}
            shop.tell(target, turn, refused=words)
            for n, row in enumerate(turn.rows):
                if row["kind"] != "reset":
                    refused.pop(row["id"], None)
                if n in words:
                    refused[row["id"]] = wish_of(row)
                else:
                    batch.receive(row)
            assert batch.held == shop.told(made)
            assert shop.look(made).rows == []
        write(shop, last)
        turn, retried = shop.look(made), shop.look(made, retry_rejects=True)
        sent, again = (
            {row["id"]: wish_of(row) for row in one.rows if row["kind"] != "reset"} for one in (turn, retried)
        )
        assert not {one for one in sent if one not in turn.of("consent") and refused.get(one) == sent[one]}
        assert {one for one in again if one not in sent} <= {one for one in refused if again.get(one) == refused[one]}
        assert {one: wish for one, wish in again.items() if one in sent} == sent


@FEW
@given(rules=st.one_of(audiences(), profiles()), nights=st.lists(sound(), min_size=2, max_size=3))
def test_without_faults_many_nights_equal_the_last_one_alone(rules: Rules, nights: list[World]) -> None:
    mirrored = replace(rules, delete=True, links=tuple(replace(link, unset=True) for link in rules.links))
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as one:
        slow, fresh = Nights(many, mirrored), Nights(one, mirrored)
        for world in nights:
            slow.night(world)
        fresh.night(nights[-1])
        assert slow.batch.held == fresh.batch.held
