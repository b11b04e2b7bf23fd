"""Goal: `pip install` gives a broker that works beside anything. Method: real environments with hostile neighbours.

The wheel and an editable install are made in clean environments that also hold foreign packages called storage and
protocol; the broker starts in a directory full of modules named like ours, and one record goes through it.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.broker import ROOT, LogdBroker, clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("packaging")]


def test_wheel_installs_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"logd"}
    private = {name.split("/")[2] for name in names if name.startswith("logd/_lib/")}
    assert private == {"coordinator", "protocol", "replication", "storage"}
    assert not [name for name in names if "__pycache__" in name or "test" in name.rsplit("/")[-1]]
    licences = [name for name in names if name.endswith(("/LICENSE", "/NOTICE"))]
    assert len(licences) == 2


@pytest.mark.parametrize("start", ["script", "module"])
def test_wheel_serves(installed: Path, hostile_directory: Path, tmp_path: Path, start: str) -> None:
    with LogdBroker(
        tmp_path / "broker", command=_command(installed, start), working_directory=hostile_directory
    ) as broker:
        _one_record_through(broker.bootstrap)
        assert broker.stop() == 0


@pytest.mark.parametrize("start", ["script", "module"])
def test_editable_install_serves(editable: Path, hostile_directory: Path, tmp_path: Path, start: str) -> None:
    with LogdBroker(
        tmp_path / "broker", command=_command(editable, start), working_directory=hostile_directory
    ) as broker:
        _one_record_through(broker.bootstrap)


def test_checkout_serves(hostile_directory: Path, tmp_path: Path) -> None:
    """Without any install, from its own root, with foreign modules first on PYTHONPATH."""
    command = ["/usr/bin/env", f"PYTHONPATH={hostile_directory}", sys.executable, "-m", "logd"]
    # selectors and crc32c on PYTHONPATH would break any Python program: only our own names are in question here.
    (hostile_directory / "selectors.py").unlink()
    (hostile_directory / "crc32c.py").unlink()
    with LogdBroker(tmp_path / "broker", command=command, working_directory=ROOT) as broker:
        _one_record_through(broker.bootstrap)


def test_import_changes_nothing(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; before = list(sys.path); import logd, logd.__main__; import storage;"
        "assert sys.path == before; assert storage.FOREIGN; print(logd.__version__)"
    )
    done = subprocess.run(
        [str(installed / "python"), "-c", code],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def _command(binaries: Path, start: str) -> list[str]:
    return [str(binaries / "logd")] if start == "script" else [str(binaries / "python"), "-m", "logd"]


def _one_record_through(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce("packaged", b"one record", partition=0)
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition("packaged", 0, 0)])
        message = consumer.poll(20)
        assert message is not None and message.error() is None
        assert (message.value(), message.offset()) == (b"one record", 0)
    finally:
        consumer.close()
