"""Python source of a reader for one message in one version.

The source is one flat function: structs are read in line, array elements in loops, so that there is no call per
field or struct. A run of fixed-size fields, together with the length that follows it (the first byte of a varint
length included), is one `struct` call.

Safety, given that the bytes are hostile:
- Positions only grow, and a read at a position past the end raises (IndexError, struct.error). So a slice may be
  short without harm: it moves the position past the end, and the next read, or the check at the very end, fails.
- A count is held against the bytes that are left, times the smallest element, before its loop starts.
- The function turns what bytes can raise into ProtocolViolation. Its depth is that of the schema.

`bytes` fields are copied; `records` are views of the buffer.
"""

from __future__ import annotations

from struct import Struct as Form
from struct import error as StructError
from struct import unpack_from
from typing import Any

from protocol.errors import ProtocolViolation
from protocol.primitives import STRING_BYTES_MAX, read_tag, read_uvarint, skip_tagged_fields
from protocol.schema.descriptors import FIXED, Field
from protocol.types import ZERO_UUID, Buffer

_LENGTH_SIZES = {"string": 2, "plain_string": 2, "bytes": 4, "records": 4}


def reader_source(message: Any, version: int) -> tuple[str, dict[str, Any]]:
    """Return the source of `read(buf, pos) -> (message, position after it)` and the names that it uses."""
    reader = _ReaderSource(message, version)
    return reader.source(), reader.names


