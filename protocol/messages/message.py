"""The base of every generated message and struct.

Not a data class: several hundred decorators would be felt at start, so the generated classes spell out their
`__slots__` and `__init__`, and share the comparison and the representation that stand here.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, ClassVar, TypeAlias

from protocol.schema.descriptors import Row, VersionRange
from protocol.types import Buffer

Records: TypeAlias = Buffer | Sized
"""Record batches: bytes, or whatever has a length and is sent in their place (a region of a file)."""

EMPTY: Any = ()
"""Default of array parameters: each object gets a list of its own."""


class Message:
    """A message, a struct within one, or a record. Fields are attributes; see `FIELDS`."""

    __slots__ = ()

    NAME: ClassVar[str]
    API_KEY: ClassVar[int] = -1
    """Api key of a request or response, type of a keyed record; -1 for neither, and for nested structs."""
    VERSIONS: ClassVar[VersionRange]
    """First and last version (inclusive). Nested structs have none of their own."""
    FIRST_FLEXIBLE: ClassVar[int | None]
    FIELDS: ClassVar[tuple[Row, ...]]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, row[0]) == getattr(other, row[0]) for row in self.FIELDS)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        fields = ", ".join(f"{row[0]}={getattr(self, row[0])!r}" for row in self.FIELDS)
        return f"{type(self).__qualname__}({fields})"
