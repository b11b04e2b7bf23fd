"""Replays a partition of an internal topic into a coordinator's shard, in slices that leave room for clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from coordinator.internal_records import UnreadableRecord
from coordinator.shard import TransactionalProducer
from protocol.control_records import read_end_txn_marker
from protocol.records import iter_batches, iter_records, read_header

if TYPE_CHECKING:
    from coordinator.internal_records import RecordTypes
    from coordinator.shard import Shard
    from logd.node import Node
    from logd.replicas import LocalPartition
    from protocol.types import Buffer, Offset

#: Bytes replayed in one go; some 300 records, a few milliseconds.
_SLICE_BYTES: Final = 32 << 10


async def load_shard(node: Node, partition: LocalPartition, types: RecordTypes, shard: Shard) -> Offset:
    """Replay the whole log; return its end offset (exclusive).

    The caller sees to it that nobody else appends meanwhile.
    Raises: UnreadableRecord; what the log raises when its disk fails or its bytes are damaged.
    """
    log = partition.log
    end = log.log_end_offset
    offset = log.log_start_offset
    while offset < end:
        result = log.read(offset, _SLICE_BYTES, end)
        if result.cold is not None:
            await node.read_pool.run(result.cold.run)
            result = log.finish_read(result.cold)
        if result.region is not None:
            for batch in iter_batches(result.region.read()):
                _replay(batch, offset, types, shard)
        offset = result.next_offset
        await asyncio.sleep(0)
    return end


def _replay(batch: Buffer, start: Offset, types: RecordTypes, shard: Shard) -> None:
    """Replay the records of a batch from offset `start` on."""
    header = read_header(batch)
    producer = None
    if header.is_transactional:
        producer = TransactionalProducer(header.producer_id, header.producer_epoch)
    if header.is_control:
        marker = read_end_txn_marker(batch)
        if producer is not None and marker is not None:
            shard.replay_marker(producer, commit=marker.committed)
        return
    for record in iter_records(batch):
        if record.offset < start:
            continue
        try:
            decoded = types.decode(record.key, record.value)
        except UnreadableRecord as error:
            raise UnreadableRecord(f"offset {record.offset}: {error}") from error
        if decoded is not None:
            shard.replay(decoded, record.offset, producer)
