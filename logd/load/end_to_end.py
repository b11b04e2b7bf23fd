"""How long a record takes from when it was due to be sent until a consumer that waits for it has it.

Two connections: one produces batches of one record at a pace, the other always has a fetch open on the partition. The
answer to the produce request may be seen before or after the record itself; both orders are met. Records that others
write to the partition are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from logd.load.conversation import Tally
from logd.load.fetch import FetchConversation, Stretch
from logd.load.histogram import Histogram
from logd.load.produce import ProduceConversation


class EndToEnd:
    """Brings together when a record was due and when it arrived, by its offset."""

    def __init__(self, taken: Histogram | None = None) -> None:
        """`taken`: what it counts into; several consumers may share one."""
        self.taken = taken or Histogram()
        self._due: dict[int, int] = {}
        self._came: dict[int, int] = {}

    def acknowledged(self, offset: int, since_ns: int | None) -> None:
        """`since_ns`: None where the record does not count. Offsets ascend."""
        came = self._came.pop(offset, None)
        if came is None:
            if since_ns is not None:
                self._due[offset] = since_ns
        elif since_ns is not None:
            self.taken.add(came - since_ns)
        if (
            self._came
        ):  # what is below will not be acknowledged any more: somebody else wrote it, or it was warm-up
            self._came = {each: when for each, when in self._came.items() if each > offset}

    def arrived(self, base_offset: int, records: int, now_ns: int) -> None:
        for offset in range(base_offset, base_offset + records):
            due = self._due.pop(offset, None)
            if due is None:
                self._came[offset] = now_ns
            else:
                self.taken.add(now_ns - due)

    @property
    def waiting(self) -> int:
        """Records that were acknowledged and have not arrived yet."""
        return len(self._due)


class Writer(ProduceConversation):
    """Produces, and tells whoever waits for the records when each was due."""

    readers: Sequence[EndToEnd] = ()

    def answered(self, answer: memoryview, since_ns: int | None, now_ns: int) -> None:
        super().answered(answer, since_ns, now_ns)
        for each in self.readers:
            each.acknowledged(self.last_offset, since_ns)


def reader(topic: str, partition: int, start: int, end_to_end: EndToEnd) -> FetchConversation:
    """Waits for what comes from the offset `start` on. A batch is acknowledged, and so counted, by its first record."""

    def arrived(base_offset: int, records: int, now_ns: int) -> None:
        end_to_end.arrived(base_offset, 1, now_ns)

    return FetchConversation(topic, [Stretch(partition, start, None)], Tally(), arrived=arrived)
