"""Writes the file map of docs/ARCHITECTURE.md from the first sentence of each module: `python -m tools.file_map`.

A test fails when the map is not what this would write.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "ARCHITECTURE.md"
_BEGIN = "<!-- file map: written by `make docs` -->\n"
_END = "<!-- end of file map -->\n"
# Folder, what it is for, and whether its modules are named one by one.
FOLDERS = (
    ("protocol", "bytes and typed values; no IO", True),
    ("protocol/schema", "the message schemas and the generator", True),
    ("protocol/messages", "generated: one module per API", False),
    ("storage", "one partition's bytes on disk; knows nothing of peers", True),
    ("storage/fs", "the port to the file system, and what implements it", True),
    ("storage/recovery", "opening a log, after a crash too", True),
    ("storage/cleaning", "compaction of a log: which records go, and new segments without them", True),
    ("storage/directories", "the data directories of a node and the many logs in them", True),
    ("replication", "who leads, what is committed, cluster metadata; no IO", True),
    ("coordinator", "state machines over the internal topics; no IO", True),
    ("coordinator/classic", "classic groups: the members' leader assigns", True),
    ("coordinator/consumer", "consumer groups (KIP-848): the coordinator assigns", True),
    ("coordinator/assignors", "the server-side assignors of KIP-848", True),
    ("coordinator/offsets", "committed offsets: kept by group, committed, fetched, deleted, expired", True),
    ("coordinator/administration", "describing, listing and deleting groups", True),
    ("coordinator/transactions", "transactional ids: who may write as one, and how a transaction ends", True),
    ("logd", "the process: sockets, handlers, wiring, command line", True),
    ("logd/start", "a start: what it takes over, says of what it found, and why it does not go on", True),
    ("logd/cli", "the command line: each command, and what they share", True),
    ("logd/config", "the configuration table and where values come from", True),
    ("logd/settings", "settings as clients see and change them while the broker runs", True),
    ("logd/coordination", "runs the coordinators: shards, their logs, clocks and clients", True),
    ("logd/clients", "clients of brokers, for commands and the load generator", True),
    ("logd/metadata", "the metadata log of the node, its snapshots and files", True),
    ("logd/compaction", "compaction as the node does it; what goes and stays is storage's", True),
    ("logd/dump", "looking into data directories at rest, and checking them", True),
    ("logd/load", "the load generator of `logd bench` and bench/", True),
    ("logd/handlers", "what each API means", True),
    ("services/orders", "the order services: processes, topics, values", True),
    ("services/orders/rules", "what the order services decide; no IO", True),
    ("services/orders/rest", "the Orders Service's view and HTTP interface", True),
    ("services/runtime", "the loop that the services run in: transactions and state", True),
    ("bench", "measurements: the command, what is measured of each round, results", True),
    ("bench/scenarios", "what is measured, one question each", True),
    ("bench/targets", "logd, its peers and the baselines: how they start, get warm and end", True),
    ("bench/clients", "what loads a target beside logd/load", True),
    ("bench/page", "results as tables, charts and docs/BENCHMARKS.md, against the goals", True),
    ("bench/micro", "parts of the broker alone", True),
    ("bench/demo", "`make demo-log`", True),
    ("tools", "for working on the project", True),
)


def render() -> str:
    rows = []
    for folder, purpose, one_by_one in FOLDERS:
        rows.append(f"\n### `{folder}/`: {purpose}\n\n")
        if one_by_one:
            modules = sorted(path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py")
            rows += [f"- `{path.name}`: {_first_sentence(path)}\n" for path in modules]
    return "".join(rows)


def replaced(text: str) -> str:
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}{render()}{_END}{after}"


def _first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n", maxsplit=1)[0].split())
    return paragraph.split(". ", maxsplit=1)[0].rstrip(".")


def main() -> int:
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {DOCUMENT}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
