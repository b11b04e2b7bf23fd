"""Which brokers hold the replicas of new partitions: chosen here, or checked when somebody else chose.

Not here: which partitions are to be made (topic_creation.py, partition_creation.py), and in which of a broker's
directories (directories.py).
Source: Kafka controller/ReplicationControlManager.java (validateManualPartitionAssignment), StripedReplicaPlacer.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol.errors import BrokerError, ErrorCode
from protocol.types import UNASSIGNED_DIRECTORY, NodeId
from replication.metadata_image import MetadataImage
from replication.partition_state import PartitionState

if TYPE_CHECKING:
    from replication.metadata_ports import Entropy


class Placer:
    """Lays out new partitions. Reads the image, changes nothing."""

    __slots__ = ("_image",)

    def __init__(self, image: MetadataImage) -> None:
        self._image = image

    def place(self, count: int, factor: int, entropy: Entropy) -> list[PartitionState]:
        """Spread the replicas over the live brokers in turn, from a random one on, so that leaders spread too.

        Raises: BrokerError INVALID_REPLICATION_FACTOR.
        """
        nodes = [registration.node_id for registration in self._image.live_brokers()]
        if factor > len(nodes):
            raise BrokerError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"replication factor {factor} needs as many brokers, and {len(nodes)} can take replicas",
            )
        start = entropy.below(len(nodes))
        layouts = [
            self._new_partition([nodes[(start + first + step) % len(nodes)] for step in range(factor)])
            for first in range(min(count, len(nodes)))
        ]
        return [layouts[index % len(layouts)] for index in range(count)]

    def assigned(self, index: int, replicas: Sequence[NodeId], factor: int) -> PartitionState:
        """Take partition `index` as somebody assigned it; other partitions have `factor` replicas.

        Raises: BrokerError INVALID_REPLICA_ASSIGNMENT.
        """
        problem = self.assignment_problem(index, replicas)
        if problem is None and len(replicas) != factor:
            problem = f"partition {index} has {len(replicas)} replicas, other partitions have {factor}"
        if problem is None and not any(self._image.live_broker(node) for node in replicas):
            problem = f"partition {index} is assigned to brokers of which none is live"
        if problem is not None:
            raise BrokerError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)
        return self._new_partition(replicas)

    def assignment_problem(self, index: int, replicas: Sequence[NodeId]) -> str | None:
        """Return why no partition, wherever the others are, can be assigned to these brokers; None if it can."""
        if not replicas:
            return f"partition {index} is assigned to no broker"
        unknown = next((node for node in replicas if node not in self._image.brokers), None)
        if unknown is not None:
            return f"partition {index} is assigned to broker {unknown}, which is not registered"
        if len(set(replicas)) < len(replicas):
            return f"partition {index} is assigned to one broker more than once"
        return None

    def _new_partition(self, replicas: Sequence[NodeId]) -> PartitionState:
        """Return the first state of a partition: led by its first live replica, in epoch 0, in no directory yet."""
        in_sync = tuple(node for node in replicas if self._image.live_broker(node) is not None)
        return PartitionState(
            assigned_replicas=tuple(replicas),
            directories=(UNASSIGNED_DIRECTORY,) * len(replicas),
            in_sync_replicas=in_sync,
            removing_replicas=(),
            adding_replicas=(),
            leader_id=in_sync[0],
            leader_recovery_state=0,
            leader_epoch=0,
            partition_epoch=0,
            eligible_leader_replicas=(),
            last_known_leaders=(),
        )
