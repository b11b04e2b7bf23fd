"""Goal: `logd config` shows and changes settings, on logd as on Apache Kafka. Method: every action, text and JSON."""

from __future__ import annotations

import json
from typing import Any

from tests.support.command_line import Command, assert_one_line, seen


def _settings(logd: Command, *arguments: str) -> dict[str, Any]:
    done = logd("config", "get", *arguments, "-J")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["settings"]}


def _becomes(logd: Command, where: str, name: str, value: str, source: str) -> None:
    """The setting is, soon, this."""
    row = seen(
        lambda: _settings(logd, where, name)[name],
        lambda row: (row["value"], row["source"]) == (value, source),
    )
    assert (row["value"], row["source"]) == (value, source)


def test_set_get_and_unset(logd: Command, topic: str) -> None:
    where = f"topic/{topic}"
    done = logd("config", "set", where, "retention.ms=60000", "segment.bytes=1048576")
    assert done == (0, f"set retention.ms=60000 on {where}\nset segment.bytes=1048576 on {where}\n", "")
    _becomes(logd, where, "retention.ms", "60000", "topic")
    settings = _settings(logd, where)
    assert len(settings) > 20
    assert settings["retention.ms"] == {
        "name": "retention.ms",
        "value": "60000",
        "source": "topic",
        "dynamic": True,
        "sensitive": False,
    }
    assert logd("config", "get", where, "retention.ms", "-q").stdout == "60000\n"
    [row] = json.loads(logd("config", "unset", where, "retention.ms", "-J").stdout)
    assert row == {
        "resource": where,
        "name": "retention.ms",
        "operation": "unset",
        "value": None,
        "changed": True,
        "error": None,
    }
    _becomes(logd, where, "retention.ms", "604800000", "default")


def test_get_as_text(logd: Command, topic: str) -> None:
    logd("config", "set", f"topic/{topic}", "retention.ms=60000")
    _becomes(logd, f"topic/{topic}", "retention.ms", "60000", "topic")
    lines = [line.split() for line in logd("config", "get", f"topic/{topic}").stdout.splitlines()]
    assert lines[0] == ["NAME", "VALUE", "SOURCE", "DYNAMIC"]
    assert ["retention.ms", "60000", "topic", "yes"] in lines
    changed = logd("config", "get", f"topic/{topic}", "--changed").stdout
    assert "retention.ms" in changed and "flush.ms" not in changed


def test_lists_grow_and_shrink(logd: Command, topic: str) -> None:
    where = f"topic/{topic}"
    assert logd("config", "set", where, "cleanup.policy+=compact").returncode == 0
    _becomes(logd, where, "cleanup.policy", "delete,compact", "topic")
    assert logd("config", "set", where, "cleanup.policy-=delete").returncode == 0
    _becomes(logd, where, "cleanup.policy", "compact", "topic")


def test_a_dry_run_is_checked_and_changes_nothing(logd: Command, topic: str) -> None:
    where = f"topic/{topic}"
    done = logd("config", "set", where, "retention.ms=5", "--dry-run")
    assert done == (0, f"could set retention.ms=5 on {where}\n", "")
    assert _settings(logd, where)["retention.ms"]["source"] == "default"
    assert_one_line(logd("config", "set", where, "retention.ms=soon", "--dry-run"), 1, "INVALID_CONFIG")


def test_all_or_nothing(logd: Command, topic: str) -> None:
    where = f"topic/{topic}"
    done = logd("config", "set", where, "segment.bytes=2097152", "retention.ms=soon")
    assert_one_line(done, 1, where, "retention.ms", "INVALID_CONFIG")
    assert _settings(logd, where)["segment.bytes"]["source"] == "default"


def test_list_shows_what_was_set(logd: Command, topic: str) -> None:
    logd("config", "set", f"topic/{topic}", "retention.ms=60000")
    _becomes(logd, f"topic/{topic}", "retention.ms", "60000", "topic")
    wanted = {"resource": f"topic/{topic}", "name": "retention.ms", "value": "60000", "sensitive": False}
    assert wanted in json.loads(logd("config", "list", "-J").stdout)
    assert json.loads(logd("config", "list", f"topic/{topic}", "-J").stdout) == [wanted]


def test_broker_settings(logd: Command) -> None:
    settings = _settings(logd, "broker/1")
    assert settings["log.dirs"]["dynamic"] is False
    assert settings["log.dirs"]["source"] == "static"
    assert settings["log.retention.ms"]["dynamic"] is True
    assert logd("config", "set", "broker/default", "log.retention.ms=7200000").returncode == 0
    _becomes(logd, "broker/1", "log.retention.ms", "7200000", "broker/default")
    assert logd("config", "set", "broker/1", "log.retention.ms=3600000").returncode == 0
    _becomes(logd, "broker/1", "log.retention.ms", "3600000", "broker")
    listed = json.loads(logd("config", "list", "broker/1", "broker/default", "-J").stdout)
    assert [(row["resource"], row["value"]) for row in listed if row["name"] == "log.retention.ms"] == [
        ("broker/1", "3600000"),
        ("broker/default", "7200000"),
    ]
    for where in ("broker/1", "broker/default"):
        assert logd("config", "unset", where, "log.retention.ms").returncode == 0


def test_what_is_not_there(logd: Command, topic: str) -> None:
    assert_one_line(logd("config", "get", "topic/no-such"), 1, "there is no topic no-such")
    assert_one_line(logd("config", "set", "topic/no-such", "retention.ms=1"), 1, "no topic no-such")
    assert_one_line(logd("config", "get", "broker/77"), 1, "no live node 77")
    assert_one_line(
        logd("config", "get", f"topic/{topic}", "retention.msec"), 1, "did you mean retention.ms?"
    )
    assert_one_line(logd("config", "set", f"topic/{topic}", "no.such=1"), 1, "no.such", "INVALID_CONFIG")
    assert_one_line(logd("config", "set", "broker/1", "log.dirs=/x"), 1, "log.dirs")
