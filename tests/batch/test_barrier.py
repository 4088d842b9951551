"""Bounded waits for what Batch does later."""

import threading
from collections.abc import Callable

import pytest

from reconciler.address import IdType, Space
from reconciler.batch.barrier import Poll, settled_count, wait_absent, wait_applied, wait_present
from reconciler.batch.transport import Cancelled
from reconciler.observed import Inventory, Observed
from tests.batch.kit import FakeClock


def seen(state: str = "APPLIED", count: int | None = 0) -> Observed:
    return Observed(
        name="a", space=Space.CEP, id_type=IdType.CUSTOM, nb_ids=count, created=None, updated=None, indexing=state  # type: ignore[arg-type]
    )  # fmt: skip


class Views:
    """A Reader whose views come from a script; the last one stays."""

    destination, account = "shop", "00000000"

    def __init__(self, *answers: Observed | None) -> None:
        self.answers = list(answers)
        self.tokens: list[str | None] = []

    def inventory(self) -> Inventory:
        return Inventory(account=self.account)

    def view(self, name: str, id_type: IdType, token: str | None = None) -> Observed | None:
        self.tokens.append(token)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def poll() -> tuple[Poll, FakeClock]:
    clock = FakeClock()
    return Poll(first=0.25, clock=clock), clock


def test_applied_ends_the_wait_and_pauses_grow() -> None:
    pace, clock = poll()
    views = Views(*[seen("IN_PROGRESS")] * 8, seen("UNKNOWN"), seen("APPLIED"))
    found = wait_applied(views, "a", IdType.CUSTOM, "t", deadline=900, cancel=threading.Event(), poll=pace)
    assert found == seen("APPLIED")
    assert clock.waits == [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10]
    assert set(views.tokens) == {"t"}


def test_replaced_ends_the_wait_for_the_caller_to_judge() -> None:
    pace, clock = poll()
    views = Views(seen("REPLACED"))
    found = wait_applied(views, "a", IdType.CUSTOM, None, deadline=9, cancel=threading.Event(), poll=pace)
    assert found == seen("REPLACED")
    assert clock.waits == []


def test_the_deadline_is_kept_and_there_is_a_last_look() -> None:
    pace, clock = poll()
    views = Views(seen("IN_PROGRESS"))
    found = wait_applied(views, "a", IdType.CUSTOM, None, deadline=5, cancel=threading.Event(), poll=pace)
    assert found == seen("IN_PROGRESS")
    assert sum(clock.waits) == pytest.approx(5)
    assert len(views.tokens) == len(clock.waits) + 1


def test_an_audience_that_vanished_is_not_waited_for() -> None:
    pace, clock = poll()
    assert wait_applied(Views(None), "a", IdType.CUSTOM, None, deadline=5, cancel=threading.Event(), poll=pace) is None
    assert clock.waits == []


def test_presence_and_absence() -> None:
    event = threading.Event()
    assert (
        wait_present(Views(None, None, seen()), "a", IdType.CUSTOM, deadline=9, cancel=event, poll=poll()[0]) == seen()
    )
    assert wait_present(Views(None), "a", IdType.CUSTOM, deadline=9, cancel=event, poll=poll()[0]) is None
    assert wait_absent(Views(seen(), None), "a", IdType.CUSTOM, deadline=9, cancel=event, poll=poll()[0]) is True
    assert wait_absent(Views(seen()), "a", IdType.CUSTOM, deadline=9, cancel=event, poll=poll()[0]) is False


def test_a_count_is_read_again_before_it_differs() -> None:
    def settle(*counts: int | None) -> tuple[Observed | None, list[float]]:
        pace, clock = poll()
        views = Views(*(seen(count=count) for count in counts))
        end = settled_count(views, "a", IdType.CUSTOM, expected=(5,), deadline=3, cancel=threading.Event(), poll=pace)
        return end, clock.waits

    assert settle(5) == (seen(count=5), [])
    assert settle(4, None, 5) == (seen(count=5), [0.25, 0.5])
    assert settle(4) == (seen(count=4), [0.25, 0.5, 1, 1.25])


def test_cancel_ends_every_wait() -> None:
    cancel = threading.Event()
    waits: list[Callable[[Poll], object]] = [
        lambda pace: wait_applied(
            Views(seen("IN_PROGRESS")), "a", IdType.CUSTOM, None, deadline=9, cancel=cancel, poll=pace
        ),
        lambda pace: wait_present(Views(None), "a", IdType.CUSTOM, deadline=9, cancel=cancel, poll=pace),
        lambda pace: wait_absent(Views(seen()), "a", IdType.CUSTOM, deadline=9, cancel=cancel, poll=pace),
        lambda pace: settled_count(
            Views(seen()), "a", IdType.CUSTOM, expected=(1,), deadline=9, cancel=cancel, poll=pace
        ),
    ]
    for wait in waits:
        pace, clock = poll()
        clock.on_wait = lambda _: cancel.set()
        cancel.clear()
        with pytest.raises(Cancelled):
            wait(pace)
