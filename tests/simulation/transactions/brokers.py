"""What brokers ask one another: over connections of their own, one for each question that is out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from protocol.messages.message import Message
from protocol.types import TimestampMs
from tests.simulation.common.network import Connection, Exchange, Network, Server

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation


_ANSWERS_LATE_MS = 19_000


class Brokers:
    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.network = Network(sim.clock, sim.choose)
        self.stalled_until_ms: TimestampMs = 0
        """Until then answers take long."""

    def ask(
        self,
        server: Server,
        request: Message,
        version: int,
        then: Callable[[Any], None],
        timeout_ms: int,
        about: Any,
    ) -> None:
        """`then` gets the answer; None when the connection broke or time is up: the question may still arrive."""
        connection = Connection(self.network, server, "broker", _call)
        if self._sim.clock.now_ms < self.stalled_until_ms:
            connection.delay_answers(self._sim.choose.randint(5_000, _ANSWERS_LATE_MS))
        exchange = connection.send(request, version, then)
        exchange.about = about
        self._sim.clock.after(timeout_ms, _give_up, connection, exchange)


def _give_up(connection: Connection, exchange: Exchange) -> None:
    if connection.waits_for(exchange):
        connection.close()


def _call(action: Callable[..., None], *arguments: Any) -> None:
    action(*arguments)
