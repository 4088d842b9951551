"""Attempts, waits, refusals and secrets, over real sockets."""

import logging
import socket
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.batch.pacing import MARGIN
from reconciler.batch.refusal import refused_text, retry_after
from reconciler.batch.sanitise import LONGEST, Sanitiser
from reconciler.batch.transport import Cancelled, Reply, Request, RetryPolicy, Unreachable
from reconciler.errors import BatchctlError, ConfigurationError, ExitCode, Refused4xx
from tests.batch.kit import APP, REST, Say, World, serving, world

OK = Say(202, {"indexing_token": "t"})
RESET = Say(reset=True)
WRITE = Request(method="POST", route="/2.11/audiences/update", path="/2.11/audiences/update", body=b'{"a":1}')


def test_a_2xx_is_a_success_with_any_body() -> None:
    with world(OK, Say(200), Say(201, b"not json")) as (one, script):
        assert one.transport.send(WRITE) == Reply(202, {"indexing_token": "t"}, '{"indexing_token": "t"}')
        assert one.transport.send(WRITE).body is None
        assert one.transport.send(WRITE) == Reply(201, None, "not json")
        assert [seen.body for seen in script.seen] == [b'{"a":1}'] * 3
        assert script.seen[0].headers["content-type"] == "application/json"
        assert script.seen[0].headers["authorization"] == f"Bearer {REST}"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
def test_what_passes_is_repeated(status: int) -> None:
    with world(Say(status), OK) as (one, script):
        assert one.transport.send(WRITE).status == 202
        assert [seen.body for seen in script.seen] == [b'{"a":1}'] * 2
        assert one.retry_waits == [5.0]
        assert [attempt.status for attempt in one.attempts] == [status, 202]


@pytest.mark.parametrize("broken", [RESET, Say(200, b"plainly not compressed", {"content-encoding": "gzip"})])
def test_broken_answers_are_repeated(broken: Say) -> None:
    with world(broken, OK) as (one, script):
        assert one.transport.send(WRITE).status == 202
        assert len(script.seen) == 2
        assert [attempt.error for attempt in one.attempts] == ["broken", ""]


def test_a_time_out_is_repeated() -> None:
    with world(Say(stall=True), OK, timeout=0.2) as (one, script):
        assert one.transport.send(WRITE).status == 202
        assert [attempt.error for attempt in one.attempts] == ["timeout", ""]


def test_a_web_page_is_no_answer_whatever_its_status() -> None:
    with world(Say(200, b"  <html>Please sign in</html>"), OK) as (one, script):
        assert one.transport.send(WRITE).status == 202
        assert ([attempt.error for attempt in one.attempts], len(script.seen)) == (["page", ""], 2)
    with world(*[Say(200, b"<html>")] * 6) as (one, _):
        with pytest.raises(Unreachable, match="200 with a web page") as caught:
            one.transport.send(WRITE)
        assert caught.value.maybe_processed


@pytest.mark.parametrize("status", [302, 400, 401, 403])
@pytest.mark.parametrize(("first", "maybe"), [(Say(reset=True), True), (Say(502), True), (Say(429), False)])
def test_a_refusal_does_not_say_what_became_of_the_attempt_before(first: Say, maybe: bool, status: int) -> None:
    with world(first, Say(status)) as (one, _):
        with pytest.raises(BatchctlError) as caught:
            one.transport.send(WRITE)
        assert caught.value.maybe_processed is maybe


def test_what_was_only_ever_slowed_down_was_not_processed() -> None:
    with world(*[Say(429)] * 6) as (one, _):
        with pytest.raises(Unreachable) as caught:
            one.transport.send(WRITE)
        assert not caught.value.maybe_processed


def test_attempts_are_bounded_and_waits_grow() -> None:
    with world(*[Say(500, {"error_code": "SERVER_ERROR", "error_message": "oops"})] * 9) as (one, script):
        one.transport._jitter = lambda: 1.0
        with pytest.raises(Unreachable, match="6 attempts, last answer 500: SERVER_ERROR: oops") as caught:
            one.transport.send(WRITE)
        assert caught.value.maybe_processed
        assert one.retry_waits == [10.0, 20.0, 40.0, 80.0, 160.0]
        assert one.attempts[-1].retry_wait is None
        assert len(script.seen) == 6


