"""The state of one partition: bytes to bytes in a SQLite file, with changes kept aside until they are committed.

The file is a copy. The truth is the changelog, a compacted topic; `position` says up to which of its offsets the file
holds, and is written in the same SQLite transaction as the data. Changes reach the file only after the broker has
committed them to the changelog, so after a crash the file may be behind, never ahead, and what is missing is read
again.

A file that belongs to another topic of the same name (`identity`), or to a log that is shorter, is emptied; so is one
that lay unused for so long that removals which it has not seen may have been compacted away. Used by one thread. Not
synced to disk on each commit: what power loss takes is in the changelog.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from services.runtime.records import check_size

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value);
"""


_USABLE_S = 12 * 3600  # well below delete.retention.ms, a day by default


class StateStore:
    def __init__(self, path: Path, identity: str) -> None:
        is_old = path.exists() and time.time() - _last_change(path) > _USABLE_S
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=OFF")
        self._file.executescript(_SCHEMA)
        self._changes: dict[bytes, bytes | None] = {}
        self._before_turn: dict[bytes, tuple[bool, bytes | None]] = {}
        if is_old or self._about("identity") != identity:
            self._empty()
            self._file.execute("INSERT OR REPLACE INTO about VALUES ('identity', ?)", (identity,))

    @property
    def position(self) -> int:
        """Offset of the changelog that comes next."""
        found = self._about("position")
        return found if isinstance(found, int) else 0

    @property
    def changes(self) -> Mapping[bytes, bytes | None]:
        """What was put since the last commit; None for what was removed."""
        return self._changes

    def get(self, key: bytes) -> bytes | None:
        if key in self._changes:
            return self._changes[key]
        row = self._file.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: bytes, value: bytes | None) -> None:
        """None removes. Raises Unprocessable when it is too large for the changelog."""
        check_size("the changelog", key, value)
        self._before_turn.setdefault(key, (key in self._changes, self._changes.get(key)))
        self._changes[key] = value

    def begin_turn(self) -> None:
        """What is put from here on can be undone by itself."""
        self._before_turn = {}

    @property
    def changed_in_turn(self) -> bool:
        return bool(self._before_turn)

    def undo_turn(self) -> None:
        for key, (was_changed, value) in self._before_turn.items():
            if was_changed:
                self._changes[key] = value
            else:
                del self._changes[key]
        self._before_turn = {}

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin so, ascending, as of now."""
        assert prefix and prefix[-1] < 0xFF
        end = prefix[:-1] + bytes([prefix[-1] + 1])
        rows = self._file.execute("SELECT key, value FROM state WHERE key >= ? AND key < ?", (prefix, end))
        found: dict[bytes, bytes | None] = dict(rows.fetchall())
        found |= {key: value for key, value in self._changes.items() if key.startswith(prefix)}
        for key in sorted(found):
            value = found[key]
            if value is not None:
                yield key, value

    def commit(self, position: int) -> None:
        """The changes are in the changelog, below `position`."""
        self._write(self._changes.items(), position)
        self._changes = {}

    def discard(self) -> None:
        """Forget what was put since the last commit."""
        self._changes = {}

    def restore(self, entries: Iterable[tuple[bytes, bytes | None]], position: int) -> None:
        """Entries of the changelog in their order, all below `position`."""
        assert not self._changes
        self._write(entries, position)

    def reset(self) -> None:
        """Back to nothing, to be read again from the changelog's start."""
        self._empty()

    def close(self) -> None:
        self._file.close()

    def _write(self, entries: Iterable[tuple[bytes, bytes | None]], position: int) -> None:
        self._file.execute("BEGIN")
        for key, value in entries:
            if value is None:
                self._file.execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                self._file.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
        self._file.execute("INSERT OR REPLACE INTO about VALUES ('position', ?)", (position,))
        self._file.execute("COMMIT")

    def _empty(self) -> None:
        self._changes = {}
        self._file.execute("BEGIN")
        self._file.execute("DELETE FROM state")
        self._file.execute("DELETE FROM about WHERE name = 'position'")
        self._file.execute("COMMIT")

    def _about(self, name: str) -> object:
        row = self._file.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]


def _last_change(path: Path) -> float:
    log = path.with_name(f"{path.name}-wal")
    return max(file.stat().st_mtime for file in (path, log) if file.exists())
