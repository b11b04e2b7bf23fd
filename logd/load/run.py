"""The loop: requests out when they are due, answers in, over one epoll, until the time is over.

A run has connections of two kinds: those that send at the pace and are measured, and listeners, which always have one
request open and are not (the consumer of end_to_end.py). When the time is over nothing more is sent; what is in flight
is waited for and counts, so that a stall at the end is not left out, and what was due and never left counts with the
time that it has waited until then. With acks=0 a request has landed when the socket has taken it; at the end each such
connection asks something that is answered, so that the time includes the broker's work.

Not here: what the figures are printed as.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import error as StructError

from logd.load.conversation import Conversation, Tally
from logd.load.failures import LoadFailed
from logd.load.flights import Flights
from logd.load.frames import frame
from logd.load.histogram import Histogram
from logd.load.pace import Pace
from logd.load.peer import Address, Peer, shown
from protocol.errors import ProtocolViolation
from protocol.messages.api_versions import ApiVersionsRequest

Route = tuple[Address, Conversation]

_TICK_S = 0.1
_S = 1_000_000_000
_FENCE_VERSION = 0
_SELECT_BELOW = 1024
"""FD_SETSIZE: `select` does not take larger descriptors."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run, or the part of it that has passed, came to. Warm-up is left out."""

    seconds: float
    """From the end of warm-up to the last answer."""
    requests: int
    """That were answered."""
    records: int
    payload_bytes: int
    latency: Histogram
    """Nanoseconds, `unsent` requests included; of no meaning with acks=0."""
    late: Histogram
    """Nanoseconds that requests left after they were due; all 0 where no rate was asked for."""
    unsent: int
    """Requests that were due and had not left when the time was over."""
    interrupted: bool
    cpu_s: float | None
    """The broker's; None where it was not measured."""