class _ReaderSource:
    def __init__(self, message: Any, version: int) -> None:
        self._message = message
        self._version = version
        self._flexible = message.FIRST_FLEXIBLE is not None and version >= message.FIRST_FLEXIBLE
        self._lines: list[str] = []
        self._indent = 2
        self._run: list[tuple[str, str]] = []  # (struct letter, target) not emitted yet
        self._serial = 0
        self.names: dict[str, Any] = dict(_NAMES)

    def source(self) -> str:
        self._struct(self._message, "m0")
        self._flush()
        head = ["def read(buf, pos):", "    size = len(buf)", "    try:"]
        if self.names.pop("views", False):
            head.insert(1, "    if buf.__class__ is not memoryview: buf = memoryview(buf)")
        tail = [
            "    except (IndexError, StructError, UnicodeDecodeError) as error:",
            f"        malformed({self._message.NAME!r}, {self._version}, error)",
            "    if pos > size: truncated(pos, size)",
            "    return m0, pos",
        ]
        return "\n".join([*head, *self._lines, *tail])

    def _emit(self, line: str) -> None:
        self._lines.append("    " * self._indent + line)

    def _local(self, prefix: str) -> str:
        """Return a fresh name: pending reads may still refer to every earlier one."""
        self._serial += 1
        return f"{prefix}{self._serial}"

    def _class(self, struct: Any) -> str:
        """Return the name under which the function finds a class; struct names are unique within a message."""
        self.names[struct.__name__] = struct
        return str(struct.__name__)

    def _flush(self) -> None:
        """Emit the pending run of fixed-size reads."""
        run, self._run = self._run, []
        if not run:
            return
        if len(run) == 1 and run[0][0] == "B":
            self._emit(f"{run[0][1]} = buf[pos]")
            self._emit("pos += 1")
            return
        layout = ">" + "".join(letter for letter, _ in run)
        name = f"unpack_{layout[1:].replace('?', 'o')}"
        if name not in self.names:
            self.names[name] = Form(layout).unpack_from
        targets = ", ".join(target for _, target in run)
        self._emit(f"{targets}{',' if len(run) == 1 else ''} = {name}(buf, pos)")
        self._emit(f"pos += {Form(layout).size}")

    def _struct(self, struct: Any, target: str) -> None:
        """Make `target` a new struct and read it; the last run may be left pending."""
        # Not the constructor: it would set every field a second time.
        self._emit(f"{target} = new({self._class(struct)})")
        fields = [Field(*row) for row in struct.FIELDS]
        version = self._version
        for field in fields:
            if not field.exists_in(version) or field.tagged_in(version):
                self._emit(f"{target}.{field.name} = {self._default(field)}")
        for field in fields:
            if field.exists_in(version) and not field.tagged_in(version):
                self._field(field, f"{target}.{field.name}", field.nullable_in(version))
        if self._flexible:
            self._tags([field for field in fields if field.tagged_in(version)], target)

    def _default(self, field: Field) -> str:
        if field.default == ():
            return "[]" if field.is_array else f"{self._class(self._struct_of(field))}()"
        return "ZERO_UUID" if field.type == "uuid" else repr(field.default)

    def _struct_of(self, field: Field) -> Any:
        return getattr(self._message, field.element)

    def _field(self, field: Field, target: str, nullable: bool) -> None:
        if field.is_array:
            self._array(field, target, nullable)
        elif field.type in FIXED:
            self._run.append((FIXED[field.type][0], target))
        elif field.is_struct:
            self._single_struct(field, target, nullable)
        else:
            self._blob(field.type, field.name, target, nullable)

    def _single_struct(self, field: Field, target: str, nullable: bool) -> None:
        if nullable:
            self._run.append(("b", "n"))
            self._flush()
            self._emit(f"if n < 0: {target} = None")
            self._emit("else:")
            self._indent += 1
        name = self._local("m")
        self._struct(self._struct_of(field), name)
        self._emit(f"{target} = {name}")
        if nullable:
            self._flush()
            self._indent -= 1

    def _length(self, kind: str) -> bool:
        """Emit the reading of a length into `n`; return whether it is compact (n - 1 is meant, 0 is null)."""
        compact = self._flexible and kind != "plain_string"
        if compact:
            self._run.append(("B", "n"))
            self._flush()
            long = "long_string" if kind == "string" else "long_uvarint"
            self._emit(f"if n > 127: n, pos = {long}(buf, pos - 1)")
        else:
            self._run.append(("h" if _LENGTH_SIZES.get(kind) == 2 else "i", "n"))
            self._flush()
        return compact

    def _blob(self, kind: str, name: str, target: str, nullable: bool) -> None:
        """A string, bytes or records."""
        compact = self._length(kind)
        self._if_null(name, target, compact, nullable)
        self._indent += nullable
        self._emit(f"end = pos + n{' - 1' if compact else ''}")
        if kind == "records":
            self.names["views"] = True
        slices = {"bytes": "bytes(buf[pos:end])", "records": "buf[pos:end]"}
        self._emit(f"{target} = {slices.get(kind, 'str(buf[pos:end], UTF_8)')}")
        self._emit("pos = end")
        self._indent -= nullable

    def _if_null(self, name: str, target: str, compact: bool, nullable: bool) -> None:
        """Emit what a null length does; where it may be null, what follows is the else branch."""
        if compact:
            self._emit(f"if n == 0: {f'{target} = None' if nullable else f'null({name!r})'}")
        elif nullable:
            self._emit("if n < 0:")
            self._emit(f"    if n != -1: negative({name!r}, n)")
            self._emit(f"    {target} = None")
        else:
            self._emit(f"if n < 0: negative({name!r}, n)")
        if nullable:
            self._emit("else:")

    def _array(self, field: Field, target: str, nullable: bool) -> None:
        compact = self._length("array")
        self._if_null(field.name, target, compact, nullable)
        self._indent += nullable
        if compact:
            self._emit("n -= 1")
        smallest = max(1, self._element_size_min(field))
        times = f"n * {smallest}" if smallest > 1 else "n"
        self._emit(f"if {times} > size - pos: too_many({field.name!r}, n)")
        self._elements(field, target)
        self._indent -= nullable

    def _elements(self, field: Field, target: str) -> None:
        """Emit the reading of `n` elements."""
        kind = field.element
        if kind in FIXED and kind != "uuid":
            letter, size = FIXED[kind]
            self.names[f"unpacks_{letter}"] = _ARRAY_UNPACKS[letter]
            self._emit(f"if n < 16: {target} = list(unpacks_{letter}[n](buf, pos))")
            self._emit(f'else: {target} = list(unpack_from(f">{{n}}{letter}", buf, pos))')
            self._emit(f"pos += n * {size}" if size > 1 else "pos += n")
            return
        array = self._local("a")
        self._emit(f"{target} = {array} = []")
        self._emit("for _ in range(n):")
        self._indent += 1
        if field.is_struct:
            element = self._local("m")
            self._struct(self._struct_of(field), element)
            self._flush()
            self._emit(f"{array}.append({element})")
        elif kind == "uuid":
            self._emit(f"{array}.append(bytes(buf[pos:pos + 16]))")
            self._emit("pos += 16")
        else:
            self._blob(kind, field.name, "value", False)
            self._emit(f"{array}.append(value)")
        self._indent -= 1

    def _tags(self, fields: list[Field], target: str) -> None:
        """Emit the reading of a tag buffer, in which `fields` are known."""
        if not fields:
            self._run.append(("B", "n"))
            self._flush()
            self._emit("if n: pos = skip_tagged_fields(buf, pos - 1)")
            return
        tag, end = self._local("t"), self._local("e")
        self._run.append(("B", "n"))
        self._flush()
        self._emit("if n:")
        self._emit("    if n > 127: n, pos = long_uvarint(buf, pos - 1)")
        self._emit(f"    {tag} = -1")
        self._emit("    for _ in range(n):")
        self._emit(f"        {tag}, {end}, pos = read_tag(buf, pos, {tag})")
        self._emit(f"        {end} += pos")
        self._indent += 2
        for field in fields:
            self._emit(f"if {tag} == {field.tag}:")
            self._indent += 1
            self._tagged_field(field, f"{target}.{field.name}")
            self._flush()
            self._emit(f"if pos != {end}: wrong_size({field.name!r})")
            self._emit("continue")
            self._indent -= 1
        self._emit(f"pos = {end}")
        self._indent -= 2

    def _tagged_field(self, field: Field, target: str) -> None:
        nullable = field.nullable_in(self._version)
        if not (nullable and field.is_struct and not field.is_array):
            self._field(field, target, nullable)
            return
        # Only here is the presence of a struct told by a varint instead of an int8 (Kafka MessageDataGenerator).
        self._emit("n, pos = long_uvarint(buf, pos)")
        self._emit(f"if n == 0: {target} = None")
        self._emit("else:")
        self._indent += 1
        self._single_struct(field, target, False)
        self._flush()
        self._indent -= 1

    def _element_size_min(self, field: Field) -> int:
        """Return the fewest bytes that one element of an array can have."""
        if field.is_struct:
            return self._struct_size_min(self._struct_of(field))
        return self._size_min(field.element)

    def _struct_size_min(self, struct: Any) -> int:
        size = 1 if self._flexible else 0
        for field in (Field(*row) for row in struct.FIELDS):
            if not field.exists_in(self._version) or field.tagged_in(self._version):
                continue
            if field.is_array:
                size += 1 if self._flexible else 4
            elif field.is_struct:
                nullable = field.nullable_in(self._version)
                size += 1 if nullable else self._struct_size_min(self._struct_of(field))
            else:
                size += self._size_min(field.type)
        return size

    def _size_min(self, kind: str) -> int:
        if kind in FIXED:
            return FIXED[kind][1]
        return 1 if self._flexible and kind != "plain_string" else _LENGTH_SIZES[kind]


