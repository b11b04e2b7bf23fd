"""aiokafka's transactional producer behind the port: an event loop of its own, which runs during calls."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tests.support.clients.port import ClientError
from tests.support.patience import PATIENCE_S

_NAMES = {"ProducerFenced": "PRODUCER_FENCED", "InvalidProducerEpoch": "INVALID_PRODUCER_EPOCH"}


class AioKafkaTransactions:
    """A `tests.support.clients.transactional.Transactional`."""

    def __init__(self, bootstrap: str, transactional_id: str, settings: dict[str, Any]) -> None:
        self._runner = asyncio.Runner()

        async def make() -> AIOKafkaProducer:
            return AIOKafkaProducer(
                bootstrap_servers=bootstrap, transactional_id=transactional_id, **settings
            )

        self._producer = self._runner.run(make())

    def init(self) -> None:
        self._do(self._producer.start())

    def begin(self) -> None:
        self._do(self._producer.begin_transaction())

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        async def send() -> None:
            sent = [await self._producer.send(topic, value=value, partition=partition) for value in values]
            for each in sent:
                await each

        self._do(send())

    def send_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        self._do(
            self._producer.send_offsets_to_transaction({TopicPartition(topic, partition): offset}, group)
        )

    def commit(self) -> None:
        self._do(self._producer.commit_transaction())

    def abort(self) -> None:
        self._do(self._producer.abort_transaction())

    def close(self) -> None:
        with suppress(ClientError, TimeoutError):  # of what was left open
            self._do(self._producer.stop())
        self._runner.close()

    def _do(self, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self._runner.run(asyncio.wait_for(call, PATIENCE_S))
        except KafkaError as failure:
            kind = type(failure).__name__
            raise ClientError(_NAMES.get(kind, kind), str(failure)) from failure
