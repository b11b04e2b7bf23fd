"""Descriptors of messages: what a field is called, of which type, and in which versions it exists.

A generated class carries its fields as plain tuples (`FIELDS`), which cost nothing to load; `Field(*row)` gives
them names. The data files are read into `Schema` by the generator alone.

Rules:
- A version range is an inclusive pair (first, last), or None for "in no version".
- `type` is a primitive (`int8` … `int64`, `uint16`, `uint32`, `float64`, `bool`, `uuid`, `string`, `bytes`,
  `records`), the name of a struct, or either with `[]` in front. `plain_string` is a string that keeps its int16
  length where the message is flexible (the client id of the request header).
- `default` is what a field has where its version lacks it: a scalar as it is, `()` for an empty array or a struct
  that has its own defaults, None for null. A tagged struct that cannot be null has None too: it stands for "not
  set", so that answering a fetch needs no empty structs.
- In the versions of `tagged` the field travels in the tag buffer under `tag`, and only if it has not its default.
- `ignorable`: a value may be dropped silently when a version without the field is written.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

VersionRange: TypeAlias = tuple[int, int]
Row: TypeAlias = tuple[
    str, str, VersionRange, VersionRange | None, VersionRange | None, int, object, bool, int | None
]

FIXED: dict[str, tuple[str, int]] = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "uint16": ("H", 2),
    "int32": ("i", 4),
    "uint32": ("I", 4),
    "int64": ("q", 8),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}
"""Types of one size: their letter for `struct` and that size in bytes."""

VARIABLE = frozenset({"string", "plain_string", "bytes", "records"})


class Field(NamedTuple):
    """One field of a message or struct."""

    name: str
    type: str
    versions: VersionRange
    nullable: VersionRange | None
    tagged: VersionRange | None
    tag: int
    default: object
    ignorable: bool
    kip: int | None
    """The proposal that brought or changed the field, where we know it."""

    @property
    def is_array(self) -> bool:
        return self.type.startswith("[]")

    @property
    def element(self) -> str:
        """The type without its `[]`."""
        return self.type[2:] if self.type.startswith("[]") else self.type

    @property
    def is_struct(self) -> bool:
        """Whether this is one struct, or an array of them."""
        return self.element not in FIXED and self.element not in VARIABLE

    def exists_in(self, version: int) -> bool:
        return _covers(self.versions, version)

    def nullable_in(self, version: int) -> bool:
        return _covers(self.nullable, version)

    def tagged_in(self, version: int) -> bool:
        return _covers(self.tagged, version)


class Struct(NamedTuple):
    """A named list of fields; the first of a schema is the message itself."""

    name: str
    fields: tuple[Field, ...]


class Schema(NamedTuple):
    """One message with everything nested in it."""

    name: str
    key: int
    """Api key, or type of the record; -1 for neither."""
    versions: VersionRange
    first_flexible: int | None
    structs: tuple[Struct, ...]


def _covers(versions: VersionRange | None, version: int) -> bool:
    return versions is not None and versions[0] <= version <= versions[1]
