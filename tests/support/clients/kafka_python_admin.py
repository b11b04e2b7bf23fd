"""kafka-python's admin client behind the port's admin side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    AlterConfigOp,
    ConfigResource,
    ConfigSourceType,
    OffsetSpec,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.admin import ACLResourcePatternType as PatternType
from kafka.errors import BrokerResponseError

from protocol.errors import ErrorCode
from tests.support.clients.admin_port import (
    Admin,
    DirSize,
    Offer,
    OffsetAt,
    ProducerView,
    Resource,
    Setting,
    Source,
)
from tests.support.clients.port import ClientError

_SPECS = {
    "earliest": OffsetSpec.EARLIEST,
    "latest": OffsetSpec.LATEST,
    "max_timestamp": OffsetSpec.MAX_TIMESTAMP,
}
_PREFERRED = 0


class KafkaPythonAdmin(Admin):
    name = "kafka-python"
    offers = frozenset(Offer) - {Offer.DESCRIBE_QUOTAS}

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def describe_configs(self, resource: Resource) -> dict[str, Setting]:
        asked = [ConfigResource(resource.kind, resource.name)]
        found = self._call("describe_configs", asked, config_filter="all")
        return {
            name: Setting(
                each["value"], Source(ConfigSourceType[each["config_source"]].value), each["read_only"]
            )
            for name, each in found[resource.kind][resource.name].items()
        }

    def change_configs(
        self, resource: Resource, values: Mapping[str, str], deleted: Sequence[str] = ()
    ) -> None:
        changes: dict[str, Any] = dict(values)
        changes |= dict.fromkeys(deleted, (AlterConfigOp.DELETE, None))
        self._alter(resource, changes, incremental=True)

    def alter_configs(self, resource: Resource, values: Mapping[str, str]) -> None:
        """The client adds what is set already before it asks, so that nothing is lost; see `reset_configs`."""
        self._alter(resource, dict(values), incremental=False)

    def create_partitions(self, topic: str, total: int) -> None:
        self._call("create_partitions", {topic: total})

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int | None:
        at = TopicPartition(topic, partition)
        return int(self._call("delete_records", {at: before})[at]["low_watermark"])

    def list_offsets(self, topic: str, at: OffsetAt, timestamp_ms: int = 0) -> int | None:
        partition = TopicPartition(topic, 0)
        found = self._call("list_partition_offsets", {partition: _SPECS.get(at, timestamp_ms)})[partition]
        return None if found.offset < 0 else int(found.offset)

    def describe_log_dirs(self) -> list[DirSize]:
        return [
            DirSize(directory["log_dir"], topic["name"], each["partition_index"], each["partition_size"])
            for broker in self._call("describe_log_dirs")
            for directory in broker["log_dirs"]
            for topic in directory["topics"]
            for each in topic["partitions"]
        ]

    def describe_producers(self, topic: str, partition: int = 0) -> list[ProducerView]:
        at = TopicPartition(topic, partition)
        found = self._call("describe_producers", [at])[at].active_producers
        return [ProducerView(each.producer_id, each.producer_epoch, each.last_sequence) for each in found]

    def elect_leaders(self, topic: str, partitions: Sequence[int]) -> dict[int, str]:
        found = self._call("elect_leaders", _PREFERRED, {topic: list(partitions)})
        return {
            each.partition_id: ErrorCode(each.error_code).name
            for result in found.replica_election_results
            for each in result.partition_result
        }

    def list_reassignments(self, topic: str) -> int:
        return len(self._call("list_partition_reassignments"))

    def cancel_reassignment(self, topic: str, partition: int = 0) -> None:
        at = TopicPartition(topic, partition)
        refused = self._call("alter_partition_reassignments", {at: None})[at]
        if refused is not None:
            raise ClientError(ErrorCode(refused.errno).name)

    def describe_acls(self) -> int:
        pattern = ResourcePatternFilter(ResourceType.ANY, None, PatternType.ANY)
        every = ACLFilter(
            principal=None,
            host=None,
            operation=ACLOperation.ANY,
            permission_type=ACLPermissionType.ANY,
            resource_pattern=pattern,
        )
        acls, _ = self._call("describe_acls", every)
        return len(acls)

    def describe_scram(self) -> int:
        return len(self._call("describe_user_scram_credentials"))

    def describe_quorum(self) -> int:
        return int(self._call("describe_metadata_quorum")["topics"][0]["partitions"][0]["leader_id"])

    def describe_topic_partitions(self, topic: str) -> list[tuple[int, int]]:
        (found,) = self._call("describe_topic_partitions", [topic])["topics"]
        return [(each["partition_index"], each["leader_id"]) for each in found["partitions"]]

    def list_config_resources(self) -> list[Resource]:
        found = self._call("list_config_resources")
        return [Resource(kind, name) for kind in ("topic", "broker") for name in found.get(kind, ())]

    def _alter(self, resource: Resource, changes: dict[str, Any], *, incremental: bool) -> None:
        asked = [ConfigResource(resource.kind, resource.name, changes)]
        answer = self._call("alter_configs", asked, raise_on_unknown=False, incremental=incremental)
        outcome = answer[resource.kind][resource.name]
        if outcome != "OK":  # a text such as "[Error 40] InvalidConfigurationError: …"
            code = re.search(r"Error (\d+)", outcome)
            raise ClientError("CLIENT_ERROR" if code is None else ErrorCode(int(code[1])).name, outcome)

    def _call(self, call: str, *arguments: Any, **options: Any) -> Any:
        with closing(KafkaAdminClient(bootstrap_servers=self._bootstrap)) as admin:
            try:
                return getattr(admin, call)(*arguments, **options)
            except BrokerResponseError as failure:
                raise ClientError(ErrorCode(failure.errno).name, str(failure)) from failure
