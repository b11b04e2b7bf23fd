"""Goal: what a user sets becomes the right value, and what is wrong becomes one clear line. Method: cases by source."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.config import (
    BrokerConfig,
    ConfigError,
    ConfigValueError,
    load_config,
    log_config_for,
    parse_topic_configs,
)
from logd.config.key import LONG_MAX
from logd.config.topic_configs import topic_configs_problem, usable_topic_configs

STOCK_FILES = Path(__file__).parent / "kafka_files"


def _file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "server.properties"
    path.write_text(text, encoding="utf-8")
    return str(path)


def _error(*properties: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(properties)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


def test_defaults() -> None:
    config = load_config()
    assert config.node_id == 1
    assert config.log_dirs == ("logd-data",)
    assert [(each.name, each.host, each.port) for each in config.listeners] == [
        ("PLAINTEXT", "127.0.0.1", 9092)
    ]
    assert config.settings.without_effect == ()


def test_every_topic_default_is_storages_default() -> None:
    from storage.config import LogConfig  # noqa: PLC0415 - the module under test loads it late too

    assert log_config_for({}, load_config()) == LogConfig()


# -- sources -------------------------------------------------------------------------------------------------------


def test_command_line_before_environment_before_file(tmp_path: Path) -> None:
    file = _file(tmp_path, "num.partitions=2\nfetch.max.bytes=2000\nmax.connections=2\n")
    environment = {"LOGD_NUM_PARTITIONS": "3", "LOGD_FETCH_MAX_BYTES": "3000", "PATH": "/bin"}
    config = load_config(["num.partitions=4"], environment=environment, file=file)
    assert (config.num_partitions, config.fetch_max_bytes, config.max_connections) == (4, 3000, 2)
    assert config.settings.origins["num.partitions"] == "command line"
    assert config.settings.origins["fetch.max.bytes"] == "environment"
    assert file in config.settings.origins["max.connections"]


def test_the_last_of_a_repeated_option_counts() -> None:
    assert load_config(["num.partitions=2", "num.partitions=5"]).num_partitions == 5


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_config(["broker.rack=a=b"]).broker_rack == "a=b"


def test_properties_files_are_java_properties(tmp_path: Path) -> None:
    file = _file(tmp_path, "# comment\n! another\nlog.dirs : /a,\\\n   /b\nbroker.rack=\\u00e9\n\n")
    config = load_config(file=file)
    assert config.log_dirs == ("/a", "/b")
    assert config.broker_rack == "é"


def test_unknown_environment_variables_are_warned_of_and_ignored() -> None:
    config = load_config(
        environment={"LOGD_PORT": "tcp://10.0.0.1:9092", "LOGD_REQUIRE": "java", "LOGD_TEST_X": "1"}
    )
    assert len(config.settings.warnings) == 1
    assert "LOGD_PORT" in config.settings.warnings[0]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(file=str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(file=str(tmp_path))
    (tmp_path / "latin").write_bytes(b"broker.rack=\xe9\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(file=str(tmp_path / "latin"))


@pytest.mark.parametrize("name", sorted(path.name for path in STOCK_FILES.glob("*.properties")))
def test_kafkas_own_files_are_taken(name: str) -> None:
    config = load_config(file=str(STOCK_FILES / name))
    assert config.node_id == 1
    assert [each.name for each in config.listeners] == ["PLAINTEXT"]
    assert config.listeners[0].advertised_host == "localhost"
    assert "num.network.threads" in config.settings.without_effect
    assert "log.dirs" not in config.settings.without_effect


# -- names of one setting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "retention_ms"),
    [
        ([], 604_800_000),
        (["log.retention.hours=1"], 3_600_000),
        (["log.retention.hours=1", "log.retention.minutes=2"], 120_000),
        (["log.retention.hours=1", "log.retention.minutes=2", "log.retention.ms=3"], 3),
        (["log.retention.ms=-1"], -1),
        (["log.retention.minutes=-7"], -1),
        (["log.retention.hours=-1"], -1),
    ],
)
def test_retention_names(properties: list[str], retention_ms: int) -> None:
    assert load_config(properties).topic_defaults["retention.ms"] == retention_ms


def test_a_stronger_source_counts_before_a_stronger_name(tmp_path: Path) -> None:
    config = load_config(["log.retention.hours=1"], file=_file(tmp_path, "log.retention.ms=5\nlog.dirs=/a\n"))
    assert config.topic_defaults["retention.ms"] == 3_600_000
    assert load_config(["log.dir=/b"], file=_file(tmp_path, "log.dirs=/a")).log_dirs == ("/b",)


def test_roll_names() -> None:
    assert load_config(["log.roll.hours=2"]).topic_defaults["segment.ms"] == 7_200_000
    assert load_config(["log.roll.hours=2", "log.roll.ms=9"]).topic_defaults["segment.ms"] == 9
    assert load_config(["log.roll.jitter.hours=1"]).topic_defaults["segment.jitter.ms"] == 3_600_000


def test_flush_interval_falls_back_to_the_schedulers() -> None:
    assert load_config().topic_defaults["flush.ms"] == LONG_MAX
    assert load_config(["log.flush.scheduler.interval.ms=50"]).topic_defaults["flush.ms"] == 50
    both = ["log.flush.scheduler.interval.ms=50", "log.flush.interval.ms=1000"]
    assert load_config(both).topic_defaults["flush.ms"] == 1000


def test_node_id_names() -> None:
    assert load_config(["broker.id=7"]).node_id == 7
    assert load_config(["broker.id=7", "node.id=7"]).node_id == 7
    assert "they mean the same" in _error("broker.id=7", "node.id=8")
    assert "negative" in _error("broker.id=-1")


# -- refusals --------------------------------------------------------------------------------------------------------


def test_unknown_names_get_a_suggestion() -> None:
    assert "did you mean num.partitions?" in _error("num.partition=1")
    assert "did you mean log.retention.hours?" in _error("log.retention.hour=1")
    assert "log.retention.ms" in _error("retention.ms=1")
    assert "--help-config" in _error("colour=blue")


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (["zookeeper.connect=localhost:2181"], "ZooKeeper"),
        (["ssl.keystore.location=/k"], "TLS is not built yet"),
        (["sasl.enabled.mechanisms=PLAIN"], "authentication is not built yet"),
        (["security.inter.broker.protocol=SSL"], "TLS"),
        (["authorizer.class.name=X"], "authorisation is not built yet"),
        (["listener.name.plaintext.x=1"], "single listener"),
        (["log.message.timestamp.difference.max.ms=1"], "log.message.timestamp.before.max.ms"),
        (["process.roles=controller"], "broker and controller"),
        (["num.partitions=many"], "whole number"),
        (["num.partitions="], "whole number"),
        (["num.partitions=1.5"], "whole number"),
        (["num.partitions=٣"], "whole number"),
        (["num.partitions=0"], "at least 1"),
        (["num.partitions=99999999999"], "range of type int"),
        (["num.partitions=" + "9" * 5000], "whole number"),
        (["auto.create.topics.enable=yes"], "true or false"),
        (["log.cleanup.policy=shred"], "compact, delete"),
        (["log.record.validation=none"], "header, full"),
        (["num.io.threads=x"], "whole number"),
        (["log.retention.ms=0"], "-1 to keep"),
        (["queued.max.request.bytes=5"], "one request must fit"),
        (["max.connections.per.ip=0"], "overrides"),
        (["max.connections.per.ip.overrides=a"], "ADDRESS:COUNT"),
        (["log.dirs=,"], "names no directory"),
        (["log.dirs="], "names no directory"),
        (["num.partitions"], "-X name=value"),
    ],
)
def test_refused(properties: list[str], expected: str) -> None:
    assert expected in _error(*properties)


def test_refused_properties_that_ask_for_nothing_pass() -> None:
    config = load_config(
        ["security.inter.broker.protocol=PLAINTEXT", "authorizer.class.name=", "config.providers="]
    )
    assert config.settings.values == {}


def test_properties_without_effect_are_remembered_once(tmp_path: Path) -> None:
    config = load_config(
        ["num.io.threads=8"], file=_file(tmp_path, "num.io.threads=9\noffsets.load.buffer.size=4096")
    )
    assert config.settings.without_effect == ("num.io.threads", "offsets.load.buffer.size")


def test_per_ip_overrides() -> None:
    config = load_config(["max.connections.per.ip.overrides=10.0.0.1:5, [::1]:7,localhost:0"])
    assert config.max_connections_per_ip_overrides == {"10.0.0.1": 5, "::1": 7, "localhost": 0}


# -- topics ----------------------------------------------------------------------------------------------------------


def _topic(overrides: dict[str, str], *properties: str) -> object:
    return log_config_for(overrides, load_config(properties))


def test_topic_before_broker_before_default() -> None:
    config = log_config_for(
        {"retention.ms": "9"}, load_config(["log.retention.ms=5", "log.segment.bytes=2000000"])
    )
    assert (config.retention_ms, config.segment_bytes, config.index_interval_bytes) == (9, 2_000_000, 4096)


def test_topic_values_reach_storage() -> None:
    config = log_config_for(
        {
            "cleanup.policy": "compact, delete",
            "compression.type": "zstd",
            "message.timestamp.type": "LogAppendTime",
            "flush.messages": "1",
            "min.cleanable.dirty.ratio": "0.25",
            "max.message.bytes": "5",
        },
        load_config(["log.record.validation=full", "log.cleaner.delete.retention.ms=77"]),
    )
    assert config.cleanup_policy == {"compact", "delete"}
    assert config.compression_type == "zstd"
    assert config.message_timestamp_type == "LogAppendTime"
    assert (config.flush_messages, config.min_cleanable_dirty_ratio, config.max_message_bytes) == (1, 0.25, 5)
    assert config.validation == "full"
    assert config.delete_retention_ms == 77


def test_internal_segment_bytes_goes_below_the_bound() -> None:
    config = log_config_for({"internal.segment.bytes": "1000"}, load_config())
    assert config.segment_bytes == 1000


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"segment.bytes": "1"}, "segment.bytes"),
        ({"segment.bytes": "x"}, "segment.bytes"),
        ({"log.segment.bytes": "2000000"}, "unknown topic property log.segment.bytes"),
        ({"colour": "blue"}, "unknown topic property colour"),
        ({"retention.ms": None}, "no value for topic property retention.ms"),
        ({"retention.ms": "-2"}, "at least -1"),
        ({"compression.type": "GZIP"}, "one of"),
        ({"compression.gzip.level": "0"}, "1 to 9, or -1"),
        ({"min.cleanable.dirty.ratio": "1.5"}, "0 to 1"),
        ({"min.cleanable.dirty.ratio": "nan"}, "expected a number"),
        ({"min.cleanable.dirty.ratio": "INF"}, "invalid value inf"),
    ],
)
def test_bad_topic_configs(overrides: dict[str, str | None], expected: str) -> None:
    with pytest.raises(ConfigValueError, match=expected):
        parse_topic_configs(overrides)


@pytest.mark.parametrize(
    ("overrides", "properties", "expected"),
    [
        ({"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "2"}, [], "greater than"),
        ({"max.compaction.lag.ms": "5"}, ["log.cleaner.min.compaction.lag.ms=10"], "greater than"),
        ({"remote.storage.enable": "true"}, [], "no tiered storage"),
        ({"retention.ms": "soon"}, [], "retention.ms"),
        ({"no.such.thing": "1"}, [], "no.such.thing"),
    ],
)
def test_what_is_wrong_with_a_topic_is_said_in_words(
    overrides: dict[str, str], properties: list[str], expected: str
) -> None:
    assert expected in (topic_configs_problem(overrides, load_config(properties)) or "")


def test_what_a_topic_keeps_is_judged_with_what_changes() -> None:
    kept = {"max.compaction.lag.ms": "5", "left.by": "Kafka 3"}
    assert "greater than" in (
        topic_configs_problem({"min.compaction.lag.ms": "9"}, load_config(), kept) or ""
    )
    assert topic_configs_problem({"min.compaction.lag.ms": "4"}, load_config(), kept) is None


def test_a_log_opens_although_some_of_what_its_topic_sets_cannot_be_used() -> None:
    overrides = {"message.format.version": "2.8", "retention.ms": "soon", "segment.bytes": "2000000"}
    assert _topic(overrides).segment_bytes == 2_000_000
    assert _topic(overrides).retention_ms == 604_800_000
    assert len(usable_topic_configs(overrides)[1]) == 2


def test_nothing_is_wrong_with_a_topic() -> None:
    assert topic_configs_problem({"retention.ms": "5", "cleanup.policy": "compact"}, load_config()) is None


def test_a_log_opens_although_the_brokers_defaults_no_longer_fit() -> None:
    config = _topic({"max.compaction.lag.ms": "5"}, "log.cleaner.min.compaction.lag.ms=10")
    assert (config.min_compaction_lag_ms, config.max_compaction_lag_ms) == (10, 5)


def test_defaults_of_topics_must_fit_together() -> None:
    assert "greater than" in _error(
        "log.cleaner.min.compaction.lag.ms=5", "log.cleaner.max.compaction.lag.ms=2"
    )


# -- durability ------------------------------------------------------------------------------------------------------


def _durability(*properties: str, in_memory: bool = False) -> str:
    config: BrokerConfig = load_config(properties, in_memory=in_memory)
    return config.durability()


def test_durability_says_what_an_acknowledgement_promises() -> None:
    assert "survives kill -9, not power loss" in _durability()
    assert _durability("log.flush.interval.messages=1") == "synced to disk before every acknowledgement"
    assert "every 100 records" in _durability("log.flush.interval.messages=100")
    assert "within 1000 ms" in _durability("log.flush.interval.ms=1000")
    assert "goes with the process" in _durability("log.flush.interval.messages=1", in_memory=True)


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    config = load_config([], file=_file(tmp_path, "\ufefflog.dirs=/a\n"))
    assert config.log_dirs == ("/a",)