def test_the_deadline_ends_waiting_before_it_begins() -> None:
    retry = RetryPolicy(base_seconds=5, attempts=100, deadline_seconds=12)
    with world(*[Say(503)] * 9, retry=retry) as (one, script):
        with pytest.raises(Unreachable):
            one.transport.send(WRITE)
        assert one.retry_waits == [5.0, 5.0]
        assert len(script.seen) == 3


def test_retry_after_is_obeyed_when_longer_and_sane() -> None:
    soon, late = {"retry-after": "60"}, {"retry-after": "100000"}
    with world(Say(429, None, soon), Say(429, None, {"retry-after": "1"}), Say(429, None, late), OK) as (one, _):
        assert one.transport.send(WRITE).status == 202
        assert one.retry_waits == [60.0, 5.0, 5.0]


def test_retry_after_as_a_date() -> None:
    with serving(
        by=lambda seen: Say(503, None, {"retry-after": formatdate(one.clock.wall() + 40, usegmt=True)})
    ) as script:
        one = World(script.url, retry=RetryPolicy(attempts=2))
        with pytest.raises(Unreachable):
            one.transport.send(WRITE)
        assert one.retry_waits[0] == pytest.approx(40, abs=1)
        one.client.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("-1", None), ("1.5", None), ("soon", None), ("", None), ("9" * 40, None),
     ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("Thu, 99 Jan 1970", None)],
)  # fmt: skip
def test_forms_of_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 60.0) == seconds


@given(header=st.text(max_size=40), wall=st.floats(0, 4e9))
def test_no_retry_after_breaks_the_client(header: str, wall: float) -> None:
    assert (retry_after(header, wall) or 0.0) >= 0.0


def test_every_retry_takes_its_turn_at_the_pacer() -> None:
    with world(Say(500), OK, retry=RetryPolicy(base_seconds=0.0)) as (one, _):
        one.transport.send(WRITE)
        assert sum(one.clock.waits) == pytest.approx(1 / MARGIN)


def test_a_429_slows_the_pacer_down_and_success_speeds_it_up() -> None:
    with world(Say(429), OK, OK) as (one, _):
        full = one.bucket.rate
        one.transport.send(WRITE)
        assert one.bucket.rate == pytest.approx(full * 0.6)
        one.transport.send(WRITE)
        assert one.bucket.rate == pytest.approx(full * 0.7)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_connection_that_cannot_be_opened_processed_nothing() -> None:
    one = World(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="last error: connect") as caught:
        one.transport.send(WRITE)
    assert not caught.value.maybe_processed
    assert len(one.attempts) == 6
    one.client.close()


@pytest.mark.parametrize("status", [400, 403, 404, 405, 408, 409, 413, 422])
def test_other_4xx_are_final(status: int) -> None:
    with world(Say(status, {"error_code": "MALFORMED_PARAMETER", "error_message": "no"})) as (one, script):
        with pytest.raises(Refused4xx, match="MALFORMED_PARAMETER: no") as caught:
            one.transport.send(WRITE)
        assert caught.value.status == status
        assert len(script.seen) == 1


def test_credentials_are_named_by_reference() -> None:
    said = {"error_code": "AUTHENTICATION_INVALID", "error_message": f"bad key {REST}"}
    with world(Say(401, said)) as (one, script):
        with pytest.raises(ConfigurationError) as caught:
            one.transport.send(WRITE)
        text = str(caught.value)
        assert "destination shop" in text
        assert "${env:REST_KEY}" in text
        assert REST not in text
        assert caught.value.__cause__ is None
        assert len(script.seen) == 1


@pytest.mark.parametrize("where", ["http://127.0.0.2:1/steal", "https://evil.example/x", "/elsewhere"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirections_are_refused(status: int, where: str) -> None:
    with world(Say(status, None, {"location": where + "?" + REST})) as (one, script):
        with pytest.raises(ConfigurationError, match="redirection") as caught:
            one.transport.send(WRITE)
        assert REST not in str(caught.value)
        assert len(script.seen) == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"code": 30, "type": "MISSING_PARAMETER", "message": "m"}, "30 MISSING_PARAMETER: m"),
        ({"code": 0, "message": "m"}, "0: m"),
        ({"error_code": 10, "error_message": "m"}, "10: m"),
        ({"error_code": "20", "error_message": "m"}, "20: m"),
        ({"error_code": "X"}, "X"),
        ({"error_code": None, "message": ["x"]}, "raw"),
        ({}, "raw"),
        ([1], "raw"),
        (None, "raw"),
    ],
)
def test_envelopes(body: object, text: str) -> None:
    assert refused_text(body, " raw ") == text
    assert refused_text({}, "  ") == "no explanation"


