"""What exists is decided by looking: inventories, views with all their fallbacks, creation and deletion, partial errors."""

from typing import Any

import pytest

from reconciler.address import IdType, Space
from reconciler.batch.client import ItemError
from reconciler.batch.reading import id_type_of, observed, written
from reconciler.batch.transport import Unreachable
from reconciler.errors import BatchError, ConfigurationError, Refused4xx
from tests.batch.kit import Answer, Say, Seen, audience, world

NOT_FOUND = Say(404, {"error_code": "ROUTE_NOT_FOUND", "error_message": "no such audience"})
BAD = Say(400, {"error_code": "MALFORMED_PARAMETER", "error_message": "no"})
RESET = Say(reset=True)


def listing(platform: str, *items: dict[str, Any]) -> Say:
    return Say(200, {"custom_audiences": items} if platform == "mep" else {"audiences": items, "has_more": False})


def routed(platform: str, *, names: tuple[str, ...] = (), view: Answer) -> Answer:
    """Lists hold `names`; views are answered by `view`."""

    def answer(seen: Seen) -> Say:
        if seen.path.endswith(("/list", "/custom-audience")):
            return listing(platform, *(audience(name) for name in names))
        return view(seen)

    return answer


BOTH = pytest.mark.parametrize("platform", ["cep", "mep"])


@BOTH
@pytest.mark.parametrize("status", [400, 404, 422])
def test_any_4xx_to_the_first_list_is_about_configuration(platform: str, status: int) -> None:
    with world(Say(status, {"message": "x"}), platform=platform) as (one, _):
        with pytest.raises(ConfigurationError) as caught:
            one.client.inventory()
        text = str(caught.value)
        assert "shop" in text
        assert "${env:REST_KEY}" in text
        if status == 404:
            assert ("unknown version or route" if platform == "cep" else "unknown application key or route") in text


@BOTH
def test_a_4xx_to_a_later_page_is_an_error(platform: str) -> None:
    if platform == "cep":
        first = Say(200, {"audiences": [], "has_more": True, "next_from": "c"})
    else:
        first = listing("mep", *(audience(f"a{n}") for n in range(100)))
    with world(first, BAD, platform=platform) as (one, _), pytest.raises(Refused4xx):
        one.client.inventory()


@BOTH
def test_a_read_that_failed_is_not_an_empty_one(platform: str) -> None:
    for broken in (Say(200), Say(200, b"OK"), Say(200, {}), Say(200, {"audiences": [{}], "has_more": False})):
        with world(broken, platform=platform) as (one, _), pytest.raises(BatchError, match="cannot be read"):
            one.client.inventory()
    with world(*[Say(500)] * 6, platform=platform) as (one, _), pytest.raises(Unreachable):
        one.client.inventory()


def test_mep_merges_the_lists_of_both_versions() -> None:
    ten = [audience(f"a{n:03}", "custom_ids") for n in range(100)]
    with world(
        listing("mep", *ten),
        listing("mep", audience("last", "advertising_ids", 7, description="Text"), audience("app", "install_ids")),
        listing("mep", audience("app", "install_ids"), audience("a000", "custom_ids"), audience("new", "whatever")),
        platform="mep",
    ) as (one, script):
        found = one.client.inventory()
        assert found.account == one.client.account
        assert [seen.query["from"] for seen in script.seen] == ["0", "100", "0"]
        assert len(found.audiences) == 103
        assert found.audiences["app"].space is Space.MEP11
        assert found.audiences["last"].space is Space.MEP10
        assert found.audiences["last"].text == "Text"
        assert found.audiences["last"].nb_ids == 7
        assert found.audiences["new"].id_type is None


def test_cep_follows_cursors_and_drops_repeats() -> None:
    with world(
        Say(200, {"data": [audience("a", nb_ids=1), audience("b")], "has_more": True, "next_from": "c/1&"}),
        Say(200, {"data": [audience("b"), audience("c")], "has_more": False, "next_from": "c/1&"}),
    ) as (one, script):
        assert list(one.client.inventory().audiences) == ["a", "b", "c"]
        assert script.seen[1].query == {"limit": "100", "from": "c/1&"}


@BOTH
def test_view_of_what_is_there(platform: str) -> None:
    there = audience("vip", "CUSTOM_ID", 3, indexing_state="APPLIED")
    with world(by=routed(platform, view=lambda _: Say(200, there)), platform=platform) as (one, script):
        found = one.client.view("vip", IdType.CUSTOM)
        assert found is not None
        assert (found.id_type, found.nb_ids, found.indexing) == (IdType.CUSTOM, 3, "APPLIED")
        assert len(script.seen) == 1


