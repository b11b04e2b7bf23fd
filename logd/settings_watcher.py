"""The broker's settings that are made while it runs: taken from the metadata and put into force.

The metadata holds what was set for the cluster and for this node; `Broker.config` is what comes of that and of what was
set at the start. It is replaced here and nowhere else, with all that was derived from it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from logd.replicas import configs_text
from logd.server import Server, ServerLimits
from replication.config_changes import CLUSTER
from replication.metadata_image import RESOURCE_BROKER

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.config import BrokerConfig
    from replication.metadata_image import MetadataDelta, MetadataImage
    from storage.manager import LogManager

log = logging.getLogger("logd.settings")


class SettingsWatcher:
    """Keeps one broker's configuration what the metadata says."""

    def __init__(self, broker: Broker, server: Server, manager: LogManager, image: MetadataImage) -> None:
        self._broker = broker
        self._server = server
        self._manager = manager
        self._image = image

    def follow(self, delta: MetadataDelta) -> None:
        """Act on a change of the metadata: a watcher of the metadata store."""
        for resource in ((RESOURCE_BROKER, CLUSTER), (RESOURCE_BROKER, str(self._broker.node_id))):
            if resource in delta.changed_configs:
                self.take_up()
                self._broker.replicas.configure(self._broker.config)
                configs = configs_text(self._image.configs(*resource))
                log.info("settings changed broker=%s now=%s", resource[1] or "all", configs)

    def take_up(self) -> None:
        """Put what the metadata holds into force, but for the open logs."""
        broker = self._broker
        cluster = self._image.configs(RESOURCE_BROKER, CLUSTER)
        node = self._image.configs(RESOURCE_BROKER, str(broker.node_id))
        former = broker.config.dynamic
        if not (cluster or node or former.cluster or former.node):
            return
        from logd.config.dynamic import with_dynamic  # noqa: PLC0415 - a start with no such settings need not

        broker.config, problems = with_dynamic(broker.config, cluster, node)
        for problem in problems:
            log.warning("setting ignored reason=%s", problem)
        self._server.change_limits(server_limits(broker.config))
        self._manager.producer_expiration_ms = broker.config.producer_id_expiration_ms
        for opened in self._manager.logs.values():
            opened.producers.expiration_ms = broker.config.producer_id_expiration_ms


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
