"""Who belongs to a target: dataplane rules on consent, suppression, faults, shared identifiers, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.data.catalogue import find, open_catalogue
from reconciler.data.engine import Engine
from reconciler.data.membership import members_of
from reconciler.data.preview import preview
from reconciler.errors import SourceError
from reconciler.spec import Spec
from tests.data.kit import NOW, Shop, documents, link, resolution, spec

U1, U2, U3 = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abc")


def people(key: str = "string", **more: Any) -> dict[str, Any]:
    """A catalogue of ``pid, uid, ok, n, tier`` in ``people.csv``."""
    fields = {"pid": key, "uid": "string", "ok": "boolean", "n": "integer", "tier": "string"}
    return {"source": {"path": "people.csv"}, "key": "pid", "fields": fields, **more}


def specs(where: str = "TRUE", *, catalogue: dict[str, Any] | None = None, **options: Any) -> list[Spec]:
    """An audience of ``uid`` with the attribute ``tier``."""
    usual = {"identifier": {"custom_id": "uid"}, "attributes": {"tier": "tier"}}
    return documents(catalogue=catalogue or people(consent="ok"), where=where, **{**usual, **options})


def write(shop: Shop, *rows: str) -> None:
    shop.write("people.csv", "\n".join(["pid,uid,ok,n,tier", *rows]) + "\n")


def test_only_a_readable_yes_is_consent(shop: Shop) -> None:
    write(shop, "1,a,true,,x", "2,b,false,,", "3,c,,,", "4,d,maybe,,", "5,e,1,,")
    turn = shop.apply(specs())
    assert turn.added == {"a", "e"}
    assert turn.reasons == {"ok: not a value of type boolean, so no consent": 1}
    write(shop, "1,a,maybe,,x", "5,e,,,")
    turn = shop.apply(specs())
    assert (set(turn.of("consent")), turn.staged.counts.consent) == ({"a", "e"}, 2)
    assert shop.told(specs()) == {}


def test_consent_withdrawn_counts_wherever_the_person_is(shop: Shop) -> None:
    write(shop, "1,a,true,5,", "2,b,true,5,", "3,c,true,5,")
    shop.apply(specs("n > 1", delete=False))
    write(shop, "1,a,false,0,", "2,b2,false,5,", "3,c,true,0,")
    turn = shop.look(specs("n > 1", delete=False))
    assert set(turn.of("consent")) == {"a", "b"}  # b is told under the key of somebody who now has another identifier
    assert turn.of("remove") == {}
    assert set(shop.look(specs("n > 1")).of("remove")) == {"c"}


def test_an_identifier_of_somebody_without_consent_is_withheld_from_those_who_share_it(shop: Shop) -> None:
    write(shop, "1,a,true,,", "2,b,true,,", "3,c,true,,")
    shop.apply(specs())
    write(shop, "1,a,true,,", "2,b,true,,", "3,a,false,,", "4,d,true,,", "5,d,,,")
    turn = shop.look(specs())
    assert set(turn.of("consent")) == {"a", "c"}
    assert turn.added == set()


SPELLED = (
    "ABCDEF01-2345-4789-ABCD-EF0123456789",
    "abcdef01-2345-4789-abcd-ef0123456789",
    "AbCdEf01-2345-4789-aBCD-Ef0123456789",
)
DEVICES = {"send_advertising_ids": {"advertising_id": "uid"}, "send_install_ids": {"install_id": "uid"}}


@pytest.mark.parametrize("action", DEVICES)
@pytest.mark.parametrize("barred", SPELLED)
@pytest.mark.parametrize("given", SPELLED)
def test_a_device_withheld_in_one_spelling_is_withheld_in_all(shop: Shop, action: str, barred: str, given: str) -> None:
    """Devices show one UUID in either case; who took consent back must not stay under the other one."""
    made = specs(platform="mep", action=action, identifier=DEVICES[action], attributes={})
    write(shop, f"1,{given},true,,", f"2,{U1},true,,")
    shop.apply(made)
    write(shop, f"1,{given},true,,", f"2,{U1},true,,", f"3,{barred},false,,")
    turn = shop.look(made)
    assert set(turn.of("consent")) == {given}
    shop.apply(made)
    assert shop.told(made).keys() == {U1}


def test_custom_ids_are_different_people_when_their_case_differs(shop: Shop) -> None:
    write(shop, f"1,{SPELLED[0]},true,,", f"2,{SPELLED[1]},false,,", "3,Ab,true,,", "4,ab,false,,")
    assert shop.look(specs()).added == {SPELLED[0], "Ab"}


def test_a_device_of_the_graph_is_withheld_in_any_spelling(shop: Shop) -> None:
    graph = {"source": {"path": "graph.csv"}, "key": "who", "fields": {"gaid": "string"}}
    mapped = {"advertising_id": ["uid", "gaid"]}
    made = specs(
        catalogue=people(consent="ok", identity_graph=graph), platform="mep", action="send_advertising_ids",
        identifier=mapped, attributes={}, id_extension=True,
    )  # fmt: skip
    write(shop, "1,,true,,", f"2,{SPELLED[1]},false,,", "3,,true,,", "4,,false,,")
    shop.write("graph.csv", f"who,gaid\n1,{SPELLED[2]}\n3,{U2}\n1,{U3.upper()}\n4,{U3}\n")
    assert shop.look(made).added == {U2}


def test_the_suppression_list_beats_consent_and_sharing(shop: Shop) -> None:
    catalogue = people(consent="ok", suppress={"path": "no.csv", "key": "who"})
    shop.write("no.csv", "who\n9\n")
    write(shop, "1,a,true,,", "2,a,true,,", "3,c,true,,", "4,d,true,,")
    shop.apply(specs(catalogue=catalogue))
    assert shop.told(specs(catalogue=catalogue)).keys() == {"a", "c", "d"}
    shop.write("no.csv", "why,who\nasked,9\nlaw,2\n,3\n,4\n")
    write(shop, "1,a,true,,", "2,a,true,,", "4,d,true,,")  # 3 is on the list only
    turn = shop.look(specs(catalogue=catalogue, delete=False))
    assert set(turn.of("consent")) == {"a", "c", "d"}
    assert turn.staged.suppressed == {"people": 4}


@pytest.mark.parametrize(
    ("key", "listed", "left"),
    [
        ("string", "007\n", {"b", "c"}),
        ("string", "7\n", {"a", "c"}),
        ("integer", "7\n", {"c"}),
        ("string", '"7 "\n', {"a", "b", "c"}),
        ("string", "7\n\n", {"a", "c"}),
    ],
)
def test_the_suppression_list_is_read_with_the_type_of_the_key(
    shop: Shop, key: str, listed: str, left: set[str]
) -> None:
    write(shop, *(["007,a,true,,", "7,b,true,,"] if key == "string" else ["7,b,true,,"]), "8,c,true,,")
    shop.write("no.csv", f"pid\n{listed}")
    catalogue = people(key, suppress={"path": "no.csv", "key": "pid"})
    assert shop.look(specs(catalogue=catalogue)).added == left


@pytest.mark.parametrize("listed", ["pid\nabc\n8\n", "pid\n8,x\n9\n", 'pid\n8\n"9\n', "pid,why\n8,x\n,law\n"])
def test_a_suppression_list_with_unreadable_rows_is_refused(shop: Shop, listed: str) -> None:
    write(shop, "7,b,true,,")
    shop.write("no.csv", listed)
    with pytest.raises(SourceError, match="1 unreadable rows"):
        shop.look(specs(catalogue=people("integer", suppress={"path": "no.csv", "key": "pid"})))


def test_a_suppression_list_of_fractions_suppresses_nobody_silently(shop: Shop) -> None:
    write(shop, "7,b,true,,")
    shop.parquet("no.parquet", "SELECT 7.0::DOUBLE AS pid")
    suppress = {"path": "no.parquet", "key": "pid"}
    with pytest.raises(SourceError, match="unreadable rows"):
        shop.look(specs(catalogue=people("string", suppress=suppress)))
    assert shop.look(specs(catalogue=people("integer", suppress=suppress))).added == set()


def extended(*, extension: bool, **more: Any) -> list[Spec]:
    """Advertising IDs of the row and, with the extension, of the graph."""
    catalogue = {
        "source": {"path": "people.csv"},
        "key": "pid",
        "fields": {"pid": "string", "gaid": "string", "n": "integer", "ok": "boolean"},
        "consent": "ok",
        "identity_graph": {
            "source": {"path": "graph.csv"},
            "key": "who",
            "fields": {"gaid": "string", "idfa": "string"},
        },
        **more,
    }
    ids = ["gaid", "idfa"] if extension else ["gaid"]
    return documents(catalogue=catalogue, action="send_advertising_ids", platform="mep", where="n > 0",
                     identifier={"advertising_id": ids}, id_extension=extension)  # fmt: skip


def test_id_extension_sends_the_row_s_own_identifiers_and_all_of_the_graph(shop: Shop) -> None:
    shop.write("people.csv", f"pid,gaid,n,ok\n1,{U1},1,true\n2,,1,true\n3,{U3},0,true\n")
    shop.write("graph.csv", f"who,gaid,idfa\n1,{U1},{U2}\n2,{U3.upper()},\n3,,{U2}\n9,{U1},\n,{U1},\n")
    assert shop.look(extended(extension=False)).added == {U1}
    turn = shop.look(extended(extension=True))
    assert (turn.added, turn.reasons) == ({U1, U2, U3.upper()}, {})


def test_a_row_of_the_graph_that_cannot_be_read_makes_nobody_lose_a_device(shop: Shop) -> None:
    shop.write("people.csv", f"pid,gaid,n,ok\n1,{U1},1,true\n2,,1,true\n")
    shop.write("graph.csv", f"who,gaid,idfa\n1,,{U2}\n2,{U3},\n")
    shop.apply(extended(extension=True))
    shop.write("graph.csv", f"who,gaid,idfa\n1,{U2}\n2,{U3},\n")
    turn = shop.look(extended(extension=True))
    assert (turn.rows, turn.staged.counts.held) == ([], 1)
    assert turn.reasons == {"identity graph: malformed CSV row: missing columns": 1}
    counts = turn.staged.counts
    assert (counts.broken, counts.broken_most, counts.broken_of) == (1, 1, 2)
    shop.write("people.csv", f"pid,gaid,n,ok\n1,{U1},0,true\n2,,1,true\n")
    assert shop.look(extended(extension=True)).removed == {U1, U2}  # who leaves the segment leaves


def test_consent_and_suppression_reach_the_graph(shop: Shop) -> None:
    made = extended(extension=True, suppress={"path": "no.csv", "key": "pid"})
    shop.write("no.csv", "pid\n99\n")
    shop.write("people.csv", f"pid,gaid,n,ok\n1,{U1},1,true\n2,{U2},1,true\n3,{U3},1,true\n")
    shop.write("graph.csv", "who,gaid,idfa\n")
    shop.apply(made)
    shop.write("people.csv", f"pid,gaid,n,ok\n1,{U1},1,true\n2,{U2},1,true\n3,{U3},1,true\n4,,0,false\n")
    shop.write("graph.csv", f"who,gaid,idfa\n4,{U1},\n99,,{U2}\n")  # 99 is no row of the catalogue
    assert set(shop.look(made).of("consent")) == {U1, U2}


@pytest.mark.parametrize(
    "row",
    [
        "2,b,true,many,",
        "2, b,true,5,",
        "2,b,true,5,\n2,b,true,5,",
        "2,null,true,5,",
        "2,b,true,5,,x",
        '2,b,true,5,"x"x',
    ],
)
def test_a_data_fault_is_not_an_exit(shop: Shop, row: str) -> None:
    write(shop, "1,a,true,5,x", "2,b,true,5,x", "3,c,true,5,x")
    shop.apply(specs("n > 1"))
    write(shop, "1,a,true,5,x", row)
    turn = shop.look(specs("n > 1"))
    lost = ",,x" in row or '"' in row  # a row that is no row may be anybody's: 3 is held as well
    assert turn.removed == (set() if lost else {"c"})
    assert turn.added == set()
    assert turn.staged.counts.held == (2 if lost else 1)
    assert sum(turn.reasons.values()) >= 1


def test_a_fault_does_not_hold_somebody_without_consent(shop: Shop) -> None:
    write(shop, "1,a,true,5,", "2,b,true,5,")
    shop.apply(specs("n > 1"))
    write(shop, "1,a,false,many,", "2,b,true,5,", "2,b,false,5,")
    assert set(shop.look(specs("n > 1")).of("consent")) == {"a", "b"}


def test_shared_identifiers_leave_with_the_last_person_and_the_smallest_key_speaks(shop: Shop) -> None:
    write(shop, "3,s,true,1,three", "2,s,true,1,two", "1,s,true,0,one", "9,a,true,1,x")
    turn = shop.apply(specs("n > 0"))
    assert (turn.of("add"), turn.staged.counts.shared) == ({"s": {"tier": "two"}, "a": {"tier": "x"}}, 1)
    write(shop, "3,s,true,1,three", "2,s,true,0,two", "9,a,true,1,x")
    assert shop.apply(specs("n > 0")).of("add", "put", "remove") == {"s": {"tier": "three"}}
    write(shop, "3,s,true,0,three", "2,s,true,0,two", "9,a,true,1,x")
    assert shop.apply(specs("n > 0")).removed == {"s"}


def test_integer_keys_are_small_by_number_and_text_keys_by_text(shop: Shop) -> None:
    write(shop, "10,s,true,,ten", "9,s,true,,nine")
    assert shop.look(specs(catalogue=people("integer"))).of("add") == {"s": {"tier": "nine"}}
    assert shop.look(specs(catalogue=people("string"))).of("add") == {"s": {"tier": "ten"}}


def test_a_query_names_people_once_and_keys_of_nobody_are_rejects(shop: Shop) -> None:
    write(shop, "1,a,true,1,", "2,b,true,1,", "3,c,false,1,")
    for query in [
        "SELECT pid FROM people UNION ALL SELECT pid FROM people UNION ALL SELECT '77'",
        "SELECT * FROM (VALUES ('1', 'x'), ('2', 'y'), ('77', 'z'), (NULL, 'n')) t(pid, why)",
        "SELECT unnest(['1', '2', '77', '3'])",
    ]:
        turn = shop.look(specs(query=query))
        assert (turn.added, turn.reasons) == ({"a", "b"}, {"key not in the catalogue": 1})
        assert [one.key for one in turn.rejected] == ["77"]


def test_keys_of_a_query_are_read_with_the_type_of_the_key(shop: Shop) -> None:
    write(shop, "1,a,true,1,", "2,b,true,1,")
    turn = shop.look(specs(catalogue=people("integer"), query="SELECT unnest(['1', '1.5', 'x', '02'])"))
    assert (turn.added, turn.reasons) == ({"a", "b"}, {"key not in the catalogue": 1})


def test_counting_rows_in_a_query_asks_no_field(shop: Shop) -> None:
    write(shop, "1,a,true,many,", "2,b,true,1,")
    query = "SELECT pid FROM people GROUP BY pid HAVING count(*) = 1"
    assert shop.look(specs(query=query)).added == {"a", "b"}
    assert shop.look(specs(query="SELECT * FROM people")).added == {"b"}


def test_identifiers_that_differ_only_by_case_are_refused_but_the_one_told_stays(shop: Shop) -> None:
    write(shop, "1,Ann,true,,", "2,bob,true,,")
    shop.apply(specs())
    write(shop, "1,Ann,true,,", "2,bob,true,,", "3,ann,true,,", "4,Eve,true,,", "5,EVE,true,,", "6,dan,true,,")
    turn = shop.apply(specs())
    assert (turn.added, turn.removed) == ({"dan"}, set())
    assert turn.reasons == {"differs from another identifier only by case": 3}
    write(shop, "2,bob,true,,", "3,ann,true,,", "6,dan,true,,")
    turn = shop.look(specs())
    assert (turn.added, turn.removed) == ({"ann"}, {"Ann"})


def test_emails_are_trimmed_and_lower_cased_before_they_are_compared(shop: Shop) -> None:
    made = specs(action="send_emails", identifier={"email": "uid"})
    write(
        shop,
        "1, Ann@X.org ,true,,x",
        "2,ann@x.ORG,true,,y",
        "3,\u00a0bob@x.org,true,,",
        "4,not an email,true,,",
        "5,,true,,",
    )
    turn = shop.apply(made)
    assert turn.of("add") == {"ann@x.org": {"tier": "x"}, "bob@x.org": {}}
    assert (turn.reasons, turn.staged.counts.shared) == ({"not an email address": 1}, 1)
    write(shop, "1,ANN@x.org,true,,x", "3,bob@x.org,false,,")
    assert [(row["id"], row["kind"]) for row in shop.look(made).rows] == [("bob@x.org", "consent")]


def test_additive_links_keep_people_and_drop_those_without_consent(shop: Shop) -> None:
    write(shop, "1,a,true,5,", "2,b,true,5,", "3,c,true,5,")
    shop.apply(specs("n > 1", delete=False))
    write(shop, "2,b,false,5,", "3,c,true,0,")
    turn = shop.apply(specs("n > 1", delete=False))
    assert turn.removed == {"b"}
    assert shop.told(specs("n > 1", delete=False)).keys() == {"a", "c"}
    assert shop.look(specs("n > 1", delete=False)).rows == []
    assert shop.look(specs("n > 1")).removed == {"a", "c"}


def test_what_different_mappings_say_of_one_identifier_is_joined(shop: Shop) -> None:
    write(shop, "1,u,true,1,gold", "2,v,true,1,")
    shop.write("cards.csv", "card,uid,points\n0,u,10\n5,w,20\n")
    cards = {
        "source": {"path": "cards.csv"},
        "key": "card",
        "fields": {"card": "integer", "uid": "string", "points": "integer"},
    }
    made = [
        *specs(action="send_attributes", declared={"tier": "string", "points": "integer"}),
        spec("Catalogue", "cards", **cards),
        *link(
            "two",
            catalogue="cards",
            action="send_attributes",
            identifier={"custom_id": "uid"},
            attributes={"points": "points"},
        ),
    ]
    turn = shop.apply(made)
    assert turn.of("add") == {"u": {"tier": "gold", "points": 10}, "w": {"points": 20}}
    assert turn.staged.counts.shared == 0
    shop.write("cards.csv", "card,uid,points\n0,u,11\n")
    assert shop.look(made).of("add") == {"u": {"tier": "gold", "points": 11}}


def test_an_orphan_is_emptied_without_reading_a_source(shop: Shop) -> None:
    write(shop, "1,a,true,,x", "2,b,true,,")
    shop.apply(specs())
    (target,) = resolution(specs()).targets
    (shop.root / "people.csv").unlink()
    turn = shop.orphan(target.key)
    assert (turn.removed, turn.added) == ({"a", "b"}, set())


def test_a_full_upload_sends_everybody_again_and_removes_the_leftovers(shop: Shop) -> None:
    write(shop, "1,a,true,,x", "2,b,true,,y", "3,c,true,,", "4,d,true,,")
    shop.apply(specs())
    write(shop, "1,a,true,,x", "2,b,true,,z", "4,d,false,,", "5,e,true,,")
    turn = shop.look(specs(), everybody=True)
    assert [(row["id"], row["kind"]) for row in turn.rows] == [
        ("d", "consent"), ("c", "remove"), ("a", "add"), ("b", "add"), ("e", "add"),
    ]  # fmt: skip
    counts = turn.staged.counts
    assert (counts.added, counts.removed, counts.changed, counts.reasserted, counts.consent) == (1, 1, 1, 1, 1)


def test_an_audience_whose_baseline_is_void_gets_everybody(shop: Shop) -> None:
    write(shop, "1,a,true,,x", "2,b,true,,y")
    shop.apply(specs())
    write(shop, "1,a,true,,x", "3,c,true,,")
    turn = shop.look(specs(), void=True)
    assert (turn.added, turn.removed, turn.staged.counts.added) == ({"a", "c"}, set(), 2)


def test_preview_counts_stage_by_stage_and_shows_nobody(shop: Shop) -> None:
    catalogue = people(consent="ok", suppress={"path": "no.csv", "key": "pid"})
    shop.write("no.csv", "pid\n2\n")
    write(shop, "1,annabel-1,true,5,gold", "2,bob-long-id,true,5,", "3,carol-long,maybe,5,", "4,null,true,5,", "5,eve,true,0,",
          "6,annabel-1,true,6,red", "7,bob-long-id,true,7,", "8,x,true,8,,,x", "9,,true,9,")  # fmt: skip
    (only,) = resolution(specs("n > 1", catalogue=catalogue)).links
    with Engine(now=NOW, scratch=shop.root) as engine:
        opened = open_catalogue(engine, find(engine, only.catalogue, root=shop.root, roots=()))
        seen = preview(engine, members_of([only], {only.catalogue.name: opened})[only.address])
    assert (seen.read, seen.with_consent, seen.not_suppressed, seen.in_segment) == (9, 7, 6, 5)
    assert seen.coverage == (("uid", 4),)
    assert (seen.identifiers, seen.withheld, seen.shared, seen.sendable) == (4, 1, 1, 1)
    assert {one.reason: one.count for one in seen.rejects} == {
        "reserved word, not an identifier": 1,
        "malformed CSV row: too many columns": 1,
        "ok: not a value of type boolean, so no consent": 1,
    }
    assert seen.sample == (("a…-1", {"tier": "g…"}),)
