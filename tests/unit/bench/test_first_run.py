"""Goal: `make demo-log` compares what it should. Method: its arithmetic against the plain definition."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.demo import first_run
from bench.demo.corpus import read_lines


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 3999, 4000, 4001, 12_345])
def test_each_partition_is_expected_to_hold_what_was_sent_to_it(count: int) -> None:
    lines = [str(index).encode() for index in range(count)]
    for partition in range(first_run.PARTITIONS):
        sent = [line for index, line in enumerate(lines) if first_run.partition_of(index) == partition]
        assert list(first_run.lines_of(partition, lines)) == sent


def test_lines_are_repeated_whole() -> None:
    lines = [b"a", b"b", b"c"]
    assert first_run.repeat(lines, 7) == lines * 3
    assert first_run.repeat(lines, 2) == [b"a", b"b"]
    assert first_run.repeat(lines, 3) == lines


def test_differences_are_found() -> None:
    batch = [SimpleNamespace(offset=5, value=b"a"), SimpleNamespace(offset=6, value=b"b")]
    assert first_run.compare(0, batch, iter([b"a", b"b"]), 5) == 2
    for expected, offset in (([b"a", b"c"], 5), ([b"a", b"b"], 4), ([b"a"], 5)):
        with pytest.raises(first_run.Mismatch, match="partition 0"):
            first_run.compare(0, batch, iter(expected), offset)


def test_the_corpus_is_large_and_always_the_same() -> None:
    lines = read_lines()
    assert len(lines) > 100_000
    assert lines == read_lines()
    assert not any(b"\n" in line for line in lines)
