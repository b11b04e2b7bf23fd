"""Goal: requests of administrators and of transactions are answered as Apache Kafka answers them, code by code.

Method: every question of tests/compat/questions, one connection each, to the broker that the compatibility tests share;
and, where there is Java, the same questions to Kafka itself, so that an expectation cannot be wrong unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from logd.clients.client import Client
from tests.compat.conftest import AGAINST_KAFKA
from tests.compat.questions import (
    of_features,
    of_replicas,
    of_the_cluster,
    of_topics,
    of_transactional_offsets,
    of_transactions,
)
from tests.compat.questions.asking import questions_of
from tests.support import java
from tests.support.kafka_broker import KafkaBroker

TIMEOUT_S = 60
QUESTIONS = questions_of(
    of_features, of_replicas, of_the_cluster, of_topics, of_transactional_offsets, of_transactions
)


def put(bootstrap: str, question: str, topic: str) -> Any:
    host, _, port = bootstrap.rpartition(":")

    async def conversation() -> Any:
        async with asyncio.timeout(TIMEOUT_S), await Client.connect(host, int(port)) as client:
            return await QUESTIONS[question].ask(client, topic)

    return asyncio.run(conversation())


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers(bootstrap: str, question: str, topic: str) -> None:
    assert put(bootstrap, question, topic) == QUESTIONS[question].answer


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with KafkaBroker(tmp_path_factory.mktemp("kafka"), heap="512M") as broker:
        yield broker.bootstrap


@pytest.mark.java
@pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools()))
@pytest.mark.skipif(AGAINST_KAFKA, reason="the other test asks Kafka already")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("question", QUESTIONS)
def test_kafka_answers_the_same(kafka: str, question: str, topic: str) -> None:
    assert put(kafka, question, topic) == QUESTIONS[question].answer
