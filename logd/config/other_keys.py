"""Kafka's other properties: taken without effect, or refused by name.

Kafka's stock files must work, so what only tunes a part that this broker does not have is taken, checked for its type
and listed once at the start. What would change what users may rely on (security above all) is refused with a hint:
silence would be a lie. Read only when a property is not in logd/config/broker_keys.py.
Names, types and defaults: Kafka 4.3.1; those removed before 4.0 are kept apart.
"""

from __future__ import annotations

from typing import NamedTuple

from logd.config.key import ConfigKey, parse_value

# Kafka lets these change while a broker runs, and so do we, to the same effect as before (Kafka: ALL_DYNAMIC_CONFIGS).
_DYNAMIC = frozenset(
    [
        "background.threads",
        "follower.fetch.last.tiered.offset.enable",
        "follower.replication.throttled.rate",
        "group.consumer.assignment.interval.ms",
        "group.coordinator.cached.buffer.max.bytes",
        "group.share.assignment.interval.ms",
        "group.streams.assignment.interval.ms",
        "leader.replication.throttled.rate",
        "log.cleaner.io.buffer.size",
        "log.local.retention.bytes",
        "log.local.retention.ms",
        "log.preallocate",
        "max.connection.creation.rate",
        "metric.reporters",
        "num.io.threads",
        "num.network.threads",
        "num.recovery.threads.per.data.dir",
        "num.replica.fetchers",
        "remote.fetch.max.wait.ms",
        "remote.list.offsets.request.timeout.ms",
        "remote.log.index.file.cache.total.size.bytes",
        "remote.log.manager.copier.thread.pool.size",
        "remote.log.manager.copy.max.bytes.per.second",
        "remote.log.manager.expiration.thread.pool.size",
        "remote.log.manager.fetch.max.bytes.per.second",
        "remote.log.manager.follower.thread.pool.size",
        "remote.log.reader.threads",
        "replica.alter.log.dirs.io.max.bytes.per.second",
        "share.coordinator.cached.buffer.max.bytes",
        "unclean.leader.election.enable",
    ]
)

# Shown only where they are set: internal to Kafka, gone from it, or not defined among a broker's properties.
SHOWN_WHEN_SET = frozenset(
    [
        "broker.id.generation.enable",
        "controller.performance.always.log.threshold.ms",
        "controller.performance.sample.period.ms",
        "follower.replication.throttled.rate",
        "group.consumer.regex.refresh.interval.ms",
        "group.share.initialize.retry.interval.ms",
        "group.share.persister.class.name",
        "inter.broker.protocol.version",
        "internal.metadata.delete.delay.millis",
        "internal.metadata.log.segment.bytes",
        "internal.metadata.max.batch.size.in.bytes",
        "leader.imbalance.per.broker.percentage",
        "leader.replication.throttled.rate",
        "log.initial.task.delay.ms",
        "log.message.downconversion.enable",
        "log.message.format.version",
        "producer.id.expiration.check.interval.ms",
        "remote.log.index.file.cache.ttl.ms",
        "remote.log.manager.task.retry.backoff.max.ms",
        "remote.log.manager.task.retry.backoff.ms",
        "remote.log.manager.task.retry.jitter",
        "replica.alter.log.dirs.io.max.bytes.per.second",
        "reserved.broker.max.id",
        "server.max.startup.time.ms",
        "share.coordinator.cold.partition.snapshot.interval.ms",
        "share.coordinator.state.topic.prune.interval.ms",
        "unclean.leader.election.interval.ms",
    ]
)


def _group(reason: str, rows: str) -> tuple[ConfigKey, ...]:
    """One key for each line of `name type default`; no default means that Kafka leaves it unset, or empty."""
    keys = []
    for row in rows.split("\n"):
        if not row.strip():
            continue
        name, kind, *default = row.split()
        unset = () if kind == "list" else None
        key = ConfigKey(name, kind, unset, "", without_effect=reason, dynamic=name in _DYNAMIC)
        if default:
            key = key._replace(default=parse_value(key, default[0]))
        keys.append(key)
    return tuple(keys)


