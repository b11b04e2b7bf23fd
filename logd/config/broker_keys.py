"""The properties of the broker that have an effect. Names, meanings and, but for `differs`, defaults are Kafka's.

What Kafka has and this broker takes without effect or refuses by name stands in logd/config/other_keys.py, which is
read only when a property is not found here. Source: Kafka 4.3 ServerLogConfigs.java, SocketServerConfigs.java,
ServerConfigs.java, ReplicationConfigs.java, KRaftConfigs.java.
"""

from __future__ import annotations

from logd.config.cleaner_keys import CLEANER_KEYS
from logd.config.group_keys import GROUP_KEYS
from logd.config.key import INT_MAX, LONG_MAX, ConfigKey
from logd.config.transaction_keys import TRANSACTION_KEYS

_HOUR_MS = 3_600_000

BROKER_KEYS: tuple[ConfigKey, ...] = (
    # -- who and where ---------------------------------------------------------------------------------------------
    ConfigKey(
        "node.id",
        "int",
        1,
        "Id of this node, kept in the data directory; it must stay the same for the life of the data.",
        low=0,
        differs="Kafka demands a value; one node needs no choice",
    ),
    ConfigKey(
        "broker.id",
        "int",
        -1,
        "Old name of node.id; with both set they must agree.",
    ),
    ConfigKey(
        "cluster.id",
        "string",
        None,
        "Cluster that the data directory must belong to. Unset: the directory's, or a new one for an empty directory.",
        ours=True,
    ),
    ConfigKey(
        "broker.rack", "string", None, "Rack of this node, shown to clients so that they can read nearby."
    ),
    ConfigKey(
        "process.roles",
        "list",
        ("broker", "controller"),
        "Roles of this node. One process is always both; `controller` alone is refused.",
        choices=("broker", "controller"),
        kafka_default=None,
        differs="Kafka demands a value; here one process is both",
    ),
    ConfigKey(
        "listeners",
        "list",
        ("PLAINTEXT://127.0.0.1:9092",),
        "Addresses to accept clients on, as NAME://HOST:PORT. No host means every interface, port 0 any free port.",
        kafka_default=("PLAINTEXT://:9092",),
        differs="there is no authentication yet, so nothing outside the machine is served unless asked for",
    ),
    ConfigKey(
        "advertised.listeners",
        "list",
        None,
        "Addresses that clients are told to use, by listener name. Unset: `listeners`. Port 0: the port bound.",
    ),
    ConfigKey(
        "listener.security.protocol.map",
        "string",
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "Security protocol of each listener name. Only PLAINTEXT can be used by a listener so far.",
    ),
    ConfigKey(
        "controller.listener.names",
        "list",
        (),
        "Listeners for controllers. The controller is in this process, so they are not opened.",
    ),
    ConfigKey(
        "log.dirs",
        "list",
        None,
        "Data directories, comma-separated. Unset: log.dir.",
    ),
    ConfigKey(
        "log.dir",
        "list",
        ("logd-data",),
        "Data directory, used when log.dirs is not set.",
        kafka_default=("/tmp/kafka-logs",),
        differs="data under /tmp is lost at the next boot, and may be another broker's",
    ),
    ConfigKey(
        "metadata.log.dir",
        "string",
        None,
        "Directory of the metadata log. Unset: the data directory that has one, else the first.",
    ),
    ConfigKey(
        "metadata.log.max.record.bytes.between.snapshots",
        "long",
        20 << 20,
        "Size of the metadata log that makes a snapshot due; the log in front of a snapshot is dropped.",
        low=1,
    ),
    # -- topics ----------------------------------------------------------------------------------------------------
    ConfigKey("num.partitions", "int", 1, "Partitions of a topic created without a count.", low=1),
    ConfigKey("default.replication.factor", "int", 1, "Replicas of a topic created without a count."),
    ConfigKey(
        "auto.create.topics.enable",
        "boolean",
        True,
        "Create a topic when a client asks for metadata of one that does not exist.",
    ),
    ConfigKey("delete.topic.enable", "boolean", True, "Allow topics to be deleted."),
    ConfigKey(
        "min.insync.replicas",
        "int",
        1,
        "Replicas that must be in sync for a write with acks=all to be taken.",
        low=1,
        dynamic=True,
    ),
    # -- the log ---------------------------------------------------------------------------------------------------
    ConfigKey(
        "message.max.bytes",
        "int",
        1_048_588,
        "Largest record batch taken, after compression, in bytes.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.record.validation",
        "string",
        "header",
        "How far a produced batch is checked: `header` checks checksum, counts, times and sequences of its header; "
        "`full` also decompresses and walks every record, as Kafka does.",
        choices=("header", "full"),
        ours=True,
    ),
    ConfigKey(
        "log.segment.bytes",
        "int",
        1 << 30,
        "Size at which a new segment is started.",
        low=1 << 20,
        dynamic=True,
    ),
    ConfigKey(
        "log.roll.ms",
        "long",
        None,
        "Age at which a new segment is started; before log.roll.hours.",
        low=1,
        dynamic=True,
    ),
    ConfigKey("log.roll.hours", "int", 168, "Age in hours at which a new segment is started.", low=1),
    ConfigKey(
        "log.roll.jitter.ms",
        "long",
        None,
        "Largest random part taken off the age, to spread the work.",
        low=0,
        dynamic=True,
    ),
    ConfigKey("log.roll.jitter.hours", "int", 0, "As log.roll.jitter.ms, in hours.", low=0),
    ConfigKey(
        "log.retention.ms",
        "long",
        None,
        "How long records are kept; negative for ever. Before log.retention.minutes and .hours.",
        dynamic=True,
    ),
    ConfigKey("log.retention.minutes", "int", None, "As log.retention.ms, in minutes."),
    ConfigKey("log.retention.hours", "int", 168, "As log.retention.ms, in hours."),
    ConfigKey(
        "log.retention.bytes",
        "long",
        -1,
        "Bytes of a partition that are kept; negative for no limit.",
        dynamic=True,
    ),
    ConfigKey("log.retention.check.interval.ms", "long", 300_000, "How often retention is applied.", low=1),
    ConfigKey(
        "log.cleanup.policy",
        "list",
        ("delete",),
        "What becomes of old records: `delete` by time and size, `compact` by key.",
        choices=("compact", "delete"),
        dynamic=True,
    ),
    ConfigKey(
        "log.segment.delete.delay.ms",
        "long",
        60_000,
        "How long a deleted file stays on disk, renamed.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.index.interval.bytes",
        "int",
        4096,
        "Bytes of log between two entries of the offset index.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.index.size.max.bytes",
        "int",
        10 << 20,
        "Largest offset index; a full one starts a new segment.",
        low=4,
        dynamic=True,
    ),
    ConfigKey(
        "log.flush.interval.messages",
        "long",
        LONG_MAX,
        "Records after which a partition is synced to disk before the producer is answered; 1 syncs every write.",
        low=1,
        dynamic=True,
    ),
    ConfigKey(
        "log.flush.interval.ms",
        "long",
        None,
        "Longest time that a record waits to be synced to disk. Unset: log.flush.scheduler.interval.ms.",
        dynamic=True,
    ),
    ConfigKey(
        "log.flush.scheduler.interval.ms",
        "long",
        LONG_MAX,
        "Value of log.flush.interval.ms where that is unset. The broker looks for such logs twice a second.",
    ),
    ConfigKey(
        "log.flush.offset.checkpoint.interval.ms",
        "int",
        60_000,
        "How often the recovery points are written down.",
        low=0,
    ),
    ConfigKey(
        "log.flush.start.offset.checkpoint.interval.ms",
        "int",
        60_000,
        "How often the log start offsets are written down.",
        low=0,
    ),
    ConfigKey(
        "replica.high.watermark.checkpoint.interval.ms",
        "long",
        5_000,
        "How often the high watermarks are written down.",
    ),
    ConfigKey(
        "compression.type",
        "string",
        "producer",
        "Codec of the records on disk; `producer` keeps what was sent.",
        choices=("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
        dynamic=True,
    ),
    ConfigKey(
        "compression.gzip.level",
        "int",
        -1,
        "Level of gzip, where the broker compresses; -1 is its default.",
        low=1,
        high=9,
        exempt=-1,
        dynamic=True,
    ),
    ConfigKey(
        "compression.lz4.level",
        "int",
        9,
        "Level of lz4, where the broker compresses.",
        low=1,
        high=17,
        dynamic=True,
    ),
    ConfigKey(
        "compression.zstd.level",
        "int",
        3,
        "Level of zstd, where the broker compresses.",
        low=-131_072,
        high=22,
        dynamic=True,
    ),
    ConfigKey(
        "log.message.timestamp.type",
        "string",
        "CreateTime",
        "Time of a record: the producer's, or that of the append.",
        choices=("CreateTime", "LogAppendTime"),
        dynamic=True,
    ),
    ConfigKey(
        "log.message.timestamp.before.max.ms",
        "long",
        LONG_MAX,
        "How far a producer's time may lie before the broker's.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.message.timestamp.after.max.ms",
        "long",
        _HOUR_MS,
        "How far a producer's time may lie after the broker's.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "producer.id.expiration.ms",
        "int",
        86_400_000,
        "How long the state of a producer that writes nothing is kept.",
        low=1,
        dynamic=True,
    ),
    # -- transactions ----------------------------------------------------------------------------------------------
    ConfigKey(
        "transaction.partition.verification.enable",
        "boolean",
        True,
        "Whether the first batch of a transaction is written only once its coordinator knows that it comes.",
        dynamic=True,
    ),
    ConfigKey(
        "add.partitions.to.txn.retry.backoff.ms",
        "int",
        20,
        "How long to wait before asking for a partition again while the last transaction is still being ended.",
        low=1,
    ),
    ConfigKey(
        "add.partitions.to.txn.retry.backoff.max.ms",
        "int",
        100,
        "How long to ask again in all; then the client is told.",
        low=0,
    ),
    # -- connections -----------------------------------------------------------------------------------------------
    ConfigKey(
        "socket.request.max.bytes",
        "int",
        104_857_600,
        "Largest request; a larger one closes the connection. Without records, 4 MiB at most.",
        low=1,
    ),
    ConfigKey(
        "socket.listen.backlog.size",
        "int",
        1024,
        "Connections that may wait to be accepted.",
        low=1,
        kafka_default=50,
        differs="one thread accepts between its other work; a burst beyond the backlog waits a second per client",
    ),
    ConfigKey(
        "socket.send.buffer.bytes",
        "int",
        102_400,
        "Send buffer of a client's socket; -1 for the system's choice. With a larger one a fetch of 1 MB takes fewer "
        "turns of the loop and less CPU, and other clients wait longer for theirs.",
    ),
    ConfigKey(
        "max.connections",
        "int",
        INT_MAX,
        "Connections at one time, over all listeners.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "max.connections.per.ip",
        "int",
        INT_MAX,
        "Connections at one time from one address.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "max.connections.per.ip.overrides",
        "string",
        "",
        "Limits for single addresses, as ADDRESS:COUNT, comma-separated.",
        dynamic=True,
    ),
    ConfigKey(
        "connections.max.idle.ms",
        "long",
        600_000,
        "A connection idle for longer is closed; negative for never.",
    ),
    ConfigKey(
        "queued.max.request.bytes",
        "long",
        268_435_456,
        "Bytes of requests held in memory over all connections; beyond it nothing is read. Not positive: no bound.",
        kafka_default=-1,
        differs="without a bound a few clients can take all memory",
    ),
    ConfigKey("fetch.max.bytes", "int", 57_671_680, "Most bytes in the answer to one fetch.", low=1024),
    ConfigKey(
        "max.incremental.fetch.session.cache.slots", "int", 1000, "Incremental fetch sessions kept.", low=0
    ),
    ConfigKey(
        "max.request.partition.size.limit",
        "int",
        2000,
        "Most partitions in one answer to DescribeTopicPartitions.",
        low=1,
    ),
    # -- groups ----------------------------------------------------------------------------------------------------
    *CLEANER_KEYS,
    *GROUP_KEYS,
    # -- transactions ----------------------------------------------------------------------------------------------
    *TRANSACTION_KEYS,
)

BROKER_KEYS_BY_NAME: dict[str, ConfigKey] = {key.name: key for key in BROKER_KEYS}

# One time in several units, strongest first (Kafka: brokerConfigSynonyms).
UNIT_SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("log.roll.ms", "log.roll.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
)

# Names of one and the same setting, strongest first.
SYNONYMS: tuple[tuple[str, ...], ...] = (("node.id", "broker.id"), ("log.dirs", "log.dir"), *UNIT_SYNONYMS)
