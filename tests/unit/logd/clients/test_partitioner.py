"""Goal: keys go where Kafka's clients put them. Method: kafka-python's hash and Kafka's published values as oracles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import murmur2 as oracle

from logd.clients.partitioner import Partitioner, murmur2


@given(st.binary(max_size=70))
def test_murmur2_is_that_of_kafka_python(key: bytes) -> None:
    assert murmur2(key) == oracle(key) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "expected"),
    # As Java's Utils.murmur2 has them in UtilsTest, signed.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_that_of_java(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF


@given(st.binary(max_size=20), st.integers(1, 100))
def test_a_key_stays_where_it_is(key: bytes, count: int) -> None:
    partitioner = Partitioner(count, lambda below: below - 1)
    expected = (oracle(key) & 0x7FFFFFFF) % count
    assert partitioner.of_key(key) == partitioner.of_key(key) == expected


def test_records_without_key_move_on_when_their_batch_closes() -> None:
    draws = iter([2, 0, 1, 0])
    partitioner = Partitioner(3, lambda below: next(draws) % below)
    assert partitioner.sticky == 2
    partitioner.batch_closed(1)
    assert partitioner.sticky == 2, "the batch of another partition"
    partitioner.batch_closed(2)
    assert partitioner.sticky == 0
    partitioner.batch_closed(0)
    assert partitioner.sticky == 2
    partitioner.batch_closed(2)
    assert partitioner.sticky == 0


def test_one_partition_takes_all() -> None:
    partitioner = Partitioner(1, lambda below: 0)
    partitioner.batch_closed(0)
    assert partitioner.sticky == partitioner.of_key(b"k") == 0


def test_keys_are_remembered_up_to_a_bound() -> None:
    partitioner = Partitioner(7, lambda below: 0)
    for number in range(70_000):
        partitioner.of_key(b"%d" % number)
    assert len(partitioner._of_key) <= 65_536
