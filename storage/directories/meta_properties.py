"""Whose data a directory holds: cluster, node, and the directory itself (meta.properties).

Layout: Java properties. Version 1 has `version=1`, `cluster.id`, `node.id`, `directory.id`; version 0, from
clusters that began on ZooKeeper, has `broker.id` and is refused with a hint. Keys that are not known are
kept out and ignored. `owner` is ours alone: it tells a directory that was written here from one that Kafka wrote, and
Kafka passes it over.
Source: KIP-631, KIP-858; apache/kafka metadata/…/properties/MetaProperties.java.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.types import NodeId, uuid_from_str
from storage.checkpoint import read_ascii
from storage.errors import DirectoryRefused, MalformedFile

if TYPE_CHECKING:
    from storage.fs import FileSystem

META_PROPERTIES = "meta.properties"

OWNER_LOGD = "logd"
"""What is in the directory was written, or completely taken over, by this broker."""
OWNER_TAKING_OVER = "logd-taking-over"
"""A Kafka directory that this broker began to take over. While the clean shutdown marker is there, it is Kafka's."""


@dataclass(frozen=True, slots=True)
class MetaProperties:
    """The content of one meta.properties file; ids are text. `directory_id` is empty when none was given
    yet, `owner` where another program wrote the file.
    """

    cluster_id: str
    node_id: NodeId
    directory_id: str = ""
    owner: str = ""


def read_meta_properties(fs: FileSystem, path: str) -> MetaProperties | None:
    """The file's content; None when it is missing. Raises: MalformedFile, StorageFailure."""
    if not fs.exists(path):
        return None
    properties = _parse(read_ascii(fs, path))
    version = properties.get("version")
    if version != "1":
        hint = " (written by a ZooKeeper cluster: migrate it to KRaft first)" if version == "0" else ""
        raise MalformedFile(path, f"version is {version!r}, expected 1{hint}")
    node_id = properties.get("node.id", "")
    if not (node_id.isdigit() and len(node_id) <= 10):
        raise MalformedFile(path, f"node.id is {node_id!r}, expected a number from 0 up")
    cluster_id = properties.get("cluster.id", "")
    if not cluster_id:
        raise MalformedFile(path, "cluster.id is missing")
    directory_id = properties.get("directory.id", "")
    if directory_id:
        try:
            uuid_from_str(directory_id)
        except ValueError:
            raise MalformedFile(path, "directory.id is not 16 bytes of URL-safe base64") from None
    return MetaProperties(cluster_id, int(node_id), directory_id, properties.get("owner", ""))


def write_meta_properties(fs: FileSystem, path: str, properties: MetaProperties) -> None:
    """Replaces the file; blocks until it is durable. Raises: StorageFailure."""
    rows = [
        ("version", "1"),
        ("cluster.id", properties.cluster_id),
        ("node.id", str(properties.node_id)),
        ("directory.id", properties.directory_id),
        ("owner", properties.owner),
    ]
    text = "".join(f"{key}={_escaped(value)}\n" for key, value in rows if value)
    fs.write_atomic(path, text.encode("ascii"))


def check_meta_properties(
    found: MetaProperties, directory: str, *, cluster_id: str | None, node_id: NodeId
) -> None:
    """Refuses a directory that belongs to another cluster or node; `cluster_id` None accepts any cluster.

    Raises: DirectoryRefused with what to do about it.
    """
    if cluster_id is not None and found.cluster_id != cluster_id:
        raise DirectoryRefused(
            f"data directory {directory} belongs to cluster {found.cluster_id}, this broker to cluster "
            f"{cluster_id}: configure cluster.id={found.cluster_id}, or use another directory"
        )
    if found.node_id != node_id:
        raise DirectoryRefused(
            f"data directory {directory} belongs to node {found.node_id}, this broker is node {node_id}: "
            f"configure node.id={found.node_id}, or use another directory"
        )


_ESCAPED_IN_VALUES = frozenset("\\:=#!")


def _escaped(value: str) -> str:
    return "".join("\\" + letter if letter in _ESCAPED_IN_VALUES else letter for letter in value)


def _parse(text: str) -> dict[str, str]:
    """The keys and values of a Java properties file, as far as ids need it: no line continuations, no \\u."""
    properties: dict[str, str] = {}
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#!":
            continue
        key, _, value = stripped.partition("=")
        properties[key.strip()] = _unescaped(value.strip())
    return properties


def _unescaped(value: str) -> str:
    letters = iter(value)
    return "".join(next(letters, "") if letter == "\\" else letter for letter in letters)
