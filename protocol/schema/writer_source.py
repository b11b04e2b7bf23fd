"""Python source of a writer for one message in one version.

The source is one flat function, as that of the reader. It collects parts in a list and joins them, except that a
`records` value is handed out as a chunk of its own, uncopied and in its place: it may be a region of a file, of
which only the length is known here. A run of fixed-size fields with the length that follows it is one `struct`
call.

A field that the version lacks must have its default, unless it is ignorable: what cannot be said must not be lost
in silence. What does not fit (a null where none may be, a number out of range, a string too long) raises
ProtocolViolation.
"""

from __future__ import annotations

from struct import Struct as Form
from struct import error as StructError
from struct import pack
from typing import Any

from protocol.errors import ProtocolViolation
from protocol.primitives import SHORT_UVARINTS, STRING_BYTES_MAX, encode_uvarint
from protocol.schema.descriptors import FIXED, Field
from protocol.types import UUID_SIZE, ZERO_UUID


def writer_source(message: Any, version: int) -> tuple[str, dict[str, Any]]:
    """Return the source of `write(m0, out)`, which appends chunks to `out`, and the names that it uses."""
    writer = _WriterSource(message, version)
    return writer.source(), writer.names


class _WriterSource:
    def __init__(self, message: Any, version: int) -> None:
        self._message = message
        self._version = version
        self._flexible = message.FIRST_FLEXIBLE is not None and version >= message.FIRST_FLEXIBLE
        self._lines: list[str] = []
        self._indent = 2
        self._run: list[tuple[str, str]] = []  # (struct letter, value) not emitted yet
        self._serial = 0
        self.names: dict[str, Any] = dict(_NAMES)

    def source(self) -> str:
        self._struct(self._message, "m0")
        self._flush()
        head = ["def write(m0, out):", "    parts = []", "    w = parts.append", "    try:"]
        tail = [
            '        out.append(b"".join(parts))',
            "    except (StructError, UnicodeEncodeError, AttributeError, TypeError) as error:",
            f"        unfit({self._message.NAME!r}, {self._version}, error)",
        ]
        return "\n".join([*head, *self._lines, *tail])

    def _emit(self, line: str) -> None:
        self._lines.append("    " * self._indent + line)

    def _local(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}{self._serial}"

    def _pack(self, run: list[tuple[str, str]]) -> str:
        """Return the expression that packs a run of values."""
        layout = ">" + "".join(letter for letter, _ in run)
        name = f"pack_{layout[1:].replace('?', 'o')}"
        if name not in self.names:
            self.names[name] = Form(layout).pack
        return f"{name}({', '.join(value for letter, value in run if letter != 'x')})"

    def _flush(self) -> None:
        run, self._run = self._run, []
        if len(run) == 1 and run[0][0] in "xB":  # a tag count
            self._emit('w(b"\\0")' if run[0][0] == "x" else f"w(SHORT_UVARINTS[{run[0][1]}])")
        elif run:
            self._emit(f"w({self._pack(run)})")

    def _struct(self, struct: Any, source: str) -> None:
        """Write the fields of `source`; the last run may be left pending."""
        fields = [Field(*row) for row in struct.FIELDS]
        version = self._version
        for field in fields:
            if not field.exists_in(version) and not field.ignorable:
                self._emit(f"if {self._is_set(field, f'{source}.{field.name}', field.nullable is not None)}:")
                self._emit(f"    unsaid({field.name!r})")
        for field in fields:
            if field.exists_in(version) and not field.tagged_in(version):
                self._field(field, f"{source}.{field.name}", field.nullable_in(version))
        if self._flexible:
            tagged = [field for field in fields if field.tagged_in(version)]
            self._tags(sorted(tagged, key=lambda field: field.tag), source)

    def _is_set(self, field: Field, source: str, nullable: bool) -> str:
        """Return the condition for a value other than the default."""
        if field.default is None:
            return f"{source} is not None"
        if field.is_struct and not field.is_array:
            return f"{source} != {self._class(field)}()"
        if field.default in ((), b""):
            return f"{source} or {source} is None" if nullable else source
        if isinstance(field.default, bool):
            return f"not {source}" if field.default else source
        return f"{source} != {'ZERO_UUID' if field.type == 'uuid' else repr(field.default)}"

    def _class(self, field: Field) -> str:
        struct = getattr(self._message, field.element)
        self.names[struct.__name__] = struct
        return str(struct.__name__)

    def _field(self, field: Field, source: str, nullable: bool) -> None:
        if field.is_array:
            self._array(field, source, nullable)
        elif field.type in FIXED:
            self._fixed(field.type, source)
        elif field.is_struct:
            self._single_struct(field, source, nullable)
        else:
            self._blob(field.type, field.name, source, nullable)

    def _fixed(self, kind: str, source: str) -> None:
        if kind == "uuid":  # struct would pad or cut
            self._emit(f"if len({source}) != {UUID_SIZE}: no_uuid({source})")
        self._run.append((FIXED[kind][0], source))

    def _single_struct(self, field: Field, source: str, nullable: bool) -> None:
        name = self._local("m")
        self._emit(f"{name} = {source}")
        struct = getattr(self._message, field.element)
        if not nullable:
            self._struct(struct, name)
            return
        run, self._run = self._run, []
        self._emit(f"if {name} is None: w({self._pack([*run, ('b', '-1')])})")
        self._emit("else:")
        self._indent += 1
        self._run = [*run, ("b", "1")]
        self._struct(struct, name)
        self._flush()
        self._indent -= 1

    def _length(self, letter: str, is_string: bool) -> None:
        """Write the pending run and the length `n`, which is one more where it is compact."""
        run, self._run = self._run, []
        long = "long_string(n)" if is_string else "encode_uvarint(n)"
        if letter:
            self._emit(f"w({self._pack([*run, (letter, 'n')])})")
        elif run:
            self._emit(f"if n < 128: w({self._pack([*run, ('B', 'n')])})")
            self._emit("else:")
            self._emit(f"    w({self._pack(run)})")
            self._emit(f"    w({long})")
        else:
            self._emit(f"w(SHORT_UVARINTS[n] if n < 128 else {long})")

    def _blob(self, kind: str, name: str, source: str, nullable: bool) -> None:
        """A string, bytes or records."""
        is_string = kind in {"string", "plain_string"}
        compact = self._flexible and kind != "plain_string"
        plus = " + 1" if compact else ""
        value = self._local("s")
        encoded = f"{value} = {source}.encode()" if is_string else f"{value} = {source}"
        if nullable:
            self._emit(f"if {source} is None:")
            self._emit(f'    {value} = b""')
            self._emit(f"    n = {'0' if compact else '-1'}")
            self._emit("else:")
            self._emit(f"    {encoded}")
            self._emit(f"    n = len({value}){plus}")
        else:
            self._emit(encoded)
            self._emit(f"n = len({value}){plus}")
        self._length("" if compact else "h" if is_string else "i", is_string)
        if kind == "records":
            # `parts` is kept, emptied: `w` is its append.
            self._emit(f"if len({value}):")
            self._emit('    out.append(b"".join(parts))')
            self._emit("    parts.clear()")
            self._emit(f"    out.append({value})")
        else:
            self._emit(f"w({value})")

    def _array(self, field: Field, source: str, nullable: bool) -> None:
        array = self._local("a")
        self._emit(f"{array} = {source}")
        plus = " + 1" if self._flexible else ""
        if nullable:
            self._emit(f"if {array} is None:")
            self._emit(f"    {array} = ()")
            self._emit(f"    n = {'0' if self._flexible else '-1'}")
            self._emit(f"else: n = len({array}){plus}")
        else:
            self._emit(f"n = len({array}){plus}")
        self._length("" if self._flexible else "i", False)
        kind = field.element
        if kind in FIXED and kind != "uuid":
            letter = FIXED[kind][0]
            self.names[f"packs_{letter}"] = _ARRAY_PACKS[letter]
            self._emit(f"n = len({array})")
            self._emit(f'w(packs_{letter}[n](*{array}) if n < 16 else pack(f">{{n}}{letter}", *{array}))')
            return
        element = self._local("m")
        self._emit(f"for {element} in {array}:")
        self._indent += 1
        if field.is_struct:
            self._struct(getattr(self._message, kind), element)
        elif kind == "uuid":
            self._fixed(kind, element)
        else:
            self._blob(kind, field.name, element, False)
        self._flush()
        if self._lines[-1].endswith(":"):
            self._emit("pass")
        self._indent -= 1

    def _tags(self, fields: list[Field], source: str) -> None:
        if not fields:
            self._run.append(("x", "no tags"))
            return
        conditions = [
            (field, self._is_set(field, f"{source}.{field.name}", field.nullable_in(self._version)))
            for field in fields
        ]
        self._emit("n = 0")
        for _, condition in conditions:
            self._emit(f"if {condition}: n += 1")
        self._run.append(("B", "n"))
        self._flush()
        self._emit("if n:")
        self._indent += 1
        for field, condition in conditions:
            self._emit(f"if {condition}:")
            self._indent += 1
            start = self._local("k")
            self._emit(f"{start} = len(parts)")
            self._emit('w(b"")')
            self._tagged_field(field, f"{source}.{field.name}")
            self._flush()
            self._emit(f"parts[{start}] = tag_head({field.tag}, parts, {start} + 1)")
            self._indent -= 1
        self._indent -= 1

    def _tagged_field(self, field: Field, source: str) -> None:
        nullable = field.nullable_in(self._version)
        if not (nullable and field.is_struct and not field.is_array):
            self._field(field, source, nullable)
            return
        # Only here is the presence of a struct told by a varint instead of an int8 (Kafka MessageDataGenerator).
        self._emit(f"w(encode_uvarint({source} is not None))")
        self._emit(f"if {source} is not None:")
        self._indent += 1
        self._single_struct(field, source, False)
        self._flush()
        self._indent -= 1


