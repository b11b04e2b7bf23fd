"""Goal: what Kafka's tools print is read right, and a failure is never a figure. Method: output as they wrote it."""

from __future__ import annotations

import subprocess

import pytest

from bench.clients import perf_client
from tests.support import java

CONSUMED = (
    "2026-11-30 17:51:38:291, 2026-11-30 17:51:41:836, 146.4844, 41.3214, 150000, 42313.1171, "
    "456, 3089, 47.4213, 48559.4044\n"
)
LATENCIES = "0\t92.1\n1000\t0.4\nAvg latency: 1.2345 ms\nPercentiles: 50th = 1, 99th = 9, 99.9th = 267\n"


class Kit:
    """What the tools are run with: writes this, and remembers how it was asked."""

    def __init__(self, output: str) -> None:
        self.output = output
        self.asked: tuple[str, ...] = ()

    def run(self, *arguments: str, **_options: object) -> subprocess.CompletedProcess[str]:
        self.asked = arguments
        return subprocess.CompletedProcess(arguments, 0, self.output, "what went wrong")


def _say(monkeypatch: pytest.MonkeyPatch, output: str) -> Kit:
    kit = Kit(output)
    monkeypatch.setattr(java, "KAFKA", kit)
    return kit


def test_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = _say(monkeypatch, CONSUMED)
    consumed = perf_client.consume("here:1", "topic", "group", 150_000)
    assert consumed == (150_000, 146.4844, 3.089)
    assert kit.asked[0] == "org.apache.kafka.tools.ConsumerPerformance"


@pytest.mark.parametrize("output", ["", "nothing came\n", CONSUMED.replace("150000", "149999")])
def test_consuming_less_is_a_failure(monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    _say(monkeypatch, output)
    with pytest.raises(RuntimeError, match="what went wrong"):
        perf_client.consume("here:1", "topic", "group", 150_000)


def test_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = _say(monkeypatch, LATENCIES)
    assert perf_client.end_to_end("here:1", "topic", 1000, 1024) == (1.2345, 1, 9, 267)
    assert kit.asked[0] == "org.apache.kafka.tools.EndToEndLatency"


def test_end_to_end_without_latencies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    _say(monkeypatch, "0\t92.1\n")
    with pytest.raises(RuntimeError, match="what went wrong"):
        perf_client.end_to_end("here:1", "topic", 1000, 1024)
