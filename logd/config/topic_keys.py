"""The properties of a topic: the table, and what holds between them.

A topic's value stands before the broker's (`synonym`), which stands before the default. Properties of parts that do
not exist yet are checked and kept like the others, so that what a user set is still there when the part comes.
Source: Kafka 4.3 LogConfig.java.
"""

from __future__ import annotations

from collections.abc import Mapping

from logd.config.key import INT_MAX, LONG_MAX, ConfigKey, Value

_NO_TIERS = "there is no tiered storage"
_ONE_REPLICA = "a node has one replica of each partition, its own"


def _key(
    name: str,
    kind: str,
    default: Value,
    synonym: str,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    without_effect: str = "",
    exempt: float | None = None,
) -> ConfigKey:
    return ConfigKey(
        name,
        kind,
        default,
        doc,
        low=low,
        high=high,
        exempt=exempt,
        choices=choices,
        scope="topic",
        dynamic=True,
        without_effect=without_effect,
        synonym=synonym,
    )


TOPIC_KEYS: tuple[ConfigKey, ...] = (
    _key(
        "cleanup.policy",
        "list",
        ("delete",),
        "log.cleanup.policy",
        "What becomes of old records: `delete` by time and size, `compact` by key.",
        choices=("compact", "delete"),
    ),
    _key(
        "compression.type",
        "string",
        "producer",
        "compression.type",
        "Codec of the records on disk; `producer` keeps what was sent.",
        choices=("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
    ),
    _key(
        "compression.gzip.level",
        "int",
        -1,
        "compression.gzip.level",
        "Level of gzip, where the broker compresses; -1 is its default.",
        low=1,
        high=9,
        exempt=-1,
    ),
    _key(
        "compression.lz4.level",
        "int",
        9,
        "compression.lz4.level",
        "Level of lz4, where the broker compresses.",
        low=1,
        high=17,
    ),
    _key(
        "compression.zstd.level",
        "int",
        3,
        "compression.zstd.level",
        "Level of zstd, where the broker compresses.",
        low=-131_072,
        high=22,
    ),
    _key(
        "delete.retention.ms",
        "long",
        86_400_000,
        "log.cleaner.delete.retention.ms",
        "How long a delete marker outlives the first compaction that finds it.",
        low=0,
    ),
    _key(
        "file.delete.delay.ms",
        "long",
        60_000,
        "log.segment.delete.delay.ms",
        "How long a deleted file stays on disk, renamed.",
        low=0,
    ),
    _key(
        "flush.messages",
        "long",
        LONG_MAX,
        "log.flush.interval.messages",
        "Records after which the partition is synced to disk before the producer is answered; 1 syncs every write.",
        low=1,
    ),
    _key(
        "flush.ms",
        "long",
        LONG_MAX,
        "log.flush.interval.ms",
        "Longest time that a record waits to be synced to disk.",
        low=0,
    ),
    _key(
        "index.interval.bytes",
        "int",
        4096,
        "log.index.interval.bytes",
        "Bytes of log between two entries of the offset index.",
        low=0,
    ),
    _key(
        "max.compaction.lag.ms",
        "long",
        LONG_MAX,
        "log.cleaner.max.compaction.lag.ms",
        "Longest time that a record may stay uncompacted.",
        low=1,
    ),
    _key(
        "max.message.bytes",
        "int",
        1_048_588,
        "message.max.bytes",
        "Largest record batch taken, after compression, in bytes.",
        low=0,
    ),
    _key(
        "message.timestamp.after.max.ms",
        "long",
        3_600_000,
        "log.message.timestamp.after.max.ms",
        "How far a producer's time may lie after the broker's.",
        low=0,
    ),
    _key(
        "message.timestamp.before.max.ms",
        "long",
        LONG_MAX,
        "log.message.timestamp.before.max.ms",
        "How far a producer's time may lie before the broker's.",
        low=0,
    ),
    _key(
        "message.timestamp.type",
        "string",
        "CreateTime",
        "log.message.timestamp.type",
        "Time of a record: the producer's, or that of the append.",
        choices=("CreateTime", "LogAppendTime"),
    ),
    _key(
        "min.cleanable.dirty.ratio",
        "double",
        0.5,
        "log.cleaner.min.cleanable.ratio",
        "Share of a log that must be uncompacted before it is compacted.",
        low=0,
        high=1,
    ),
    _key(
        "min.compaction.lag.ms",
        "long",
        0,
        "log.cleaner.min.compaction.lag.ms",
        "Shortest time that a record stays uncompacted.",
        low=0,
    ),
    _key(
        "min.insync.replicas",
        "int",
        1,
        "min.insync.replicas",
        "Replicas that must be in sync for a write with acks=all to be taken.",
        low=1,
    ),
    _key(
        "preallocate",
        "boolean",
        False,
        "log.preallocate",
        "Whether files are given their full size when they are made.",
        without_effect="files grow as they are written",
    ),
    _key(
        "retention.bytes",
        "long",
        -1,
        "log.retention.bytes",
        "Bytes of a partition that are kept; negative for no limit.",
    ),
    _key(
        "retention.ms",
        "long",
        604_800_000,
        "log.retention.ms",
        "How long records are kept; -1 for ever.",
        low=-1,
    ),
    _key(
        "segment.bytes",
        "int",
        1 << 30,
        "log.segment.bytes",
        "Size at which a new segment is started.",
        low=1 << 20,
    ),
    _key(
        "segment.index.bytes",
        "int",
        10 << 20,
        "log.index.size.max.bytes",
        "Largest offset index; a full one starts a new segment.",
        low=4,
    ),
    _key(
        "segment.jitter.ms",
        "long",
        0,
        "log.roll.jitter.ms",
        "Largest random part taken off the age, to spread the work.",
        low=0,
    ),
    _key("segment.ms", "long", 604_800_000, "log.roll.ms", "Age at which a new segment is started.", low=1),
    _key(
        "unclean.leader.election.enable",
        "boolean",
        False,
        "unclean.leader.election.enable",
        "Whether a replica that lags may lead, and records be lost.",
        without_effect=_ONE_REPLICA,
    ),
    _key(
        "leader.replication.throttled.replicas",
        "list",
        (),
        "",
        "Replicas whose reads by followers are throttled.",
        without_effect=_ONE_REPLICA,
    ),
    _key(
        "follower.replication.throttled.replicas",
        "list",
        (),
        "",
        "Replicas whose fetching is throttled.",
        without_effect=_ONE_REPLICA,
    ),
    _key(
        "local.retention.bytes",
        "long",
        -2,
        "log.local.retention.bytes",
        "Bytes kept here of a tiered topic.",
        low=-2,
        without_effect=_NO_TIERS,
    ),
    _key(
        "local.retention.ms",
        "long",
        -2,
        "log.local.retention.ms",
        "Time kept here of a tiered topic.",
        low=-2,
        without_effect=_NO_TIERS,
    ),
    _key(
        "remote.storage.enable",
        "boolean",
        False,
        "",
        "Whether the topic is tiered; true is refused.",
        without_effect=_NO_TIERS,
    ),
    _key(
        "remote.log.copy.disable",
        "boolean",
        False,
        "",
        "Whether a tiered topic stops being copied.",
        without_effect=_NO_TIERS,
    ),
    _key(
        "remote.log.delete.on.disable",
        "boolean",
        False,
        "",
        "Whether remote data goes when tiering is switched off.",
        without_effect=_NO_TIERS,
    ),
)

# Kafka's way around the lower bound of segment.bytes, for tests; hidden from clients there and here.
INTERNAL_SEGMENT_BYTES = ConfigKey(
    "internal.segment.bytes",
    "int",
    None,
    "Size at which a new segment is started, below the bound of segment.bytes; for tests.",
    low=14,
    high=INT_MAX,
    scope="topic",
)

TOPIC_KEYS_BY_NAME: dict[str, ConfigKey] = {key.name: key for key in TOPIC_KEYS}


def topic_defaults(broker_values: Mapping[str, Value]) -> dict[str, Value]:
    """The value of every topic property where the topic sets none. `broker_values`: by broker property."""
    return {key.name: broker_values.get(key.synonym, key.default) for key in TOPIC_KEYS}


def values_problem(values: Mapping[str, Value]) -> str | None:
    """In words what is wrong with the values of a topic's properties taken together."""
    shortest, longest = values["min.compaction.lag.ms"], values["max.compaction.lag.ms"]
    if shortest > longest:  # type: ignore[operator]
        return f"min.compaction.lag.ms ({shortest}) is greater than max.compaction.lag.ms ({longest})"
    if values["remote.storage.enable"]:
        return "remote.storage.enable must be false: there is no tiered storage"
    return None
