"""One replica of a partition on this node, in the leader's role: who may write, and what may be read.

It moves the high watermark, and nobody else does. All below the high watermark is on every in-sync replica, so
it survives the loss of any of them but the last; consumers see only that. It is never assumed to be the log end:

    log_start          last_stable        high_watermark        log_end
        |------ decided ----|--- replicated ---|--- written here ---|
                             read_committed     read_uncommitted     followers

The high watermark is the smallest end over the in-sync replicas. A follower's end is what it last reported. The
leader's own end is its log end; but while an append awaits the flush that its topic demands, it is the end of
what is durable, so that with one replica, too, no acknowledgement and no read runs ahead of the disk.
It never falls, and stands still while fewer replicas are in sync than the topic demands (KIP-966).

States, in `refusal`: leader (None) ⇄ not leader (NOT_LEADER_OR_FOLLOWER) → offline (KAFKA_STORAGE_ERROR, or
UNKNOWN_TOPIC_OR_PARTITION once deleted), from where there is no return.
Not here: waiting (a method returns whether the high watermark moved, and the caller wakes those who wait),
bytes, clocks, followers' fetching.
Source: KIP-101, KIP-966; apache/kafka core/…/cluster/Partition.scala.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from protocol.errors import BrokerError, ErrorCode
from protocol.types import LeaderEpoch, NodeId, Offset, TimestampMs, TopicPartition
from replication.partition_state import NO_LEADER
from replication.ports import AppendResult, ReplicaLog

ACKS_ALL = -1
READ_UNCOMMITTED = 0
READ_COMMITTED = 1
DELETE_TO_HIGH_WATERMARK = -1
"""As an offset of DeleteRecords: everything that is replicated."""

LogT = TypeVar("LogT", bound=ReplicaLog)


class Partition(Generic[LogT]):
    """Leadership, replica sets and high watermark of one partition."""

    __slots__ = (
        "_demanded_flush",
        "_follower_ends",
        "_in_sync_followers",
        "_lacks_replicas",
        "assigned_replicas",
        "high_watermark",
        "in_sync_replicas",
        "leader_epoch",
        "leader_id",
        "log",
        "node_id",
        "partition_epoch",
        "refusal",
        "topic_partition",
    )

    def __init__(
        self, topic_partition: TopicPartition, log: LogT, *, node_id: NodeId, high_watermark: Offset = 0
    ) -> None:
        """Start without a role; `high_watermark` is the one checkpointed, which the log may contradict."""
        self.topic_partition = topic_partition
        self.log = log
        self.node_id = node_id
        self.leader_id: NodeId = NO_LEADER
        self.leader_epoch: LeaderEpoch = -1
        """Term of the current leader; rises with every change of it."""
        self.partition_epoch = -1
        """Version of the state below in the metadata; rises with every change of leader or in-sync set."""
        self.assigned_replicas: tuple[NodeId, ...] = ()
        """All replicas, the preferred leader first."""
        self.in_sync_replicas: tuple[NodeId, ...] = ()
        """Replicas that hold all below the high watermark; the leader is one of them."""
        self.high_watermark: Offset = max(log.log_start_offset, min(high_watermark, log.log_end_offset))
        """All below is on every in-sync replica (exclusive). Moves in `_advance_high_watermark` only."""
        self.refusal: ErrorCode | None = ErrorCode.NOT_LEADER_OR_FOLLOWER
        """Why this replica serves nothing; None while it leads."""
        self._follower_ends: dict[NodeId, Offset] = {}
        """Log end of each follower as it last reported in this leader epoch; missing until it does."""
        self._in_sync_followers: tuple[NodeId, ...] = ()
        self._lacks_replicas = False
        """Some are not in sync. While none is lacking, there are enough of them, whatever the topic demands."""
        self._demanded_flush: Offset = -1
        """An append up to here (exclusive) awaits its flush; -1 when none does."""
        # A log that was replayed holds decided transactions back until it hears this, and where the high watermark is
        # at the log end already, no later move of it would tell.
        if log.producers.first_unstable_offset is not None:
            log.producers.on_high_watermark(self.high_watermark)

    # -- role ----------------------------------------------------------------------------------------

    def become_leader(
        self,
        *,
        leader_epoch: LeaderEpoch,
        partition_epoch: int,
        assigned_replicas: tuple[NodeId, ...],
        in_sync_replicas: tuple[NodeId, ...],
    ) -> bool:
        """Lead from now on, in a new epoch or with a new replica set in the same one.

        Returns whether the high watermark moved: at once up to the log end when no other replica is in sync.
        In a new epoch nothing is known of the followers until they report.
        """
        assert self.node_id in in_sync_replicas and set(in_sync_replicas) <= set(assigned_replicas)
        if leader_epoch < self.leader_epoch or partition_epoch < self.partition_epoch or self.is_offline:
            return False
        if leader_epoch > self.leader_epoch or self.refusal is not None:
            self._follower_ends.clear()
            self.log.leader_epochs.assign(leader_epoch, self.log.log_end_offset)
        self.leader_id = self.node_id
        self.leader_epoch = leader_epoch
        self.partition_epoch = partition_epoch
        self.assigned_replicas = assigned_replicas
        self.in_sync_replicas = in_sync_replicas
        self._in_sync_followers = tuple(id_ for id_ in in_sync_replicas if id_ != self.node_id)
        self._lacks_replicas = len(in_sync_replicas) < len(assigned_replicas)
        self.refusal = None
        # A log that was cut back and replayed holds decided transactions back, as one that was just opened does.
        if self.log.producers.first_unstable_offset is not None:
            self.log.producers.on_high_watermark(self.high_watermark)
        return self._advance_high_watermark()

    def resign(self, *, leader_id: NodeId, leader_epoch: LeaderEpoch, partition_epoch: int) -> None:
        """Another node leads from now on, or none (`NO_LEADER`). Those who wait are to be woken."""
        if leader_epoch < self.leader_epoch or partition_epoch < self.partition_epoch or self.is_offline:
            return
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch
        self.partition_epoch = partition_epoch
        self._in_sync_followers = ()
        self._follower_ends.clear()
        self.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER

    def go_offline(self) -> None:
        """The log directory failed or the log is corrupt: serve nothing. Those who wait are to be woken."""
        self.refusal = ErrorCode.KAFKA_STORAGE_ERROR

    def delete(self) -> None:
        """The topic is gone: serve nothing. Those who wait are to be woken."""
        self.refusal = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    @property
    def is_leader(self) -> bool:
        """Whether this replica serves reads and writes."""
        return self.refusal is None

    @property
    def is_offline(self) -> bool:
        """Whether this replica is gone for good."""
        return self.refusal is not None and self.refusal is not ErrorCode.NOT_LEADER_OR_FOLLOWER

    def check_leader(self, current_leader_epoch: LeaderEpoch) -> None:
        """Refuse a request unless this replica leads in the epoch that the sender knows (-1: not said).

        Raises: BrokerError FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER,
        KAFKA_STORAGE_ERROR or UNKNOWN_TOPIC_OR_PARTITION.
        """
        if self.refusal is None and current_leader_epoch in (-1, self.leader_epoch):
            return
        if not self.is_offline and current_leader_epoch not in (-1, self.leader_epoch):
            fenced = current_leader_epoch < self.leader_epoch
            raise BrokerError(
                ErrorCode.FENCED_LEADER_EPOCH if fenced else ErrorCode.UNKNOWN_LEADER_EPOCH,
                f"{self.topic_partition}: leader epoch {current_leader_epoch}, here {self.leader_epoch}",
            )
        raise self._refused()

    # -- writing ---------------------------------------------------------------------------------------

    @property
    def effective_min_in_sync(self) -> int:
        """How many in-sync replicas a write with acks=all needs: never more than there are replicas."""
        return min(self.log.config.min_insync_replicas, len(self.assigned_replicas))

    @property
    def is_under_min_in_sync(self) -> bool:
        """Whether writes with acks=all are refused, and the high watermark stands still."""
        return self._lacks_replicas and len(self.in_sync_replicas) < self.effective_min_in_sync

    def append(self, batch: Any, *, acks: int, now_ms: TimestampMs, origin: Any) -> AppendResult:
        """Write one batch as the leader.

        Afterwards `has_acknowledged` says whether the producer may be answered; the high watermark may have
        moved. `batch` and `origin` are the log's own types.
        Raises: BrokerError (not leader, offline, NOT_ENOUGH_REPLICAS, or the log's refusal), and what the log
        raises when the disk fails; nothing was written then.
        """
        if self.refusal is not None:
            raise self._refused()
        # What is asked for every batch is asked the short way first.
        if acks == ACKS_ALL and self._lacks_replicas and self.is_under_min_in_sync:
            raise self._too_few_in_sync()
        result = self.log.append(batch, leader_epoch=self.leader_epoch, now_ms=now_ms, origin=origin)
        if result.flush_to > self._demanded_flush:  # noqa: PLR1730 - max() costs more than the rest of this
            self._demanded_flush = result.flush_to
        self._advance_high_watermark()
        return result

    def append_marker(self, batch: Any, *, now_ms: TimestampMs, transaction_version: int) -> AppendResult:
        """Write a transaction marker as the leader; like `append` with acks=all.

        Raises: BrokerError as `append`, or because the marker is out of date; what the log raises when the disk fails.
        """
        if self.refusal is not None:
            raise self._refused()
        if self.is_under_min_in_sync:
            raise self._too_few_in_sync()
        result = self.log.append_marker(
            batch, leader_epoch=self.leader_epoch, now_ms=now_ms, transaction_version=transaction_version
        )
        self._demanded_flush = max(self._demanded_flush, result.flush_to)
        self._advance_high_watermark()
        return result

    def delete_records(self, offset: Offset) -> Offset:
        """Give up all records below `offset`, or below the high watermark for `DELETE_TO_HIGH_WATERMARK`.

        Returns the low watermark, the first offset that is left: this replica's, since followers report none.
        Raises: BrokerError (not leader, offline, POLICY_VIOLATION, OFFSET_OUT_OF_RANGE).
        """
        if self.refusal is not None:
            raise self._refused()
        if not self.log.config.deletes:
            raise BrokerError(
                ErrorCode.POLICY_VIOLATION,
                f"{self.topic_partition}: its cleanup.policy does not allow records to be deleted",
            )
        if offset == DELETE_TO_HIGH_WATERMARK:
            offset = self.high_watermark
        if not 0 <= offset <= self.high_watermark:
            raise BrokerError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{self.topic_partition}: {offset} is not between 0 and the high watermark {self.high_watermark}",
            )
        self.log.advance_log_start_offset(offset)
        return self.log.log_start_offset

    def has_acknowledged(self, result: AppendResult, acks: int) -> bool:
        """Whether a batch appended here is as safe as `acks` (1 or `ACKS_ALL`) and the topic's flush demand."""
        if acks == ACKS_ALL:
            return self.high_watermark > result.last_offset
        return self.log.recovery_point >= result.flush_to

    # -- the high watermark ------------------------------------------------------------------------------

    def log_flushed(self) -> bool:
        """The log's recovery point moved. Returns whether the high watermark did, too."""
        return self.refusal is None and self._advance_high_watermark()

    def log_configured(self) -> bool:
        """The log's settings changed, and what they demand. Returns whether the high watermark moved."""
        return self.refusal is None and self._advance_high_watermark()

    def update_follower(self, replica_id: NodeId, log_end_offset: Offset) -> bool:
        """Note what a follower holds (exclusive end), as its fetch offset proves.

        Returns whether the high watermark moved. Raises: BrokerError NOT_LEADER_OR_FOLLOWER when the replica
        is not assigned here.
        """
        if self.refusal is not None:
            raise self._refused()
        if replica_id not in self.assigned_replicas or replica_id == self.node_id:
            raise BrokerError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER, f"{self.topic_partition}: {replica_id} is no follower"
            )
        self._follower_ends[replica_id] = log_end_offset
        return self._advance_high_watermark()

    def _advance_high_watermark(self) -> bool:
        log = self.log
        end = log.log_end_offset
        if self._demanded_flush >= 0:
            if log.recovery_point >= self._demanded_flush:
                self._demanded_flush = -1
            else:
                end = log.recovery_point
        for replica_id in self._in_sync_followers:
            end = min(end, self._follower_ends.get(replica_id, -1))
        if end <= self.high_watermark or (self._lacks_replicas and self.is_under_min_in_sync):
            return False
        self.high_watermark = end
        if log.producers.first_unstable_offset is not None:
            log.producers.on_high_watermark(end)
        return True

    # -- reading -------------------------------------------------------------------------------------

    @property
    def last_stable_offset(self) -> Offset:
        """All below is replicated and decided (exclusive): the end of what read_committed consumers see."""
        unstable = self.log.producers.first_unstable_offset
        if unstable is None or unstable >= self.high_watermark:
            return self.high_watermark
        # The records of an open transaction may have been deleted from under it.
        return max(unstable, self.log.log_start_offset)

    def read_bound(self, isolation: int, replica_id: NodeId) -> Offset:
        """Return the exclusive end of what a reader may see; `replica_id` is negative for consumers."""
        if replica_id >= 0:
            return self.log.log_end_offset
        return self.last_stable_offset if isolation == READ_COMMITTED else self.high_watermark

    def _too_few_in_sync(self) -> BrokerError:
        return BrokerError(
            ErrorCode.NOT_ENOUGH_REPLICAS,
            f"{self.topic_partition}: {len(self.in_sync_replicas)} in-sync replicas, "
            f"{self.effective_min_in_sync} needed",
        )

    def _refused(self) -> BrokerError:
        assert self.refusal is not None
        return BrokerError(self.refusal, f"{self.topic_partition}: {self.refusal.text}")
