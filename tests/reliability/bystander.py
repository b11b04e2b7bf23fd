"""A well-behaved client that produces, reads back and compares, for as long as others misbehave.

It runs on a thread of its own. Every failure is kept and raised by `stop`: a lost connection, an error code, an
offset that is not the next one, a byte that is not as sent.
"""

from __future__ import annotations

import asyncio
import random
import threading
from types import TracebackType

from logd.clients.client import Client
from protocol.record_builder import build_batch
from protocol.records import Record, iter_batches

_OFFSET_BYTES = 8
_EPOCH = slice(12, 16)
_SETTINGS = {"segment.bytes": str(1 << 20), "retention.ms": "-1"}
"""Small segments; its records are old, and are to be there when it reads them."""


class Bystander:
    """Uses a topic of its own, which it creates; a context manager."""

    def __init__(
        self, address: tuple[str, int], *, topic: str = "bystander-of-the-fuzzing", acks: int = -1
    ) -> None:
        self._address = address
        self._topic = topic
        self._acks = acks
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self.rounds = 0
        """Batches produced, read back and found unharmed."""
        self._thread = threading.Thread(target=self._run, name="bystander", daemon=True)

    def stop(self) -> None:
        """End, and raise what went wrong, if anything did."""
        self._stop.set()
        self._thread.join(60)
        if self._failure is not None:
            raise AssertionError(f"the bystander was harmed in round {self.rounds}") from self._failure

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self._stop.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._use())
        except BaseException as failure:
            self._failure = failure

    async def _use(self) -> None:
        source = random.Random(1)
        async with await Client.connect(*self._address) as client:
            await client.create_topic(self._topic, configs=_SETTINGS)
            offset = 0
            while not self._stop.is_set():
                records = [
                    Record(index, 1_700_000_000_000, None, source.randbytes(100), ()) for index in range(3)
                ]
                sent = build_batch(records)
                answer = await client.produce(self._topic, 0, bytes(sent), self._acks)
                assert answer is not None and answer.base_offset == offset, (answer, offset)
                fetched = await client.fetch(self._topic, 0, offset)
                assert isinstance(fetched.records, memoryview)
                found = next(iter_batches(fetched.records))
                sent[:_OFFSET_BYTES] = offset.to_bytes(_OFFSET_BYTES, "big")
                sent[_EPOCH] = found[_EPOCH]
                assert found == sent, f"offset {offset} came back changed"
                offset += len(records)
                self.rounds += 1
                await asyncio.sleep(0.005)
