"""Goal: the modules that hatch_build.py compiles do what their sources do, and are what an installed broker uses.

Method: the wheel is built; the tests of those modules run once more on a copy of the checkout into which the compiled
ones were put; a broker from the wheel compacts a topic, which its worker does with them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.broker import ROOT, LogdBroker
from tests.support.patience import PATIENCE_S
from tests.support.wheel import build_wheel, missing_compiler, unpacked_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.compiler,
    pytest.mark.skipif(missing_compiler() is not None, reason=str(missing_compiler())),
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("packaging"),
]

MODULES = (
    "protocol.record_keys",
    "protocol.record_walk",
    "storage.batch_scan",
    "storage.cleaning.batch_retention",
    "storage.cleaning.cleaned_segment",
    "storage.cleaning.cleaner",
    "storage.cleaning.marking",
    "storage.cleaning.source",
    "storage.cleaning.transactions",
    "storage.offset_map",
)
TESTS = (
    "tests/unit/protocol/test_record_keys.py",
    "tests/unit/protocol/test_record_validation.py",
    "tests/unit/storage/test_offset_map.py",
    "tests/unit/storage/test_batch_scan.py",
    "tests/unit/storage/test_cleaning_readers.py",
    "tests/unit/storage/test_cleaning_retention.py",
    "tests/unit/storage/test_cleaning_syncs.py",
    "tests/unit/storage/test_read_ahead.py",
    "tests/property/protocol/test_records.py",
    "tests/simulation/compaction/test_crash.py",
)


@pytest.fixture(scope="module")
def compiled_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("compiled-wheel"), compiled=True)


@pytest.fixture(scope="module")
def compiled_checkout(compiled_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and tests, with compiled modules beside their sources."""
    directory = tmp_path_factory.mktemp("compiled-checkout")
    for package in ("protocol", "storage", "coordinator", "replication", "logd", "bench", "tests"):
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    with zipfile.ZipFile(compiled_wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                (directory / name.removeprefix("logd/_lib/")).write_bytes(archive.read(name))
    return directory


def test_the_wheel_is_for_this_platform_and_has_the_sources_too(compiled_wheel: Path) -> None:
    assert not compiled_wheel.name.endswith("-any.whl")
    names = zipfile.ZipFile(compiled_wheel).namelist()
    for module in MODULES:
        stem = f"logd/_lib/{module.replace('.', '/')}"
        assert f"{stem}.py" in names
        assert [name for name in names if name.startswith(f"{stem}.") and name.endswith(".so")]


def test_compiled_modules_pass_the_tests_of_their_sources(compiled_checkout: Path) -> None:
    lines = "\n".join(f"import {module}; print({module}.__file__)" for module in MODULES)
    loaded = _python(compiled_checkout, "-c", lines).split()
    assert [Path(file).suffix for file in loaded] == [".so"] * len(MODULES)
    assert all(Path(file).is_relative_to(compiled_checkout) for file in loaded)
    out = _python(compiled_checkout, "-m", "pytest", "-q", "-p", "no:xdist", *TESTS)
    assert " passed" in out and "skipped" not in out


def test_a_broker_from_the_wheel_compacts(compiled_wheel: Path, tmp_path: Path) -> None:
    command = unpacked_command(compiled_wheel, tmp_path / "unpacked")
    private = tmp_path / "unpacked" / "logd" / "_lib"
    for module in MODULES:  # where the compiled one is found first, nobody reads this
        (private / f"{module.replace('.', '/')}.py").write_text("not Python")
    with LogdBroker(tmp_path / "broker", command=command) as broker:
        settings = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "1"}
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("table", 1, 1, config=settings)])["table"].result(PATIENCE_S)
        _produce(broker.bootstrap)
        done = _compact(command, broker.bootstrap)
        assert done.returncode == 0, done.stderr
        assert len(_offsets(broker.bootstrap)) < 1_500
        _produce(broker.bootstrap)  # more than the broker's own process, which has loaded them, would clean
        (shared,) = private.glob("*__mypyc*.so")
        shared.unlink()
        done = _compact(command, broker.bootstrap)
        assert done.returncode != 0, "the worker did not use what was taken away"


def _produce(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(3_000):
        producer.produce("table", bytes(1_000), b"key %d" % (number % 10), partition=0)
    assert producer.flush(PATIENCE_S) == 0


def _compact(command: list[str], bootstrap: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, "topic", "compact", "table", "-b", bootstrap],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def _offsets(bootstrap: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition("table", 0, 0)])
        found: list[int] = []
        while not found or found[-1] < 2_999:
            message = consumer.poll(PATIENCE_S)
            assert message is not None and message.error() is None
            found.append(message.offset() or 0)
        return found
    finally:
        consumer.close()


def _python(directory: Path, *arguments: str) -> str:
    """What a process in `directory` wrote; its packages come from there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
