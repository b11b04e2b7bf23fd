"""The settings that are made while the broker runs: taken from the metadata and put into force.

The metadata holds what was set for topics, for the cluster and for this node. `Node.config` is what comes of the last
two and of what was set at the start; it is replaced here and nowhere else, with all that was derived from it. The logs
that are open follow their topic's settings and, where it sets none, the broker's. Settings of groups need nobody to put
them into force: the coordinator looks them up where it uses them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from logd.config.topic_configs import log_config_for, usable_topic_configs
from logd.server import Server, ServerLimits
from protocol.configs import ConfigResourceType
from protocol.types import TopicPartition
from replication.config_changes import CLUSTER

if TYPE_CHECKING:
    from logd.config import BrokerConfig
    from logd.node import Node
    from replication.metadata_image import MetadataDelta, MetadataImage, Topic
    from storage.directories.manager import LogManager

log = logging.getLogger("logd.settings")

_KINDS: Final[Mapping[int, str]] = {
    ConfigResourceType.TOPIC: "topic",
    ConfigResourceType.BROKER: "broker",
    ConfigResourceType.GROUP: "group",
}


class SettingsWatcher:
    """Keeps one broker's configuration, and that of its logs, what the metadata says."""

    def __init__(self, node: Node, server: Server, manager: LogManager, image: MetadataImage) -> None:
        self._node = node
        self._server = server
        self._manager = manager
        self._image = image

    def take_up(self) -> None:
        """Put what the metadata holds into force, before any log is open."""
        self._take_up_brokers()
        for topic in self._image.topics.values():
            for problem in usable_topic_configs(self._image.topic_configs(topic.name))[1]:
                log.warning("setting ignored topic=%s reason=%s", topic.name, problem)

    def follow(self, delta: MetadataDelta) -> None:
        """Act on a change of the metadata: a watcher of the metadata store, before `Replicas.follow`."""
        changed = [
            (kind, name)
            for kind, name in delta.changed_configs
            if (kind == ConfigResourceType.TOPIC and name in self._image.topics)
            or (kind == ConfigResourceType.BROKER and name in (CLUSTER, str(self._node.node_id)))
        ]
        groups = [(kind, name) for kind, name in delta.changed_configs if kind == ConfigResourceType.GROUP]
        concerned = [self._image.topics[name] for kind, name in changed if kind == ConfigResourceType.TOPIC]
        if len(concerned) < len(changed):
            self._take_up_brokers()
            self._node.replicas.config = self._node.config
            concerned = list(self._image.topics.values())
        for topic in concerned:
            self._configure(topic)
        for kind, name in changed + groups:
            resource = f"{_KINDS[kind]}={name or 'all'}"
            log.info("settings changed %s now=%s", resource, _text(self._image.configs(kind, name)))

    def _configure(self, topic: Topic) -> None:
        """Hand a topic's settings to those of its logs that are open; what is made later has them from the start."""
        log_config = log_config_for(self._image.topic_configs(topic.name), self._node.config)
        for index in topic.partitions:
            partition = self._node.replicas.find(TopicPartition(topic.name, index))
            if partition is not None:
                partition.log.configure(log_config)
                if partition.log_configured():
                    self._node.state_changed(partition)

    def _take_up_brokers(self) -> None:
        node = self._node
        of_cluster = self._image.configs(ConfigResourceType.BROKER, CLUSTER)
        of_node = self._image.configs(ConfigResourceType.BROKER, str(node.node_id))
        former = node.config.dynamic
        if not (of_cluster or of_node or former.cluster or former.node):
            return
        from logd.config.dynamic import with_dynamic  # noqa: PLC0415 - a start with no such settings need not

        config, problems = with_dynamic(node.config, of_cluster, of_node)
        node.reconfigure(config)
        for problem in problems:
            log.warning("setting ignored reason=%s", problem)
        self._server.change_limits(server_limits(node.config))
        self._manager.producer_expiration_ms = node.config.producer_id_expiration_ms
        for opened in self._manager.logs.values():
            opened.producers.expiration_ms = node.config.producer_id_expiration_ms
            opened.producers.demands_verification = node.config.transaction_partition_verification_enable


def server_limits(config: BrokerConfig) -> ServerLimits:
    return ServerLimits(
        request_bytes_max=config.socket_request_max_bytes,
        connections_max=config.max_connections,
        connections_per_ip_max=config.max_connections_per_ip,
        connections_per_ip_overrides=config.max_connections_per_ip_overrides,
        idle_ms_max=config.connections_max_idle_ms,
        queued_bytes_max=config.queued_max_request_bytes,
        backlog=config.socket_listen_backlog_size,
        send_buffer_bytes=config.socket_send_buffer_bytes,
    )


def _text(settings: Mapping[str, str]) -> str:
    """What was set on something, in a line of the log."""
    return ",".join(f"{name}={settings[name]}" for name in sorted(settings)) or "defaults"
