"""Goal: every record is sent once, in order, in bounded batches. Method: a plain list per partition as model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logd.cli.produce_queue import ProduceQueue, Run
from logd.clients.partitioner import Partitioner
from protocol.compression import Codec
from protocol.records import iter_records

PARTITIONS = 3
BATCH_BYTES = 300
KEYS = st.sampled_from([None, b"a", b"b", b"c", b""])
RUNS = st.lists(
    st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=150)), min_size=1, max_size=9), max_size=9
)


def _queue() -> ProduceQueue:
    return ProduceQueue(Partitioner(PARTITIONS, lambda below: 0), batch_bytes=BATCH_BYTES)


def _run(*pairs: tuple[bytes | None, bytes | None], first: int = 1) -> Run:
    return Run(5, (), [(key, value, first + place) for place, (key, value) in enumerate(pairs)])


@given(
    RUNS, st.lists(st.sampled_from(["settle", "split", "take"])), st.none() | st.integers(0, PARTITIONS - 1)
)
def test_records_leave_once_and_in_order(
    runs: list[list[tuple[bytes | None, bytes | None]]], steps: list[str], partition: int | None
) -> None:
    queue = _queue()
    given_records: list[tuple[bytes | None, bytes | None, int]] = []
    sent: dict[int, list[tuple[bytes | None, bytes | None, int]]] = {}

    def step(kind: str) -> None:
        for where, batch in queue.take().items():
            entries = [entry for run in batch.runs for entry in run.entries]
            assert batch.count == len(entries) == 1 or batch.size_bytes <= BATCH_BYTES
            assert [batch.number(place) for place in range(batch.count)] == [
                number for _, _, number in entries
            ]
            if kind == "settle":
                queue.settle(where)
                sent.setdefault(where, []).extend(entries)
            elif kind == "split" and batch.count > 1:
                queue.split(where)

    remaining = iter(steps)
    for pairs in runs:
        run = _run(*pairs, first=len(given_records) + 1)
        given_records.extend(run.entries)
        queue.add(run, partition)
        step(next(remaining, "take"))
    while not queue.is_empty:
        step("settle")
    assert queue.buffered_bytes == 0 and not queue.has_closed_batch
    assert sorted(number for entries in sent.values() for _, _, number in entries) == [
        number for _, _, number in given_records
    ]
    for where, entries in sent.items():
        assert [number for _, _, number in entries] == sorted(number for _, _, number in entries)
        assert partition is None or where == partition
    if partition is None:
        places = {key: where for where, entries in sent.items() for key, _, _ in entries if key is not None}
        for where, entries in sent.items():
            assert all(places[key] == where for key, _, _ in entries if key is not None)


def test_a_batch_is_sent_as_it_was_put_in() -> None:
    queue = _queue()
    queue.add(Run(5, [("h", b"1")], [(b"k", b"v", 1), (b"k", None, 2)]), 0)
    queue.add(_run((None, b"w"), first=3), 0)
    built = queue.take()[0].build(Codec.LZ4, 8, 1, 40)
    rows = [(each.key, each.value, each.timestamp_ms, each.headers) for each in iter_records(built)]
    assert rows == [(b"k", b"v", 5, (("h", b"1"),)), (b"k", None, 5, (("h", b"1"),)), (None, b"w", 5, ())]


def test_what_is_on_its_way_takes_no_more() -> None:
    queue = _queue()
    queue.add(_run((None, b"a")), 0)
    assert not queue.has_closed_batch
    first = queue.take()[0]
    assert queue.has_closed_batch
    queue.add(_run((None, b"b"), first=2), 0)
    assert first.count == 1 and queue.take()[0] is first
    queue.settle(0)
    assert queue.take()[0].number(0) == 2


def test_records_without_key_change_partition_with_the_batch() -> None:
    queue = ProduceQueue(Partitioner(PARTITIONS, lambda below: below - 1), batch_bytes=BATCH_BYTES)
    for number in range(1, 13):
        queue.add(_run((None, b"x" * 100), first=number), None)
    lines: dict[int, int] = {}
    while not queue.is_empty:
        for where, batch in queue.take().items():
            lines[where] = lines.get(where, 0) + batch.count
            queue.settle(where)
    assert len(lines) == PARTITIONS and sum(lines.values()) == 12