class Run:
    """Make it, which connects; `go` once; `close`."""

    def __init__(
        self,
        routes: Sequence[Route],
        pace: Pace,
        tally: Tally,
        *,
        listeners: Sequence[Route] = (),
        settled: Callable[[], bool] = lambda: True,
        timeout_s: float = 30.0,
        end_to_end: Histogram | None = None,
        cpu: Callable[[], float] | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """`routes`: where the load goes; all have room for as many requests. `tally`: what they count into.

        `settled`: whether the listeners have what they wait for, asked at the end. `end_to_end`: what they count; a
        request that never left counts there, too, once for each of them. `cpu`: seconds that the broker has used so
        far.

        Raises: LoadFailed where a connection is refused.
        """
        self.stopped = False
        """Set it, from a signal handler for example, to end the run early."""
        self._pace = pace
        self._tally = tally
        self._settled = settled
        self._timeout_s = timeout_s
        self._end_to_end = end_to_end
        self._cpu = cpu
        self._clock = clock
        self._epoll = select.epoll()  # before the sockets, so that its descriptor is a small one
        self._peers: list[Peer] = []
        self._by_descriptor: dict[int, Peer] = {}
        self._measured = len(routes)
        try:
            for address, conversation in (*routes, *listeners):
                self._connect(address, conversation)
        except BaseException:
            self.close()
            raise
        self._flights = Flights(pace, len(routes), routes[0][1].room)
        self._turn_max = 2 * len(routes) * routes[0][1].room
        self._heard_ns = 0
        self._cpu_before: float | None = None
        self._cpu_used: float | None = None
        self._ended_ns = 0
        self._fences = 0

    def go(
        self,
        seconds: float | None,
        *,
        warm_up_s: float = 0.0,
        progress: Callable[[Run], None] | None = None,
    ) -> Figures:
        """Send for `warm_up_s` and then `seconds`, or where that is None as long as the pace has something.

        `progress` is called ten times a second. Raises: BrokerError, LoadFailed.
        """
        was_enabled = gc.isenabled()
        gc.disable()  # its pauses would be told of as the broker's
        try:
            self._go(seconds, warm_up_s, progress)
        finally:
            if was_enabled:
                gc.enable()
        return self.figures()

    def figures(self) -> Figures:
        """Up to now, or to the end when that is over."""
        flights = self._flights
        until = self._ended_ns or self._clock()
        return Figures(
            seconds=max(until - flights.count_from_ns, 1) / _S,
            requests=flights.taken.count - flights.unsent,
            records=self._tally.records,
            payload_bytes=self._tally.payload_bytes,
            latency=flights.taken,
            late=flights.late,
            unsent=flights.unsent,
            interrupted=self.stopped,
            cpu_s=self._cpu_used,
        )

    @property
    def is_warming_up(self) -> bool:
        return self._clock() < self._flights.count_from_ns

    def close(self) -> None:
        for peer in self._peers:
            peer.close()
        self._epoll.close()

    def _connect(self, address: Address, conversation: Conversation) -> None:
        peer = Peer(len(self._peers), address, conversation, self._timeout_s)
        self._peers.append(peer)
        self._by_descriptor[peer.descriptor] = peer
        self._epoll.register(peer.descriptor, select.EPOLLIN)

    def _go(self, seconds: float | None, warm_up_s: float, progress: Callable[[Run], None] | None) -> None:
        now = next_tick = self._begin(warm_up_s)
        counts_from = self._flights.count_from_ns
        ends = None if seconds is None else counts_from + int(seconds * _S)
        while True:
            if now >= next_tick:
                next_tick = now + int(_TICK_S * _S)
                if now < counts_from < next_tick:
                    next_tick = counts_from
                self._tick(now)
                if progress is not None:
                    progress(self)
            if self.stopped or self._pace.next_due(now) is None or (ends is not None and now >= ends):
                break
            self._depart(now)
            self._wait_and_receive()
            now = self._clock()
        over = now if ends is None else min(now, ends)
        if self._pace.is_fixed:
            self._depart(over - 1)
        self._drain()
        if self._pace.is_fixed:
            listeners = len(self._peers) - self._measured
            self._flights.give_up_unsent(
                over, self._ended_ns, also=self._end_to_end, also_times=max(listeners, 1)
            )

    def _begin(self, warm_up_s: float) -> int:
        now = self._heard_ns = self._clock()
        self._flights.count_from_ns = now + int(warm_up_s * _S)
        self._pace.start(now)
        for peer in self._peers[self._measured :]:
            self._ask(peer)
        return now

    def _tick(self, now: int) -> None:
        if self._cpu is not None and self._cpu_before is None and now >= self._flights.count_from_ns:
            self._cpu_before = self._cpu()
        silent_s = (now - self._heard_ns) / _S
        if silent_s > self._timeout_s and self._flights.in_flight:
            addresses = ", ".join(dict.fromkeys(shown(peer.address) for peer in self._peers))
            raise LoadFailed(
                f"no answer from {addresses} within {self._timeout_s:g} s; wait longer with --timeout"
            )

    def _depart(self, now: int) -> None:
        """Send what is due, as far as there is room. One turn is bounded: with acks=0 there is always room."""
        touched: dict[int, Peer] = {}
        depart = self._flights.depart
        if not self._flights.in_flight:
            self._heard_ns = now  # nobody owes an answer yet
        for _ in range(self._turn_max):
            number = depart(now)
            if number is None:
                break
            peer = self._peers[number]
            peer.queue(peer.conversation.request())
            touched[number] = peer
        for peer in touched.values():
            self._flush(peer)

    def _flush(self, peer: Peer) -> None:
        was_sending = peer.is_sending
        left = peer.flush()
        if was_sending or peer.is_sending:
            events = select.EPOLLIN | (select.EPOLLOUT if peer.is_sending else 0)
            self._epoll.modify(peer.descriptor, events)
        if left and not peer.conversation.answers and not self._fences:
            self._land_unanswered(peer, left)

    def _land_unanswered(self, peer: Peer, requests: int) -> None:
        now = self._heard_ns = self._clock()
        for _ in range(requests):
            since = self._flights.land(peer.number, now)
            peer.conversation.answered(_NOTHING, since, now)

    def _ask(self, peer: Peer) -> None:
        peer.queue(peer.conversation.request())
        self._flush(peer)

    def _wait_and_receive(self) -> None:
        """Wait until something happens, the next request is due, or it is time for a look around."""
        wait_s = _TICK_S
        now = self._clock()
        due = self._pace.next_due(now)
        if self._flights.has_room and due is not None:
            wait_s = min(max(due - now, 0) / _S, _TICK_S)
        if 0 < wait_s < _TICK_S:
            # epoll's own timeout is in milliseconds, rounded up, and would let every request leave late.
            if self._epoll.fileno() < _SELECT_BELOW:
                select.select((self._epoll,), (), (), wait_s)
                wait_s = 0.0
            else:
                wait_s = max(wait_s - 0.001, 0.0)  # and what is left is spent asking again and again
        self._receive(wait_s)

    def _receive(self, wait_s: float) -> None:
        for descriptor, events in self._epoll.poll(wait_s):
            peer = self._by_descriptor[descriptor]
            if events & select.EPOLLOUT:
                self._flush(peer)
            if events & ~select.EPOLLOUT:
                self._take_answers(peer)

    def _take_answers(self, peer: Peer) -> None:
        answers = peer.receive()
        now = self._clock()
        number, conversation = peer.number, peer.conversation
        is_measured = number < self._measured
        if is_measured:
            self._heard_ns = now
        try:
            for answer in answers:
                if self._fences and not conversation.answers:
                    self._fences -= 1
                elif is_measured:
                    conversation.answered(answer, self._flights.land(number, now), now)
                else:
                    conversation.answered(answer, None, now)
                    self._ask(peer)
        except (StructError, IndexError, ProtocolViolation):
            raise LoadFailed(f"an answer of the broker at {shown(peer.address)} cannot be read") from None

    def _drain(self) -> None:
        """Wait for what is in flight, and with acks=0 for a sign that the broker has read it all."""
        self._drain_until(lambda: not self._flights.in_flight)
        self._drain_until(self._settled)
        silent = [peer for peer in self._peers if not peer.conversation.answers]
        self._fences = len(silent)
        for peer in silent:
            peer.queue(_FENCE)
            self._flush(peer)
        self._drain_until(lambda: not self._fences)
        self._ended_ns = self._clock()
        if self._cpu is not None and self._cpu_before is not None:
            self._cpu_used = self._cpu() - self._cpu_before

    def _drain_until(self, done: Callable[[], bool]) -> None:
        deadline = self._clock() + int(self._timeout_s * _S)
        while not done():
            now = self._clock()
            if now > deadline:
                raise LoadFailed(f"requests were not answered within {self._timeout_s:g} s after the end")
            self._receive(_TICK_S)


_NOTHING = memoryview(b"")
_FENCE = frame(ApiVersionsRequest(), _FENCE_VERSION)
