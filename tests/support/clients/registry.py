"""Every client that logd is tested with: its pinned version, what it can do, and how to make one.

The compatibility tests are parametrised from here and docs/clients.md shows it, so that the document cannot claim
what is not run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.support import go, java, nodejs
from tests.support.clients.admin_port import Admin, Offer
from tests.support.clients.aio import AioKafkaClient
from tests.support.clients.aio_admin import AioKafkaAdmin
from tests.support.clients.confluent import ConfluentClient
from tests.support.clients.confluent_admin import ConfluentAdmin
from tests.support.clients.java import JavaClient
from tests.support.clients.java_admin import offered_by
from tests.support.clients.kafka_python import KafkaPythonClient
from tests.support.clients.kafka_python_admin import KafkaPythonAdmin
from tests.support.clients.port import CODECS, Ability, Client, Codec
from tests.support.clients.probe import FranzGoClient, KafkaJsClient, SaramaClient, SaramaDefaultClient

ROOT = Path(__file__).resolve().parents[3]
_EVERYTHING = frozenset(Ability)


@dataclass(frozen=True, slots=True)
class Entry:
    """One client of the matrix."""

    name: str
    title: str
    """What docs/clients.md calls it."""
    version: str
    make: Callable[[str], Client]
    make_admin: Callable[[str], Admin] | None
    offers: frozenset[Offer] = frozenset()
    toolchain: Literal["java", "go", "node"] | None = None
    missing: str | None = None
    """Why it cannot run on this machine."""
    codecs: tuple[Codec, ...] = CODECS
    abilities: frozenset[Ability] = _EVERYTHING

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """What demands the client on a machine that must have it, and skips it on one that has not."""
        marks = [] if self.toolchain is None else [getattr(pytest.mark, self.toolchain)]
        return marks if self.missing is None else [*marks, pytest.mark.skip(reason=self.missing)]


def _python_version(package: str) -> str:
    return _found(ROOT / "pyproject.toml", rf'"{package}==([^"]+)"')


def _go_version(module: str) -> str:
    return _found(go.HOME / "go.mod", rf"{module} v(\S+)")


def _node_version(package: str) -> str:
    pins: dict[str, str] = json.loads((nodejs.HOME / "package.json").read_text())["dependencies"]
    return pins[package]


def _found(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"))
    assert match is not None, f"{pattern} is not in {path}"
    return match.group(1)


def _java(kit: java.Kit, version: str) -> Entry:
    return Entry(
        f"java-{kit.name}",
        "kafka-clients",
        version,
        lambda bootstrap: JavaClient(bootstrap, kit),
        lambda bootstrap: JavaClient(bootstrap, kit),
        offered_by(kit),
        toolchain="java",
        missing=java.missing_tools(),
        abilities=_EVERYTHING - {Ability.PARALLEL},  # one JVM answers one call at a time
    )


def _sarama(title: str, make: type[SaramaClient]) -> Entry:
    return Entry(
        make.name,
        title,
        _go_version("github.com/IBM/sarama"),
        make,
        make,
        make.offers,
        toolchain="go",
        missing=go.missing_tools(),
        abilities=_EVERYTHING - {Ability.RESET_POLICY, Ability.CLUSTER_ID},
    )


_NO_NULL_HEADERS = _EVERYTHING - {Ability.NULL_HEADERS}
_CLIENTS_VERSION = r"kafka-clients</artifactId>\s*<version>([^<]+)<"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "kafka-python",
        "kafka-python",
        _python_version("kafka-python"),
        KafkaPythonClient,
        KafkaPythonAdmin,
        KafkaPythonAdmin.offers,
        abilities=_NO_NULL_HEADERS,
    ),
    Entry(
        "confluent-kafka",
        "confluent-kafka",
        _python_version("confluent-kafka"),
        ConfluentClient,
        ConfluentAdmin,
        ConfluentAdmin.offers,
    ),
    Entry(
        "aiokafka",
        "aiokafka",
        _python_version("aiokafka"),
        AioKafkaClient,
        AioKafkaAdmin,
        AioKafkaAdmin.offers,
        abilities=_NO_NULL_HEADERS,
    ),
    _java(java.CLIENT_4_4, _found(java.HOME / "client-4.4" / "pom.xml", _CLIENTS_VERSION)),
    _java(java.KAFKA, _found(java.HOME / "pom.xml", r"<kafka.version>([^<]+)<")),
    _java(java.CLIENT_3_9, _found(java.HOME / "client-3.9" / "pom.xml", _CLIENTS_VERSION)),
    Entry(
        "franz-go",
        "franz-go",
        _go_version("github.com/twmb/franz-go"),
        FranzGoClient,
        FranzGoClient,
        FranzGoClient.offers,
        toolchain="go",
        missing=go.missing_tools(),
    ),
    _sarama("sarama, newest `Version`", SaramaClient),
    _sarama("sarama, `Version` unset", SaramaDefaultClient),
    Entry(
        "kafkajs",
        "kafkajs",
        _node_version("kafkajs"),
        KafkaJsClient,
        KafkaJsClient,
        KafkaJsClient.offers,
        toolchain="node",
        missing=nodejs.missing_tools(),
        codecs=("none", "gzip", "snappy"),
        abilities=_NO_NULL_HEADERS - {Ability.RESET_POLICY},
    ),
)
BY_NAME: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}


def able_to(*needed: Ability) -> list[Entry]:
    return [entry for entry in ENTRIES if entry.abilities.issuperset(needed)]


def offering(offer: Offer) -> list[Entry]:
    return [entry for entry in ENTRIES if offer in entry.offers]


def of_toolchain(*toolchains: str | None) -> list[Entry]:
    """Those of these toolchains; None stands for Python."""
    return [entry for entry in ENTRIES if entry.toolchain in toolchains]
