"""Produce requests of one batch each, to some partitions in turn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from struct import Struct

from logd.load.batches import Batch
from logd.load.conversation import Tally, refused
from logd.load.frames import ANSWER_BODY_AT, PRODUCE_VERSION, frame, name_size
from protocol.codec import decode
from protocol.errors import BrokerError
from protocol.messages.produce import ProduceRequest, ProduceResponse

_ERROR_AND_OFFSET = Struct(">hq")


class ProduceConversation:
    """See `Conversation`."""

    def __init__(
        self,
        topic: str,
        partitions: Sequence[int],
        batch: Batch,
        tally: Tally,
        *,
        acks: int = -1,
        room: int = 1,
        timeout_ms: int = 30_000,
    ) -> None:
        self.room = room
        self.answers = acks != 0
        self.last_offset = -1
        """Base offset of the batch that was acknowledged last."""
        self._topic = topic
        self._batch = batch
        self._tally = tally
        frames = [produce_frame(topic, each, batch.encoded, acks, timeout_ms) for each in partitions]
        self.request = cycle(frames).__next__
        self._error_at = produce_error_at(topic)

    def answered(self, answer: memoryview, since_ns: int | None, now_ns: int) -> None:
        if self.answers:
            code, self.last_offset = _ERROR_AND_OFFSET.unpack_from(answer, self._error_at)
            if code:
                raise _refusal(self._topic, answer)
        if since_ns is not None:
            self._tally.add(self._batch.records, self._batch.payload_bytes)


def produce_frame(
    topic: str, partition: int, batch: bytes, acks: int = -1, timeout_ms: int = 30_000
) -> bytes:
    data = ProduceRequest.PartitionProduceData(index=partition, records=batch)
    topic_data = ProduceRequest.TopicProduceData(name=topic, partition_data=[data])
    request = ProduceRequest(acks=acks, timeout_ms=timeout_ms, topic_data=[topic_data])
    return frame(request, PRODUCE_VERSION)


def produce_error_at(topic: str) -> int:
    """Where the error code is in an answer to `produce_frame`: behind one topic, its name, one partition, its index."""
    return ANSWER_BODY_AT + 1 + name_size(topic) + 1 + 4


def _refusal(topic: str, answer: memoryview) -> BrokerError:
    response = decode(ProduceResponse, PRODUCE_VERSION, answer, ANSWER_BODY_AT)
    row = response.responses[0].partition_responses[0]
    return refused(f"produce to {topic} [{row.index}]", row.error_code, row.error_message)
