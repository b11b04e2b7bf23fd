"""Frames that no honest client sends, and many that one could, for every API and version served.

`FrameMaker` writes requests straight from the field descriptors of the messages, by rules of its own and not through
the codec under test, so that it knows where each count and length stands and can lie about it. What it writes makes
some sense (topics that exist, batches that may be appended): nonsense alone never gets past the first check.

Everything follows from the random source that it is given.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from protocol.api import SERVED_APIS, ApiSpec, message_types
from protocol.codec import reader_for
from protocol.compression import Codec
from protocol.errors import ProtocolViolation
from protocol.messages.message import Message
from protocol.primitives import skip_tagged_fields
from protocol.record_builder import build_batch
from protocol.records import HEADER_SIZE, Record, set_crc
from protocol.schema.descriptors import FIXED, Field

PRODUCE: Final = 0
FETCH: Final = 1
API_VERSIONS: Final = 18
CREATE_TOPICS: Final = 19
CREATE_PARTITIONS: Final = 37

PARTITIONS_MAX: Final = 4
"""A topic of a fuzzed request has no more; otherwise the test would measure what ten thousand logs cost."""
LONG_WAIT_MS: Final = 200
"""A fetch that asks to wait longer may rightly go unanswered while the test is looking."""

_LIES: Final = (-(1 << 31), -2, -1, 0, 1, 127, 128, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFE, 0x7FFFFFFF)
_EXTREMES: Final = (
    0,
    1,
    -1,
    2,
    -2,
    127,
    -128,
    0x7FFF,
    -0x8000,
    0x7FFFFFFF,
    -0x80000000,
    (1 << 63) - 1,
    -(1 << 63),
)
_TEXTS: Final = (
    "",
    "x",
    "a.b",
    "..",
    "a/b",
    "é\0𝄞",
    "__consumer_offsets",
    "n" * 249,
    "n" * 250,
    "y" * 8000,
    "\ud7ff",
)
_CONFIGS: Final = ("retention.ms", "cleanup.policy", "segment.bytes", "compression.type", "max.message.bytes")

# Plausible numbers by field name; one in eight is drawn from the extremes all the same.
_NUMBERS: Final[dict[str, Sequence[int]]] = {
    "acks": (-1, 0, 1, 1, -1, 2),
    "count": (2, 3, 4, 1, 0, -1),
    "current_leader_epoch": (-1, -1, 0, 1, 2),
    "fetch_offset": (0, 0, 1, 2, 10, -1, 1 << 40),
    "forgotten_topics_data": (0,),
    "index": (0, 1, 2, 3),
    "isolation_level": (0, 1),
    "last_fetched_epoch": (-1, -1, 0, 1),
    "leader_epoch": (-1, 0, 1, 2),
    "max_bytes": (1 << 20, 1 << 16, 100),
    "max_wait_ms": (0, 0, 1, 5),
    "min_bytes": (0, 1, 1, 1 << 20),
    "num_partitions": (1, 2, -1, 0),
    "partition": (0, 1, 2, 3),
    "partition_index": (0, 1, 2, 3),
    "partition_indexes": (0, 1, 2, 3),
    "partitions": (0, 1, 2, 3),
    "partition_max_bytes": (1 << 20, 1 << 12, 0),
    "replica_id": (-1, -1, -1, 1, 2),
    "replication_factor": (1, -1, 1, 2),
    "session_epoch": (-1, 0, 1, 2),
    "timeout_ms": (0, 10, 1000),
    "timestamp": (-1, -2, -3, -4, -5, 0, 1 << 40),
}


class After(Enum):
    """What the sender has to do for the broker to be done with a frame."""

    NOTHING = auto()
    """It is answered, or the connection ends."""
    HALF_CLOSE = auto()
    """The broker may rightly wait: for the rest of the frame, or for records. It ends when the sender does."""


class Frame(NamedTuple):
    """Bytes to send, size and all; `correlation_id` as the broker will read it (None: too short to have one)."""

    data: bytes
    after: After = After.NOTHING

    @property
    def api_key(self) -> int:
        return int.from_bytes(self.data[4:6], "big", signed=True) if len(self.data) >= 6 else -1

    @property
    def correlation_id(self) -> int | None:
        return int.from_bytes(self.data[8:12], "big", signed=True) if len(self.data) >= 12 else None


class Target(NamedTuple):
    """A topic that hostile requests name."""

    name: str
    topic_id: bytes


class _Mark(NamedTuple):
    """A count or length within a frame's body."""

    position: int
    size: int
    compact: bool


