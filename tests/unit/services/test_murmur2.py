"""Goal: keys go where Kafka's clients send them. Method: the values of Kafka's own test of Utils.murmur2."""

from __future__ import annotations

import pytest

from services.runtime.murmur2 import murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_values_of_kafka(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & 0xFFFFFFFF


def test_a_partition_is_one_that_exists() -> None:
    assert {partition_of(str(number).encode(), 6) for number in range(100)} == set(range(6))
