"""The measuring sticks of bench/ take what standard clients and its raw client send, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.clients.wire import (
    FETCH_VERSION,
    Connection,
    check_produced,
    fetch_request,
    frame,
    produce_frame,
)
from bench.targets.baseline_server import FETCH_TOPIC, SENDFILE_BYTES
from bench.targets.registry import Baseline
from logd.load.batches import batch_of
from protocol.codec import decode
from protocol.messages.fetch import FetchResponse
from protocol.records import iter_batches, verify_crc
from tests.compat import scenarios
from tests.support.clients.confluent import ConfluentClient
from tests.support.clients.kafka_python import KafkaPythonClient
from tests.support.clients.port import Client


@pytest.mark.parametrize("client_type", [ConfluentClient, KafkaPythonClient])
def test_floor_writes_every_batch(tmp_path: Path, client_type: type[ConfluentClient]) -> None:
    written = tmp_path / "written"
    floor = Baseline("floor", written)
    try:
        client: Client = client_type(floor.bootstrap)
        client.produce("any", scenarios.messages(500, size=1000), idempotent=True)
    finally:
        floor.stop()
    batches = list(iter_batches(written.read_bytes()))
    assert batches
    assert all(verify_crc(batch) for batch in batches)
    assert sum(int.from_bytes(batch[57:61], "big") for batch in batches) == 500


@pytest.mark.parametrize("mode", ["null", "floor"])
def test_raw_client_is_answered(tmp_path: Path, mode: str) -> None:
    baseline = Baseline(mode, tmp_path / "written")
    try:
        connection = Connection(baseline.bootstrap)
        request = produce_frame("raw", batch_of(10, 1000).encoded)
        for _ in range(200):
            check_produced(connection, connection.exchange(request), "raw")
        connection.close()
    finally:
        baseline.stop()


def test_sendfile_answers_with_the_region(tmp_path: Path) -> None:
    region = tmp_path / "region"
    content = b"".join(number.to_bytes(4, "big") for number in range(SENDFILE_BYTES))
    region.write_bytes(content)
    baseline = Baseline("sendfile", region)
    try:
        connection = Connection(baseline.bootstrap)
        for position in (0, SENDFILE_BYTES, 3 * SENDFILE_BYTES):
            size = connection.exchange(frame(fetch_request(FETCH_TOPIC, position), FETCH_VERSION))
            answer = decode(FetchResponse, FETCH_VERSION, connection.answer(size), 5)
            records = answer.responses[0].partitions[0].records
            assert records == content[position : position + SENDFILE_BYTES]
        connection.close()
    finally:
        baseline.stop()