KEYS_WITHOUT_EFFECT: tuple[ConfigKey, ...] = (
    *_group(
        "one event loop serves every connection, and pools size themselves",
        """
        background.threads int 10
        delete.records.purgatory.purge.interval.requests int 1
        fetch.purgatory.purge.interval.requests int 1000
        num.io.threads int 8
        num.network.threads int 3
        num.recovery.threads.per.data.dir int 2
        num.replica.alter.log.dirs.threads int
        num.replica.fetchers int 1
        producer.purgatory.purge.interval.requests int 1000
        queued.max.requests int 500
        share.fetch.purgatory.purge.interval.requests int 1000
        """,
    ),
    *_group(
        "the kernel sizes receive buffers by itself",
        """
        replica.socket.receive.buffer.bytes int 65536
        socket.receive.buffer.bytes int 102400
        """,
    ),
    *_group(
        "the controller is in the broker's process and its log needs no quorum",
        """
        broker.heartbeat.interval.ms int 2000
        broker.session.timeout.ms int 9000
        controlled.shutdown.enable boolean true
        controller.performance.always.log.threshold.ms long 2000
        controller.performance.sample.period.ms long 60000
        controller.quorum.append.linger.ms int 25
        controller.quorum.auto.join.enable boolean false
        controller.quorum.bootstrap.servers list
        controller.quorum.election.backoff.max.ms int 1000
        controller.quorum.election.timeout.ms int 1000
        controller.quorum.fetch.max.bytes int 1048576
        controller.quorum.fetch.snapshot.max.bytes int 1048576
        controller.quorum.fetch.timeout.ms int 2000
        controller.quorum.request.timeout.ms int 2000
        controller.quorum.retry.backoff.ms int 20
        controller.quorum.voters list
        controller.quota.window.num int 11
        controller.quota.window.size.seconds int 1
        controller.socket.timeout.ms int 30000
        initial.broker.registration.timeout.ms int 60000
        inter.broker.listener.name string
        internal.metadata.delete.delay.millis long 60000
        internal.metadata.log.segment.bytes int
        internal.metadata.max.batch.size.in.bytes int 8388608
        log.dir.failure.timeout.ms long 30000
        metadata.log.max.snapshot.interval.ms long 3600000
        metadata.log.segment.bytes int 1073741824
        metadata.log.segment.ms long 604800000
        metadata.max.idle.interval.ms int 500
        metadata.max.retention.bytes long 104857600
        metadata.max.retention.ms long 604800000
        server.max.startup.time.ms long 9223372036854775807
        """,
    ),
    *_group(
        "a node has one replica of each partition, its own",
        """
        alter.log.dirs.replication.quota.window.num int 11
        alter.log.dirs.replication.quota.window.size.seconds int 1
        auto.leader.rebalance.enable boolean true
        follower.fetch.last.tiered.offset.enable boolean false
        follower.replication.throttled.rate long 9223372036854775807
        leader.imbalance.check.interval.seconds long 300
        leader.replication.throttled.rate long 9223372036854775807
        replica.alter.log.dirs.io.max.bytes.per.second long 9223372036854775807
        replica.fetch.backoff.ms int 1000
        replica.fetch.max.bytes int 1048576
        replica.fetch.min.bytes int 1
        replica.fetch.response.max.bytes int 10485760
        replica.fetch.wait.max.ms int 500
        replica.lag.time.max.ms long 30000
        replica.socket.timeout.ms int 30000
        replication.quota.window.num int 11
        replication.quota.window.size.seconds int 1
        request.timeout.ms int 30000
        socket.connection.setup.timeout.max.ms long 30000
        socket.connection.setup.timeout.ms long 10000
        unclean.leader.election.enable boolean false
        unclean.leader.election.interval.ms long 300000
        """,
    ),
    *_group(
        "share and streams groups do not exist here, and the coordinator of the others needs no tuning",
        """
        group.coordinator.append.linger.ms int -1
        group.coordinator.background.threads int 2
        group.coordinator.cached.buffer.max.bytes int 1048588
        group.coordinator.rebalance.protocols list classic,consumer,streams
        group.coordinator.threads int 4
        group.share.assignment.interval.ms int 1000
        group.share.assignors list simple
        group.share.delivery.count.limit int 5
        group.share.heartbeat.interval.ms int 5000
        group.share.initialize.retry.interval.ms int 30000
        group.share.max.assignment.interval.ms int 15000
        group.share.max.delivery.count.limit int 10
        group.share.max.heartbeat.interval.ms int 15000
        group.share.max.partition.max.record.locks int 4000
        group.share.max.record.lock.duration.ms int 60000
        group.share.max.session.timeout.ms int 60000
        group.share.max.share.sessions int 2000
        group.share.max.size int 200
        group.share.min.assignment.interval.ms int 0
        group.share.min.delivery.count.limit int 2
        group.share.min.heartbeat.interval.ms int 5000
        group.share.min.partition.max.record.locks int 100
        group.share.min.record.lock.duration.ms int 15000
        group.share.min.session.timeout.ms int 45000
        group.share.partition.max.record.locks int 2000
        group.share.persister.class.name string org.apache.kafka.server.share.persister.DefaultStatePersister
        group.share.record.lock.duration.ms int 30000
        group.share.session.timeout.ms int 45000
        group.streams.assignment.interval.ms int 1000
        group.streams.heartbeat.interval.ms int 5000
        group.streams.initial.rebalance.delay.ms int 3000
        group.streams.max.assignment.interval.ms int 15000
        group.streams.max.heartbeat.interval.ms int 15000
        group.streams.max.session.timeout.ms int 60000
        group.streams.max.size int 2147483647
        group.streams.max.standby.replicas int 2
        group.streams.min.assignment.interval.ms int 0
        group.streams.min.heartbeat.interval.ms int 5000
        group.streams.min.session.timeout.ms int 45000
        group.streams.num.standby.replicas int 0
        group.streams.session.timeout.ms int 45000
        offsets.commit.timeout.ms int 5000
        offsets.load.buffer.size int 5242880
        offsets.topic.compression.codec int 0
        transaction.state.log.load.buffer.size int 5242880
        """,
    ),
    *_group(
        "two-phase commit (KIP-939) is not stable in Kafka either",
        """
        transaction.two.phase.commit.enable boolean false
        """,
    ),
    *_group(
        "there are no share groups",
        """
        share.coordinator.append.linger.ms int -1
        share.coordinator.cached.buffer.max.bytes int 1048588
        share.coordinator.cold.partition.snapshot.interval.ms int 300000
        share.coordinator.load.buffer.size int 5242880
        share.coordinator.snapshot.update.records.per.snapshot int 500
        share.coordinator.state.topic.compression.codec int 0
        share.coordinator.state.topic.min.isr short 2
        share.coordinator.state.topic.num.partitions int 50
        share.coordinator.state.topic.prune.interval.ms int 300000
        share.coordinator.state.topic.replication.factor short 3
        share.coordinator.state.topic.segment.bytes int 104857600
        share.coordinator.threads int 1
        share.coordinator.write.timeout.ms int 5000
        """,
    ),
    *_group(
        "compaction reads and writes in pieces of 1 MiB",
        """
        log.cleaner.io.buffer.size int 524288
        """,
    ),
    *_group(
        "there is no tiered storage",
        """
        log.local.retention.bytes long -2
        log.local.retention.ms long -2
        remote.fetch.max.wait.ms int 500
        remote.list.offsets.request.timeout.ms long 30000
        remote.log.index.file.cache.total.size.bytes long 1073741824
        remote.log.index.file.cache.ttl.ms long 900000
        remote.log.manager.copier.thread.pool.size int 10
        remote.log.manager.copy.max.bytes.per.second long 9223372036854775807
        remote.log.manager.copy.quota.window.num int 11
        remote.log.manager.copy.quota.window.size.seconds int 1
        remote.log.manager.expiration.thread.pool.size int 10
        remote.log.manager.fetch.max.bytes.per.second long 9223372036854775807
        remote.log.manager.fetch.quota.window.num int 11
        remote.log.manager.fetch.quota.window.size.seconds int 1
        remote.log.manager.follower.thread.pool.size int 2
        remote.log.manager.task.interval.ms long 30000
        remote.log.manager.task.retry.backoff.max.ms long 30000
        remote.log.manager.task.retry.backoff.ms long 500
        remote.log.manager.task.retry.jitter double 0.2
        remote.log.manager.thread.pool.size int 2
        remote.log.metadata.custom.metadata.max.bytes int 128
        remote.log.metadata.manager.class.name string
        remote.log.metadata.manager.class.path string
        remote.log.metadata.manager.impl.prefix string rlmm.config.
        remote.log.metadata.manager.listener.name string
        remote.log.reader.max.pending.tasks int 100
        remote.log.reader.threads int 10
        remote.log.storage.manager.class.name string
        remote.log.storage.manager.class.path string
        remote.log.storage.manager.impl.prefix string rsm.config.
        """,
    ),
    *_group(
        "there are no quotas yet",
        """
        max.connection.creation.rate int 2147483647
        quota.window.num int 11
        quota.window.size.seconds int 1
        """,
    ),
    *_group(
        "metrics are not reported through Java classes",
        """
        kafka.metrics.polling.interval.secs int 10
        kafka.metrics.reporters list
        metric.reporters list org.apache.kafka.common.metrics.JmxReporter
        metrics.num.samples int 2
        metrics.recording.level string INFO
        metrics.sample.window.ms long 30000
        telemetry.max.bytes int 1048576
        """,
    ),
    *_group(
        "it tunes a part that this broker does not have",
        """
        connection.failed.authentication.delay.ms int 100
        log.initial.task.delay.ms long 30000
        log.preallocate boolean false
        producer.id.expiration.check.interval.ms int 600000
        """,
    ),
    *_group(
        "Kafka 4 has no such property any more",
        """
        broker.id.generation.enable boolean true
        inter.broker.protocol.version string
        leader.imbalance.per.broker.percentage int 10
        log.message.downconversion.enable boolean true
        log.message.format.version string
        reserved.broker.max.id int 1000
        """,
    ),
)

