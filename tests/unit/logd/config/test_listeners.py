"""Goal: listeners are bound where the user says and clients are told what works. Method: cases of every form."""

from __future__ import annotations

import os

import pytest

from logd.config import ConfigError, Listener, load_config


def _listeners(*properties: str) -> list[tuple[str, str, int, str, int]]:
    return [
        (each.name, each.host, each.port, each.advertised_host, each.advertised_port)
        for each in load_config(properties).listeners
    ]


def test_plain() -> None:
    assert load_config(["listeners=plaintext://localhost:0"]).listeners == (
        Listener("PLAINTEXT", "localhost", 0, "PLAINTEXT", "localhost", 0),
    )


def test_advertised() -> None:
    assert _listeners(
        "listeners=PLAINTEXT://0.0.0.0:9092", "advertised.listeners=PLAINTEXT://broker.example:19092"
    ) == [("PLAINTEXT", "0.0.0.0", 9092, "broker.example", 19092)]


@pytest.mark.parametrize("host", ["", "0.0.0.0", "[::]"])
def test_every_interface_is_advertised_as_the_machine(host: str) -> None:
    [(_, bound, _, advertised, _)] = _listeners(f"listeners=PLAINTEXT://{host}:9092")
    assert bound == host.strip("[]")
    assert advertised == os.uname().nodename


def test_ipv6() -> None:
    assert _listeners("listeners=PLAINTEXT://[::1]:9092") == [("PLAINTEXT", "::1", 9092, "::1", 9092)]


def test_several_with_names_of_their_own() -> None:
    assert _listeners(
        "listeners=INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0",
        "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
        "advertised.listeners=OUTSIDE://outside:0,INSIDE://inside:1",
    ) == [("INSIDE", "127.0.0.1", 0, "inside", 1), ("OUTSIDE", "127.0.0.1", 0, "outside", 0)]


def test_controller_listeners_are_not_opened() -> None:
    assert [
        name
        for name, *_ in _listeners(
            "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2",
            "controller.listener.names=CONTROLLER",
        )
    ] == ["PLAINTEXT"]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (["listeners=127.0.0.1:9092"], "NAME://HOST:PORT"),
        (["listeners=PLAINTEXT://127.0.0.1"], "NAME://HOST:PORT"),
        (["listeners=PLAINTEXT:/127.0.0.1:9092"], "NAME://HOST:PORT"),
        (["listeners=PLAINTEXT://::1:9092"], "brackets"),
        (["listeners=PLAINTEXT://h:70000"], "0 to 65535"),
        (["listeners=PLAINTEXT://h:x"], "0 to 65535"),
        (["listeners=PLAINTEXT://h:-1"], "0 to 65535"),
        (["listeners=PLAINTEXT://h:"], "0 to 65535"),
        (["listeners="], "no address"),
        (["listeners=PLAINTEXT://h:1,PLAINTEXT://h:2"], "twice"),
        (["listeners=SSL://h:1"], "not built yet"),
        (["listeners=SASL_PLAINTEXT://h:1"], "not built yet"),
        (["listeners=INSIDE://h:1"], "INSIDE:PLAINTEXT"),
        (["listener.security.protocol.map=A:B"], "NAME:PROTOCOL"),
        (["listener.security.protocol.map=A"], "NAME:PROTOCOL"),
        (["advertised.listeners=OTHER://h:1"], "OTHER"),
        (["advertised.listeners=PLAINTEXT://0.0.0.0:1"], "leads nowhere"),
        (["advertised.listeners=CONTROLLER://h:1", "controller.listener.names=CONTROLLER"], "no address"),
        (
            [
                "listeners=A://h:1,B://h:1",
                "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT",
            ],
            "same port 1",
        ),
        (["listeners=CONTROLLER://h:1", "controller.listener.names=CONTROLLER"], "no address for clients"),
    ],
)
def test_bad_listeners(properties: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(properties)
    assert caught.value.hint
