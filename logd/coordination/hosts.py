"""The coordinators of this node, each made when there is something for it to do: most nodes never load the second.

Groups wait for their clients. Transactions do not: one whose client is gone has to be ended, and one that was being
ended when the node stopped has to be finished. So their coordinator is made as soon as this node leads a partition of
their topic in which anything was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replication.topic_names import TRANSACTION_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logd.coordination.host import CoordinatorHost
    from logd.coordination.transactions import TransactionCoordinator
    from logd.node import Node
    from logd.replicas import LocalPartition


class CoordinatorHosts:
    """Those that are made follow the roles and settings of the node."""

    __slots__ = ("_groups", "_node", "_transactions")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._groups: CoordinatorHost | None = None
        self._transactions: TransactionCoordinator | None = None

    @property
    def groups(self) -> CoordinatorHost:
        if self._groups is None:
            from logd.coordination.groups import group_host  # noqa: PLC0415 - see the module head

            self._groups = group_host(self._node)
            self._groups.start()
        return self._groups

    @property
    def transactions(self) -> TransactionCoordinator:
        if self._transactions is None:
            from logd.coordination.transactions import transaction_coordinator  # noqa: PLC0415 - see the module head

            self._transactions = transaction_coordinator(self._node)
            self._transactions.start()
        return self._transactions

    def role_changed(self, partition: LocalPartition) -> None:
        """A partition was taken up, lost, or went offline."""
        topic = partition.topic_partition.topic
        for host in self._made():
            if host.topic_name == topic:
                host.role_changed(partition)
        if (
            self._transactions is None
            and topic == TRANSACTION_TOPIC
            and partition.is_leader
            and partition.log.log_start_offset < partition.log.log_end_offset
        ):
            # Later: a start opens its listeners first.
            self._node.loop.call_soon(self._load_transactions)

    def _load_transactions(self) -> None:
        _ = self.transactions

    def reconfigure(self) -> None:
        """Put the settings of `Node.config` into force. Those of transactions do not change while a node runs."""
        if self._groups is not None:
            from logd.coordination.groups import reconfigure_groups  # noqa: PLC0415 - see the module head

            reconfigure_groups(self._groups, self._node.config.values)

    def stop(self) -> None:
        """Answer all who wait; clients come back when a coordinator is there again."""
        for host in self._made():
            host.stop()

    def _made(self) -> Iterator[CoordinatorHost]:
        if self._transactions is not None:
            yield self._transactions
        if self._groups is not None:
            yield self._groups
