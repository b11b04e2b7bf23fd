"""Goal: the documents match the tree. Method: generated parts are generated again, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import client_table
from tools import file_map

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]


def test_the_file_map_is_current() -> None:
    text = file_map.DOCUMENT.read_text(encoding="utf-8")
    assert text == file_map.replaced(text), "run `make docs`"


def test_the_file_map_has_every_folder() -> None:
    mapped = {folder for folder, _, _ in file_map.FOLDERS}
    with_modules = {
        str(path.parent.relative_to(ROOT))
        for top in {folder.partition("/")[0] for folder in mapped}
        for path in (ROOT / top).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert with_modules == mapped


def test_the_client_tables_are_current() -> None:
    """Versions and calls are those that the tests are pinned to and parametrised with."""
    text = client_table.DOCUMENT.read_text(encoding="utf-8")
    assert text == client_table.replaced(text), "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target
