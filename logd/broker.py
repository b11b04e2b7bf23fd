"""The node: makes the parts, joins them, starts and stops them in the order that their promises need.

Start: lock the data directories → recover the metadata → recover the logs → bind the listeners → register with
fresh leader epochs → lead → accept clients.
Stop: refuse new requests, answer those in hand → end chores → sync and close the logs → vouch for them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Final, TypeVar

from logd.authorisation import Authorise, allow_all
from logd.compaction.cleaner import LogCleaner
from logd.config.rules import PropertyRules
from logd.coordination.hosts import CoordinatorHosts
from logd.delayed import DelayedQueue
from logd.directory_failures import DirectoryFailures
from logd.dispatch import Dispatcher
from logd.entropy import SystemEntropy
from logd.errors import StartupError
from logd.fetch_session import FetchSessionCache
from logd.flusher import Flusher
from logd.housekeeping import Housekeeping
from logd.metadata.files import METADATA_DIRECTORY
from logd.metadata.home import check_metadata_home, metadata_home
from logd.metadata.log import MetadataLog, Shell
from logd.metadata.recovery import recover_metadata
from logd.pool import READERS, BlockingPool, run_side_by_side
from logd.producer_ids import ProducerIds
from logd.replicas import LocalPartition, Replicas
from logd.server import Server
from logd.settings.watcher import SettingsWatcher, server_limits
from logd.start.failures import not_bound, not_recovered
from logd.start.recovery_report import log_recovery
from protocol.errors import BrokerError
from replication.broker_registration import BrokerRegistration, Endpoint
from replication.controller import Controller
from replication.features import SUPPORTED_FEATURES
from replication.metadata_commands import AssignDirectories, RaiseLeaderEpochs
from replication.metadata_image import UnusableMetadata
from storage.directories.manager import LogManager
from storage.directories.ownership import has_foreign
from storage.errors import CorruptLog, DirectoryRefused, StorageError, StorageFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from logd.config import BrokerConfig, Listener
    from logd.connection import Connection
    from logd.coordination.host import CoordinatorHost
    from logd.coordination.transactions import TransactionCoordinator
    from logd.start.take_over import TakeOver
    from replication.metadata_ports import MetadataStore
    from storage.directories.data_directory import DataDirectory
    from storage.fs import FileSystem

T = TypeVar("T")

log = logging.getLogger("logd.broker")

#: How long a stop waits for requests in hand; the rest of its second is for the disk.
_DRAIN_S: Final = 0.5


class Broker:
    """One node and all its parts. Everything runs on `loop`'s thread but what `pool` is given."""

    def __init__(self, config: BrokerConfig, loop: asyncio.AbstractEventLoop, fs: FileSystem) -> None:
        self.config = config
        """What is in force now: replaced as a whole when a setting changes."""
        self.loop = loop
        self.node_id = config.node_id
        self.cluster_id = ""
        self.authorise: Authorise = allow_all
        self.pool = BlockingPool(loop)
        self.read_pool = BlockingPool(loop, READERS)
        """For cold reads and look-ups by time."""
        self.delayed = DelayedQueue(loop)
        self.flusher = Flusher(self.pool, self._flushed, self.storage_failed)
        self.fetch_sessions = FetchSessionCache(
            self.topic_name, slots=config.max_incremental_fetch_session_cache_slots
        )
        self.metadata: MetadataStore
        self.replicas: Replicas
        self.producer_ids: ProducerIds
        self.stopped = asyncio.Event()
        """Set when the node is to stop."""
        self._coordinators = CoordinatorHosts(self)
        self._fs = fs
        self._manager = LogManager(
            fs,
            config.log_dirs,
            node_id=config.node_id,
            producer_expiration_ms=config.producer_id_expiration_ms,
            reserved=[METADATA_DIRECTORY],
            home_path=metadata_home(fs, config.log_dirs, config.metadata_log_dir),
        )
        self.cleaner = LogCleaner(self, self._manager, fs)
        self._take_over: TakeOver | None = None
        """Of a Kafka node's directories, while it is under way."""
        self._server = Server(
            loop,
            server_limits(config),
            Dispatcher(self).dispatch,
            wake=self._turn_ended,
            abandoned=self._client_left,
        )
        self.failure = ""
        """Why the node stops by itself, or did not stop cleanly; empty while all is well."""
        self._metadata_failure: Exception | None = None
        self._moved: set[LocalPartition] = set()
        self.moved: Callable[[LocalPartition], None] = self._moved.add
        """The partition changed: those who wait for it are looked at when the connection's turn ends."""
        self._endpoints: dict[str, tuple[str, int]] = {}

    # What handlers use

    def now_ms(self) -> int:
        """The wall clock, milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def topic_name(self, topic_id: bytes) -> str | None:
        """The name of the topic with this id, None when there is none."""
        topic = self.metadata.image.topics_by_id.get(topic_id)
        return None if topic is None else topic.name

    def endpoint(self, listener: str) -> tuple[str, int]:
        """Advertised host and port of a listener."""
        return self._endpoints[listener]

    @property
    def groups(self) -> CoordinatorHost:
        """The group coordinator."""
        return self._coordinators.groups

    @property
    def transactions(self) -> TransactionCoordinator:
        """The transaction coordinator."""
        return self._coordinators.transactions

    def partition(self, topic: str, index: int) -> LocalPartition:
        """See `Replicas.get`."""
        return self.replicas.get(topic, index)

    def state_changed(self, partition: LocalPartition) -> None:
        """Like `moved`, whoever brought it about. Answering takes up further requests, which must not happen in the
        middle of a connection's turn: all connections share one receive buffer.
        """
        if not self._moved:
            self.loop.call_soon(self._turn_ended)
        self._moved.add(partition)

    def _role_changed(self, partition: LocalPartition) -> None:
        self.state_changed(partition)
        self._coordinators.role_changed(partition)

    def _flushed(self, partition: LocalPartition) -> None:
        self.delayed.partition_moved(partition)
        self.cleaner.flushed(partition)

    def reconfigure(self, config: BrokerConfig) -> None:
        """Put a new configuration into force, as far as it is not read where it is used."""
        self.config = config
        self.cleaner.look()
        self._coordinators.reconfigure()

    def storage_failed(self, partition: LocalPartition, error: StorageError) -> BrokerError:
        """See `Replicas.storage_failed`."""
        return self.replicas.storage_failed(partition, error)

    async def run_blocking(self, work: Callable[[], T]) -> T:
        """Run `work` in the pool."""
        return await self.pool.run(work)

    def _turn_ended(self) -> None:
        self.flusher.start()
        if self._moved:
            self.delayed.partitions_moved(self._moved)

    def _client_left(self, connection: Connection) -> None:
        for parked in tuple(connection.waiting):
            self.delayed.cancel(parked)

    # Life

    async def start(self) -> list[tuple[str, str, int]]:
        """Recover, bind, register and serve; returns (listener, advertised host, port) of each listener.

        Raises: StartupError.
        """
        try:
            self._recover()
        except (DirectoryRefused, CorruptLog, UnusableMetadata, StorageFailure) as error:
            self._manager.release()
            raise not_recovered(error) from error
        try:
            for listener in self.config.listeners:
                self._endpoints[listener.name] = self._bind(listener)
            await self._register()
        except StartupError:
            await self._withdraw()
            raise
        self.replicas.lead()
        self.metadata.watch(self._settings.follow)
        self.metadata.watch(self.replicas.follow)
        self._housekeeping.start()
        self.cleaner.start(self._housekeeping.later)
        self._server.start()
        self._metadata_log.settle()
        return [(name, host, port) for name, (host, port) in self._endpoints.items()]

    async def stop(self) -> None:
        """Answer what is in hand, make everything durable and vouch for it."""
        self._server.refuse_new()
        self._coordinators.stop()
        self.delayed.expire_fetches()
        await self._server.stop(_DRAIN_S)
        self.delayed.expire_all()
        await self.cleaner.stop()
        await self._housekeeping.stop()
        await self._close_metadata()
        self.read_pool.close()
        await self._close_logs()
        self.pool.close()

    async def _withdraw(self) -> None:
        """Leave the directories as they were before a start that failed: those of a clean stop stay clean."""
        await self._server.stop(0)
        await self._close_metadata()
        if all(directory.was_clean for directory in self._online_directories):
            await self._close_logs()
        self._manager.release()
        self.pool.close()

    async def _close_metadata(self) -> None:
        try:
            await self._metadata_log.close()
        except StorageFailure as failure:
            log.error("metadata log not closed cleanly error=%s", failure)
            self._metadata_failed(failure)
        if self._metadata_failure is not None:
            # A clean stop would vouch for the metadata log, too. Without it the next start recovers, and loses nothing.
            self._manager.home.fail(str(self._metadata_failure))

    async def _close_logs(self) -> None:
        high_watermarks = self.replicas.high_watermarks
        failures = await self.pool.run(lambda: self._manager.close(high_watermarks, run_all=run_side_by_side))
        if failures:
            others = f" others={len(failures) - 1}" if len(failures) > 1 else ""
            log.error("not closed cleanly error=%s%s", failures[0], others)
            self.failure = self.failure or f"not closed cleanly: {failures[0]}"

    def _end(self, reason: str) -> None:
        """Have the node stop because it cannot go on."""
        self.failure = self.failure or reason
        self.stopped.set()

    @property
    def _online_directories(self) -> list[DataDirectory]:
        return [directory for directory in self._manager.directories if directory.is_online]

    def _recover(self) -> None:
        manager, cluster_id = self._manager, self.config.cluster_id
        if has_foreign(manager.home, manager.owned):
            from logd.start.take_over import look  # noqa: PLC0415 - once in the life of a directory

            self._take_over = look(self._fs, manager, cluster_id=cluster_id, node_id=self.node_id)
        prepare = None if self._take_over is None else self._take_over.prepare
        self.cluster_id, warnings = manager.open(cluster_id, prepare=prepare)
        home = manager.home
        check_metadata_home(self._fs, home, manager.directories)
        recovered = recover_metadata(
            self._fs, home.path, node_id=self.node_id, clean=home.was_clean, now_ms=self.now_ms()
        )
        self._settings = SettingsWatcher(self, self._server, manager, recovered.image)
        self._settings.take_up()
        config = self.config
        controller = Controller(
            recovered.image,
            partitions=config.num_partitions,
            replication_factor=config.default_replication_factor,
            rules=PropertyRules(lambda: self.config),
        )
        shell = Shell(self.run_blocking, self.now_ms, SystemEntropy(), self._metadata_failed)
        self.metadata = self._metadata_log = MetadataLog(
            self._fs,
            recovered,
            controller,
            shell,
            snapshot_after_bytes=config.metadata_log_max_record_bytes_between_snapshots,
        )
        self.producer_ids = ProducerIds(self.metadata, self.node_id)
        self._housekeeping = Housekeeping(self, manager)
        failures = DirectoryFailures(
            self.loop,
            manager,
            self.metadata,
            node_id=self.node_id,
            end=self._end,
        )
        self.replicas = Replicas(
            config,
            manager,
            recovered.image,
            now_ms=self.now_ms,
            moved=self._role_changed,
            later=self._housekeeping.later,
            directory_failed=failures.failed,
        )
        report = self.replicas.open(recovered.deleted_topics)
        log_recovery(report, warnings, manager.directories)
        for plan in report.plans:
            self._housekeeping.later(plan)

    def _bind(self, listener: Listener) -> tuple[str, int]:
        """Raises: StartupError."""
        try:
            _, port = self._server.bind(listener.name, listener.host, listener.port)
        except (OSError, UnicodeError) as error:
            raise not_bound(listener, error) from None
        return listener.advertised_host, listener.advertised_port or port

    async def _register(self) -> None:
        """Make this incarnation known, and fence what one that did not stop properly may have left.

        Raises: StartupError.
        """
        registration = BrokerRegistration(
            node_id=self.node_id,
            broker_epoch=-1,
            incarnation_id=os.urandom(16),
            endpoints={name: Endpoint(host, port, 0) for name, (host, port) in self._endpoints.items()},
            features=SUPPORTED_FEATURES,
            rack=self.config.broker_rack,
            fenced=True,
            in_controlled_shutdown=False,
            log_dirs=tuple(directory.directory_id for directory in self._online_directories),
        )
        try:
            if self._take_over is not None:
                await self._take_over.finish(self.metadata, self.node_id, self.run_blocking)
            self._metadata_log.register_broker(registration)
            assignments = self.replicas.places.assignments()
            if assignments:
                await self.metadata.submit(AssignDirectories(self.node_id, assignments))
            if not all(directory.was_clean for directory in self._online_directories):
                await self.metadata.submit(RaiseLeaderEpochs(self.node_id))
        except (BrokerError, StorageFailure) as error:
            raise StartupError(f"cannot register this node: {error}") from error

    def _metadata_failed(self, failure: Exception) -> None:
        """Topics can no longer change; what exists is served on."""
        self._metadata_failure = failure
        if isinstance(failure, StorageFailure):
            self.replicas.disk_failed(failure)
