"""Refused requests leave nothing for the collector of cycles, which looks rarely (logd/process.py).

An exception holds the frames that it went through. If one of those holds the exception, all that it holds stays: the
request, its buffer, its connection.
"""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from logd.context import RequestContext
from logd.within import within
from protocol.messages.unregister_broker import UnregisterBrokerRequest
from protocol.messages.update_features import UpdateFeaturesRequest
from tests.support.node import Node, play

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
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                assert (await client.call(asked)).error_code
            await client.metadata()  # the last one is done with
            assert not [each for each in gc.get_objects() if isinstance(each, RequestContext)]
        finally:
            gc.enable()

    play(scenario)


def test_work_that_failed_within_its_time_leaves_no_cycle() -> None:
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
                await within(60_000, work())
        finally:
            gc.enable()

    asyncio.run(main())
    assert held[0]() is None
