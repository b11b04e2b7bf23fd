"""kafka-features, Kafka's own and unchanged, changes the features of a broker that nobody else uses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.compat.conftest import start_target
from tests.support import java
from tests.support.kafka_tools import KafkaTools

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

_FEATURE = re.compile(
    r"Feature: (\S+)\s+SupportedMinVersion: (\S+)\s+SupportedMaxVersion: (\S+)\s+"
    r"FinalizedVersionLevel: (\S+)\s+Epoch: (\d+)"
)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaTools]:
    with start_target(tmp_path_factory.mktemp("features")) as running:
        tools = KafkaTools(running.bootstrap)
        yield tools
        tools.close()


def features(tool: KafkaTools) -> dict[str, tuple[str, str, str]]:
    """(lowest, highest, finalised level) by feature."""
    matches = (_FEATURE.match(line) for line in tool("kafka-features", "describe").lines)
    return {match[1]: (match[2], match[3], match[4]) for match in matches if match is not None}


@pytest.mark.parametrize("kind", [(), ("--unsafe",)])
@pytest.mark.parametrize(("feature", "highest"), [("group.version", 1), ("transaction.version", 2)])
def test_down_and_up_again(tool: KafkaTools, feature: str, highest: int, kind: tuple[str, ...]) -> None:
    assert features(tool)[feature] == ("0", str(highest), str(highest))
    for level in range(highest - 1, -1, -1):
        out = tool("kafka-features", "downgrade", "--feature", f"{feature}={level}", *kind).stdout
        assert f"{feature} was downgraded to {level}." in out
        assert features(tool)[feature][2] == str(level)
    out = tool("kafka-features", "upgrade", "--feature", f"{feature}={highest}").stdout
    assert f"{feature} was upgraded to {highest}." in out
    assert features(tool)[feature][2] == str(highest)


def test_disabled(tool: KafkaTools) -> None:
    out = tool("kafka-features", "disable", "--feature", "group.version").stdout
    assert "group.version was disabled." in out
    assert features(tool)["group.version"][2] == "0"
    tool("kafka-features", "upgrade", "--feature", "group.version=1")


def test_a_dry_run_changes_nothing(tool: KafkaTools) -> None:
    before = features(tool)
    out = tool("kafka-features", "downgrade", "--feature", "group.version=0", "--dry-run").stdout
    assert "group.version can be downgraded to 0." in out
    assert features(tool) == before


@pytest.mark.parametrize(
    ("command", "update"),
    [
        ("upgrade", "group.version=9"),
        ("upgrade", "metadata.version=99"),
        ("upgrade", "unheard.of=1"),
        ("downgrade", "group.version=7"),
    ],
)
def test_refused(tool: KafkaTools, command: str, update: str) -> None:
    before = features(tool)
    ran = tool.try_out("kafka-features", command, "--feature", update)
    assert ran.exit == 1
    assert f"Could not {command}" in ran.stdout + ran.stderr
    assert features(tool) == before
