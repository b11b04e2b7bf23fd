"""What is between clients and brokers: connections that keep order, are slow, and break.

A broken connection loses answers, and requests, or delivers a request late, when its client has connected again: it is
a zombie then. Messages on different connections overtake one another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.types import TimestampMs
from tests.simulation.common.clock import Clock


class Server(Protocol):
    """Takes requests; each is answered once, now or later, by `Exchange.take`."""

    def receive(self, exchange: Exchange) -> None: ...


class Exchange:
    """A request and its answer; the waiter that a coordinator knows."""

    def __init__(
        self, connection: Connection, request: Message, version: int, then: Callable[[Any], None]
    ) -> None:
        self.connection = connection
        self.client_id = connection.client_id
        self.client_host = "/127.0.0.1"
        self.request = request
        self.version = version
        self.then = then
        """Called with the response, an ErrorCode, or None when the connection broke before."""
        self.outcome: Message | ErrorCode | None = None
        self.zombie = False
        """It arrived when its client had given the connection up."""
        self.about: Any = None
        """What it is about, as its client knows; for the checker alone."""
        self.rewinds = False
        """Its client sets an offset back on purpose."""
        self.needed = 0
        """Answered when the high watermark is here."""
        self.life = 0
        """Of what it is about, when it was decided."""
        self.unwritten = False
        """What was decided on it could not be written."""
        self.received_ms: TimestampMs = 0

    def take(self, outcome: Message | ErrorCode) -> None:
        assert self.outcome is None, f"answered twice: {self.request}"
        self.outcome = outcome
        self.connection.answered()


class Network:
    """The weather."""

    def __init__(self, clock: Clock, choose: Random) -> None:
        self.clock = clock
        self.choose = choose
        self.delay_ms = 20
        self.break_one_in = 0
        """Of so many messages one breaks its connection; 0 for none."""
        self.hold_one_in = 0
        """Of so many messages one is held up for long, and what follows on its connection; 0 for none."""
        self.hold_ms = 0
        """How long at most."""

    def breaks(self) -> bool:
        return self.break_one_in > 0 and self.choose.randrange(self.break_one_in) == 0

    def latency_ms(self) -> int:
        if self.hold_one_in > 0 and self.choose.randrange(self.hold_one_in) == 0:
            return self.choose.randint(0, self.hold_ms)
        return self.choose.randint(0, self.delay_ms)


class Connection:
    """One client's to one server, until it breaks."""

    def __init__(self, network: Network, server: Server, client_id: str, run: Callable[..., None]) -> None:
        self.network = network
        self.server = server
        self.client_id = client_id
        self.open = True
        self.known_broken = False
        """Its client has learned that it broke: only then does it take another one."""
        self._run = run
        """How the client takes what arrives: later, while it is paused."""
        self._arrives_ms: TimestampMs = 0
        self._returns_ms: TimestampMs = 0
        self._unanswered: deque[Exchange] = deque()
        self._unreturned: deque[Exchange] = deque()

    @property
    def in_flight(self) -> int:
        """Requests that the client waits for."""
        return len(self._unreturned)

    def waits_for(self, exchange: Exchange) -> bool:
        """Whether its answer has not come yet."""
        return exchange in self._unreturned

    def send(self, request: Message, version: int, then: Callable[[Any], None]) -> Exchange:
        network = self.network
        exchange = Exchange(self, request, version, then)
        if not self.open:  # as its client will learn, or it loses patience
            self._unreturned.append(exchange)
            return exchange
        self._unanswered.append(exchange)
        self._unreturned.append(exchange)
        if network.breaks():
            self.close()
            if network.choose.random() < 0.5:
                return exchange
        self._arrives_ms = max(self._arrives_ms, network.clock.now_ms + network.latency_ms())
        network.clock.at(self._arrives_ms, self._arrive, exchange)
        return exchange

    def stall(self, duration_ms: int) -> None:
        """What is sent from now on is on its way for so long."""
        self._arrives_ms = max(self._arrives_ms, self.network.clock.now_ms + duration_ms)

    def delay_answers(self, duration_ms: int) -> None:
        """What is answered from now on returns after so long at the earliest."""
        self._returns_ms = max(self._returns_ms, self.network.clock.now_ms + duration_ms)

    def _arrive(self, exchange: Exchange) -> None:
        exchange.zombie = not self.open
        self.server.receive(exchange)

    def answered(self) -> None:
        """Answers return in the order of their requests."""
        network = self.network
        while self._unanswered and self._unanswered[0].outcome is not None:
            exchange = self._unanswered.popleft()
            if network.breaks():
                self.close()
            if self.open:
                self._returns_ms = max(self._returns_ms, network.clock.now_ms + network.latency_ms())
                network.clock.at(self._returns_ms, self._run, self._return, exchange)

    def _return(self, exchange: Exchange) -> None:
        if self.open and self._unreturned:
            assert self._unreturned.popleft() is exchange
            exchange.then(exchange.outcome)

    def close(self) -> None:
        """It breaks; its client learns so at once or later, and that of all that it waits for."""
        if not self.open:
            return
        self.open = False
        network = self.network
        network.clock.after(network.latency_ms(), self._run, self._give_up)

    def abandon(self) -> None:
        """Its client has waited for long enough, and waits for nothing more; what it sent may still arrive."""
        self.open = False
        self._give_up()

    def _give_up(self) -> None:
        self.known_broken = True
        unreturned, self._unreturned = self._unreturned, deque()
        for exchange in unreturned:
            exchange.then(None)
