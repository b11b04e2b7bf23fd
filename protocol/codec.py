"""Messages to bytes and back: one reader and one writer per message class and version.

Both are straight-line functions, compiled from generated source at first use and kept (`protocol.schema`'s
`reader_source` and `writer_source` say what they hold to). A server that serves three versions of an API compiles
six functions, about a millisecond each, and no more.

Reading is safe on hostile bytes: anything malformed raises ProtocolViolation and nothing else, and memory stays
proportional to the bytes that are there. Unknown tagged fields are skipped. `records` fields come out as views of
the buffer, valid as long as it is; everything else is copied out.

Writing yields chunks: bytes, and between them each `records` value as it was given, which may be any object with
a length that the shell knows how to send.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from protocol.errors import ProtocolViolation
from protocol.messages.message import Message, Records
from protocol.schema.reader_source import reader_source
from protocol.schema.writer_source import writer_source
from protocol.types import Buffer

M = TypeVar("M", bound=Message)

Chunk: TypeAlias = Records
Out: TypeAlias = list[Chunk]

_readers: dict[tuple[type[Message], int], Callable[[Buffer, int], tuple[Any, int]]] = {}
_writers: dict[tuple[type[Message], int], Callable[[Any, Out], None]] = {}


def reader_for(cls: type[M], version: int) -> Callable[[Buffer, int], tuple[M, int]]:
    """Return `read(buf, pos) -> (message, position after it)`.

    Raises: ProtocolViolation when the message has no such version.
    """
    reader = _readers.get((cls, version))
    if reader is None:
        _check_version(cls, version)
        source, names = reader_source(cls, version)
        reader = _readers[cls, version] = _compile(source, names, "read", f"<{cls.NAME} v{version}>")
    return reader


def writer_for(cls: type[M], version: int) -> Callable[[M, Out], None]:
    """Return `write(message, out)`, which appends chunks to the list `out`.

    Raises: ProtocolViolation when the message has no such version.
    """
    writer = _writers.get((cls, version))
    if writer is None:
        _check_version(cls, version)
        source, names = writer_source(cls, version)
        writer = _writers[cls, version] = _compile(source, names, "write", f"<{cls.NAME} v{version}>")
    return writer


def decode(cls: type[M], version: int, buf: Buffer, pos: int = 0) -> M:
    """Read the one message that `buf` holds from `pos` to its end.

    Raises: ProtocolViolation on anything malformed, bytes left over included.
    """
    message, end = reader_for(cls, version)(buf, pos)
    if end != len(buf):
        raise ProtocolViolation(f"{len(buf) - end} bytes after {cls.NAME} version {version}")
    return message


def encode(message: Message, version: int) -> list[Chunk]:
    """Write a message; its size is the sum of the chunks' lengths.

    Raises: ProtocolViolation when the version cannot say what the message holds, or a value does not fit.
    """
    out: Out = []
    writer_for(type(message), version)(message, out)
    return out


def encode_bytes(message: Message, version: int) -> bytes:
    """Write a message whose `records`, if it has any, are bytes."""
    chunks: list[Any] = encode(message, version)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_version(cls: type[Message], version: int) -> None:
    first, last = cls.VERSIONS
    if not first <= version <= last:
        raise ProtocolViolation(f"{cls.NAME} has versions {first} to {last}, not {version}")


def _compile(source: str, names: dict[str, Any], name: str, filename: str) -> Any:
    # Our own text: no byte of a peer is in it.
    exec(compile(source, filename, "exec", dont_inherit=True), names)
    return names[name]
