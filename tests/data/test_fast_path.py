"""The fast path decides what the exact comparison decides, whatever collides, repeats or differs only by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.data import baseline, candidates, gather, pairs
from reconciler.data.engine import Engine
from reconciler.data.sql import Digest
from reconciler.spec import Spec
from tests.data.kit import Shop, Turn, documents, link, resolution

FIELDS = {"pid": "string", "mail": "string", "tier": "string", "score": "float", "ok": "boolean"}
CATALOGUE = {"source": {"path": "people.csv"}, "key": "pid", "fields": FIELDS, "consent": "ok"}
PLAIN = documents(catalogue=CATALOGUE, identifier={"custom_id": "mail"})
CARRYING = documents(
    catalogue=CATALOGUE,
    identifier={"custom_id": "mail"},
    attributes={"tier": "tier", "score": "score"},
    declared={"tier": "string", "score": "float"},
)
KEYED = documents(
    catalogue=CATALOGUE, identifier={"custom_id": "pid"}, attributes={"tier": "tier"}, declared={"tier": "string"},
    where="mail <> 'b' AND score > 0",
)  # fmt: skip
BARE = documents(catalogue=CATALOGUE, identifier={"custom_id": "pid"}, where="mail <> 'b'")
FEEDING = [
    *documents(
        catalogue=CATALOGUE, action="send_attributes", identifier={"custom_id": "mail"}, attributes={"tier": "tier"},
        declared={"tier": "string", "score": "float"}, on_exit="unset",
    ),
    *link(
        "two", action="send_attributes", identifier={"custom_id": "pid"}, attributes={"score": "score"},
        where="mail <> 'b'", on_exit="unset",
    ),
]  # fmt: skip
"""Two links that feed the profiles."""
Row = tuple[str, str, str, str, str]


def people(*rows: Row) -> str:
    return "\n".join([",".join(FIELDS), *(",".join(row) for row in rows), ""])


def said(turn: Turn) -> object:
    """Everything a plan says of a turn but how it was found."""
    return turn.rows, turn.staged.counts, turn.staged.rejects, turn.rejected


def in_any_order(turn: Turn) -> object:
    """As `said`, whatever the order of the rows within a kind."""
    rows = [{name: value for name, value in row.items() if name != "file_row_number"} for row in turn.rows]
    return (
        sorted(rows, key=lambda row: (row["kind"], row["id"])),
        turn.staged.counts,
        turn.staged.rejects,
        turn.rejected,
    )


def one_for(*ids: str) -> Digest:
    """A hash under which these identifiers collide, and no others."""
    listed = ", ".join(f"'{one}'" for one in ids)
    return lambda column: f"CASE WHEN {column} IN ({listed}) THEN 1::UBIGINT ELSE hash({column}) END"


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["p1", "P1", "p2", "p3", "p4", "p5", "p6", "p7", ""]),
        st.sampled_from(["", "a", "A", "b", "c", "d", " d", "e", "ä", "Ä"]),
        st.sampled_from(["", "gold", "silver", "x" * 400]),
        st.sampled_from(["", "1", "0.1", "-0", "nan", "rich"]),
        st.sampled_from(["true", "true", "true", "false", ""]),
    ),
    max_size=9,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    nights=st.lists(ROWS, min_size=3, max_size=3),
    specs=st.sampled_from([PLAIN, CARRYING, KEYED, BARE, FEEDING]),
    in_memory=st.sampled_from([1, 3, pairs.IN_MEMORY]),
    few=st.sampled_from([0, 10]),
    large=st.sampled_from([0, 100_000]),
)
def test_it_decides_what_the_exact_comparison_decides(
    tmp_path_factory: pytest.TempPathFactory,
    nights: list[list[Row]],
    specs: list[Spec],
    in_memory: int,
    few: int,
    large: int,
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pairs, "IN_MEMORY", in_memory)
        patched.setattr(pairs, "FEW", min(in_memory, pairs.FEW))  # else nothing is sorted in parts
        patched.setattr(baseline, "_FEW", few)
        patched.setattr(baseline, "_LARGE", large)
        decides(Shop(tmp_path_factory.mktemp("shop")), nights, specs)


def decides(shop: Shop, nights: list[list[Row]], specs: list[Spec]) -> None:
    """What is told on each of these nights is the same either way."""
    shop.write("people.csv", people())
    shop.apply(specs)  # nobody
    for rows in nights:
        shop.write("people.csv", people(*rows))
        assert in_any_order(shop.look(specs)) == in_any_order(shop.look(specs, exact=True))
        shop.apply(specs)


@pytest.mark.parametrize("specs", [PLAIN, CARRYING, KEYED])
def test_who_is_in_a_small_delta_file_is_compared_with_that_and_not_with_the_base(
    shop: Shop, specs: list[Spec]
) -> None:
    base = {f"p{n}": ("a", "gold") for n in range(40)}
    for changes in ({}, {"p1": ("a", "red")}, {"p1": ("a", "gold"), "p2": None}, {"p2": ("a", "gold")}, {"p3": None}):
        base |= changes
        rows = [(key, f"m-{key}", one[1], "1", "true") for key, one in base.items() if one]
        shop.write("people.csv", people(*rows))
        turn = shop.look(specs)
        assert said(turn) == said(shop.look(specs, exact=True))
        if changes:
            assert len(turn.rows) <= 2
        shop.apply(specs)
        assert not shop.look(specs).rows


@pytest.mark.parametrize("specs", [PLAIN, CARRYING, KEYED])
def test_who_may_or_may_not_have_been_told_is_told_again_as_nothing_else_changed(shop: Shop, specs: list[Spec]) -> None:
    rows = [(f"p{n}", f"m{n}", "gold", "1", "true") for n in range(9)]
    shop.write("people.csv", people(*rows))
    shop.apply(specs)
    shop.write("people.csv", people(*rows[1:]))
    cut_off = shop.look(specs)
    (target,) = resolution(specs).targets
    shop.tell(target, cut_off, accepted=[])
    shop.write("people.csv", people(*rows))
    turn = shop.look(specs)
    assert turn.added == cut_off.removed
    assert not turn.removed
    assert turn.staged.counts.reasserted == 1
    assert said(turn) == said(shop.look(specs, exact=True))


@pytest.mark.parametrize("specs", [BARE, KEYED])
def test_whoever_leaves_the_segment_or_withdraws_consent_leaves(shop: Shop, specs: list[Spec]) -> None:
    rows = [(f"p{n}", "m", "", "1", "true") for n in range(9)]
    shop.write("people.csv", people(*rows))
    shop.apply(specs)
    shop.write("people.csv", people(("p0", "b", "", "1", "true"), ("p1", "m", "", "1", "false"), *rows[2:]))
    turn = shop.look(specs)
    assert (set(turn.of("remove")), set(turn.of("consent"))) == ({"p0"}, {"p1"})


@pytest.mark.parametrize(("specs", "score", "held"), [(CARRYING, "", 0), (KEYED, "1", 1)])
def test_a_row_that_cannot_be_trusted_any_more_is_reported_though_nothing_else_changed(
    shop: Shop, specs: list[Spec], score: str, held: int
) -> None:
    rows = [(f"p{n}", f"m{n}", "gold", score, "true") for n in range(1, 9)]
    shop.write("people.csv", people(("p0", "m0", "gold", score, "true"), *rows))
    shop.apply(specs)
    shop.write("people.csv", people(("p0", "m0", "gold", "rich", "true"), *rows))
    turn = shop.look(specs)
    assert not turn.rows
    assert turn.reasons in ({"score: not a float": 1}, {"score: not a value of type float": 1})
    assert said(turn) == said(shop.look(specs, exact=True))
    assert held == turn.staged.counts.rows_read - turn.staged.counts.members


TYPED = {"string": "'a'", "url": "'https://a.b/c'", "integer": "1", "boolean": "true", "list<string>": "['a']"}


@pytest.mark.parametrize(
    ("before", "after"),
    [("list<string>", "string"), ("list<string>", "url"), ("string", "list<string>"), ("integer", "boolean")],
)
def test_an_attribute_that_became_another_type_does_not_keep_consent_from_being_compared(
    shop: Shop, before: str, after: str
) -> None:
    fields = {"pid": "string", "ok": "boolean"} | {f"f{n}": kind for n, kind in enumerate(TYPED)}
    values = ", ".join(f"{value} AS f{n}" for n, value in enumerate(TYPED.values()))

    def carrying(kind: str) -> list[Spec]:
        return documents(
            catalogue={"source": {"path": "people.parquet"}, "key": "pid", "fields": fields, "consent": "ok"},
            identifier={"custom_id": "pid"},
            attributes={"x": f"f{list(TYPED).index(kind)}"},
            declared={"x": kind},
        )

    shop.parquet("people.parquet", f"SELECT 'p' || range AS pid, true AS ok, {values} FROM range(20)")
    shop.apply(carrying(before))
    shop.parquet("people.parquet", f"SELECT 'p' || range AS pid, range <> 7 AS ok, {values} FROM range(20)")
    turn = shop.look(carrying(after))
    assert set(turn.of("consent")) == {"p7"}
    assert said(turn) == said(shop.look(carrying(after), exact=True))


@pytest.mark.parametrize("specs", [PLAIN, CARRYING])
@pytest.mark.parametrize("digest", [one_for("left", "joined"), lambda _: "1::UBIGINT"])
def test_colliding_identifiers_fall_back_to_the_exact_comparison(
    shop: Shop, specs: list[object], digest: Digest
) -> None:
    stays = ("p1", "stays", "gold", "1", "true")
    shop.write("people.csv", people(stays, ("p2", "left", "gold", "1", "true")))
    shop.apply(specs)
    shop.write("people.csv", people(stays, ("p3", "joined", "gold", "1", "true")))
    turn = shop.look(specs, digest=digest)
    assert turn.added == {"joined"}
    assert turn.removed == {"left"}
    assert said(turn) == said(shop.look(specs, exact=True))


def test_attributes_of_colliding_identifiers_are_compared(shop: Shop) -> None:
    shop.write("people.csv", people(("p1", "a", "gold", "1", "true"), ("p2", "b", "silver", "2", "true")))
    shop.apply(CARRYING)
    shop.write("people.csv", people(("p1", "a", "silver", "2", "true"), ("p2", "b", "gold", "1", "true")))
    turn = shop.look(CARRYING, digest=one_for("a", "b"))
    assert turn.of("add", "put") == {"a": {"tier": "silver", "score": 2.0}, "b": {"tier": "gold", "score": 1.0}}


def test_an_identifier_that_repeats_leaves_with_its_last_person(shop: Shop) -> None:
    both = [(key, "shared", "gold", "1", "true") for key in ("p1", "p2")]
    shop.write("people.csv", people(*both, ("p3", "c", "", "", "true")))
    shop.apply(PLAIN)
    shop.write("people.csv", people(both[0], ("p3", "c", "", "", "true")))
    assert not shop.look(PLAIN).rows
    shop.write("people.csv", people(*both, ("p4", "d", "", "", "true")))
    turn = shop.look(PLAIN)
    assert (turn.added, turn.removed, turn.staged.counts.shared) == ({"d"}, {"c"}, 1)


def compared(*_: object) -> NoReturn:
    raise AssertionError("everybody is compared")


def test_people_who_share_an_identifier_do_not_make_everybody_be_compared(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = [("p1", "shared", "gold", "1", "true"), ("p2", "shared", "silver", "2", "true")]
    twice = [(key, "same", "gold", "1", "true") for key in ("p3", "p4")]
    shop.write("people.csv", people(*shared, *twice, ("p5", "c", "", "", "true")))
    shop.apply(CARRYING)
    shop.write("people.csv", people(*shared, *twice, ("p6", "d", "", "", "true")))

    monkeypatch.setattr(gather, "everybody", compared)
    turn = shop.look(CARRYING)
    assert (turn.added, turn.removed, turn.staged.counts.shared) == ({"d"}, {"c"}, 2)


def fed(count: int, *more: Row) -> str:
    """People who are in both links of `FEEDING` by different identifiers."""
    return people(*((f"p{n}", f"m{n}", "gold", "1", "true") for n in range(count)), *more)


def test_several_links_that_feed_profiles_do_not_make_everybody_be_compared(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write("people.csv", fed(9, ("q1", "old", "red", "2", "true"), ("q2", "b", "red", "2", "true")))
    shop.apply(FEEDING)
    shop.write("people.csv", fed(9, ("q1", "new", "red", "3", "true"), ("q2", "b", "red", "2", "true")))
    exact = shop.look(FEEDING, exact=True)
    monkeypatch.setattr(gather, "everybody", compared)
    turn = shop.look(FEEDING)
    assert (turn.of("add"), turn.removed) == ({"new": {"tier": "red"}, "q1": {"score": 3.0}}, {"old"})
    assert said(turn) == said(exact)


def test_whom_any_of_several_links_withholds_leaves(shop: Shop) -> None:
    shop.write("people.csv", fed(9))
    shop.apply(FEEDING)
    shop.write("people.csv", fed(9, ("m7", "x", "gold", "1", "false")))
    turn = shop.look(FEEDING)
    assert set(turn.of("consent")) == {"m7"}
    assert said(turn) == said(shop.look(FEEDING, exact=True))


@pytest.mark.parametrize("digest", [one_for("old", "new"), one_for("m1", "p1"), lambda _: "1::UBIGINT"])
def test_identifiers_of_several_links_that_collide_are_compared_exactly(shop: Shop, digest: Digest) -> None:
    shop.write("people.csv", fed(3, ("q1", "old", "red", "2", "true")))
    shop.apply(FEEDING)
    shop.write("people.csv", fed(3, ("q1", "new", "red", "2", "true")))
    turn = shop.look(FEEDING, digest=digest)
    assert (turn.added, turn.removed) == ({"new"}, {"old"})
    assert said(turn) == said(shop.look(FEEDING, exact=True))


@pytest.mark.parametrize(("moved", "exact"), [(9, True), (2, False)])
def test_where_most_differ_everybody_is_compared_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, moved: int, *, exact: bool
) -> None:
    monkeypatch.setattr(candidates, "FEW", 3)
    rows = [(f"p{n}", f"m{n}", "gold", "1", "true") for n in range(10)]
    shop.write("people.csv", people(*rows))
    shop.apply(CARRYING)
    compared: list[str] = []
    every = gather.everybody
    monkeypatch.setattr(gather, "everybody", lambda *given: compared.append("all") or every(*given))
    shop.write(
        "people.csv", people(*rows[moved:], *((key, mail, "red", *rest) for key, mail, _, *rest in rows[:moved]))
    )
    assert shop.look(CARRYING).added == {f"m{n}" for n in range(moved)}
    assert bool(compared) is exact


def test_an_identifier_that_differs_only_by_case_from_one_told_and_unchanged_is_refused(shop: Shop) -> None:
    told = ("p1", "abc", "", "", "true")
    shop.write("people.csv", people(told))
    shop.apply(PLAIN)
    shop.write("people.csv", people(told, ("p2", "ABC", "", "", "true"), ("p3", "new", "", "", "true")))
    turn = shop.look(PLAIN)
    assert turn.added == {"new"}
    assert turn.reasons == {"differs from another identifier only by case": 1}


def test_names_that_start_alike_are_still_compared_by_case(shop: Shop) -> None:
    told = [(f"customer-{n}", "m", "", "1", "true") for n in range(30)]
    shop.write("people.csv", people(*told))
    shop.apply(KEYED)
    more = [("Customer-7", "m", "", "1", "true"), ("customer-31", "m", "", "1", "true")]
    shop.write("people.csv", people(*told, *more))
    turn = shop.look(KEYED)
    assert turn.added == {"customer-31"}
    assert turn.reasons == {"differs from another identifier only by case": 1}


@pytest.mark.parametrize("second", ["", "true"])
def test_a_key_on_two_rows_is_held_wherever_they_are(shop: Shop, second: str) -> None:
    told = [(f"p{n}", "m", "", "1", "true") for n in range(1, 4)]
    shop.write("people.csv", people(*told))
    shop.apply(KEYED)
    twice = ("p2", "b", "", "1", second)
    for rows in ((*told, twice), (told[0], told[2], twice, twice)):
        shop.write("people.csv", people(*rows))
        assert said(shop.look(KEYED)) == said(shop.look(KEYED, exact=True))


def test_somebody_told_under_another_identifier_is_held_while_the_key_is_on_two_rows(shop: Shop) -> None:
    mailed = documents(catalogue=CATALOGUE, identifier={"custom_id": "mail"}, delete=False)
    keyed = documents(catalogue=CATALOGUE, identifier={"custom_id": "pid"}, delete=False)
    row = ("p1", "a", "", "1", "true")
    shop.write("people.csv", people(row, ("p2", "c", "", "1", "true")))
    shop.apply(mailed)
    shop.write("people.csv", people(row, row, ("p2", "c", "", "1", "true")))
    assert said(shop.look(keyed)) == said(shop.look(keyed, exact=True))


def test_a_shared_identifier_of_somebody_without_consent_is_found(shop: Shop) -> None:
    shop.write("people.csv", people(("p1", "a", "", "", "true"), ("p2", "b", "", "", "true")))
    shop.apply(PLAIN)
    shop.write("people.csv", people(("p1", "a", "", "", "true"), ("p2", "b", "", "", "true"), ("p3", "a", "", "", "")))
    assert set(shop.look(PLAIN).of("consent")) == {"a"}


def test_suppressed_people_leave(shop: Shop, tmp_path: Path) -> None:
    suppressing = {**CATALOGUE, "suppress": {"path": "suppressed.csv", "key": "pid"}}
    specs = documents(catalogue=suppressing, identifier={"custom_id": "mail"})
    shop.write("suppressed.csv", "pid\np9\n")
    shop.write("people.csv", people(("p1", "a", "", "", "true"), ("p2", "b", "", "", "true")))
    shop.apply(specs)
    shop.write("suppressed.csv", "pid\np2\n")
    assert set(shop.look(specs).of("consent")) == {"b"}


@pytest.mark.parametrize("exact", [False, True])
def test_an_attribute_that_is_new_is_sent_for_everybody_who_has_a_value(shop: Shop, *, exact: bool) -> None:
    shop.write("people.csv", people(("p1", "a", "gold", "1", "true"), ("p2", "b", "", "", "true")))
    shop.apply(PLAIN)
    turn = shop.look(CARRYING, exact=exact)
    assert turn.of("add", "put") == {"a": {"tier": "gold", "score": 1.0}}
    assert turn.staged.first_uses == ("score", "tier")


TIERED = {"attributes": {"tier": "tier"}, "declared": {"tier": "string"}}


@pytest.mark.parametrize("twin", ["", "p3,A,gold,1,true\n"])
@pytest.mark.parametrize("later", [TIERED, {}, {"attributes": {"zeal": "score"}, "declared": {"zeal": "float"}}])
def test_attributes_may_leave_the_mapping_of_an_audience_that_nobody_was_in(
    shop: Shop, later: dict[str, Any], twin: str
) -> None:
    shop.write("people.csv", people())
    shop.apply(CARRYING)
    after = documents(catalogue=CATALOGUE, identifier={"custom_id": "mail"}, **later)
    shop.write("people.csv", people(("p1", "a", "gold", "1", "true"), ("p2", "b", "red", "2", "true")) + twin)
    turn = shop.apply(after)
    sent = {name: {"tier": ("gold", "red"), "zeal": (1.0, 2.0)}[name] for name in later.get("attributes", {})}
    wanted = {who: {name: values[n] for name, values in sent.items()} for n, who in enumerate("ab")}
    assert turn.of("add") == ({"b": wanted["b"]} if twin else wanted)
    assert shop.told(after) == turn.of("add")
    assert not shop.look(after).rows


@pytest.mark.parametrize("specs", [PLAIN, CARRYING, KEYED])
def test_a_file_that_does_not_say_which_identifiers_have_capitals_is_compared_by_case_all_the_same(
    shop: Shop, specs: list[Spec]
) -> None:
    told = [(f"Customer-{n}", f"Mail-{n}", "gold", "1", "true") for n in range(3)]
    shop.write("people.csv", people(*told))
    shop.apply(specs)
    shop.rewrite(specs, "* EXCLUDE (cased) REPLACE (coalesce(k, CAST(md5(id) AS UUID)) AS k)")
    assert not shop.look(specs).rows
    more = [("customer-1", "mail-1", "gold", "1", "true"), ("customer-9", "mail-9", "gold", "1", "true")]
    shop.write("people.csv", people(*told, *more))
    turn = shop.look(specs)
    assert turn.added in ({"mail-9"}, {"customer-9"})
    assert turn.reasons == {"differs from another identifier only by case": 1}


DEVICES = {"source": {"path": "people.csv"}, "key": "device", "fields": {"device": "string", "ok": "boolean"}}


def test_a_device_that_is_its_own_key_is_withheld_in_any_spelling(shop: Shop) -> None:
    made = documents(
        catalogue=DEVICES | {"consent": "ok"}, platform="mep", action="send_advertising_ids",
        identifier={"advertising_id": "device"},
    )  # fmt: skip
    one, other = "abcdef01-2345-4789-abcd-ef0123456789", "abcdef02-2345-4789-abcd-ef0123456789"
    shop.write("people.csv", f"device,ok\n{one},true\n{other},true\n")
    shop.apply(made)
    shop.write("people.csv", f"device,ok\n{one},true\n{one.upper()},false\n{other},true\n")
    assert set(shop.look(made).of("consent")) == {one}


class Limited(Engine):
    """Remembers how much memory it may use."""

    megabytes = 0

    def limit(self, megabytes: int) -> None:
        type(self).megabytes = megabytes
        super().limit(megabytes)


@pytest.mark.parametrize(("more", "megabytes"), [({}, 160), ({"where": None, "query": "SELECT pid FROM people"}, 480)])
def test_only_a_first_upload_that_one_condition_decides_gets_little_memory(
    shop: Shop, more: dict[str, str | None], megabytes: int
) -> None:
    made = documents(catalogue=CATALOGUE, identifier={"custom_id": "mail"}, **more)
    shop.write("people.csv", people(("p1", "abc", "", "", "true")))
    shop.look(made, engine_of=Limited)
    assert Limited.megabytes == megabytes
    shop.apply(made)
    shop.write("people.csv", people(("p2", "new", "", "", "true")))
    shop.look(made, engine_of=Limited)
    assert Limited.megabytes == 480


def test_a_first_upload_that_was_cut_off_is_compared_in_the_memory_for_that(shop: Shop) -> None:
    shop.write("people.csv", people(("p1", "abc", "", "", "true")))
    turn = shop.look(PLAIN)
    (target,) = resolution(PLAIN).targets
    shop.tell(target, turn, accepted=[])
    known = shop.known[target.key]
    nothing = known.baseline.model_copy(update={"files": ()})
    shop.known[target.key] = known.model_copy(update={"baseline": nothing})
    assert known.uncertain
    shop.look(PLAIN, engine_of=Limited)
    assert Limited.megabytes == 480
