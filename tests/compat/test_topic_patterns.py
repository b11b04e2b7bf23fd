"""Goal: a Java consumer that leaves its pattern to the broker (SubscriptionPattern) gets what Kafka would give it.

Method: one consumer after another, each in a group of its own. Kafka 4.3.1 was asked the same once.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support import java
from tests.support.broker import LogdBroker

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]


def test_patterns_are_resolved_by_the_broker(tmp_path: Path) -> None:
    with LogdBroker(tmp_path, properties={"offsets.topic.num.partitions": "2"}) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        topics = [NewTopic("orders", 2, 1), NewTopic("orders-eu", 1, 1), NewTopic("other", 1, 1)]
        for created in admin.create_topics(topics).values():
            created.result(60)
        patterns = ["orders.*", "other|nothing", ".*", "("]
        done = java.KAFKA.run("PatternProbe", broker.bootstrap, "uniform", *patterns)
        answers = dict(zip(patterns, done.stdout.splitlines(), strict=True))
    assert answers["orders.*"] == "orders-0 orders-1 orders-eu-0"
    assert answers["other|nothing"] == "other-0"
    internal = "__consumer_offsets-0 __consumer_offsets-1"
    assert answers[".*"] == f"{internal} orders-0 orders-1 orders-eu-0 other-0"
    assert answers["("].startswith("refused InvalidRegularExpression ")
    assert "The topic pattern `(` is not valid: missing ): (." in answers["("]
