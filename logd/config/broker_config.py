"""The broker's configuration as typed values, made from the properties that were set and the table of defaults.

A field is named after its property with dots turned into underscores, unless its docstring says otherwise. Rules that
hold between properties stand in `validate`. A BrokerConfig never changes: settings made while the broker runs make a
new one, which takes the place of the other in `logd.settings.watcher`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from logd.config.broker_keys import BROKER_KEYS
from logd.config.group_keys import group_problem
from logd.config.key import Value
from logd.config.listeners import Listener, resolve_listeners
from logd.config.sources import DynamicSettings, Settings, gather, overridden
from logd.config.topic_keys import topic_defaults, values_problem
from logd.errors import ConfigError

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrokerConfig:
    """Sizes in bytes, times in milliseconds, -1 for no limit where the table says so."""

    node_id: int
    cluster_id: str | None
    broker_rack: str | None
    listeners: tuple[Listener, ...]
    log_dirs: tuple[str, ...]
    metadata_log_dir: str | None
    metadata_log_max_record_bytes_between_snapshots: int
    in_memory: bool  # the data directory is temporary, asked for by --memory

    num_partitions: int
    default_replication_factor: int
    auto_create_topics_enable: bool
    delete_topic_enable: bool

    log_record_validation: str
    log_retention_check_interval_ms: int
    log_flush_offset_checkpoint_interval_ms: int
    log_flush_start_offset_checkpoint_interval_ms: int
    replica_high_watermark_checkpoint_interval_ms: int
    producer_id_expiration_ms: int
    transaction_partition_verification_enable: bool
    add_partitions_to_txn_retry_backoff_ms: int
    add_partitions_to_txn_retry_backoff_max_ms: int

    socket_request_max_bytes: int
    socket_listen_backlog_size: int
    socket_send_buffer_bytes: int
    max_connections: int
    max_connections_per_ip: int
    max_connections_per_ip_overrides: Mapping[str, int]
    connections_max_idle_ms: int
    queued_max_request_bytes: int
    fetch_max_bytes: int
    max_incremental_fetch_session_cache_slots: int
    max_request_partition_size_limit: int

    topic_defaults: Mapping[str, Value]  # by topic property: the value where a topic sets none
    settings: Settings  # what was set at the start, and where
    dynamic: DynamicSettings  # what was set since, in this life or a former one
    values: Mapping[str, Value]  # by broker property: what is set, at the start or since; not the defaults

    def durability(self) -> str:
        """What an acknowledgement promises for a topic that sets nothing, in one line for people."""
        messages = cast(int, self.topic_defaults["flush.messages"])
        flush_ms = cast(int, self.topic_defaults["flush.ms"])
        if self.in_memory:
            return "none: data is in memory and goes with the process"
        if messages == 1:
            return "synced to disk before every acknowledgement"
        limits = []
        if messages < _NEVER:
            limits.append(f"every {messages} records")
        if flush_ms < _NEVER:
            limits.append(f"within {flush_ms} ms")
        if limits:
            return f"acknowledged when written to the operating system, synced to disk {' or '.join(limits)}"
        return (
            "acknowledged when written to the operating system: survives kill -9, not power loss "
            "(log.flush.interval.messages=1 does)"
        )


_NEVER = 1 << 62
_NOTHING_DYNAMIC = DynamicSettings({}, {})


def load_config(
    command_line: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    file: str | None = None,
    in_memory: bool = False,
    replaced: Sequence[str] = (),
) -> BrokerConfig:
    """`command_line`: one `key=value` for each -X; `replaced`: properties of which weaker sources are not asked.

    Raises ConfigError.
    """
    return make_config(gather(command_line, environment or {}, file, replaced=replaced), in_memory=in_memory)


def make_config(
    settings: Settings, *, in_memory: bool = False, dynamic: DynamicSettings = _NOTHING_DYNAMIC
) -> BrokerConfig:
    """Raises ConfigError."""
    given = settings.values
    for stronger in (dynamic.cluster, dynamic.node):
        given = overridden(given, stronger)
    values = _with_defaults(given)
    config = BrokerConfig(
        listeners=_listeners(values),
        log_dirs=_strings(values, "log.dir" if values["log.dirs"] is None else "log.dirs"),
        in_memory=in_memory,
        max_connections_per_ip_overrides=_per_ip_overrides(str(values["max.connections.per.ip.overrides"])),
        topic_defaults=topic_defaults({**given, **values}),
        settings=settings,
        dynamic=dynamic,
        values=given,
        **{name: values[name.replace("_", ".")] for name in _PLAIN_FIELDS},  # type: ignore[arg-type]
    )
    validate(config)
    return config


def validate(config: BrokerConfig) -> None:
    """Rules between properties, and those that are more than a bound. Raises ConfigError."""
    retention_ms = config.topic_defaults["retention.ms"]
    if retention_ms == 0:
        raise ConfigError("log.retention.ms must not be 0", "use -1 to keep records for ever")
    problem = values_problem(config.topic_defaults)
    if problem is not None:
        raise ConfigError(f"as defaults of topics: {problem}", "correct the broker's properties")
    if 0 < config.queued_max_request_bytes < config.socket_request_max_bytes:
        raise ConfigError(
            f"queued.max.request.bytes ({config.queued_max_request_bytes}) is below socket.request.max.bytes "
            f"({config.socket_request_max_bytes})",
            "one request must fit: raise the first or lower the second",
        )
    if config.max_connections_per_ip == 0 and not config.max_connections_per_ip_overrides:
        raise ConfigError(
            "max.connections.per.ip is 0 and no address is excepted",
            "set max.connections.per.ip.overrides too",
        )
    problem = group_problem(config.values)
    if problem is not None:
        raise ConfigError(problem, "correct one of them")
    if not config.log_dirs:
        raise ConfigError("log.dirs names no directory", "set it, or use --data-dir DIR")


def _with_defaults(given: Mapping[str, Value]) -> dict[str, Value]:
    """The value of every property in the table, those that stand for others resolved (broker.id, hours, minutes)."""
    values = {key.name: given.get(key.name, key.default) for key in BROKER_KEYS}
    if "broker.id" in given:
        values["node.id"] = given["broker.id"]
    if cast(int, values["node.id"]) < 0:
        raise ConfigError(
            f"node.id must not be negative, it is {values['node.id']}", "give the node an id, such as 1"
        )
    if "broker" not in cast("tuple[str, ...]", values["process.roles"]):
        raise ConfigError(
            "process.roles has no broker", "a node is always broker and controller: remove the property"
        )
    if values["log.roll.ms"] is None:
        values["log.roll.ms"] = cast(int, values["log.roll.hours"]) * _HOUR_MS
    if values["log.roll.jitter.ms"] is None:
        values["log.roll.jitter.ms"] = cast(int, values["log.roll.jitter.hours"]) * _HOUR_MS
    values["log.retention.ms"] = _retention_ms(values)
    if values["log.flush.interval.ms"] is None:
        values["log.flush.interval.ms"] = values["log.flush.scheduler.interval.ms"]
    return values


def _retention_ms(values: Mapping[str, Value]) -> int:
    """Milliseconds before minutes before hours; whatever is negative keeps for ever."""
    millis, minutes = values["log.retention.ms"], values["log.retention.minutes"]
    if millis is None:
        millis = (
            cast(int, minutes) * _MINUTE_MS
            if minutes is not None
            else cast(int, values["log.retention.hours"]) * _HOUR_MS
        )
    return max(cast(int, millis), -1)


def _listeners(values: Mapping[str, Value]) -> tuple[Listener, ...]:
    advertised = values["advertised.listeners"]
    return resolve_listeners(
        _strings(values, "listeners"),
        None if advertised is None else cast("tuple[str, ...]", advertised),
        str(values["listener.security.protocol.map"]),
        _strings(values, "controller.listener.names"),
    )


def _strings(values: Mapping[str, Value], name: str) -> tuple[str, ...]:
    return cast("tuple[str, ...]", values[name] or ())


def _per_ip_overrides(text: str) -> Mapping[str, int]:
    overrides: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        address, colon, count = part.rpartition(":")
        if not colon or not address or not (count.isascii() and count.isdigit()):
            raise ConfigError(
                f"bad entry {part!r} in max.connections.per.ip.overrides", "write ADDRESS:COUNT"
            )
        overrides[address.strip("[]")] = int(count)
    return overrides


# Fields that take their property's value as it is.
_PLAIN_FIELDS = tuple(
    name
    for name in BrokerConfig.__annotations__
    if name
    not in {
        "listeners",
        "log_dirs",
        "in_memory",
        "max_connections_per_ip_overrides",
        "topic_defaults",
        "settings",
        "dynamic",
        "values",
    }
)
