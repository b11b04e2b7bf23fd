"""Refused requests leave nothing for the collector of cycles, which looks rarely (logd/process.py).

An exception holds the frames that it went through. If one of those holds the exception, all that it holds stays: the
request, its buffer, its connection.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from logd.context import RequestContext
from logd.to_the_end import to_the_end
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.unregister_broker import UnregisterBrokerRequest
from protocol.messages.update_features import UpdateFeaturesRequest
from storage.errors import StorageError
from storage.fs.faulty import FaultyFileSystem, Kind
from tests.support.node import Disk, Node, play
from tests.support.node_talk import ask_one, topic_with
from tests.support.patience import wait_until

_FEATURE = UpdateFeaturesRequest.FeatureUpdateKey(feature="made.up", max_version_level=3)


@pytest.mark.parametrize(
    "asked",
    [UnregisterBrokerRequest(broker_id=7), UpdateFeaturesRequest(feature_updates=[_FEATURE])],
    ids=["unregister", "features"],
)
def test_a_refusal_of_the_controller_leaves_no_cycle(
    asked: UnregisterBrokerRequest | UpdateFeaturesRequest,
) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        assert (await client.call(asked)).error_code  # what is loaded and made for the first one stays
        with nothing_left():
            for _ in range(3):
                assert (await client.call(asked)).error_code
            await client.metadata()  # the last one is done with

    play(scenario)


@pytest.mark.parametrize("api", ["fetch", "list offsets"])
def test_a_read_that_the_disk_fails_leaves_no_cycle(api: str) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        await node.restart()  # what is not checked yet is read in the pool
        client = await node.client()
        disk.fail(Kind.READ, "/t-0/", errno.EIO)
        with nothing_left():
            if api == "fetch":
                assert (await ask_one(client)).error_code == ErrorCode.KAFKA_STORAGE_ERROR
            else:
                with pytest.raises(BrokerError) as refusal:
                    await client.list_offset("t", 0, 0)
                assert refusal.value.code is ErrorCode.KAFKA_STORAGE_ERROR
            await client.metadata()

    play(scenario, fs=disk.fs)


def test_a_bug_met_in_the_pool_ends_the_connection_and_leaves_no_cycle(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "logd.dispatch")  # what is captured is kept, and so are errors

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 2)
        await node.restart()
        client, other = await node.client(), await node.client()
        monkeypatch.setattr("storage.cold_read.ColdRead.run", lambda _: 1 / 0)
        with nothing_left():
            with pytest.raises(ConnectionError):
                await ask_one(client)
            await other.metadata()

    play(scenario)


@contextmanager
def nothing_left() -> Iterator[None]:
    """No request of those made in the block is left at its end, and no error, without the collector."""
    gc.collect()
    before = kept()
    gc.disable()
    try:
        yield
        # A thread of the pool tells the loop first that its work is done, and lets go of it then.
        wait_until(lambda: all(any(each is one for one in before) for each in kept()), kept, patience_s=10)
    finally:
        gc.enable()


def kept() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, (RequestContext, StorageError))]


@pytest.mark.parametrize("wait_for", [partial(within, 60_000), to_the_end], ids=["within", "to the end"])
def test_work_that_failed_leaves_no_cycle(
    wait_for: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]],
) -> None:
    class Held:
        """What a frame of the work holds."""

    held: list[weakref.ref[Held]] = []

    async def work() -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        raise ValueError

    async def main() -> None:
        gc.disable()
        try:
            with pytest.raises(ValueError):
                await wait_for(work())
        finally:
            gc.enable()

    asyncio.run(main())
    assert held[0]() is None
