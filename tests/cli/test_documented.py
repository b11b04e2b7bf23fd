"""Goal: what the documents tell people to type is understood, and no command is missing there. Method: parse it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from logd.cli import COMMANDS, parser_for

ROOT = Path(__file__).resolve().parents[2]


def _commands(document: str) -> list[list[str]]:
    """The arguments of every `logd` in an indented line, each stage of a pipe for itself."""
    found = []
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            for stage in line.removeprefix("    $ ").strip().split(" | "):
                if stage.startswith("logd ") and not stage.startswith("logd 0"):
                    found.append(shlex.split(stage.partition(" < ")[0], comments=True)[1:])
    return found


@pytest.mark.parametrize("document", ["README.md", "docs/cli.md"])
def test_what_is_documented_is_understood(document: str) -> None:
    commands = _commands(document)
    assert len(commands) > 6
    for arguments in commands:
        parser_for(arguments[0]).parse_args(arguments)


def test_every_command_has_its_section() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"\n## logd {name}\n" in text
