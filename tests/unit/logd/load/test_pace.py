"""Goal: at a fixed rate nobody's wait is left out, however long the broker stalls.

Method: a fake clock, and a broker that takes 1 ms for each request, one after the other, but for a stall; the figures
must be those of everybody who was due, worked out by hand.
"""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.load.flights import Flights
from logd.load.histogram import Histogram
from logd.load.pace import FixedRate, Saturating

_MS = 1_000_000
_S = 1_000 * _MS


def _simulate(flights: Flights, pace: FixedRate, *, until_s: float, stall: tuple[float, float]) -> None:
    """A broker that serves in turn, 1 ms each, and nothing between the two seconds of `stall`."""
    now = busy_until = 0
    stall_from, stall_to = (int(each * _S) for each in stall)
    answers: deque[tuple[int, int]] = deque()  # when, connection
    pace.start(0)
    while now < until_s * _S or answers:
        while answers and answers[0][0] <= now:
            flights.land(answers.popleft()[1], now)
        while now < until_s * _S and (connection := flights.depart(now)) is not None:
            begins = max(now, busy_until)
            if stall_from <= begins < stall_to:
                begins = stall_to
            busy_until = begins + _MS
            answers.append((busy_until, connection))
        following = [answers[0][0]] if answers else []
        if now < until_s * _S:
            due = pace.next_due(now)
            assert due is not None
            following.append(max(due, now + 1) if flights.has_room else int(until_s * _S))
        now = min(following, default=now + 1)


@pytest.mark.parametrize("room", [1, 3, 10_000])
def test_a_stall_of_a_second_is_felt_by_all_who_came_meanwhile(room: int) -> None:
    pace = FixedRate(100)
    flights = Flights(pace, 2, room)
    _simulate(flights, pace, until_s=10, stall=(4, 5))
    taken = flights.taken
    assert taken.count == 1000
    # Who was due k-th in the stall, each 10 ms, waited for its end, and for those before: 1 s - 10 ms k + 1 ms (k + 1).
    for percent, k in ((99, 10), (95, 50), (92, 80)):
        assert taken.percentile(percent) == pytest.approx((1001 - 9 * k) * _MS, rel=0.01)
    assert taken.highest == 1001 * _MS
    assert taken.percentile(50) == pytest.approx(1 * _MS, rel=0.01)
    # With room for all they leave in time, and wait at the broker.
    assert (flights.late.highest > 0.5 * _S) == (room < 100)


def test_a_client_that_waits_for_answers_leaves_the_stall_out() -> None:
    """What the fixed rate is for: the same stall, seen by a saturating client with one request in flight."""
    flights = Flights(Saturating(), 1, 1)
    now = 0
    for number in range(1000):
        assert flights.depart(now) == 0
        now += _S if number == 400 else _MS
        flights.land(0, now)
    assert flights.taken.percentile(99) == pytest.approx(_MS, rel=0.01)


def test_what_never_left_counts_with_its_wait() -> None:
    pace = FixedRate(1000)
    flights = Flights(pace, 1, 1)
    pace.start(0)
    assert flights.depart(0) == 0
    assert flights.depart(1 * _S) is None  # no room: the first is not answered
    flights.land(0, 2 * _S)
    by_five_consumers = Histogram()
    flights.give_up_unsent(2 * _S, 3 * _S, also=by_five_consumers, also_times=5)
    assert flights.unsent == 1999
    assert by_five_consumers.count == 5 * 1999
    assert flights.taken.count == 2000
    assert flights.taken.percentile(50) == pytest.approx(2 * _S, rel=0.01)  # from 1 s to 3 s
    assert flights.depart(2 * _S - 1) is None


def test_millions_that_never_left_are_told_apart_well_enough() -> None:
    pace = FixedRate(50_000_000)
    flights = Flights(pace, 1, 1)
    flights.count_from_ns = 1 * _S
    pace.start(0)
    flights.give_up_unsent(2 * _S, 2 * _S)
    assert flights.unsent == 50_000_000
    for percent in (1, 50, 99):
        assert flights.taken.percentile(percent) == pytest.approx(percent / 100 * _S, rel=0.02)


@given(st.floats(0.01, 1e7), st.integers(0, 10**12), st.integers(1, 500))
def test_requests_are_due_evenly(rate: float, start: int, count: int) -> None:
    pace = FixedRate(rate)
    pace.start(start)
    late = start + 10**16
    taken = [pace.take(late) for _ in range(count)]
    for number, due in enumerate(taken):
        assert due == pytest.approx(start + number * 1e9 / rate, abs=2 + number * 1e-3)
    following = pace.next_due(late)
    assert following is not None
    assert pace.take(following - 1) is None
    assert pace.take(following) == following


@given(st.floats(0.1, 1e5), st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, 50))
def test_skipping_is_taking_without_counting(rate: float, from_ns: int, until_ns: int, taken: int) -> None:
    one, other = FixedRate(rate), FixedRate(rate)
    for pace in (one, other):
        pace.start(0)
        for _ in range(taken):
            pace.take(10**15)
    if (until_ns - (one.next_due(0) or 0)) * rate / 1e9 > 20_000:
        until_ns = (one.next_due(0) or 0) + int(20_000 / rate * 1e9)
    expected = []
    while (due := other.take(until_ns - 1)) is not None:
        if due >= from_ns:
            expected.append(due)
    skipped = one.skip_due(from_ns, until_ns)
    assert skipped.requests == len(expected)
    assert not expected or skipped.first_ns == expected[0]
    assert one.next_due(0) == other.next_due(0) or until_ns < (other.next_due(0) or 0)


def test_saturating_ends_after_its_count() -> None:
    flights = Flights(Saturating(3), 2, 5)
    assert [flights.depart(7) for _ in range(4)] == [0, 1, 0, None]


def test_warm_up_is_not_counted() -> None:
    pace = FixedRate(10)
    flights = Flights(pace, 1, 100)
    flights.count_from_ns = _S
    pace.start(0)
    for number in range(20):
        now = number * _S // 10
        assert flights.depart(now) == 0
        assert flights.land(0, now + _MS) == (None if number < 10 else now)
    assert flights.taken.count == 10