@pytest.mark.parametrize("raw", [b"upstream error", b"<html><b>413</b></html>", b"\xff\xfe{", b"", b"null", b"12"])
def test_bodies_that_are_no_envelope(raw: bytes) -> None:
    with world(Say(400, raw)) as (one, _), pytest.raises(Refused4xx):
        one.transport.send(WRITE)


def test_an_echoed_key_is_never_shown() -> None:
    for echo in (REST, REST.upper(), f"/1.0/{APP}/x", f"{REST[:5]}\x00{REST[5:]}", f"{REST[:5]}\r\n{REST[5:]}",
                 f"{REST} and {REST[:5]}\n{REST[5:]}"):  # fmt: skip
        for body in ({"code": 31, "message": echo * 30}, echo.encode()):
            with world(Say(400, body), platform="mep") as (one, _), pytest.raises(Refused4xx) as caught:
                one.transport.send(WRITE)
            assert REST not in str(caught.value).casefold()
            assert APP not in str(caught.value)
            assert len(caught.value.why) <= LONGEST


@given(text=st.text(max_size=50), secret=st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8))
def test_no_text_carries_a_secret_out(text: str, secret: str) -> None:
    clean = Sanitiser({secret: "[REST key]"})(f"{text}{secret}{text}" * 3)
    assert secret.casefold() not in clean.casefold().replace("[rest key]", "")
    assert clean.isprintable()
    assert len(clean) <= LONGEST


def test_identifiers_of_the_request_are_masked() -> None:
    sent = b'{"name":"a","ids":[{"action":"add","id":"user-77"},{"action":"add","id":"x y"}]}'
    clean = Sanitiser({})
    said = 'ids[0]: user-77 is bad, also "x y" and jane@example.com, 38400000-8cf0-11bd-b23e-10b96e40000d.'
    assert clean(said, sent=sent) == 'ids[0]: [id] is bad, also "[id]" and [id], [id].'


def test_logs_of_the_http_library_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with world(OK, platform="mep") as (one, _):
        one.client.write_profiles("custom_data", b'[{"id":"a"}]', 1)
    assert APP not in caplog.text
    assert REST not in caplog.text


def test_cancelled_before_a_request_begins() -> None:
    with world(OK) as (one, script):
        one.cancel.set()
        with pytest.raises(Cancelled) as caught:
            one.transport.send(WRITE)
        assert not caught.value.maybe_processed
        assert caught.value.exit_code is ExitCode.SIGINT
        assert script.seen == []


def test_cancelled_while_waiting_after_a_request_in_flight_was_finished() -> None:
    def answer(seen: Any) -> Say:
        one.cancel.set()
        return Say(500)

    with serving(by=answer) as script:
        one = World(script.url)
        with pytest.raises(Cancelled) as caught:
            one.transport.send(WRITE)
        assert caught.value.maybe_processed
        assert len(script.seen) == 1
        assert [attempt.status for attempt in one.attempts] == [500]
        one.client.close()


def test_settled_is_asked_before_a_lost_request_is_repeated() -> None:
    answers = iter([False, True])
    with world(RESET, RESET, OK) as (one, script):
        assert one.transport.send(WRITE, settled=lambda: next(answers)).body is None
        assert len(script.seen) == 2


def test_attempts_show_routes_never_keys() -> None:
    with world(Say(200, {"custom_audiences": []}), Say(200, {"custom_audiences": []}), platform="mep") as (one, _):
        one.client.inventory()
        assert {attempt.route for attempt in one.attempts} == {
            f"/1.0/{one.client.account}/custom-audience",
            f"/1.1/{one.client.account}/custom-audience",
        }
        assert all(attempt.destination == "shop" and attempt.retry_wait is None for attempt in one.attempts)


@pytest.mark.parametrize(
    "url", ["http://api.batch.com", "ftp://127.0.0.1", "https://", "https://u:p@api.batch.com", "x"]
)
def test_urls_that_are_not_allowed(url: str) -> None:
    with pytest.raises(ConfigurationError, match="api_url"):
        World(url)


@settings(max_examples=20, deadline=None)
@given(statuses=st.lists(st.sampled_from([429, 500, 503]), max_size=5))
def test_any_weather_up_to_five_failures_ends_well(statuses: list[int]) -> None:
    with world(*map(Say, statuses), OK) as (one, script):
        assert one.transport.send(WRITE).status == 202
        assert len(script.seen) == len(statuses) + 1
