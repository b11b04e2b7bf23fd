"""Goal: the hash of a group's topics is Kafka's. The values are from hash4j 0.22, which Kafka 4.3 uses."""

from __future__ import annotations

import pytest

from coordinator.consumer.topics import KnownTopics
from coordinator.consumer.xxh3 import xxh3_64
from tests.support.shards import Topics


@pytest.mark.parametrize(
    ("size", "value"),
    [
        (0, 3244421341483603138),
        (1, 5502495245947142431),
        (2, 3010103725172346478),
        (3, 7943829059066201772),
        (4, 6650799683851767871),
        (5, 5329424330036611939),
        (8, 18013639643258255605),
        (9, 8944394699905593055),
        (12, 1644623058608254533),
        (16, 9704121104262105176),
        (17, 13081819869213806705),
        (31, 5207339628089618566),
        (32, 16388932025501132398),
        (33, 11880189719134216051),
        (64, 1338082372350062813),
        (65, 10936639315039379145),
        (96, 9307085733980681061),
        (97, 17385482648986237405),
        (127, 17099312506880527797),
        (128, 1211889905577015873),
        (129, 1605741916052902306),
        (144, 13001258560068459194),
        (160, 7303868565341031498),
        (239, 17352743754860795597),
        (240, 13172940074023354854),
        (241, 10767172507156293534),
        (255, 7252492153302776105),
        (256, 12780746281945784236),
        (257, 9778369418430836869),
        (511, 6491897709703144074),
        (1000, 6277275435047072539),
        (1024, 8123710315364152507),
        (1025, 7405123385822357415),
        (1088, 17599442263495781564),
        (2048, 10035931636063484464),
        (2049, 6349179943806269125),
        (5000, 16429264659058461020),
    ],
)
def test_xxh3(size: int, value: int) -> None:
    assert xxh3_64(bytes((i * 131 + 7) % 256 for i in range(size))) == value


class OneTopic(Topics):
    def topic_id(self, name: str) -> bytes | None:
        return bytes.fromhex("01020304050607081112131415161718")


def test_a_topic_with_a_rack() -> None:
    topics = OneTopic(fooé=2)
    topics.racks["fooé", 0] = ("r1",)
    (value,) = {KnownTopics(topics)._hash("fooé")}
    assert value - (value >> 63 << 64) == 5244992897154713846


def test_a_group_has_the_hash_of_its_topics_in_the_order_of_their_names() -> None:
    topics = Topics(a=1, b=2)
    known = KnownTopics(topics)
    assert known.metadata_hash(["a", "b"]) == known.metadata_hash(["b", "gone", "a"]) != 0
    assert known.metadata_hash([]) == known.metadata_hash(["gone"]) == 0
    before = known.metadata_hash(["a"])
    topics.partitions["a"] = 2
    known.changed()
    assert known.metadata_hash(["a"]) != before
