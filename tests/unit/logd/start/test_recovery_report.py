"""What an operator reads after a start: a line for each partition that lost something, at the level of its loss."""

from __future__ import annotations

import logging

import pytest

from logd.start.recovery_report import log_recovery
from protocol.types import TopicPartition
from storage.directories.directory_loader import LoadReport
from storage.recovery.report import RecoveryReport


def lines(caplog: pytest.LogCaptureFixture, report: LoadReport, *warnings: str) -> list[tuple[int, str]]:
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="logd.recovery"):
        log_recovery(report, warnings)
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def recovered(topic: str, **fields: object) -> RecoveryReport:
    report = RecoveryReport(TopicPartition(topic, 3), clean=False)
    for name, value in fields.items():
        setattr(report, name, value)
    return report


def test_a_clean_start_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clean = RecoveryReport(TopicPartition("t", 0), clean=True, segments=9)
    assert lines(caplog, LoadReport()) == []
    assert lines(caplog, LoadReport(recoveries=[clean])) == []


def test_what_was_cut_off_is_a_warning_with_all_that_finds_it(caplog: pytest.LogCaptureFixture) -> None:
    cut = recovered(
        "orders",
        scanned_bytes=500,
        cut_offset=77,
        cut_bytes=33,
        cut_files=["/d/x.cut", "/d/y.cut"],
        cut_reason="checksum",
    )
    (warning, info) = lines(caplog, LoadReport(recoveries=[cut]))
    assert warning == (
        logging.WARNING,
        "log cut topic=orders partition=3 offset=77 bytes=33 kept=/d/x.cut,/d/y.cut reason=checksum",
    )
    assert info == (logging.INFO, "checked after an unclean stop partitions=1 bytes=500")


def test_a_cut_at_the_very_start_is_told_as_well(caplog: pytest.LogCaptureFixture) -> None:
    ((level, text),) = lines(caplog, LoadReport(recoveries=[recovered("t", cut_offset=0, cut_bytes=9)]))
    assert level == logging.WARNING and "offset=0" in text


def test_what_was_checked_is_added_up(caplog: pytest.LogCaptureFixture) -> None:
    scans = [recovered(topic, scanned_bytes=size) for topic, size in (("a", 10), ("b", 0), ("c", 5))]
    assert lines(caplog, LoadReport(recoveries=scans)) == [
        (logging.INFO, "checked after an unclean stop partitions=2 bytes=15")
    ]


def test_what_stays_offline_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    report = LoadReport(failed={TopicPartition("t", 1): "rot at byte 7"}, warnings=["a stranger"])
    assert lines(caplog, report, "a damaged checkpoint") == [
        (logging.WARNING, "a damaged checkpoint"),
        (logging.WARNING, "a stranger"),
        (logging.ERROR, "partition offline topic=t partition=1 reason=rot at byte 7"),
    ]
