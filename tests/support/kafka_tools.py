"""Kafka's own command line tools, called by the names of their scripts.

What it is: the table of tools (what bin/kafka-*.sh start) and a JVM that runs one after the other, as a user would
call them. The classes come from the pinned jars, unchanged; tests/compat/java/src/ToolRunner.java says how several
share a JVM. Tools that end their process themselves get one of their own.

What it is not: the scripts. Those only look for Java and a class path.
"""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

from tests.support import java

_TIMEOUT_S = 60


class Tool(NamedTuple):
    main: str
    bootstrap: str | None = "--bootstrap-server"
    """The option that names the broker; None for tools that read files."""
    own_process: bool = False
    command_first: bool = False
    """A word comes before the options, `kafka-cluster cluster-id --bootstrap-server …`."""


TOOLS = {
    "kafka-acls": Tool("org.apache.kafka.tools.AclCommand"),
    "kafka-broker-api-versions": Tool("org.apache.kafka.tools.BrokerApiVersionsCommand"),
    "kafka-cluster": Tool("org.apache.kafka.tools.ClusterTool", command_first=True),
    "kafka-configs": Tool("kafka.admin.ConfigCommand"),
    "kafka-console-consumer": Tool("org.apache.kafka.tools.consumer.ConsoleConsumer"),
    "kafka-console-producer": Tool("org.apache.kafka.tools.ConsoleProducer"),
    "kafka-consumer-perf-test": Tool("org.apache.kafka.tools.ConsumerPerformance"),
    "kafka-delete-records": Tool("org.apache.kafka.tools.DeleteRecordsCommand"),
    "kafka-dump-log": Tool("org.apache.kafka.tools.DumpLogSegments", bootstrap=None),
    "kafka-features": Tool("org.apache.kafka.tools.FeatureCommand"),
    "kafka-get-offsets": Tool("org.apache.kafka.tools.GetOffsetShell"),
    "kafka-leader-election": Tool("org.apache.kafka.tools.LeaderElectionCommand"),
    "kafka-log-dirs": Tool("org.apache.kafka.tools.LogDirsCommand"),
    "kafka-metadata-quorum": Tool("org.apache.kafka.tools.MetadataQuorumCommand"),
    "kafka-producer-perf-test": Tool("org.apache.kafka.tools.ProducerPerformance"),
    "kafka-reassign-partitions": Tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    "kafka-topics": Tool("org.apache.kafka.tools.TopicCommand"),
    "kafka-transactions": Tool("org.apache.kafka.tools.TransactionsCommand"),
    "kafka-verifiable-consumer": Tool("org.apache.kafka.tools.VerifiableConsumer", own_process=True),
    "kafka-verifiable-producer": Tool("org.apache.kafka.tools.VerifiableProducer", own_process=True),
}


class Ran(NamedTuple):
    """What a tool did. `exit` is the code that its process would have ended with."""

    exit: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


class KafkaTools:
    """Runs tools against one broker; close it to end its JVM."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, name: str, *arguments: str, input_text: str = "", exit_code: int = 0) -> Ran:
        """Run to the end. Raises AssertionError with what it wrote when it does not end with `exit_code`."""
        ran = self.try_out(name, *arguments, input_text=input_text)
        assert ran.exit == exit_code, f"{name} ended with {ran.exit}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def try_out(self, name: str, *arguments: str, input_text: str = "") -> Ran:
        """Run to the end, whatever the end is."""
        tool = TOOLS[name]
        if tool.bootstrap is not None:
            broker = (tool.bootstrap, self._bootstrap)
            first = 1 if tool.command_first else 0
            arguments = (*arguments[:first], *broker, *arguments[first:])
        if tool.own_process:
            done = java.KAFKA.run(
                tool.main, *arguments, input_text=input_text, timeout=_TIMEOUT_S, check=False
            )
            return Ran(done.returncode, done.stdout, done.stderr)
        return self._run_here(tool.main, arguments, input_text)

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(10)
            self._process.stdout.close()

    def _run_here(self, main: str, arguments: tuple[str, ...], input_text: str) -> Ran:
        if self._process is None:
            self._process = java.KAFKA.start("ToolRunner")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        command = {"main": main, "arguments": arguments, "input": input_text, "timeout_ms": _TIMEOUT_S * 1000}
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the JVM ended with {self._process.wait(10)}")
        answer = json.loads(line)
        if answer["exit"] is None:
            self._process.wait(10)
            self._process = None
            raise TimeoutError(
                f"{main} {arguments} took more than {_TIMEOUT_S} s\n{answer['stdout']}\n{answer['stderr']}"
            )
        return Ran(answer["exit"], answer["stdout"], answer["stderr"])
