"""The Java clients behind the port: one JVM runs ClientProbe for as long as this object lives.

The line protocol is described in tests/compat/java/src/ClientProbe.java.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import quote, unquote_plus

from tests.support.clients.java_admin import JavaAdmin, offered_by
from tests.support.clients.port import (
    EARLIEST,
    Acks,
    ClientError,
    ClusterView,
    Codec,
    Headers,
    Isolation,
    Message,
    Received,
    Reset,
    Start,
    TopicView,
)
from tests.support.java import Kit
from tests.support.patience import PATIENCE_S

_ERRORS = {  # the consumer's own, which have no number on the wire
    "OffsetOutOfRangeException": "OFFSET_OUT_OF_RANGE",
    "NoOffsetForPartitionException": "OFFSET_OUT_OF_RANGE",
}


class JavaClient(JavaAdmin):
    def __init__(self, bootstrap: str, kit: Kit) -> None:
        self.name = f"java-{kit.name}"
        self.offers = offered_by(kit)
        self._bootstrap = bootstrap
        self._process = kit.start("ClientProbe", stderr=subprocess.STDOUT)

    def produce(
        self,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        acks: Acks = "all",
        codec: Codec = "none",
        idempotent: bool = False,
        max_request_size: int | None = None,
    ) -> list[int]:
        settings = {
            "config.acks": acks,
            "config.compression.type": codec,
            "config.enable.idempotence": str(idempotent).lower(),
            "config.linger.ms": "20",
        }
        if max_request_size is not None:
            settings["config.max.request.size"] = str(max_request_size)
        items = [_item(message) for message in messages]
        answers = self._call("produce", {"topic": topic, "partition": partition, **settings}, items)
        return [int(answer["offset"]) for answer in answers]

    def consume(
        self,
        topic: str,
        count: int,
        *,
        start: Start = EARLIEST,
        partitions: Sequence[int] = (0,),
        isolation: Isolation = "read_uncommitted",
        reset: Reset = "none",
        timeout_s: float = PATIENCE_S,
    ) -> list[Received]:
        arguments = {
            "topic": topic,
            "partitions": ",".join(map(str, partitions)),
            "count": count,
            "timeout_ms": int(timeout_s * 1000),
            "from": start.at.value,
            "offset": start.argument,
            "timestamp": start.argument,
            "config.isolation.level": isolation,
            "config.auto.offset.reset": reset,
        }
        return [_received(answer) for answer in self._call("consume", arguments)]

    def offset_range(self, topic: str, partition: int = 0) -> tuple[int, int]:
        (found,) = self._call("offsets", {"topic": topic, "partition": partition})
        return int(found["beginning"]), int(found["end"])

    def offset_for_time(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        arguments = {"topic": topic, "partition": partition, "timestamp": timestamp_ms}
        _, found = self._call("offsets", arguments)
        return None if found["offset"] == "-1" else int(found["offset"])

    def create_topic(self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        settings = {f"topic.{name}": value for name, value in (configs or {}).items()}
        self._call("create", {"topic": topic, "partitions": partitions, **settings})

    def delete_topic(self, topic: str) -> None:
        self._call("delete", {"topic": topic})

    def list_topics(self) -> set[str]:
        return {found["name"] for found in self._call("list", {})}

    def describe_topic(self, topic: str) -> TopicView:
        _, *partitions = self._call("describe", {"topic": topic})
        return TopicView(
            tuple(int(each["index"]) for each in partitions),
            tuple(int(each["leader"]) for each in partitions),
        )

    def describe_cluster(self) -> ClusterView:
        cluster, *nodes = self._call("cluster", {})
        return ClusterView(
            cluster["id"], tuple((int(node["id"]), node["host"], int(node["port"])) for node in nodes)
        )

    def transactional(self, transactional_id: str, **settings: str) -> JavaTransactions:
        """A transactional producer in this JVM; dots of property names are underscores."""
        return JavaTransactions(self._call, transactional_id, settings)

    def close(self) -> None:
        """End the JVM: it stops at the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _call(
        self, command: str, arguments: Mapping[str, Any], items: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        fields = {"bootstrap": self._bootstrap, "items": len(items), **arguments}
        words = [command, *(f"{name}={quote(str(value))}" for name, value in fields.items())]
        self._process.stdin.write("\n".join([" ".join(words), *items]) + "\n")
        self._process.stdin.flush()
        answers: list[dict[str, str]] = []
        noise = []
        for line in self._process.stdout:
            kind, *rest = line.split()
            if kind == "ok":
                return answers
            if kind == "error":
                raise ClientError(_ERRORS.get(rest[0], rest[0]), unquote_plus(rest[1]))
            if all("=" in word for word in rest):
                answers.append(dict(_field(word) for word in rest))
            else:
                noise.append(line)
        raise RuntimeError(f"the JVM ended with {self._process.wait(10)}: {''.join(noise)}")


class JavaTransactions:
    """A `tests.support.clients.transactional.Transactional`."""

    _made = count()

    def __init__(
        self,
        call: Callable[[str, Mapping[str, Any]], object],
        transactional_id: str,
        settings: Mapping[str, str],
    ) -> None:
        self._call_probe = call
        self._name = f"producer-{next(self._made)}"
        given = {f"config.{name.replace('_', '.')}": value for name, value in settings.items()}
        self._call("open", **{"config.transactional.id": transactional_id, "config.linger.ms": "0", **given})

    def init(self) -> None:
        self._call("init")

    def begin(self) -> None:
        self._call("begin")

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        self._call("send", topic=topic, partition=partition, values=",".join(each.hex() for each in values))

    def send_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        self._call("offsets", group=group, topic=topic, partition=partition, offset=offset)

    def commit(self) -> None:
        self._call("commit")

    def abort(self) -> None:
        self._call("abort")

    def close(self) -> None:
        self._call("close")

    def _call(self, what: str, **arguments: Any) -> None:
        self._call_probe(f"txn-{what}", {"producer": self._name, **arguments})


def _item(message: Message) -> str:
    headers = ",".join(f"{quote(name)}:{_hex(value)}" for name, value in message.headers)
    return f"record key={_hex(message.key)} value={_hex(message.value)} timestamp={message.timestamp_ms}" + (
        f" headers={headers}" if headers else ""
    )


def _received(answer: Mapping[str, str]) -> Received:
    message = Message(
        _bytes(answer["key"]), _bytes(answer["value"]), int(answer["timestamp"]), _headers(answer)
    )
    return Received(int(answer["partition"]), int(answer["offset"]), message)


def _headers(answer: Mapping[str, str]) -> Headers:
    if "headers" not in answer:
        return ()
    pairs = (each.split(":", 1) for each in answer["headers"].split(","))
    return tuple((unquote_plus(name), _bytes(value)) for name, value in pairs)


def _field(word: str) -> tuple[str, str]:
    name, value = word.split("=", 1)
    return name, value if name == "headers" else unquote_plus(value)


def _hex(value: bytes | None) -> str:
    return "-" if value is None else value.hex()


def _bytes(text: str) -> bytes | None:
    return None if text == "-" else bytes.fromhex(text)
