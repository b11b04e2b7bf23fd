"""The Java admin client behind the port's admin side: what ClientProbe hands on to AdminCalls.

Beside the port's calls it has those that only Kafka's own client makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.support import java
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

_SOURCES = {
    "DYNAMIC_TOPIC_CONFIG": Source.TOPIC,
    "DYNAMIC_BROKER_CONFIG": Source.BROKER,
    "DYNAMIC_DEFAULT_BROKER_CONFIG": Source.ALL_BROKERS,
    "STATIC_BROKER_CONFIG": Source.STATIC,
    "DEFAULT_CONFIG": Source.DEFAULT,
}


class ListedOffset(NamedTuple):
    offset: int
    timestamp_ms: int
    leader_epoch: int | None


class QuorumView(NamedTuple):
    leader: int
    high_watermark: int
    voters: tuple[int, ...]
    observers: int


class ReplicaView(NamedTuple):
    directory: str | None
    lag: int
    moving: bool


def offered_by(kit: java.Kit) -> frozenset[Offer]:
    """AlterConfigs went from the client with 4.0, ListConfigResources came with 4.1."""
    lacking = Offer.LIST_CONFIG_RESOURCES if kit is java.CLIENT_3_9 else Offer.ALTER_CONFIGS
    return frozenset(Offer) - {lacking}


class JavaAdmin(Admin):
    def _call(
        self, command: str, arguments: Mapping[str, Any], items: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        """Ask the JVM; return the fields of each line that it answered."""
        raise NotImplementedError

    def describe_configs(self, resource: Resource) -> dict[str, Setting]:
        return {
            each["name"]: Setting(each.get("value"), _SOURCES[each["source"]], each["read_only"] == "true")
            for each in self._call("describe_configs", resource._asdict())
        }

    def change_configs(
        self, resource: Resource, values: Mapping[str, str], deleted: Sequence[str] = ()
    ) -> None:
        fields = _set(resource, values) | ({"deleted": ",".join(deleted)} if deleted else {})
        self._call("change_configs", fields)

    def alter_configs(self, resource: Resource, values: Mapping[str, str]) -> None:
        self._call("alter_configs", _set(resource, values))

    def create_partitions(self, topic: str, total: int) -> None:
        self._call("create_partitions", {"topic": topic, "total": total})

    def create_partitions_on(self, topic: str, total: int, nodes: Sequence[int]) -> None:
        """Each new partition with one replica, on the node named for it."""
        assignments = ",".join(map(str, nodes))
        self._call("create_partitions", {"topic": topic, "total": total, "assignments": assignments})

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int | None:
        arguments = {"topic": topic, "partition": partition, "before": before}
        return int(self._call("delete_records", arguments)[0]["low_watermark"])

    def list_offsets(self, topic: str, at: OffsetAt, timestamp_ms: int = 0) -> int | None:
        found = self.list_offset(topic, at, timestamp_ms).offset
        return None if found < 0 else found

    def list_offset(self, topic: str, at: str, timestamp_ms: int = 0) -> ListedOffset:
        """Also `earliest_local` and `latest_tiered`; -1 is none."""
        arguments = {"topic": topic, "at": at, "timestamp": timestamp_ms}
        (found,) = self._call("list_offsets", arguments)
        epoch = None if found["leader_epoch"] == "-" else int(found["leader_epoch"])
        return ListedOffset(int(found["offset"]), int(found["timestamp"]), epoch)

    def describe_log_dirs(self) -> list[DirSize]:
        return [
            DirSize(each["directory"], each["topic"], int(each["partition"]), int(each["size"]))
            for each in self._call("describe_log_dirs", {})
        ]

    def describe_replica(self, topic: str, partition: int = 0) -> ReplicaView:
        (found,) = self._call("describe_replica_log_dirs", {"topic": topic, "partition": partition})
        return ReplicaView(found.get("directory"), int(found["lag"]), found["moving"] == "true")

    def describe_producers(self, topic: str, partition: int = 0) -> list[ProducerView]:
        return [
            ProducerView(int(each["id"]), int(each["epoch"]), int(each["last_sequence"]))
            for each in self._call("describe_producers", {"topic": topic, "partition": partition})
        ]

    def elect_leaders(self, topic: str, partitions: Sequence[int], kind: str = "PREFERRED") -> dict[int, str]:
        arguments = {"topic": topic, "partitions": ",".join(map(str, partitions)), "kind": kind}
        return {int(each["partition"]): each["error"] for each in self._call("elect_leaders", arguments)}

    def list_reassignments(self, topic: str) -> int:
        return self._count("list_reassignments")

    def cancel_reassignment(self, topic: str, partition: int = 0) -> None:
        self._call("cancel_reassignment", {"topic": topic, "partition": partition})

    def describe_acls(self) -> int:
        return self._count("describe_acls")

    def describe_quotas(self) -> int:
        return self._count("describe_quotas")

    def describe_scram(self) -> int:
        return self._count("describe_scram")

    def describe_quorum(self) -> int:
        return self.describe_metadata_quorum().leader

    def describe_metadata_quorum(self) -> QuorumView:
        (found,) = self._call("describe_quorum", {})
        voters = tuple(int(each) for each in found["voters"].split(","))
        return QuorumView(int(found["leader"]), int(found["high_watermark"]), voters, int(found["observers"]))

    def describe_features(self) -> dict[str, tuple[int, int]]:
        """(finalised level, highest level supported) by name."""
        return {
            each["name"]: (int(each["level"]), int(each["supported"]))
            for each in self._call("describe_features", {})
        }

    def describe_topic_partitions(self, topic: str) -> list[tuple[int, int]]:
        found = self._call("describe_topic_partitions", {"topic": topic})
        return [(int(each["index"]), int(each["leader"])) for each in found]

    def list_config_resources(self) -> list[Resource]:
        return [
            Resource("topic" if each["kind"] == "topic" else "broker", each["name"])
            for each in self._call("list_config_resources", {})
            if each["kind"] in {"topic", "broker"}
        ]

    def _count(self, command: str) -> int:
        (found,) = self._call(command, {})
        return int(found["count"])


def _set(resource: Resource, values: Mapping[str, str]) -> dict[str, str]:
    return resource._asdict() | {f"set.{name}": value for name, value in values.items()}
