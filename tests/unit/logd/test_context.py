"""How an answer is framed and where it goes, without sockets."""

from __future__ import annotations

import logging
import struct
from typing import Any, cast

import pytest

from logd.context import RequestContext
from protocol.codec import decode
from protocol.connection import ResponseQueue, ResponseSlot
from protocol.messages.api_versions import ApiVersionsResponse
from protocol.messages.fetch import FetchResponse
from storage.fs import OpenMode
from storage.fs.memory import MemoryFileSystem
from storage.region import FileRegion


class Connection:
    """The part of a connection that a context uses."""

    listener, peer = "INTERNAL", "10.0.0.7"

    def __init__(self) -> None:
        self.responses = ResponseQueue()
        self.closed = False
        self.aborted = False

    def respond(self, slot: ResponseSlot, chunks: Any) -> None:
        self.responses.fill(slot, chunks)

    def abort(self) -> None:
        self.aborted = self.closed = True

    def sent(self) -> list[Any]:
        ready = list(self.responses.ready)
        self.responses.ready.clear()
        return ready


def context_on(
    connection: Any, *, version: int = 12, correlation_id: int = 7, flexible: bool = True
) -> RequestContext:
    return RequestContext(connection, 1, version, correlation_id, "me", flexible=flexible)


@pytest.mark.parametrize("flexible", [False, True])
@pytest.mark.parametrize("correlation_id", [0, 7, -1, 2**31 - 1])
def test_the_size_counts_header_and_body(flexible: bool, correlation_id: int) -> None:
    connection = Connection()
    response = ApiVersionsResponse(api_keys=[ApiVersionsResponse.ApiVersion(api_key=3, max_version=9)])
    context_on(connection, version=0, correlation_id=correlation_id, flexible=flexible).reply(response)
    (frame,) = connection.sent()
    size, answered = struct.unpack_from(">ii", frame)
    assert (size, answered) == (len(frame) - 4, correlation_id)
    assert frame[8:9] == b"\0" or not flexible
    assert decode(ApiVersionsResponse, 0, frame, 9 if flexible else 8) == response


def test_regions_of_files_are_counted_and_passed_on() -> None:
    fs = MemoryFileSystem()
    file = fs.open("/segment", OpenMode.APPEND)
    file.append(bytes(5000))
    regions = [FileRegion(file, 0, 1000), FileRegion(file, 2000, 3000)]
    rows = [
        FetchResponse.PartitionData(partition_index=index, records=region)
        for index, region in enumerate(regions)
    ]
    response = FetchResponse(responses=[FetchResponse.FetchableTopicResponse(topic="t", partitions=rows)])
    connection = Connection()
    context_on(connection).reply(response)
    chunks = connection.sent()
    assert [chunk for chunk in chunks if isinstance(chunk, FileRegion)] == regions
    assert int.from_bytes(chunks[0][:4], "big") == sum(map(len, chunks)) - 4
    data = b"".join(chunk.read() if isinstance(chunk, FileRegion) else bytes(chunk) for chunk in chunks)
    assert [
        len(cast("bytes", row.records)) for row in decode(FetchResponse, 12, data, 9).responses[0].partitions
    ] == [
        1000,
        3000,
    ]


def test_an_answer_may_be_in_another_version() -> None:
    connection = Connection()
    context_on(connection, version=99, flexible=False).reply(ApiVersionsResponse(error_code=35), 0)
    (frame,) = connection.sent()
    assert decode(ApiVersionsResponse, 0, frame, 8).error_code == 35


def test_a_deferred_answer_keeps_its_place() -> None:
    connection = Connection()
    contexts = [context_on(connection, version=0, correlation_id=number) for number in range(4)]
    contexts[0].defer()
    contexts[1].reply(ApiVersionsResponse())
    contexts[2].defer()
    contexts[2].reply(ApiVersionsResponse())
    contexts[3].reply(ApiVersionsResponse())
    assert connection.sent() == []
    contexts[0].reply(ApiVersionsResponse())
    assert [frame[7] for frame in connection.sent()] == [0, 1, 2, 3]


def test_whose_request_it_is() -> None:
    connection = Connection()
    context = context_on(connection)
    assert (context.listener, context.peer, context.client_id) == ("INTERNAL", "10.0.0.7", "me")
    assert not context.closed
    connection.closed = True
    assert context.closed


def test_failing_says_why_and_parts_from_the_client(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection()
    with caplog.at_level(logging.INFO):
        try:
            raise RuntimeError("planted")
        except RuntimeError:
            context_on(connection).fail()
    assert connection.aborted
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info is not None
    assert all(
        part in record.getMessage() for part in ("api_key=1", "version=12", "client_id=me", "peer=10.0.0.7")
    )
