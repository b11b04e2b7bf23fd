"""The JSON envelope of a record, one on a line, with kcat's names: `logd consume -J` writes it, `produce -J` reads it.

    {"topic":"t","partition":0,"offset":7,"tstype":"create","ts":1700000000000,"broker":1,
     "headers":["name","value",…],"key":"k","payload":"v"}

`headers` stands only where there are any; `tstype` (create, logappend) and `ts` only where there is a timestamp.
Keys, payloads and header values are strings where their bytes are UTF-8, and {"base64":"…"} where they are not, so
that nothing is lost; null is null. Header names are text in Kafka: what is not UTF-8 there is replaced, as by its Java
client. When an envelope is read, topic, partition, offset and broker count for nothing.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, NamedTuple

from protocol.record_columns import read_headers

if TYPE_CHECKING:
    from logd.cli.consumed import Records

_INT64_MAX = (1 << 63) - 1

Headers = tuple[tuple[str, bytes | None], ...]


class EnvelopeError(ValueError):
    """A line that is no envelope; its text says why."""


class Envelope(NamedTuple):
    """What is produced of an envelope."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None
    """The record's own time, None where the envelope has none or the log set it."""


class JsonFormat:
    """Renders each record as an envelope, followed by the delimiter."""

    def __init__(self, delimiter: bytes) -> None:
        self._end = "}" + delimiter.decode("utf-8", "surrogateescape")

    def render(self, records: Records) -> bytes:
        topic, partition, broker = records.source
        before = f'{{"topic":{encode_basestring(topic)},"partition":{partition},"offset":'
        kind = "logappend" if records.is_log_append_time else "create"
        time = f',"tstype":"{kind}","ts":'
        after = f',"broker":{broker}'
        end = self._end
        lines = [
            f"{before}{offset}{f'{time}{timestamp}' if timestamp >= 0 else ''}{after}"
            f'{_headers(headers) if headers else ""},"key":{_text(key)},"payload":{_text(value)}{end}'
            for offset, timestamp, key, value, headers in zip(
                records.offsets,
                records.timestamps_ms,
                records.keys,
                records.values,
                records.headers,
                strict=True,
            )
        ]
        return "".join(lines).encode("utf-8", "surrogateescape")


def read_envelope(line: bytes) -> Envelope:
    """Read one line. Raises EnvelopeError."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise EnvelopeError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise EnvelopeError("not a JSON object")
    if "payload" not in fields:
        raise EnvelopeError('it has no "payload"')
    timestamp = None if fields.get("tstype") == "logappend" else fields.get("ts")
    if timestamp is not None and not (type(timestamp) is int and 0 <= timestamp <= _INT64_MAX):
        raise EnvelopeError('"ts" is no time in milliseconds')
    return Envelope(
        _bytes(fields.get("key"), "key"),
        _bytes(fields["payload"], "payload"),
        tuple(_read_headers(fields.get("headers"))),
        timestamp,
    )


def _text(data: bytes | None) -> str:
    if data is None:
        return "null"
    try:
        return encode_basestring(data.decode())
    except UnicodeDecodeError:
        return f'{{"base64":"{b64encode(data).decode()}"}}'


def _headers(raw: bytes) -> str:
    parts = [
        f"{encode_basestring(name.decode(errors='replace'))},{_text(value)}"
        for name, value in read_headers(raw)
    ]
    return f',"headers":[{",".join(parts)}]'


def _read_headers(found: object) -> list[tuple[str, bytes | None]]:
    if found is None:
        return []
    pairs: list[tuple[object, object]]
    if isinstance(found, list) and len(found) % 2 == 0:
        pairs = list(zip(found[::2], found[1::2], strict=True))
    elif isinstance(found, dict):
        pairs = list(found.items())
    else:
        raise EnvelopeError('"headers" is neither a list of names and values in turn nor an object')
    headers = []
    for name, value in pairs:
        if not isinstance(name, str):
            raise EnvelopeError("the name of a header is no string")
        _bytes(name, "headers")
        headers.append((name, _bytes(value, f"header {name}")))
    return headers


def _bytes(value: object, what: str) -> bytes | None:
    if value is None:
        return None
    try:
        match value:
            case str():
                return value.encode()
            case {"base64": str(text), **others} if not others:
                return b64decode(text, validate=True)
    except ValueError as error:
        raise EnvelopeError(f'"{what}" cannot be read: {error}') from None
    raise EnvelopeError(f'"{what}" is neither a string nor null nor {{"base64": "…"}}')
