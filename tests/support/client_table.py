"""Writes the tables of docs/clients.md from the registry of clients: `python -m tests.support.client_table`.

What is in the tables is what the compatibility tests are parametrised with, so they say what is run and nothing
else. A test fails when the document is not what this would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from tests.support.clients.admin_port import Offer
from tests.support.clients.port import ACKS, CODECS, Ability
from tests.support.clients.registry import ENTRIES, ROOT, Entry
from tests.support.clients.transactional import TRANSACTIONAL
from tests.support.group_clients import GROUP_CLIENTS

DOCUMENT = ROOT / "docs" / "clients.md"
_BEGIN = "<!-- client tables: written by `make docs` -->\n"
_END = "<!-- end of client tables -->\n"
_LANGUAGES = {None: "Python", "java": "Java", "go": "Go", "node": "Node.js"}


def render() -> str:
    return f"\n{_records()}\n{_administration()}\n{_groups()}\n"


def replaced(text: str) -> str:
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}{render()}{_END}{after}"


def _records() -> str:
    head = (
        "client",
        "version",
        "language",
        "acks",
        "codecs",
        "idempotent",
        "reset policy",
        "transactions",
        "admin",
    )
    return _table(head, (_record_row(each) for each in ENTRIES))


def _record_row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.title,
        entry.version,
        _LANGUAGES[entry.toolchain],
        ", ".join(ACKS),
        "all" if entry.codecs == CODECS else ", ".join(entry.codecs),
        "yes",
        _mark(Ability.RESET_POLICY in entry.abilities),
        _mark(entry.name in TRANSACTIONAL),
        "topics" if entry.make_admin is None else "topics and more",
    )


def _administration() -> str:
    with_admin = [entry for entry in ENTRIES if entry.make_admin is not None]
    head = ("call", *(entry.name for entry in with_admin))
    rows = ((offer.value, *(_mark(offer in entry.offers) for entry in with_admin)) for offer in Offer)
    return _table(head, rows)


def _groups() -> str:
    head = ("member of a group", "classic protocol", "consumer protocol (KIP-848)", "static members")
    return _table(head, (_group_row(entry) for entry in ENTRIES))


def _group_row(entry: Entry) -> tuple[str, ...]:
    members = [client for client in GROUP_CLIENTS if client.entry == entry.name]
    assignors = {client.protocol: ", ".join(client.strategies) for client in members}
    static = [client.protocol for client in members if client.static]
    return (
        entry.name,
        assignors.get("classic", "–"),
        assignors.get("consumer", "–"),
        ", ".join(static) or "–",
    )


def _mark(holds: bool) -> str:
    return "yes" if holds else "–"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> int:
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {DOCUMENT}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