class FrameMaker:
    """An endless source of frames."""

    def __init__(
        self, source: random.Random, targets: Sequence[Target], apis: Sequence[int] = tuple(SERVED_APIS)
    ) -> None:
        """`targets` exist on the broker; `apis` are the API keys to speak: with Produce alone, much is repeated."""
        self._random = source
        self._targets = targets
        self._versions = [
            (SERVED_APIS[key], version)
            for key in apis
            for version in range(SERVED_APIS[key].min_version, SERVED_APIS[key].max_version + 1)
        ]
        self._turn = 0
        self.batches = _batches(source)
        """Record batches from good to impossible, the largest among them included."""
        self._fields: dict[type[Message], list[Field]] = {}
        self._correlation_id = 0
        self._repeated: bytearray | None = None
        self._ways: Sequence[Callable[[ApiSpec, int], Frame]] = (
            *(self._well_formed,) * 5,
            *(self._flipped,) * 5,
            *(self._lying,) * 5,
            *(self._cut,) * 2,
            *(self._spliced,) * 2,
            *(self._alike,) * (20 if tuple(apis) == (PRODUCE,) else PRODUCE in apis),
            self._random_body,
            self._wrong_version,
            self._odd_header,
            self._wrong_size,
        )

    def next(self) -> Frame:
        """Return the next frame: every API and version in turn, damaged in a random way, or not at all."""
        while True:
            spec, version = self._versions[self._turn % len(self._versions)]
            self._turn += 1
            frame = self._random.choice(self._ways)(spec, version)
            if not _makes_many_partitions(frame):
                return frame._replace(after=After.HALF_CLOSE) if _waits_long(frame) else frame

    # Ways to be hostile

    def _well_formed(self, spec: ApiSpec, version: int) -> Frame:
        return self._frame(spec, version, self._body(spec, version)[0])

    def _flipped(self, spec: ApiSpec, version: int) -> Frame:
        body, _ = self._body(spec, version)
        if body:
            for _ in range(self._random.choice((1, 1, 1, 2, 8))):
                body[self._random.randrange(len(body))] ^= 1 << self._random.randrange(8)
        return self._frame(spec, version, body)

    def _lying(self, spec: ApiSpec, version: int) -> Frame:
        """One count or length says something else than the truth."""
        body, marks = self._body(spec, version)
        if marks:
            mark = self._random.choice(marks)
            lie = self._random.choice(_LIES) & 0xFFFFFFFF
            if mark.compact:
                told = self._random.choice(
                    (_uvarint(lie), b"\xff" * self._random.randrange(1, 12), b"\x80\x80\x00")
                )
            else:
                told = (lie & ((1 << 8 * mark.size) - 1)).to_bytes(mark.size, "big")
            body[mark.position : mark.position + mark.size] = told
        return self._frame(spec, version, body)

    def _cut(self, spec: ApiSpec, version: int) -> Frame:
        body, _ = self._body(spec, version)
        return self._frame(spec, version, body[: self._random.randrange(len(body) + 1)])

    def _spliced(self, spec: ApiSpec, version: int) -> Frame:
        """Random bytes in place of, or between, those that were due; or a piece is gone."""
        body, _ = self._body(spec, version)
        start = self._random.randrange(len(body) + 1)
        stop = min(start + self._random.randrange(9), len(body))
        body[start:stop] = self._random.randbytes(self._random.randrange(9))
        return self._frame(spec, version, body)

    def _alike(self, _spec: ApiSpec, _version: int) -> Frame:
        """The same produce request over and over, which the broker knows by its bytes; some differ in a few."""
        if self._repeated is None or self._random.random() < 0.02:
            produce = SERVED_APIS[PRODUCE]
            version = self._random.randrange(produce.first_flexible, produce.max_version + 1)
            self._repeated = bytearray(self._well_formed(produce, version).data[4:])
        data = bytearray(self._repeated)
        data[4:8] = struct.pack(">i", self._next_id())
        if self._random.random() < 0.3:
            data[self._random.randrange(8, len(data))] ^= 1 << self._random.randrange(8)
        return _framed(data)

    def _random_body(self, spec: ApiSpec, version: int) -> Frame:
        return self._frame(spec, version, bytearray(self._random.randbytes(self._random.randrange(200))))

    def _wrong_version(self, spec: ApiSpec, version: int) -> Frame:
        body, _ = self._body(spec, version)
        key = self._random.choice((spec.key, API_VERSIONS, self._random.randrange(-2, 100), 0x7FFF, -0x8000))
        version = self._random.choice((-1, 0, version + 1, spec.max_version + 1, 0x7FFF, -0x8000, version))
        return _framed(struct.pack(">hhih", key, version, self._next_id(), -1) + body)

    def _odd_header(self, spec: ApiSpec, version: int) -> Frame:
        """Client ids that are none, tags that are none."""
        body, _ = self._body(spec, version)
        client_id = self._random.choice((b"", b"\xff\xfe", b"\xed\xa0\x80", b"c" * 300, b"ok"))
        told = self._random.choice((len(client_id), len(client_id), -1, -2, 0x7FFF, len(client_id) + 1))
        tags = self._random.choice(
            (b"", b"\x00", b"\x01\x00\x03abc", b"\x02\x05\x00\x05\x00", b"\xff\xff\xff\xff\x07")
        )
        head = struct.pack(">hhih", spec.key, version, self._next_id(), told)
        whole = head + client_id + tags + body
        return _framed(whole[: self._random.choice((len(whole), len(whole), self._random.randrange(14)))])

    def _wrong_size(self, spec: ApiSpec, version: int) -> Frame:
        data = bytearray(self._well_formed(spec, version).data)
        size = self._random.choice(
            (len(data), len(data) + 100, 100 << 20, (100 << 20) + 1, 0x7FFFFFFF, -1, 1, 3, 7)
        )
        data[:4] = struct.pack(">i", size)
        return Frame(bytes(data), After.HALF_CLOSE)

    # Requests

    def _next_id(self) -> int:
        self._correlation_id += 1
        return self._correlation_id

    def _frame(self, spec: ApiSpec, version: int, body: bytearray) -> Frame:
        header = struct.pack(">hhih", spec.key, version, self._next_id(), 5) + b"enemy"
        return _framed(header + (b"\0" if version >= spec.first_flexible else b"") + body)

    def _body(self, spec: ApiSpec, version: int) -> tuple[bytearray, list[_Mark]]:
        request, _ = message_types(spec)
        writer = _Writer(self, request, version)
        writer.struct(request)
        return writer.out, writer.marks

    def fields_of(self, struct_type: type[Message]) -> list[Field]:
        fields = self._fields.get(struct_type)
        if fields is None:
            fields = self._fields[struct_type] = [Field(*row) for row in struct_type.FIELDS]
        return fields

    def count(self) -> int:
        return self._random.choice((0, 1, 1, 1, 1, 2, 3))

    def is_null(self) -> bool:
        return self._random.random() < 0.2

    def is_set(self) -> bool:
        """Whether a tagged field is there."""
        return self._random.random() < 0.3

    def number(self, field: Field) -> int:
        usual = _NUMBERS.get(field.name)
        if usual is not None and self._random.random() < 0.875:
            return self._random.choice(usual)
        if field.name.endswith("_ms"):  # waits, which the test would wait for as well
            return self._random.choice((0, 1, 20, -1))
        return self._random.choice(_EXTREMES)

    def text(self, field: Field) -> bytes:
        draw = self._random.random()
        if field.name in {"name", "topic", "topic_name", "topic_names"} and draw < 0.8:
            return self._random.choice(self._targets).name.encode()
        if field.name == "name" and draw < 0.9:
            return self._random.choice(_CONFIGS).encode()
        return self._random.choice(_TEXTS).encode()

    def uuid(self) -> bytes:
        draw = self._random.random()
        if draw < 0.7:
            return self._random.choice(self._targets).topic_id
        return bytes(16) if draw < 0.85 else self._random.randbytes(16)

    def blob(self) -> bytes:
        draw = self._random.random()
        if draw < 0.6:
            return self._random.choice(self.batches)
        batch = bytearray(self._random.choice(self.batches))
        if draw < 0.8 and len(batch) > HEADER_SIZE:  # damaged, with a checksum that vouches for it
            for _ in range(self._random.choice((1, 1, 3))):
                batch[self._random.randrange(len(batch))] ^= 1 << self._random.randrange(8)
            set_crc(batch)
        elif draw < 0.9:
            del batch[self._random.randrange(len(batch) + 1) :]
        else:
            batch += self._random.choice(self.batches)
        return bytes(batch)


