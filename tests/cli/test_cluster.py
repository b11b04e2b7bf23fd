"""Goal: `logd cluster` shows what the wire tells of a cluster, of logd as of Apache Kafka. Method: text and JSON."""

from __future__ import annotations

import json
import pkgutil
from importlib import import_module

import protocol.messages
from logd.cli.api_names import API_NAMES
from tests.support.command_line import Command, assert_one_line


def test_describe(logd: Command, bootstrap: str) -> None:
    row = json.loads(logd("cluster", "-J").stdout)
    host, _, port = bootstrap.rpartition(":")
    assert row["nodes"] == [{"node": 1, "host": host, "port": int(port), "rack": None, "fenced": False}]
    assert len(row["cluster_id"]) == 22 and row["controller"] == 1
    assert {"name": "metadata.version", "level": 30} in row["features"]
    assert row["durability"] == {
        "flush_interval_messages": None,
        "flush_interval_ms": None,
        "min_insync_replicas": 1,
    }
    text = logd("cluster").stdout
    assert text.startswith(f"cluster {row['cluster_id']}  controller=1\n")
    assert bootstrap in text and "metadata.version=30" in text
    assert "durability: acknowledged when written to the operating system" in text


def test_apis(logd: Command) -> None:
    row = json.loads(logd("cluster", "apis", "-J").stdout)
    fetch = {"key": 1, "name": "Fetch", "min_version": 4, "max_version": 18}
    assert fetch in row["apis"] and row["node"] is None
    assert logd("cluster", "apis").stdout.splitlines()[2].split() == ["1", "Fetch", "4", "18"]
    assert json.loads(logd("cluster", "apis", "--node", "1", "-J").stdout)["apis"] == row["apis"]
    assert_one_line(logd("cluster", "apis", "--node", "9"), 1, "no live node 9")


def test_every_api_has_its_name() -> None:
    names: dict[int, str] = {}
    for module in pkgutil.iter_modules(protocol.messages.__path__):
        loaded = import_module(f"protocol.messages.{module.name}")
        for name, value in vars(loaded).items():
            if name.endswith("Request") and getattr(value, "API_KEY", -1) >= 0:
                names[value.API_KEY] = name.removesuffix("Request")
    assert len(names) > 80
    assert names == API_NAMES
