"""Listeners and connections of one node: accepting, limits, idle clients, graceful stop.

Plaintext only; a TLS listener would come in through the loop's SSL transport behind the same `Connection`.

Limits: `max.connections` stops accepting until a client leaves (the kernel's backlog holds the others),
`max.connections.per.ip` closes the newcomer, `queued.max.request.bytes` stops reading while requests received in
part hold more than that over all connections; one at a time goes on even then, or none would ever be whole.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from logd.connection import Connection
from protocol.connection import ScratchBuffers

log = logging.getLogger("logd.server")

#: Connections taken in one turn of the loop.
_ACCEPTS_PER_TURN: Final = 64

#: How long accepting rests after the process ran out of descriptors.
_ACCEPT_REST_S: Final = 0.2

_OUT_OF_RESOURCES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class ServerLimits(NamedTuple):
    """Bounds on what clients may hold; sizes in bytes."""

    request_bytes_max: int
    connections_max: int
    connections_per_ip_max: int
    #: By address, where it differs from `connections_per_ip_max`.
    connections_per_ip_overrides: Mapping[str, int]
    idle_ms_max: int
    #: Over all connections; not positive: no bound.
    queued_bytes_max: int
    backlog: int
    #: Of each client's socket, -1 for the system's choice. A small one cuts large answers into several turns of the
    #: loop, between which others get theirs.
    send_buffer_bytes: int = -1


class Server:
    """Owns every socket of the node."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ServerLimits,
        dispatch: Callable[[Connection, memoryview], None],
        *,
        wake: Callable[[], None],
        abandoned: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """`wake` is called whenever a connection has worked off what it received, `abandoned` when one ends."""
        self.loop = loop
        self.limits = limits
        self.dispatch = dispatch
        self.scratch = ScratchBuffers()
        self.connections: set[Connection] = set()
        self.wake = wake
        self._abandoned = abandoned
        self._held_bytes = 0
        #: Connections that are not read from because of `queued_bytes_max`, in the order they came.
        self._starved: dict[Connection, None] = {}
        #: The one that is read from although the bound is reached, until its request is whole.
        self._finishing: Connection | None = None
        self._per_ip: Counter[str] = Counter()
        self._listening: list[tuple[socket.socket, str]] = []
        self._accepting = False
        self._sweeper: asyncio.TimerHandle | None = None

    # Listeners

    def bind(self, listener: str, host: str, port: int) -> tuple[str, int]:
        """Open a listening socket; nothing is accepted before `start`. Returns the address that it got.

        Raises OSError when the address cannot be bound, socket.gaierror when the host is not known.
        """
        family, kind, proto, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # An empty host means every address of both families.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if host else 0)
            if self.limits.send_buffer_bytes > 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.limits.send_buffer_bytes)
            sock.bind(address)
            sock.listen(self.limits.backlog)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self._listening.append((sock, listener))
        bound = sock.getsockname()
        return bound[0], bound[1]

    def start(self) -> None:
        """Accept clients from now on."""
        self._accept_again()
        self._schedule_sweep()

    def change_limits(self, limits: ServerLimits) -> None:
        """Hold other limits from now on. Clients that are there stay, however many they are."""
        self.limits = limits
        if self._listening:
            self._accept_again()

    def refuse_new(self) -> None:
        """Close the listeners and take no further request; those in hand go on."""
        self._stop_accepting()
        for sock, _ in self._listening:
            sock.close()
        self._listening.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self.connections):
            connection.drain()

    async def stop(self, grace_s: float) -> None:
        """`refuse_new`, let requests in hand finish for `grace_s`, then close every connection."""
        self.refuse_new()
        deadline = self.loop.time() + grace_s
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(0.005)
        for connection in tuple(self.connections):
            connection.close()

    def _accept_again(self) -> None:
        if not self._accepting:
            self._accepting = True
            for sock, listener in self._listening:
                self.loop.add_reader(sock.fileno(), self._on_acceptable, sock, listener)

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            for sock, _ in self._listening:
                self.loop.remove_reader(sock.fileno())

    def _on_acceptable(self, sock: socket.socket, listener: str) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if len(self.connections) >= self.limits.connections_max:
                log.warning(
                    "no further client accepted connections=%d limit=max.connections", len(self.connections)
                )
                self._stop_accepting()
                return
            try:
                client, address = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._accept_failed(error)
                return
            self._welcome(client, address[0], listener)

    def _accept_failed(self, error: OSError) -> None:
        if error.errno in _OUT_OF_RESOURCES:
            log.warning("no further client accepted for %.1f s reason=%s", _ACCEPT_REST_S, error.strerror)
            self._stop_accepting()
            self.loop.call_later(_ACCEPT_REST_S, self._accept_again)

    def _welcome(self, client: socket.socket, peer: str, listener: str) -> None:
        limits = self.limits
        if self._per_ip[peer] >= limits.connections_per_ip_overrides.get(peer, limits.connections_per_ip_max):
            log.warning("client refused peer=%s limit=max.connections.per.ip", peer)
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._per_ip[peer] += 1
        self.connections.add(Connection(self, client, listener=listener, peer=peer))

    # What connections report

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        self._abandoned(connection)
        self.connections.discard(connection)
        self.account(connection, 0)
        peer = connection.peer
        self._per_ip[peer] -= 1
        if not self._per_ip[peer]:
            del self._per_ip[peer]
        if self._listening and len(self.connections) < self.limits.connections_max:
            self._accept_again()

    def account(self, connection: Connection, held_bytes: int) -> None:
        """The connection keeps that much memory between two receives, other than before."""
        self._held_bytes += held_bytes - connection.accounted_bytes
        connection.accounted_bytes = held_bytes
        limit = self.limits.queued_bytes_max
        if limit <= 0:
            return
        self._starved.pop(connection, None)
        wants_more = held_bytes > 0 and not connection.closed
        if self._held_bytes <= limit:
            self._finishing = None
            starved, self._starved = self._starved, {}
            for waiting in starved:
                waiting.proceed()
            return
        if connection is not self._finishing and wants_more:
            connection.pause_reading()
            self._starved[connection] = None
        elif connection is self._finishing and not wants_more:
            self._finishing = None
        if self._finishing is None and self._starved:
            self._finishing = next(iter(self._starved))
            del self._starved[self._finishing]
            self._finishing.proceed()

    # Idle clients

    def _schedule_sweep(self) -> None:
        if self.limits.idle_ms_max >= 0:
            delay_s = min(max(self.limits.idle_ms_max / 4000, 0.05), 10.0)
            self._sweeper = self.loop.call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        """Close connections on which nothing came in for `connections.max.idle.ms`."""
        oldest = self.loop.time() - self.limits.idle_ms_max / 1000
        for connection in tuple(self.connections):
            if connection.last_active < oldest and connection.idle:
                connection.close()
        self._schedule_sweep()
