"""What a start found on disk, as log lines: one for each partition that an operator should know of."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.types import TopicPartition
    from storage.directories.data_directory import DataDirectory
    from storage.directories.directory_loader import LoadReport

log = logging.getLogger("logd.recovery")


def log_recovery(
    report: LoadReport, warnings: Iterable[str], directories: Iterable[DataDirectory] = ()
) -> None:
    """Say what was cut, what stays offline, and what is not ours."""
    for directory in directories:
        if not directory.is_online:
            log.error("data directory offline path=%s reason=%s", directory.path, directory.failure)
    for warning in (*warnings, *report.warnings):
        log.warning("%s", warning)
    offline: dict[str, list[TopicPartition]] = {}
    for topic_partition, reason in report.failed.items():
        offline.setdefault(reason, []).append(topic_partition)
    for reason, topic_partitions in offline.items():
        first = topic_partitions[0]
        others = f" others={len(topic_partitions) - 1}" if len(topic_partitions) > 1 else ""
        log.error(
            "partition offline topic=%s partition=%d%s reason=%s",
            first.topic,
            first.partition,
            others,
            reason,
        )
    for recovery in report.recoveries:
        if recovery.cut_offset >= 0:
            log.warning(
                "log cut topic=%s partition=%d offset=%d bytes=%d kept=%s reason=%s",
                recovery.topic_partition.topic,
                recovery.topic_partition.partition,
                recovery.cut_offset,
                recovery.cut_bytes,
                ",".join(recovery.cut_files),
                recovery.cut_reason,
            )
    scanned = [recovery for recovery in report.recoveries if recovery.scanned_bytes]
    if scanned:
        log.info(
            "checked after an unclean stop partitions=%d bytes=%d",
            len(scanned),
            sum(recovery.scanned_bytes for recovery in scanned),
        )
