"""Nanoseconds per batch and per record of everything that touches record batches.

    python -m bench.micro.records                  # table
    python -m bench.micro.records --json > a.json  # to compare two runs

Each figure is the best of several rounds. Batches are what producers send: 128 KiB of 1 KB records (S1), 16 KiB of
them (S3), 16 KiB of 100 B records (S4), text that compresses about threefold. "walk" is what full validation adds
per record, "iterate" what a reader of Record objects pays, "build" what a client does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from protocol.compression import Codec, compress, decompress
from protocol.crc import crc32c
from protocol.record_builder import build_batch, recompress, rewrite_timestamps
from protocol.record_validation import check_produced_batch, validate_records
from protocol.records import ATTRIBUTES_POSITION, HEADER, HEADER_SIZE, Record, iter_records, read_header

ROUNDS = 9
ROUND_NS = 20_000_000
NOW_MS = 1_700_000_000_000
WORDS = b"an order for 12 of product 7731 by customer 4411 was accepted, paid and sent to the depot; "


class Shape(NamedTuple):
    name: str
    batch_bytes: int
    record_bytes: int


SHAPES = (
    Shape("128K/1K", 128 << 10, 1000),
    Shape("16K/1K", 16 << 10, 1000),
    Shape("16K/100B", 16 << 10, 100),
)


def records_of(shape: Shape) -> list[Record]:
    text = WORDS * (shape.record_bytes // len(WORDS) + 2)
    return [
        Record(i, NOW_MS + i, b"key-%06d" % i, text[i % 90 : i % 90 + shape.record_bytes])
        for i in range(shape.batch_bytes // (shape.record_bytes + 20))
    ]


def best_ns(function: Callable[[], object]) -> float:
    """Nanoseconds of one call, in the fastest of several rounds."""
    calls = 1
    while (took := _round_ns(function, calls)) < ROUND_NS // 4:
        calls *= 2
    calls = max(1, calls * ROUND_NS // took)
    return min(_round_ns(function, calls) for _ in range(ROUNDS)) / calls


def _round_ns(function: Callable[[], object], calls: int) -> int:
    repeat = range(calls)
    start = time.perf_counter_ns()
    for _ in repeat:
        function()
    return time.perf_counter_ns() - start


def per_batch(batch: bytearray) -> dict[str, Callable[[], object]]:
    """What a broker does to each batch."""
    view = memoryview(batch)
    header = read_header(view)
    return {
        "unpack header": lambda: HEADER.unpack_from(view),
        "read_header": lambda: read_header(view),
        "crc32c": lambda: crc32c(view[ATTRIBUTES_POSITION:], 0),
        "check_produced_batch": lambda: check_produced_batch(view, 1 << 20),
        "validate, header only": lambda: _validate(batch, full=False),
        "stamp append time": lambda: rewrite_timestamps(
            view, log_append_time=False, max_timestamp=header.max_timestamp
        ),
    }


def per_record(records: list[Record], batch: bytearray) -> dict[str, Callable[[], object]]:
    """What grows with the number of records."""
    return {
        "walk (full validation)": lambda: _validate(batch, full=True),
        "iterate": lambda: list(iter_records(batch)),
        "build": lambda: build_batch(records),
    }


def per_codec(batch: bytearray) -> dict[str, Callable[[], object]]:
    body = bytes(batch[HEADER_SIZE:])
    cases: dict[str, Callable[[], object]] = {}
    for codec in Codec:
        if codec is not Codec.NONE:
            packed = compress(codec, body)
            cases[f"compress {codec.name.lower()}"] = partial(compress, codec, body)
            cases[f"decompress {codec.name.lower()}"] = partial(decompress, codec, packed)
    cases["recompress to lz4"] = lambda: recompress(batch, Codec.LZ4)
    return cases


def _validate(batch: bytearray, *, full: bool) -> int:
    return validate_records(
        batch, read_header(batch), compacted=False, full=full, earliest_ms=0, latest_ms=NOW_MS + 3_600_000
    )


def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    for shape in SHAPES:
        records = records_of(shape)
        batch = build_batch(records)
        for name, function in per_batch(batch).items():
            figures[f"{shape.name} {name} ns/batch"] = best_ns(function)
        for name, function in per_record(records, batch).items():
            figures[f"{shape.name} {name} ns/record"] = best_ns(function) / len(records)
    batch = build_batch(records_of(SHAPES[0]))
    for name, function in per_codec(batch).items():
        figures[f"{SHAPES[0].name} {name} MB/s"] = len(batch) * 1000 / best_ns(function)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="Micro benchmark of record batches.")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    arguments = parser.parse_args()
    figures = measure()
    if arguments.json:
        json.dump(figures, sys.stdout, indent=1)
        return 0
    for name, figure in figures.items():
        print(f"{name:48} {figure:12.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
