"""Token buckets: no limit is ever exceeded, nobody overtakes, 429 slows down."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.batch.clock import SystemClock
from reconciler.batch.pacing import MARGIN, Bucket, Pacers
from tests.batch.kit import FakeClock


def start_times(bucket: Bucket, clock: FakeClock, units: list[float], cancel: threading.Event) -> list[float]:
    starts = []
    for one in units:
        assert bucket.take(one, cancel)
        starts.append(clock.now)
    return starts


@given(units=st.lists(st.floats(0.1, 200), max_size=30), rate=st.floats(0.5, 500), capacity=st.floats(1, 1000))
def test_no_window_holds_more_than_the_bucket_allows(units: list[float], rate: float, capacity: float) -> None:
    clock = FakeClock()
    starts = start_times(Bucket(rate, capacity=capacity, clock=clock), clock, units, threading.Event())
    for first in range(len(units)):
        for last in range(first, len(units)):
            used = sum(units[first : last + 1])
            allowed = capacity + (starts[last] - starts[first]) * rate
            assert used <= allowed + max(units) + 1e-6


def test_requests_are_a_second_apart() -> None:
    clock = FakeClock()
    starts = start_times(Bucket(1.0, capacity=1.0, clock=clock), clock, [1] * 4, threading.Event())
    assert [b - a for a, b in zip(starts, starts[1:], strict=False)] == pytest.approx([1 / MARGIN] * 3)


def test_profile_writes_burst_then_flow() -> None:
    clock = FakeClock()
    bucket = Pacers(clock).profiles("host", "account", "profiles_update")
    starts = start_times(bucket, clock, [200.0] * 8, threading.Event())
    assert starts[4] == starts[0]
    assert starts[6] - starts[5] == pytest.approx(200 / 300 / MARGIN)


def test_mass_updates_have_no_burst_beyond_one_call() -> None:
    clock = FakeClock()
    bucket = Pacers(clock).profiles("host", "account", "profiles_mass_update")
    starts = start_times(bucket, clock, [10_000.0] * 3, threading.Event())
    assert [b - a for a, b in zip(starts, starts[1:], strict=False)] == pytest.approx([1 / MARGIN] * 2)


def test_threads_are_served_in_order_and_together_keep_the_pace() -> None:
    clock = FakeClock()
    bucket = Bucket(10.0, capacity=1.0, clock=clock)
    waits: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(25):
            with lock:
                waits.append(bucket.reserve())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(99 / 10 / MARGIN)


def test_cancel_ends_a_wait() -> None:
    cancel = threading.Event()
    bucket = Bucket(0.001, capacity=1.0, clock=SystemClock())
    assert bucket.take(1.0, cancel)
    threading.Timer(0.05, cancel.set).start()
    assert not bucket.take(1.0, cancel)


def test_slowing_down_is_bounded_and_recovery_is_gradual() -> None:
    clock = FakeClock()
    bucket = Bucket(100.0, capacity=50.0, clock=clock)
    full = bucket.rate
    for _ in range(20):
        bucket.slow_down()
    assert bucket.rate == pytest.approx(full / 16)
    assert bucket.reserve() > 0, "nothing is left of the burst"
    rates = []
    for _ in range(12):
        bucket.recover()
        rates.append(bucket.rate)
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(full)


def test_one_bucket_per_host_and_rest_key() -> None:
    pacers = Pacers(FakeClock())
    one = pacers.requests("host", "s3cret", rate=5.0)
    assert pacers.requests("host", "s3cret", rate=2.0) is one
    assert one.rate == pytest.approx(2.0 * MARGIN), "the lowest rate asked for counts"
    assert pacers.requests("host", "other") is not one
    assert pacers.requests("elsewhere", "s3cret") is not one
    assert pacers.profiles("host", "a", "profiles_update") is not pacers.profiles("host", "b", "profiles_update")
    assert "s3cret" not in repr(pacers._buckets.keys())