class _Writer:
    """Writes one request, and notes where the counts and lengths are."""

    def __init__(self, maker: FrameMaker, request: type[Message], version: int) -> None:
        self._maker = maker
        self._request = request
        self._version = version
        self._flexible = request.FIRST_FLEXIBLE is not None and version >= request.FIRST_FLEXIBLE
        self.out = bytearray()
        self.marks: list[_Mark] = []

    def struct(self, struct_type: type[Message]) -> None:
        version, maker = self._version, self._maker
        tagged = []
        for field in maker.fields_of(struct_type):
            if not field.exists_in(version):
                continue
            if field.tagged_in(version):
                if maker.is_set():
                    tagged.append(field)
            else:
                self._field(field)
        if self._flexible:
            self._tags(tagged)

    def _tags(self, tagged: list[Field]) -> None:
        self._length(len(tagged) - 1)
        for field in sorted(tagged, key=lambda field: field.tag):
            self.out += _uvarint(field.tag)
            outer, self.out = self.out, bytearray()
            marks, self.marks = self.marks, []
            self._field(field)
            data, self.out = self.out, outer
            inner, self.marks = self.marks, marks
            self._length(len(data) - 1)
            self.marks += [mark._replace(position=mark.position + len(self.out)) for mark in inner]
            self.out += data

    def _field(self, field: Field) -> None:
        if field.is_array:
            if field.nullable_in(self._version) and self._maker.is_null():
                self._length(-1)
                return
            count = self._maker.count()
            self._length(count)
            for _ in range(count):
                self._value(field)
        elif field.is_struct and field.nullable_in(self._version):
            present = not self._maker.is_null()
            self.out.append(1 if present else 0xFF)
            if present:
                self._value(field)
        else:
            self._value(field)

    def _value(self, field: Field) -> None:
        kind, maker = field.element, self._maker
        if field.is_struct:
            self.struct(getattr(self._request, kind))
        elif kind in {"string", "plain_string", "bytes", "records"}:
            is_text = kind in {"string", "plain_string"}
            if field.nullable_in(self._version) and maker.is_null():
                self._length(-1, 2 if is_text else 4)
                return
            data = maker.text(field) if is_text else maker.blob()
            self._length(len(data), 2 if is_text else 4)
            self.out += data
        elif kind == "uuid":
            self.out += maker.uuid()
        elif kind == "bool":
            self.out.append(maker.count() & 1)
        elif kind == "float64":
            self.out += struct.pack(">d", 0.5)
        else:
            size = FIXED[kind][1]
            self.out += (maker.number(field) & ((1 << 8 * size) - 1)).to_bytes(size, "big")

    def _length(self, length: int, size: int = 4) -> None:
        """`size` is that of the plain form."""
        told = _uvarint(length + 1) if self._flexible else length.to_bytes(size, "big", signed=True)
        self.marks.append(_Mark(len(self.out), len(told), self._flexible))
        self.out += told


