"""The port's admin side: what administration beyond topics a client may offer, as plain values.

Topics themselves (create, describe, list, delete) are in the port of every client. Of the rest each client has
a part, which it declares in `offers`: a scenario runs with those clients that offer it, so nothing is skipped.
Calls raise ClientError with the name of Kafka's error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, NamedTuple


class Offer(Enum):
    """A call, and what the table in docs/clients.md calls it."""

    DESCRIBE_CONFIGS = "describe configs"
    CHANGE_CONFIGS = "change configs (incremental)"
    ALTER_CONFIGS = "replace configs (AlterConfigs)"
    CREATE_PARTITIONS = "create partitions"
    DELETE_RECORDS = "delete records"
    LIST_OFFSETS = "list offsets"
    LIST_MAX_TIMESTAMP = "offset of the largest timestamp"
    DESCRIBE_LOG_DIRS = "describe log dirs"
    DESCRIBE_PRODUCERS = "describe producers"
    ELECT_LEADERS = "elect leaders"
    LIST_REASSIGNMENTS = "list reassignments"
    CANCEL_REASSIGNMENT = "cancel a reassignment"
    DESCRIBE_ACLS = "describe ACLs"
    DESCRIBE_QUOTAS = "describe quotas"
    DESCRIBE_SCRAM = "describe SCRAM users"
    DESCRIBE_QUORUM = "describe quorum"
    DESCRIBE_TOPIC_PARTITIONS = "describe topic partitions"
    LIST_CONFIG_RESOURCES = "list config resources"


OffsetAt = Literal["earliest", "latest", "max_timestamp", "timestamp"]


class Resource(NamedTuple):
    kind: Literal["topic", "broker"]
    name: str


class Source(Enum):
    """Where a value comes from, by the number on the wire (KIP-226)."""

    TOPIC = 1
    BROKER = 2
    ALL_BROKERS = 3
    STATIC = 4
    DEFAULT = 5


class Setting(NamedTuple):
    value: str | None
    source: Source
    read_only: bool | None  # None where the client does not tell


class DirSize(NamedTuple):
    """One partition in one data directory; size in bytes."""

    directory: str
    topic: str
    partition: int
    size: int


class ProducerView(NamedTuple):
    producer_id: int
    epoch: int
    last_sequence: int


class Admin:
    """What an adapter does not override its client does not offer."""

    name: str
    offers: frozenset[Offer]

    def describe_configs(self, resource: Resource) -> dict[str, Setting]:
        """All properties, those at their default too."""
        raise NotImplementedError

    def change_configs(
        self, resource: Resource, values: Mapping[str, str], deleted: Sequence[str] = ()
    ) -> None:
        """Set and delete what is named, leave the rest (IncrementalAlterConfigs)."""
        raise NotImplementedError

    def alter_configs(self, resource: Resource, values: Mapping[str, str]) -> None:
        """Replace everything that is set on the resource (AlterConfigs)."""
        raise NotImplementedError

    def create_partitions(self, topic: str, total: int) -> None:
        raise NotImplementedError

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int | None:
        """Return the new log start offset; None where the client does not tell."""
        raise NotImplementedError

    def list_offsets(self, topic: str, at: OffsetAt, timestamp_ms: int = 0) -> int | None:
        """The offset in partition 0; None where no record is that late."""
        raise NotImplementedError

    def describe_log_dirs(self) -> list[DirSize]:
        raise NotImplementedError

    def describe_producers(self, topic: str, partition: int = 0) -> list[ProducerView]:
        raise NotImplementedError

    def elect_leaders(self, topic: str, partitions: Sequence[int]) -> dict[int, str]:
        """Elect the preferred leaders; return the error name of each partition, NONE for none."""
        raise NotImplementedError

    def list_reassignments(self, topic: str) -> int:
        """How many topics are being reassigned; clients that must name one ask for this topic alone."""
        raise NotImplementedError

    def cancel_reassignment(self, topic: str, partition: int = 0) -> None:
        raise NotImplementedError

    def describe_acls(self) -> int:
        raise NotImplementedError

    def describe_quotas(self) -> int:
        raise NotImplementedError

    def describe_scram(self) -> int:
        raise NotImplementedError

    def describe_quorum(self) -> int:
        """The node id of the metadata quorum's leader."""
        raise NotImplementedError

    def describe_topic_partitions(self, topic: str) -> list[tuple[int, int]]:
        """(partition, leader) in order."""
        raise NotImplementedError

    def list_config_resources(self) -> list[Resource]:
        """Topics and brokers."""
        raise NotImplementedError