def _long_string(buf: Buffer, pos: int) -> tuple[int, int]:
    """Read the compact length of a string."""
    n, pos = read_uvarint(buf, pos)
    if n > STRING_BYTES_MAX + 1:
        raise ProtocolViolation(f"a string of {n - 1} bytes")
    return n, pos


def _malformed(name: str, version: int, error: Exception) -> None:
    raise ProtocolViolation(f"malformed {name} version {version}: {error}") from None


def _truncated(pos: int, size: int) -> None:
    raise ProtocolViolation(f"truncated: {pos} bytes wanted, {size} are there")


def _null(field: str) -> None:
    raise ProtocolViolation(f"{field} is null")


def _negative(field: str, length: int) -> None:
    raise ProtocolViolation(f"{field} has the length {length}")


def _too_many(field: str, count: int) -> None:
    raise ProtocolViolation(f"{field} announces {count} elements, more than the bytes that are left can hold")


def _wrong_size(field: str) -> None:
    raise ProtocolViolation(f"tagged field {field} has not the size it announces")


# The usual array of numbers is short: replicas, partitions.
_ARRAY_UNPACKS = {
    letter: tuple(Form(f">{count}{letter}").unpack_from for count in range(16)) for letter in "bhiq"
}
_NAMES: dict[str, Any] = {
    "StructError": StructError,
    "UTF_8": "utf-8",
    "ZERO_UUID": ZERO_UUID,
    "long_string": _long_string,
    "long_uvarint": read_uvarint,
    "malformed": _malformed,
    "negative": _negative,
    "new": object.__new__,
    "null": _null,
    "read_tag": read_tag,
    "skip_tagged_fields": skip_tagged_fields,
    "too_many": _too_many,
    "truncated": _truncated,
    "unpack_from": unpack_from,
    "wrong_size": _wrong_size,
}
