"""What can be taken over is; what cannot is refused in one line, with every file as it was."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from logd.metadata.survey import survey_metadata
from protocol.control_records import ControlType, leader_change
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.messages.records_metadata import (
    AccessControlEntryRecord,
    BeginTransactionRecord,
    ClearElrRecord,
    ClientQuotaRecord,
    ConfigRecord,
    DelegationTokenRecord,
    FeatureLevelRecord,
    PartitionChangeRecord,
    RegisterBrokerRecord,
    RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord,
    RemoveUserScramCredentialRecord,
    UnregisterBrokerRecord,
    UserScramCredentialRecord,
    ZkMigrationStateRecord,
)
from protocol.types import uuid_to_str
from storage.directories.meta_properties import (
    OWNER_LOGD,
    OWNER_TAKING_OVER,
    read_meta_properties,
    write_meta_properties,
)
from storage.fs import FileSystem
from storage.fs.memory import MemoryFileSystem
from tests.support.kafka_like import (
    BATCHES,
    DIRECTORIES,
    KAFKA_FEATURES,
    LOG,
    METADATA,
    PROPERTIES,
    TOPICS,
    append,
    append_control,
    batch,
    copy_of,
    files_of,
    make_kafka_like,
    refusal,
)
from tests.support.node import TIMEOUT_S, Node

QUOTA = [ClientQuotaRecord.EntityData(entity_type="user", entity_name=None)]
ENDS = 2 * BATCHES


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    fs = MemoryFileSystem()
    make_kafka_like(fs)
    return files_of(fs)


@pytest.fixture
def fs(files: dict[str, bytes]) -> MemoryFileSystem:
    return copy_of(files)


KEPT_FEATURES = {"metadata.version": 30, "group.version": 1, "transaction.version": 2}


def owner(fs: FileSystem, directory: str = "/data") -> str:
    properties = read_meta_properties(fs, f"{directory}/meta.properties")
    assert properties is not None
    return properties.owner


def topic_id(fs: FileSystem) -> bytes:
    return survey_metadata(fs, "/data").image.topics["t"].topic_id


def test_it_is_taken_over_once(fs: MemoryFileSystem, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "logd.take_over")
    before = survey_metadata(fs, "/data").image
    assert before.features.keys() == {"metadata.version", *KAFKA_FEATURES}
    assert refusal(fs) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert "topics=2 partitions=4 " in line and " configs=1 " in line
    assert owner(fs) == owner(fs, "/more") == OWNER_LOGD
    after = survey_metadata(fs, "/data").image
    assert after.features == KEPT_FEATURES
    for topic in after.topics.values():
        for index, state in topic.partitions.items():
            former = before.topics[topic.name].partitions[index]
            assert state.leader_id == 1 and state.in_sync_replicas == (1,)
            assert state.leader_epoch == former.leader_epoch + 1
            assert not state.eligible_leader_replicas and not state.last_known_leaders
    assert not [path for path in files_of(fs) if path.endswith(".deleted")]
    assert refusal(fs) is None
    assert len(caplog.records) == 1
    again = survey_metadata(fs, "/data").image
    assert {name: topic.partitions for name, topic in again.topics.items()} == {
        name: topic.partitions for name, topic in after.topics.items()
    }


def test_records_and_producers_go_on(fs: MemoryFileSystem) -> None:
    async def scenario() -> None:
        node = Node(fs, *PROPERTIES)
        async with asyncio.timeout(TIMEOUT_S):
            await node.start()
            client = await node.client()
            for topic, partitions in TOPICS.items():
                for index in range(partitions):
                    assert await client.list_offset(topic, index) == ENDS
                    again = await client.produce(topic, index, batch(BATCHES - 1))
                    assert again is not None and again.base_offset == ENDS - 2
                    assert await client.list_offset(topic, index) == ENDS
                    following = await client.produce(topic, index, batch(BATCHES))
                    assert following is not None and following.base_offset == ENDS
                    with pytest.raises(BrokerError) as gap:
                        await client.produce(topic, index, batch(BATCHES + 3))
                    assert gap.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
            await node.stop()

    asyncio.run(scenario())


def test_settings_of_groups_go_on(fs: MemoryFileSystem) -> None:
    setting = {"consumer.session.timeout.ms": "50000"}
    append(
        fs,
        [
            ConfigRecord(resource_type=32, resource_name="g", name=name, value=setting[name])
            for name in setting
        ],
    )
    assert refusal(fs) is None
    assert survey_metadata(fs, "/data").image.configs(32, "g") == setting


def test_a_lower_metadata_version_is_raised(fs: MemoryFileSystem) -> None:
    append(fs, [FeatureLevelRecord(name="metadata.version", feature_level=20)])
    assert refusal(fs) is None
    assert survey_metadata(fs, "/data").image.features == KEPT_FEATURES


@pytest.mark.parametrize("level", [0, 1])
def test_the_version_of_transactions_stays_as_it_is(fs: MemoryFileSystem, level: int) -> None:
    append(fs, [FeatureLevelRecord(name="transaction.version", feature_level=level)])
    assert refusal(fs) is None
    assert survey_metadata(fs, "/data").image.features.get("transaction.version", 0) == level


REMOVED_AGAIN = [
    [AccessControlEntryRecord(id=b"a" * 16), RemoveAccessControlEntryRecord(id=b"a" * 16)],
    [
        ClientQuotaRecord(entity=QUOTA, key="k", value=1.0),
        ClientQuotaRecord(entity=QUOTA, key="k", remove=True),
    ],
    [
        UserScramCredentialRecord(name="u", mechanism=1),
        RemoveUserScramCredentialRecord(name="u", mechanism=1),
    ],
    [DelegationTokenRecord(token_id="t"), RemoveDelegationTokenRecord(token_id="t")],
    [
        ConfigRecord(resource_type=16, resource_name="m", name="metrics", value="x"),
        ConfigRecord(resource_type=16, resource_name="m", name="metrics", value=None),
    ],
]


@pytest.mark.parametrize("records", REMOVED_AGAIN, ids=lambda records: type(records[0]).__name__)
def test_what_was_removed_again_does_not_matter(fs: MemoryFileSystem, records: list[Message]) -> None:
    append(fs, records)
    append(
        fs, [ClearElrRecord(topic_name="t"), ClearElrRecord(), ZkMigrationStateRecord(zk_migration_state=0)]
    )
    assert refusal(fs) is None
    assert refusal(fs) is None  # its records are in the log for good


def add(*records: Message) -> Callable[[MemoryFileSystem], None]:
    return lambda fs: append(fs, records)


def change_partition(**fields: object) -> Callable[[MemoryFileSystem], None]:
    return lambda fs: append(
        fs,
        [PartitionChangeRecord(topic_id=topic_id(fs), partition_id=0, **fields)],  # type: ignore[arg-type]
    )


def remove(path: str) -> Callable[[MemoryFileSystem], None]:
    return lambda fs: fs.remove(path)


def rewrite(path: str, content: bytes) -> Callable[[MemoryFileSystem], None]:
    return lambda fs: fs.write_atomic(path, content)


def home_of(fs: MemoryFileSystem, name: str) -> str:
    return next(directory for directory in DIRECTORIES if fs.is_dir(f"{directory}/{name}"))


def put_twice(fs: MemoryFileSystem) -> None:
    for directory in DIRECTORIES:
        fs.mkdir(f"{directory}/t-0")


def lose_partition(fs: MemoryFileSystem) -> None:
    fs.remove_tree(f"{home_of(fs, 't-0')}/t-0")


def age_metadata(fs: MemoryFileSystem) -> None:
    fs.write_atomic(f"{home_of(fs, 't-0')}/t-0/leader-epoch-checkpoint", b"0\n1\n99 0\n")


def write_old_format(fs: MemoryFileSystem) -> None:
    path = f"{home_of(fs, 't-0')}/t-0/{0:020d}.log"
    content = bytearray(fs.read_file(path))
    content[16] = 1
    fs.write_atomic(path, bytes(content))


def tear_metadata(fs: MemoryFileSystem) -> None:
    fs.write_atomic(LOG, fs.read_file(LOG)[:-1])


def begin_transaction(fs: MemoryFileSystem) -> None:
    append(fs, [BeginTransactionRecord()])


UNFIT: dict[str, tuple[Callable[[MemoryFileSystem], None], str]] = {
    "unclean": (remove("/more/.kafka_cleanshutdown"), "/more was not stopped cleanly"),
    "unclean home": (remove("/data/.kafka_cleanshutdown"), "/data was not stopped cleanly"),
    "stopped at another time": (
        rewrite("/more/.kafka_cleanshutdown", b'{"version":0,"brokerEpoch":99}'),
        "is of broker epoch 99",
    ),
    "marker damaged": (rewrite("/more/.kafka_cleanshutdown", b"{"), "malformed"),
    "ZooKeeper": (rewrite("/data/meta.properties", b"version=0\nbroker.id=1\n"), "ZooKeeper"),
    "several voters": (
        lambda fs: append_control(fs, leader_change(1, [1, 2, 3], [1, 2])),
        "nodes 1, 2, 3 vote",
    ),
    "voter elsewhere": (lambda fs: append_control(fs, leader_change(9, [9], [9])), "nodes 9 vote"),
    "other broker": (add(RegisterBrokerRecord(broker_id=2, broker_epoch=50, fenced=False)), "broker 2 is"),
    "no broker": (add(UnregisterBrokerRecord(broker_id=1)), "node 1 is no broker"),
    "replicas elsewhere": (change_partition(replicas=[1, 2]), "partition t-0 has replicas on the nodes 1, 2"),
    "replica of another": (change_partition(replicas=[2]), "partition t-0 has replicas on the nodes 2"),
    "reassignment": (change_partition(adding_replicas=[2]), "partition t-0 has replicas"),
    "unknown feature": (add(FeatureLevelRecord(name="new.version", feature_level=1)), "feature new.version"),
    "feature too high": (add(FeatureLevelRecord(name="group.version", feature_level=2)), "knows up to 1"),
    "metadata too new": (
        add(FeatureLevelRecord(name="metadata.version", feature_level=31)),
        "knows up to 30",
    ),
    "metadata too old": (add(FeatureLevelRecord(name="metadata.version", feature_level=6)), "from 7 on"),
    "ACL": (add(REMOVED_AGAIN[0][0]), "1 ACL, which logd does not have: remove with kafka-acls"),
    "quota": (add(REMOVED_AGAIN[1][0]), "1 client quota"),
    "SCRAM": (add(REMOVED_AGAIN[2][0]), "1 SCRAM credential"),
    "token": (add(REMOVED_AGAIN[3][0]), "1 delegation token"),
    "several": (add(REMOVED_AGAIN[0][0], REMOVED_AGAIN[3][0]), "1 ACL and 1 delegation token"),
    "client metrics": (add(REMOVED_AGAIN[4][0]), "client metrics subscription 'm'"),
    "tiered": (
        add(ConfigRecord(resource_type=2, resource_name="t", name="remote.storage.enable", value="true")),
        "tiered storage",
    ),
    "another directory": (
        add(RegisterBrokerRecord(broker_id=1, broker_epoch=-1, fenced=True, log_dirs=[b"d" * 16])),
        "name all of Kafka's log.dirs",
    ),
    "malformed voters": (
        lambda fs: append_control(fs, (ControlType.LEADER_CHANGE, b"\0")),
        "its metadata is not readable",
    ),
    "torn metadata": (tear_metadata, "its metadata is not readable"),
    "open transaction": (begin_transaction, "ends within a transaction"),
    "partition twice": (put_twice, "partition t-0 is in /data and in /more"),
    "partition gone": (lose_partition, "partition t-0 had records up to offset"),
    "metadata older": (age_metadata, "written in leader epoch 99"),
    "old format": (write_old_format, "records in format v1"),
    "on the move": (lambda fs: fs.mkdir(f"/more/t-0.{'0' * 32}-future"), "t-0 is being moved"),
    "checkpoint damaged": (rewrite("/more/recovery-point-offset-checkpoint", b"x"), "is malformed"),
}


@pytest.mark.parametrize("flaw", UNFIT)
def test_what_is_unfit_is_refused_and_untouched(fs: MemoryFileSystem, flaw: str) -> None:
    spoil, expected = UNFIT[flaw]
    spoil(fs)
    if flaw == "another directory":  # the registration is a new one
        for directory in DIRECTORIES:
            fs.write_atomic(f"{directory}/.kafka_cleanshutdown", b'{"version":0,"brokerEpoch":-1}')
    before = files_of(fs)
    reason = refusal(fs)
    assert reason is not None and expected in reason
    assert "\n" not in reason
    assert files_of(fs) == before
    assert owner_or_none(fs) != OWNER_TAKING_OVER


def owner_or_none(fs: FileSystem) -> str | None:
    return None if b"version=0" in fs.read_file("/data/meta.properties") else owner(fs)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (("log.dirs=/data",), "name all of Kafka's log.dirs"),
        (("log.dirs=/more",), "no metadata log in /more"),
        ((*PROPERTIES, "node.id=2"), "belongs to node 1"),
        ((*PROPERTIES, "cluster.id=other"), "to cluster other"),
        ((*PROPERTIES, "metadata.log.dir=/more"), "no metadata log in /more"),
    ],
)
def test_directories_that_do_not_fit_the_configuration(
    fs: MemoryFileSystem, properties: tuple[str, ...], expected: str
) -> None:
    before = files_of(fs)
    reason = refusal(fs, *properties)
    assert reason is not None and expected in reason
    assert files_of(fs) == before


def test_the_order_of_directories_does_not_matter(fs: MemoryFileSystem) -> None:
    assert refusal(fs, f"log.dirs={','.join(reversed(DIRECTORIES))}") is None
    assert not fs.is_dir("/more/__cluster_metadata-0")


def test_a_metadata_log_in_a_directory_of_its_own(files: dict[str, bytes]) -> None:
    own = {path.replace(METADATA, "/meta/__cluster_metadata-0"): content for path, content in files.items()}
    own["/meta/meta.properties"] = files["/data/meta.properties"]
    fs = copy_of(own)
    found = read_meta_properties(fs, "/meta/meta.properties")
    assert found is not None
    write_meta_properties(fs, "/meta/meta.properties", replace(found, directory_id=uuid_to_str(b"m" * 16)))
    properties = (*PROPERTIES, "metadata.log.dir=/meta")
    assert refusal(fs, *properties) is None
    identity = read_meta_properties(fs, "/meta/meta.properties")
    assert identity is not None and identity.owner == OWNER_LOGD
    assert not fs.is_dir(METADATA)
    assert refusal(fs, *properties) is None


def test_two_metadata_logs(fs: MemoryFileSystem) -> None:
    fs.mkdir("/more/__cluster_metadata-0")
    assert "both hold a metadata log" in (refusal(fs) or "")


def test_a_directory_that_was_formatted_and_never_used(
    files: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "logd.take_over")
    formatted = {path: files[path] for path in ("/data/meta.properties", "/data/bootstrap.checkpoint")}
    fs = copy_of(formatted)
    assert refusal(fs, "log.dirs=/data") is None
    assert owner(fs) == OWNER_LOGD
    assert [record.getMessage() for record in caplog.records if "never used" in record.getMessage()]


def test_a_port_that_is_taken_leaves_the_rest_for_the_next_start(fs: MemoryFileSystem) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        reason = refusal(fs, *PROPERTIES, f"listeners=PLAINTEXT://127.0.0.1:{port}")
        assert reason is not None and "cannot listen" in reason
    assert owner(fs) == OWNER_TAKING_OVER
    assert refusal(fs) is None
    assert owner(fs) == OWNER_LOGD
