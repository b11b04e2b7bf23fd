"""Goal: `logd dump --verify` on the directory of a broker at work never cries wolf.

Method: a producer fills small segments while the check goes over them again and again; retention takes the old
ones away under its eyes.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from logd.dump.finding import Finding, Report, Severity
from logd.dump.text import line_of_finding
from logd.dump.verify import verify
from logd.dump.verify_context import DirectoryState, VerifyOptions
from storage.fs.real import RealFileSystem
from tests.support.broker import LogdBroker

ROUNDS = 25
SMALL = {
    "segment.bytes": "1048576",
    "index.interval.bytes": "1000",
    "retention.bytes": "4000000",
    "file.delete.delay.ms": "0",
}


def test_a_log_that_grows_and_loses_segments_is_no_fault(tmp_path: Path) -> None:
    properties = {"log.retention.check.interval.ms": "100"}
    with LogdBroker(tmp_path / "broker", properties=properties) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("busy", 2, config=SMALL)])["busy"].result(60)
        stop = threading.Event()
        producing = threading.Thread(target=produce, args=(broker.bootstrap, stop))
        producing.start()
        try:
            deadline = time.monotonic() + 240
            rounds = 0
            while rounds < ROUNDS and time.monotonic() < deadline:
                # Before retention is at work there is little to be wrong about.
                rounds += verified(broker.data_dir) > 3_000_000 and not first_segments(broker.data_dir)
        finally:
            stop.set()
            producing.join()
    assert rounds == ROUNDS, "retention was not at work"


def first_segments(data_dir: Path) -> list[Path]:
    return list(data_dir.glob("busy-?/00000000000000000000.log"))


def verified(data_dir: Path) -> int:
    findings: list[Finding] = []
    report = Report(findings.append)
    state = verify(RealFileSystem(), str(data_dir), report, VerifyOptions(walk_records=False))
    problems = [line_of_finding(each) for each in findings if each.severity is Severity.PROBLEM]
    assert not problems, "\n".join(problems[:5])
    assert state is DirectoryState.RUNNING
    return report.bytes_read


def produce(bootstrap: str, stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 1})
    number = 0
    while not stop.is_set():
        for _ in range(50):
            producer.produce("busy", b"%d" % number * 400, partition=number % 2)
            number += 1
        producer.flush(10)
