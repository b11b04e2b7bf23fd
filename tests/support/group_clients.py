"""Clients as members of groups: how to start each as a process, and what it can do.

Every member tells the same lines; tests/support/group_member.py says which. The tests of groups are parametrised from
here and docs/clients.md shows it, so that the document cannot claim what is not run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pytest

from tests.support import go, java, nodejs

Options = Mapping[str, str | int]
"""`instance`, `session` (in milliseconds; with classic groups) and `strategy`."""
RANGE = "range"
COOPERATIVE = "cooperative-sticky"
_ROUND_ROBIN = "round robin"
_JAVA_ASSIGNORS = {
    RANGE: "org.apache.kafka.clients.consumer.RangeAssignor",
    COOPERATIVE: "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
}


@dataclass(frozen=True, slots=True)
class GroupClient:
    """One client with one of the two protocols."""

    name: str
    entry: str
    """Its name in tests/support/clients/registry.py."""
    start: Callable[[str, str, str, Options], Sequence[str]]
    """Its command, from bootstrap, group, topic and options."""
    protocol: Literal["classic", "consumer"] = "classic"
    strategies: tuple[str, ...] = (RANGE,)
    """Assignors that are tried, the default first."""
    static: bool = True
    """Whether it knows group instance ids."""
    leaves_by_signal: bool = True
    """On SIGTERM; else with the end of its input."""
    toolchain: Literal["java", "go", "node"] | None = None
    missing: str | None = None
    """Why it cannot run on this machine."""

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """What demands the client on a machine that must have it, and skips it on one that has not."""
        marks = [] if self.toolchain is None else [getattr(pytest.mark, self.toolchain)]
        return marks if self.missing is None else [*marks, pytest.mark.skip(reason=self.missing)]


def _settings(options: Options) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]


def _python(client: str, bootstrap: str, group: str, topic: str, options: Options) -> Sequence[str]:
    program = (sys.executable, "-m", "tests.support.group_member")
    return [*program, client, bootstrap, group, topic, *_settings(options)]


def _go(client: str, bootstrap: str, group: str, topic: str, options: Options) -> Sequence[str]:
    return [str(go.program()), "member", client, bootstrap, group, topic, *_settings(options)]


def _node(client: str, bootstrap: str, group: str, topic: str, options: Options) -> Sequence[str]:
    return [*nodejs.command("member.js"), client, bootstrap, group, topic, *_settings(options)]


def _java(protocol: str, bootstrap: str, group: str, topic: str, options: Options) -> Sequence[str]:
    """The options become settings of the consumer."""
    settings = [f"group.protocol={protocol}", "reconnect.backoff.max.ms=200"]
    if protocol == "classic":
        assignor = _JAVA_ASSIGNORS[str(options.get("strategy", RANGE))]
        settings += ["heartbeat.interval.ms=300", f"partition.assignment.strategy={assignor}"]
        settings.append(f"session.timeout.ms={options.get('session', 10_000)}")
    if "instance" in options:
        settings.append(f"group.instance.id={options['instance']}")
    return java.KAFKA.command("ConsumerGroupMember", bootstrap, group, topic, *settings)


_in_java = partial(
    GroupClient,
    entry="java-kafka-4.3.1",
    leaves_by_signal=False,
    toolchain="java",
    missing=java.missing_tools(),
)
_in_go = partial(GroupClient, toolchain="go", missing=go.missing_tools())

GROUP_CLIENTS: tuple[GroupClient, ...] = (
    GroupClient("kafka-python", "kafka-python", partial(_python, "kafka-python")),
    GroupClient(
        "confluent", "confluent-kafka", partial(_python, "confluent"), strategies=(RANGE, COOPERATIVE)
    ),
    GroupClient(
        "confluent-consumer",
        "confluent-kafka",
        partial(_python, "confluent-consumer"),
        protocol="consumer",
        strategies=("uniform",),
    ),
    GroupClient("aiokafka", "aiokafka", partial(_python, "aiokafka")),
    _in_java("java", start=partial(_java, "classic"), strategies=(RANGE, COOPERATIVE)),
    _in_java("java-consumer", start=partial(_java, "consumer"), protocol="consumer", strategies=("uniform",)),
    _in_go("franz-go", "franz-go", partial(_go, "franz-go"), strategies=(RANGE, COOPERATIVE)),
    _in_go(
        "franz-go-consumer",
        "franz-go",
        partial(_go, "franz-go-consumer"),
        protocol="consumer",
        strategies=("uniform", RANGE),
    ),
    _in_go("sarama", "sarama", partial(_go, "sarama")),
    _in_go("sarama-default", "sarama-default", partial(_go, "sarama-default")),
    GroupClient(
        "kafkajs",
        "kafkajs",
        partial(_node, "kafkajs"),
        strategies=(_ROUND_ROBIN,),
        static=False,
        toolchain="node",
        missing=nodejs.missing_tools(),
    ),
)
BY_NAME = {client.name: client for client in GROUP_CLIENTS}


def parameters(
    protocol: str, *, strategy: str | None = None, static: bool = False, without: str = ""
) -> list[Any]:  # of pytest, which does not name their type
    """Clients of a protocol as parameters, with a strategy or static members where a test asks for those."""
    return [
        together(client.name)
        for client in GROUP_CLIENTS
        if client.protocol == protocol
        and client.name != without
        and (strategy is None or strategy in client.strategies)
        and (client.static or not static)
    ]


def together(*names: str) -> Any:
    """One parameter for clients that a test needs all; a name alone where it is one, else all of them."""
    marks = {mark.name + str(mark.kwargs): mark for name in names for mark in BY_NAME[name].marks}
    value = names[0] if len(names) == 1 else names
    return pytest.param(value, marks=list(marks.values()), id="+".join(names))
