"""Run Java programs against pinned Apache Kafka jars.

What it is: finds java, javac and mvn, resolves the class path of a pom under tests/compat/java once, compiles
the small programs in tests/compat/java/src against it and runs them. Everything made lies in
tests/compat/java/target, is rebuilt when a pom or source is newer, and costs nothing when already there.
A lock file lets several test processes share it.

tests/support/prepare.py fetches and compiles everything before the tests, so that none waits for a download.

What it is not: a build of the project. Nothing that ships is Java.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support import toolchain

HOME = Path(__file__).resolve().parents[1] / "compat" / "java"
TARGET = HOME / "target"

QUIET = f"-Dlog4j2.configurationFile={HOME / 'conf' / 'log4j2-tools.properties'}"
# A tool that runs for a second gains nothing from the optimising compiler or a parallel collector.
SHORT_LIVED = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class Kit:
    """One class path (a pom) and the programs compiled against it."""

    def __init__(self, name: str, pom: Path, sources: Sequence[str]) -> None:
        self.name = name
        self._pom = pom
        self._sources = [HOME / "src" / source for source in sources]
        self._directory = TARGET / name
        self._listing = self._directory / "classpath.txt"

    def class_path(self) -> str:
        """The class path, resolved and compiled first where that is still to do."""
        with toolchain.locked(TARGET / f"{self.name}.lock"):
            jars = self._resolve()
            classes = self._compile(jars)
        return f"{classes}{os.pathsep}{jars}"

    def is_resolved(self) -> bool:
        """Are the jars here already?"""
        return toolchain.is_newer(self._listing, [self._pom]) and _all_exist(self._listing)

    def _resolve(self) -> str:
        listing = self._listing
        if not self.is_resolved():
            listing.parent.mkdir(parents=True, exist_ok=True)
            toolchain.run_checked(
                [
                    "mvn",
                    "-q",
                    "-B",
                    "-f",
                    str(self._pom),
                    "dependency:build-classpath",
                    f"-Dmdep.outputFile={listing}",
                ],
                timeout=900,
            )
            os.utime(listing)
        return listing.read_text().strip()

    def _compile(self, jars: str) -> Path:
        classes = self._directory / "classes"
        stamp = self._directory / "compiled"
        if not toolchain.is_newer(stamp, [self._pom, *self._sources]):
            classes.mkdir(parents=True, exist_ok=True)
            if self._sources:
                sources = [str(source) for source in self._sources]
                toolchain.run_checked(
                    ["javac", "-nowarn", "--release", "17", "-cp", jars, "-d", str(classes), *sources],
                    timeout=300,
                )
            stamp.touch()
        return classes

    def command(self, main_class: str, *args: str, jvm: Sequence[str] = SHORT_LIVED) -> list[str]:
        """The argument vector that runs `main_class`."""
        return ["java", QUIET, *jvm, "-cp", self.class_path(), main_class, *args]

    def run(
        self,
        main_class: str,
        *args: str,
        jvm: Sequence[str] = SHORT_LIVED,
        input_text: str | None = None,
        timeout: float = 120,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. With `check`, a non-zero exit raises RuntimeError with the program's output."""
        command = self.command(main_class, *args, jvm=jvm)
        done = subprocess.run(
            command, input=input_text, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{main_class} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(
        self,
        main_class: str,
        *args: str,
        jvm: Sequence[str] = SHORT_LIVED,
        stdin: int | IO[str] | None = subprocess.PIPE,
        stdout: int | IO[str] | None = subprocess.PIPE,
        stderr: int | IO[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start and return the process; the caller ends it."""
        command = self.command(main_class, *args, jvm=jvm)
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, text=True, env=env)


PROBE = ["ClientProbe.java", "AdminCalls.java", "TransactionCalls.java"]
ORACLES = ["AssignorOracle.java", "RegexOracle.java"]
OTHERS = ["ConsumerGroupMember.java", "DumpCheck.java", "PatternProbe.java", "ToolRunner.java"]

KAFKA = Kit("kafka-4.3.1", HOME / "pom.xml", [*PROBE, *ORACLES, *OTHERS])
CLIENT_4_4 = Kit("client-4.4.0", HOME / "client-4.4" / "pom.xml", [*PROBE, "MessageOracle.java"])
CLIENT_3_9 = Kit("client-3.9.1", HOME / "client-3.9" / "pom.xml", PROBE)


def missing_tools() -> str | None:
    """Why Java tests cannot run here, or None when they can."""
    return toolchain.missing_tools("java", "javac", "mvn")


def prepare() -> None:
    """Fetch and compile for all kits. Says what it does only where that takes a while."""
    missing = missing_tools()
    if missing:
        print(f"tests with Java clients will be skipped: {missing}")
        return
    for kit in (KAFKA, CLIENT_4_4, CLIENT_3_9):
        if not kit.is_resolved():
            print(f"fetching {kit.name} from Maven's repository", flush=True)
        try:
            kit.class_path()
        except RuntimeError as failure:  # the tests that need it will fail by themselves, the others can run
            print(failure, file=sys.stderr)


def _all_exist(listing: Path) -> bool:
    """The local Maven repository may have been emptied since the class path was resolved."""
    return all(Path(jar).exists() for jar in listing.read_text().strip().split(os.pathsep))
