"""A log that is cleaned says what a plain list of the same records says, whatever is done to it and in whatever order.

Method: random lists of writes with and without keys and values, transactions that commit and abort, codecs, rolls,
passes with a map of any size, clean and unclean reopenings, and time that goes on; see tests/support/compaction.py for
what must hold after each pass.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.compression import Codec
from storage.fs.memory import MemoryFileSystem
from tests.support.compaction import CompactedWorld, check
from tests.support.logs import NOW_MS

PRODUCERS = 3

item = st.tuples(
    st.sampled_from([b"a", b"b", b"c", b"d", b"longer key " * 12]),
    st.sampled_from([None, b"", b"v", b"w" * 40, b"x" * 130]),
)
write = st.tuples(
    st.just("write"),
    st.lists(item, min_size=1, max_size=5),
    st.integers(-1, PRODUCERS - 1),
    st.booleans(),
    st.sampled_from([Codec.NONE, Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]),
    st.lists(st.integers(-70_000, 70_000), min_size=1, max_size=3),
)
operation = st.one_of(
    write,
    write,
    st.tuples(st.just("end"), st.integers(0, PRODUCERS - 1), st.booleans()),
    st.tuples(st.just("roll")),
    st.tuples(st.just("clean"), st.sampled_from([30, 150, 400, 1 << 20])),
    st.tuples(st.just("pass time"), st.sampled_from([1, 500, 1000, 5000])),
    st.tuples(st.just("remove")),
    st.tuples(st.just("reopen"), st.booleans()),
)


def perform(world: CompactedWorld, step: tuple[Any, ...]) -> None:
    match step:
        case ("write", items, producer, transactional, codec, times):
            # Once a transaction is open its producer writes to nothing else.
            transactional = transactional or producer in world.open_transactions
            world.write(items, producer_id=producer, transactional=transactional, codec=codec, times=times)
        case ("end", producer, committed):
            if producer in world.sequences:
                world.end(producer, committed=committed)
        case ("roll",):
            world.roll()
        case ("clean", memory_bytes):
            world.clean(memory_bytes=memory_bytes)
            check(world, world.log, cleaned_to=world.cleaned_to)
        case ("pass time", ms):
            world.now_ms += ms
        case ("remove",):
            world.remove_replaced()
        case ("reopen", clean):
            world.reopen(clean=clean)
            check(world, world.log)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operation, min_size=5, max_size=60))
def test_a_cleaned_log_says_what_was_written(steps: list[tuple[Any, ...]]) -> None:
    world = CompactedWorld(MemoryFileSystem(NOW_MS))
    for step in steps:
        perform(world, step)
    world.roll()
    for _ in range(3):
        world.clean()
        check(world, world.log, cleaned_to=world.cleaned_to)
        world.now_ms += 2000
    world.reopen(clean=False, snapshots=False)
    check(world, world.log, cleaned_to=world.cleaned_to)
