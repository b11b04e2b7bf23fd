"""Many classic groups whose members do nothing but stay alive: the load of scenario S18, in a process of its own.

    python -m bench.clients.group_load BOOTSTRAP GROUPS MEMBERS

Makes the groups, prints `ready`, then sends every member's heartbeat once in 3 s (a client's default), evenly spread,
until it is killed. Every answer must be without an error. Prints `sent N` once a second.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from typing import Final

from bench.clients.wire import Connection, frame
from logd.clients.client import Client
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.heartbeat import HeartbeatRequest
from protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from protocol.messages.sync_group import SyncGroupRequest

_INTERVAL_S: Final = 3.0
_SESSION_MS: Final = 45_000
_CONNECTIONS: Final = 8
_JOIN_VERSION: Final = 3  # without the second round trip for a member id
_HEARTBEAT_VERSION: Final = 4
_ANSWER: Final = struct.Struct(">iibihb")
"""Size, correlation id, no tags, throttle time, error code, no tags."""


def main(bootstrap: str, groups: int, members: int) -> None:
    frames = asyncio.run(_set_up(bootstrap, groups, members))
    print("ready", flush=True)
    _stay_alive([Connection(bootstrap) for _ in range(_CONNECTIONS)], frames)


async def _set_up(bootstrap: str, groups: int, members: int) -> list[bytes]:
    """Make the groups; return the heartbeat of every member."""
    host, _, port = bootstrap.rpartition(":")
    clients = [await Client.connect(host, int(port)) for _ in range(members)]
    finding = FindCoordinatorRequest(key_type=0, coordinator_keys=["any"])
    while (await clients[0].call(finding)).coordinators[0].error_code:
        await asyncio.sleep(0.2)
    frames = []
    for number in range(groups):
        frames += await _set_up_group(clients, f"s18-{time.time_ns()}-{number}")
    for client in clients:
        await client.close()
    return frames


async def _set_up_group(clients: list[Client], group_id: str) -> list[bytes]:
    complete = asyncio.Event()
    answers = await asyncio.gather(*(_settle(client, group_id, len(clients), complete) for client in clients))
    generation = answers[0].generation_id
    leader = answers[0].leader
    assignments = [
        SyncGroupRequest.SyncGroupRequestAssignment(member_id=answer.member_id, assignment=b"all")
        for answer in answers
    ]
    syncs = [
        client.call(
            SyncGroupRequest(
                group_id=group_id,
                generation_id=generation,
                member_id=answer.member_id,
                assignments=assignments if answer.member_id == leader else [],
            ),
            version=3,
        )
        for client, answer in zip(clients, answers, strict=True)
    ]
    for synced in await asyncio.gather(*syncs):
        assert synced.error_code == 0, synced
    return [
        frame(
            HeartbeatRequest(group_id=group_id, generation_id=generation, member_id=answer.member_id),
            _HEARTBEAT_VERSION,
        )
        for answer in answers
    ]


async def _settle(client: Client, group_id: str, members: int, complete: asyncio.Event) -> JoinGroupResponse:
    """Join, and join again when others do, until the group has all its members; `complete` is set by the leader."""
    member_id = ""
    while True:
        joined = await _join(client, group_id, member_id)
        member_id = joined.member_id
        if len(joined.members) == members:
            complete.set()
        heartbeat = HeartbeatRequest(
            group_id=group_id, generation_id=joined.generation_id, member_id=member_id
        )
        while not complete.is_set():
            if (await client.call(heartbeat, version=_HEARTBEAT_VERSION)).error_code:
                break
            await asyncio.sleep(0.002)
        else:
            return joined


async def _join(client: Client, group_id: str, member_id: str) -> JoinGroupResponse:
    request = JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=_SESSION_MS,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"\x00\x01" + bytes(8))],
    )
    answer: JoinGroupResponse = await client.call(request, version=_JOIN_VERSION)
    assert answer.error_code == 0, answer
    return answer


def _stay_alive(connections: list[Connection], frames: list[bytes]) -> None:
    started = time.perf_counter()
    sent = answered = 0
    said = started
    while True:
        due = int((time.perf_counter() - started) / _INTERVAL_S * len(frames))
        for index, connection in enumerate(connections):
            batch = [
                frames[number % len(frames)]
                for number in range(sent, due)
                if number % len(connections) == index
            ]
            if batch:
                connection.socket.sendall(b"".join(batch))
                answered += _check_answers(connection, len(batch))
        sent = due
        if time.perf_counter() - said >= 1:
            said = time.perf_counter()
            print(f"sent {answered}", flush=True)
        time.sleep(0.01)


def _check_answers(connection: Connection, count: int) -> int:
    wanted = count * _ANSWER.size
    data = bytearray()
    while len(data) < wanted:
        got = connection.socket.recv(wanted - len(data))
        if not got:
            raise ConnectionError("the broker closed the connection")
        data += got
    for _, _, _, _, error, _ in _ANSWER.iter_unpack(data):
        assert error == 0, f"a heartbeat met error {error}"
    return count


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
