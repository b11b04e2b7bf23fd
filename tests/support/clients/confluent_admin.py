"""confluent-kafka's admin client (librdkafka) behind the port's admin side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import ElectionType, KafkaException, TopicPartition
from confluent_kafka import admin as confluent_admin
from confluent_kafka.cimpl import NewPartitions

from protocol.errors import ErrorCode
from tests.support.clients.admin_port import (
    Admin,
    Offer,
    OffsetAt,
    Resource,
    Setting,
    Source,
)
from tests.support.clients.port import ClientError
from tests.support.patience import PATIENCE_S

_kafka: Any = confluent_admin  # its stubs neither export what it offers nor allow None where it does
_SPECS = {
    "earliest": _kafka.OffsetSpec.earliest(),
    "latest": _kafka.OffsetSpec.latest(),
    "max_timestamp": _kafka.OffsetSpec.max_timestamp(),
}


class ConfluentAdmin(Admin):
    name = "confluent-kafka"
    offers = frozenset(
        {
            Offer.DESCRIBE_CONFIGS,
            Offer.CHANGE_CONFIGS,
            Offer.ALTER_CONFIGS,
            Offer.CREATE_PARTITIONS,
            Offer.DELETE_RECORDS,
            Offer.LIST_OFFSETS,
            Offer.LIST_MAX_TIMESTAMP,
            Offer.ELECT_LEADERS,
            Offer.DESCRIBE_ACLS,
            Offer.DESCRIBE_SCRAM,
        }
    )

    def __init__(self, bootstrap: str) -> None:
        self._settings = {"bootstrap.servers": bootstrap}

    def describe_configs(self, resource: Resource) -> dict[str, Setting]:
        asked = _kafka.ConfigResource(resource.kind, resource.name)
        found = self._call("describe_configs", [asked], of=asked)
        # A source is a number in what the C library makes, an enum in what an application makes.
        return {
            name: Setting(
                each.value, Source(int(getattr(each.source, "value", each.source))), each.is_read_only
            )
            for name, each in found.items()
        }

    def change_configs(
        self, resource: Resource, values: Mapping[str, str], deleted: Sequence[str] = ()
    ) -> None:
        changes = [
            _kafka.ConfigEntry(name, value, incremental_operation=_kafka.AlterConfigOpType.SET)
            for name, value in values.items()
        ]
        changes += [
            _kafka.ConfigEntry(name, None, incremental_operation=_kafka.AlterConfigOpType.DELETE)
            for name in deleted
        ]
        asked = _kafka.ConfigResource(resource.kind, resource.name, incremental_configs=changes)
        self._call("incremental_alter_configs", [asked], of=asked)

    def alter_configs(self, resource: Resource, values: Mapping[str, str]) -> None:
        asked = _kafka.ConfigResource(resource.kind, resource.name, set_config=dict(values))
        with warnings.catch_warnings():  # deprecated, and still what many programs call
            warnings.simplefilter("ignore", DeprecationWarning)
            self._call("alter_configs", [asked], of=asked)

    def create_partitions(self, topic: str, total: int) -> None:
        self._call("create_partitions", [NewPartitions(topic, total)], of=topic)

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int | None:
        at = TopicPartition(topic, partition, before)
        return int(self._call("delete_records", [at], of=at).low_watermark)

    def list_offsets(self, topic: str, at: OffsetAt, timestamp_ms: int = 0) -> int | None:
        spec = _SPECS[at] if at in _SPECS else _kafka.OffsetSpec.for_timestamp(timestamp_ms)
        partition = TopicPartition(topic, 0)
        found = self._call("list_offsets", {partition: spec}, of=partition)
        return None if found.offset < 0 else int(found.offset)

    def elect_leaders(self, topic: str, partitions: Sequence[int]) -> dict[int, str]:
        asked = [TopicPartition(topic, partition) for partition in partitions]
        # Without a time-out: 2.16.1 fails on every keyword of this call.
        admin = _kafka.AdminClient(self._settings)
        found = admin.elect_leaders(ElectionType.PREFERRED, asked).result(PATIENCE_S)
        return {
            at.partition: "NONE" if refused is None else ErrorCode(refused.code()).name
            for at, refused in found.items()
        }

    def describe_acls(self) -> int:
        every = _kafka.AclBindingFilter(
            _kafka.ResourceType.ANY,
            None,
            _kafka.ResourcePatternType.ANY,
            None,
            None,
            _kafka.AclOperation.ANY,
            _kafka.AclPermissionType.ANY,
        )
        return len(self._call("describe_acls", every))

    def describe_scram(self) -> int:
        return len(self._call("describe_user_scram_credentials"))

    def _call(self, call: str, *arguments: Any, of: Any = None) -> Any:
        """Wait for the future, or for that of `of` where the client returns one for each thing asked about."""
        admin = _kafka.AdminClient(self._settings)  # must outlive its futures
        future = getattr(admin, call)(*arguments, request_timeout=PATIENCE_S)
        try:
            return (future if of is None else future[of]).result(PATIENCE_S)
        except KafkaException as failure:
            error = failure.args[0]
            known = error.code() > 0
            raise ClientError(
                ErrorCode(error.code()).name if known else "CLIENT_ERROR", str(error)
            ) from failure
