"""Rows and findings as lines for people. JSON takes the rows as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from logd.dump.finding import NOWHERE, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from logd.dump.finding import Finding
    from logd.dump.segment_rows import Row


def line_of(row: Row) -> str:
    """One row in one line, without a line end; values are not escaped."""
    form = _FORMS.get(row["kind"])
    return form(row) if form is not None else _pairs(row)


def line_of_finding(finding: Finding) -> str:
    """`PATH at byte N, offset M: what is wrong; what to do`."""
    place = finding.path
    if finding.position != NOWHERE:
        place += f" at byte {finding.position}"
    if finding.offset != NOWHERE:
        place += f", offset {finding.offset}"
    mark = "" if finding.severity is Severity.PROBLEM else "note: "
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{mark}{place}: {finding.problem}{advice}"


def finding_row(finding: Finding) -> Row:
    """A finding for JSON; None for no position or offset."""
    return {
        "kind": finding.severity.value,
        "file": finding.path,
        "position": None if finding.position == NOWHERE else finding.position,
        "offset": None if finding.offset == NOWHERE else finding.offset,
        "problem": finding.problem,
        "advice": finding.advice,
    }


def _batch(row: Row) -> str:
    marks = [name for name in ("transactional", "control") if row[name]]
    if row["producer_id"] >= 0:
        marks.append(f"producer {row['producer_id']} epoch {row['producer_epoch']}")
    if row["base_sequence"] >= 0:
        marks.append(f"sequence {row['base_sequence']}-{row['last_sequence']}")
    if row["delete_horizon_ms"] is not None:
        marks.append(f"delete horizon {_time(row['delete_horizon_ms'])}")
    stamp = "append time " if row["timestamp_type"] == "LogAppendTime" else ""
    fields = [
        f"offsets {row['base_offset']}-{row['last_offset']}",
        f"{row['record_count']} records",
        f"at byte {row['position']}",
        f"{row['size_bytes']} bytes",
        f"leader epoch {row['leader_epoch']}",
        stamp + _time(row["max_timestamp_ms"]),
        row["codec"],
    ]
    return "  ".join([*fields, *marks])


def _record(row: Row) -> str:
    fields = [f"  offset {row['offset']}", _time(row["timestamp_ms"])]
    if "sequence" in row:
        fields.append(f"sequence {row['sequence']}")
    for name in ("key", "value"):
        if name in row:
            fields.append(f"{name} {_quoted(row[name])}")
        elif f"{name}_base64" in row:
            fields.append(f"{name} base64 {row[f'{name}_base64']}")
    for header in row.get("headers", ()):
        value = header.get("value_base64", _quoted(header.get("value")))
        fields.append(f"header {header['name']}={value}")
    if "payload" in row:
        fields.append(_payload(row["payload"]))
    return "  ".join(fields)


def _payload(payload: dict[str, Any]) -> str:
    if "undecoded" in payload:
        return f"not decoded: {payload['undecoded']}"
    words = [payload["type"]]
    if "key" in payload:
        words.append(_pairs(payload["key"]))
    if payload.get("data") is None:
        words.append("removed")
    else:
        words.append(f"v{payload['version']}")
        words.append(_pairs(payload["data"]))
    return "  ".join(word for word in words if word)


def _damage(row: Row) -> str:
    place = f" at byte {row['position']}" if row["position"] >= 0 else ""
    return f"damaged: {row['file']}{place}: {row['problem']}"


def _segment(row: Row) -> str:
    end = "?" if row["end_offset"] is None else row["end_offset"]
    return (
        f"  segment  offsets {row['base_offset']} to {end} (exclusive)  {row['size_bytes']} bytes"
        f"  leader epoch {_dash(row['first_leader_epoch'])}  written {_time(row['written_ms'])}"
    )


def _partition(row: Row) -> str:
    gaps = f"  {row['gaps']} gaps" if row["gaps"] else ""
    end = "?" if row["log_end_offset"] is None else row["log_end_offset"]
    return (
        f"{row['path'].rpartition('/')[2]}  offsets {row['first_offset']} to {end} (exclusive)"
        f"  {row['segments']} segments  {row['size_bytes']} bytes{gaps}  topic id {_dash(row['topic_id'])}"
    )


def _data_directory(row: Row) -> str:
    return (
        f"{row['path']}: {row['state']}  cluster {_dash(row['cluster_id'])}  node {_dash(row['node_id'])}"
        f"  directory {_dash(row['directory_id'])}  {row['topics']} topics"
    )


def _leftover(row: Row) -> str:
    size = "" if row["size_bytes"] is None else f"  {row['size_bytes']} bytes"
    return f"  left over  {row['file']}{size}"


def _pairs(fields: dict[str, Any]) -> str:
    shown = ((name, value) for name, value in fields.items() if name not in ("kind", "file"))
    return "  ".join(f"{name}={_value(value)}" for name, value in shown)


def _value(value: object) -> str:
    if isinstance(value, str) and (not value or " " in value):
        return repr(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={_value(each)}' for name, each in value.items())}}}"
    return _dash(value)


def _quoted(value: str | None) -> str:
    return "null" if value is None else repr(value)


def _dash(value: object) -> str:
    return "-" if value is None else str(value)


def _time(timestamp_ms: int) -> str:
    """UTC to the millisecond; the number itself where no calendar reaches."""
    if timestamp_ms < 0:
        return "no time" if timestamp_ms == -1 else str(timestamp_ms)
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(timestamp_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp_ms % 1000:03d}Z"


_FORMS: dict[str, Callable[[Row], str]] = {
    "batch": _batch,
    "record": _record,
    "damage": _damage,
    "segment": _segment,
    "partition": _partition,
    "data directory": _data_directory,
    "leftover": _leftover,
}
