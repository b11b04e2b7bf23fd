"""The file that ties a partition's directory to a topic id (partition.metadata).

Layout: `version: 0`, newline, `topic_id: <22 characters of URL-safe base64>`. A directory whose id is not
the one that the cluster's metadata gives to its topic name belongs to a topic deleted since.
Source: KIP-516; apache/kafka storage/…/checkpoint/PartitionMetadataFile.java, PartitionMetadata.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.types import uuid_from_str, uuid_to_str
from storage.checkpoint import read_ascii
from storage.errors import MalformedFile

if TYPE_CHECKING:
    from storage.fs import FileSystem

PARTITION_METADATA = "partition.metadata"


def render_topic_id(topic_id: bytes) -> bytes:
    """The file's content for a 16-byte id."""
    return f"version: 0\ntopic_id: {uuid_to_str(topic_id)}".encode("ascii")


def read_topic_id(fs: FileSystem, path: str) -> bytes | None:
    """The 16-byte id; None when the file is missing. Raises: MalformedFile, StorageFailure."""
    if not fs.exists(path):
        return None
    lines = read_ascii(fs, path).splitlines()
    if len(lines) != 2:
        raise MalformedFile(path, f"{len(lines)} lines instead of 2")
    if _value(path, lines[0], "version") != "0":
        raise MalformedFile(path, "the version is not 0")
    try:
        return uuid_from_str(_value(path, lines[1], "topic_id"))
    except ValueError:
        raise MalformedFile(path, "the topic id is not 16 bytes of URL-safe base64") from None


def _value(path: str, line: str, key: str) -> str:
    found, _, value = line.partition(":")
    if found.strip() != key:
        raise MalformedFile(path, f"expected '{key}: …', found {line[:30]!r}")
    return value.strip()
