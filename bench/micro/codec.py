"""Nanoseconds to decode and to encode the messages of the hot path, per version.

    python -m bench.micro.codec                  # table
    python -m bench.micro.codec --json > a.json  # to compare two runs
    python -m bench.micro.codec --builds         # cost of building each codec, in microseconds

Each figure is the best of several rounds: what the code costs, without what else the machine was doing. Bodies
alone, without headers. Decoding reads from a memoryview of a bytearray, as a connection hands it over.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from protocol.codec import encode, encode_bytes, reader_for
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.message import Message
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.schema.reader_source import reader_source
from protocol.schema.writer_source import writer_source

ROUNDS = 9
ROUND_NS = 20_000_000
TOPIC_ID = bytes(range(16))
RECORDS = bytes(16 * 1024)


def produce_request(version: int) -> Message:
    """One batch for one partition, as a busy producer sends it."""
    partition = ProduceRequest.PartitionProduceData(index=3, records=memoryview(RECORDS))
    topic = ProduceRequest.TopicProduceData(name="orders", topic_id=TOPIC_ID, partition_data=[partition])
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[topic])


def produce_response(version: int) -> Message:
    partition = ProduceResponse.PartitionProduceResponse(index=3, base_offset=123_456, log_start_offset=0)
    topic = ProduceResponse.TopicProduceResponse(
        name="orders", topic_id=TOPIC_ID, partition_responses=[partition]
    )
    return ProduceResponse(responses=[topic])


def fetch_request(version: int) -> Message:
    """One partition, outside of a session or in its first request."""
    partition = FetchRequest.FetchPartition(partition=3, fetch_offset=123_456, partition_max_bytes=1 << 20)
    topic = FetchRequest.FetchTopic(topic="orders", topic_id=TOPIC_ID, partitions=[partition])
    return FetchRequest(max_wait_ms=500, min_bytes=1, max_bytes=50 << 20, topics=[topic])


def incremental_fetch_request(version: int) -> Message:
    """Nothing changed since the session's last request."""
    return FetchRequest(max_wait_ms=500, min_bytes=1, max_bytes=50 << 20, session_id=77, session_epoch=5)


def fetch_response(version: int) -> Message:
    partition = FetchResponse.PartitionData(
        partition_index=3,
        high_watermark=200_000,
        last_stable_offset=200_000,
        log_start_offset=0,
        records=RECORDS,
    )
    topic = FetchResponse.FetchableTopicResponse(topic="orders", topic_id=TOPIC_ID, partitions=[partition])
    return FetchResponse(session_id=77, responses=[topic])


def metadata_request(version: int) -> Message:
    return MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="orders")])


def metadata_response(version: int) -> Message:
    """One topic of twelve partitions on three brokers."""
    partitions = [
        MetadataResponse.MetadataResponsePartition(
            partition_index=index, leader_id=1, leader_epoch=4, replica_nodes=[1, 2, 3], isr_nodes=[1, 2, 3]
        )
        for index in range(12)
    ]
    brokers = [
        MetadataResponse.MetadataResponseBroker(node_id=node, host="broker.example", port=9092)
        for node in (1, 2, 3)
    ]
    topic = MetadataResponse.MetadataResponseTopic(name="orders", topic_id=TOPIC_ID, partitions=partitions)
    return MetadataResponse(
        brokers=brokers, cluster_id="abcdefghijklmnopqrstuv", controller_id=1, topics=[topic]
    )


def api_versions_request(version: int) -> Message:
    return ApiVersionsRequest(client_software_name="apache-kafka-java", client_software_version="4.4.0")


def api_versions_response(version: int) -> Message:
    keys = [ApiVersionsResponse.ApiVersion(api_key=key, min_version=0, max_version=9) for key in range(40)]
    return ApiVersionsResponse(api_keys=keys)


CASES: list[tuple[Callable[[int], Message], tuple[int, ...]]] = [
    (produce_request, (3, 9, 10, 11, 12, 13)),
    (produce_response, (3, 9, 10, 11, 12, 13)),
    (fetch_request, (11, 12, 13, 16, 17, 18)),
    (incremental_fetch_request, (12, 13, 18)),
    (fetch_response, (11, 12, 13, 16, 17, 18)),
    (metadata_request, (8, 12)),
    (metadata_response, (8, 12)),
    (api_versions_request, (4,)),
    (api_versions_response, (4,)),
]


def best_ns(call: Callable[[], Any]) -> float:
    """Return the time of one call in the best of ROUNDS rounds."""
    start = time.perf_counter_ns()
    call()
    times = max(10, ROUND_NS // max(1, time.perf_counter_ns() - start))
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for _ in range(times):
            call()
        best = min(best, (time.perf_counter_ns() - start) / times)
    return best


def measure(build: Callable[[int], Message], version: int) -> dict[str, Any]:
    message = build(version)
    body = memoryview(bytearray(encode_bytes(message, version)))
    read = reader_for(type(message), version)
    return {
        "message": build.__name__,
        "version": version,
        "bytes": len(body),
        "decode_ns": round(best_ns(lambda: read(body, 0))),
        "encode_ns": round(best_ns(lambda: encode(message, version))),
        "make_ns": round(best_ns(lambda: build(version))),
    }


def measure_build(build: Callable[[int], Message], version: int) -> dict[str, Any]:
    cls = type(build(version))
    row: dict[str, Any] = {"message": build.__name__, "version": version}
    for kind, render in (("reader", reader_source), ("writer", writer_source)):
        source, _ = render(cls, version)
        row[f"{kind}_source_us"] = round(best_ns(partial(render, cls, version)) / 1e3)
        row[f"{kind}_compile_us"] = round(best_ns(partial(compile, source, "<codec>", "exec")) / 1e3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--builds", action="store_true")
    arguments = parser.parse_args()
    work = measure_build if arguments.builds else measure
    rows = [work(build, version) for build, versions in CASES for version in versions]
    if arguments.json:
        json.dump(rows, sys.stdout, indent=1)
        return
    print(f"{'message':26}" + "".join(f"{name:>19}" for name in list(rows[0])[1:]))
    for row in rows:
        print(f"{row['message']:26}" + "".join(f"{value:>19}" for value in list(row.values())[1:]))


if __name__ == "__main__":
    main()
