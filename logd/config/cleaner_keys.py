"""The properties of compaction, and the settings that they make. Names, meanings and defaults are Kafka's.

Source: Kafka 4.3 CleanerConfig.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

from logd.config.key import LONG_MAX, ConfigKey, Value

_DOUBLE_MAX = 1.7976931348623157e308

CLEANER_KEYS: tuple[ConfigKey, ...] = (
    ConfigKey(
        "log.cleaner.enable",
        "boolean",
        True,
        "Whether compacted topics are compacted.",
    ),
    ConfigKey(
        "log.cleaner.threads",
        "int",
        1,
        "How many partitions are compacted side by side, each in a process of its own.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.dedupe.buffer.size",
        "long",
        134_217_728,
        "Memory for keys while compacting, in bytes, shared by `log.cleaner.threads`. A key takes 28 bytes, a record "
        "one more; more keys than fit take another pass.",
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.io.buffer.load.factor",
        "double",
        0.9,
        "How full the memory for keys may get before a pass ends, from 0 to 1.",
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.io.max.bytes.per.second",
        "double",
        _DOUBLE_MAX,
        "How much compaction may read and write in a second, in bytes, on average; shared by `log.cleaner.threads`. A "
        "change counts from the next pass on.",
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.backoff.ms",
        "long",
        15_000,
        "How long to wait when there was nothing to compact.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.min.cleanable.ratio",
        "double",
        0.5,
        "Share of a log that must be dirty before it is compacted. Topics may set their own.",
        low=0,
        high=1,
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.delete.retention.ms",
        "long",
        86_400_000,
        "How long a delete marker outlives its compaction. Topics may set their own.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.min.compaction.lag.ms",
        "long",
        0,
        "Shortest time that a record stays uncompacted. Topics may set their own.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "log.cleaner.max.compaction.lag.ms",
        "long",
        LONG_MAX,
        "Longest time that a record may stay uncompacted. Topics may set their own.",
        low=1,
        dynamic=True,
    ),
)


class CleanerConfig(NamedTuple):
    """What the node's cleaner needs to know."""

    enable: bool
    threads: int
    memory_bytes: int
    """For one pass."""
    load_factor: float
    bytes_per_second: float
    backoff_ms: int


def cleaner_config(given: Mapping[str, Value]) -> CleanerConfig:
    """Return the cleaner's settings; `given` has what was set."""
    values = {key.name: given.get(key.name, key.default) for key in CLEANER_KEYS}
    threads = cast(int, values["log.cleaner.threads"])
    return CleanerConfig(
        enable=cast(bool, values["log.cleaner.enable"]),
        threads=threads,
        memory_bytes=max(cast(int, values["log.cleaner.dedupe.buffer.size"]), 0) // max(threads, 1),
        load_factor=min(max(cast(float, values["log.cleaner.io.buffer.load.factor"]), 0.0), 1.0),
        bytes_per_second=cast(float, values["log.cleaner.io.max.bytes.per.second"]) / max(threads, 1),
        backoff_ms=cast(int, values["log.cleaner.backoff.ms"]),
    )