def _batches(source: random.Random) -> list[bytes]:
    records = [
        Record(index, 1_700_000_000_000 + index, b"key %d" % index, source.randbytes(40), (("h", b"v"),))
        for index in range(5)
    ]
    keyless = [record._replace(key=None) for record in records]
    batches = [build_batch(records, codec=codec) for codec in Codec]
    batches += [build_batch(keyless, codec=codec) for codec in Codec]
    batches += [
        build_batch(records, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
        for producer_id in (1, 2, 0x7FFFFFFFFFFFFFFF)
        for epoch in (0, 1)
        for sequence in (0, 5, 0x7FFFFFFE)
    ]
    batches.append(build_batch(records, producer_id=3, producer_epoch=0, base_sequence=0, transactional=True))
    # Frames that outgrow the shared receive buffer, alone and in company.
    batches += [build_batch([Record(0, 0, b"k", source.randbytes(size), ())]) for size in (40_000, 300_000)]
    bomb = [Record(0, 0, None, bytes(1 << 20), ())]
    batches += [build_batch(bomb, codec=codec) for codec in (Codec.GZIP, Codec.ZSTD)]
    batches += [
        bytearray(HEADER_SIZE),
        bytearray(),
        bytearray(b"\0" * 17),
        bytearray(build_batch(records)[:70]),
    ]
    for position, value in ((16, 0), (16, 1), (22, 0x20), (22, 7), (23, 0xFF), (57, 0xFF), (60, 0)):
        batch = build_batch(records)
        batch[position] = value
        set_crc(batch)
        batches.append(batch)
    return [bytes(batch) for batch in batches]


def _framed(data: bytes | bytearray) -> Frame:
    return Frame(struct.pack(">i", len(data)) + data)


def _uvarint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _request_in(frame: Frame) -> Any:
    """The request that the broker will see in a frame; None when there is none."""
    data = memoryview(frame.data)[4:]
    try:
        key, version, _, client_size = struct.unpack_from(">hhih", data)
        spec = SERVED_APIS[key]
        position = 10 + max(client_size, 0)
        if version >= spec.first_flexible:
            position = skip_tagged_fields(data, position)
        return reader_for(message_types(spec)[0], version)(data, position)[0]
    except (ProtocolViolation, KeyError, struct.error):
        return None


def _makes_many_partitions(frame: Frame) -> bool:
    if frame.api_key not in (CREATE_TOPICS, CREATE_PARTITIONS) or (request := _request_in(frame)) is None:
        return False
    field = "count" if frame.api_key == CREATE_PARTITIONS else "num_partitions"
    return any(getattr(topic, field) > PARTITIONS_MAX for topic in request.topics)


def _waits_long(frame: Frame) -> bool:
    if frame.api_key != FETCH or (request := _request_in(frame)) is None:
        return False
    return bool(request.max_wait_ms > LONG_WAIT_MS)