@BOTH
def test_a_404_is_absent_once_the_list_was_read(platform: str) -> None:
    with world(by=routed(platform, names=("other",), view=lambda _: NOT_FOUND), platform=platform) as (one, script):
        assert one.client.view("vip", IdType.CUSTOM) is None
        lists = len(script.seen) - 1
        assert lists >= 1
        assert one.client.view("vip", IdType.CUSTOM) is None
        assert len(script.seen) == lists + 2


@BOTH
def test_a_404_proves_nothing_when_the_list_is_refused_too(platform: str) -> None:
    with world(by=lambda _: NOT_FOUND, platform=platform) as (one, _), pytest.raises(ConfigurationError):
        one.client.view("vip", IdType.CUSTOM)


@BOTH
@pytest.mark.parametrize("odd", [BAD, Say(200), Say(200, {}), Say(200, audience("other")), Say(422, b"what")])
def test_odd_views_are_settled_by_the_list(platform: str, odd: Say) -> None:
    for names, present in ((("vip",), True), (("Vip", "vip2"), False)):
        with world(by=routed(platform, names=names, view=lambda _: odd), platform=platform) as (one, _):
            assert (one.client.view("vip", IdType.CUSTOM) is not None) is present


@BOTH
@pytest.mark.parametrize("unknown", [NOT_FOUND, BAD, Say(200, {})])
def test_an_unusable_token_is_done_without(platform: str, unknown: Say) -> None:
    def view(seen: Seen) -> Say:
        return unknown if "indexing_token" in seen.query else Say(200, audience("vip", indexing_state="IN_PROGRESS"))

    with world(by=routed(platform, view=view), platform=platform) as (one, script):
        found = one.client.view("vip", IdType.CUSTOM, "old")
        assert found is not None
        assert found.indexing == "IN_PROGRESS"
        assert len(script.seen) == 2


@BOTH
def test_a_create_whose_answer_was_lost_is_looked_for(platform: str) -> None:
    created: list[str] = []

    def lost(seen: Seen) -> Say:
        if seen.method == "POST":
            created.append(seen.path)
            return RESET
        return Say(200, audience("vip")) if created else NOT_FOUND

    with world(by=routed(platform, view=lost), platform=platform) as (one, _):
        one.client.create("vip", IdType.CUSTOM)
        assert len(created) == 1


@BOTH
def test_a_create_that_did_not_arrive_is_sent_again(platform: str) -> None:
    tries: list[str] = []

    def flaky(seen: Seen) -> Say:
        if seen.method == "POST":
            tries.append(seen.path)
            return RESET if len(tries) == 1 else Say(202, {"indexing_token": "t"})
        return NOT_FOUND

    with world(by=routed(platform, view=flaky), platform=platform) as (one, _):
        assert one.client.create("vip", IdType.CUSTOM).token == "t"
        assert len(tries) == 2


@BOTH
def test_a_repeated_create_refused_as_a_duplicate_is_ours_when_empty_and_of_our_type(platform: str) -> None:
    for found, ours in ((audience("vip"), True), (audience("vip", nb_ids=4), False), (audience("vip", "EMAIL"), False)):
        tries: list[str] = []

        def late(seen: Seen, tries: list[str] = tries, found: dict[str, Any] = found) -> Say:
            if seen.method == "POST":
                tries.append(seen.path)
                return RESET if len(tries) == 1 else Say(409, {"message": "exists"})
            return NOT_FOUND if len(tries) < 2 else Say(200, found)

        with world(by=routed(platform, view=late), platform=platform) as (one, _):
            if ours:
                one.client.create("vip", IdType.CUSTOM)
            else:
                with pytest.raises(Refused4xx):
                    one.client.create("vip", IdType.CUSTOM)


@BOTH
def test_a_create_refused_at_once_is_refused(platform: str) -> None:
    with world(BAD, platform=platform) as (one, script):
        with pytest.raises(Refused4xx):
            one.client.create("vip", IdType.CUSTOM)
        assert len(script.seen) == 1


@BOTH
def test_a_lost_create_that_cannot_be_looked_for_may_have_been_processed(platform: str) -> None:
    with world(*[RESET] * 12, platform=platform) as (one, _):
        with pytest.raises(Unreachable) as caught:
            one.client.create("vip", IdType.CUSTOM)
        assert caught.value.maybe_processed


