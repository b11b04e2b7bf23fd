"""The table of APIs that this broker serves, and what follows from it: headers, message classes.

An API is in the table when it works, not before: clients cope with a missing API better than with a wrong one.
Ranges are inclusive. The advertised range differs from the served one in a single case, Produce: old librdkafka
takes a minimum above 0 for "no compression supported" (KAFKA-18659), while nothing sends those versions any more.
`OWN_APIS` are not of Kafka's protocol: for what that cannot ask. Only logd's own clients, which name themselves in
ApiVersions, are told of them (docs/adr/20261130-apis-of-our-own.md).

What the versions brought (KIP):
- Produce 3: transactions (98); 5: log start offset (107); 7: zstd (110); 8: record errors (467); 10: new leader in
  the answer (951); 11, 12: transactions, second version (890); 13: topic ids (516).
- Fetch 4: isolation level (98); 7: sessions (227); 9: leader epoch (320); 10: zstd (110); 11: closest replica
  (392); 12: divergence by epoch (595); 13: topic ids (516); 15: replica state (903); 16: new leader (951); 17:
  directory ids (853); 18: high watermark of the follower (1166).
- ListOffsets 2: isolation level (98); 4: leader epoch (320); 7: greatest timestamp (734); 8 to 11: tiers (405,
  1005, 1075, 1023).
- Metadata 7: leader epoch (320); 8: authorised operations (430); 10, 12: topic ids (516); 13: top-level error (1102).
- ApiVersions 3: client software, fallback (511), features (584); 5: the node that is meant (1242).
- CreateTopics 5: configuration in the answer (525); 7: topic id (516).   DeleteTopics 6: topic ids (516).
- CreatePartitions 2: flexible, 3: quotas (599).   DeleteRecords 2: flexible.
- AlterReplicaLogDirs, DescribeLogDirs 2: flexible; DescribeLogDirs 3: an error for all of it, 4: size of the disk
  (827), 5: cordoned directories (1066).
- ElectLeaders 1: unclean elections (460).   AlterPartitionReassignments 1: the replication factor may be kept (860).
- DescribeAcls, CreateAcls, DeleteAcls 1: pattern types (290), 3: user resources (373).
- DescribeQuorum 1: times of the voters (836), 2: directory ids, endpoints (853).
- UpdateFeatures 1: kinds of downgrades (778), 2: one answer for all (1022).
- InitProducerId 3: epoch bump by the client (360); 4: PRODUCER_FENCED (588); 5: transactions, second version (890).
- AddPartitionsToTxn 2, AddOffsetsToTxn 2, EndTxn 2: PRODUCER_FENCED (588); AddPartitionsToTxn 4, 5, AddOffsetsToTxn 4,
  EndTxn 4, 5: transactions, second version (890).   ListTransactions 1: duration (994); 2: pattern (1152).
- FindCoordinator 1: key types; 4: many keys (699); 6: share groups (932).
- JoinGroup 4: the member id comes first (394); 5: static members (345); 7: protocol type (559); 8: reason (800); 9:
  the leader may be told not to assign (814).   SyncGroup 3, Heartbeat 3, LeaveGroup 3: static members (345); SyncGroup
  5: protocol type (559); LeaveGroup 5: reason (800).
- OffsetCommit 6: leader epoch (320); 7: static members (345); 9: members of the new protocol, 10: topic ids (848).
- TxnOffsetCommit 2: leader epoch (320); 3: members (447); 4, 5: transactions, second version (890); 6: topic ids
  (1319).
- OffsetFetch 2: all topics; 5: leader epoch (320); 7: stable offsets (447); 8: many groups (709); 9, 10 as above.
- DescribeGroups 3: authorised operations (430); 4: static members (345); 6: error for unknown groups (1043).
- ListGroups 4: states (518); 5: types (848).   DeleteGroups 0 (229); 3: messages (1043).   OffsetDelete 0 (496).
- OffsetForLeaderEpoch 2: leader epoch (320).   DescribeCluster 1: controllers (919); 2: fenced brokers (1073).
- DescribeConfigs 1: synonyms (226); 3: documentation (569).   IncrementalAlterConfigs (339).
- ConsumerGroupHeartbeat 1: patterns (848), member ids of the client (1082).   ConsumerGroupDescribe 1: types of
  members (1099).
- ListConfigResources 0: client metrics (714); 1: every kind (1142).
Flexible versions are those of KIP-482.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, NamedTuple

from protocol.messages.message import Message

API_VERSIONS: Final = 18
NEVER_FLEXIBLE: Final = 1 << 15
"""First flexible version of an API that has none."""


class ApiSpec(NamedTuple):
    """One API: what of it is served."""

    key: int
    name: str
    module: str
    """Name of its module in `protocol.messages`."""
    min_version: int
    max_version: int
    first_flexible: int
    advertised_min: int


def _spec(
    key: int, name: str, module: str, versions: tuple[int, int], *, flexible: int, advertised_min: int = -1
) -> ApiSpec:
    first, last = versions
    return ApiSpec(key, name, module, first, last, flexible, first if advertised_min < 0 else advertised_min)


APIS: Final[dict[int, ApiSpec]] = {
    spec.key: spec
    for spec in (
        _spec(0, "Produce", "produce", (3, 13), flexible=9, advertised_min=0),
        _spec(1, "Fetch", "fetch", (4, 18), flexible=12),
        _spec(2, "ListOffsets", "list_offsets", (1, 11), flexible=6),
        _spec(3, "Metadata", "metadata", (0, 13), flexible=9),
        _spec(8, "OffsetCommit", "offset_commit", (2, 10), flexible=8),
        _spec(9, "OffsetFetch", "offset_fetch", (1, 10), flexible=6),
        _spec(10, "FindCoordinator", "find_coordinator", (0, 6), flexible=3),
        _spec(11, "JoinGroup", "join_group", (0, 9), flexible=6),
        _spec(12, "Heartbeat", "heartbeat", (0, 4), flexible=4),
        _spec(13, "LeaveGroup", "leave_group", (0, 5), flexible=4),
        _spec(14, "SyncGroup", "sync_group", (0, 5), flexible=4),
        _spec(15, "DescribeGroups", "describe_groups", (0, 6), flexible=5),
        _spec(16, "ListGroups", "list_groups", (0, 5), flexible=3),
        _spec(18, "ApiVersions", "api_versions", (0, 5), flexible=3),
        _spec(19, "CreateTopics", "create_topics", (2, 7), flexible=5),
        _spec(20, "DeleteTopics", "delete_topics", (1, 6), flexible=4),
        _spec(21, "DeleteRecords", "delete_records", (0, 2), flexible=2),
        _spec(22, "InitProducerId", "init_producer_id", (0, 5), flexible=2),
        _spec(23, "OffsetForLeaderEpoch", "offset_for_leader_epoch", (2, 4), flexible=4),
        _spec(24, "AddPartitionsToTxn", "add_partitions_to_txn", (0, 5), flexible=3),
        _spec(25, "AddOffsetsToTxn", "add_offsets_to_txn", (0, 4), flexible=3),
        _spec(26, "EndTxn", "end_txn", (0, 5), flexible=3),
        _spec(27, "WriteTxnMarkers", "write_txn_markers", (1, 2), flexible=1),
        _spec(28, "TxnOffsetCommit", "txn_offset_commit", (0, 6), flexible=3),
        _spec(29, "DescribeAcls", "describe_acls", (1, 3), flexible=2),
        _spec(30, "CreateAcls", "create_acls", (1, 3), flexible=2),
        _spec(31, "DeleteAcls", "delete_acls", (1, 3), flexible=2),
        _spec(32, "DescribeConfigs", "describe_configs", (1, 4), flexible=4),
        _spec(33, "AlterConfigs", "alter_configs", (0, 2), flexible=2),
        _spec(34, "AlterReplicaLogDirs", "alter_replica_log_dirs", (1, 2), flexible=2),
        _spec(35, "DescribeLogDirs", "describe_log_dirs", (1, 5), flexible=2),
        _spec(37, "CreatePartitions", "create_partitions", (0, 3), flexible=2),
        _spec(42, "DeleteGroups", "delete_groups", (0, 3), flexible=2),
        _spec(43, "ElectLeaders", "elect_leaders", (0, 2), flexible=2),
        _spec(44, "IncrementalAlterConfigs", "incremental_alter_configs", (0, 1), flexible=1),
        _spec(45, "AlterPartitionReassignments", "alter_partition_reassignments", (0, 1), flexible=0),
        _spec(46, "ListPartitionReassignments", "list_partition_reassignments", (0, 0), flexible=0),
        _spec(47, "OffsetDelete", "offset_delete", (0, 0), flexible=NEVER_FLEXIBLE),
        _spec(48, "DescribeClientQuotas", "describe_client_quotas", (0, 1), flexible=1),
        _spec(49, "AlterClientQuotas", "alter_client_quotas", (0, 1), flexible=1),
        _spec(50, "DescribeUserScramCredentials", "describe_user_scram_credentials", (0, 0), flexible=0),
        _spec(51, "AlterUserScramCredentials", "alter_user_scram_credentials", (0, 0), flexible=0),
        _spec(55, "DescribeQuorum", "describe_quorum", (0, 2), flexible=0),
        _spec(57, "UpdateFeatures", "update_features", (0, 2), flexible=0),
        _spec(60, "DescribeCluster", "describe_cluster", (0, 2), flexible=0),
        _spec(61, "DescribeProducers", "describe_producers", (0, 0), flexible=0),
        _spec(64, "UnregisterBroker", "unregister_broker", (0, 0), flexible=0),
        _spec(65, "DescribeTransactions", "describe_transactions", (0, 0), flexible=0),
        _spec(66, "ListTransactions", "list_transactions", (0, 2), flexible=0),
        _spec(68, "ConsumerGroupHeartbeat", "consumer_group_heartbeat", (0, 1), flexible=0),
        _spec(69, "ConsumerGroupDescribe", "consumer_group_describe", (0, 1), flexible=0),
        _spec(74, "ListConfigResources", "list_config_resources", (0, 1), flexible=0),
        _spec(75, "DescribeTopicPartitions", "describe_topic_partitions", (0, 0), flexible=0),
    )
}

OWN_APIS: Final[dict[int, ApiSpec]] = {
    spec.key: spec
    for spec in (
        _spec(27_748, "DescribeCompaction", "describe_compaction", (0, 0), flexible=0),
        _spec(27_749, "CompactPartitions", "compact_partitions", (0, 0), flexible=0),
    )
}
"""Keys from "ld" in ASCII on, far from Kafka's, which go up to a hundred."""

OWN_SOFTWARE: Final = "logd"
"""As what a client names itself that knows `OWN_APIS`."""

SERVED_APIS: Final[dict[int, ApiSpec]] = APIS | OWN_APIS


def first_flexible_answer(api_key: int, first_flexible: int | None) -> int:
    """Return the first version whose response header ends with a tag buffer; NEVER_FLEXIBLE when none does.

    A request header has one from `first_flexible` on, and so has the answer's. ApiVersions is the exception: a client
    asks before it knows which versions the broker understands (KIP-511).
    """
    return NEVER_FLEXIBLE if first_flexible is None or api_key == API_VERSIONS else first_flexible


def message_types(spec: ApiSpec) -> tuple[type[Message], type[Message]]:
    """Import an API's messages: its request and its response class."""
    module = import_module(f"protocol.messages.{spec.module}")
    return getattr(module, f"{spec.name}Request"), getattr(module, f"{spec.name}Response")
