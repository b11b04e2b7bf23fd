"""aiokafka's admin client behind the port's admin side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import BrokerResponseError

from protocol.errors import ErrorCode
from tests.support.clients.admin_port import (
    Admin,
    Offer,
    Resource,
    Setting,
    Source,
)
from tests.support.clients.port import ClientError


class AioKafkaAdmin(Admin):
    name = "aiokafka"
    offers = frozenset(
        {Offer.DESCRIBE_CONFIGS, Offer.ALTER_CONFIGS, Offer.CREATE_PARTITIONS, Offer.DELETE_RECORDS}
    )

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def describe_configs(self, resource: Resource) -> dict[str, Setting]:
        (answer,) = self._call("describe_configs", [_resource(resource)])
        ((code, message, _, _, entries),) = answer.resources
        _refuse(code, message)
        return {
            name: Setting(value, Source(source), bool(read_only))
            for name, value, read_only, source, *_ in entries
        }

    def alter_configs(self, resource: Resource, values: Mapping[str, str]) -> None:
        for answer in self._call("alter_configs", [_resource(resource, dict(values))]):
            for code, message, *_ in answer.resources:
                _refuse(code, message)

    def create_partitions(self, topic: str, total: int) -> None:
        self._call("create_partitions", {topic: NewPartitions(total)})

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int | None:
        at = TopicPartition(topic, partition)
        return int(self._call("delete_records", {at: RecordsToDelete(before)})[at])

    def _call(self, call: str, *arguments: Any) -> Any:
        async def run() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            await admin.start()
            try:
                return await getattr(admin, call)(*arguments)
            except BrokerResponseError as failure:
                raise ClientError(ErrorCode(failure.errno).name, str(failure)) from failure
            finally:
                await admin.close()

        return asyncio.run(run())


def _resource(resource: Resource, values: dict[str, str] | None = None) -> ConfigResource:
    return ConfigResource(ConfigResourceType[resource.kind.upper()], resource.name, values)


def _refuse(code: int, message: str | None) -> None:
    if code:
        raise ClientError(ErrorCode(code).name, message or "")