KEYS_WITHOUT_EFFECT_BY_NAME: dict[str, ConfigKey] = {key.name: key for key in KEYS_WITHOUT_EFFECT}


class RefusedKey(NamedTuple):
    """A property that stops the start. A `name` that ends with a dot stands for every property that begins with it."""

    name: str
    hint: str
    harmless: tuple[str, ...] = ("",)  # values, in lower case, that ask for nothing


_NO_TLS = "TLS is not built yet: remove it and use PLAINTEXT listeners on a network you trust"
_NO_SASL = "authentication is not built yet: remove it and use PLAINTEXT listeners on a network you trust"
_NO_ACLS = "authorisation is not built yet: remove it, every client may do everything"
_NO_JAVA = "Java classes cannot be loaded: remove it"
_NO_ZOOKEEPER = "there is no ZooKeeper here, metadata lives in the data directory: remove it"
_NO_MIGRATION = "there is no ZooKeeper to migrate from: remove it"

REFUSED_KEYS: tuple[RefusedKey, ...] = (
    RefusedKey("zookeeper.metadata.migration.enable", _NO_MIGRATION, ("", "false")),
    RefusedKey("zookeeper.", _NO_ZOOKEEPER),
    RefusedKey("control.plane.listener.name", _NO_ZOOKEEPER),
    RefusedKey("ssl.", _NO_TLS),
    RefusedKey("sasl.", _NO_SASL),
    RefusedKey("listener.name.", "settings of a single listener are not built yet: remove it"),
    RefusedKey("security.inter.broker.protocol", _NO_TLS, ("", "plaintext")),
    RefusedKey("security.providers", _NO_TLS),
    RefusedKey("connections.max.reauth.ms", _NO_SASL, ("", "0")),
    RefusedKey("delegation.token.", _NO_SASL),
    RefusedKey("password.encoder.", "secrets are not kept yet: remove it"),
    RefusedKey("principal.builder.class", _NO_JAVA),
    RefusedKey("authorizer.class.name", _NO_ACLS),
    RefusedKey("super.users", _NO_ACLS),
    RefusedKey("allow.everyone.if.no.acl.found", _NO_ACLS, ("", "true")),
    RefusedKey("create.topic.policy.class.name", _NO_JAVA),
    RefusedKey("alter.config.policy.class.name", _NO_JAVA),
    RefusedKey("client.quota.callback.class", _NO_JAVA),
    RefusedKey("replica.selector.class", _NO_JAVA),
    RefusedKey("config.providers", "values are not looked up elsewhere: write the value itself"),
    RefusedKey("cordoned.log.dirs", "it is not built yet: remove it"),
    RefusedKey("early.start.listeners", "all listeners open at once: remove it"),
    RefusedKey("unstable.api.versions.enable", "only stable versions are served: remove it", ("", "false")),
    RefusedKey(
        "unstable.feature.versions.enable", "only stable features are served: remove it", ("", "false")
    ),
    RefusedKey("remote.log.storage.system.enable", "there is no tiered storage: remove it", ("", "false")),
    RefusedKey(
        "log.message.timestamp.difference.max.ms",
        "Kafka 4 removed it: use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
    ),
)


def find_refused(name: str) -> RefusedKey | None:
    for refused in REFUSED_KEYS:
        if name == refused.name or (refused.name.endswith(".") and name.startswith(refused.name)):
            return refused
    return None
