"""Goal: `logd dump --verify` finds a flipped bit, whichever it is. Method: a stopped data directory with every kind of
file, one bit of it turned over; a change that is not found must be one that no other byte on the disk speaks against.
"""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logd.dump.file_rows import file_rows
from logd.dump.finding import Finding, Report
from logd.dump.kinds import Kind, kind_of_file
from logd.dump.segment_rows import BatchSelection
from logd.dump.verify import verify
from logd.dump.verify_context import VerifyOptions
from storage.fs import OpenMode
from storage.fs.memory import MemoryFileSystem
from tests.support.logs import NOW_MS
from tests.support.stopped_directory import files_in, write_stopped_directory

DATA_DIR = "/data"
LOG_END_OFFSETS_MAX = {True: 100, False: 102}

UNWITNESSED = {
    (Kind.CLEAN_SHUTDOWN, "broker_epoch"),
    (Kind.META_PROPERTIES, "cluster_id"),
    (Kind.QUORUM_STATE, "clusterId"),
    (Kind.QUORUM_STATE, "leaderId"),
    (
        Kind.QUORUM_STATE,
        "leaderEpoch",
    ),  # an election may have been lost since: higher than the log's is in order
    (Kind.QUORUM_STATE, "votedId"),
    (Kind.QUORUM_STATE, "appliedOffset"),
    (Kind.QUORUM_STATE, "currentVoters"),
    (Kind.QUORUM_STATE, "data_version"),
    (
        Kind.OFFSET_CHECKPOINT,
        "offset",
    ),  # anything up to the log end: high watermarks, and where recovery begins
    (Kind.TIME_INDEX, "offset"),  # another record of the batch that has the timestamp
    (Kind.LEADER_EPOCHS, "start_offset"),  # below the first batch that is left
}
"""Kind of file and field: there is no checksum, and nothing to compare the value with. docs/cli.md lists them."""


def stopped(clean: bool) -> MemoryFileSystem:
    fs = MemoryFileSystem(NOW_MS)
    write_stopped_directory(fs, DATA_DIR, clean=clean)
    return fs


DIRECTORIES = {clean: stopped(clean) for clean in (True, False)}
FILES = {
    clean: [path for path in files_in(fs, DATA_DIR) if fs.size(path) and "orders-1" not in path]
    for clean, fs in DIRECTORIES.items()
}


def findings_in(fs: MemoryFileSystem, path: str = DATA_DIR) -> list[Finding]:
    findings: list[Finding] = []
    verify(fs, path, Report(findings.append), VerifyOptions())
    return findings


def replace(fs: MemoryFileSystem, path: str, data: bytes) -> None:
    fs.open(path, OpenMode.CREATE).append(data)


def fields(fs: MemoryFileSystem, path: str) -> list[dict[str, Any]]:
    return list(file_rows(fs, path, kind_of_file(posixpath.basename(path)), BatchSelection()))


@pytest.mark.parametrize("clean", [True, False])
def test_nothing_is_found_where_nothing_is_wrong(clean: bool) -> None:
    assert findings_in(DIRECTORIES[clean]) == []


@settings(max_examples=300, deadline=None)
@given(clean=st.booleans(), data=st.data())
def test_a_flipped_bit_is_found(clean: bool, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(FILES[clean]))
    bit = data.draw(st.integers(0, DIRECTORIES[clean].size(path) * 8 - 1))
    check_flip(clean, path, bit)


@settings(max_examples=200, deadline=None)
@given(clean=st.booleans(), data=st.data())
def test_a_flipped_bit_of_a_log_is_found_without_exception(clean: bool, data: st.DataObject) -> None:
    path = data.draw(
        st.sampled_from([path for path in FILES[clean] if path.endswith((".log", ".checkpoint"))])
    )
    bit = data.draw(st.integers(0, DIRECTORIES[clean].size(path) * 8 - 1))
    assert flipped_findings(clean, path, bit)[0]


@settings(max_examples=100, deadline=None)
@given(clean=st.booleans(), data=st.data())
def test_a_log_that_was_cut_short_is_found(clean: bool, data: st.DataObject) -> None:
    """At the end of a batch, too: then the next segment, or a checkpoint, knows better."""
    fs = DIRECTORIES[clean]
    path = data.draw(st.sampled_from([path for path in FILES[clean] if path.endswith(".log")]))
    whole = fs.read_file(path)
    kept = data.draw(st.integers(0, len(whole) - 1))
    replace(fs, path, whole[:kept])
    try:
        # What was appended behind the recovery point may be gone after a kill: nobody has promised it.
        assert findings_in(fs) or (not clean and path.endswith("96.log") and kept >= 253)
    finally:
        replace(fs, path, whole)


def check_flip(clean: bool, path: str, bit: int) -> None:
    findings, before, after = flipped_findings(clean, path, bit)
    if findings:
        assert all(finding.advice for finding in findings)
        return
    kind = kind_of_file(posixpath.basename(path))
    assert kind not in (Kind.SEGMENT, Kind.METADATA_SNAPSHOT, Kind.OFFSET_INDEX, Kind.TXN_INDEX)
    assert len(before) == len(after)
    changed = {
        name for old, new in zip(before, after, strict=True) for name in old if old[name] != new.get(name)
    }
    assert all((kind, name) in UNWITNESSED for name in changed), (path, bit, changed)
    if kind is Kind.OFFSET_CHECKPOINT:
        assert all(row["offset"] <= LOG_END_OFFSETS_MAX[clean] for row in after)


def flipped_findings(
    clean: bool, path: str, bit: int
) -> tuple[list[Finding], list[dict[str, Any]], list[dict[str, Any]]]:
    """The findings, and what the file says before and after; nothing of that where something was found."""
    fs = DIRECTORIES[clean]
    sound = fs.read_file(path)
    turned = bytearray(sound)
    turned[bit // 8] ^= 1 << bit % 8
    before = fields(fs, path)
    replace(fs, path, bytes(turned))
    try:
        findings = findings_in(fs)
        return findings, before, fields(fs, path) if not findings else []
    finally:
        replace(fs, path, sound)
