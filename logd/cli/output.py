"""What a command prints on standard output, and progress on standard error.

Text is UTF-8 whatever the locale says; what cannot be shown is escaped. Every command that prints data prints one JSON
document a line with -J. Output is buffered: `flush` when a reader waits for it; the end of a command flushes.
Writing raises ClosedPipe when the reader has gone: a command lets it pass, `logd.cli.run` ends quietly.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence

from logd.cli.errors import CommandError
from logd.console import discard_output, printable

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import IO, TypeVar

    T = TypeVar("T")

Cell = str | int | None

PROGRESS_AFTER_S = 1.0
"""What is done sooner need not tell how far it has come."""

_PROGRESS_INTERVAL_S = 0.1


class ClosedPipe(Exception):
    """Whoever read standard output has gone, such as `head` after its last line."""


def write(text: str) -> None:
    write_bytes(text.encode("utf-8", "backslashreplace"))


def write_bytes(data: bytes | memoryview) -> None:
    """Raises ClosedPipe; CommandError when standard output takes nothing."""
    stream = _stdout()
    try:
        written = stream.write(data)
        while written < len(data):  # with PYTHONUNBUFFERED: a signal, or a disk that is nearly full
            written += stream.write(memoryview(data)[written:])
    except OSError as error:
        raise _failure(error) from None


def flush() -> None:
    """Hand over what was written so far. Raises as `write_bytes`."""
    if sys.stdout is None:  # nothing can have been written
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _failure(error) from None


def print_each(things: Iterable[T], print_one: Callable[[T], None]) -> None:
    """One thing after the other, with an empty line between them."""
    for at, thing in enumerate(things):
        write("\n" if at else "")
        print_one(thing)


def print_line(text: str) -> None:
    """One line, whatever it quotes."""
    write(printable(text) + "\n")


def print_json(value: object) -> None:
    """One JSON document on a line of its own."""
    import json  # noqa: PLC0415 - only for -J

    write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, indent: str = "") -> None:
    """Columns under their headers; numbers to the right, "-" for None."""
    texts = [["-" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    widths = [max([len(header), *(len(row[at]) for row in texts)]) for at, header in enumerate(headers)]
    columns = list(zip(*rows, strict=True)) or [() for _ in headers]
    numeric = [any(isinstance(cell, int) for cell in column) for column in columns]
    for line in [list(headers), *texts]:
        cells = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ]
        write(f"{indent}{'  '.join(cells)}".rstrip() + "\n")


def format_count(number: int, noun: str) -> str:
    """How many for people: "1 record", "2,000 batches"."""
    plural = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{plural}"


def format_size(size_bytes: int | None) -> str | None:
    """A size for people: "1.5 MiB"."""
    if size_bytes is None:
        return None
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


class Progress:
    """One line on standard error that is written over and over; nothing where that is no terminal."""

    def __init__(self, *, after_s: float = 0.0) -> None:
        """`after_s`: nothing is due before."""
        self._stream: IO[str] | None = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
        self._next = time.monotonic() + after_s
        self._shown = False

    @property
    def is_due(self) -> bool:
        """Whether `show` would write now: ask before building an expensive text."""
        return self._stream is not None and time.monotonic() >= self._next

    def show(self, text: str) -> None:
        if self._stream is not None and self.is_due:
            self._next = time.monotonic() + _PROGRESS_INTERVAL_S
            self._shown = True
            self._put(f"\r\x1b[K{printable(text)}")

    def clear(self) -> None:
        """Take the line away: before other output, and at the end."""
        if self._shown:
            self._shown = False
            self._put("\r\x1b[K")

    def _put(self, text: str) -> None:
        assert self._stream is not None
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal has gone; the work has not
            self._stream = None
            self._shown = False


def _stdout() -> IO[bytes]:
    if sys.stdout is None:
        raise CommandError("standard output is closed")
    return sys.stdout.buffer


def _failure(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return ClosedPipe()
    discard_output()
    return CommandError(f"cannot write to standard output: {error.strerror}")
