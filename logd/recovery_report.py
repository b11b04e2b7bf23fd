"""What a start found on disk, as log lines: one for each partition that an operator should know of."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.directory_loader import LoadReport

log = logging.getLogger("logd.recovery")


def log_recovery(report: LoadReport, warnings: Iterable[str]) -> None:
    """Say what was cut, what stays offline, and what is not ours."""
    for warning in (*warnings, *report.warnings):
        log.warning("%s", warning)
    for topic_partition, reason in report.failed.items():
        log.error(
            "partition offline topic=%s partition=%d reason=%s",
            topic_partition.topic,
            topic_partition.partition,
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
