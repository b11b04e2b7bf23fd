"""Listeners: the addresses that are bound and those that clients are told.

Text form NAME://HOST:PORT, an IPv6 host in brackets. Names are compared in upper case, as Kafka does. An empty host
binds every interface. Port 0 binds any free port; an advertised port 0 is the port that was bound, which Kafka does
not have.
Source: Kafka's SocketServerConfigs.java, KafkaConfig.scala.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from logd.errors import ConfigError

_PROTOCOLS = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}
_WILDCARDS = {"", "0.0.0.0", "::"}
_FORM = "write NAME://HOST:PORT, for example PLAINTEXT://127.0.0.1:9092"


class Listener(NamedTuple):
    """`host` is empty for every interface; `advertised_port` is 0 where the port bound is meant."""

    name: str
    host: str
    port: int
    protocol: str
    advertised_host: str
    advertised_port: int


def resolve_listeners(
    listeners: Sequence[str],
    advertised: Sequence[str] | None,
    protocol_map: str,
    controller_names: Sequence[str],
) -> tuple[Listener, ...]:
    """The listeners for clients; those named in `controller_names` are left out. Raises ConfigError."""
    protocols = _parse_protocol_map(protocol_map)
    controllers = {name.upper() for name in controller_names}
    bound = {name: at for name, at in _parse_all("listeners", listeners).items() if name not in controllers}
    if not bound:
        raise ConfigError(
            "listeners names no address for clients", "add one such as PLAINTEXT://127.0.0.1:9092"
        )
    told = {
        name: at
        for name, at in _parse_all("advertised.listeners", advertised or ()).items()
        if name not in controllers
    }
    _check_same_names(bound, told, advertised is not None)
    _check_ports_distinct(bound)
    return tuple(_resolve(name, at, told.get(name), protocols) for name, at in bound.items())


def parse_endpoint(property_name: str, text: str) -> tuple[str, str, int]:
    """(NAME, host, port). Raises ConfigError."""
    name, separator, address = text.strip().partition("://")
    host, colon, port = address.rpartition(":")
    if not separator or not colon or not name or not all(c.isalnum() or c in "-_." for c in name):
        raise ConfigError(f"bad listener {text!r} in {property_name}", _FORM)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"bad listener {text!r} in {property_name}", "put an IPv6 host in brackets: [::1]")
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65_535:
        raise ConfigError(
            f"bad port {port!r} in listener {text!r} of {property_name}", "a port is 0 to 65535"
        )
    return name.upper(), host, int(port)


def _parse_all(property_name: str, texts: Sequence[str]) -> dict[str, tuple[str, int]]:
    parsed: dict[str, tuple[str, int]] = {}
    for text in texts:
        name, host, port = parse_endpoint(property_name, text)
        if name in parsed:
            raise ConfigError(f"{property_name} names {name} twice", "give each listener a name of its own")
        parsed[name] = (host, port)
    return parsed


def _parse_protocol_map(text: str) -> Mapping[str, str]:
    protocols: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, protocol = part.partition(":")
        if not colon or protocol.strip().upper() not in _PROTOCOLS:
            raise ConfigError(
                f"bad entry {part!r} in listener.security.protocol.map",
                f"write NAME:PROTOCOL with one of {', '.join(sorted(_PROTOCOLS))}",
            )
        protocols[name.strip().upper()] = protocol.strip().upper()
    return protocols


def _check_same_names(
    bound: Mapping[str, tuple[str, int]], told: Mapping[str, tuple[str, int]], is_set: bool
) -> None:
    for name in told:
        if name not in bound:
            raise ConfigError(
                f"advertised.listeners names {name}, listeners does not",
                f"add {name}://HOST:PORT to listeners",
            )
    if is_set and not told:
        raise ConfigError(
            "advertised.listeners names no address for clients", "name one of listeners, or remove it"
        )


def _check_ports_distinct(bound: Mapping[str, tuple[str, int]]) -> None:
    seen: dict[int, str] = {}
    for name, (host, port) in bound.items():
        other = seen.get(port)
        if port and other is not None and host == bound[other][0]:
            raise ConfigError(
                f"listeners {other} and {name} have the same port {port}", "give each its own port"
            )
        seen[port] = name


def _resolve(
    name: str, at: tuple[str, int], told: tuple[str, int] | None, protocols: Mapping[str, str]
) -> Listener:
    protocol = protocols.get(name)
    if protocol is None:
        raise ConfigError(
            f"listener {name} has no security protocol",
            f"add {name}:PLAINTEXT to listener.security.protocol.map",
        )
    if protocol != "PLAINTEXT":
        raise ConfigError(
            f"listener {name} asks for {protocol}, which is not built yet",
            "use a PLAINTEXT listener on a network you trust",
        )
    host, port = at
    if told is not None and told[0] in {"0.0.0.0", "::"}:
        raise ConfigError(
            f"advertised.listeners tells clients to use {told[0]}, which leads nowhere",
            "name a host that clients can reach",
        )
    if told is not None and told[0]:
        return Listener(name, host, port, protocol, told[0], told[1])
    advertised_host = os.uname().nodename if host in _WILDCARDS else host
    return Listener(name, host, port, protocol, advertised_host, told[1] if told is not None else port)
