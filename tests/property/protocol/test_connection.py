"""However a byte stream is cut into receives, and whoever shares the buffers, the same frames come out."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from protocol.connection import LEND_FROM_BYTES, SCRATCH_BYTES, FrameReceiver, ResponseQueue, ScratchBuffers

SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(LEND_FROM_BYTES - 10, LEND_FROM_BYTES + 10),
    st.integers(0, 3 * SCRATCH_BYTES),
)


@st.composite
def peers(draw: st.DrawFn) -> tuple[list[list[bytes]], list[tuple[int, int]]]:
    """The frames of up to three peers, and a schedule of receives: (peer, bytes at most)."""
    count = draw(st.integers(1, 3))
    bodies = []
    for peer in range(count):
        sizes = draw(st.lists(SIZES, max_size=5))
        bodies.append([bytes([peer * 80 + number + 1]) * size for number, size in enumerate(sizes)])
    step = st.tuples(st.integers(0, count - 1), st.one_of(st.integers(1, 9), st.integers(1, SCRATCH_BYTES)))
    return bodies, draw(st.lists(step, max_size=40))


@given(peers())
def test_any_split_gives_the_same_frames(case: tuple[list[list[bytes]], list[tuple[int, int]]]) -> None:
    bodies, schedule = case
    scratch = ScratchBuffers()
    receivers = [FrameReceiver(scratch, 4 * SCRATCH_BYTES) for _ in bodies]
    streams = [b"".join(struct.pack(">i", len(b)) + b for b in peer) for peer in bodies]
    sent = [0] * len(bodies)
    seen: list[list[bytes]] = [[] for _ in bodies]

    def receive(peer: int, most: int) -> None:
        target = receivers[peer]
        room = target.room()
        part = streams[peer][sent[peer] : sent[peer] + min(most, len(room))]
        sent[peer] += len(part)
        room[: len(part)] = part
        target.received(len(part))
        while (frame := target.next_frame()) is not None:
            seen[peer].append(bytes(frame))
        target.settle()

    for peer, most in schedule:
        receive(peer, most)
    for peer, stream in enumerate(streams):
        while sent[peer] < len(stream):
            receive(peer, SCRATCH_BYTES)
    assert seen == bodies
    assert all(target.held_bytes == 0 for target in receivers)
    assert scratch.loans == 0


@given(st.lists(st.booleans(), max_size=30), st.randoms(use_true_random=False))
def test_responses_keep_the_order_of_requests(at_once: list[bool], random: object) -> None:
    queue = ResponseQueue()
    slots = []
    for number, now in enumerate(at_once):
        if now:
            queue.send([number.to_bytes(2, "big")])
        else:
            slots.append((queue.reserve(), number))
    random.shuffle(slots)  # type: ignore[attr-defined]
    for slot, number in slots:
        queue.fill(slot, [number.to_bytes(2, "big")])
    assert [int.from_bytes(chunk, "big") for chunk in queue.ready] == list(range(len(at_once)))
    assert len(queue) == 0
