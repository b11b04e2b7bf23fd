"""What one log needs to know of its topic's configuration.

Not a parser: names, types, bounds and documentation of the properties live in the broker's configuration
table, which builds a LogConfig per topic. Field names are Kafka's topic properties with dots turned into
underscores; defaults are Kafka's. A LogConfig never changes: a new one is handed to `Log.configure`.
"""

from dataclasses import dataclass

NO_LIMIT = (1 << 63) - 1
"""Java's Long.MAX_VALUE, which Kafka uses to mean "never" or "unbounded" in properties of type long."""

DAY_MS = 24 * 3600 * 1000

PRODUCER = "producer"
"""compression.type: keep whatever codec the producer chose."""

CREATE_TIME = "CreateTime"
LOG_APPEND_TIME = "LogAppendTime"

VALIDATE_HEADER = "header"
VALIDATE_FULL = "full"


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Settings of one log. Sizes in bytes, times in milliseconds, -1 means no limit where Kafka says so."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * DAY_MS
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    retention_ms: int = 7 * DAY_MS
    retention_bytes: int = -1
    cleanup_policy: frozenset[str] = frozenset({"delete"})
    file_delete_delay_ms: int = 60_000
    max_message_bytes: int = 1_048_588
    compression_type: str = PRODUCER
    compression_gzip_level: int = -1
    compression_lz4_level: int = 9
    compression_zstd_level: int = 3
    message_timestamp_type: str = CREATE_TIME
    message_timestamp_before_max_ms: int = NO_LIMIT
    message_timestamp_after_max_ms: int = 3_600_000
    # Kafka walks every record of every batch: that is "full" here, and the default reads headers only.
    validation: str = VALIDATE_HEADER
    flush_messages: int = NO_LIMIT
    flush_ms: int = NO_LIMIT
    min_insync_replicas: int = 1
    # Kept and without effect: one replica, files that grow as they are written.
    unclean_leader_election_enable: bool = False
    preallocate: bool = False
    # Of compaction.
    delete_retention_ms: int = DAY_MS
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = NO_LIMIT

    @property
    def deletes(self) -> bool:
        return "delete" in self.cleanup_policy

    @property
    def compacts(self) -> bool:
        return "compact" in self.cleanup_policy

    @property
    def segment_ms_max(self) -> int:
        """How long a segment may be the active one, which is not compacted: what must be compacted in time leaves it in
        time (KIP-354).
        """
        return min(self.segment_ms, self.max_compaction_lag_ms) if self.compacts else self.segment_ms
