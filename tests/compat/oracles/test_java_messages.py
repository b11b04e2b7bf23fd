"""Kafka's own message classes read what we write and say the same again, in every version served.

They leave out a tagged struct whose fields all have their defaults, where we write what was set; so the contents are
compared, and that our form of Kafka's bytes is Kafka's. The newest kafka-clients is asked: it is the only codec that
knows ApiVersions 5. All cases of all messages go through one JVM.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from protocol.codec import decode, encode_bytes
from protocol.messages.message import Message
from tests.compat.oracles.adapters import to_plain
from tests.compat.oracles.test_codec_oracles import SERVED, name
from tests.support import java
from tests.support.messages import any_scalar, messages

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

EXAMPLES = 6


def examples(cls: type[Message], version: int) -> list[bytes]:
    bodies: list[bytes] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    @given(message=messages(cls, version, any_scalar))
    def collect(message: Message) -> None:
        bodies.append(encode_bytes(message, version))

    collect()
    return bodies


@pytest.fixture(scope="module")
def answers() -> dict[tuple[type[Message], int], list[tuple[str, str]]]:
    """By message and version: (what we wrote, what Kafka made of it), both in hex."""
    asked = {(cls, version): [body.hex() for body in examples(cls, version)] for cls, version in SERVED}
    lines = [
        f"{cls.API_KEY} {'request' if cls.NAME.endswith('Request') else 'response'} {version} {body}"
        for (cls, version), bodies in asked.items()
        for body in bodies
    ]
    output = java.CLIENT_4_4.run("MessageOracle", input_text="\n".join(lines) + "\n").stdout.splitlines()
    assert len(output) == len(lines)
    rewritten = iter(output)
    return {case: [(body, next(rewritten)) for body in bodies] for case, bodies in asked.items()}


@pytest.mark.parametrize(("cls", "version"), SERVED, ids=name)
def test_kafka_says_the_same(
    answers: dict[tuple[type[Message], int], list[tuple[str, str]]],
    cls: type[Message],
    version: int,
    record_property: Callable[[str, object], None],
) -> None:
    for ours, answer in answers[cls, version]:
        assert not answer.startswith("error"), answer
        theirs = bytes.fromhex(answer)
        read = decode(cls, version, theirs)
        assert to_plain(read, version) == to_plain(decode(cls, version, bytes.fromhex(ours)), version)
        assert encode_bytes(read, version) == theirs
    record_property("oracle", ["kafka 4.4", cls.NAME, version])
