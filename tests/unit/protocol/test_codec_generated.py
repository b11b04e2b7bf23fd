"""The message modules are what the generator makes of the data, and cost nothing that start-up would feel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import protocol.messages
from protocol.schema.generate import render_all, render_module
from protocol.schema.source import parse_schema, snake_case

MESSAGES = Path(protocol.messages.__path__[0])
HAND_WRITTEN = {"__init__.py", "message.py"}


def test_generating_again_changes_nothing() -> None:
    rendered = render_all()
    assert {file.name for file in MESSAGES.glob("*.py")} - HAND_WRITTEN == set(rendered)
    assert [name for name, text in rendered.items() if (MESSAGES / name).read_text() != text] == []


def test_messages_import_nothing_that_is_only_for_tools() -> None:
    """Start-up imports the messages of every API served: no JSON, no paths, no decorators, no generator."""
    script = (
        "import sys, protocol.api\n"
        "[protocol.api.message_types(spec) for spec in protocol.api.APIS.values()]\n"
        "import protocol.messages.records_metadata\n"
        "print(*sys.modules)"
    )
    run = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(MESSAGES.parents[1])!r})\n{script}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(run.stdout.split())
    assert not imported & {"json", "pathlib", "dataclasses", "inspect", "logging", "asyncio", "socket"}
    assert not imported & {"protocol.schema.source", "protocol.schema.generate"}


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("TopicId", "topic_id"),
        ("IsKRaftController", "is_kraft_controller"),
        ("V3AndBelowTopics", "v3_and_below_topics"),
        ("Enable2Pc", "enable_2pc"),
        ("validateOnly", "validate_only"),
    ],
)
def test_names_become_python(published: str, ours: str) -> None:
    assert snake_case(published) == ours


SCHEMA = """
{"name": "XRequest", "kind": "request", "key": 7, "versions": "2-5", "flexible": "4+", "fields": [
  {"name": "Gone", "type": "int8", "versions": "0-1"},
  {"name": "Old", "type": "int8", "versions": "0-2", "default": -1},
  {"name": "Ids", "type": "[]uuid", "versions": "3+", "nullable": "4+", "ignorable": true, "kip": 516},
  {"name": "Extra", "type": "Extra", "versions": "4+", "tag": 0, "tagged": "4+", "fields": [
    {"name": "Name", "type": "string", "versions": "0+", "flexible": "none"}]}]}
"""


def test_versions_are_cut_to_those_of_the_message() -> None:
    schema = parse_schema(json.loads(SCHEMA))
    assert schema.first_flexible == 4
    top, extra = schema.structs
    assert [(field.name, field.versions) for field in top.fields] == [
        ("old", (2, 2)),
        ("ids", (3, 5)),
        ("extra", (4, 5)),
    ]
    assert top.fields[1].nullable == (4, 5)
    assert top.fields[2].default is None
    assert extra.fields[0].type == "plain_string"


def test_a_rendered_module_is_a_module() -> None:
    namespace: dict[str, object] = {"__name__": "rendered"}
    exec(render_module("X", [parse_schema(json.loads(SCHEMA))]), namespace)
    cls = namespace["XRequest"]
    assert isinstance(cls, type)
    assert repr(cls()) == "XRequest(old=-1, ids=[], extra=None)"


def test_a_message_without_versions_is_refused() -> None:
    with pytest.raises(ValueError, match="no versions"):
        parse_schema({"name": "Dead", "versions": "none", "flexible": "none", "fields": []})
