"""Goal: the tree keeps its shape. Method: rules over the sources, with a ledger of what is larger than it should be.

The ledger is a ratchet: an entry may shrink or go, never grow, and a file or function that has become small enough
must leave it. It exists so that a rule can start before everything obeys it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocol", "storage", "replication", "coordinator", "logd")
SUPPORT = ("bench", "services", "tests", "tools")

FILE_LINES = 400
TEST_FILE_LINES = 600
FUNCTION_LINES = 60

# path: lines it may have
LARGE_FILES = {
    "logd/delayed.py": 410,
    "storage/producer_state.py": 485,
    "storage/recovery/loader.py": 408,
}
# path:function: lines it may have
LONG_FUNCTIONS: dict[str, int] = {
    # Per record, so without a call per varint: it would take three times as long.
    "protocol/record_walk.py:walk_records": 81,
    # Every step of an append in the order that keeps state behind the disk; a call for each would be felt.
    "storage/log.py:append": 122,
}

# Tables, where length is data.
TABLES = {
    "logd/config/broker_keys.py",
    "logd/config/other_keys.py",
    "protocol/errors.py",
}
FORBIDDEN_WORDS = re.compile(r"\b(TODO|FIXME|HACK|XXX)\b")
GENERATED_MARK = "generated"


def _sources(*folders: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return sorted({ROOT / name for name in listed if (ROOT / name).is_file()})


def _modules(*folders: str) -> list[Path]:
    return [path for path in _sources(*folders) if path.suffix == ".py"]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _is_generated(path: Path) -> bool:
    return _name(path).startswith("protocol/messages/") and path.name not in {"__init__.py", "message.py"}


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


WRITTEN = [path for path in _modules(*PACKAGES, *SUPPORT) if not _is_generated(path)]
SHIPPED = [path for path in _modules(*PACKAGES) if not _is_generated(path)]


def test_the_rules_see_the_tree() -> None:
    assert len(SHIPPED) > 20
    assert len(WRITTEN) > len(SHIPPED)


def test_files_are_short() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in WRITTEN}
    large = {name: count for name, count in lengths.items() if count > _limit(name) and name not in TABLES}
    _check_ledger(large, LARGE_FILES)


def test_functions_are_short() -> None:
    long: dict[str, int] = {}
    for path in WRITTEN:
        for function in _functions(ast.parse(path.read_text(encoding="utf-8"))):
            assert function.end_lineno is not None
            count = function.end_lineno - function.lineno + 1
            if count > FUNCTION_LINES:
                long[f"{_name(path)}:{function.name}"] = count
    _check_ledger(long, LONG_FUNCTIONS)


@pytest.mark.parametrize("path", [path for path in WRITTEN if path.name != "__init__.py"], ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring and len(docstring) > 20


def test_no_promises_in_the_sources() -> None:
    for path in _sources(*PACKAGES, *SUPPORT, "docs", "Makefile", ".ci"):
        if path == Path(__file__).resolve() or path.suffix not in {
            ".py",
            ".md",
            ".sh",
            ".java",
            ".go",
            ".js",
            "",
        }:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not FORBIDDEN_WORDS.search(line), f"{_name(path)}:{number}: {line.strip()}"


def test_the_broker_does_not_print() -> None:
    """What a command says goes through logd/console.py, what happened through logging."""
    for path in SHIPPED:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            )
            assert not called, f"{_name(path)}:{node.lineno}"  # type: ignore[attr-defined]


def test_generated_code_says_so() -> None:
    generated = [path for path in _modules("protocol/messages") if _is_generated(path)]
    assert generated
    for path in generated:
        head = path.read_text(encoding="utf-8")[:400].lower()
        assert GENERATED_MARK in head, _name(path)


def _check_ledger(found: dict[str, int], ledger: dict[str, int]) -> None:
    grown = {name: count for name, count in found.items() if count > ledger.get(name, 0)}
    assert not grown, f"split these: {grown}"
    settled = set(ledger) - set(found)
    assert not settled, f"these are small now, remove their entries: {settled}"


def _limit(name: str) -> int:
    return TEST_FILE_LINES if name.startswith("tests/") else FILE_LINES