@BOTH
@pytest.mark.parametrize("refusal", [NOT_FOUND, BAD])
def test_deleting_what_is_gone_is_a_success(platform: str, refusal: Say) -> None:
    for names, gone in (((), True), (("vip",), False)):

        def view(seen: Seen, names: tuple[str, ...] = names) -> Say:
            return Say(200, audience("vip")) if seen.method == "GET" and names else refusal

        with world(by=routed(platform, names=names, view=view), platform=platform) as (one, _):
            if gone:
                one.client.delete("vip", IdType.CUSTOM)
            else:
                with pytest.raises(Refused4xx):
                    one.client.delete("vip", IdType.CUSTOM)


def test_partial_errors_of_a_202_are_read() -> None:
    said = {
        "code": "SUCCESS_WITH_PARTIAL_ERRORS",
        "errors": [
            {"category": "attribute", "bulk_index": 1, "attribute": "tier", "reason": "bad\x1b[31m value of c-2"},
            {"category": "identifier", "bulk_index": 9, "reason": "beyond the request"},
            {"bulk_index": "0"},
            "what",
        ],
    }
    ops = b'[{"identifiers":{"custom_id":"c-1"}},{"identifiers":{"custom_id":"c-2"}}]'
    with world(Say(202, said)) as (one, _):
        errors = one.client.write_profiles("profiles_update", ops, 2).errors
        assert errors == (
            ItemError(index=1, attribute="tier", reason="bad [31m value of [id]", category="attribute"),
            ItemError(index=9, attribute=None, reason="beyond the request", category="identifier"),
            ItemError(index=-1, attribute=None, reason="no reason given", category="unspecified"),
            ItemError(index=-1, attribute=None, reason="what", category="unspecified"),
        )


def test_a_code_that_is_no_success_is_never_lost() -> None:
    assert written({"code": "SUCCESS"}).errors == ()
    assert written({}).errors == written(None).errors == written(["x"]).errors == ()
    for code in ("SUCCESS_WITH_PARTIAL_ERRORS", "FAILURE"):
        assert [(one.index, one.reason) for one in written({"code": code, "errors": []}).errors] == [(-1, code)]


def test_tokens() -> None:
    assert written({"indexing_token": "t", "token": "s"}).token == "t"
    assert written({"token": "s"}).token == "s"
    assert written({"indexing_token": ""}).token is None
    assert written({"indexing_token": 5}).token is None


@pytest.mark.parametrize(
    ("text", "id_type"),
    [
        ("CUSTOM_ID", IdType.CUSTOM), ("custom_ids", IdType.CUSTOM), ("EMAIL", IdType.EMAIL), ("emails", IdType.EMAIL),
        ("INSTALL_ID", IdType.INSTALL), ("install_ids", IdType.INSTALL), ("INSTALLATION_ID", IdType.INSTALL),
        ("installation_ids", IdType.INSTALL), ("advertising_ids", IdType.ADVERTISING), ("IDFA", None), ("", None),
        (None, None), (3, None),
    ],
)  # fmt: skip
def test_types_are_folded(text: object, id_type: IdType | None) -> None:
    assert id_type_of(text) is id_type


def test_absent_null_and_empty_texts_are_equal() -> None:
    forms = [{}, {"display_name": None}, {"display_name": ""}, {"description": None}, {"description": ""}]
    assert {observed({**audience("a"), **form}, Space.CEP) for form in forms} == {observed(audience("a"), Space.CEP)}


@pytest.mark.parametrize(
    ("state", "read"),
    [("APPLIED", "APPLIED"), ("IN_PROGRESS", "IN_PROGRESS"), ("IN_PROCESS", "IN_PROGRESS"), ("REPLACED", "REPLACED"),
     ("applied", "APPLIED"), ("FAILED", "UNKNOWN"), (None, "UNKNOWN"), (1, "UNKNOWN")],
)  # fmt: skip
def test_states(state: object, read: str) -> None:
    found = observed(audience("a", indexing_state=state), Space.CEP)
    assert found is not None
    assert found.indexing == read


@pytest.mark.parametrize("count", [None, "3", -1, True, 1.5])
def test_counts_that_are_none(count: Any) -> None:
    found = observed({**audience("a"), "nb_ids": count}, Space.CEP)
    assert found is not None
    assert found.nb_ids is None
