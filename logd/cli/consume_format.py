"""Formats of `logd consume`: records to bytes, in kcat's notation.

A format is a list of columns: each makes one piece for every record, and the pieces are joined crosswise. So the work
per record is done by zip and join.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import TYPE_CHECKING

from logd.cli.record_text import unescape
from protocol.record_columns import read_headers

if TYPE_CHECKING:
    from logd.cli.consumed import Records

Column = Callable[["Records"], Iterable[bytes]]

NULL_TEXT = b"NULL"

_TOKEN = re.compile(r"%(.?)", re.DOTALL)


class FormatError(ValueError):
    """A format that cannot be read; its text says why."""


class TextFormat:
    """Renders records one after the other. Null keys and values are `null`, which is nothing unless -Z asks for it."""

    def __init__(self, columns: list[Column]) -> None:
        self._columns = columns

    @classmethod
    def parse(cls, text: str, *, null: bytes = b"") -> TextFormat:
        """Read a format such as "%k: %s\\n" (see docs/cli.md). Raises FormatError."""
        tokens = _tokens(null)
        columns: list[Column] = []
        literal = ""
        position = 0
        for match in _TOKEN.finditer(text):
            literal += text[position : match.start()]
            position = match.end()
            name = match[1]
            if name == "%":
                literal += "%"
                continue
            if name not in tokens:
                known = " ".join(f"%{each}" for each in tokens)
                raise FormatError(f"the format has %{name}, but there are only {known} and %%")
            if literal:
                columns.append(_literal(unescape(literal)))
                literal = ""
            columns.append(tokens[name])
        literal += text[position:]
        if literal:
            columns.append(_literal(unescape(literal)))
        return cls(columns)

    @classmethod
    def delimited(cls, delimiter: bytes, key_delimiter: bytes | None, *, null: bytes = b"") -> TextFormat:
        """Values, each followed by `delimiter`; with a key delimiter, keys before them."""
        tokens = _tokens(null)
        keys = [] if key_delimiter is None else [tokens["k"], _literal(key_delimiter)]
        return cls([*keys, tokens["s"], _literal(delimiter)])

    def render(self, records: Records) -> bytes:
        pieces = [column(records) for column in self._columns]
        return b"".join(chain.from_iterable(zip(*pieces, strict=True)))


def _tokens(null: bytes) -> dict[str, Column]:
    return {
        "s": lambda records: _bytes(records.values, null),
        "S": lambda records: _sizes(records.values),
        "R": lambda records: [_size(each).to_bytes(4, "big", signed=True) for each in records.values],
        "k": lambda records: _bytes(records.keys, null),
        "K": lambda records: _sizes(records.keys),
        "T": lambda records: [b"%d" % each for each in records.timestamps_ms],
        "h": lambda records: [_headers(each) if each else b"" for each in records.headers],
        "t": lambda records: repeat(records.source.topic.encode(), records.size),
        "p": lambda records: repeat(b"%d" % records.source.partition, records.size),
        "o": lambda records: [b"%d" % each for each in records.offsets],
    }


def _literal(text: bytes) -> Column:
    return lambda records: repeat(text, records.size)


def _bytes(column: Iterable[bytes | None], null: bytes) -> Iterable[bytes]:
    return [null if each is None else each for each in column]


def _sizes(column: Iterable[bytes | None]) -> Iterable[bytes]:
    return [b"%d" % _size(each) for each in column]


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _headers(raw: bytes) -> bytes:
    return b",".join(
        name + b"=" + (NULL_TEXT if value is None else value) for name, value in read_headers(raw)
    )
