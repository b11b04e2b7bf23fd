"""Clients of other languages behind the port: programs that answer calls, a line of JSON in and one out.

The programs are tests/compat/go (main.go describes the protocol) and tests/compat/node. One process answers one call
at a time; a call that comes meanwhile gets another process.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from protocol.errors import ErrorCode
from tests.support import go, nodejs
from tests.support.clients.admin_port import (
    Admin,
    DirSize,
    Offer,
    OffsetAt,
    ProducerView,
    Resource,
    Setting,
    Source,
)
from tests.support.clients.port import (
    EARLIEST,
    Acks,
    ClientError,
    ClusterView,
    Codec,
    Isolation,
    Message,
    Received,
    Reset,
    Start,
    TopicView,
)
from tests.support.patience import PATIENCE_S


class ProbeClient(Admin):
    """Every call of both ports; subclasses say who answers and what is offered."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._idle: list[subprocess.Popen[str]] = []

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
        sent = self._call(
            "produce",
            topic=topic,
            partition=partition,
            messages=[_item(message) for message in messages],
            acks=acks,
            codec=codec,
            idempotent=idempotent,
            max_request_size=max_request_size or 0,
        )
        return [int(offset) for offset in sent]

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
        found = self._call(
            "consume",
            topic=topic,
            partitions=list(partitions),
            count=count,
            at=start.at.value,
            argument=start.argument,
            isolation=isolation,
            reset=reset,
            timeout_ms=int(timeout_s * 1000),
        )
        return [_received(each) for each in found]

    def offset_range(self, topic: str, partition: int = 0) -> tuple[int, int]:
        first, last = self._call("offset_range", topic=topic, partition=partition)
        return first, last

    def offset_for_time(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        found = self._call("offset_for_time", topic=topic, partition=partition, argument=timestamp_ms)
        return None if found is None else int(found)

    def create_topic(self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        self._call("create_topic", topic=topic, count=partitions, configs=dict(configs or {}))

    def delete_topic(self, topic: str) -> None:
        self._call("delete_topic", topic=topic)

    def list_topics(self) -> set[str]:
        return set(self._call("list_topics"))

    def describe_topic(self, topic: str) -> TopicView:
        found = sorted(self._call("describe_topic", topic=topic), key=lambda each: int(each["partition"]))
        return TopicView(tuple(each["partition"] for each in found), tuple(each["leader"] for each in found))

    def describe_cluster(self) -> ClusterView:
        found = self._call("describe_cluster")
        nodes = tuple((node["id"], node["host"], node["port"]) for node in found["nodes"])
        return ClusterView(found["cluster_id"], nodes)

    def describe_configs(self, resource: Resource) -> dict[str, Setting]:
        found = self._call("describe_configs", kind=resource.kind, name=resource.name)
        return {
            name: Setting(each["value"], Source(each["source"]), each["read_only"])
            for name, each in found.items()
        }

    def change_configs(
        self, resource: Resource, values: Mapping[str, str], deleted: Sequence[str] = ()
    ) -> None:
        changes = {"configs": dict(values), "deleted": list(deleted)}
        self._call("change_configs", kind=resource.kind, name=resource.name, **changes)

    def alter_configs(self, resource: Resource, values: Mapping[str, str]) -> None:
        self._call("alter_configs", kind=resource.kind, name=resource.name, configs=dict(values))

    def create_partitions(self, topic: str, total: int) -> None:
        self._call("create_partitions", topic=topic, count=total)

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int | None:
        low = self._call("delete_records", topic=topic, partition=partition, before=before)
        return None if low is None else int(low)

    def list_offsets(self, topic: str, at: OffsetAt, timestamp_ms: int = 0) -> int | None:
        if at == "timestamp":
            return self.offset_for_time(topic, timestamp_ms)
        return int(self._call("list_offsets", topic=topic, partition=0, at=at))

    def describe_log_dirs(self) -> list[DirSize]:
        return [
            DirSize(each["dir"], each["topic"], each["partition"], each["size"])
            for each in self._call("describe_log_dirs")
        ]

    def describe_producers(self, topic: str, partition: int = 0) -> list[ProducerView]:
        found = self._call("describe_producers", topic=topic, partitions=[partition])
        return [ProducerView(each["id"], each["epoch"], each["last_sequence"]) for each in found]

    def elect_leaders(self, topic: str, partitions: Sequence[int]) -> dict[int, str]:
        found = self._call("elect_leaders", topic=topic, partitions=list(partitions))
        return {each["partition"]: ErrorCode(each["code"]).name for each in found}

    def list_reassignments(self, topic: str) -> int:
        return int(self._call("list_reassignments", topic=topic))

    def cancel_reassignment(self, topic: str, partition: int = 0) -> None:
        self._call("cancel_reassignment", topic=topic, partition=partition)

    def describe_acls(self) -> int:
        return int(self._call("describe_acls"))

    def describe_quotas(self) -> int:
        return int(self._call("describe_quotas"))

    def describe_scram(self) -> int:
        return int(self._call("describe_scram"))

    def transactional(self, transactional_id: str, **settings: str) -> ProbeTransactions:
        """A transactional producer; of settings, `transaction_timeout_ms` is known."""
        timeout_ms = int(settings.get("transaction_timeout_ms", "0"))
        return ProbeTransactions(type(self)(self._bootstrap), transactional_id, timeout_ms)

    def close(self) -> None:
        """End the processes: they stop at the end of their input."""
        for process in self._idle:
            process.communicate(timeout=30)

    def kill(self) -> None:
        """End the processes whatever they are doing."""
        for process in self._idle:
            process.kill()
            process.communicate()

    def call(self, call: str, **arguments: Any) -> Any:
        """One call of the program's protocol. Raises ClientError."""
        return self._call(call, **arguments)

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _call(self, call: str, **arguments: Any) -> Any:
        asked = {"client": self.name, "call": call, "bootstrap": self._bootstrap, **arguments}
        answer = self._ask(json.dumps(asked))
        if "error" in answer:
            code = answer["error"]["code"]
            name = "CLIENT_ERROR" if code is None else ErrorCode(code).name
            raise ClientError(name, answer["error"]["detail"])
        return answer["result"]

    def _ask(self, line: str) -> Any:
        process = self._idle.pop() if self._idle else self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended with {process.wait(10)}")
        self._idle.append(process)
        return json.loads(answer)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )


class _GoClient(ProbeClient):
    def _command(self) -> Sequence[str]:
        return [str(go.program())]


class FranzGoClient(_GoClient):
    name = "franz-go"
    offers = frozenset(Offer) - {
        Offer.DESCRIBE_QUORUM,
        Offer.DESCRIBE_TOPIC_PARTITIONS,
        Offer.LIST_CONFIG_RESOURCES,
    }


class SaramaClient(_GoClient):
    name = "sarama"
    offers = frozenset(Offer) - {
        Offer.LIST_OFFSETS,  # by its Client, as every scenario of offsets here
        Offer.LIST_MAX_TIMESTAMP,
        Offer.DESCRIBE_PRODUCERS,
        Offer.DESCRIBE_QUORUM,
        Offer.DESCRIBE_TOPIC_PARTITIONS,
        Offer.LIST_CONFIG_RESOURCES,
    }


class SaramaDefaultClient(SaramaClient):
    """With `Config.Version` as it is when a program does not set it."""

    name = "sarama-default"


class KafkaJsClient(ProbeClient):
    name = "kafkajs"
    offers = frozenset(
        {
            Offer.DESCRIBE_CONFIGS,
            Offer.ALTER_CONFIGS,
            Offer.CREATE_PARTITIONS,
            Offer.DELETE_RECORDS,
            Offer.LIST_OFFSETS,
            Offer.LIST_REASSIGNMENTS,
            Offer.DESCRIBE_ACLS,
        }
    )

    def _command(self) -> Sequence[str]:
        return nodejs.command()


def _item(message: Message) -> dict[str, Any]:
    headers = [{"name": name, "value": _text(value)} for name, value in message.headers]
    return {
        "key": _text(message.key),
        "value": _text(message.value),
        "timestamp_ms": message.timestamp_ms,
        "headers": headers,
    }


def _received(each: Mapping[str, Any]) -> Received:
    message = each["message"]
    headers = tuple((header["name"], _bytes(header["value"])) for header in message["headers"])
    return Received(
        each["partition"],
        each["offset"],
        Message(_bytes(message["key"]), _bytes(message["value"]), message["timestamp_ms"], headers),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


class ProbeTransactions:
    """A `tests.support.clients.transactional.Transactional` in a process of its own: it has one producer."""

    def __init__(self, probe: ProbeClient, transactional_id: str, timeout_ms: int) -> None:
        self._probe = probe
        self._open = {"name": transactional_id, "timeout_ms": timeout_ms}

    def init(self) -> None:
        self._probe.call("txn_open", **self._open)

    def begin(self) -> None:
        self._probe.call("txn_begin")

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        messages = [_item(Message(None, value, time.time_ns() // 1_000_000)) for value in values]
        self._probe.call("txn_send", topic=topic, partition=partition, messages=messages)

    def send_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        self._probe.call("txn_offset", name=group, topic=topic, partition=partition, argument=offset)

    def commit(self) -> None:
        self._probe.call("txn_commit")

    def abort(self) -> None:
        self._probe.call("txn_abort")

    def close(self) -> None:
        self._probe.kill()