def _long_string(n: int) -> bytes:
    if n > STRING_BYTES_MAX + 1:
        raise ProtocolViolation(f"a string of {n - 1} bytes")
    return encode_uvarint(n)


def _tag_head(tag: int, parts: list[bytes], start: int) -> bytes:
    """Return what goes before the data of a tagged field, which are `parts` from `start` on."""
    return encode_uvarint(tag) + encode_uvarint(sum(map(len, parts[start:])))


def _unfit(name: str, version: int, error: Exception) -> None:
    raise ProtocolViolation(f"{name} version {version} cannot be written: {error}") from error


def _unsaid(field: str) -> None:
    raise ProtocolViolation(f"{field} is set, but this version has no such field")


def _no_uuid(value: Any) -> None:
    raise ProtocolViolation(f"not an id of {UUID_SIZE} bytes: {value!r}")


# The usual array of numbers is short: replicas, partitions.
_ARRAY_PACKS = {letter: tuple(Form(f">{count}{letter}").pack for count in range(16)) for letter in "bhiq"}
_NAMES: dict[str, Any] = {
    "SHORT_UVARINTS": SHORT_UVARINTS,
    "StructError": StructError,
    "ZERO_UUID": ZERO_UUID,
    "encode_uvarint": encode_uvarint,
    "long_string": _long_string,
    "no_uuid": _no_uuid,
    "pack": pack,
    "tag_head": _tag_head,
    "unfit": _unfit,
    "unsaid": _unsaid,
}
