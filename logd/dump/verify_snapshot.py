"""Checking a snapshot of the metadata: every batch, that it begins and ends as one, that each record can be read."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from logd.metadata.snapshot import parse_snapshot_name
from protocol.control_records import ControlType, control_type
from protocol.errors import BrokerError
from protocol.records import iter_records
from replication.metadata_image import UnusableMetadata
from replication.metadata_records import decode_record
from storage.batch_scan import iter_checked
from storage.errors import CorruptLog
from storage.fs import OpenMode

if TYPE_CHECKING:
    from logd.dump.finding import Report
    from protocol.records import BatchHeader
    from storage.fs import FileSystem

_ADVICE = "restore it from a copy; without it the metadata before its offset is gone"


def verify_metadata_snapshot(fs: FileSystem, path: str, report: Report) -> None:
    """Raises: StorageFailure."""
    file = fs.open(path, OpenMode.READ)
    report.files += 1
    snapshot = parse_snapshot_name(posixpath.basename(path))
    epoch = None if snapshot is None else snapshot.epoch
    first = last = None
    position = 0
    try:
        for position, header, batch in iter_checked(file, 0, file.size(), due=0, gaps=False):
            epoch = header.leader_epoch if epoch is None else epoch
            if header.leader_epoch != epoch:
                text = f"a batch has leader epoch {header.leader_epoch}, not {epoch}"
                report.problem(path, text, _ADVICE, position=position)
            last = _read_batch(header, batch)
            first = last if position == 0 else first
            report.add_batch(len(batch), header.record_count)
        if first is not ControlType.SNAPSHOT_HEADER:
            report.problem(path, "does not begin with a header", _ADVICE, position=0)
        if last is not ControlType.SNAPSHOT_FOOTER:
            report.problem(path, "does not end with a footer", _ADVICE, position=file.size())
    except CorruptLog as error:
        report.problem(path, error.reason, _ADVICE, position=error.position)
    except (BrokerError, UnusableMetadata) as error:
        report.problem(path, str(error), _ADVICE, position=position)


def _read_batch(header: BatchHeader, batch: memoryview) -> ControlType | None:
    """Read every record; return the type of the last one of a control batch."""
    kind = None
    for index, record in enumerate(iter_records(batch)):
        if not header.is_control:
            decode_record(record.value or b"")
        elif record.key is not None and (index == 0 or kind is not ControlType.SNAPSHOT_HEADER):
            kind = control_type(record.key)
    return kind
