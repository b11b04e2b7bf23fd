"""Framing in place and the order of responses, without sockets."""

from __future__ import annotations

import struct

import pytest

from protocol.connection import (
    LEND_FROM_BYTES,
    LOANS_MAX,
    PLAIN_REQUEST_BYTES_MAX,
    SCRATCH_BYTES,
    FrameReceiver,
    ResponseQueue,
    ScratchBuffers,
)
from protocol.errors import ProtocolViolation

FRAME_MAX = 8 * SCRATCH_BYTES


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def receiver(scratch: ScratchBuffers | None = None) -> FrameReceiver:
    return FrameReceiver(scratch or ScratchBuffers(), FRAME_MAX)


def feed(target: FrameReceiver, data: bytes) -> list[bytes]:
    """Deliver `data` as a socket would, in as many receives as it takes; the frames that came complete."""
    frames = []
    while data:
        room = target.room()
        part, data = data[: len(room)], data[len(room) :]
        room[: len(part)] = part
        target.received(len(part))
        while (frame := target.next_frame()) is not None:
            frames.append(bytes(frame))
        target.settle()
    return frames


def test_several_frames_of_one_receive() -> None:
    assert feed(receiver(), framed(b"one") + framed(b"") + framed(b"three")) == [b"one", b"", b"three"]


def test_a_frame_lies_in_the_receive_buffer_itself() -> None:
    scratch = ScratchBuffers()
    target = receiver(scratch)
    target.room()[:7] = framed(b"abc")
    target.received(7)
    frame = target.next_frame()
    assert frame is not None
    frame[0] = ord("x")
    assert bytes(scratch.current[4:7]) == b"xbc"


@pytest.mark.parametrize("size", [-1, FRAME_MAX + 1, 2**31 - 1, -(2**31)])
def test_an_impossible_size_is_a_violation(size: int) -> None:
    target = receiver()
    target.receive_data(struct.pack(">i", size))
    with pytest.raises(ProtocolViolation):
        target.next_frame()


@pytest.mark.parametrize("key", [1, 3, 18, -1])
def test_only_produce_requests_may_be_large(key: int) -> None:
    """Refused when the key has arrived, not when the request has."""
    target = FrameReceiver(ScratchBuffers(), 2 * PLAIN_REQUEST_BYTES_MAX)
    target.receive_data(struct.pack(">ib", PLAIN_REQUEST_BYTES_MAX + 1, key >> 8))
    assert target.next_frame() is None
    target.settle()
    target.receive_data(struct.pack(">B", key & 0xFF))
    with pytest.raises(ProtocolViolation, match=f"API key {key} of 4194305 bytes, at most 4194304"):
        target.next_frame()


@pytest.mark.parametrize(
    ("key", "size"),
    [(0, PLAIN_REQUEST_BYTES_MAX + 1), (3, PLAIN_REQUEST_BYTES_MAX)],
    ids=["produce", "plain"],
)
def test_large_requests_that_are_in_order(key: int, size: int) -> None:
    body = struct.pack(">h", key) + bytes(size - 2)
    assert feed(FrameReceiver(ScratchBuffers(), 2 * PLAIN_REQUEST_BYTES_MAX), framed(body)) == [body]


def test_a_bound_below_that_of_plain_requests_holds_for_all() -> None:
    target = FrameReceiver(ScratchBuffers(), 1000)
    target.receive_data(struct.pack(">ih", 1001, 0))
    with pytest.raises(ProtocolViolation, match="frame of 1001 bytes, at most 1000"):
        target.next_frame()


def test_the_largest_frame_arrives_whole() -> None:
    body = bytes(range(256)) * (FRAME_MAX // 256)
    assert feed(receiver(), framed(body)) == [body]


def test_an_announced_size_allocates_nothing() -> None:
    target = receiver()
    assert feed(target, struct.pack(">i", FRAME_MAX) + b"few bytes") == []
    assert target.held_bytes == 13


def test_memory_is_at_most_a_few_times_what_was_received() -> None:
    scratch = ScratchBuffers()
    scratch.loans = LOANS_MAX
    target = receiver(scratch)
    sent = 0
    for part in [struct.pack(">i", FRAME_MAX), *[bytes(10_000)] * 100]:
        feed(target, part)
        sent += len(part)
        assert target.held_bytes <= max(4 * sent, LEND_FROM_BYTES)


def test_a_connection_between_frames_holds_nothing() -> None:
    scratch = ScratchBuffers()
    target = receiver(scratch)
    body = bytes(SCRATCH_BYTES - 100)
    data = framed(body)
    feed(target, data[:100_000])
    assert (scratch.loans, target.held_bytes) == (1, SCRATCH_BYTES)
    assert feed(target, data[100_000:]) == [body]
    assert (scratch.loans, target.held_bytes) == (0, 0)


def test_buffers_come_back_when_a_connection_closes_in_mid_frame() -> None:
    scratch = ScratchBuffers()
    target = receiver(scratch)
    feed(target, framed(bytes(200_000))[:100_000])
    assert scratch.loans == 1
    target.close()
    assert scratch.loans == 0


def test_loans_are_bounded_and_frames_arrive_beyond_the_bound() -> None:
    scratch = ScratchBuffers()
    body = bytes(200_000)
    peers = [receiver(scratch) for _ in range(LOANS_MAX + 3)]
    for peer in peers:
        feed(peer, framed(body)[:100_000])
    assert scratch.loans == LOANS_MAX
    for peer in peers:
        assert feed(peer, framed(body)[100_000:]) == [body]
    assert scratch.loans == 0


def test_two_connections_in_mid_frame_do_not_mix() -> None:
    scratch = ScratchBuffers()
    first, second = receiver(scratch), receiver(scratch)
    for size in (10, 50_000):
        one, two = framed(b"1" * size), framed(b"2" * size)
        assert feed(first, one[:-5]) == feed(second, two[:-5]) == []
        assert feed(first, one[-5:]) == [b"1" * size]
        assert feed(second, two[-5:]) == [b"2" * size]


def test_frames_put_away_come_back_with_reload() -> None:
    target = receiver()
    target.receive_data(framed(b"one") + framed(b"two"))
    assert bytes(target.next_frame() or b"") == b"one"
    target.settle()
    assert target.next_frame() is None
    target.reload()
    assert bytes(target.next_frame() or b"") == b"two"


def test_responses_leave_in_request_order() -> None:
    queue = ResponseQueue()
    queue.send([b"1"])
    second = queue.reserve()
    queue.send([b"3"])
    fourth = queue.reserve()
    queue.send([b"5", b"5"])
    assert (list(queue.ready), len(queue)) == ([b"1"], 4)
    assert not queue.fill(fourth, [b"4"])
    assert queue.fill(second, [b"2"])
    assert list(queue.ready) == [b"1", b"2", b"3", b"4", b"5", b"5"]
    assert (len(queue), queue.ready_bytes) == (0, 6)


def test_a_request_is_answered_once() -> None:
    queue = ResponseQueue()
    slot = queue.reserve()
    queue.fill(slot, [b"1"])
    with pytest.raises(AssertionError):
        queue.fill(slot, [b"1"])
