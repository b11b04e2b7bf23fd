"""Every message class there is, and strategies that fill them for one version.

Values are drawn per field from its descriptor: nulls where the version allows them, empty and filled arrays, text
beyond ASCII, the ends of integer ranges. A field that the version lacks keeps its default.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from hypothesis import strategies as st

import protocol.messages
from protocol.messages.message import Message
from protocol.schema.descriptors import Field

INT_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}

_TEXTS = st.text(max_size=6) | st.sampled_from(("", "é\0𝄞", "x" * 126, "y" * 127, "z" * 200))
_BLOBS = st.binary(max_size=9) | st.sampled_from((b"", bytes(127), bytes(200)))
_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "bytes": _BLOBS,
    "float64": st.floats(allow_nan=False),
    "plain_string": _TEXTS,
    "records": _BLOBS,
    "string": _TEXTS,
    "uint16": st.integers(0, 0xFFFF),
    "uint32": st.integers(0, 0xFFFFFFFF),
    "uuid": st.binary(min_size=16, max_size=16) | st.just(bytes(16)),
}


def all_messages() -> list[type[Message]]:
    """Return every top-level message class, ordered by name."""
    found = []
    for info in pkgutil.iter_modules(protocol.messages.__path__):
        if info.name == "message":
            continue
        module = import_module(f"protocol.messages.{info.name}")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
    return sorted(found, key=lambda cls: cls.NAME)


def versions_of(cls: type[Message]) -> range:
    return range(cls.VERSIONS[0], cls.VERSIONS[1] + 1)


def all_versions() -> Iterator[tuple[type[Message], int]]:
    return ((cls, version) for cls in all_messages() for version in versions_of(cls))


def any_scalar(field: Field) -> st.SearchStrategy[Any]:
    """Values of a field's type, or of its elements' type."""
    kind = field.element
    if kind in INT_BITS:
        bound = 1 << INT_BITS[kind] - 1
        return st.sampled_from((0, -1, 1, bound - 1, -bound)) | st.integers(-bound, bound - 1)
    return _SCALARS[kind]


def messages(
    cls: type[Message], version: int, scalar: Callable[[Field], st.SearchStrategy[Any]] = any_scalar
) -> st.SearchStrategy[Any]:
    """Messages of one class that one version can say; `scalar` gives the values of what is not a struct."""

    def structs(struct: Any) -> st.SearchStrategy[Any]:
        fields = [Field(*row) for row in struct.FIELDS]
        return st.builds(
            struct, **{field.name: values(field) for field in fields if field.exists_in(version)}
        )

    def values(field: Field) -> st.SearchStrategy[Any]:
        drawn = structs(getattr(cls, field.element)) if field.is_struct else scalar(field)
        if field.is_array:
            drawn = st.lists(drawn, max_size=3)
        # A tagged struct that cannot be null on the wire is None where it is not set.
        unset = field.tagged_in(version) and field.is_struct and not field.is_array
        return st.none() | drawn if field.nullable_in(version) or unset else drawn

    return structs(cls)
